//! What went wrong in other forges at their web door, tried on this one. Public ids name the incident whose kind a test
//! is about; `docs/security.md` has the whole list.

use forge::Visibility;

use super::walk_test::{Browser, ORIGIN, header, post};
use super::{Method, ROUTES};
use crate::test_client::{get, send};
use crate::test_site::Site;

/// A path of the pattern; what it names need not be there.
fn filled(pattern: &str) -> String {
    let path = pattern.replace("{owner}", "alice").replace("{repo}", "notes").replace("{name}", "alice");
    path.replace("{id}", "1").replace("{file}", "x").replace("{*rest}", "main")
}

/// CVE-2021-45326, CVE-2026-52800: whatever changes something needs a page of this site, a session's own token, and no GET.
#[tokio::test]
async fn no_form_of_the_table_is_taken_from_another_site_or_without_its_token() {
    let mut site = Site::start().await;
    let root = Browser::signed_in(&site, "root").await;
    let cookie = format!("Cookie: {}\r\n", root.cookie);
    let token = ("csrf", root.csrf.as_str());
    let forms: Vec<_> = ROUTES.iter().filter(|route| route.method == Method::Post).collect();
    assert!(forms.len() > 20, "{}", forms.len());
    for route in forms {
        let path = filled(route.pattern);
        for foreign in [
            String::new(),
            "Origin: null\r\n".into(),
            "Origin: https://evil.example\r\n".into(),
            format!("{ORIGIN}Sec-Fetch-Site: cross-site\r\n"),
            format!("{ORIGIN}Sec-Fetch-Site: same-site\r\n"),
            format!("{ORIGIN}Sec-Fetch-Site: none\r\n"),
            "Referer: https://localhost:8828/\r\n".into(),
        ] {
            let answer = post(&site, &path, &format!("{cookie}{foreign}"), &[token]).await;
            assert_eq!(answer.status, 403, "{path} with {foreign:?}");
        }
        if !path.starts_with("/sign-in") {
            for wrong in ["", "0", &"0".repeat(root.csrf.len())] {
                let answer = post(&site, &path, &format!("{cookie}{ORIGIN}"), &[("csrf", wrong)]).await;
                assert_eq!(answer.status, 403, "{path} with the token {wrong:?}");
            }
            let answer = post(&site, &path, ORIGIN, &[token]).await;
            assert_eq!((answer.status, &header(&answer, "location")[..8]), (303, "/sign-in"), "{path}");
        }
        let is_shown_too = ROUTES.iter().any(|other| other.method == Method::Get && other.pattern == route.pattern);
        let shown = root.get(&site, &path).await.status;
        assert!(shown == 405 || is_shown_too || shown == 404, "{path} answers GET with {shown}");
    }
    assert_eq!(root.get(&site, "/settings/keys").await.status, 200, "still signed in");
    site.stop().await;
}

/// CVE-2026-20896, CVE-2026-25119: no header makes anybody somebody, or this site another one.
#[tokio::test]
async fn headers_that_name_a_user_a_host_or_a_scheme_are_not_believed() {
    let mut site = Site::start().await;
    for name in [
        "X-WEBAUTH-USER",
        "X-Webauth-Email",
        "X-Forwarded-User",
        "X-Remote-User",
        "Remote-User",
        "X-Auth-Request-User",
        "X-Authenticated-User",
        "X-Forwarded-Preferred-Username",
    ] {
        let answer = get(&site, "/settings/keys", &format!("{name}: root\r\n")).await;
        assert_eq!((answer.status, &header(&answer, "location")[..8]), (303, "/sign-in"), "{name}");
    }
    site.create_repo("alice", "open", Visibility::Public).await;
    let forged = "X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: gopher\r\nX-Forwarded-Port: 6\r\n\
                  Forwarded: host=evil.example;proto=gopher\r\nX-Original-URL: /admin/users\r\nX-Rewrite-URL: /admin/users\r\n";
    for path in ["/alice/open", "/sign-in", "/settings/keys", "/no/such"] {
        let (plain, answer) = (get(&site, path, "").await, get(&site, path, forged).await);
        assert_eq!(plain.status, answer.status, "{path}");
        assert!(!answer.head.contains("evil") && !answer.body.contains("evil"), "{path}: {}", answer.body);
        assert!(!answer.head.contains("gopher") && !answer.body.contains("gopher"), "{path}");
    }
    site.stop().await;
}

/// CVE-2026-28699, CVE-2026-28744, CVE-2026-20706, CVE-2025-68941: what a token opens is Git, never a page, whatever the
/// header says it is.
#[tokio::test]
async fn a_token_opens_no_page_in_any_spelling() {
    let mut site = Site::start().await;
    let token = site.token("alice", true).await;
    site.push_some("work", &site.http_url("alice", &token, "alice/notes"), 1).await;
    let basic = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("alice:{token}"));
    for sent in [
        format!("Authorization: Basic {basic}\r\n"),
        format!("Authorization: Bearer {token}\r\n"),
        format!("Authorization: token {token}\r\n"),
        format!("Private-Token: {token}\r\n"),
        format!("Cookie: __Host-gitgrit={token}\r\n"),
        format!("Cookie: __Host-gitgrit-waiting={token}\r\n"),
    ] {
        for end in ["", "/src/main/file", "/raw/main/file", "/archive/main.zip", "/commits", "/settings"] {
            let answer = get(&site, &format!("/alice/notes{end}"), &sent).await;
            assert_eq!(answer.status, 404, "{end} with {sent}");
        }
        assert_eq!(get(&site, "/settings/tokens", &sent).await.status, 303, "{sent}");
        assert_eq!(
            get(&site, &format!("/alice/notes/raw/main/file?token={token}&access_token={token}"), "").await.status,
            404
        );
    }
    site.stop().await;
}

const BIDI: &str = "\u{202e}evil\u{2066}";

/// Puts files and a commit with hostile names into a public repository of Alice's.
async fn hostile_repository(site: &Site) {
    site.create_repo("alice", "odd", Visibility::Public).await;
    site.git_ok("odd", None, &["init", "--quiet"]).await;
    let page = "<script>alert(1)</script>";
    for (name, text) in [
        ("x.svg", "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"),
        ("x.html", page),
        ("x.xhtml", page),
        ("x.js", "alert(1)"),
        ("x.pdf", "%PDF-1.4 <script>"),
        ("x.ipynb", "{\"cells\": [\"<img src=x onerror=alert(1)>\"]}"),
        ("x.gltf", "{\"asset\": \"<script>alert(1)</script>\"}"),
        (
            "x.md",
            "[a](javascript:alert(1)) [b](data:text/html,x) <img src=x onerror=alert(1)>\n\n```mermaid\n<script>\n```\n",
        ),
        ("trojan.c", "/* \u{202e} } \u{2066}if (isAdmin)\u{2069} \u{2066} begin admins only */\u{1b}[31m\n"),
        ("name\u{202e}gpj.exe", "x"),
    ] {
        base::file::write_atomic(&site.dir.path().join("odd").join(name), text.as_bytes(), 0o644).unwrap();
    }
    site.git_ok("odd", None, &["add", "."]).await;
    let author = format!("user.name=Mallory{BIDI}<script>alert(1)</script>\u{1b}[2J");
    let subject = format!("fix \u{1b}]0;owned\u{7} {BIDI} <script>alert(1)</script>");
    site.git_ok("odd", None, &["-c", &author, "commit", "--quiet", "-m", &subject]).await;
    let url = site.http_url("alice", &site.token("alice", true).await, "alice/odd");
    site.git_ok("odd", None, &["push", "--quiet", &url, "HEAD:refs/heads/main"]).await;
}

/// CVE-2026-28737, CVE-2026-52798, CVE-2025-47943, CVE-2026-26195, CVE-2026-26022, CVE-2025-64494, CVE-2021-42574: what
/// people put into names, commits and files is shown as what it is, and neither runs nor turns the text around it.
#[tokio::test]
async fn hostile_names_commits_and_files_neither_run_nor_hide_on_any_page() {
    let mut site = Site::start().await;
    hostile_repository(&site).await;
    let commits = get(&site, "/alice/odd/commits", "").await.body;
    let commit = commits.split("href=\"/alice/odd/commit/").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let mut pages = vec![String::new(), "/commits".into(), "/commits/main/x.md".into(), format!("/commit/{commit}")];
    for view in ["src", "blame"] {
        for file in ["x.svg", "x.html", "x.ipynb", "x.gltf", "x.md", "trojan.c", "name%E2%80%AEgpj.exe"] {
            pages.push(format!("/{view}/main/{file}"));
        }
    }
    for page in pages {
        let answer = get(&site, &format!("/alice/odd{page}"), "").await;
        assert_eq!(answer.status, 200, "{page}");
        for forbidden in [
            "<script>alert",
            "onerror=alert(1)>",
            "javascript:alert(1)\"",
            "\"data:",
            "\u{202e}",
            "\u{2066}",
            "\u{1b}",
            "\u{7}",
        ] {
            assert!(!answer.body.contains(forbidden), "{forbidden:?} on {page}: {}", answer.body);
        }
        assert!(header(&answer, "content-security-policy").contains("default-src 'self'"), "{page}");
    }
    let code = get(&site, "/alice/odd/src/main/trojan.c", "").await.body;
    assert!(code.contains("[U+202E]") && code.contains("[U+2066]") && code.contains("[U+001B]"), "{code}");
    assert!(get(&site, &format!("/alice/odd/commit/{commit}"), "").await.body.contains("[U+202E]"));
    site.stop().await;
}

/// SVG and HTML of a repository, opened by their own address, are inert: several forges' stored scripts came that way.
#[tokio::test]
async fn raw_files_run_nothing_whatever_they_are_called() {
    let mut site = Site::start().await;
    hostile_repository(&site).await;
    for file in ["x.svg", "x.html", "x.xhtml", "x.js", "x.pdf", "x.ipynb", "x.md"] {
        let answer = get(&site, &format!("/alice/odd/raw/main/{file}"), "").await;
        let kind = header(&answer, "content-type");
        assert!(kind.starts_with("text/plain") || kind == "application/octet-stream", "{file}: {kind}");
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff", "{file}");
        let policy = header(&answer, "content-security-policy");
        assert!(policy.contains("sandbox") && policy.contains("default-src 'none'"), "{file}: {policy}");
        assert_eq!(header(&answer, "cross-origin-resource-policy"), "same-origin", "{file}");
    }
    site.stop().await;
}

/// CVE-2022-1058, CVE-2023-3515, CVE-2026-25779, CVE-2026-52802: no step of a sign-in leads away from the site.
#[tokio::test]
async fn neither_step_of_a_sign_in_sends_anybody_away() {
    let mut site = Site::start().await;
    for next in ["//evil.example", "/\\evil.example", "https:evil.example", "/\t/evil.example", "\\\\evil.example"] {
        for page in ["/sign-in", "/sign-in/second-factor"] {
            let query = super::target::encode_value(next);
            let answer = get(&site, &format!("{page}?next={query}"), "").await;
            let location = header(&answer, "location");
            assert!(!answer.body.contains("value=\"//") && !answer.body.contains("evil.example\""), "{page} {next}");
            assert!(
                location.is_empty() || location.starts_with("/sign-in?next=%2F") && !location.contains("evil"),
                "{location}"
            );
        }
    }
    site.stop().await;
}

/// CVE-2026-52813, CVE-2026-24135: names never become paths, so none can climb.
#[tokio::test]
async fn repositories_lie_under_numbers_and_no_name_is_on_the_disk() {
    let mut site = Site::start().await;
    let alice = Browser::signed_in(&site, "alice").await;
    for name in ["..", "../x", "a/b", ".git", "x.git", "-x", "a\u{0}b", "CON ", "a\nb"] {
        let answer = alice.post(&site, "/new", &[("name", name), ("visibility", "private")]).await;
        assert!(answer.status == 422 || name == "x.git" || name == "CON ", "{name:?}: {}", answer.status);
    }
    let mut count = 0;
    for fan in std::fs::read_dir(site.dir.path().join("repositories")).unwrap().flatten() {
        for entry in std::fs::read_dir(fan.path()).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let number = name.strip_suffix(".git").unwrap_or_else(|| panic!("{name}"));
            assert!(number.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{name}");
            assert!(!["notes", "open", "x", "con"].contains(&number), "{name}");
            count += 1;
        }
    }
    assert!(count >= 3, "{count}");
    site.stop().await;
}

/// CVE-2022-42968, CVE-2026-52806: a revision in an address is resolved or absent, never an option of Git's.
#[tokio::test]
async fn no_revision_of_an_address_is_an_option() {
    let mut site = Site::start().await;
    hostile_repository(&site).await;
    for revision in
        ["--help", "-p", "--output=x", "--upload-pack=touch%20x", "main..main", "main%5E%7B/x%7D", "@%7Bu%7D", ":x"]
    {
        for view in ["src", "raw", "blame", "commits", "archive", "commit"] {
            let end = if view == "archive" { ".zip" } else { "" };
            let answer = get(&site, &format!("/alice/odd/{view}/{revision}{end}"), "").await;
            assert_eq!(answer.status, 404, "{view} {revision}");
        }
    }
    site.stop().await;
}

/// CVE-2025-69413, CVE-2018-1000803: from outside nobody learns who has an account, or when somebody was here.
#[tokio::test]
async fn strangers_learn_of_no_account() {
    let mut site = Site::start().await;
    for path in ["", "/settings", "/notes", ".keys", ".gpg", "/followers"] {
        let known = get(&site, &format!("/alice{path}"), "").await.without_request_id();
        let unknown = get(&site, &format!("/nobody{path}"), "").await.without_request_id();
        assert_eq!((known.status, unknown.status), (404, 404), "{path}");
        assert!(!known.body.contains("@example"), "{path}");
        let strip = |body: &str| {
            let text = body.split("<p class=\"soft small\">Request").next().unwrap();
            text.replace("alice", "x").replace("nobody", "x")
        };
        assert_eq!(strip(&known.body), strip(&unknown.body), "{path}");
    }
    // Whoever shows something to everyone is known by it.
    site.create_repo("alice", "open", Visibility::Public).await;
    assert_eq!(get(&site, "/alice", "").await.status, 200);
    let answer = send(&site, "OPTIONS", "/alice/notes", "Origin: https://evil.example\r\n", b"").await;
    assert!(!answer.head.contains("access-control-allow"), "{}", answer.head);
    site.stop().await;
}

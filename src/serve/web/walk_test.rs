//! Visitors of a whole site: a real forge behind the real server.

use forge::Visibility;

use super::{Audience, Method, ROUTES};
use crate::test_client::{Answer, get, send};
use crate::test_site::{PASSWORD, Site};

const ORIGIN: &str = "Origin: https://localhost:8828\r\n";

/// A browser that is signed in.
pub(super) struct Browser {
    cookie: String,
    csrf: String,
}

impl Browser {
    pub(super) async fn signed_in(site: &Site, name: &str) -> Self {
        let answer =
            post(site, "/sign-in", ORIGIN, &[("name", name), ("password", PASSWORD), ("next", "/explore")]).await;
        assert_eq!((answer.status, header(&answer, "location")), (303, "/explore".into()), "{}", answer.body);
        let cookie = header(&answer, "set-cookie").split(';').next().unwrap().to_owned();
        let mut browser = Self { cookie, csrf: String::new() };
        let page = browser.get(site, "/new").await;
        browser.csrf = page.body.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        browser
    }

    pub(super) async fn get(&self, site: &Site, path: &str) -> Answer {
        get(site, path, &format!("Cookie: {}\r\n", self.cookie)).await
    }

    pub(super) async fn post(&self, site: &Site, path: &str, fields: &[(&str, &str)]) -> Answer {
        let fields: Vec<_> = fields.iter().copied().chain([("csrf", self.csrf.as_str())]).collect();
        post(site, path, &format!("{ORIGIN}Cookie: {}\r\n", self.cookie), &fields).await
    }
}

async fn post(site: &Site, path: &str, headers: &str, fields: &[(&str, &str)]) -> Answer {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let headers = format!("{headers}Content-Type: application/x-www-form-urlencoded\r\n");
    send(site, "POST", path, &headers, body.as_bytes()).await
}

pub(super) fn header(answer: &Answer, name: &str) -> String {
    let line = answer.head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    line.unwrap_or_default().to_owned()
}

/// A form of another site, one without a token, or one with another session's token does nothing.
#[tokio::test]
async fn forged_forms_are_refused() {
    let mut site = Site::start().await;
    let (alice, bob) = (Browser::signed_in(&site, "alice").await, Browser::signed_in(&site, "bob").await);
    let cookie = format!("Cookie: {}\r\n", alice.cookie);
    for (headers, csrf) in [
        (cookie.clone(), alice.csrf.as_str()),
        (format!("{cookie}Origin: https://evil.example\r\n"), &alice.csrf),
        (format!("{cookie}Origin: null\r\n"), &alice.csrf),
        (format!("{cookie}{ORIGIN}Sec-Fetch-Site: cross-site\r\n"), &alice.csrf),
        (format!("{cookie}{ORIGIN}"), ""),
        (format!("{cookie}{ORIGIN}"), &bob.csrf),
    ] {
        let answer = post(&site, "/new", &headers, &[("name", "forged"), ("csrf", csrf)]).await;
        assert_eq!(answer.status, 403, "{headers}");
    }
    assert_eq!(alice.get(&site, "/alice/forged").await.status, 404);
    site.stop().await;
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_give_one_answer() {
    let mut site = Site::start().await;
    let wrong = post(&site, "/sign-in", ORIGIN, &[("name", "alice"), ("password", "x")]).await;
    let unknown = post(&site, "/sign-in", ORIGIN, &[("name", "nobody"), ("password", "x")]).await;
    assert_eq!((wrong.status, unknown.status), (422, 422));
    assert_eq!(wrong.body.replace("alice", ""), unknown.body.replace("nobody", ""));
    assert!(header(&wrong, "set-cookie").is_empty());
    let foreign =
        post(&site, "/sign-in", "Origin: https://evil.example\r\n", &[("name", "alice"), ("password", PASSWORD)]).await;
    assert_eq!((foreign.status, header(&foreign, "set-cookie")), (403, String::new()));
    site.stop().await;
}

#[tokio::test]
async fn nobody_is_sent_away_from_the_site_after_sign_in() {
    let mut site = Site::start().await;
    for next in ["//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil.example"] {
        let answer =
            post(&site, "/sign-in", ORIGIN, &[("name", "alice"), ("password", PASSWORD), ("next", next)]).await;
        assert_eq!((answer.status, header(&answer, "location").as_str()), (303, "/"), "{next}");
    }
    site.stop().await;
}

/// A stranger must not learn that a private repository exists.
#[tokio::test]
async fn a_hidden_repository_looks_like_a_missing_one_on_every_page() {
    let mut site = Site::start().await;
    let bob = Browser::signed_in(&site, "bob").await;
    for end in [
        "",
        "/src/main/a",
        "/raw/main/a",
        "/blame/main/a",
        "/commits",
        "/commits/main",
        "/commits/main/a",
        "/commit/0123456789",
        "/branches",
        "/archive/main.zip",
        "/compare",
        "/compare/main...a",
        "/compare/main...a.patch",
        "/commit/0123456789.diff",
        "/diff/1111111111111111111111111111111111111111/a",
        "/search",
        "/search?q=x",
        "/new",
        "/new/main",
        "/edit/main/a",
        "/delete/main/a",
        "/tags",
        "/settings",
    ] {
        let hidden = bob.get(&site, &format!("/alice/notes{end}")).await.without_request_id();
        let absent = bob.get(&site, &format!("/alice/nones{end}")).await.without_request_id();
        assert_eq!((hidden.status, absent.status), (404, 404), "{end}");
        let strip = |body: &str| body.split("<p class=\"soft small\">Request").next().unwrap().to_owned();
        assert_eq!(strip(&hidden.body), strip(&absent.body), "{end}");
    }
    site.stop().await;
}

#[tokio::test]
async fn every_page_for_users_sends_others_to_sign_in_and_back() {
    let mut site = Site::start().await;
    for route in ROUTES.iter().filter(|route| route.audience == Audience::SignedIn && route.method == Method::Get) {
        let answer = get(&site, route.pattern, "").await;
        let back = format!("/sign-in?next={}", super::target::encode_value(route.pattern));
        assert_eq!((answer.status, header(&answer, "location")), (303, back), "{}", route.pattern);
    }
    let alice = Browser::signed_in(&site, "alice").await;
    for route in ROUTES.iter().filter(|route| route.audience == Audience::SiteAdministrator) {
        if route.method == Method::Get {
            assert_eq!(alice.get(&site, route.pattern).await.status, 404, "{}", route.pattern);
            assert_eq!(get(&site, route.pattern, "").await.status, 404, "{}", route.pattern);
        }
    }
    site.stop().await;
}

#[tokio::test]
async fn a_visitor_makes_a_repository_pushes_and_reads_it_on_every_page() {
    let mut site = Site::start().await;
    let alice = Browser::signed_in(&site, "alice").await;
    let made = alice.post(&site, "/new", &[("name", "parcel"), ("visibility", "public")]).await;
    assert_eq!((made.status, header(&made, "location").as_str()), (303, "/alice/parcel"), "{}", made.body);
    assert!(alice.get(&site, "/alice/parcel").await.body.contains("git push --set-upstream origin main"));
    let taken = alice.post(&site, "/new", &[("name", "Parcel"), ("visibility", "public")]).await;
    assert!(taken.status == 422 && taken.body.contains("aria-invalid"), "{}", taken.body);

    let token = site.token("alice", true).await;
    site.push_some("work", &site.http_url("alice", &token, "alice/parcel"), 3).await;
    for (path, expected) in [
        ("/alice/parcel", "href=\"/alice/parcel/src/main/file\""),
        ("/alice/parcel", "<td><a href=/alice/parcel/commit/"),
        ("/alice/parcel/src/main", ">file</a>"),
        ("/alice/parcel/src/main/file", "<li id=L1000>"),
        ("/alice/parcel/blame/main/file", "<td><ol><li id=L1>"),
        ("/alice/parcel/raw/main/file", "2\n2\n"),
        ("/alice/parcel/commits", "class=\"subject\""),
        ("/alice/parcel/commits/main", "class=\"subject\""),
        ("/alice/parcel/commits/main/file", "that changed file"),
        ("/explore", "parcel"),
    ] {
        let answer = get(&site, path, "").await;
        assert!(answer.status == 200 && answer.body.contains(expected), "{path}: {} {}", answer.status, answer.body);
        assert!(answer.head.contains("content-security-policy"), "{path}");
    }
    site.git_ok("work", None, &["tag", "-a", "-m", "the first <one>", "v1"]).await;
    let url = site.http_url("alice", &token, "alice/parcel");
    site.git_ok("work", None, &["push", "--quiet", &url, "v1"]).await;
    let (branches, tags) = (get(&site, "/alice/parcel/branches", "").await, get(&site, "/alice/parcel/tags", "").await);
    assert!(branches.body.contains("href=\"/alice/parcel/src/main\"") && branches.body.contains(">default<"));
    assert!(tags.body.contains("href=\"/alice/parcel/src/v1\"") && tags.body.contains("the first &lt;one&gt;"));
    assert_eq!(get(&site, "/alice/parcel/tags?page=9999", "").await.status, 404);
    let zip = get(&site, "/alice/parcel/archive/main.zip", "").await;
    assert!(zip.status == 200 && zip.body.contains("parcel-main/file"), "{}", zip.head);
    assert_eq!(header(&zip, "content-disposition"), "attachment; filename=\"parcel-main.zip\"");
    for absent in ["main", "main.rar", "absent.zip", "--help.zip", "main:file.zip"] {
        assert_eq!(get(&site, &format!("/alice/parcel/archive/{absent}"), "").await.status, 404, "{absent}");
    }
    let commits = get(&site, "/alice/parcel/commits", "").await.body;
    let commit = commits.split("href=\"/alice/parcel/commit/").nth(1).unwrap().split('"').next().unwrap();
    let shown = get(&site, &format!("/alice/parcel/commit/{commit}"), "").await;
    assert!(shown.status == 200 && shown.body.contains("The change is larger than this page shows."), "{}", shown.body);
    let alone = get(&site, &format!("/alice/parcel/diff/{commit}/file"), "").await;
    assert!(alone.status == 200 && alone.body.contains("<ins>2</ins>"), "{}", alone.body);

    let refused = alice.post(&site, "/alice/parcel/settings/delete", &[("confirm", "parcel")]).await;
    assert_eq!(refused.status, 422);
    let deleted = alice.post(&site, "/alice/parcel/settings/delete", &[("confirm", "alice/parcel")]).await;
    assert_eq!((deleted.status, get(&site, "/alice/parcel", "").await.status), (303, 404));
    site.stop().await;
}

#[tokio::test]
async fn keys_tokens_passwords_and_users_are_kept_through_their_forms() {
    let mut site = Site::start().await;
    let alice = Browser::signed_in(&site, "alice").await;
    let refused = alice.post(&site, "/settings/keys", &[("title", "x"), ("key", "ssh-rsa nonsense")]).await;
    assert!(refused.status == 422 && refused.body.contains("id=\"key-problem\""), "{}", refused.body);
    let made = alice.post(&site, "/settings/tokens", &[("name", "ci"), ("repository", "read"), ("days", "30")]).await;
    assert!(made.status == 200 && made.body.contains("value=\"ggt_"), "{}", made.body);
    assert_eq!(header(&made, "cache-control"), "no-store");
    assert!(!alice.get(&site, "/settings/tokens").await.body.contains("ggt_"), "a secret is shown once");
    let other = Browser::signed_in(&site, "alice").await;
    let new = "another horse battery";
    let changed =
        alice.post(&site, "/settings/password", &[("old", PASSWORD), ("password", new), ("again", new)]).await;
    assert_eq!(changed.status, 303, "{}", changed.body);
    assert_eq!(other.get(&site, "/settings/keys").await.status, 303, "the other session ended");

    let root = Browser::signed_in(&site, "root").await;
    assert_eq!(root.post(&site, "/admin/users/alice/deactivate", &[]).await.status, 303);
    assert_eq!(alice.get(&site, "/settings/keys").await.status, 303);
    assert_eq!(root.post(&site, "/sign-out", &[]).await.status, 303);
    assert_eq!(root.get(&site, "/settings/keys").await.status, 303);
    site.stop().await;
}

#[tokio::test]
async fn many_wrong_passwords_close_sign_in_for_a_while() {
    let mut site = Site::start().await;
    let mut last = 0;
    for _ in 0..11 {
        let answer = post(&site, "/sign-in", ORIGIN, &[("name", "bob"), ("password", "x")]).await;
        last = answer.status;
        if last == 429 {
            assert!(!header(&answer, "retry-after").is_empty());
            break;
        }
    }
    assert_eq!(last, 429);
    site.stop().await;
}

/// Names of files come back through the address as the bytes that they are.
#[tokio::test]
async fn addresses_reach_files_of_any_name() {
    let mut site = Site::start().await;
    site.create_repo("alice", "odd", Visibility::Public).await;
    site.git_ok("odd", None, &["init", "--quiet"]).await;
    for name in ["a b.txt", "#", "100%.txt", "what?", "ä+&=.txt"] {
        base::file::write_atomic(&site.dir.path().join("odd").join(name), name.as_bytes(), 0o644).unwrap();
    }
    site.git_ok("odd", None, &["add", "."]).await;
    site.git_ok("odd", None, &["commit", "--quiet", "-m", "odd names"]).await;
    let url = site.http_url("alice", &site.token("alice", true).await, "alice/odd");
    site.git_ok("odd", None, &["push", "--quiet", &url, "HEAD:refs/heads/feature/x"]).await;
    let page = get(&site, "/alice/odd/src/feature/x", "").await.body;
    let links: Vec<_> = page.split("href=\"").filter_map(|rest| rest.split('"').next()).collect();
    let files: Vec<_> = links.iter().filter(|link| link.starts_with("/alice/odd/src/feature/x/")).collect();
    assert_eq!(files.len(), 5, "{page}");
    for file in files {
        assert_eq!(get(&site, file, "").await.status, 200, "{file}");
        assert_eq!(get(&site, &file.replace("/src/", "/raw/"), "").await.status, 200, "{file}");
    }
    site.stop().await;
}

#[tokio::test]
async fn a_refused_form_is_shown_on_the_page_that_it_came_from() {
    let mut site = Site::start().await;
    let refused = post(&site, "/sign-in", ORIGIN, &[("name", "alice"), ("password", "wrong")]).await;
    assert_eq!(refused.status, 422);
    assert!(!refused.body.contains("/sign-in?next="), "{}", refused.body);
    let alice = Browser::signed_in(&site, "alice").await;
    let refused = alice.post(&site, "/settings/keys", &[("title", "x"), ("key", "a\r\nb")]).await;
    assert_eq!(refused.status, 422);
    assert!(refused.body.contains("href=\"/settings/keys\" aria-current=\"page\""), "{}", refused.body);
    assert!(!refused.body.contains("U+000D"), "{}", refused.body);
    site.stop().await;
}

#[tokio::test]
async fn a_panic_behind_a_page_is_the_page_of_a_failure_without_detail() {
    async fn broken() -> &'static str {
        panic!("the secret detail")
    }
    let mut site = Site::start().await;
    let layer = axum::middleware::from_fn_with_state(site.state.clone(), super::visit::layer);
    let router = axum::Router::new().route("/", axum::routing::get(broken)).layer(layer);
    let request = axum::http::Request::new(axum::body::Body::empty());
    let answer = tower::ServiceExt::oneshot(router, request).await.unwrap();
    assert_eq!(answer.status(), 500);
    let body = axum::body::to_bytes(answer.into_body(), 100_000).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    assert!(body.contains("The site made a mistake") && !body.contains("secret"), "{body}");
    site.stop().await;
}

//! What browsers may keep of pages, through the real server: nothing of a session, nothing that moved, nothing that the
//! visitor may no longer read.

use forge::Visibility;

use crate::test_client::{Answer, get};
use crate::test_site::{PASSWORD, Site};

fn tag(answer: &Answer) -> Option<String> {
    let line = answer.head.lines().find(|line| line.starts_with("etag: "))?;
    Some(line.trim_start_matches("etag: ").to_owned())
}

async fn again(site: &Site, path: &str, tag: &str) -> Answer {
    get(site, path, &format!("If-None-Match: \"other\", {tag}\r\n")).await
}

async fn with_commits(count: u32) -> Site {
    let site = Site::start().await;
    let url = site.http_url("root", &site.token("root", true).await, "root/open.git");
    site.push_some("w", &url, count).await;
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_the_browser_has_is_not_sent_again() {
    let site = with_commits(2).await;
    let tip = site.git_ok("w", None, &["rev-parse", "HEAD"]).await.trim().to_owned();
    let paths = ["src/main/file", "blame/main/file", "raw/main/file"].map(|rest| format!("/root/open/{rest}"));
    for path in paths.iter().chain(&[format!("/root/open/commit/{tip}")]) {
        let first = get(&site, path, "").await;
        let tag = tag(&first).unwrap_or_else(|| panic!("{path}: {}", first.head));
        assert_eq!(first.status, 200);
        assert!(first.head.contains("cache-control: private, no-cache"), "{}", first.head);
        let second = again(&site, path, &tag).await;
        assert_eq!((second.status, second.body.as_str()), (304, ""), "{path}");
        assert!(
            second.head.contains(&format!("etag: {tag}")) && second.head.contains("cache-control: private, no-cache")
        );
        assert_eq!(get(&site, path, "If-None-Match: W/\"x\"\r\n").await.status, 200);
    }
    let fixed = get(&site, &format!("/root/open/raw/{tip}/file"), "").await;
    assert!(fixed.head.contains("immutable"), "{}", fixed.head);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_moved_never_shows_what_it_was() {
    let site = with_commits(1).await;
    let pages = ["/root/open/src/main/file", "/root/open/blame/main/file", "/root/open/raw/main/file", "/root/open"];
    let mut before = Vec::new();
    for path in pages {
        before.push(get(&site, path, "").await);
    }
    let file = site.dir.path().join("w/file");
    base::file::write_atomic(&file, b"the second text\n", 0o644).unwrap();
    site.git_ok("w", None, &["commit", "--quiet", "--all", "--message", "another title"]).await;
    let url = site.http_url("root", &site.token("root", true).await, "root/open.git");
    site.git_ok("w", None, &["push", "--quiet", &url, "main"]).await;
    for (path, before) in pages.iter().zip(before) {
        let now = match tag(&before) {
            Some(tag) => again(&site, path, &tag).await,
            None => get(&site, path, "").await,
        };
        assert_eq!(now.status, 200, "{path}");
        let expected = if *path == "/root/open" { "another title" } else { "the second text" };
        assert!(now.body.contains(expected), "{path}: {}", now.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_no_longer_read_is_not_told_that_nothing_changed() {
    let site = with_commits(1).await;
    let path = "/root/open/src/main/file";
    let first = get(&site, path, "").await;
    let tag = tag(&first).unwrap();
    let root = site.actor("root").await;
    let open = base::name::RepoPath::parse("root", "open").unwrap();
    let repo = site.forge.repo(&root, &open).await.unwrap().for_admin().unwrap();
    site.forge.delete_repo(repo).await.unwrap();
    assert_eq!(again(&site, path, &tag).await.status, 404);
    // The same name, and the same bytes under another right.
    site.create_repo("root", "open", Visibility::Private).await;
    let url = site.http_url("root", &site.token("root", true).await, "root/open.git");
    site.git_ok("w", None, &["push", "--quiet", &url, "main"]).await;
    let hidden = again(&site, path, &tag).await;
    assert_eq!(hidden.status, 404);
    assert!(self::tag(&hidden).is_none(), "{}", hidden.head);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_has_pages_of_its_own_that_no_browser_keeps() {
    let site = with_commits(1).await;
    let loopback = std::net::IpAddr::from(std::net::Ipv4Addr::LOCALHOST);
    let path = "/root/open/src/main/file";
    let tag = tag(&get(&site, path, "").await).unwrap();
    let mut pages = Vec::new();
    for name in ["alice", "bob"] {
        let password = base::Secret::new(PASSWORD.to_owned());
        let session = site.forge.sign_in(name, &password, loopback).await.unwrap();
        let headers = format!("Cookie: __Host-gitgrit={}\r\nIf-None-Match: {tag}\r\n", session.token.expose());
        for path in [path, "/root/open/raw/main/file"] {
            let page = get(&site, path, &headers).await;
            assert_eq!(page.status, 200);
            assert!(self::tag(&page).is_none() && page.head.contains("cache-control: no-store"), "{}", page.head);
            pages.push(page.body);
        }
    }
    assert!(pages[0].contains("alice") && !pages[0].contains("bob"));
    assert!(pages[2].contains("bob") && !pages[2].contains("alice"));
    let nobody = get(&site, path, "").await;
    assert!(!nobody.body.contains("alice") && !nobody.body.contains("bob") && !nobody.body.contains("csrf"));
}

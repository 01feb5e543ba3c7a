//! What every answer has in common, and what a page does not take.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::middleware::from_fn_with_state;
use axum::routing::get as route;
use tower::ServiceExt;

use crate::request::around;
use crate::test_client::{get, send};
use crate::test_site::Site;

async fn broken() -> &'static str {
    panic!("the secret detail")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_an_internal_error_with_an_id_and_without_detail() {
    let site = Site::start().await;
    let router = Router::new().route("/", route(broken)).layer(from_fn_with_state(site.state.clone(), around));
    let answer = router.oneshot(Request::new(Body::empty())).await.unwrap();
    assert_eq!(answer.status(), 500);
    let id = answer.headers().get("x-request-id").unwrap().to_str().unwrap().to_owned();
    let body = to_bytes(answer.into_body(), 1000).await.unwrap();
    assert_eq!(body, format!("internal error, request {id}\n"));
    assert_eq!(get(&site, "/healthz", "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_not_there_carries_the_headers_of_one_that_is() {
    let site = Site::start().await;
    let answer = get(&site, "/no/such/page/at/all", "").await;
    assert_eq!(answer.status, 404);
    for line in ["x-request-id: ", "content-security-policy: ", "referrer-policy: same-origin"] {
        assert!(answer.head.contains(line), "{line} in {}", answer.head);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_larger_than_any_of_ours_is_refused_before_it_is_read() {
    let site = Site::start().await;
    let head = "Origin: https://localhost:8828\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 2000000\r\n";
    let answer = send(&site, "POST", "/sign-in", head, b"").await;
    assert_eq!(answer.status, 413, "{}", answer.head);
    assert!(answer.head.contains("content-security-policy: "), "{}", answer.head);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_come_packed_when_the_client_unpacks_them() {
    let site = Site::start().await;
    let plain = get(&site, "/sign-in", "").await;
    assert!(!plain.head.contains("content-encoding"), "{}", plain.head);
    let packed = get(&site, "/sign-in", "Accept-Encoding: gzip\r\n").await;
    assert!(packed.head.contains("content-encoding: gzip"), "{}", packed.head);
}

/// A browser that has signed out must show nothing of the session when it goes back.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_session_was_shown_is_kept_nowhere() {
    let site = Site::start().await;
    let cookie = |secret: &str| format!("Cookie: __Host-gitgrit={secret}\r\n");
    let loopback = std::net::IpAddr::from(std::net::Ipv4Addr::LOCALHOST);
    let password = base::Secret::new(crate::test_site::PASSWORD.to_owned());
    let alice = site.forge.sign_in("alice", &password, loopback).await.unwrap();
    let cookie = cookie(alice.token.expose());
    for path in ["/", "/settings/tokens", "/alice/notes", "/alice/notes/raw/main/none"] {
        let answer = get(&site, path, &cookie).await;
        assert!(answer.head.contains("cache-control: no-store"), "{path}: {}", answer.head);
    }
    let page = get(&site, "/explore", "").await;
    assert!(page.head.contains("cache-control: private, no-cache"), "{}", page.head);
    for line in ["cross-origin-resource-policy: same-origin", "cross-origin-opener-policy: same-origin"] {
        assert!(page.head.contains(line), "{line} in {}", page.head);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_does_not_read_gets_the_page_of_one_that_is_absent() {
    let site = Site::start().await;
    for path in ["/sign-in?next=a&next=b", "/alice/notes/commit/%FF"] {
        let answer = get(&site, path, "").await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.body.contains("There is nothing here"), "{path}: {}", answer.body);
    }
}

/// An id of SHA-256 is none that a repository here could have, and was a fault of ours.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_of_another_length_is_absent() {
    let site = Site::start().await;
    let id = "1".repeat(64);
    for path in ["/root/open/commit", "/api/v1/repos/root/open/git/blobs", "/api/v1/repos/root/open/git/trees"] {
        assert_eq!(get(&site, &format!("{path}/{id}"), "").await.status, 404, "{path}");
    }
}

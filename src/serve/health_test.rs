//! What monitoring sees, and what strangers do not.

use std::sync::atomic::Ordering;

use crate::test_client::get;
use crate::test_site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_for_this_host_alone() {
    let site = Site::start().await;
    for header in ["X-Forwarded-For: 10.0.0.1\r\n", "Forwarded: for=10.0.0.1\r\n", "Via: 1.1 proxy\r\n"] {
        assert_eq!(get(&site, "/metrics", header).await.status, 404, "{header}");
    }
    let answer = get(&site, "/metrics", "").await;
    assert_eq!(answer.status, 200);
    for name in ["gitgrit_process_resident_bytes", "gitgrit_certificate_days_left", "gitgrit_http_requests_in_flight 1"]
    {
        assert!(answer.body.contains(name), "{name} in {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_server_is_alive_but_not_ready() {
    let site = Site::start().await;
    assert_eq!(get(&site, "/readyz", "").await.status, 200);
    site.state.doors.is_stopping.store(true, Ordering::Relaxed);
    let answer = get(&site, "/readyz", "").await;
    assert_eq!((answer.status, answer.body.as_str()), (503, "not ready: stopping\n"));
    assert_eq!(get(&site, "/healthz", "").await.body, "ok\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_can_fetch_the_authority() {
    let site = Site::start().await;
    let answer = get(&site, "/ca.pem", "").await;
    assert_eq!(answer.body, std::fs::read_to_string(site.dir.path().join("server.pem")).unwrap());
    assert!(answer.head.contains("content-type: application/x-pem-file"), "{}", answer.head);
}

//! What holds at every door of a running site, whoever knocks: headers, cookies, states that strangers may see.

use crate::site::{ADMIN, PASSWORD, Site};

#[test]
fn every_page_forbids_what_it_does_not_need() {
    let site = Site::start();
    for visitor in [site.anonymous(), site.admin()] {
        for path in ["/", "/explore", "/sign-in", "/no/such/page", "/settings/tokens", "/admin/users"] {
            let answer = visitor.get(path);
            let policy = answer.header("content-security-policy");
            assert!(policy.contains("default-src 'self'") || policy.contains("default-src 'none'"), "{path}: {policy}");
            assert!(!policy.contains("unsafe-") && !policy.contains("http:"), "{path}: {policy}");
            assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
            assert!(!answer.header("x-request-id").is_empty(), "{path} has no request id");
        }
    }
}

#[test]
fn the_session_cookie_is_out_of_reach_for_scripts_and_other_sites() {
    let site = Site::start();
    let visitor = site.anonymous();
    let form = [("next".into(), "/".into()), ("name".into(), ADMIN.into()), ("password".into(), PASSWORD.into())];
    let cookie = visitor.send(reqwest::Method::POST, "/sign-in", Some(&form)).header("set-cookie").to_owned();
    for part in ["HttpOnly", "Secure", "SameSite="] {
        assert!(cookie.contains(part), "{cookie}");
    }
}

#[test]
fn a_form_without_its_token_changes_nothing() {
    let site = Site::start();
    let admin = site.admin();
    let form = [("name".into(), "stolen".into()), ("visibility".into(), "public".into())];
    let answer = admin.send(reqwest::Method::POST, "/new", Some(&form));
    assert!((400..500).contains(&answer.status), "{}", answer.status);
    assert_eq!(admin.get(&format!("/{ADMIN}/stolen")).status, 404);
}

#[test]
fn health_readiness_metrics_and_the_authority_are_there_for_machines() {
    let site = Site::start();
    let anonymous = site.anonymous();
    assert_eq!(anonymous.get("/healthz").status, 200);
    assert_eq!(anonymous.get("/readyz").status, 200);
    let authority = anonymous.get("/ca.pem");
    assert_eq!(authority.body, std::fs::read(site.ca_file()).unwrap());
    // How far the clock is off is there where the host has a time service to ask.
    let metrics = anonymous.get("/metrics").text();
    let days = metrics.lines().find_map(|line| line.strip_prefix("gitgrit_certificate_days_left ")).unwrap();
    assert!(days.parse::<f64>().unwrap() > 30.0, "{days}");
}

#[test]
fn an_open_redirect_is_not_to_be_had() {
    let site = Site::start();
    for next in ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"] {
        let form = [("next".into(), next.into()), ("name".into(), ADMIN.into()), ("password".into(), PASSWORD.into())];
        let answer = site.anonymous().send(reqwest::Method::POST, "/sign-in", Some(&form));
        let target = answer.header("location");
        let is_inside = target.starts_with('/') && !target.starts_with("//") && !target.contains('\\');
        assert!(is_inside, "`{next}` leads to `{target}`");
    }
}

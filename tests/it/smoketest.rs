//! The smoke test against a stub GitLab over real TLS: exact lines and exit codes of the real binary. Nothing here reaches
//! beyond loopback; isolation targets are always given.

use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::gitlab_stub::{Authorities, Manner, Sends, Stub, UNAUTHORIZED, answer, gitlab, self_signed};
use crate::site::{binary, out};
use crate::snapshot::Run;

const PASSED: &str = "airgap_smoketest PASSED\n";
const FAILED: &str = "airgap_smoketest FAILED — see lines marked FAIL above.\n";
const UNSET: &str = "WARN  REQUESTS_CA_BUNDLE is not set — TLS will fall back to the container's default trust store, \
                     which usually does not include your operator CA\n";
const CHAIN: &str = "Make sure REQUESTS_CA_BUNDLE points at the CA chain that signed your GitLab's cert (not the server \
                     cert itself).";
const ROUTING: &str =
    "Check DNS, routing, and that the app container is on a network that can reach your internal GitLab.";

/// Runs the smoke test with these variables alone; gives exit code and standard output. Standard error stays empty.
fn smoke<const N: usize>(arguments: [&str; N], variables: &[(&str, &str)]) -> (i32, String) {
    let run = variables.iter().fold(Run::new(arguments), |run, (name, value)| run.env(name, value));
    let done = run.finished();
    assert_eq!(done.stderr, "");
    (done.status.code().unwrap(), out(&done))
}

fn plain(variables: &[(&str, &str)]) -> (i32, String) {
    smoke(["smoketest"], variables)
}

/// A directory with a CA bundle of the given content.
fn file(content: &[u8]) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    base::file::write_atomic(&path, content, 0o644).unwrap();
    let path = path.display().to_string();
    (dir, path)
}

/// The last but one line of a run against `stub` with `authorities` trusted, and its exit code.
fn judged(authorities: &Authorities, stub: &Stub) -> (i32, String) {
    let home = tempfile::tempdir().unwrap();
    let ca = authorities.root_file(home.path()).display().to_string();
    let (code, text) = plain(&[("GITLAB_URL", &stub.url()), ("REQUESTS_CA_BUNDLE", &ca)]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert_eq!(lines[0], format!("OK    GITLAB_URL={}", stub.url()));
    assert_eq!(lines[1], format!("OK    REQUESTS_CA_BUNDLE={ca} ({} bytes)", authorities.root_pem().len()));
    assert_eq!(format!("{}\n", lines[3]), if code == 0 { PASSED } else { FAILED });
    (code, lines[2].replace(&stub.url(), "URL").replace(&ca, "CA"))
}

fn answered(manner: Manner) -> (i32, String) {
    let authorities = Authorities::new("Acme Root");
    judged(&authorities, &Stub::start(authorities.leaf(&["127.0.0.1"]), manner))
}

fn not_a_gitlab(status: u16, content_type: &str) -> (i32, String) {
    let text = format!(
        "FAIL  URL/api/v4/version returned HTTP {status} (Content-Type: {content_type}) — does not look like a GitLab API. \
         Wrong GITLAB_URL?"
    );
    (1, text)
}

#[test]
fn without_an_address_one_line_fails_and_nothing_is_asked() {
    let expected = format!("FAIL  GITLAB_URL is not set in the container environment\n{UNSET}{FAILED}");
    assert_eq!(plain(&[]), (1, expected.clone()));
    assert_eq!(plain(&[("GITLAB_URL", "")]), (1, expected));
}

#[test]
fn a_plain_http_address_is_refused_and_no_request_is_sent() {
    let authorities = Authorities::new("Acme Root");
    let stub = Stub::start(authorities.leaf(&["127.0.0.1"]), gitlab());
    let url = format!("http://127.0.0.1:{}", stub.port());
    let expected = format!("FAIL  GITLAB_URL='{url}' must use https:// — got 'http://'\n{UNSET}{FAILED}");
    assert_eq!(plain(&[("GITLAB_URL", &url)]), (1, expected));
    assert_eq!(stub.connections(), 0);
}

#[test]
fn a_real_gitlab_passes() {
    let expected = "OK    URL/api/v4/version returned 401 JSON with GitLab-shaped body — looks like a real GitLab";
    assert_eq!(answered(gitlab()), (0, expected.to_owned()));
    assert_eq!(
        answered(answer("401 Unauthorized", Some("application/json; charset=utf-8"), UNAUTHORIZED)),
        (0, expected.to_owned())
    );
}

#[test]
fn a_slash_at_the_end_of_the_address_is_not_doubled() {
    let authorities = Authorities::new("Acme Root");
    let stub = Stub::start(authorities.leaf(&["127.0.0.1"]), gitlab());
    let (_dir, ca) = file(authorities.root_pem().as_bytes());
    let (code, text) = plain(&[("GITLAB_URL", &format!("{}/", stub.url())), ("REQUESTS_CA_BUNDLE", &ca)]);
    assert!(code == 0 && text.contains(&format!("OK    {}/api/v4/version returned 401", stub.url())), "{text}");
}

#[test]
fn whatever_is_not_a_gitlab_is_said_to_be_none() {
    let json = Some("application/json");
    for (manner, status, content_type) in [
        (answer("404 Not Found", Some("text/html"), "<h1>no</h1>"), 404, "text/html"),
        (answer("401 Unauthorized", Some("text/html"), "401 Unauthorized"), 401, "text/html"),
        (answer("401 Unauthorized", json, r#"{"error":"no_token"}"#), 401, "application/json"),
        (answer("401 Unauthorized", json, r#"["401 Unauthorized"]"#), 401, "application/json"),
        (answer("401 Unauthorized", json, "junk"), 401, "application/json"),
        (answer("200 OK", json, UNAUTHORIZED), 200, "application/json"),
        (answer("200 OK", None, "hello"), 200, "?"),
        (answer("401 Unauthorized", json, &"x".repeat(1 << 20)), 401, "application/json"),
    ] {
        assert_eq!(answered(manner), not_a_gitlab(status, content_type));
    }
}

#[test]
fn a_redirect_is_not_followed() {
    let authorities = Authorities::new("Acme Root");
    let real = Stub::start(authorities.leaf(&["127.0.0.1"]), gitlab());
    let text = format!("HTTP/1.1 302 Found\r\nLocation: {}/\r\nContent-Length: 0\r\n\r\n", real.url());
    let stub = Stub::start(authorities.leaf(&["127.0.0.1"]), Manner::Answers(text));
    assert_eq!(judged(&authorities, &stub), not_a_gitlab(302, "?"));
    assert_eq!(real.connections(), 0);
}

#[test]
fn a_server_that_never_answers_is_given_ten_seconds() {
    let started = std::time::Instant::now();
    assert_eq!(answered(Manner::Hangs), (1, "FAIL  request to URL failed: no answer within 10 s".to_owned()));
    assert!((10..20).contains(&started.elapsed().as_secs()));
}

#[test]
fn a_server_that_never_speaks_tls_is_given_ten_seconds() {
    let expected = format!("FAIL  could not connect to URL: no answer within 10 s. {ROUTING}");
    assert_eq!(answered(Manner::Silent), (1, expected));
}

#[test]
fn a_connection_that_does_not_come_about_says_why() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (_dir, ca) = file(Authorities::new("Acme Root").root_pem().as_bytes());
    let third = |url: &str| {
        let (code, text) = plain(&[("GITLAB_URL", url), ("REQUESTS_CA_BUNDLE", &ca)]);
        assert_eq!(code, 1);
        text.lines().nth(2).unwrap().to_owned()
    };
    let url = format!("https://{closed}");
    assert_eq!(third(&url), format!("FAIL  could not connect to {url}: Connection refused (os error 111). {ROUTING}"));
    let unknown = third("https://gitlab.invalid");
    assert!(unknown.starts_with("FAIL  could not connect to https://gitlab.invalid: "), "{unknown}");
    assert!(unknown.ends_with(ROUTING), "{unknown}");
}

fn handshake(reason: &str) -> (i32, String) {
    (1, format!("FAIL  TLS handshake to URL failed: {reason}. {CHAIN}"))
}

#[test]
fn another_authority_is_named_with_what_was_sent() {
    let (theirs, ours) = (Authorities::new("Other Root"), Authorities::new("Acme Root"));
    let stub = Stub::start(theirs.leaf(&["127.0.0.1"]), gitlab());
    assert_eq!(
        judged(&ours, &stub),
        handshake(
            "certificate UnknownIssuer: the server sent 1 certificate, the last one `CN=gitlab.acme.internal` issued by \
             `CN=Other Root`, which is neither sent nor in `CA`"
        )
    );
}

#[test]
fn an_authority_of_the_same_name_with_another_key_is_told_apart() {
    let (theirs, ours) = (Authorities::new("Acme Root"), Authorities::new("Acme Root"));
    let stub = Stub::start(theirs.leaf(&["127.0.0.1"]), gitlab());
    assert_eq!(
        judged(&ours, &stub),
        handshake(
            "certificate BadSignature: `CN=gitlab.acme.internal` says that `CN=Acme Root` issued it, but the certificate of \
             that name in `CA` has another key"
        )
    );
}

#[test]
fn a_missing_intermediate_is_named() {
    let authorities = Authorities::new("Acme Root");
    let whole = Stub::start(authorities.leaf_below_intermediate(Sends::Intermediate), gitlab());
    assert_eq!(judged(&authorities, &whole).0, 0);
    let cut = Stub::start(authorities.leaf_below_intermediate(Sends::LeafAlone), gitlab());
    assert_eq!(
        judged(&authorities, &cut),
        handshake(
            "certificate UnknownIssuer: the server sent 1 certificate, the last one `CN=gitlab.acme.internal` issued by \
             `CN=Acme Root Issuing`, which is neither sent nor in `CA`"
        )
    );
}

#[test]
fn dates_and_names_that_do_not_hold_are_named() {
    let authorities = Authorities::new("Acme Root");
    let of = |chain| judged(&authorities, &Stub::start(chain, gitlab()));
    let (code, expired) = of(authorities.leaf_between(2020, 2021));
    let start = "FAIL  TLS handshake to URL failed: certificate Expired: `CN=gitlab.acme.internal` was valid until 2021-01-01 \
                 00:00 UTC, and it is 2";
    assert!(code == 1 && expired.starts_with(start) && expired.ends_with(CHAIN), "{expired}");
    let (code, early) = of(authorities.leaf_between(2090, 2091));
    assert!(
        code == 1 && early.contains("certificate NotValidYet: `CN=gitlab.acme.internal` is valid from 2090"),
        "{early}"
    );
    assert_eq!(
        of(authorities.leaf(&["gitlab.acme.internal", "10.0.0.7"])),
        handshake("certificate NotValidForName: it is not for `127.0.0.1`, only for gitlab.acme.internal, 10.0.0.7")
    );
}

#[test]
fn a_server_that_speaks_no_tls_is_told_apart() {
    let authorities = Authorities::new("Acme Root");
    let (code, text) = judged(&authorities, &Stub::start(authorities.leaf(&["127.0.0.1"]), Manner::Closes));
    let is_told = text.contains("closed the connection during the handshake") || text.contains("Connection reset");
    assert!(code == 1 && is_told, "{text}");
}

/// Each fault of the CA bundle is one line, and nothing is asked with a store that could not be built.
#[test]
fn a_ca_bundle_that_is_none_is_one_line_and_no_request() {
    let authorities = Authorities::new("Acme Root");
    let leaf = authorities.leaf(&["127.0.0.1"]);
    let alone = self_signed();
    let key = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
    let only = "— it must hold the CA chain that signed your GitLab's cert (not the server cert itself)";
    let host_side = "— check the host-side file";
    let cut = authorities.root_pem().replace("-----END CERTIFICATE-----", "");
    for (content, expected) in [
        (Vec::new(), format!("CA is zero bytes {host_side}")),
        (
            b"junk\n".to_vec(),
            format!("REQUESTS_CA_BUNDLE=CA but the file is not PEM (no BEGIN CERTIFICATE line) {host_side}"),
        ),
        (
            leaf.leaf_der(),
            "REQUESTS_CA_BUNDLE=CA but the file is DER, not PEM — convert it: openssl x509 -inform der -in CA -out ca.pem"
                .to_owned(),
        ),
        (
            leaf.leaf_pem().into(),
            format!(
                "REQUESTS_CA_BUNDLE=CA but the file holds no CA certificate, only 'CN=gitlab.acme.internal' issued by \
                 'CN=Acme Root' {only}"
            ),
        ),
        (
            alone.leaf_pem().into(),
            format!(
                "REQUESTS_CA_BUNDLE=CA but the file holds no CA certificate, only 'CN=gitlab.acme.internal' issued by \
                 'CN=gitlab.acme.internal' {only}"
            ),
        ),
        (key.into(), format!("REQUESTS_CA_BUNDLE=CA but the file holds no certificate {host_side}")),
        (
            cut.into(),
            format!("REQUESTS_CA_BUNDLE=CA but the file is damaged: a block `CERTIFICATE` has no END line {host_side}"),
        ),
    ] {
        let stub = Stub::start(authorities.leaf(&["127.0.0.1"]), gitlab());
        let (_dir, ca) = file(&content);
        let (code, text) = plain(&[("GITLAB_URL", &stub.url()), ("REQUESTS_CA_BUNDLE", &ca)]);
        let expected = format!("OK    GITLAB_URL={}\nFAIL  {expected}\n{FAILED}", stub.url());
        assert_eq!((code, text.replace(&ca, "CA")), (1, expected));
        assert_eq!(stub.connections(), 0);
    }
}

#[test]
fn a_ca_bundle_that_is_missing_or_a_directory_is_not_readable() {
    let authorities = Authorities::new("Acme Root");
    let stub = Stub::start(authorities.leaf(&["127.0.0.1"]), gitlab());
    let home = tempfile::tempdir().unwrap();
    for path in [home.path().join("none.pem"), home.path().to_path_buf()] {
        let path = path.display().to_string();
        let expected = format!(
            "OK    GITLAB_URL={}\nFAIL  REQUESTS_CA_BUNDLE={path} but the file is not readable from inside the \
             container\n{FAILED}",
            stub.url()
        );
        assert_eq!(plain(&[("GITLAB_URL", &stub.url()), ("REQUESTS_CA_BUNDLE", &path)]), (1, expected));
    }
    assert_eq!(stub.connections(), 0);
}

#[test]
fn a_self_signed_server_is_not_trusted_by_the_systems_own_store() {
    let stub = Stub::start(self_signed(), gitlab());
    let (code, text) = plain(&[("GITLAB_URL", &stub.url())]);
    let start = format!("OK    GITLAB_URL={0}\n{UNSET}FAIL  TLS handshake to {0} failed: certificate ", stub.url());
    assert!(code == 1 && text.starts_with(&start) && text.ends_with(FAILED), "{text}");
}

#[test]
fn on_a_host_the_operators_own_path_stands_in() {
    let authorities = Authorities::new("Acme Root");
    let stub = Stub::start(authorities.leaf(&["127.0.0.1"]), gitlab());
    let (_dir, ca) = file(authorities.root_pem().as_bytes());
    let (code, text) = plain(&[("GITLAB_URL", &stub.url()), ("GITGRIT_CUSTOM_CA_FILE_PATH", &ca)]);
    assert!(code == 0 && text.contains(&format!("OK    REQUESTS_CA_BUNDLE={ca} (")), "{text}");
    let env = format!("GITLAB_URL={}\nREQUESTS_CA_BUNDLE={ca}\n", stub.url());
    let (_dir, env) = file(env.as_bytes());
    assert_eq!(smoke(["smoketest", "--env-file", &env], &[]).0, 0);
}

#[test]
fn a_proxy_of_the_environment_is_not_used() {
    let authorities = Authorities::new("Acme Root");
    let stub = Stub::start(authorities.leaf(&["127.0.0.1"]), gitlab());
    let (_dir, ca) = file(authorities.root_pem().as_bytes());
    let proxy = [("HTTPS_PROXY", "http://127.0.0.1:1"), ("ALL_PROXY", "http://127.0.0.1:1")];
    let url = stub.url();
    let variables = [[("GITLAB_URL", url.as_str()), ("REQUESTS_CA_BUNDLE", &ca)], proxy].concat();
    assert_eq!(plain(&variables).0, 0);
}

#[test]
fn isolation_targets_say_how_each_probe_ended() {
    let open = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let reachable = open.local_addr().unwrap();
    let probe = |targets: &str| {
        let (code, text) = smoke(["smoketest", "--check-isolation"], &[("GITGRIT_ISOLATION_TARGETS", targets)]);
        assert_eq!(code, 1, "GITLAB_URL is not set");
        text.lines().skip(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        probe(&format!("{closed},x.invalid:443,{reachable}")),
        [
            format!("OK    public internet appears blocked ({closed} is unreachable: refused)"),
            "OK    public internet appears blocked (x.invalid:443 is unreachable: no name)".into(),
            format!(
                "FAIL  public internet is reachable: TCP {reachable} accepted a connection. This is NOT an air-gapped \
                 install."
            ),
            FAILED.trim_end().into(),
        ]
    );
    assert_eq!(probe("nonsense")[0], "FAIL  GITGRIT_ISOLATION_TARGETS: `nonsense` is not host:port");
}

#[test]
fn a_closed_network_passes_as_a_whole() {
    let authorities = Authorities::new("Acme Root");
    let stub = Stub::start(authorities.leaf(&["127.0.0.1"]), gitlab());
    let (_dir, ca) = file(authorities.root_pem().as_bytes());
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let variables =
        [("GITLAB_URL", stub.url()), ("REQUESTS_CA_BUNDLE", ca.clone()), ("GITGRIT_ISOLATION_TARGETS", closed.clone())];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let size = authorities.root_pem().len();
    let expected = format!(
        "OK    GITLAB_URL={0}\nOK    REQUESTS_CA_BUNDLE={ca} ({size} bytes)\nOK    {0}/api/v4/version returned 401 JSON with \
         GitLab-shaped body — looks like a real GitLab\nOK    public internet appears blocked ({closed} is unreachable: \
         refused)\n{PASSED}",
        stub.url()
    );
    assert_eq!(smoke(["smoketest", "--check-isolation"], &variables), (0, expected));
}

#[test]
fn json_holds_every_line_with_its_id() {
    let (code, text) = smoke(["smoketest", "--json"], &[("GITLAB_URL", "http://gitlab")]);
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    let expected = serde_json::json!({
        "passed": false,
        "lines": [
            {
                "id": "GG-SMOKE-102",
                "status": "fail",
                "text": "GITLAB_URL='http://gitlab' must use https:// — got 'http://'",
            },
            { "id": "GG-SMOKE-201", "status": "warn", "text": UNSET.trim_end().trim_start_matches("WARN  ") },
        ],
    });
    assert_eq!((code, report), (1, expected));
}

#[test]
fn the_seeds_name_runs_the_same_test() {
    let home = tempfile::tempdir().unwrap();
    let name = home.path().join("airgap_smoketest");
    symlink(Path::new(&binary()), &name).unwrap();
    let done = Run::of(&name, []).finished();
    assert_eq!((done.status.code(), out(&done)), (Some(1), plain(&[]).1));
}

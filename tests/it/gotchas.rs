//! The seeds' table of common gotchas: each row that exists so far, made to happen, comes out of `preflight` as one finding with
//! that row's fix. The row of the OAuth callback comes with sign-in through GitLab.

use std::path::Path;

use crate::engine::Engine;
use crate::gitlab_stub::{Authorities, Manner, Stub, answer, gitlab};
use crate::require;
use crate::stage::{Said, Stage};

/// One finding of this id, with this fix.
fn one(said: &Said, id: &str, fix: &str) {
    let found = said.with_id(id);
    assert_eq!(found.len(), 1, "{id}: {found:#?}");
    assert!(found[0]["fix"].as_str().unwrap().contains(fix), "{id}: {}", found[0]);
}

/// A stage in whose settings a GitLab is named, with these authorities.
fn with_gitlab(url: &str, authorities: Option<&Path>) -> Stage {
    let stage = Stage::in_this_network();
    let authorities =
        authorities.map(|path| format!("GITGRIT_CUSTOM_CA_FILE_PATH={}\n", path.display())).unwrap_or_default();
    stage.settings(&format!("SITE_URL=https://forge.acme.test\nGITLAB_URL={url}\n{authorities}"))
}

#[test]
fn a_server_certificate_in_place_of_the_authorities_is_one_finding() {
    if !Stage::is_possible() {
        return;
    }
    let authorities = Authorities::new("Acme Root");
    let chain = authorities.leaf(&["127.0.0.1"]);
    let home = tempfile::tempdir().unwrap();
    let leaf = home.path().join("gitlab.pem");
    base::file::write_atomic(&leaf, chain.leaf_pem().as_bytes(), 0o644).unwrap();
    let stub = Stub::start(chain, gitlab());
    let said = with_gitlab(&stub.url(), Some(&leaf)).run();
    one(&said, "GG-SMOKE-301", "give the CA chain that signed GitLab's certificate");
    one(&said, "GG-CA-006", "give the chain that issued the server's certificate");
    // Another root than the one that signed is the same row.
    let other = Authorities::new("Other Root").root_file(home.path());
    one(
        &with_gitlab(&stub.url(), Some(&other)).run(),
        "GG-SMOKE-301",
        "give the CA chain that signed GitLab's certificate",
    );
}

#[test]
fn a_gitlab_whose_name_is_not_known_is_one_finding() {
    if !Stage::is_possible() {
        return;
    }
    let said = with_gitlab("https://gitlab.acme.test", None).run();
    one(&said, "GG-NET-023", "add an /etc/hosts entry on the air-gap host");
    assert!(said.with_id("GG-SMOKE-302").is_empty() && said.with_id("GG-CA-048").is_empty());
}

#[test]
fn another_service_at_gitlabs_address_is_one_finding() {
    if !Stage::is_possible() {
        return;
    }
    let (authorities, home) = (Authorities::new("Acme Root"), tempfile::tempdir().unwrap());
    let stub = Stub::start(authorities.leaf(&["127.0.0.1"]), answer("200 OK", Some("text/html"), "<h1>Welcome</h1>"));
    let said = with_gitlab(&stub.url(), Some(&authorities.root_file(home.path()))).run();
    one(&said, "GG-SMOKE-304", "correct GITLAB_URL");
}

#[test]
fn authorities_that_are_not_set_are_one_finding() {
    if !Stage::is_possible() {
        return;
    }
    let stub = Stub::start(Authorities::new("Acme Root").leaf(&["127.0.0.1"]), gitlab());
    let said = with_gitlab(&stub.url(), None).run();
    let unset = said.with_id("GG-ENV-004");
    let unset: Vec<_> = unset.iter().filter(|finding| finding["subject"] == "GITGRIT_CUSTOM_CA_FILE_PATH").collect();
    assert_eq!(unset.len(), 1);
    assert_eq!(unset[0]["fix"], "set it");
}

#[test]
fn browsers_that_do_not_know_the_authority_are_one_finding() {
    if !Stage::is_possible() {
        return;
    }
    let (authorities, home) = (Authorities::new("Acme Root"), tempfile::tempdir().unwrap());
    let stub = Stub::start(authorities.leaf(&["127.0.0.1"]), gitlab());
    let root = authorities.root_file(home.path());
    let said = with_gitlab(&stub.url(), Some(&root)).run();
    one(&said, "GG-HOST-038", "import the CA into the system's or the browser's trust store");
    // And none, once the host's own store has it.
    let store =
        std::fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").unwrap_or_default() + &authorities.root_pem();
    let stage = with_gitlab(&stub.url(), Some(&root)).file("/etc/ssl/certs/ca-certificates.crt", &store);
    stage.run().holds(&[
        ("GG-HOST-038", "ok", "knows the operator's authorities"),
        ("GG-NET-024", "ok", "looks like a real GitLab"),
    ]);
}

#[test]
fn a_clock_that_has_drifted_is_one_finding() {
    let faketime = require::program("faketime").map(drop);
    if !Stage::is_possible() || !require::has("faketime", faketime) {
        return;
    }
    let (authorities, home) = (Authorities::new("Acme Root"), tempfile::tempdir().unwrap());
    let root = authorities.root_file(home.path());
    // GitLab's own clock says otherwise.
    let Manner::Answers(plain) = gitlab() else { panic!("a GitLab answers") };
    let dated = plain.replacen("\r\n", "\r\nDate: Sun, 01 Nov 2026 12:00:00 GMT\r\n", 1);
    let stub = Stub::start(authorities.leaf(&["127.0.0.1"]), Manner::Answers(dated));
    let said = with_gitlab(&stub.url(), Some(&root)).run();
    one(&said, "GG-HOST-030", "point the host at your NTP server");
    // Where the certificate does not verify, the other's clock is asked all the same, and the clock comes before the authorities.
    let elsewhere = tempfile::tempdir().unwrap();
    let other = Authorities::new("Other Root").root_file(elsewhere.path());
    let Manner::Answers(plain) = gitlab() else { panic!("a GitLab answers") };
    let dated = plain.replacen("\r\n", "\r\nDate: Sun, 01 Nov 2026 12:00:00 GMT\r\n", 1);
    let stub = Stub::start(authorities.leaf(&["127.0.0.1"]), Manner::Answers(dated));
    let said = with_gitlab(&stub.url(), Some(&other)).run();
    one(&said, "GG-HOST-030", "point the host at your NTP server");
    said.holds(&[
        ("GG-HOST-030", "error", "as a server says that proved nothing"),
        ("GG-NET-024", "unknown", "the clock first"),
    ]);
    assert!(said.with_id("GG-SMOKE-301").is_empty());
    // `cert not yet valid`, because this host's clock is behind.
    let stub = Stub::start(authorities.leaf_between(2026, 2040), gitlab());
    let said = with_gitlab(&stub.url(), Some(&root)).around("faketime -f '@2025-11-01 00:00:00'").run();
    one(&said, "GG-HOST-028", "point the host at your NTP server");
    let stacks = said.with_id("GG-CA-037");
    assert!(stacks.len() > 1 && stacks.iter().all(|finding| finding["fix"].as_str().unwrap().contains("NTP")));
}

#[test]
fn a_second_stack_and_a_sandbox_under_runc_are_one_finding_each() {
    if !Engine::is_possible() {
        return;
    }
    let runc = require::program("runc").unwrap().display().to_string();
    let settings = format!("{{\"storage-driver\": \"vfs\", \"runtimes\": {{\"runsc\": {{\"path\": \"{runc}\"}}}}}}");
    let engine = Engine::start(&settings, "");
    engine.image("nothing:1");
    engine.does(&["network", "create", "gitgrit_internal"]);
    for project in ["older", "newer"] {
        let (name, label) = (format!("{project}-db-1"), format!("com.docker.compose.project={project}"));
        let network = ["--network", "gitgrit_internal", "--network-alias", "db"];
        engine.sleeps(&[&["--name", &name, "--label", &label][..], &network].concat());
    }
    // The site's own sandboxes are attached one by one; a stack that does not run is attached to nothing.
    engine.sleeps(&["--name", "gitgrit-sandbox-7", "--network", "gitgrit_internal"]);
    let label = "com.docker.compose.project=stopped";
    engine.does(&[
        "create",
        "--name",
        "stopped-db-1",
        "--label",
        label,
        "--network",
        "gitgrit_internal",
        "nothing:1",
        "/db",
    ]);
    let stage = Stage::new().env("DOCKER_HOST", &engine.address()).settings("COMPOSE_PROJECT_NAME=newer\n");
    let said = stage.run();
    one(&said, "GG-NET-040", "docker compose -f docker-compose.full.yaml down");
    said.holds(&[("GG-NET-040", "error", "another stack (older) shares the bridge: older-db-1")]);
    engine.does(&["rm", "--force", "older-db-1"]);
    stage.run().holds(&[("GG-NET-040", "ok", "alone")]);
    engine.sleeps(&["--name", "visitor", "--network", "gitgrit_internal"]);
    stage.run().holds(&[("GG-NET-040", "warning", "containers of no stack are attached as well: visitor")]);
    one(&said, "GG-ENGINE-027", "gVisor: sudo runsc install && sudo systemctl restart docker");
}

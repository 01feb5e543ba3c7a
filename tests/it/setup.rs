//! `setup`, the seeds' `airgap_setup`: exact lines in order, all on standard output, exit code 0 or 1.

use std::os::unix::fs::symlink;
use std::path::Path;

use crate::gitlab_stub::{Authorities, self_signed};
use crate::site::{binary, out};
use crate::snapshot::Run;

const URL: &str = "https://gitgrit.acme.internal";
const KEY: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
const SECRET: &str = "kz8Wm2Qp7Xr4Nt9Vb3Yc6Lf1Hd5Gs0JaEuIoRwTqPyMnBvCxZlKj";

/// Exit code and standard output; standard error stays empty.
fn ended(run: Run) -> (i32, String) {
    let done = run.finished();
    assert_eq!(done.stderr, "");
    (done.status.code().unwrap(), out(&done))
}

fn setup(variables: &[(&str, &str)]) -> (i32, String) {
    ended(variables.iter().fold(Run::new(["setup"]), |run, (name, value)| run.env(name, value)))
}

/// A directory with an empty site and a CA bundle of this content.
fn ground(content: &[u8]) -> (tempfile::TempDir, String, String) {
    let home = tempfile::tempdir().unwrap();
    let (ca, site) = (home.path().join("ca.pem"), home.path().join("site"));
    base::file::write_atomic(&ca, content, 0o644).unwrap();
    (home, ca.display().to_string(), site.display().to_string())
}

fn whole(ca: &str, site: &str) -> Run {
    Run::new(["setup", "--site-dir", site])
        .env("SITE_URL", URL)
        .env("GITGRIT_CUSTOM_CA_FILE_PATH", ca)
        .env("SECRET_KEY", SECRET)
        .env("GITGRIT_ENCRYPTION_KEY", KEY)
}

#[test]
fn addresses_that_lead_nowhere_are_refused() {
    for (url, host) in [
        ("", ""),
        ("http://localhost:8000", "localhost"),
        ("http://127.0.0.1", "127.0.0.1"),
        ("http://127.0.0.2", "127.0.0.2"),
        ("http://0.0.0.0/", "0.0.0.0"),
        ("http://[::1]/", "[::1]"),
        ("https://localhost.", "localhost."),
        ("ftp://gitgrit.acme.internal", "gitgrit.acme.internal"),
    ] {
        let (code, text) = setup(&[("SITE_URL", url), ("GITGRIT_CUSTOM_CA_FILE_PATH", "/etc/hostname")]);
        let start = format!("SITE_URL='{url}' (host='{host}') is not a public hostname. ");
        assert!(code == 1 && text.starts_with(&start), "{url}: {text}");
        assert!(text.contains("must be reachable from your platform") && text.lines().count() == 1, "{text}");
    }
}

#[test]
fn a_ca_bundle_that_is_none_stops_after_the_address() {
    let authorities = Authorities::new("Acme Root");
    let leaf = authorities.leaf(&["gitlab"]);
    let ok = format!("SITE_URL OK: {URL}\n");
    let (code, text) = setup(&[("SITE_URL", URL)]);
    assert!(code == 1 && text.starts_with(&format!("{ok}GITGRIT_CUSTOM_CA_FILE_PATH is not set.")), "{text}");
    for (content, expected) in [
        (Vec::new(), "CA is zero bytes. Check the host-side file at CA is a non-empty PEM.\n"),
        (b"junk".to_vec(), "CA is not PEM. Check the host-side file at CA is a non-empty PEM.\n"),
        (
            leaf.leaf_der(),
            "CA is DER, not PEM. Convert the host-side file at CA: openssl x509 -inform der -in CA -out ca.pem\n",
        ),
        (
            self_signed().leaf_pem().into(),
            "CA holds no CA certificate, only 'CN=gitlab.acme.internal' issued by 'CN=gitlab.acme.internal'. Put the CA \
             chain that issued it into the host-side file at CA.\n",
        ),
    ] {
        let (_home, ca, _) = ground(&content);
        let (code, text) = setup(&[("SITE_URL", URL), ("GITGRIT_CUSTOM_CA_FILE_PATH", &ca)]);
        assert_eq!((code, text.replace(&ca, "CA")), (1, format!("{ok}{expected}")));
    }
}

/// In the stack the bundle is looked for where compose mounts it, whatever the host's path is.
#[test]
fn in_the_stack_the_mount_is_what_counts() {
    let mount = checks::setup::MOUNT;
    let (code, text) =
        setup(&[("SITE_URL", URL), ("GITGRIT_CUSTOM_CA_FILE_PATH", "/srv/acme/ca.pem"), ("REQUESTS_CA_BUNDLE", mount)]);
    let second = text.lines().nth(1).unwrap();
    if Path::new(mount).is_file() {
        assert!(second.contains(mount), "{text}");
    } else {
        assert_eq!(
            (code, second),
            (
                1,
                "GITGRIT_CUSTOM_CA_FILE_PATH is set (/srv/acme/ca.pem) but /etc/ssl/certs/custom-ca.pem is not readable \
                 inside the container. Check the compose volume mount."
            )
        );
    }
}

#[test]
fn a_second_run_finds_nothing_to_do() {
    let pem = Authorities::new("Acme Root").root_pem();
    let (_home, ca, site) = ground(pem.as_bytes());
    let head =
        format!("SITE_URL OK: {URL}\nOperator CA bundle OK: {ca} ({} bytes)\nRunning migrations...\n", pem.len());
    let (code, first) = ended(whole(&ca, &site));
    let applied = first.strip_prefix(&head).and_then(|rest| rest.strip_suffix("Air-gap setup complete.\n"));
    let is_each_applied = applied.is_some_and(|lines| lines.lines().all(|line| line.starts_with("  applied 0")));
    assert!(code == 0 && is_each_applied, "{first}");
    assert_eq!(ended(whole(&ca, &site)), (0, format!("{head}  nothing to do\nAir-gap setup complete.\n")));
}

#[test]
fn another_encryption_key_is_refused_by_name() {
    let (_home, ca, site) = ground(Authorities::new("Acme Root").root_pem().as_bytes());
    assert_eq!(ended(whole(&ca, &site)).0, 0);
    let other = "2o5mNHRgZ0r7vYd4wJq1kXc8LtBfUeSiPaGzVhMyTj8=";
    let (code, text) = ended(whole(&ca, &site).env("GITGRIT_ENCRYPTION_KEY", other));
    let last = "GITGRIT_ENCRYPTION_KEY is not the key that this site's data was written with\n";
    assert!(code == 1 && text.ends_with(last), "{text}");
}

#[test]
fn the_seeds_name_runs_the_same_setup_and_json_holds_its_lines() {
    let home = tempfile::tempdir().unwrap();
    let name = home.path().join("airgap_setup");
    symlink(binary(), &name).unwrap();
    assert_eq!(ended(Run::of(&name, [])), setup(&[]));
    let (code, text) = ended(Run::new(["setup", "--json"]).env("SITE_URL", "ftp://a"));
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &report["passed"], report["lines"].as_array().unwrap().len()), (1, &false.into(), 1));
}

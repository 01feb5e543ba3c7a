//! What the command line says when it cannot go on: the exit code, the words, and that data and words do not mix.

use std::time::Duration;

use base::process::Program;

use crate::site::{Ground, Site, binary, out};
use crate::snapshot::Run;

#[test]
fn verbs_that_need_a_site_say_where_they_looked() {
    insta::assert_snapshot!(Run::new(["status"]).text(), @r#"
    exit: 10
    --- stdout
    --- stderr
    error: no site is installed in `[HOME]/gitgrit-site`
    hint: `gitgrit-ops install --embedded [HOME]/gitgrit-site` makes one
    "#);
    for verb in ["down", "up", "restart", "logs", "serve"] {
        let done = Run::new([verb]).finished();
        assert_eq!(done.status.code(), Some(10), "{verb}: {}", done.stderr);
        assert!(done.stdout.is_empty(), "{verb} mixes words into its data");
    }
}

#[test]
fn a_site_needs_a_name_that_resolves() {
    let run = Run::new(["install", "--embedded", "--site-url", "https://no-such-host.invalid:8828", "--dry-run"]);
    insta::assert_snapshot!(run.text(), @r#"
    exit: 1
    --- stdout
    --- stderr
    error: `no-such-host.invalid` does not resolve on this host
    hint: name the address that people will use with --site-url https://HOST:8828, or try the site on this machine alone with --lab
    "#);
}

#[test]
fn a_dry_run_prints_the_plan_and_changes_nothing() {
    let run = Run::new(["install", "--embedded", "--lab", "--dry-run"]);
    insta::assert_snapshot!(run.text(), @r#"
    exit: 0
    --- stdout
    make  directory      make the site's directories, mode 0700
    make  env            write .env, mode 0600, for https://localhost:[PORT]; listen on 127.0.0.1:[PORT] for HTTP and on 127.0.0.1:[PORT] for SSH
    make  authority      make the site's certificate authority
    make  certificate    issue a server certificate for localhost, 127.0.0.1, ::1
    make  database       make the database
    make  administrator  make the administrator `root` with a random password, shown at the end
    make  serve          start the server in the background and wait until it is healthy
    check smoketest      try what a user of this site needs
    --- stderr
    "#);
    let ground = Ground::new();
    let done = ground.install().option("--dry-run").run(b"").unwrap();
    assert!(done.status.success() && !ground.site().root().exists(), "{}", done.stderr);
}

#[test]
fn an_unknown_verb_is_a_usage_error() {
    insta::assert_snapshot!(Run::new(["instal"]).text(), @r#"
    exit: 2
    --- stdout
    --- stderr
    error: unrecognized subcommand 'instal'

      tip: some similar subcommands exist: 'isolation', 'install'

    Usage: gitgrit-ops [OPTIONS] <COMMAND>

    For more information, try '--help'.
    "#);
}

#[test]
fn the_version_is_data() {
    insta::assert_snapshot!(Run::new(["--version"]).text(), @r#"
    exit: 0
    --- stdout
    gitgrit-ops [VERSION]
    --- stderr
    "#);
}

/// `smoketest | grep -q FAIL` under `pipefail` must not turn a failure into a success.
#[test]
fn a_verdict_stands_when_its_reader_goes_away() {
    for (arguments, code) in [
        (&["smoketest"][..], 1),
        (&["smoketest", "--json"], 1),
        (&["env", "check", "none.env"], 3),
        (&["ca", "check", "none.pem"], 3),
        (&["ca", "show", "none.pem", "--json"], 3),
        (&["version"], 0),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let program = Program::new(binary().to_str().unwrap()).options(arguments);
        let ended = program.into_command().stdout(writer).status().unwrap();
        assert_eq!(ended.code(), Some(code), "{arguments:?}");
    }
}

/// The password is in what nobody read: the run has not ended, and the next one shows it.
#[test]
fn an_installation_that_nobody_reads_has_not_ended() {
    let ground = Ground::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let install = || {
        let program = ground.program().options(["install", "--embedded"]).option(ground.site().root());
        program.options(["--lab", "--http", "127.0.0.1:0", "--ssh", "127.0.0.1:0"]).deadline(Duration::from_mins(3))
    };
    let also = writer.try_clone().unwrap();
    assert_eq!(install().into_command().stdout(writer).stderr(also).status().unwrap().code(), Some(1));
    let again = out(&install().run(b"").unwrap());
    assert!(again.contains("user: root\npassword: "), "{again}");
    drop(ground.into_site());
}

/// A value in the environment goes into `.env`, where it would be in the way of every further run.
#[test]
fn values_that_do_not_fit_stop_an_installation_before_anything_is_written() {
    for (name, value, said) in [
        ("GITGRIT_ENCRYPTION_KEY", "hunter2", "error: GITGRIT_ENCRYPTION_KEY in the environment: is not 44 characters"),
        ("SECRET_KEY", "hunter2", "error: SECRET_KEY in the environment: has 7 characters, and 50 are the least\n"),
        ("SSH_PORT", "abc", "error: SSH_PORT in the environment: `abc` is not a port from 1 to 65535\n"),
        ("SITE_URL", "https://me:hunter2@forge", "error: SITE_URL is not usable\n  caused by: it holds a user name"),
    ] {
        let ground = Ground::new();
        let done = ground.install().env(name, value).run(b"").unwrap();
        assert_eq!(done.status.code(), Some(2), "{}", done.stderr);
        assert!(done.stderr.starts_with(said) && done.stderr.contains("\nhint: "), "{}", done.stderr);
        assert!(!done.stderr.contains("hunter2") && !ground.site().root().exists(), "{}", done.stderr);
    }
}

#[test]
fn settings_that_do_not_parse_do_not_end_a_running_server() {
    let site = Site::start();
    let env = std::fs::read_to_string(site.dir().env()).unwrap();
    base::file::write_atomic(&site.dir().env(), env.replace("SITE_URL=", "SITE_ULR=").as_bytes(), 0o600).unwrap();
    let refused = site.program().option("restart").option(site.dir().root()).run(b"").unwrap();
    assert_eq!(refused.status.code(), Some(1), "{}", refused.stderr);
    assert!(refused.stderr.starts_with("error: SITE_URL is not set\n"), "{}", refused.stderr);
    base::file::write_atomic(&site.dir().env(), env.as_bytes(), 0o600).unwrap();
    assert!(site.is_serving());
}

#[test]
fn a_port_that_is_taken_is_said_to_be_so() {
    let ground = Ground::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    let install = ground.program().options(["install", "--embedded"]).option(ground.site().root());
    let done = install.options(["--lab", "--http", &at, "--ssh", "127.0.0.1:0"]).run(b"").unwrap();
    assert_eq!(done.status.code(), Some(1), "{}", done.stderr);
    assert!(done.stderr.contains(&format!("could not listen on {at} for web: ")), "{}", done.stderr);
    assert!(done.stderr.contains("in use"), "{}", done.stderr);
}

/// A path that systemd reads otherwise is refused before anything is made.
#[test]
fn a_unit_is_part_of_the_plan() {
    let ground = Ground::new();
    let done = ground.install().options(["--systemd", "--dry-run", "--json"]).run(b"").unwrap();
    let plan: serde_json::Value = serde_json::from_str(&out(&done)).unwrap();
    assert!(plan["unit"].as_str().unwrap().ends_with("/gitgrit.service"), "{plan}");
    let spaced = ground.home().join("my site");
    let install = ground.program().options(["install", "--embedded", "--lab", "--systemd"]).option(&spaced);
    let done = install.options(["--http", "127.0.0.1:0", "--ssh", "127.0.0.1:0"]).run(b"").unwrap();
    assert!(done.status.code() == Some(1) && !spaced.exists(), "{}", done.stderr);
}

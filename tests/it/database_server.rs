//! A site whose data is on a PostgreSQL server: it gives its users what every site does, says so while the server is
//! away, and knows its own encryption key again.

use base::process::Finished;

use crate::postgres::Server;
use crate::require::until;
use crate::site::{PASSWORD, Site, out};

/// A Fernet key in form, and no site's own.
const OTHER: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

fn smoke(site: &Site) -> Finished {
    site.program().options(["smoketest", "--site", "--site-dir"]).option(site.dir().root()).run(b"").unwrap()
}

#[test]
fn a_site_on_a_database_server_serves_survives_its_loss_and_knows_its_key() {
    let Some(mut server) = Server::start() else { return };
    let site = Site::start_on(&server.database("gitgrit"), None);
    assert!(!site.dir().database().exists(), "a file was made although the settings name a server");

    let ada = site.user("ada");
    ada.make_repository("notes", "public");
    let git = site.git().with_password("ada", &ada.make_token("laptop", "write"));
    let local = git.history("local", 3);
    git.ok(&local, ["push", "--quiet", &site.https("ada/notes"), "main"]);
    let copy = git.clone(&site.https("ada/notes"), "copy");
    assert_eq!(git.ok(&copy, ["rev-parse", "HEAD"]), git.ok(&local, ["rev-parse", "HEAD"]));
    let status = |path: &str| site.anonymous().get(path).status;
    assert_eq!((status("/readyz"), status("/ada/notes")), (200, 200));

    server.stop();
    for path in ["/ada/notes", "/ada/none", "/explore", "/ada/notes.git/info/refs?service=git-upload-pack"] {
        assert_eq!(status(path), 503, "{path}");
    }
    assert_eq!(ada.get("/").status, 503, "whoever is signed in must not seem signed out");
    let unready = site.anonymous().get("/readyz");
    assert_eq!((unready.status, unready.text().as_str()), (503, "not ready: database\n"));
    assert_eq!(status("/healthz"), 200);

    server.start_again();
    until(10, "the site's recovery", || (status("/readyz") == 200).then_some(()));
    assert_eq!((status("/ada/notes"), status("/ada/none")), (200, 404));
    site.sign_in("ada", PASSWORD);
    let done = smoke(&site);
    assert_eq!(done.status.code(), Some(0), "{}{}", out(&done), done.stderr);
    assert!(!site.log().contains("hunter2"), "the log shows the database's password");

    another_key_is_refused(&site, &server);
}

/// With exit code 12, and with the database as it was.
fn another_key_is_refused(site: &Site, server: &Server) {
    let events = || server.ask("gitgrit", "SELECT (SELECT count(*) FROM events), (SELECT value FROM site_facts)").1;
    let before = events();
    for verb in [&["smoketest", "--site", "--site-dir"][..], &["serve", "--site"]] {
        if verb[0] == "serve" {
            site.stop();
        }
        let program = site.program().env("GITGRIT_ENCRYPTION_KEY", OTHER).options(verb);
        let done = program.option(site.dir().root()).run(b"").unwrap();
        let said = format!("{}{}", out(&done), done.stderr);
        assert_eq!(done.status.code(), Some(12), "{said}");
        assert!(
            said.contains("GITGRIT_ENCRYPTION_KEY") && !said.contains(OTHER) && !said.contains("hunter2"),
            "{said}"
        );
    }
    assert_eq!(events(), before);
}

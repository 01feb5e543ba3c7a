//! A site that moves to a database server, with the real verb: all of it or nothing, also when it is killed in the middle.

use base::process::Finished;
use reqwest::Method;
use serde_json::Value;

use crate::html;
use crate::postgres::Server;
use crate::site::{ADMIN, PASSWORD, Site, out};

/// Counts what is in a database.
const TABLES: &str = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'";
/// Repositories of the site that is moved.
const REPOSITORIES: u64 = 1_000;

fn copy(site: &Site, url: &str, options: &[&str], fault: &str) -> Finished {
    let program = site.program().options(["admin", "db", "copy", "--to", url]).options(options);
    program.env("GITGRIT_FAULT", fault).option(site.dir().root()).run(b"").unwrap()
}

/// Makes a thousand repositories, each through the form that a person uses.
fn fill(site: &Site) {
    let admin = site.admin();
    let page = admin.get("/new").text();
    let form = html::forms(&page).into_iter().find(|form| form.has("visibility")).unwrap();
    for number in 0..REPOSITORIES {
        let mut form = form.clone();
        form.set("name", &format!("made-{number}"));
        form.set("visibility", ["public", "internal", "private"][usize::try_from(number % 3).unwrap()]);
        form.set("description", "with a \\ and a ä in it");
        let made = admin.send(Method::POST, "/new", Some(&form.filled()));
        assert_eq!(made.status, 303, "{number}: {}", made.text());
    }
}

fn json(done: &Finished) -> Value {
    assert_eq!(done.status.code(), Some(0), "{}{}", out(done), done.stderr);
    serde_json::from_str(&out(done)).unwrap()
}

fn rows(view: &Value, name: &str) -> u64 {
    let tables = view["tables"].as_array().unwrap();
    tables.iter().find(|table| table["name"] == name).expect(name)["rows"].as_u64().unwrap()
}

#[test]
fn a_site_of_a_thousand_repositories_moves_whole_and_goes_on_serving() {
    let Some(server) = Server::start() else { return };
    let site = Site::start_on_file();
    fill(&site);
    let admin = site.admin();
    let git = site.git().with_password(ADMIN, &admin.make_token("laptop", "write"));
    let local = git.history("local", 3);
    git.ok(&local, ["push", "--quiet", &site.https(&format!("{ADMIN}/made-7")), "main"]);
    let url = server.database("moved");

    let refused = copy(&site, &url, &[], "");
    assert_eq!(refused.status.code(), Some(11), "while the server runs: {}", refused.stderr);
    site.stop();
    let rehearsed = json(&copy(&site, &url, &["--dry-run", "--json"], ""));
    assert_eq!(rehearsed["copied"], false);
    for fault in ["store:copy:table", "store:copy:compared"] {
        assert_eq!(copy(&site, &url, &[], fault).status.code(), None, "{fault} kills it");
        assert_eq!(server.ask("moved", TABLES).1, "0\n", "{fault} left something behind");
    }
    let done = copy(&site, &url, &["--json"], "");
    let copied = json(&done);
    assert_eq!((&copied["tables"], &copied["rows"]), (&rehearsed["tables"], &rehearsed["rows"]));
    assert!(rows(&copied, "repos") >= REPOSITORIES && rows(&copied, "events") >= REPOSITORIES, "{copied}");
    assert!(done.stderr.contains("DATABASE_URL=postgres://gitgrit:***@"), "{}", done.stderr);
    assert!(!done.stderr.contains("hunter2"), "{}", done.stderr);
    let again = copy(&site, &url, &[], "");
    assert!(again.status.code() == Some(1) && again.stderr.contains("is not empty"), "{}", again.stderr);

    let env = site.dir().env();
    let settings = format!("{}\nDATABASE_URL={url}\n", std::fs::read_to_string(&env).unwrap());
    base::file::write_atomic(&env, settings.as_bytes(), 0o600).unwrap();
    let up = site.program().option("up").option(site.dir().root()).run(b"").unwrap();
    assert!(up.status.success(), "{}{}", out(&up), up.stderr);
    let site = site.again();
    let admin = site.sign_in(ADMIN, PASSWORD);
    assert_eq!(admin.get(&format!("/{ADMIN}/made-999")).status, 200);
    admin.make_repository("after", "private");
    let git = site.git().with_password(ADMIN, &admin.make_token("phone", "write"));
    let clone = git.clone(&site.https(&format!("{ADMIN}/made-7")), "copy");
    assert_eq!(git.ok(&clone, ["rev-parse", "HEAD"]), git.ok(&local, ["rev-parse", "HEAD"]));
    assert!(admin.get("/admin/health").text().contains("PostgreSQL answers"));
    let verified = site.program().options(["admin", "audit", "verify"]).option(site.dir().root()).run(b"").unwrap();
    assert!(out(&verified).starts_with("the audit log is whole\n"), "{}{}", out(&verified), verified.stderr);
}

//! The audit log and administration from the host's own shell, through the real server and the real verbs.

use serde_json::Value;

use crate::site::{ADMIN, PASSWORD, Site, out};
use crate::ssh::Key;

fn admin(site: &Site, arguments: &[&str]) -> (Option<i32>, String, String) {
    let done = site.program().option("admin").options(arguments).run(b"").unwrap();
    (done.status.code(), out(&done), done.stderr)
}

fn records(site: &Site) -> Vec<Value> {
    let (code, text, said) = admin(site, &["audit", "export"]);
    assert_eq!(code, Some(0), "{said}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of<'r>(records: &'r [Value], action: &str) -> Vec<&'r Value> {
    records.iter().filter(|record| record["action"] == action).collect()
}

#[test]
fn clones_pushes_and_refused_sign_ins_are_told_with_actor_address_and_transport() {
    let site = Site::start();
    let ada = site.user("ada");
    ada.make_repository("secret-plans", "private");
    let (token, key) = (ada.make_token("laptop", "write"), Key::generate("ed25519"));
    ada.add_key("laptop", &key.public());
    site.anonymous().submit("/sign-in", "password", &[("name", "ada"), ("password", "hunter2hunter2")]);
    let git = site.git().with_password("ada", &token);
    let local = git.history("local", 2);
    git.ok(&local, ["push", "--quiet", &site.https("ada/secret-plans"), "main"]);
    git.ok(&local, ["clone", "--quiet", &site.https("ada/secret-plans"), "over-https"]);
    site.git_with_key(&key).ok(&local, ["clone", "--quiet", &site.ssh("ada/secret-plans"), "over-ssh"]);
    site.stop();

    let records = records(&site);
    // The smoke test of the installation has cloned as well.
    let mut fetched = of(&records, "repo.fetched");
    fetched.retain(|record| record["actor"] == "ada");
    let transports: Vec<_> = fetched.iter().map(|record| record["new"].as_str().unwrap()).collect();
    assert_eq!(transports, ["http", "ssh"]);
    let mut moved = of(&records, "ref.moved");
    moved.retain(|record| record["actor"] == "ada");
    assert_eq!(moved.len(), 1);
    for record in fetched.iter().chain(&moved) {
        assert_eq!((&record["actor"], &record["repo"]), (&"ada".into(), &"ada/secret-plans".into()), "{record}");
        assert_eq!(record["address"], "127.0.0.1", "{record}");
    }
    assert!(fetched[0]["request"].is_string() && fetched[1]["request"].is_null(), "{fetched:?}");
    let refused = of(&records, "sign_in.refused");
    assert_eq!((refused.len(), &refused[0]["object"]), (1, &"ada".into()));
    assert!(!of(&records, "token.created").is_empty() && !of(&records, "key.added").is_empty());
    let text = format!("{records:?}");
    for secret in ["hunter2", PASSWORD, &token] {
        assert!(!text.contains(secret), "a secret is in the audit log");
    }
}

/// Somebody with the database can change a record, and not without it being found.
#[test]
fn a_record_that_is_changed_in_the_database_is_named() {
    let site = Site::start();
    site.admin().make_user("mallory", PASSWORD);
    let (code, said, _) = admin(&site, &["audit", "verify"]);
    assert!(code == Some(0) && said.starts_with("the audit log is whole\n"), "while the server runs: {said}");
    site.stop();
    let number = of(&records(&site), "user.created").last().unwrap()["number"].as_i64().unwrap();

    match site.shared_database() {
        Some((socket, name)) => crate::database_shared::change_subject(&socket, &name, "mallory", "gustavo"),
        None => change_in_file(&site.dir().database()),
    }

    let (code, said, _) = admin(&site, &["audit", "verify"]);
    assert_eq!(said, format!("the audit log is broken: record {number} is not as it was written\n"));
    assert_eq!(code, Some(13));
    let (code, said, _) = admin(&site, &["audit", "verify", "--json"]);
    let view: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &view["whole"], &view["broken"]), (Some(13), &false.into(), &number.into()));
}

/// In place, as an editor of bytes would.
fn change_in_file(file: &std::path::Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let places: Vec<_> = bytes.windows(19).enumerate().filter(|(_, at)| at == b"user.createdmallory").collect();
    let place = places.first().expect("the record is in the file").0;
    bytes[place + 12..place + 19].copy_from_slice(b"gustavo");
    base::file::write_atomic(file, &bytes, 0o600).unwrap();
}

#[test]
fn a_lost_password_is_replaced_from_the_host_while_the_server_runs() {
    let site = Site::start();
    let ada = site.user("ada");
    let (code, listed, _) = admin(&site, &["user", "list"]);
    let words: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((code, words), (Some(0), vec![vec!["ada", "user", "active"], vec![ADMIN, "administrator", "active"]]));

    let (code, said, _) = admin(&site, &["user", "password", "ada", "--dry-run"]);
    assert!(code == Some(0) && said.starts_with("would "), "{said}");
    assert_eq!(ada.get("/settings/keys").path, "/settings/keys", "a dry run ends no session");

    let (code, said, _) = admin(&site, &["user", "password", "ada"]);
    assert_eq!(code, Some(0));
    let password = said.strip_prefix("user: ada\npassword: ").expect("shown once").trim();
    assert!(ada.get("/settings/keys").path.starts_with("/sign-in"), "the session has ended");
    site.sign_in("ada", password);

    let file = site.home().join("new-password");
    base::file::write_atomic(&file, b"a password of my own choice\n", 0o600).unwrap();
    let (code, said, _) = admin(&site, &["user", "password", "ada", "--password-file", file.to_str().unwrap()]);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    site.sign_in("ada", "a password of my own choice");
    let (code, _, said) = admin(&site, &["user", "password", "nobody"]);
    assert!(code == Some(1) && said.contains("there is no user `nobody`"), "{said}");

    let reset = records(&site);
    let reset = of(&reset, "password.reset");
    assert_eq!(reset.len(), 2);
    assert!(reset.iter().all(|record| record["object"] == "ada" && record["address"].is_null()), "{reset:?}");
}

#[test]
fn the_page_is_there_for_administrators_alone() {
    let site = Site::start();
    let ada = site.user("ada");
    assert_eq!((ada.get("/admin/audit").status, site.anonymous().get("/admin/audit").status), (404, 404));
    let page = site.admin().get("/admin/audit?action=user.created").text();
    assert!(page.contains("user.created</td>") && !page.contains("sign_in.accepted</td>"), "{page}");
    let none = site.admin().get("/admin/audit?actor=nobody").text();
    assert!(none.contains("No record fits."), "{none}");
}

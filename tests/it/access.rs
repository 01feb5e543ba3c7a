//! Rights as people meet them, with the real Git client: let in, let in further, shut out again.

use crate::git::Git;
use crate::site::{ADMIN, PASSWORD, Site};
use crate::ssh::Key;
use crate::visitor::Visitor;

/// A person with a token and a key, and Git clients that use them.
struct Person {
    visitor: Visitor,
    https: Git,
    ssh: Git,
}

fn person(site: &Site, name: &str) -> Person {
    let visitor = site.user(name);
    let token = visitor.make_token("laptop", "write");
    let key = Key::generate("ed25519");
    visitor.add_key("laptop", &key.public());
    Person { visitor, https: site.git().with_password(name, &token), ssh: site.git_with_key(&key).keeping(key) }
}

/// Says whether the client gets at the repository for a clone, and for a push.
fn may(git: &Git, local: &std::path::Path, address: &str) -> (bool, bool) {
    let reads = git.program(local).options(["ls-remote", "--quiet"]).operands([address]).run(b"").unwrap();
    let pushes = git.program(local).options(["push", "--quiet"]).operands([address, "main"]).run(b"").unwrap();
    for done in [&reads, &pushes] {
        let is_plain = !done.stderr.contains("panicked") && !done.stderr.contains("internal error");
        assert!(is_plain, "{}", done.stderr);
    }
    (reads.status.success(), pushes.status.success())
}

#[test]
fn a_collaborator_clones_then_pushes_then_neither() {
    let site = Site::start();
    let (ada, bob) = (person(&site, "ada"), person(&site, "bob"));
    ada.visitor.make_repository("notes", "private");
    let local = bob.https.history("local", 2);
    let addresses = [(&bob.https, site.https("ada/notes")), (&bob.ssh, site.ssh("ada/notes"))];
    let check = |expected: (bool, bool)| {
        for (git, address) in &addresses {
            assert_eq!(may(git, &local, address), expected, "{address}");
        }
    };
    check((false, false));
    for (level, expected) in
        [("read", (true, false)), ("triage", (true, false)), ("write", (true, true)), ("read", (true, false))]
    {
        ada.visitor.post("/ada/notes/settings/access", "level", &[("user", "bob"), ("level", level)]);
        check(expected);
    }
    assert_eq!(bob.visitor.get("/ada/notes").status, 200);
    assert_eq!(bob.visitor.get("/ada/notes/settings").status, 403);
    let page = ada.visitor.get("/ada/notes/settings/access").text();
    let shut = crate::html::forms(&page).into_iter().find(|form| form.action.ends_with("/access/remove")).unwrap();
    ada.visitor.submit_form("/ada/notes/settings/access", shut, &[]);
    check((false, false));
    assert_eq!(bob.visitor.get("/ada/notes").status, 404);
}

#[test]
fn a_team_grants_and_revokes() {
    let site = Site::start();
    let (ada, bob) = (person(&site, "ada"), person(&site, "bob"));
    ada.visitor.post("/new-organisation", "visibility", &[("name", "acme"), ("visibility", "private")]);
    ada.visitor.post("/new", "owner", &[("owner", "acme"), ("name", "notes"), ("visibility", "private")]);
    let local = bob.https.history("local", 2);
    let address = site.https("acme/notes");
    assert_eq!(may(&bob.https, &local, &address), (false, false));
    assert_eq!(bob.visitor.get("/acme").status, 404);
    ada.visitor.post("/orgs/acme/teams", "permission", &[("name", "writers"), ("permission", "write")]);
    let team = "/orgs/acme/teams/writers";
    ada.visitor.post(team, "user", &[("user", "bob")]);
    assert_eq!(bob.visitor.get("/acme").status, 200);
    assert_eq!(may(&bob.https, &local, &address), (false, false));
    ada.visitor.post(team, "repository", &[("repository", "notes")]);
    assert_eq!(may(&bob.https, &local, &address), (true, true));
    ada.visitor.post(team, "permission", &[("permission", "read")]);
    assert_eq!(may(&bob.https, &local, &address), (true, false));
    let off = crate::html::forms(&ada.visitor.get(team).text());
    let off = off.into_iter().find(|form| form.action.ends_with("/members/remove")).unwrap();
    ada.visitor.submit_form(team, off, &[]);
    assert_eq!(may(&bob.https, &local, &address), (false, false));
    assert_eq!(bob.visitor.get("/acme").status, 404);
}

#[test]
fn a_right_that_was_revoked_ends_inside_an_open_connection() {
    let site = Site::start();
    let (ada, bob) = (site.user("ada"), site.user("bob"));
    ada.make_repository("notes", "private");
    ada.post("/ada/notes/settings/access", "level", &[("user", "bob"), ("level", "write")]);
    let key = Key::generate("ed25519");
    bob.add_key("laptop", &key.public());
    let socket = site.home().join("s");
    let command = format!(
        "{} -o ControlMaster=auto -o ControlPersist=60 -o ControlPath={}",
        key.command(&site.known_hosts()),
        socket.display()
    );
    let git = site.git().with_ssh(&command);
    let local = git.history("local", 2);
    let address = site.ssh("ada/notes");
    assert_eq!(may(&git, &local, &address), (true, true));
    assert!(socket.exists(), "the connection stays open");
    ada.post("/ada/notes/settings/access", "level", &[("user", "bob"), ("level", "read")]);
    git.ok(&local, ["commit", "--quiet", "--allow-empty", "--message", "more"]);
    assert_eq!(may(&git, &local, &address), (true, false));
    site.admin_submits("/admin/users", "/bob/deactivate");
    assert_eq!(may(&git, &local, &address), (false, false));
    assert!(socket.exists());
    let master = site.serving().ssh;
    let done = base::process::Program::new("ssh")
        .options(["-F", "/dev/null", "-O", "exit", "-o", &format!("ControlPath={}", socket.display())])
        .options(["-p", &master.port().to_string(), "-l", "git"])
        .option(master.ip().to_string())
        .run(b"");
    assert!(done.unwrap().status.success(), "the connection was open until now");
}

#[test]
fn deploy_keys_clone_or_push_and_belong_to_nobody() {
    let site = Site::start();
    let ada = site.user("ada");
    for name in ["notes", "other"] {
        ada.make_repository(name, "private");
    }
    let (reads, writes) = (Key::generate("ed25519"), Key::generate("ecdsa"));
    ada.post("/ada/notes/settings/keys", "key", &[("title", "mirror"), ("key", &reads.public())]);
    ada.post("/ada/notes/settings/keys", "key", &[("key", &writes.public()), ("can_write", "yes")]);
    let refused = ada.submit("/settings/keys", "key", &[("title", "mine"), ("key", &reads.public())]);
    assert_eq!(refused.status, 422);
    let (reader, writer) = (site.git_with_key(&reads), site.git_with_key(&writes));
    let local = writer.history("local", 2);
    assert_eq!(may(&writer, &local, &site.ssh("ada/notes")), (true, true));
    assert_eq!(may(&reader, &local, &site.ssh("ada/notes")), (true, false));
    for git in [&reader, &writer] {
        assert_eq!(may(git, &local, &site.ssh("ada/other")), (false, false));
    }
    let log = site.admin().get("/admin/audit?action=ref.moved").text();
    assert!(log.contains("SHA256:"), "the key's fingerprint is the actor");
}

#[test]
fn a_site_that_requires_signing_in_shows_strangers_the_way_in_alone() {
    let site = Site::start();
    let admin = site.admin();
    admin.make_repository("open", "public");
    let git = site.git();
    let address = site.https(&format!("{ADMIN}/open"));
    git.ok(git.home(), ["ls-remote", &address]);
    let fields = [("requires_sign_in", "yes"), ("banner", "RESTRICTED <b>"), ("colour", "orange")];
    admin.post("/admin/settings", "banner", &fields);
    let stranger = site.anonymous();
    for page in ["/", "/explore", "/olga", "/olga/open", "/olga/open/commits", "/no/such/page", "/settings/keys"] {
        let answer = stranger.get(page);
        assert!(answer.path.starts_with("/sign-in"), "{page}: {}", answer.path);
        assert!(answer.text().matches("RESTRICTED &lt;b&gt;").count() >= 2, "{}", answer.text());
    }
    for path in ["/healthz", "/readyz", "/ca.pem", "/favicon.ico"] {
        assert_eq!(stranger.get(path).status, 200, "{path}");
    }
    let refused = git.refused(git.home(), ["ls-remote", &address]);
    assert!(refused.contains("could not read Username") || refused.contains("Authentication failed"), "{refused}");
    let token = admin.make_token("laptop", "read");
    let signed_in = site.git().with_password(ADMIN, &token);
    signed_in.ok(signed_in.home(), ["ls-remote", &address]);
    assert_eq!(admin.get("/olga/open").status, 200);
}

#[test]
fn a_suspended_account_is_out_by_every_door_at_once() {
    let site = Site::start();
    let ada = person(&site, "ada");
    ada.visitor.make_repository("notes", "private");
    let local = ada.https.history("local", 2);
    let doors = [(&ada.https, site.https("ada/notes")), (&ada.ssh, site.ssh("ada/notes"))];
    for (git, address) in &doors {
        assert_eq!(may(git, &local, address), (true, true));
    }
    site.admin_submits("/admin/users", "/ada/deactivate");
    assert!(ada.visitor.get("/settings/keys").path.starts_with("/sign-in"));
    for (git, address) in &doors {
        assert_eq!(may(git, &local, address), (false, false));
    }
    let again = site.anonymous().submit("/sign-in", "password", &[("name", "ada"), ("password", PASSWORD)]);
    assert_eq!(again.status, 422);
}

#[test]
fn the_hosts_own_shell_lists_and_makes_organisations_repositories_and_tokens() {
    let site = Site::start();
    site.user("ada").make_repository("notes", "private");
    let run = |arguments: &[&str]| {
        let done = site.program().options(arguments).run(b"").unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", done.stderr);
        crate::site::out(&done)
    };
    let at = site.dir().root().to_str().unwrap().to_owned();
    let would = run(&["admin", "org", "create", "acme", "--owner", "ada", "--site", &at, "--dry-run"]);
    assert!(would.contains("acme"), "{would}");
    assert_eq!(run(&["admin", "org", "list", &at, "--json"]).trim(), "[]");
    run(&["admin", "org", "create", "acme", "--owner", "ada", "--site", &at]);
    let listed: serde_json::Value = serde_json::from_str(&run(&["admin", "org", "list", &at, "--json"])).unwrap();
    assert_eq!((&listed[0]["name"], &listed[0]["visibility"]), (&"acme".into(), &"private".into()));
    let listed: serde_json::Value = serde_json::from_str(&run(&["admin", "repo", "list", &at, "--json"])).unwrap();
    assert_eq!((&listed[0]["path"], listed.as_array().unwrap().len()), (&"ada/notes".into(), 1));
    let made = ["admin", "token", "create", "ci", "--user", "ada", "--scope", "read:repository", "--repo", "ada/notes"];
    let token = run(&[&made[..], &["--site", &at]].concat());
    let git = site.git().with_password("ada", token.trim());
    let local = git.history("local", 1);
    assert_eq!(may(&git, &local, &site.https("ada/notes")), (true, false));
    let done = site.program().options(["admin", "token", "create", "x", "--user", "ada", "--scope", "all:of"]).run(b"");
    assert_eq!(done.unwrap().status.code(), Some(2));
}

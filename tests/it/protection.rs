//! Protections as a person sets them on the page and as git's own client meets them, over both transports.

use crate::site::{ADMIN, Site};
use crate::ssh::Key;

#[test]
fn a_protected_branch_is_set_on_the_page_and_refuses_with_words_over_both_transports() {
    let site = Site::start();
    let ada = site.user("ada");
    ada.make_repository("project", "private");
    let (token, key) = (ada.make_token("laptop", "write"), Key::generate("ed25519"));
    ada.add_key("laptop", &key.public());
    let (https, ssh) = (site.git().with_password("ada", &token), site.git_with_key(&key));
    let local = https.history("local", 4);
    https.ok(&local, ["push", "--quiet", &site.https("ada/project"), "main~1:refs/heads/main"]);

    let page = "/ada/project/settings/protection";
    let refused = ada.submit(page, "pattern", &[("pattern", "a b"), ("users", "nobody-here")]);
    assert!(refused.status == 422 && refused.text().contains("id=\"pattern-problem\""), "{}", refused.text());
    let saved = ada.submit(page, "pattern", &[("pattern", "main")]);
    assert!(saved.text().contains("The protection was saved"), "{}", saved.text());
    let twice = ada.submit(page, "pattern", &[("pattern", "main")]);
    assert!(twice.status == 422 && twice.text().contains("protected already"), "{}", twice.text());

    for (git, address) in [(&https, site.https("ada/project")), (&ssh, site.ssh("ada/project"))] {
        let said = git.refused(&local, ["push", "--force", &address, "main~2:refs/heads/main", "main:refs/heads/free"]);
        assert!(said.contains("! [remote rejected] main~2 -> main (protected by `main`: only fast-forwards"), "{said}");
        let where_to = format!("remote: Protections of ada/project are set under {}{page}", site.url());
        assert!(said.contains(&where_to), "{said}");
        let said = git.refused(&local, ["push", &address, ":main"]);
        assert!(said.contains("! [remote rejected] main (the default branch cannot be deleted)"), "{said}");
        let said = git.run(&local, ["push", "-o", "ci.skip", &address, ":free"]);
        assert!(said.stderr.contains("remote: the push option `ci.skip` is not known here"), "{}", said.stderr);
    }
    https.ok(&local, ["push", "--quiet", &site.https("ada/project"), "main"]);

    let shown = ada.get(page).text();
    let id = crate::html::find(&shown, r#"/ada/project/settings/protection/(\d+)""#).unwrap();
    let changed = ada.submit(&format!("{page}/{id}"), "pattern", &[("level", "nobody"), ("users", ADMIN)]);
    assert!(changed.status == 200 && changed.text().contains(ADMIN), "{}", changed.text());
    let said = ssh.refused(&local, ["push", "--force", &site.ssh("ada/project"), "main~1:main"]);
    assert!(said.contains("only certain people may push here"), "{said}");
    let other = site.user("eve");
    assert_eq!((other.get(page).status, other.get(&format!("{page}/{id}")).status), (404, 404));
    assert_eq!(ada.get(&format!("{page}/{}", i64::MAX)).status, 404);
}

#[test]
fn who_begins_too_many_transfers_is_told_when_to_come_back() {
    let mut site = Site::start();
    let ada = site.user("ada");
    ada.make_repository("project", "private");
    let (token, key) = (ada.make_token("laptop", "write"), Key::generate("ed25519"));
    ada.add_key("laptop", &key.public());
    drop(ada);
    site.stop();
    let log = std::fs::File::create(site.home().join("limited.log")).unwrap();
    let serve = site.program().option("serve").env("GITGRIT_TRANSFERS_PER_MINUTE", "2");
    let mut server = serve.start_detached(log).unwrap();
    crate::require::until(60, "the server's start", || site.is_serving().then_some(()));
    site.refresh();
    let (https, ssh) = (site.git().with_password("ada", &token), site.git_with_key(&key));
    let local = https.history("local", 1);
    https.ok(&local, ["push", "--quiet", &site.https("ada/project"), "main"]);
    ssh.run(&local, ["ls-remote", &site.ssh("ada/project")]);
    let said = ssh.refused(&local, ["ls-remote", &site.ssh("ada/project")]);
    assert!(said.contains("gitgrit: you begin too many transfers; try again in"), "{said}");
    let said = https.refused(&local, ["ls-remote", &site.https("ada/project")]);
    assert!(said.contains("429"), "{said}");
    site.stop();
    server.wait().unwrap();
}

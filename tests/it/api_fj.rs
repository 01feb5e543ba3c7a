//! `fj`, the command line of Forgejo, unmodified at this site: the commands for what the site has.

use std::path::PathBuf;
use std::time::Duration;

use base::process::{Finished, Program};

use crate::api_caller::Caller;
use crate::require;
use crate::site::{Site, out};
use crate::ssh::Key;

/// The client in PATH or in cargo's own folder.
fn client() -> Result<PathBuf, String> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let own = home.map(|home| home.join("bin/fj")).filter(|path| path.is_file());
    own.map_or_else(|| require::program("fj"), Ok)
}

/// Somebody with `fj` and a home of its own, who has told it a token.
struct User<'a> {
    site: &'a Site,
    program: PathBuf,
}

impl User<'_> {
    fn run(&self, arguments: &str, input: &str) -> Finished {
        let home = self.site.home();
        Program::new(self.program.to_str().unwrap())
            .options(["--host", &self.site.url()])
            .options(arguments.split(' '))
            .env("HOME", home)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("SSL_CERT_FILE", self.site.ca_file())
            .env("GIT_SSL_CAINFO", self.site.ca_file())
            .directory(home)
            .deadline(Duration::from_mins(1))
            .run(input.as_bytes())
            .unwrap()
    }

    /// Runs it and insists that it worked and said all of this.
    fn says(&self, arguments: &str, expected: &[&str]) -> String {
        self.answered(arguments, "", expected)
    }

    fn answered(&self, arguments: &str, input: &str, expected: &[&str]) -> String {
        let done = self.run(arguments, input);
        let said = out(&done);
        assert!(done.status.success(), "fj {arguments}: {said}{}", done.stderr);
        for part in expected {
            assert!(said.contains(part), "fj {arguments} says nothing of `{part}`:\n{said}");
        }
        said
    }
}

#[test]
fn the_forgejo_client_works_unmodified() {
    let found = client();
    if !require::has("fj", found.clone().map(drop)) {
        return;
    }
    let site = Site::start();
    site.user("ada");
    let (ada, token) = Caller::holding(&site, "ada", &["all"]);
    let fj = User { site: &site, program: found.unwrap() };
    fj.says(&format!("auth add-token {token}"), &[]);
    fj.says("whoami", &["ada"]);
    fj.says("user view ada", &["ada"]);
    fj.says("user search ad", &["ada"]);

    fj.says("repo create notes --description thoughts", &["ada/notes"]);
    let file = serde_json::json!({ "content": "IyBOb3Rlcwo=", "message": "begin" });
    ada.post("/repos/ada/notes/contents/README.md", file).expect(201);
    fj.says("repo view ada/notes", &["notes", "thoughts"]);
    fj.says("repo readme ada/notes", &["Notes"]);
    fj.says("user repos ada", &["notes"]);
    fj.says("tag create v1 --repo ada/notes --body first", &["v1"]);
    fj.says("tag create v2 --repo ada/notes", &["v2"]);
    fj.says("tag list --repo ada/notes", &["v1", "v2"]);
    fj.says("tag view v1 --repo ada/notes", &["first"]);
    fj.says("tag delete v2 --repo ada/notes", &["v2"]);

    let key = Key::generate("ed25519");
    let path = site.home().join("laptop.pub");
    base::file::write_atomic(&path, key.public().as_bytes(), 0o644).unwrap();
    fj.says(&format!("user key upload {} --title laptop", path.display()), &["laptop"]);
    fj.says("user key list", &["laptop"]);

    fj.says("org create acme", &["acme"]);
    fj.says("org list", &["acme"]);
    fj.says("org view acme", &["acme"]);
    fj.says("org members acme", &["ada"]);
    fj.says("org repo create acme plans", &["acme/plans"]);
    fj.says("org repo list acme", &["plans"]);
    fj.says("org team list acme", &["owners"]);
    fj.says("user orgs ada", &["acme"]);

    fj.answered("repo delete ada/notes", "y\n", &["notes"]);
    ada.get("/repos/ada/notes").expect(404);
}

//! An installation that is killed (`kill -9`) at any place is finished by the next run: a working site, one administrator,
//! one authority. The last of the runs changes nothing.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;

use crate::site::{ADMIN, Ground, PASSWORD, out};

/// Kills the first run at `place`, runs again, and looks at what came of it.
fn survives(place: &str) {
    let ground = Ground::new();
    let killed = ground.install().env(base::fault::VARIABLE, place).run(b"").unwrap();
    let seen = format!("{}{}", out(&killed), killed.stderr);
    assert_eq!(killed.status.signal(), Some(9), "`{place}` was not reached: {}\n{seen}", killed.status);
    let authority = ground.site().ca_certificate();
    let before = std::fs::read(&authority).ok();
    let settings = std::fs::read(ground.site().env()).ok();

    let again = ground.install().run(b"").unwrap();
    assert!(again.status.success(), "the second run failed ({})\n{}{}", again.status, out(&again), again.stderr);
    let kept = files(ground.site().root());
    assert!(before.is_none_or(|before| std::fs::read(&authority).unwrap() == before), "a second authority was made");
    assert!(
        settings.is_none_or(|settings| std::fs::read(ground.site().env()).unwrap() == settings),
        ".env was changed"
    );

    let third = ground.install().run(b"").unwrap();
    assert!(third.status.success(), "the third run failed\n{}", third.stderr);
    assert_eq!(files(ground.site().root()), kept, "the third run changed something");

    let site = ground.into_site();
    let administrator = site.sign_in(ADMIN, PASSWORD);
    assert_eq!(administrators(&administrator.get("/admin/users").text()), [ADMIN]);
    let smoke = site.program().options(["smoketest", "--site"]);
    let smoke = smoke.deadline(Duration::from_mins(2)).run(b"").unwrap();
    assert!(smoke.status.success(), "{}{}", out(&smoke), smoke.stderr);
}

/// The account was made and its password never shown; the run after it is asked for no name.
#[test]
fn killed_before_a_random_password_was_shown() {
    let ground = Ground::new();
    let install = || {
        let site = ground.site();
        let program = ground.program().options(["install", "--embedded"]).option(site.root());
        program.options(["--lab", "--http", "127.0.0.1:0", "--ssh", "127.0.0.1:0"]).deadline(Duration::from_mins(3))
    };
    let killed = install().option("--admin=alice").env(base::fault::VARIABLE, "install:administrator:after");
    assert_eq!(killed.run(b"").unwrap().status.signal(), Some(9));
    let again = install().run(b"").unwrap();
    let said = out(&again);
    let shown = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned).unwrap();
    let (user, password) = (shown("user: "), shown("password: "));
    assert_eq!(user, "alice", "{said}{}", again.stderr);
    let third = install().run(b"").unwrap();
    assert!(third.status.success() && !out(&third).contains(&password), "a password is shown once");
    ground.into_site().sign_in(&user, &password);
}

/// Settings, keys and certificates by name; what a running server writes (database, logs, journal) is left out.
fn files(site: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for folder in ["", "data", "data/tls", "data/ssh"] {
        for entry in std::fs::read_dir(site.join(folder)).into_iter().flatten().flatten() {
            let name = entry.path().strip_prefix(site).unwrap().display().to_string();
            if entry.path().is_file() && !name.contains("sqlite") {
                found.insert(name, std::fs::read(entry.path()).unwrap());
            }
        }
    }
    found
}

/// The names that the page of users shows as administrators.
fn administrators(page: &str) -> Vec<String> {
    let row = regex::Regex::new(r#"(?s)<th scope="row">(?:<[^>]*>)*([^<]+)<.*?</tr>"#).unwrap();
    let rows = row.captures_iter(page).filter(|row| row[0].to_lowercase().contains("administrator"));
    rows.map(|row| row[1].trim().to_owned()).collect()
}

macro_rules! places {
    ($($name:ident: $place:literal;)*) => {
        $(#[test] fn $name() { survives($place); })*
    };
}

places! {
    killed_before_the_directory: "install:directory:before";
    killed_after_the_directory: "install:directory:after";
    killed_before_the_settings: "install:env:before";
    killed_between_the_settings_and_the_addresses: "install:env:listen";
    killed_after_the_settings: "install:env:after";
    killed_before_the_authority: "install:authority:before";
    killed_between_the_authoritys_two_files: "install:authority:key";
    killed_after_the_authority: "install:authority:after";
    killed_before_the_certificate: "install:certificate:before";
    killed_between_the_certificates_two_files: "install:certificate:key";
    killed_after_the_certificate: "install:certificate:after";
    killed_before_the_database: "install:database:before";
    killed_after_the_database: "install:database:after";
    killed_before_the_administrator: "install:administrator:before";
    killed_after_the_administrator: "install:administrator:after";
    killed_before_the_server: "install:serve:before";
    killed_after_the_server: "install:serve:after";
    killed_before_the_smoke_test: "install:smoketest:before";
    killed_after_the_smoke_test: "install:smoketest:after";
    killed_before_the_end_is_noted: "install:finish:before";
}

//! Jobs behind the real server: none is lost with a worker that is killed, and the administrator sees what becomes of
//! them.

use crate::require::until;
use crate::site::{ADMIN, Site};
use crate::visitor::Visitor;

/// Ends the server, and starts it with the fault point `place`, detached.
fn restart_with_fault(site: &mut Site, place: &str) {
    site.stop();
    let log = std::fs::File::create(site.home().join("faulty.log")).unwrap();
    let serve = site.program().env("GITGRIT_FAULT", place).options(["serve", "--site"]).option(site.dir().root());
    drop(serve.start_detached(log).unwrap());
    until(30, "the server with the fault", || site.is_serving().then_some(()));
    site.refresh();
}

fn delete(visitor: &Visitor, name: &str) {
    let path = format!("/{ADMIN}/{name}");
    let page = format!("{path}/settings");
    let answer = visitor.submit(&page, "confirm", &[("confirm", path.trim_start_matches('/'))]);
    assert!(answer.status < 400, "{} {}", answer.status, answer.text());
}

/// What the page lists under a heading.
fn listed(page: &str, id: &str) -> String {
    let rest = page.split(&format!("<section aria-labelledby=\"{id}\">")).nth(1).expect("the section");
    rest.split("</section>").next().unwrap().to_owned()
}

#[test]
fn a_job_whose_worker_is_killed_is_done_by_another() {
    let mut site = Site::start();
    let admin = site.admin();
    admin.make_repository("doomed", "private");
    // What the smoke test of the installation has pushed is looked after first.
    until(30, "the jobs of the installation", || {
        (!admin.get("/admin/jobs").text().contains("tidy_repository")).then_some(())
    });
    restart_with_fault(&mut site, "forge:job:claimed");
    // The server dies somewhere while it answers; what it did before is looked at below.
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| delete(&site.admin(), "doomed")));
    until(30, "the death of the worker", || (!site.is_serving()).then_some(()));
    let up = site.program().option("up").option(site.dir().root()).run(b"").unwrap();
    assert!(up.status.success(), "{}", up.stderr);
    site.refresh();
    let admin = site.admin();
    let page = admin.get("/admin/jobs").text();
    assert!(listed(&page, "running").contains("remove_directory"), "{page}");
    // The lease of the dead ends after a minute.
    until(120, "another worker", || {
        let page = admin.get("/admin/jobs").text();
        (!page.contains("remove_directory")).then_some(())
    });
    assert!(listed(&admin.get("/admin/jobs").text(), "dead").contains("No job was given up."));
    assert_eq!(admin.get(&format!("/{ADMIN}/doomed")).status, 404);
}

#[test]
fn health_and_jobs_are_shown_to_the_administrator_alone() {
    let site = Site::start();
    let ada = site.user("ada");
    for page in ["/admin/jobs", "/admin/health"] {
        assert_eq!((ada.get(page).status, site.anonymous().get(page).status), (404, 404), "{page}");
    }
    let page = site.admin().get("/admin/health").text();
    for part in ["Database", "Redis", "Disk", "Jobs", "Clock", "Version", "Doors"] {
        assert!(page.contains(&format!("<th scope=\"row\">{part}</th>")), "{part}: {page}");
    }
    until(30, "the round that comes again", || {
        site.admin().get("/admin/jobs").text().contains("forget_ended").then_some(())
    });
}

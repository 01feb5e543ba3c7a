//! The site in a real browser: every page of the route table, light and dark, narrow and wide, asks for nothing outside
//! the site and breaks no WCAG A or AA rule that axe-core can see.

use std::path::{Path, PathBuf};

use crate::inspect::{axe, is_too_wide, outside, violations};
use crate::require;
use crate::site::{ADMIN, PASSWORD, Site};
use crate::webdriver::{self, Browser};

/// Routes that answer with data, a redirect or a file instead of a page.
const NOT_PAGES: [&str; 8] =
    ["/archive/", "/assets/", "/healthz", "/readyz", "/metrics", "/ca.pem", "/raw/", "/favicon.ico"];

fn sign_in(browser: &Browser, site: &Site) {
    browser.open(&format!("{}/sign-in", site.url()));
    browser.fill("input[name=name]", ADMIN);
    browser.fill("input[name=password]", PASSWORD);
    browser.click_through("main form [type=submit], main form button");
}

#[test]
fn somebody_signs_in_and_creates_a_repository() {
    if !require::has("browser", webdriver::found()) {
        return;
    }
    let site = Site::start();
    let browser = Browser::start();
    sign_in(&browser, &site);
    assert!(!browser.address().contains("/sign-in"), "{}", browser.text());

    browser.open(&format!("{}/new", site.url()));
    browser.fill("input[name=name]", "first-light");
    browser.click_through("main form [type=submit], main form button");

    assert_eq!(browser.address(), format!("{}/{ADMIN}/first-light", site.url()));
    assert!(browser.text().contains(&site.https(&format!("{ADMIN}/first-light"))), "no clone address on the page");
    browser.open(&site.url());
    assert!(browser.text().contains("first-light"));
    assert!(outside(&site.url(), &browser.requests()).is_empty());
}

/// A site in which every page has something to show.
fn filled_site() -> (Site, String, String) {
    let site = Site::start();
    let admin = site.admin();
    admin.make_user("ada", PASSWORD);
    admin.make_repository("project", "public");
    admin.make_repository("empty", "private");
    admin.post("/new-organisation", "visibility", &[("name", "acme"), ("full_name", "Acme Power and Light")]);
    admin.post("/new", "owner", &[("owner", "acme"), ("name", "site"), ("visibility", "internal")]);
    admin.post("/orgs/acme/teams", "permission", &[("name", "writers"), ("permission", "write")]);
    admin.post("/orgs/acme/teams/writers", "user", &[("user", "ada")]);
    admin.post(&format!("/{ADMIN}/project/settings/access"), "level", &[("user", "ada"), ("level", "triage")]);
    let deploy = crate::ssh::Key::generate("ed25519").public();
    admin.post(&format!("/{ADMIN}/project/settings/keys"), "key", &[("title", "mirror"), ("key", &deploy)]);
    let token = admin.make_token("laptop", "write");
    admin.add_key("laptop", &crate::ssh::Key::generate("ed25519").public());
    let git = site.git().with_password(ADMIN, &token);
    let local = git.history("local", 60);
    git.ok(&local, ["tag", "-a", "-m", "the first one", "v1"]);
    let project = site.https(&format!("{ADMIN}/project"));
    git.ok(&local, ["push", "--quiet", &project, "main", "main~9:refs/heads/older", "v1"]);
    let tip = git.ok(&local, ["rev-parse", "main"]);
    let changed = git.ok(&local, ["diff-tree", "--no-commit-id", "--name-only", "-r", "main"]);
    let changed = changed.lines().next().unwrap_or_default().to_owned();
    (site, tip, changed)
}

/// The pages that the route table offers to somebody who looks.
fn pages(tip: &str, changed: &str) -> Vec<String> {
    let mut pages = Vec::new();
    let diff = &*format!("{tip}/{changed}?context=all");
    for (method, pattern) in serve::web::ROUTES.iter().map(|route| (route.method, route.pattern)) {
        if !matches!(method, serve::web::Method::Get) || NOT_PAGES.iter().any(|start| pattern.contains(start)) {
            continue;
        }
        let owner = if pattern.starts_with("/orgs/") { "acme" } else { ADMIN };
        let page = pattern
            .replace("{name}", "writers")
            .replace("{owner}", owner)
            .replace("{repo}", "project")
            .replace("{id}", tip);
        let rests: &[&str] = match () {
            () if pattern.contains("/src/") => &["main", "main/src", "main/src/part1/file1.txt", "older"],
            () if pattern.contains("/blame/") => &["main/src/part1/file1.txt"],
            () if pattern.contains("/edit/") || pattern.contains("/delete/") => &["main/src/part1/file1.txt"],
            () if pattern.contains("/new/") => &["main/src"],
            () if pattern.contains("/compare/") => &["older...main", "main..older?view=split", "main...nothing"],
            () if pattern.contains("/diff/") => &[diff],
            () if pattern.contains("/search") => &["", "?q=line", "?q=file&in=names", "?q=(&regex=1"],
            () if pattern.contains("/commits/") => &["main", "older", "main/src/part1/file1.txt"],
            () => &[""],
        };
        let is_open = page.contains("rest}");
        pages.extend(rests.iter().map(|rest| {
            let filled = page.replace("{*rest}", rest).replace("{rest}", rest);
            if is_open { filled } else { format!("{filled}{rest}") }
        }));
    }
    pages.push(format!("/{ADMIN}/empty"));
    pages.push("/acme".into());
    pages.push("/no/such/page".into());
    let unfilled: Vec<_> = pages.iter().filter(|page| page.contains('{')).collect();
    assert!(unfilled.is_empty(), "the walk does not know how to fill {unfilled:?}");
    pages
}

/// Where pictures of the pages go: they are looked at, never compared.
fn gallery() -> PathBuf {
    let gallery = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    std::fs::create_dir_all(&gallery).unwrap();
    gallery
}

fn keep_picture(browser: &Browser, name: &str) {
    let file = gallery().join(format!("{}.png", name.trim_matches('/').replace(['/', '.'], "_")));
    base::file::write_atomic(&file, &browser.picture(), 0o644).unwrap();
}

#[test]
fn every_page_is_readable_for_everybody_and_asks_for_nothing_outside() {
    if !require::has("browser", webdriver::found()) {
        return;
    }
    let axe = axe();
    let has_axe = require::has("axe", axe.as_ref().map(drop).map_err(Clone::clone));
    let (site, tip, changed) = filled_site();
    let browser = Browser::start();
    let mut faults = Vec::new();
    for is_signed_in in [false, true] {
        if is_signed_in {
            sign_in(&browser, &site);
        }
        for page in pages(&tip, &changed) {
            browser.open(&format!("{}{page}", site.url()));
            for (scheme, width) in [("light", 360), ("light", 1280), ("dark", 360), ("dark", 1280)] {
                browser.look(scheme, width);
                let at = format!("{page} {scheme} {width} {}", if is_signed_in { "signed in" } else { "anonymous" });
                if has_axe {
                    let found = violations(&browser, axe.as_deref().unwrap_or_default());
                    faults.extend(found.into_iter().map(|fault| format!("{at}: {fault}")));
                }
                if is_too_wide(&browser) {
                    faults.push(format!("{at}: wider than the window"));
                }
                keep_picture(&browser, &at.replace(' ', "-"));
            }
            faults.extend(
                outside(&site.url(), &browser.requests()).into_iter().map(|address| format!("{page}: {address}")),
            );
            let refused = browser.complaints().into_iter().filter(|said| said.contains("Content Security Policy"));
            faults.extend(refused.map(|said| format!("{page}: {said}")));
        }
    }
    crate::tidy::hold(faults);
}

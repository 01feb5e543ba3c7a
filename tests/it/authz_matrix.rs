//! The matrix of rights: every route × every kind of person × every kind of repository, and every kind of credential at
//! Git's doors. What is expected follows from the audience that a route's table declares and from who the person is, and
//! not from the code under test. A route without a row fails.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, LOCATION, ORIGIN};
use serve::web::{Audience, Method, ROUTES, Route};
use tokio::sync::Semaphore;

use crate::authz_people::{
    ANONYMOUS, FORMS, Level, OWNER, OWNERS, PEOPLE, PLACES, VICTIM, fill, is_member, is_owner, level, sees,
};
use crate::html;
use crate::site::{ADMIN, Site};
use crate::ssh::Key;
use crate::visitor::Visitor;

/// Requests on their way at once.
const AT_ONCE: usize = 16;

/// Routes of pages that no row covers. May only shrink.
const UNCOVERED: &[&str] = &[];

/// Ends the session that it is sent with; has a test of its own.
const SIGN_OUT: &str = "/sign-out";

/// What the routes beside the pages are, by the pattern in the server's source.
const DOORS: &[(&str, Door)] = &[
    ("/healthz", Door::Everyone),
    ("/readyz", Door::Everyone),
    ("/metrics", Door::Everyone),
    ("/ca.pem", Door::Everyone),
    ("/{owner}/{repo}/info/refs", Door::Git),
    ("/{owner}/{repo}/git-upload-pack", Door::Git),
    ("/{owner}/{repo}/git-receive-pack", Door::Git),
    ("/{owner}/{repo}/git-upload-archive", Door::Own),
    ("/{owner}/{repo}/info/lfs/objects/batch", Door::Own),
    ("/{owner}/{repo}/info/lfs/objects/{oid}", Door::Own),
    ("/{owner}/{repo}/info/lfs/verify", Door::Own),
    ("/{owner}/{repo}/info/lfs/locks", Door::Own),
    ("/{owner}/{repo}/info/lfs/locks/verify", Door::Own),
    ("/{owner}/{repo}/info/lfs/locks/{id}/unlock", Door::Own),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Door {
    /// Asked of everybody here.
    Everyone,
    /// Asked with every kind of credential here.
    Git,
    /// Asked in tests of its own: `lfs_matrix`, `clients`, `lfs_test`, `lfs`.
    Own,
}

/// What SSH runs, and the least that it takes.
const VERBS: &[(&str, Level)] =
    &[("git-upload-pack", Level::Read), ("git-upload-archive", Level::Read), ("git-receive-pack", Level::Write)];

/// One request and what must come of it.
pub(crate) struct Probe {
    pub(crate) told: String,
    pub(crate) request: reqwest::RequestBuilder,
    pub(crate) expected: Expected,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    Status(u16),
    SignIn,
    /// Let in nowhere: the credential is unknown, or too many were.
    Shut,
}

/// What the requests of one person carry.
struct Person {
    name: &'static str,
    cookie: String,
    csrf: String,
}

struct Ground<'s> {
    site: &'s Site,
    client: reqwest::Client,
    asset: String,
    tip: String,
}

impl Ground<'_> {
    /// The route's pattern, filled; `None` when a part of it is not known here.
    fn path(&self, route: &Route, (owner, repo): (&str, &str)) -> Option<String> {
        let rest = if route.pattern.contains("/commits/") || route.pattern.contains("/new/") {
            "main"
        } else if route.pattern.contains("/compare/") {
            "main...main"
        } else if route.pattern.contains("/diff/") {
            return Some(format!("/{owner}/{repo}/diff/{}/src/part2/file2.txt", self.tip));
        } else if route.pattern.contains("/archive/") {
            "main.zip"
        } else {
            "main/README.md"
        };
        let id = if route.pattern.ends_with("/commit/{id}") { self.tip.as_str() } else { "0" };
        let name = match route.pattern {
            pattern if pattern.starts_with("/admin/users/") => VICTIM,
            pattern if pattern.contains("/members/{name}/") => "stan",
            _ => "owners",
        };
        let filled = [
            ("{owner}", owner),
            ("{repo}", repo),
            ("{*rest}", rest),
            ("{id}", id),
            ("{name}", name),
            ("{file}", &self.asset),
        ]
        .iter()
        .fold(route.pattern.to_owned(), |path, (part, value)| path.replace(part, value));
        (!filled.contains('{')).then_some(filled)
    }

    fn probe(&self, route: &Route, person: &Person, place: (&str, &str)) -> Option<Probe> {
        let path = self.path(route, place)?;
        let url = format!("{}{path}", self.site.url());
        let (request, permitted) = match route.method {
            Method::Get => (self.client.get(url), 200),
            Method::Post => {
                let (_, fields, status) = FORMS.iter().find(|(pattern, ..)| *pattern == route.pattern)?;
                let pairs: Vec<_> = fields.iter().copied().chain([("csrf", person.csrf.as_str())]).collect();
                let pairs: Vec<_> =
                    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                let request = self.client.post(url).header(ORIGIN, self.site.url());
                let kind = "application/x-www-form-urlencoded";
                (request.header(CONTENT_TYPE, kind).body(html::urlencoded(&pairs)), *status)
            }
        };
        let told = format!("{:?} {path} by {:?}", route.method, person.name);
        let request = request.header(COOKIE, &person.cookie);
        Some(Probe { told, request, expected: expected(route, person.name, place, permitted) })
    }
}

/// What a person must get, by the audience that the route declares.
fn expected(route: &Route, person: &str, place: (&str, &str), permitted: u16) -> Expected {
    // No repository here has a protection.
    let permitted =
        if route.pattern.ends_with("/protection/{id}") && route.method == Method::Get { 404 } else { permitted };
    let refused = |is_known: bool, may: bool| match (is_known, may) {
        (_, true) => permitted,
        (true, false) => 403,
        (false, false) => 404,
    };
    let at_least = |least: Level| refused(level(person, place) >= Level::Read, level(person, place) >= least);
    let organisation = place.0;
    let status = match route.audience {
        // Whoever is in is sent on.
        Audience::Everyone if route.pattern == "/sign-in" && person != ANONYMOUS => 303,
        // Nobody here has begun to sign in.
        Audience::Everyone if route.pattern == "/sign-in/second-factor" => return Expected::SignIn,
        Audience::Everyone => permitted,
        // Nobody's form is read before it is known whose it is.
        _ if person == ANONYMOUS && route.method == Method::Post => return Expected::SignIn,
        Audience::SignedIn if person == ANONYMOUS => return Expected::SignIn,
        Audience::SignedIn => permitted,
        Audience::Reader => at_least(Level::Read),
        Audience::Writer if person == ANONYMOUS && level(person, place) >= Level::Read => return Expected::SignIn,
        Audience::Writer => at_least(Level::Write),
        Audience::Maintainer => at_least(Level::Maintain),
        Audience::RepositoryAdministrator => at_least(Level::Admin),
        Audience::OwnerSeen => refused(false, sees(person, organisation)),
        Audience::Member => refused(sees(person, organisation), is_member(person, organisation)),
        Audience::OrganisationOwner => refused(sees(person, organisation), is_owner(person, organisation)),
        // Whoever may read the repository knows that it has a quota.
        Audience::SiteAdministrator if route.pattern.contains("{repo}") => {
            refused(level(person, place) >= Level::Read, person == ADMIN)
        }
        Audience::SiteAdministrator => refused(false, person == ADMIN),
    };
    Expected::Status(status)
}

/// Where a route is asked for: once for each kind of place that its pattern names.
fn places(route: &Route) -> Vec<(&'static str, &'static str)> {
    match (route.pattern.contains("{repo}"), route.pattern.contains("{owner}"), route.audience) {
        (true, ..) => PLACES.to_vec(),
        (false, true, Audience::OwnerSeen) => OWNERS.iter().map(|owner| (*owner, "")).collect(),
        (false, true, _) => OWNERS.iter().filter(|owner| **owner != OWNER).map(|owner| (*owner, "")).collect(),
        (false, false, _) => vec![("", "")],
    }
}

/// Sends all of them, some at once, and tells which got something else.
pub(crate) fn faults(probes: Vec<Probe>) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        let mut tasks = tokio::task::JoinSet::new();
        for Probe { told, request, expected } in probes {
            let turns = Arc::clone(&turns);
            tasks.spawn(async move {
                let _turn = turns.acquire().await.unwrap();
                let answer = request.send().await.unwrap();
                let status = answer.status().as_u16();
                let target = answer.headers().get(LOCATION).and_then(|target| target.to_str().ok()).unwrap_or_default();
                let found = if expected == Expected::Shut && matches!(status, 401 | 429) {
                    Expected::Shut
                } else if status == 303 && target.starts_with("/sign-in") {
                    Expected::SignIn
                } else {
                    Expected::Status(status)
                };
                (found != expected).then(|| format!("{told}: {found:?} and not {expected:?}"))
            });
        }
        let mut faults = Vec::new();
        while let Some(done) = tasks.join_next().await {
            faults.extend(done.unwrap());
        }
        faults
    })
}

fn people(visitors: &[Visitor]) -> Vec<Person> {
    let person = |(name, visitor): (&'static str, &Visitor)| {
        let page = visitor.get("/new").text();
        let csrf = html::find(&page, r#"name="csrf" value="([^"]+)""#).unwrap_or_default();
        Person { name, cookie: visitor.cookie(), csrf }
    };
    PEOPLE.into_iter().zip(visitors).map(person).collect()
}

#[test]
fn everybody_gets_what_is_theirs_on_every_route_and_nothing_else() {
    let site = Site::start();
    let visitors = fill(&site);
    let people = people(&visitors);
    let page = site.anonymous().get("/explore").text();
    let asset = html::find(&page, r#"href="/assets/([^"]+\.css)""#).unwrap();
    let git = site.git();
    let tip = git.ok(git.home(), ["ls-remote", &site.https(&format!("{OWNER}/public")), "refs/heads/main"]);
    let tip = tip.split_whitespace().next().unwrap().to_owned();
    let ground = Ground { site: &site, client: crate::visitor::client(&site.ca_file()), asset, tip };
    let (mut probes, mut uncovered) = (Vec::new(), Vec::new());
    for route in ROUTES.iter().filter(|route| route.pattern != SIGN_OUT) {
        for place in places(route) {
            // Signing in is counted where it fails, and there is no more to it than that it is there for everyone.
            let is_counted = route.pattern == "/sign-in" && route.method == Method::Post;
            for person in people.iter().filter(|person| !is_counted || person.name == ANONYMOUS) {
                match ground.probe(route, person, place) {
                    Some(probe) => probes.push(probe),
                    None => uncovered.push(route.pattern),
                }
            }
        }
    }
    assert_eq!(uncovered, UNCOVERED, "a route has no row");
    assert!(probes.len() > 2_500, "{}", probes.len());
    for (path, _) in DOORS.iter().filter(|(_, door)| *door == Door::Everyone) {
        for person in &people {
            let request = ground.client.get(format!("{}{path}", site.url())).header(COOKIE, &person.cookie);
            let told = format!("{path} by {:?}", person.name);
            probes.push(Probe { told, request, expected: Expected::Status(200) });
        }
    }
    probes.extend(git_probes(&ground, &visitors));
    let mut found = faults(probes);
    found.extend(ssh_faults(&site, &visitors));
    crate::tidy::hold(found);
    assert_eq!(visitors[1].get("/settings/keys").path, "/settings/keys");
    visitors[1].submit("/", "csrf", &[]);
    assert!(visitors[1].get("/settings/keys").path.starts_with("/sign-in"), "signing out ends the session");
}

/// Git over HTTP with every kind of token of five people.
fn git_probes(ground: &Ground<'_>, visitors: &[Visitor]) -> Vec<Probe> {
    let url = ground.site.url();
    let mut probes = Vec::new();
    let mut ask = |who: (&str, &str), place: (&str, &str), authorization: Option<&str>, most: Option<Level>| {
        let is_anonymous = authorization.is_none();
        let at = format!("{url}/{}/{}.git", place.0, place.1);
        // An archive has no empty request over HTTP: asked over SSH here, over HTTP in `clients`.
        for (verb, least) in VERBS.iter().copied().filter(|(verb, _)| *verb != "git-upload-archive") {
            let status = match most {
                None => 0,
                Some(found) if found >= least && !(is_anonymous && least > Level::Read) => 200,
                Some(_) if is_anonymous => 401,
                Some(Level::None) => 404,
                Some(_) => 403,
            };
            let refs = ground.client.get(format!("{at}/info/refs?service={verb}"));
            let kind = format!("application/x-{verb}-request");
            let exchange = ground.client.post(format!("{at}/{verb}")).header(CONTENT_TYPE, kind).body("0000");
            for (what, request) in [("refs", refs), ("exchange", exchange)] {
                let request = match authorization {
                    Some(secret) => request.header(AUTHORIZATION, format!("Basic {}", STANDARD.encode(secret))),
                    None => request,
                };
                let told = format!("{verb} {what} of {}/{} by {who:?}", place.0, place.1);
                let expected = if status == 0 { Expected::Shut } else { Expected::Status(status) };
                probes.push(Probe { told, request, expected });
            }
        }
    };
    for place in PLACES {
        ask(("", "nothing"), place, None, Some(level(ANONYMOUS, place)));
    }
    for index in [1, 3, 5, 9, 10] {
        let (name, visitor) = (PEOPLE[index], &visitors[index]);
        let (reads, writes) = (visitor.make_token("reads", "read"), visitor.make_token("writes", "write"));
        let elsewhere = visitor.make_limited_token("elsewhere", "write", &format!("{VICTIM}/own"));
        let (ended, id) = visitor.make_ended_token();
        for place in PLACES {
            let full = level(name, place);
            let secret = |token: &str| format!("{name}:{token}");
            ask((name, "read:repository"), place, Some(&secret(&reads)), Some(full.min(Level::Read)));
            ask((name, "write:repository"), place, Some(&secret(&writes)), Some(full));
            ask((name, "another repository's"), place, Some(&secret(&elsewhere)), Some(level(ANONYMOUS, place)));
            ask((name, &id), place, Some(&secret(&ended)), None);
        }
    }
    probes
}

/// The programs that SSH runs, with the keys of three people and of two machines that have one repository.
fn ssh_faults(site: &Site, visitors: &[Visitor]) -> Vec<String> {
    const BOUND: (&str, &str) = (OWNER, "private");
    let mut holders = Vec::new();
    for index in [1, 3, 5] {
        let key = Key::generate("ed25519");
        visitors[index].add_key("laptop", &key.public());
        holders.push((PEOPLE[index], Level::None, key));
    }
    for (what, most) in [("a key that reads", Level::Read), ("a key that writes", Level::Write)] {
        let key = Key::generate("ed25519");
        let public = key.public();
        let mut fields = vec![("title", what), ("key", public.as_str())];
        fields.extend((most == Level::Write).then_some(("can_write", "yes")));
        visitors[9].post(&format!("/{}/{}/settings/keys", BOUND.0, BOUND.1), "key", &fields);
        holders.push((what, most, key));
    }
    let known_hosts = site.known_hosts();
    let mut faults = Vec::new();
    for (who, bound, key) in &holders {
        for place in [PLACES[0], BOUND, PLACES[6]] {
            let found = match *bound {
                Level::None => level(who, place),
                most if place == BOUND => most,
                _ => Level::None,
            };
            for (verb, least) in VERBS.iter().copied() {
                let command = format!("{verb} '{}/{}'", place.0, place.1);
                let request = if verb == "git-upload-archive" { "0012argument HEAD\n0000" } else { "0000" };
                let session = key.session(site.serving().ssh, &known_hosts).option(command);
                let done = session.run(request.as_bytes()).unwrap();
                if done.status.success() != (found >= least) {
                    faults.push(format!("{verb} of {place:?} with the key of {who}: {}", done.stderr));
                }
            }
        }
    }
    faults
}

/// Routes that are no pages are found in the server's source, so that none is forgotten here.
#[test]
fn every_route_beside_the_pages_has_its_row() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/serve");
    let found: BTreeSet<String> = std::fs::read_dir(source)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_file() && !path.to_string_lossy().ends_with("_test.rs"))
        .flat_map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            let patterns = regex::Regex::new(r#"\.route\(\s*"([^"]+)""#).unwrap();
            patterns.captures_iter(&text).map(|found| found[1].to_owned()).collect::<Vec<_>>()
        })
        .collect();
    let service = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/serve/service.rs")).unwrap();
    let programs = regex::Regex::new(r#""(git-[a-z-]+)""#).unwrap();
    let programs: BTreeSet<_> = programs.captures_iter(&service).map(|found| found[1].to_owned()).collect();
    assert_eq!(programs, VERBS.iter().map(|(verb, _)| (*verb).to_owned()).collect());
    let rows: BTreeSet<String> = DOORS.iter().map(|(pattern, _)| (*pattern).to_owned()).collect();
    assert_eq!(found, rows);
}

/// A page at `/x` hides the owner `x`, so nobody may be called so.
#[test]
fn no_owner_can_have_the_name_of_a_page() {
    let patterns = ROUTES.iter().map(|route| route.pattern).chain(DOORS.iter().map(|(pattern, _)| *pattern));
    for pattern in patterns {
        let first = pattern.trim_start_matches('/').split('/').next().unwrap_or_default();
        let is_open = first.is_empty() || first.starts_with('{');
        assert!(is_open || base::name::OwnerName::parse(first).is_err(), "`{first}` of {pattern} is not reserved");
    }
}

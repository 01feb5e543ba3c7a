//! Every address of the API × who may not use it, and × tokens that were made for something else. What is expected
//! follows from the audience and the scope that the table declares, and not from the code under test.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use serve::api::{API_ROUTES, ApiRoute};
use serve::web::Audience;

use crate::api_caller::Caller;
use crate::site::{ADMIN, Site};

/// What tokens can be made for.
const AREAS: [&str; 5] = ["repository", "user", "organization", "admin", "issue"];

/// What follows from no audience: who asks, of which address, and what for a reason of its own comes of it.
const OWN: &[(&str, &str, &str, u16)] = &[
    // The key in the body is none, and nobody has one of that number.
    ("eve ben", "POST", "/user/keys", 422),
    ("eve ben", "GET DELETE", "/user/keys/{id}", 404),
    // Another one's.
    ("eve ben", "GET POST", "/users/{username}/tokens", 404),
    // An account that owns nothing public is none to who has not signed in.
    ("nobody", "GET", "/users/{username}/repos", 404),
    ("nobody", "GET", "/users/{username}/orgs", 404),
    ("eve ben", "DELETE", "/users/{username}/tokens/{token}", 404),
    ("eve ben", "GET", "/users/{username}/orgs/{org}/permissions", 404),
    // Where one could be let in, who is nobody is asked to sign in, whether it is there or not.
    ("nobody", "POST", "/orgs/{org}/repos", 401),
    // A member, but not one who may.
    ("ben", "POST", "/orgs/{org}/repos", 403),
    ("ben", "DELETE", "/orgs/{org}/members/{username}", 403),
];

/// Ada's: a private repository and a private organisation with a team; Ben may read the one and is in the other.
struct Ground {
    site: Site,
    repository: String,
    team: String,
    blob: String,
    tag: String,
}

impl Ground {
    fn new() -> Self {
        let site = Site::start();
        for name in ["ada", "ben", "eve"] {
            site.user(name);
        }
        let ada = Caller::knowing(&site, "ada");
        let repository =
            ada.post("/user/repos", json!({ "name": "notes", "private": true })).expect(201)["id"].to_string();
        let file = json!({ "content": "b25lCg==", "branch": "main" });
        let file = ada.post("/repos/ada/notes/contents/README.md", file).expect(201);
        let tag = ada.post("/repos/ada/notes/tags", json!({ "tag_name": "v1", "message": "one" })).expect(201);
        ada.put("/repos/ada/notes/collaborators/ben", json!({ "permission": "read" })).expect(204);
        ada.post("/orgs", json!({ "username": "acme", "visibility": "private" })).expect(201);
        ada.post("/orgs/acme/repos", json!({ "name": "plans", "private": true })).expect(201);
        let team = ada.post("/orgs/acme/teams", json!({ "name": "readers" })).expect(201)["id"].to_string();
        for name in ["ada", "ben"] {
            ada.put(&format!("/teams/{team}/members/{name}"), json!({})).expect(204);
        }
        ada.put(&format!("/teams/{team}/repos/acme/plans"), json!({})).expect(204);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (blob, tag) = (text(&file["content"]["sha"]), text(&tag["id"]));
        Self { site, repository, team, blob, tag }
    }

    /// The route's pattern, filled with what is Ada's.
    fn path(&self, route: &ApiRoute) -> String {
        let id = if route.pattern.starts_with("/teams") {
            &self.team
        } else if route.pattern.starts_with("/repositories") {
            &self.repository
        } else {
            "999999"
        };
        let sha = if route.pattern.contains("/git/blobs/") {
            &self.blob
        } else if route.pattern.contains("/git/tags/") {
            &self.tag
        } else {
            "main"
        };
        // A team's repositories are the organisation's, all others Ada's.
        let repo = if route.pattern.contains("/{org}/{repo}") { "plans" } else { "notes" };
        [
            ("{owner}", "ada"),
            ("{repo}", repo),
            ("{org}", "acme"),
            ("{username}", "ada"),
            ("{collaborator}", "ben"),
            ("{id}", id),
            ("{sha}", sha),
            ("{*branch}", "main"),
            ("{*name}", "main"),
            ("{*tag}", "v1"),
            ("{*ref}", "heads"),
            ("{*basehead}", "main...main"),
            ("{*archive}", "main.zip"),
            ("{*filepath}", "README.md"),
            ("{token}", "999999"),
        ]
        .into_iter()
        .fold(route.pattern.to_owned(), |path, (part, with)| path.replace(part, with))
    }

    fn ask(&self, caller: &Caller, who: &str, route: &ApiRoute) -> u16 {
        let method = Method::from_bytes(route.method.as_str().as_bytes()).unwrap();
        let body = (method != Method::GET).then(|| body(who));
        caller.send(method, &self.path(route), body.as_ref(), &[]).status
    }
}

/// A body that every address can read, and that changes nothing of others where it is not let in.
fn body(who: &str) -> Value {
    let zeros = "0".repeat(40);
    let name = format!("of-{who}");
    json!({
        "name": name, "username": name, "password": "x", "key": "x", "state": "success", "scopes": ["all"], "Text": "x",
        "content": "", "sha": zeros, "files": [{ "operation": "create", "path": "x" }], "new_branch_name": "x",
        "tag_name": "x", "new_owner": "ben", "rule_name": "x", "name_pattern": "x",
    })
}

/// What comes of it when `who` asks: `nobody`, `eve` who has nothing to do with it, or `ben`.
fn expected(who: &str, route: &ApiRoute) -> u16 {
    use Audience::{Everyone, Member, OwnerSeen, Reader, SignedIn, SiteAdministrator};
    let method = route.method.as_str();
    let has = |words: &str, word: &str| words.split(' ').any(|one| one == word);
    let own = OWN
        .iter()
        .find(|(people, methods, pattern, _)| has(people, who) && has(methods, method) && *pattern == route.pattern);
    let is_in_acme = route.pattern.starts_with("/orgs/{org}");
    match (route.audience, who) {
        _ if own.is_some() => own.unwrap().3,
        (SignedIn, "nobody") => 401,
        (OwnerSeen, "nobody" | "eve") if is_in_acme => 404,
        (Everyone | SignedIn | OwnerSeen, _) => route.status,
        (SiteAdministrator, _) | (_, "nobody" | "eve") => 404,
        (Reader | Member, _) => route.status,
        _ => 403,
    }
}

#[test]
fn everybody_gets_what_is_for_them_and_nothing_else() {
    let ground = Ground::new();
    let (nobody, eve, ben) =
        (Caller::nobody(&ground.site), Caller::knowing(&ground.site, "eve"), Caller::knowing(&ground.site, "ben"));
    let mut faults = BTreeSet::new();
    for route in API_ROUTES {
        for (who, caller) in [("nobody", &nobody), ("eve", &eve), ("ben", &ben)] {
            let (status, expected) = (ground.ask(caller, who, route), expected(who, route));
            if status != expected {
                faults.insert(format!("{who} {} {}: {status}, not {expected}", route.method.as_str(), route.pattern));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.into_iter().collect::<Vec<_>>().join("\n"));
    for (_, _, pattern, _) in OWN {
        assert!(API_ROUTES.iter().any(|route| route.pattern == *pattern), "{pattern} is no route");
    }
}

#[test]
fn a_token_for_something_else_opens_nothing() {
    let ground = Ground::new();
    let mut faults = BTreeSet::new();
    let mut holders = std::collections::BTreeMap::new();
    for route in API_ROUTES.iter().filter(|route| !route.scope.is_empty()) {
        let area = route.scope.split(':').next_back().unwrap();
        let who = if route.audience == Audience::SiteAdministrator { ADMIN } else { "ada" };
        let caller = holders.entry((who, area)).or_insert_with(|| {
            let others = AREAS.iter().filter(|other| **other != area).map(|other| format!("write:{other}"));
            let others: Vec<_> = others.collect();
            Caller::holding(&ground.site, who, &others.iter().map(String::as_str).collect::<Vec<_>>()).0
        });
        let status = ground.ask(caller, who, route);
        if status != 403 {
            faults.insert(format!("{} {} ({}): {status}", route.method.as_str(), route.pattern, route.scope));
        }
    }
    assert!(faults.is_empty(), "{}", faults.into_iter().collect::<Vec<_>>().join("\n"));
}

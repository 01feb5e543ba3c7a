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

/// Ada's: a private repository and a private organisation with a team; Ben may read the one and is in the other.
struct Ground {
    site: Site,
    repository: String,
    team: String,
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
        ada.post("/repos/ada/notes/contents/README.md", file).expect(201);
        ada.put("/repos/ada/notes/collaborators/ben", json!({ "permission": "read" })).expect(204);
        ada.post("/orgs", json!({ "username": "acme", "visibility": "private" })).expect(201);
        ada.post("/orgs/acme/repos", json!({ "name": "plans", "private": true })).expect(201);
        let team = ada.post("/orgs/acme/teams", json!({ "name": "readers" })).expect(201)["id"].to_string();
        ada.put(&format!("/teams/{team}/members/ben"), json!({})).expect(204);
        Self { site, repository, team }
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
        // A team's repositories are the organisation's, all others Ada's.
        let repo = if route.pattern.contains("/{org}/{repo}") { "plans" } else { "notes" };
        [
            ("{owner}", "ada"),
            ("{repo}", repo),
            ("{org}", "acme"),
            ("{username}", "ada"),
            ("{collaborator}", "ben"),
            ("{id}", id),
            ("{sha}", "main"),
            ("{*branch}", "main"),
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

    fn ask(&self, caller: &Caller, route: &ApiRoute) -> u16 {
        let method = Method::from_bytes(route.method.as_str().as_bytes()).unwrap();
        let body = (method != Method::GET).then(body);
        caller.send(method, &self.path(route), body.as_ref(), &[]).status
    }
}

/// A body that every address can read, and that changes nothing where it is not let in.
fn body() -> Value {
    let zeros = "0".repeat(40);
    json!({
        "name": "x", "username": "x", "password": "x", "key": "x", "state": "success", "scopes": ["all"], "Text": "x",
        "content": "", "sha": zeros, "files": [{ "operation": "create", "path": "x" }], "new_branch_name": "x",
        "tag_name": "x",
    })
}

#[test]
fn nobody_gets_what_is_for_others() {
    use Audience::{
        Everyone, Maintainer, Member, OrganisationOwner, OwnerSeen, Reader, RepositoryAdministrator, SignedIn,
        SiteAdministrator, Writer,
    };
    let ground = Ground::new();
    let (nobody, eve, ben) =
        (Caller::nobody(&ground.site), Caller::knowing(&ground.site, "eve"), Caller::knowing(&ground.site, "ben"));
    let mut faults = BTreeSet::new();
    for route in API_ROUTES {
        let is_in_acme = route.pattern.contains("{org}") && !route.pattern.starts_with("/users");
        let is_hidden = !matches!(route.audience, Everyone | SignedIn | OwnerSeen) || is_in_acme;
        let mut expect = |who: &str, caller: &Caller, expected: &[u16]| {
            let status = ground.ask(caller, route);
            if !expected.contains(&status) {
                faults.insert(format!("{who} {} {}: {status}, not {expected:?}", route.method.as_str(), route.pattern));
            }
        };
        match route.audience {
            SignedIn => expect("nobody", &nobody, &[401]),
            _ if is_hidden => {
                // Who is not known may be asked to sign in where no name of a repository is told by it.
                expect("nobody", &nobody, if route.pattern.starts_with("/repo") { &[404] } else { &[401, 404] });
                expect("eve", &eve, &[404]);
            }
            _ => expect("nobody", &nobody, &[200, 404, 422]),
        }
        match route.audience {
            Writer | Maintainer | RepositoryAdministrator | OrganisationOwner => expect("ben", &ben, &[403]),
            SiteAdministrator => expect("ben", &ben, &[404]),
            Reader | Member => expect("ben", &ben, &[200, 204, 403, 404]),
            _ => {}
        }
    }
    assert!(faults.is_empty(), "{}", faults.into_iter().collect::<Vec<_>>().join("\n"));
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
        let status = ground.ask(caller, route);
        if status != 403 {
            faults.insert(format!("{} {} ({}): {status}", route.method.as_str(), route.pattern, route.scope));
        }
    }
    assert!(faults.is_empty(), "{}", faults.into_iter().collect::<Vec<_>>().join("\n"));
}

//! What programs at the API learn of others and may do to them: no more than they must know, nothing by half, and nothing
//! that was not said.

use reqwest::Method;
use serde_json::{Value, json};

use crate::api_caller::Caller;
use crate::site::{ADMIN, PASSWORD, Site};

/// A site with Ada, and her repository `notes` with one file.
fn with_notes(option: &Value) -> (Site, Caller) {
    let site = Site::start();
    site.user("ada");
    let ada = Caller::knowing(&site, "ada");
    let mut new = json!({ "name": "notes" });
    new.as_object_mut().unwrap().extend(option.as_object().unwrap().clone());
    ada.post("/user/repos", new).expect(201);
    ada.post("/repos/ada/notes/contents/a%20b.md", json!({ "content": "b25lCg==", "branch": "main" })).expect(201);
    (site, ada)
}

#[test]
fn a_repository_becomes_public_only_when_that_is_said() {
    let (site, ada) = with_notes(&json!({ "private": true }));
    let nobody = Caller::nobody(&site);
    for (change, internal, status) in [
        (json!({ "internal": true }), true, 404),
        (json!({ "private": false }), true, 404),
        (json!({ "private": false, "description": "x" }), true, 404),
        (json!({ "private": false, "internal": true }), true, 404),
        (json!({ "private": false, "internal": false }), false, 200),
    ] {
        let now = ada.patch("/repos/ada/notes", change.clone()).expect(200);
        assert_eq!((&now["private"], &now["internal"]), (&json!(false), &json!(internal)), "{change}");
        assert_eq!(nobody.get("/repos/ada/notes").status, status, "{change}");
    }
}

#[test]
fn nobody_learns_who_administers_the_site_or_who_may_not_sign_in() {
    let (site, ada) = with_notes(&json!({}));
    let olga = Caller::knowing(&site, ADMIN);
    olga.post("/user/repos", json!({ "name": "open" })).expect(201);
    olga.post("/repos/olga/open/contents/x", json!({ "content": "" })).expect(201);
    olga.post("/repos/olga/open/statuses/main", json!({ "state": "success" })).expect(201);
    olga.patch("/admin/users/ada", json!({ "active": false })).expect(200);
    let whole = olga.get("/user").expect(200);
    assert!(whole["is_admin"] == true && whole["last_login"] != "1970-01-01T00:00:00Z", "{whole}");
    let all = olga.get("/admin/users").expect(200);
    assert_eq!((&all[0]["login"], &all[0]["active"]), (&json!("ada"), &json!(false)));
    site.user("ben");
    let (nobody, ben) = (Caller::nobody(&site), Caller::knowing(&site, "ben"));
    let mut seen = vec![ben.get("/users/olga").expect(200), ben.get("/users/ada").expect(200)];
    seen.extend(ben.get("/users/search").expect(200)["data"].as_array().unwrap().clone());
    for repo in ["olga/open", "ada/notes"] {
        seen.push(nobody.get(&format!("/repos/{repo}")).expect(200)["owner"].clone());
    }
    seen.push(nobody.get("/repos/olga/open/statuses/main").expect(200)[0]["creator"].clone());
    assert_eq!(seen.len(), 8);
    for user in seen {
        let told = (&user["is_admin"], &user["active"], &user["prohibit_login"], &user["last_login"]);
        assert_eq!(told, (&json!(false), &json!(true), &json!(false), &json!("1970-01-01T00:00:00Z")), "{user}");
    }
    drop(ada);
}

#[test]
fn rights_are_looked_at_before_a_large_body_is_read() {
    let (site, ada) = with_notes(&json!({ "private": true }));
    site.user("eve");
    let large = "A".repeat(300 << 10);
    for caller in [Caller::nobody(&site), Caller::knowing(&site, "eve")] {
        for (method, path) in [(Method::POST, "x"), (Method::PUT, "x"), (Method::DELETE, "x"), (Method::POST, "")] {
            let path = format!("/repos/ada/notes/contents/{path}");
            let path = path.trim_end_matches('/');
            assert_eq!(caller.send(method.clone(), path, Some(&json!({ "files": 1 })), &[]).status, 404, "{path}");
        }
    }
    ada.post("/user/repos", json!({ "name": "x", "unknown": large })).expect(413);
    ada.post("/repos/ada/notes/statuses/main", json!({ "state": "success", "x": large })).expect(413);
    ada.post("/repos/ada/notes/contents/large", json!({ "content": large })).expect(201);
    ada.post("/repos/ada/notes/contents/x", json!({ "content": 1 })).expect(422);
    assert_eq!(ada.post("/markdown", json!({ "Text": large })).status, 200);
}

#[test]
fn nobody_acts_for_another_and_long_texts_find_nothing() {
    let (site, ada) = with_notes(&json!({}));
    let olga = Caller::knowing(&site, ADMIN);
    assert_eq!(olga.send(Method::GET, "/user", None, &[("sudo", "ada")]).status, 403);
    olga.get("/user?sudo=ada").expect(401);
    for letter in ["_", "a"] {
        let path = format!("/repos/search?q={}", letter.repeat(25_000));
        assert_eq!(ada.get(&path).expect(200)["data"], json!([]), "{letter}");
    }
    assert_eq!(ada.get("/repos/search?q=ote").expect(200)["data"][0]["name"], "notes");
}

#[test]
fn addresses_of_files_and_archives_open_with_the_credentials_of_a_program() {
    let (site, ada) = with_notes(&json!({ "private": true }));
    ada.post("/repos/ada/notes/tags", json!({ "tag_name": "rel/1" })).expect(201);
    let (reader, _) = Caller::holding(&site, "ada", &["read:repository"]);
    let below = |address: &Value| {
        let prefix = format!("{}/api/v1", site.url());
        address.as_str().unwrap().strip_prefix(&prefix).expect("an address of the API").to_owned()
    };
    let file = reader.get("/repos/ada/notes/contents/a%20b.md?ref=rel/1").expect(200);
    assert_eq!(reader.get(&below(&file["download_url"])).text(), "one\n");
    let tag = reader.get("/repos/ada/notes/tags/rel/1").expect(200);
    assert!(reader.get(&below(&tag["zipball_url"])).body.starts_with(b"PK"));
    assert!(reader.get(&below(&tag["tarball_url"])).body.starts_with(&[0x1f, 0x8b]));
    assert_eq!(reader.get("/repos/ada/notes/languages").expect(200), json!({}));
}

#[test]
fn protections_are_made_and_seen_by_programs_as_the_gate_judges_them() {
    let (site, ada) = with_notes(&json!({}));
    site.user("ben");
    ada.put("/repos/ada/notes/collaborators/ben", json!({ "permission": "write" })).expect(204);
    let ben = Caller::knowing(&site, "ben");
    let main = |caller: &Caller| {
        let branch = caller.get("/repos/ada/notes/branches/main").expect(200);
        ["protected", "user_can_push", "effective_branch_protection_name"].map(|field| branch[field].clone())
    };
    assert_eq!(main(&ben), [json!(false), json!(true), json!("")]);
    let rules = "/repos/ada/notes/branch_protections";
    let made = ada.post(rules, json!({ "rule_name": "m*", "push_whitelist_usernames": ["ada"] })).expect(201);
    assert_eq!((&made["rule_name"], &made["push_level"]), (&json!("m*"), &json!("nobody")));
    assert_eq!(main(&ben), [json!(true), json!(false), json!("")]);
    assert_eq!(main(&ada), [json!(true), json!(true), json!("m*")]);
    ben.put("/repos/ada/notes/contents/b.md", json!({ "content": "" })).expect(403);
    ada.patch(&format!("{rules}/m*"), json!({ "enable_push": true, "may_delete": true })).expect(200);
    assert_eq!(main(&ben), [json!(true), json!(true), json!("")]);
    let now = ada.get(&format!("{rules}/m%2A")).expect(200);
    assert_eq!(
        (&now["push_level"], &now["may_delete"], &now["may_create"]),
        (&json!("write"), &json!(true), &json!(true))
    );
    assert_eq!(ada.get(rules).header("x-total-count"), "1");
    for fault in
        [json!({ "rule_name": "" }), json!({ "rule_name": "x", "required_approvals": 2 }), json!({ "rule_name": "m*" })]
    {
        ada.post(rules, fault).expect(422);
    }
    ben.get(rules).expect(403);
    ada.delete(&format!("{rules}/m*")).expect(204);
    ada.get(&format!("{rules}/m*")).expect(404);

    let rules = "/repos/ada/notes/tag_protections";
    let made = ada.post(rules, json!({ "name_pattern": "v*", "whitelist_usernames": ["ada"] })).expect(201);
    ben.post("/repos/ada/notes/tags", json!({ "tag_name": "v1" })).expect(403);
    ada.post("/repos/ada/notes/tags", json!({ "tag_name": "v1" })).expect(201);
    let rule = format!("{rules}/{}", made["id"]);
    ada.patch(&rule, json!({ "whitelist_usernames": ["ben"] })).expect(200);
    ben.post("/repos/ada/notes/tags", json!({ "tag_name": "v2" })).expect(201);
    assert_eq!(ada.get(&rule).expect(200)["whitelist_usernames"], json!(["ben"]));
    ada.delete(&rule).expect(204);
    assert_eq!(ada.get(rules).expect(200), json!([]));
}

#[test]
fn what_an_administrator_asks_of_an_account_happens_or_is_refused() {
    let (site, ada) = with_notes(&json!({}));
    let olga = Caller::knowing(&site, ADMIN);
    let session = site.sign_in("ada", PASSWORD);
    assert_eq!(session.get("/settings/keys").path, "/settings/keys");
    for refused in [
        json!({ "full_name": "Ada L." }),
        json!({ "email": "ada@example.internal" }),
        json!({ "must_change_password": true, "password": "another long password" }),
        json!({ "password": "short" }),
    ] {
        olga.patch("/admin/users/ada", refused).expect(422);
    }
    ada.get("/user").expect(200);
    let now = olga.get("/admin/users").expect(200)[0].clone();
    olga.patch("/admin/users/ada", now).expect(200);
    olga.patch("/admin/users/ada", json!({ "password": "another long password" })).expect(200);
    ada.get("/user").expect(401);
    assert!(session.get("/settings/keys").path.starts_with("/sign-in"), "the session ended");
    olga.patch("/admin/users/olga", json!({ "password": "another long password" })).expect(403);
    let kinds = site.admin().get("/admin/audit").text();
    assert!(kinds.contains("password.reset"), "{kinds}");
}

#[test]
fn a_token_ends_when_its_maker_said() {
    let (_site, ada) = with_notes(&json!({}));
    let new = |expires: &str| json!({ "name": "ci", "scopes": ["all"], "expires_at": expires });
    for wrong in ["2020-01-01T00:00:00Z", "2199-01-01T00:00:00Z", "tomorrow", "2027-01-01"] {
        ada.post("/users/ada/tokens", new(wrong)).expect(422);
    }
    let year = 1970 + base::Clock::now(&base::clock::SystemClock).seconds() / (365 * 24 * 60 * 60 + 6 * 60 * 60);
    let text = format!("{}-01-02T03:04:05Z", year + 1);
    assert_eq!(ada.post("/users/ada/tokens", new(&text)).expect(201)["expires_at"], json!(text));
    assert_eq!(ada.get("/users/ada/tokens").expect(200)[0]["expires_at"], json!(text));
}

#[test]
fn teams_are_read_by_their_members_and_what_is_hidden_is_left_out() {
    let (site, ada) = with_notes(&json!({}));
    site.user("ben");
    ada.post("/orgs", json!({ "username": "acme", "visibility": "private" })).expect(201);
    ada.post("/orgs/acme/repos", json!({ "name": "plans", "private": true })).expect(201);
    ada.post("/orgs/acme/repos", json!({ "name": "site" })).expect(201);
    let [theirs, other] = ["writers", "others"].map(|name| {
        let team = ada.post("/orgs/acme/teams", json!({ "name": name })).expect(201);
        format!("/teams/{}", team["id"])
    });
    ada.put(&format!("{theirs}/members/ben"), json!({})).expect(204);
    for repo in ["plans", "site"] {
        ada.put(&format!("{other}/repos/acme/{repo}"), json!({})).expect(204);
    }
    let ben = Caller::knowing(&site, "ben");
    let own = ben.get("/user/teams");
    assert_eq!((own.expect(200)[0]["name"].clone(), own.header("x-total-count")), (json!("writers"), "1"));
    assert_eq!(own.json()[0]["organization"]["username"], "acme");
    let listed = ben.get(&format!("{other}/repos")).expect(200);
    let names: Vec<_> = listed.as_array().unwrap().iter().map(|repo| repo["name"].clone()).collect();
    assert_eq!(names, [json!("site")]);
    ben.get(&format!("{other}/repos/acme/plans")).expect(404);
    assert_eq!(ben.get(&format!("{other}/repos/acme/site")).expect(200)["name"], "site");
    ben.get(&format!("{theirs}/repos/acme/site")).expect(404);
    assert_eq!(ben.get(&format!("{theirs}/members/ben")).expect(200)["login"], "ben");
    ben.get(&format!("{theirs}/members/ada")).expect(404);

    assert_eq!(ben.get("/user/emails").expect(200)[0]["email"], "ben@noreply.localhost");
    assert_eq!(Caller::knowing(&site, ADMIN).get("/admin/orgs").expect(200)[0]["username"], "acme");
    ada.get("/admin/orgs").expect(404);
    ben.post("/repos/acme/site/transfer", json!({ "new_owner": "ben" })).expect(403);
    ada.post("/repos/ada/notes/transfer", json!({ "new_owner": "ben" })).expect(422);
    let moved = ada.post("/repos/ada/notes/transfer", json!({ "new_owner": "acme" })).expect(202);
    assert_eq!(moved["full_name"], "acme/notes");
    ada.get("/repos/ada/notes").expect(404);
}

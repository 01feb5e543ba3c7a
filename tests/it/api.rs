//! Stories of programs at the API: what git pushed is read as JSON, who may not know learns nothing, and what does not
//! fit is refused in the words that clients of the family read.

use std::fmt::Write;

use regex::Regex;
use reqwest::Method;
use serde_json::{Value, json};

use crate::api_caller::Caller;
use crate::site::{ADMIN, PASSWORD, Site};

/// A site on which Ada has pushed three commits and a tag to a repository `notes`; it is hers alone to see.
fn with_notes() -> (Site, Caller) {
    let site = Site::start();
    site.user("ada");
    let ada = Caller::knowing(&site, "ada");
    ada.post("/user/repos", json!({ "name": "notes", "description": "what I think", "private": true })).expect(201);
    let git = site.git().with_password("ada", PASSWORD);
    let local = git.path("notes");
    git.ok(git.home(), ["init", "--quiet", "notes"]);
    for (number, path, text) in
        [(1, "README.md", "# Notes\n"), (2, "src/a b.txt", "one\n"), (3, "src/a b.txt", "two\n")]
    {
        let file = local.join(path);
        base::file::create_dir(file.parent().unwrap(), 0o700).unwrap();
        base::file::write_atomic(&file, text.as_bytes(), 0o644).unwrap();
        git.ok(&local, ["add", "--all"]);
        git.ok(&local, ["commit", "--quiet", "--message", &format!("change {number}\n\nwith a body")]);
    }
    git.ok(&local, ["tag", "--annotate", "--message", "the first", "v1.0"]);
    git.ok(&local, ["branch", "feature/x"]);
    git.ok(&local, ["push", "--quiet", &site.https("ada/notes"), "main", "feature/x", "v1.0"]);
    (site, ada)
}

#[test]
fn what_git_pushed_is_read_by_a_program() {
    let (site, ada) = with_notes();
    let branches = ada.get("/repos/ada/notes/branches");
    let names: Vec<_> = branches.expect(200).as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!((names, branches.header("x-total-count")), (vec![json!("feature/x"), json!("main")], "2"));
    let main = ada.get("/repos/ada/notes/branches/main").expect(200);
    let head = main["commit"]["id"].as_str().unwrap().to_owned();
    ada.get("/repos/ada/notes/branches/feature/x").expect(200);
    ada.get("/repos/ada/notes/branches/feature%2Fx").expect(200);
    ada.get("/repos/ada/notes/branches/none").expect(404);

    let tag = ada.get("/repos/ada/notes/tags/v1.0").expect(200);
    assert_eq!((&tag["message"], &tag["commit"]["sha"]), (&json!("the first"), &json!(head)));
    let object = ada.get(&format!("/repos/ada/notes/git/tags/{}", tag["id"].as_str().unwrap())).expect(200);
    assert_eq!((&object["tag"], &object["object"]["sha"]), (&json!("v1.0"), &json!(head)));

    let commits = ada.get("/repos/ada/notes/commits?limit=2");
    assert_eq!(commits.expect(200).as_array().unwrap().len(), 2);
    assert_eq!((commits.header("x-total-count"), commits.header("x-hasmore")), ("3", "true"));
    assert!(commits.header("link").contains("page=2>; rel=\"next\""), "{}", commits.header("link"));
    let first = &commits.json()[0];
    assert_eq!((&first["sha"], &first["stats"]["total"]), (&json!(head), &json!(2)));
    assert_eq!(first["files"], json!([{ "filename": "src/a b.txt", "status": "modified" }]));
    let bare = ada.get("/repos/ada/notes/commits?stat=false&path=src").expect(200);
    assert_eq!((bare.as_array().unwrap().len(), &bare[0]["stats"]), (2, &Value::Null));

    let tree = ada.get("/repos/ada/notes/git/trees/main?recursive=true").expect(200);
    let paths: Vec<_> = tree["tree"].as_array().unwrap().iter().map(|entry| entry["path"].clone()).collect();
    assert_eq!(paths, [json!("README.md"), json!("src"), json!("src/a b.txt")]);
    let compare =
        ada.get(&format!("/repos/ada/notes/compare/{}...{head}", first["parents"][0]["sha"].as_str().unwrap()));
    assert_eq!(compare.expect(200)["total_commits"], 1);

    let patch = ada.get(&format!("/repos/ada/notes/git/commits/{head}.diff")).text();
    assert!(patch.ends_with("-one\n+two\n"), "{patch}");
    let archive = ada.get("/repos/ada/notes/archive/v1.0.zip");
    assert!(archive.status == 200 && archive.body.starts_with(b"PK"));
    assert_eq!(ada.get("/repos/ada/notes/raw/src/a%20b.txt?ref=feature/x").text(), "two\n");
    drop(site);
}

#[test]
fn contents_are_files_and_directories_and_an_empty_repository_has_none() {
    let (_site, ada) = with_notes();
    let root = ada.get("/repos/ada/notes/contents").expect(200);
    let kinds: Vec<_> = root.as_array().unwrap().iter().map(|entry| entry["type"].clone()).collect();
    assert_eq!(kinds, [json!("dir"), json!("file")]);
    let file = ada.get("/repos/ada/notes/contents/src/a%20b.txt?ref=v1.0").expect(200);
    assert_eq!((&file["encoding"], &file["content"]), (&json!("base64"), &json!("dHdvCg==")));
    assert_eq!((&file["path"], &file["size"]), (&json!("src/a b.txt"), &json!(4)));
    let blob = ada.get(&format!("/repos/ada/notes/git/blobs/{}", file["sha"].as_str().unwrap())).expect(200);
    assert_eq!(blob["content"], file["content"]);
    ada.get("/repos/ada/notes/contents/none").expect(404);
    ada.get("/repos/ada/notes/contents?ref=none").expect(404);

    ada.post("/user/repos", json!({ "name": "empty" })).expect(201);
    assert_eq!(ada.get("/repos/ada/empty/contents").expect(200), json!([]));
    assert_eq!(ada.get("/repos/ada/empty/commits").expect(200), json!([]));
    assert_eq!(ada.get("/repos/ada/empty/branches").expect(200), json!([]));
    assert_eq!(ada.get("/repos/ada/empty").expect(200)["empty"], true);
}

#[test]
fn who_has_an_object_is_told_so_and_who_lost_the_right_is_not() {
    let (site, ada) = with_notes();
    let head = ada.get("/repos/ada/notes/branches/main").expect(200)["commit"]["id"].as_str().unwrap().to_owned();
    let path = format!("/repos/ada/notes/git/commits/{head}");
    let tag = ada.get(&path).header("etag").to_owned();
    assert!(!tag.is_empty());
    let again = ada.send(Method::GET, &path, None, &[("if-none-match", &tag)]);
    assert_eq!((again.status, again.body.len()), (304, 0));
    let nobody = Caller::nobody(&site).send(Method::GET, &path, None, &[("if-none-match", &tag)]);
    assert_eq!(nobody.status, 404);
    // What a name stands for changes, so there is nothing to keep.
    assert_eq!(ada.get("/repos/ada/notes/git/commits/main").header("etag"), "");
}

#[test]
fn a_hidden_repository_and_an_absent_one_are_one_answer() {
    let (site, _ada) = with_notes();
    site.user("eve");
    for caller in [Caller::nobody(&site), Caller::knowing(&site, "eve")] {
        for path in ["", "/branches", "/contents", "/commits", "/git/trees/main", "/raw/README.md", "/statuses/main"] {
            let [hidden, absent] = ["ada/notes", "ada/none"].map(|repo| caller.get(&format!("/repos/{repo}{path}")));
            assert_eq!((hidden.status, &hidden.body), (404, &absent.body), "{path}");
        }
        for (method, path) in [(Method::DELETE, ""), (Method::PATCH, ""), (Method::POST, "/statuses/main")] {
            let answer =
                caller.send(method, &format!("/repos/ada/notes{path}"), Some(&json!({ "state": "success" })), &[]);
            assert_eq!(answer.status, 404, "{path} {}", answer.text());
        }
    }
    assert_eq!(Caller::knowing(&site, "eve").get("/repos/search?q=notes").expect(200)["data"], json!([]));
}

#[test]
fn a_token_comes_in_the_header_and_nowhere_else() {
    let site = Site::start();
    let (holder, token) = Caller::holding(&site, ADMIN, &["read:user"]);
    assert_eq!(holder.get("/user").expect(200)["login"], ADMIN);
    assert_eq!(Caller::with(&site, &format!("Bearer {token}")).get("/user").status, 200);
    let nobody = Caller::nobody(&site);
    for name in ["token", "access_token", "private_token", "%74oken"] {
        let refused = nobody.get(&format!("/user?{name}={token}"));
        assert_eq!(refused.status, 401, "{name}");
        assert!(refused.text().contains("Authorization header"), "{}", refused.text());
    }
    assert_eq!(nobody.get("/user").status, 401);
    for wrong in ["token ggt_wrong", "Bearer x", "Digest x", "Basic !", "token"] {
        assert_eq!(Caller::with(&site, wrong).get("/version").status, 401, "{wrong}");
    }
    // A session belongs to pages; a page of another site could send it along.
    let answer = site.admin().get("/api/v1/user");
    assert_eq!(answer.status, 401, "{}", answer.text());
}

#[test]
fn a_token_does_what_it_was_made_for_and_no_more() {
    let (site, _ada) = with_notes();
    let (reader, _) = Caller::holding(&site, "ada", &["read:repository"]);
    reader.get("/repos/ada/notes").expect(200);
    reader.get("/user").expect(403);
    reader.post("/repos/ada/notes/statuses/main", json!({ "state": "success" })).expect(403);
    reader.delete("/repos/ada/notes").expect(403);
    reader.get("/users/ada/tokens").expect(403);
    let (profile, _) = Caller::holding(&site, "ada", &["read:user"]);
    profile.get("/user").expect(200);
    profile.get("/repos/ada/notes").expect(403);
    profile.get("/admin/users").expect(404);
    let (administrator, _) = Caller::holding(&site, ADMIN, &["read:repository"]);
    administrator.get("/admin/users").expect(403);
    let (administrator, _) = Caller::holding(&site, ADMIN, &["write:admin"]);
    administrator.get("/admin/users").expect(200);
}

#[test]
fn statuses_are_said_by_writers_and_read_by_readers() {
    let (_site, ada) = with_notes();
    let head = ada.get("/repos/ada/notes/branches/main").expect(200)["commit"]["id"].as_str().unwrap().to_owned();
    assert_eq!(ada.get("/repos/ada/notes/commits/main/status").expect(200)["state"], "pending");
    let say = |context: &str, state: &str| {
        let body = json!({ "context": context, "state": state, "target_url": "https://ci.example/1" });
        ada.post(&format!("/repos/ada/notes/statuses/{head}"), body).expect(201)
    };
    assert_eq!(say("ci/build", "pending")["status"], "pending");
    say("ci/test", "failure");
    assert_eq!(say("ci/build", "success")["creator"]["login"], "ada");
    let combined = ada.get(&format!("/repos/ada/notes/commits/{head}/status")).expect(200);
    assert_eq!((&combined["state"], &combined["total_count"]), (&json!("failure"), &json!(2)));
    say("ci/test", "success");
    assert_eq!(ada.get("/repos/ada/notes/commits/feature%2Fx/status").expect(200)["state"], "success");
    let all = ada.get(&format!("/repos/ada/notes/statuses/{head}?limit=3"));
    assert_eq!((all.expect(200).as_array().unwrap().len(), all.header("x-total-count")), (3, "4"));
    for body in [json!({ "state": "done" }), json!({}), json!({ "state": "success", "target_url": "javascript:x" })] {
        ada.post(&format!("/repos/ada/notes/statuses/{head}"), body).expect(422);
    }
    ada.post("/repos/ada/notes/statuses/0123456789012345678901234567890123456789", json!({ "state": "success" }))
        .expect(404);
}

#[test]
fn what_does_not_fit_is_refused_in_the_family_s_words() {
    let (site, ada) = with_notes();
    let taken = ada.post("/user/repos", json!({ "name": "Notes" }));
    assert_eq!(taken.status, 409);
    assert_eq!(taken.json()["url"], format!("{}/api/swagger", site.url()));
    assert!(taken.json()["message"].as_str().unwrap().contains("taken"));
    for body in [json!({ "name": 1 }), json!({}), json!({ "name": "a/b" }), json!([]), json!("x")] {
        ada.post("/user/repos", body).expect(422);
    }
    let deep: Value = (0..100).fold(json!(1), |below, _| json!({ "x": below }));
    ada.post("/user/repos", json!({ "name": "deep", "x": deep })).expect(201);
    let deeper: Value = (0..300).fold(json!(1), |below, _| json!([below]));
    // What is passed over is passed over at any depth, and what is read is not.
    ada.post("/user/repos", json!({ "name": "deeper", "x": deeper.clone() })).expect(201);
    ada.post("/user/repos", json!({ "name": deeper })).expect(422);

    assert_eq!(
        ada.send(Method::PUT, "/user/repos", None, &[]).expect(405)["message"],
        "this address knows other methods"
    );
    ada.get("/no/such/thing").expect(404);
    ada.get("/repos/ada/notes/git/blobs/main").expect(404);
    ada.get("/repositories/x").expect(404);
    assert_eq!(ada.get("/user/keys?page=999999&limit=-3").expect(200), json!([]));
}

#[test]
fn keys_come_and_go() {
    let site = Site::start();
    site.user("ada");
    let ada = Caller::knowing(&site, "ada");
    let line = crate::ssh::Key::generate("ed25519").public();
    let key = ada.post("/user/keys", json!({ "title": "laptop", "key": line })).expect(201);
    let id = &key["id"];
    assert!(key["fingerprint"].as_str().unwrap().starts_with("SHA256:"));
    assert_eq!(ada.get("/users/ada/keys").expect(200)[0]["key"], key["key"]);
    ada.post("/user/keys", json!({ "title": "again", "key": line })).expect(422);
    ada.post("/user/keys", json!({ "title": "none", "key": "ssh-ed25519 AAAA" })).expect(422);
    assert_eq!(Caller::knowing(&site, ADMIN).get(&format!("/user/keys/{id}")).status, 404);
    ada.get(&format!("/user/keys/{id}")).expect(200);
    ada.delete(&format!("/user/keys/{id}")).expect(204);
    ada.delete(&format!("/user/keys/{id}")).expect(404);
}

#[test]
fn an_organisation_with_its_teams_is_made_by_a_program() {
    let (site, ada) = with_notes();
    site.user("ben");
    ada.post("/orgs", json!({ "username": "acme", "full_name": "Acme", "visibility": "limited" })).expect(201);
    Caller::nobody(&site).get("/orgs/acme").expect(404);
    ada.post("/orgs/acme/repos", json!({ "name": "plans", "private": true })).expect(201);
    let ben = Caller::knowing(&site, "ben");
    ben.get("/repos/acme/plans").expect(404);
    ben.get("/orgs/acme/teams").expect(403);
    let team = ada.post("/orgs/acme/teams", json!({ "name": "writers", "permission": "write" })).expect(201);
    let id = &team["id"];
    ada.put(&format!("/teams/{id}/members/ben"), json!({})).expect(204);
    ada.put(&format!("/teams/{id}/repos/acme/plans"), json!({})).expect(204);
    assert_eq!(
        ben.get("/repos/acme/plans").expect(200)["permissions"],
        json!({ "admin": false, "push": true, "pull": true })
    );
    assert_eq!(ben.get("/user/orgs").expect(200)[0]["username"], "acme");
    assert_eq!(ben.get("/user/repos").expect(200)[0]["full_name"], "acme/plans");
    ben.get("/orgs/acme/members/ben").expect(204);
    ben.delete(&format!("/teams/{id}")).expect(403);
    ada.delete(&format!("/teams/{id}")).expect(204);
    ben.get("/repos/acme/plans").expect(404);

    ada.put("/repos/acme/plans/collaborators/ben", json!({ "permission": "read" })).expect(204);
    let permission = ada.get("/repos/acme/plans/collaborators/ben/permission").expect(200);
    assert_eq!((&permission["permission"], &permission["user"]["login"]), (&json!("read"), &json!("ben")));
    ben.get("/repos/acme/plans").expect(200);
    ben.get("/repos/acme/plans/collaborators").expect(403);
    let line = crate::ssh::Key::generate("ed25519").public();
    let key = ada.post("/repos/acme/plans/keys", json!({ "title": "ci", "key": line, "read_only": true })).expect(201);
    assert_eq!(key["read_only"], true);
    ada.delete(&format!("/repos/acme/plans/keys/{}", key["id"])).expect(204);
    ada.patch("/repos/acme/plans", json!({ "name": "goals", "description": "what we want" })).expect(200);
    assert_eq!(ada.get("/repos/acme/goals").expect(200)["description"], "what we want");
    ada.delete("/orgs/acme").expect(422);
    ada.delete("/repos/acme/goals").expect(204);
    ada.delete("/orgs/acme").expect(204);
}

#[test]
fn accounts_are_made_and_shut_by_an_administrator_s_program() {
    let site = Site::start();
    let root = Caller::knowing(&site, ADMIN);
    let new = json!({ "username": "ben", "email": "ben@example.org", "password": PASSWORD });
    assert_eq!(root.post("/admin/users", new.clone()).expect(201)["login"], "ben");
    root.post("/admin/users", new).expect(409);
    root.post("/admin/users", json!({ "username": "cy", "password": "short" })).expect(422);
    let ben = Caller::knowing(&site, "ben");
    ben.get("/user").expect(200);
    ben.get("/admin/users").expect(404);
    ben.delete("/admin/users/ben").expect(404);
    assert_eq!(root.patch("/admin/users/ben", json!({ "active": false })).expect(200)["active"], false);
    ben.get("/user").expect(401);
    root.delete("/admin/users/ben").expect(204);
    assert_eq!(root.get("/users/search?q=ben").expect(200)["data"], json!([]));
}

/// What clients of the family parse, field by field.
#[test]
fn the_shapes_are_those_of_the_family() {
    let (site, ada) = with_notes();
    let mut text = String::new();
    for path in [
        "/version",
        "/settings/api",
        "/user",
        "/repos/ada/notes",
        "/repos/ada/notes/branches/main",
        "/repos/ada/notes/tags/v1.0",
        "/repos/ada/notes/git/commits/main",
        "/repos/ada/notes/contents/README.md",
        "/repos/ada/notes/commits/main/status",
        "/repos/ada/notes/git/trees/main",
        "/repos/ada/notes/git/refs",
    ] {
        write!(text, "GET {path}\n{:#}\n\n", ada.get(path).expect(200)).unwrap();
    }
    let stable =
        |pattern: &str, with: &str, text: &str| Regex::new(pattern).unwrap().replace_all(text, with).into_owned();
    let text = text.replace(&site.url(), "https://SITE");
    let text = stable("[0-9a-f]{40}", "ID", &text);
    let text = stable(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", &text);
    let text = stable(r"ssh://git@[^/]+/", "ssh://SITE/", &text);
    let text = stable("\"(id|size)\": \\d+", "\"$1\": N", &text);
    insta::assert_snapshot!(text);
}

//! Git LFS at a bound server, spoken by hand: what a client that does not keep to the rules gets.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use forge::Visibility;

use crate::lfs_answer::MEDIA_TYPE;
use crate::test_client::{Answer, get, send};
use crate::test_site::{PASSWORD, Site};

/// SHA-256 of `abc`.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const LFS: &str = "/alice/notes.git/info/lfs";

fn basic(name: &str, secret: &str) -> String {
    format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("{name}:{secret}")))
}

fn alice() -> String {
    basic("alice", PASSWORD)
}

async fn post(site: &Site, path: &str, credentials: &str, body: &str) -> Answer {
    send(site, "POST", path, &format!("{credentials}Content-Type: {MEDIA_TYPE}\r\n"), body.as_bytes()).await
}

async fn put(site: &Site, path: &str, credentials: &str, body: &[u8]) -> Answer {
    send(site, "PUT", path, credentials, body).await
}

fn batch(operation: &str, oid: &str, size: i64) -> String {
    format!(r#"{{"operation":"{operation}","transfers":["basic"],"objects":[{{"oid":"{oid}","size":{size}}}]}}"#)
}

/// Files below the directory of large files, uploads under way left out.
fn shelved(site: &Site) -> Vec<String> {
    let (mut found, mut open) = (Vec::new(), vec![site.dir.path().join("lfs")]);
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() { open.push(path) } else { found.push(path.display().to_string()) }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_goes_up_once_and_comes_down_whole_or_in_part() {
    let site = Site::start().await;
    let asked = post(&site, &format!("{LFS}/objects/batch"), &alice(), &batch("upload", ABC, 3)).await;
    assert_eq!(asked.status, 200, "{}", asked.body);
    assert!(asked.body.contains(&format!("/alice/notes.git/info/lfs/objects/{ABC}")), "{}", asked.body);
    assert!(!asked.body.contains("Authorization"), "no secret is sent back: {}", asked.body);
    let path = format!("{LFS}/objects/{ABC}");
    assert_eq!(get(&site, &path, &alice()).await.status, 404);
    assert_eq!(put(&site, &path, &alice(), b"abc").await.status, 200);
    let object = format!(r#"{{"oid":"{ABC}","size":3}}"#);
    assert_eq!(post(&site, &format!("{LFS}/verify"), &alice(), &object).await.status, 200);
    let wrong = object.replace(":3", ":4");
    assert_eq!(post(&site, &format!("{LFS}/verify"), &alice(), &wrong).await.status, 422);
    let again = post(&site, &format!("{LFS}/objects/batch"), &alice(), &batch("upload", ABC, 3)).await;
    assert!(!again.body.contains("actions"), "{}", again.body);

    let whole = get(&site, &path, &alice()).await;
    assert_eq!((whole.status, whole.body.as_str()), (200, "abc"));
    for header in ["content-security-policy: sandbox; default-src 'none'", "accept-ranges: bytes", "immutable"] {
        assert!(whole.head.contains(header), "{}", whole.head);
    }
    let part = get(&site, &path, &format!("{}Range: bytes=1-\r\n", alice())).await;
    assert_eq!((part.status, part.body.as_str()), (206, "bc"));
    assert!(part.head.contains("content-range: bytes 1-2/3"), "{}", part.head);
    let beyond = get(&site, &path, &format!("{}Range: bytes=3-\r\n", alice())).await;
    assert_eq!(beyond.status, 416);
    let other = get(&site, &path, &format!("{}Range: bytes=1-\r\nIf-Range: \"x\"\r\n", alice())).await;
    assert_eq!((other.status, other.body.as_str()), (200, "abc"));
    let known = get(&site, &path, &format!("{}If-None-Match: \"{ABC}\"\r\n", alice())).await;
    assert_eq!(known.status, 304);
}

/// The class of CVE-2026-25921: an upload that was another object, or took the place of one.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_the_object_that_was_named_is_refused_and_leaves_nothing() {
    let site = Site::start().await;
    let path = format!("{LFS}/objects/{ABC}");
    for (content, credentials, status) in [
        (&b"abd"[..], alice(), 422),
        (b"abcd", alice(), 422),
        (b"abc", format!("{}Content-Encoding: gzip\r\n", alice()), 415),
    ] {
        assert_eq!(put(&site, &path, &credentials, content).await.status, status);
    }
    let chunked = format!("{}Transfer-Encoding: chunked\r\n", alice());
    assert_eq!(send(&site, "PUT", &path, &chunked, b"").await.status, 411);
    assert_eq!(shelved(&site), Vec::<String>::new());
    assert_eq!(get(&site, &path, &alice()).await.status, 404);
    assert_eq!(put(&site, &path, &alice(), b"abc").await.status, 200);
    assert_eq!(put(&site, &path, &alice(), b"abd").await.status, 422);
    assert_eq!(get(&site, &path, &alice()).await.body, "abc");
}

/// The class of CVE-2025-58158 and CVE-2024-41956: an id that named a file or a program.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_is_none_names_no_file() {
    let site = Site::start().await;
    let upper = ABC.to_uppercase();
    for oid in ["..%2f..%2f..%2fgitgrit.sqlite", "%2e%2e", &ABC[1..], &upper, "-o", "a%00b", "%2fetc%2fpasswd"] {
        let path = format!("{LFS}/objects/{oid}");
        assert_eq!(put(&site, &path, &alice(), b"abc").await.status, 422, "{oid}");
        assert_eq!(get(&site, &path, &alice()).await.status, 404, "{oid}");
    }
    let asked = post(&site, &format!("{LFS}/objects/batch"), &alice(), &batch("upload", "../../x", 3)).await;
    assert!(asked.body.contains("\"code\":422") && !asked.body.contains("href"), "{}", asked.body);
    assert_eq!(shelved(&site), Vec::<String>::new());
}

/// The class of CVE-2026-28740 and CVE-2026-52812: knowing an object's id was enough to have another repository's.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_another_repository_is_not_to_be_had_by_its_id() {
    let site = Site::start().await;
    assert_eq!(put(&site, &format!("{LFS}/objects/{ABC}"), &alice(), b"abc").await.status, 200);
    let (bob, own) = (basic("bob", PASSWORD), "/bob/notes.git/info/lfs");
    let down = post(&site, &format!("{own}/objects/batch"), &bob, &batch("download", ABC, 3)).await;
    assert!(down.body.contains("\"code\":404") && !down.body.contains("href"), "{}", down.body);
    // The batch asks for the bytes, as if nobody had them.
    let up = post(&site, &format!("{own}/objects/batch"), &bob, &batch("upload", ABC, 3)).await;
    assert!(up.body.contains("\"upload\""), "{}", up.body);
    assert_eq!(
        post(&site, &format!("{own}/verify"), &bob, &format!(r#"{{"oid":"{ABC}","size":3}}"#)).await.status,
        404
    );
    assert_eq!(get(&site, &format!("{own}/objects/{ABC}"), &bob).await.status, 404);
    assert_eq!(put(&site, &format!("{own}/objects/{ABC}"), &bob, b"abd").await.status, 422);
    assert_eq!(get(&site, &format!("{own}/objects/{ABC}"), &bob).await.status, 404);
    assert_eq!(put(&site, &format!("{own}/objects/{ABC}"), &bob, b"abc").await.status, 200);
    assert_eq!(shelved(&site).len(), 1, "the bytes are there once");
    // One repository's end is not the other's.
    let path = base::name::RepoPath::parse_joined("alice/notes").unwrap();
    let repo = site.forge.repo(&site.actor("alice").await, &path).await.unwrap();
    site.forge.delete_repo(repo.for_admin().unwrap()).await.unwrap();
    assert_eq!(get(&site, &format!("{own}/objects/{ABC}"), &bob).await.body, "abc");
}

/// The class of CVE-2025-68941, CVE-2026-24791 and CVE-2026-28744: a door at which a token's scope was not asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_repository_looks_absent_and_a_reader_changes_nothing() {
    let site = Site::start().await;
    site.create_repo("alice", "open", Visibility::Public).await;
    let (read, write) = (site.token("alice", false).await, site.token("bob", true).await);
    for credentials in [String::new(), basic("bob", &write)] {
        let mut answers = Vec::new();
        for path in ["alice/notes", "alice/missing", "nobody/notes", "-x/y"] {
            let path = format!("/{path}.git/info/lfs/objects/batch");
            answers.push(post(&site, &path, &credentials, &batch("download", ABC, 3)).await.without_request_id());
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{answers:?}");
    }
    let anonymous = post(&site, &format!("{LFS}/objects/batch"), "", &batch("download", ABC, 3)).await;
    assert_eq!(anonymous.status, 401);
    assert!(anonymous.head.contains("lfs-authenticate: Basic realm=\"GitGrit\""), "{}", anonymous.head);
    assert_eq!(post(&site, &format!("{LFS}/objects/batch"), &basic("alice", "wrong"), "").await.status, 401);

    for (base, credentials, status) in [
        (LFS, basic("alice", &read), 403),
        ("/alice/open.git/info/lfs", basic("bob", &write), 403),
        ("/alice/open.git/info/lfs", String::new(), 401),
    ] {
        assert_eq!(
            post(&site, &format!("{base}/objects/batch"), &credentials, &batch("upload", ABC, 3)).await.status,
            status
        );
        assert_eq!(put(&site, &format!("{base}/objects/{ABC}"), &credentials, b"abc").await.status, status);
        assert_eq!(post(&site, &format!("{base}/locks"), &credentials, r#"{"path":"a"}"#).await.status, status);
        assert_eq!(post(&site, &format!("{base}/locks/verify"), &credentials, "{}").await.status, status);
        assert_eq!(
            post(&site, &format!("{base}/locks/x/unlock"), &credentials, r#"{"force":true}"#).await.status,
            status
        );
    }
    let open = post(&site, "/alice/open.git/info/lfs/objects/batch", "", &batch("download", ABC, 3)).await;
    assert_eq!(open.status, 200, "{}", open.body);
    let form = format!("{}Content-Type: application/x-www-form-urlencoded\r\n", alice());
    assert_eq!(send(&site, "POST", &format!("{LFS}/objects/batch"), &form, b"{}").await.status, 415);
}

/// The class of CVE-2026-22253 and CVE-2026-20897: a lock that was looked up by its id alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_its_repositorys_and_its_owners() {
    let site = Site::start().await;
    let (bob, own, root) = (basic("bob", PASSWORD), "/bob/notes.git/info/lfs", basic("root", PASSWORD));
    let taken = post(&site, &format!("{LFS}/locks"), &alice(), r#"{"path":"art/logo.psd"}"#).await;
    assert_eq!(taken.status, 201, "{}", taken.body);
    let id = taken.body.split("\"id\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
    let again = post(&site, &format!("{LFS}/locks"), &root, r#"{"path":"art/logo.psd"}"#).await;
    assert_eq!(again.status, 409);
    assert!(again.body.contains("locked by alice"), "{}", again.body);
    for path in ["", "..", "a/../b", "a\\u0000b"] {
        let refused = post(&site, &format!("{LFS}/locks"), &alice(), &format!(r#"{{"path":"{path}"}}"#)).await;
        assert_eq!(refused.status, 422, "{path}");
    }
    // Bob's own repository does not reach it.
    let unlock = |base: &str| format!("{base}/locks/{id}/unlock");
    assert_eq!(post(&site, &unlock(own), &bob, r#"{"force":true}"#).await.status, 404);
    assert_eq!(get(&site, &format!("{own}/locks?id={id}"), &bob).await.body, r#"{"locks":[]}"#);
    // Another one's lock is named, and taken away only by who administers, and only when they say so.
    let sorted = post(&site, &format!("{LFS}/locks/verify"), &root, "{}").await;
    assert!(sorted.body.contains(r#""ours":[],"theirs":[{"#), "{}", sorted.body);
    let refused = post(&site, &unlock(LFS), &root, "{}").await;
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("the lock of alice on `art/logo.psd`"), "{}", refused.body);
    assert_eq!(post(&site, &unlock(LFS), &root, r#"{"force":true}"#).await.status, 200);
    assert_eq!(post(&site, &unlock(LFS), &alice(), "").await.status, 404);
    let broken = forge::AuditFilter { action: Some("lfs.lock_broken".into()), ..forge::AuditFilter::default() };
    let page = site.forge.audit(&site.actor("root").await, &broken).await.unwrap();
    assert_eq!(page.records.len(), 1);
}

/// No text from outside makes a fault of ours: a database takes no NUL.
#[tokio::test(flavor = "multi_thread")]
async fn a_nul_names_no_lock() {
    let site = Site::start().await;
    for name in ["path", "id", "cursor"] {
        assert_eq!(get(&site, &format!("{LFS}/locks?{name}=a%00b"), &alice()).await.status, 422, "{name}");
    }
    let page = post(&site, &format!("{LFS}/locks/verify"), &alice(), r#"{"cursor":"a\u0000b"}"#).await;
    assert_eq!(page.status, 422, "{}", page.body);
    assert_eq!(post(&site, &format!("{LFS}/locks/a%00b/unlock"), &alice(), "{}").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_come_in_pages() {
    let site = Site::start().await;
    for name in ["a", "b", "c"] {
        post(&site, &format!("{LFS}/locks"), &alice(), &format!(r#"{{"path":"{name}"}}"#)).await;
    }
    let first = get(&site, &format!("{LFS}/locks?limit=2"), &alice()).await;
    assert!(first.body.contains(r#""next_cursor":"b""#) && !first.body.contains(r#""path":"c""#), "{}", first.body);
    let second = get(&site, &format!("{LFS}/locks?limit=2&cursor=b"), &alice()).await;
    assert!(second.body.contains(r#""path":"c""#) && !second.body.contains("next_cursor"), "{}", second.body);
    let one = get(&site, &format!("{LFS}/locks?path=b"), &alice()).await;
    assert!(one.body.contains(r#""path":"b""#) && !one.body.contains(r#""path":"a""#), "{}", one.body);
}

/// The class of CVE-2026-58423: what was got over SSH for one direction opened the other. A pass is for one repository, one direction and half an hour, and opens nothing that its key no longer opens.
#[tokio::test(flavor = "multi_thread")]
async fn a_pass_from_ssh_is_held_to_what_it_was_given_for() {
    let site = Site::start().await;
    site.create_repo("alice", "other", Visibility::Private).await;
    let key = site.ssh_key("alice").await;
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    let pass = async |operation: &str| {
        let program = base::process::Program::new("ssh")
            .options(site.ssh_options(&key))
            .options(["-p", &site.addresses.ssh.port().to_string(), "-l", "git", "localhost"])
            .option(format!("git-lfs-authenticate 'alice/notes.git' {operation}"))
            .deadline(std::time::Duration::from_secs(20));
        let done = tokio::task::spawn_blocking(move || program.run(b"").unwrap()).await.unwrap();
        assert!(done.status.success(), "{}", done.stderr);
        let said = String::from_utf8(done.stdout).unwrap();
        let pass = said.split("Bearer ").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        format!("Authorization: Bearer {pass}\r\n")
    };
    let (down, up) = (pass("download").await, pass("upload").await);
    let asked = |base: &'static str, credentials: String, operation: &'static str| {
        let site = &site;
        async move { post(site, &format!("{base}/objects/batch"), &credentials, &batch(operation, ABC, 3)).await }
    };
    assert_eq!(asked(LFS, down.clone(), "download").await.status, 200);
    assert_eq!(asked(LFS, down.clone(), "upload").await.status, 403);
    assert_eq!(put(&site, &format!("{LFS}/objects/{ABC}"), &down, b"abc").await.status, 403);
    let offered = asked(LFS, up.clone(), "upload").await;
    assert!(offered.status == 200 && offered.body.contains("Authorization"), "{}", offered.body);
    assert_eq!(put(&site, &format!("{LFS}/objects/{ABC}"), &up, b"abc").await.status, 200);
    assert_eq!(asked("/alice/other.git/info/lfs", up.clone(), "upload").await.status, 404);
    let refs = get(&site, "/alice/notes.git/info/refs?service=git-upload-pack", &up).await;
    assert_eq!(refs.status, 401, "a pass opens Git LFS alone");
    let changed = up.replace("Bearer g", "Bearer h");
    assert_eq!(asked(LFS, changed, "upload").await.status, 401);
    // What else the site has sealed with the same key is no pass.
    assert_eq!(asked(LFS, "Authorization: Bearer x\r\n".into(), "download").await.status, 401);

    site.clock.advance(31 * 60);
    assert_eq!(asked(LFS, up, "upload").await.status, 401);
    let fresh = pass("upload").await;
    assert_eq!(asked(LFS, fresh.clone(), "upload").await.status, 200);
    let alice_now = site.actor("alice").await;
    let keys = site.forge.ssh_keys(&alice_now).await.unwrap();
    site.forge.remove_ssh_key(&alice_now, keys[0].id).await.unwrap();
    assert_eq!(asked(LFS, fresh, "upload").await.status, 401, "{public}");
}

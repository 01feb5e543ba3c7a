//! The matrix of rights at the doors of Git LFS and of archives, and that no token opens a stream of live events: every
//! kind of person × every kind of repository × every kind of token. What is expected follows from who the person is, and
//! not from the code under test.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client, Method, RequestBuilder};

use crate::authz_matrix::{Expected, Probe, faults};
use crate::authz_people::{ANONYMOUS, Level, PEOPLE, PLACES, VICTIM, fill, level};
use crate::site::{ADMIN, Site};

/// SHA-256 of `abc`, which every repository has here.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// Method, address, body, the least that it takes, and the answer to who may.
type Door = (Method, String, String, Level, u16);

fn doors() -> Vec<Door> {
    let batch = |operation: &str| {
        format!(r#"{{"operation":"{operation}","transfers":["basic"],"objects":[{{"oid":"{ABC}","size":3}}]}}"#)
    };
    let post = |path: &str, body: String, least, status| (Method::POST, path.to_owned(), body, least, status);
    let object = format!("objects/{ABC}");
    vec![
        post("objects/batch", batch("download"), Level::Read, 200),
        post("objects/batch", batch("upload"), Level::Write, 200),
        (Method::GET, object.clone(), String::new(), Level::Read, 200),
        // Another content than the name says.
        (Method::PUT, object, "abd".into(), Level::Write, 422),
        post("verify", format!(r#"{{"oid":"{ABC}","size":3}}"#), Level::Write, 200),
        (Method::GET, "locks".into(), String::new(), Level::Read, 200),
        post("locks", r#"{"path":".."}"#.into(), Level::Write, 422),
        post("locks/verify", "{}".into(), Level::Write, 200),
        post("locks/none/unlock", r#"{"force":true}"#.into(), Level::Write, 404),
    ]
}

struct Ground {
    url: String,
    client: Client,
    probes: Vec<Probe>,
}

impl Ground {
    fn request(&self, door: &Door, (owner, repo): (&str, &str), secret: Option<&str>) -> RequestBuilder {
        let (method, path, body, ..) = door;
        let url = format!("{}/{owner}/{repo}.git/info/lfs/{path}", self.url);
        let request = self.client.request(method.clone(), url).header(CONTENT_TYPE, "application/vnd.git-lfs+json");
        signed(request.body(body.clone()), secret)
    }

    /// Every door of one place; `most` is `None` for a secret that opens nothing at all.
    fn ask(&mut self, who: &str, place: (&str, &str), secret: Option<&str>, most: Option<Level>) {
        for door in doors() {
            let (method, path, _, least, permitted) = &door;
            let expected = match most {
                None => Expected::Shut,
                Some(found) if found >= *least && (secret.is_some() || *least == Level::Read) => {
                    Expected::Status(*permitted)
                }
                Some(_) if secret.is_none() => Expected::Status(401),
                Some(Level::None) => Expected::Status(404),
                Some(_) => Expected::Status(403),
            };
            let told = format!("{method} {path} of {place:?} by {who}");
            self.probes.push(Probe { told, request: self.request(&door, place, secret), expected });
        }
        let kind = "application/x-git-upload-archive-request";
        let archive = self.client.post(format!("{}/{}/{}.git/git-upload-archive", self.url, place.0, place.1));
        let archive = archive.header(CONTENT_TYPE, kind).body("0012argument HEAD\n0000");
        let expected = match most {
            None => Expected::Shut,
            Some(Level::None) => Expected::Status(if secret.is_none() { 401 } else { 404 }),
            Some(_) => Expected::Status(200),
        };
        let told = format!("an archive of {place:?} by {who}");
        self.probes.push(Probe { told, request: signed(archive, secret), expected });
        // A session alone opens a stream; to a token it is as to nobody.
        let request = signed(self.client.get(format!("{}/{}/{}/events", self.url, place.0, place.1)), secret);
        let expected = Expected::Status(if level(ANONYMOUS, place) >= Level::Read { 200 } else { 404 });
        self.probes.push(Probe { told: format!("the events of {place:?} by {who}"), request, expected });
    }
}

fn signed(request: RequestBuilder, secret: Option<&str>) -> RequestBuilder {
    match secret {
        Some(secret) => request.header(AUTHORIZATION, format!("Basic {}", STANDARD.encode(secret))),
        None => request,
    }
}

#[test]
fn large_files_and_their_locks_are_for_who_may_and_for_tokens_made_for_them() {
    let site = Site::start();
    let visitors = fill(&site);
    let client = crate::visitor::client(&site.ca_file());
    let mut ground = Ground { url: site.url(), client, probes: Vec::new() };
    let root = format!("{ADMIN}:{}", visitors[10].make_token("objects", "write"));
    let put: Door = (Method::PUT, format!("objects/{ABC}"), "abc".into(), Level::Write, 200);
    let uploads = PLACES.iter().map(|place| Probe {
        told: format!("the object of {place:?}"),
        request: ground.request(&put, *place, Some(&root)),
        expected: Expected::Status(200),
    });
    crate::tidy::hold(faults(uploads.collect()));
    for place in PLACES {
        ground.ask("nobody", place, None, Some(level(ANONYMOUS, place)));
    }
    for index in [1, 2, 3, 4, 5, 6, 9, 10] {
        let (name, visitor) = (PEOPLE[index], &visitors[index]);
        let secret = |token: &str| format!("{name}:{token}");
        let (reads, writes) = (visitor.make_token("lfs reads", "read"), visitor.make_token("lfs writes", "write"));
        let elsewhere = visitor.make_limited_token("lfs elsewhere", "write", &format!("{VICTIM}/own"));
        let (ended, _) = visitor.make_ended_token();
        for place in PLACES {
            let full = level(name, place);
            ground.ask(&format!("{name}, read:repository"), place, Some(&secret(&reads)), Some(full.min(Level::Read)));
            ground.ask(&format!("{name}, write:repository"), place, Some(&secret(&writes)), Some(full));
            let bound = level(ANONYMOUS, place);
            ground.ask(&format!("{name}, another repository's"), place, Some(&secret(&elsewhere)), Some(bound));
        }
        ground.ask(&format!("{name}, a token that ended"), PLACES[0], Some(&secret(&ended)), None);
    }
    assert!(ground.probes.len() > 1_900, "{}", ground.probes.len());
    crate::tidy::hold(faults(ground.probes));
}

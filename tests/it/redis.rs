//! Replicas that share PostgreSQL, Redis and repositories: what happens at one is heard at the other, and the loss of
//! Redis costs nobody more than the news.

use std::time::{Duration, Instant};

use reqwest::header::COOKIE;

use crate::api_caller::Caller;
use crate::postgres;
use crate::redis_server;
use crate::require::{free_port, until};
use crate::site::{ADMIN, Site};
use crate::visitor::Visitor;

/// What a page may take while Redis is in trouble; this machine is slow, and a hang of Redis is for ever.
const BUDGET: Duration = Duration::from_secs(3);

struct Replicas {
    site: Site,
    /// The second server: its process and its address.
    second: std::process::Child,
    second_url: String,
}

impl Drop for Replicas {
    fn drop(&mut self) {
        base::process::kill_group(self.second.id());
        let _ = self.second.wait();
    }
}

/// A site on servers, and a second server over the same data, in a directory of its own.
fn replicas(database: &postgres::Server, redis: &redis_server::Server) -> Replicas {
    let site = Site::start_on(&database.database("replicas"), Some(&redis.url()));
    let second = site.home().join("second");
    for folder in ["", "state"] {
        base::file::create_dir(&second.join(folder), 0o700).unwrap();
    }
    std::fs::copy(site.dir().env(), second.join(".env")).unwrap();
    std::os::unix::fs::symlink(site.dir().root().join("data"), second.join("data")).unwrap();
    let (http, ssh) = (free_port(), free_port());
    let log = std::fs::File::create(site.home().join("second.log")).unwrap();
    let serve = site.program().options(["serve", "--site"]).option(&second);
    let serve = serve.options(["--http", &format!("127.0.0.1:{http}"), "--ssh", &format!("127.0.0.1:{ssh}")]);
    let child = serve.start_detached(log).unwrap();
    let replicas = Replicas { second_url: format!("https://localhost:{http}"), site, second: child };
    until(60, "the second server", || std::net::TcpStream::connect(("127.0.0.1", http)).ok());
    replicas
}

impl Replicas {
    fn at_second(&self) -> Visitor {
        Visitor::new(&self.second_url, &self.site.ca_file()).of_site(&self.site.url())
    }

    fn ready(&self, expected: &str) {
        for visitor in [self.site.anonymous(), self.at_second()] {
            until(30, expected, || (visitor.get("/readyz").text() == expected).then_some(()));
        }
    }
}

/// Opens a stream of live events and gives what it says, word by word.
fn listen(url: String, cookie: String, ca_file: &std::path::Path) -> std::sync::mpsc::Receiver<String> {
    crate::visitor::install_provider();
    let pem = std::fs::read(ca_file).unwrap();
    let (told, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        runtime().block_on(async {
            let authority = reqwest::Certificate::from_pem(&pem).unwrap();
            let client = reqwest::Client::builder().tls_certs_only([authority]).no_proxy().build().unwrap();
            let mut answer = client.get(url).header(COOKIE, cookie).send().await.unwrap();
            let _ = told.send(format!("{} {:?}", answer.status().as_u16(), answer.headers().get("content-type")));
            while let Ok(Some(piece)) = answer.chunk().await {
                let _ = told.send(String::from_utf8_lossy(&piece).into_owned());
            }
            let _ = told.send("end".into());
        });
    });
    heard
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn hears(heard: &std::sync::mpsc::Receiver<String>, expected: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut all = String::new();
    while let Ok(piece) = heard.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        all.push_str(&piece);
        if all.contains(expected) {
            return;
        }
    }
    panic!("`{expected}` was not heard, but: {all}");
}

fn push_to(site: &Site, path: &str) {
    let admin = site.admin();
    let git = site.git().with_password(ADMIN, &admin.make_token("laptop", "write"));
    let local = git.history("local", 2);
    git.ok(&local, ["push", "--quiet", "--force", &site.https(path), "main"]);
}

#[test]
fn a_push_at_one_replica_is_heard_at_the_other_and_no_job_is_lost_with_redis() {
    let (Some(database), Some(mut redis)) = (postgres::Server::start(), redis_server::Server::start()) else { return };
    let replicas = replicas(&database, &redis);
    let site = &replicas.site;
    replicas.ready("ready\n");
    let admin = site.admin();
    admin.make_repository("notes", "private");
    let path = format!("{ADMIN}/notes");
    let events = format!("{}/{path}/events", replicas.second_url);
    assert_eq!(replicas.at_second().get(&format!("/{path}/events")).status, 404, "a stranger");
    // A session of one replica is a session at every other.
    let heard = listen(events, admin.cookie(), &site.ca_file());
    hears(&heard, "retry: 5000");
    push_to(site, &path);
    hears(&heard, "event: moved\ndata: {\"refs\":[{\"name\":\"refs/heads/main\"");

    let program = Caller::knowing(site, ADMIN);
    let counted = || program.get(&format!("/repos/{path}/commits?limit=1")).header("x-total-count").to_owned();
    // The second answer is what was kept.
    assert_eq!((counted(), counted()), ("2".into(), "2".into()));

    redis.kill();
    replicas.ready("ready, without redis\n");
    assert_eq!(counted(), "2", "without redis");
    let begun = Instant::now();
    assert_eq!((replicas.at_second().get("/explore").status, admin.get("/").status), (200, 200));
    assert!(begun.elapsed() < BUDGET, "{:?}", begun.elapsed());
    admin.make_repository("doomed", "private");
    admin.submit(&format!("/{ADMIN}/doomed/settings"), "confirm", &[("confirm", &format!("{ADMIN}/doomed"))]);
    until(60, "the job without redis", || {
        (!admin.get("/admin/jobs").text().contains("remove_directory")).then_some(())
    });
    assert!(admin.get("/admin/jobs").text().contains("No job was given up."));
    redis.start_again();
    replicas.ready("ready\n");

    redis.pause();
    for page in [format!("/{path}"), "/admin/health".into(), "/explore".into()] {
        let begun = Instant::now();
        assert_eq!(admin.get(&page).status, 200);
        assert!(begun.elapsed() < BUDGET, "{page} {:?}", begun.elapsed());
    }
    redis.resume();
    replicas.ready("ready\n");
    guesses_count_together(&replicas);
    base::process::kill_group(replicas.second.id());
    hears(&heard, "end");
    let logs = format!("{}{}", site.log(), std::fs::read_to_string(site.home().join("second.log")).unwrap());
    assert!(!logs.contains(redis_server::PASSWORD) && !logs.contains("hunter2"), "a log shows a password");
}

/// Five wrong passwords here and five there are ten.
fn guesses_count_together(replicas: &Replicas) {
    let (here, there) = (replicas.site.anonymous(), replicas.at_second());
    let guess =
        |visitor: &Visitor| visitor.submit("/sign-in", "password", &[("name", "nobody"), ("password", "x")]).status;
    for _ in 0..5 {
        assert_eq!((guess(&here), guess(&there)), (422, 422));
    }
    assert_eq!((guess(&here), guess(&there)), (429, 429));
}

/// Without Redis there is one server, and its own streams; they end with it.
#[test]
fn a_push_is_heard_without_redis_and_streams_are_bounded_and_end_with_the_server() {
    let site = Site::start();
    site.admin().make_repository("notes", "public");
    let path = format!("{ADMIN}/notes");
    let open = || listen(format!("{}/{path}/events", site.url()), String::new(), &site.ca_file());
    let heard = open();
    hears(&heard, "200 Some(\"text/event-stream\")");
    hears(&heard, "retry: 5000");
    push_to(&site, &path);
    hears(&heard, "event: moved\n");
    let others: Vec<_> = (0..29).map(|_| open()).collect();
    for other in &others {
        hears(other, "retry: 5000");
    }
    hears(&open(), "429");
    let begun = Instant::now();
    site.stop();
    assert!(begun.elapsed() < Duration::from_secs(9), "open streams held up the end: {:?}", begun.elapsed());
    hears(&heard, "end");
}

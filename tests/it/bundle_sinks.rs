//! Where else a bundle's images go: a folder, an archive, a real registry. What does not hold gets no name anywhere, and the same bundle
//! gives the same bytes.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Stdio};

use base::process::{Finished, Program, terminate};
use serde_json::Value;
use vault::minisign::SecretKey;

use crate::bundle_plain::{does, has, image};
use crate::bundle_travel::{Workshop, said};
use crate::engine::Engine;
use crate::require;
use crate::site::{Ground, out};

/// A ground with a signed bundle `x.ggb` of one small image, and the line of its key.
pub(crate) fn signed() -> (Ground, String) {
    let (ground, key) = (Ground::new(), SecretKey::generate());
    std::fs::write(ground.home().join("x.ggb"), image().file(&key)).unwrap();
    (ground, key.public().line())
}

pub(crate) fn load(ground: &Ground, line: &str, arguments: &[&str]) -> Program {
    ground.program().options(["bundle", "load", "--json", "--public-key", line]).options(arguments)
}

pub(crate) fn is(done: &Finished, code: i32, words: &str) {
    let said = format!("{}{}", out(done), done.stderr);
    assert!(
        done.status.code() == Some(code) && said.contains(words),
        "wanted {code} {words}: {:?} {said}",
        done.status
    );
}

/// Names in a folder, but for the story's own.
fn names(folder: &Path) -> Vec<String> {
    let own = ["password", "x.ggb", "damaged.ggb"];
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| !own.contains(&name.as_str())).collect();
    names.sort();
    names
}

#[test]
fn a_folder_and_an_archive_hold_the_images_for_stock_tools() {
    if !has("skopeo") || !has("umoci") {
        return;
    }
    let (ground, line) = signed();
    let whole = std::fs::read(ground.home().join("x.ggb")).unwrap();
    // Unhappy first: nothing of what does not hold, and nothing over what is there.
    let mut damaged = whole.clone();
    let place = damaged.len() - 30;
    damaged[place] ^= 1;
    std::fs::write(ground.home().join("damaged.ggb"), damaged).unwrap();
    for target in ["oci-dir:layout", "docker-archive:images.tar"] {
        for how in [&["damaged.ggb", "--stream"][..], &["damaged.ggb"]] {
            is(&load(&ground, &line, &[how, &["--to", target]].concat()).run(b"").unwrap(), 13, "GG-BUNDLE-0");
        }
        let planned = said(&load(&ground, &line, &["x.ggb", "--dry-run", "--to", target]).run(b"").unwrap());
        assert!(planned["sent"].as_u64() > Some(2000), "{planned}");
        let done =
            load(&ground, &line, &["x.ggb", "--to", target]).env("GITGRIT_FAULT", "bundle:load:sent").run(b"").unwrap();
        assert_eq!(done.status.signal(), Some(9), "{target}: {}{}", out(&done), done.stderr);
    }
    let parts = [".layout.gitgrit-part", ".layout.gitgrit-part.lock", "images.tar.part"];
    assert_eq!(names(ground.home()), parts, "what was killed leaves a part, for the next run to remove");
    for wrong in ["oci-dir:", "layout", "tape:x"] {
        is(&load(&ground, &line, &["x.ggb", "--to", wrong]).run(b"").unwrap(), 2, "write oci-dir:DIR");
    }
    std::fs::create_dir(ground.home().join("mine")).unwrap();
    std::fs::write(ground.home().join("mine/file"), "mine").unwrap();
    for there in ["oci-dir:mine", "oci-dir:x.ggb"] {
        is(&load(&ground, &line, &["x.ggb", "--to", there]).run(b"").unwrap(), 1, "GG-BUNDLE-174");
    }
    assert!(std::fs::read(ground.home().join("x.ggb")).unwrap() == whole);

    said(&load(&ground, &line, &["x.ggb", "--to", "oci-dir:layout"]).run(b"").unwrap());
    said(&load(&ground, &line, &["-", "--to", "oci-dir:again"]).run(&whole).unwrap());
    does(ground.home(), "diff -r layout again && [ $(ls -A | grep -c gitgrit-part) = 0 ]");
    let found: Value =
        serde_json::from_str(&does(ground.home(), "skopeo inspect oci:layout:gitgrit-app:1.0.0")).unwrap();
    assert_eq!(found["Architecture"].as_str(), Some("amd64"));
    does(ground.home(), "umoci unpack --rootless --image layout:gitgrit-app:1.0.0 u && grep -qx hello u/rootfs/hello");

    said(&load(&ground, &line, &["x.ggb", "--to", "docker-archive:images.tar"]).run(b"").unwrap());
    said(&load(&ground, &line, &["-", "--to", "docker-archive:again.tar"]).run(&whole).unwrap());
    does(
        ground.home(),
        "cmp images.tar again.tar && ! [ -e images.tar.part ] && tar tf images.tar && skopeo inspect docker-archive:images.tar:gitgrit-app:1.0.0",
    );
    // An archive that is there is replaced; a link to somebody else's file is not followed.
    std::os::unix::fs::symlink("x.ggb", ground.home().join("link.tar.part")).unwrap();
    is(&load(&ground, &line, &["x.ggb", "--to", "docker-archive:link.tar"]).run(b"").unwrap(), 1, "GG-BUNDLE-002");
    assert!(std::fs::read(ground.home().join("x.ggb")).unwrap() == whole);
}

#[test]
fn two_runs_never_write_one_folder() {
    let (ground, line) = signed();
    let whole = std::fs::read(ground.home().join("x.ggb")).unwrap();
    let mut command = load(&ground, &line, &["-", "--to", "oci-dir:layout"]).into_command();
    let mut first = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = first.stdin.take().unwrap();
    let (most, rest) = whole.split_at(whole.len() - 30);
    input.write_all(most).unwrap();
    let part = ground.home().join(".layout.gitgrit-part/blobs");
    require::until(20, "a folder that is being written", || part.is_dir().then_some(()));
    let second = load(&ground, &line, &["x.ggb", "--to", "oci-dir:layout"]).run(b"").unwrap();
    is(&second, 11, "is locked by another gitgrit-ops");
    input.write_all(rest).unwrap();
    drop(input);
    assert!(first.wait().unwrap().success());
    said(&load(&ground, &line, &["x.ggb", "--to", "oci-dir:again"]).run(b"").unwrap());
    does(ground.home(), "diff -r layout again && [ $(ls -A | grep -c part) = 0 ]");
}

#[test]
fn what_a_killed_run_left_does_not_take_the_room_of_the_next() {
    let Some(workshop) = Workshop::open() else { return };
    workshop.built("dist", &[]);
    std::fs::create_dir_all(workshop.path("small")).unwrap();
    for target in ["oci-dir:small/layout", "docker-archive:small/images.tar"] {
        let load = workshop.load(&workshop.engine, "dist", &["--to", target]).into_parts().0;
        let script = "mount -t tmpfs -o size=19m none small && mkdir small/.layout.gitgrit-part && \
                      head -c 5000000 /dev/zero >small/.layout.gitgrit-part/blob && head -c 5000000 /dev/zero >small/images.tar.part && \
                      case \"$*\" in *oci-dir*) rm small/images.tar.part;; *) rm -r small/.layout.gitgrit-part;; esac && \
                      head -c 1000000 /dev/zero >small/other && \"$0\" \"$@\" && { ls -A small | grep -c part; true; }";
        let program = Program::new("unshare").options(["--mount", "sh", "-c", script]).option(load.get_program());
        let program = program.options(load.get_args()).directory(&workshop.path("."));
        let done = program.env("HOME", workshop.path(".")).run(b"").unwrap();
        assert!(done.status.success() && out(&done).ends_with("0\n"), "{target}: {}{}", out(&done), done.stderr);
    }
}

#[test]
fn a_full_disk_is_named_with_what_it_takes_and_keeps_nothing() {
    let Some(workshop) = Workshop::open() else { return };
    workshop.built("dist", &[]);
    std::fs::create_dir_all(workshop.path("small")).unwrap();
    for (size, words) in [("4m", "GG-BUNDLE-173"), ("13m", "GG-BUNDLE-173")] {
        for target in ["oci-dir:small/layout", "docker-archive:small/images.tar"] {
            let load = workshop.load(&workshop.engine, "dist", &["--to", target]).into_parts().0;
            // With 13 MiB there is room for the images, until somebody else writes.
            let script = format!(
                "mount -t tmpfs -o size={size} none small && [ {size} = 4m ] || head -c 2000000 /dev/zero >small/other; \
                 \"$0\" \"$@\"; code=$?; ls -A small | grep -v other | sed 's/^/left /'; exit $code"
            );
            let program = Program::new("unshare").options(["--mount", "sh", "-c", &script]).option(load.get_program());
            let program = program.options(load.get_args()).directory(&workshop.path("."));
            let done = program.env("HOME", workshop.path(".")).run(b"").unwrap();
            is(&done, 15, words);
            assert!(!out(&done).contains("left "), "{target}: {}", out(&done));
        }
    }
}

#[test]
fn an_engine_takes_the_archive_with_the_bundles_ids() {
    let Some(workshop) = Workshop::open() else { return };
    workshop.built("dist", &[]);
    let done = workshop.load(&workshop.engine, "dist", &["--to", "docker-archive:images.tar"]).run(b"").unwrap();
    said(&done);
    let target = Engine::start("{}", "");
    target.does(&["load", "-q", "-i", workshop.path("images.tar").to_str().unwrap()]);
    assert_eq!(Workshop::ids(&target), Workshop::ids(&workshop.engine));
}

/// A registry of the test's own, Debian's, on a free port of the loopback.
pub(crate) struct Registry {
    child: Child,
    pub(crate) port: u16,
}

/// A user `it` whose password is `correct horse`.
const PASSWORDS: &str = "it:$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2\n";

impl Registry {
    pub(crate) fn start(home: &Path, more: &str) -> Option<Self> {
        if !has("docker-registry") {
            return None;
        }
        let port = require::free_port();
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {0}/registry}}}}\n\
             http:\n  addr: 127.0.0.1:{port}\n{more}",
            home.display()
        );
        std::fs::write(home.join("registry.yml"), config).unwrap();
        let log = File::create(home.join("registry.log")).unwrap();
        let program = Program::new("docker-registry").options(["serve", "registry.yml"]).directory(home);
        let child = program.start_detached(log).unwrap();
        require::until(20, "a registry that listens", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        Some(Self { child, port })
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = terminate(self.child.id());
        let _ = self.child.wait();
    }
}

#[test]
fn a_registry_gets_what_it_lacks_and_its_tags_last() {
    let Some(workshop) = Workshop::open() else { return };
    let Some(registry) = Registry::start(&workshop.path("."), "") else { return };
    workshop.built("dist", &[]);
    let target = format!("registry:http://127.0.0.1:{}/team", registry.port);
    let push = |more: &[&str]| workshop.load(&workshop.engine, "dist", &[&["--to", &target][..], more].concat());
    let planned = said(&push(&["--dry-run"]).run(b"").unwrap());
    let names = [("gitgrit-app", "v1"), ("gitgrit-sandbox", "v1"), ("redis", "7")];
    let have = |status: &str| {
        for (name, tag) in names {
            let found = get(registry.port, &format!("/v2/team/{name}/manifests/{tag}"));
            assert!(found.starts_with(&format!("HTTP/1.1 {status} ")), "wanted {status} for {name}: {found}");
        }
    };
    for place in ["bundle:load:sent", "bundle:load:sent", "bundle:load:blobs"] {
        let done = push(&[]).env("GITGRIT_FAULT", place).run(b"").unwrap();
        assert_eq!(done.status.signal(), Some(9), "{}", out(&done));
        // Also when every blob is there, no tag is.
        have("404");
    }
    let first = said(&push(&[]).run(b"").unwrap());
    have("200");
    assert!(planned["sent"].as_u64() > Some(12 << 20) && first["sent"].as_u64() == Some(0), "{planned} {first}");
    assert_eq!(said(&push(&[]).run(b"").unwrap())["sent"].as_u64(), Some(0), "what is there is not sent again");
    assert_eq!(said(&push(&["--dry-run"]).run(b"").unwrap())["sent"].as_u64(), Some(0));
    let ids = Workshop::ids(&workshop.engine);
    for (name, id) in ["gitgrit-app:v1", "gitgrit-sandbox:v1", "redis:7"].iter().zip(ids) {
        let copy = format!(
            "rm -rf pulled && skopeo copy -q --src-tls-verify=false docker://127.0.0.1:{}/team/{name} dir:pulled && \
             sed 's/.*\"config\":{{[^}}]*\"digest\":\"\\([^\"]*\\)\".*/\\1/' pulled/manifest.json",
            registry.port
        );
        assert_eq!(does(&workshop.path("."), &copy).trim(), id, "{name}");
    }
    let stream = ["--stream"];
    is(&push(&stream).run(b"").unwrap(), 2, "a stream cannot be pushed to a registry");
}

/// An authority `ca.pem`, and what it issued for this very host: `tls.pem` and `tls.key`.
pub(crate) fn authority(home: &Path) {
    let make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=Site -keyout ca.key \
                -out ca.pem 2>/dev/null; openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=registry \
                -keyout tls.key -out tls.csr 2>/dev/null; echo subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:registry.site >ext; \
                openssl x509 -req -in tls.csr -CA ca.pem -CAkey ca.key -days 30 -extfile ext -out tls.pem 2>/dev/null";
    does(home, make);
}

#[test]
fn a_registry_that_knows_its_people_and_speaks_tls() {
    let (ground, line) = signed();
    authority(ground.home());
    std::fs::write(ground.home().join("users"), PASSWORDS).unwrap();
    std::fs::write(ground.home().join("secret"), "correct horse\n").unwrap();
    let home = ground.home().display();
    let more = format!(
        "  tls: {{certificate: {home}/tls.pem, key: {home}/tls.key}}\nauth: {{htpasswd: {{realm: it, path: {home}/users}}}}\n"
    );
    let Some(registry) = Registry::start(ground.home(), &more) else { return };
    let target = format!("registry:https://127.0.0.1:{}", registry.port);
    let push = |more: &[&str]| load(&ground, &line, &[&["x.ggb", "--to", &target][..], more].concat());
    is(&push(&[]).run(b"").unwrap(), 1, "give the authority that issued its certificate: --ca FILE");
    let ca = ["--ca", "ca.pem"];
    is(&push(&ca).run(b"").unwrap(), 1, "GG-BUNDLE-177");
    let user = [&ca[..], &["--registry-user", "it"]].concat();
    is(&push(&user).run(b"").unwrap(), 1, "no password for the registry's user `it`");
    is(&push(&user).env("GITGRIT_REGISTRY_PASSWORD", "wrong").run(b"").unwrap(), 1, "GG-BUNDLE-177");
    said(&push(&user).env("GITGRIT_REGISTRY_PASSWORD", "correct horse").run(b"").unwrap());
    let from_file = [&user[..], &["--registry-password-file", "secret"]].concat();
    assert_eq!(said(&push(&from_file).run(b"").unwrap())["sent"].as_u64(), Some(0));
    let plain = format!("registry:http://registry.example:{}", registry.port);
    let done = load(&ground, &line, &[&["x.ggb", "--to", &plain][..], &from_file[..]].concat()).run(b"").unwrap();
    is(&done, 2, "a password does not go over plain HTTP");
}

/// What a server of the loopback answers to a question, as text.
fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let question = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: application/vnd.oci.image.manifest.v1+json\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(question.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// A registry that answers everything with this.
fn stub(answer: &str) -> u16 {
    stub_of(answer.to_owned(), answer.to_owned())
}

/// A registry that answers each `HEAD` with the one, and everything else with the other.
fn stub_of(head: String, other: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut question = [0; 16_384];
            let _ = stream.read(&mut question);
            let answer = if question.starts_with(b"HEAD ") { &head } else { &other };
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    port
}

#[test]
fn a_registry_that_is_broken_or_absent_or_sends_us_elsewhere_is_named() {
    let (ground, line) = signed();
    let push = |port: u16| {
        let target = format!("registry:http://127.0.0.1:{port}");
        load(&ground, &line, &["x.ggb", "--to", &target]).run(b"").unwrap()
    };
    let broken = stub("HTTP/1.1 500 Oops\r\nContent-Length: 9\r\nConnection: close\r\n\r\ndisk died");
    is(&push(broken), 1, "GG-BUNDLE-178");
    let other =
        "HTTP/1.1 201 Created\r\nDocker-Content-Digest: sha256:00\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let has_all = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    is(&push(stub_of(has_all.into(), other.into())), 13, "GG-BUNDLE-189");
    is(&push(require::free_port()), 1, "GG-BUNDLE-176");
    is(&push(stub("nonsense\r\n\r\n")), 1, "GG-BUNDLE-176");
    // Wherever it sends us, nobody comes.
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let answer = |status: &str| {
        let place = format!("http://{}/v2/a/blobs/uploads/1", elsewhere.local_addr().unwrap());
        format!("HTTP/1.1 {status}\r\nLocation: {place}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    };
    is(&push(stub_of(answer("404 No"), answer("202 Accepted"))), 1, "GG-BUNDLE-179");
    is(&push(stub_of(answer("404 No"), answer("307 Elsewhere"))), 1, "GG-BUNDLE-178");
    // One whose blobs lie in another store says by that that it has them.
    let target = format!("registry:http://127.0.0.1:{}", stub(&answer("307 Elsewhere")));
    let planned = said(&load(&ground, &line, &["x.ggb", "--dry-run", "--to", &target]).run(b"").unwrap());
    assert!(planned["sent"].as_u64() == Some(0) && planned["spared"].as_u64() > Some(0), "{planned}");
    assert_eq!(elsewhere.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "somebody was sent there");

    for wrong in ["registry:ftp://127.0.0.1", "registry:nonsense", "registry:https://user:secret@127.0.0.1"] {
        let done = load(&ground, &line, &["x.ggb", "--to", wrong]).run(b"").unwrap();
        is(&done, 2, "GG-BUNDLE-175");
        assert!(!format!("{}{}", out(&done), done.stderr).contains("secret"));
    }
}

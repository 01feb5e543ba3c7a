//! A registry straight from a bundle's file: what real clients pull has the bundle's ids, and whoever asks for anything else gets a no.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use base::process::{Program, terminate};
use rustix::net::{AddressFamily, SocketType};
use serde_json::Value;
use vault::minisign::SecretKey;

use crate::bundle_forger::{Draft, layer};
use crate::bundle_plain::{does, has, shell};
use crate::bundle_sinks::{authority, is, signed};
use crate::bundle_travel::Workshop;
use crate::engine::Engine;
use crate::site::{Ground, binary, out};

/// A served bundle.
struct Served {
    child: Child,
    /// Address and port.
    listen: String,
    images: Vec<String>,
}

impl Served {
    /// Starts it with `program`, which ends in `bundle serve`'s options.
    fn start(program: Program) -> Self {
        let mut command = program.into_command();
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let mut said = String::new();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        while !said.ends_with("}\n") {
            assert!(reader.read_line(&mut said).unwrap() > 0, "it ended: {said}");
        }
        let view: Value = serde_json::from_str(&said).unwrap();
        let images =
            view["images"].as_array().unwrap().iter().map(|image| image.as_str().unwrap().to_owned()).collect();
        Self { child, listen: view["listen"].as_str().unwrap().to_owned(), images }
    }

    /// What it answers to these bytes.
    fn answers(&self, question: &str) -> (String, Vec<u8>) {
        let mut stream = TcpStream::connect(&self.listen).unwrap();
        stream.write_all(question.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(0);
        (String::from_utf8_lossy(&answer[..end]).into_owned(), answer.get(end + 4..).unwrap_or_default().to_vec())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = terminate(self.child.id());
        let _ = self.child.wait();
    }
}

#[test]
fn only_pulls_are_answered_and_only_of_what_the_bundle_has() {
    let (ground, key) = (Ground::new(), SecretKey::generate());
    let whole = Draft::good().file(&key);
    std::fs::write(ground.home().join("x.ggb"), &whole).unwrap();
    let line = key.public().line();
    let serve = ["bundle", "serve", "x.ggb", "--json", "--listen", "127.0.0.1:0", "--public-key", &line];
    // Nothing is served that nobody trusts, that is damaged, or where somebody else listens.
    let stranger = SecretKey::generate().public().line();
    let done = ground.program().options(&serve[..6]).options(["--public-key", &stranger]).run(b"").unwrap();
    assert!(done.status.code() == Some(13) && out(&done).contains("GG-BUNDLE-102"), "{}", out(&done));
    let served = Served::start(ground.program().options(serve));
    let again = ["bundle", "serve", "x.ggb", "--listen", &served.listen, "--public-key", &line];
    let done = ground.program().options(again).run(b"").unwrap();
    assert!(done.status.code() == Some(1) && done.stderr.contains("could not listen on"), "{}", done.stderr);
    assert_eq!(served.images, [format!("{}/gitgrit-app:1.0.0", served.listen)]);

    let content = layer();
    let digest = airgap::bundle::Digest::of(&content).named();
    let blob = format!("/v2/gitgrit-app/blobs/{digest}");
    let get = |path: &str, more: &str| served.answers(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n{more}\r\n"));
    let refused = [
        ("GET / HTTP/1.1\r\n\r\n", "404"),
        ("GET /v2x HTTP/1.1\r\n\r\n", "404"),
        ("GET /v2/other/manifests/1.0.0 HTTP/1.1\r\n\r\n", "404"),
        ("GET /v2/gitgrit-app/manifests/latest HTTP/1.1\r\n\r\n", "404"),
        ("GET /v2/gitgrit-app/blobs/sha256:00 HTTP/1.1\r\n\r\n", "404"),
        ("GET /v2/../../etc/passwd HTTP/1.1\r\n\r\n", "400"),
        ("POST /v2/gitgrit-app/blobs/uploads/ HTTP/1.1\r\n\r\n", "405"),
        ("DELETE /v2/gitgrit-app/manifests/1.0.0 HTTP/1.1\r\n\r\n", "405"),
        ("\u{16}\u{3}\u{1}\u{2}", "400"),
    ];
    for (question, status) in refused {
        let (head, _) = served.answers(question);
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{question}: {head}");
    }
    assert!(get("/v2/", "").0.starts_with("HTTP/1.1 200 OK"));
    let (head, bytes) = get(&blob, "");
    assert!(head.contains(&format!("Docker-Content-Digest: {digest}")) && bytes == content, "{head}");
    let (head, bytes) = get(&blob, "Range: bytes=70000-70010\r\n");
    assert!(head.starts_with("HTTP/1.1 206 ") && bytes == content[70_000..=70_010], "{head}");
    assert!(head.contains("Content-Range: bytes 70000-70010/70400"), "{head}");
    assert!(get(&blob, "Range: bytes=70400-\r\n").0.starts_with("HTTP/1.1 416 "));
    let (head, bytes) = served.answers(&format!("HEAD {blob} HTTP/1.1\r\n\r\n"));
    assert!(head.contains("Content-Length: 70400") && bytes.is_empty(), "{head}");

    // Somebody changes the file while it is served: the answer breaks off, and nothing false goes out whole.
    let mut changed = whole;
    let place = changed.len() - 2000;
    changed[place] ^= 1;
    std::fs::write(ground.home().join("x.ggb"), changed).unwrap();
    let (head, bytes) = get(&blob, "");
    assert!(head.starts_with("HTTP/1.1 200 ") && bytes.len() < content.len(), "{head}: {} bytes", bytes.len());
}

#[test]
fn skopeo_and_docker_pull_from_it_and_the_ids_are_the_bundles() {
    let Some(workshop) = Workshop::open() else { return };
    if !has("skopeo") {
        return;
    }
    workshop.built("dist", &[]);
    let ids = Workshop::ids(&workshop.engine);
    let target = Engine::start("{}", "");
    // The engine's loopback is its own.
    let space = format!("--net=/proc/{}/ns/net", target.process());
    let serve = ["bundle", "serve", "--json", "--listen", "127.0.0.1:0", "--public-key", "release.pub"];
    let program = Program::new("nsenter").option(&space).option(binary()).options(serve);
    let program = program.option(workshop.file("dist")).directory(&workshop.path("."));
    let served = Served::start(program.env("HOME", workshop.path(".")));
    assert_eq!(served.images.len(), 3);
    for (image, id) in served.images.iter().zip(&ids) {
        target.does(&["pull", "-q", image]);
        let found = target.docker(&["image", "inspect", "--format", "{{.Id}}", image]);
        assert_eq!(out(&found).trim(), id, "{image}");
        let line = format!(
            "nsenter {space} sh -ec 'skopeo inspect --tls-verify=false docker://{image} >/dev/null; rm -rf pulled; \
             skopeo copy -q --src-tls-verify=false docker://{image} oci:pulled:x' && umoci stat --image pulled:x >/dev/null && \
             skopeo inspect --raw oci:pulled:x"
        );
        let manifest: Value = serde_json::from_str(&does(&workshop.path("."), &line)).unwrap();
        assert_eq!(manifest["config"]["digest"].as_str(), Some(id.as_str()), "{image}");
        if image.contains("gitgrit-app") {
            ranges(&workshop, &space, &served.listen);
        }
    }
}

/// A layer of more than a frame, which holds 8 MiB, comes in parts that begin, end and lie in either of its frames.
fn ranges(workshop: &Workshop, space: &str, listen: &str) {
    let place = format!("http://{listen}/v2/gitgrit-app");
    let manifest = does(&workshop.path("."), &format!("nsenter {space} curl -fsS {place}/manifests/v1"));
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let layers = manifest["layers"].as_array().unwrap();
    let digest =
        layers.iter().find(|layer| layer["size"].as_u64() > Some(9 << 20)).unwrap()["digest"].as_str().unwrap();
    let get = |how: &str| {
        let line =
            format!("nsenter {space} curl -fsS {how} --output got --write-out %{{http_code}} {place}/blobs/{digest}");
        (does(&workshop.path("."), &line), std::fs::read(workshop.path("got")).unwrap())
    };
    let (status, whole) = get("");
    assert_eq!((status.as_str(), airgap::bundle::Digest::of(&whole).named().as_str()), ("200", digest));
    let (size, edge) = (whole.len(), 8 << 20);
    for (from, to) in [
        (edge - 8, edge + 8),
        (edge - 1, edge),
        (edge, edge + 1),
        (edge, size),
        (edge + 1000, edge + 2000),
        (0, edge),
        (100, size - 100),
        (size - 1, size),
    ] {
        let (status, part) = get(&format!("--range {from}-{}", to - 1));
        assert!(status == "206" && part == whole[from..to], "{from} to {to}: {status}, {} bytes", part.len());
    }
    let (status, part) = get("--range -1000000");
    assert!(status == "206" && part == whole[size - 1_000_000..], "the end: {status}, {} bytes", part.len());
}

/// A connection from another address of the loopback.
fn from_elsewhere(listen: &str) -> TcpStream {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &SocketAddrV4::new([127, 0, 0, 2].into(), 0)).unwrap();
    rustix::net::connect(&socket, &listen.parse::<SocketAddrV4>().unwrap()).unwrap();
    socket.into()
}

#[test]
fn over_tls_it_is_pulled_from_and_who_never_ends_a_handshake_holds_up_nobody() {
    if !has("skopeo") || !has("curl") {
        return;
    }
    let (ground, line) = signed();
    let home = ground.home();
    authority(home);
    let serve = ["bundle", "serve", "x.ggb", "--json", "--listen", "127.0.0.1:0", "--public-key", &line];
    let start = |more: &[&str]| ground.program().options(serve).options(more);
    is(&start(&["--tls-cert", "tls.pem"]).run(b"").unwrap(), 2, "--tls-key");
    is(&start(&["--tls-key", "tls.key"]).run(b"").unwrap(), 2, "--tls-cert");
    is(&start(&["--tls-cert", "absent.pem", "--tls-key", "tls.key"]).run(b"").unwrap(), 1, "absent.pem");
    is(
        &start(&["--tls-cert", "tls.pem", "--tls-key", "ca.key"]).run(b"").unwrap(),
        1,
        "is not that of the certificate",
    );
    let tls = ["--tls-cert", "tls.pem", "--tls-key", "tls.key"];
    for mode in ["0640", "0604", "0620"] {
        does(home, &format!("chmod {mode} tls.key"));
        is(&start(&tls).run(b"").unwrap(), 1, "others than its owner may use");
    }
    does(home, "chmod 0600 tls.key");
    let served = Served::start(start(&tls));
    let (_, port) = served.listen.split_once(':').unwrap();
    assert_eq!(does(home, &format!("curl -fsS --cacert ca.pem https://localhost:{port}/v2/")), "{}");
    let (is_done, said) = shell(home, &format!("curl -fsS https://localhost:{port}/v2/"));
    assert!(!is_done && said.contains("certificate"), "{said}");
    let (head, body) = served.answers("GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 400 ") && String::from_utf8_lossy(&body).contains("https"), "{head}");
    let (_, said) = served.answers("\u{16}\u{3}\u{1}nonsense that is no handshake at all");
    assert!(!String::from_utf8_lossy(&said).contains("HTTP"));

    // While a hundred of one address say nothing, an image is pulled before any of them is given up; on a busy machine at the third try.
    does(home, "mkdir certs && cp ca.pem certs/ca.crt");
    let pull = format!(
        "rm -rf pulled && skopeo copy -q --src-cert-dir certs docker://{}/gitgrit-app:1.0.0 oci:pulled:x && skopeo inspect oci:pulled:x",
        served.listen
    );
    let is_pulled_meanwhile = || {
        let mut silent: Vec<_> = (0..100).map(|_| from_elsewhere(&served.listen)).collect();
        let begun = Instant::now();
        assert!(does(home, &pull).contains("amd64"));
        let is_soon = begun.elapsed() < Duration::from_secs(8);
        silent[0].set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        assert!(matches!(silent[0].read(&mut [0]), Ok(0)), "a handshake has its time");
        is_soon
    };
    assert!((0..3).any(|_| is_pulled_meanwhile()), "the pull waited for those who say nothing");
}

#[test]
fn docker_pulls_from_another_host_with_the_authority_and_not_without() {
    let Some(workshop) = Workshop::open() else { return };
    workshop.built("dist", &[]);
    authority(&workshop.path("."));
    // An address that Docker does not take for its own host, in a network where nobody else is.
    let script = "ip address add 192.0.2.7/32 dev lo; mount -t tmpfs none /etc/docker; cp /etc/hosts \"$HOME/hosts\"; \
                  echo 192.0.2.7 registry.site >>\"$HOME/hosts\"; mount --bind \"$HOME/hosts\" /etc/hosts";
    let target = Engine::start("{}", script);
    let spaces =
        [format!("--net=/proc/{}/ns/net", target.process()), format!("--mount=/proc/{}/ns/mnt", target.process())];
    let serve = ["bundle", "serve", "--json", "--listen", "192.0.2.7:5443", "--public-key", "release.pub"];
    let program = Program::new("nsenter").option(&spaces[0]).option(binary()).options(serve);
    let program = program.options(["--tls-cert", "tls.pem", "--tls-key", "tls.key"]);
    let program = program.option(workshop.file("dist")).directory(&workshop.path("."));
    let served = Served::start(program.env("HOME", workshop.path(".")));
    assert_eq!(served.listen, "192.0.2.7:5443");
    let image = "registry.site:5443/gitgrit-app:v1";
    let done = target.docker(&["pull", "-q", image]);
    assert!(!done.status.success() && done.stderr.contains("x509"), "{}", done.stderr);
    let trust =
        "mkdir -p /etc/docker/certs.d/registry.site:5443 && cp \"$0\" /etc/docker/certs.d/registry.site:5443/ca.crt";
    let ca = workshop.path("ca.pem");
    let done = Program::new("nsenter").option(&spaces[1]).options(["sh", "-ec", trust]).option(&ca).run(b"").unwrap();
    assert!(done.status.success(), "{}", done.stderr);
    target.does(&["pull", "-q", image]);
    let found = target.docker(&["image", "inspect", "--format", "{{.Id}}", image]);
    assert_eq!(out(&found).trim(), Workshop::ids(&workshop.engine)[0]);
}

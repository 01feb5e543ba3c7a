//! A registry straight from a bundle's file: what real clients pull has the bundle's ids, and whoever asks for anything else gets a no.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use base::process::{Program, terminate};
use serde_json::Value;
use vault::minisign::SecretKey;

use crate::bundle_forger::{Draft, layer};
use crate::bundle_plain::{does, has};
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
    }
}

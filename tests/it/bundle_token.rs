//! Registries that take tokens of a service: whom the password reaches, and whom it never does. Registry and service speak real TLS, and
//! one registry is Debian's own.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base::process::{Finished, Program};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{KeyPair, SigningKey};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::bundle_plain::{does, has};
use crate::bundle_sinks::{Registry, authority, is, load, signed};
use crate::bundle_travel::{Workshop, said};
use crate::site::{Ground, out};

/// What whoever asks is known by.
const PASSWORD: &str = "correct horse";
/// `it:correct horse`.
const BASIC: &str = "Basic aXQ6Y29ycmVjdCBob3JzZQ==";

/// A question that reached somebody.
#[derive(Clone, Debug)]
struct Question {
    method: String,
    /// With what stands behind a `?`.
    path: String,
    authorization: String,
}

type Heard = Arc<Mutex<Vec<Question>>>;

/// Somebody who answers over TLS with the certificate in `home`, and remembers what was heard.
fn listens(home: &Path, answer: impl Fn(&Question) -> String + Send + Sync + 'static) -> (u16, Heard) {
    let chain = CertificateDer::pem_file_iter(home.join("tls.pem")).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(home.join("tls.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let (config, answer, heard) = (Arc::new(config), Arc::new(answer), Heard::default());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let hearing = Arc::clone(&heard);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (config, answer, hearing) = (Arc::clone(&config), Arc::clone(&answer), Arc::clone(&hearing));
            std::thread::spawn(move || serve(stream, config, &*answer, &hearing));
        }
    });
    (port, heard)
}

fn serve(stream: TcpStream, config: Arc<ServerConfig>, answer: &dyn Fn(&Question) -> String, heard: &Heard) {
    let mut tls = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
    let mut taken = Vec::new();
    let mut piece = [0; 16_384];
    let end = loop {
        if let Some(end) = taken.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        match tls.read(&mut piece) {
            Ok(0) | Err(_) => return,
            Ok(size) => taken.extend_from_slice(&piece[..size]),
        }
    };
    let head = String::from_utf8(taken[..end].to_vec()).unwrap();
    let header = |name: &str| {
        let found =
            head.lines().filter_map(|line| line.split_once(": ")).find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_owned()).unwrap_or_default()
    };
    let mut left = header("content-length").parse().unwrap_or(0).max(taken.len() - end) - (taken.len() - end);
    while left > 0 {
        match tls.read(&mut piece) {
            Ok(0) | Err(_) => return,
            Ok(size) => left = left.saturating_sub(size),
        }
    }
    let mut words = head.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let question = Question { method, path, authorization: header("authorization") };
    heard.lock().unwrap().push(question.clone());
    let _ = tls.write_all(answer(&question).as_bytes());
    tls.conn.send_close_notify();
    let _ = tls.flush();
}

fn reply(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

/// What a registry says to who is allowed to push, and has nothing yet.
fn takes(question: &Question) -> String {
    let place = "Location: /v2/up/1\r\n";
    match question.method.as_str() {
        "HEAD" => reply("404 No", "", ""),
        "POST" | "PATCH" => reply("202 Accepted", place, ""),
        _ => reply("201 Created", "", ""),
    }
}

fn asks(realm: &str) -> String {
    let way =
        format!("WWW-Authenticate: Bearer realm=\"{realm}\",service=\"the registry\",scope=\"registry:catalog:*\"\r\n");
    reply("401 Unauthorized", &way, "")
}

/// A ground with a bundle, a key's line, an authority and a certificate for 127.0.0.1 and localhost.
fn ground() -> (Ground, String) {
    let (ground, line) = signed();
    authority(ground.home());
    (ground, line)
}

fn push(ground: &Ground, line: &str, port: u16, more: &[&str]) -> Finished {
    let target = format!("registry:https://127.0.0.1:{port}/team");
    let own = ["x.ggb", "--to", &target, "--ca", "ca.pem", "--registry-user", "it"];
    let program = load(ground, line, &[&own[..], more].concat()).env("GITGRIT_REGISTRY_PASSWORD", PASSWORD);
    let done = program.run(b"").unwrap();
    assert!(!format!("{}{}", out(&done), done.stderr).contains(PASSWORD));
    done
}

#[test]
fn a_token_is_had_for_the_repository_alone_and_anew_when_it_ran_out() {
    let (ground, line) = ground();
    // How the service calls it, how long it says that it lasts, and for how many requests the registry takes it.
    for (name, lasts, good_for, least) in [("token", 3600, 100, 1), ("access_token", 3600, 4, 3), ("token", 0, 1, 9)] {
        let given = Arc::new(AtomicUsize::new(0));
        let giving = Arc::clone(&given);
        let (service, asked) = listens(ground.home(), move |question| {
            if question.authorization != BASIC {
                return reply("401 Unauthorized", "", "");
            }
            let count = giving.fetch_add(1, Ordering::SeqCst) + 1;
            reply("200 OK", "", &format!(r#"{{"{name}":"t{count}","expires_in":{lasts},"issued_at":"x"}}"#))
        });
        let used = AtomicUsize::new(0);
        let realm = format!("https://127.0.0.1:{service}/jwt/auth?x=1");
        let current = Arc::clone(&given);
        let (port, heard) = listens(ground.home(), move |question| {
            let count = current.load(Ordering::SeqCst);
            let is_current = count > 0 && question.authorization == format!("Bearer t{count}");
            let is_good = is_current && used.fetch_add(1, Ordering::SeqCst) < count * good_for;
            if is_good { takes(question) } else { asks(&realm) }
        });
        let view = said(&push(&ground, &line, port, &[]));
        assert!(view["sent"].as_u64() > Some(1000), "{view}");
        let asked = asked.lock().unwrap().clone();
        assert!(asked.len() >= least && asked.len() <= 10, "{name} {lasts}: {asked:?}");
        for question in asked {
            let wanted = "/jwt/auth?x=1&service=the+registry&scope=repository%3Ateam%2Fgitgrit-app%3Apull%2Cpush";
            assert_eq!((question.method.as_str(), question.path.as_str()), ("GET", wanted));
        }
        let heard = heard.lock().unwrap().clone();
        assert_eq!(heard[0].authorization, "", "nothing is said before it is asked for");
        assert!(heard[1..].iter().all(|question| question.authorization.starts_with("Bearer t")), "{heard:?}");
        assert!(heard.iter().any(|question| question.path == "/v2/team/gitgrit-app/manifests/1.0.0"), "{heard:?}");
    }
}

#[test]
fn the_password_goes_to_nobody_whom_a_registry_may_choose() {
    let (ground, line) = ground();
    let (stranger, overheard) = listens(ground.home(), |_| reply("200 OK", "", r#"{"token":"t1"}"#));
    let to =
        |realm: &str, more: &[&str]| {
            let realm = realm.to_owned();
            let (port, heard) = listens(ground.home(), move |question| {
                if question.authorization == "Bearer t1" { takes(question) } else { asks(&realm) }
            });
            let done = push(&ground, &line, port, more);
            let heard = heard.lock().unwrap().clone();
            assert!(!heard.iter().any(|question| question.authorization.starts_with("Basic")), "{heard:?}");
            done
        };
    let elsewhere = format!("https://localhost:{stranger}");
    for (realm, id) in [
        (format!("{elsewhere}/token"), "GG-BUNDLE-188"),
        ("https://127.0.0.1.evil.example/token".to_owned(), "GG-BUNDLE-188"),
        (format!("http://127.0.0.1:{stranger}/token"), "GG-BUNDLE-179"),
        (format!("https://127.0.0.1@localhost:{stranger}/token"), "GG-BUNDLE-179"),
        ("file:///etc/passwd".to_owned(), "GG-BUNDLE-179"),
        ("x\\".to_owned(), "GG-BUNDLE-179"),
        ("a".repeat(20_000), "GG-BUNDLE-179"),
    ] {
        is(&to(&realm, &[]), 1, id);
    }
    let done = to(&format!("{elsewhere}/token"), &[]);
    is(&done, 1, &format!("--registry-realm {elsewhere}"));
    is(&to(&format!("{elsewhere}/token"), &["--registry-realm", "https://localhost"]), 1, "GG-BUNDLE-188");
    is(&to("https://127.0.0.1/token", &["--registry-realm", "http://git.site"]), 2, "GG-BUNDLE-175");
    assert!(overheard.lock().unwrap().is_empty(), "somebody heard it");
    said(&to(&format!("{elsewhere}/token"), &["--registry-realm", &elsewhere]));
    assert!(overheard.lock().unwrap().iter().all(|question| question.authorization == BASIC));
    // Without a user nobody is asked for anything.
    let (port, heard) = listens(ground.home(), move |_| asks(&format!("https://127.0.0.1:{stranger}/token")));
    let target = format!("registry:https://127.0.0.1:{port}");
    let done = load(&ground, &line, &["x.ggb", "--to", &target, "--ca", "ca.pem"]).run(b"").unwrap();
    is(&done, 1, "give --registry-user");
    assert_eq!((heard.lock().unwrap().len(), overheard.lock().unwrap().len()), (1, 1));
}

#[test]
fn a_service_that_gives_no_token_is_named() {
    let (ground, line) = ground();
    let long = format!(r#"{{"token":"{}"}}"#, "a".repeat(100_000));
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let sends = format!("Location: http://{}/token\r\n", elsewhere.local_addr().unwrap());
    for (answer, id) in [
        (reply("401 Unauthorized", "", ""), "GG-BUNDLE-177"),
        (reply("403 Forbidden", "", ""), "GG-BUNDLE-177"),
        (reply("500 Oops", "", ""), "GG-BUNDLE-178"),
        (reply("302 Found", &sends, ""), "GG-BUNDLE-178"),
        (reply("200 OK", "", ""), "GG-BUNDLE-179"),
        (reply("200 OK", "", "[]"), "GG-BUNDLE-179"),
        (reply("200 OK", "", r#"{"token":""}"#), "GG-BUNDLE-179"),
        (reply("200 OK", "", r#"{"token":"a\r\nHost: b"}"#), "GG-BUNDLE-179"),
        (reply("200 OK", "", &long), "GG-BUNDLE-179"),
        ("nonsense\r\n\r\n".to_owned(), "GG-BUNDLE-176"),
        // Whoever gets a token and is refused again is refused for good.
        (reply("200 OK", "", r#"{"token":"t1"}"#), "GG-BUNDLE-177"),
    ] {
        let (service, asked) = listens(ground.home(), move |_| answer.clone());
        let (port, heard) = listens(ground.home(), move |_| asks(&format!("https://127.0.0.1:{service}/token")));
        is(&push(&ground, &line, port, &[]), 1, id);
        let counts = (asked.lock().unwrap().len(), heard.lock().unwrap().len());
        assert!(counts.0 == 1 && counts.1 <= 2, "{id}: {counts:?}");
    }
    assert_eq!(elsewhere.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "somebody was sent there");
}

/// A token as Debian's registry wants it, which ends so many seconds from now.
fn token(home: &Path, scopes: &[String], ends: i64) -> String {
    let key = KeyPair::from_pem(&std::fs::read_to_string(home.join("sign.key")).unwrap()).unwrap();
    let shown = CertificateDer::from_pem_file(home.join("sign.pem")).unwrap();
    let now = base::Clock::now(&base::clock::SystemClock).seconds();
    let access = scopes.iter().map(|scope| {
        let [kind, name, actions] = scope.split(':').collect::<Vec<_>>().try_into().unwrap();
        let actions: Vec<&str> = actions.split(',').collect();
        serde_json::json!({ "type": kind, "name": name, "actions": actions })
    });
    let access: Vec<_> = access.collect();
    let head = serde_json::json!({ "typ": "JWT", "alg": "RS256", "x5c": [STANDARD.encode(&shown)] });
    let claims = serde_json::json!({
        "iss": "the service", "sub": "it", "aud": "the registry", "jti": "1", "access": access,
        "iat": now - 600, "nbf": now - 600, "exp": now + ends,
    });
    let mut text =
        format!("{}.{}", URL_SAFE_NO_PAD.encode(head.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = key.sign(text.as_bytes()).unwrap();
    write!(text, ".{}", URL_SAFE_NO_PAD.encode(signature)).unwrap();
    text
}

#[test]
fn debians_registry_takes_the_images_for_tokens_of_a_service() {
    let Some(workshop) = Workshop::open() else { return };
    let home = workshop.path(".");
    if !has("docker-registry") {
        return;
    }
    workshop.built("dist", &[]);
    authority(&home);
    does(
        &home,
        "openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=signer -keyout sign.key -out sign.pem 2>/dev/null",
    );
    let given = AtomicUsize::new(0);
    let folder = home.clone();
    let (service, asked) = listens(&home, move |question| {
        if question.authorization != BASIC {
            return reply("401 Unauthorized", "", "");
        }
        let plain = question.path.replace("%3A", ":").replace("%2F", "/").replace("%2C", ",");
        let scopes: Vec<String> =
            plain.split('&').filter_map(|part| part.strip_prefix("scope=")).map(str::to_owned).collect();
        // The first one ran out long ago.
        let ends = if given.fetch_add(1, Ordering::SeqCst) == 0 { -300 } else { 300 };
        reply("200 OK", "", &format!(r#"{{"token":"{}","expires_in":300}}"#, token(&folder, &scopes, ends)))
    });
    let shown = home.display();
    let more = format!(
        "  tls: {{certificate: {shown}/tls.pem, key: {shown}/tls.key}}\nauth: {{token: {{realm: \"https://127.0.0.1:{service}/token\", \
         service: the registry, issuer: the service, rootcertbundle: {shown}/sign.pem}}}}\n"
    );
    let registry = Registry::start(&home, &more).unwrap();
    let target = format!("registry:https://127.0.0.1:{}/team", registry.port);
    let push = |password: &str| {
        let own = ["--to", &target, "--ca", "ca.pem", "--registry-user", "it"];
        let program: Program = workshop.load(&workshop.engine, "dist", &own);
        program.env("GITGRIT_REGISTRY_PASSWORD", password).run(b"").unwrap()
    };
    is(&push("wrong"), 1, "GG-BUNDLE-177");
    // Its first token was refused, and only that one.
    is(&push(PASSWORD), 1, "GG-BUNDLE-177");
    let view = said(&push(PASSWORD));
    assert!(view["sent"].as_u64() > Some(12 << 20), "{view}");
    assert_eq!(said(&push(PASSWORD))["sent"].as_u64(), Some(0));
    let asked = asked.lock().unwrap().clone();
    let mounts = asked.iter().filter(|question| question.path.matches("scope=").count() == 2);
    assert!(mounts.count() > 0, "a layer that two repositories share is taken from the other: {asked:?}");
    let ids = Workshop::ids(&workshop.engine);
    let bearer = token(&home, &["repository:team/gitgrit-app:pull".to_owned()], 300);
    let line = format!(
        "curl -fsS --cacert ca.pem -H 'Authorization: Bearer {bearer}' -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
         https://127.0.0.1:{}/v2/team/gitgrit-app/manifests/v1",
        registry.port
    );
    assert!(does(&home, &line).contains(&ids[0]));
}

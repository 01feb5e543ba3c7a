//! What the isolation stories have for an internet: servers that answer as real ones do, in a process of their own inside
//! a network namespace. Nothing here leaves the addresses that the story made.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Child;
use std::thread;
use std::time::Duration;

use base::process::Program;

use crate::require::until;
use crate::site::{binary, out};

/// The variable that turns this test program into the outside: what it serves, as `KIND=ADDRESS:PORT`, and the file that
/// it makes when it is there.
const SERVES: &str = "GITGRIT_TEST_OUTSIDE";

/// How late those are that are late: longer than what a connection is given.
const LATE: Duration = Duration::from_secs(3);

/// The outside of one namespace; ends with the story.
pub(crate) struct Outside {
    child: Child,
    _folder: tempfile::TempDir,
}

impl Outside {
    /// Serves all of `services` in the namespace.
    pub(crate) fn serve(namespace: &str, services: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("gitgrit-outside-").tempdir().unwrap();
        let ready = folder.path().join("ready");
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let own = std::env::current_exe().unwrap();
        let child = Program::new("nsenter")
            .option(format!("--net=/run/netns/{namespace}"))
            .operands([
                own.to_str().unwrap(),
                "--exact",
                "--nocapture",
                "isolation_outside::the_outside_answers_every_kind",
            ])
            .env(SERVES, format!("{} {}", ready.display(), services.join(" ")))
            .start_detached(log)
            .unwrap();
        until(20, "the outside", || ready.exists().then_some(()));
        Self { child, _folder: folder }
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts one server; it ends with the process.
pub(crate) fn serve(service: &str) -> SocketAddr {
    let (kind, address) = service.split_once('=').unwrap();
    let kind = kind.to_owned();
    if matches!(kind.as_str(), "dns" | "late-dns" | "mute" | "own-dns" | "split-dns" | "quic" | "ntp" | "junk") {
        let socket = UdpSocket::bind(address).unwrap();
        let local = socket.local_addr().unwrap();
        thread::spawn(move || datagrams(&kind, &socket));
        return local;
    }
    let listener = TcpListener::bind(address).unwrap();
    let local = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let kind = kind.clone();
            thread::spawn(move || conversation(&kind, stream));
        }
    });
    local
}

/// Answers each question, the late ones each after as long.
fn datagrams(kind: &str, socket: &UdpSocket) {
    let mut packet = [0; 2048];
    while let Ok((length, from)) = socket.recv_from(&mut packet) {
        let (answer, socket) = (datagram(kind, &packet[..length]), socket.try_clone().unwrap());
        match kind {
            "mute" => {}
            "late-dns" => {
                thread::spawn(move || {
                    thread::sleep(LATE);
                    let _ = socket.send_to(&answer, from);
                });
            }
            _ => {
                let _ = socket.send_to(&answer, from);
            }
        }
    }
}

fn datagram(kind: &str, asked: &[u8]) -> Vec<u8> {
    match kind {
        "ntp" => {
            let mut answer = vec![0; 48];
            (answer[0], answer[1]) = (0x24, 2);
            answer[24..32].copy_from_slice(&asked[40..48]);
            answer
        }
        "quic" => [&[0x80, 0, 0, 0, 0, 8][..], &asked[15..23], &[8], &asked[6..14], &[0, 0, 0, 1]].concat(),
        "dns" | "late-dns" => dns(asked),
        // Each has an address of the site for a public name; one of them knows more than that.
        "own-dns" => dns_of(asked, b"\x06github\x03com\0", [127, 0, 0, 1], 0x85),
        "split-dns" => split(dns_of(asked, b"\x06github\x03com\0", [10, 0, 0, 1], 0x81)),
        _ => b"hello".to_vec(),
    }
}

/// Knows the root and what ends in `.test`, as 192.0.2.80; nothing else.
fn dns(asked: &[u8]) -> Vec<u8> {
    dns_of(asked, b"\x04test\0", [192, 0, 2, 80], 0x81)
}

/// That there is no such name has been said by who has charge of `com`.
fn split(mut answer: Vec<u8>) -> Vec<u8> {
    if answer[3] == 0x83 {
        answer[9] = 1;
        answer.extend_from_slice(b"\x03com\0\0\x06\0\x01\0\0\0\x09\0\x16\0\0");
        answer.extend_from_slice(&[0; 20]);
    }
    answer
}

/// Knows the root and what ends in `name`, at `address`.
fn dns_of(asked: &[u8], name: &[u8], address: [u8; 4], flags: u8) -> Vec<u8> {
    let mut answer = asked.to_vec();
    (answer[2], answer[3]) = (flags, 0x80);
    let is_known = asked.windows(name.len()).any(|label| label == name);
    if is_known && asked[asked.len() - 4..] == [0, 1, 0, 1] {
        answer[7] = 1;
        answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4]);
        answer.extend_from_slice(&address);
    } else if asked[12] != 0 && !is_known {
        answer[3] = 0x83;
    }
    answer
}

fn conversation(kind: &str, mut stream: TcpStream) {
    let mut asked = [0; 2048];
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let length = stream.read(&mut asked).unwrap_or(0);
    let asked = String::from_utf8_lossy(&asked[..length]).into_owned();
    if kind == "late-yes" {
        thread::sleep(LATE);
    }
    let status = match kind {
        "http" => "204 No Content",
        "login" => "302 Found",
        // It leads to the stories' targets, and not to their canaries.
        "proxy" if asked.starts_with("GET http://") => "204 No Content",
        "proxy" if asked.contains(".80:443 ") || asked.contains(".130:443 ") => "200 Connection established",
        "proxy" => "503 Service Unavailable",
        "yes" | "late-yes" => "200 OK",
        "asks" => "407 Proxy Authentication Required",
        // It lets through to one place, as sites do that need just one.
        "list" if asked.contains("listed.invalid:443 ") => "200 Connection established",
        "no" | "list" => "403 Forbidden",
        _ => return,
    };
    let _ = stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes());
    let _ = stream.read(&mut [0; 64]);
}

/// The outside that the stories trust, looked at from the same loopback; as a program of its own, the outside itself.
#[test]
fn the_outside_answers_every_kind() {
    if let Ok(services) = std::env::var(SERVES) {
        let mut words = services.split(' ');
        let ready = words.next().unwrap().to_owned();
        for service in words {
            serve(service);
        }
        std::fs::write(ready, "").unwrap();
        loop {
            thread::park();
        }
    }
    let places = ["http=127.0.0.1:0", "tcp=127.0.0.1:0", "dns=127.0.0.1:0", "quic=127.0.0.1:0", "ntp=127.0.0.1:0"];
    let targets: Vec<_> =
        places.iter().map(|place| format!("{}={}", &place[..place.find('=').unwrap()], serve(place))).collect();
    let junk = format!("ntp={}", serve("junk=127.0.0.1:0"));
    let program = Program::new(binary().to_str().unwrap())
        .options(["isolation", "probe", "--host", "--only-targets", "--no-canary", "--json", "--budget", "6"])
        .options(targets.iter().chain([&junk]).flat_map(|target| ["--target", target.as_str()]));
    let done = program.run(b"").unwrap();
    let report: serde_json::Value = serde_json::from_str(&out(&done)).unwrap();
    let outcomes: Vec<_> =
        report["vantages"][0]["rows"].as_array().unwrap().iter().map(|row| row["outcome"].as_str().unwrap()).collect();
    let expected = ["reachable", "reachable", "reachable", "reachable", "reachable", "intercepted"];
    assert_eq!((outcomes.as_slice(), done.status.code()), (expected.as_slice(), Some(3)), "{report:#}");
}

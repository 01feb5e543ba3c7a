//! A site behind a proxy that says with the PROXY protocol whom it speaks for, and what the same bytes are worth from
//! anybody else.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::require::free_port;
use crate::site::{ADMIN, Ground, Site, out};
use crate::ssh::Key;
use crate::visitor::Visitor;

const HEADER: &str = "PROXY TCP4 192.0.2.7 127.0.0.1 40000 443\r\n";

/// Passes connections on to `target`, each with the header before it; ends with the test's process.
fn proxy(port: u16, target: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            // Nobody is behind it before the site listens.
            let (Ok(mut client), Ok(mut server)) = (client, TcpStream::connect(target)) else { continue };
            server.write_all(HEADER.as_bytes()).unwrap();
            let (mut back, mut forth) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || {
                let _ = std::io::copy(&mut back, &mut forth);
                let _ = forth.shutdown(std::net::Shutdown::Both);
            });
            thread::spawn(move || {
                let _ = std::io::copy(&mut client, &mut server);
                let _ = server.shutdown(std::net::Shutdown::Both);
            });
        }
    });
    address
}

/// A site that listens at `http` and has its address at `front`.
fn behind(front: u16, http: u16, trusted: &str) -> Site {
    let ground = Ground::new();
    let ssh = free_port();
    let settings = format!(
        "SITE_URL=https://localhost:{front}\nSSH_PORT={ssh}\nPROXY_PROTOCOL=accept\nTRUSTED_PROXIES={trusted}\n"
    );
    base::file::create_dir(ground.site().root(), 0o700).unwrap();
    base::file::write_atomic(&ground.site().env(), settings.as_bytes(), 0o600).unwrap();
    let program = ground.program().options(["install", "--embedded"]).option(ground.site().root());
    let program = program.options(["--lab", "--yes", "--admin", ADMIN, "--admin-password-file"]);
    let program = program.option(ground.home().join("password"));
    let program = program.options(["--http", &format!("127.0.0.1:{http}"), "--ssh", &format!("127.0.0.1:{ssh}")]);
    let done = program.deadline(Duration::from_mins(3)).run(b"").unwrap();
    assert!(done.status.success(), "install failed ({})\n{}{}", done.status, out(&done), done.stderr);
    ground.into_site()
}

/// The first bytes of the answer to `sent`; none when the connection was cut.
fn answer(address: SocketAddr, sent: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(sent).unwrap();
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    String::from_utf8_lossy(&said).into_owned()
}

#[test]
fn a_trusted_proxy_names_the_client_at_both_doors() {
    let (front, http) = (free_port(), free_port());
    proxy(front, ([127, 0, 0, 1], http).into());
    let site = behind(front, http, "127.0.0.0/8");
    let admin = Visitor::new(&site.url(), &site.ca_file());
    let wrong = admin.submit("/sign-in", "password", &[("name", ADMIN), ("password", "wrong")]);
    assert_eq!(wrong.status, 422);
    assert_ne!(admin.get("/metrics").status, 200, "whom the proxy speaks for is not on this host");
    let ada = site.user("ada");
    ada.make_repository("project", "private");
    let log = site.admin().get("/admin/audit?action=sign_in.refused").text();
    assert!(log.contains("192.0.2.7"), "{log}");

    let key = Key::generate("ed25519");
    ada.add_key("laptop", &key.public());
    let ssh = proxy(0, site.serving().ssh);
    let known = crate::ssh::known_hosts(&site.dir().ssh(), ssh, site.home());
    let git = site.git().with_ssh(&key.command(&known));
    let local = git.history("local", 1);
    git.ok(&local, ["push", "--quiet", &format!("ssh://git@{ssh}/ada/project.git"), "main"]);
    let log = site.admin().get("/admin/audit?action=ref.moved").text();
    assert!(log.contains("192.0.2.7"), "{log}");
}

#[test]
fn a_header_from_anybody_else_ends_the_connection() {
    let http = free_port();
    let site = behind(http, http, "192.0.2.1");
    let request = format!("{HEADER}GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    let said = answer(site.serving().http, request.as_bytes());
    assert!(!said.contains("200") && !said.contains("ok"), "{said}");
    let said = answer(site.serving().ssh, format!("{HEADER}SSH-2.0-OpenSSH_9.2\r\n").as_bytes());
    let lines: Vec<_> = said.lines().collect();
    assert!(lines.len() <= 1, "more than a greeting: {said:?}");
}

//! Whether the server runs, answers at both doors, and shows the certificate that lies on disk. Knocks on this host's own doors
//! and nowhere else.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use base::Finding;
use base::file::Lock;

use super::{Live, Serving};
use crate::catalogue::{self, Known};
use crate::check::Check;
use crate::egress::Egress;
use crate::presented::{self, Target};
use crate::text::line;
use crate::trust::Trust;

/// How long a door may take.
const DEADLINE: Duration = Duration::from_secs(2);
const DAY: i64 = 86_400;
/// Days before the end of a certificate from which on it is spoken of.
const SOON: i64 = 30;

pub(super) static CHECKS: [Check<Live>; 9] = [
    Check::new(&catalogue::DOCTOR_SERVER, "server", server),
    Check::new(&catalogue::DOCTOR_STALE, "server's note", stale),
    Check::new(&catalogue::DOCTOR_VERSION, "server's version", version),
    Check::new(&catalogue::DOCTOR_HTTP, "door for HTTP", |live| page(live, &catalogue::DOCTOR_HTTP, "/healthz"))
        .patient(11),
    Check::new(&catalogue::DOCTOR_READY, "readiness", |live| page(live, &catalogue::DOCTOR_READY, "/readyz"))
        .patient(11),
    Check::new(&catalogue::DOCTOR_SSH, "door for SSH", ssh).patient(5),
    Check::new(&catalogue::DOCTOR_SHOWN, "certificate that is shown", shown).patient(5),
    Check::new(&catalogue::DOCTOR_EXPIRY, "certificate's end", expiry),
    Check::new(&catalogue::DOCTOR_PAIR, "certificate's key", pair),
];

fn server(live: &Live) -> Vec<Finding> {
    let known = &catalogue::DOCTOR_SERVER;
    match &live.serving {
        Some(serving) => known.fine("server", format!("runs as process {}", serving.pid)),
        None if Lock::is_held(&live.site.serve_lock()) => {
            known.warns("server", "holds its lock, and does not say where it answers: it starts or ends just now")
        }
        None => known.fails("server", "does not run"),
    }
}

/// What a killed server wrote of itself stays in its lock, and names a process that may be another's by now.
pub(super) fn is_stale(live: &Live) -> bool {
    let path = live.site.serve_lock();
    let has_note = std::fs::symlink_metadata(&path).is_ok_and(|facts| facts.is_file() && facts.len() > 0);
    has_note && !Lock::is_held(&path)
}

fn stale(live: &Live) -> Vec<Finding> {
    let known = &catalogue::DOCTOR_STALE;
    let path = live.site.serve_lock();
    let subject = line(&path.display().to_string());
    if std::fs::symlink_metadata(&path).is_ok_and(|facts| !facts.is_file()) {
        return known.fails(subject, "is no file of the server's: somebody put it there");
    }
    if is_stale(live) {
        return known.warns(subject, "was left by a server that was killed");
    }
    known.fine(subject, "is the running server's own, or empty")
}

fn version(live: &Live) -> Vec<Finding> {
    let known = &catalogue::DOCTOR_VERSION;
    match &live.serving {
        None => known.unseen("server's version", "the server does not run"),
        Some(serving) if serving.version == live.version => known.fine("server's version", serving.version.clone()),
        Some(serving) => {
            let message = format!("is {}, and this program is {}", line(&serving.version), live.version);
            known.warns("server's version", message)
        }
    }
}

/// The address to knock at: a server on all addresses is knocked at on the loopback.
fn door(address: SocketAddr) -> SocketAddr {
    let ip: IpAddr = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn page(live: &Live, known: &'static Known, path: &str) -> Vec<Finding> {
    let Some(serving) = &live.serving else { return known.unseen(path, "the server does not run") };
    let Some(url) = &live.site_url else { return known.unseen(path, "SITE_URL is not read") };
    let address = door(serving.http);
    let subject = format!("{address}{path}");
    match asked(live, serving, url.host(), path) {
        Ok(200) => known.fine(subject, "answers"),
        Ok(status) => known.fails(subject, format!("answers with HTTP {status}")),
        Err(reason) => known.fails(subject, line(&reason)),
    }
}

fn asked(live: &Live, serving: &Serving, host: &str, path: &str) -> Result<u16, String> {
    let address = door(serving.http);
    let trust = match &live.authorities {
        Some(file) => Trust::load(file).map_err(|error| error.to_string())?,
        None => Trust::system(),
    };
    let scheme = if live.site.server_certificate().exists() { "https" } else { "http" };
    let base = format!("{scheme}://{host}:{}", address.port());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let answer = runtime.block_on(async { Egress::at(&base, host, address.ip(), &trust)?.get(path).await });
    answer.map(|answer| answer.status).map_err(|error| error.to_string())
}

fn ssh(live: &Live) -> Vec<Finding> {
    let known = &catalogue::DOCTOR_SSH;
    let Some(serving) = &live.serving else { return known.unseen("door for SSH", "the server does not run") };
    let address = door(serving.ssh);
    match greeting(address) {
        Ok(bytes) if bytes.starts_with(b"SSH-2.0-") => known.fine(address.to_string(), "greets"),
        Ok(_) => known.fails(address.to_string(), "greets, and not as SSH does"),
        Err(error) => known.fails(address.to_string(), format!("does not greet: {error}")),
    }
}

/// The first bytes that a server says by itself.
fn greeting(address: SocketAddr) -> std::io::Result<Vec<u8>> {
    let stream = TcpStream::connect_timeout(&address, DEADLINE)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    let mut bytes = Vec::new();
    stream.take(8).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The first certificate of the file on disk.
fn on_disk(live: &Live) -> Option<crate::certificate::Certificate> {
    crate::authority::check(&live.site.server_certificate(), live.now).certificates.into_iter().next()
}

fn shown(live: &Live) -> Vec<Finding> {
    let known = &catalogue::DOCTOR_SHOWN;
    let subject = "certificate";
    let Some(own) = on_disk(live) else { return known.unseen(subject, "there is none on disk") };
    let (Some(serving), Some(url)) = (&live.serving, &live.site_url) else {
        return known.unseen(subject, "the server does not run");
    };
    let address = door(serving.http);
    let target = Target::parse(url.host().trim_start_matches('[').trim_end_matches(']'), Some(&address.to_string()));
    let Some(target) = target else { return known.unseen(subject, "SITE_URL's host is not one to ask for") };
    match presented::chain(&target, DEADLINE) {
        Err(error) => known.fails(subject, error.to_string()),
        Ok(chain) => {
            let theirs = chain.first().and_then(|der| crate::certificate::Certificate::parse(der));
            match theirs {
                Some(theirs) if theirs.fingerprint == own.fingerprint => known.fine(subject, "is the one on disk"),
                Some(theirs) => {
                    let message = format!(
                        "is another than the one on disk: `{}`, serial {}",
                        line(&theirs.subject),
                        theirs.serial
                    );
                    known.fails(subject, message)
                }
                None => known.fails(subject, "cannot be read"),
            }
        }
    }
}

fn expiry(live: &Live) -> Vec<Finding> {
    let known = &catalogue::DOCTOR_EXPIRY;
    let files = [live.site.server_certificate(), live.site.ca_certificate()];
    let mut findings = Vec::new();
    for file in files.into_iter().filter(|file| file.exists()) {
        let subject = line(&file.display().to_string());
        let bundle = crate::authority::check(&file, live.now);
        let Some(end) = bundle.certificates.iter().map(|certificate| certificate.not_after).min() else {
            findings.extend(known.fails(subject, "holds no certificate"));
            continue;
        };
        let days = (end - live.now.seconds()).div_euclid(DAY);
        findings.extend(match days {
            ..0 => known.fails(subject, format!("ended {} days ago", -days)),
            0..SOON => known.warns(subject, format!("ends in {days} days")),
            _ => known.fine(subject, format!("holds for {days} days")),
        });
    }
    if findings.is_empty() { known.unseen("certificates", "there are none on disk") } else { findings }
}

fn pair(live: &Live) -> Vec<Finding> {
    let known = &catalogue::DOCTOR_PAIR;
    let subject = line(&live.site.server_key().display().to_string());
    match live.is_paired {
        None => known.unseen(subject, "there is no certificate beside it"),
        Some(true) => known.fine(subject, "belongs to the certificate"),
        Some(false) => known.fails(subject, "does not belong to the certificate"),
    }
}

//! What `install` is to do, from its arguments and from what is there: addresses, the site's address, the password.
//! Asks the host for its name and whether that name resolves; changes nothing.

use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs};

use airgap::facts::Facts;
use airgap::plan::Request;
use airgap::running::Listen;
use base::envfile::Values;
use base::name::OwnerName;
use base::process::Program;
use base::settings::SettingsError;
use base::url::BaseUrl;
use base::{Secret, Severity};
use checks::env::Purpose;

use super::install::InstallArgs;
use super::{Console, Exit, Failure};

/// The ports of a site when nobody says.
const HTTP: u16 = 8828;
const SSH: u16 = 2424;
/// What a new `.env` takes over from the environment, so that a later `serve` in the same shell finds the same values.
const CARRIED: [&str; 4] = ["SECRET_KEY", "GITGRIT_ENCRYPTION_KEY", "SSH_CLONE_HOST", "SSH_PORT"];
/// The longest password file, in bytes.
const PASSWORD_LIMIT: u64 = 4096;

/// Puts together what the operator wants. Fails on an address that nobody else could reach, unless `--lab` is given.
pub(crate) fn request(args: &InstallArgs, facts: &Facts, console: &Console) -> Result<Request, Failure> {
    let listen = listen(args, facts.listen)?;
    let administrator = OwnerName::parse(&args.admin).map_err(|error| Failure::new(Exit::Usage, error))?;
    let password = match &args.admin_password_file {
        Some(path) => {
            Some(Secret::new(base::file::read_text(path, PASSWORD_LIMIT)?.trim_end_matches(['\r', '\n']).into()))
        }
        None => None,
    };
    Ok(Request {
        site_url: site_url(args, facts, listen.http.port(), console)?,
        listen,
        is_lab: args.lab,
        administrator: administrator.as_str().to_owned(),
        password,
        values: if facts.has_env { Values::default() } else { carried(args, console)? },
        is_foreground: args.foreground,
    })
}

/// What a new `.env` takes over. Fails on a value that `env check` would call an error: once written, it would be in the way
/// of every further run.
fn carried(args: &InstallArgs, console: &Console) -> Result<Values, Failure> {
    let purpose = if args.lab { Purpose::Lab } else { Purpose::Site };
    let mut values = Values::default();
    for name in CARRIED {
        let Some(value) = console.environment.get(name).filter(|value| !value.is_empty()) else { continue };
        let found = checks::env::value(name, value, purpose);
        if let Some(wrong) = found.into_iter().find(|finding| finding.severity == Severity::Error) {
            let said = format!("{name} in the environment: {}", wrong.message);
            return Err(Failure::said(Exit::Usage, said).hinted(wrong.fix));
        }
        values.set(name, value);
    }
    Ok(values)
}

/// The addresses asked for, else those of an earlier run, else every interface (with `--lab` the loopback alone).
fn listen(args: &InstallArgs, earlier: Option<Listen>) -> Result<Listen, Failure> {
    let ip: IpAddr = if args.lab { [127, 0, 0, 1].into() } else { [0, 0, 0, 0].into() };
    let settle = |asked: Option<SocketAddr>, earlier: Option<SocketAddr>, port| {
        settle(asked.or(earlier).unwrap_or(SocketAddr::new(ip, port)), earlier)
    };
    Ok(Listen {
        http: settle(args.http, earlier.map(|earlier| earlier.http), HTTP)?,
        ssh: settle(args.ssh, earlier.map(|earlier| earlier.ssh), SSH)?,
    })
}

/// Port 0 becomes the port of an earlier run, or one that is free now: the site's address must outlive a restart.
fn settle(asked: SocketAddr, earlier: Option<SocketAddr>) -> Result<SocketAddr, Failure> {
    match earlier {
        _ if asked.port() != 0 => Ok(asked),
        Some(earlier) if earlier.ip() == asked.ip() => Ok(earlier),
        _ => Ok(TcpListener::bind(asked)?.local_addr()?),
    }
}

/// The site's own address when it has one, else what is asked for, else the host's name.
fn site_url(args: &InstallArgs, facts: &Facts, port: u16, console: &Console) -> Result<BaseUrl, Failure> {
    let asked = args.site_url.as_deref().or_else(|| console.environment.get("SITE_URL").filter(|url| !url.is_empty()));
    // The text itself is not repeated: it may hold a password.
    let parse = |text: &str| {
        let failed = |source| Failure::new(Exit::Usage, SettingsError::Url { name: "SITE_URL", source });
        BaseUrl::parse(text).map_err(failed)
    };
    let url = match (asked, &facts.site_url) {
        (None, Some(own)) => return Ok(own.clone()),
        (Some(asked), Some(_)) => return parse(asked),
        (Some(asked), None) => parse(asked)?,
        (None, None) if args.lab => return parse(&format!("https://localhost:{port}")),
        (None, None) => parse(&format!("https://{}:{port}", host_name()?))?,
    };
    if !args.lab {
        refuse_unreachable(&url)?;
    }
    Ok(url)
}

fn host_name() -> Result<String, Failure> {
    let done = Program::new("hostname").option("-f").run(b"").map_err(|error| Failure::new(Exit::Failure, error));
    let name = done.ok().filter(|done| done.status.success()).and_then(|done| String::from_utf8(done.stdout).ok());
    let name = name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    name.ok_or_else(|| Failure::said(Exit::Failure, "`hostname -f` does not say this host's name").hinted(NAME_IT))
}

const NAME_IT: &str = "name the address that people will use with --site-url https://HOST:8828, or try the site on this machine alone with --lab";

/// An address that does not resolve, or only to this machine, would be in every link, clone address and certificate.
fn refuse_unreachable(url: &BaseUrl) -> Result<(), Failure> {
    let host = url.host();
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let refuse = |why: &str| Err(Failure::said(Exit::Failure, format!("`{host}` {why}")).hinted(NAME_IT));
    let Ok(addresses) = (name, url.port()).to_socket_addrs() else {
        return refuse("does not resolve on this host");
    };
    let is_loopback = addresses.map(|address| address.ip()).all(|ip| ip.is_loopback() || ip.is_unspecified());
    if is_loopback { refuse("is this machine's loopback, which nobody else can reach") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str) -> String {
        refuse_unreachable(&BaseUrl::parse(url).unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn addresses_that_nobody_else_reaches_are_refused() {
        for local in ["https://localhost:8828", "https://127.0.0.2", "https://[::1]:1", "https://0.0.0.0"] {
            assert!(refused(local).ends_with("is this machine's loopback, which nobody else can reach"), "{local}");
        }
        assert_eq!(refused("https://forge.invalid"), "`forge.invalid` does not resolve on this host");
        refuse_unreachable(&BaseUrl::parse("https://192.0.2.7").unwrap()).unwrap();
    }

    #[test]
    fn port_zero_is_settled_once_and_kept() {
        let any = "127.0.0.1:0".parse().unwrap();
        let first = settle(any, None).unwrap();
        assert_ne!(first.port(), 0);
        assert_eq!(settle(any, Some(first)).unwrap(), first);
        let other = "127.0.0.1:9000".parse().unwrap();
        assert_eq!(settle(other, Some(first)).unwrap(), other);
    }
}

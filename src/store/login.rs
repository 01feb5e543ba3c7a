//! Where a PostgreSQL database is and how its connections are made. Never shows an address, which may hold a password,
//! and never sends anything in clear when TLS was asked for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};

use base::Secret;

use crate::StoreError;
use crate::error::Cause;
use crate::tls::{self, Trust};

/// How long a connection may take to come about.
pub(crate) const CONNECT: Duration = Duration::from_secs(5);
/// How long a caller waits for a connection, and so for the transactions before its own.
pub(crate) const WAIT: Duration = Duration::from_mins(1);
/// How long a connection may be silent while something is under way on it.
const SILENCE: Duration = Duration::from_secs(15);

/// Where a database on a server is, and how to enter it.
#[derive(Clone)]
pub struct Login(Arc<Entrance>);

struct Entrance {
    config: Config,
    /// `None` when nothing is ever encrypted.
    trust: Option<Trust>,
    roots: Option<PathBuf>,
}

/// What the address says of TLS.
#[derive(Default)]
struct Asked {
    mode: Option<String>,
    roots: Option<String>,
}

/// Would show host and user, which is more than an error needs.
impl std::fmt::Debug for Login {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Login(***)")
    }
}

impl Login {
    /// Parses `postgres://user:password@host:port/name?…` as libpq would read it; a host that begins with `/` (as %2F,
    /// or as `?host=/…`) is the directory of a socket. `sslmode` may be `disable`, `prefer` (the default), `require`,
    /// `verify-ca` and `verify-full`; `sslrootcert` names a file of authorities, in place of `authorities`, which stand
    /// in place of the host's own. Fails with [`StoreError::Address`].
    pub fn parse(address: &Secret<String>, authorities: Option<&Path>) -> Result<Self, StoreError> {
        let refused = |problem| StoreError::Address { problem };
        let text = address.expose();
        if !["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Err(refused("does not begin with postgres:// or postgresql://"));
        }
        let (text, asked) = without_tls(text);
        let mut config: Config = text.parse().map_err(|_| refused("is not an address of PostgreSQL's"))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(refused("names no host"));
        }
        if config.get_dbname().is_none() {
            return Err(refused("names no database"));
        }
        let given = asked.roots.map(PathBuf::from);
        let (mode, trust) = match asked.mode.as_deref() {
            Some("disable") => (SslMode::Disable, None),
            None | Some("prefer") => (SslMode::Prefer, Some(Trust::Anyone)),
            // As libpq has it: whoever names authorities means them.
            Some("require") if given.is_none() => (SslMode::Require, Some(Trust::Anyone)),
            Some("require" | "verify-ca") => (SslMode::Require, Some(Trust::Authority)),
            Some("verify-full") => (SslMode::Require, Some(Trust::AuthorityAndName)),
            Some(_) => {
                return Err(refused("has an sslmode other than disable, prefer, require, verify-ca or verify-full"));
            }
        };
        config.ssl_mode(mode);
        config.connect_timeout(CONNECT).tcp_user_timeout(SILENCE).keepalives_idle(SILENCE).application_name("gitgrit");
        let roots = given.or_else(|| authorities.map(Path::to_owned));
        let login = Self(Arc::new(Entrance { config, trust, roots }));
        // What is wrong with the authorities shall be said now and not by the first connection.
        login.manager(String::new()).map(|_| login)
    }

    /// A pool of connections whose sessions are told `session`; none is made yet.
    pub(crate) fn pool(&self, session: &str, size: usize) -> Result<Pool, StoreError> {
        // Ours come last, and win.
        let given = self.0.config.get_options().unwrap_or_default();
        let manager = self.manager(format!("{given} {session}"))?;
        let pool = Pool::builder(manager).max_size(size).runtime(Runtime::Tokio1);
        let pool = pool.wait_timeout(Some(WAIT)).create_timeout(Some(CONNECT)).recycle_timeout(Some(CONNECT));
        pool.build().map_err(|error| StoreError::Away(Cause::Server(error.to_string())))
    }

    fn manager(&self, options: String) -> Result<Manager, StoreError> {
        let Entrance { config, trust, roots } = &*self.0;
        let mut config = config.clone();
        config.options(options);
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        Ok(match trust {
            None => Manager::from_config(config, NoTls, recycling),
            Some(trust) => Manager::from_config(config, tls::connector(*trust, roots.as_deref())?, recycling),
        })
    }
}

/// The address without what it says of TLS, which the library knows in part alone, and what that is.
fn without_tls(text: &str) -> (String, Asked) {
    let Some((start, options)) = text.split_once('?') else { return (text.to_owned(), Asked::default()) };
    let mut asked = Asked::default();
    let mut kept = Vec::new();
    for option in options.split('&') {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        match decoded(name).as_deref() {
            Some("sslmode") => asked.mode = Some(decoded(value).unwrap_or_default()),
            Some("sslrootcert") => asked.roots = Some(decoded(value).unwrap_or_default()),
            _ => kept.push(option),
        }
    }
    let mark = if kept.is_empty() { "" } else { "?" };
    (format!("{start}{mark}{}", kept.join("&")), asked)
}

/// The text behind `%XX`; `None` when there is none.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(address: &str) -> Result<Login, StoreError> {
        Login::parse(&Secret::new(address.into()), None)
    }

    fn problem(address: &str) -> String {
        let refused = login(address).expect_err(address);
        format!("{refused} {refused:?}")
    }

    #[test]
    fn every_mode_of_tls_is_kept_to_and_no_other_is_known() {
        use Trust::{Anyone, Authority, AuthorityAndName};
        for (options, mode, trust) in [
            ("", SslMode::Prefer, Some(Anyone)),
            ("?sslmode=disable", SslMode::Disable, None),
            ("?sslmode=prefer", SslMode::Prefer, Some(Anyone)),
            ("?sslmode=require", SslMode::Require, Some(Anyone)),
            ("?sslmode=verify-ca", SslMode::Require, Some(Authority)),
            ("?sslmode=verify-full", SslMode::Require, Some(AuthorityAndName)),
            ("?ssl%6dode=verify%2Dfull", SslMode::Require, Some(AuthorityAndName)),
        ] {
            let login = login(&format!("postgres://u:hunter2@db/gitgrit{options}")).expect(options);
            assert_eq!((login.0.config.get_ssl_mode(), login.0.trust), (mode, trust), "{options}");
        }
        for mode in ["allow", "on", "", "%zz"] {
            let said = problem(&format!("postgres://u:hunter2@db/gitgrit?sslmode={mode}"));
            assert!(said.contains("sslmode") && !said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn authorities_that_cannot_be_used_are_named_before_anything_is_sent() {
        let said = problem("postgres://u:hunter2@db/gitgrit?sslmode=verify-full&sslrootcert=%2Fno%2Fsuch.pem");
        assert!(said.contains("/no/such.pem") && !said.contains("hunter2"), "{said}");
        let said = problem("postgres://u:hunter2@db/gitgrit?sslmode=require&sslrootcert=/no/such.pem");
        assert!(said.contains("/no/such.pem"), "{said}");
        let directory = tempfile::tempdir().unwrap();
        let empty = directory.path().join("empty.pem");
        base::file::write_atomic(&empty, b"no certificate", 0o600).unwrap();
        let said =
            problem(&format!("postgres://u:hunter2@db/gitgrit?sslmode=verify-ca&sslrootcert={}", empty.display()));
        assert!(said.contains("empty.pem"), "{said}");
    }

    #[test]
    fn an_address_that_does_not_parse_is_refused_without_being_shown() {
        for address in [
            "mysql://u:hunter2@db/x",
            "sqlite:/data/hunter2.db",
            "postgres://u:hunter2@db:port/x",
            "postgres://u:hunter2@db/x?hunter2=1",
        ] {
            assert!(!problem(address).contains("hunter2"), "{address}");
        }
        assert!(problem("postgres://u:hunter2@db").contains("names no database"));
    }

    #[test]
    fn a_login_shows_nothing_of_itself() {
        for address in ["postgresql://u:hunter2@db:5433/gitgrit", "postgres://u:hunter2@%2Frun%2Fpostgresql/gitgrit"] {
            assert_eq!(format!("{:?}", login(address).unwrap()), "Login(***)");
        }
    }
}

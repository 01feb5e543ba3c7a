//! Where a PostgreSQL database is and how its connections are made. Never shows an address, which may hold a password,
//! and never sends anything in clear when TLS was asked for.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};

use base::Secret;

use crate::StoreError;
use crate::error::Cause;

/// How long a connection may take to come about.
pub(crate) const CONNECT: Duration = Duration::from_secs(5);
/// How long a caller waits for a connection, and so for the transactions before its own.
pub(crate) const WAIT: Duration = Duration::from_mins(1);
/// How long a connection may be silent while something is under way on it.
const SILENCE: Duration = Duration::from_secs(15);
const TLS: &str = "asks for TLS, which this version does not speak to a database, and nothing was sent in clear";

/// Where a database on a server is, and how to enter it.
#[derive(Clone)]
pub struct Login(Arc<Config>);

/// Would show host and user, which is more than an error needs.
impl std::fmt::Debug for Login {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Login(***)")
    }
}

impl Login {
    /// Parses `postgres://user:password@host:port/name?…` as libpq would read it; a host that begins with `/` (as %2F,
    /// or as `?host=/…`) is the directory of a socket. Fails with [`StoreError::Address`], also when it asks for TLS.
    pub fn parse(address: &Secret<String>) -> Result<Self, StoreError> {
        let refused = |problem| StoreError::Address { problem };
        let text = address.expose();
        if !["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Err(refused("does not begin with postgres:// or postgresql://"));
        }
        let options = text.split_once('?').map_or("", |(_, options)| options);
        let asked = options.split('&').find_map(|option| option.strip_prefix("sslmode="));
        let has_tls = asked.is_some_and(|mode| !["disable", "prefer"].contains(&mode));
        if has_tls {
            return Err(refused(TLS));
        }
        let mut config: Config = text.parse().map_err(|_| refused("is not an address of PostgreSQL's"))?;
        if config.get_ssl_mode() == SslMode::Require {
            return Err(refused(TLS));
        }
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(refused("names no host"));
        }
        if config.get_dbname().is_none() {
            return Err(refused("names no database"));
        }
        config.connect_timeout(CONNECT).tcp_user_timeout(SILENCE).keepalives_idle(SILENCE).application_name("gitgrit");
        Ok(Self(Arc::new(config)))
    }

    /// A pool of connections whose sessions are told `session`; none is made yet.
    pub(crate) fn pool(&self, session: &str, size: usize) -> Result<Pool, StoreError> {
        let mut config = Config::clone(&self.0);
        // Ours come last, and win.
        let given = config.get_options().unwrap_or_default().to_owned();
        config.options(format!("{given} {session}"));
        let manager = Manager::from_config(config, NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
        let pool = Pool::builder(manager).max_size(size).runtime(Runtime::Tokio1);
        let pool = pool.wait_timeout(Some(WAIT)).create_timeout(Some(CONNECT)).recycle_timeout(Some(CONNECT));
        pool.build().map_err(|error| StoreError::Away(Cause::Server(error.to_string())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(address: &str) -> String {
        let refused = Login::parse(&Secret::new(address.into())).expect_err(address);
        format!("{refused} {refused:?}")
    }

    #[test]
    fn an_address_that_asks_for_tls_is_refused_and_never_used_in_clear() {
        for mode in ["require", "verify-ca", "verify-full", "allow"] {
            let said = problem(&format!("postgres://u:hunter2@db/gitgrit?sslmode={mode}"));
            assert!(said.contains("TLS") && !said.contains("hunter2"), "{said}");
        }
        assert!(problem("postgres://u:hunter2@db/gitgrit?ssl%6dode=require").contains("TLS"));
    }

    #[test]
    fn an_address_that_does_not_parse_is_refused_without_being_shown() {
        for address in
            ["mysql://u:hunter2@db/x", "postgres://u:hunter2@db:port/x", "postgres://u:hunter2@db/x?hunter2=1"]
        {
            assert!(!problem(address).contains("hunter2"), "{address}");
        }
        assert!(problem("postgres://u:hunter2@db").contains("names no database"));
    }

    #[test]
    fn a_login_shows_nothing_of_itself() {
        for address in ["postgresql://u:hunter2@db:5433/gitgrit", "postgres://u:hunter2@%2Frun%2Fpostgresql/gitgrit"] {
            let login = Login::parse(&Secret::new(address.into())).unwrap();
            assert_eq!(format!("{login:?}"), "Login(***)");
        }
    }
}

//! Puts the values of a site together and parses what the server needs. Says which variable is wrong, never its value.

use std::path::PathBuf;

use crate::envfile::{self, EnvFileError, Values};
use crate::file::{FileError, read_text};
use crate::network::{Network, NetworkError};
use crate::site::SiteDir;
use crate::transfers::TransferSettings;
use crate::url::{BaseUrl, UrlError};
use crate::{Hint, Secret};

/// The secrets that a site cannot do without. They may stand in `data/secrets.json` instead of `.env`.
pub const SECRETS: [&str; 2] = ["SECRET_KEY", "GITGRIT_ENCRYPTION_KEY"];

/// Where values come from: process environment, then `--env-file`, then the site's `.env`.
#[derive(Debug, Default)]
pub struct Sources {
    /// The process environment, cut down to the names in the registry.
    pub environment: Values,
    /// What `--env-file` names.
    pub env_file: Option<PathBuf>,
    /// The site, when there is one.
    pub site: Option<SiteDir>,
}

/// Settings that do not fit.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A `.env` file could not be read.
    #[error("could not read the site's settings")]
    EnvFile(#[from] EnvFileError),
    /// `secrets.json` could not be read.
    #[error("could not read the site's stored secrets")]
    Secrets(#[from] FileError),
    /// `secrets.json` is not an object of texts.
    #[error("`{path}` is not a JSON object of texts")]
    SecretsFormat {
        /// The file.
        path: PathBuf,
    },
    /// A variable that must be there is not.
    #[error("{name} is not set")]
    Missing {
        /// The variable.
        name: &'static str,
    },
    /// An address does not parse.
    #[error("{name} is not usable")]
    Url {
        /// The variable.
        name: &'static str,
        /// Why.
        source: UrlError,
    },
    /// A port does not parse.
    #[error("{name} is not a port from 1 to 65535")]
    Port {
        /// The variable.
        name: &'static str,
    },
    /// A number does not parse.
    #[error("{name} is not a whole number")]
    Count {
        /// The variable.
        name: &'static str,
    },
    /// A list of networks does not parse.
    #[error("{name} is not usable")]
    Networks {
        /// The variable.
        name: &'static str,
        /// Why.
        source: NetworkError,
    },
    /// A word is none of those that are known.
    #[error("{name} is not one of {known}")]
    Word {
        /// The variable.
        name: &'static str,
        /// What is known.
        known: &'static str,
    },
    /// `AIRGAPPED` has another value than `True`.
    #[error("AIRGAPPED is not `True`")]
    Airgapped,
    /// The same secret has two values.
    #[error("{name} has one value in the settings and another in `{path}`")]
    Conflict {
        /// The variable.
        name: &'static str,
        /// The file with the other value.
        path: PathBuf,
    },
}

impl Hint for SettingsError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::EnvFile(error) => error.hint(),
            Self::Secrets(error) => error.hint(),
            Self::SecretsFormat { path } => Some(format!("restore `{}` from a backup", path.display())),
            Self::Missing { name } => {
                Some(format!("set {name} in the site's .env; `gitgrit-ops env check` judges the whole file"))
            }
            Self::Url { source, .. } => source.hint(),
            Self::Port { .. } | Self::Word { .. } => None,
            Self::Count { .. } => Some("0 is no limit; without the line the default holds".into()),
            Self::Networks { source, .. } => source.hint(),
            Self::Airgapped => Some("remove the line, or write AIRGAPPED=True; this program has no other mode".into()),
            Self::Conflict { name, .. } => {
                Some(format!("keep the {name} that the data was written with and remove the other"))
            }
        }
    }
}

impl Sources {
    /// The layered values. Fails when a named file does not read.
    pub fn values(&self) -> Result<Values, SettingsError> {
        let mut values = self.environment.clone();
        if let Some(path) = &self.env_file {
            values.fill_from(&envfile::read(path)?);
        }
        if let Some(path) = self.site.as_ref().map(SiteDir::env).filter(|path| path.exists()) {
            values.fill_from(&envfile::read(&path)?);
        }
        if let Some(site) = &self.site {
            add_stored_secrets(&mut values, site)?;
        }
        Ok(values)
    }
}

/// What the server needs, parsed.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The site's address.
    pub site_url: BaseUrl,
    /// Signs what goes to browsers.
    pub secret_key: Secret<String>,
    /// The Fernet key, unparsed.
    pub encryption_key: Secret<String>,
    /// Host in SSH clone addresses.
    pub ssh_clone_host: String,
    /// Port in SSH clone addresses.
    pub ssh_port: u16,
    /// `DATABASE_URL`, or the address that the `DB_*` amount to, when either is set.
    pub database_url: Option<Secret<String>>,
    /// The Redis server that replicas share; none for a site of one process.
    pub redis_url: Option<Secret<String>>,
    /// The site's own authorities, a PEM file: `REQUESTS_CA_BUNDLE`, else `GITGRIT_CUSTOM_CA_FILE_PATH`.
    pub custom_authorities: Option<PathBuf>,
    /// Reverse proxies whose forwarded addresses are believed.
    pub trusted_proxies: Vec<Network>,
    /// Whether those proxies begin a connection with a header.
    pub proxy_protocol: ProxyProtocol,
    /// How much Git's clients may take.
    pub transfers: TransferSettings,
}

/// Whether trusted proxies begin a connection with a header of the PROXY protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// They do not.
    #[default]
    Off,
    /// They may.
    Accept,
    /// They must.
    Require,
}

impl ProxyProtocol {
    fn parse(text: &str) -> Result<Self, SettingsError> {
        match text {
            "" | "off" => Ok(Self::Off),
            "accept" => Ok(Self::Accept),
            "require" => Ok(Self::Require),
            _ => Err(SettingsError::Word { name: "PROXY_PROTOCOL", known: "off, accept, require" }),
        }
    }
}

impl Settings {
    /// Parses `values`. Fails on the first variable that is missing or does not parse.
    pub fn parse(values: &Values) -> Result<Self, SettingsError> {
        if values.get("AIRGAPPED").is_some_and(|value| value != "True") {
            return Err(SettingsError::Airgapped);
        }
        let site_url = BaseUrl::parse(required(values, "SITE_URL")?)
            .map_err(|source| SettingsError::Url { name: "SITE_URL", source })?;
        let ssh_clone_host = set(values, "SSH_CLONE_HOST").unwrap_or_else(|| site_url.host()).to_owned();
        Ok(Self {
            ssh_clone_host,
            ssh_port: port(values, "SSH_PORT", 2424)?,
            secret_key: Secret::new(required(values, "SECRET_KEY")?.into()),
            encryption_key: Secret::new(required(values, "GITGRIT_ENCRYPTION_KEY")?.into()),
            database_url: database_url(values)?,
            redis_url: set(values, "REDIS_URL").map(|url| Secret::new(url.to_owned())),
            custom_authorities: set(values, "REQUESTS_CA_BUNDLE")
                .or_else(|| set(values, "GITGRIT_CUSTOM_CA_FILE_PATH"))
                .map(PathBuf::from),
            trusted_proxies: Network::parse_list(values.get("TRUSTED_PROXIES").unwrap_or_default())
                .map_err(|source| SettingsError::Networks { name: "TRUSTED_PROXIES", source })?,
            proxy_protocol: ProxyProtocol::parse(values.get("PROXY_PROTOCOL").unwrap_or_default())?,
            transfers: TransferSettings::parse(values)?,
            site_url,
        })
    }
}

/// What DATABASE_URL is made of when it is not given.
const DATABASE_PARTS: [&str; 5] = ["DB_HOST", "DB_PORT", "DB_NAME", "DB_USER", "DB_PASSWORD"];

fn set<'v>(values: &'v Values, name: &str) -> Option<&'v str> {
    values.get(name).filter(|value| !value.is_empty())
}

fn required<'v>(values: &'v Values, name: &'static str) -> Result<&'v str, SettingsError> {
    set(values, name).ok_or(SettingsError::Missing { name })
}

fn port(values: &Values, name: &'static str, default: u16) -> Result<u16, SettingsError> {
    match set(values, name) {
        None => Ok(default),
        Some(text) => text.parse().ok().filter(|port| *port != 0).ok_or(SettingsError::Port { name }),
    }
}

/// Says whether `values` name a database on a server; else the site's own file is meant.
pub fn has_database_server(values: &Values) -> bool {
    set(values, "DATABASE_URL").is_some() || DATABASE_PARTS.iter().any(|name| set(values, name).is_some())
}

/// The seeds' five variables say the same as DATABASE_URL, which wins; one of them is enough to mean a server.
fn database_url(values: &Values) -> Result<Option<Secret<String>>, SettingsError> {
    if let Some(url) = set(values, "DATABASE_URL") {
        return Ok(Some(Secret::new(url.to_owned())));
    }
    if !has_database_server(values) {
        return Ok(None);
    }
    let part = |name, default| encoded(set(values, name).unwrap_or(default));
    let password = set(values, "DB_PASSWORD").map(|password| format!(":{}", encoded(password))).unwrap_or_default();
    let (user, host, name) = (part("DB_USER", "gitgrit"), part("DB_HOST", "db"), part("DB_NAME", "gitgrit"));
    let port = port(values, "DB_PORT", 5432)?;
    Ok(Some(Secret::new(format!("postgres://{user}{password}@{host}:{port}/{name}"))))
}

/// Percent-encodes all but RFC 3986's unreserved characters.
fn encoded(text: &str) -> String {
    let sign = |byte: u8| match byte {
        b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(sign).collect()
}

fn add_stored_secrets(values: &mut Values, site: &SiteDir) -> Result<(), SettingsError> {
    let path = site.secrets();
    if !path.exists() {
        return Ok(());
    }
    let text = read_text(&path, 64 << 10)?;
    let stored: std::collections::BTreeMap<String, String> =
        serde_json::from_str(&text).map_err(|_| SettingsError::SecretsFormat { path: path.clone() })?;
    for name in SECRETS {
        match (set(values, name), stored.get(name)) {
            (Some(given), Some(stored)) if given != stored => return Err(SettingsError::Conflict { name, path }),
            (None, Some(stored)) => values.set(name, stored.clone()),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Values {
        [("SITE_URL", "https://forge.acme.internal"), ("SECRET_KEY", "s"), ("GITGRIT_ENCRYPTION_KEY", "k")]
            .into_iter()
            .collect()
    }

    #[test]
    fn clone_host_and_port_have_their_defaults() {
        let settings = Settings::parse(&base()).unwrap();
        assert_eq!((settings.ssh_clone_host.as_str(), settings.ssh_port), ("forge.acme.internal", 2424));
    }

    #[test]
    fn the_parts_of_a_database_address_make_one_and_the_whole_wins() {
        assert!(Settings::parse(&base()).unwrap().database_url.is_none());
        let mut values = base();
        values.set("DB_PASSWORD", "p@ss/w:rd");
        let url = |values: &Values| Settings::parse(values).unwrap().database_url.unwrap().expose().clone();
        assert_eq!(url(&values), "postgres://gitgrit:p%40ss%2Fw%3Ard@db:5432/gitgrit");
        values.set("DB_HOST", "/run/postgresql");
        values.set("DB_PORT", "5433");
        assert_eq!(url(&values), "postgres://gitgrit:p%40ss%2Fw%3Ard@%2Frun%2Fpostgresql:5433/gitgrit");
        values.set("DATABASE_URL", "postgres://other/site");
        assert_eq!(url(&values), "postgres://other/site");
        values.set("DATABASE_URL", "");
        values.set("DB_PORT", "x");
        assert!(matches!(Settings::parse(&values), Err(SettingsError::Port { name: "DB_PORT" })));
    }

    #[test]
    fn a_missing_or_wrong_variable_is_named() {
        let mut values = base();
        values.set("SSH_PORT", "0");
        assert_eq!(Settings::parse(&values).unwrap_err().to_string(), "SSH_PORT is not a port from 1 to 65535");
        let mut values = base();
        values.set("SECRET_KEY", "");
        assert_eq!(Settings::parse(&values).unwrap_err().to_string(), "SECRET_KEY is not set");
        let mut values = base();
        values.set("AIRGAPPED", "true");
        assert!(matches!(Settings::parse(&values), Err(SettingsError::Airgapped)));
    }

    #[test]
    fn a_secret_with_two_values_is_a_conflict() {
        let dir = tempfile::tempdir().unwrap();
        let site = SiteDir::new(dir.path());
        std::fs::create_dir(site.data()).unwrap();
        std::fs::write(site.secrets(), r#"{"SECRET_KEY":"one"}"#).unwrap();
        std::fs::write(site.env(), "SECRET_KEY=two\n").unwrap();
        let sources = Sources { site: Some(site.clone()), ..Sources::default() };
        assert!(matches!(sources.values(), Err(SettingsError::Conflict { name: "SECRET_KEY", .. })));
        std::fs::write(site.env(), "SECRET_KEY=one\n").unwrap();
        assert_eq!(sources.values().unwrap().get("SECRET_KEY"), Some("one"));
    }
}

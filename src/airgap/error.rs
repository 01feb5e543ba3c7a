//! Why an installation stops, and what the operator can do about it.

use std::path::PathBuf;

use base::Hint;
use base::file::FileError;
use base::settings::SettingsError;
use base::template::TemplateError;
use base::url::BaseUrl;
use vault::authority::AuthorityError;

use crate::journal::JournalError;
use crate::plan::Step;
use crate::running::RunningError;

/// Why an installation stopped. Everything before the failed step is there, and the next run goes on from it.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The directory holds something else.
    #[error("`{path}` is not empty and not a site")]
    Foreign {
        /// The directory.
        path: PathBuf,
    },
    /// A file did not read or write; also when another operation holds the site.
    #[error("could not use a file of the site")]
    File(#[from] FileError),
    /// The site's settings do not fit.
    #[error("could not use the site's settings")]
    Settings(#[from] SettingsError),
    /// A value cannot stand in a `.env`.
    #[error("could not write the site's settings")]
    Template(#[from] TemplateError),
    /// Another address is asked for than `.env` has.
    #[error("the site's address is `{found}`, not `{wanted}`")]
    SiteUrl {
        /// What `.env` has.
        found: BaseUrl,
        /// What was asked for.
        wanted: BaseUrl,
    },
    /// The address's host is none that a certificate can carry.
    #[error("`{name}` cannot stand in a certificate")]
    Host {
        /// The host.
        name: String,
    },
    /// There is data, and the secret that it was written with is gone.
    #[error("`{path}` is there, but {name} is not")]
    SecretLost {
        /// The variable.
        name: &'static str,
        /// The database.
        path: &'static str,
    },
    /// There are repositories, and the database that knows them is gone.
    #[error("`data/repositories` holds repositories, but `data/gitgrit.sqlite` is not there")]
    DatabaseLost,
    /// The authority's key is gone.
    #[error("the site's authority has no key: `{path}` is not there")]
    AuthorityKey {
        /// The key's file.
        path: PathBuf,
    },
    /// The authority is good, but not now.
    #[error("the site's authority {what} by this host's clock")]
    AuthorityDates {
        /// What is wrong with its dates.
        what: &'static str,
    },
    /// The authority does not load or was not made.
    #[error("could not use the site's authority `{path}`")]
    Authority {
        /// The certificate's file.
        path: PathBuf,
        /// Why.
        source: AuthorityError,
    },
    /// The server's certificate does not read or was not issued.
    #[error("could not use the server's certificate `{path}`")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        source: AuthorityError,
    },
    /// The operator's own certificate lacks its key.
    #[error("the server's certificate is not the site authority's, and its private key is not beside it")]
    OwnCertificate,
    /// The journal failed.
    #[error("could not record what is done")]
    Journal(#[from] JournalError),
    /// The server's state failed.
    #[error("could not use the server's state")]
    Running(#[from] RunningError),
    /// What the caller does for a step failed.
    #[error("the step `{step}` failed")]
    Hook {
        /// The step.
        step: Step,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Hint for InstallError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Foreign { .. } => Some("name a new or an empty directory".into()),
            Self::File(error) => error.hint(),
            Self::Settings(error) => error.hint(),
            Self::Template(error) => error.hint(),
            Self::SiteUrl { .. } => {
                Some("change SITE_URL in the site's .env, then install again without --site-url".into())
            }
            Self::Host { .. } => Some(
                "name the site by letters, digits and `-`, with a dot between its parts and none at the end".into(),
            ),
            Self::SecretLost { name, .. } => {
                Some(format!("restore the .env that the data was written with; a new {name} could not read it"))
            }
            Self::DatabaseLost => {
                Some("restore the database; to begin anew without it, move data/repositories away".into())
            }
            Self::AuthorityKey { .. } => {
                Some("restore the key; without it every client would have to trust a new authority".into())
            }
            Self::AuthorityDates { .. } => Some(
                "set this host's clock; when it was wrong at the installation, move data/tls away and install again: clients \
                 must then trust the new /ca.pem"
                    .into(),
            ),
            Self::Authority { source, .. } | Self::Certificate { source, .. } => source.hint(),
            Self::OwnCertificate => Some("put your certificate's key at data/tls/server.key".into()),
            Self::Journal(error) => error.hint(),
            Self::Running(error) => error.hint(),
            Self::Hook { .. } => None,
        }
    }
}

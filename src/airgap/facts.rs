//! What is there already, found by looking at the site's directory. Changes nothing.

use base::Secret;
use base::envfile::Values;
use base::file::{FileError, read_text};
use base::settings::{SECRETS, Settings, SettingsError, Sources, has_database_server};
use base::site::SiteDir;
use base::url::BaseUrl;
use vault::authority::{Authority, Served, is_pair, read_served};

use crate::error::InstallError;
use crate::running::{self, Listen, Serving};

/// The largest certificate or key that is read, in bytes.
const LIMIT: u64 = 256 << 10;

/// A site's directory as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// All directories that an installation makes are there.
    pub has_directories: bool,
    /// `.env` is there.
    pub has_env: bool,
    /// SITE_URL, when `.env` is there.
    pub site_url: Option<BaseUrl>,
    /// The secrets that neither `.env` nor `data/secrets.json` gives.
    pub missing_secrets: Vec<&'static str>,
    /// Where the server is to listen.
    pub listen: Option<Listen>,
    /// What the site's authority says of itself, when it is there, certificate and key.
    pub authority: Option<Served>,
    /// The server's certificate, when there is one.
    pub certificate: Option<CertificateFact>,
    /// The database file is there.
    pub has_database: bool,
    /// The settings name a database on a server instead.
    pub has_database_server: bool,
    /// There is at least one repository.
    pub has_repositories: bool,
    /// The server that runs now.
    pub serving: Option<Serving>,
}

/// A server certificate that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFact {
    /// Names and dates.
    pub served: Served,
    /// Says whether the site's own authority issued it; else it is the operator's own and is left alone.
    pub is_ours: bool,
    /// Says whether its private key is beside it.
    pub is_paired: bool,
}

/// A directory with other things in it is nobody's site; an installation must not spread into it. Fails with `Foreign`, unless
/// an installation has been there, or nothing is but what an operator may bring: settings, data from elsewhere, a file
/// system of its own.
pub fn refuse_foreign(site: &SiteDir) -> Result<(), InstallError> {
    let expected = [site.env(), site.data(), site.state(), site.root().join("lost+found")];
    let mut entries = std::fs::read_dir(site.root()).into_iter().flatten().flatten();
    let mut is_foreign = || !site.root().is_dir() || entries.any(|entry| !expected.contains(&entry.path()));
    if site.root().exists() && !site.lock().exists() && is_foreign() {
        return Err(InstallError::Foreign { path: site.root().into() });
    }
    Ok(())
}

/// Looks at a site. Fails when what is there cannot be the work of an installation or of a careful operator.
pub fn look(site: &SiteDir) -> Result<Facts, InstallError> {
    let has_env = site.env().exists();
    let values = Sources { site: Some(site.clone()), ..Sources::default() }.values()?;
    let authority = authority(site)?;
    let dates = authority.as_ref().map(|authority| read_served(authority.certificate_pem())).transpose();
    Ok(Facts {
        has_directories: directories(site).iter().all(|directory| directory.is_dir()),
        has_env,
        site_url: if has_env { Some(site_url(&values)?) } else { None },
        missing_secrets: SECRETS.into_iter().filter(|name| values.get(name).is_none_or(str::is_empty)).collect(),
        listen: running::listen(site)?,
        certificate: certificate(site, authority.as_ref())?,
        authority: dates.map_err(|source| InstallError::Authority { path: site.ca_certificate(), source })?,
        has_database: site.database().exists(),
        has_database_server: has_database_server(&values),
        has_repositories: has_repositories(site),
        serving: running::serving(site),
    })
}

/// The settings of a site as its server will see them: from the site's own files alone.
pub fn settings(site: &SiteDir) -> Result<Settings, SettingsError> {
    Settings::parse(&Sources { site: Some(site.clone()), ..Sources::default() }.values()?)
}

/// Fails with `DatabaseLost` when an embedded site has repositories and no database that knows them. What is in a
/// database on a server is for the forge to see, when it opens.
pub fn refuse_lost_database(site: &SiteDir, settings: &Settings) -> Result<(), InstallError> {
    let is_file = settings.database_url.is_none();
    if is_file && has_repositories(site) && !site.database().exists() {
        Err(InstallError::DatabaseLost)
    } else {
        Ok(())
    }
}

/// Says whether an installation has run here, whole or in part. Fails when this user may not see that.
pub fn is_installed(site: &SiteDir) -> Result<bool, FileError> {
    let is_there = |path: std::path::PathBuf| path.try_exists().map_err(|source| FileError::Read { path, source });
    Ok(is_there(site.env())? && is_there(site.state())?)
}

/// The site's authority, when its certificate is there. Fails when the key is not, or is another's.
pub(crate) fn authority(site: &SiteDir) -> Result<Option<Authority>, InstallError> {
    let (certificate, key) = (site.ca_certificate(), site.ca_key());
    if !certificate.exists() {
        // A key alone is what a crash leaves between the two files; nothing was issued with it.
        return Ok(None);
    }
    if !key.exists() {
        return Err(InstallError::AuthorityKey { path: key });
    }
    let loaded = Authority::load(&read_text(&certificate, LIMIT)?, &Secret::new(read_text(&key, LIMIT)?));
    loaded.map(Some).map_err(|source| InstallError::Authority { path: certificate, source })
}

/// The directories that an installation makes, in order.
pub(crate) fn directories(site: &SiteDir) -> [std::path::PathBuf; 3] {
    [site.state(), site.data(), site.tls()]
}

/// Repositories are at `xx/<id>.git`; an emptied `xx` says nothing.
fn has_repositories(site: &SiteDir) -> bool {
    let fans = std::fs::read_dir(site.repositories()).into_iter().flatten().flatten();
    let mut all = fans.filter_map(|fan| std::fs::read_dir(fan.path()).ok()).flatten().flatten();
    all.any(|entry| entry.path().extension().is_some_and(|extension| extension == "git"))
}

fn site_url(values: &Values) -> Result<BaseUrl, SettingsError> {
    let text = values.get("SITE_URL").filter(|text| !text.is_empty());
    let text = text.ok_or(SettingsError::Missing { name: "SITE_URL" })?;
    BaseUrl::parse(text).map_err(|source| SettingsError::Url { name: "SITE_URL", source })
}

fn certificate(site: &SiteDir, authority: Option<&Authority>) -> Result<Option<CertificateFact>, InstallError> {
    let path = site.server_certificate();
    if !path.exists() {
        return Ok(None);
    }
    let chain = read_text(&path, LIMIT)?;
    let served = read_served(&chain).map_err(|source| InstallError::Certificate { path, source })?;
    let key = site.server_key();
    let is_paired = key.exists() && is_pair(&chain, &Secret::new(read_text(&key, LIMIT)?));
    Ok(Some(CertificateFact { served, is_ours: authority.is_some_and(|ours| ours.has_issued(&chain)), is_paired }))
}

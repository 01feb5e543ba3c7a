//! How a site is, from its directory alone: installed, running, where, and how long its certificate lasts.

use base::clock::Timestamp;
use base::file::read_text;
use base::site::SiteDir;
use store::{Address, Login, Store};
use vault::authority::read_served;

use crate::facts;
use crate::running::{self, Serving};

const DAY: i64 = 86_400;

/// A site's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The running server.
    pub serving: Option<Serving>,
    /// The database's schema number; `None` when there is no database, or it does not open.
    pub schema: Option<u32>,
    /// Whole days until the server's certificate ends, negative when it has; `None` without a certificate that reads.
    pub certificate_days: Option<i64>,
}

/// Looks at a site, which is installed.
pub async fn status(site: &SiteDir, now: Timestamp) -> Status {
    let served = read_text(&site.server_certificate(), 256 << 10).ok().and_then(|chain| read_served(&chain).ok());
    Status {
        serving: running::serving(site),
        schema: schema(site).await,
        certificate_days: served.map(|served| (served.not_after.seconds() - now.seconds()).div_euclid(DAY)),
    }
}

async fn schema(site: &SiteDir) -> Option<u32> {
    let settings = facts::settings(site).ok();
    let authorities = settings.as_ref().and_then(|settings| settings.custom_authorities.as_deref());
    let address = match settings.as_ref().and_then(|settings| settings.database_url.as_ref()) {
        Some(url) => Address::Server(Login::parse(url, authorities).ok()?),
        None => Address::File(site.database()),
    };
    Store::look(&address).await.ok().flatten().map(|look| look.schema)
}

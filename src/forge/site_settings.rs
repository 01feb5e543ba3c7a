//! What the administrator sets for the whole site, kept in the database. Read at most once in a second, so that every
//! page and request can ask; a change is seen at once by the process that made it.

use std::sync::{Arc, Mutex, PoisonError};

use base::clock::Timestamp;
use store::{Store, facts};

use crate::events::{Happened, record};
use crate::users::one_line;
use crate::{Actor, Error, Forge};

/// Microseconds after which the database is asked again.
const FRESH: i64 = 1_000_000;
/// What the keys of these facts begin with.
const PREFIX: &str = "site.";
const SIGN_IN: &str = "site.requires_sign_in";
const BANNER: &str = "site.banner";
const COLOUR: &str = "site.banner_colour";

/// What the administrator sets for the whole site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SiteSettings {
    /// Says whether nobody sees anything before signing in.
    pub requires_sign_in: bool,
    /// What stands at the top and the foot of every page.
    pub banner: Option<Banner>,
}

/// A line at the top and the foot of every page, such as a classification mark.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Banner {
    /// One line of 1 to 200 characters.
    pub text: String,
    /// What it is shown in.
    pub colour: BannerColour,
}

/// The colours of a banner, each with its own text colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BannerColour {
    /// Plain.
    #[default]
    Grey,
    /// Green.
    Green,
    /// Blue.
    Blue,
    /// Purple.
    Purple,
    /// Orange.
    Orange,
    /// Yellow.
    Yellow,
    /// Red.
    Red,
}

impl BannerColour {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Grey, Self::Green, Self::Blue, Self::Purple, Self::Orange, Self::Yellow, Self::Red];

    /// Its name, as in `green`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Grey => "grey",
            Self::Green => "green",
            Self::Blue => "blue",
            Self::Purple => "purple",
            Self::Orange => "orange",
            Self::Yellow => "yellow",
            Self::Red => "red",
        }
    }

    /// The colour of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|colour| colour.name() == name)
    }
}

/// The settings as they were read last.
pub(crate) struct Cached(Mutex<(Timestamp, Arc<SiteSettings>)>);

impl Cached {
    /// Reads them for the first time.
    pub(crate) async fn load(store: &Store, now: Timestamp) -> Result<Self, Error> {
        Ok(Self(Mutex::new((now, Arc::new(read(store).await?)))))
    }

    fn put(&self, now: Timestamp, settings: SiteSettings) -> Arc<SiteSettings> {
        let settings = Arc::new(settings);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (now, Arc::clone(&settings));
        settings
    }
}

impl Forge {
    /// What the administrator has set, at most a second ago. While the database is away, what was read last.
    pub async fn site_settings(&self) -> Arc<SiteSettings> {
        let now = self.now();
        let (at, kept) = self.0.site_settings.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if at.0 <= now.0 && now.0.saturating_sub(at.0) < FRESH {
            return kept;
        }
        match read(&self.0.store).await {
            Ok(fresh) => self.0.site_settings.put(now, fresh),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the site's settings were not read again");
                kept
            }
        }
    }

    /// The same, for the administrator who is about to change them.
    pub async fn site_settings_of(&self, actor: &Actor) -> Result<SiteSettings, Error> {
        actor.as_administrator("see the site's settings")?;
        read(&self.0.store).await
    }

    /// Changes what is set for the site. For administrators. Fails with `Field` on `banner`.
    pub async fn change_site_settings(&self, actor: &Actor, mut new: SiteSettings) -> Result<(), Error> {
        let by = actor.as_administrator("change the site's settings")?.who();
        if let Some(banner) = &mut new.banner {
            banner.text = one_line("banner", &banner.text, 1, 200)?;
        }
        let old = written(&read(&self.0.store).await?);
        let tx = self.0.store.begin().await?;
        for ((key, value), (_, old)) in written(&new).into_iter().zip(old) {
            if value != old {
                facts::set(&tx, key, &value).await?;
                let kind = "site.changed";
                let subject = key.strip_prefix(PREFIX).unwrap_or(key);
                let event = Happened::Noted { kind, repo: None, subject, old: Some(&old), new: Some(&value) };
                record(&tx, self.now(), &by, event).await?;
            }
        }
        tx.commit().await?;
        self.0.site_settings.put(self.now(), new);
        Ok(())
    }

    /// Refuses, with `SignInNeeded`, whom the site shows nothing to. Use cases that fetch a repository ask by themselves.
    pub async fn admits(&self, actor: &Actor) -> Result<(), Error> {
        let is_shut = actor.is_anonymous() && self.site_settings().await.requires_sign_in;
        if is_shut { Err(Error::SignInNeeded) } else { Ok(()) }
    }
}

async fn read(store: &Store) -> Result<SiteSettings, Error> {
    let found = facts::beginning_with(&store.read(), PREFIX).await?;
    let value = |key: &str| found.iter().find(|(name, _)| name == key).map_or("", |(_, value)| value.as_str());
    let colour = BannerColour::named(value(COLOUR)).unwrap_or_default();
    let banner = Some(value(BANNER)).filter(|text| !text.is_empty());
    Ok(SiteSettings {
        requires_sign_in: value(SIGN_IN) == "yes",
        banner: banner.map(|text| Banner { text: text.into(), colour }),
    })
}

/// Each setting as it is stored.
fn written(settings: &SiteSettings) -> [(&'static str, String); 3] {
    let banner = settings.banner.as_ref();
    [
        (SIGN_IN, if settings.requires_sign_in { "yes" } else { "no" }.into()),
        (BANNER, banner.map(|banner| banner.text.clone()).unwrap_or_default()),
        (COLOUR, banner.map(|banner| banner.colour).unwrap_or_default().name().into()),
    ]
}

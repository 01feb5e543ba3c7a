//! Passwords: the rule for new ones, and hashing on few threads at once, as each takes 19 MiB and tens of milliseconds.

use std::sync::Arc;

use base::Secret;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use vault::password;

use crate::Error;
use crate::site::on_thread;

/// Hashes at once.
const PLACES: usize = 2;
const SHORTEST: usize = 12;
const LONGEST: usize = 1024;

/// Says what is wrong with a new password, as the form's `password` field.
pub(crate) fn judge(password: &Secret<String>) -> Result<(), Error> {
    let problem = if password.expose().chars().count() < SHORTEST {
        format!("must have at least {SHORTEST} characters")
    } else if password.expose().len() > LONGEST {
        format!("must have at most {LONGEST} bytes")
    } else {
        return Ok(());
    };
    Err(Error::Field { field: "password", problem })
}

pub(crate) struct Passwords {
    places: Arc<Semaphore>,
    /// Compared where there is no password, so that an unknown name takes the time of a known one.
    dummy: OnceCell<String>,
}

/// A place among those who may hash now.
pub(crate) struct Place(OwnedSemaphorePermit);

impl Passwords {
    pub(crate) fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(PLACES)), dummy: OnceCell::new() }
    }

    /// Waits for a place.
    pub(crate) async fn place(&self) -> Result<Place, Error> {
        Arc::clone(&self.places).acquire_owned().await.map(Place).map_err(|error| Error::Vault(Box::new(error)))
    }

    pub(crate) async fn hash(&self, plain: &Secret<String>) -> Result<String, Error> {
        let place = self.place().await?;
        let plain = plain.clone();
        on_thread(move || {
            let hashed = password::hash(&plain);
            drop(place.0);
            Ok(hashed?)
        })
        .await
    }

    /// Says whether `plain` is the password of `stored`. With no `stored` it takes as long, and is not.
    /// Gives the place back, for the caller to hold until the outcome is counted.
    pub(crate) async fn verify(
        &self,
        place: Place,
        plain: &Secret<String>,
        stored: Option<String>,
    ) -> Result<(bool, Place), Error> {
        // A longer one cannot have been set; hashing megabytes for a stranger is no use to anyone.
        if plain.expose().len() > LONGEST {
            return Ok((false, place));
        }
        let dummy = self.dummy.get_or_try_init(|| on_thread(|| password::hash(&vault::random::token()))).await?.clone();
        let is_known = stored.is_some();
        let (plain, stored) = (plain.clone(), stored.unwrap_or(dummy));
        on_thread(move || {
            let is_right = password::verify(&plain, &stored)?;
            Ok((is_right && is_known, place))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_passwords_have_twelve_characters_and_end_somewhere() {
        for (text, is_fine) in
            [("", false), ("elevenchars", false), ("twelve chars", true), ("ääääääääääää", true), ("short ä", false)]
        {
            assert_eq!(judge(&Secret::new(text.into())).is_ok(), is_fine, "{text}");
        }
        assert!(judge(&Secret::new("x".repeat(1024))).is_ok());
        assert!(judge(&Secret::new("x".repeat(1025))).is_err());
    }
}

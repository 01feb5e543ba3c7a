//! How much one Git client may take of a site, as its settings say. Numbers alone; whoever serves holds clients to them.

use std::time::Duration;

use crate::envfile::Values;
use crate::registry;
use crate::settings::SettingsError;

/// Limits of clones, fetches and pushes; `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferSettings {
    /// Time for one in all.
    pub deadline: Option<Duration>,
    /// Bytes a second that a client must send or take on average.
    pub least_rate: Option<u64>,
    /// Of one user, at once.
    pub per_user: Option<usize>,
    /// Of one repository, at once.
    pub per_repository: Option<usize>,
    /// Begun by one user in a minute.
    pub per_minute: Option<u32>,
    /// Begun of one repository in a minute.
    pub per_repository_minute: Option<u32>,
}

impl TransferSettings {
    /// Reads them, with the registry's defaults for what is not set. Fails with `Count`.
    pub(crate) fn parse(values: &Values) -> Result<Self, SettingsError> {
        Ok(Self {
            deadline: count(values, "GITGRIT_TRANSFER_SECONDS")?.map(Duration::from_secs),
            least_rate: count(values, "GITGRIT_TRANSFER_LEAST_RATE")?,
            per_user: count(values, "GITGRIT_TRANSFERS_PER_USER")?,
            per_repository: count(values, "GITGRIT_TRANSFERS_PER_REPOSITORY")?,
            per_minute: count(values, "GITGRIT_TRANSFERS_PER_MINUTE")?,
            per_repository_minute: count(values, "GITGRIT_TRANSFERS_PER_REPOSITORY_MINUTE")?,
        })
    }
}

/// A number; `None` when it is 0.
fn count<T: TryFrom<u64>>(values: &Values, name: &'static str) -> Result<Option<T>, SettingsError> {
    let default = registry::find(name).map_or("0", |setting| setting.default);
    let text = values.get(name).filter(|text| !text.is_empty()).unwrap_or(default);
    let number: u64 = text.parse().map_err(|_| SettingsError::Count { name })?;
    let number = Some(number).filter(|number| *number > 0);
    number.map(|number| T::try_from(number).map_err(|_| SettingsError::Count { name })).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nought_is_no_limit_and_what_is_no_number_is_named() {
        let none = Values::default();
        let settings = TransferSettings::parse(&none).unwrap();
        assert_eq!((settings.deadline, settings.per_repository), (Some(Duration::from_hours(6)), None));
        for text in ["-1", "many", "1.5", "99999999999999999999"] {
            let values: Values = [("GITGRIT_TRANSFERS_PER_MINUTE", text)].into_iter().collect();
            let refused = TransferSettings::parse(&values);
            assert!(matches!(refused, Err(SettingsError::Count { name: "GITGRIT_TRANSFERS_PER_MINUTE" })), "{text}");
        }
    }
}

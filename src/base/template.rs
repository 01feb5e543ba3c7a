//! Renders the registry of settings as a commented `.env` file. Reads back, through dotenvy and through Docker Compose,
//! as just the values that went in.

use std::fmt::Write;

use crate::envfile::{Values, quoted};
use crate::settings::{REGISTRY, Role};

/// A value that a `.env` file cannot hold.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} holds a quote, a backslash or a line break, which a .env file cannot carry safely")]
pub struct TemplateError {
    /// The variable.
    pub name: &'static str,
}

impl crate::Hint for TemplateError {
    fn hint(&self) -> Option<String> {
        Some(format!("choose a {} without these characters", self.name))
    }
}

/// The text of a `.env`: every setting that an operator may fill in, set to its value in `values`, else commented out
/// with its default. Compose-internal settings are left out. Fails when a value cannot be written.
pub fn render(values: &Values) -> Result<String, TemplateError> {
    let mut text = String::from(
        "# Settings of a GitGrit site. `gitgrit-ops env check` judges this file.\n# Keep it private: it holds secrets.\n",
    );
    for setting in REGISTRY.iter().filter(|setting| setting.role != Role::ComposeInternal) {
        let line = match values.get(setting.name) {
            Some(value) => {
                let value = quoted(value).ok_or(TemplateError { name: setting.name })?;
                format!("{}={value}", setting.name)
            }
            None => format!("#{}={}", setting.name, setting.default),
        };
        // Writing to a String cannot fail.
        let _ = write!(text, "\n# {}\n{line}\n", setting.purpose);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::envfile::parse;

    #[test]
    fn what_is_rendered_reads_back_and_nothing_else() {
        let values: Values =
            [("SITE_URL", "https://forge.acme.internal"), ("SECRET_KEY", "a $b #c")].into_iter().collect();
        let read = parse(&render(&values).unwrap(), Path::new(".env")).unwrap();
        assert_eq!(read.names().collect::<Vec<_>>(), ["SECRET_KEY", "SITE_URL"]);
        assert_eq!(read.get("SECRET_KEY"), Some("a $b #c"));
    }

    #[test]
    fn a_value_that_cannot_be_carried_is_named() {
        let values: Values = [("SECRET_KEY", "it's")].into_iter().collect();
        assert_eq!(render(&values), Err(TemplateError { name: "SECRET_KEY" }));
    }

    /// `compose/.env.example` is what an operator copies; it must not lag behind the registry.
    #[test]
    fn the_example_file_is_the_rendered_registry() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../compose/.env.example");
        let text = render(&Values::default()).unwrap();
        if std::env::var_os("GITGRIT_BLESS").is_some() {
            crate::file::write_atomic(&path, text.as_bytes(), 0o644).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), text, "run GITGRIT_BLESS=1 cargo test");
    }
}

//! The systemd unit of a site: text from the template in `bundle/systemd`. Writes nothing by itself.

use std::path::Path;

use base::Hint;

/// The unit's name.
pub const NAME: &str = "gitgrit.service";

const TEMPLATE: &str = include_str!("../../bundle/systemd/gitgrit.service");

/// A path or name that a unit cannot carry.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` holds a sign that a systemd unit cannot carry")]
pub struct UnitError(String);

impl Hint for UnitError {
    fn hint(&self) -> Option<String> {
        Some("use a path of letters, digits and `-_./+@`".into())
    }
}

/// What the unit names.
#[derive(Clone, Copy, Debug)]
pub struct Unit<'a> {
    /// The program, an absolute path.
    pub program: &'a Path,
    /// The site's directory, an absolute path.
    pub site: &'a Path,
    /// The user that the server runs as.
    pub user: &'a str,
}

/// The unit's text. Fails on signs that systemd would take for something else (spaces, quotes, `%`, `$`).
pub fn render(unit: &Unit<'_>) -> Result<String, UnitError> {
    let safe = |text: &str| {
        let is_safe = |sign: char| sign.is_ascii_alphanumeric() || "-_./+@".contains(sign);
        let is_fine = !text.is_empty() && text.chars().all(is_safe);
        if is_fine { Ok(text.to_owned()) } else { Err(UnitError(text.into())) }
    };
    let path = |path: &Path| safe(&path.to_string_lossy());
    Ok(TEMPLATE
        .replace("@PROGRAM@", &path(unit.program)?)
        .replace("@SITE@", &path(unit.site)?)
        .replace("@USER@", &safe(unit.user)?))
}

/// Says whether a unit's text starts the server of the site in this directory.
pub fn is_of_site(text: &str, site: &Path) -> bool {
    let end = format!(" serve --site {}", site.display());
    text.lines().any(|line| line.starts_with("ExecStart=") && line.ends_with(&end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_systemd_reads_otherwise_are_refused() {
        for site in ["/srv/a b", "/srv/%h", "/srv/$HOME", "/srv/\"x\"", "/srv/a\nUser=root", ""] {
            let unit = Unit { program: Path::new("/usr/bin/gitgrit-ops"), site: Path::new(site), user: "git" };
            assert_eq!(render(&unit), Err(UnitError(site.into())));
        }
    }

    #[test]
    fn the_unit_names_program_site_and_user_and_nothing_is_left_open() {
        let unit =
            Unit { program: Path::new("/usr/bin/gitgrit-ops"), site: Path::new("/srv/gitgrit"), user: "gitgrit" };
        let text = render(&unit).unwrap();
        assert!(text.contains("ExecStart=/usr/bin/gitgrit-ops serve --site /srv/gitgrit\n"), "{text}");
        assert!(text.contains("User=gitgrit\n") && text.contains("ReadWritePaths=/srv/gitgrit\n"));
        assert!(!text.contains('@') || text.contains("@system-service"), "{text}");
        assert!(is_of_site(&text, unit.site) && !is_of_site(&text, Path::new("/srv/git")));
        assert!(!text.contains("@SITE@") && !text.contains("@USER@") && !text.contains("@PROGRAM@"));
    }
}

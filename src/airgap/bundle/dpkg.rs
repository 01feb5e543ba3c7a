//! What Debian's package manager and the distribution say of themselves inside an image. Hostile text: it is read within
//! limits, and no name or version is taken that could be more than one.

use std::collections::BTreeMap;

/// The most packages that one list may name.
const MOST: usize = 20_000;
/// The longest name, version or processor, in bytes.
const LONGEST: usize = 256;

/// A package that is installed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// The processor it is for, or `all`.
    pub(crate) arch: String,
    /// The source package, where that has another name or version.
    pub(crate) source: Option<Source>,
}

/// What a package was compiled from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source {
    /// Its name.
    pub(crate) name: String,
    /// Its version, where that is not the package's.
    pub(crate) version: Option<String>,
}

/// What `os-release` says; os-release(5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OsRelease {
    /// As in `debian`.
    pub(crate) id: String,
    /// As in `12`; empty for a rolling one.
    pub(crate) version: String,
    /// For people.
    pub(crate) name: String,
}

/// The packages of `status`, or of a file of `status.d`; dpkg-query(1), deb-control(5).
pub(crate) fn packages(text: &[u8]) -> Result<Vec<Package>, &'static str> {
    let text = String::from_utf8_lossy(text);
    let mut packages = Vec::new();
    let mut fields = BTreeMap::new();
    for line in text.lines().chain([""]) {
        if line.trim().is_empty() {
            packages.extend(package(&std::mem::take(&mut fields))?);
            if packages.len() > MOST {
                return Err("names more than 20000 packages");
            }
        } else if !line.starts_with([' ', '\t']) {
            let (name, value) = line.split_once(':').ok_or("has a line that is no field")?;
            if let Some(name) = FIELDS.iter().find(|field| field.eq_ignore_ascii_case(name)) {
                fields.insert(*name, value.trim().to_owned());
            }
        }
    }
    Ok(packages)
}

/// The fields that are looked at.
const FIELDS: [&str; 5] = ["Package", "Status", "Version", "Architecture", "Source"];

/// `None` for one of which nothing but its settings is left.
fn package(fields: &BTreeMap<&str, String>) -> Result<Option<Package>, &'static str> {
    let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    let is_there = fields.get("Status").is_none_or(|status| {
        !status.ends_with(" not-installed") && !status.ends_with(" config-files") && !status.is_empty()
    });
    if fields.is_empty() || !is_there {
        return Ok(None);
    }
    let (name, version, arch) = (field("Package"), field("Version"), field("Architecture"));
    let is_good = is_of(name, "+-.") && is_of(version, "+-.:~") && is_of(arch, "-");
    if !is_good {
        return Err("names a package, a version or a processor that cannot be one");
    }
    let source = source(field("Source"));
    let source = source.map(|source| Source { version: source.version.filter(|other| other != version), ..source });
    let source = source.filter(|source| source.name != name || source.version.is_some());
    Ok(Some(Package { name: name.into(), version: version.into(), arch: arch.into(), source }))
}

/// `name`, or `name (version)`.
fn source(field: &str) -> Option<Source> {
    let (name, version) = field.split_once(' ').unwrap_or((field, ""));
    let version = version.trim().strip_prefix('(').and_then(|version| version.strip_suffix(')')).map(str::trim);
    let version = version.filter(|version| is_of(version, "+-.:~")).map(str::to_owned);
    is_of(name, "+-.").then(|| Source { name: name.to_owned(), version })
}

/// What an `os-release` says; nothing when it does not say what it is.
pub(crate) fn os_release(text: &[u8]) -> Option<OsRelease> {
    let text = String::from_utf8_lossy(text);
    let value = |wanted: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        let (_, value) = lines.find(|(name, _)| name.trim() == wanted)?;
        Some(value.trim().trim_matches(['"', '\'']).to_owned())
    };
    let id = value("ID").filter(|id| is_of(id, "._-"))?;
    let version = value("VERSION_ID").filter(|version| is_of(version, "._-")).unwrap_or_default();
    let is_plain = |name: &String| {
        name.len() <= LONGEST && name.chars().all(|sign| sign.is_ascii_graphic() || sign == ' ') && !name.is_empty()
    };
    let name = value("PRETTY_NAME").filter(is_plain).unwrap_or_else(|| id.clone());
    Some(OsRelease { id, version, name })
}

/// ASCII letters, digits and `more`, beginning with a letter or a digit.
fn is_of(text: &str, more: &str) -> bool {
    text.len() <= LONGEST
        && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && text.chars().all(|sign| sign.is_ascii_alphanumeric() || more.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Result<Vec<String>, &'static str> {
        let shown = |package: Package| format!("{} {} {}", package.name, package.version, package.arch);
        Ok(packages(text.as_bytes())?.into_iter().map(shown).collect())
    }

    #[test]
    fn packages_that_are_installed_are_listed() {
        let text = "Package: dash\nStatus: install ok installed\nVersion: 0.5.12-2\nArchitecture: amd64\nDescription: a shell\n with\
                    \n .\n two lines: more\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\nArchitecture: all\n\n\
                    Package: libstdc++6\nSource: gcc-12 (12.2.0-14)\nStatus: install ok installed\nArchitecture: amd64\nVersion: 12.2.0-14+deb12u1\n";
        assert_eq!(named(text).unwrap(), ["dash 0.5.12-2 amd64", "libstdc++6 12.2.0-14+deb12u1 amd64"]);
        let source = packages(text.as_bytes()).unwrap()[1].source.clone().unwrap();
        assert_eq!((source.name.as_str(), source.version.as_deref()), ("gcc-12", Some("12.2.0-14")));
        assert_eq!(named("").unwrap(), [""; 0]);
        // As images without a shell have it, one file for each and no status.
        assert_eq!(named("Package: tzdata\nVersion: 2024a-0+deb12u1\nArchitecture: all").unwrap().len(), 1);
    }

    /// Advisories name versions of the source, which are not always those of what was compiled from it.
    #[test]
    fn a_source_is_named_where_its_name_or_its_version_is_another() {
        let of = |source: &str| {
            let text = format!("Package: bash\nVersion: 5.2-1+b1\nArchitecture: amd64\n{source}");
            let found = packages(text.as_bytes()).unwrap().remove(0).source;
            found.map(|source| (source.name, source.version.unwrap_or_default()))
        };
        let is = |name: &str, version: &str| Some((name.to_owned(), version.to_owned()));
        assert_eq!(of(""), None);
        assert_eq!(of("Source: bash\n"), None);
        assert_eq!(of("Source: bash (5.2-1+b1)\n"), None);
        assert_eq!(of("Source: bash (5.2-1)\n"), is("bash", "5.2-1"));
        assert_eq!(of("Source: shells\n"), is("shells", ""));
        assert_eq!(of("Source: shells (1:9)\n"), is("shells", "1:9"));
        assert_eq!(of("Source: shells (1?x)\n"), is("shells", ""));
        assert_eq!(of("Source: ../x (1)\n"), None);
    }

    #[test]
    fn a_list_that_could_say_something_else_is_refused() {
        let of =
            |name: &str, version: &str| named(&format!("Package: {name}\nVersion: {version}\nArchitecture: all\n"));
        assert!(of("a", "1:2.3~rc1+x-4").is_ok());
        for (name, version) in
            [("a b", "1"), ("../a", "1"), ("a", "1?x"), ("a", ""), ("", "1"), ("a\u{1b}[2J", "1"), ("é", "1")]
        {
            assert!(of(name, version).is_err(), "{name} {version}");
        }
        assert!(of(&"a".repeat(300), "1").is_err());
        assert!(named("no field\n").is_err());
        let many = "Package: a\nVersion: 1\nArchitecture: all\n\n".repeat(MOST + 1);
        assert!(named(&many).is_err());
        assert_eq!(packages(&[0xff; 64]).unwrap_err(), "has a line that is no field");
    }

    #[test]
    fn a_distribution_says_what_it_is() {
        let text = b"PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n";
        let found = os_release(text).unwrap();
        assert_eq!((found.id.as_str(), found.version.as_str()), ("debian", "12"));
        assert_eq!(found.name, "Debian GNU/Linux 12 (bookworm)");
        assert_eq!(os_release(b"ID=a?b\n"), None);
        assert_eq!(os_release(b"ID=x\nPRETTY_NAME=\x1b[2J\n").unwrap().name, "x");
    }
}

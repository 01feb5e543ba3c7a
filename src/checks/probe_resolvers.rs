//! The resolvers that the system of a vantage point asks, read from resolv.conf as the C library reads it. What cannot be
//! read is said, never left out: a resolver that nobody looked at may be the one that leads out.

use std::io;
use std::path::{Path, PathBuf};

use crate::isolation::Target as Place;
use crate::probe_target::resolver;
use crate::text::line;

/// Where the system keeps them.
pub(crate) const RESOLVERS: &str = "/etc/resolv.conf";
/// Where those of a named network namespace are, by the habit of ip-netns(8).
const OF_NAMESPACES: &str = "/etc/netns";
/// Resolvers that are asked, at most; the system asks no more either.
const MOST: usize = 3;
/// Whom the system asks when no resolver is set.
const NOBODYS: &str = "127.0.0.1";

/// A resolver, or a part of the file that is one to somebody, but not to this program: how it stands there, and why.
pub(crate) type Set = Result<Place, (String, String)>;

/// Those that are set in the file at `path`.
pub(crate) fn set(path: &Path) -> Vec<Set> {
    match std::fs::read(path) {
        Ok(text) => parse(&String::from_utf8_lossy(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => parse(""),
        Err(error) => vec![Err((line(&path.display().to_string()), line(&format!("cannot be read: {error}"))))],
    }
}

fn parse(text: &str) -> Vec<Set> {
    let named = text.lines().filter_map(|line| {
        let rest = line.trim_start().strip_prefix("nameserver")?;
        rest.starts_with([' ', '\t']).then(|| rest.split(['#', ';']).next().unwrap_or_default().trim())
    });
    let words = named.filter_map(|rest| rest.split_ascii_whitespace().next());
    let mut known = 0;
    let mut set = Vec::new();
    for word in words {
        match resolver(word) {
            Some(_) if known == MOST => {}
            Some(place) => {
                known += 1;
                set.push(Ok(place));
            }
            None => set.push(Err((line(word), "is no address that this probe can ask".into()))),
        }
    }
    if set.is_empty() { resolver(NOBODYS).map(Ok).into_iter().collect() } else { set }
}

/// Those that programs in the network namespace of this file ask, and whether they are its own. The host's are used where
/// it has none, but what listens on the host's loopback is not there.
pub(crate) fn of_namespace(namespace: &Path) -> Vec<Set> {
    if let Some(own) = own_file(namespace, Path::new(OF_NAMESPACES)) {
        return set(&own);
    }
    let here = |one: Set| match one {
        Ok(place) if place.literal().is_some_and(|address| address.is_loopback()) => {
            Err((place.host, "is on the host's own loopback, which this place does not share".into()))
        }
        other => other,
    };
    set(Path::new(RESOLVERS)).into_iter().map(here).collect()
}

fn own_file(namespace: &Path, named: &Path) -> Option<PathBuf> {
    let text = namespace.to_str()?;
    let of_process = text.strip_prefix("/proc/").and_then(|rest| rest.strip_suffix("/ns/net"));
    let own = match of_process {
        Some(process) => Path::new("/proc").join(process).join("root/etc/resolv.conf"),
        None => named.join(namespace.file_name()?).join("resolv.conf"),
    };
    own.exists().then_some(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(set: Vec<Set>) -> Vec<String> {
        set.into_iter().map(|one| one.map_or_else(|(word, _)| format!("? {word}"), |place| place.to_string())).collect()
    }

    #[test]
    fn resolvers_are_those_that_the_system_asks() {
        for (text, expected) in [
            ("", &["127.0.0.1:53"][..]),
            ("# nameserver 192.0.2.1\nsearch a.b\noptions rotate\n", &["127.0.0.1:53"]),
            ("nameserver 192.0.2.1\n nameserver\t::1\n", &["192.0.2.1:53", "[::1]:53"]),
            ("nameserver 127.0.0.2 # the site\nnameserver 127.0.0.3;x\n", &["127.0.0.2:53", "127.0.0.3:53"]),
            ("nameserver fe80::1%eth0\n", &["[fe80::1%eth0]:53"]),
            ("nameserver fe80::1\nnameserver 127.1\n", &["? fe80::1", "? 127.1"]),
            ("nameserver x\nnameserver\nnameservers 1.2.3.4\n", &["? x"]),
            (
                "nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver y\nnameserver 192.0.2.3\nnameserver 192.0.2.4",
                &["192.0.2.1:53", "192.0.2.2:53", "? y", "192.0.2.3:53"],
            ),
        ] {
            assert_eq!(shown(parse(text)), expected, "{text}");
        }
    }

    #[test]
    fn a_file_that_is_missing_means_this_host_and_one_that_cannot_be_read_means_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(shown(set(&folder.path().join("none"))), ["127.0.0.1:53"]);
        assert_eq!(shown(set(folder.path())), [format!("? {}", folder.path().display())]);
        let path = folder.path().join("resolv.conf");
        std::fs::write(&path, b"# \xff\nnameserver 192.0.2.1\n").unwrap();
        assert_eq!(shown(set(&path)), ["192.0.2.1:53"]);
    }

    #[test]
    fn a_namespace_has_resolvers_of_its_own_where_they_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("lab/resolv.conf");
        std::fs::create_dir(folder.path().join("lab")).unwrap();
        assert_eq!(own_file(Path::new("/run/netns/lab"), folder.path()), None);
        std::fs::write(&own, "").unwrap();
        assert_eq!(own_file(Path::new("/run/netns/lab"), folder.path()), Some(own));
        let process = format!("/proc/{}", std::process::id());
        let expected = Path::new(&process).join("root/etc/resolv.conf");
        let found = own_file(&Path::new(&process).join("ns/net"), folder.path());
        assert_eq!(found, expected.exists().then_some(expected));
        assert_eq!(own_file(Path::new("/"), folder.path()), None);
    }
}

//! The two ways of writing an image's name: whole, as a bundle carries it, and short, as an engine shows it.

/// The registry of names without one, and its folder for names without a slash.
const REGISTRY: &str = "docker.io/";
const LIBRARY: &str = "docker.io/library/";
/// The other name that engines know that registry by.
const INDEX: &str = "index.docker.io/";

/// The whole name: `a:1` is `docker.io/library/a:1`, and so is every other way of writing it.
pub(crate) fn whole(name: &str) -> String {
    let named = name.strip_prefix(INDEX).or_else(|| name.strip_prefix(REGISTRY));
    let is_host = |first: &str| first == "localhost" || first.contains(['.', ':']);
    match (named.unwrap_or(name), name.split_once('/')) {
        (_, Some((first, _))) if named.is_none() && is_host(first) => name.to_owned(),
        (rest, _) if rest.contains('/') => format!("{REGISTRY}{rest}"),
        (rest, _) => format!("{LIBRARY}{rest}"),
    }
}

/// The name as engines show it: `docker.io/library/a:1` is `a:1`.
pub(crate) fn short(name: &str) -> &str {
    name.strip_prefix(LIBRARY).or_else(|| name.strip_prefix(REGISTRY)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_whole_in_a_bundle_and_short_by_an_engine() {
        let cases = [
            ("a:1", "docker.io/library/a:1"),
            ("b/a:1", "docker.io/b/a:1"),
            ("localhost/a:1", "localhost/a:1"),
            ("host:5000/a:1", "host:5000/a:1"),
            ("registry.example/b/a:1", "registry.example/b/a:1"),
        ];
        for (one, other) in cases {
            assert_eq!((whole(one).as_str(), short(other)), (other, one));
            assert_eq!(whole(other), other);
        }
    }

    #[test]
    fn every_way_of_writing_a_name_is_the_same_whole_one() {
        let cases = [
            ("docker.io/a:1", "docker.io/library/a:1"),
            ("index.docker.io/a:1", "docker.io/library/a:1"),
            ("index.docker.io/library/a:1", "docker.io/library/a:1"),
            ("index.docker.io/b/a:1", "docker.io/b/a:1"),
            // A folder of the registry, and no host.
            ("docker.io/localhost/a:1", "docker.io/localhost/a:1"),
        ];
        for (one, other) in cases {
            assert_eq!(whole(one), other);
        }
    }
}

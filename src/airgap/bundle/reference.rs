//! The two ways of writing an image's name: whole, as a bundle carries it, and short, as an engine shows it.

/// The registry of names without one, and its folder for names without a slash.
const REGISTRY: &str = "docker.io/";
const LIBRARY: &str = "docker.io/library/";

/// The whole name: `a:1` is `docker.io/library/a:1`.
pub(crate) fn whole(name: &str) -> String {
    match name.split_once('/') {
        None => format!("{LIBRARY}{name}"),
        Some((first, _)) if first == "localhost" || first.contains(['.', ':']) => name.to_owned(),
        Some(_) => format!("{REGISTRY}{name}"),
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
        }
    }
}

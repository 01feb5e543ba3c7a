//! The surroundings that every `git` of ours gets: no configuration, no hooks, no home but what is written here.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use base::confine::Confinement;
use base::process::Program;

/// What holds for every server-side Git: one thread and small caches (a push or a clone must fit beside many others),
/// no way out to other repositories, everything on disk before it is reported. A blob above `core.bigFileThreshold`
/// goes through in pieces and is never made a delta.
const SERVER: &[(&str, &str)] = &[
    ("safe.directory", "*"),
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.fsync", "committed"),
    ("core.bigFileThreshold", "8m"),
    ("core.packedGitWindowSize", "1m"),
    ("core.packedGitLimit", "64m"),
    ("core.deltaBaseCacheLimit", "16m"),
    ("pack.threads", "1"),
    ("pack.windowMemory", "16m"),
    ("pack.deltaCacheSize", "16m"),
    ("gc.auto", "0"),
    ("repack.writeBitmaps", "false"),
    ("pack.writeBitmapLookupTable", "true"),
    ("pack.allowPackReuse", "true"),
    ("maintenance.auto", "false"),
    ("protocol.allow", "never"),
    ("protocol.file.allow", "never"),
    ("transfer.advertiseSID", "false"),
    ("uploadpack.allowFilter", "true"),
    ("uploadpack.allowAnySHA1InWant", "false"),
    ("uploadarchive.allowUnreachable", "false"),
];

/// `git` with the given configuration and nothing of the host's.
pub(crate) fn hermetic<K: AsRef<str>, V: AsRef<str>>(settings: impl IntoIterator<Item = (K, V)>) -> Program {
    let mut program = Program::new("git")
        .env("HOME", "/nonexistent")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0");
    let mut count = 0_usize;
    for (key, value) in settings {
        program = program
            .env(&format!("GIT_CONFIG_KEY_{count}"), key.as_ref())
            .env(&format!("GIT_CONFIG_VALUE_{count}"), value.as_ref());
        count += 1;
    }
    program.env("GIT_CONFIG_COUNT", count.to_string())
}

/// What the server's settings say under these names, in lower case.
pub(crate) fn values(names: &[&str]) -> Vec<&'static str> {
    let is_asked = |key: &str| names.contains(&key.to_ascii_lowercase().as_str());
    SERVER.iter().filter(|(key, _)| is_asked(key)).map(|(_, value)| *value).collect()
}

/// A server-side `git`. A client never makes a delta of a file above 512 MiB, so no honest push needs one larger
/// allocation.
pub(crate) fn server(command: &'static str) -> Program {
    hermetic(SERVER.iter().copied())
        .env("GIT_ALLOC_LIMIT", "600m")
        .env("GIT_NO_LAZY_FETCH", "1")
        .option("--no-replace-objects")
        .option(command)
}

/// A server-side `git` that finds the bare repository at `path`, and touches no other file.
pub(crate) fn in_repository(command: &'static str, path: &Path) -> Program {
    server(command).env("GIT_DIR", path).confined(walls(command, path))
}

/// Commands that change a repository.
const WRITERS: [&str; 10] = [
    "commit-graph",
    "gc",
    "maintenance",
    "multi-pack-index",
    "pack-refs",
    "prune",
    "prune-packed",
    "repack",
    "symbolic-ref",
    "update-ref",
];
/// Commands that add objects, and do not touch refs or configuration.
const ADDERS: [&str; 7] =
    ["commit-tree", "hash-object", "index-pack", "merge-tree", "mktree", "pack-objects", "unpack-objects"];

/// What a command may touch of its repository; one that is on no list only reads.
pub(crate) fn walls(command: &str, path: &Path) -> Confinement {
    if WRITERS.contains(&command) {
        Confinement::new().writing(path)
    } else if ADDERS.contains(&command) {
        Confinement::new().reading(path).writing(&path.join("objects"))
    } else {
        Confinement::new().reading(path)
    }
}

/// One path for `GIT_ALTERNATE_OBJECT_DIRECTORIES`, quoted so that a colon does not end it.
pub(crate) fn alternate(path: &Path) -> OsString {
    let mut quoted = vec![b'"'];
    for byte in path.as_os_str().as_bytes() {
        if matches!(byte, b'"' | b'\\') {
            quoted.push(b'\\');
        }
        quoted.push(*byte);
    }
    quoted.push(b'"');
    OsString::from_vec(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternates_are_quoted_against_colons_and_quotes() {
        assert_eq!(alternate(Path::new("/a:b/\"c\\")), OsString::from(r#""/a:b/\"c\\""#));
    }

    /// The class of CVE-2022-24765, CVE-2022-39253 and CVE-2024-32002: settings, hooks and local clones that run or read what
    /// the server did not mean.
    #[test]
    fn git_sees_our_settings_and_none_of_the_host() {
        let done = server("config").options(["--list", "--show-scope"]).directory(Path::new("/")).run(b"").unwrap();
        let text = String::from_utf8(done.stdout).unwrap();
        assert!(text.lines().all(|line| line.starts_with("command\t")), "{text}");
        assert_eq!(text.lines().count(), SERVER.len());
        for held in
            ["core.hookspath=/dev/null", "protocol.file.allow=never", "protocol.allow=never", "safe.directory=*"]
        {
            assert!(text.lines().any(|line| line.ends_with(&format!("\t{held}"))), "{held}: {text}");
        }
    }
}

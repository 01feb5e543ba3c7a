//! The habits of style.md that a reader of the text can hold: headers, sizes, names, and what no file may say.
//! A rule that has to be broken is broken in a list here, with its reason.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use base::process::Program;
use regex::Regex;

use crate::tidy::{hold, root};

/// Lines that a file may have, unless it is listed in [`LONG`].
const LINES: usize = 400;

/// Lines that no file may have.
const HARD_LINES: usize = 600;

/// Files over [`LINES`]: path, lines at most, and why. The number may only go down.
const LONG: [(&str, usize, &str); 2] = [
    ("src/base/name.rs", 425, "one newtype after the other, each with its rule and its table of cases"),
    ("src/serve/web/fixtures.rs", 600, "example data of every page's own tests, compiled for tests alone"),
];

/// What may lie at the top of the tree.
const TOP: [&str; 22] = [
    ".cargo",
    ".ci",
    ".clippy.toml",
    ".config",
    ".deny.toml",
    ".dockerignore",
    ".git",
    ".gitattributes",
    ".github",
    ".gitignore",
    ".rustfmt.toml",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "bundle",
    "compose",
    "docs",
    "scripts",
    "src",
    "templates",
];

/// Names that say nothing about what a file holds.
const EMPTY_NAMES: [&str; 6] = ["utils", "util", "helpers", "common", "manager", "service"];

/// Files that have such a name for a reason.
const NAMED_SO: [(&str, &str); 1] = [("src/serve/service.rs", "Git's own word for what `?service=` asks for")];

/// Addresses that pages may name although nobody is sent there.
const ADDRESSES: [&str; 2] = ["http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"];

/// A source file: its path from the root, and its text.
struct Source {
    path: String,
    text: String,
}

fn files(folder: &str, wanted: impl Fn(&Path) -> bool + Copy) -> Vec<Source> {
    let mut found = Vec::new();
    collect(&root().join(folder), wanted, &mut found);
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

fn collect(folder: &Path, wanted: impl Fn(&Path) -> bool + Copy, found: &mut Vec<Source>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, wanted, found);
        } else if wanted(&path) {
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            found.push(Source { path: name, text: std::fs::read_to_string(&path).unwrap_or_default() });
        }
    }
}

fn is_rust(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs")
}

fn rust() -> Vec<Source> {
    let mut sources = files("src", is_rust);
    sources.extend(files("tests", is_rust));
    sources
}

/// Every match of `pattern` as `path:line: match`.
fn matches(sources: &[Source], pattern: &str) -> Vec<String> {
    let pattern = Regex::new(pattern).unwrap();
    let mut found = Vec::new();
    for source in sources {
        for hit in pattern.find_iter(&source.text) {
            let line = source.text.split_at(hit.start()).0.matches('\n').count() + 1;
            found.push(format!("{}:{line}: {}", source.path, hit.as_str().trim()));
        }
    }
    found
}

fn without(sources: Vec<Source>, starts: &[&str]) -> Vec<Source> {
    sources.into_iter().filter(|source| !starts.iter().any(|start| source.path.starts_with(start))).collect()
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    let bare = rust().into_iter().filter(|source| !source.text.starts_with("//! "));
    hold(bare.map(|source| format!("{} has no `//!` header", source.path)).collect());
}

#[test]
fn files_stay_short() {
    let mut faults = Vec::new();
    for source in rust() {
        let lines = source.text.lines().count();
        let listed = LONG.iter().find(|(path, ..)| *path == source.path);
        let limit = listed.map_or(LINES, |(_, limit, _)| *limit).min(HARD_LINES);
        if lines > limit {
            faults.push(format!("{} has {lines} lines, may have {limit}", source.path));
        }
        if listed.is_some() && lines <= LINES {
            faults.push(format!("{} fits now: take it off the list of long files", source.path));
        }
    }
    hold(faults);
}

#[test]
fn file_names_say_what_is_inside() {
    let is_empty_name = |source: &Source| {
        let stem = Path::new(&source.path).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let is_meant = NAMED_SO.iter().any(|(path, _)| *path == source.path);
        !is_meant && EMPTY_NAMES.iter().any(|name| stem == *name || stem.ends_with(&format!("_{name}")))
    };
    hold(rust().iter().filter(|source| is_empty_name(source)).map(|source| source.path.clone()).collect());
}

#[test]
fn no_file_is_forgotten() {
    let sources = rust();
    let module = r#"(?m)^\s*(?:#\[path = "([^"]+)"\]\s*)?(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+);"#;
    let module = Regex::new(module).unwrap();
    let mut reached = BTreeSet::new();
    let is_root = |path: &&str| {
        let parts: Vec<_> = path.split('/').collect();
        matches!(
            parts.as_slice(),
            ["src", "main.rs"] | ["src", _, "lib.rs"] | ["tests", _, "main.rs"] | ["tests", "fuzz", "fuzz_targets", _]
        )
    };
    let mut open: Vec<String> =
        sources.iter().map(|source| source.path.as_str()).filter(is_root).map(str::to_owned).collect();
    while let Some(path) = open.pop() {
        let Some(source) = sources.iter().find(|source| source.path == path) else { continue };
        for found in module.captures_iter(&source.text) {
            if let Some(named) = found.get(1) {
                open.push(Path::new(&path).with_file_name(named.as_str()).display().to_string());
                continue;
            }
            let folder = children(&path);
            open.push(folder.join(format!("{}.rs", &found[2])).display().to_string());
            open.push(folder.join(&found[2]).join("mod.rs").display().to_string());
        }
        reached.insert(path);
    }
    let forgotten = sources.iter().filter(|source| !reached.contains(&source.path));
    hold(forgotten.map(|source| format!("{} belongs to no module", source.path)).collect());
}

/// Where the files of a module's own modules are.
fn children(path: &str) -> PathBuf {
    let path = Path::new(path);
    let folder = path.parent().unwrap_or(Path::new(""));
    match path.file_stem().unwrap_or_default().to_str() {
        Some("main" | "lib" | "mod") | None => folder.into(),
        Some(stem) => folder.join(stem),
    }
}

#[test]
fn programs_start_only_through_the_one_door() {
    hold(matches(&without(rust(), &["src/base/process.rs"]), r"\bCommand::new\(|\bfork\(|\bexecv"));
}

#[test]
fn lints_are_expected_with_a_reason_and_never_allowed() {
    let mut faults = matches(&rust(), r"(?m)^\s*#!?\[allow\(.*$");
    let expected = Regex::new(r"(?s)#!?\[expect\((.*?)\)\]").unwrap();
    for source in rust() {
        let bare = expected.captures_iter(&source.text).filter(|found| !found[1].contains("reason"));
        faults.extend(bare.map(|found| format!("{}: {} has no reason", source.path, &found[0])));
    }
    hold(faults);
}

#[test]
fn nothing_is_left_for_later_without_a_number() {
    let marks = concat!(r"\b(TO", r"DO|FIX", r"ME|XX", r"X)\b[^\n]{0,12}");
    let numbered = Regex::new(r"^\w+\(#\d+\)").unwrap();
    let left = matches(&rust(), marks);
    hold(left.into_iter().filter(|hit| !numbered.is_match(hit.rsplit(": ").next().unwrap_or_default())).collect());
}

#[test]
fn errors_do_not_repeat_their_source() {
    let said = matches(&files("src", is_rust), r"(?s)#\[error\([^\]]*\{source[^\]]*\)\]");
    hold(said);
}

#[test]
fn only_the_store_speaks_sql() {
    let sql = r#""\s*(SELECT\s|INSERT\s+INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|CREATE\s+(TABLE|INDEX)\s|ALTER\s+TABLE\s|PRAGMA\s)"#;
    let servers = ["tests/it/lab", "tests/it/images", "tests/it/postgres", "tests/it/database_"];
    hold(matches(&without(rust(), &[&["src/store/", "src/forge/stories/"][..], &servers].concat()), sql));
}

#[test]
fn the_top_of_the_tree_holds_only_what_belongs_there() {
    let ignored = std::fs::read_to_string(root().join(".gitignore")).unwrap_or_default();
    let is_ignored = |name: &str| ignored.lines().any(|line| line.trim_matches('/') == name);
    let entries = std::fs::read_dir(root()).unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let strange = names.filter(|name| !TOP.contains(&name.as_str()) && name != "tests" && !is_ignored(name));
    hold(strange.map(|name| format!("`{name}` does not belong at the top")).collect());
}

fn is_page(path: &Path) -> bool {
    path.extension().is_some_and(|extension| ["html", "css", "js", "svg", "txt"].iter().any(|kind| extension == *kind))
}

#[test]
fn pages_name_nothing_outside_the_site() {
    let addresses = matches(&files("templates", is_page), r#"https?://[^\s"'<>)]*|(src|href)="//[^"]*"|@import[^;]*"#);
    let is_known = |hit: &String| ADDRESSES.iter().any(|address| hit.ends_with(address));
    hold(addresses.into_iter().filter(|hit| !is_known(hit)).collect());
}

#[test]
fn pages_hold_no_inline_style_or_script() {
    let pages = files("templates", |path| path.extension().is_some_and(|extension| extension == "html"));
    let inline = r#"(?i)<style\b|\sstyle="|<script>|<script\s[^>]*(type="module"\s*)?>[^<]|\son[a-z]+="|javascript:"#;
    hold(matches(&pages, inline));
}

#[test]
fn no_source_names_a_machine_or_a_registry() {
    let mut sources = rust();
    sources.extend(files("scripts", |_| true));
    sources.extend(files(".ci", |_| true));
    let named =
        concat!(r"/wor", r"k/(shared|main)|/tm", r"p/wt\b|registry\.npm", r"js|index\.crates|deb\.debian", r"\.org");
    hold(matches(&sources, named));
}

#[test]
fn the_manual_names_every_verb() {
    let manual: String = files("docs", |_| true).into_iter().map(|page| page.text).collect();
    if manual.is_empty() {
        return;
    }
    let binary = crate::site::binary();
    let help = Program::new(binary.to_str().unwrap()).option("--help").run(b"").unwrap();
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let verbs = Regex::new(r"(?m)^  ([a-z][a-z-]+)  ").unwrap();
    let named = verbs.captures_iter(&help).map(|found| found[1].to_owned()).filter(|verb| verb != "help");
    hold(named.filter(|verb| !manual.contains(&format!("gitgrit-ops {verb}"))).collect());
}

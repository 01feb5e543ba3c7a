//! Holds `docs/commands.md` against the command line: the page is the help text of every verb, so it cannot lag behind.

use std::fmt::Write;
use std::path::Path;

const HEAD: &str = "# Commands\n\nThe help text of every verb, written by the tests (`GITGRIT_BLESS=1 cargo test reference` renews this page).\n";

/// A verb that changes is described in the manual in the same commit.
#[test]
fn the_manual_shows_the_help_of_every_verb() {
    let mut page = HEAD.to_owned();
    describe(super::command(), "", &mut page);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/commands.md");
    if std::env::var_os("GITGRIT_BLESS").is_some() {
        base::file::write_atomic(&path, page.as_bytes(), 0o644).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/commands.md lags behind: run GITGRIT_BLESS=1 cargo test reference");
}

fn describe(command: clap::Command, above: &str, page: &mut String) {
    let name = format!("{above}{}", command.get_name());
    let help = command.clone().bin_name(&name).term_width(100).render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    write!(page, "\n## {name}\n\n```text\n{}\n```\n", help.join("\n").trim_end()).unwrap();
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        describe(below.clone(), &format!("{name} "), page);
    }
}

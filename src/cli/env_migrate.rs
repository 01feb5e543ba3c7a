//! Brings a `.env` to the template of another version. Keeps the file as it was beside it, and shows no value.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base::envfile::{LIMIT, Values};
use base::file::{read_text, write_atomic};
use base::template;
use checks::env_migrate::{Step, migrate};
use clap::Args;
use serde::Serialize;

use super::{Console, Exit, Failure};

/// What is merged into what.
#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    /// The file that is migrated; as it was, it stays beside it with the ending .before
    #[arg(default_value = ".env")]
    file: PathBuf,

    /// The template of the version that the file was made for, its .env.example
    #[arg(long, value_name = "TEMPLATE")]
    from: PathBuf,

    /// The template of the version to come [default: this program's own]
    #[arg(long, value_name = "TEMPLATE")]
    to: Option<PathBuf>,

    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct StepView<'s> {
    name: &'s str,
    step: Step,
}

#[derive(Serialize)]
struct MigrateView<'m> {
    file: String,
    steps: Vec<StepView<'m>>,
    changed: bool,
    dry_run: bool,
}

pub(crate) fn run(args: &MigrateArgs, console: &mut Console) -> Result<Exit, Failure> {
    let mine = read_text(&args.file, LIMIT)?;
    let old = read_text(&args.from, LIMIT)?;
    let new = match &args.to {
        Some(path) => read_text(path, LIMIT)?,
        None => template::render(&Values::default()).map_err(|error| Failure::new(Exit::Failure, error))?,
    };
    let migration = migrate(&old, &new, &mine).map_err(|error| Failure::new(Exit::Failure, error))?;
    let is_changed = migration.text != mine;
    if is_changed && !args.dry_run {
        let mode = std::fs::metadata(&args.file).map_or(0o600, |found| found.permissions().mode() & 0o777);
        write_atomic(&before(&args.file), mine.as_bytes(), mode)?;
        write_atomic(&args.file, migration.text.as_bytes(), mode)?;
    }
    if console.is_json {
        let steps = migration.steps.iter().map(|(name, step)| StepView { name, step: *step }).collect();
        let file = args.file.display().to_string();
        console.json(&MigrateView { file, steps, changed: is_changed, dry_run: args.dry_run })?;
        return Ok(Exit::Ok);
    }
    for (name, step) in &migration.steps {
        writeln!(console.out, "{:<8}  {name}{}", word(*step), remark(*step))?;
    }
    let file = args.file.display();
    match (is_changed, args.dry_run) {
        (false, _) => writeln!(console.err, "{file} is as the template wants it")?,
        (true, true) => writeln!(console.err, "would change {file}")?,
        (true, false) => writeln!(console.err, "changed {file}; as it was: {}", before(&args.file).display())?,
    }
    Ok(Exit::Ok)
}

fn before(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".before");
    name.into()
}

const fn word(step: Step) -> &'static str {
    match step {
        Step::Added => "added",
        Step::Removed => "removed",
        Step::Updated => "updated",
        Step::Kept => "kept",
        Step::Orphaned => "orphaned",
    }
}

const fn remark(step: Step) -> &'static str {
    match step {
        Step::Kept => ": the default is another now, your value stays",
        Step::Orphaned => ": no longer known; remove it when nothing of yours reads it",
        Step::Added | Step::Removed | Step::Updated => "",
    }
}

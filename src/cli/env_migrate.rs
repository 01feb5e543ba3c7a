//! Brings a `.env` to the template of another version. Keeps the file as it was beside it, and shows no value.

use std::io::Write;
use std::path::{Path, PathBuf};

use base::envfile::{LIMIT, Values};
use base::file::{FileError, copy_owner, read_text, replace, write_new};
use base::template;
use checks::env_migrate::{MigrateError, Step, migrate};
use clap::Args;
use serde::Serialize;

use super::{Console, Exit, Failure};

/// How many earlier states of a file are kept beside it.
const BEFORE: usize = 100;

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
    /// Where the file as it was is now.
    before: Option<String>,
    dry_run: bool,
}

pub(crate) fn run(args: &MigrateArgs, console: &mut Console) -> Result<Exit, Failure> {
    let mine = read_text(&args.file, LIMIT)?;
    let old = read_text(&args.from, LIMIT)?;
    let new = match &args.to {
        Some(path) => read_text(path, LIMIT)?,
        None => template::render(&Values::default()).map_err(|error| Failure::new(Exit::Failure, error))?,
    };
    let migration = migrate(&old, &new, &mine, &super::env::environment).map_err(|error| {
        let exit = if matches!(error, MigrateError::Refused { .. }) { Exit::ChecksFailed } else { Exit::Failure };
        Failure::new(exit, error)
    })?;
    let is_changed = migration.text != mine;
    let kept = if is_changed && !args.dry_run { Some(write(&args.file, &mine, &migration.text)?) } else { None };
    if console.is_json {
        let steps = migration.steps.iter().map(|(name, step)| StepView { name, step: *step }).collect();
        let (file, before) = (args.file.display().to_string(), kept.map(|kept| kept.display().to_string()));
        console.json(&MigrateView { file, steps, changed: is_changed, before, dry_run: args.dry_run })?;
        return Ok(Exit::Ok);
    }
    for (name, step) in &migration.steps {
        writeln!(console.out, "{:<8}  {name}{}", word(*step), remark(*step))?;
    }
    let file = args.file.display();
    match (is_changed, kept) {
        (false, _) => writeln!(console.err, "{file} is as the template wants it")?,
        (true, None) => writeln!(console.err, "would change {file}")?,
        (true, Some(kept)) => writeln!(console.err, "changed {file}; as it was: {}", kept.display())?,
    }
    Ok(Exit::Ok)
}

/// Puts the file as it was beside it, then the new text in its place, for the same owner; a link stays one. Gives where the
/// file as it was is now.
fn write(file: &Path, mine: &str, text: &str) -> Result<PathBuf, Failure> {
    let unread = |source| FileError::Read { path: file.into(), source };
    let file = file.canonicalize().map_err(unread)?;
    let kept = (1..=BEFORE).map(|number| before(&file, number)).find(|path| path.symlink_metadata().is_err());
    let kept = kept.ok_or_else(|| {
        let message = format!("{BEFORE} earlier states of `{}` are kept already", file.display());
        Failure::said(Exit::Failure, message).hinted("move those that you do not need away")
    })?;
    // Nobody's file until it is whole: first private, then as open as the original.
    write_new(&kept, mine.as_bytes(), 0o600)?;
    base::fault::point("env:migrate:kept");
    copy_owner(&file, &kept)?;
    replace(&file, text.as_bytes())?;
    base::fault::point("env:migrate:written");
    Ok(kept)
}

/// `.env.before`, then `.env.before.2` and so on.
fn before(file: &Path, number: usize) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".before");
    if number > 1 {
        name.push(format!(".{number}"));
    }
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

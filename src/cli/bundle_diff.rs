//! Says what changes from one bundle to another, in sentences that somebody can put a name under.

use std::io::{self, Write};
use std::path::PathBuf;

use airgap::bundle::contents::{ListedPackage, PackageChanges, package_changes};
use airgap::bundle::difference::{Change, Differences, FileChange, ImageChange, Layer, differences};
use clap::Args;
use serde::Serialize;

use super::bundle_inspect::{HeadArgs, open};
use super::bundle_sign::refused;
use super::console::unless_gone;
use super::{Console, Exit, Failure};

const EXAMPLES: &str =
    "Example:\n  gitgrit-ops bundle diff gitgrit-v1.0.0-amd64.ggb gitgrit-v1.1.0-amd64.ggb --public-key release.pub";

/// Say what changes from one bundle to another
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BundleDiffArgs {
    /// The bundle that is there
    from: PathBuf,

    /// The bundle that comes
    to: PathBuf,

    #[command(flatten)]
    head: HeadArgs,
}

#[derive(Serialize)]
struct DiffView<'d> {
    from: String,
    to: String,
    is_same: bool,
    #[serde(flatten)]
    differences: &'d Differences,
    /// What changes in what is installed in each image, and in the program's crates.
    packages: &'d [PackageChanges],
    /// The entries of the release notes that break something, and that the first bundle did not have.
    breaking: &'d [String],
}

pub(crate) fn run(args: &BundleDiffArgs, console: &mut Console) -> Result<Exit, Failure> {
    let (from, signed_by) = open(&args.from, &args.head)?;
    let (to, _) = open(&args.to, &args.head)?;
    let found = differences(from.manifest(), to.manifest());
    let packages = package_changes(&from.listed().map_err(refused)?, &to.listed().map_err(refused)?);
    let known = from.breaking(false).map_err(refused)?;
    let mut breaking = to.breaking(false).map_err(refused)?;
    breaking.retain(|entry| !known.contains(entry));
    let (from, to) = (args.from.display().to_string(), args.to.display().to_string());
    if console.is_json {
        console.json(&DiffView {
            from,
            to,
            is_same: is_same(&found, &packages, &breaking),
            differences: &found,
            packages: &packages,
            breaking: &breaking,
        })?;
        return Ok(Exit::Ok);
    }
    if signed_by.is_empty() {
        writeln!(console.err, "warning: no signature was checked; this is the files' own word")?;
    }
    writeln!(console.out, "From {from} to {to}:")?;
    unless_gone(show(&found, (&packages, &breaking), &mut console.out))?;
    Ok(Exit::Ok)
}

fn is_same(found: &Differences, packages: &[PackageChanges], breaking: &[String]) -> bool {
    found.is_empty() && packages.is_empty() && breaking.is_empty()
}

fn show(
    found: &Differences,
    (packages, breaking): (&[PackageChanges], &[String]),
    out: &mut dyn Write,
) -> io::Result<()> {
    if is_same(found, packages, breaking) {
        return writeln!(out, "Nothing changes.");
    }
    for fact in &found.facts {
        writeln!(out, "The {} changes from {} to {}.", fact.what, fact.from, fact.to)?;
    }
    for change in &found.images {
        image(change, out)?;
    }
    for change in &found.files {
        file(change, out)?;
    }
    for (what, names) in [("setting", &found.keys), ("migration", &found.migrations)] {
        for (list, is) in [(&names.new, "new"), (&names.gone, "gone")] {
            for name in list {
                writeln!(out, "The {what} {name} is {is}.")?;
            }
        }
    }
    packages.iter().try_for_each(|changes| package_lines(changes, out))?;
    for entry in breaking {
        writeln!(out, "The release notes say that this breaks: {entry}")?;
    }
    writeln!(
        out,
        "Nothing else changes: {} images, {} layers and {} files stay as they are. New layers: {} bytes.",
        found.same_images, found.same_layers, found.same_files, found.new_layer_bytes
    )
}

fn image(change: &ImageChange, out: &mut dyn Write) -> io::Result<()> {
    let name = &change.name;
    match (&change.from, &change.to) {
        (Some(from), Some(to)) => {
            writeln!(out, "The image {name} changes from {} to {}.", from.id, to.id)?;
            if from.reference != to.reference {
                writeln!(out, "  It is called {} and was called {}.", to.reference, from.reference)?;
            }
            writeln!(out, "  It keeps {} of its layers.", change.kept_layers)?;
        }
        (None, Some(to)) => writeln!(out, "The image {name} is new: {}, {}.", to.reference, to.id)?,
        (Some(from), None) => writeln!(out, "The image {name} is gone: {}, {}.", from.reference, from.id)?,
        (None, None) => {}
    }
    let mut layers = |layers: &[Layer], word: &str| {
        layers.iter().try_for_each(|layer| writeln!(out, "  {word} layer {}, {} bytes.", layer.digest, layer.size))
    };
    layers(&change.new_layers, "New")?;
    layers(&change.gone_layers, "Without")
}

fn package_lines(changes: &PackageChanges, out: &mut dyn Write) -> io::Result<()> {
    let of =
        if changes.name == "gitgrit-ops" { "the program".to_owned() } else { format!("the image {}", changes.name) };
    for package in &changes.changed {
        let (from, to) = (package.from.join(" and "), package.to.join(" and "));
        writeln!(out, "In {of}, {} changes from {from} to {to}.", package.name)?;
    }
    for (list, is) in [(&changes.new, "new"), (&changes.gone, "gone")] {
        for ListedPackage { name, version } in list {
            writeln!(out, "In {of}, {name} {version} is {is}.")?;
        }
    }
    writeln!(out, "In {of}, {} packages stay as they are.", changes.same)
}

fn file(change: &FileChange, out: &mut dyn Write) -> io::Result<()> {
    let path = &change.path;
    let (from, to) = (change.from.unwrap_or_default(), change.to.unwrap_or_default());
    match change.change {
        Change::New => writeln!(out, "The file {path} is new, {to} bytes."),
        Change::Gone => writeln!(out, "The file {path} is gone, it had {from} bytes."),
        Change::Changed => writeln!(out, "The file {path} changes; it had {from} bytes and has {to}."),
    }
}

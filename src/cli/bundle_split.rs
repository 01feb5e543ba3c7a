//! Splits a bundle into parts for media that are too small for it, and prints the sheet that goes with them.

use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;

use airgap::bundle::split::{self, Split, SplitPlan};
use airgap::bundle::{Bundle, Hashes, Signature, Thoroughness};
use base::file::write_atomic;
use clap::Args;
use serde::Serialize;

use super::bundle_engine::progress;
use super::bundle_inspect::{self, HeadArgs};
use super::bundle_sign::refused;
use super::{Console, Exit, Failure};

const EXAMPLES: &str = "Examples:\n  gitgrit-ops bundle split gitgrit-v1.0.0-amd64.ggb --size 4.7GB --parity --public-key release.pub\n  \
                        gitgrit-ops bundle split gitgrit-v1.0.0-amd64.ggb --size 650MiB --out /media/stick --sheet sheet.txt --trust trust.json";
/// How wide a value on the sheet may be, in signs.
const WIDE: usize = 66;

/// Split a bundle into parts that fit on media
///
/// The bundle is verified first. Each part knows which bundle it is a part of and the hashes of all others; with --parity one more part is
/// written, out of which any single lost or damaged part is made again. `verify`, `inspect` and `load` read the parts where they lie. Beside them lies
/// a list that `sha256sum -c` takes; the transfer sheet, to be printed, ticked and signed, goes to standard output or to --sheet.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SplitArgs {
    /// The bundle
    file: PathBuf,

    /// The most that a part's file may have, as in 4.7GB, 650MiB or 700000000
    #[arg(long, value_parser = size)]
    size: u64,

    /// Write one more part, out of which any single other one can be made again
    #[arg(long)]
    parity: bool,

    /// The folder for the parts
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,

    /// Write the transfer sheet into this file instead of standard output
    #[arg(long, value_name = "FILE")]
    sheet: Option<PathBuf>,

    #[command(flatten)]
    head: HeadArgs,

    /// Say what would be written, and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct SplitView {
    bundle: String,
    manifest: String,
    size: u64,
    /// Of the whole bundle; `null` in a dry run, as are those of the parts.
    sha256: Option<String>,
    parts: Vec<PartView>,
    dry_run: bool,
}

#[derive(Serialize)]
struct PartView {
    file: String,
    /// In bytes; `null` in a dry run.
    size: Option<u64>,
    sha256: Option<String>,
}

/// Reads `4.7GB`, `650MiB` or `700000000`.
fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no size, as in 4.7GB, 650MiB or 700000000");
    let split = text.find(|sign: char| !sign.is_ascii_digit() && sign != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit: u64 = match unit.trim() {
        "" | "B" => 1,
        "kB" | "KB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(wrong()),
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    if part.is_empty() || part.len() > 9 {
        return Err(wrong());
    }
    let digits = |text: &str| text.parse::<u64>().map_err(|_| wrong());
    let scale = 10_u64.pow(u32::try_from(part.len()).unwrap_or_default());
    let (whole, part) = (digits(whole)?, digits(part)?);
    let size = whole.checked_mul(unit).and_then(|size| size.checked_add(part.checked_mul(unit)? / scale));
    size.filter(|size| *size > 0).ok_or_else(wrong)
}

pub(crate) fn run(args: &SplitArgs, console: &mut Console) -> Result<Exit, Failure> {
    let (bundle, signed_by) = bundle_inspect::open(&args.file, &args.head)?;
    if bundle.is_split() {
        return Err(Failure::said(Exit::Usage, "a bundle in parts cannot be split again").hinted("join it first"));
    }
    let plan = split::plan(&bundle, args.size, args.parity, &args.out).map_err(|error| refused(error.into()))?;
    let bar = progress(console, bundle.size() * 4, "splitting");
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let how = Thoroughness { hashes: Hashes::Blake3, is_full: false, threads };
    bundle.verify(how, &|more| bar.inc(more)).map_err(refused)?;
    if args.dry_run {
        drop(bar);
        return planned(&plan, console);
    }
    let split = split::apply(&bundle, &plan, how, &|more| bar.inc(more)).map_err(refused)?;
    drop(bar);
    let sheet = sheet(&bundle, &signed_by, &split);
    if let Some(path) = &args.sheet {
        write_atomic(path, sheet.as_bytes(), 0o644)?;
    }
    if console.is_json {
        console.json(&view(&split))?;
        return Ok(Exit::Ok);
    }
    if args.sheet.is_none() {
        write!(console.out, "{sheet}")?;
    }
    writeln!(console.err, "wrote {} files to {}", split.files.len() + 1, args.out.display())?;
    Ok(Exit::Ok)
}

fn planned(plan: &SplitPlan, console: &mut Console) -> Result<Exit, Failure> {
    let names: Vec<String> = plan.numbers().into_iter().map(|number| plan.file(number)).collect();
    if console.is_json {
        let part = |file: &String| PartView { file: file.clone(), size: None, sha256: None };
        console.json(&SplitView {
            bundle: plan.set.name.clone(),
            manifest: plan.set.manifest.named(),
            size: plan.set.size,
            sha256: None,
            parts: names.iter().map(part).collect(),
            dry_run: true,
        })?;
        return Ok(Exit::Ok);
    }
    for name in names {
        writeln!(console.out, "{name}")?;
    }
    writeln!(console.err, "would write {} bytes to {}", plan.room(), plan.out.display())?;
    Ok(Exit::Ok)
}

fn view(split: &Split) -> SplitView {
    let part = |file: &split::Written| PartView {
        file: file.name.clone(),
        size: Some(file.size),
        sha256: Some(file.sha256.to_string()),
    };
    SplitView {
        bundle: split.set.name.clone(),
        manifest: split.set.manifest.named(),
        size: split.set.size,
        sha256: Some(split.whole.to_string()),
        parts: split.files.iter().map(part).collect(),
        dry_run: false,
    }
}

/// The transfer sheet: plain text of 80 columns.
fn sheet(bundle: &Bundle, signed_by: &[String], split: &Split) -> String {
    let manifest = bundle.manifest();
    let named: Vec<&str> = bundle.signatures().iter().map(Signature::key).collect();
    let keys = if signed_by.is_empty() { format!("{} (not checked)", named.join(" ")) } else { signed_by.join(" ") };
    let dirty = if manifest.commit.is_dirty { " with changes that no commit has" } else { "" };
    let rows = [
        ("bundle", split.set.name.clone()),
        ("version", format!("{} for {}, sequence {}", manifest.version, manifest.arch.name(), manifest.sequence)),
        ("commit", format!("{}{dirty}", manifest.commit.id)),
        ("manifest", split.set.manifest.to_string()),
        ("signed by", keys),
        ("size", format!("{} bytes in {} files", split.set.size, split.files.len())),
        ("sha256", split.whole.to_string()),
    ];
    let mut text = String::from("TRANSFER SHEET\n\n");
    for (label, value) in rows {
        let mut label = label;
        for line in pieces(&value, WIDE) {
            let _ = writeln!(text, "{label:<12}  {line}");
            label = "";
        }
    }
    text.push_str("\nsent  received\n");
    for file in &split.files {
        let mut boxes = "[ ]   [ ]";
        for line in pieces(&file.name, WIDE) {
            let _ = writeln!(text, "{boxes:<9}   {line}");
            boxes = "";
        }
        let _ = writeln!(text, "{:<9}   {} bytes, sha256\n{:<9}   {}", "", file.size, "", file.sha256);
    }
    let _ = writeln!(
        text,
        "\nto check:   sha256sum -c {}",
        pieces(&format!("{}.parts.sha256", split.set.name), 55).join("\\\n")
    );
    for who in ["sent by", "received by"] {
        let _ = writeln!(text, "\n{who:<12}______________________  date ____________  signed ______________");
    }
    text
}

/// A text in lines of at most `wide` signs.
fn pieces(text: &str, wide: usize) -> Vec<String> {
    let signs: Vec<char> = text.chars().collect();
    signs.chunks(wide).map(|line| line.iter().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let cases = [
            ("4.7GB", 4_700_000_000),
            ("650MiB", 650 << 20),
            ("700000000", 700_000_000),
            ("1.5 kB", 1500),
            ("0.5GiB", 1 << 29),
            ("1B", 1),
        ];
        for (text, expected) in cases {
            assert_eq!(size(text), Ok(expected), "{text}");
        }
        for text in
            ["", "GB", "0", "-1GB", "1,5GB", "1.GB", "1TBB", "1.2.3GB", "99999999999999999999", "20000000000GiB"]
        {
            assert!(size(text).is_err(), "{text}");
        }
    }
}

//! Whom to believe about a bundle: named on the command line, in a trust file, or built into the program.

use std::io::Write;
use std::path::{Path, PathBuf};

use airgap::bundle::trust::{MOST, Trust, TrustError};
use airgap::bundle::trust_file::{LIMIT, TrustFile};
use base::file::{read_bytes, read_text, replace};
use clap::{Args, Subcommand};
use serde::Serialize;
use vault::minisign::{LONGEST, PublicKey, Signature};

use super::{Console, Exit, Failure};

/// Whose signatures count.
#[derive(Clone, Debug, Args)]
pub(crate) struct TrustArgs {
    /// A file with the trusted keys [default: the keys that this program was built with]
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,

    /// Trust this key alone, its .pub file or its line; with several, each is enough
    #[arg(long, value_name = "KEY", conflicts_with = "trust")]
    public_key: Vec<String>,

    /// How many of the keys named here must have signed
    #[arg(long, value_name = "NUMBER", default_value_t = 1, requires = "public_key")]
    threshold: usize,
}

impl TrustArgs {
    /// Whose signatures count.
    pub(crate) fn read(&self) -> Result<Trust, Failure> {
        if let Some(path) = &self.trust {
            return Ok(trust_file(path)?.trust().clone());
        }
        if self.public_key.is_empty() {
            return Trust::compiled().map_err(refused);
        }
        let keys: Result<Vec<PublicKey>, Failure> = self.public_key.iter().map(|key| public_key(key)).collect();
        Trust::new(keys?, self.threshold).map_err(refused)
    }
}

fn public_key(text: &str) -> Result<PublicKey, Failure> {
    let read = match PublicKey::parse(text) {
        Ok(key) => return Ok(key),
        Err(error) if text.starts_with("RW") && !Path::new(text).exists() => Err(error),
        Err(_) => PublicKey::parse(&read_text(Path::new(text), LONGEST as u64)?),
    };
    read.map_err(|error| Failure::new(Exit::Failure, error))
}

fn trust_file(path: &Path) -> Result<TrustFile, Failure> {
    TrustFile::parse(&read_bytes(path, LIMIT)?).map_err(refused)
}

/// A refusal, with its exit code.
fn refused(error: TrustError) -> Failure {
    let exit = match error {
        TrustError::Keys { .. } => Exit::Failure,
        _ => Exit::Integrity,
    };
    let id = error.id();
    Failure::new(exit, error).identified(id)
}

/// Show whom this program believes about a bundle, or replace a trust file
#[derive(Debug, Args)]
pub(crate) struct TrustVerbArgs {
    #[command(subcommand)]
    verb: TrustVerb,
}

#[derive(Debug, Subcommand)]
enum TrustVerb {
    /// Show the trusted keys, and how many of them must have signed
    #[command(
        after_help = "Examples:\n  gitgrit-ops bundle trust show\n  gitgrit-ops bundle trust show --trust trust.json"
    )]
    Show(TrustArgs),
    Replace(ReplaceArgs),
}

/// Put a newer trust file into the place of another
///
/// The new file must be signed by as many keys of the old one as that asks for, and by as many of its own as it asks for itself. The
/// signatures are the files NEW.KEY.minisig beside it, as `bundle sign` writes them, unless others are named.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  gitgrit-ops bundle trust replace /etc/gitgrit/trust.json new-trust.json")]
struct ReplaceArgs {
    /// The trust file that counts now
    old: PathBuf,

    /// The one that shall take its place
    new: PathBuf,

    /// A signature of the new file; may be given several times
    #[arg(long, value_name = "FILE")]
    signature: Vec<PathBuf>,

    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct TrustView {
    threshold: usize,
    keys: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dry_run: Option<bool>,
}

pub(crate) fn run(args: &TrustVerbArgs, console: &mut Console) -> Result<Exit, Failure> {
    match &args.verb {
        TrustVerb::Show(args) => show(args, console),
        TrustVerb::Replace(args) => put(args, console),
    }
}

fn show(args: &TrustArgs, console: &mut Console) -> Result<Exit, Failure> {
    let trust = args.read()?;
    let keys: Vec<String> = trust.keys().iter().map(PublicKey::line).collect();
    if console.is_json {
        console.json(&TrustView { threshold: trust.threshold(), keys, sequence: None, dry_run: None })?;
        return Ok(Exit::Ok);
    }
    writeln!(console.out, "signatures needed: {} of {}", trust.threshold(), keys.len())?;
    for key in trust.keys() {
        writeln!(console.out, "{}  {}", key.id(), key.line())?;
    }
    Ok(Exit::Ok)
}

fn put(args: &ReplaceArgs, console: &mut Console) -> Result<Exit, Failure> {
    let old = trust_file(&args.old)?;
    let bytes = read_bytes(&args.new, LIMIT)?;
    let signatures = signatures(args)?;
    let next = old.successor(&bytes, &signatures).map_err(refused)?;
    if !args.dry_run {
        replace(&args.old, &bytes)?;
    }
    if console.is_json {
        let keys = next.trust().keys().iter().map(PublicKey::line).collect();
        let (threshold, sequence) = (next.trust().threshold(), Some(next.sequence()));
        console.json(&TrustView { threshold, keys, sequence, dry_run: Some(args.dry_run) })?;
        return Ok(Exit::Ok);
    }
    let done = if args.dry_run { "would replace" } else { "replaced" };
    writeln!(console.err, "{done} {}: {} of these keys must sign now", args.old.display(), next.trust().threshold())?;
    for (name, key) in next.names() {
        writeln!(console.out, "{key}  {name}")?;
    }
    Ok(Exit::Ok)
}

/// The signatures that were named, or those that lie beside the new file.
fn signatures(args: &ReplaceArgs) -> Result<Vec<Signature>, Failure> {
    let mut paths = args.signature.clone();
    if paths.is_empty() {
        let folder = args.new.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let start = args.new.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let names = std::fs::read_dir(folder)?.flatten().map(|entry| entry.path());
        paths.extend(names.filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.strip_prefix(&start).is_some_and(|end| end.starts_with('.') && end.ends_with(".minisig"))
        }));
        paths.sort();
    }
    let read = paths.iter().take(MOST + 1).map(|path| {
        let text = read_text(path, LONGEST as u64)?;
        Signature::parse(&text).map_err(|error| Failure::new(Exit::Integrity, error))
    });
    read.collect()
}

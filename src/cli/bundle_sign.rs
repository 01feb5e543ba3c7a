//! Signs a bundle inside itself, and a trust file beside it, with keys of one's own. Nothing is signed unread: a bundle is
//! verified first, as a whole.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use airgap::bundle::trust_file::{LIMIT, TrustFile};
use airgap::bundle::{Bundle, BundleError, Hashes, Manifest, Signature, Thoroughness, reseal};
use base::file::{read_bytes, write_atomic};
use clap::Args;
use serde::Serialize;
use vault::minisign::{MinisignError, SecretKey};

use super::bundle_keys::{SigningArgs, sign_all};
use super::{Console, Exit, Failure};

const EXAMPLES: &str = "Examples:\n  gitgrit-ops bundle sign gitgrit-v1.0.0-amd64.ggb --key release.key\n  \
                        gitgrit-ops bundle sign new-trust.json --key release.key --key second.key";

/// Sign a bundle inside itself, or a trust file beside it
///
/// A bundle is verified as a whole first, and rewritten with the new signatures beside those that it has. The signatures of a trust
/// file are FILE.KEY.minisig.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SignArgs {
    /// A bundle, or a trust file
    file: PathBuf,

    #[command(flatten)]
    signing: SigningArgs,

    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct SignView {
    file: String,
    /// The keys that signed, or would.
    keys: Vec<String>,
    written: Vec<String>,
    dry_run: bool,
}

pub(crate) fn run(args: &SignArgs, console: &mut Console) -> Result<Exit, Failure> {
    let keys = args.signing.open()?;
    if keys.is_empty() {
        return Err(Failure::said(Exit::Usage, "no key was named").hinted("name one with --key KEY"));
    }
    let written = if is_json(&args.file)? { beside(args, &keys)? } else { inside(args, &keys)? };
    let written: Vec<String> = written.iter().map(|path| path.display().to_string()).collect();
    if console.is_json {
        let keys = keys.iter().map(|key| key.public().id().to_string()).collect();
        let file = args.file.display().to_string();
        console.json(&SignView { file, keys, written, dry_run: args.dry_run })?;
        return Ok(Exit::Ok);
    }
    let done = if args.dry_run { "would write" } else { "wrote" };
    for path in written {
        writeln!(console.err, "{done} {path}")?;
    }
    Ok(Exit::Ok)
}

/// A trust file is JSON; no bundle begins so.
fn is_json(path: &Path) -> Result<bool, Failure> {
    let mut start = Vec::new();
    let read = |source: io::Error| base::file::FileError::Read { path: path.into(), source };
    std::fs::File::open(path).and_then(|file| file.take(64).read_to_end(&mut start)).map_err(read)?;
    Ok(start.trim_ascii_start().starts_with(b"{"))
}

fn beside(args: &SignArgs, keys: &[SecretKey]) -> Result<Vec<PathBuf>, Failure> {
    let bytes = read_bytes(&args.file, LIMIT)?;
    let file = TrustFile::parse(&bytes).map_err(|error| Failure::new(Exit::Failure, error))?;
    let comment = format!("gitgrit trust file, sequence {}", file.sequence());
    let mut written = Vec::new();
    for signature in sign_all(keys, &bytes, &comment).map_err(unsigned)? {
        let mut path = args.file.clone().into_os_string();
        path.push(format!(".{}.minisig", signature.id()));
        let path = PathBuf::from(path);
        if !args.dry_run {
            write_atomic(&path, signature.to_string().as_bytes(), 0o644)?;
        }
        written.push(path);
    }
    Ok(written)
}

fn inside(args: &SignArgs, keys: &[SecretKey]) -> Result<Vec<PathBuf>, Failure> {
    // Whose signatures it has does not matter to whoever adds one; that it is whole does.
    let (bundle, ()) = Bundle::open(&args.file, |_, _| Ok(())).map_err(refused)?;
    if bundle.is_split() {
        return Err(Failure::said(Exit::Usage, "a bundle in parts cannot be signed")
            .hinted("join it first, or sign it before it is split"));
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    bundle.verify(Thoroughness { hashes: Hashes::Blake3, is_full: true, threads }, &|_| ()).map_err(refused)?;
    let made = sign_manifest(bundle.manifest(), keys)?;
    let kept = bundle.signatures().iter().filter(|old| made.iter().all(|new| new.key() != old.key())).cloned();
    let signatures: Vec<Signature> = kept.chain(made.iter().cloned()).collect();
    if !args.dry_run {
        reseal(&bundle, &signatures, &args.file).map_err(refused)?;
    }
    Ok(vec![args.file.clone()])
}

/// The signatures of a manifest, with what `minisign -V` shall show of it.
pub(crate) fn sign_manifest(manifest: &Manifest, keys: &[SecretKey]) -> Result<Vec<Signature>, Failure> {
    let Manifest { version, arch, sequence, expires, .. } = manifest;
    let expires = expires.map(|at| format!(",expires={at}")).unwrap_or_default();
    let comment = format!("bundle=gitgrit,version={version},arch={},seq={sequence}{expires}", arch.name());
    let made = sign_all(keys, &manifest.bytes(), &comment).map_err(unsigned)?;
    made.iter().map(|signature| Signature::take(&signature.to_string()).map_err(refused)).collect()
}

fn unsigned(error: MinisignError) -> Failure {
    Failure::new(Exit::Failure, error)
}

/// A refusal of a bundle, with its exit code.
pub(crate) fn refused(error: BundleError) -> Failure {
    let exit = if error.is_space() {
        Exit::Space
    } else if error.is_base() {
        Exit::Base
    } else if error.is_version() {
        Exit::Version
    } else if error.is_outside() {
        Exit::Failure
    } else {
        Exit::Integrity
    };
    let id = error.id();
    Failure::new(exit, error).identified(id)
}

//! Shows what a bundle holds, out of its head, and out of single files of its body that are compared with the signed manifest
//! before they are read. The rest of the body is neither verified nor unpacked.

use std::io::Write;
use std::path::{Path, PathBuf};

use airgap::bundle::contents::Listed;
use airgap::bundle::{Bundle, Manifest, Signature};
use clap::Args;
use serde::Serialize;

use super::bundle_sign::refused;
use super::bundle_trust::TrustArgs;
use super::console::unless_gone;
use super::{Console, Exit, Failure};

const EXAMPLES: &str = "Examples:\n  gitgrit-ops bundle inspect gitgrit-v1.0.0-amd64.ggb --public-key release.pub --packages\n  \
                        gitgrit-ops bundle inspect gitgrit-v1.0.0-amd64.ggb --untrusted --json";

/// Whose word about a bundle is taken.
#[derive(Debug, Args)]
pub(crate) struct HeadArgs {
    #[command(flatten)]
    trust: TrustArgs,

    /// Take the bundle's own word: check no signature
    #[arg(long, conflicts_with_all = ["trust", "public_key"])]
    untrusted: bool,
}

/// Show what a bundle holds: images, layers, packages, files, settings, migrations, what breaks
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InspectArgs {
    /// The bundle
    file: PathBuf,

    #[command(flatten)]
    head: HeadArgs,

    /// List the packages of each image and the crates of the program, not only how many there are
    #[arg(long)]
    packages: bool,
}

#[derive(Serialize)]
struct InspectView<'v> {
    file: String,
    version: &'v str,
    arch: &'v str,
    sequence: u64,
    epoch: u64,
    commit: &'v str,
    is_dirty: bool,
    expires: Option<u64>,
    profile: &'v str,
    zstd: &'v str,
    program: Option<&'v str>,
    /// The trusted keys that signed; none when that was not checked.
    signed_by: &'v [String],
    /// The keys that the signatures name.
    signatures: Vec<&'v str>,
    /// In bytes: the file, and everything in it unpacked.
    size: u64,
    unpacked: u64,
    images: Vec<ImageView<'v>>,
    files: Vec<FileView<'v>>,
    keys: &'v [String],
    migrations: &'v [String],
    /// What of the newest release notes breaks something.
    breaking: Vec<String>,
    packages: Vec<PackagesView>,
}

#[derive(Serialize)]
struct PackagesView {
    /// The image's name; `gitgrit-ops` for the program.
    name: String,
    count: usize,
    note: String,
    /// `null` unless `--packages` was given.
    list: Option<Vec<String>>,
}

#[derive(Serialize)]
struct ImageView<'v> {
    name: &'v str,
    reference: &'v str,
    id: String,
    layers: Vec<LayerView>,
}

#[derive(Serialize)]
struct LayerView {
    digest: String,
    /// In bytes, unpacked and in the bundle; a small layer shares its frame with others.
    size: u64,
    packed: Option<u64>,
}

#[derive(Serialize)]
struct FileView<'v> {
    path: &'v str,
    mode: String,
    size: u64,
    sha256: String,
}

/// Opens a bundle's head as `args` ask for it. Gives the trusted keys that signed, none when that is not asked for.
pub(crate) fn open(file: &Path, args: &HeadArgs) -> Result<(Bundle, Vec<String>), Failure> {
    if args.untrusted {
        return Bundle::open(file, |_, _| Ok(Vec::new())).map_err(refused);
    }
    let trust = args.trust.read()?;
    let judge = |bytes: &[u8], signatures: &[Signature]| {
        let signed = trust.judge(bytes, signatures)?;
        Ok(signed.by.iter().map(ToString::to_string).collect())
    };
    Bundle::open(file, judge).map_err(refused)
}

pub(crate) fn run(args: &InspectArgs, console: &mut Console) -> Result<Exit, Failure> {
    let (bundle, signed_by) = open(&args.file, &args.head)?;
    let mut view = view(&args.file, &bundle, &signed_by);
    view.breaking = bundle.breaking(true).map_err(refused)?;
    view.packages = packages(bundle.listed().map_err(refused)?, args.packages);
    if console.is_json {
        console.json(&view)?;
        return Ok(Exit::Ok);
    }
    if signed_by.is_empty() {
        writeln!(console.err, "warning: no signature was checked; this is the file's own word")?;
    }
    for warning in bundle.warnings() {
        writeln!(console.err, "warning: {warning}")?;
    }
    unless_gone(show(&view, &mut console.out))?;
    Ok(Exit::Ok)
}

fn view<'v>(file: &Path, bundle: &'v Bundle, signed_by: &'v [String]) -> InspectView<'v> {
    let manifest = bundle.manifest();
    InspectView {
        file: file.display().to_string(),
        version: &manifest.version,
        arch: manifest.arch.name(),
        sequence: manifest.sequence,
        epoch: manifest.epoch,
        commit: &manifest.commit.id,
        is_dirty: manifest.commit.is_dirty,
        expires: manifest.expires,
        profile: manifest.profile.name(),
        zstd: &manifest.zstd,
        program: manifest.program.as_ref().map(|program| program.version.as_str()),
        signed_by,
        signatures: bundle.signatures().iter().map(Signature::key).collect(),
        size: bundle.size(),
        unpacked: manifest.entries.iter().map(|entry| entry.size).sum(),
        images: images(bundle),
        files: files(manifest),
        keys: &manifest.keys,
        migrations: &manifest.migrations,
        breaking: Vec::new(),
        packages: Vec::new(),
    }
}

fn packages(listed: Vec<Listed>, is_wanted: bool) -> Vec<PackagesView> {
    let one = |Listed { name, packages, note }| {
        let count = packages.len();
        let list = packages.into_iter().map(|package| format!("{} {}", package.name, package.version));
        PackagesView { name, count, note, list: is_wanted.then(|| list.collect()) }
    };
    listed.into_iter().map(one).collect()
}

fn images(bundle: &Bundle) -> Vec<ImageView<'_>> {
    let one = |image: &'_ airgap::bundle::Digest| LayerView {
        digest: image.named(),
        size: bundle.blob_size(image).unwrap_or_default(),
        packed: bundle.packed_size(&format!("blobs/sha256/{image}")),
    };
    let images = bundle.manifest().images.iter();
    images
        .map(|image| ImageView {
            name: &image.name,
            reference: &image.reference,
            id: image.id.named(),
            layers: image.layers.iter().map(one).collect(),
        })
        .collect()
}

fn files(manifest: &Manifest) -> Vec<FileView<'_>> {
    let own = manifest.entries.iter().filter(|entry| !entry.path.as_str().starts_with("blobs/"));
    own.map(|entry| FileView {
        path: entry.path.as_str(),
        mode: format!("{:04o}", entry.mode.bits()),
        size: entry.size,
        sha256: entry.sha256.to_string(),
    })
    .collect()
}

fn show(view: &InspectView<'_>, out: &mut dyn Write) -> std::io::Result<()> {
    let dirty = if view.is_dirty { ", with changes that no commit has" } else { "" };
    let names = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(" ") };
    writeln!(out, "gitgrit {} for {}", view.version, view.arch)?;
    writeln!(out, "sequence    {}", view.sequence)?;
    writeln!(out, "commit      {}{dirty}", view.commit)?;
    writeln!(out, "program     {}", view.program.unwrap_or("none"))?;
    writeln!(out, "packed      {}, zstd {}", view.profile, view.zstd)?;
    writeln!(out, "size        {} bytes, {} unpacked", view.size, view.unpacked)?;
    writeln!(
        out,
        "signed by   {}",
        if view.signed_by.is_empty() { "not checked".into() } else { names(view.signed_by) }
    )?;
    for image in &view.images {
        writeln!(out, "\nimage {}  {}  {}", image.name, image.reference, image.id)?;
        for layer in &image.layers {
            let packed = layer.packed.map_or("shared".to_owned(), |packed| packed.to_string());
            writeln!(out, "  {}  {:>12}  packed {packed:>12}", layer.digest, layer.size)?;
        }
    }
    for packages in &view.packages {
        writeln!(out, "\npackages of {}: {}. {}", packages.name, packages.count, packages.note)?;
        for package in packages.list.iter().flatten() {
            writeln!(out, "  {package}")?;
        }
    }
    if !view.breaking.is_empty() {
        writeln!(out, "\nbreaks")?;
    }
    for entry in &view.breaking {
        writeln!(out, "  {entry}")?;
    }
    writeln!(out, "\nfiles")?;
    for file in &view.files {
        writeln!(out, "  {}  {:>12}  {}", file.mode, file.size, file.path)?;
    }
    writeln!(out, "\nsettings    {}", names(view.keys))?;
    writeln!(out, "migrations  {}", names(view.migrations))
}

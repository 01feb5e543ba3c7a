//! Says what a target has, so that the build side can make a delta for it.

use std::io::Write;
use std::path::PathBuf;

use airgap::bundle::inventory::{HeldBundle, Inventory, MOST};
use base::file::write_atomic;
use clap::Args;

use super::bundle_inspect::{self, HeadArgs};
use super::{Console, Exit, Failure};

const EXAMPLES: &str = "Examples:\n  gitgrit-ops bundle inventory gitgrit-v1.0.0-amd64.ggb --trust trust.json --out inventory.json\n  \
                        gitgrit-ops bundle inventory /media/stick --public-key release.pub > inventory.json";

/// Say what bundles this site has, for a delta
///
/// The file holds versions and digests, nothing else of the site, and the same bundles give the same bytes. Carry it to where bundles are
/// built; `bundle delta --inventory` makes a delta out of it that leaves out what is here.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InventoryArgs {
    /// The bundles that are here
    #[arg(required = true, num_args = 1..=MOST)]
    bundles: Vec<PathBuf>,

    #[command(flatten)]
    head: HeadArgs,

    /// Write the inventory into this file instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Show the inventory, and write no file
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(args: &InventoryArgs, console: &mut Console) -> Result<Exit, Failure> {
    let mut held = Vec::new();
    for path in &args.bundles {
        let (bundle, _) = bundle_inspect::open(path, &args.head)?;
        held.push(HeldBundle::of(bundle.manifest()));
    }
    let text = Inventory::new(held).text();
    match args.out.as_ref().filter(|_| !args.dry_run) {
        Some(path) => {
            write_atomic(path, text.as_bytes(), 0o644)?;
            writeln!(console.err, "wrote {}", path.display())?;
        }
        None => write!(console.out, "{text}")?,
    }
    Ok(Exit::Ok)
}

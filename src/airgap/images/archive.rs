//! The archive that `docker load` takes: every layer once, the images' configurations, and the list of both. Written
//! beside its place and renamed, so that a half one is never there.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use base::file::free_bytes;
use serde::Serialize;
use tar::{Builder, EntryType, Header};

use super::Built;
use super::error::ImagesError;

/// One image of Docker's `manifest.json`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    config: String,
    repo_tags: [String; 1],
    layers: Vec<String>,
}

/// Writes `images` into `out`, which is replaced; everything in it is of the time `epoch`.
pub(super) fn write(images: &[Built], epoch: u64, out: &Path) -> Result<(), ImagesError> {
    let failed = ImagesError::at(out);
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let needed: u64 = images.iter().flat_map(|image| &image.layers).map(|layer| layer.size).sum();
    // An estimate from above: layers that are shared count once each time. Too little is said by the write itself.
    if free_bytes(folder).is_some_and(|free| free < needed / 4) {
        return Err(failed(io::ErrorKind::StorageFull.into()));
    }
    let draft = tempfile::NamedTempFile::new_in(folder).map_err(&failed)?;
    let mut tar = Builder::new(BufWriter::with_capacity(1 << 20, draft));
    fill(&mut tar, images, epoch).map_err(&failed)?;
    let draft = tar.into_inner().map_err(&failed)?.into_inner().map_err(|error| failed(error.into_error()))?;
    draft.as_file().sync_all().map_err(&failed)?;
    readable(draft.as_file()).map_err(&failed)?;
    draft.persist(out).map_err(|error| failed(error.error))?;
    Ok(())
}

/// What is handed to others is readable for them, as any file that a program writes.
fn readable(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

fn fill(tar: &mut Builder<impl Write>, images: &[Built], epoch: u64) -> io::Result<()> {
    let blob = |digest: &str| format!("blobs/sha256/{digest}");
    let listed: Vec<_> = images
        .iter()
        .map(|image| Listed {
            config: blob(&image.id),
            repo_tags: [image.reference.clone()],
            layers: image.layers.iter().map(|layer| blob(&layer.digest)).collect(),
        })
        .collect();
    let list = serde_json::to_vec(&listed)?;
    put(tar, "manifest.json", list.len() as u64, epoch, list.as_slice())?;
    let mut written = BTreeSet::new();
    for image in images {
        if written.insert(&image.id) {
            put(tar, &blob(&image.id), image.config.len() as u64, epoch, image.config.as_slice())?;
        }
    }
    for layer in images.iter().flat_map(|image| &image.layers) {
        if written.insert(&layer.digest) {
            put(tar, &blob(&layer.digest), layer.size, epoch, File::open(&layer.path)?)?;
        }
    }
    Ok(())
}

fn put(tar: &mut Builder<impl Write>, path: &str, size: u64, epoch: u64, content: impl Read) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_mtime(epoch);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    tar.append_data(&mut header, path, content)
}

//! The archive that `docker load` takes: every layer once, the images' configurations, and the list of both. Read on its way to an
//! engine, it lies on no disk; as a file it is written beside its place and renamed, so that a half one is never there.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use base::file::free_bytes;

use super::Built;
use super::error::ImagesError;
use crate::bundle::docker_archive::{LIST, Listed, Outgoing, Piece};
use crate::bundle::draft::Draft;

/// Writes `images` into `out`, which is replaced; everything in it is of the time `epoch`.
pub(super) fn write(images: &[Built], epoch: u64, out: &Path) -> Result<(), ImagesError> {
    let failed = ImagesError::at(out);
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let needed: u64 = images.iter().flat_map(|image| &image.layers).map(|layer| layer.size).sum();
    // An estimate from above: layers that are shared count once each time. Too little is said by the write itself.
    if free_bytes(folder).is_some_and(|free| free < needed / 4) {
        return Err(failed(io::ErrorKind::StorageFull.into()));
    }
    let mut archive = whole(images, epoch).map_err(&failed)?;
    // Called `….part` until then: what a killed run leaves, the next one goes over.
    Draft::begin(out)?.filled(|writer| io::copy(&mut archive, writer).map(drop).map_err(&failed))
}

/// The archive of `images`, to be read once.
pub(super) fn whole(images: &[Built], epoch: u64) -> io::Result<Outgoing<'_>> {
    let blob = |digest: &str| format!("blobs/sha256/{digest}");
    let listed: Vec<_> = images
        .iter()
        .map(|image| Listed {
            config: blob(&image.id),
            repo_tags: Some(vec![image.reference.clone()]),
            layers: image.layers.iter().map(|layer| blob(&layer.digest)).collect(),
        })
        .collect();
    let mut files = vec![(LIST.to_owned(), Piece::Bytes(serde_json::to_vec(&listed)?))];
    let mut written = BTreeSet::new();
    for image in images {
        if written.insert(&image.id) {
            files.push((blob(&image.id), Piece::Bytes(image.config.clone())));
        }
    }
    for layer in images.iter().flat_map(|image| &image.layers) {
        if written.insert(&layer.digest) {
            let open = move || -> io::Result<Box<dyn Read + Send>> { Ok(Box::new(File::open(&layer.path)?)) };
            files.push((blob(&layer.digest), Piece::Stream(layer.size, Box::new(open))));
        }
    }
    Ok(Outgoing::new(files, epoch, Box::new(|_| ())))
}

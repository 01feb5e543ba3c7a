//! Where else a bundle's images can go than into the engine: a registry, a Docker archive, an OCI layout.

use std::io::Write;
use std::path::PathBuf;

use airgap::bundle::load::Told;
use airgap::bundle::load_error::LoadError;
use airgap::bundle::trust::Signed;
use airgap::bundle::{export, export_registry};
use base::Secret;
use base::file::read_text;
use checks::registry::{Login, Registry, RegistryError};
use checks::trust::Trust;
use clap::Args;
use indicatif::ProgressBar;
use serde::Serialize;

use super::bundle_load::{Opened, failed};
use super::{Console, Exit, Failure};

/// The variable that may hold the registry's password.
const PASSWORD: &str = "GITGRIT_REGISTRY_PASSWORD";
/// The longest password, in bytes.
const LONGEST: u64 = 4096;

/// Where images go instead of the engine.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// An OCI layout.
    OciDir(PathBuf),
    /// An archive for `docker load`.
    DockerArchive(PathBuf),
    /// A registry.
    Registry(String),
}

#[derive(Debug, Default, Args)]
pub(crate) struct ExportArgs {
    /// Put the images there instead: oci-dir:DIR, docker-archive:FILE or registry:URL
    #[arg(long, value_name = "TARGET", value_parser = target)]
    to: Option<Target>,

    /// Verify the registry's certificate with the authorities in this file [default: the system's]
    #[arg(long, value_name = "FILE", requires = "to")]
    ca: Option<PathBuf>,

    /// The registry's user; the password is in `GITGRIT_REGISTRY_PASSWORD`, or in a file
    #[arg(long, value_name = "NAME", requires = "to")]
    registry_user: Option<String>,

    /// The file with the registry's password
    #[arg(long, value_name = "FILE", requires = "registry_user")]
    registry_password_file: Option<PathBuf>,

    /// The service, on another host than the registry, whose tokens the registry takes: it gets user and password, too
    #[arg(long, value_name = "URL", requires = "registry_user")]
    registry_realm: Option<String>,
}

impl ExportArgs {
    /// Where images go, when not into the engine.
    pub(crate) const fn target(&self) -> Option<&Target> {
        self.to.as_ref()
    }

    fn login(&self) -> Result<Option<Login>, Failure> {
        let Some(user) = self.registry_user.clone() else { return Ok(None) };
        let password = match &self.registry_password_file {
            Some(path) => read_text(path, LONGEST)?.trim_end_matches(['\r', '\n']).to_owned(),
            None => std::env::var(PASSWORD).map_err(|_| {
                let failure = Failure::said(Exit::Failure, format!("no password for the registry's user `{user}`"));
                failure.hinted(format!("set {PASSWORD}, or name --registry-password-file"))
            })?,
        };
        Ok(Some(Login { user, password: Secret::new(password), realm: self.registry_realm.clone() }))
    }
}

#[derive(Serialize)]
struct ExportView {
    version: String,
    sequence: u64,
    signed_by: Vec<String>,
    /// `oci-dir`, `docker-archive` or `registry`.
    kind: &'static str,
    target: String,
    images: Vec<ImageView>,
    /// The bytes of blobs that were written or sent, and of those that were there.
    sent: u64,
    spared: u64,
    dry_run: bool,
}

#[derive(Serialize)]
struct ImageView {
    reference: String,
    id: String,
}

/// One export.
pub(crate) struct Export<'e> {
    pub(crate) args: &'e ExportArgs,
    pub(crate) target: &'e Target,
    pub(crate) is_dry: bool,
}

impl Export<'_> {
    pub(crate) fn run(
        &self,
        opened: &Opened<'_>,
        signed: &Signed,
        bar: &ProgressBar,
        console: &mut Console,
    ) -> Result<Exit, Failure> {
        let source = opened.source();
        let manifest = source.manifest();
        let size = export::size(source);
        bar.set_length(size);
        let tell = |told: Told| {
            if let Told::Sent(more) = told {
                bar.inc(more);
            }
        };
        let (mut sent, mut spared) = (size, 0);
        let mut images: Vec<ImageView> = Vec::new();
        let own = |reference: &str| reference.to_owned();
        images.extend(
            manifest.images.iter().map(|image| ImageView { reference: own(&image.reference), id: image.id.named() }),
        );
        let (kind, target) = match self.target {
            Target::OciDir(path) if self.is_dry => ("oci-dir", path.display().to_string()),
            Target::DockerArchive(path) if self.is_dry => ("docker-archive", path.display().to_string()),
            Target::OciDir(path) => {
                export::oci_dir(source, path, &tell).map_err(failed)?;
                ("oci-dir", path.display().to_string())
            }
            Target::DockerArchive(path) => {
                export::docker_archive(source, path, &tell).map_err(failed)?;
                ("docker-archive", path.display().to_string())
            }
            Target::Registry(address) => {
                let Opened::File(verified) = opened else {
                    let failure = Failure::said(Exit::Usage, "a stream cannot be pushed to a registry");
                    return Err(failure.hinted("name the bundle's file, or write the stream with --to oci-dir:DIR"));
                };
                let registry = self.registry(address)?;
                let pushed = export_registry::push(verified, &registry, self.is_dry, &tell).map_err(unpushed)?;
                (sent, spared) = (pushed.sent, pushed.spared);
                let targets = export_registry::targets(&manifest.images).map_err(failed)?;
                for (view, (name, tag)) in images.iter_mut().zip(targets) {
                    let host = registry.address().split_once("://").map_or("", |(_, host)| host);
                    view.reference = format!("{host}/{}:{tag}", registry.repository(&name));
                }
                ("registry", registry.address().to_owned())
            }
        };
        if self.is_dry {
            source.hold().map_err(super::bundle_sign::refused)?;
        }
        bar.finish_and_clear();
        let (version, sequence) = (manifest.version.clone(), manifest.sequence);
        let signed_by = signed.by.iter().map(ToString::to_string).collect();
        let view =
            ExportView { version, sequence, signed_by, kind, target, images, sent, spared, dry_run: self.is_dry };
        show(&view, console)
    }

    fn registry(&self, address: &str) -> Result<Registry, Failure> {
        let trust = match &self.args.ca {
            Some(path) => Trust::load(path).map_err(|error| Failure::new(Exit::Failure, error))?,
            None => Trust::system(),
        };
        let login = self.args.login()?;
        Registry::new(address, &trust, login).map_err(|error| unpushed(LoadError::Registry(error)))
    }
}

fn show(view: &ExportView, console: &mut Console) -> Result<Exit, Failure> {
    if console.is_json {
        console.json(view)?;
        return Ok(Exit::Ok);
    }
    for image in &view.images {
        writeln!(console.out, "{}  {}", image.id, image.reference)?;
    }
    let done = if view.dry_run { "would write" } else { "wrote" };
    let signers = view.signed_by.join(", ");
    writeln!(
        console.err,
        "signed by {signers}; {done} {} bytes to {}, spared {}",
        view.sent, view.target, view.spared
    )?;
    Ok(Exit::Ok)
}

/// A push that stopped: what a registry has in place of the bundle's is no mere failure, and an address is part of the command line.
fn unpushed(error: LoadError) -> Failure {
    let exit = match error {
        LoadError::Registry(RegistryError::Differs { .. }) => Some(Exit::Integrity),
        LoadError::Registry(RegistryError::Address { .. }) => Some(Exit::Usage),
        _ => None,
    };
    match exit.zip(error.id()) {
        Some((exit, id)) => Failure::new(exit, error).identified(id),
        None => failed(error),
    }
}

/// What `--to` takes.
fn target(text: &str) -> Result<Target, String> {
    match text.split_once(':') {
        Some(("oci-dir", path)) if !path.is_empty() => Ok(Target::OciDir(path.into())),
        Some(("docker-archive", path)) if !path.is_empty() => Ok(Target::DockerArchive(path.into())),
        Some(("registry", address)) if !address.is_empty() => Ok(Target::Registry(address.into())),
        _ => Err("write oci-dir:DIR, docker-archive:FILE or registry:URL".into()),
    }
}

//! The systemd unit of a site: where it goes, and how the operator enables it.

use std::path::{Path, PathBuf};

use airgap::unit::{NAME, Unit, render};
use base::file::write_atomic;
use base::process::Program;
use base::site::SiteDir;

use super::{Console, Exit, Failure};

/// Where units of this host go; there when systemd runs it.
const SYSTEM: &str = "/etc/systemd/system";
const RUNNING: &str = "/run/systemd/system";

/// Writes the unit: to the system's units when this host is run by systemd and we may write there, else into the site's
/// directory. Says how to enable it.
pub(crate) fn write(site: &SiteDir, console: &mut Console) -> Result<PathBuf, Failure> {
    let program = std::env::current_exe()?;
    let user = user()?;
    let unit = Unit { program: &program, site: site.root(), user: &user };
    let text = render(&unit).map_err(|error| Failure::new(Exit::Failure, error))?;
    let path = path(site)?;
    write_atomic(&path, text.as_bytes(), 0o644)?;
    writeln!(console.err, "wrote {}; to run the site with it:", path.display())?;
    writeln!(console.err, "  gitgrit-ops down {}", site.root().display())?;
    if !path.starts_with(SYSTEM) {
        writeln!(console.err, "  cp {} {SYSTEM}/", path.display())?;
    }
    writeln!(console.err, "  systemctl daemon-reload && systemctl enable --now {NAME}")?;
    Ok(path)
}

/// Where the unit goes.
pub(crate) fn path(site: &SiteDir) -> Result<PathBuf, Failure> {
    let is_system = user()? == "root" && Path::new(RUNNING).is_dir();
    Ok(if is_system { Path::new(SYSTEM).join(NAME) } else { site.root().join(NAME) })
}

/// Who runs this, and so owns the site.
fn user() -> Result<String, Failure> {
    let done = Program::new("id").option("-un").run(b"").map_err(|error| Failure::new(Exit::Failure, error))?;
    Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}

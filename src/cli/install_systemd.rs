//! The systemd unit of a site: where it goes, and how the operator enables it.

use std::path::{Path, PathBuf};

use airgap::unit::{NAME, Unit, is_of_site, render};
use base::file::{read_text, write_atomic};
use base::process::Program;
use base::site::SiteDir;

use super::{Console, Exit, Failure};

/// Where units of this host go; there when systemd runs it.
const SYSTEM: &str = "/etc/systemd/system";
const RUNNING: &str = "/run/systemd/system";

/// A unit that is ready to be written.
pub(crate) struct Prepared {
    /// Where it goes.
    pub(crate) path: PathBuf,
    text: String,
}

/// Renders the unit: for the system's units when this host is run by systemd and we may write there, else for the site's own
/// directory. Fails when the site's path cannot stand in a unit, or another site's unit is in the place.
pub(crate) fn prepare(site: &SiteDir) -> Result<Prepared, Failure> {
    let program = std::env::current_exe()?;
    let user = user()?;
    let unit = Unit { program: &program, site: site.root(), user: &user };
    let text = render(&unit).map_err(|error| Failure::new(Exit::Failure, error))?;
    let is_system = user == "root" && Path::new(RUNNING).is_dir();
    let path = if is_system { Path::new(SYSTEM).join(NAME) } else { site.root().join(NAME) };
    if is_system && read_text(&path, 64 << 10).is_ok_and(|there| !is_of_site(&there, site.root())) {
        let message = format!("`{}` is there already and starts another site", path.display());
        return Err(Failure::said(Exit::Failure, message)
            .hinted("install without --systemd and give this site a unit of another name, or remove that one"));
    }
    Ok(Prepared { path, text })
}

/// Writes the unit and says how to enable it.
pub(crate) fn write(unit: &Prepared, site: &SiteDir, console: &mut Console) -> Result<(), Failure> {
    let path = &unit.path;
    write_atomic(path, unit.text.as_bytes(), 0o644)?;
    writeln!(console.err, "wrote {}; to run the site with it:", path.display())?;
    writeln!(console.err, "  gitgrit-ops down {}", site.root().display())?;
    if !path.starts_with(SYSTEM) {
        writeln!(console.err, "  cp {} {SYSTEM}/", path.display())?;
    }
    writeln!(console.err, "  systemctl daemon-reload && systemctl enable --now {NAME}")?;
    Ok(())
}

/// Who runs this, and so owns the site.
fn user() -> Result<String, Failure> {
    let done = Program::new("id").option("-un").run(b"").map_err(|error| Failure::new(Exit::Failure, error))?;
    Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}

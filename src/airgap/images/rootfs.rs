//! File systems: has mmdebstrap unpack and configure the packages of a lock, from a repository that holds nothing else.
//! No network is asked here. Maintainer scripts run as they do on any Debian machine, within the new root.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use base::file::create_dir;
use base::process::Program;

use super::error::ImagesError;
use super::lock::Package;
use super::packages::Debs;
use super::recipe::{Group, User};

/// Directories that Debian 12 has under `/usr`.
const MERGED: &str = r#"for d in bin sbin lib lib64; do mkdir -p "$1/usr/$d"; ln -s "usr/$d" "$1/$d"; done"#;

/// What a file system is made of.
pub(super) struct Rootfs<'r> {
    pub(super) suite: &'r str,
    pub(super) epoch: u64,
    pub(super) packages: &'r [Package],
    pub(super) users: &'r [User],
    pub(super) groups: &'r [Group],
}

impl Rootfs<'_> {
    /// Makes the file system and packs it into `archive`. `work` is an empty directory.
    pub(super) fn make(&self, debs: &Debs, work: &Path, archive: &Path) -> Result<(), ImagesError> {
        let (repository, temporary) = (work.join("repository"), work.join("temporary"));
        create_dir(&repository, 0o755)?;
        create_dir(&temporary, 0o755)?;
        // Where mmdebstrap works without root's rights, other numbers than ours own what it makes.
        for (folder, mode) in [(work, 0o755), (&temporary, 0o1777)] {
            std::fs::set_permissions(folder, Permissions::from_mode(mode)).map_err(ImagesError::at(folder))?;
        }
        debs.repository(self.packages, &repository)?;
        let names = self.packages.iter().map(|package| package.name.as_str()).collect::<Vec<_>>().join(",");
        let program = Program::new("mmdebstrap")
            .options(["--quiet", "--variant=custom", "--format=tar", "--dpkgopt=force-unsafe-io"])
            .option(format!("--include={names}"))
            .option(format!("--setup-hook={MERGED}"))
            .option(format!("--extract-hook={}", self.accounts()))
            .options([self.suite.as_ref(), archive.as_os_str()])
            .option(format!("deb [trusted=yes] copy:{} ./", repository.display()))
            .env("SOURCE_DATE_EPOCH", self.epoch.to_string())
            .env("TMPDIR", &temporary)
            .env("PATH", searched())
            .deadline(Duration::from_mins(30));
        let done = program.run(b"")?;
        if done.status.success() {
            return Ok(());
        }
        let lines: Vec<_> = done.stderr.lines().collect();
        let said = lines[lines.len().saturating_sub(6)..].join("; ");
        Err(ImagesError::Program { program: "mmdebstrap", said })
    }

    /// A shell line that makes the accounts before any package can: names and numbers were judged with the recipe.
    fn accounts(&self) -> String {
        let mut lines = vec![
            r#"cp "$1/usr/share/base-passwd/passwd.master" "$1/etc/passwd""#.to_owned(),
            r#"cp "$1/usr/share/base-passwd/group.master" "$1/etc/group""#.to_owned(),
        ];
        for User { name, id, home } in self.users {
            lines.push(format!(r#"echo "{name}:x:{id}:{id}::{home}:/bin/sh" >>"$1/etc/passwd""#));
            lines.push(format!(r#"echo "{name}:x:{id}:" >>"$1/etc/group""#));
        }
        for Group { name, id, members } in self.groups {
            lines.push(format!(r#"echo "{name}:x:{id}:{}" >>"$1/etc/group""#, members.join(",")));
        }
        lines.join(" && ")
    }
}

/// This process's PATH, and where Debian keeps what administrators start.
fn searched() -> String {
    format!("{}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin", std::env::var("PATH").unwrap_or_default())
}

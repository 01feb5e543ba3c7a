//! The host around the site: its name, its init, the programs that a site starts, its trust store.

use std::net::ToSocketAddrs;
use std::path::Path;

use base::Finding;
use base::clock::Timestamp;

use super::World;
use crate::catalogue;
use crate::check::Check;
use crate::text::line;
use crate::trust::SYSTEM_BUNDLE;

/// The oldest git that the site's own calls were tried with, and the one that they are quick with.
const GIT: ((u32, u32), (u32, u32)) = ((2, 30), (2, 39));
/// What a site starts besides git, and what for.
const PROGRAMS: [(&str, &str); 2] = [("ssh", "the smoke test of Git over SSH"), ("tar", "taking a bundle apart")];

pub(super) static CHECKS: [Check<World>; 7] = [
    Check::new(&catalogue::HOST_NAME, "host name", |_| name()),
    Check::new(&catalogue::HOST_NAME_KNOWN, "host name's address", |_| name_known()),
    Check::new(&catalogue::HOST_SYSTEMD, "systemd", |_| systemd()),
    Check::new(&catalogue::HOST_GIT, "git", |world| git((world.asked.git_version)())),
    Check::new(&catalogue::HOST_PROGRAMS, "programs", programs),
    Check::new(&catalogue::HOST_USER, "user", |_| user()),
    Check::new(&catalogue::HOST_TRUST, "trust store", trust),
];

fn own_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn name() -> Vec<Finding> {
    let known = &catalogue::HOST_NAME;
    let name = own_name();
    if ["", "(none)", "localhost", "localhost.localdomain"].contains(&name.as_str()) {
        return known.warns("host name", format!("is `{}`, which every host could be called", line(&name)));
    }
    known.fine("host name", line(&name))
}

fn name_known() -> Vec<Finding> {
    let known = &catalogue::HOST_NAME_KNOWN;
    let name = own_name();
    match (name.as_str(), 0).to_socket_addrs() {
        Ok(addresses) => {
            let shown: Vec<_> = addresses.map(|address| address.ip().to_string()).collect();
            known.fine(line(&name), format!("is at {}", shown.join(", ")))
        }
        Err(error) => {
            known.warns(line(&name), format!("this host does not know its own name: {}", line(&error.to_string())))
        }
    }
}

fn systemd() -> Vec<Finding> {
    let known = &catalogue::HOST_SYSTEMD;
    if Path::new("/run/systemd/system").is_dir() {
        known.fine("systemd", "looks after this host")
    } else {
        known.warns("systemd", "does not run here, so nothing starts the site again")
    }
}

fn git(version: Result<String, String>) -> Vec<Finding> {
    let known = &catalogue::HOST_GIT;
    let version = match version {
        Ok(version) => version,
        Err(reason) => return known.fails("git", line(&reason)),
    };
    let mut numbers = version.split('.').map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return known.unseen("git", format!("`{}` is no version", line(&version)));
    };
    let ((oldest, quick), is) = (GIT, (major, minor));
    if is < oldest {
        return known.fails("git", format!("is {version}, older than {}.{}", oldest.0, oldest.1));
    }
    if is < quick {
        return known.warns("git", format!("is {version}, older than {}.{}", quick.0, quick.1));
    }
    known.fine("git", format!("is {version}"))
}

fn programs(world: &World) -> Vec<Finding> {
    let known = &catalogue::HOST_PROGRAMS;
    let path = (world.asked.environment)("PATH").unwrap_or_default();
    let is_there = |program: &str| std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    let missing = PROGRAMS.into_iter().filter(|(program, _)| !is_there(program));
    let mut findings: Vec<Finding> = missing
        .flat_map(|(program, purpose)| known.warns(program, format!("is not in PATH; it is for {purpose}")))
        .collect();
    if findings.is_empty() {
        findings = known.fine(PROGRAMS.map(|(program, _)| program).join(", "), "are in PATH");
    }
    findings
}

fn user() -> Vec<Finding> {
    let known = &catalogue::HOST_USER;
    let (real, effective) = (rustix::process::getuid(), rustix::process::geteuid());
    if real != effective {
        return known.warns("user", format!("this runs as user {} for user {}", effective.as_raw(), real.as_raw()));
    }
    known.fine("user", format!("this runs as user {}", effective.as_raw()))
}

/// Whether the browsers and clients of this host will know the operator's authorities.
fn trust(world: &World) -> Vec<Finding> {
    let known = &catalogue::HOST_TRUST;
    let Some(path) = world.setting("GITGRIT_CUSTOM_CA_FILE_PATH") else {
        return known.unseen("GITGRIT_CUSTOM_CA_FILE_PATH", "is not set, so there is no authority to look for");
    };
    let certificates = |path: &str| crate::authority::check(Path::new(path), Timestamp(0)).certificates;
    let (own, host) = (certificates(&path), certificates(SYSTEM_BUNDLE));
    if own.is_empty() {
        return known.unseen(line(&path), "no certificate can be read from it");
    }
    let is_known = |wanted: &str| host.iter().any(|certificate| certificate.fingerprint == wanted);
    let roots = own.iter().filter(|certificate| certificate.is_self_signed);
    let missing: Vec<_> = roots.filter(|root| !is_known(&root.fingerprint)).map(|root| line(&root.subject)).collect();
    if missing.is_empty() {
        return known.fine(SYSTEM_BUNDLE, "knows the operator's authorities");
    }
    known.warns(SYSTEM_BUNDLE, format!("does not know `{}`", missing.join("`, `")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Severity;

    #[test]
    fn versions_of_git_are_judged() {
        for (version, expected) in [
            ("2.47.3", Severity::Ok),
            ("2.34.1", Severity::Warning),
            ("2.17.1", Severity::Error),
            ("1.8.3.1", Severity::Error),
            ("next", Severity::Unknown),
        ] {
            assert_eq!(git(Ok(version.into()))[0].severity, expected, "{version}");
        }
        assert_eq!(git(Err("no git".into()))[0].severity, Severity::Error);
    }
}

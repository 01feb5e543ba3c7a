//! What an installation will do: from what is wanted and what is there to a list of steps. Pure; `--dry-run` prints it.

use std::fmt;

use base::Secret;
use base::clock::Timestamp;
use base::envfile::Values;
use base::url::BaseUrl;
use serde::Serialize;
use vault::authority::is_host;

use crate::error::InstallError;
use crate::facts::{CertificateFact, Facts};
use crate::running::Listen;

/// A server certificate with fewer days left is issued again.
const RENEW_BELOW: i64 = 30;
const DAY: i64 = 86_400;

/// One step of an installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// The site's directories.
    Directory,
    /// `.env`, and where to listen.
    Env,
    /// The site's certificate authority.
    Authority,
    /// The server's certificate.
    Certificate,
    /// The database and its schema.
    Database,
    /// The first administrator.
    Administrator,
    /// The running server.
    Serve,
    /// The proof.
    Smoketest,
}

impl Step {
    /// All steps, in order.
    pub const ALL: [Self; 8] = [
        Self::Directory,
        Self::Env,
        Self::Authority,
        Self::Certificate,
        Self::Database,
        Self::Administrator,
        Self::Serve,
        Self::Smoketest,
    ];

    /// The step's name in plans, in the journal and in fault points.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Env => "env",
            Self::Authority => "authority",
            Self::Certificate => "certificate",
            Self::Database => "database",
            Self::Administrator => "administrator",
            Self::Serve => "serve",
            Self::Smoketest => "smoketest",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

/// What becomes of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Its effect is there.
    Keep,
    /// Its effect has to be made.
    Make,
    /// Only the step itself can tell: it looks again, and makes what is missing.
    Check,
}

impl fmt::Display for Action {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Keep => "keep",
            Self::Make => "make",
            Self::Check => "check",
        })
    }
}

/// One line of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// The step.
    pub step: Step,
    /// What becomes of it.
    pub action: Action,
    /// What that means here, for the operator.
    pub text: String,
}

/// What the operator wants.
#[derive(Clone, Debug)]
pub struct Request {
    /// The site's address.
    pub site_url: BaseUrl,
    /// Where to listen.
    pub listen: Listen,
    /// The site is tried on this machine alone: its certificate is also good for the loopback.
    pub is_lab: bool,
    /// The first administrator's name.
    pub administrator: String,
    /// The first administrator's password; a random one when `None`.
    pub password: Option<Secret<String>>,
    /// Further settings for a new `.env`.
    pub values: Values,
    /// The caller serves by itself, so that starting and proving are not part of the plan.
    pub is_foreground: bool,
}

/// What will happen, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The site's address.
    pub site_url: BaseUrl,
    /// The names of the server's certificate.
    pub names: Vec<String>,
    /// The steps.
    pub steps: Vec<Planned>,
}

impl Plan {
    /// Says whether anything has to be made.
    pub fn has_changes(&self) -> bool {
        self.steps.iter().any(|planned| planned.action == Action::Make)
    }
}

/// Plans an installation. Fails when what is there contradicts what is wanted, before anything is touched.
pub fn plan(request: &Request, facts: &Facts, now: Timestamp) -> Result<Plan, InstallError> {
    if let Some(found) = facts.site_url.as_ref().filter(|found| **found != request.site_url) {
        return Err(InstallError::SiteUrl { found: found.clone(), wanted: request.site_url.clone() });
    }
    // A new database numbers its repositories from the start, and would hand those of the lost one to others.
    if facts.has_repositories && !facts.has_database && !facts.has_database_server {
        return Err(InstallError::DatabaseLost);
    }
    let names = names(request);
    if let Some(name) = names.iter().find(|name| request.site_url.is_https() && !is_host(name)) {
        return Err(InstallError::Host { name: name.clone() });
    }
    let is_made = facts.has_directories;
    let mut steps = vec![
        either(Step::Directory, is_made, "make the site's directories, mode 0700", "the directories are there"),
        env(request, facts)?,
        authority(request, facts, now)?,
        certificate(request, facts, &names, now)?,
        database(facts),
        administrator(request, facts),
    ];
    if !request.is_foreground {
        steps.extend([
            serve(request, facts),
            line(Step::Smoketest, Action::Check, "try what a user of this site needs"),
        ]);
    }
    Ok(Plan { site_url: request.site_url.clone(), names, steps })
}

/// The names that the server's certificate must be good for.
fn names(request: &Request) -> Vec<String> {
    let host = request.site_url.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let loopback = ["localhost", "127.0.0.1", "::1"].map(String::from).into_iter();
    let others: Vec<_> = loopback.filter(|name| request.is_lab && *name != host).collect();
    std::iter::once(host).chain(others).collect()
}

fn env(request: &Request, facts: &Facts) -> Result<Planned, InstallError> {
    if let Some(name) = facts.missing_secrets.iter().find(|_| facts.has_database) {
        return Err(InstallError::SecretLost { name, path: "data/gitgrit.sqlite" });
    }
    let listen = format!("listen on {} for HTTP and on {} for SSH", request.listen.http, request.listen.ssh);
    let mut makes = Vec::new();
    if !facts.has_env {
        makes.push(format!("write .env, mode 0600, for {}", request.site_url));
    } else if !facts.missing_secrets.is_empty() {
        makes.push(format!("make {} in data/secrets.json", facts.missing_secrets.join(" and ")));
    }
    if facts.listen != Some(request.listen) {
        makes.push(listen);
    }
    Ok(if makes.is_empty() {
        line(Step::Env, Action::Keep, "the settings are there and are kept")
    } else {
        line(Step::Env, Action::Make, makes.join("; "))
    })
}

/// An authority outside its dates cannot be used, and not be replaced either: every client trusts this one.
fn authority(request: &Request, facts: &Facts, now: Timestamp) -> Result<Planned, InstallError> {
    let is_used = request.site_url.is_https() && facts.certificate.as_ref().is_none_or(|found| found.is_ours);
    match facts.authority.as_ref().filter(|_| is_used) {
        Some(own) if now < own.not_before => Err(InstallError::AuthorityDates { what: "is not valid yet" }),
        Some(own) if now > own.not_after => Err(InstallError::AuthorityDates { what: "has expired" }),
        _ => Ok(either(
            Step::Authority,
            facts.authority.is_some(),
            "make the site's certificate authority",
            "the authority is there",
        )),
    }
}

fn certificate(request: &Request, facts: &Facts, names: &[String], now: Timestamp) -> Result<Planned, InstallError> {
    let step = |action, text: String| Ok(line(Step::Certificate, action, text));
    let all = names.join(", ");
    if !request.site_url.is_https() {
        return step(Action::Keep, "no certificate is needed: SITE_URL is http".into());
    }
    let Some(CertificateFact { served, is_ours, is_paired }) = &facts.certificate else {
        return step(Action::Make, format!("issue a server certificate for {all}"));
    };
    let days = (served.not_after.seconds() - now.seconds()).div_euclid(DAY);
    match (is_ours, is_paired) {
        (false, false) => Err(InstallError::OwnCertificate),
        (false, true) => step(Action::Keep, format!("the operator's own certificate is kept, {days} days left")),
        (true, false) => {
            step(Action::Make, format!("issue the server certificate for {all} again: its key is not there"))
        }
        // What a clock that was ahead has left behind.
        (true, true) if now < served.not_before => {
            step(Action::Make, format!("issue the server certificate for {all} again: it is not valid yet"))
        }
        (true, true) if days < RENEW_BELOW => {
            step(Action::Make, format!("renew the server certificate, {days} days left"))
        }
        (true, true) => match names.iter().find(|name| !served.names.contains(*name)) {
            Some(name) => step(Action::Make, format!("issue the server certificate again, now for `{name}` too")),
            None => step(Action::Keep, format!("the server certificate is there, {days} days left")),
        },
    }
}

fn database(facts: &Facts) -> Planned {
    let check = |text| line(Step::Database, Action::Check, text);
    match (facts.has_database_server, facts.has_database) {
        (true, _) => check("the database is on a server; its tables are made or migrated where needed"),
        (false, true) => check("the database is there; migrated when an older program wrote it"),
        (false, false) => line(Step::Database, Action::Make, "make the database"),
    }
}

fn administrator(request: &Request, facts: &Facts) -> Planned {
    let name = &request.administrator;
    let with = if request.password.is_some() { "the given password" } else { "a random password, shown at the end" };
    if facts.has_database || facts.has_database_server {
        line(Step::Administrator, Action::Check, format!("`{name}` is made when the site has no administrator"))
    } else {
        line(Step::Administrator, Action::Make, format!("make the administrator `{name}` with {with}"))
    }
}

fn serve(request: &Request, facts: &Facts) -> Planned {
    let wanted = request.listen;
    match &facts.serving {
        Some(found) if (found.http, found.ssh) == (wanted.http, wanted.ssh) => {
            line(Step::Serve, Action::Keep, format!("the server runs (process {})", found.pid))
        }
        Some(found) => line(
            Step::Serve,
            Action::Make,
            format!("stop the server at {} and start it at {}", found.http, wanted.http),
        ),
        None => line(Step::Serve, Action::Make, "start the server in the background and wait until it is healthy"),
    }
}

fn either(step: Step, is_there: bool, make: &str, keep: &str) -> Planned {
    if is_there { line(step, Action::Keep, keep) } else { line(step, Action::Make, make) }
}

fn line(step: Step, action: Action, text: impl Into<String>) -> Planned {
    Planned { step, action, text: text.into() }
}

#[cfg(test)]
mod tests {
    use vault::authority::Served;

    use super::*;
    use crate::running::Serving;

    const NOW: Timestamp = Timestamp(0);

    fn request() -> Request {
        Request {
            site_url: BaseUrl::parse("https://[::1]:8828").unwrap(),
            listen: Listen { http: "127.0.0.1:8828".parse().unwrap(), ssh: "127.0.0.1:2424".parse().unwrap() },
            is_lab: true,
            administrator: "root".into(),
            password: None,
            values: Values::default(),
            is_foreground: false,
        }
    }

    fn finished() -> Facts {
        let names = ["::1", "127.0.0.1", "localhost"].map(String::from).into();
        let listen = request().listen;
        Facts {
            has_directories: true,
            has_env: true,
            site_url: Some(request().site_url),
            listen: Some(listen),
            authority: Some(Served { names: [].into(), not_before: NOW, not_after: NOW.plus_seconds(3650 * DAY) }),
            certificate: Some(CertificateFact {
                served: Served { names, not_before: NOW, not_after: NOW.plus_seconds(30 * DAY) },
                is_ours: true,
                is_paired: true,
            }),
            has_database: true,
            serving: Some(Serving { pid: 7, http: listen.http, ssh: listen.ssh, version: "0".into() }),
            ..Facts::default()
        }
    }

    fn made(facts: &Facts) -> Vec<Step> {
        let plan = plan(&request(), facts, NOW).unwrap();
        plan.steps.iter().filter(|planned| planned.action == Action::Make).map(|planned| planned.step).collect()
    }

    #[test]
    fn contradictions_stop_before_anything_is_touched() {
        let lost = Facts { missing_secrets: vec!["GITGRIT_ENCRYPTION_KEY"], ..finished() };
        assert_eq!(
            plan(&request(), &lost, NOW).unwrap_err().to_string(),
            "`data/gitgrit.sqlite` is there, but GITGRIT_ENCRYPTION_KEY is not"
        );
        let orphaned = Facts { has_database: false, has_repositories: true, ..finished() };
        assert!(matches!(plan(&request(), &orphaned, NOW), Err(InstallError::DatabaseLost)));
        let moved = Facts { site_url: Some(BaseUrl::parse("https://a").unwrap()), ..finished() };
        let error = plan(&request(), &moved, NOW).unwrap_err();
        assert_eq!(error.to_string(), "the site's address is `https://a`, not `https://[::1]:8828`");
        let dotted = Request { site_url: BaseUrl::parse("https://forge.acme.internal.").unwrap(), ..request() };
        let error = plan(&dotted, &Facts::default(), NOW).unwrap_err();
        assert_eq!(error.to_string(), "`forge.acme.internal.` cannot stand in a certificate");
    }

    #[test]
    fn each_missing_thing_is_one_step_and_nothing_else() {
        let certificate = |change: fn(&mut CertificateFact)| {
            let mut fact = finished().certificate.unwrap();
            change(&mut fact);
            Facts { certificate: Some(fact), ..finished() }
        };
        let cases = [
            (finished(), vec![]),
            (Facts::default(), Step::ALL[..7].to_vec()),
            (Facts { has_directories: false, ..finished() }, vec![Step::Directory]),
            (Facts { listen: None, ..finished() }, vec![Step::Env]),
            (Facts { authority: None, ..finished() }, vec![Step::Authority]),
            (Facts { certificate: None, ..finished() }, vec![Step::Certificate]),
            (certificate(|fact| fact.served.not_after.0 -= 1_000_000), vec![Step::Certificate]),
            (certificate(|fact| fact.served.not_before.0 += 1), vec![Step::Certificate]),
            (certificate(|fact| fact.is_paired = false), vec![Step::Certificate]),
            (certificate(|fact| drop(fact.served.names.pop_first())), vec![Step::Certificate]),
            (certificate(|fact| (fact.is_ours, fact.served.not_after.0) = (false, -1)), vec![]),
            (Facts { has_database: false, ..finished() }, vec![Step::Database, Step::Administrator]),
            (Facts { serving: None, ..finished() }, vec![Step::Serve]),
        ];
        for (facts, steps) in cases {
            assert_eq!(made(&facts), steps, "{facts:?}");
        }
    }

    #[test]
    fn an_authority_outside_its_dates_is_neither_used_nor_replaced() {
        let said = |at| plan(&request(), &finished(), at).unwrap_err().to_string();
        assert_eq!(said(NOW.plus_seconds(-1)), "the site's authority is not valid yet by this host's clock");
        assert_eq!(said(NOW.plus_seconds(3651 * DAY)), "the site's authority has expired by this host's clock");
        let mut own = finished();
        own.certificate.as_mut().unwrap().is_ours = false;
        assert!(plan(&request(), &own, NOW.plus_seconds(3651 * DAY)).is_ok());
    }

    #[test]
    fn in_the_foreground_nothing_is_started_and_nothing_proven() {
        let foreground = Request { is_foreground: true, ..request() };
        let plan = plan(&foreground, &finished(), NOW).unwrap();
        assert_eq!(plan.steps.len(), 6);
        assert!(!plan.has_changes());
    }
}

//! The smoke test: asks the checks and prints their lines as they come, closing with PASSED or FAILED.

use std::io::Write;

use base::envfile::Values;
use base::settings::{Settings, Sources};
use checks::smoke::{self, Line, Questions, Status};
use clap::Args;
use serde::Serialize;

use super::console::unless_gone;
use super::sources::SourceArgs;
use super::{Console, Exit, Failure, site, smoketest_site};

/// Prove that GitLab can be reached, and on request that the internet cannot
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  gitgrit-ops smoketest --check-isolation")]
pub(crate) struct SmoketestArgs {
    /// Also prove that the internet is out of reach
    #[arg(long)]
    check_isolation: bool,

    /// Prove that the site serves its users: pages, database, key, clone and push; GitLab only when one is set
    #[arg(long)]
    site: bool,

    #[command(flatten)]
    sources: SourceArgs,
}

#[derive(Serialize)]
struct ReportView {
    passed: bool,
    lines: Vec<LineView>,
}

#[derive(Serialize)]
struct LineView {
    id: &'static str,
    status: &'static str,
    text: String,
}

/// Prints lines as they come, or keeps them for one JSON object.
struct Report<'c> {
    console: &'c mut Console,
    lines: Vec<LineView>,
    is_passed: bool,
    broken: Option<std::io::Error>,
}

impl<'c> Report<'c> {
    fn new(console: &'c mut Console) -> Self {
        Self { console, lines: Vec::new(), is_passed: true, broken: None }
    }

    fn say(&mut self, line: Line) {
        self.is_passed &= line.status != Status::Fail;
        if !self.console.is_json {
            let written = writeln!(self.console.out, "{line}").and_then(|()| self.console.out.flush());
            self.broken = self.broken.take().or(written.err());
        }
        let status = match line.status {
            Status::Ok => "ok",
            Status::Warn => "warn",
            Status::Fail => "fail",
        };
        self.lines.push(LineView { id: line.id, status, text: line.text });
    }

    fn close(self) -> Result<Exit, Failure> {
        let closed = if self.console.is_json {
            self.console.json(&ReportView { passed: self.is_passed, lines: self.lines })
        } else {
            writeln!(self.console.out, "{}", smoke::closing(self.is_passed))
        };
        unless_gone(self.broken.map_or(closed, Err))?;
        Ok(if self.is_passed { Exit::Ok } else { Exit::Failure })
    }
}

pub(crate) fn run(args: &SmoketestArgs, console: &mut Console) -> Result<Exit, Failure> {
    let sources = args.sources.sources(console)?;
    if args.site {
        return of_site(&sources, args.check_isolation, console);
    }
    let values = sources.values().map_err(|error| Failure::new(Exit::Failure, error))?;
    // One thread is enough for one request, and is there sooner.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut report = Report::new(console);
    runtime.block_on(async {
        smoke::gitlab(&questions(&values), &mut |line| report.say(line)).await;
        if args.check_isolation {
            smoke::isolation(values.get("GITGRIT_ISOLATION_TARGETS"), &mut |line| report.say(line)).await;
        }
    });
    // A name lookup that nobody answers must not hold up the end.
    runtime.shutdown_background();
    report.close()
}

fn of_site(sources: &Sources, is_isolation_asked: bool, console: &mut Console) -> Result<Exit, Failure> {
    let values = sources.values()?;
    let missing = || site::not_installed(std::path::Path::new(site::DEFAULT_SITE));
    let site = sources.site.as_ref().ok_or_else(missing)?;
    if !airgap::facts::is_installed(site)? {
        return Err(site::not_installed(site.root()));
    }
    let settings = Settings::parse(&values)?;
    let questions = questions(&values);
    let runtime = site::runtime()?;
    let mut report = Report::new(console);
    let key = runtime.block_on(async {
        let mut say = |line| report.say(line);
        if questions.gitlab_url.is_some() {
            smoke::gitlab(&questions, &mut say).await;
        }
        let key = smoketest_site::check(site, &settings, &values, &mut say).await;
        if is_isolation_asked {
            smoke::isolation(values.get("GITGRIT_ISOLATION_TARGETS"), &mut say).await;
        }
        key
    });
    runtime.shutdown_background();
    let closed = report.close()?;
    Ok(match key {
        smoketest_site::KeyState::Fits => closed,
        smoketest_site::KeyState::Differs => Exit::KeyMismatch,
    })
}

fn questions(values: &Values) -> Questions {
    let set = |name: &str| values.get(name).filter(|value| !value.is_empty()).map(str::to_owned);
    Questions {
        gitlab_url: set("GITLAB_URL"),
        // The stack sets the first; on a host the operator's own path stands in for it.
        ca_bundle: set("REQUESTS_CA_BUNDLE").or_else(|| set("GITGRIT_CUSTOM_CA_FILE_PATH")),
    }
}

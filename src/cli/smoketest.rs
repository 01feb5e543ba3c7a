//! The smoke test: asks the checks and prints their lines as they come, closing with PASSED or FAILED.

use std::io::Write;

use base::envfile::Values;
use checks::setup::MOUNT;
use checks::smoke::{self, Line, Questions, Status};
use clap::Args;
use serde::Serialize;

use super::sources::SourceArgs;
use super::{Console, Exit, Failure};

/// Prove that GitLab can be reached and the internet cannot
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  gitgrit-ops smoketest --check-isolation")]
pub(crate) struct SmoketestArgs {
    /// Also prove that the internet is out of reach
    #[arg(long)]
    check_isolation: bool,

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
        if let Some(broken) = self.broken {
            return Err(broken.into());
        }
        if self.console.is_json {
            self.console.json(&ReportView { passed: self.is_passed, lines: self.lines })?;
        } else {
            writeln!(self.console.out, "{}", smoke::closing(self.is_passed))?;
        }
        Ok(if self.is_passed { Exit::Ok } else { Exit::Failure })
    }
}

pub(crate) fn run(args: &SmoketestArgs, console: &mut Console) -> Result<Exit, Failure> {
    let values = args.sources.sources(console).values().map_err(|error| Failure::new(Exit::Failure, error))?;
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

fn questions(values: &Values) -> Questions {
    let set = |name: &str| values.get(name).filter(|value| !value.is_empty()).map(str::to_owned);
    Questions {
        gitlab_url: set("GITLAB_URL"),
        // The stack sets the first; on a host the operator's own path stands in for it.
        ca_bundle: set("REQUESTS_CA_BUNDLE").or_else(|| set("GITGRIT_CUSTOM_CA_FILE_PATH")),
    }
}

/// Says whether this runs where the stack mounts the operator's CA bundle.
pub(crate) fn is_in_stack(values: &Values) -> bool {
    ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"].iter().any(|name| values.get(name) == Some(MOUNT))
}

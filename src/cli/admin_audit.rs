//! The audit log on the host: proves that it is whole, and writes it out for an auditor. Changes nothing in it.

use std::io::Write;

use clap::{Args, Subcommand};
use forge::{AuditFault, AuditRecord, AuditVerdict};
use serde::Serialize;

use super::admin::with_forge;
use super::console::unless_gone;
use super::site::SiteArgs;
use super::{Console, Exit, Failure};

/// Prove that the audit log is whole, or write it out
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    #[command(subcommand)]
    verb: AuditVerb,
}

#[derive(Debug, Subcommand)]
enum AuditVerb {
    /// Recompute the hash of every record and name the first that is not as it was written
    #[command(after_help = "Example:\n  gitgrit-ops admin audit verify /srv/gitgrit")]
    Verify(SiteArgs),
    /// Print every record as one line of JSON, oldest first
    #[command(after_help = "Example:\n  gitgrit-ops admin audit export /srv/gitgrit > audit.jsonl")]
    Export(SiteArgs),
}

/// The documented shape of `admin audit verify --json`.
#[derive(Serialize)]
struct VerdictView {
    whole: bool,
    records: Option<i64>,
    head: Option<String>,
    unchained: Option<i64>,
    broken: Option<i64>,
    fault: Option<&'static str>,
}

/// The documented shape of a line of `admin audit export`.
#[derive(Serialize)]
struct RecordView {
    number: i64,
    /// Microseconds since 1970-01-01T00:00:00Z.
    at: i64,
    actor_id: Option<i64>,
    actor: Option<String>,
    action: String,
    repo_id: Option<i64>,
    repo: Option<String>,
    object: String,
    old: Option<String>,
    new: Option<String>,
    address: Option<String>,
    request: Option<String>,
    hash: String,
}

pub(crate) fn run(args: &AuditArgs, console: &mut Console) -> Result<Exit, Failure> {
    match &args.verb {
        AuditVerb::Verify(site) => verify(site, console),
        AuditVerb::Export(site) => export(site, console),
    }
}

fn verify(site: &SiteArgs, console: &mut Console) -> Result<Exit, Failure> {
    let verdict = with_forge(&site.installed()?, |forge| async move { Ok(forge.verify_audit().await?) })?;
    let (view, said) = told(verdict);
    let exit = if view.whole { Exit::Ok } else { Exit::Integrity };
    unless_gone(if console.is_json { console.json(&view) } else { writeln!(console.out, "{said}") })?;
    Ok(exit)
}

fn told(verdict: AuditVerdict) -> (VerdictView, String) {
    match verdict {
        AuditVerdict::Whole { records, head, unchained } => {
            let older = match unchained {
                0 => String::new(),
                count => format!("\n{count} events are older than the chain and are not protected by it"),
            };
            let shown = if head.is_empty() { "-" } else { &head };
            let said = format!("the audit log is whole\nrecords  {records}\nhead     {shown}{older}");
            let (records, unchained) = (Some(records), Some(unchained));
            let view = VerdictView { whole: true, records, head: Some(head), unchained, broken: None, fault: None };
            (view, said)
        }
        AuditVerdict::Broken { number, fault } => {
            let (word, what) = match fault {
                AuditFault::Changed => ("changed", "is not as it was written"),
                AuditFault::Missing => ("missing", "is missing"),
                AuditFault::Added => ("added", "is behind the end of the log"),
            };
            let said = format!("the audit log is broken: record {number} {what}");
            let (broken, fault) = (Some(number), Some(word));
            (VerdictView { whole: false, records: None, head: None, unchained: None, broken, fault }, said)
        }
    }
}

fn export(site: &SiteArgs, console: &mut Console) -> Result<Exit, Failure> {
    with_forge(&site.installed()?, |forge| async move {
        let mut last = 0;
        loop {
            let records = forge.audit_after(last).await?;
            let Some(end) = records.last() else { return Ok(Exit::Ok) };
            last = end.number;
            for record in records {
                let line = serde_json::to_string(&view(record)).map_err(std::io::Error::from)?;
                writeln!(console.out, "{line}")?;
            }
        }
    })
}

fn view(record: AuditRecord) -> RecordView {
    RecordView {
        number: record.number,
        at: record.at.0,
        actor_id: record.actor_id,
        actor: record.actor,
        action: record.action,
        repo_id: record.repo_id,
        repo: record.repo,
        object: record.object,
        old: record.old,
        new: record.new,
        address: record.address,
        request: record.request,
        hash: record.hash,
    }
}

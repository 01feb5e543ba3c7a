//! Looks at CA bundles: what is in the file, and what OpenSSL, rustls and git will stumble over.

use std::io::Write;
use std::path::PathBuf;

use base::clock::SystemClock;
use base::{Clock, Finding, Severity};
use checks::authority::{self, Bundle};
use checks::certificate::Certificate;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::console::unless_gone;
use super::{Console, Exit, Failure, findings};

/// Look at CA bundles
#[derive(Debug, Args)]
pub(crate) struct CaArgs {
    #[command(subcommand)]
    verb: CaVerb,
}

#[derive(Debug, Subcommand)]
enum CaVerb {
    /// Say what is wrong with a CA bundle
    #[command(after_help = "Example:\n  gitgrit-ops ca check /etc/ssl/acme-ca.pem")]
    Check {
        /// The PEM file
        file: PathBuf,

        /// End with exit code 4 when there are only warnings
        #[arg(long)]
        strict: bool,
    },
    /// Show the certificates in a PEM file
    #[command(after_help = "Example:\n  gitgrit-ops ca show /etc/ssl/acme-ca.pem")]
    Show {
        /// The PEM file
        file: PathBuf,
    },
}

#[derive(Serialize)]
struct BundleView<'b> {
    file: String,
    certificates: &'b [Certificate],
    findings: &'b [Finding],
}

pub(crate) fn run(args: &CaArgs, console: &mut Console) -> Result<Exit, Failure> {
    let (file, is_strict, is_show) = match &args.verb {
        CaVerb::Check { file, strict } => (file, *strict, false),
        CaVerb::Show { file } => (file, false, true),
    };
    let bundle = authority::check(file, SystemClock.now());
    if console.is_json {
        let view = BundleView {
            file: file.display().to_string(),
            certificates: &bundle.certificates,
            findings: &bundle.findings,
        };
        unless_gone(console.json(&view))?;
    } else if is_show {
        show(&bundle, console)?;
    } else {
        unless_gone(findings::print(&bundle.findings, console))?;
    }
    if is_show {
        // Showing succeeds when there was something to show; judging is the other verb's.
        return Ok(if bundle.certificates.is_empty() { Exit::ChecksFailed } else { Exit::Ok });
    }
    Ok(findings::exit(&bundle.findings, is_strict))
}

fn show(bundle: &Bundle, console: &mut Console) -> Result<(), Failure> {
    for (index, certificate) in bundle.certificates.iter().enumerate() {
        one(index + 1, certificate, &mut console.out)?;
    }
    if bundle.certificates.is_empty() {
        let errors: Vec<_> =
            bundle.findings.iter().filter(|finding| finding.severity == Severity::Error).cloned().collect();
        findings::print(&errors, console)?;
    }
    Ok(())
}

fn one(number: usize, certificate: &Certificate, out: &mut dyn Write) -> Result<(), Failure> {
    let critical = |is_critical: bool| if is_critical { "critical, " } else { "" };
    let (from, until) = certificate.validity();
    writeln!(out, "certificate {number}")?;
    let mut row = |name: &str, value: &str| writeln!(out, "  {name:<12} {value}");
    row("subject", &certificate.subject)?;
    row("issuer", &certificate.issuer)?;
    if certificate.is_self_signed {
        row("", "signed by itself")?;
    }
    row("valid from", &from)?;
    row("valid until", &until)?;
    row("key", &format!("{}, {} bits", certificate.key.kind, certificate.key.bits))?;
    row("signature", &certificate.signature.algorithm)?;
    let constraints = match certificate.basic_constraints {
        None => "not a CA (no basicConstraints)".to_owned(),
        Some(found) => {
            let length = found.path_length.map(|length| format!(", path length {length}")).unwrap_or_default();
            format!("{}CA:{}{length}", critical(found.is_critical), if found.is_ca { "TRUE" } else { "FALSE" })
        }
    };
    row("constraints", &constraints)?;
    if let Some(usage) = &certificate.key_usage {
        row("key usage", &format!("{}{}", critical(usage.is_critical), usage.uses.join(", ")))?;
    }
    if let Some(uses) = &certificate.extended_key_usage {
        row("extended", &uses.join(", "))?;
    }
    if !certificate.names.is_empty() {
        row("names", &certificate.names.join(", "))?;
    }
    for (name, id) in [("subject key", &certificate.subject_key_id), ("issuer key", &certificate.authority_key_id)] {
        if let Some(id) = id {
            row(name, id)?;
        }
    }
    row("serial", &certificate.serial)?;
    row("SHA-256", &certificate.fingerprint)?;
    Ok(())
}

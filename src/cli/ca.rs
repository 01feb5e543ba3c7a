//! Looks at CA bundles: what is in the file, and what OpenSSL, rustls and git will stumble over.

use std::io::Write;
use std::path::{Path, PathBuf};

use base::clock::SystemClock;
use base::{Clock, Finding, Severity};
use checks::authority::{self, Bundle};
use checks::certificate::Certificate;
use checks::presented::Target;
use checks::trust::SYSTEM_BUNDLE;
use checks::verdict::Report;
use checks::{drawing, render, served};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::console::unless_gone;
use super::{Console, Exit, Failure, ca_trust, findings};

/// Look at CA bundles
#[derive(Debug, Args)]
pub(crate) struct CaArgs {
    #[command(subcommand)]
    verb: CaVerb,
}

#[derive(Debug, Subcommand)]
enum CaVerb {
    /// Say what is wrong with a CA bundle, and what each TLS stack will say of a server's chain
    #[command(
        after_help = "Examples:\n  gitgrit-ops ca check /etc/ssl/acme-ca.pem\n  gitgrit-ops ca check --host gitlab.acme.internal /etc/ssl/acme-ca.pem"
    )]
    Check {
        /// The PEM file with the authorities; with --host the system's own when left out
        #[arg(required_unless_present = "host")]
        file: Option<PathBuf>,

        /// Ask this server for its chain, which need not verify, and judge it as each TLS stack will
        #[arg(long, value_name = "HOST[:PORT]")]
        host: Option<String>,

        /// Connect to this address in place of what the name service says
        #[arg(long, value_name = "ADDRESS", requires = "host")]
        connect: Option<String>,

        /// Judge the chain in this file, the server's own certificate first, and connect nowhere
        #[arg(long, value_name = "FILE", requires = "host", conflicts_with = "connect")]
        chain: Option<PathBuf>,

        /// End with exit code 4 when there are only warnings
        #[arg(long)]
        strict: bool,

        /// Print the findings for a pipeline
        #[arg(long, value_name = "FORMAT")]
        report: Option<findings::Format>,
    },
    /// Take a bundle apart: one PEM file a certificate, named after it
    #[command(after_help = "Example:\n  gitgrit-ops ca split --into parts /etc/ssl/acme-ca.pem")]
    Split {
        /// The file: PEM, DER or PKCS#7
        file: PathBuf,

        /// Write the files into this directory, which must be there
        #[arg(long, value_name = "DIRECTORY", default_value = ".")]
        into: PathBuf,

        /// Name the files and write none
        #[arg(long)]
        dry_run: bool,
    },
    /// Give the authorities of a bundle to this host's store, and on request to Docker
    #[command(
        after_help = "Examples:\n  gitgrit-ops ca trust --docker registry.acme.internal:5000 /etc/ssl/acme-ca.pem\n  gitgrit-ops ca trust --undo"
    )]
    Trust(ca_trust::TrustArgs),
    /// Show the certificates in a file
    #[command(after_help = "Example:\n  gitgrit-ops ca show /etc/ssl/acme-ca.pem")]
    Show {
        /// The file: PEM, DER or PKCS#7
        file: PathBuf,
    },
}

#[derive(Serialize)]
struct PartView<'p> {
    file: String,
    subject: &'p str,
}

#[derive(Serialize)]
struct BundleView<'b> {
    file: String,
    certificates: &'b [Certificate],
    findings: &'b [Finding],
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<&'b Report>,
}

pub(crate) fn run(args: &CaArgs, console: &mut Console) -> Result<Exit, Failure> {
    match &args.verb {
        CaVerb::Check { file, host, connect, chain, strict, report } => {
            let file = file.clone().unwrap_or_else(|| PathBuf::from(SYSTEM_BUNDLE));
            let bundle = authority::check(&file, SystemClock.now());
            let checked = match host {
                None => Checked { findings: bundle.findings.clone(), server: None },
                Some(host) => served(host, connect.as_deref(), chain.as_deref(), &bundle)?,
            };
            if let Some(format) = report {
                let shown = file.display().to_string();
                let report = render::Report { check: "ca check", file: Some(&shown), findings: &checked.findings };
                unless_gone(findings::print_as(*format, report, console))?;
            } else {
                print(&file, &bundle.certificates, &checked, console)?;
            }
            Ok(findings::exit(&checked.findings, *strict))
        }
        CaVerb::Split { file, into, dry_run } => split(file, into, *dry_run, console),
        CaVerb::Trust(args) => ca_trust::run(args, console),
        CaVerb::Show { file } => {
            let bundle = authority::check(file, SystemClock.now());
            if console.is_json {
                let checked = Checked { findings: bundle.findings, server: None };
                print(file, &bundle.certificates, &checked, console)?;
            } else {
                show(&bundle, console)?;
            }
            // Showing succeeds when there was something to show; judging is the other verb's.
            Ok(if bundle.certificates.is_empty() { Exit::ChecksFailed } else { Exit::Ok })
        }
    }
}

fn split(file: &Path, into: &Path, is_dry_run: bool, console: &mut Console) -> Result<Exit, Failure> {
    let bundle = authority::check(file, SystemClock.now());
    if bundle.certificates.is_empty() || bundle.is_cut() {
        let checked = Checked { findings: bundle.findings, server: None };
        print(file, &bundle.certificates, &checked, console)?;
        return Ok(Exit::ChecksFailed);
    }
    let parts = checks::split::plan(&bundle.certificates, into);
    if !is_dry_run {
        checks::split::apply(&parts).map_err(|error| Failure::new(Exit::Failure, error))?;
    }
    if console.is_json {
        let view = |part: &'_ checks::split::Part| part.path.display().to_string();
        let views: Vec<_> = parts.iter().map(|part| PartView { file: view(part), subject: &part.subject }).collect();
        unless_gone(console.json(&views))?;
    } else {
        for part in &parts {
            unless_gone(writeln!(console.out, "{}  {}", part.path.display(), part.subject))?;
        }
    }
    Ok(Exit::Ok)
}

/// What there is to say, and of a server its chain.
struct Checked {
    findings: Vec<Finding>,
    server: Option<Report>,
}

/// Judges a server's chain. Of the authorities only what is about the file: the stacks judge each certificate.
fn served(host: &str, connect: Option<&str>, chain: Option<&Path>, authorities: &Bundle) -> Result<Checked, Failure> {
    let target = Target::parse(host, connect).ok_or_else(|| {
        Failure::said(Exit::Usage, "--host is a name or an address, perhaps with a port; --connect an address")
    })?;
    let (now, given) = (SystemClock.now(), &authorities.certificates);
    let served = match chain {
        Some(chain) => served::saved(&authority::check(chain, now), &target.peer, given, now),
        None => served::ask(&target, given, now),
    };
    let findings = authorities.of_file().iter().cloned().chain(served.findings).collect();
    Ok(Checked { findings, server: served.report })
}

fn print(file: &Path, certificates: &[Certificate], checked: &Checked, console: &mut Console) -> Result<(), Failure> {
    let Checked { findings, server } = checked;
    if console.is_json {
        let view = BundleView { file: file.display().to_string(), certificates, findings, server: server.as_ref() };
        return Ok(unless_gone(console.json(&view))?);
    }
    unless_gone(findings::print(findings, console))?;
    match server {
        Some(server) => draw(&drawing::path(&server.served, certificates), console),
        None => draw(&drawing::bundle(certificates), console),
    }
}

fn draw(lines: &[String], console: &mut Console) -> Result<(), Failure> {
    if !lines.is_empty() {
        unless_gone(writeln!(console.out, "chain"))?;
    }
    for line in lines {
        unless_gone(writeln!(console.out, "  {line}"))?;
    }
    Ok(())
}

fn show(bundle: &Bundle, console: &mut Console) -> Result<(), Failure> {
    for (index, certificate) in bundle.certificates.iter().enumerate() {
        one(index + 1, certificate, &mut console.out)?;
    }
    draw(&drawing::bundle(&bundle.certificates), console)?;
    if bundle.certificates.is_empty() || bundle.is_cut() {
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

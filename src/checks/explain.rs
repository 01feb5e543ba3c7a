//! Says in one line why a request failed, naming the certificate that it failed on. Pure: errors in, sentences out.

use std::error::Error;
use std::io;

use rustls::CertificateError;

use crate::certificate::Certificate;
use crate::egress::{DEADLINE, EgressError, Seen};
use crate::text::{line, moment};
use crate::trust::Trust;

/// Sorts a failed request into handshake, connection and the rest.
pub(crate) fn egress(error: &reqwest::Error, seen: &Seen, trust: &Trust) -> EgressError {
    if let Some(found) = find::<rustls::Error>(error) {
        return EgressError::Tls { reason: tls(found, seen, trust) };
    }
    let silence = format!("no answer within {} s", DEADLINE.as_secs());
    if error.is_timeout() {
        return if seen.is_verified {
            EgressError::Request { reason: silence }
        } else {
            EgressError::Connect { reason: silence }
        };
    }
    let is_end = |error: &io::Error| error.kind() == io::ErrorKind::UnexpectedEof;
    let is_cut = chain(error).filter_map(|error| error.downcast_ref()).any(is_end);
    if error.is_connect() && is_cut {
        return EgressError::Tls { reason: "the server closed the connection during the handshake".into() };
    }
    let reason = innermost(error);
    if error.is_connect() { EgressError::Connect { reason } } else { EgressError::Request { reason } }
}

/// The text of the last error in the chain: the one that names the cause.
pub(crate) fn innermost(error: &(dyn Error + 'static)) -> String {
    line(&chain(error).last().unwrap_or(error).to_string())
}

/// An I/O error that wraps another one hides it from `source()`, which skips to what is below it.
fn below<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

/// The error and all that is below it.
fn chain<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| below(*error))
}

fn find<'e, T: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e T> {
    chain(error).find_map(|error| error.downcast_ref())
}

fn tls(error: &rustls::Error, seen: &Seen, trust: &Trust) -> String {
    let chain: Vec<Certificate> = seen.chain.iter().filter_map(|der| Certificate::parse(der)).collect();
    match error {
        rustls::Error::InvalidCertificate(refusal) => certificate(refusal, &chain, trust),
        rustls::Error::InvalidMessage(_) => format!("the server does not speak TLS on this port ({error})"),
        other => line(&other.to_string()),
    }
}

fn certificate(refusal: &CertificateError, chain: &[Certificate], trust: &Trust) -> String {
    let own = chain.first();
    let subject = |wanted: &dyn Fn(&Certificate) -> bool| {
        let found = chain.iter().find(|certificate| wanted(certificate)).or(own);
        found.map(|certificate| format!("`{}`", certificate.subject)).unwrap_or_default()
    };
    match refusal {
        CertificateError::UnknownIssuer => unknown_issuer(chain, trust),
        CertificateError::BadSignature => {
            let top = chain.last();
            let part = |part: fn(&Certificate) -> &String| top.map(part).cloned().unwrap_or_default();
            format!(
                "certificate BadSignature: `{}` says that `{}` issued it, but the certificate of that name in `{}` has \
                 another key",
                part(|top| &top.subject),
                part(|top| &top.issuer),
                trust.path.display()
            )
        }
        CertificateError::ExpiredContext { time, not_after } => {
            let end = signed(not_after.as_secs());
            format!(
                "certificate Expired: {} was valid until {}, and it is {} here",
                subject(&|certificate| certificate.not_after == end),
                moment(end),
                moment(signed(time.as_secs()))
            )
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            let start = signed(not_before.as_secs());
            format!(
                "certificate NotValidYet: {} is valid from {}, and it is {} here — is this host's clock right?",
                subject(&|certificate| certificate.not_before == start),
                moment(start),
                moment(signed(time.as_secs()))
            )
        }
        CertificateError::NotValidForNameContext { expected, .. } => {
            let names = own.map(|certificate| certificate.names.join(", ")).filter(|names| !names.is_empty());
            format!(
                "certificate NotValidForName: it is not for `{}`, only for {}",
                line(&expected.to_str()),
                names.unwrap_or_else(|| "no name at all (it has no subjectAltName)".into())
            )
        }
        other if own.is_some_and(Certificate::is_ca) => {
            format!(
                "the server shows a CA certificate as its own, {} ({})",
                subject(&|_| true),
                line(&other.to_string())
            )
        }
        other => line(&format!("{} {}", subject(&|_| true), other)).trim().to_owned(),
    }
}

/// Nobody known issued the top of the chain: the bundle is another CA's, or the server keeps an intermediate back.
fn unknown_issuer(chain: &[Certificate], trust: &Trust) -> String {
    let store = trust.path.display();
    let Some(top) = chain.last() else {
        return format!("certificate UnknownIssuer: `{store}` holds no authority");
    };
    let sent = match chain.len() {
        1 => "1 certificate".to_owned(),
        count => format!("{count} certificates"),
    };
    if top.is_self_issued() {
        return format!(
            "certificate UnknownIssuer: the server sent {sent} up to `{}`, which is not among the {} of `{store}`",
            top.subject,
            trust.roots.len()
        );
    }
    format!(
        "certificate UnknownIssuer: the server sent {sent}, the last one `{}` issued by `{}`, which is neither sent nor \
         in `{store}`",
        top.subject, top.issuer
    )
}

fn signed(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_error_is_found_through_io_errors() {
        let inner = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let outer = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, inner.clone()));
        assert_eq!(find::<rustls::Error>(&outer), Some(&inner));
        assert_eq!(innermost(&outer), inner.to_string());
    }
}

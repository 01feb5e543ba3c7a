//! Draws certificates as the chains they make, the root first and each one below its issuer, with what is missing marked.
//! Goes by names alone; whether a signature holds is the verdicts' matter.

use crate::certificate::Certificate;

/// The most lines of a drawing.
const MOST: usize = 40;

/// The chains within one file. Nothing when there is only one certificate, and nothing missing above it.
pub fn bundle(certificates: &[Certificate]) -> Vec<String> {
    let is_top = |certificate: &&Certificate| {
        certificate.is_self_issued() || !certificates.iter().any(|other| other.subject_der == certificate.issuer_der)
    };
    let mut lines = Vec::new();
    for top in certificates.iter().filter(is_top) {
        let mut depth = 0;
        if !top.is_self_issued() {
            lines.push(format!("{} (missing: not in the file)", top.issuer));
            depth = 1;
        }
        below(top, certificates, &mut vec![top], depth, &mut lines);
        if lines.len() > MOST {
            lines.truncate(MOST);
            lines.push("and more".into());
            break;
        }
    }
    if lines.len() > 1 { lines } else { Vec::new() }
}

fn below<'c>(
    top: &'c Certificate,
    all: &'c [Certificate],
    path: &mut Vec<&'c Certificate>,
    depth: usize,
    lines: &mut Vec<String>,
) {
    lines.push(indented(depth, &top.subject));
    for next in all.iter().filter(|next| next.issuer_der == top.subject_der && !next.is_self_issued()) {
        let is_new = !path.iter().any(|seen| seen.subject_der == next.subject_der);
        if is_new && lines.len() <= MOST && path.len() < 10 {
            path.push(next);
            below(next, all, path, depth + 1, lines);
            path.pop();
        }
    }
}

/// The path from a server's certificate upward, as far as names lead, root first; says of each where it comes from.
pub fn path(served: &[Certificate], authorities: &[Certificate]) -> Vec<String> {
    let Some(leaf) = served.first() else { return Vec::new() };
    let mut path = vec![(leaf, "sent")];
    let mut missing = None;
    while let Some(&(top, _)) = path.last() {
        if top.is_self_issued() || path.len() > 20 {
            break;
        }
        let is_next = |next: &&Certificate| {
            next.subject_der == top.issuer_der && !path.iter().any(|(seen, _)| seen.der == next.der)
        };
        let given = authorities.iter().find(is_next).map(|next| (next, "given"));
        let Some(next) = given.or_else(|| served.iter().find(is_next).map(|next| (next, "sent"))) else {
            missing = Some(format!("{} (missing: neither sent nor given)", top.issuer));
            break;
        };
        path.push(next);
    }
    let is_given = |top: &Certificate| authorities.iter().any(|given| given.der == top.der);
    let untrusted = path.last().filter(|(top, _)| top.is_self_issued() && !is_given(top)).map(|(top, _)| *top);
    let texts = path.iter().rev().map(|(link, from)| match untrusted {
        Some(root) if root.der == link.der => format!("{} (sent, not among the authorities)", link.subject),
        _ => format!("{} ({from})", link.subject),
    });
    missing.into_iter().chain(texts).enumerate().map(|(depth, text)| indented(depth, &text)).collect()
}

fn indented(depth: usize, text: &str) -> String {
    if depth == 0 { text.to_owned() } else { format!("{}└─ {text}", "   ".repeat(depth - 1)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus_certificate::{Key, Spec};

    fn made() -> [Certificate; 3] {
        let dir = tempfile::tempdir().unwrap();
        let ring = [Key::curve(), Key::curve(), Key::curve()];
        let root = Spec::root("Acme Root", 0);
        let issuing = Spec::below(&root, "Acme Issuing", 1);
        let server = Spec::server(&issuing, "git.acme.internal", 2);
        [root, issuing, server].map(|spec| Certificate::parse(&spec.der(&ring, 1_795_000_000, dir.path())).unwrap())
    }

    #[test]
    fn chains_stand_below_their_roots_and_what_is_missing_is_marked() {
        let [root, issuing, server] = made();
        let whole = [server.clone(), issuing.clone(), root.clone()];
        assert_eq!(bundle(&whole), ["CN=Acme Root", "└─ CN=Acme Issuing", "   └─ CN=git.acme.internal"]);
        assert_eq!(bundle(&[root]), [""; 0]);
        assert_eq!(bundle(&[issuing]), ["CN=Acme Root (missing: not in the file)", "└─ CN=Acme Issuing"]);
    }

    #[test]
    fn a_path_says_what_was_sent_and_what_was_given() {
        let [root, issuing, server] = made();
        let sent = [server, issuing];
        let expected = ["CN=Acme Root (given)", "└─ CN=Acme Issuing (sent)", "   └─ CN=git.acme.internal (sent)"];
        assert_eq!(path(&sent, std::slice::from_ref(&root)), expected);
        assert_eq!(path(&sent, &[])[0], "CN=Acme Root (missing: neither sent nor given)");
        let all = [sent[0].clone(), sent[1].clone(), root];
        assert_eq!(path(&all, &[])[0], "CN=Acme Root (sent, not among the authorities)");
        assert_eq!(path(&sent[..1], &[])[0], "CN=Acme Issuing (missing: neither sent nor given)");
    }
}

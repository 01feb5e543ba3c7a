//! An OpenSSH user certificate as the forge judges it. Decides nothing itself.

use forge::ShownCertificate;
use russh::keys::ssh_key::Algorithm;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Certificate, PublicKey};

/// What a certificate says, for the forge to judge. russh has checked both signatures, but not whose authority it is, what
/// it is for, and with which digest it was signed.
pub(crate) fn shown(certificate: &Certificate) -> Option<ShownCertificate> {
    let line = |key: &KeyData| PublicKey::new(key.clone(), "").to_openssh().ok();
    let is_sha1 = matches!(certificate.signature().algorithm(), Algorithm::Rsa { hash: None });
    let options = certificate.critical_options().iter();
    Some(ShownCertificate {
        authority: line(certificate.signature_key())?,
        key: line(certificate.public_key())?,
        is_for_users: certificate.cert_type() == CertType::User && !is_sha1,
        principals: certificate.valid_principals().to_vec(),
        begins: certificate.valid_after(),
        ends: certificate.valid_before(),
        critical_options: options.map(|(name, value)| (name.clone(), value.clone())).collect(),
        serial: certificate.serial(),
        key_id: certificate.key_id().to_owned(),
    })
}

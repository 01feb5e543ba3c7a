//! The checks of first-run setup: the site's address and the operator's CA bundle, with the seeds' sentences. Pure but for
//! reading the one file; changes nothing.

use std::path::Path;

use base::url::{BaseUrl, UrlError};

use crate::text::{has_credentials, line};
use crate::trust::{Trust, TrustError};

/// Where the stack mounts the operator's CA bundle inside the container.
pub const MOUNT: &str = "/etc/ssl/certs/custom-ca.pem";

/// Judges SITE_URL. The line says that it is fine; the error, as one sentence or more, why setup stops here.
pub fn site_url(value: Option<&str>) -> Result<String, String> {
    const REACHABLE: &str = "SITE_URL must be reachable from your platform: people open it and the internal GitLab calls \
                             it back, so give the address that they use, like https://gitgrit.acme.internal.";
    let value = value.unwrap_or_default();
    let shown = line(value);
    let host = line(&host(value));
    let refused =
        |why: &str| Err(format!("SITE_URL='{shown}' (host='{host}') is not a public hostname. {why}{REACHABLE}"));
    let is_local_tail = |url: &str| {
        let root = url.trim_end_matches('/');
        BaseUrl::parse(root).is_ok_and(|parsed| parsed.is_local())
    };
    match BaseUrl::parse(value) {
        _ if has_credentials(value) => Err("SITE_URL holds a user name or a password. Give the address alone.".into()),
        Ok(url) if url.is_local() => refused(""),
        Ok(url) => Ok(format!("SITE_URL OK: {url}")),
        Err(UrlError::Tail(tail)) if !is_local_tail(value) => Err(format!(
            "SITE_URL='{shown}' (host='{host}') goes on after the host with '{}'. Give the root address, without a slash at \
             the end.",
            line(&tail)
        )),
        Err(UrlError::Scheme(scheme)) => refused(&format!("Its scheme is '{}', not https. ", line(&scheme))),
        Err(_) => refused(""),
    }
}

/// Judges the operator's CA bundle. `host_path` is GITGRIT_CUSTOM_CA_FILE_PATH; `mount` is where the stack shows that file
/// inside the container, when this runs there.
pub fn ca_bundle(host_path: Option<&str>, mount: Option<&Path>) -> Result<String, String> {
    let Some(host_path) = host_path.filter(|path| !path.is_empty()) else {
        return Err(
            "GITGRIT_CUSTOM_CA_FILE_PATH is not set. Put the path of your operator CA bundle (PEM) into .env; see docs/checks.md, \"The operator CA bundle\"."
                .into(),
        );
    };
    let path = mount.unwrap_or(Path::new(host_path));
    let host = line(host_path);
    let shown = line(&path.display().to_string());
    let host_side = |problem: String| format!("{problem} Check the host-side file at {host} is a non-empty PEM.");
    match Trust::load(path) {
        Ok(trust) => Ok(format!("Operator CA bundle OK: {shown} ({} bytes)", trust.bytes)),
        Err(TrustError::Unreadable { .. }) if mount.is_some() => Err(format!(
            "GITGRIT_CUSTOM_CA_FILE_PATH is set ({host}) but {shown} is not readable inside the container. Check the compose \
             volume mount."
        )),
        Err(TrustError::Unreadable { .. }) => Err(format!(
            "GITGRIT_CUSTOM_CA_FILE_PATH is set ({host}) but {shown} is not readable. Check the path and the file's mode."
        )),
        Err(TrustError::Empty { .. }) => Err(host_side(format!("{shown} is zero bytes."))),
        Err(TrustError::NotPem { .. } | TrustError::TooLarge { .. }) => Err(host_side(format!("{shown} is not PEM."))),
        Err(TrustError::Der { .. }) => Err(format!(
            "{shown} is DER, not PEM. Convert the host-side file at {host}: openssl x509 -inform der -in {host} -out ca.pem"
        )),
        Err(TrustError::Damaged { reason, .. }) => Err(host_side(format!("{shown} is damaged: {reason}."))),
        Err(TrustError::NoCertificate { .. }) => Err(host_side(format!("{shown} holds no certificate."))),
        Err(TrustError::OnlyLeaf { subject, issuer, .. }) => Err(format!(
            "{shown} holds no CA certificate, only '{subject}' issued by '{issuer}'. Put the CA chain that issued it into \
             the host-side file at {host}."
        )),
    }
}

/// The host as far as one can be made out, for the message.
fn host(value: &str) -> String {
    let parsed = url::Url::parse(value.trim()).ok();
    parsed.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_public_address_is_accepted() {
        assert_eq!(
            site_url(Some("https://gitgrit.acme.internal")).unwrap(),
            "SITE_URL OK: https://gitgrit.acme.internal"
        );
        for (value, start) in [
            ("", "SITE_URL='' (host='') is not a public hostname. "),
            ("http://localhost:8000", "SITE_URL='http://localhost:8000' (host='localhost') is not a public hostname. "),
            ("http://127.0.0.1", "SITE_URL='http://127.0.0.1' (host='127.0.0.1') is not a public hostname. "),
            ("http://127.0.0.2", "SITE_URL='http://127.0.0.2' (host='127.0.0.2') is not a public hostname. "),
            ("http://0.0.0.0/", "SITE_URL='http://0.0.0.0/' (host='0.0.0.0') is not a public hostname. "),
            ("http://[::1]/", "SITE_URL='http://[::1]/' (host='[::1]') is not a public hostname. "),
            ("https://2130706433", "SITE_URL='https://2130706433' (host='127.0.0.1') is not a public hostname. "),
            ("ftp://forge", "SITE_URL='ftp://forge' (host='forge') is not a public hostname. Its scheme is 'ftp'"),
            ("forge.acme", "SITE_URL='forge.acme' (host='') is not a public hostname. "),
            ("https://forge/", "SITE_URL='https://forge/' (host='forge') goes on after the host with '/'. "),
        ] {
            let said = site_url(Some(value)).unwrap_err();
            assert!(said.starts_with(start), "{said}");
        }
        for secret in ["https://me:hunter2@forge", "ftp://me:hunter2@forge", "me:hunter2@forge", "https://hunter2@"] {
            assert!(!site_url(Some(secret)).unwrap_err().contains("hunter2"), "{secret}");
        }
        assert!(site_url(Some("")).unwrap_err().contains("must be reachable from your platform"));
    }

    #[test]
    fn a_bundle_that_is_not_there_is_named_by_the_place_it_was_looked_for() {
        let mount = Path::new("/no/such/mount.pem");
        assert!(ca_bundle(None, None).unwrap_err().starts_with("GITGRIT_CUSTOM_CA_FILE_PATH is not set."));
        assert!(ca_bundle(Some(""), Some(mount)).unwrap_err().starts_with("GITGRIT_CUSTOM_CA_FILE_PATH is not set."));
        assert_eq!(
            ca_bundle(Some("/srv/ca.pem"), Some(mount)).unwrap_err(),
            "GITGRIT_CUSTOM_CA_FILE_PATH is set (/srv/ca.pem) but /no/such/mount.pem is not readable inside the container. \
             Check the compose volume mount."
        );
        let said = ca_bundle(Some("/no/such/ca.pem"), None).unwrap_err();
        assert!(said.contains("/no/such/ca.pem is not readable."), "{said}");
    }
}

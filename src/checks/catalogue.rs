//! Every finding of this room: id, meaning, fix. The manual's page docs/checks.md is written from this table, so the two
//! cannot differ. An id is never given another meaning.

use base::{Finding, Severity};

/// What is known of a finding before it is found.
#[derive(Debug, PartialEq, Eq)]
pub struct Known {
    /// `GG-<AREA>-<NNN>`.
    pub id: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// What to do; empty where there is nothing to do.
    pub fix: &'static str,
}

macro_rules! catalogue {
    ($($name:ident = $id:literal, $meaning:literal, $fix:literal;)*) => {
        $(#[doc = $meaning] pub static $name: Known = Known { id: $id, meaning: $meaning, fix: $fix };)*

        /// Every finding, sorted by area and number.
        pub static CATALOGUE: &[&Known] = &[$(&$name,)*];
    };
}

catalogue! {
    CA_UNREADABLE = "GG-CA-001", "the file is missing, a directory, or not readable", "check the path, its owner and its mode";
    CA_EMPTY = "GG-CA-002", "the file is zero bytes", "copy the file again";
    CA_NOT_PEM = "GG-CA-003", "the file is not PEM: no BEGIN line in it", "give the certificates as text, with BEGIN CERTIFICATE lines";
    CA_DER = "GG-CA-004", "the file is DER, the binary form", "convert it: openssl x509 -inform der -in FILE -out ca.pem";
    CA_NONE = "GG-CA-005", "the file is PEM but holds no certificate", "give the CA certificates, not a key or a request";
    CA_LEAF = "GG-CA-006", "a server's own certificate stands where an authority belongs; nothing verifies with it", "give the chain that issued the server's certificate, up to its root";
    CA_NO_CONSTRAINTS = "GG-CA-007", "a self-issued certificate has no basicConstraints, so no reader takes it for an authority", "make the CA again with basicConstraints=critical,CA:TRUE and keyUsage=critical,digitalSignature,keyCertSign,cRLSign";
    CA_NOT_CRITICAL = "GG-CA-008", "basicConstraints is there but not critical; strict readers (OpenSSL, Python 3.13) refuse such an authority", "make the CA again with basicConstraints=critical,CA:TRUE";
    CA_NO_USAGE = "GG-CA-009", "the authority has no keyUsage; strict readers refuse it", "make the CA again with keyUsage=critical,digitalSignature,keyCertSign,cRLSign";
    CA_CANNOT_SIGN = "GG-CA-010", "the authority's keyUsage lacks keyCertSign, so what it signed does not verify", "make the CA again with keyUsage=critical,digitalSignature,keyCertSign,cRLSign";
    CA_EXPIRED = "GG-CA-011", "the certificate has expired; rustls still trusts an expired root, OpenSSL and git do not", "put the CA's current certificate into the bundle, or set this host's clock";
    CA_NOT_YET = "GG-CA-012", "the certificate is not valid yet; most often this host's clock is behind", "point the host at your NTP server, then check again";
    CA_PRIVATE_KEY = "GG-CA-013", "a private key is inside a file that is copied around and read by everyone", "take the key out, and treat it as known to others";
    CA_DUPLICATE = "GG-CA-014", "the same certificate stands in the file twice", "remove one of them";
    CA_WEAK_SIGNATURE = "GG-CA-015", "the certificate is signed with MD5 or SHA-1, which TLS libraries refuse below the root", "have it issued again with SHA-256 or better";
    CA_SHORT_KEY = "GG-CA-016", "the key is shorter than 2048 bits (RSA) or 256 bits (EC)", "have the certificate issued again with a longer key";
    CA_NO_ROOT = "GG-CA-017", "an intermediate is there without its issuer; rustls accepts that, OpenSSL and git do not", "add the issuer's certificate, up to the self-signed root";
    CA_DAMAGED = "GG-CA-018", "a block is cut, is not base64, or is not a certificate inside", "copy the file again; every BEGIN line needs its END line";
    CA_SOON = "GG-CA-019", "the certificate expires within 30 days", "have it renewed, and add the new one beside it before then";
    CA_FINE = "GG-CA-020", "nothing to say against the bundle", "";
    CA_TOO_LARGE = "GG-CA-021", "the file is larger than 16 MiB, which no CA bundle is", "give the PEM file with the authorities alone";
    CA_CONTAINER = "GG-CA-022", "the certificates are in a PKCS#7 container (.p7b), which TLS stacks do not read as a CA bundle", "take them out: `gitgrit-ops ca split FILE`, or openssl pkcs7 -print_certs";
    CA_TRUSTED = "GG-CA-023", "a TRUSTED CERTIFICATE block is OpenSSL's own form; rustls and others pass over it", "write it plainly: openssl x509 -in FILE -out ca.pem";
    CA_MANY_NAMES = "GG-CA-024", "a certificate has more names than some TLS stacks compare", "have it issued again with the names that are in use";
    CA_STACK_FINE = "GG-CA-030", "a TLS stack accepts the server's chain", "";
    CA_STACK_UNTRUSTED = "GG-CA-031", "no path leads from the server's certificate to an authority that this stack trusts", "add the certificate that GG-CA-046 names";
    CA_STACK_SIGNATURE = "GG-CA-032", "a certificate's signature is not by the key of the issuer at hand, most often because the CA was made again under the same name", "replace the issuer's certificate by the one that really signed";
    CA_STACK_NOT_AUTHORITY = "GG-CA-033", "a certificate that is no authority stands where one is needed, or an authority stands for the server", "make the CA again with basicConstraints=critical,CA:TRUE and keyUsage=critical,keyCertSign,cRLSign; give servers certificates of their own";
    CA_STACK_PATH_LENGTH = "GG-CA-034", "more authorities follow below one than its path length allows", "have the intermediate issued by an authority that may, or the authority made again with a longer path length";
    CA_STACK_PURPOSE = "GG-CA-035", "extendedKeyUsage or keyUsage does not allow TLS servers; on an authority it limits all below it", "have the certificate issued again with extendedKeyUsage=serverAuth";
    CA_STACK_EXPIRED = "GG-CA-036", "a certificate of the chain has expired, or this host's clock is ahead", "check the clock against your NTP server, then have the certificate renewed";
    CA_STACK_NOT_YET = "GG-CA-037", "a certificate of the chain is not valid yet; most often this host's clock is behind", "point the host at your NTP server, then check again";
    CA_STACK_NAME = "GG-CA-038", "the server's certificate is not for the name it was asked by", "have it issued again with that name in subjectAltName; the common name alone is not enough";
    CA_STACK_CONSTRAINTS = "GG-CA-039", "an authority of the chain may not speak for the server's name (nameConstraints)", "have the certificate issued by an authority that may";
    CA_STACK_WEAK = "GG-CA-040", "a signature in the chain uses SHA-1 or MD5", "have the certificate issued again with SHA-256 or better";
    CA_STACK_SHORT = "GG-CA-041", "a key in the chain is shorter than the stack takes", "have the certificate issued again with an RSA key of 2048 bits or more, or an EC key";
    CA_STACK_CRITICAL = "GG-CA-042", "a certificate has a critical extension that the stack does not know", "have it issued again without that extension, or with it not critical";
    CA_STACK_FORM = "GG-CA-043", "a certificate breaks a rule of RFC 5280 that only strict readers hold to", "have the certificate that the finding names issued again; until then these stacks refuse";
    CA_STACK_VERSION = "GG-CA-044", "a certificate is not of X.509 version 3", "have it issued again as version 3, with extensions";
    CA_STACK_MALFORMED = "GG-CA-045", "a certificate of the chain cannot be read by this stack", "have it issued again";
    CA_REMEDY = "GG-CA-046", "the one certificate to add or replace so that the stacks accept", "do what the finding says, then check again";
    CA_ODD_CHAIN = "GG-CA-047", "the server sends certificates twice, out of order, or without need", "let the server send its own certificate first, then each one's issuer, without the root";
    CA_NO_CONNECTION = "GG-CA-048", "no connection to the server came about, so there is no chain to judge", "check name, port, routing and the service itself; `--connect ADDRESS` goes round the name service";
    CA_NO_CHAIN = "GG-CA-049", "what answers shows no whole chain of certificates", "check that the port speaks TLS, and that the server sends at most 64 KiB of certificates";

    ENV_UNREADABLE = "GG-ENV-001", "the file is missing or not readable", "write one with `gitgrit-ops env init`";
    ENV_LINE = "GG-ENV-002", "a line is not NAME=value", "quote values that hold spaces, `#` or `$`: NAME='value'";
    ENV_MODE = "GG-ENV-003", "others than the owner may read or write the file, and it holds secrets", "chmod 0600 the file";
    ENV_MISSING = "GG-ENV-004", "a variable that must be set is not", "set it";
    ENV_UNKNOWN = "GG-ENV-005", "no such variable exists, so the line does nothing", "correct the name, or remove the line";
    ENV_INTERNAL = "GG-ENV-006", "the stack sets this variable itself; a value in .env breaks it", "remove the line";
    ENV_BOOLEAN = "GG-ENV-007", "the value is not exactly `True` or `False`", "write True or False, in just this spelling";
    ENV_AIRGAPPED = "GG-ENV-008", "AIRGAPPED has another value than `True`; there is no other mode", "remove the line";
    ENV_URL = "GG-ENV-009", "the value is not a root address: scheme, host, perhaps a port, no slash at the end", "write it like https://forge.acme.internal:8828";
    ENV_LOOPBACK = "GG-ENV-010", "the address leads back to the machine that opens it", "give the name or address that people and the internal GitLab use; only a lab keeps loopback";
    ENV_PLAIN_HTTP = "GG-ENV-011", "the address is plain http, so passwords and tokens cross the network unencrypted", "use https, on the site itself or on the proxy in front of it";
    ENV_PORT = "GG-ENV-012", "the value is not a port from 1 to 65535", "give a free port";
    ENV_PORT_TAKEN = "GG-ENV-013", "two services of the site are set to the same port", "give each its own";
    ENV_HOST = "GG-ENV-014", "the value is not a host name or an address", "give the name alone, without scheme, port or slash";
    ENV_SHORT = "GG-ENV-015", "the secret is too short to resist guessing", "copy one from a fresh file, `gitgrit-ops env init new.env`, before the first start; a live site keeps its SECRET_KEY, and an initialised database its password until that is changed there as well";
    ENV_PLACEHOLDER = "GG-ENV-016", "the secret is an example's or a pattern, which others can guess", "copy one from a fresh file, `gitgrit-ops env init new.env`, before the first start; a live site keeps its SECRET_KEY, and an initialised database its password until that is changed there as well";
    ENV_FERNET = "GG-ENV-017", "the value is not a Fernet key: 32 bytes as 44 characters of URL-safe base64", "before the first start, copy one from a fresh file, `gitgrit-ops env init new.env`; a site with data needs the key it was written with";
    ENV_REUSED = "GG-ENV-018", "two secrets have the same value, so who learns one knows both", "give one of them another value before the first start; a live site keeps its SECRET_KEY and GITGRIT_ENCRYPTION_KEY, and an initialised database its password until that is changed there as well";
    ENV_RESOLVER = "GG-ENV-019", "the value is not a list of resolvers' addresses", "give IP addresses, comma-separated";
    ENV_DOCKER_DNS = "GG-ENV-020", "127.0.0.11 is Docker's embedded resolver, which a gVisor sandbox cannot use", "give the addresses of the network's own resolvers";
    ENV_CA_PATH = "GG-ENV-021", "the CA file is not readable, or the path is not absolute", "give the absolute path of the operator's CA bundle on this host";
    ENV_CA_CONTENT = "GG-ENV-022", "the CA file is there but no trust store can be made of it", "look at it with `gitgrit-ops ca check`";
    ENV_DATABASE = "GG-ENV-023", "the value is not the address of a PostgreSQL database", "write it like postgres://user:password@db:5432/gitgrit";
    ENV_REDIS = "GG-ENV-024", "the value is not the address of a Redis server", "write it like redis://redis:6379";
    ENV_NETWORKS = "GG-ENV-025", "the value is not a list of addresses or networks", "write it like 10.0.0.0/8,192.168.1.7";
    ENV_TARGETS = "GG-ENV-026", "the value is not a list of host:port", "write it like www.google.com:443,1.1.1.1:53";
    ENV_TAG = "GG-ENV-027", "the value is not an image tag", "give the bundle's version";
    ENV_OUTSIDE = "GG-ENV-028", "sign-in with a service of the internet is switched on in a closed network", "set it to False";
    ENV_FINE = "GG-ENV-029", "nothing to say against the settings", "";
    ENV_CONFLICT = "GG-ENV-030", "the secret has one value in the file and another in data/secrets.json, so that every verb stops with exit code 12", "keep the value that the data was written with and remove the other";
    ENV_WORD = "GG-ENV-031", "the value is none of the words that the setting knows", "choose one of them";
    ENV_COUNT = "GG-ENV-045", "the value is not a whole number", "write digits alone; 0 is no limit";

    ENV_LARGE = "GG-ENV-050", "the file is larger than 1 MiB, so neither reader is asked", "look whether it is the file that you meant; settings take a few KiB";
    ENV_REFUSED = "GG-ENV-051", "Docker Compose refuses the file at this line, so no stack starts with it", "put the value in single quotes; close every quote and every `${`";
    ENV_DIFFERS = "GG-ENV-052", "Docker Compose and the site read different values from the same lines", "put the value in single quotes on one line, without quotes or backslashes inside";
    ENV_TWICE = "GG-ENV-053", "the name is set more than once, and only the last line counts", "remove the other lines";
    ENV_SHADOWED = "GG-ENV-054", "the environment of this shell sets another value, and it wins over the file", "unset the variable in the environment, or remove the line";
    ENV_UNPUBLISHED = "GG-ENV-055", "SITE_URL leads to another port than the stack publishes, and no proxy is named that joins the two", "give SITE_URL the port of APP_PORT, or name the proxy before the site in TRUSTED_PROXIES";
    ENV_PORT_BUSY = "GG-ENV-056", "something on this host listens on the port already, so the site cannot", "stop it, or choose another port";
    ENV_INSIDE = "GG-ENV-057", "the name is known only among containers, so neither browsers nor the internal GitLab find the site by it", "give the name that people and the internal GitLab use";
    ENV_SHORT_NAME = "GG-ENV-058", "a name without a dot resolves only where a search domain happens to complete it", "give the whole name, like forge.acme.internal";
    ENV_OWN_GITLAB = "GG-ENV-059", "GITLAB_URL and SITE_URL are the same address; this site is no GitLab", "set GITLAB_URL to the internal GitLab, or leave it out";
    ENV_LONG = "GG-ENV-060", "the secret is longer than 4 KiB, which no generated one is; most often a file's content was put in", "give a secret of at most 4096 bytes";
    ENV_ENCODING = "GG-ENV-061", "the file holds bytes that are not UTF-8, so the site does not read it, and Docker Compose replaces them", "save the file as UTF-8: iconv -f LATIN1 -t UTF-8 .env, or retype the line";
    ENV_RESOLVER_SELF = "GG-ENV-062", "the resolver's address leads back to the sandbox itself, where nothing resolves names", "give the addresses of the network's own resolvers";
    ENV_RESOLVER_PUBLIC = "GG-ENV-063", "the resolver is a public one, which a closed network does not reach, and which learns internal names where it does", "give the addresses of the network's own resolvers";
    ENV_PUBLIC_GITLAB = "GG-ENV-064", "GITLAB_URL is the public gitlab.com, which a closed network does not reach", "set GITLAB_URL to the internal GitLab, or leave it out";
    ENV_STORED = "GG-ENV-065", "data/secrets.json, where the site keeps the secrets that .env does not give, is not a JSON object of texts", "restore the file from a backup; other secrets do not open the data";

    SMOKE_URL = "GG-SMOKE-100", "GITLAB_URL is an https address", "";
    SMOKE_URL_UNSET = "GG-SMOKE-101", "GITLAB_URL is not set or empty", "set GITLAB_URL in .env";
    SMOKE_URL_SCHEME = "GG-SMOKE-102", "GITLAB_URL has another scheme than https; no request is sent", "set GITLAB_URL to the https address";
    SMOKE_URL_PUBLIC = "GG-SMOKE-103", "GITLAB_URL is the public gitlab.com", "set GITLAB_URL to the internal GitLab";
    SMOKE_URL_SHAPE = "GG-SMOKE-104", "GITLAB_URL names no host, or has parts that a root address has not", "write it like https://gitlab.acme.internal";
    SMOKE_CA = "GG-SMOKE-200", "REQUESTS_CA_BUNDLE is a PEM file with an authority", "";
    SMOKE_CA_UNSET = "GG-SMOKE-201", "REQUESTS_CA_BUNDLE is not set, so the system's own store decides", "set GITGRIT_CUSTOM_CA_FILE_PATH in .env";
    SMOKE_CA_UNREADABLE = "GG-SMOKE-202", "the CA bundle is missing, a directory, or not readable", "check GITGRIT_CUSTOM_CA_FILE_PATH and the compose volume mount";
    SMOKE_CA_EMPTY = "GG-SMOKE-203", "the CA bundle is zero bytes", "copy the host-side file again";
    SMOKE_CA_NOT_PEM = "GG-SMOKE-204", "the CA bundle is not PEM", "give the certificates as text, with BEGIN CERTIFICATE lines";
    SMOKE_CA_DER = "GG-SMOKE-205", "the CA bundle is DER, the binary form", "convert it: openssl x509 -inform der -in FILE -out ca.pem";
    SMOKE_CA_LEAF = "GG-SMOKE-206", "the CA bundle holds no authority, most often the server's own certificate", "give the chain that issued the server's certificate";
    SMOKE_CA_DAMAGED = "GG-SMOKE-207", "a block of the CA bundle is cut or garbled", "copy the host-side file again";
    SMOKE_CA_NONE = "GG-SMOKE-208", "the CA bundle is PEM but holds no certificate", "give the CA certificates, not a key or a request";
    SMOKE_GITLAB = "GG-SMOKE-300", "a GitLab answered, over a chain that verifies", "";
    SMOKE_TLS = "GG-SMOKE-301", "the TLS handshake with GitLab failed; the line names the certificate", "give the CA chain that signed GitLab's certificate; `gitgrit-ops ca check FILE` says what is wrong with a bundle";
    SMOKE_CONNECT = "GG-SMOKE-302", "no connection to GitLab came about", "check DNS, routing and the container's network";
    SMOKE_REQUEST = "GG-SMOKE-303", "connected to GitLab, but no whole answer came within 10 s", "look at GitLab's own health and at the proxies before it";
    SMOKE_NOT_GITLAB = "GG-SMOKE-304", "what answers at GITLAB_URL is not a GitLab's API", "correct GITLAB_URL; redirects are not followed";
    SMOKE_ISOLATED = "GG-SMOKE-400", "the isolation target is out of reach", "";
    SMOKE_REACHABLE = "GG-SMOKE-401", "the isolation target accepted a connection: this network is not closed", "close the network's way out, then run the check again";
    SMOKE_PROBE_BROKEN = "GG-SMOKE-402", "the isolation probe itself failed, so it proves nothing", "mend what the line names, then run the check again";
    SMOKE_TARGETS = "GG-SMOKE-403", "GITGRIT_ISOLATION_TARGETS does not parse", "write it like www.google.com:443,1.1.1.1:53";
    SITE_TLS = "GG-SMOKE-500", "the TLS chain that SITE_URL shows, verified with the site's CA", "give clients the site's CA (`/ca.pem`), and the server a chain up to it";
    SITE_CONNECT = "GG-SMOKE-501", "nothing answers at SITE_URL", "start the site with `gitgrit-ops up`, and check that SITE_URL's name leads here";
    SITE_PAGE = "GG-SMOKE-502", "the sign-in page at SITE_URL", "check that SITE_URL leads to this site and not to another service";
    SITE_DATABASE = "GG-SMOKE-510", "one round trip to the site's database", "look at the site's log; check DATABASE_URL and the disk";
    SITE_KEY = "GG-SMOKE-520", "encrypt and decrypt with GITGRIT_ENCRYPTION_KEY, and read what was written with it", "give back the GITGRIT_ENCRYPTION_KEY that the data was written with";
    SITE_HTTP = "GG-SMOKE-530", "clone and push of a probe repository over HTTP", "look at the site's log, and at proxies that cap request bodies";
    SITE_SSH = "GG-SMOKE-531", "clone and push of a probe repository over SSH", "check SSH_CLONE_HOST, SSH_PORT and firewalls between here and there";
    SITE_PROBE = "GG-SMOKE-532", "the probe user and repository could not be made or removed", "look at the site's log";
}

/// The finding of this id, in whatever case it is written.
pub fn find(id: &str) -> Option<&'static Known> {
    CATALOGUE.iter().find(|known| known.id.eq_ignore_ascii_case(id.trim())).copied()
}

/// The id that a mistyped one is nearest to.
pub fn nearest(id: &str) -> Option<&'static str> {
    let id: String = id.trim().chars().take(40).collect::<String>().to_ascii_uppercase();
    CATALOGUE.iter().map(|known| (crate::text::distance(&id, known.id), known.id)).min().map(|(_, near)| near)
}

impl Known {
    /// The finding, with the manual's fix and page.
    pub(crate) fn found(
        &'static self,
        severity: Severity,
        subject: impl Into<String>,
        message: impl Into<String>,
    ) -> Finding {
        Finding {
            id: self.id,
            severity,
            subject: subject.into(),
            message: message.into(),
            line: None,
            cause: if severity == Severity::Ok { String::new() } else { self.meaning.into() },
            fix: self.fix.into(),
            doc: self.doc(),
        }
    }

    /// The manual's page, below docs/.
    pub fn doc(&self) -> String {
        format!("checks.md#{}", self.id.to_ascii_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;
    use std::path::Path;

    const MARK: &str = "<!-- from here on written by the tests: GITGRIT_BLESS=1 cargo test -p checks catalogue -->\n";

    #[test]
    fn ids_are_unique_and_sorted_within_their_area() {
        let ids: Vec<_> = CATALOGUE.iter().map(|known| known.id).collect();
        assert!(ids.is_sorted() && ids.windows(2).all(|pair| pair[0] != pair[1]), "{ids:?}");
    }

    /// A finding names its page; the page must say the same.
    #[test]
    fn the_manual_lists_every_finding_with_meaning_and_fix() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/checks.md");
        let page = std::fs::read_to_string(&path).unwrap();
        let (head, written) = page.split_once(MARK).unwrap();
        let mut expected = String::new();
        for known in CATALOGUE {
            write!(expected, "\n### {}\n\n{}.\n", known.id, upper(known.meaning)).unwrap();
            if !known.fix.is_empty() {
                writeln!(expected, "Fix: {}.", known.fix).unwrap();
            }
        }
        if std::env::var_os("GITGRIT_BLESS").is_some() {
            base::file::write_atomic(&path, format!("{head}{MARK}{expected}").as_bytes(), 0o644).unwrap();
            return;
        }
        assert!(written == expected, "docs/checks.md lags behind: run GITGRIT_BLESS=1 cargo test -p checks catalogue");
    }

    fn upper(text: &str) -> String {
        let mut letters = text.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
    }
}

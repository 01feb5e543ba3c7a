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
    CA_NO_CONSTRAINTS = "GG-CA-007", "a self-issued certificate has no basicConstraints; rustls and GnuTLS still take it for an authority, OpenSSL only with a keyUsage or as version 1, strict readers never", "make the CA again with basicConstraints=critical,CA:TRUE and keyUsage=critical,digitalSignature,keyCertSign,cRLSign";
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
    CA_TOO_MANY = "GG-CA-025", "the file holds more certificates than any CA bundle, and not all were looked at", "give the authorities that this site needs alone";
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
    CA_NO_CHAIN = "GG-CA-049", "what answers shows no whole chain of certificates", "do what the finding says; else check that the port speaks TLS 1.2 or 1.3, and that the server sends at most 64 KiB of certificates";
    CA_STACK_UNSAID = "GG-CA-050", "a signature of the chain is of an algorithm that this program does not compute, so it cannot say what the stack will", "try it with the stack itself; better, have the certificate issued with RSA or ECDSA and SHA-256";
    CA_STACK_ALGORITHM = "GG-CA-051", "a signature or key of the chain is of an algorithm that the stack does not take", "have the certificate issued again with an RSA key, or an EC key on P-256 or P-384, and SHA-256";

    CONF_SETTINGS = "GG-CONF-001", "the settings, judged by `env check`; its findings are listed beside this id", "write them with `gitgrit-ops env init`";
    CONF_AUTHORITIES = "GG-CONF-002", "the operator's authorities, judged by `ca check`", "set GITGRIT_CUSTOM_CA_FILE_PATH in .env";
    CONF_GITLAB_CHAIN = "GG-CONF-003", "the chain that GITLAB_URL shows, as each TLS stack judges it", "see what `gitgrit-ops ca check --host` says";
    CONF_SITE_CHAIN = "GG-CONF-004", "the chain that SITE_URL shows, as each TLS stack judges it", "see what `gitgrit-ops ca check --host` says";

    DOCTOR_SERVER = "GG-DOCTOR-001", "the site's server does not run", "gitgrit-ops up; `gitgrit-ops logs` says how the last one ended";
    DOCTOR_STALE = "GG-DOCTOR-002", "a server was killed and could not tidy up; its note names a process that may be another's by now", "gitgrit-ops doctor --fix empties the note";
    DOCTOR_VERSION = "GG-DOCTOR-003", "the server that runs is of another version than this program", "gitgrit-ops restart";
    DOCTOR_HTTP = "GG-DOCTOR-004", "the server runs and does not answer at its door for HTTP", "look at `gitgrit-ops logs`, then gitgrit-ops restart";
    DOCTOR_READY = "GG-DOCTOR-005", "the server answers, and a part that it stands on does not: database, key or repositories", "look at `gitgrit-ops logs` and at the other findings";
    DOCTOR_SSH = "GG-DOCTOR-006", "the server runs and does not greet at its door for SSH", "look at `gitgrit-ops logs`, then gitgrit-ops restart";
    DOCTOR_SHOWN = "GG-DOCTOR-007", "the server shows another certificate than the one on disk", "gitgrit-ops restart, so that it reads the file; check that the file is the one you meant";
    DOCTOR_EXPIRY = "GG-DOCTOR-008", "a certificate of the site has ended or ends soon", "a server's certificate: `gitgrit-ops install --embedded` again issues it, or put a renewed one into data/tls; the site's own authority: set the clock if that is wrong, else move data/tls away and install again, and every client must trust the new /ca.pem";
    DOCTOR_PAIR = "GG-DOCTOR-009", "the private key on disk is not that of the certificate, so the server will not start again", "put the key that belongs to the certificate into data/tls/server.key";
    DOCTOR_SETTINGS = "GG-DOCTOR-010", "the settings are not read, so the server will not start again", "see what `gitgrit-ops env check` says";
    DOCTOR_DATABASE = "GG-DOCTOR-011", "the database does not open", "look at DATABASE_URL, at the file's mode and at the disk; restore a backup if the file is lost";
    DOCTOR_MIGRATIONS = "GG-DOCTOR-012", "the database is of an older version of this program", "gitgrit-ops restart applies what is due";
    DOCTOR_KEY = "GG-DOCTOR-013", "the encryption key does not fit the data, so tokens and second factors cannot be read", "give back the GITGRIT_ENCRYPTION_KEY that the data was written with";
    DOCTOR_INTEGRITY = "GG-DOCTOR-014", "the database's own check finds damage", "stop the site, keep a copy of data/, and restore the last backup";
    DOCTOR_AUDIT = "GG-DOCTOR-015", "the audit log is not as it was written", "keep a copy of the database, and look who had access to it: gitgrit-ops admin audit verify";
    DOCTOR_DEAD_JOBS = "GG-DOCTOR-016", "work that was put off failed too often and was given up", "see why on the page of the jobs, and begin it anew there";
    DOCTOR_OVERDUE = "GG-DOCTOR-017", "work that is due is not begun", "look at `gitgrit-ops logs`, then gitgrit-ops restart";
    DOCTOR_MISSING = "GG-DOCTOR-018", "the database knows repositories that are not on disk", "bring the directories back from a backup, or check that data/repositories is mounted";
    DOCTOR_ORPHANS = "GG-DOCTOR-019", "directories of repositories are there that the database does not know, most often after a restore of the database alone", "look what is in them, then move them away; nothing reads them";
    DOCTOR_MODES = "GG-DOCTOR-020", "others on this host may read a secret or a key", "gitgrit-ops doctor --fix sets the modes; think of what was read meanwhile";
    DOCTOR_OWNER = "GG-DOCTOR-021", "a part of the site belongs to another user, most often after a verb was run as root", "chown -R the site's directory to its user";
    DOCTOR_HOST_KEYS = "GG-DOCTOR-022", "there are no SSH host keys: the next start makes new ones, and every client will warn", "bring data/ssh back from a backup";
    DOCTOR_LEFT = "GG-DOCTOR-023", "killed processes left locks, quarantines or unfinished packs; locks keep refs from moving", "gitgrit-ops doctor --fix removes them";
    DOCTOR_PASSWORD = "GG-DOCTOR-024", "the administrator's first password is still on disk, so an installation has not ended", "run the same `gitgrit-ops install` again, and change the password";
    DOCTOR_LOG = "GG-DOCTOR-025", "the server's log has grown large", "turn it over with logrotate (copytruncate), or start the site from systemd";

    DOCTOR_PARTS = "GG-DOCTOR-026", "a part of the installation is missing or not read, so `install` and `restart` stop at it", "bring it back from a backup; `gitgrit-ops install --dry-run` names the first one that it stops at";
    DOCTOR_UNSEEN = "GG-DOCTOR-027", "a repository on disk cannot be looked into: its modes, its disk, or a part of it that is gone", "see to the path that is named; bring the repository back from a backup when a part of it is gone";

    ENGINE_PROGRAM = "GG-ENGINE-001", "the engine's command line is not installed; the stack, workflows and sandboxes need it", "install docker, and its compose plugin, from the bundle or the distribution";
    ENGINE_REACHED = "GG-ENGINE-002", "the engine does not answer this user", "start it with `systemctl start docker`, and put the user into the group docker, or run this as root; where `docker` is podman, install Docker's own";
    ENGINE_SOCKET = "GG-ENGINE-003", "the engine's socket is missing, or open to others; who may write to it is root on this host", "chown root:docker and chmod 0660 the socket; start the engine when it is not there";
    ENGINE_REMOTE = "GG-ENGINE-004", "DOCKER_HOST or the context in use leads to another host, where none of this host's directories and certificates are", "unset DOCKER_HOST and DOCKER_CONTEXT, `docker context use default`, and run this on the host that the site is to be on";
    ENGINE_VERSION = "GG-ENGINE-005", "the engine is old: what compose files and builds of today need is missing, and holes are not mended", "upgrade the engine to 24.0 or later";
    ENGINE_COMPOSE = "GG-ENGINE-006", "Docker Compose is missing or too old for the stack's file", "install the compose plugin, 2.20 or later; `docker compose version` says which is there";
    ENGINE_IPTABLES = "GG-ENGINE-007", "the engine's own settings keep it from opening ports, or from starting at all", "mend /etc/docker/daemon.json, then restart the engine";
    ENGINE_DRIVER = "GG-ENGINE-008", "the storage driver copies whole layers, or is no longer kept up", "set \"storage-driver\": \"overlay2\" in /etc/docker/daemon.json before the first image is loaded";
    ENGINE_STORE = "GG-ENGINE-009", "containerd keeps the images, which needs more room and shows other digests", "leave room for twice the bundle, or switch the feature containerd-snapshotter off";
    ENGINE_ENTRY_TYPES = "GG-ENGINE-010", "the file system below the storage driver was made without ftype=1", "make the file system again with mkfs.xfs -n ftype=1, or use ext4";
    ENGINE_CGROUP_DRIVER = "GG-ENGINE-011", "the engine and systemd do not agree on who keeps the control groups", "set \"exec-opts\": [\"native.cgroupdriver=systemd\"] in /etc/docker/daemon.json";
    ENGINE_LIVE_RESTORE = "GG-ENGINE-012", "containers end whenever the engine restarts", "set \"live-restore\": true in /etc/docker/daemon.json; an engine that is in a Swarm refuses to start with it";
    ENGINE_LIMITS = "GG-ENGINE-013", "the kernel lets the engine set no limits, so one job can take the whole host", "enable the controllers: systemd.unified_cgroup_hierarchy=1 or cgroup_enable=memory on the kernel's command line";
    ENGINE_RUNSC = "GG-ENGINE-014", "gVisor is not registered with the engine, so sandboxes fall back to the default runtime, whose isolation is weaker", "gVisor: sudo runsc install && sudo systemctl restart docker";
    ENGINE_DEFAULT_RUNTIME = "GG-ENGINE-015", "everything runs under a runtime that is meant for sandboxes", "take \"default-runtime\" out of /etc/docker/daemon.json";
    ENGINE_PROXY = "GG-ENGINE-016", "the engine asks registries through a proxy: a way out of a closed network, or a wait for nothing", "take the proxy out of the engine's unit or /etc/docker/daemon.json, or list the site in NO_PROXY";
    ENGINE_MIRRORS = "GG-ENGINE-017", "the engine asks a mirror for images that it lacks, although a bundle brings them", "take \"registry-mirrors\" out of /etc/docker/daemon.json, unless the mirror is the site's own";
    ENGINE_INSECURE = "GG-ENGINE-018", "images from these registries come unproven, from whoever answers", "give the registry a certificate of the site's authority, and take it out of \"insecure-registries\"";
    ENGINE_LOGS = "GG-ENGINE-019", "logs of containers leave this host, or are thrown away", "set \"log-driver\": \"local\" in /etc/docker/daemon.json";
    ENGINE_ROOTLESS = "GG-ENGINE-020", "the engine runs without root's rights", "publish ports above 1024, and delegate the controllers to the user (systemd: Delegate=yes)";
    ENGINE_REMAPPED = "GG-ENGINE-021", "users of containers are others on the host", "chown the site's directories to the remapped users, or set userns_mode: host";
    ENGINE_SECCOMP = "GG-ENGINE-022", "containers are kept from other system calls than the engine would keep them from, or from none", "take \"seccomp-profile\" out of /etc/docker/daemon.json";
    ENGINE_DEBUG = "GG-ENGINE-023", "the engine writes all that it does into its log", "take \"debug\" out of /etc/docker/daemon.json";
    ENGINE_CLOCK = "GG-ENGINE-024", "the engine's clock is not this host's", "point both hosts at your NTP server";
    ENGINE_WARNINGS = "GG-ENGINE-025", "the engine itself warns of what it lacks", "see `docker info`; most are switches of the kernel";
    ENGINE_CONTAINER = "GG-ENGINE-026", "a container of nothing but this host's own programs does not start", "look at the engine's log: journalctl -u docker";
    ENGINE_RUNSC_USED = "GG-ENGINE-027", "gVisor is registered, and yet a container under it does not start or runs on the host's own kernel", "gVisor: sudo runsc install && sudo systemctl restart docker; `docker inspect -f '{{.HostConfig.Runtime}}' ID` says what a container got";
    ENGINE_LOG_SIZE = "GG-ENGINE-028", "the log of a container grows until the disk is full", "set \"log-opts\": {\"max-size\": \"50m\", \"max-file\": \"3\"} in /etc/docker/daemon.json";
    ENGINE_OPEN_FILES = "GG-ENGINE-029", "containers may open few files, so databases and servers in them refuse connections", "raise \"default-ulimits\" in /etc/docker/daemon.json, or LimitNOFILE of the engine's unit";

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

    HOST_KERNEL = "GG-HOST-001", "the kernel is old; containers, gVisor and the walls around git need a newer one", "upgrade the kernel to 5.10 or later";
    HOST_ARCHITECTURE = "GG-HOST-002", "the machine is of another architecture than this program, or says so", "use the bundle for this machine's architecture";
    HOST_LANDLOCK = "GG-HOST-003", "the kernel has no Landlock, so git is not kept to its own repository", "boot a kernel from 5.13 on with landlock in lsm=";
    HOST_SECCOMP = "GG-HOST-004", "the kernel takes no seccomp filter, so that no git starts behind walls", "boot a kernel with CONFIG_SECCOMP_FILTER; inside a container, allow the call";
    HOST_USER_NAMESPACES = "GG-HOST-005", "users cannot make namespaces, so a rootless engine and some sandboxes do not start", "set the switch that is named, and keep it in /etc/sysctl.d: user.max_user_namespaces=15000, kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0";
    HOST_OVERLAY = "GG-HOST-006", "the kernel does not know overlayfs, so the engine falls back to copying layers", "modprobe overlay, and list it in /etc/modules-load.d";
    HOST_CGROUP = "GG-HOST-007", "control groups are of version 1, or not mounted, so limits are coarse or missing", "boot with systemd.unified_cgroup_hierarchy=1";
    HOST_CONTROLLERS = "GG-HOST-008", "a controller is missing, so one job can take the whole host", "boot with cgroup_enable=memory, or delegate the controllers to this group";
    HOST_FORWARDING = "GG-HOST-009", "the kernel forwards no packets, so containers are cut off", "sysctl net.ipv4.ip_forward=1, kept in /etc/sysctl.d";
    HOST_OVERCOMMIT = "GG-HOST-010", "the kernel gives out no more memory than there is", "sysctl vm.overcommit_memory=1, or 0";
    HOST_SELINUX = "GG-HOST-011", "SELinux decides which files containers may read", "label the site's directory: chcon -R -t container_file_t DIR, or mount it with :Z";
    HOST_APPARMOR = "GG-HOST-012", "the engine cannot load its AppArmor profile, so no container starts", "install the package apparmor";
    HOST_MEMORY = "GG-HOST-013", "there is little memory: 1 GiB is the least, 4 GiB are wanted for a stack", "give the machine or the control group more memory";
    HOST_MEMORY_FREE = "GG-HOST-014", "most of the memory is taken", "end what takes it, or give the machine more";
    HOST_SWAP = "GG-HOST-015", "swap is in heavy use, or missing where memory is short", "give the machine more memory, or some swap";
    HOST_PROCESSORS = "GG-HOST-016", "one processor does all, so that a large push stops the pages", "give the machine or this process two or more";
    HOST_OPEN_FILES = "GG-HOST-017", "a process may open few files, so the server refuses connections under load", "raise `ulimit -Hn`, or LimitNOFILE of the unit, to 65536";
    HOST_PROCESSES = "GG-HOST-018", "a user may start few processes, so that git and threads do not start under load", "raise `ulimit -Hu`, or TasksMax of the unit";
    HOST_UMASK = "GG-HOST-019", "new files are writable by all users of this host", "umask 0022, or 0077";
    HOST_DISK = "GG-HOST-020", "a file system that the site fills has little room", "free some, or put the directory on a larger one";
    HOST_INODES = "GG-HOST-021", "a file system has few entries left; git and layers need many small files", "remove old files, or make the file system again with more (mkfs.ext4 -N)";
    HOST_READ_ONLY = "GG-HOST-022", "a place that the site writes to is mounted read-only", "mount -o remount,rw it, and look at the kernel's log for why";
    HOST_NOEXEC = "GG-HOST-023", "programs do not start from this file system", "mount -o remount,exec it, or set TMPDIR elsewhere";
    HOST_FILE_SYSTEM = "GG-HOST-024", "the kind of file system does not keep what a database needs kept", "use a local ext4 or xfs for the site's and the engine's directory";
    HOST_TEMPORARY = "GG-HOST-025", "temporary files have no place, or an unsafe one", "set TMPDIR to a directory of this user, or chmod 1777 /tmp";
    HOST_SITE_OWNER = "GG-HOST-026", "others may put files into the site's directory, or it belongs to another user", "chown it to the site's user and chmod 0750 it";
    HOST_LATENCY = "GG-HOST-027", "each durable write takes long, and every push and transaction waits for some", "use a local disk, or a faster one";
    HOST_CLOCK = "GG-HOST-028", "the clock is wrong by years, so that no certificate verifies", "point the host at your NTP server";
    HOST_TIME_SOURCE = "GG-HOST-029", "nothing keeps the clock, and drift breaks TLS with `not yet valid` or `expired`", "point the host at your NTP server (chrony: server ntp.acme.internal iburst)";
    HOST_CLOCK_APART = "GG-HOST-030", "this host and GitLab, or the site's address, do not agree on the time, so certificates and sign-in fail on one of them", "point the host at your NTP server, and GitLab's host too";
    HOST_TIME_ZONE = "GG-HOST-031", "the time zone that is set is not there", "timedatectl set-timezone, or install tzdata";
    HOST_NAME = "GG-HOST-032", "the host has no name of its own, so logs and backups of several hosts look alike", "hostnamectl set-hostname forge.acme.internal";
    HOST_NAME_KNOWN = "GG-HOST-033", "the host does not find itself by its name, and programs wait for an answer", "add the name to /etc/hosts";
    HOST_SYSTEMD = "GG-HOST-034", "no systemd runs, so nothing starts the site at boot", "start the site from the init that runs here; docs/install.md has the unit for the others";
    HOST_GIT = "GG-HOST-035", "git is missing or too old", "install git 2.39 or later";
    HOST_PROGRAMS = "GG-HOST-036", "a program that some verbs start is missing", "install it from the distribution";
    HOST_USER = "GG-HOST-037", "the program runs with another user's rights than its caller's", "run it without set-user-id";
    HOST_TRUST = "GG-HOST-038", "this host's own store lacks the operator's authorities, so browsers and clients here say that the connection is not private", "import the CA into the system's or the browser's trust store: gitgrit-ops ca trust FILE";

    ISO_CLOSED = "GG-ISO-001", "from this vantage point nothing outside answers, and the probe works there", "";
    ISO_TCP = "GG-ISO-002", "a TCP connection to the outside comes about: this network is not closed", "close the way out for all ports and both protocol versions, on the router and not on this host alone, then probe again";
    ISO_RESOLVER = "GG-ISO-003", "a DNS resolver outside answers, so data can leave inside of names", "let only the site's own resolvers send to port 53, over UDP and TCP";
    ISO_NAME = "GG-ISO-004", "the resolver that is used here knows public names, so data can leave inside of names", "take the forwarders and root hints from the internal resolver, so that it knows the site's own zones alone";
    ISO_QUIC = "GG-ISO-005", "a QUIC server outside answers over UDP", "close UDP as well as TCP, most of all port 443";
    ISO_NTP = "GG-ISO-006", "a time server outside answers", "let hosts ask the internal NTP server alone";
    ISO_PROXY = "GG-ISO-007", "an HTTP proxy that is configured here leads out", "take the proxy's variables or settings away, or let the proxy refuse every host outside";
    ISO_METADATA = "GG-ISO-008", "the address where clouds hand credentials to machines answers", "block 169.254.169.254 and fd00:ec2::254, at the least for containers";
    ISO_MIRROR = "GG-ISO-009", "a registry mirror that the engine is set to answers", "nothing when it is the site's own; else take it out of the engine's daemon.json";
    ISO_INTERCEPTED = "GG-ISO-010", "something answers in the place of the outside: nothing is proven, for it may also lead out", "find out which proxy or firewall answers, and let it drop or refuse; docs/isolation.md says how it was recognised";
    ISO_BROKEN = "GG-ISO-011", "the probe does not work from here, so that silence proves nothing", "mend what the finding names, most often a loopback that is down or filtered, then probe again";
    ISO_UNSEEN = "GG-ISO-012", "a vantage point that nobody could look from", "run as root; name an image with a C library by `--image`; or take the network away when nothing uses it";
    ISO_ENGINE = "GG-ISO-013", "what the Docker engine said of itself", "start the engine, or run as somebody who may use it";
    ISO_BUDGET = "GG-ISO-014", "the budget ended before there was an answer, so nothing is proven", "give more time with `--budget`, or fewer targets";
    ISO_PASSWORD = "GG-ISO-015", "a proxy asks for a password, so who has one may get out; an error where the proxy's address here holds one", "take the password out of the proxy's settings, or let the proxy refuse every host outside to everybody";
    ISO_PUZZLE = "GG-ISO-016", "a setting that names a proxy, a mirror or a resolver cannot be read, so nobody was asked there", "correct the setting, or name the place by `--target`";
    ISO_SITES_OWN = "GG-ISO-017", "a public name has an address of the site's own here, and nothing shows that the resolver asked others for it", "nothing when the site answers for that name itself; else take the name's zone from the resolver";

    NET_HTTP_PORT = "GG-NET-001", "the port for HTTP is taken or not allowed", "find who holds it with `ss -ltnp`, or set another in SITE_URL or APP_PORT";
    NET_SSH_PORT = "GG-NET-002", "the port for SSH is taken or not allowed", "find who holds it with `ss -ltnp`, or set another SSH_PORT";
    NET_PORT_RANGE = "GG-NET-003", "the kernel may give a port of the site to an outgoing connection", "sysctl net.ipv4.ip_local_reserved_ports, or a range above 32768";
    NET_LOOPBACK = "GG-NET-004", "the loopback is down, so the site cannot reach its own parts", "ip link set lo up";
    NET_RESOLVER = "GG-NET-010", "the host asks no resolver, or more than are used", "list up to three resolvers of this network in /etc/resolv.conf";
    NET_RESOLVER_LOOPBACK = "GG-NET-011", "the resolvers are known to this host alone, and containers and sandboxes cannot use them", "set SANDBOX_DNS, and \"dns\" in /etc/docker/daemon.json, to the network's own resolvers";
    NET_RESOLVER_ANSWERS = "GG-NET-012", "a resolver does not answer, so each name takes seconds or is not found", "correct /etc/resolv.conf, or start the resolver";
    NET_SANDBOX_RESOLVERS = "GG-NET-013", "a resolver in SANDBOX_DNS does not answer, so sandboxes find no GitLab", "set SANDBOX_DNS to resolvers that this network has";
    NET_NAME_SWITCH = "GG-NET-014", "names are looked for in one place only", "write `hosts: files dns` in /etc/nsswitch.conf";
    NET_SITE_NAME = "GG-NET-020", "SITE_URL's name is not known here", "add it to the internal DNS, or to /etc/hosts on the air-gap host";
    NET_SITE_HERE = "GG-NET-021", "SITE_URL's name leads to another host, or for everybody to himself", "correct the name's address, or name the proxy in TRUSTED_PROXIES";
    NET_WILDCARD = "GG-NET-022", "the domain knows every name, so mistyped names lead somewhere and search domains mislead containers", "take the wildcard (*) out of the zone, or the domain out of `search` in /etc/resolv.conf";
    NET_GITLAB_NAME = "GG-NET-023", "GITLAB_URL's name is not known here", "fix the internal DNS, or add an /etc/hosts entry on the air-gap host";
    NET_GITLAB = "GG-NET-024", "what answers at GITLAB_URL, judged by the smoke test; its finding is listed beside this id", "set GITLAB_URL in .env";
    NET_OVERLAP = "GG-NET-030", "a network of the engine has addresses that this host reaches elsewhere, so one of them is cut off", "remove the network, and make it again with another subnet";
    NET_POOLS = "GG-NET-031", "the engine will make networks with addresses that this host reaches elsewhere", "set \"default-address-pools\" in /etc/docker/daemon.json to a range that nobody uses";
    NET_PACKET_SIZE = "GG-NET-032", "bridges send packets that the way out does not take, so large answers hang", "set \"mtu\" in /etc/docker/daemon.json, and driver_opts of the network, to that of the way out";
    NET_IPV6 = "GG-NET-033", "programs try IPv6 first and wait for it", "take `::1 localhost` out of /etc/hosts, or switch IPv6 on for lo";
    NET_SECOND_STACK = "GG-NET-040", "a second stack on this host shares the fixed-name bridge gitgrit_internal: `db` resolves to both databases, the app takes whichever comes first, and its password fails there", "one stack per host: tear down the older one with docker compose -f docker-compose.full.yaml down";
    NET_INTERNAL_DRIVER = "GG-NET-041", "the network gitgrit_internal is not the one that Compose makes", "docker network rm gitgrit_internal, and let Compose make it";
    NET_PROXY = "GG-NET-042", "programs of this host reach the site and GitLab through a proxy", "add both hosts to NO_PROXY, or unset the proxy";
    NET_CLIENT_PROXY = "GG-NET-043", "the engine's client gives proxies to every container", "take \"proxies\" out of the engine's config.json";

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
        let has_remedy = matches!(severity, Severity::Warning | Severity::Error);
        Finding {
            id: self.id,
            severity,
            subject: subject.into(),
            message: message.into(),
            cause: if has_remedy { self.meaning.into() } else { String::new() },
            fix: if has_remedy { self.fix.into() } else { String::new() },
            line: None,
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

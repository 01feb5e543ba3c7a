//! Where things are in a site's directory. One directory holds a site; nothing of it is elsewhere.

use std::path::{Path, PathBuf};

/// The layout of a site's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteDir {
    root: PathBuf,
}

macro_rules! places {
    ($($(#[$doc:meta])* $name:ident: $path:literal;)*) => {
        $($(#[$doc])* pub fn $name(&self) -> PathBuf { self.root.join($path) })*
    };
}

impl SiteDir {
    /// The site at `root`; nothing is looked at or created.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    places! {
        /// The settings, mode 0600.
        env: ".env";
        /// What the forge keeps: database, repositories, keys. Mode 0700.
        data: "data";
        /// The database of an embedded site.
        database: "data/gitgrit.sqlite";
        /// Bare repositories, `xx/<id>.git`.
        repositories: "data/repositories";
        /// Secrets that the program made where no `.env` gave them.
        secrets: "data/secrets.json";
        /// SSH host keys.
        ssh: "data/ssh";
        /// Certificates: the site's authority and the server's own.
        tls: "data/tls";
        /// The authority's certificate, for clients.
        ca_certificate: "data/tls/ca.pem";
        /// The authority's private key, mode 0600.
        ca_key: "data/tls/ca.key";
        /// The server's certificate chain.
        server_certificate: "data/tls/server.pem";
        /// The server's private key, mode 0600.
        server_key: "data/tls/server.key";
        /// What operations leave: journal, locks, logs, evidence.
        state: "state";
        /// Held by the operation that is changing the site.
        lock: "state/lock";
        /// What operations have done, one JSON object a line.
        journal: "state/journal.jsonl";
        /// Held by the running server; says its process id and addresses as JSON.
        serve_lock: "state/serve.lock";
        /// Where the server listens, as the installation was told: two addresses as JSON.
        listen: "state/listen.json";
        /// The administrator's name and first password, `NAME:PASSWORD` at mode 0600, until an installation has ended and shown it.
        initial_password: "state/initial-admin-password";
        /// What the server printed.
        serve_log: "state/serve.log";
    }
}

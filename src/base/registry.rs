//! The table of settings. A table, so its length is not a file's length.

use crate::settings::{Role, Rule, Setting};

/// Every setting, in the order in which the template shows them.
pub const REGISTRY: &[Setting] = &[
    row("TAG", Rule::Tag, "", Role::Optional, "image tag, the version of the bundle"),
    row(
        "SITE_URL",
        Rule::SiteUrl,
        "",
        Role::Required,
        "address of this site, as people and the internal GitLab reach it; must not be localhost",
    ),
    row("APP_PORT", Rule::Port, "3000", Role::Optional, "host port that the stack publishes the web application on"),
    row("SSH_PORT", Rule::Port, "2424", Role::Optional, "host port for Git over SSH, shown in clone addresses"),
    row(
        "SSH_CLONE_HOST",
        Rule::Host,
        "",
        Role::Optional,
        "host name shown in SSH clone addresses; SITE_URL's host when not set",
    ),
    row(
        "SECRET_KEY",
        Rule::Secret(50),
        "",
        Role::Required,
        "kept for what the site will sign; nothing is signed with it yet, and changing it ends no session",
    ),
    row(
        "GITGRIT_ENCRYPTION_KEY",
        Rule::Fernet,
        "",
        Role::Required,
        "encrypts stored tokens; data written with one key cannot be read with another",
    ),
    row(
        "DATABASE_URL",
        Rule::DatabaseUrl,
        "",
        Role::Optional,
        "database, wins over DB_*; the site's own SQLite file when neither is set",
    ),
    row("REDIS_URL", Rule::RedisUrl, "", Role::Optional, "Redis server of a stack; an embedded site needs none"),
    row("POSTGRES_USER", Rule::Text, "gitgrit", Role::Optional, "user of the stack's database"),
    row("POSTGRES_DB", Rule::Text, "gitgrit", Role::Optional, "name of the stack's database"),
    row(
        "POSTGRES_PASSWORD",
        Rule::Secret(16),
        "",
        Role::Optional,
        "password of the stack's database; needed by a stack, not by an embedded site",
    ),
    row(
        "AUTH_PROVIDER_GITHUB_ENABLED",
        Rule::Boolean,
        "False",
        Role::Optional,
        "sign-in with GitHub; has no use in a closed network",
    ),
    row("AUTH_PROVIDER_GITLAB_ENABLED", Rule::Boolean, "True", Role::Optional, "sign-in with the internal GitLab"),
    row(
        "AUTH_PROVIDER_GOOGLE_ENABLED",
        Rule::Boolean,
        "False",
        Role::Optional,
        "sign-in with Google; has no use in a closed network",
    ),
    row("GITLAB_URL", Rule::GitLabUrl, "", Role::GitLab, "root address of the internal GitLab, no slash at the end"),
    row(
        "GITLAB_CLIENT_ID",
        Rule::Text,
        "",
        Role::GitLab,
        "id of the OAuth application in GitLab; callback ${SITE_URL}/accounts/gitlab/login/callback/",
    ),
    row("GITLAB_CLIENT_SECRET", Rule::Secret(16), "", Role::GitLab, "secret of the OAuth application in GitLab"),
    row(
        "SANDBOX_DNS",
        Rule::Resolvers,
        "",
        Role::Optional,
        "internal resolvers for sandboxes, comma-separated; gVisor cannot use Docker's embedded one",
    ),
    row(
        "GITGRIT_CUSTOM_CA_FILE_PATH",
        Rule::CaFile,
        "",
        Role::GitLab,
        "path on the host of the operator's CA bundle, PEM",
    ),
    row(
        "TRUSTED_PROXIES",
        Rule::Networks,
        "",
        Role::Optional,
        "reverse proxies whose forwarded addresses are believed, comma-separated",
    ),
    row(
        "PROXY_PROTOCOL",
        Rule::OneOf(&["off", "accept", "require"]),
        "off",
        Role::Optional,
        "whether TRUSTED_PROXIES begin a connection with a PROXY header: off, accept or require",
    ),
    row(
        "GITGRIT_TRANSFER_SECONDS",
        Rule::Count,
        "21600",
        Role::Optional,
        "seconds that one clone, fetch or push may take in all; 0 is no limit",
    ),
    row(
        "GITGRIT_TRANSFER_LEAST_RATE",
        Rule::Count,
        "512",
        Role::Optional,
        "bytes a second that a client must send or take on average, after two minutes of waiting for it; 0 is no limit",
    ),
    row(
        "GITGRIT_TRANSFERS_PER_USER",
        Rule::Count,
        "16",
        Role::Optional,
        "clones, fetches and pushes of one user that run at once, others wait; 0 is no limit",
    ),
    row(
        "GITGRIT_TRANSFERS_PER_REPOSITORY",
        Rule::Count,
        "0",
        Role::Optional,
        "clones, fetches and pushes of one repository that run at once, others wait; 0 is no limit",
    ),
    row(
        "GITGRIT_TRANSFERS_PER_MINUTE",
        Rule::Count,
        "1200",
        Role::Optional,
        "clones, fetches and pushes that one user may begin in a minute; 0 is no limit",
    ),
    row(
        "GITGRIT_TRANSFERS_PER_REPOSITORY_MINUTE",
        Rule::Count,
        "0",
        Role::Optional,
        "clones, fetches and pushes of one repository that may begin in a minute, whoever asks; 0 is no limit",
    ),
    row(
        "GITGRIT_ISOLATION_TARGETS",
        Rule::Targets,
        "www.google.com:443",
        Role::Optional,
        "what the isolation probe tries to reach, host:port, comma-separated",
    ),
    row(
        "AIRGAPPED",
        Rule::OnlyTrue,
        "True",
        Role::ComposeInternal,
        "the site loads nothing from outside; only True is valid",
    ),
    row("SANDBOX_NETWORK", Rule::Text, "gitgrit_internal", Role::ComposeInternal, "network that sandboxes join"),
    row(
        "REQUESTS_CA_BUNDLE",
        Rule::CaFile,
        "",
        Role::ComposeInternal,
        "the operator's CA bundle as the container sees it",
    ),
    row("SSL_CERT_FILE", Rule::CaFile, "", Role::ComposeInternal, "the same, for programs that read this name"),
    row("DB_HOST", Rule::Host, "db", Role::ComposeInternal, "host of the database"),
    row("DB_PORT", Rule::Port, "5432", Role::ComposeInternal, "port of the database"),
    row("DB_NAME", Rule::Text, "gitgrit", Role::ComposeInternal, "name of the database, from POSTGRES_DB"),
    row("DB_USER", Rule::Text, "gitgrit", Role::ComposeInternal, "user of the database, from POSTGRES_USER"),
    row("DB_PASSWORD", Rule::Text, "", Role::ComposeInternal, "password of the database, from POSTGRES_PASSWORD"),
];

/// The setting with this name.
pub fn find(name: &str) -> Option<&'static Setting> {
    REGISTRY.iter().find(|setting| setting.name == name)
}

const fn row(name: &'static str, rule: Rule, default: &'static str, role: Role, purpose: &'static str) -> Setting {
    Setting { name, purpose, rule, default, role }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::path::Path;

    use super::{REGISTRY, Role};

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = REGISTRY.iter().map(|setting| setting.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    /// `docs/settings.md` is the registry as a page; it must not lag behind.
    #[test]
    fn the_manual_lists_every_setting() {
        let mut page = String::from(
            "# Settings\n\nValues come from the process environment, then `--env-file`, then the site's `.env`. \
             `gitgrit-ops env check` judges a file.\n\nThose of the stack (`TAG`, `APP_PORT`, `POSTGRES_*`), of sign-in \
             (`AUTH_PROVIDER_*`, `GITLAB_CLIENT_*`) and of sandboxes (`SANDBOX_*`) are judged, and do nothing on an \
             embedded site yet. `data/secrets.json` gives the two secrets where `.env` does not.\n\n| name | default | set by | purpose |\n|---|---|---|---|\n",
        );
        for setting in REGISTRY {
            let role = match setting.role {
                Role::Required => "the operator, always",
                Role::Optional => "the operator, when the default does not fit",
                Role::GitLab => "the operator, when a GitLab is connected",
                Role::ComposeInternal => "the stack; do not override",
            };
            let default = if setting.default.is_empty() { String::new() } else { format!("`{}`", setting.default) };
            writeln!(page, "| `{}` | {default} | {role} | {} |", setting.name, setting.purpose).unwrap();
        }
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/settings.md");
        if std::env::var_os("GITGRIT_BLESS").is_some() {
            crate::file::write_atomic(&path, page.as_bytes(), 0o644).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), page, "run GITGRIT_BLESS=1 cargo test");
    }
}

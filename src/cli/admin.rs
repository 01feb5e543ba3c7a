//! Administration from the host's own shell: whoever may read the site's `.env` needs no password of the site's.
//! Never migrates a database: a server of another version may be at work on it.

use std::future::Future;

use base::site::SiteDir;
use clap::{Args, Subcommand, ValueEnum};
use forge::{Forge, Visibility};

use super::site::{forge_options, runtime};
use super::{
    Console, Exit, Failure, admin_audit, admin_db, admin_organisation, admin_repository, admin_token, admin_user,
};

/// Administer a site from the host's own shell
#[derive(Debug, Args)]
pub(crate) struct AdminArgs {
    #[command(subcommand)]
    verb: AdminVerb,
}

#[derive(Debug, Subcommand)]
enum AdminVerb {
    Audit(admin_audit::AuditArgs),
    #[command(name = "org")]
    Organisation(admin_organisation::OrganisationArgs),
    #[command(name = "repo")]
    Repository(admin_repository::RepositoryArgs),
    Token(admin_token::TokenArgs),
    Db(admin_db::DbArgs),
    User(admin_user::UserArgs),
}

/// Who may know of something.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Reach {
    /// Everyone who reaches the site
    Public,
    /// Everyone who is signed in
    Internal,
    /// Members alone
    Private,
}

impl Reach {
    pub(super) const fn visibility(self) -> Visibility {
        match self {
            Self::Public => Visibility::Public,
            Self::Internal => Visibility::Internal,
            Self::Private => Visibility::Private,
        }
    }

    pub(super) const fn of(visibility: Visibility) -> &'static str {
        match visibility {
            Visibility::Public => "public",
            Visibility::Internal => "internal",
            Visibility::Private => "private",
        }
    }
}

pub(crate) fn run(args: &AdminArgs, console: &mut Console) -> Result<Exit, Failure> {
    match &args.verb {
        AdminVerb::Audit(args) => admin_audit::run(args, console),
        AdminVerb::Organisation(args) => admin_organisation::run(args, console),
        AdminVerb::Repository(args) => admin_repository::run(args, console),
        AdminVerb::Token(args) => admin_token::run(args, console),
        AdminVerb::Db(args) => admin_db::run(args, console),
        AdminVerb::User(args) => admin_user::run(args, console),
    }
}

/// Opens the site's forge in this process, also while a server runs, does `work` and closes it.
pub(super) fn with_forge<T, W>(site: &SiteDir, work: impl FnOnce(Forge) -> W) -> Result<T, Failure>
where
    W: Future<Output = Result<T, Failure>>,
{
    let settings = airgap::facts::settings(site)?;
    airgap::facts::refuse_lost_database(site, &settings)?;
    let options = forge_options(site, settings);
    runtime()?.block_on(async {
        // Opening says so itself where it is the key or the version that does not fit.
        if let Ok(pending) = Forge::pending_migrations(&options).await
            && !pending.is_empty()
        {
            let said = format!("{} migration(s) of the database are due", pending.len());
            return Err(Failure::said(Exit::Failure, said).hinted("`gitgrit-ops restart` applies them"));
        }
        let forge = Forge::open(options).await?;
        let done = work(forge.clone()).await;
        forge.close().await;
        done
    })
}

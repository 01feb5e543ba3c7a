//! Administration from the host's own shell: whoever may read the site's `.env` needs no password of the site's.
//! Never migrates a database: a server of another version may be at work on it.

use std::future::Future;

use base::site::SiteDir;
use clap::{Args, Subcommand};
use forge::Forge;

use super::site::{forge_options, runtime};
use super::{Console, Exit, Failure, admin_audit, admin_db, admin_user};

/// Administer a site from the host's own shell
#[derive(Debug, Args)]
pub(crate) struct AdminArgs {
    #[command(subcommand)]
    verb: AdminVerb,
}

#[derive(Debug, Subcommand)]
enum AdminVerb {
    Audit(admin_audit::AuditArgs),
    Db(admin_db::DbArgs),
    User(admin_user::UserArgs),
}

pub(crate) fn run(args: &AdminArgs, console: &mut Console) -> Result<Exit, Failure> {
    match &args.verb {
        AdminVerb::Audit(args) => admin_audit::run(args, console),
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

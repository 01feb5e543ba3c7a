//! What is not there inside a repository that the visitor may read: the page names it and says where to go instead.

use base::name::{RepoPath, TreePath, shown};
use forge::{Missing, RepoRead};

use super::failure::{Failure, Lost};
use super::search::names_href;
use super::target;
use crate::state::AppState;

/// The failure for an address that named nothing: what of `<revision>/<path>` is missing, when that is the reason.
pub(crate) async fn explained(state: &AppState, repo: &RepoRead, rest: &[u8], error: forge::Error) -> Failure {
    if !matches!(error, forge::Error::NotFound | forge::Error::Name(_)) {
        return error.into();
    }
    match state.forge.missing(repo, rest).await {
        Ok(missing) => Failure::Lost(Box::new(page(&repo.summary().path, &missing))),
        Err(forge::Error::NotFound | forge::Error::Name(_)) => Failure::NotFound,
        Err(other) => other.into(),
    }
}

/// The failure for a commit that is not there.
pub(crate) fn commit(repository: &RepoPath, id: &str, error: forge::Error) -> Failure {
    if !matches!(error, forge::Error::NotFound) {
        return error.into();
    }
    let base = target::repository(repository);
    Failure::Lost(Box::new(Lost {
        what: format!("There is no commit “{}” in {repository}.", shown(id)),
        links: vec![("All commits".into(), format!("{base}/commits")), ("Branches".into(), format!("{base}/branches"))],
    }))
}

fn page(repository: &RepoPath, missing: &Missing) -> Lost {
    let base = target::repository(repository);
    let asked = shown(&String::from_utf8_lossy(&missing.asked));
    let mut links = Vec::new();
    let what = match &missing.revision {
        None => format!("There is no branch, tag or commit in {repository} that “{asked}” begins with."),
        Some(revision) => {
            if let Some(directory) = missing.nearest.as_ref().filter(|directory| !directory.is_root()) {
                let href = target::within(repository, "src", &revision.name, directory);
                links.push((format!("The directory {}", shown(&directory.to_string())), href));
            }
            let href = target::within(repository, "src", &revision.name, &TreePath::default());
            links.push((format!("All files at {}", shown(&revision.name)), href));
            format!("There is no “{asked}” at {} in {repository}.", shown(&revision.name))
        }
    };
    if let Some(branch) = &missing.default_branch {
        let is_shown = missing.revision.as_ref().is_some_and(|revision| revision.reference.as_ref() == Some(branch));
        if !is_shown {
            links.push((format!("The default branch, {}", shown(branch.short())), base.clone()));
        }
    }
    links.push(("Branches".into(), format!("{base}/branches")));
    let revision = missing.revision.as_ref().map(|revision| revision.name.as_str());
    let name = missing.asked.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let name = target::encode_value(&String::from_utf8_lossy(name));
    links.push(("Find a file by its name".into(), format!("{}&q={name}", names_href(&base, revision))));
    Lost { what, links }
}

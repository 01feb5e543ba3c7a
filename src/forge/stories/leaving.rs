//! Every way in which a repository's content leaves the site is on record, unless everyone may have it anyway.

use super::*;
use crate::{CompareSpec, Error, NewOrganisation, PatchFormat, Protocol, RepoRead, SiteSettings, Transport};
use base::name::{OwnerName, TreePath};

/// A public repository `name` of `owner` with one commit, as `alice` made it.
async fn filled(site: &Site, alice: &Actor, owner: &str, name: &str) -> String {
    let new = NewRepo { name: name.into(), description: String::new(), visibility: Visibility::Public };
    site.forge.create_repo_in(alice, &OwnerName::parse(owner).unwrap(), new).await.unwrap();
    let work = Work::new();
    let commit = work.commit("README.md", b"# Notes\n");
    let push = site.forge.begin_push(alice, &path(&format!("{owner}/{name}"))).await.unwrap();
    let body = work.push_body(&[(ZERO, &commit, "refs/heads/main")], "");
    push.run(Transport::Http, &body[..], Vec::new()).await.unwrap();
    commit
}

/// Takes the content by every way there is, each twice; what is recorded of it, in order.
async fn taken(site: Site, actor: &Actor, at: &str, commit: &str) -> (Site, Vec<String>) {
    let forge = &site.forge;
    let last = super::audit::all(&site).await.last().map_or(0, |record| record.number);
    for _ in 0..2 {
        let repo: RepoRead = forge.repo(actor, &path(at)).await.unwrap();
        forge.archive(&repo, b"main.zip").await.unwrap();
        forge.raw(&repo, b"main/README.md").await.unwrap();
        let file = TreePath::parse(b"README.md").unwrap();
        forge.contents(&repo, "main", &file).await.unwrap();
        let id = forge.file_id(&repo, &base::name::Oid::parse(commit).unwrap(), &file).await.unwrap();
        forge.blob(&repo, &id).await.unwrap();
        forge.commit_patch(&repo, commit, PatchFormat::Mail).await.unwrap();
        let spec = CompareSpec { base: commit.into(), head: "main".into(), is_direct: true };
        forge.compare_patch(&repo, &spec, PatchFormat::Diff).await.unwrap();
        for transport in [Transport::Http, Transport::Ssh] {
            let upload = forge.begin_upload(actor, &path(at)).await.unwrap();
            // Nothing is asked for; the request is what counts.
            let _ = upload.run(transport, Protocol::V0, &b"0000"[..], Vec::new()).await;
        }
    }
    let site = super::audit::settled(site).await;
    let records = super::audit::all(&site).await.into_iter().filter(|record| record.number > last);
    let told = records.filter(|record| record.action == "repo.fetched");
    let told = told.map(|record| format!("{} {}", record.object, record.new.unwrap())).collect();
    (site, told)
}

#[tokio::test]
async fn every_way_out_of_what_is_not_open_to_all_is_on_record() {
    let site = Site::open().await;
    let (alice, root) = (site.user("alice").await, site.sign_in("root").await);
    let new = NewOrganisation {
        name: "acme".into(),
        full_name: String::new(),
        description: String::new(),
        visibility: Visibility::Private,
    };
    site.forge.create_organisation(&alice, new).await.unwrap();
    let inside = filled(&site, &alice, "acme", "plans").await;
    let open = filled(&site, &alice, "alice", "open").await;
    let expected = |at: &str| {
        ["archive", "file", "patch", "http", "ssh", "archive", "http", "ssh"].map(|way| format!("{at} {way}")).to_vec()
    };
    let (site, told) = taken(site, &alice, "acme/plans", &inside).await;
    assert_eq!(told, expected("acme/plans"), "public in a private organisation");
    let (site, told) = taken(site, &alice, "alice/open", &open).await;
    assert_eq!(told, [""; 0], "open to all");
    let closed = SiteSettings { requires_sign_in: true, banner: None };
    site.forge.change_site_settings(&root, closed).await.unwrap();
    let (_, told) = taken(site, &alice, "alice/open", &open).await;
    assert_eq!(told, expected("alice/open"), "public on a site that asks everyone to sign in");
}

/// Who is refused over and over fills a queue that nothing else waits in.
#[tokio::test]
async fn a_flood_of_refusals_costs_no_record_of_a_fetch() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    site.repo(&alice, "notes", Visibility::Private).await;
    let repo = site.forge.repo(&alice, &path("alice/notes")).await.unwrap();
    // While this is open nothing else is written.
    let holding = site.forge.0.store.begin().await.unwrap();
    for _ in 0..3_000 {
        site.forge.tell_refused(None, &crate::Origin::default(), "token");
    }
    site.forge.tell_fetched(&repo, "archive");
    holding.commit().await.unwrap();
    let site = super::audit::settled(site).await;
    let records = super::audit::all(&site).await;
    assert_eq!(records.iter().filter(|record| record.action == "repo.fetched").count(), 1);
    assert!(records.iter().any(|record| record.action == "audit.gap"));
}

/// A token that is over is refused as often as an unknown one, and no more.
#[tokio::test]
async fn refusals_of_tokens_that_are_over_are_counted() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    let token = site.token(&alice, false, Some(1)).await;
    site.clock.advance(86_400);
    for _ in 0..10 {
        assert!(matches!(site.forge.basic("x", &token, HOME).await, Err(Error::SignInRefused)));
    }
    assert!(matches!(site.forge.basic("x", &token, HOME).await, Err(Error::TooManyAttempts { .. })));
}

//! Every page from values made up here, hostile ones among them, for tests alone. Nothing of it is in the program.

mod security;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, OnceLock};

use askama::Template;
use base::Secret;
use base::clock::{FixedClock, Timestamp};
use base::envfile::Values;
use base::name::{Oid, OwnerName, RefName, RepoPath, TreePath};
use base::settings::Settings;
use forge::{
    Actor, AuditFilter, AuditPage, AuditRecord, Blame, BlameSpan, ChangeKind, CloneUrls, CommitSummary, CommitView,
    DiffContent, DiffLine, Entry, EntryKind, File, FileContent, FileDiff, Forge, History, Hunk, LatestCommit, LineKind,
    Openers, Readme, RefKind, RefPage, RefRow, RepoFrame, RepoSummary, Revision, Scopes, SshKeyView, TagNote,
    TokenView, Tree, UserView, Visibility,
};

use super::diff::Look;
use super::failure::Failure;
use super::form::{Draft, Fields, Problem};
use super::listing::{DashboardPage, ExplorePage, rows};
use super::new_repository::{self, NewRepositoryPage};
use super::page::Shell;
use super::password::PasswordPage;
use super::render::Renderer;
use super::sign_in::SignInPage;
use super::target::{LocalPath, Notice};
use super::visit::Visit;
use super::{
    api_page, audit, blame, commit, fixtures_access, history, keys, limits, protection, references,
    repository_settings, source, ssh_authorities, tokens, tree, users,
};

mod content;

mod operations;

const NOW: Timestamp = Timestamp(1_795_226_400_000_000);
const SOURCE: &str = include_str!("render.rs");
const README: &str = include_str!("fixtures/readme.md");

/// What a hostile repository, user or commit may be called.
const HOSTILE: &str = "\"><script>alert(1)</script>'\u{202e}gpj\u{1b}[31m";

/// The same for a file, which holds no slash.
const HOSTILE_NAME: &str = "\"><img src=x onerror=alert(1)>'\u{202e}gpj\u{1b}\n";

fn ago(seconds: i64) -> Timestamp {
    NOW.plus_seconds(-seconds)
}

static ALICE: OnceLock<Actor> = OnceLock::new();

/// Signs Alice in at a forge of her own: only a forge makes users.
async fn sign_alice_in() {
    let dir = tempfile::tempdir().unwrap();
    let values: Values = [
        ("SITE_URL", "https://forge.acme.internal:8828"),
        ("SECRET_KEY", &"s".repeat(50)),
        ("GITGRIT_ENCRYPTION_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
    ]
    .into_iter()
    .collect();
    let options = forge::Options {
        settings: Settings::parse(&values).unwrap(),
        database: dir.path().join("gitgrit.sqlite"),
        repositories: dir.path().join("repositories"),
        clock: Arc::new(FixedClock::new(NOW)),
    };
    let (forge, password) = (Forge::open(options).await.unwrap(), Secret::new("correct horse battery".to_owned()));
    forge.ensure_administrator("alice", &password).await.unwrap();
    let signed_in = forge.sign_in("alice", &password, IpAddr::from(Ipv4Addr::LOCALHOST)).await.unwrap();
    let session = forge.session(&signed_in.token).await.unwrap().unwrap();
    ALICE.get_or_init(|| session.actor);
}

fn visit(here: &str) -> Visit {
    Visit {
        actor: ALICE.get().unwrap().clone(),
        csrf: Some(Secret::new("form-token".into())),
        here: LocalPath::parse(here).unwrap(),
        back: LocalPath::parse(here).unwrap(),
        notice: None,
        now: NOW,
        request: "19aa3c-2f".into(),
        has_ca: true,
        banner: None,
    }
}

fn stranger(here: &str) -> Visit {
    Visit { actor: Actor::Anonymous, csrf: None, ..visit(here) }
}

fn summary(path: &str, description: &str, visibility: Visibility, pushed: Option<i64>) -> RepoSummary {
    RepoSummary {
        path: RepoPath::parse_joined(path).unwrap(),
        description: description.into(),
        visibility,
        created: ago(90_000_000),
        pushed: pushed.map(ago),
    }
}

fn repos() -> Vec<RepoSummary> {
    vec![
        summary(
            "alice/parcel",
            "Signed, resumable transfer between two sites that share no network",
            Visibility::Internal,
            Some(240),
        ),
        summary("alice/site-config", "", Visibility::Private, Some(90_000)),
        summary(
            "alice/field-notes",
            "What we learned on the last three installations, with the commands that worked",
            Visibility::Public,
            None,
        ),
        summary("bob/firmware", "Controller firmware, release branches only", Visibility::Internal, Some(500_000)),
        summary(
            "carol/a-repository-with-a-name-that-is-as-long-as-names-may-reasonably-get-here",
            HOSTILE,
            Visibility::Public,
            Some(40_000_000),
        ),
    ]
}

fn audit_log() -> AuditPage {
    let record = |number: i64, action: &str, object: &str| AuditRecord {
        number,
        at: ago(number * 500),
        actor_id: Some(1),
        actor: Some("alice".into()),
        action: action.into(),
        repo_id: None,
        repo: None,
        object: object.into(),
        old: None,
        new: None,
        address: Some("10.20.0.7".into()),
        request: Some("19aa3c-2f".into()),
        hash: "ab".repeat(32),
    };
    let (old, new) = (Some("0".repeat(40)), Some("12c4f09b7d".repeat(4)));
    let records = vec![
        AuditRecord { repo: Some("alice/parcel".into()), old, new, ..record(9, "ref.moved", "refs/heads/main") },
        AuditRecord { actor: None, actor_id: None, ..record(8, "sign_in.refused", "bob") },
        AuditRecord {
            repo: Some("bob/firmware".into()),
            new: Some("ssh".into()),
            ..record(7, "repo.fetched", "bob/firmware")
        },
        record(6, "token.created", HOSTILE),
        AuditRecord { actor: None, address: None, request: None, ..record(5, "password.reset", "root") },
    ];
    AuditPage { records, older: Some(5) }
}

fn frame(is_empty: bool) -> RepoFrame {
    let names = |kind: &str, names: &[&str]| {
        names.iter().map(|name| RefName::parse(&format!("refs/{kind}/{name}")).unwrap()).collect()
    };
    RepoFrame {
        repo: repos().swap_remove(0),
        clone: CloneUrls {
            http: "https://forge.acme.internal:8828/alice/parcel.git".into(),
            ssh: "ssh://git@forge.acme.internal:2424/alice/parcel.git".into(),
        },
        default_branch: RefName::branch("main").unwrap(),
        branches: if is_empty { vec![] } else { names("heads", &["feature/split-volumes", "main", "release-1.2"]) },
        tags: if is_empty { vec![] } else { names("tags", &["v1.2.0", "v1.1.0", "v1.0.0"]) },
        can_write: true,
        can_maintain: true,
        can_admin: true,
    }
}

fn oid(seed: u8) -> Oid {
    Oid::parse(&format!("{seed:02x}c4f09b7d").repeat(4)).unwrap()
}

fn revision() -> Revision {
    Revision { name: "main".into(), reference: Some(RefName::branch("main").unwrap()), commit: oid(1) }
}

fn commit_summary(seed: u8, title: &str, age: i64) -> CommitSummary {
    let author = if seed.is_multiple_of(3) { "Bob Okonkwo" } else { "Alice Lindqvist" };
    CommitSummary {
        id: oid(seed),
        title: title.into(),
        author: author.into(),
        authored: ago(age),
        parents: vec![oid(seed + 1)],
    }
}

fn entry(directory: &TreePath, name: &[u8], kind: EntryKind, size: Option<u64>) -> Entry {
    let title = if size == Some(1) { HOSTILE.into() } else { "volumes: resume a transfer from the first frame".into() };
    let latest = (size != Some(12)).then(|| LatestCommit { id: oid(3), title, authored: ago(90_000_000) });
    Entry { name: name.into(), path: directory.join(name).unwrap(), kind, id: oid(9), size, latest }
}

fn a_tree(path: &str, names: &[(&[u8], EntryKind, Option<u64>)]) -> Tree {
    let path = TreePath::parse(path.as_bytes()).unwrap();
    let entries = names.iter().map(|(name, kind, size)| entry(&path, name, *kind, *size)).collect();
    Tree {
        revision: revision(),
        entries,
        path,
        is_cut: false,
        latest: commit_summary(1, "volumes: resume a transfer from the first frame that differs", 240),
        readme: Some(Readme { name: "README.md".into(), text: README.into(), is_markdown: true, id: oid(7) }),
    }
}

fn ordinary_tree(path: &str) -> Tree {
    use EntryKind::{Executable, File, Submodule, Symlink, Tree};
    a_tree(
        path,
        &[
            (b".ci", Tree, None),
            (b"docs", Tree, None),
            (b"src", Tree, None),
            (b"vendor", Submodule, None),
            (b"a name with spaces, #, ? and %.txt", File, Some(12)),
            (HOSTILE_NAME.as_bytes(), File, Some(1)),
            (b"not utf-8 \xff\xfe", File, Some(900)),
            (b"CHANGELOG.md", File, Some(18_412)),
            (b"Cargo.toml", File, Some(1_204)),
            (b"latest", Symlink, None),
            (b"run", Executable, Some(310)),
        ],
    )
}

fn a_file(path: &str, text: &str) -> File {
    File {
        revision: revision(),
        path: TreePath::parse(path.as_bytes()).unwrap(),
        id: oid(8),
        size: text.len() as u64,
        content: FileContent::Text(text.into()),
    }
}

/// A file whose commits take turns, two or three lines each.
fn a_blame(text: &str) -> Blame {
    let mut left = text.lines().count();
    let mut spans = Vec::new();
    while left > 0 {
        let lines = (2 + spans.len() % 2).min(left);
        let title = if spans.len() == 1 { HOSTILE } else { "volumes: resume a transfer from the first frame" };
        spans.push(BlameSpan {
            lines,
            commit: commit_summary(1 + u8::try_from(spans.len() % 9).unwrap(), title, 90_000),
        });
        left -= lines;
    }
    Blame { file: a_file("src/serve/web/render.rs", text), spans }
}

/// The blame of a file of many lines.
pub(crate) async fn large_blame(count: usize) -> String {
    sign_alice_in().await;
    let text: String = SOURCE.lines().cycle().take(count).flat_map(|line| [line, "\n"]).collect();
    let page = blame::page(&Renderer::new(), &visit("/"), &frame(false), &a_blame(&text)).await;
    page.render().unwrap()
}

fn a_commit() -> CommitView {
    let line = |kind, old, new, text: &str| DiffLine { kind, old, new, text: text.into(), emphasis: vec![] };
    let hunk = Hunk {
        header: "@@ -41,7 +41,9 @@".into(),
        section: "impl Volume {".into(),
        lines: vec![
            line(
                LineKind::Context,
                Some(41),
                Some(41),
                "    fn resume(&mut self, from: Frame) -> Result<(), VolumeError> {",
            ),
            line(LineKind::Removed, Some(42), None, "        self.seek(from.offset)?;"),
            line(
                LineKind::Added,
                None,
                Some(42),
                "        let first = self.frames.iter().position(|frame| !frame.holds());",
            ),
            line(
                LineKind::Added,
                None,
                Some(43),
                "        self.seek(first.map_or(from.offset, |index| self.offset(index)))?;",
            ),
            line(
                LineKind::Added,
                None,
                Some(44),
                "        // \u{202e} a comment that tries to hide </ins><script>alert(1)</script>",
            ),
            line(LineKind::Context, Some(43), Some(45), "        Ok(())"),
            line(LineKind::Context, Some(44), Some(46), "    }"),
        ],
    };
    let file = |path: &str, kind, added, removed, content| FileDiff {
        path: TreePath::parse(path.as_bytes()).unwrap(),
        old_path: (kind == ChangeKind::Renamed).then(|| TreePath::parse(b"docs/old name.md").unwrap()),
        likeness: (kind == ChangeKind::Renamed).then_some(94),
        kind,
        added,
        removed,
        content,
    };
    CommitView {
        summary: commit_summary(1, "volumes: resume a transfer from the first frame that differs", 240),
        body: "A transfer that was cut used to start over with the whole volume.\nNow every frame that is there is hashed, and the first that differs is sent again.\n\nCloses 118.".into(),
        committer: "Bob Okonkwo".into(),
        committed: ago(120),
        files: vec![
            file("src/volume.rs", ChangeKind::Modified, 3, 1, DiffContent::Hunks(vec![hunk])),
            file("docs/transfer.md", ChangeKind::Renamed, 0, 0, DiffContent::Hunks(vec![])),
            file("docs/flow.png", ChangeKind::Added, 0, 0, DiffContent::Binary),
            file("Cargo.lock", ChangeKind::Modified, 2_104, 1_877, DiffContent::TooLarge),
            file("src/old.rs", ChangeKind::Deleted, 0, 88, DiffContent::TooLarge),
        ],
        file_count: 5,
        added: 2_107,
        removed: 1_966,
    }
}

fn a_history() -> History {
    let titles = [
        "volumes: resume a transfer from the first frame that differs",
        "docs: say what a courier needs",
        "manifest: refuse a member whose name climbs",
        HOSTILE,
        "",
    ];
    let commits =
        titles.iter().zip(1_u8..).map(|(title, seed)| commit_summary(seed, title, i64::from(seed) * 40_000)).collect();
    History { revision: revision(), path: TreePath::default(), commits, page: 2, has_more: true }
}

fn reference_page(kind: RefKind) -> RefPage {
    let row = |name: &str, seed: u8, note: Option<&str>| {
        let tag = |title: &str| TagNote { title: title.into(), tagger: HOSTILE.into(), tagged: ago(7_000) };
        let name = RefName::parse(name).unwrap();
        RefRow { name, commit: commit_summary(seed, HOSTILE, i64::from(seed) * 90_000), note: note.map(tag) }
    };
    let rows = match kind {
        RefKind::Branches => {
            vec![row("refs/heads/feature/split-volumes", 2, None), row("refs/heads/main", 1, None)]
        }
        RefKind::Tags => vec![row("refs/tags/v1.2.0", 3, Some(HOSTILE)), row("refs/tags/v1.1.0", 4, None)],
    };
    RefPage { kind, rows, page: 2, has_more: true }
}

#[expect(clippy::too_many_lines, reason = "a table of pages")]
fn account_pages() -> Vec<(&'static str, String)> {
    let key = SshKeyView {
        id: 1,
        title: "laptop".into(),
        fingerprint: "SHA256:9Zt1u0kq0l8sVxYw2dVb3Jm4nQ5rT6uW7xY8zA9bC0d".into(),
        kind: "ssh-ed25519".into(),
        created: ago(9_000_000),
        used: Some(ago(300)),
    };
    let token = |id, name: &str, can_write, expires: Option<i64>| TokenView {
        id,
        name: name.into(),
        scopes: Scopes::parse(if can_write { "write:repository" } else { "read:repository,read:user" }).unwrap(),
        repositories: (id == 1).then(|| vec![RepoPath::parse("alice", "notes").unwrap()]),
        hidden_repositories: usize::from(id == 1),
        created: ago(600_000),
        expires: expires.map(ago),
        used: None,
    };
    let user = |name: &str, full_name: &str, is_admin, is_active| UserView {
        name: OwnerName::parse(name).unwrap(),
        full_name: full_name.into(),
        is_admin,
        is_active,
        created: ago(90_000_000),
        seen: is_active.then(|| ago(4_000)),
    };
    let users = [
        user("alice", "Alice Lindqvist", true, true),
        user("bob", "Bob Okonkwo", false, true),
        user("mallory", HOSTILE, false, false),
    ];
    let keys_at = visit("/settings/keys");
    let tokens_at = visit("/settings/tokens");
    let tokens_shown = tokens::rows(
        &[
            token(1, "build server", false, Some(-2_000_000)),
            token(2, HOSTILE, true, Some(100)),
            token(3, "for ever", true, None),
        ],
        NOW,
    );
    let refused = Fields::default().draft(Problem::of("key", "is not an OpenSSH public key"));
    vec![
        (
            "keys",
            keys::KeysPage { shell: Shell::of(&keys_at), keys: keys::rows(&[key], NOW), draft: refused }
                .render()
                .unwrap(),
        ),
        (
            "keys-empty",
            keys::KeysPage {
                shell: Shell::of(&Visit { notice: Some(Notice::KeyRemoved), ..keys_at }),
                keys: vec![],
                draft: Draft::default(),
            }
            .render()
            .unwrap(),
        ),
        (
            "tokens",
            tokens::TokensPage {
                shell: Shell::of(&tokens_at),
                tokens: tokens_shown,
                secret: Some(Secret::new(format!("ggt_{}", "x4Kq".repeat(11)))),
                draft: tokens::fresh(),
            }
            .render()
            .unwrap(),
        ),
        (
            "password",
            PasswordPage {
                shell: Shell::of(&visit("/settings/password")),
                openers: Openers { tokens: 3, keys: 1 },
                draft: Fields::default().draft(Problem::of("again", "the new password is not the same in both fields")),
            }
            .render()
            .unwrap(),
        ),
        ("api", api_page::page(&visit("/api/swagger")).render().unwrap()),
        ("audit", audit::page(&visit("/admin/audit"), &AuditFilter::default(), &audit_log()).render().unwrap()),
        (
            "limits",
            limits::page(&visit("/admin/limits"), &forge::SiteLimits::default(), (None, Draft::default()))
                .render()
                .unwrap(),
        ),
        (
            "ssh-authorities",
            ssh_authorities::page(&visit("/admin/ssh-authorities"), &authorities(), Draft::default()).render().unwrap(),
        ),
        ("users", users::page(&visit("/admin/users"), &users, Draft::default()).render().unwrap()),
        (
            "sign-in",
            SignInPage {
                shell: Shell::of(&stranger("/sign-in")),
                draft: Fields::default().draft(Problem::of_form("the name or the password is wrong")),
                next: "/alice/parcel".into(),
            }
            .render()
            .unwrap(),
        ),
        ("failure", Failure::NotFound.page(&stranger("/alice/secret")).render().unwrap()),
        ("failure-internal", Failure::Internal("disk".into()).page(&visit("/alice/parcel")).render().unwrap()),
    ]
}

async fn repository_pages() -> Vec<(&'static str, String)> {
    let at = visit("/alice/parcel");
    let renderer = Renderer::new();
    let (full, tree) = (frame(false), ordinary_tree(""));
    let home_readme = tree::readme(&renderer, &full, &tree).await;
    let files = [
        ("file", a_file("src/serve/web/render.rs", SOURCE), false),
        ("file-markdown", a_file("README.md", README), false),
        ("file-markdown-source", a_file("README.md", README), true),
        ("file-binary", File { content: FileContent::Binary, size: 81_000, ..a_file("docs/manual.pdf", "") }, false),
        ("file-large", File { content: FileContent::TooLarge, size: 81_000_000, ..a_file("dump.sql", "") }, false),
        ("file-symlink", File { content: FileContent::Symlink(HOSTILE.into()), ..a_file("latest", "") }, false),
        ("file-empty", a_file(".keep", ""), false),
    ];
    let mut pages = vec![
        ("repository", tree::repository_page(&at, &full, &tree, home_readme).render().unwrap()),
        ("repository-empty", tree::empty_page(&at, &frame(true), "https://forge.acme.internal:8828").render().unwrap()),
        ("directory", tree::directory_page(&at, &full, &ordinary_tree("docs/reference"), None).render().unwrap()),
        ("commits", history::page(&at, &full, &a_history()).render().unwrap()),
        (
            "commits-of-path",
            history::page(
                &at,
                &full,
                &History { path: TreePath::parse(HOSTILE_NAME.as_bytes()).unwrap(), ..a_history() },
            )
            .render()
            .unwrap(),
        ),
        ("blame", blame::page(&renderer, &at, &full, &a_blame(SOURCE)).await.render().unwrap()),
        ("blame-binary", {
            let file = File { content: FileContent::Binary, ..a_file("docs/manual.pdf", "") };
            blame::page(&renderer, &at, &full, &Blame { file, spans: vec![] }).await.render().unwrap()
        }),
        ("branches", references::page(&at, &full, &reference_page(RefKind::Branches)).render().unwrap()),
        ("tags", references::page(&at, &full, &reference_page(RefKind::Tags)).render().unwrap()),
        ("commit", commit::page(&at, &full, a_commit(), Look::default()).render().unwrap()),
        ("protections", protections(&at, &full).render().unwrap()),
        ("protection", protection::page(&at, &full, 1, protection::fresh()).render().unwrap()),
        ("repository-settings", repository_settings::page(&at, &full, Draft::default()).render().unwrap()),
    ];
    for (name, file, is_source) in files {
        let body = source::body(&renderer, &full, &file, is_source).await;
        pages.push((name, source::file_page(&at, &full, &file, body).render().unwrap()));
    }
    pages
}

fn protections(at: &Visit, frame: &RepoFrame) -> protection::ProtectionsPage {
    let row = |id, kind, pattern: &str, is_signed| protection::ProtectionRow {
        id,
        kind,
        pattern: pattern.into(),
        who: "administrators of the repository, and bob".into(),
        allowed: "fast-forward, create".into(),
        is_signed,
    };
    let rows = vec![row(1, "branch", "main", true), row(2, "tag", HOSTILE, false)];
    let room = protection::Room { own: "4 of 512 MiB".into(), owner: "9 MiB, without a limit".into() };
    let quota = Fields::default().draft(Problem::of("quota", "is not a whole number"));
    protection::listed(at, frame, rows, room, (protection::fresh(), quota))
}

fn authorities() -> Vec<forge::SshAuthorityView> {
    vec![forge::SshAuthorityView {
        id: 1,
        title: HOSTILE.into(),
        fingerprint: "SHA256:9Zt1u0kq0l8sVxYw2dVb3Jm4nQ5rT6uW7xY8zA9bC0d".into(),
        kind: "ssh-ed25519".into(),
        created: ago(9_000_000),
    }]
}

/// Every page, by a name for it.
pub(crate) async fn pages() -> Vec<(&'static str, String)> {
    sign_alice_in().await;
    let repos = repos();
    let (mine, others) = repos.split_at(3);
    let home = visit("/");
    let mut pages = vec![
        (
            "dashboard",
            DashboardPage { shell: Shell::of(&home), mine: rows(mine, NOW), others: rows(others, NOW) }
                .render()
                .unwrap(),
        ),
        ("dashboard-empty", DashboardPage { shell: Shell::of(&home), mine: vec![], others: vec![] }.render().unwrap()),
        (
            "explore",
            ExplorePage { shell: Shell::of(&stranger("/explore")), repos: rows(&repos, NOW) }.render().unwrap(),
        ),
        ("explore-empty", ExplorePage { shell: Shell::of(&stranger("/")), repos: vec![] }.render().unwrap()),
        (
            "new",
            NewRepositoryPage {
                shell: Shell::of(&visit("/new")),
                owners: vec!["alice".into(), "acme".into()],
                draft: new_repository::fresh(),
            }
            .render()
            .unwrap(),
        ),
    ];
    pages.extend(account_pages());
    pages.extend(security::pages());
    let ground = fixtures_access::Ground { hostile: HOSTILE, now: NOW, repos: self::repos(), frame: frame(false) };
    pages.extend(fixtures_access::pages(&visit, ground));
    pages.extend(operations::pages());
    pages.extend(repository_pages().await);
    pages.extend(content::pages());
    pages
}

/// A directory that lists many files.
pub(crate) async fn large_directory(count: usize) -> String {
    sign_alice_in().await;
    let names: Vec<String> = (0..count).map(|index| format!("module_{index:04}_integration_test.rs")).collect();
    let entries: Vec<_> = names.iter().map(|name| (name.as_bytes(), EntryKind::File, Some(12_345))).collect();
    let tree = a_tree("src/components/generated", &entries);
    tree::directory_page(&visit("/"), &frame(false), &tree, None).render().unwrap()
}

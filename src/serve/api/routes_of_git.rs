//! Addresses about what is inside a repository.

use axum::routing::{delete, get, post, put};

use super::branch::{self, Branch, CreateBranchRepoOption};
use super::commit::{self, Commit};
use super::compare::{self, Compare};
use super::contents::{self, ContentsResponse};
use super::document::{Shape, schema};
use super::edit::{
    self, ChangeFilesOptions, CreateFileOptions, DeleteFileOptions, FileResponse, FilesResponse, UpdateFileOptions,
};
use super::object::{self, AnnotatedTag, GitBlobResponse, GitTreeResponse, Reference};
use super::route::{ApiRoute, READ, WRITE, json, list, lists, makes, puts, removes, shows};
use super::status::{self, CombinedStatus, CommitStatus, CreateStatusOption};
use super::tag::{self, CreateTagOption, Tag};
use crate::web::Audience;

/// The addresses.
pub(crate) const ROUTES: &[ApiRoute] = {
    use Audience::{Reader, Writer};
    &[
        lists("/repos/{owner}/{repo}/branches", Reader, READ, "Branches", || get(branch::list)).gives(list::<Branch>()),
        makes("/repos/{owner}/{repo}/branches", Writer, WRITE, "Make a branch", || post(branch::create))
            .takes(json::<CreateBranchRepoOption>())
            .gives(json::<Branch>()),
        removes("/repos/{owner}/{repo}/branches/{*branch}", Writer, WRITE, "Take a branch away", || {
            delete(branch::remove)
        }),
        shows("/repos/{owner}/{repo}/branches/{*branch}", Reader, READ, "A branch", || get(branch::show))
            .gives(json::<Branch>()),
        lists("/repos/{owner}/{repo}/tags", Reader, READ, "Tags, greatest version first", || get(tag::list))
            .gives(list::<Tag>()),
        makes("/repos/{owner}/{repo}/tags", Writer, WRITE, "Make a tag", || post(tag::create))
            .takes(json::<CreateTagOption>())
            .gives(json::<Tag>()),
        removes("/repos/{owner}/{repo}/tags/{*tag}", Writer, WRITE, "Take a tag away", || delete(tag::remove)),
        shows("/repos/{owner}/{repo}/tags/{*tag}", Reader, READ, "A tag", || get(tag::show)).gives(json::<Tag>()),
        lists("/repos/{owner}/{repo}/commits", Reader, READ, "A history, newest first", || get(commit::list))
            .with(&["sha", "path", "stat", "files", "page", "limit"])
            .gives(list::<Commit>()),
        lists("/repos/{owner}/{repo}/commits/{sha}/statuses", Reader, READ, "What was said of a commit", || {
            get(status::list)
        })
        .gives(list::<CommitStatus>()),
        lists("/repos/{owner}/{repo}/commits/{sha}/status", Reader, READ, "Where a commit stands", || {
            get(status::combined)
        })
        .gives(json::<CombinedStatus>()),
        lists("/repos/{owner}/{repo}/statuses/{sha}", Reader, READ, "What was said of a commit", || get(status::list))
            .gives(list::<CommitStatus>()),
        makes("/repos/{owner}/{repo}/statuses/{sha}", Writer, WRITE, "Say something of a commit", || {
            post(status::create)
        })
        .takes(json::<CreateStatusOption>())
        .gives(json::<CommitStatus>()),
        shows(
            "/repos/{owner}/{repo}/git/commits/{sha}",
            Reader,
            READ,
            "A commit; as text with .diff or .patch",
            || get(commit::show),
        )
        .with(&["stat", "files"])
        .known()
        .gives(Shape::JsonOrText(schema::<Commit>)),
        shows("/repos/{owner}/{repo}/git/trees/{sha}", Reader, READ, "A tree", || get(object::tree))
            .with(&["recursive", "page", "per_page"])
            .known()
            .gives(json::<GitTreeResponse>()),
        shows("/repos/{owner}/{repo}/git/blobs/{sha}", Reader, READ, "A blob", || get(object::blob))
            .known()
            .gives(json::<GitBlobResponse>()),
        shows("/repos/{owner}/{repo}/git/tags/{sha}", Reader, READ, "An annotated tag's object", || get(object::tag))
            .known()
            .gives(json::<AnnotatedTag>()),
        lists("/repos/{owner}/{repo}/git/refs", Reader, READ, "Branches and tags as Git has them", || {
            get(object::refs)
        })
        .gives(list::<Reference>()),
        lists("/repos/{owner}/{repo}/git/refs/{*ref}", Reader, READ, "Refs whose names begin so", || {
            get(object::refs_below)
        })
        .gives(list::<Reference>()),
        lists(
            "/repos/{owner}/{repo}/compare/{*basehead}",
            Reader,
            READ,
            "Commits that one has and another not",
            || get(compare::show),
        )
        .with(&["stat", "page", "limit"])
        .gives(json::<Compare>()),
        shows("/repos/{owner}/{repo}/archive/{*archive}", Reader, READ, "A revision as .zip or .tar.gz", || {
            get(contents::archive)
        })
        .gives(Shape::Bytes),
        shows("/repos/{owner}/{repo}/raw/{*filepath}", Reader, READ, "A file as it is", || get(contents::raw))
            .with(&["ref"])
            .known()
            .gives(Shape::Bytes),
        shows("/repos/{owner}/{repo}/media/{*filepath}", Reader, READ, "A file, with Git LFS resolved", || {
            get(contents::media)
        })
        .with(&["ref"])
        .known()
        .gives(Shape::Bytes),
        shows("/repos/{owner}/{repo}/contents", Reader, READ, "The root directory", || get(contents::show))
            .with(&["ref"])
            .gives(list::<ContentsResponse>()),
        shows("/repos/{owner}/{repo}/contents/{*filepath}", Reader, READ, "A file or a directory", || {
            get(contents::show)
        })
        .with(&["ref"])
        .gives(Shape::OneOrList(schema::<ContentsResponse>)),
        makes("/repos/{owner}/{repo}/contents", Writer, WRITE, "Change several files", || post(edit::several))
            .takes(json::<ChangeFilesOptions>())
            .gives(json::<FilesResponse>()),
        makes("/repos/{owner}/{repo}/contents/{*filepath}", Writer, WRITE, "Make a file", || post(edit::create))
            .takes(json::<CreateFileOptions>())
            .gives(json::<FileResponse>()),
        puts("/repos/{owner}/{repo}/contents/{*filepath}", Writer, WRITE, "Change a file, or make one", || {
            put(edit::update)
        })
        .takes(json::<UpdateFileOptions>())
        .says(200)
        .gives(json::<FileResponse>()),
        removes("/repos/{owner}/{repo}/contents/{*filepath}", Writer, WRITE, "Remove a file", || delete(edit::remove))
            .takes(json::<DeleteFileOptions>())
            .says(200)
            .gives(json::<FileResponse>()),
    ]
};

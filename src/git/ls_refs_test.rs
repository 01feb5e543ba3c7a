//! Git's own answers are the measure: whatever a repository holds and a client asks, the bytes are the same.

use std::pin::Pin;
use std::task::{Context, Poll};

use base::name::Oid;
use base::process::Program;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::hear::{Heard, hear};
use crate::testing::{Site, WorkTree};
use crate::{Transport, upload};

const VERSIONS: [Protocol; 3] = [Protocol::V0, Protocol::V1, Protocol::V2];

fn git_says(site: &Site, protocol: Protocol, options: &[&str], input: &[u8]) -> Vec<u8> {
    let program = environment::server("upload-pack").env("GIT_PROTOCOL", protocol.variable()).option("--strict");
    program.options(options).operands([site.repo.path()]).run(input).unwrap().stdout
}

fn advertised(site: &Site, protocol: Protocol) -> Option<Vec<u8>> {
    let mut output = Vec::new();
    site.block_on(advertise(&site.repo, protocol, Vec::new(), &mut output)).unwrap().then_some(output)
}

fn heard(site: &Site, request: &[u8]) -> Option<Vec<u8>> {
    match site.block_on(hear(&site.repo, &mut &request[..])).unwrap() {
        Heard::Refs(answer) => {
            let mut output = Vec::new();
            site.block_on(answer.send(&mut output)).unwrap();
            Some(output)
        }
        Heard::Other(seen) => {
            assert!(request.starts_with(&seen));
            None
        }
        Heard::Everything(_) => None,
    }
}

fn request(arguments: &[String]) -> Vec<u8> {
    let mut out = Vec::new();
    pktline::put(&mut out, b"command=ls-refs\n");
    pktline::put(&mut out, b"agent=test/1");
    pktline::put(&mut out, b"object-format=sha1");
    out.extend_from_slice(b"0001");
    for argument in arguments {
        pktline::put(&mut out, format!("{argument}\n").as_bytes());
    }
    pktline::put_flush(&mut out);
    out
}

/// Both ways must agree, and ours must be the one that answers.
fn agree(site: &Site, requests: &[Vec<u8>]) {
    for protocol in VERSIONS {
        let options = ["--stateless-rpc", "--http-backend-info-refs"];
        let expected = git_says(site, protocol, &options, b"");
        let found = advertised(site, protocol).expect("told without Git");
        assert_eq!(String::from_utf8_lossy(&found), String::from_utf8_lossy(&expected), "{protocol:?}");
    }
    for request in requests {
        let expected = git_says(site, Protocol::V2, &["--stateless-rpc"], request);
        let found = heard(site, request).expect("answered without Git");
        assert_eq!(String::from_utf8_lossy(&found), String::from_utf8_lossy(&expected));
    }
}

/// A repository with what tags can lead to, and the ids of it: commits, a blob, a tree, tags of all of them and of tags.
fn with_objects() -> (Site, Vec<Oid>, Vec<Oid>) {
    let site = Site::start();
    let tree: WorkTree = site.work_tree("w");
    let commits: Vec<_> = (0..4_u8).map(|number| tree.commit("a", &[b'0' + number])).collect();
    tree.git(&["push", "--quiet", "origin", "main"]);
    let path = site.repo.path().display().to_string();
    let in_site = |arguments: &[&str]| tree.git(&[&["--git-dir", &path], arguments].concat());
    let mut others = vec![in_site(&["rev-parse", "main^{tree}"]), in_site(&["rev-parse", "main:a"])];
    for (name, what) in [("t1", commits[0].clone()), ("t2", others[0].clone()), ("t3", others[1].clone())] {
        in_site(&["tag", "--annotate", "--message", "x", name, &what]);
        others.push(in_site(&["rev-parse", name]));
    }
    in_site(&["tag", "--annotate", "--message", "x", "nested", "t1"]);
    others.push(in_site(&["rev-parse", "nested"]));
    let ids = |ids: Vec<String>| ids.iter().map(|id| Oid::parse(id).unwrap()).collect::<Vec<_>>();
    (site, ids(commits), ids(others))
}

fn set_refs(site: &Site, refs: &[(String, Oid)], head: &str) {
    for name in ["refs", "packed-refs"] {
        let path = site.repo.path().join(name);
        let _ = std::fs::remove_dir_all(&path);
        let _ = std::fs::remove_file(&path);
    }
    std::fs::create_dir_all(site.repo.path().join("refs/heads")).unwrap();
    let lines: Vec<_> = refs.iter().map(|(name, id)| format!("create {name} {id}\n")).collect();
    let update = |command: &str| Program::new("git").option(command).env("GIT_DIR", site.repo.path());
    let done = update("update-ref").option("--stdin").run(lines.concat().as_bytes()).unwrap();
    assert!(done.status.success(), "{}", done.stderr);
    if refs.len() % 2 == 1 {
        assert!(update("pack-refs").option("--all").run(b"").unwrap().status.success());
    }
    base::file::write_atomic(&site.repo.path().join("HEAD"), format!("{head}\n").as_bytes(), 0o600).unwrap();
}

/// Many repositories and many questions, all of one seed after another.
#[test]
fn every_advertisement_and_every_list_is_that_of_git() {
    let (site, commits, others) = with_objects();
    // What Git can do is learnt from a repository that shows all of it.
    assert!(advertised(&site, Protocol::V0).is_some());
    let branch = prop_oneof!["[a-c]{1,2}", "[a-c]/[x-z]{1,3}", "feature-[0-9]{1,3}"];
    let branches = proptest::collection::btree_map(branch, 0..commits.len(), 0..6);
    let tags = proptest::collection::btree_map(
        "v[0-9]\\.[0-9]{1,2}|pull-[a-z]|[d-f]{1,3}",
        0..commits.len() + others.len(),
        0..6,
    );
    let head = prop_oneof![
        Just("ref: refs/heads/a".to_owned()),
        Just("ref: refs/heads/main".to_owned()),
        Just(commits[1].to_string())
    ];
    let word = prop_oneof![
        Just("peel".to_owned()),
        Just("symrefs".to_owned()),
        Just("unborn".to_owned()),
        "ref-prefix (HEAD|refs/heads/|refs/tags/v|refs/|refs/heads/a|refs/pull/|x|)",
    ];
    let questions = proptest::collection::vec(proptest::collection::vec(word, 0..6), 1..4);
    let mut runner = TestRunner::new(Config { cases: 40, failure_persistence: None, ..Config::default() });
    let checked = runner.run(&(branches, tags, head, questions), |(branches, tags, head, questions)| {
        let all: Vec<Oid> = commits.iter().chain(&others).cloned().collect();
        let clashes = |name: &String| branches.keys().any(|other| other.starts_with(&format!("{name}/")));
        let mut refs: Vec<_> = branches
            .iter()
            .filter(|(name, _)| !clashes(name))
            .map(|(name, at)| (format!("refs/heads/{name}"), commits[*at].clone()))
            .collect();
        refs.extend(tags.iter().map(|(name, at)| (format!("refs/tags/{name}"), all[*at].clone())));
        refs.push(("refs/pull/1/head".to_owned(), commits[2].clone()));
        set_refs(&site, &refs, &head);
        let requests: Vec<_> = questions.iter().map(|question| request(question)).collect();
        agree(&site, &requests);
        Ok(())
    });
    checked.unwrap();
}

/// What is written at once, at most.
#[derive(Default)]
struct Writes {
    largest: usize,
    all: Vec<u8>,
}

impl AsyncWrite for Writes {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.largest = self.largest.max(bytes.len());
        self.all.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// However many refs there are, what is in memory of an answer is one write's worth.
#[test]
fn many_refs_go_out_in_small_writes() {
    let (site, commits, _) = with_objects();
    assert!(advertised(&site, Protocol::V0).is_some());
    let refs: Vec<_> =
        (0..300).map(|at| (format!("refs/heads/{}/{at}", "n".repeat(200)), commits[at % 4].clone())).collect();
    let refs: Vec<_> =
        refs.iter().flat_map(|(name, id)| [(name.clone(), id.clone()), (format!("{name}x"), id.clone())]).collect();
    set_refs(&site, &refs, "ref: refs/heads/main");
    agree(&site, &[request(&[])]);
    let mut pushers = Writes::default();
    site.block_on(crate::receive::advertise(&site.repo, Transport::Http, &mut pushers)).unwrap();
    let mut fetchers = Writes::default();
    site.block_on(upload::advertise(&site.repo, Protocol::V0, &mut fetchers)).unwrap();
    for Writes { largest, all } in [pushers, fetchers] {
        assert!(all.len() > 150_000 && largest < pktline::LONGEST + 1_500, "{} {largest}", all.len());
        assert_eq!(String::from_utf8_lossy(&all).matches("refs/heads/").count(), refs.len());
    }
}

#[test]
fn prefixes_fit_as_they_do_one_by_one() {
    let prefixes: &[&[u8]] = &[b"refs/tags/v", b"refs/heads/", b"refs/heads/a", b"HEAD", b"refs/heads/"];
    let asked = Asked { prefixes: prefixes.iter().map(|prefix| prefix.to_vec()).collect(), ..Asked::default() };
    let asked = asked.in_order();
    assert_eq!(asked.prefixes.len(), 3);
    for name in ["HEAD", "HEAD2", "H", "refs/heads/", "refs/heads/zz", "refs/tags/u", "refs/tags/v1", "refs/zz", ""] {
        let expected = prefixes.iter().any(|prefix| name.as_bytes().starts_with(prefix));
        assert_eq!(asked.is_wanted(name.as_bytes()), expected, "{name}");
    }
}

#[test]
fn an_empty_repository_is_told_of_as_git_does() {
    let (site, ..) = with_objects();
    assert!(advertised(&site, Protocol::V0).is_some());
    set_refs(&site, &[], "ref: refs/heads/main");
    let unborn = ["peel", "symrefs", "unborn"].map(str::to_owned);
    agree(&site, &[request(&[]), request(&unborn), request(&unborn[..2])]);
}

#[test]
fn a_ref_that_moves_is_seen_at_once() {
    let (site, commits, _) = with_objects();
    let question = request(&["ref-prefix refs/heads/".to_owned()]);
    for round in 0..20 {
        let tip = &commits[round % commits.len()];
        set_refs(&site, &[("refs/heads/main".to_owned(), tip.clone())], "ref: refs/heads/main");
        for _ in 0..2 {
            let answer = String::from_utf8(heard(&site, &question).unwrap()).unwrap();
            assert!(answer.contains(&format!("{tip} refs/heads/main\n")), "{round}: {answer}");
        }
    }
}

#[test]
fn what_is_unusual_is_left_to_git() {
    let (site, ..) = with_objects();
    let whole = request(&["peel".to_owned()]);
    for end in 0..whole.len() {
        assert_eq!(heard(&site, &whole[..end]), None, "cut at {end}");
    }
    for word in ["server-option=x", "session-id=x", "object-format=sha256"] {
        let text = String::from_utf8(whole.clone()).unwrap();
        let mut line = Vec::new();
        pktline::put(&mut line, word.as_bytes());
        let changed = text.replacen("0001", &format!("{}0001", String::from_utf8(line).unwrap()), 1);
        assert_eq!(heard(&site, changed.as_bytes()), None, "{word}");
    }
    for argument in ["peel\0", "peels", "ref-prefix", "symrefs x"] {
        assert_eq!(heard(&site, &request(&[argument.to_owned()])), None, "{argument:?}");
    }
    assert_eq!(heard(&site, b"0012command=fetch\n0001000fno-progress\n0000"), None);
}

/// A fetch has its first bytes looked at, and Git still gets all of them.
#[test]
fn a_fetch_reaches_git_whole() {
    let (site, commits, _) = with_objects();
    let mut asked = b"0011command=fetch0001".to_vec();
    pktline::put(&mut asked, format!("want {}\n", commits[3]).as_bytes());
    pktline::put(&mut asked, b"done\n");
    pktline::put_flush(&mut asked);
    let mut output = Vec::new();
    let run = upload::run(&site.repo, Transport::Http, Protocol::V2, &asked[..], &mut output);
    site.block_on(run).unwrap();
    assert!(output.starts_with(b"000dpackfile\n"), "{}", String::from_utf8_lossy(&output));
}

#[test]
fn hidden_refs_are_whole_names_and_what_is_below_them() {
    for (name, is_under) in [("refs/pull/1/head", true), ("refs/pull", true), ("refs/pulls/1", false)] {
        assert_eq!(is_hidden(name.as_bytes(), &["refs/pull/"]), is_under, "{name}");
        assert_eq!(is_hidden(name.as_bytes(), &["refs/pull"]), is_under, "{name}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_request_or_none_and_never_a_panic(bytes: Vec<u8>) {
        let _ = (Lines(&bytes).count(), Asked::parse(&bytes));
        let _ = Asked::parse(&[b"0014command=ls-refs\n", &bytes[..]].concat());
    }
}

//! Searches over a real repository.

use super::*;
use crate::testing::Site;

fn shown(found: &Found) -> Vec<String> {
    let line = |hit: &LineHit| {
        let text = |piece: &Piece| if piece.is_match { format!("<{}>", piece.text) } else { piece.text.clone() };
        format!("{}:{}", hit.number, hit.pieces.iter().map(text).collect::<String>())
    };
    let file = |hit: &FileHit| {
        let lines: Vec<_> = hit.lines.iter().map(line).collect();
        format!("{} {} +{}", hit.path, lines.join("; "), hit.more)
    };
    found.files.iter().map(file).collect()
}

#[test]
fn lines_are_found_marked_and_counted_and_the_rest_is_said() {
    let site = Site::start();
    let tree = site.work_tree("w");
    tree.commit("a.txt", b"one\r\nTwo one one\n\nthree\nONE\none\n");
    tree.commit("d/b.rs", "ä one \u{ff} x\nno\n".as_bytes());
    tree.commit("d/long", format!("{}needle{}\n", "é".repeat(400), "x".repeat(400)).as_bytes());
    tree.commit("binary", b"\0one");
    tree.commit("huge", &vec![b'o'; 2 << 20]);
    std::os::unix::fs::symlink("one", tree.directory.join("link")).unwrap();
    tree.commit("latin", b"\xff one \xfe\n");
    tree.git(&["push", "--quiet", "origin", "main"]);
    let commit = Oid::parse(&tree.git(&["rev-parse", "HEAD"])).unwrap();
    let search = |pattern: Pattern, paths: Option<&str>, limits| {
        let paths = paths.map(|paths| Pattern::paths(paths).unwrap());
        site.block_on(site.repo.search(&commit, pattern, paths, limits)).unwrap()
    };
    let limits = SearchLimits { lines: 3, ..SearchLimits::PAGE };
    let all = search(Pattern::text("one", false).unwrap(), None, limits);
    assert_eq!(
        shown(&all),
        [
            "a.txt 1:<one>; 2:Two <one> <one>; 5:<ONE> +1",
            "latin 1:\u{fffd} <one> \u{fffd} +0",
            "d/b.rs 1:ä <one> \u{ff} x +0"
        ]
    );
    assert_eq!((all.searched, all.binary, all.large, all.stop), (4, 1, 1, None));
    let cased = search(Pattern::text("ONE", true).unwrap(), None, limits);
    assert_eq!(shown(&cased), ["a.txt 5:<ONE> +0"]);
    let expression = search(Pattern::expression(r"^t\w+$", false).unwrap(), None, limits);
    assert_eq!(shown(&expression), ["a.txt 4:<three> +0"]);
    let literal = search(Pattern::text("t.o", false).unwrap(), None, limits);
    assert!(literal.files.is_empty());
    let filtered = search(Pattern::text("one", false).unwrap(), Some("*.rs"), limits);
    assert_eq!(shown(&filtered).len(), 1);
    let cut = search(Pattern::text("one", false).unwrap(), None, SearchLimits { files: 1, ..limits });
    assert_eq!((cut.files.len(), cut.stop), (1, Some(Stop::Results)));
    let bytes = search(Pattern::text("one", false).unwrap(), None, SearchLimits { bytes: 10, ..limits });
    assert_eq!((bytes.files.len(), bytes.stop), (0, Some(Stop::Bytes)));
    let late = search(Pattern::text("one", false).unwrap(), None, SearchLimits { time: Duration::ZERO, ..limits });
    assert_eq!((late.files.len(), late.stop), (0, Some(Stop::Time)));
    let long = search(Pattern::text("needle", false).unwrap(), None, limits);
    let line = &shown(&long)[0];
    assert!(line.starts_with("d/long 1:éé") && line.contains("é<needle>x") && line.len() < 400, "{line}");
    let names = site.block_on(site.repo.find_names(&commit, "b", 2, Duration::from_secs(9))).unwrap();
    let paths: Vec<_> = names.files.iter().map(|file| file.path.to_string()).collect();
    assert_eq!((paths, names.fitting), (vec!["binary".to_owned(), "d/b.rs".to_owned()], 2));
}

/// A search is a question from outside: no expression may take more memory or time than the limits say.
#[test]
fn expressions_that_would_eat_the_site_are_refused_or_linear() {
    for (refused, expected) in [("", PatternProblem::Empty), (&"a".repeat(501), PatternProblem::Long)] {
        assert_eq!(Pattern::expression(refused, true).unwrap_err(), expected);
    }
    for refused in ["(", "a{1000}{1000}{1000}", r"\p{L}{5000}", "(?P<a", "[z-a]", r"(a)\1", "(?=a)"] {
        assert!(matches!(Pattern::expression(refused, false), Err(PatternProblem::Syntax(_))), "{refused}");
    }
    let evil = Pattern::expression("(a|a)*(a|a)*b$", false).unwrap();
    let started = Instant::now();
    assert!(!evil.fits(&vec![b'a'; 1 << 20]));
    assert!(started.elapsed() < Duration::from_secs(20));
    for used in [r"fn \w+\(\s*&self", r"\bTODO\b.*[äöü]\w{1,3}", "[0-9a-f]{40}", "(?i)select .* from", r"\d+ms|\d+ s"]
    {
        assert!(Pattern::expression(used, false).is_ok(), "{used}");
    }
}

/// The time is looked at inside a file as well: one file was enough to hold a thread for minutes.
#[test]
fn an_expression_that_is_slow_in_one_file_ends_with_the_time() {
    let site = Site::start();
    let tree = site.work_tree("w");
    tree.commit("one-line", &b"ab".repeat(500_000));
    tree.commit("lines", &b"abababab\n".repeat(100_000));
    tree.git(&["push", "--quiet", "origin", "main"]);
    let commit = Oid::parse(&tree.git(&["rev-parse", "HEAD"])).unwrap();
    let limits = SearchLimits { time: Duration::from_millis(50), ..SearchLimits::PAGE };
    for slow in ["[ab]{1,300}c|[ab]{299}x", "(a[ab]{150}b|b[ab]{150}a){3}z", "a.*z|b"] {
        let pattern = Pattern::expression(slow, true).unwrap();
        let started = Instant::now();
        let found = site.block_on(site.repo.search(&commit, pattern, None, limits)).unwrap();
        assert_eq!(found.stop, Some(Stop::Time), "{slow}");
        assert!(started.elapsed() < Duration::from_secs(15), "{slow}: {:?}", started.elapsed());
    }
}

/// A file is looked at in slices; what is found does not depend on where they end.
#[test]
fn matches_are_found_across_the_ends_of_slices() {
    let site = Site::start();
    let tree = site.work_tree("w");
    let line = format!("{}needle{}needle", "x".repeat((16 << 10) - 3), "y".repeat(20 << 10));
    tree.commit("long", format!("first\n{line}\nlast needle\n").as_bytes());
    tree.commit("short", &b"0123456 needle\n".repeat(3_000));
    tree.git(&["push", "--quiet", "origin", "main"]);
    let commit = Oid::parse(&tree.git(&["rev-parse", "HEAD"])).unwrap();
    let search = |pattern| {
        let limits = SearchLimits { lines: 5_000, time: Duration::from_mins(1), ..SearchLimits::PAGE };
        site.block_on(site.repo.search(&commit, pattern, None, limits)).unwrap().files
    };
    let files = search(Pattern::text("needle", true).unwrap());
    let numbers = |hit: &FileHit| hit.lines.iter().map(|line| line.number).collect::<Vec<_>>();
    assert_eq!(numbers(&files[0]), [2, 3]);
    assert_eq!(numbers(&files[1]), (1..=3_000).collect::<Vec<_>>());
    let begins = search(Pattern::expression("^[xy]", true).unwrap());
    assert_eq!((begins.len(), numbers(&begins[0])), (1, vec![2]), "the middle of a line is no beginning");
    let ends = search(Pattern::expression("e$", true).unwrap());
    assert_eq!((numbers(&ends[0]), ends[1].lines.len()), (vec![2, 3], 3_000));
}

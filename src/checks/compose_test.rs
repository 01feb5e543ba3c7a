//! Holds the reader against the real thing: `docker compose --env-file F config`. A sample each time, all with
//! `scripts/soak env`. Starts nothing that stays, and talks to no engine.

#[path = "compose_generate_test.rs"]
mod generate;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base::process::Program;

use self::generate::{FEATURES, SEED, WHOLE, file};
use super::*;

/// How many files the sample takes.
const SAMPLE: usize = 300;

/// Names that are looked for in each file whether it sets them or not.
const POOL: [&str; 14] =
    ["A", "B", "C", "D", "E_1", "_f", "g", "A.B", "A-B", "A[0]", "é", "exportC", "exportA", "A\tX"];

/// What Compose made of a file.
#[derive(Debug)]
enum Observed {
    Read(BTreeMap<String, String>),
    Refused(Option<usize>, String),
}

fn environment(name: &str) -> Option<String> {
    match name {
        "LC_ALL" => Some("C".into()),
        "EMPTY" => Some(String::new()),
        "PATH" => std::env::var("PATH").ok(),
        _ => None,
    }
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |text| text.parse().unwrap())
}

/// Asks Compose. The file that lists `names` takes their values from the environment that Compose has made.
fn observe(folder: &Path, index: usize, bytes: &[u8], names: &BTreeSet<String>) -> Observed {
    let (env, list) = (folder.join(format!("{index}.env")), folder.join(format!("{index}.json")));
    let project = serde_json::json!({"name": "proof", "services": {"a": {"image": "x", "environment": names}}});
    std::fs::write(&env, bytes).unwrap();
    std::fs::write(&list, project.to_string()).unwrap();
    let program = Program::new("docker").option("compose").option("-f").option(&list).option("--env-file").option(&env);
    let program = program.options(["config", "--format", "json"]).env("EMPTY", "");
    let done = program.directory(folder).run(b"").unwrap();
    if !done.status.success() {
        let place = done.stderr.split_once(": line ").and_then(|(_, rest)| rest.split_once(':'));
        return Observed::Refused(place.and_then(|(line, _)| line.parse().ok()), done.stderr);
    }
    let config: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    let values = config["services"]["a"]["environment"].as_object().unwrap();
    let is_set =
        |(name, value): (&String, &serde_json::Value)| Some((name.clone(), value.as_str()?.replace("$$", "$")));
    Observed::Read(values.iter().filter_map(is_set).collect())
}

/// What stands between a reading and what Compose did; nothing when they agree.
fn disagreement(reading: &Result<Reading, Refusal>, observed: &Observed, names: &BTreeSet<String>) -> Option<String> {
    match (reading, observed) {
        (Ok(reading), Observed::Read(values)) => {
            let differs = |name: &&String| reading.values.get(name) != values.get(*name).map(String::as_str);
            let beyond = reading.values.names().find(|name| !names.contains(*name));
            let name = names.iter().find(differs).map(String::as_str).or(beyond)?;
            Some(format!("{name:?}: {:?}, Compose {:?}", reading.values.get(name), values.get(name)))
        }
        (Err(ours), Observed::Refused(line, text)) => {
            // Compose names the last line of the file for a quote without an end; the line where it begins helps more.
            let is_elsewhere = line.is_some_and(|line| line != ours.line) && ours.reason != Reason::Quote;
            is_elsewhere.then(|| format!("{ours:?}, Compose {text}"))
        }
        (ours, theirs) => Some(format!("{ours:?}, Compose {theirs:?}")),
    }
}

/// Says that a test cannot run, and what the proof counted.
fn say(text: &str) {
    eprintln!("{text}");
}

fn has_compose() -> bool {
    let version = Program::new("docker").options(["compose", "version", "--short"]).run(b"");
    let found = version.ok().filter(|done| done.status.success() && done.stdout.starts_with(b"2"));
    if found.is_none() {
        let required = std::env::var("GITGRIT_TEST_REQUIRE").unwrap_or_default();
        assert!(!required.split(',').any(|part| part.trim() == "compose"), "`compose` is required, but absent");
        say("absent: compose: no `docker compose` of version 2; this test did not run");
    }
    found.is_some()
}

/// One file, the names that were asked for, and what came of it.
struct Case {
    bytes: Vec<u8>,
    names: BTreeSet<String>,
    observed: Observed,
}

fn case(folder: &Path, index: usize, bytes: Vec<u8>) -> Case {
    let mut names: BTreeSet<String> = POOL.iter().map(ToString::to_string).collect();
    if let Ok(reading) = read(&bytes, &environment) {
        names.extend(reading.values.names().map(str::to_owned));
    }
    let observed = observe(folder, index, &bytes, &names);
    Case { bytes, names, observed }
}

#[test]
fn a_sample_is_read_as_compose_reads_it_and_catches_every_planted_fault() {
    if !has_compose() {
        return;
    }
    let count = usize::try_from(number("GITGRIT_ENV_FILES", SAMPLE as u64)).unwrap();
    let (seed, workers) = (number("GITGRIT_ENV_SEED", SEED), 4);
    let folder = tempfile::tempdir().unwrap();
    let cases: Vec<Case> = std::thread::scope(|scope| {
        let work = |worker: usize| {
            let folder = folder.path();
            let cases = (worker..count).step_by(workers).map(move |index| case(folder, index, file(seed, index).0));
            scope.spawn(move || cases.collect())
        };
        let running: Vec<std::thread::ScopedJoinHandle<'_, Vec<Case>>> = (0..workers).map(work).collect();
        running.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let fixed = FIXED.iter().enumerate().map(|(index, (_, text))| case(folder.path(), count + index, (*text).into()));
    let fixed: Vec<Case> = fixed.collect();
    let found = |left_out: Option<Step>| {
        let judged = cases.iter().chain(&fixed).filter_map(|case| {
            let reading = read_by(Grammar { left_out }, &case.bytes, &environment);
            Some((case, disagreement(&reading, &case.observed, &case.names)?))
        });
        judged.map(|(case, what)| format!("{}\n    {what}", case.bytes.escape_ascii())).collect::<Vec<_>>()
    };
    let faults = found(None);
    let refused = cases.iter().filter(|case| matches!(case.observed, Observed::Refused(..))).count();
    say(&format!("seed {seed}, {count} files, {refused} refused by Compose, {} disagreements", faults.len()));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(refused * 10 >= count * 3, "{refused} of {count} refused");
    let caught: Vec<_> = FIXED.into_iter().map(|(step, _)| (step, found(Some(step)).len())).collect();
    say(&format!("planted faults and how many files notice: {caught:?}"));
    assert!(caught.iter().all(|(_, files)| *files > 0), "{caught:?}");
}

/// Each step needs no luck to be missed, and no Compose.
#[test]
fn a_fixed_file_for_each_step_is_read_differently_without_it() {
    let outcome = |left_out: Option<Step>, text: &str| {
        let reading = read_by(Grammar { left_out }, text.as_bytes(), &environment)?;
        let value = |name: &str| (name.to_owned(), reading.values.get(name).map(str::to_owned));
        Ok::<Vec<_>, Refusal>(reading.values.names().map(value).collect())
    };
    let missed = FIXED.iter().filter(|(step, text)| outcome(None, text) == outcome(Some(*step), text));
    assert_eq!(missed.collect::<Vec<_>>(), Vec::<&(Step, &str)>::new());
}

const FIXED: [(Step, &str); 16] = [
    (Step::ByteOrderMark, "\u{feff}A=1\n"),
    (Step::Export, "export A=1\n"),
    (Step::OneWordName, "A B=1\n"),
    (Step::Colon, "A: 1\n"),
    (Step::Trim, "A=1 \r\n"),
    (Step::InlineComment, "A=1 # c\n"),
    (Step::EscapedQuote, "A=\"a\\\"b\"\n"),
    (Step::Escapes, "A=\"a\\tb\"\n"),
    (Step::Octal, "A=\"\\0101\"\n"),
    (Step::Literal, "A=1\nB='$A'\n"),
    (Step::Doubled, "A=a$$b\n"),
    (Step::Nested, "A=${C:-$LC_ALL}\n"),
    (Step::EmptyIsNone, "A=\nB=${A:-w}\n"),
    (Step::Alternative, "A=1\nB=${A+w}\n"),
    (Step::Required, "A=${C?x}\n"),
    (Step::LastWins, "A=1\nA=2\n"),
];

#[test]
fn the_generated_files_cover_every_feature_and_are_often_refused() {
    let (mut features, mut refused) = (vec![0; FEATURES.len()], 0);
    for index in 0..WHOLE {
        let (bytes, chosen) = file(SEED, index);
        let refusal = read(&bytes, &environment).err();
        // What stands below the refused line was not read.
        let reached = |line: usize| refusal.as_ref().is_none_or(|refusal| line <= refusal.line);
        let counted: BTreeSet<usize> =
            chosen.iter().filter(|(_, line)| reached(*line)).map(|chosen| chosen.0).collect();
        for feature in counted {
            features[feature] += 1;
        }
        refused += usize::from(refusal.is_some());
    }
    let rare: Vec<_> = FEATURES.iter().zip(&features).filter(|(_, count)| **count < 500).map(|(f, _)| f.0).collect();
    assert!(rare.is_empty(), "{rare:?}");
    assert!(refused * 10 >= WHOLE * 3, "{refused} of {WHOLE} refused");
}

#[test]
fn what_cannot_be_bounded_is_refused_in_no_time() {
    let doubling = (1..40).map(|n| format!("A{n}=$A{m}$A{m}\n", m = n - 1)).collect::<Vec<_>>().concat();
    let opening = "${A:-".repeat(100_000);
    let many = "${A-}".repeat(200_000);
    let deep = format!("{}{}", "${A:-".repeat(1000), "}".repeat(1000));
    for (text, expected) in [
        (format!("A0=xx\n{doubling}"), Some(Reason::Bounds)),
        (format!("B={opening}"), Some(Reason::Template)),
        (format!("B={many}"), None),
        (format!("B={deep}"), Some(Reason::Bounds)),
        (format!("B='{}", "\n".repeat(1 << 20)), Some(Reason::Quote)),
        ("=".repeat(1 << 20), Some(Reason::Nameless)),
        (format!("A={}\nB={}", "x".repeat(500_000), "${A+}".repeat(100_000)), Some(Reason::Bounds)),
    ] {
        let begun = std::time::Instant::now();
        let reading = read(text.as_bytes(), &environment);
        assert_eq!(reading.err().map(|refusal| refusal.reason), expected);
        assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    }
}

#[test]
fn refusals_name_the_line_where_the_assignment_begins_and_no_value() {
    for (text, line, reason) in [
        ("A=1\n\n# c\nmy password\n", 4, Reason::Space),
        ("A=\"1\n2\"\nB=\"open\nC=1\n", 3, Reason::Quote),
        ("A=1\nB=${C:?hunter2}\n", 2, Reason::Required("C".into())),
        ("A=1\r\nB=${\r\n", 2, Reason::Template),
        ("A=1\nB=2\nhunter2", 3, Reason::Nameless),
        ("A=1\nB=a\0b\nB=3\n?", 4, Reason::Character),
        ("A=1\nB=a\0b\n", 2, Reason::Zero),
        ("A=1\nexport ", 2, Reason::Export),
        ("A=1\nB=${A:?}\nA=\n", 2, Reason::Required("A".into())),
    ] {
        let refusal = read(text.as_bytes(), &environment).unwrap_err();
        assert_eq!(refusal, Refusal { line, reason }, "{text:?}");
        assert!(!refusal.reason.to_string().contains("hunter2"));
    }
}

//! Tests of the migration: by table, over the program's own template, and over texts made at random.

use super::*;
use base::envfile::Values;

const OLD: &str =
    "# head\n\n# the tag\n#TAG=\n\n# the port\n#APP_PORT=3000\n\n# gone\n#LEGACY=1\n\n# the address\nSITE_URL=\n";
const NEW: &str = "# head\n\n# the image's tag\n#TAG=\n\n# the port\n#APP_PORT=8080\n\n# fresh\n#FRESH=x\n\n# the address\nSITE_URL=\n";

fn by(old: &str, new: &str, mine: &str) -> Result<Migration, MigrateError> {
    migrate(old, new, mine, &|_| None)
}

fn merged(mine: &str) -> Migration {
    by(OLD, NEW, mine).unwrap()
}

#[test]
fn an_untouched_template_becomes_the_new_one() {
    let migration = merged(OLD);
    assert_eq!(migration.text, NEW);
    let expected =
        [("TAG", Step::Updated), ("APP_PORT", Step::Updated), ("FRESH", Step::Added), ("LEGACY", Step::Removed)];
    assert_eq!(migration.steps, expected.map(|(name, step)| (name.to_owned(), step)));
    assert_eq!(by(OLD, OLD, OLD).unwrap().text, OLD);
}

#[test]
fn the_operators_values_comments_and_order_stay() {
    let mine = "# ours\nSITE_URL=https://a.internal\n\n# why this port: see ticket 12\nAPP_PORT=3000\nLEGACY='2\n3'\nMINE=4 # four\n\
                # the tag\nTAG=1.2\n# the end\n";
    let migration = merged(mine);
    let expected = "# ours\nSITE_URL=https://a.internal\n\n# why this port: see ticket 12\nAPP_PORT=3000\n\n# fresh\n#FRESH=x\n\
                    LEGACY='2\n3'\nMINE=4 # four\n# the image's tag\nTAG=1.2\n# the end\n";
    assert_eq!(migration.text, expected);
    let expected =
        [("TAG", Step::Updated), ("APP_PORT", Step::Kept), ("FRESH", Step::Added), ("LEGACY", Step::Orphaned)];
    assert_eq!(migration.steps, expected.map(|(name, step)| (name.to_owned(), step)));
}

#[test]
fn what_was_migrated_once_is_not_changed_again() {
    for mine in [OLD, "APP_PORT=1\n", "", "# only a comment\n", "TAG=1\r\nAPP_PORT=3000\r\n"] {
        let once = merged(mine).text;
        let twice = by(NEW, NEW, &once).unwrap();
        assert_eq!((twice.text.as_str(), twice.steps.len()), (once.as_str(), 0), "{mine:?}");
    }
}

#[test]
fn line_ends_of_the_file_are_kept() {
    let migration = merged("TAG=1\r\nAPP_PORT=3000\r\n");
    assert!(migration.text.split('\n').filter(|line| !line.is_empty()).all(|line| line.ends_with('\r')));
    assert!(migration.text.contains("#FRESH=x\r\n"));
}

#[test]
fn a_file_that_compose_refuses_is_refused_by_line() {
    let refused = by(OLD, NEW, "A=1\nmy password\n").err().unwrap();
    assert_eq!(refused.to_string(), "line 2 of the file: a name holds a space, or the line has no `=`");
}

/// Whatever the operator's file holds, its values come through: the fuzz is small, and the rule has no exception.
#[test]
fn no_value_is_lost_or_changed_in_a_thousand_files() {
    let parts = [
        "TAG=1\n",
        "#TAG=\n",
        "APP_PORT='30\n00'\n",
        "export SITE_URL=x\n",
        "MINE=\"a\\\"b\nTAG=9\"\n",
        "# note\n",
        "\n",
        "LEGACY=1\n",
        "#LEGACY=1\n",
        "FRESH=mine\n",
        "APP_PORT=3000\n",
        "# the port\n",
        "MINE=$TAG\n",
        "TAG=2 # two\n",
    ];
    let mut merged = 0;
    for number in 0..1000_usize {
        let picked = (0..6).map(|place| parts[(number * 31 + place * place * 7 + number / (place + 1)) % parts.len()]);
        let mine: String = picked.collect();
        let before = reading("file", &mine, &|_| None).unwrap().values;
        match by(OLD, NEW, &mine) {
            Ok(migration) => {
                let after = reading("file", &migration.text, &|_| None).unwrap().values;
                merged += 1;
                assert!(before.names().all(|name| before.get(name) == after.get(name)), "{mine}\n{}", migration.text);
            }
            Err(error) => assert!(matches!(error, MigrateError::Changes(_)), "{error} {mine}"),
        }
    }
    assert!(merged >= 500, "{merged} of 1000 files were merged");
}

#[test]
fn a_note_on_a_setting_that_is_gone_stays_and_is_not_called_removed() {
    let migration = merged("#LEGACY=my note 2\n");
    assert!(migration.text.contains("#LEGACY=my note 2\n"), "{}", migration.text);
    assert!(migration.steps.iter().all(|(name, _)| name != "LEGACY"), "{:?}", migration.steps);
    let migration = merged("#LEGACY=my note 2\n#LEGACY=1\nLEGACY=2\n");
    assert!(migration.text.contains("#LEGACY=my note 2\nLEGACY=2\n"), "{}", migration.text);
    assert_eq!(migration.steps.last(), Some(&("LEGACY".to_owned(), Step::Orphaned)));
}

#[test]
fn a_file_without_a_last_line_end_keeps_it_so() {
    let migration = by(NEW, NEW, "TAG=1\nAPP_PORT=80").unwrap();
    assert_eq!((migration.text.as_str(), migration.steps.len()), ("TAG=1\nAPP_PORT=80", 0));
    let migration = by(NEW, NEW, "TAG=1\r\nAPP_PORT=80").unwrap();
    assert_eq!(migration.text, "TAG=1\r\nAPP_PORT=80");
}

#[test]
fn the_file_may_ask_the_environment_and_still_does_afterwards() {
    let mine = "MINE=${HOME:?x}\nTAG=1\n";
    let environment = |name: &str| (name == "HOME" || name == "TAG").then(|| "outside".to_owned());
    let migration = migrate(OLD, NEW, mine, &environment).unwrap();
    assert!(migration.text.contains("MINE=${HOME:?x}\n"), "{}", migration.text);
    assert!(by(OLD, NEW, mine).is_err());
}

#[test]
fn neither_a_long_file_nor_a_long_template_takes_long() {
    let many = "#LEGACY=1\n".repeat(100_000);
    let names = (0..50_000).map(|number| format!("#N{number}=\n")).collect::<Vec<_>>().concat();
    for (old, new, mine) in
        [(OLD, NEW, many.as_str()), (OLD, &names, OLD), (&names, OLD, &names), (&names, &names, &many)]
    {
        let begun = std::time::Instant::now();
        assert!(by(old, new, mine).is_ok());
        assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    }
    assert!(!by(OLD, NEW, &many).unwrap().text.contains("LEGACY"));
}

#[test]
fn the_programs_own_template_migrates_to_itself() {
    let template = base::template::render(&Values::default()).unwrap();
    let secrets: Values = [("SECRET_KEY", "a $b #c"), ("SITE_URL", "https://a.internal")].into_iter().collect();
    let mine = base::template::render(&secrets).unwrap();
    let migration = by(&template, &template, &mine).unwrap();
    assert_eq!((migration.text == mine, migration.steps.len()), (true, 0));
}

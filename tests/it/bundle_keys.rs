//! Keys and signatures, with stock `minisign` on the other side: what one makes, the other takes.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use base::Secret;
use base::process::{Finished, Program};
use serde_json::Value;
use vault::minisign::{PublicKey, SecretKey, Signature};

use crate::require;
use crate::site::{Ground, out};

/// Time for what a password is meant to cost, on a machine that does other things too.
const SLOW: Duration = Duration::from_mins(5);

fn has_minisign() -> bool {
    require::has("minisign", require::program("minisign").map(drop))
}

fn stock(home: &Path, arguments: &[&str], input: &str) -> Finished {
    let program = Program::new("minisign").options(arguments).directory(home).env("HOME", home).deadline(SLOW);
    program.run(input.as_bytes()).unwrap()
}

fn stock_does(home: &Path, arguments: &[&str], input: &str) -> String {
    let done = stock(home, arguments, input);
    assert!(done.status.success(), "{arguments:?}: {}{}", out(&done), done.stderr);
    out(&done)
}

fn ours(ground: &Ground, arguments: &[&str]) -> Finished {
    ground.program().options(["bundle"]).options(arguments).deadline(SLOW).run(b"").unwrap()
}

fn ours_do(ground: &Ground, arguments: &[&str]) -> String {
    let done = ours(ground, arguments);
    assert!(done.status.success(), "{arguments:?}: {}{}", out(&done), done.stderr);
    out(&done)
}

fn write(home: &Path, name: &str, text: &str) {
    std::fs::write(home.join(name), text).unwrap();
}

fn read(home: &Path, name: &str) -> String {
    std::fs::read_to_string(home.join(name)).unwrap()
}

/// A trust file of these public keys.
fn trust(home: &Path, name: &str, sequence: u64, threshold: u64, keys: &[&str]) {
    let keys: Vec<Value> = keys
        .iter()
        .map(|key| serde_json::json!({"name": key, "key": read(home, &format!("{key}.pub")).lines().nth(1)}))
        .collect();
    let file = serde_json::json!({"format": 1, "sequence": sequence, "threshold": threshold, "keys": keys});
    write(home, name, &file.to_string());
}

#[test]
fn keys_without_a_password_go_both_ways_with_stock_minisign() {
    if !has_minisign() {
        return;
    }
    let ground = Ground::new();
    let home = ground.home();
    let made: Value = serde_json::from_str(&ours_do(&ground, &["keygen", "mine", "--no-password", "--json"])).unwrap();
    let mode = home.join("mine.key").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    stock_does(home, &["-G", "-W", "-p", "stock.pub", "-s", "stock.key"], "");
    trust(home, "trust.json", 1, 1, &["mine", "stock"]);
    let bytes = std::fs::read(home.join("trust.json")).unwrap();

    // Theirs, with our key: hashed and in the old way.
    for old in [&[][..], &["-l"]] {
        let arguments =
            [&["-S", "-s", "mine.key", "-m", "trust.json", "-x", "theirs.minisig", "-t", "a b"], old].concat();
        stock_does(home, &arguments, "");
        let signature = Signature::parse(&read(home, "theirs.minisig")).unwrap();
        assert_eq!(signature.trusted_comment(), "a b");
        let key = PublicKey::parse(&read(home, "mine.pub")).unwrap();
        assert_eq!(key.id().to_string(), made["id"].as_str().unwrap());
        key.verify(&bytes, &signature).unwrap();
    }
    // Ours, with both keys.
    ours_do(&ground, &["sign", "trust.json", "--key", "mine.key", "--key", "stock.key"]);
    for name in ["mine", "stock"] {
        let public = PublicKey::parse(&read(home, &format!("{name}.pub"))).unwrap();
        let signature = format!("trust.json.{}.minisig", public.id());
        let check = ["-V", "-m", "trust.json", "-x", &signature, "-p", &format!("{name}.pub")];
        assert!(stock_does(home, &check, "").contains("gitgrit trust file, sequence 1"));
        stock_does(home, &["-V", "-m", "trust.json", "-x", &signature, "-P", &public.line()], "");
        write(home, "trust.json", &read(home, "trust.json").replace("\"format\":1", "\"format\":2"));
        assert!(!stock(home, &check, "").status.success(), "a changed file");
        std::fs::write(home.join("trust.json"), &bytes).unwrap();
    }
}

#[test]
fn keys_with_a_password_go_both_ways_with_stock_minisign() {
    if !has_minisign() {
        return;
    }
    let ground = Ground::new();
    let home = ground.home();
    write(home, "password", "correct horse\n");
    write(home, "wrong", "battery staple\n");
    ours_do(&ground, &["keygen", "mine", "--password-file", "password"]);
    stock_does(home, &["-G", "-p", "stock.pub", "-s", "stock.key"], "correct horse\ncorrect horse\n");
    trust(home, "trust.json", 1, 1, &["mine", "stock"]);
    let signing = ["-S", "-s", "mine.key", "-m", "trust.json", "-x", "theirs.minisig"];
    stock_does(home, &signing, "correct horse\n");
    assert!(!stock(home, &signing, "battery staple\n").status.success());
    let signature = Signature::parse(&read(home, "theirs.minisig")).unwrap();
    let key = PublicKey::parse(&read(home, "mine.pub")).unwrap();
    key.verify(&std::fs::read(home.join("trust.json")).unwrap(), &signature).unwrap();
    let theirs = SecretKey::parse(&read(home, "stock.key"), Some(&Secret::new("correct horse".into()))).unwrap();
    assert_eq!(theirs.public(), &PublicKey::parse(&read(home, "stock.pub")).unwrap());

    let done = ours(&ground, &["sign", "trust.json", "--key", "mine.key", "--password-file", "wrong"]);
    assert_eq!(done.status.code(), Some(12), "{}", done.stderr);
    let sign = ["bundle", "sign", "trust.json", "--key", "mine.key"];
    let unasked = ground.program().options(sign).deadline(SLOW);
    let program = Program::new("setsid").options(["--wait", crate::site::binary().to_str().unwrap()]).options(sign);
    let done = program.directory(home).deadline(SLOW).run(b"").unwrap();
    assert_eq!(done.status.code(), Some(1), "{}", done.stderr);
    assert!(done.stderr.contains("--password-file FILE, or set GITGRIT_KEY_PASSWORD"), "{}", done.stderr);
    let done = unasked.env("GITGRIT_KEY_PASSWORD", "correct horse").run(b"").unwrap();
    assert!(done.status.success(), "{}", done.stderr);
    let check = ["-V", "-m", "trust.json", "-x", &format!("trust.json.{}.minisig", key.id()), "-p", "mine.pub"];
    stock_does(home, &check, "");
}

#[test]
fn a_key_that_is_there_is_never_replaced() {
    let ground = Ground::new();
    let done = ours(&ground, &["keygen", "mine", "--no-password", "--dry-run"]);
    assert_eq!((done.status.code(), done.stderr.as_str()), (Some(0), "would make mine.key and mine.pub\n"));
    assert!(!ground.home().join("mine.key").exists());
    ours_do(&ground, &["keygen", "mine", "--no-password"]);
    let before = read(ground.home(), "mine.key");
    std::fs::remove_file(ground.home().join("mine.pub")).unwrap();
    let done = ours(&ground, &["keygen", "mine", "--no-password"]);
    assert_eq!(done.status.code(), Some(1));
    assert_eq!(done.stderr.lines().next(), Some("error: `mine.key` is there already"));
    assert_eq!(read(ground.home(), "mine.key"), before);
    write(ground.home(), "empty", "\n");
    let done = ours(&ground, &["keygen", "other", "--password-file", "empty"]);
    assert!(done.stderr.starts_with("error: the password is empty\n"), "{}", done.stderr);
}

/// One stolen key must not be enough to change whom a site believes.
#[test]
fn a_trust_file_is_replaced_by_one_that_old_and_new_keys_have_signed() {
    let ground = Ground::new();
    let home = ground.home();
    for name in ["one", "two", "three", "four"] {
        ours_do(&ground, &["keygen", name, "--no-password"]);
    }
    trust(home, "trust.json", 1, 2, &["one", "two", "three"]);
    trust(home, "next.json", 2, 2, &["three", "four"]);
    let before = read(home, "trust.json");
    let replace = ["trust", "replace", "trust.json", "next.json"];
    ours_do(&ground, &["sign", "next.json", "--key", "three.key", "--key", "four.key"]);
    let done = ours(&ground, &replace);
    assert_eq!(done.status.code(), Some(13), "{}", done.stderr);
    assert!(done.stderr.contains("by the old keys, 1 of the 2 signatures"), "{}", done.stderr);
    assert_eq!(read(home, "trust.json"), before);

    ours_do(&ground, &["sign", "next.json", "--key", "one.key"]);
    ours_do(&ground, &[&replace[..], &["--dry-run"]].concat());
    assert_eq!(read(home, "trust.json"), before);
    ours_do(&ground, &replace);
    assert_eq!(read(home, "trust.json"), read(home, "next.json"));
    let shown: Value =
        serde_json::from_str(&ours_do(&ground, &["trust", "show", "--trust", "trust.json", "--json"])).unwrap();
    assert_eq!((shown["threshold"].as_u64(), shown["keys"].as_array().map(Vec::len)), (Some(2), Some(2)));
    // The same file does not come in twice.
    let done = ours(&ground, &replace);
    assert!(done.stderr.contains("its sequence 2 is not above 2"), "{}", done.stderr);
}

#[test]
fn nobody_is_trusted_unless_somebody_said_so() {
    let ground = Ground::new();
    let done = ours(&ground, &["trust", "show"]);
    assert_eq!(done.status.code(), Some(13), "{}{}", out(&done), done.stderr);
    assert!(done.stderr.starts_with("error[GG-BUNDLE-101]: no key is trusted"), "{}", done.stderr);
    write(ground.home(), "broken.json", "{}");
    let done = ours(&ground, &["trust", "show", "--trust", "broken.json"]);
    assert_eq!(done.status.code(), Some(1), "{}", done.stderr);
}

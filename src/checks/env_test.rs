//! Tests of the settings check: every rule over whole files, and that no secret is said.

use super::*;

const KEY: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
const SECRET: &str = "kz8Wm2Qp7Xr4Nt9Vb3Yc6Lf1Hd5Gs0JaEuIoRwTqPyMnBvCxZlKj";

fn reading(values: &Values) -> Reading {
    Reading { values: values.clone(), ..Reading::default() }
}

fn none(_: &str) -> Option<String> {
    None
}

fn plain(path: &Path) -> Vec<Finding> {
    check(path, &Asked { purpose: Purpose::Site, are_ports_free: false, environment: &none })
}

/// What a file of this text is told, beside a good one's settings.
fn written(more: &str, environment: Environment<'_>) -> Vec<Finding> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(".env");
    let text = format!("SITE_URL=https://a.internal\nSECRET_KEY={SECRET}\nGITGRIT_ENCRYPTION_KEY={KEY}\n{more}");
    base::file::write_atomic(&path, text.as_bytes(), 0o600).unwrap();
    check(&path, &Asked { purpose: Purpose::Site, are_ports_free: false, environment })
}

fn fresh() -> Values {
    [("SITE_URL", "https://forge.acme.internal:8828"), ("SECRET_KEY", SECRET), ("GITGRIT_ENCRYPTION_KEY", KEY)]
        .into_iter()
        .collect()
}

fn judged(values: &Values, stored: BTreeMap<String, String>) -> Vec<Finding> {
    let stored = Stored { values: stored, finding: None };
    judge(&reading(values), &stored, &Private::default(), Purpose::Site)
}

fn said(values: &Values) -> Vec<String> {
    let show = |finding: Finding| format!("{} {} {}", finding.id, finding.subject, finding.message);
    judged(values, BTreeMap::new()).into_iter().map(show).collect()
}

fn with(name: &str, value: &str) -> Vec<String> {
    let mut values = fresh();
    values.set(name, value);
    said(&values)
}

#[test]
fn a_fresh_site_of_its_own_needs_no_gitlab() {
    assert!(said(&fresh()).is_empty(), "{:?}", said(&fresh()));
}

#[test]
fn a_named_gitlab_needs_the_rest_of_its_settings() {
    let missing = ["GITLAB_CLIENT_ID", "GITLAB_CLIENT_SECRET", "GITGRIT_CUSTOM_CA_FILE_PATH"]
        .map(|name| format!("GG-ENV-004 {name} is not set"));
    assert_eq!(with("GITLAB_URL", "https://gitlab.acme.internal"), missing);
    assert_eq!(with("AUTH_PROVIDER_GITLAB_ENABLED", "True").len(), 4);
    assert!(with("AUTH_PROVIDER_GITLAB_ENABLED", "False").is_empty());
}

#[test]
fn required_variables_may_stand_in_the_stored_secrets_with_the_same_value() {
    let values: Values = [("SITE_URL", "https://forge.acme.internal")].into_iter().collect();
    let stored: BTreeMap<_, _> =
        [("SECRET_KEY", SECRET), ("GITGRIT_ENCRYPTION_KEY", KEY)].map(|(n, v)| (n.into(), v.into())).into();
    assert!(judged(&values, stored.clone()).is_empty());
    let mut other = fresh();
    assert!(judged(&other, stored.clone()).is_empty());
    other.set("SECRET_KEY", SECRET.to_lowercase());
    let found = judged(&other, stored);
    assert_eq!((found.len(), found[0].id, found[0].subject.as_str()), (1, "GG-ENV-030", "SECRET_KEY"));
}

#[test]
fn unknown_names_get_a_suggestion_when_one_is_near() {
    assert_eq!(with("SITE_ULR", "x"), ["GG-ENV-005 SITE_ULR no such variable; did you mean SITE_URL?"]);
    assert_eq!(with("FROBNICATE", "x"), ["GG-ENV-005 a name no such variable"]);
    assert!(with("COMPOSE_PROJECT_NAME", "x").is_empty());
}

#[test]
fn names_of_the_stack_are_refused() {
    for name in ["DB_HOST", "REQUESTS_CA_BUNDLE", "SANDBOX_NETWORK", "SSL_CERT_FILE", "DB_PASSWORD"] {
        assert_eq!(with(name, "x"), [format!("GG-ENV-006 {name} is set by the stack itself")]);
    }
    assert_eq!(with("AIRGAPPED", "true"), ["GG-ENV-008 AIRGAPPED is not `True`"]);
    assert_eq!(with("AIRGAPPED", "True"), ["GG-ENV-006 AIRGAPPED is set by the stack itself"]);
}

#[test]
fn secrets_are_not_used_twice_and_never_shown() {
    let found = with("POSTGRES_PASSWORD", SECRET);
    assert_eq!(found, ["GG-ENV-018 POSTGRES_PASSWORD has the same value as SECRET_KEY"]);
    let weak = with("SECRET_KEY", "hunter2");
    assert!(!weak.is_empty() && !format!("{weak:?}").contains("hunter2"));
}

#[test]
fn two_services_do_not_share_a_port() {
    let same = "GG-ENV-013 SSH_PORT is the same port as APP_PORT".to_owned();
    assert!(with("APP_PORT", "2424").contains(&same) && !with("APP_PORT", "2425").contains(&same));
}

#[test]
fn a_file_that_others_may_read_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(".env");
    let text = format!("SITE_URL=https://a.internal\nSECRET_KEY={SECRET}\nGITGRIT_ENCRYPTION_KEY={KEY}\n");
    base::file::write_atomic(&path, text.as_bytes(), 0o644).unwrap();
    let found = plain(&path);
    assert_eq!((found.len(), found[0].id, found[0].message.as_str()), (1, "GG-ENV-003", "has mode 0644, not 0600"));
    base::file::write_atomic(&path, text.as_bytes(), 0o600).unwrap();
    assert_eq!(plain(&path)[0].id, "GG-ENV-029");
    assert_eq!(plain(&dir.path().join("none"))[0].id, "GG-ENV-001");
    base::file::write_atomic(&path, b"my password\n", 0o600).unwrap();
    assert_eq!(plain(&path)[0].message, "line 1 is not NAME=value");
}

#[test]
fn values_that_the_two_readers_take_differently_are_named_and_secrets_not_shown() {
    let id = |more: &str| -> Vec<String> {
        let findings = written(more, &none);
        findings.iter().map(|found| format!("{} {}: {}", found.id, found.subject, found.message)).collect()
    };
    for (more, expected) in [
        ("APP_PORT=3000#old\n", "GG-ENV-012 APP_PORT: `3000#old` is not a port from 1 to 65535"),
        ("TAG=${NONE:-1.2}\n", "GG-ENV-052 TAG: line 4: Docker Compose and the site read"),
        ("POSTGRES_USER=a\\\\b\n", "GG-ENV-052 POSTGRES_USER: line 4: Docker Compose reads `a\\\\b`, the site `a\\b`"),
        ("POSTGRES_PASSWORD='kz8Wm2Qp\\'7Xr4Nt9V'\n", "GG-ENV-002 "),
        (
            "POSTGRES_PASSWORD=kz8Wm2Qp\\\\7Xr4Nt9V\n",
            "GG-ENV-052 POSTGRES_PASSWORD: line 4: Docker Compose and the site read",
        ),
        ("POSTGRES_PASSWORD=${NONE-kz8Wm2Qp7Xr4Nt9V}\n", "GG-ENV-052 POSTGRES_PASSWORD: line 4: Docker Compose and"),
        ("TAG: 1.2\n", "GG-ENV-002 "),
        ("TAG=${\n", "GG-ENV-051 "),
        ("TAG=${OTHER:?say}\n", "GG-ENV-051 "),
        ("TAG=1\nTAG=1\n", "GG-ENV-053 TAG: is set on lines 4 and 5"),
    ] {
        let found = id(more);
        let expected = expected.replace("lines 4 and 5", "lines 4, 5");
        assert!(found.iter().any(|found| found.starts_with(&expected)), "{more}: {found:?}");
        assert!(!format!("{found:?}").contains("kz8Wm2Qp"), "{found:?}");
    }
}

#[test]
fn the_environment_is_told_where_it_wins_and_used_where_it_is_asked_for() {
    let environment = |name: &str| (name == "POSTGRES_DB").then(|| "mine".to_owned());
    let found = written("POSTGRES_DB=ours\n", &environment);
    assert_eq!((found.len(), found[0].id, found[0].subject.as_str()), (1, "GG-ENV-054", "POSTGRES_DB"));
    assert!(written("POSTGRES_DB=mine\n", &environment).iter().all(|found| found.severity == Severity::Ok));
}

/// Canaries in every place where a secret may be, and in every way in which a line may be wrong.
#[test]
fn no_secret_is_said_wherever_it_stands() {
    let lines = [
        "SECRET_KEY=@",
        "SECRET_KEY='@'",
        "POSTGRES_PASSWORD=\"@",
        "GITLAB_CLIENT_SECRET=@ @",
        "DATABASE_URL=mysql://u:@\\x40h/d",
        "REDIS_URL=http://u:@\\x40h",
        "GITGRIT_ENCRYPTION_KEY=@",
        "@",
        "@=1",
        "SITE_URL=https://u:@\\x40h",
        "SITE_URL=https://u:12/@\\x40h",
        "SITE_URL=https://h/@",
        "SITE_URL=@:12",
        "GITLAB_URL=https://@\\x40h",
        "GITLAB_URL=https://h?@",
        "MY_TOKEN=${NONE:-@}",
        "SECRET_KEY=${NONE:-@}",
        "DB_PASSWORD=@",
        "export @ @",
        "A=${@",
        "SECRET_KEY=\"a\n@\nb",
        "SECRET_KEY=\"a\n@=1\nb",
        "SECRET_KEY=${X:?@}",
        "SECRET_KEY=${@:?x}",
        "SECRET_KEX=@",
        "POSTGRES_PASSWORD=@\nPOSTGRES_PASSWORD=@",
        "SSH_CLONE_HOST=https://u:@\\x40h",
        "TAG=postgres://u:@\\x40h",
        "POSTGRES_PASSWORD=@\nTAG=x$POSTGRES_PASSWORD!",
        "POSTGRES_PASSWORD=@\nTAG=x${POSTGRES_PASSWORD}!\nPOSTGRES_PASSWORD=other",
        "POSTGRES_PASSWORD=@\nSITE_URL=https://$POSTGRES_PASSWORD",
        "POSTGRES_PASSWORD=@\nSANDBOX_DNS=10.0.0.1,${POSTGRES_PASSWORD:-x}",
        "MINE=@\nAPP_PORT=\\$MINE$MINE",
        "GITGRIT_CUSTOM_CA_FILE_PATH=/${OUTSIDE}/ca.pem",
        "POSTGRES_PASSWORD=@\nTAG=x@!",
    ];
    for canary in ["hunter2CANARYhunter2", "HUNTER2CANARY", "hunter2/CANARY", "hun#hunter2", "LETMEIN_HUNTER2"] {
        let environment = |name: &str| (name == "OUTSIDE").then(|| canary.to_owned());
        for line in lines {
            let text = line.replace("\\x40", "\u{1}").replace('@', canary).replace('\u{1}', "@");
            let found = written(&format!("{text}\n"), &environment);
            let said = format!("{found:?}{}", serde_json::to_string(&found).unwrap()).to_lowercase();
            assert!(!said.contains("hunter2"), "{text}: {said}");
        }
    }
}

#[test]
fn a_file_in_another_encoding_is_told_by_line_and_judged_as_compose_reads_it() {
    let check = |bytes: &[u8]| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".env");
        base::file::write_atomic(&path, bytes, 0o600).unwrap();
        let found = plain(&path).into_iter().map(|found| (found.id, found.line, found.message));
        found.collect::<Vec<_>>()
    };
    let latin = check(b"TAG=1\n# f\xfcr\nAPP_PORT=x\n");
    assert_eq!((latin[0].0, latin[0].1), ("GG-ENV-061", Some(2)));
    assert!(latin[0].2.contains("Latin-1") && latin.iter().any(|found| (found.0, found.1) == ("GG-ENV-012", Some(3))));
    let wide: Vec<u8> = "\u{feff}TAG=1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let wide = check(&wide);
    assert!(wide.len() == 1 && wide[0].0 == "GG-ENV-061" && wide[0].2.contains("UTF-16"), "{wide:?}");
    let dir = tempfile::tempdir().unwrap();
    let found = plain(&dir.path().join("none"));
    assert_eq!((found[0].id, found[0].message.as_str()), ("GG-ENV-001", "does not exist"));
    let found = plain(dir.path());
    assert_eq!((found[0].message.as_str(), found[0].fix.as_str()), ("is a directory", "name the file inside it"));
}

#[test]
fn a_refusals_fix_follows_its_reason() {
    for (text, fix) in [
        ("TAG=${NONE:?say}\n", "set the variable that the line asks for, in the file above it or in the environment"),
        ("TAG='x\n", "close the quote that begins in this line"),
    ] {
        let found = written(text, &none);
        let refused = found.iter().find(|found| found.id == "GG-ENV-051").unwrap();
        assert_eq!((refused.fix.as_str(), refused.line), (fix, Some(4)));
    }
    let weak = written("POSTGRES_PASSWORD=short\n", &none);
    assert!(weak[0].fix.contains("ALTER ROLE") && weak[0].line == Some(4), "{weak:?}");
}

#[test]
fn stored_secrets_that_do_not_read_are_told_and_not_missed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(".env");
    base::file::write_atomic(&path, b"SITE_URL=https://forge.acme.internal\n", 0o600).unwrap();
    base::file::create_dir(&dir.path().join("data"), 0o700).unwrap();
    base::file::write_atomic(&dir.path().join("data/secrets.json"), b"{\"SECRET_KEY\": 1", 0o600).unwrap();
    let ids: Vec<_> = plain(&path).iter().map(|found| found.id).collect();
    assert_eq!(ids, ["GG-ENV-065"]);
}

#[test]
fn a_stack_needs_its_databases_password_and_a_switch_is_never_empty() {
    let missing = "GG-ENV-004 POSTGRES_PASSWORD is not set".to_owned();
    assert!(with("TAG", "1.2").contains(&missing) && !with("SSH_PORT", "22").contains(&missing));
    assert!(with("TAG", "1.2").iter().any(|said| said.starts_with("GG-ENV-055") && said.ends_with("publishes 3000")));
    assert_eq!(
        with("AUTH_PROVIDER_GITLAB_ENABLED", ""),
        ["GG-ENV-007 AUTH_PROVIDER_GITLAB_ENABLED `` is not exactly `True` or `False`"]
    );
}

#[test]
fn what_is_large_is_judged_in_no_time_and_told_briefly() {
    let names = (0..10_000).map(|number| format!("N{number}=x{number}\nN{number}=y\n")).collect::<Vec<_>>().concat();
    let private = (0..5_000).map(|number| format!("p{number}=value{number}\n")).collect::<Vec<_>>().concat();
    let looked_up = format!("A={}\nB={}\n", "x".repeat(500_000), "${A+}".repeat(100_000));
    for (text, id) in [
        (format!("POSTGRES_PASSWORD={}\n", "aB3".repeat(300_000)), "GG-ENV-060"),
        (names, "GG-ENV-005"),
        (format!("{private}TAG={}!\n", "x".repeat(300)), "GG-ENV-027"),
        (looked_up, "GG-ENV-051"),
    ] {
        let begun = std::time::Instant::now();
        let found = written(&text, &none);
        assert!(found.iter().any(|found| found.id == id), "{id}");
        assert!(found.len() < 100, "{} findings", found.len());
        assert!(begun.elapsed().as_secs() < 60, "{id}: {:?}", begun.elapsed());
    }
    let more = written(&(0..25).map(|number| format!("N{number}=x\n")).collect::<Vec<_>>().concat(), &none);
    assert_eq!(more.last().unwrap().message, "and 5 more of this kind");
}

#[test]
fn the_port_of_the_site_is_one_that_is_published() {
    let found = |port: &str, proxies: &str| {
        let mut values = fresh();
        values.set("APP_PORT", port);
        values.set("TRUSTED_PROXIES", proxies);
        said(&values)
    };
    assert_eq!(found("3000", ""), ["GG-ENV-055 SITE_URL leads to port 8828, and APP_PORT publishes 3000"]);
    assert!(found("8828", "").is_empty() && found("3000", "10.0.0.7").is_empty());
}

#[test]
fn a_site_is_not_its_own_gitlab() {
    assert!(with("GITLAB_URL", "https://forge.acme.internal:8828").iter().any(|said| said.starts_with("GG-ENV-059")));
}

#[test]
fn a_gibibyte_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(".env");
    std::fs::File::create(&path).unwrap().set_len(1 << 30).unwrap();
    let begun = std::time::Instant::now();
    let found = plain(&path);
    assert_eq!((found.len(), found[0].id), (1, "GG-ENV-050"));
    assert!(begun.elapsed().as_secs() < 30);
}

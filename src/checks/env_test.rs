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

fn said(values: &Values) -> Vec<String> {
    let show = |finding: Finding| format!("{} {} {}", finding.id, finding.subject, finding.message);
    judge(&reading(values), &BTreeMap::new(), Purpose::Site).into_iter().map(show).collect()
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
    assert!(judge(&reading(&values), &stored, Purpose::Site).is_empty());
    let mut other = fresh();
    assert!(judge(&reading(&other), &stored, Purpose::Site).is_empty());
    other.set("SECRET_KEY", SECRET.to_lowercase());
    let found = judge(&reading(&other), &stored, Purpose::Site);
    assert_eq!((found.len(), found[0].id, found[0].subject.as_str()), (1, "GG-ENV-030", "SECRET_KEY"));
}

#[test]
fn unknown_names_get_a_suggestion_when_one_is_near() {
    assert_eq!(with("SITE_ULR", "x"), ["GG-ENV-005 SITE_ULR no such variable; did you mean SITE_URL?"]);
    assert_eq!(with("FROBNICATE", "x"), ["GG-ENV-005 FROBNICATE no such variable"]);
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
        ("TAG=${NONE:-1.2}\n", "GG-ENV-052 TAG: line 4: Docker Compose reads `1.2`, the site ``"),
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
    let environment = |name: &str| (name == "TAG" || name == "VERSION_OF_TAG").then(|| "2.0".to_owned());
    let found = written("TAG=1.0\n", &environment);
    assert_eq!((found.len(), found[0].id, found[0].subject.as_str()), (1, "GG-ENV-054", "TAG"));
    assert!(written("TAG=2.0\n", &environment).iter().all(|found| found.severity == Severity::Ok));
}

/// A canary in every place where a secret may be, and in every way in which a line may be wrong.
#[test]
fn no_secret_is_said_wherever_it_stands() {
    const CANARY: &str = "hunter2CANARYhunter2";
    let lines = [
        "SECRET_KEY=$",
        "SECRET_KEY='$'",
        "POSTGRES_PASSWORD=\"$",
        "GITLAB_CLIENT_SECRET=$ $",
        "DATABASE_URL=mysql://u:$@h/d",
        "REDIS_URL=http://u:$@h",
        "GITGRIT_ENCRYPTION_KEY=$",
        "$",
        "$=1",
        "SITE_URL=https://u:$@h",
        "GITLAB_URL=https://$@h",
        "MY_TOKEN=${NONE:-$}",
        "SECRET_KEY=${NONE:-$}",
        "DB_PASSWORD=$",
        "export $ $",
        "A=${$",
        "SECRET_KEY=\"a\n$\nb",
        "SECRET_KEY=${X:?$}",
        "SECRET_KEX=$",
        "POSTGRES_PASSWORD=$\nPOSTGRES_PASSWORD=$",
        "SSH_CLONE_HOST=https://u:$@h",
    ];
    for line in lines {
        let found =
            written(&format!("{}\n", line.replace("${", "\u{1}").replace('$', CANARY).replace('\u{1}', "${")), &none);
        let said = format!("{found:?}{}", serde_json::to_string(&found).unwrap());
        assert!(!said.contains("hunter2"), "{line}: {said}");
    }
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
fn ports_that_are_taken_are_told_when_asked_for() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let values: Values = [("APP_PORT", port.as_str())].into_iter().collect();
    let found = env_whole::busy_ports(&values);
    assert!(found.iter().any(|found| found.id == "GG-ENV-056" && found.subject == "APP_PORT"), "{found:?}");
}

#[test]
fn a_gibibyte_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(".env");
    std::fs::File::create(&path).unwrap().set_len(1 << 30).unwrap();
    let begun = std::time::Instant::now();
    let found = plain(&path);
    assert_eq!((found.len(), found[0].id), (1, "GG-ENV-050"));
    assert!(begun.elapsed().as_secs() < 2);
}

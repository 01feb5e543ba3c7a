//! References and tags, by table. The rules themselves are shown broken in the stories of hostile bundles.

use super::*;

#[test]
fn full_references_are_references_and_short_ones_are_not() {
    for good in ["docker.io/library/gitgrit-app:1.4.0", "registry.acme.internal:5000/a/b-c:latest", "localhost/a:x_1"] {
        assert!(is_reference(good), "{good}");
    }
    let wrong = [
        "gitgrit-app:1",
        "docker.io/library/app",
        "docker.io/Library/app:1",
        "docker.io//app:1",
        "docker.io/app@sha256:ab:1",
        "docker.io/-app:1",
        "docker.io/app:.1",
        "docker.io/app:a b",
        "docker.io/a\u{1b}:1",
        "",
        ":",
        "/:",
        "docker.io/../app:1",
        // Their short forms mean other images.
        "docker.io/library/x/y:1",
        "docker.io/localhost/y:1",
        "docker.io/host.example/y:1",
        // No engine takes these.
        "docker.io/library/a..b:1",
        "docker.io/library/a._b:1",
        "docker.io/library/a___b:1",
        "localhost:123456/a:1",
    ];
    for wrong in wrong {
        assert!(!is_reference(wrong), "{wrong:?}");
    }
}

#[test]
fn short_references_are_those_that_people_write() {
    assert_eq!(reference::short("docker.io/library/gitgrit-app:1"), "gitgrit-app:1");
    assert_eq!(reference::short("docker.io/acme/app:1"), "acme/app:1");
    assert_eq!(reference::short("registry.acme.internal/library/app:1"), "registry.acme.internal/library/app:1");
}

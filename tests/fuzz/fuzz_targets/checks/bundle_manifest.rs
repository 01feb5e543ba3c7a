//! What must hold for any bytes that are taken for a bundle's manifest. Used by the fuzzer and by the tests.

use airgap::bundle::Manifest;
use airgap::bundle::difference::differences;

/// What is read is written again as it was, its paths lead nowhere else, and it differs from itself in nothing.
pub(crate) fn holds(bytes: &[u8]) {
    let Ok(manifest) = Manifest::parse(bytes) else { return };
    assert_eq!(manifest.bytes(), bytes);
    for entry in &manifest.entries {
        let path = entry.path.as_str();
        assert!(!path.starts_with('/') && !path.split('/').any(|part| matches!(part, "" | "." | "..")), "{path}");
        assert!(path.bytes().all(|sign| sign.is_ascii_graphic() && sign != b'\\'), "{path}");
    }
    assert!(differences(&manifest, &manifest).is_empty());
}

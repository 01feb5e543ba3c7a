//! Manifests that a trusted key signed and that no bundle may have: paths that lead out, files that hide each other, images
//! that are not whole. And single bits: none of a thousand that flip goes unnoticed.

use airgap::bundle::trust::Trust;
use airgap::bundle::{Bundle, BundleError, Digest, Hashes, Manifest, Signature, Thoroughness};
use vault::minisign::SecretKey;

use crate::bundle_forger::{Draft, Item, layer};
use crate::bundle_hostile::Judge;

#[test]
fn paths_that_lead_out_or_mean_something_else_are_refused() {
    let mut judge = Judge::new();
    let long = format!("docs/{}", "a".repeat(196));
    let paths = [
        "../evil",
        "/evil",
        "/etc/passwd",
        "docs/../../evil",
        "docs/..",
        "..",
        ".",
        "./evil",
        "docs/./evil",
        "docs//evil",
        "docs/evil/",
        "",
        "docs\\evil",
        "C:\\evil",
        "C:evil",
        "docs/evil\n",
        "docs/evil\0",
        "docs/e vil",
        "-rf",
        "docs/--evil",
        "~/evil",
        "docs/evil.",
        "docs/\u{202e}evil",
        "docs/\u{e9}vil",
        "docs/\u{1b}[2Jevil",
        "docs/evil*",
        "docs/$(evil)",
        &long,
    ];
    for path in paths {
        let mut draft = Draft::good();
        draft.item("docs/a.md").path = path.into();
        draft.item(path).header = Some(crate::bundle_forger::header("docs/a.md", 4, b'0'));
        judge.refuses(&format!("{path:?}"), 12, &draft.file(&judge.key.clone()));
    }
    assert_eq!(judge.count(), paths.len());
}

#[test]
fn files_that_cannot_lie_beside_each_other_are_refused() {
    let mut judge = Judge::new();
    for (name, path) in [
        ("twice", "docs/a.md"),
        ("in capitals", "DOCS/A.MD"),
        ("partly in capitals", "docs/A.md"),
        ("as a folder", "docs/a.md/more"),
        ("as a folder in capitals", "Docs/A.md/more"),
        ("in a folder's place", "docs"),
        ("in a folder's place in capitals", "DOCS"),
        ("in a folder in capitals", "Docs/c.md"),
        ("as the manifest's folder", "Blobs/a"),
    ] {
        let mut draft = Draft::good();
        draft.items.insert(1, Item::new(path, "more"));
        judge.refuses(name, 13, &draft.file(&judge.key.clone()));
    }
}

#[test]
fn files_that_do_not_belong_are_refused() {
    let mut judge = Judge::new();
    let key = judge.key.clone();
    let mut put = |name: &str, number: u32, bend: &dyn Fn(&mut Draft)| {
        let mut draft = Draft::good();
        bend(&mut draft);
        judge.refuses(name, number, &draft.file(&key));
    };
    put("a second manifest", 14, &|draft| draft.items.insert(1, Item::new(".gitgrit/manifest.json", "{}")));
    put("a second signature", 14, &|draft| draft.items.insert(1, Item::new(".gitgrit/manifest.json.minisig", "x")));
    put("a blob under another digest", 14, &|draft| draft.large().path = format!("blobs/sha256/{}", Digest::of(b"x")));
    put("a blob that is none", 14, &|draft| draft.items.push(Item::new("blobs/sha512/x", "x")));
    put("a blob of no image", 14, &|draft| {
        draft.items.push(Item::new(&format!("blobs/sha256/{}", Digest::of(b"x")), "x"));
    });
    put("files in another order", 14, &|draft| draft.items.swap(1, 2));
    put("layers in another order", 14, &|draft| {
        let last = draft.items.len() - 1;
        draft.items.swap(last, last - 1);
    });
    put("a file of a terabyte", 14, &|draft| draft.item("docs/a.md").size = Some(1 << 40));
    put("an empty file with a digest", 14, &|draft| {
        let item = draft.item("docs/a.md");
        (item.content, item.sha256) = (Vec::new(), Some(Digest::of(b"x")));
    });
    put("no list of digests", 14, &|draft| _ = draft.items.remove(0));
    put("a program that is not named", 14, &|draft| draft.items.insert(1, Item::new("bin/gitgrit-ops", "program")));
    put("a layer missing", 15, &|draft| _ = draft.items.pop());
    put("a configuration missing", 15, &|draft| {
        let id = format!("blobs/sha256/{}", draft.images[0].id);
        draft.items.retain(|item| item.path != id);
    });
    put("a manifest of other layers", 15, &|draft| draft.images[0].layers.reverse());
    put("an image that lists a layer less", 15, &|draft| _ = draft.images[0].layers.pop());
    put("a short reference", 15, &|draft| draft.images[0].reference = "gitgrit-app:1.0.0".into());
    put("a reference by digest", 15, &|draft| draft.images[0].reference = "docker.io/a/b@sha256:ab".into());
    put("a reference with a way up", 15, &|draft| draft.images[0].reference = "docker.io/../app:1".into());
    put("two images of one name", 11, &|draft| draft.images.push(draft.images[0].clone()));
    put("a name that moves the cursor", 11, &|draft| draft.images[0].name = "\u{1b}[2Japp".into());
}

#[test]
fn images_whose_configuration_says_otherwise_are_refused() {
    let mut judge = Judge::new();
    let key = judge.key.clone();
    let layers = [b"a small layer".to_vec(), layer()];
    let named = |layer: &[u8]| Digest::of(layer).named();
    let rootfs =
        |layers: &[String]| format!(r#"{{"type":"layers","diff_ids":{}}}"#, serde_json::to_string(layers).unwrap());
    let both = rootfs(&[named(&layers[0]), named(&layers[1])]);
    let turned = rootfs(&[named(&layers[1]), named(&layers[0])]);
    let configs = [
        ("other layers", format!(r#"{{"architecture":"amd64","os":"linux","rootfs":{turned}}}"#)),
        (
            "a layer less",
            format!(r#"{{"architecture":"amd64","os":"linux","rootfs":{}}}"#, rootfs(&[named(&layers[0])])),
        ),
        ("another processor", format!(r#"{{"architecture":"arm64","os":"linux","rootfs":{both}}}"#)),
        ("another system", format!(r#"{{"architecture":"amd64","os":"windows","rootfs":{both}}}"#)),
        ("no layers", r#"{"architecture":"amd64","os":"linux"}"#.to_owned()),
        ("no JSON", "config".to_owned()),
        (
            "a configuration of 5 MB",
            format!(r#"{{"architecture":"amd64","os":"linux","rootfs":{both}}}{}"#, " ".repeat(5 << 20)),
        ),
    ];
    for (name, config) in &configs {
        judge.refuses(name, 15, &Draft::of_image(config, &layers).file(&key));
    }
}

#[test]
fn manifests_in_another_form_are_refused() {
    let mut judge = Judge::new();
    let key = judge.key.clone();
    let good = Draft::good().packed();
    let text = String::from_utf8(good.manifest.bytes()).unwrap();
    let mut put = |name: &str, number: u32, bent: String| {
        assert_ne!(bent, text, "{name}");
        judge.refuses(name, number, &good.clone().sealed_as(bent.into(), &key).file());
    };
    put("no JSON", 106, "manifest".into());
    put("nothing", 106, String::new());
    put("a list", 106, "[]".into());
    put("ten thousand lists", 106, "[".repeat(10_000));
    put("a negative sequence", 106, text.replace("\"sequence\": 5", "\"sequence\": -5"));
    put("a sequence twice", 106, text.replace("\"sequence\": 5", "\"sequence\": 9,\n  \"sequence\": 5"));
    put("an unknown field", 8, text.replacen("{\n", "{\n  \"more\": 1,\n", 1));
    put("a field twice", 8, text.replacen("{\n", "{\n  \"name\": \"gitgrit\",\n", 1));
    put("a field less", 8, text.replace("  \"version\": \"1.0.0\",\n", ""));
    put(
        "a list for a number",
        8,
        text.replace(&format!("\"epoch\": {}", crate::bundle_forger::EPOCH), "\"epoch\": []"),
    );
    put("a mode with setuid", 8, text.replacen("\"0644\"", "\"4755\"", 1));
    put("a digest in capitals", 8, text.replacen("\"sha256\": \"", "\"sha256\": \"A", 1));
    put("in one line", 9, text.replace('\n', " "));
    put("with other line ends", 9, text.replace('\n', "\r\n"));
    put("with a space more", 9, format!("{text} "));
    put("with an escaped letter", 9, text.replace("\"1.0.0\"", "\"1.0.\\u0030\""));
    put("with null for nothing", 9, text.replace("\"profile\"", "\"expires\": null,\n  \"profile\""));
    put("of a later format", 10, text.replace("\"format\": 1", "\"format\": 2"));
    put("of the format 0", 10, text.replace("\"format\": 1", "\"format\": 0"));
    let mut value = |name: &str, bend: &dyn Fn(&mut Manifest)| {
        let mut bent = good.clone();
        bend(&mut bent.manifest);
        judge.refuses(name, 11, &bent.sealed(&key).file());
    };
    value("another product", &|manifest| manifest.name = "gitgrot".into());
    value("no version", &|manifest| manifest.version = String::new());
    value("a version with a way up", &|manifest| manifest.version = "../1".into());
    value("a version that moves the cursor", &|manifest| manifest.version = "\u{1b}[2J".into());
    value("a time that no header holds", &|manifest| manifest.epoch = 1 << 33);
    value("a commit that is none", &|manifest| manifest.commit.id = "g".repeat(40));
    value("a short commit", &|manifest| manifest.commit.id = "abc".into());
    value("a library without version", &|manifest| manifest.zstd = " ".into());
    value("settings not sorted", &|manifest| manifest.keys.reverse());
    value("a setting twice", &|manifest| manifest.keys = vec!["A".into(), "A".into()]);
    value("a migration twice", &|manifest| manifest.migrations = vec!["1".into(), "1".into()]);
    value("a migration with a line end", &|manifest| manifest.migrations = vec!["1\n".into()]);
    assert!(judge.count() >= 30);
}

/// Opens, judges and verifies, as the program does.
fn verified(bytes: Vec<u8>, trust: &Trust) -> Result<(), BundleError> {
    let judge = |bytes: &[u8], signatures: &[Signature]| Ok(trust.judge(bytes, signatures)?);
    let (bundle, _) = Bundle::on(Box::new(bytes), std::path::Path::new("x"), judge)?;
    let how = Thoroughness { hashes: Hashes::Blake3, is_full: false, threads: 1 };
    bundle.verify(how, &|_| {}).map(drop)
}

#[test]
fn one_flipped_bit_in_a_thousand_places_is_refused_each_time() {
    let judge = Judge::new();
    let good = Draft::good().packed().sealed(&judge.key);
    let file = good.file();
    let trust = Trust::new(vec![judge.key.public().clone()], 1).unwrap();
    assert!(verified(file.clone(), &trust).is_ok());
    // Every place of the ends of frames and of the seek table, and others spread over the whole.
    let near = good
        .edges()
        .into_iter()
        .chain([file.len()])
        .flat_map(|edge| edge.saturating_sub(20)..(edge + 20).min(file.len()));
    let spread = (0..1000).map(|step| step * file.len() / 1000);
    let places: std::collections::BTreeSet<usize> = near.chain(spread).collect();
    assert!(places.len() >= 1000);
    for (turn, place) in places.into_iter().enumerate() {
        let mut bent = file.clone();
        bent[place] ^= 1 << (turn % 8);
        if turn % 40 == 0 {
            assert_eq!(judge.says(&bent, &[]).0, Some(13), "bit {} of byte {place}", turn % 8);
        }
        assert!(verified(bent, &trust).is_err(), "bit {} of byte {place}", turn % 8);
    }
}

#[test]
fn a_bundle_cut_at_any_of_a_thousand_places_is_refused() {
    let key = SecretKey::generate();
    let file = Draft::good().file(&key);
    let trust = Trust::new(vec![key.public().clone()], 1).unwrap();
    for step in 0..1000 {
        let cut = file[..step * file.len() / 1000].to_vec();
        let found = verified(cut, &trust).unwrap_err();
        assert!(matches!(found, BundleError::NotABundle | BundleError::CutShort { .. }), "{step}: {found}");
    }
}

//! What must hold of every Markdown text: rendering it ends in time, and nothing in it runs, styles the page, or calls
//! anybody. Run by the fuzzer, and over the committed corpus by the ordinary tests.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use base::name::TreePath;
use serve::markdown::{Highlighter, Place, render};

/// Reading may take a second, highlighting its own budget; the rest is for a slow machine and the fuzzer's own weight.
const PATIENCE: Duration = Duration::from_secs(10);

/// Panics when it does not hold for `bytes`.
pub(crate) fn holds(bytes: &[u8]) {
    static HIGHLIGHTER: OnceLock<Highlighter> = OnceLock::new();
    let text = String::from_utf8_lossy(bytes);
    let place = Place {
        pages: "/alice/notes/src/main".into(),
        raw: "/alice/notes/raw/main".into(),
        directory: TreePath::parse(b"docs").unwrap(),
    };
    let begun = Instant::now();
    let html = render(&text, &place, HIGHLIGHTER.get_or_init(Highlighter::default));
    assert!(begun.elapsed() < PATIENCE, "took {:?}", begun.elapsed());
    for tag in html.as_deref().unwrap_or_default().split('<').skip(1) {
        judge(tag);
    }
}

/// One tag: its name, its attributes, and the text behind it.
fn judge(tag: &str) {
    let (inside, _) = split_tag(tag);
    let name: String = inside.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
    let banned = [
        "script", "style", "iframe", "object", "embed", "form", "input", "button", "svg", "math", "base", "meta",
        "link", "video", "audio", "source", "frame", "template", "textarea", "select",
    ];
    assert!(!banned.contains(&name.to_ascii_lowercase().as_str()), "<{tag}");
    for (attribute, value) in attributes(inside) {
        assert!(!attribute.starts_with("on") && attribute != "style" && attribute != "srcdoc", "<{tag}");
        if attribute == "href" || attribute == "src" {
            let value: String = value.chars().filter(|c| !c.is_control() && !c.is_whitespace()).collect();
            let value = value.to_ascii_lowercase();
            for scheme in ["javascript:", "vbscript:", "data:", "file:"] {
                assert!(!value.starts_with(scheme), "<{tag}");
            }
            assert!(attribute != "src" || value.starts_with('/') && !value.starts_with("//"), "<{tag}");
        }
    }
}

/// The tag up to its end; the sanitiser writes every value in double quotes.
fn split_tag(tag: &str) -> (&str, &str) {
    let mut is_quoted = false;
    for (index, byte) in tag.bytes().enumerate() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'>' if !is_quoted => return tag.split_at(index),
            _ => {}
        }
    }
    (tag, "")
}

fn attributes(inside: &str) -> Vec<(String, &str)> {
    let mut found = Vec::new();
    let mut rest = inside;
    while let Some((before, behind)) = rest.split_once("=\"") {
        let name = before.rsplit(|c: char| c.is_whitespace()).next().unwrap_or_default().to_ascii_lowercase();
        let (value, more) = behind.split_once('"').unwrap_or((behind, ""));
        found.push((name, value));
        rest = more;
    }
    found
}

//! What a page in the browser is judged by: where it asks for things, how wide it is, what axe-core says of it.

use std::io::{Read, Write};
use std::net::TcpListener;

use serde_json::Value;

use crate::require;
use crate::tidy::root;
use crate::webdriver::{self, Browser};

/// The requests that leave the site at `inside`.
pub(crate) fn outside(inside: &str, requests: &[String]) -> Vec<String> {
    let is_inside = |address: &str| address.starts_with(inside) || address.starts_with("data:");
    requests.iter().filter(|address| !is_inside(address)).cloned().collect()
}

/// axe-core as `scripts/dev-setup` fetched it.
pub(crate) fn axe() -> Result<String, String> {
    let path = root().join("target/lab/axe.min.js");
    std::fs::read_to_string(&path).map_err(|_| format!("{} is not there; run scripts/dev-setup", path.display()))
}

/// What axe-core finds against WCAG 2.0 to 2.2, levels A and AA.
pub(crate) fn violations(browser: &Browser, axe: &str) -> Vec<String> {
    let script = format!(
        "{axe};
        const done = arguments[arguments.length - 1];
        const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
        axe.run(document, {{ runOnly: tags, resultTypes: ['violations'] }}).then(
            result => done(result.violations.flatMap(rule => rule.nodes.map(node =>
                rule.id + ': ' + node.html.slice(0, 160) + ' ' + (node.any[0] ? node.any[0].message : '')))),
            error => done(['axe failed: ' + error]));"
    );
    let found = browser.run_until_done(&script);
    found.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

/// Says whether the page has to be scrolled sideways.
pub(crate) fn is_too_wide(browser: &Browser) -> bool {
    browser.run("return document.documentElement.scrollWidth > window.innerWidth") == Value::Bool(true)
}

/// A walk that finds nothing proves something only if it can find something.
#[test]
fn a_faulty_page_is_seen_to_be_faulty() {
    if !require::has("browser", webdriver::found()) {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let page = "<!doctype html><title>x</title><style>@media (prefers-color-scheme: dark) { p { color: #eee } }</style>\
                <body><p>pale in the dark</p><div style='width: 700px'>wide</div><img src='http://outside.test/x.png'>";
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n{page}", page.len());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    let browser = Browser::start();
    browser.open(&address);
    assert_eq!(outside(&address, &browser.requests()), ["http://outside.test/x.png"]);
    browser.look("light", 1280);
    assert!(!is_too_wide(&browser));
    browser.look("light", 360);
    assert!(is_too_wide(&browser));
    let Ok(axe) = axe() else { return };
    let has = |found: &[String], rule: &str| found.iter().any(|fault| fault.starts_with(rule));
    let light = violations(&browser, &axe);
    assert!(has(&light, "image-alt") && has(&light, "html-has-lang") && !has(&light, "color-contrast"), "{light:?}");
    browser.look("dark", 360);
    assert!(has(&violations(&browser, &axe), "color-contrast"));
}

//! Rules that hold on all pages: nothing inline, nothing from outside, forms with tokens, fields with labels. With
//! `GITGRIT_PAGES` set to a directory, the pages are left there to be looked at.

use std::path::PathBuf;

use super::asset;
use super::fixtures::{large_blame, large_directory, pages};

#[tokio::test]
async fn no_page_holds_inline_code_or_reaches_outside() {
    for (name, html) in pages().await {
        let lower = html.to_ascii_lowercase();
        for forbidden in [
            "<style",
            " style=",
            "javascript:",
            "<script>",
            "data:",
            "onclick",
            "onload",
            "\u{202e}",
            "\u{1b}",
            "target=_blank",
        ] {
            assert!(!lower.contains(forbidden), "{forbidden:?} on {name}");
        }
        for attribute in ["src=\"", "action=\""] {
            for rest in html.split(attribute).skip(1) {
                assert!(rest.starts_with('/') && !rest.starts_with("//"), "{attribute}{} on {name}", &rest[..30]);
            }
        }
        assert_eq!(html.matches("<h1").count(), 1, "headings of {name}");
        assert_eq!(html.matches("<main").count(), 1, "landmarks of {name}");
    }
}

#[tokio::test]
async fn every_form_that_changes_something_carries_the_token() {
    for (name, html) in pages().await {
        for form in html.split("<form").skip(1) {
            let form = form.split("</form").next().unwrap();
            assert!(
                form.contains("name=\"csrf\" value=\"form-token\"")
                    || form.contains("action=\"/sign-in\"")
                    || form.starts_with(" class=\"filter\" method=\"get\""),
                "{name}: {form}"
            );
        }
    }
}

#[tokio::test]
async fn every_field_has_a_label_and_every_description_is_there() {
    for (name, html) in pages().await {
        let ids: Vec<&str> = html.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        for rest in html.split("aria-describedby=\"").chain(html.split("aria-labelledby=\"")).skip(1) {
            if rest.len() == html.len() || rest.starts_with("<!doctype") {
                continue;
            }
            for id in rest.split('"').next().unwrap().split(' ') {
                assert!(ids.contains(&id), "{id} on {name}");
            }
        }
        for tag in html.split("<input ").skip(1).chain(html.split("<select ").skip(1)) {
            let tag = tag.split('>').next().unwrap();
            if tag.contains("type=\"hidden\"") {
                continue;
            }
            let id = tag.split("id=\"").nth(1).unwrap().split('"').next().unwrap();
            assert!(html.contains(&format!("for=\"{id}\"")), "{id} on {name}");
        }
        let mut unique = ids.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), ids.len(), "ids of {name} are not unique");
    }
}

#[tokio::test]
async fn a_directory_of_1100_entries_stays_below_200_kilobytes() {
    let html = large_directory(1_100).await;
    assert!(html.len() <= 200_000, "{} bytes", html.len());
}

#[tokio::test]
async fn the_blame_of_2500_lines_in_1000_groups_stays_below_400_kilobytes() {
    let html = large_blame(2_500).await;
    assert!(html.matches("<tr><td>").count() >= 1_000 && html.len() <= 400_000, "{} bytes", html.len());
    assert_eq!(html.matches("<li id=L").count(), 2_500);
}

#[tokio::test]
async fn pages_are_left_to_be_looked_at_when_asked_for() {
    let Some(directory) = std::env::var_os("GITGRIT_PAGES").map(PathBuf::from) else { return };
    let (css, script, logo) = (asset::address("site.css"), asset::address("copy.js"), asset::address("logo.svg"));
    assert!(!css.is_empty() && !script.is_empty() && !logo.is_empty());
    for (path, body) in asset::all() {
        let file = directory.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        base::file::write_atomic(&file, body.as_bytes(), 0o644).unwrap();
    }
    for (name, html) in pages().await {
        base::file::write_atomic(&directory.join(format!("{name}.html")), html.as_bytes(), 0o644).unwrap();
    }
}

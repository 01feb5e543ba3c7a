//! What hostile and ordinary texts become.

use super::*;

fn place() -> Place {
    Place {
        pages: "/alice/notes/src/main".into(),
        raw: "/alice/notes/raw/main".into(),
        directory: TreePath::parse(b"docs").unwrap(),
    }
}

fn rendered(text: &str) -> String {
    render(text, &place(), &Highlighter::default()).unwrap()
}

const HOSTILE: &[&str] = &[
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><script>alert(1)</script></svg>",
    "<math><mtext><img src=x onerror=alert(1)></mtext></math>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "<a href=\"java\nscript:alert(1)\">x</a>",
    "<a href=\"&#106;avascript:alert(1)\">x</a>",
    "<a href=\"\u{1}javascript:alert(1)\">x</a>",
    "[x](data:text/html,<script>alert(1)</script>)",
    "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    "[x](vbscript:msgbox)",
    "<iframe src=https://evil.example></iframe>",
    "<object data=x></object><embed src=x>",
    "<form action=https://evil.example><button formaction=javascript:x>x</button></form>",
    "<style>body{display:none}</style><p style=\"position:fixed\">x</p>",
    "<base href=https://evil.example><meta http-equiv=refresh content=0><link rel=stylesheet href=//x>",
    "<video src=x autoplay><audio src=x><source src=x></video>",
    "<img alt='x\" onerror=\"alert(1)' src='https://evil.example/a.png'>",
    "<img alt='<script>alert(1)</script>' src='https://evil.example/a.png'>",
    "![<script>alert(1)</script>](https://evil.example/a.png)",
    "<p id=main class=card onclick=alert(1)>x</p>",
    "```\"><script>alert(1)</script>\n<script>\n```",
    "[x](//evil.example)",
    "[x](/\\evil.example)",
    "<a href=\"https://x\" title='\"><script>'>y</a>",
    "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\"></noscript>",
    "<details ontoggle=alert(1) open>x</details>",
];

#[test]
fn nothing_that_runs_or_reaches_outside_survives() {
    for text in HOSTILE {
        let html = rendered(text);
        for forbidden in [
            "<script",
            "<svg",
            "<math",
            "<style",
            "<iframe",
            "<object",
            "<embed",
            "<form",
            "<button",
            "<base",
            "<meta",
            "<link",
            "<video",
            "<audio",
            "<input",
            "href=\"//",
            "src=\"http",
            "class=\"card",
            "id=\"main",
        ] {
            assert!(!html.contains(forbidden), "{forbidden} in {html} from {text}");
        }
        for tag in html.split('<').skip(1) {
            let tag = format!("<{tag}");
            let names = tag[..tag_end(&tag)].split('"').step_by(2).collect::<String>().to_ascii_lowercase();
            assert!(!names.contains(" on") && !names.contains("style="), "{tag} from {text}");
            let href = attribute(&tag, "href").unwrap_or_default().to_ascii_lowercase();
            assert!(!href.contains("script:") && !href.starts_with("data:"), "{tag} from {text}");
        }
    }
}

#[test]
fn relative_links_lead_into_the_repository() {
    for (url, expected) in [
        ("guide.md", "/alice/notes/src/main/docs/guide.md"),
        ("../src/a%20b.rs#L10", "/alice/notes/src/main/src/a%20b.rs#L10"),
        ("/LICENSE", "/alice/notes/src/main/LICENSE"),
        ("..", "/alice/notes/src/main"),
        ("guide.md#set-up", "/alice/notes/src/main/docs/guide.md#user-content-set-up"),
        ("#set-up", "#user-content-set-up"),
        ("https://example.org/a", "https://example.org/a"),
        ("mailto:a@example.org", "mailto:a@example.org"),
    ] {
        assert_eq!(resolved(url, &place(), false).as_deref(), Some(expected), "{url}");
    }
    for refused in ["../../x", "//evil.example", "\\\\evil.example", "javascript:x", "file:///etc/passwd", "a\nb"] {
        assert_eq!(resolved(refused, &place(), false), None, "{refused}");
    }
}

#[test]
fn pictures_come_from_the_repository_or_become_links() {
    assert!(rendered("![a](shot.png)").contains(r#"<img src="/alice/notes/raw/main/docs/shot.png" alt="a">"#));
    assert_eq!(
        rendered("![build](https://ci.example/badge.svg)").trim(),
        r#"<p><a href="https://ci.example/badge.svg" rel="nofollow noopener noreferrer">build</a></p>"#
    );
    assert_eq!(
        rendered("[![build](https://ci.example/badge.svg)](https://ci.example)").trim(),
        r#"<p><a href="https://ci.example" rel="nofollow noopener noreferrer">build</a></p>"#
    );
}

#[test]
fn headings_stay_below_those_of_the_page_and_have_ids() {
    assert_eq!(rendered("# Set up\n\n# Set up").matches("<h3 id=\"user-content-set-up").count(), 2);
    assert!(rendered("###### deep").contains("<h6"));
}

#[test]
fn code_tasks_and_tables_are_rendered() {
    assert!(rendered("```rust\nlet x = 1;\n```").contains(r#"<i class="k">let</i>"#));
    let tasks = rendered("- [x] done\n- [ ] open");
    assert!(tasks.contains("\u{2611} done") && tasks.contains("\u{2610} open"), "{tasks}");
    assert!(rendered("| a |\n|---|\n| b |").contains("<table tabindex=\"0\">"));
}

#[test]
fn hidden_characters_of_a_text_show() {
    assert!(rendered("a\u{202e}b").contains("a[U+202E]b"));
}

#[test]
fn deeply_nested_texts_are_refused_or_end() {
    for unit in [">", "<div>", "<b>", "</p><p>", "- ", "[", "*a **a ", "![", "`", "| a ", "<a href=x>"] {
        let html = render(&unit.repeat(20_000), &place(), &Highlighter::default());
        assert!(html.is_none_or(|html| depth(&html) <= DEPTH), "{unit}");
    }
    assert!(render(&">".repeat(20_000), &place(), &Highlighter::default()).is_none());
}

#[test]
fn line_ends_of_other_systems_and_a_byte_order_mark_leave_no_trace() {
    assert_eq!(rendered("\u{feff}# a\r\n\r\n- b\r\n- c\r\n"), rendered("# a\n\n- b\n- c\n"));
}

#[test]
fn alerts_and_tasks_can_be_told_from_quotes_and_points() {
    let html = rendered("> [!WARNING]\n> Mind the gap.\n\n- [x] done\n- [ ] open\n");
    assert!(html.contains("<div class=\"markdown-alert markdown-alert-warning\">"), "{html}");
    assert!(html.contains("<li class=\"task-list-item\">\u{2611} done</li>"), "{html}");
    assert!(html.contains("<li class=\"task-list-item\">\u{2610} open</li>"), "{html}");
    assert!(!rendered("<div class=\"markdown-alert bar\">x</div>").contains("bar"));
}

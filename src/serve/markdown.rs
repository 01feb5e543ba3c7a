//! Markdown as HTML that may stand on a page of this site. Always sanitised after rendering, by a list of what is
//! allowed; pictures come from the repository itself, never from another host.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt::{self, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use ammonia::Builder;
use base::name::TreePath;
use comrak::adapters::{HeadingAdapter, HeadingMeta, SyntaxHighlighterAdapter};
use comrak::nodes::Sourcepos;
use comrak::options::Plugins;
use comrak::{Anchorizer, Arena, Options, format_html_with_plugins, try_parse_document};

use crate::highlight::{self, CLASSES, Highlighter};
use crate::web::target::{decode, encode};
use crate::web::text::{escaped, revealed};
use contents::Heading;

mod contents;

/// The largest text that is rendered, in bytes.
pub(crate) const LIMIT: usize = 512 << 10;

/// How long reading a text may take.
const BUDGET: Duration = Duration::from_secs(1);

/// The deepest nesting of tags that is rendered.
const DEPTH: usize = 500;

/// Keeps ids of a text apart from those of the page.
const PREFIX: &str = "user-content-";

/// What the tags of a text may be. No form, frame, style, script, media or foreign content.
const TAGS: [&str; 44] = [
    "a",
    "abbr",
    "b",
    "blockquote",
    "br",
    "code",
    "dd",
    "del",
    "details",
    "div",
    "dl",
    "dt",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "ins",
    "kbd",
    "li",
    "ol",
    "p",
    "pre",
    "q",
    "s",
    "samp",
    "section",
    "span",
    "strong",
    "sub",
    "summary",
    "sup",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
    "ul",
];

/// The classes of `[!NOTE]` and its kind.
const ALERTS: [&str; 6] = [
    "markdown-alert",
    "markdown-alert-note",
    "markdown-alert-tip",
    "markdown-alert-important",
    "markdown-alert-warning",
    "markdown-alert-caution",
];

/// Where a text stands, so that its relative links lead somewhere.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// `/alice/notes/src/main`, encoded.
    pub(crate) pages: String,
    /// `/alice/notes/raw/main`, encoded.
    pub(crate) raw: String,
    /// The directory that holds the text.
    pub(crate) directory: TreePath,
}

/// Renders GitHub-flavoured Markdown and sanitises it. `None` for a text that takes too long to read, or is nested as
/// no author nests: sanitising takes the square of the depth.
pub(crate) fn render(text: &str, place: &Place, highlighter: &Highlighter) -> Option<String> {
    let headings = Headings::default();
    let fences = Fences { highlighter, until: Instant::now() + highlight::BUDGET };
    let mut plugins = Plugins::default();
    plugins.render.heading_adapter = Some(&headings);
    plugins.render.codefence_syntax_highlighter = Some(&fences);
    let (arena, options, text, started) = (Arena::new(), options(), revealed(text), Instant::now());
    let root = try_parse_document(&arena, &text, &options, &|| started.elapsed() > BUDGET).ok()?;
    let mut html = String::with_capacity(text.len() * 2);
    format_html_with_plugins(root, &options, &mut html, &plugins).ok()?;
    if depth(&html) > DEPTH {
        return None;
    }
    // A box that cannot be ticked needs no form control, which sanitising would drop.
    let html = html
        .replace(r#"<input type="checkbox" class="task-list-item-checkbox" checked="" disabled="" />"#, "\u{2611}")
        .replace(r#"<input type="checkbox" class="task-list-item-checkbox" disabled="" />"#, "\u{2610}");
    let prose = without_foreign_pictures(&sanitised(&html, place));
    Some(format!("{}{prose}", contents::list(&headings.into_list())))
}

/// How deep the tags of a text are nested, at most: tags that are never closed count as open to the end.
fn depth(html: &str) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    for tag in html.split('<').skip(1) {
        let is_void = ["br", "hr", "img", "input", "!", "?"].iter().any(|name| tag.starts_with(name));
        match tag.as_bytes().first() {
            Some(b'/') => now = now.saturating_sub(1),
            _ if is_void => {}
            _ => now += 1,
        }
        most = most.max(now);
    }
    most
}

fn options() -> Options<'static> {
    let mut options = Options::default();
    options.extension.strikethrough = true;
    options.extension.table = true;
    options.extension.autolink = true;
    options.extension.tasklist = true;
    options.extension.footnotes = true;
    options.extension.alerts = true;
    options.render.tasklist_classes = true;
    // Raw HTML passes here because everything passes through `sanitised`.
    options.render.r#unsafe = true;
    options
}

/// Headings one level group below the page's own, each with an id to link to.
#[derive(Default)]
struct Headings {
    seen: Mutex<(Anchorizer, Vec<Heading>)>,
}

impl Headings {
    fn into_list(self) -> Vec<Heading> {
        self.seen.into_inner().map(|(_, list)| list).unwrap_or_default()
    }
}

impl HeadingAdapter for Headings {
    fn enter(&self, out: &mut dyn Write, heading: &HeadingMeta, _: Option<Sourcepos>) -> fmt::Result {
        let mut seen = self.seen.lock().map_err(|_| fmt::Error)?;
        let id = encode(seen.0.anchorize(&heading.content).as_bytes());
        write!(out, r#"<h{} id="{id}">"#, (heading.level + 2).min(6))?;
        seen.1.push(Heading { level: heading.level, id, text: heading.content.clone() });
        Ok(())
    }

    fn exit(&self, out: &mut dyn Write, heading: &HeadingMeta) -> fmt::Result {
        let seen = self.seen.lock().map_err(|_| fmt::Error)?;
        if let Some(last) = seen.1.last().filter(|last| !last.text.trim().is_empty()) {
            let title = escaped(&format!("Link to {}", last.text.trim()));
            write!(out, r##"<a class="anchor" href="#{}" title="{title}">#</a>"##, last.id)?;
        }
        write!(out, "</h{}>", (heading.level + 2).min(6))
    }
}

struct Fences<'h> {
    highlighter: &'h Highlighter,
    until: Instant,
}

impl SyntaxHighlighterAdapter for Fences<'_> {
    fn write_highlighted(&self, out: &mut dyn Write, language: Option<&str>, code: &str) -> fmt::Result {
        out.write_str(&self.highlighter.block(code, language.unwrap_or_default(), self.until))
    }

    fn write_pre_tag(&self, out: &mut dyn Write, _: HashMap<&'static str, Cow<'_, str>>) -> fmt::Result {
        out.write_str("<pre>")
    }

    fn write_code_tag(&self, out: &mut dyn Write, _: HashMap<&'static str, Cow<'_, str>>) -> fmt::Result {
        out.write_str("<code>")
    }
}

fn sanitised(html: &str, place: &Place) -> String {
    let place = place.clone();
    let set = |words: &[&'static str]| words.iter().copied().collect::<HashSet<_>>();
    let attributes = HashMap::from([
        ("a", set(&["href", "title"])),
        ("img", set(&["src", "alt", "title", "width", "height"])),
        ("ol", set(&["start"])),
        ("td", set(&["align", "colspan", "rowspan"])),
        ("th", set(&["align", "colspan", "rowspan", "scope"])),
        ("details", set(&["open"])),
    ]);
    Builder::empty()
        .tags(set(&TAGS))
        .clean_content_tags(set(&["script", "style", "template", "noscript", "iframe", "object", "svg", "math"]))
        .tag_attributes(attributes)
        .generic_attributes(set(&["id"]))
        .allowed_classes(HashMap::from([
            ("i", set(&CLASSES)),
            ("a", set(&["anchor"])),
            ("div", set(&ALERTS)),
            ("p", set(&["markdown-alert-title"])),
            ("li", set(&["task-list-item"])),
        ]))
        .id_prefix(Some(PREFIX))
        .link_rel(Some("nofollow noopener noreferrer"))
        .url_schemes(set(&["http", "https", "mailto"]))
        .url_relative(ammonia::UrlRelative::PassThrough)
        .set_tag_attribute_value("pre", "tabindex", "0")
        .set_tag_attribute_value("table", "tabindex", "0")
        .attribute_filter(move |tag, attribute, value| match (tag, attribute) {
            ("a", "href") => resolved(value, &place, false).map(Cow::Owned),
            ("img", "src") => resolved(value, &place, true).map(Cow::Owned),
            ("a" | "img", "title") | (_, "id" | "alt" | "rel" | "class") => Some(Cow::Borrowed(value)),
            _ => (value.len() <= 20).then_some(Cow::Borrowed(value)),
        })
        .clean(html)
        .to_string()
}

/// Where a link or picture of a text leads; `None` when that is nowhere it may.
fn resolved(url: &str, place: &Place, is_picture: bool) -> Option<String> {
    let url = url.trim();
    let is_plain = !url.contains('\\') && !url.chars().any(char::is_control);
    if !is_plain || url.starts_with("//") {
        return None;
    }
    if let Some(fragment) = url.strip_prefix('#') {
        return Some(format!("#{PREFIX}{fragment}"));
    }
    if let Some(scheme) = scheme(url) {
        let is_fine = matches!(scheme.as_str(), "http" | "https") || (scheme == "mailto" && !is_picture);
        return is_fine.then(|| url.to_owned());
    }
    let (path, fragment) = url.split_once('#').map_or((url, None), |(path, fragment)| (path, Some(fragment)));
    let path = path.split('?').next().unwrap_or_default();
    let below = below(path, &place.directory)?;
    let base = if is_picture { &place.raw } else { &place.pages };
    let mut address = if below.is_empty() { base.clone() } else { format!("{base}/{}", encode(&below)) };
    if let Some(fragment) = fragment.filter(|_| !is_picture) {
        let is_line = fragment.strip_prefix('L').is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
        let prefix = if is_line { "" } else { PREFIX };
        address = format!("{address}#{prefix}{fragment}");
    }
    Some(address)
}

/// The scheme before the first colon, lowered, when there is one: RFC 3986, section 3.1.
fn scheme(url: &str) -> Option<String> {
    let (scheme, _) = url.split_once(':')?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    is_scheme.then(|| scheme.to_ascii_lowercase())
}

/// The path that a relative link names, from the repository's root; `None` when it climbs out of it.
fn below(path: &str, directory: &TreePath) -> Option<Vec<u8>> {
    let decoded = decode(path);
    let mut parts: Vec<&[u8]> = if decoded.starts_with(b"/") { Vec::new() } else { directory.parts().collect() };
    for part in decoded.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join(&b'/'))
}

/// Puts a link, or inside a link the words, where a picture would come from another host or from nowhere. Reads what
/// the sanitiser wrote: every attribute quoted with `"`, none holding a bare one.
fn without_foreign_pictures(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    let mut is_in_link = false;
    while let Some(start) = rest.find('<') {
        let (text, tag_on) = rest.split_at(start);
        out.push_str(text);
        let (tag, after) = tag_on.split_at(tag_end(tag_on));
        is_in_link = match tag {
            "</a>" => false,
            _ => is_in_link || tag == "<a>" || tag.starts_with("<a "),
        };
        out.push_str(&if tag.starts_with("<img") { picture(tag, is_in_link) } else { Cow::Borrowed(tag) });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The length of the tag that a text begins with; quoted values may hold `>`.
fn tag_end(text: &str) -> usize {
    let mut is_quoted = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'>' if !is_quoted => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn picture(tag: &str, is_in_link: bool) -> Cow<'_, str> {
    let source = attribute(tag, "src").unwrap_or_default();
    if source.starts_with('/') {
        return Cow::Borrowed(tag);
    }
    let words = attribute(tag, "alt").filter(|words| !words.trim().is_empty()).unwrap_or(source);
    let words = if words.is_empty() { "picture" } else { words }.replace('<', "&lt;").replace('>', "&gt;");
    if source.is_empty() || is_in_link {
        return Cow::Owned(words);
    }
    Cow::Owned(format!(r#"<a href="{source}" rel="nofollow noopener noreferrer">{words}</a>"#))
}

fn attribute<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
    let start = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    tag.get(start..)?.split('"').next()
}

#[cfg(test)]
mod tests;

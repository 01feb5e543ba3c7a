//! Reads the forms of our own pages, as much of HTML as they use and no more. Not a parser for other people's pages.

use std::fmt::Write;

use regex::Regex;

/// One form and its fields with the values that the page gave them.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    /// Where it is sent; empty for the page itself.
    pub(crate) action: String,
    fields: Vec<Field>,
}

#[derive(Clone, Debug)]
struct Field {
    name: String,
    value: String,
    is_sent: bool,
}

impl Form {
    /// Says whether the form has a field of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name == name)
    }

    /// Fills in a field, or picks one of several equal names (radio buttons). Panics when the form has none.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        assert!(self.has(name), "the form for `{}` has no field `{name}`, only {:?}", self.action, self.names());
        let count = self.fields.iter().filter(|field| field.name == name).count();
        for field in self.fields.iter_mut().filter(|field| field.name == name) {
            if count == 1 {
                value.clone_into(&mut field.value);
            }
            field.is_sent = field.value == value;
        }
        let is_chosen = self.fields.iter().any(|field| field.name == name && field.is_sent);
        assert!(is_chosen, "`{name}` does not offer `{value}`");
    }

    /// What a browser would send.
    pub(crate) fn filled(&self) -> Vec<(String, String)> {
        let sent = self.fields.iter().filter(|field| field.is_sent);
        sent.map(|field| (field.name.clone(), field.value.clone())).collect()
    }

    fn names(&self) -> Vec<&str> {
        self.fields.iter().map(|field| field.name.as_str()).collect()
    }
}

/// The forms of a page that are sent with POST.
pub(crate) fn forms(page: &str) -> Vec<Form> {
    let whole = Regex::new(r"(?is)<form\b([^>]*)>(.*?)</form>").unwrap();
    whole
        .captures_iter(page)
        .filter(|form| attribute(&form[1], "method").is_some_and(|method| method.eq_ignore_ascii_case("post")))
        .map(|form| Form { action: attribute(&form[1], "action").unwrap_or_default(), fields: fields(&form[2]) })
        .collect()
}

/// The first group of the first match of `pattern`.
pub(crate) fn find(text: &str, pattern: &str) -> Option<String> {
    let found = Regex::new(pattern).unwrap().captures(text)?;
    found.get(1).map(|group| group.as_str().to_owned())
}

/// Fields as `application/x-www-form-urlencoded`.
pub(crate) fn urlencoded(fields: &[(String, String)]) -> String {
    let escape = |text: &str| {
        text.bytes().fold(String::new(), |mut sent, byte| {
            if byte.is_ascii_alphanumeric() || b"-._*".contains(&byte) {
                sent.push(char::from(byte));
            } else {
                write!(sent, "%{byte:02X}").unwrap();
            }
            sent
        })
    };
    fields.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect::<Vec<_>>().join("&")
}

fn fields(form: &str) -> Vec<Field> {
    let tag = Regex::new(r"(?is)<(input|textarea|select|button)\b([^>]*)>").unwrap();
    let mut fields = Vec::new();
    for found in tag.captures_iter(form) {
        let (kind, inside) = (found[1].to_ascii_lowercase(), &found[2]);
        let Some(name) = attribute(inside, "name").filter(|name| !name.is_empty()) else { continue };
        let rest = form.split_at(found.get(0).unwrap().end()).1;
        match kind.as_str() {
            "textarea" => {
                let value = rest.split("</textarea>").next().unwrap_or_default();
                fields.push(Field { name, value: unescape(value.trim_start_matches('\n')), is_sent: true });
            }
            "select" => fields.extend(options(&name, rest.split("</select>").next().unwrap_or_default())),
            "button" => {
                fields.push(Field { name, value: attribute(inside, "value").unwrap_or_default(), is_sent: false });
            }
            _ => {
                let kind = attribute(inside, "type").unwrap_or_default();
                let is_choice = kind == "radio" || kind == "checkbox";
                let value = attribute(inside, "value").unwrap_or_else(|| if is_choice { "on" } else { "" }.into());
                fields.push(Field { name, value, is_sent: !is_choice || has_flag(inside, "checked") });
            }
        }
    }
    fields
}

fn options(name: &str, inside: &str) -> Vec<Field> {
    let option = Regex::new(r"(?is)<option\b([^>]*)>([^<]*)").unwrap();
    let mut fields: Vec<_> = option
        .captures_iter(inside)
        .map(|found| Field {
            name: name.into(),
            value: attribute(&found[1], "value").unwrap_or_else(|| unescape(found[2].trim())),
            is_sent: has_flag(&found[1], "selected"),
        })
        .collect();
    if !fields.iter().any(|field| field.is_sent)
        && let Some(first) = fields.first_mut()
    {
        first.is_sent = true;
    }
    fields
}

fn has_flag(tag: &str, name: &str) -> bool {
    Regex::new(&format!(r"(?i)(^|\s){name}(\s|=|/|$)")).unwrap().is_match(tag)
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let quoted = Regex::new(&format!(r#"(?is)(?:^|\s){name}\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))"#)).unwrap();
    let found = quoted.captures(tag)?;
    let value = (1..=3).find_map(|index| found.get(index))?;
    Some(unescape(value.as_str()))
}

fn unescape(text: &str) -> String {
    let numbered = Regex::new(r"&#(x?)([0-9a-fA-F]+);").unwrap();
    let text = numbered.replace_all(text, |found: &regex::Captures<'_>| {
        let radix = if found[1].is_empty() { 10 } else { 16 };
        u32::from_str_radix(&found[2], radix).ok().and_then(char::from_u32).map_or(String::new(), String::from)
    });
    let named = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    named.iter().fold(text.into_owned(), |text, (from, to)| text.replace(from, to))
}

#[test]
fn forms_are_read_as_a_browser_would_send_them() {
    let page = r#"<form method="get"><input name="q"></form>
        <form method="post" action="/new?a=1&amp;b=2"><input type=hidden name="csrf" value="t&quot;&#x6b;">
        <input name="name"><input type="radio" name="visibility" value="public"><input type="radio" checked
        name="visibility" value="private"><select name="branch"><option value="main">main</option><option selected>dev
        </option></select><textarea name="about">
one</textarea><input type="checkbox" name="readme" value="1"><button name="go" value="x">Go</button></form>"#;
    let mut form = forms(page).remove(0);
    form.set("name", "a b");
    form.set("visibility", "public");
    assert_eq!(form.action, "/new?a=1&b=2");
    assert_eq!(urlencoded(&form.filled()), "csrf=t%22k&name=a%20b&visibility=public&branch=dev&about=one");
}

//! A second factor as its users meet it: an app, recovery codes, a security key in a real browser, Git, and the way back
//! from the host's own shell.

use std::path::Path;

use serde_json::{Value, json};

use crate::api_caller::Caller;
use crate::html;
use crate::inspect::{axe, is_too_wide, outside, violations};
use crate::require;
use crate::site::{PASSWORD, Site, out};
use crate::visitor::{Answer, Visitor};
use crate::webdriver::{self, Browser};

/// Presses the button of the form that is sent to `action`.
fn press(visitor: &Visitor, page: &str, action: &str, fields: &[(&str, &str)]) -> Answer {
    let opened = visitor.get(page);
    let text = opened.text();
    let form = html::forms(&text).into_iter().find(|form| form.action == action);
    let form = form.unwrap_or_else(|| panic!("`{page}` ({}) has no form for `{action}`:\n{text}", opened.status));
    visitor.submit_form(page, form, fields)
}

/// The secret that a page shows, as bytes.
fn secret(page: &str) -> Vec<u8> {
    let text = html::find(page, r#"id="secret" value="([A-Z2-7]{32})""#).expect("a secret on the page");
    let signs = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let values = text.bytes().map(|sign| signs.iter().position(|known| *known == sign).unwrap());
    let bits: Vec<bool> = values.flat_map(|value| (0..5).rev().map(move |place| value >> place & 1 == 1)).collect();
    bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | u8::from(*bit))).collect()
}

/// The code that an app shows, `later` steps from now.
fn code(secret: &[u8], later: i64) -> String {
    let now = base::Clock::now(&base::clock::SystemClock);
    vault::totp::code(secret, vault::totp::step(now) + later)
}

/// Sets an app up and gives its secret and the recovery codes.
fn set_up(visitor: &Visitor) -> (Vec<u8>, Vec<String>) {
    let page = press(visitor, "/settings/security", "/settings/security/app", &[]);
    let text = page.text();
    assert!(text.contains("<svg class=\"qr\"") && text.contains("otpauth://totp/"), "{text}");
    let secret = secret(&text);
    let form = |text: &str| html::forms(text).into_iter().find(|form| form.has("code")).unwrap();
    let wrong = visitor.submit_form("/settings/security/app", form(&text), &[("code", "000000")]);
    assert!(wrong.status == 422 && wrong.text().contains("code-problem"), "{}", wrong.text());
    let done = visitor.submit_form("/settings/security/app", form(&wrong.text()), &[("code", &code(&secret, 0))]);
    let found = regex::Regex::new(r"<code>([a-z0-9-]{19})</code>").unwrap();
    let codes: Vec<_> = found.captures_iter(&done.text()).map(|found| found[1].to_owned()).collect();
    assert_eq!(codes.len(), 10, "{}", done.text());
    (secret, codes)
}

#[test]
fn an_app_and_its_codes_sign_in_and_a_password_alone_opens_nothing() {
    let site = Site::start();
    let ada = site.user("ada");
    ada.make_repository("project", "private");
    let token = ada.make_token("laptop", "write");
    let (secret, codes) = set_up(&ada);
    assert_eq!(ada.get("/settings/keys").status, 200, "the session went on under another token");

    let visitor = site.anonymous();
    let step = visitor.submit("/sign-in?next=/ada/project", "password", &[("name", "ada"), ("password", PASSWORD)]);
    assert!(step.path.starts_with("/sign-in/second-factor"), "{}", step.path);
    for page in ["/settings/keys", "/ada/project", "/settings/security"] {
        assert!(!visitor.get(page).text().contains("Sign out"), "{page} is open half way");
    }
    let wrong = visitor.submit(&step.path, "code", &[("code", "123")]);
    assert_eq!(wrong.status, 422, "{}", wrong.text());
    let used = code(&secret, 1);
    let done = visitor.submit(&step.path, "code", &[("code", &used)]);
    assert!(done.status == 200 && done.path == "/ada/project", "{} {}", done.status, done.path);
    assert!(!visitor.get(&step.path).path.starts_with("/sign-in"), "the step is over");

    let again = site.anonymous();
    let step = again.submit("/sign-in", "password", &[("name", "ada"), ("password", PASSWORD)]);
    let reused = again.submit(&step.path, "code", &[("code", &used)]);
    assert_eq!(reused.status, 422, "a code that was used");
    let done = again.submit(&step.path, "code", &[("code", &codes[3])]);
    assert_eq!(done.status, 200, "{}", done.text());
    assert!(again.get("/settings/security").text().contains("9 of 10 left"));

    let git = site.git().with_password("ada", PASSWORD);
    let refused = git.run(git.home(), ["clone", "--quiet", &site.https("ada/project"), "refused"]);
    assert!(!refused.status.success() && refused.stderr.contains("use an access token"), "{}", refused.stderr);
    let refused = Caller::knowing(&site, "ada").get("/user").expect(401);
    assert!(refused["message"].as_str().unwrap().contains("use an access token"), "{refused}");
    let git = site.git().with_password("ada", &token);
    git.ok(git.home(), ["clone", "--quiet", &site.https("ada/project"), "project"]);
}

#[test]
fn a_lost_factor_is_taken_away_by_an_administrator_or_from_the_host() {
    let site = Site::start();
    let (ada, bob) = (site.user("ada"), site.user("bob"));
    let reset = |name: &str, more: &[&str]| {
        let program = site.program().options(["admin", "user", "second-factor", "reset", name, "--site"]);
        program.option(site.dir().root()).options(more.iter()).run(b"").unwrap()
    };
    let none = reset("ada", &[]);
    assert!(!none.status.success() && none.stderr.contains("`ada` has no second factor"), "{}", none.stderr);
    set_up(&ada);
    set_up(&bob);
    let dry = reset("ada", &["--dry-run"]);
    assert!(dry.status.success() && out(&dry).contains("would take the second factor of `ada` away"), "{}", dry.stderr);
    assert_eq!(ada.get("/settings/keys").path, "/settings/keys");
    let done = reset("ada", &["--json"]);
    let said: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(said, json!({ "user": "ada", "dry_run": false }));
    assert!(ada.get("/settings/keys").path.starts_with("/sign-in"), "the sessions have ended");
    site.sign_in("ada", PASSWORD).get("/settings/keys");

    let admin = site.admin();
    let page = admin.get("/admin/second-factors").text();
    assert!(page.contains(">bob<") && !page.contains(">ada<"), "{page}");
    press(&admin, "/admin/second-factors", "/admin/second-factors/bob/reset", &[]);
    assert!(bob.get("/settings/keys").path.starts_with("/sign-in"));
    assert!(admin.get("/admin/second-factors").text().contains("Nobody has a second factor"));
    let log = admin.get("/admin/audit?action=second_factor.reset").text();
    assert!(log.contains("second_factor.reset"), "{log}");
}

fn sign_in(browser: &Browser, base: &str) {
    browser.open(&format!("{base}/sign-in"));
    browser.fill("input[name=name]", "ada");
    browser.fill("input[name=password]", PASSWORD);
    browser.click_through("main form button");
}

fn sign_out(browser: &Browser, base: &str) {
    browser.run("document.querySelector('form[action=\"/sign-out\"]').submit()");
    require::until(30, "signing out", || browser.text().contains("Sign in").then_some(()));
    browser.open(&format!("{base}/explore"));
}

/// The one credential of the virtual authenticator.
fn credential(browser: &Browser, authenticator: &Value) -> Value {
    let all = browser.devtools("WebAuthn.getCredentials", &json!({ "authenticatorId": authenticator }));
    all["credentials"][0].clone()
}

/// The counter of a copied key lags behind, a page at another address is another site, and an answer is good once.
#[test]
fn a_security_key_signs_in_and_a_copy_a_replay_and_another_origin_are_refused() {
    if !require::has("browser", webdriver::found()) {
        return;
    }
    let site = Site::start();
    site.user("ada");
    let (browser, base) = (Browser::start(), site.url());
    let authenticator = touched_key(&browser);
    sign_in(&browser, &base);
    browser.open(&format!("{base}/settings/security"));
    browser.click_through("form[action='/settings/security/keys/new'] button");
    browser.fill("input[name=name]", "blue key");
    browser.click_through("form[data-key] button");
    assert!(browser.text().contains("Keep these recovery codes"), "{}", browser.text());
    let first = credential(&browser, &authenticator);

    sign_out(&browser, &base);
    sign_in(&browser, &base);
    assert!(browser.address().contains("/sign-in/second-factor"), "{}", browser.address());
    // What the browser sends is kept here, to be sent twice.
    browser.run(
        "HTMLFormElement.prototype.submit = function () {
        window.kept = new URLSearchParams(new FormData(this)).toString(); };",
    );
    browser.run("document.querySelector('form[data-key] button').click()");
    let kept = require::until(30, "an answer of the key", || {
        browser.run("return window.kept || null").as_str().map(str::to_owned)
    });
    assert_eq!(send(&browser, &kept), 200, "{}", browser.text());
    browser.open(&format!("{base}/settings/security"));
    assert!(browser.text().contains("blue key"), "{}", browser.text());
    sign_out(&browser, &base);
    sign_in(&browser, &base);
    let csrf = browser.run("return document.querySelector('[name=csrf]').value");
    let stale = html::find(&kept, "csrf=([0-9a-f]+)").unwrap();
    assert_eq!(send(&browser, &kept.replace(&stale, csrf.as_str().unwrap())), 422, "a replayed answer");

    let copied = credential(&browser, &authenticator);
    assert!(copied["signCount"].as_i64() > first["signCount"].as_i64(), "{copied}");
    let named = json!({ "authenticatorId": authenticator, "credentialId": copied["credentialId"] });
    browser.devtools("WebAuthn.removeCredential", &named);
    let older = json!({ "authenticatorId": authenticator, "credential": first });
    browser.devtools("WebAuthn.addCredential", &older);
    browser.run("document.querySelector('form[data-key] button').click()");
    require::until(30, "a refusal", || browser.text().contains("That was not it").then_some(()));

    let elsewhere = base.replace("localhost", "127.0.0.1");
    sign_in(&browser, &elsewhere);
    assert!(browser.address().starts_with(&format!("{elsewhere}/sign-in/second-factor")), "{}", browser.address());
    browser.run("document.querySelector('form[data-key] button').click()");
    require::until(30, "a refusal", || browser.text().contains("did not answer").then_some(()));
}

/// A key that is touched as soon as it is asked.
fn touched_key(browser: &Browser) -> Value {
    browser.devtools("WebAuthn.enable", &json!({}));
    let options = json!({ "protocol": "ctap2", "transport": "usb", "hasResidentKey": false,
        "hasUserVerification": true, "isUserVerified": true, "automaticPresenceSimulation": true });
    let made = browser.devtools("WebAuthn.addVirtualAuthenticator", &json!({ "options": options }));
    made["authenticatorId"].clone()
}

/// Looks at the page as it is: light and dark, narrow and wide. Keeps pictures, to be looked at.
fn judge(browser: &Browser, axe: &str, name: &str, faults: &mut Vec<String>) {
    for (scheme, width) in [("light", 360), ("light", 1280), ("dark", 360), ("dark", 1280)] {
        browser.look(scheme, width);
        let at = format!("{name} {scheme} {width}");
        faults.extend(violations(browser, axe).into_iter().map(|fault| format!("{at}: {fault}")));
        if is_too_wide(browser) {
            faults.push(format!("{at}: wider than the window"));
        }
        let gallery = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
        std::fs::create_dir_all(&gallery).unwrap();
        let file = gallery.join(format!("{}.png", at.replace(' ', "-")));
        base::file::write_atomic(&file, &browser.picture(), 0o644).unwrap();
    }
}

/// The pages that no address alone leads to; the others are in the walk over the route table.
#[test]
fn a_security_key_an_app_and_their_pages_are_readable_for_everybody() {
    let axe = axe();
    let is_there = webdriver::found().and(axe.as_ref().map(drop).map_err(Clone::clone));
    if !require::has("axe", is_there) {
        return;
    }
    let (site, axe, mut faults) = (Site::start(), axe.unwrap_or_default(), Vec::new());
    site.user("ada");
    let (browser, base) = (Browser::start(), site.url());
    touched_key(&browser);
    sign_in(&browser, &base);
    browser.open(&format!("{base}/settings/security"));
    judge(&browser, &axe, "security-none", &mut faults);
    browser.click_through("form[action='/settings/security/keys/new'] button");
    judge(&browser, &axe, "new-security-key", &mut faults);
    browser.fill("input[name=name]", "blue key");
    browser.click_through("form[data-key] button");
    judge(&browser, &axe, "recovery-codes", &mut faults);
    browser.open(&format!("{base}/settings/security"));
    judge(&browser, &axe, "security", &mut faults);
    browser.click_through("form[action='/settings/security/app'] button");
    judge(&browser, &axe, "authenticator", &mut faults);
    sign_out(&browser, &base);
    sign_in(&browser, &base);
    judge(&browser, &axe, "second-factor", &mut faults);
    let refused = browser.complaints().into_iter().filter(|said| said.contains("Content Security Policy"));
    faults.extend(refused);
    faults.extend(outside(&base, &browser.requests()));
    crate::tidy::hold(faults);
}

/// Sends a form's fields from the page, and gives the last answer's status.
fn send(browser: &Browser, fields: &str) -> i64 {
    let script = format!(
        "const done = arguments[arguments.length - 1];
         fetch('/sign-in/second-factor', {{ method: 'POST', body: new URLSearchParams({}) }})
             .then((answer) => done(answer.status), () => done(0));",
        json!(fields)
    );
    browser.run_until_done(&script).as_i64().unwrap_or_default()
}

//! A Chromium without a window, driven over WebDriver (W3C) and chromedriver's door to the DevTools protocol.
//! The browser gets a profile of its own and may not call home; what it asks for is in the log that a test reads.

use std::process::Child;
use std::time::Duration;

use base::process::{Program, kill_group};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::require;

/// The key under which WebDriver hands out elements.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one window.
pub(crate) struct Browser {
    session: String,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
    driver: Child,
    profile: TempDir,
}

/// What a browser needs on this machine.
pub(crate) fn found() -> Result<(), String> {
    require::program("chromedriver").and(require::program("chromium")).map(drop)
}

impl Browser {
    /// Starts a browser that takes the site's certificate as it is; TLS itself is judged by other stories.
    pub(crate) fn start() -> Self {
        let profile = tempfile::Builder::new().prefix("gitgrit-browser-").tempdir().unwrap();
        let port = require::free_port();
        let log = std::fs::File::create(profile.path().join("chromedriver.log")).unwrap();
        let driver = Program::new(require::program("chromedriver").unwrap().to_str().unwrap())
            .option(format!("--port={port}"))
            .env("HOME", profile.path())
            .env("TMPDIR", profile.path())
            .start_detached(log)
            .unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        crate::visitor::install_provider();
        let client =
            reqwest::Client::builder().tls_certs_only([]).no_proxy().timeout(Duration::from_mins(2)).build().unwrap();
        let base = format!("http://127.0.0.1:{port}");
        let mut browser = Self { session: base.clone(), client, runtime, driver, profile };
        require::until(30, "an answer from chromedriver", || browser.try_call("GET", "/status", None).ok());
        let profile = browser.profile.path().join("profile").display().to_string();
        let made = browser.call("POST", "/session", &capabilities(&profile));
        browser.session = format!("{base}/session/{}", made["sessionId"].as_str().expect("a session"));
        // What the browser's own first page asked for is not ours.
        browser.open("about:blank");
        browser.requests();
        browser
    }

    /// Opens an address and waits until it is loaded.
    pub(crate) fn open(&self, address: &str) {
        self.call("POST", "/url", &json!({ "url": address }));
    }

    /// The address that the window shows.
    pub(crate) fn address(&self) -> String {
        self.get("/url").as_str().unwrap().to_owned()
    }

    /// The text of the page's body, as a person sees it.
    pub(crate) fn text(&self) -> String {
        self.run("return document.body.innerText").as_str().unwrap_or_default().to_owned()
    }

    /// Types into the field that the CSS selector finds, in place of what is there.
    pub(crate) fn fill(&self, selector: &str, text: &str) {
        let element = self.element(selector);
        self.call("POST", &format!("/element/{element}/clear"), &json!({}));
        self.call("POST", &format!("/element/{element}/value"), &json!({ "text": text }));
    }

    /// Clicks on what the CSS selector finds, and waits until the window shows another address.
    pub(crate) fn click_through(&self, selector: &str) {
        let (element, before) = (self.element(selector), self.address());
        self.call("POST", &format!("/element/{element}/click"), &json!({}));
        require::until(30, "another page", || (self.address() != before).then_some(()));
    }

    /// Runs a script in the page and gives back what it returns.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.call("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Runs a script that calls its last argument when it is done.
    pub(crate) fn run_until_done(&self, script: &str) -> Value {
        self.call("POST", "/execute/async", &json!({ "script": script, "args": [] }))
    }

    /// One command of the DevTools protocol.
    pub(crate) fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.call("POST", "/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// Shows pages as somebody sees them who prefers `scheme` (light or dark), in a window `width` pixels wide.
    pub(crate) fn look(&self, scheme: &str, width: u32) {
        let feature = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": feature }));
        let window = json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", &window);
    }

    /// A picture of the whole page, as PNG.
    pub(crate) fn picture(&self) -> Vec<u8> {
        let shot = self.devtools("Page.captureScreenshot", &json!({ "captureBeyondViewport": true }));
        STANDARD.decode(shot["data"].as_str().unwrap_or_default()).unwrap()
    }

    /// Every address that pages asked for since this was last called.
    pub(crate) fn requests(&self) -> Vec<String> {
        let entries = self.call("POST", "/se/log", &json!({ "type": "performance" }));
        let messages = entries.as_array().into_iter().flatten().filter_map(|entry| entry["message"].as_str());
        messages
            .filter_map(|message| serde_json::from_str::<Value>(message).ok())
            .filter(|message| message["message"]["method"] == "Network.requestWillBeSent")
            .filter_map(|message| message["message"]["params"]["request"]["url"].as_str().map(str::to_owned))
            .collect()
    }

    /// What pages complained about since this was last called: refused loads, failed scripts.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let entries = self.call("POST", "/se/log", &json!({ "type": "browser" }));
        let entries = entries.as_array().cloned().unwrap_or_default();
        entries.iter().filter_map(|entry| entry["message"].as_str().map(str::to_owned)).collect()
    }

    fn element(&self, selector: &str) -> String {
        let found = self.call("POST", "/element", &json!({ "using": "css selector", "value": selector }));
        found[ELEMENT].as_str().expect("an element").to_owned()
    }

    fn get(&self, path: &str) -> Value {
        self.try_call("GET", path, None).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        self.try_call(method, path, Some(body)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn try_call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, format!("{}{path}", self.session));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer: Value = self
            .runtime
            .block_on(async { request.send().await?.json().await })
            .map_err(|error: reqwest::Error| error.to_string())?;
        match answer["value"].get("error") {
            Some(error) => Err(format!("{error}: {}", answer["value"]["message"])),
            None => Ok(answer["value"].clone()),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.try_call("DELETE", "", None);
        kill_group(self.driver.id());
        let _ = self.driver.wait();
    }
}

fn capabilities(profile: &str) -> Value {
    let arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--no-default-browser-check",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
        "--window-size=1280,800",
        &format!("--user-data-dir={profile}"),
    ];
    json!({ "capabilities": { "alwaysMatch": {
        "browserName": "chrome",
        "acceptInsecureCerts": true,
        "goog:chromeOptions": { "binary": require::program("chromium").unwrap(), "args": arguments },
        "goog:loggingPrefs": { "performance": "ALL", "browser": "ALL" },
    }}})
}

//! A stage for `preflight`: a shell that sets up namespaces of its own, so that the real program meets a real host that is
//! wrong in one way. Nothing outside of the stage is touched, and no packet leaves it.

use std::path::Path;

use base::process::Program;
use serde_json::Value;
use tempfile::TempDir;

use crate::require;
use crate::site::{binary, out};

/// A directory with a site's settings, and what is to be done before the program runs.
pub(crate) struct Stage {
    home: TempDir,
    namespaces: Vec<String>,
    script: String,
    /// What stands before the program, like `taskset -c 0`.
    around: String,
    options: Vec<String>,
    environment: Vec<(String, String)>,
}

/// What `--json` printed.
pub(crate) struct Said(pub(crate) Value);

impl Stage {
    /// Mounts, host name and network of its own, the loopback up, and a resolver that is nobody's.
    pub(crate) fn new() -> Self {
        let stage = Self::with(&["--mount", "--uts", "--net"]);
        stage.does("ip link set lo up").resolver("nameserver 127.0.0.1")
    }

    /// The same in the network of the test itself, for what listens there.
    pub(crate) fn in_this_network() -> Self {
        Self::with(&["--mount", "--uts"]).resolver("nameserver 127.0.0.1")
    }

    fn with(namespaces: &[&str]) -> Self {
        let home = tempfile::Builder::new().prefix("gitgrit-stage-").tempdir().unwrap();
        base::file::create_dir(&home.path().join("site"), 0o750).unwrap();
        Self {
            home,
            namespaces: namespaces.iter().map(|name| (*name).to_owned()).collect(),
            script: "set -e\n".into(),
            around: String::new(),
            options: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// Says whether this machine lets a test have namespaces.
    pub(crate) fn is_possible() -> bool {
        let tried =
            Program::new("unshare").options(["--mount", "--uts", "--net", "ip", "link", "set", "lo", "up"]).run(b"");
        let done = tried.map_err(|error| error.to_string());
        require::has("netns", done.and_then(|done| done.status.success().then_some(()).ok_or(done.stderr)))
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Adds lines to the script. `$HOME` is the stage's directory, `$SITE` the site's.
    pub(crate) fn does(mut self, line: &str) -> Self {
        self.script.push_str(line);
        self.script.push('\n');
        self
    }

    /// Joins the network of another process in place of having one.
    pub(crate) fn beside(mut self, process: u32) -> Self {
        self.namespaces.retain(|name| name != "--net");
        self.around = format!("nsenter --net=/proc/{process}/ns/net {}", self.around);
        self
    }

    /// Puts a file in place of the host's.
    pub(crate) fn file(self, path: &str, content: &str) -> Self {
        let name = path.replace('/', "_");
        base::file::write_atomic(&self.home.path().join(&name), content.as_bytes(), 0o644).unwrap();
        self.does(&format!("mount --bind \"$HOME/{name}\" {path}"))
    }

    pub(crate) fn resolver(self, lines: &str) -> Self {
        self.file("/etc/resolv.conf", &format!("{lines}\n"))
    }

    pub(crate) fn settings(self, lines: &str) -> Self {
        base::file::write_atomic(&self.home.path().join("site/.env"), lines.as_bytes(), 0o600).unwrap();
        self
    }

    pub(crate) fn around(mut self, program: &str) -> Self {
        self.around = format!("{} {program}", self.around);
        self
    }

    pub(crate) fn option(mut self, option: &str) -> Self {
        self.options.push(option.into());
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Runs the program on the stage.
    pub(crate) fn run(&self) -> Said {
        let exports: Vec<_> = self.environment.iter().map(|(name, value)| format!("export {name}='{value}'")).collect();
        let exports = exports.join("\n");
        let run = "preflight --json --site-dir \"$SITE\"";
        let script = format!(
            "{}{exports}\nexec {} {} {run} {}",
            self.script,
            self.around,
            binary().display(),
            self.options.join(" ")
        );
        let done = Program::new("unshare")
            .options(&self.namespaces)
            .options(["sh", "-c", &script])
            .env("HOME", self.home())
            .env("SITE", self.home().join("site"))
            .run(b"")
            .unwrap();
        let said = serde_json::from_slice(&done.stdout);
        Said(said.unwrap_or_else(|error| panic!("{error}: {}{}\n{script}", out(&done), done.stderr)))
    }
}

impl Said {
    /// The findings of a check: severity, subject, message.
    pub(crate) fn of(&self, check: &str) -> Vec<(String, String, String)> {
        let checks = self.0["checks"].as_array().unwrap();
        let found = checks.iter().find(|one| one["check"] == check).unwrap_or_else(|| panic!("no check {check}"));
        let text = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
        let findings = found["findings"].as_array().unwrap().iter();
        findings
            .map(|finding| (text(finding, "severity"), text(finding, "subject"), text(finding, "message")))
            .collect()
    }

    /// Every finding with this id, whichever check gave it.
    pub(crate) fn with_id(&self, id: &str) -> Vec<&Value> {
        let findings = self.0["checks"].as_array().unwrap().iter().flat_map(|one| one["findings"].as_array().unwrap());
        findings.filter(|finding| finding["id"] == id).collect()
    }

    /// Holds each check to one finding of this severity whose text has this part; shows all that differ.
    pub(crate) fn holds(&self, expected: &[(&str, &str, &str)]) {
        let differs = |(check, severity, part): &(&str, &str, &str)| {
            let said = self.of(check);
            let is_there = said
                .iter()
                .any(|(is, subject, message)| is == severity && format!("{subject}: {message}").contains(part));
            (!is_there).then(|| format!("{check} is not {severity} with `{part}`, but {said:?}"))
        };
        let faults: Vec<String> = expected.iter().filter_map(differs).collect();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}

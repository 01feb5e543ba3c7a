//! An engine of the test's own: a second dockerd with its own settings, data, socket and network. The machine's is not asked,
//! and nothing outside of the namespaces is changed. Ends with its test.

use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use base::process::{Finished, Program, terminate};
use tempfile::TempDir;

use crate::require;
use crate::site::out;

/// A running engine.
pub(crate) struct Engine {
    home: TempDir,
    /// dockerd itself: the shell that set the stage has become it.
    child: Child,
}

impl Engine {
    /// Says whether this machine can have one.
    pub(crate) fn is_possible() -> bool {
        require::has("dockerd", require::program("dockerd").map(drop)) && crate::stage::Stage::is_possible()
    }

    /// Starts one with these settings, once `script` has run in its namespaces. `$HOME` is the engine's directory.
    pub(crate) fn start(settings: &str, script: &str) -> Self {
        let home = tempfile::Builder::new().prefix("gitgrit-engine-").tempdir().unwrap();
        let path = home.path().display().to_string();
        base::file::write_atomic(&home.path().join("daemon.json"), settings.replace("$HOME", &path).as_bytes(), 0o600)
            .unwrap();
        let script = format!(
            "set -e\nip link set lo up\n{script}\nexec dockerd --config-file \"$HOME/daemon.json\" --data-root \"$HOME/root\" \
             --exec-root \"$HOME/exec\" --pidfile \"$HOME/pid\" --host \"unix://$HOME/docker.sock\" --iptables=false \
             --ip-masq=false"
        );
        let log = std::fs::File::create(home.path().join("log")).unwrap();
        let program =
            Program::new("unshare").options(["--net", "--mount", "sh", "-c", &script]).env("HOME", home.path());
        let engine = Self { child: program.start_detached(log).unwrap(), home };
        require::until(60, "an engine of the test's own", || {
            engine.docker(&["version"]).status.success().then_some(())
        });
        engine
    }

    /// dockerd's process id.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Where it answers.
    pub(crate) fn socket(&self) -> PathBuf {
        self.home.path().join("docker.sock")
    }

    /// DOCKER_HOST for it.
    pub(crate) fn address(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Runs its command line.
    pub(crate) fn docker(&self, arguments: &[&str]) -> Finished {
        let program = Program::new("docker").options(arguments).deadline(Duration::from_secs(30));
        program.env("DOCKER_HOST", self.address()).env("HOME", self.home.path()).run(b"").unwrap()
    }

    /// Its command line must do this.
    pub(crate) fn does(&self, arguments: &[&str]) {
        let done = self.docker(arguments);
        assert!(done.status.success(), "{arguments:?}: {}{}", out(&done), done.stderr);
    }

    /// Runs a line of shell in its network.
    pub(crate) fn network(&self, line: &str) {
        let space = format!("--net=/proc/{}/ns/net", self.process());
        let done = Program::new("nsenter").options([&space, "sh", "-ec", line]).run(b"").unwrap();
        assert!(done.status.success(), "{line}: {}", done.stderr);
    }

    /// Where it keeps its data.
    pub(crate) fn root(&self) -> PathBuf {
        self.home.path().join("root")
    }

    /// Runs `sleep` of this host in a container, as long as the engine lives, from an image of no bytes.
    pub(crate) fn sleeps(&self, options: &[&str]) {
        let places = ["/usr", "/lib", "/lib64"].into_iter().filter(|place| std::path::Path::new(place).exists());
        let volumes: Vec<String> =
            places.flat_map(|place| ["--volume".into(), format!("{place}:{place}:ro")]).collect();
        let volumes: Vec<&str> = volumes.iter().map(String::as_str).collect();
        self.does(
            &[
                &["run", "--detach", "--stop-timeout", "1"][..],
                options,
                &volumes,
                &["nothing:1", "/usr/bin/sleep", "600"],
            ]
            .concat(),
        );
    }

    /// An image of no bytes.
    pub(crate) fn image(&self, name: &str) {
        let program = Program::new("docker").options(["import", "-", name]).env("DOCKER_HOST", self.address());
        let done = program.env("HOME", self.home.path()).run(&[0; 1024]).unwrap();
        assert!(done.status.success(), "{}", done.stderr);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.home.path().join("log")).unwrap_or_default();
            let last: Vec<_> = log.lines().rev().take(5).collect();
            eprintln!("--- the engine's last words ---\n{}", last.join("\n"));
        }
        let _ = terminate(self.child.id());
        let _ = self.child.wait();
    }
}

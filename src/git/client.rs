//! A Git client for the site's own smoke test: clones, commits, pushes. Secrets travel in the child's environment,
//! never in its arguments, and nothing of the host's own configuration, keys or agents is used.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base::Secret;
use base::file::write_atomic;
use base::name::{RefName, TreePath};
use base::process::Program;

use crate::child::{finish, one_line};
use crate::{Error, environment};

/// How to reach the repository.
#[derive(Clone, Debug)]
pub enum Access {
    /// Over HTTP(S).
    Http {
        /// The whole `Authorization` header's value, as in `Basic …`.
        authorization: Secret<String>,
        /// PEM file of the authorities to trust; the host's own when `None`.
        ca_file: Option<PathBuf>,
    },
    /// Over SSH.
    Ssh {
        /// The private key's file.
        key_file: PathBuf,
        /// The known_hosts file; a host that is not in it is refused.
        known_hosts: PathBuf,
    },
}

/// A clone in a scratch directory that the caller owns.
#[derive(Debug)]
pub struct Clone {
    directory: PathBuf,
    access: Access,
    deadline: Duration,
}

impl Clone {
    /// Clones `url` into `directory` (which must not exist). The deadline holds for this and for every later step.
    pub async fn make(url: &str, directory: &Path, access: Access, deadline: Duration) -> Result<Self, Error> {
        let clone = Self { directory: directory.to_owned(), access, deadline };
        let program = clone.client("clone").option("--quiet").operands([url.as_ref(), directory.as_os_str()]);
        clone.run(program, "clone").await?;
        Ok(clone)
    }

    /// Writes a file at the top of the tree, commits it, and pushes the commit to the branch with this short name.
    /// Gives the commit's id.
    pub async fn commit_and_push(&self, branch: &str, file: &str, content: &[u8]) -> Result<String, Error> {
        let target = RefName::branch(branch)?;
        TreePath::default().join(file.as_bytes())?;
        write_atomic(&self.directory.join(file), content, 0o644)?;
        self.run(self.here("add").operands([file]), "add").await?;
        let message = format!("--message=Add {file}");
        self.run(self.here("commit").options(["--quiet", "--no-verify", &message]), "commit").await?;
        self.run(self.here("push").option("--quiet").operands(["origin", &format!("HEAD:{target}")]), "push").await?;
        let missing = || Error::Git { command: "rev-parse", message: "the new commit is not there".into() };
        self.head().await?.ok_or_else(missing)
    }

    /// The commit that the clone's HEAD leads to; `None` while the repository is empty.
    pub async fn head(&self) -> Result<Option<String>, Error> {
        let program = self.here("rev-parse").options(["--verify", "--quiet", "HEAD"]);
        let said = finish(program, "rev-parse", b"", self.deadline).await?;
        Ok(said.status.success().then(|| said.stdout.trim().to_owned()))
    }

    async fn run(&self, program: Program, command: &'static str) -> Result<String, Error> {
        let said = finish(program, command, b"", self.deadline).await?;
        if said.status.success() {
            Ok(said.stdout)
        } else {
            Err(Error::Git { command, message: one_line(&said.stderr) })
        }
    }

    fn here(&self, command: &'static str) -> Program {
        self.client(command).directory(&self.directory)
    }

    fn client(&self, command: &'static str) -> Program {
        let mut settings: Vec<(&str, String)> = [
            ("user.name", "GitGrit smoke test"),
            ("user.email", "smoketest@gitgrit.invalid"),
            ("core.hooksPath", "/dev/null"),
            ("commit.gpgSign", "false"),
            ("credential.helper", ""),
            ("http.followRedirects", "false"),
            ("gc.auto", "0"),
            ("maintenance.auto", "false"),
            ("protocol.allow", "never"),
            ("protocol.http.allow", "always"),
            ("protocol.https.allow", "always"),
            ("protocol.ssh.allow", "always"),
        ]
        .map(|(key, value)| (key, value.to_owned()))
        .into();
        let mut ssh = None;
        match &self.access {
            Access::Http { authorization, ca_file } => {
                settings.push(("http.extraHeader", format!("Authorization: {}", authorization.expose())));
                if let Some(file) = ca_file {
                    settings.push(("http.sslCAInfo", file.display().to_string()));
                }
            }
            Access::Ssh { key_file, known_hosts } => ssh = Some(ssh_command(key_file, known_hosts)),
        }
        let program = environment::hermetic(settings);
        let program = match ssh {
            Some(ssh) => program.env("GIT_SSH_COMMAND", ssh).env("GIT_SSH_VARIANT", "ssh"),
            None => program,
        };
        program.option(command)
    }
}

/// What Git hands to a shell: every path quoted for the shell, for ssh's own word splitting, and against its `%`.
fn ssh_command(key_file: &Path, known_hosts: &Path) -> String {
    let key = shell_quoted(&key_file.display().to_string().replace('%', "%%"));
    let hosts = shell_quoted(&format!(
        "UserKnownHostsFile=\"{}\"",
        known_hosts.display().to_string().replace('%', "%%").replace('"', "\\\"")
    ));
    format!(
        "ssh -F /dev/null -i {key} -o {hosts} -o GlobalKnownHostsFile=/dev/null -o StrictHostKeyChecking=yes \
         -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes -o ConnectTimeout=10"
    )
}

fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Site;

    fn access() -> Access {
        Access::Http { authorization: Secret::new("Basic c2VjcmV0".into()), ca_file: None }
    }

    #[test]
    fn a_path_cannot_leave_its_quotes() {
        let command = ssh_command(Path::new("/a'; touch /x; '/k %h"), Path::new("/k h"));
        assert!(command.contains(r"-i '/a'\''; touch /x; '\''/k %%h' -o"), "{command}");
        assert!(command.contains("-o 'UserKnownHostsFile=\"/k h\"' -o"), "{command}");
    }

    #[test]
    fn a_secret_is_in_the_environment_and_never_in_the_arguments() {
        let clone = Clone { directory: "/x".into(), access: access(), deadline: Duration::from_secs(1) };
        let command = clone.client("clone").into_command();
        assert!(base::process::arguments(&command).iter().all(|argument| argument == "clone"));
        let is_there = |value: &std::ffi::OsStr| value == "Authorization: Basic c2VjcmV0";
        assert!(command.get_envs().any(|(_, value)| value.is_some_and(is_there)));
        assert!(!format!("{clone:?}").contains("c2VjcmV0"));
    }

    #[test]
    fn other_transports_than_http_and_ssh_are_refused() {
        let site = Site::start();
        let place = site.root().join("c");
        for url in [site.url(), site.root().display().to_string(), "ext::sh -c true".into(), "--upload-pack=x".into()] {
            let made = Clone::make(&url, &place, access(), Duration::from_secs(20));
            assert!(matches!(site.block_on(made), Err(Error::Git { .. })), "{url}");
        }
    }

    #[test]
    fn a_server_that_never_answers_meets_the_deadline() {
        let site = Site::start();
        let place = site.root().join("c");
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/a/b.git", silent.local_addr().unwrap());
        let made = Clone::make(&url, &place, access(), Duration::from_millis(300));
        assert!(matches!(site.block_on(made), Err(Error::Stalled { command: "clone", .. })));
    }
}

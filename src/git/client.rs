//! A Git client for the site's own smoke test: clones, commits, pushes. Secrets travel in the child's environment,
//! never in its arguments, and nothing of the host's own configuration, keys or agents is used.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base::file::write_atomic;
use base::name::{NameError, Oid, RefName, TreePath};
use base::process::Program;
use base::{Hint, Secret};

use crate::child::{finish, one_line};
use crate::{Error, environment};

/// How to reach the repository.
#[derive(Clone, Debug)]
pub enum Access {
    /// Over HTTP(S).
    Http {
        /// The whole `Authorization` header's value, as in `Basic …`; none for an anonymous clone.
        authorization: Option<Secret<String>>,
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

/// Why a step of the client failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Git failed.
    #[error("the Git client failed")]
    Git(#[from] Error),
    /// A name does not parse.
    #[error("the Git client got a name that is none")]
    Name(#[from] NameError),
}

impl Hint for ClientError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Git(error) => error.hint(),
            Self::Name(error) => error.hint(),
        }
    }
}

/// A clone in a scratch directory that the caller owns.
#[derive(Debug)]
pub struct Checkout {
    directory: PathBuf,
    access: Access,
    deadline: Duration,
}

impl Checkout {
    /// Clones `url` into `directory` (which must not exist). The deadline holds for this and for every later step.
    pub async fn clone_from(
        url: &str,
        directory: &Path,
        access: Access,
        deadline: Duration,
    ) -> Result<Self, ClientError> {
        let checkout = Self { directory: directory.to_owned(), access, deadline };
        let program = checkout.client("clone").option("--quiet").operands([url.as_ref(), directory.as_os_str()]);
        checkout.run(program, "clone").await?;
        Ok(checkout)
    }

    /// Writes a file at the top of the tree, commits it, and pushes the commit to `branch`. Gives the commit's id.
    pub async fn commit_and_push(&self, branch: &RefName, file: &str, content: &[u8]) -> Result<Oid, ClientError> {
        TreePath::default().join(file.as_bytes())?;
        write_atomic(&self.directory.join(file), content, 0o644).map_err(Error::from)?;
        self.run(self.here("add").operands([file]), "add").await?;
        let message = format!("--message=Add {file}");
        self.run(self.here("commit").options(["--quiet", "--no-verify", &message]), "commit").await?;
        let target = format!("HEAD:{branch}");
        self.run(self.here("push").option("--quiet").operands(["origin", &target]), "push").await?;
        self.head().await
    }

    /// The commit that the clone's HEAD leads to. Fails while the repository is empty.
    pub async fn head(&self) -> Result<Oid, ClientError> {
        let program = self.here("rev-parse").options(["--verify", "--quiet", "HEAD"]);
        let said = self.run(program, "rev-parse").await?;
        Ok(Oid::parse(said.trim())?)
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
                if let Some(authorization) = authorization {
                    settings.push(("http.extraHeader", format!("Authorization: {}", authorization.expose())));
                }
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

    fn anonymous() -> Access {
        Access::Http { authorization: None, ca_file: None }
    }

    #[test]
    fn a_path_cannot_leave_its_quotes() {
        let command = ssh_command(Path::new("/a'; touch /x; '/k %h"), Path::new("/k h"));
        assert!(command.contains(r"-i '/a'\''; touch /x; '\''/k %%h' -o"), "{command}");
        assert!(command.contains("-o 'UserKnownHostsFile=\"/k h\"' -o"), "{command}");
    }

    #[test]
    fn a_secret_is_in_the_environment_and_never_in_the_arguments() {
        let access = Access::Http { authorization: Some(Secret::new("Basic c2VjcmV0".into())), ca_file: None };
        let checkout = Checkout { directory: "/x".into(), access, deadline: Duration::from_secs(1) };
        let command = checkout.client("clone").into_command();
        assert!(base::process::arguments(&command).iter().all(|argument| argument == "clone"));
        let is_there = |value: &std::ffi::OsStr| value == "Authorization: Basic c2VjcmV0";
        assert!(command.get_envs().any(|(_, value)| value.is_some_and(is_there)));
        assert!(!format!("{checkout:?}").contains("c2VjcmV0"));
    }

    #[test]
    fn other_transports_than_http_and_ssh_are_refused() {
        let site = Site::start();
        let place = site.root().join("c");
        for url in [site.url(), site.root().display().to_string(), "ext::sh -c true".into(), "--upload-pack=x".into()] {
            let made = Checkout::clone_from(&url, &place, anonymous(), Duration::from_secs(20));
            assert!(matches!(site.block_on(made), Err(ClientError::Git(Error::Git { .. }))), "{url}");
        }
    }

    #[test]
    fn a_server_that_never_answers_meets_the_deadline() {
        let site = Site::start();
        let place = site.root().join("c");
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/a/b.git", silent.local_addr().unwrap());
        let made = Checkout::clone_from(&url, &place, anonymous(), Duration::from_millis(300));
        assert!(matches!(site.block_on(made), Err(ClientError::Git(Error::Stalled { command: "clone", .. }))));
    }
}

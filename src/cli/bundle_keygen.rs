//! Makes a pair of keys that signs bundles, for this program and for stock `minisign`. Never replaces a file.

use std::io::Write;
use std::path::PathBuf;

use base::file::write_new;
use clap::Args;
use serde::Serialize;
use vault::minisign::SecretKey;

use super::bundle_keys::PasswordArgs;
use super::{Console, Exit, Failure};

const EXAMPLES: &str = "Examples:\n  gitgrit-ops bundle keygen release\n  \
                        gitgrit-ops bundle keygen release --password-file /run/keys/password\n  \
                        minisign -Vm FILE -p release.pub";

/// Make a pair of keys that signs bundles
///
/// The secret key takes a password: it is asked for twice, or read from a file, standard input or `GITGRIT_KEY_PASSWORD`. Both files are
/// those of stock minisign.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct KeygenArgs {
    /// Where the keys go: NAME.key and NAME.pub, neither of which may be there
    #[arg(value_name = "NAME", default_value = "gitgrit-release")]
    name: PathBuf,

    #[command(flatten)]
    password: PasswordArgs,

    /// Do not encrypt the secret key
    #[arg(long, conflicts_with = "password_file")]
    no_password: bool,

    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct KeygenView {
    secret: String,
    public: String,
    /// The key's id and the line that a trust file or `--public-key` takes; `null` in a dry run.
    id: Option<String>,
    line: Option<String>,
    encrypted: bool,
    dry_run: bool,
}

pub(crate) fn run(args: &KeygenArgs, console: &mut Console) -> Result<Exit, Failure> {
    let [secret, public] = ["key", "pub"].map(|end| {
        let mut path = args.name.clone().into_os_string();
        path.push(format!(".{end}"));
        PathBuf::from(path)
    });
    if let Some(there) = [&secret, &public].into_iter().find(|path| path.symlink_metadata().is_ok()) {
        let failure = Failure::said(Exit::Failure, format!("`{}` is there already", there.display()));
        return Err(failure.hinted("name another file: a key that has signed something must not be lost"));
    }
    let made = if args.dry_run { None } else { Some(make(args, &secret, &public)?) };
    let (id, line) = made.map(|key| (key.public().id().to_string(), key.public().line())).unzip();
    let (secret, public) = (secret.display().to_string(), public.display().to_string());
    if console.is_json {
        let encrypted = !args.no_password;
        console.json(&KeygenView { secret, public, id, line, encrypted, dry_run: args.dry_run })?;
        return Ok(Exit::Ok);
    }
    let (Some(id), Some(line)) = (id, line) else {
        writeln!(console.err, "would make {secret} and {public}")?;
        return Ok(Exit::Ok);
    };
    writeln!(console.out, "secret key: {secret}\npublic key: {public}\nkey: {id}\nline: {line}")?;
    Ok(Exit::Ok)
}

fn make(args: &KeygenArgs, secret: &std::path::Path, public: &std::path::Path) -> Result<SecretKey, Failure> {
    let password = if args.no_password { None } else { Some(args.password.fresh()?) };
    let key = SecretKey::generate();
    let text = key.file(password.as_ref()).map_err(|error| Failure::new(Exit::Failure, error))?;
    write_new(secret, text.expose().as_bytes(), 0o600)?;
    write_new(public, key.public().file().as_bytes(), 0o644)?;
    Ok(key)
}

//! SSH user certificates: authorities that an administrator of the site registers, and what a certificate of theirs must
//! say to open an account. An authority vouches for people; it is never taken from a user or an owner.

use std::net::IpAddr;

use base::Hint;
use base::clock::Timestamp;
use base::name::{OwnerName, shown};
use base::network::Network;
use store::ssh_authorities::{self, NewSshAuthorityRecord, SshAuthorityRecord};
use store::users;
use vault::ssh_key::PublicKey;

use crate::Scope;
use crate::access::{Credential, Origin, User};
use crate::audit_queue::{Access, Accessed};
use crate::events::{Happened, record};
use crate::{Actor, Error, Forge};

/// Authorities of the site.
const MOST: usize = 20;
/// A principal that says which user of the host signs in, and nothing of the account.
const HOST_USER: &str = "git";
/// The one critical option that is understood; any other closes the door, as OpenSSH's own rule is.
const SOURCE_ADDRESS: &str = "source-address";

/// An authority as pages show it.
#[derive(Clone, Debug)]
pub struct SshAuthorityView {
    /// Its id.
    pub id: i64,
    /// The title that the administrator gave it.
    pub title: String,
    /// `SHA256:…`.
    pub fingerprint: String,
    /// `ssh-ed25519` and the like.
    pub kind: String,
    /// When it was added.
    pub created: Timestamp,
}

/// A certificate that a client showed. Its signature by the authority, and the client's by the certified key, were checked
/// before; nothing else of it was.
#[derive(Clone, Debug)]
pub struct ShownCertificate {
    /// The authority's key, in OpenSSH's one-line form.
    pub authority: String,
    /// The certified key, in OpenSSH's one-line form.
    pub key: String,
    /// Says whether it is for users and signed without SHA-1.
    pub is_for_users: bool,
    /// Names that it is good for.
    pub principals: Vec<String>,
    /// The second since 1970 from which on it is good.
    pub begins: u64,
    /// The second since 1970 at which it is good no more.
    pub ends: u64,
    /// What must be understood for it to be good: names and values.
    pub critical_options: Vec<(String, String)>,
    /// Its number.
    pub serial: u64,
    /// What its authority calls it.
    pub key_id: String,
}

impl Forge {
    /// The site's authorities, newest first. For administrators; `NotFound` for everyone else.
    pub async fn ssh_authorities(&self, actor: &Actor) -> Result<Vec<SshAuthorityView>, Error> {
        actor.as_administrator("see the site's SSH authorities")?;
        Ok(ssh_authorities::all(&self.0.store.read()).await?.into_iter().map(view).collect())
    }

    /// Adds an authority by its public key's line. From then on its user certificates open the accounts that they name.
    /// Fails with `ProofNeeded` and `Field`.
    pub async fn add_ssh_authority(&self, actor: &Actor, title: &str, line: &str) -> Result<SshAuthorityView, Error> {
        let user = actor.as_administrator("add an SSH authority")?;
        self.proved_if_session(user).await?;
        let by = user.who();
        let key = PublicKey::parse(line).map_err(|error| {
            let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
            Error::Field { field: "key", problem: format!("was not taken: {error}{hint}") }
        })?;
        let title = if title.trim().is_empty() { &key.comment } else { title };
        let title = crate::users::one_line("title", title, 1, 100)?;
        let tx = self.0.store.begin().await?;
        if ssh_authorities::all(&tx).await?.len() >= MOST {
            return Err(Error::Field { field: "key", problem: format!("is one too many; {MOST} is the most") });
        }
        let (kind, fingerprint, line) = (key.kind.name(), key.fingerprint.as_str(), key.line.as_str());
        let new = NewSshAuthorityRecord { title: &title, kind, fingerprint, line, created: self.now() };
        let stored = ssh_authorities::insert(&tx, &new).await.map_err(|error| {
            if error.is_unique("ssh_authorities.fingerprint") {
                Error::Field { field: "key", problem: format!("{} is an authority already", shown(fingerprint)) }
            } else {
                error.into()
            }
        })?;
        let happened = Happened::Noted {
            kind: "ssh_authority.added",
            repo: None,
            subject: fingerprint,
            old: None,
            new: Some(&title),
        };
        record(&tx, self.now(), &by, happened).await?;
        tx.commit().await?;
        Ok(view(stored))
    }

    /// Removes an authority: its certificates open nothing any more, on connections that are open as well.
    pub async fn remove_ssh_authority(&self, actor: &Actor, id: i64) -> Result<(), Error> {
        let by = actor.as_administrator("remove an SSH authority")?.who();
        let tx = self.0.store.begin().await?;
        let fingerprint = ssh_authorities::remove(&tx, id).await?.ok_or(Error::NotFound)?;
        let happened =
            Happened::Noted { kind: "ssh_authority.removed", repo: None, subject: &fingerprint, old: None, new: None };
        record(&tx, self.now(), &by, happened).await?;
        Ok(tx.commit().await?)
    }

    /// Says whether the site has an authority, so that a key nobody knows may have a certificate.
    pub async fn has_ssh_authority(&self) -> Result<bool, Error> {
        Ok(ssh_authorities::is_any(&self.0.store.read()).await?)
    }

    /// The account that a certificate opens to a client at `from`; `None` when it opens none.
    pub async fn by_certificate(&self, certificate: &ShownCertificate, from: IpAddr) -> Result<Option<Actor>, Error> {
        let now = u64::try_from(self.now().seconds()).unwrap_or(0);
        let name = match judge(certificate, from, now) {
            Ok(name) => name,
            Err(why) => {
                tracing::info!(key_id = shown(&certificate.key_id), why, "an SSH certificate was refused");
                return Ok(None);
            }
        };
        let (Ok(authority), Ok(_)) = (PublicKey::parse(&certificate.authority), PublicKey::parse(&certificate.key))
        else {
            return Ok(None);
        };
        let database = self.0.store.read();
        if !ssh_authorities::is_known(&database, &authority.fingerprint).await? {
            return Ok(None);
        }
        let Some(found) = users::by_key(&database, &name.key()).await?.filter(|user| user.is_active) else {
            return Ok(None);
        };
        Ok(Some(Actor::User(User {
            id: found.id,
            name: OwnerName::parse(&found.name)?,
            is_admin: found.is_admin,
            scope: Scope::Key,
            credential: Credential::Certificate { authority: authority.fingerprint, ends: certificate.ends },
            origin: from.into(),
        })))
    }

    /// The account that a certificate opened before; `None` when it would not any more.
    pub(crate) async fn by_certificate_again(
        &self,
        authority: &str,
        ends: u64,
        user_id: i64,
    ) -> Result<Option<Actor>, Error> {
        if !self.certificate_holds(user_id, authority, ends).await? {
            return Ok(None);
        }
        let Some(found) = users::by_id(&self.0.store.read(), user_id).await? else { return Ok(None) };
        Ok(Some(Actor::User(User {
            id: found.id,
            name: OwnerName::parse(&found.name)?,
            is_admin: found.is_admin,
            scope: Scope::Key,
            credential: Credential::Certificate { authority: authority.to_owned(), ends },
            origin: Origin::default(),
        })))
    }

    /// Puts on record that a certificate let somebody in.
    pub fn tell_certificate(&self, actor: &Actor, certificate: &ShownCertificate) {
        let Some(user) = actor.user() else { return };
        let print = |line: &str| PublicKey::parse(line).map(|key| key.fingerprint).unwrap_or_default();
        let (key, authority) = (print(&certificate.key), print(&certificate.authority));
        let told = format!("serial {}, key {key}, authority {authority}", certificate.serial);
        let what = Accessed::Certificate { key_id: shown(&certificate.key_id), told };
        self.0.audit.put(Access { at: self.now(), who: user.who(), what });
    }

    /// Says whether a certificate of this authority, good until then, would still let the account in.
    pub(crate) async fn certificate_holds(&self, user_id: i64, authority: &str, ends: u64) -> Result<bool, Error> {
        let database = self.0.store.read();
        let is_good = u64::try_from(self.now().seconds()).unwrap_or(0) < ends;
        Ok(is_good
            && ssh_authorities::is_known(&database, authority).await?
            && users::by_id(&database, user_id).await?.is_some_and(|user| user.is_active))
    }
}

/// The account that a certificate names, when all that it says of itself holds. PROTOCOL.certkeys of OpenSSH.
fn judge(certificate: &ShownCertificate, from: IpAddr, now: u64) -> Result<OwnerName, &'static str> {
    if !certificate.is_for_users {
        return Err("it is not for users, or was signed with SHA-1");
    }
    if now < certificate.begins || now >= certificate.ends {
        return Err("it is not good at this time");
    }
    for (name, value) in &certificate.critical_options {
        if name != SOURCE_ADDRESS {
            return Err("it asks for something that is not known here");
        }
        let networks = Network::parse_list(value).map_err(|_| "its source addresses do not parse")?;
        if !networks.iter().any(|network| network.contains(from)) {
            return Err("it is not good from that address");
        }
    }
    // To OpenSSH no principal at all means everybody; here it means nobody.
    let mut names = certificate.principals.iter().filter(|name| *name != HOST_USER);
    match (names.next(), names.next()) {
        (Some(name), None) => OwnerName::parse(name).map_err(|_| "its principal is no name of an account"),
        (None, _) => Err("it names no account"),
        (Some(_), Some(_)) => Err("it names more than one account"),
    }
}

fn view(stored: SshAuthorityRecord) -> SshAuthorityView {
    let SshAuthorityRecord { id, title, kind, fingerprint, created } = stored;
    SshAuthorityView { id, title, fingerprint, kind, created }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "10.0.0.7";

    fn shown_certificate() -> ShownCertificate {
        ShownCertificate {
            authority: String::new(),
            key: String::new(),
            is_for_users: true,
            principals: vec!["alice".into()],
            begins: 100,
            ends: 200,
            critical_options: vec![],
            serial: 7,
            key_id: "alice@laptop".into(),
        }
    }

    fn is_good(certificate: &ShownCertificate, now: u64) -> bool {
        judge(certificate, HERE.parse().unwrap(), now).is_ok()
    }

    #[test]
    fn the_window_is_half_open() {
        let certificate = shown_certificate();
        assert_eq!([99, 100, 199, 200].map(|now| is_good(&certificate, now)), [false, true, true, false]);
        let for_ever = ShownCertificate { begins: 0, ends: u64::MAX, ..certificate };
        assert!(is_good(&for_ever, 1));
    }

    #[test]
    fn an_account_is_named_once() {
        for (principals, expected) in [
            (&["alice"][..], true),
            (&["git", "alice"], true),
            (&[], false),
            (&["git"], false),
            (&["alice", "bob"], false),
            (&["alice", "alice"], false),
            (&["*"], false),
            (&["../alice"], false),
        ] {
            let principals = principals.iter().map(|name| (*name).to_owned()).collect();
            let certificate = ShownCertificate { principals, ..shown_certificate() };
            assert_eq!(is_good(&certificate, 150), expected, "{certificate:?}");
        }
        assert!(!is_good(&ShownCertificate { is_for_users: false, ..shown_certificate() }, 150));
    }

    #[test]
    fn what_must_be_understood_and_is_not_closes_the_door() {
        for (name, value, expected) in [
            ("source-address", "10.0.0.0/8,192.0.2.1", true),
            ("source-address", "192.0.2.0/24", false),
            ("source-address", "", false),
            ("source-address", "10.0.0.0/99", false),
            ("force-command", "git-upload-pack", false),
            ("verify-required", "", false),
            ("future@example.test", "", false),
        ] {
            let critical_options = vec![(name.to_owned(), value.to_owned())];
            let certificate = ShownCertificate { critical_options, ..shown_certificate() };
            assert_eq!(is_good(&certificate, 150), expected, "{name}={value}");
        }
    }
}

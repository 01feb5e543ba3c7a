//! Names looked up as the programs of this host do it, by the system's own resolver, and what a failed look-up says. Asks
//! for addresses alone, and takes no failure of its own for a "no".

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::text::line;

/// Words of gai_strerror(3), of the C libraries GNU and musl: no other sign of the code comes through. First those that say
/// that there is no such name or no address of it, then those that say that the resolver cannot tell, or may not.
const UNKNOWN: [&str; 4] =
    ["Name or service not known", "No address associated with hostname", "Name does not resolve", "Name has no usable"];
const FAILING: [&str; 4] = ["Temporary failure", "Non-recoverable failure", "Try again", "Unrecoverable error"];

/// Why there is no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// The resolver says that there is no such name.
    NoName,
    /// No resolver could tell, as often as the system asks.
    Failing(String),
    /// Nobody said anything in the time that there was.
    Late,
    /// The look-up itself broke.
    Broken(String),
}

/// The addresses of `host`, which may be an address itself, also one of version 6 with its interface.
pub(crate) async fn addresses(host: &str, port: u16, most: Duration) -> Result<Vec<SocketAddr>, Unknown> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    match timeout(most, lookup_host((host, port))).await {
        Err(_) => Err(Unknown::Late),
        Ok(Err(_)) if host.contains('%') => Err(Unknown::Broken("there is no such interface here".into())),
        Ok(Err(error)) => Err(meaning(&error)),
        Ok(Ok(found)) => {
            let found: Vec<_> = found.collect();
            if found.is_empty() { Err(Unknown::NoName) } else { Ok(found) }
        }
    }
}

fn meaning(error: &io::Error) -> Unknown {
    let said = error.to_string();
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if error.raw_os_error().is_none() && says(&UNKNOWN) {
        Unknown::NoName
    } else if error.raw_os_error().is_none() && says(&FAILING) {
        Unknown::Failing(format!("the resolver fails: {}", line(&said)))
    } else {
        Unknown::Broken(format!("the look-up broke: {}", line(&said)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_resolvers_own_no_is_no_name() {
        let said = |text: &str| meaning(&io::Error::other(format!("failed to lookup address information: {text}")));
        for text in ["Name or service not known", "No address associated with hostname", "Name does not resolve"] {
            assert_eq!(said(text), Unknown::NoName, "{text}");
        }
        for text in ["Temporary failure in name resolution", "Non-recoverable failure in name resolution"] {
            assert!(matches!(said(text), Unknown::Failing(_)), "{text}");
        }
        for text in ["Memory allocation failure", "System error", "Name or service nOt known", ""] {
            assert!(matches!(said(text), Unknown::Broken(_)), "{text}");
        }
        let own = io::Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error());
        assert!(matches!(meaning(&own), Unknown::Broken(why) if why.contains("open files")));
    }

    #[tokio::test]
    async fn an_address_is_its_own_answer_and_an_interface_must_be_there() {
        let most = Duration::from_secs(10);
        let found = addresses("192.0.2.1", 7, most).await;
        assert_eq!(found, Ok(vec!["192.0.2.1:7".parse().unwrap()]));
        let none = addresses("fe80::1%gitgrit-none", 7, most).await;
        assert!(matches!(none, Err(Unknown::Broken(_))), "{none:?}");
    }
}

//! Addresses and networks as TRUSTED_PROXIES lists them. Knows no name and asks no resolver.

use std::net::IpAddr;

use crate::Hint;

/// A text that is neither an address nor a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither an address nor a network")]
pub struct NetworkError(String);

impl Hint for NetworkError {
    fn hint(&self) -> Option<String> {
        Some("write addresses like 10.0.0.5 and networks like 10.0.0.0/24, with commas between them".into())
    }
}

/// An address, or all addresses with the same first bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Parses `10.0.0.5`, `10.0.0.0/24`, `fd00::/8`.
    pub fn parse(text: &str) -> Result<Self, NetworkError> {
        let failed = || NetworkError(crate::name::shown(text));
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| failed())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).map_err(|_| failed())?;
        if bits > most { Err(failed()) } else { Ok(Self { address, bits }) }
    }

    /// Parses a list with commas; an empty text is an empty list.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, NetworkError> {
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(Self::parse).collect()
    }

    /// Says whether `address` is in it; an IPv4 address inside IPv6 counts as what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (first, second, most) = match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => (u128::from(u32::from(own)), u128::from(u32::from(other)), 32),
            (IpAddr::V6(own), IpAddr::V6(other)) => (u128::from(own), u128::from(other), 128),
            _ => return false,
        };
        // No bits to compare: everything of this family is in it.
        (first ^ second).checked_shr(most - u32::from(self.bits)).is_none_or(|difference| difference == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "10.0.0.0/33", "fd00::/129", "proxy.example", "10.0.0/8", "10.0.0.0/-1", "10.0.0.1/"] {
            assert!(Network::parse(text).is_err(), "{text}");
        }
        assert!(Network::parse_list("10.0.0.1, x").is_err());
        assert_eq!(Network::parse_list(""), Ok(vec![]));
    }

    #[test]
    fn addresses_are_found_in_their_networks_alone() {
        for (network, inside, outside) in [
            ("10.0.0.5", "10.0.0.5", "10.0.0.6"),
            ("10.0.0.0/24", "::ffff:10.0.0.255", "10.0.1.0"),
            ("0.0.0.0/0", "192.0.2.1", "::1"),
            ("fd00::/8", "fdff::1", "fe00::1"),
            ("::/0", "2001:db8::1", "10.0.0.1"),
        ] {
            let parsed = Network::parse(network).unwrap();
            assert!(parsed.contains(inside.parse().unwrap()), "{inside} in {network}");
            assert!(!parsed.contains(outside.parse().unwrap()), "{outside} in {network}");
        }
    }
}

//! QUIC packets of the isolation probe (RFC 8999): a packet of a version that nobody speaks, which a server answers with
//! the list of versions that it does. No handshake follows, and no cipher is needed.

/// A version kept for provoking negotiation (RFC 9000, 15): nobody may ever speak it.
const NOBODYS: [u8; 4] = [0x1a, 0x2a, 0x3a, 0x4a];
/// Servers ignore what is shorter than this (RFC 9000, 14.1).
const LENGTH: usize = 1200;
/// Length of each of both connection ids, as a number and as the packet has it.
const ID: usize = 8;
const ID_BYTE: u8 = 8;
/// Where the ids are in our own packet.
const DESTINATION: usize = 6;
const SOURCE: usize = DESTINATION + ID + 1;

/// A packet with these two connection ids.
pub(crate) fn query(destination: [u8; ID], source: [u8; ID]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(LENGTH);
    packet.push(0xc0);
    packet.extend_from_slice(&NOBODYS);
    packet.push(ID_BYTE);
    packet.extend_from_slice(&destination);
    packet.push(ID_BYTE);
    packet.extend_from_slice(&source);
    packet.resize(LENGTH, 0);
    packet
}

/// Reads version negotiation for this very packet: how many versions the server speaks. `None` for any other bytes.
pub(crate) fn read(query: &[u8], packet: &[u8]) -> Option<usize> {
    let is_negotiation = packet.first()? & 0x80 != 0 && packet.get(1..5)? == [0; 4];
    // The ids come back swapped.
    let (own, other) = (query.get(SOURCE..SOURCE + ID)?, query.get(DESTINATION..DESTINATION + ID)?);
    let is_ours = *packet.get(5)? == ID_BYTE
        && packet.get(DESTINATION..DESTINATION + ID)? == own
        && *packet.get(SOURCE - 1)? == ID_BYTE
        && packet.get(SOURCE..SOURCE + ID)? == other;
    let list = packet.get(SOURCE + ID..)?;
    (is_negotiation && is_ours && !list.is_empty() && list.len().is_multiple_of(4)).then_some(list.len() / 4)
}

/// The answer of the probe's own control: version 1 alone.
pub(crate) fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let (own, other) = (query.get(SOURCE..SOURCE + ID)?, query.get(DESTINATION..DESTINATION + ID)?);
    let length = [ID_BYTE];
    Some([&[0x80, 0, 0, 0, 0], &length[..], own, &length, other, &[0, 0, 0, 1]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_long_enough_and_of_no_real_version() {
        let packet = query([1; 8], [2; 8]);
        assert_eq!((packet.len(), packet[0]), (1200, 0xc0));
        assert!(packet[1..5].iter().all(|byte| byte & 0x0f == 0x0a), "RFC 9000, 15: 0x?a?a?a?a");
    }

    #[test]
    fn negotiation_counts_only_for_this_packet() {
        let asked = query([1; 8], [2; 8]);
        let sound = answer(&asked).unwrap();
        assert_eq!(read(&asked, &sound), Some(1));
        assert_eq!(read(&asked, &[&sound[..], &[0, 0, 0, 2]].concat()), Some(2));
        for (at, byte, what) in [
            (0, 0x40, "a short header"),
            (4, 1, "a version"),
            (5, 20, "a long id"),
            (6, 9, "another's"),
            (15, 9, "another's"),
        ] {
            let mut packet = sound.clone();
            packet[at] = byte;
            assert_eq!(read(&asked, &packet), None, "{what}");
        }
        for cut in 0..sound.len() {
            assert_eq!(read(&asked, &sound[..cut]), None, "cut at {cut}");
            assert_eq!(answer(&sound[..cut]).is_some(), cut >= SOURCE + ID);
        }
        assert_eq!(read(&asked, &asked), None, "an echo");
    }
}

//! NTP packets of the isolation probe (RFC 5905): a client's question and a server's answer to just that question. Sets
//! no clock, and reads nothing but what tells an answer from other bytes.

/// Length of a packet without extensions.
const LENGTH: usize = 48;
/// Where the client's own moment is in its question, and where the server repeats it.
const TRANSMITTED: usize = 40;
const ORIGINATED: usize = 24;

/// A question of mode 3, version 4. The moment is random: it only has to come back.
pub(crate) fn query(moment: [u8; 8]) -> Vec<u8> {
    let mut packet = vec![0; LENGTH];
    packet[0] = 4 << 3 | 3;
    packet[TRANSMITTED..].copy_from_slice(&moment);
    packet
}

/// Reads the answer to `query`: its stratum. `None` when it is none.
pub(crate) fn read(query: &[u8], packet: &[u8]) -> Option<u8> {
    let first = packet.first().filter(|_| packet.len() >= LENGTH)?;
    let is_server = first & 7 == 4 && (1..=4).contains(&(first >> 3 & 7));
    let repeats = packet.get(ORIGINATED..ORIGINATED + 8) == query.get(TRANSMITTED..LENGTH);
    if is_server && repeats { packet.get(1).copied() } else { None }
}

/// The answer of the probe's own control.
pub(crate) fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let moment = query.get(TRANSMITTED..LENGTH)?;
    let mut packet = vec![0; LENGTH];
    packet[0] = 4 << 3 | 4;
    packet[1] = 1;
    packet.get_mut(ORIGINATED..ORIGINATED + 8)?.copy_from_slice(moment);
    Some(packet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_servers_answer_to_this_question_counts() {
        let asked = query(*b"a moment");
        let sound = answer(&asked).unwrap();
        assert_eq!((asked.len(), read(&asked, &sound)), (48, Some(1)));
        let with = |at: usize, byte: u8| {
            let mut packet = sound.clone();
            packet[at] = byte;
            read(&asked, &packet)
        };
        for (at, byte, what) in
            [(0, 4 << 3 | 3, "mode 3"), (0, 4 << 3 | 5, "a broadcast"), (0, 4, "version 0"), (24, b'x', "another's")]
        {
            assert_eq!(with(at, byte), None, "{what}");
        }
        assert_eq!(with(0, 3 << 3 | 4), Some(1), "an older version");
        assert_eq!(with(1, 16), Some(16), "a server without a clock");
        for cut in 0..sound.len() {
            assert_eq!(read(&asked, &sound[..cut]), None, "cut at {cut}");
            assert!(answer(&sound[..cut]).is_none());
        }
        assert_eq!(read(&asked, &[sound.clone(), vec![0; 400]].concat()), Some(1), "extensions");
        assert_eq!(read(&asked, &asked), None, "an echo");
    }
}

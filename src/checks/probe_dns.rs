//! DNS packets of the isolation probe (RFC 1035): one question out, one answer in. Answers are hostile bytes: nothing
//! here follows a pointer, loops over more records than a packet can hold, or trusts a length.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Record types.
pub(crate) const A: u16 = 1;
pub(crate) const NS: u16 = 2;
pub(crate) const AAAA: u16 = 28;

/// The class Internet.
const INTERNET: u16 = 1;

/// The most records that are looked at.
const RECORDS: usize = 64;

/// What a resolver said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The answer's code: 0 is "here it is", 3 "no such name".
    pub(crate) code: u8,
    /// How many records it claims to have.
    pub(crate) records: u16,
    /// The first address among them.
    pub(crate) address: Option<IpAddr>,
    /// Says whether the answer did not fit, so that what is missing may be there.
    pub(crate) is_cut: bool,
    /// Says whether somebody else than who answered has charge of the name: a referral, or who has charge of its absence.
    pub(crate) is_from_elsewhere: bool,
}

impl Answer {
    /// Says whether the name is known to who answered.
    pub(crate) fn is_found(&self) -> bool {
        self.code == 0 && (self.records > 0 || self.is_cut || self.is_from_elsewhere)
    }

    /// Says whether who answered a name that nobody has can only have asked others: it found it, or was told by who has
    /// charge of the domain above that there is none.
    pub(crate) fn is_asked_on(&self) -> bool {
        self.is_found() || (self.code == 3 && self.is_from_elsewhere)
    }

    /// The code in words.
    pub(crate) fn word(&self) -> String {
        match self.code {
            0 if !self.is_found() => "it knows the name, but no address".into(),
            0 => "it answers".into(),
            2 => "it answers SERVFAIL".into(),
            3 => "it answers that there is no such name".into(),
            5 => "it refuses to answer".into(),
            code => format!("it answers with code {code}"),
        }
    }
}

/// A question for `name` (empty for the root). `None` when it is no name that DNS can carry.
pub(crate) fn query(id: u16, name: &str, kind: u16) -> Option<Vec<u8>> {
    let mut packet = Vec::with_capacity(64);
    packet.extend_from_slice(&id.to_be_bytes());
    // Recursion desired; one question, nothing else.
    packet.extend_from_slice(&[0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0]);
    let name = name.strip_suffix('.').unwrap_or(name);
    for label in name.split('.').filter(|_| !name.is_empty()) {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        packet.push(length);
        packet.extend_from_slice(label.as_bytes());
    }
    packet.push(0);
    if packet.len() > 12 + 255 {
        return None;
    }
    packet.extend_from_slice(&kind.to_be_bytes());
    packet.extend_from_slice(&INTERNET.to_be_bytes());
    Some(packet)
}

/// Reads the answer to `query`. `None` when it is none: another id, another question, no answer at all.
pub(crate) fn read(query: &[u8], packet: &[u8]) -> Option<Answer> {
    let head = packet.first_chunk::<12>()?;
    let asked = query.get(12..)?;
    let is_answer = head.get(..2) == query.get(..2) && head[2] & 0xf8 == 0x80;
    let questions = u16::from_be_bytes([head[4], head[5]]);
    // Letter case may come back changed; some that refuse leave the question out.
    let repeats = packet.get(12..12 + asked.len()).is_some_and(|own| own.eq_ignore_ascii_case(asked));
    if !is_answer || questions > 1 || (questions == 1 && !repeats) {
        return None;
    }
    let records = u16::from_be_bytes([head[6], head[7]]);
    let rest = packet.get(12 + if questions == 1 { asked.len() } else { 0 }..).unwrap_or_default();
    // Who has no records names who has charge. The root's own are in every resolver's hints, and who answers with
    // authority has charge himself: neither says that anybody was asked.
    let is_own = head[2] & 0x04 != 0;
    let is_referred = u16::from_be_bytes([head[8], head[9]]) > 0 && rest.first().is_some_and(|length| *length != 0);
    Some(Answer {
        code: head[3] & 0x0f,
        records,
        address: first_address(rest, usize::from(records)),
        is_cut: head[2] & 0x02 != 0,
        is_from_elsewhere: !is_own && records == 0 && is_referred,
    })
}

/// The answer of the probe's own control: to whatever is asked, one address.
pub(crate) fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let mut packet = query.get(..512.min(query.len())).filter(|query| query.len() >= 17)?.to_vec();
    for (at, byte) in [(2, 0x81), (3, 0x80), (7, 1)] {
        *packet.get_mut(at)? = byte;
    }
    packet.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
    Some(packet)
}

fn first_address(mut rest: &[u8], records: usize) -> Option<IpAddr> {
    for _ in 0..records.min(RECORDS) {
        rest = after_name(rest)?;
        let fixed = rest.first_chunk::<10>()?;
        let kind = u16::from_be_bytes([fixed[0], fixed[1]]);
        let length = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        let (data, after) = rest.get(10..)?.split_at_checked(length)?;
        match kind {
            A => return data.first_chunk::<4>().map(|octets| Ipv4Addr::from(*octets).into()),
            AAAA => return data.first_chunk::<16>().map(|octets| Ipv6Addr::from(*octets).into()),
            _ => rest = after,
        }
    }
    None
}

/// What follows a name: labels up to the empty one, or up to a pointer, which ends a name and is not followed.
fn after_name(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        let (&length, after) = rest.split_first()?;
        match length {
            0 => return Some(after),
            0xc0.. => return after.get(1..),
            1..=63 => rest = after.get(usize::from(length)..)?,
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_what_resolvers_read() {
        let expected = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x02bc\x00\x00\x01\x00\x01";
        assert_eq!(query(0x1234, "a.bc", A).unwrap(), expected);
        assert_eq!(query(0x1234, "a.bc.", A).unwrap(), expected);
        assert_eq!(query(1, "", NS).unwrap().len(), 17);
        for wrong in ["a..b".to_owned(), "x".repeat(64), format!("{}x", "abcdefgh.".repeat(40))] {
            assert_eq!(query(1, &wrong, A), None, "{wrong}");
        }
    }

    #[test]
    fn the_controls_own_answer_is_read_as_found() {
        let asked = query(7, "control.test", A).unwrap();
        let answer = read(&asked, &answer(&asked).unwrap()).unwrap();
        assert!(answer.is_found());
        assert_eq!(answer.address, Some("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn answers_are_told_by_code_id_and_question() {
        let asked = query(7, "a.b", A).unwrap();
        let with = |changes: &[(usize, u8)]| {
            let mut packet = asked.clone();
            packet[2] = 0x81;
            for (at, byte) in changes {
                packet[*at] = *byte;
            }
            read(&asked, &packet)
        };
        let said = |code, records| Answer { code, records, address: None, is_cut: false, is_from_elsewhere: false };
        assert_eq!(with(&[(3, 3)]), Some(said(3, 0)));
        assert_eq!(with(&[(3, 5)]).map(|answer| answer.is_found()), Some(false));
        // Records are claimed but cut off: the name is known, its address is not.
        assert_eq!(with(&[(7, 9)]), Some(said(0, 9)));
        assert_eq!(with(&[(1, 8)]), None, "another id");
        assert_eq!(with(&[(2, 0x01)]), None, "a question");
        assert_eq!(with(&[(13, b'x')]), None, "another question");
        assert!(with(&[(13, b'A')]).is_some(), "another letter case");
        assert_eq!(with(&[(4, 200)]), None, "many questions");
    }

    #[test]
    fn what_did_not_fit_and_what_others_have_charge_of_is_known() {
        let asked = query(7, "a.b", A).unwrap();
        let with = |flags: u8, code: u8, authority: &[u8]| {
            let mut packet = asked.clone();
            (packet[2], packet[3], packet[9]) = (0x80 | flags, code, u8::from(!authority.is_empty()));
            let answer = read(&asked, &[&packet[..], authority].concat()).unwrap();
            (answer.is_found(), answer.is_asked_on())
        };
        let (above, root) = (b"\x01b\0\0\x06\0\x01", b"\0\0\x02\0\x01");
        for (flags, code, authority, expected, what) in [
            (0, 0, &b""[..], (false, false), "nothing"),
            (2, 0, b"", (true, true), "cut"),
            (2, 5, b"", (false, false), "cut, but refused"),
            (0, 0, above, (true, true), "no address, says another"),
            (4, 0, above, (false, false), "no address, says who has charge"),
            (0, 0, root, (false, false), "the root's hints"),
            (0, 3, above, (false, true), "no such name, says another"),
            (4, 3, above, (false, false), "no such name, says who has charge"),
            (0, 3, root, (false, false), "no such name, says the root"),
        ] {
            assert_eq!(with(flags, code, authority), expected, "{what}");
        }
    }

    #[test]
    fn no_cut_and_no_flipped_byte_brings_the_reader_down() {
        let asked = query(7, "control.test", A).unwrap();
        let whole = answer(&asked).unwrap();
        for cut in 0..whole.len() {
            read(&asked, &whole[..cut]);
            answer(&whole[..cut]);
        }
        for at in 0..whole.len() {
            for byte in 0..=255 {
                let mut packet = whole.clone();
                packet[at] = byte;
                read(&asked, &packet);
            }
        }
        // A label that runs to the end again and again, and pointers to themselves.
        read(&asked, &[&whole[..whole.len() - 16], &[0xc0, 0xc0].repeat(400)[..]].concat());
    }
}

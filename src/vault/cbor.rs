//! A reader of the little CBOR that authenticators send (RFC 8949): definite lengths, no tags, no floats, few levels.
//! Whatever else there is, is refused; nothing is read beyond the bytes that are there.

/// Levels of arrays and maps within each other.
const DEPTH: usize = 4;

/// One item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item<'b> {
    /// A whole number.
    Int(i64),
    /// Bytes.
    Bytes(&'b [u8]),
    /// Text.
    Text(&'b str),
    /// A list.
    List(Vec<Item<'b>>),
    /// Keys and values, in the order that they came in, no key twice.
    Map(Vec<(Item<'b>, Item<'b>)>),
    /// False, true, null or undefined, as their numbers.
    Simple(u8),
}

impl<'b> Item<'b> {
    /// The value behind a number in a map.
    pub(crate) fn at(&self, key: i64) -> Option<&Self> {
        self.find(&Item::Int(key))
    }

    /// The value behind a text in a map.
    pub(crate) fn named(&self, key: &str) -> Option<&Self> {
        self.find(&Item::Text(key))
    }

    pub(crate) const fn as_int(&self) -> Option<i64> {
        if let Self::Int(number) = self { Some(*number) } else { None }
    }

    pub(crate) const fn as_bytes(&self) -> Option<&'b [u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    fn find(&self, key: &Item<'_>) -> Option<&Self> {
        let Self::Map(pairs) = self else { return None };
        pairs.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }
}

/// The first item of `bytes`, and what stands behind it. `None` when it is not whole or not one that is read here.
pub(crate) fn first(bytes: &[u8]) -> Option<(Item<'_>, &[u8])> {
    item(bytes, DEPTH)
}

/// The one item that `bytes` are.
pub(crate) fn whole(bytes: &[u8]) -> Option<Item<'_>> {
    first(bytes).filter(|(_, rest)| rest.is_empty()).map(|(item, _)| item)
}

fn item(bytes: &[u8], depth: usize) -> Option<(Item<'_>, &[u8])> {
    let (head, rest) = bytes.split_first()?;
    let (number, rest) = number(head & 0x1f, rest)?;
    match head >> 5 {
        0 => Some((Item::Int(i64::try_from(number).ok()?), rest)),
        1 => Some((Item::Int((-1_i64).checked_sub(i64::try_from(number).ok()?)?), rest)),
        2 => split(rest, number).map(|(bytes, rest)| (Item::Bytes(bytes), rest)),
        3 => {
            let (bytes, rest) = split(rest, number)?;
            Some((Item::Text(std::str::from_utf8(bytes).ok()?), rest))
        }
        4 => list(rest, number, depth.checked_sub(1)?),
        5 => map(rest, number, depth.checked_sub(1)?),
        7 if (20..=23).contains(&number) && head & 0x1f < 24 => Some((Item::Simple(u8::try_from(number).ok()?), rest)),
        _ => None,
    }
}

fn number(short: u8, rest: &[u8]) -> Option<(u64, &[u8])> {
    let length = match short {
        0..=23 => return Some((short.into(), rest)),
        24..=27 => 1_usize << (short - 24),
        _ => return None,
    };
    let (bytes, rest) = rest.split_at_checked(length)?;
    Some((bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)), rest))
}

fn split(bytes: &[u8], length: u64) -> Option<(&[u8], &[u8])> {
    bytes.split_at_checked(usize::try_from(length).ok()?)
}

/// Room is made for items as they come, never for as many as are promised.
fn list(mut rest: &[u8], count: u64, depth: usize) -> Option<(Item<'_>, &[u8])> {
    let mut items = Vec::new();
    for _ in 0..count {
        let (next, behind) = item(rest, depth)?;
        items.push(next);
        rest = behind;
    }
    Some((Item::List(items), rest))
}

fn map(mut rest: &[u8], count: u64, depth: usize) -> Option<(Item<'_>, &[u8])> {
    let mut pairs: Vec<(Item<'_>, Item<'_>)> = Vec::new();
    for _ in 0..count {
        let (key, behind) = item(rest, depth)?;
        let (value, behind) = item(behind, depth)?;
        if pairs.iter().any(|(known, _)| *known == key) {
            return None;
        }
        pairs.push((key, value));
        rest = behind;
    }
    Some((Item::Map(pairs), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_nested_too_deep_or_unknown_is_refused() {
        for bytes in [
            &b""[..],
            b"\x18",
            b"\x42a",
            b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x81\x81\x81\x81\x81\x01",
            b"\x5f\x41a\xff",
            b"\x62\xff\xfe",
            b"\xa2\x01\x02\x01\x03",
            b"\xc0\x01",
            b"\xf9\x00\x00",
            b"\xf8\x14",
            b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x01\x02",
        ] {
            assert_eq!(whole(bytes), None, "{bytes:02x?}");
        }
    }

    #[test]
    fn items_of_each_kind_are_read() {
        for (bytes, expected) in [
            (&b"\x17"[..], Item::Int(23)),
            (b"\x18\xff", Item::Int(255)),
            (b"\x39\x01\x00", Item::Int(-257)),
            (b"\x43abc", Item::Bytes(b"abc")),
            (b"\x63abc", Item::Text("abc")),
            (b"\x82\x01\x20", Item::List(vec![Item::Int(1), Item::Int(-1)])),
            (b"\xf5", Item::Simple(21)),
        ] {
            assert_eq!(whole(bytes), Some(expected));
        }
        let map = whole(b"\xa2\x01\x02\x61a\x41b").unwrap();
        assert_eq!((map.at(1), map.named("a"), map.at(2)), (Some(&Item::Int(2)), Some(&Item::Bytes(b"b")), None));
        assert_eq!(first(b"\x01rest").unwrap().1, b"rest");
    }
}

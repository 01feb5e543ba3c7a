//! What Git LFS clients send, parsed: the bodies of batches and locks, and the part of an object that is wanted.
//! Takes bytes and gives values; every size is bounded before anything is made of it.

use forge::{LfsOid, LfsOperation, LfsPointer};
use serde::Deserialize;

/// The largest body, in bytes.
pub const BODY_LIMIT: usize = 1 << 20;
/// Objects in one batch.
pub const BATCH_LIMIT: usize = 1_000;

/// Why a body is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Not JSON of the right shape.
    #[error("the body is not one that Git LFS sends")]
    Shape,
    /// Neither up nor down.
    #[error("the operation is neither `download` nor `upload`")]
    Operation,
    /// No way of transfer that is spoken here.
    #[error("only the `basic` transfer is spoken here")]
    Transfer,
    /// Another digest than SHA-256.
    #[error("only `sha256` is understood as a hash algorithm")]
    Hash,
    /// A part that lies outside its object.
    #[error("the object is not that long")]
    Range,
    /// Too many objects.
    #[error("a batch may name {BATCH_LIMIT} objects")]
    TooMany,
}

/// One object of a batch, as it was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The object id as it came, for the answer.
    pub oid: String,
    /// The size as it came.
    pub size: i64,
    /// What both name; `None` when they name no object.
    pub object: Option<LfsPointer>,
}

/// A batch: what is to be transferred.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Which way.
    pub operation: LfsOperation,
    /// The objects, as many as came.
    pub objects: Vec<Named>,
}

/// A wish to give a lock back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Unlock {
    /// Says whether it may be somebody else's.
    #[serde(default)]
    pub force: bool,
}

/// Which locks are to be listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct LockPage {
    /// What the page before said.
    #[serde(default)]
    pub cursor: Option<String>,
    /// How many at most.
    #[serde(default)]
    pub limit: Option<u32>,
}

/// Bytes of an object, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The first byte.
    pub first: u64,
    /// The last byte.
    pub last: u64,
}

#[derive(Deserialize)]
struct RawBatch {
    operation: String,
    #[serde(default)]
    transfers: Vec<String>,
    #[serde(default)]
    hash_algo: Option<String>,
    objects: Vec<RawObject>,
}

#[derive(Deserialize)]
struct RawObject {
    oid: String,
    size: i64,
}

#[derive(Deserialize)]
struct RawLock {
    path: String,
}

fn json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, RequestError> {
    if body.len() > BODY_LIMIT {
        return Err(RequestError::Shape);
    }
    serde_json::from_slice(body).map_err(|_| RequestError::Shape)
}

/// Reads the body of `objects/batch`. What one object is named wrong is told of that object alone.
pub fn batch(body: &[u8]) -> Result<Batch, RequestError> {
    let raw: RawBatch = json(body)?;
    let operation = LfsOperation::parse(&raw.operation).ok_or(RequestError::Operation)?;
    if !raw.transfers.is_empty() && !raw.transfers.iter().any(|transfer| transfer == "basic") {
        return Err(RequestError::Transfer);
    }
    if raw.hash_algo.is_some_and(|algorithm| algorithm != "sha256") {
        return Err(RequestError::Hash);
    }
    if raw.objects.len() > BATCH_LIMIT {
        return Err(RequestError::TooMany);
    }
    Ok(Batch { operation, objects: raw.objects.into_iter().map(named).collect() })
}

/// Reads the body of `verify`: one object.
pub fn object(body: &[u8]) -> Result<LfsPointer, RequestError> {
    named(json(body)?).object.ok_or(RequestError::Shape)
}

/// Reads the body of a new lock: its path, which is the forge's to judge.
pub fn lock(body: &[u8]) -> Result<String, RequestError> {
    Ok(json::<RawLock>(body)?.path)
}

/// Reads the body of `unlock`; an empty one asks for nothing special.
pub fn unlock(body: &[u8]) -> Result<Unlock, RequestError> {
    if body.is_empty() { Ok(Unlock::default()) } else { json(body) }
}

/// Reads the body of `locks/verify`; an empty one asks for the first page.
pub fn lock_page(body: &[u8]) -> Result<LockPage, RequestError> {
    let page: LockPage = if body.is_empty() { LockPage::default() } else { json(body)? };
    // No path has a NUL in it, and a database takes none.
    if page.cursor.as_ref().is_some_and(|cursor| cursor.contains('\0')) { Err(RequestError::Shape) } else { Ok(page) }
}

/// Reads a `Range` header for an object of `size` bytes, RFC 9110, section 14. `Ok(None)` is the whole of it: no header,
/// another unit, or several ranges, which may be left unheard. `Err` is a range that lies outside.
pub fn part(header: Option<&str>, size: u64) -> Result<Option<Part>, RequestError> {
    let Some(range) = header.and_then(|header| header.strip_prefix("bytes=")) else { return Ok(None) };
    let Some((first, last)) = range.split_once('-') else { return Ok(None) };
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    let end = size.saturating_sub(1);
    let part = match (number(first.trim()), number(last.trim())) {
        (Some(first), Some(last)) if first > last => return Ok(None),
        (Some(first), Some(last)) => Part { first, last: last.min(end) },
        (Some(first), None) if last.trim().is_empty() => Part { first, last: end },
        (None, Some(0)) if first.trim().is_empty() => return Err(RequestError::Range),
        (None, Some(count)) if first.trim().is_empty() => Part { first: size.saturating_sub(count), last: end },
        _ => return Ok(None),
    };
    if part.first < size { Ok(Some(part)) } else { Err(RequestError::Range) }
}

fn named(RawObject { oid, size }: RawObject) -> Named {
    let object = LfsOid::parse(&oid).zip(u64::try_from(size).ok()).map(|(oid, size)| LfsPointer { oid, size });
    // What is echoed is no longer than what could be an id.
    let oid = if object.is_some() { oid } else { base::name::shown(&oid) };
    Named { oid, size, object }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OID: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn body(operation: &str, more: &str, oid: &str, size: &str) -> Vec<u8> {
        format!(r#"{{"operation":"{operation}"{more},"objects":[{{"oid":"{oid}","size":{size}}}]}}"#).into_bytes()
    }

    #[test]
    fn a_batch_is_read_as_clients_write_it() {
        let more = r#","transfers":["lfs-standalone-file","basic","ssh"],"ref":{"name":"refs/heads/main"},"hash_algo":"sha256""#;
        let read = batch(&body("upload", more, OID, "3")).unwrap();
        assert_eq!(read.operation, LfsOperation::Upload);
        assert_eq!(read.objects[0].object, Some(LfsPointer { oid: LfsOid::parse(OID).unwrap(), size: 3 }));
        assert_eq!(batch(br#"{"operation":"download","objects":[]}"#).unwrap().objects, []);
    }

    /// The class of CVE-2024-41956: an id that is none never becomes anything but the text of an error.
    #[test]
    fn what_is_wrong_with_one_object_is_told_of_it_alone() {
        for (oid, size) in [("../../etc/passwd", "3"), (OID, "-1"), ("", "0"), (&OID.to_uppercase(), "3")] {
            let read = batch(&body("download", "", oid, size)).unwrap();
            assert_eq!(read.objects[0].object, None, "{oid} {size}");
        }
        assert!(batch(&body("download", "", &"x".repeat(5000), "3")).unwrap().objects[0].oid.len() < 100);
    }

    #[test]
    fn what_is_no_batch_is_refused_with_its_reason() {
        for (text, reason) in [
            (body("steal", "", OID, "3"), RequestError::Operation),
            (body("upload", r#","transfers":["tus"]"#, OID, "3"), RequestError::Transfer),
            (body("upload", r#","hash_algo":"md5""#, OID, "3"), RequestError::Hash),
            (body("upload", "", OID, "1e3"), RequestError::Shape),
            (body("upload", "", OID, "99999999999999999999"), RequestError::Shape),
            (b"[]".to_vec(), RequestError::Shape),
            (b"".to_vec(), RequestError::Shape),
            (vec![b'['; 100_000], RequestError::Shape),
            (vec![b' '; BODY_LIMIT + 1], RequestError::Shape),
        ] {
            assert_eq!(batch(&text).unwrap_err(), reason, "{}", String::from_utf8_lossy(&text[..text.len().min(80)]));
        }
        let object = format!(r#"{{"oid":"{OID}","size":1}}"#);
        let many = format!(r#"{{"operation":"upload","objects":[{}]}}"#, vec![object; BATCH_LIMIT + 1].join(","));
        assert_eq!(batch(many.as_bytes()).unwrap_err(), RequestError::TooMany);
    }

    #[test]
    fn a_range_is_one_that_lies_inside_or_the_whole_or_refused() {
        let some = |first, last| Ok(Some(Part { first, last }));
        for (header, expected) in [
            ("bytes=0-4", some(0, 4)),
            ("bytes=5-", some(5, 9)),
            ("bytes=-3", some(7, 9)),
            ("bytes=-30", some(0, 9)),
            ("bytes=9-100", some(9, 9)),
            ("bytes=10-", Err(RequestError::Range)),
            ("bytes=-0", Err(RequestError::Range)),
            ("bytes=99999999999999999999999-", Err(RequestError::Range)),
            ("bytes=4-2", Ok(None)),
            ("bytes=0-1,3-4", Ok(None)),
            ("bytes=a-b", Ok(None)),
            ("bytes=-", Ok(None)),
            ("bytes=+1-2", Ok(None)),
            ("lines=1-2", Ok(None)),
        ] {
            assert_eq!(part(Some(header), 10), expected, "{header}");
        }
        assert_eq!(part(None, 10), Ok(None));
        assert_eq!(part(Some("bytes=0-"), 0), Err(RequestError::Range));
    }
}

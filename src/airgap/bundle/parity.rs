//! The parity of parts of one size: all of them laid over each other with XOR, a shorter last one filled up with zeros. Any one
//! of them follows from the others. Knows bytes alone.

/// Lays `with` over the beginning of `onto`.
pub(crate) fn lay(onto: &mut [u8], with: &[u8]) {
    for (onto, with) in onto.iter_mut().zip(with) {
        *onto ^= with;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_one_part_follows_from_the_others() {
        let parts: [&[u8]; 3] = [b"abcd", b"\x00\xff12", b"x"];
        let mut parity = vec![0; 4];
        for part in parts {
            lay(&mut parity, part);
        }
        for (lost, part) in parts.iter().enumerate() {
            let mut made = parity.clone();
            for (_, other) in parts.iter().enumerate().filter(|(index, _)| *index != lost) {
                lay(&mut made, other);
            }
            assert_eq!(&made[..part.len()], *part);
            assert!(made[part.len()..].iter().all(|byte| *byte == 0));
        }
    }
}

//! Digests: short stable keys made of values that are too long, too secret or too many to be keys themselves.
//!
//! A digest is SHA-256 over length-prefixed parts, so that ("ab", "c") and ("a", "bc") differ. It must be the same in
//! all versions, on all nodes and after every restart, because the store holds digests.

use sha2::{Digest as _, Sha256};

/// The digest of a list of parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// The first eight bytes as a number, for database keys.
    pub fn number(self) -> i64 {
        let mut first = [0; 8];
        first.copy_from_slice(&self.0[..8]);
        i64::from_be_bytes(first)
    }

    /// The first bytes in hexadecimal, two digits each.
    pub fn hex(self, bytes: usize) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |of: u8| char::from(DIGITS[usize::from(of)]);
        let mut hex = String::with_capacity(2 * bytes);
        for byte in self.0.iter().take(bytes) {
            hex.extend([digit(byte >> 4), digit(byte & 15)]);
        }
        hex
    }
}

#[cfg(test)]
mod tests {
    use super::Digest;

    #[test]
    fn moving_bytes_between_parts_changes_the_digest() {
        let digest = |parts: &[&str]| Digest::of(parts.iter().map(|part| part.as_bytes()));
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_ne!(digest(&["a", ""]), digest(&["a"]));
        assert_eq!(digest(&["a", "b"]).hex(4).len(), 8);
    }

    /// The expected value is the output of `printf '\0\0\0\0\0\0\0\003abc' | sha256sum`.
    #[test]
    fn hexadecimal_digits_are_those_of_sha256sum() {
        let digest = Digest::of([b"abc".as_slice()]);
        assert_eq!(digest.hex(32), "c3494ca1a2cf8eeb8a11ded316fb55b83c3bbbedb6313cd50415251e5d09e12f");
    }
}

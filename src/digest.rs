//! Digests: short stable names for things that are too long, too secret or too many-parted to be names themselves.
//!
//! SHA-256 over length-prefixed parts, so that ("ab", "c") and ("a", "bc") differ. Stable across versions, nodes and
//! restarts: digests lie in the store.

use sha2::{Digest as _, Sha256};

/// A digest of parts.
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

    /// Its first eight bytes as a number, for database keys.
    pub fn number(self) -> i64 {
        let mut first = [0; 8];
        first.copy_from_slice(&self.0[..8]);
        i64::from_be_bytes(first)
    }

    /// Its first bytes in hexadecimal, two digits each.
    pub fn hex(self, bytes: usize) -> String {
        use std::fmt::Write as _;
        let mut hex = String::with_capacity(2 * bytes);
        for byte in self.0.iter().take(bytes) {
            let _ = write!(hex, "{byte:02x}"); // writing to a string cannot fail
        }
        hex
    }
}

#[cfg(test)]
mod tests {
    use super::Digest;

    #[test]
    fn parts_are_kept_apart() {
        let digest = |parts: &[&str]| Digest::of(parts.iter().map(|part| part.as_bytes()));
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_ne!(digest(&["a", ""]), digest(&["a"]));
        assert_eq!(digest(&["a", "b"]).hex(4).len(), 8);
    }
}

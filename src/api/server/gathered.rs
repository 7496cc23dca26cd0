//! The memory of one large body, in a separate mapping.
//!
//! hyper gives a body out in small pieces. If the pieces were kept as they come, the bodies of many connections would
//! be mixed with other allocations, and the allocator can't return a page while anything on it is in use. Allocations
//! above the allocator's threshold for mappings do not help either, because glibc raises the threshold to the size of
//! every freed mapping. A [`Gathered`] has its own mapping, and the system gets the memory back when the last reader
//! drops the bytes.

use std::io;

use bytes::Bytes;
use memmap2::MmapMut;

/// Bytes of a body, as they come.
pub(super) struct Gathered {
    /// Pages take memory once something is written on them.
    map: MmapMut,
    len: usize,
}

impl Gathered {
    /// Room for this many bytes.
    ///
    /// # Errors
    /// The system has no memory.
    pub(super) fn new(capacity: usize) -> io::Result<Self> {
        Ok(Self { map: MmapMut::map_anon(capacity.max(1))?, len: 0 })
    }

    /// Appends bytes. Returns `false`, and does nothing, where they do not fit.
    pub(super) fn push(&mut self, bytes: &[u8]) -> bool {
        let end = self.len + bytes.len();
        let Some(room) = self.map.get_mut(self.len..end) else { return false };
        room.copy_from_slice(bytes);
        self.len = end;
        true
    }

    /// All of it, without a copy.
    pub(super) fn into_bytes(self) -> Bytes {
        if self.len == 0 { Bytes::new() } else { Bytes::from_owner(self) }
    }
}

impl AsRef<[u8]> for Gathered {
    fn as_ref(&self) -> &[u8] {
        &self.map[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_kept_in_order_and_the_rest_is_refused_whole() {
        let mut gathered = Gathered::new(10).unwrap();
        assert!(gathered.push(b"12345"));
        assert!(!gathered.push(b"678901"));
        assert!(gathered.push(b"67890"));
        assert!(gathered.push(b""));
        assert_eq!(gathered.into_bytes(), "1234567890");
        assert_eq!(Gathered::new(0).unwrap().into_bytes(), "");
    }
}

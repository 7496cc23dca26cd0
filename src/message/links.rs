//! References to issues of a tracker in people's words.

use std::ops::Range;

/// In one message, so many references become links. The others stay as they are written. A chat message of more links is
/// one that services cut or refuse.
pub const MOST_REFERENCES: usize = 100;

/// A reference to an issue in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Its bytes in the text.
    pub range: Range<usize>,
    /// The address.
    pub url: String,
}

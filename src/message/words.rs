//! The text of a span, which needs memory of its own only where it is long and new.

use std::borrow::Cow;
use std::fmt;

use compact_str::CompactString;
use serde::{Serialize, Serializer};

use crate::event::SharedStr;

/// A piece of a message's text. Short texts, such as ` in ` and most names, are stored in place. A longer part of the
/// payload that is [being read](crate::event::reading) shares the payload's bytes. Other texts are copied.
#[derive(Clone)]
pub struct Words(Text);

#[derive(Clone)]
enum Text {
    Own(CompactString),
    Shared(SharedStr),
}

/// The longest text, in bytes, that is stored in place.
const IN_PLACE: usize = size_of::<CompactString>();

impl Words {
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Own(text) => text,
            Text::Shared(text) => text,
        }
    }

    /// Appends text.
    pub fn push_str(&mut self, more: &str) {
        if let Text::Shared(text) = &self.0 {
            let mut own = CompactString::with_capacity(text.len() + more.len());
            own.push_str(text);
            self.0 = Text::Own(own);
        }
        if let Text::Own(text) = &mut self.0 {
            text.push_str(more);
        }
    }
}

impl Default for Words {
    fn default() -> Self {
        Self(Text::Own(CompactString::default()))
    }
}

impl std::ops::Deref for Words {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Words {
    fn as_ref(&self) -> &str {
        self
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl From<&str> for Words {
    fn from(text: &str) -> Self {
        let shared = if text.len() > IN_PLACE { SharedStr::part_of_source(text) } else { None };
        Self(shared.map_or_else(|| Text::Own(text.into()), Text::Shared))
    }
}

impl From<String> for Words {
    fn from(text: String) -> Self {
        Self(Text::Own(text.into()))
    }
}

impl From<&String> for Words {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<Cow<'_, str>> for Words {
    fn from(text: Cow<'_, str>) -> Self {
        match text {
            Cow::Borrowed(text) => text.into(),
            Cow::Owned(text) => text.into(),
        }
    }
}

impl From<&SharedStr> for Words {
    fn from(text: &SharedStr) -> Self {
        if text.len() > IN_PLACE { Self(Text::Shared(text.clone())) } else { text.as_str().into() }
    }
}

impl From<&Self> for Words {
    fn from(text: &Self) -> Self {
        text.clone()
    }
}

impl From<Words> for String {
    fn from(text: Words) -> Self {
        match text.0 {
            Text::Own(text) => text.into(),
            Text::Shared(text) => text.into(),
        }
    }
}

impl PartialEq for Words {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Words {}

impl PartialEq<str> for Words {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Words {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl Serialize for Words {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

#[cfg(test)]
mod tests {
    use bytestring::ByteString;

    use super::*;
    use crate::event::reading;

    const LONG: &str = "a text that is longer than what is stored in place";

    fn is_within(words: &Words, source: &str) -> bool {
        let (all, part) = (source.as_bytes().as_ptr_range(), words.as_bytes().as_ptr_range());
        all.contains(&part.start) && part.end <= all.end
    }

    #[test]
    fn a_long_part_of_the_payload_shares_its_bytes() {
        let payload = ByteString::from(LONG);
        reading(&payload, || {
            assert!(is_within(&Words::from(&payload[2..40]), &payload));
            assert!(!is_within(&Words::from(&payload[..4]), &payload), "it is stored in place");
            assert!(!is_within(&Words::from(payload.to_uppercase()), &payload));
        });
        assert!(!is_within(&Words::from(&payload[2..40]), &payload), "no payload is read");
    }

    #[test]
    fn what_is_appended_changes_no_copy() {
        let payload = ByteString::from(LONG);
        for text in [LONG, "short", ""] {
            let words = reading(&payload, || Words::from(text));
            let mut longer = words.clone();
            longer.push_str(", and more");
            assert_eq!((words, longer), (text.into(), format!("{text}, and more").into()));
        }
    }
}

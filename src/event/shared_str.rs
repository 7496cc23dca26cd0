//! Texts that share the bytes of their payload.

use std::borrow::{Borrow, Cow};
use std::cell::RefCell;
use std::fmt;

use bytestring::ByteString;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text of a payload. If [`reading`] reads it, it shares the payload's bytes and needs no memory of its own, unless
/// it has escapes. Copies share the bytes too, so a value that outlives the event must keep a `String`.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SharedStr(ByteString);

thread_local! {
    /// The text that is being read. Serde hands a text to its reader without the buffer that it is in.
    static SOURCE: RefCell<Option<ByteString>> = const { RefCell::new(None) };
}

/// Reads something from a text: each [`SharedStr`] in it without escapes becomes a part of the text, and so do parts
/// of it that become [`SharedStr::part_of_source`].
pub(crate) fn reading<T>(source: &ByteString, read: impl FnOnce() -> T) -> T {
    /// The text that was read before. It is restored even after a panic.
    struct Before(Option<ByteString>);

    impl Drop for Before {
        fn drop(&mut self) {
            SOURCE.set(self.0.take());
        }
    }

    let _before = Before(SOURCE.replace(Some(source.clone())));
    read()
}

impl SharedStr {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A part of the text that is being read, or a copy if `text` is not a part of it.
    fn of(text: &str) -> Self {
        Self::part_of_source(text).unwrap_or_else(|| text.into())
    }

    /// A part of the text that is being read; `None` where `text` is not a part of it.
    pub(crate) fn part_of_source(text: &str) -> Option<Self> {
        SOURCE.with_borrow(|source| {
            let source = source.as_ref()?;
            let (all, part) = (source.as_bytes().as_ptr_range(), text.as_bytes().as_ptr_range());
            (all.start <= part.start && part.end <= all.end).then(|| Self(source.slice_ref(text)))
        })
    }
}

impl std::ops::Deref for SharedStr {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for SharedStr {
    fn as_ref(&self) -> &str {
        self
    }
}

impl Borrow<str> for SharedStr {
    fn borrow(&self) -> &str {
        self
    }
}

impl fmt::Display for SharedStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl fmt::Debug for SharedStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl From<&str> for SharedStr {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for SharedStr {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<SharedStr> for String {
    fn from(text: SharedStr) -> Self {
        text.as_str().to_owned()
    }
}

impl From<&SharedStr> for String {
    fn from(text: &SharedStr) -> Self {
        text.as_str().to_owned()
    }
}

impl<'a> From<&'a SharedStr> for Cow<'a, str> {
    fn from(text: &'a SharedStr) -> Self {
        Cow::Borrowed(text)
    }
}

impl PartialEq<str> for SharedStr {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for SharedStr {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialEq<String> for SharedStr {
    fn eq(&self, other: &String) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<SharedStr> for String {
    fn eq(&self, other: &SharedStr) -> bool {
        self == other.as_str()
    }
}

impl PartialEq<SharedStr> for &str {
    fn eq(&self, other: &SharedStr) -> bool {
        *self == other.as_str()
    }
}

impl Serialize for SharedStr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for SharedStr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = SharedStr;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<SharedStr, E> {
                Ok(SharedStr::of(text))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<SharedStr, E> {
                Ok(text.into())
            }

            fn visit_string<E: Error>(self, text: String) -> Result<SharedStr, E> {
                Ok(text.into())
            }
        }

        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Two {
        plain: SharedStr,
        escaped: SharedStr,
    }

    const JSON: &str = r#"{"plain":"größer","escaped":"a\nb"}"#;

    fn is_within(text: &str, source: &str) -> bool {
        let (all, part) = (source.as_bytes().as_ptr_range(), text.as_bytes().as_ptr_range());
        all.contains(&part.start) && part.end <= all.end
    }

    #[test]
    fn a_text_without_escapes_is_a_part_of_its_source() {
        let source = ByteString::from(JSON);
        let two: Two = reading(&source, || serde_json::from_str(&source)).expect("it is readable");
        assert_eq!((two.plain.as_str(), two.escaped.as_str()), ("größer", "a\nb"));
        assert!(is_within(&two.plain, &source) && !is_within(&two.escaped, &source));
    }

    #[test]
    fn a_text_from_elsewhere_is_a_copy() {
        let copied = |read: &dyn Fn() -> Two| assert!(!is_within(&read().plain, JSON));
        copied(&|| serde_json::from_str(JSON).expect("it is readable"));
        copied(&|| reading(&"other".into(), || serde_json::from_str(JSON)).expect("it is readable"));
        let value: serde_json::Value = serde_json::from_str(JSON).expect("it is JSON");
        copied(&|| serde_json::from_value(value.clone()).expect("it is readable"));
    }

    #[test]
    fn the_source_is_forgotten_after_reading_also_after_a_panic() {
        let outer = ByteString::from(JSON);
        reading(&outer, || {
            let inner = std::panic::catch_unwind(|| reading(&"inner".into(), || panic!("while reading")));
            assert!(inner.is_err());
            let two: Two = serde_json::from_str(&outer).expect("it is readable");
            assert!(is_within(&two.plain, &outer));
        });
        assert!(SOURCE.with_borrow(Option::is_none));
    }
}

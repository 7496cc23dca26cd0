//! Reads a payload in one pass: its [`Frame`], which most kinds share, and the [`Body`] of its kind.
//!
//! The forge writes a payload's kind first, so the reader of the body is known before anything else is read. A payload
//! in another order is read twice. A payload that can't be read is read once more, so that the error names the field.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::{CowStrDeserializer, MapAccessDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Error, IgnoredAny, IntoDeserializer as _, MapAccess, Visitor,
};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::read::{excerpt, lenient, number_or_none, object_or_null, parse};
use super::{Decoded, KIND_MAX_CHARS, Project, SharedStr, Undecodable};

/// The fields that most kinds share.
#[derive(Default, Deserialize)]
pub(super) struct Frame {
    #[serde(default, deserialize_with = "lenient")]
    pub object_kind: SharedStr,
    #[serde(default, deserialize_with = "lenient")]
    pub event_name: SharedStr,
    #[serde(default, deserialize_with = "lenient")]
    pub event_type: SharedStr,
    #[serde(default, deserialize_with = "object_or_null")]
    pub project: Option<Project>,
    #[serde(default, deserialize_with = "number_or_none")]
    pub project_id: Option<i64>,
}

impl Frame {
    /// The kind as the payload names it.
    pub fn kind(&self) -> Option<&str> {
        [&self.object_kind, &self.event_name].into_iter().map(SharedStr::as_str).find(|kind| !kind.is_empty())
    }
}

/// The content of one kind of payload. Its reader does not see the fields of the [`Frame`].
pub(super) trait Body: DeserializeOwned {
    /// The event.
    ///
    /// # Errors
    /// What is missing, in words for people.
    fn decoded(self, frame: &Frame) -> Result<Decoded, String>;
}

/// The frame of a payload, with its body, or why that can't be read.
type FrameAndBody = (Frame, Result<Decoded, String>);

/// Reads payloads of one kind.
#[derive(Clone, Copy)]
pub(super) struct Reader {
    /// Reads frame and body at once; `None` where something can't be read.
    whole: fn(&str) -> Option<FrameAndBody>,
    /// Reads the body alone.
    body: fn(&str, &Frame) -> Result<Decoded, String>,
}

impl Reader {
    pub fn of<B: Body>() -> Self {
        Self { whole: whole::<B>, body: |json, frame| parse::<B>(json)?.decoded(frame) }
    }
}

/// Reads a payload. `reader_of` knows the reader of each kind.
pub(super) fn read(
    json: &str,
    reader_of: fn(&str) -> Option<Reader>,
) -> Result<(Frame, Decoded), Undecodable> {
    let malformed = |kind: &str, why| Undecodable::Malformed { kind: excerpt(kind, KIND_MAX_CHARS), why };
    if let Some(kind) = kind_at_start(json)
        && let Some(reader) = reader_of(kind)
        && let Some((frame, decoded)) = (reader.whole)(json)
        // `event_name` may stand before `object_kind`.
        && frame.kind() == Some(kind)
    {
        return Ok((frame, decoded.map_err(|why| malformed(kind, why))?));
    }
    let frame = frame_alone(json)?;
    let kind = frame.kind().ok_or(Undecodable::NoKind)?;
    let unknown = || Undecodable::UnknownKind(excerpt(kind, KIND_MAX_CHARS));
    let reader = reader_of(kind).ok_or_else(unknown)?;
    let decoded = (reader.body)(json, &frame).map_err(|why| malformed(kind, why))?;
    Ok((frame, decoded))
}

/// The kind, where the object begins with it.
fn kind_at_start(json: &str) -> Option<&str> {
    let first = json.trim_start().strip_prefix('{')?.trim_start();
    let rest = ["\"object_kind\"", "\"event_name\""].iter().find_map(|name| first.strip_prefix(name))?;
    let text = rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    Some(text.split_once('"')?.0)
}

fn frame_alone(json: &str) -> Result<Frame, Undecodable> {
    if !json.trim_start().starts_with('{') {
        return Err(match serde_json::from_str::<IgnoredAny>(json) {
            Ok(_) => Undecodable::NotAnObject,
            Err(error) => Undecodable::NotJson(error.to_string()),
        });
    }
    parse(json).map_err(|why| match serde_json::from_str::<Value>(json) {
        Ok(body) => {
            let kind = ["object_kind", "event_name"].iter().find_map(|name| body[name].as_str());
            Undecodable::Malformed { kind: excerpt(kind.unwrap_or("?"), KIND_MAX_CHARS), why }
        }
        Err(error) => Undecodable::NotJson(error.to_string()),
    })
}

fn whole<B: Body>(json: &str) -> Option<(Frame, Result<Decoded, String>)> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let (frame, body) = deserializer.deserialize_map(Whole(std::marker::PhantomData::<B>)).ok()?;
    deserializer.end().ok()?;
    let decoded = body.decoded(&frame);
    Some((frame, decoded))
}

struct Whole<B>(std::marker::PhantomData<B>);

impl<'de, B: Body> Visitor<'de> for Whole<B> {
    type Value = (Frame, B);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let mut frame = Frame::default();
        let seen = [false; FRAME_FIELDS.len()];
        let body = B::deserialize(MapAccessDeserializer::new(Shared { map, frame: &mut frame, seen }))?;
        Ok((frame, body))
    }
}

const FRAME_FIELDS: [&str; 5] = ["object_kind", "event_name", "event_type", "project", "project_id"];

/// An object whose fields of the [`Frame`] are read into it, and hidden from the reader of the others.
struct Shared<'f, A> {
    map: A,
    frame: &'f mut Frame,
    /// Which of [`FRAME_FIELDS`] were present.
    seen: [bool; FRAME_FIELDS.len()],
}

impl<'de, A: MapAccess<'de>> Shared<'_, A> {
    fn read_field(&mut self, field: usize) -> Result<(), A::Error> {
        if std::mem::replace(&mut self.seen[field], true) {
            return Err(A::Error::duplicate_field(FRAME_FIELDS[field]));
        }
        match field {
            0 => self.frame.object_kind = self.map.next_value::<Lenient>()?.0,
            1 => self.frame.event_name = self.map.next_value::<Lenient>()?.0,
            2 => self.frame.event_type = self.map.next_value::<Lenient>()?.0,
            3 => self.frame.project = self.map.next_value::<ProjectOrNull>()?.0,
            _ => self.frame.project_id = self.map.next_value::<NumberOrNone>()?.0,
        }
        Ok(())
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Shared<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(Name(name)) = self.map.next_key()? {
            if let Some(field) = FRAME_FIELDS.iter().position(|field| *field == name) {
                self.read_field(field)?;
                continue;
            }
            let name: CowStrDeserializer<'_, A::Error> = name.into_deserializer();
            return seed.deserialize(name).map(Some);
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

#[derive(Deserialize)]
struct Lenient(#[serde(deserialize_with = "lenient")] SharedStr);

#[derive(Deserialize)]
struct ProjectOrNull(#[serde(deserialize_with = "object_or_null")] Option<Project>);

#[derive(Deserialize)]
struct NumberOrNone(#[serde(deserialize_with = "number_or_none")] Option<i64>);

/// A field's name: a part of the JSON, unless it has escapes.
struct Name<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_is_found_where_the_object_begins_with_it() {
        for (json, kind) in [
            (r#"{"object_kind":"push","ref":"x"}"#, Some("push")),
            (" {\n  \"event_name\" : \"user_create\"}", Some("user_create")),
            (r#"{"ref":"x","object_kind":"push"}"#, None),
            (r#"{"object_kind":null,"event_name":"push"}"#, None),
            ("{}", None),
            ("", None),
        ] {
            assert_eq!(kind_at_start(json), kind, "{json}");
        }
    }
}

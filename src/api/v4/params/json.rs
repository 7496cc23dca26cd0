//! Parameters in a JSON object. Only values that a parameter can have are kept; the rest is skipped, and takes no memory.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{MAX_COUNT, Param, Params, not_utf8};
use crate::api::v4::ApiError;
use crate::settings::Value;

pub(super) fn read(body: &[u8], params: &mut Params) -> Result<(), ApiError> {
    let text = std::str::from_utf8(body).map_err(|_| not_utf8())?;
    let mut error = None;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let object = Object { params, error: &mut error };
    let read = object.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    match (error, read) {
        (Some(error), _) => Err(error),
        (None, Ok(())) => Ok(()),
        // The text of this error may show a value.
        (None, Err(error)) if error.is_data() => {
            Err(ApiError::Unreadable("the body is not a JSON object".to_owned()))
        }
        (None, Err(error)) => Err(ApiError::Unreadable(format!("the body is malformed JSON: {error}"))),
    }
}

struct Object<'a> {
    params: &'a mut Params,
    /// Why reading stopped, where the JSON is well-formed.
    error: &'a mut Option<ApiError>,
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let Read(value) = map.next_value()?;
            if let Err(error) = self.params.put(name, value) {
                *self.error = Some(error);
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

struct Read(Param);

impl<'de> serde::Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ParamVisitor).map(Self)
    }
}

struct ParamVisitor;

impl<'de> Visitor<'de> for ParamVisitor {
    type Value = Param;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Param, E> {
        Ok(Param::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Param, E> {
        Ok(Param::Simple(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Param, E> {
        Ok(Param::Simple(Value::Integer(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Param, E> {
        let simple = i64::try_from(value).map_or_else(|_| Value::Text(value.to_string()), Value::Integer);
        Ok(Param::Simple(simple))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Param, E> {
        Ok(Param::Simple(Value::Text(value.to_string())))
    }

    fn visit_str<E>(self, value: &str) -> Result<Param, E> {
        Ok(Param::Simple(Value::Text(value.to_owned())))
    }

    fn visit_string<E>(self, value: String) -> Result<Param, E> {
        Ok(Param::Simple(Value::Text(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Param, A::Error> {
        let mut items = Some(Vec::new());
        while let Some(Read(item)) = sequence.next_element()? {
            items = match (items, item) {
                (Some(mut items), Param::Simple(item)) if items.len() < MAX_COUNT => {
                    items.push(item.as_text());
                    Some(items)
                }
                _ => None,
            };
        }
        Ok(items.map_or(Param::Other, Param::List))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Param, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Param::Other)
    }
}

//! How fields are read: which deviations are accepted, and how an error names its field.

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// Reads one payload. Where that fails, a second pass finds out which field is wrong, so that valid payloads don't
/// pay for tracking the path.
pub(super) fn parse<T: DeserializeOwned>(json: &str) -> Result<T, String> {
    serde_json::from_str(json).map_err(|error| {
        let second_pass =
            serde_path_to_error::deserialize::<_, T>(&mut serde_json::Deserializer::from_str(json));
        let why = second_pass.err().map_or_else(|| error.to_string(), |named| named.to_string());
        // The error quotes the wrong value, which may be of any length.
        excerpt(&why, 300)
    })
}

/// The start of a text on one line, to quote a payload in an error.
pub(super) fn excerpt(text: &str, max_chars: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(max_chars).collect()
}

/// Reads `null` as the type's default: GitLab both omits a field and writes `null` for "none".
pub(super) fn lenient<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads a number, even in quotes, because programs between a forge and Forgebell write such numbers. `null` and an
/// empty text are read as none.
pub(super) fn number_or_none<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let value = match Value::deserialize(deserializer)? {
        Value::String(text) if text.trim().is_empty() => Value::Null,
        Value::String(text) => text.trim().parse().map_or(Value::String(text), Value::Number),
        value => value,
    };
    Option::<T>::deserialize(value).map_err(serde::de::Error::custom)
}

/// [`number_or_none`] with 0 for none.
pub(super) fn number<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + DeserializeOwned,
{
    Ok(number_or_none(deserializer)?.unwrap_or_default())
}

/// Reads a value of the expected form. Any other value is read as the default.
pub(super) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + DeserializeOwned,
{
    let json = <&RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(json.get()).unwrap_or_default())
}

/// Reads an object and nothing else. A derived `Deserialize` would also accept an array, by position, and read `[]`
/// as an issue with number 0.
pub(super) fn object<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_map(ObjectOf(std::marker::PhantomData))
}

/// [`object`] or `null`.
pub(super) fn object_or_null<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    #[derive(Deserialize)]
    #[serde(bound = "T: Deserialize<'de>")]
    struct Object<T>(#[serde(deserialize_with = "object")] T);

    Ok(Option::<Object<T>>::deserialize(deserializer)?.map(|Object(value)| value))
}

struct ObjectOf<T>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectOf<T> {
    type Value = T;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

//! Projects, groups and the instance as settings name them.

use super::problem::InvalidValue;
use crate::event::PATH_MAX_BYTES;
use crate::integration::Scope;
use crate::settings::{Value, read_bool};

/// A project by its path or number. As in GitLab, digits are always a number, in quotes or not, and a word without
/// a slash is never a project.
pub(super) fn project(value: &Value) -> Result<Scope, InvalidValue> {
    let text = value.as_text();
    let text = text.trim();
    let only_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match value {
        Value::Bool(_) => Err(NO_PROJECT),
        _ if only_digits || matches!(value, Value::Integer(_)) => match text.parse() {
            Ok(id) if id > 0 => Ok(Scope::ProjectId(id)),
            _ => Err(NO_PROJECT),
        },
        _ if text.len() > PATH_MAX_BYTES => Err(TOO_LONG),
        _ => path(text).filter(|path| path.contains('/')).map(Scope::ProjectPath).ok_or(NO_PROJECT),
    }
}

/// A group's path. Events do not contain a group's number.
pub(super) fn group_path(value: &Value) -> Result<String, InvalidValue> {
    match value {
        Value::Text(text) if text.trim().len() > PATH_MAX_BYTES => Err(TOO_LONG),
        Value::Text(text) => path(text.trim()).ok_or(NO_GROUP),
        Value::Bool(_) | Value::Integer(_) => Err(NO_GROUP),
    }
}

/// The instance itself.
pub(super) fn instance(value: &Value) -> Result<Scope, InvalidValue> {
    match read_bool(value) {
        Some(true) => Ok(Scope::Instance),
        _ => Err(NO_INSTANCE),
    }
}

const TOO_LONG: InvalidValue =
    InvalidValue::new("is longer than the 1024 bytes of a path", "write the full path as the forge shows it");

const NO_INSTANCE: InvalidValue = InvalidValue::new(
    "is not true",
    "write instance = true, or leave it out and write project = \"acme/rocket\"",
);

const NO_PROJECT: InvalidValue = InvalidValue::new(
    "is neither a project's full path nor its number",
    "write the path without host or outer slashes, as in project = \"acme/rocket\", or project = 42",
);

const NO_GROUP: InvalidValue = InvalidValue::new(
    "is not a group's full path",
    "write the path without host or outer slashes, as in group = \"acme/web\"",
);

fn path(text: &str) -> Option<String> {
    let is_segment = |part: &str| {
        !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control() || c == ':')
    };
    text.split('/').all(is_segment).then(|| text.to_owned())
}

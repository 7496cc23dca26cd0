//! Whose events: projects, groups and the instance as settings name them.

use crate::integration::Scope;
use crate::settings::{Value, read_bool};

/// What is wrong with a name, and what to write.
pub(super) struct Misnamed {
    pub(super) problem: &'static str,
    pub(super) remedy: &'static str,
}

/// A project by its path or number. As in GitLab, digits are always a number, in quotes or not, and a word without
/// a slash is never a project.
pub(super) fn project(value: &Value) -> Result<Scope, Misnamed> {
    let text = value.as_text();
    let text = text.trim();
    let only_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match value {
        Value::Bool(_) => Err(NO_PROJECT),
        _ if only_digits || matches!(value, Value::Integer(_)) => match text.parse() {
            Ok(id) if id > 0 => Ok(Scope::ProjectId(id)),
            _ => Err(NO_PROJECT),
        },
        _ => path(text).filter(|path| path.contains('/')).map(Scope::ProjectPath).ok_or(NO_PROJECT),
    }
}

/// A group by its path; events don't tell a group's number.
pub(super) fn group(value: &Value) -> Result<Scope, Misnamed> {
    match value {
        Value::Text(text) => path(text.trim()).map(Scope::Group).ok_or(NO_GROUP),
        Value::Bool(_) | Value::Integer(_) => Err(NO_GROUP),
    }
}

/// The instance itself.
pub(super) fn instance(value: &Value) -> Result<Scope, Misnamed> {
    match read_bool(value) {
        Some(true) => Ok(Scope::Instance),
        _ => Err(NO_INSTANCE),
    }
}

const NO_INSTANCE: Misnamed = Misnamed {
    problem: "is not true",
    remedy: "write instance = true, or leave it out and write project = \"acme/rocket\"",
};

const NO_PROJECT: Misnamed = Misnamed {
    problem: "is neither a project's full path nor its number",
    remedy: "write the path without host or outer slashes, as in project = \"acme/rocket\", or project = 42",
};

const NO_GROUP: Misnamed = Misnamed {
    problem: "is no group's full path",
    remedy: "write the path without host or outer slashes, as in group = \"acme/web\"",
};

fn path(text: &str) -> Option<String> {
    let segment = |part: &str| {
        !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control() || c == ':')
    };
    text.split('/').all(segment).then(|| text.to_owned())
}

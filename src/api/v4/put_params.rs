//! StoredAs a `PUT` of one adapter's integration takes, read off the adapter's declaration: its own settings, the shared ones
//! that it offers, every `…_events` flag, and `use_inherited_settings`.
//!
//! Parameters that are not declared are not looked at. StoredAs is missing, and what is of the wrong type, is told all at
//! once, in the order of the declaration. Whether the values make sense together is for later: that needs what is stored.
//! Every flag is declared for every adapter, as each has them all in its object; those for events that it does not tell
//! of are kept, and have no effect.

use std::borrow::Cow;

use super::params::{Invalid, Param, Params};
use crate::adapters::Entry;
use crate::adapters::common_settings::{Group, INERT_FLAGS, common_fields};
use crate::api::error::ApiError;
use crate::catalog::Request;
use crate::event::Trigger;
use crate::settings::{FieldError, Kind, Shape, Value};

/// Follow the nearest default; `false` ends that.
pub(in crate::api) const INHERIT: &str = "use_inherited_settings";
/// The longest value of a setting, in characters. No service takes a webhook or a list that is anywhere as long.
pub(in crate::api) const MAX_LENGTH: usize = 65_535;

/// One parameter that a `PUT` takes.
#[derive(Clone, Debug)]
pub(in crate::api) struct ParamSpec {
    pub(in crate::api) name: Cow<'static, str>,
    pub(in crate::api) kind: Kind,
    pub(in crate::api) required: bool,
    pub(in crate::api) help: Cow<'static, str>,
    pub(in crate::api) example: Option<Cow<'static, str>>,
    /// StoredAs holds where it was never set.
    pub(in crate::api) default: Option<&'static str>,
    pub(in crate::api) stored_as: StoredAs,
}

/// StoredAs a parameter is kept as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum StoredAs {
    Setting,
    Flag,
    Inheritance,
}

/// Every parameter that a `PUT` of this adapter takes.
pub(in crate::api) fn put_params(entry: &Entry) -> Vec<ParamSpec> {
    let own = entry.fields.iter().map(|field| ParamSpec {
        name: field.name.into(),
        kind: field.kind,
        required: field.required,
        help: field.help.trim().into(),
        example: Some(field.example.into()),
        default: None,
        stored_as: StoredAs::Setting,
    });
    let shared = common_fields(&entry.about);
    let (heard, settings): (Vec<_>, Vec<_>) =
        shared.into_iter().partition(|field| field.group == Group::Flags);
    let settings = settings.into_iter().map(|field| ParamSpec {
        name: field.name,
        kind: field.kind,
        required: false,
        help: field.help,
        example: Some(field.example),
        default: field.default,
        stored_as: StoredAs::Setting,
    });
    let heard = heard.into_iter().map(|field| flag(field.name, field.help, field.default));
    let deaf = Trigger::ALL.into_iter().filter(|trigger| !entry.about.triggers.contains(*trigger));
    let deaf = deaf.map(Trigger::flag).chain(INERT_FLAGS);
    let deaf = deaf.map(|name| flag(name.into(), "Kept, and without effect for this service.".into(), None));
    let inherit = ParamSpec {
        name: INHERIT.into(),
        kind: Kind::Bool,
        required: false,
        help: "Whether it follows the nearest default, of a group above or of the instance: the other parameters are \
               then not heeded. `false` ends that. Not sent: stays as it is."
            .into(),
        example: None,
        default: None,
        stored_as: StoredAs::Inheritance,
    };
    own.chain(settings).chain(heard).chain(deaf).chain([inherit]).collect()
}

fn flag(name: Cow<'static, str>, help: Cow<'static, str>, default: Option<&'static str>) -> ParamSpec {
    ParamSpec {
        name,
        kind: Kind::Bool,
        required: false,
        help,
        example: None,
        default,
        stored_as: StoredAs::Flag,
    }
}

/// Reads what was sent for an adapter.
///
/// # Errors
/// All parameters that are missing or of the wrong type; else all that are too long.
pub(in crate::api) fn read(entry: &Entry, params: &Params) -> Result<Request, ApiError> {
    // An inherited integration needs no settings; problems of this one are reported below.
    let inherits = params.boolean(INHERIT) == Ok(Some(true));
    let mut request = Request::default();
    let mut complaints = Vec::new();
    let mut too_long = Vec::new();
    for spec in put_params(entry) {
        let name = spec.name.as_ref();
        if !params.has(name) {
            if spec.required && !inherits {
                complaints.push(format!("{name} is missing"));
            }
            continue;
        }
        match value(spec.kind, params, name) {
            Err(Invalid) => complaints.push(format!("{name} is invalid")),
            Ok(Some(Value::Text(text))) if text.chars().count() > MAX_LENGTH => {
                too_long
                    .push(FieldError::new(name, format!("is too long (maximum is {MAX_LENGTH} characters)")));
            }
            Ok(value) => {
                // A text that was null when it was read is null again when it is sent back.
                if params.get(name) == Some(&Param::Null) && spec.kind.shape() == Shape::Words {
                    request.unset.insert(name.to_owned());
                }
                put(&mut request, spec.stored_as, name, value);
            }
        }
    }
    if !complaints.is_empty() {
        return Err(ApiError::InvalidParams(complaints));
    }
    if !too_long.is_empty() {
        return Err(ApiError::InvalidSettings(too_long));
    }
    Ok(request)
}

/// The value as its field keeps it. A text that is sent as null is a blank one; a number or a truth that is sent blank
/// says nothing.
fn value(kind: Kind, params: &Params, name: &str) -> Result<Option<Value>, Invalid> {
    Ok(match kind.shape() {
        Shape::Truth => params.boolean(name)?.map(Value::Bool),
        Shape::Number => params.integer(name)?.map(Value::Integer),
        Shape::Words => match params.get(name) {
            Some(Param::Null) => Some(Value::Text(String::new())),
            _ => params.text(name)?.map(Value::Text),
        },
    })
}

fn put(request: &mut Request, stored_as: StoredAs, name: &str, value: Option<Value>) {
    match (stored_as, value) {
        (StoredAs::Setting, Some(value)) => {
            request.settings.insert(name.to_owned(), value);
        }
        (StoredAs::Flag, Some(Value::Bool(on))) => {
            request.flags.insert(name.to_owned(), on);
        }
        (StoredAs::Inheritance, Some(Value::Bool(follow))) => request.use_inherited_settings = Some(follow),
        // Nothing was said; flags are read as booleans, and as nothing else.
        (_, None) | (StoredAs::Flag | StoredAs::Inheritance, Some(_)) => {}
    }
}

#[cfg(test)]
mod tests;

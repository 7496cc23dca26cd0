//! What a `PUT` of one adapter's integration takes, read off the adapter's declaration: its own settings, the shared ones
//! that it offers, every `…_events` flag, and `use_inherited_settings`.
//!
//! Parameters that are not declared are not looked at. What is missing, and what is of the wrong type, is told all at
//! once, in the order of the declaration. Whether the values make sense together is for later: that needs what is stored.
//! Every flag is declared for every adapter, as each has them all in its object; those for events that it does not tell
//! of are kept, and have no effect.

use std::borrow::Cow;

use super::params::{Invalid, Param, Params};
use super::refusal::Refusal;
use crate::adapters::Entry;
use crate::adapters::common_settings::{Group, INERT_FLAGS, common_fields};
use crate::catalog::Request;
use crate::event::Trigger;
use crate::settings::{FieldError, Kind, Shape, Value};

/// Follow the nearest default; `false` ends that.
pub(in crate::api) const INHERIT: &str = "use_inherited_settings";
/// The longest value of a setting, in characters. No service takes a webhook or a list that is anywhere as long.
pub(in crate::api) const LONGEST: usize = 65_535;

/// One parameter that a `PUT` takes.
#[derive(Clone, Debug)]
pub(in crate::api) struct Declared {
    pub(in crate::api) name: Cow<'static, str>,
    pub(in crate::api) kind: Kind,
    pub(in crate::api) required: bool,
    pub(in crate::api) help: Cow<'static, str>,
    pub(in crate::api) example: Option<Cow<'static, str>>,
    /// What holds where it was never set.
    pub(in crate::api) default: Option<&'static str>,
    pub(in crate::api) what: What,
}

/// What a parameter is kept as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum What {
    Setting,
    Flag,
    Inheritance,
}

/// Every parameter that a `PUT` of this adapter takes.
pub(in crate::api) fn declared(entry: &Entry) -> Vec<Declared> {
    let own = entry.fields.iter().map(|field| Declared {
        name: field.name.into(),
        kind: field.kind,
        required: field.required,
        help: field.help.trim().into(),
        example: Some(field.example.into()),
        default: None,
        what: What::Setting,
    });
    let shared = common_fields(&entry.about);
    let (heard, settings): (Vec<_>, Vec<_>) =
        shared.into_iter().partition(|field| field.group == Group::Flags);
    let settings = settings.into_iter().map(|field| Declared {
        name: field.name,
        kind: field.kind,
        required: false,
        help: field.help,
        example: Some(field.example),
        default: field.default,
        what: What::Setting,
    });
    let heard = heard.into_iter().map(|field| flag(field.name, field.help, field.default));
    let deaf = Trigger::ALL.into_iter().filter(|trigger| !entry.about.triggers.contains(*trigger));
    let deaf = deaf.map(Trigger::flag).chain(INERT_FLAGS);
    let deaf = deaf.map(|name| flag(name.into(), "Kept, and without effect for this service.".into(), None));
    let inherit = Declared {
        name: INHERIT.into(),
        kind: Kind::Bool,
        required: false,
        help: "Whether it follows the nearest default, of a group above or of the instance: the other parameters are \
               then not heeded. `false` ends that. Not sent: stays as it is."
            .into(),
        example: None,
        default: None,
        what: What::Inheritance,
    };
    own.chain(settings).chain(heard).chain(deaf).chain([inherit]).collect()
}

fn flag(name: Cow<'static, str>, help: Cow<'static, str>, default: Option<&'static str>) -> Declared {
    Declared { name, kind: Kind::Bool, required: false, help, example: None, default, what: What::Flag }
}

/// Reads what was sent for an adapter.
///
/// # Errors
/// All parameters that are missing or of the wrong type; else all that are too long.
pub(in crate::api) fn read(entry: &Entry, params: &Params) -> Result<Request, Refusal> {
    // Who follows a default needs no settings; whatever is wrong with this one is told below.
    let inherits = params.boolean(INHERIT) == Ok(Some(true));
    let mut request = Request::default();
    let mut complaints = Vec::new();
    let mut too_long = Vec::new();
    for declared in declared(entry) {
        let name = declared.name.as_ref();
        if !params.has(name) {
            if declared.required && !inherits {
                complaints.push(format!("{name} is missing"));
            }
            continue;
        }
        match value(declared.kind, params, name) {
            Err(Invalid) => complaints.push(format!("{name} is invalid")),
            Ok(Some(Value::Text(text))) if text.chars().count() > LONGEST => {
                too_long
                    .push(FieldError::new(name, format!("is too long (maximum is {LONGEST} characters)")));
            }
            Ok(value) => put(&mut request, declared.what, name, value),
        }
    }
    if !complaints.is_empty() {
        return Err(Refusal::Parameters(complaints));
    }
    if !too_long.is_empty() {
        return Err(Refusal::Model(too_long));
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

fn put(request: &mut Request, what: What, name: &str, value: Option<Value>) {
    match (what, value) {
        (What::Setting, Some(value)) => {
            request.settings.insert(name.to_owned(), value);
        }
        (What::Flag, Some(Value::Bool(on))) => {
            request.flags.insert(name.to_owned(), on);
        }
        (What::Inheritance, Some(Value::Bool(follow))) => request.use_inherited_settings = Some(follow),
        // Nothing was said; flags are read as booleans, and as nothing else.
        (_, None) | (What::Flag | What::Inheritance, Some(_)) => {}
    }
}

#[cfg(test)]
mod tests;

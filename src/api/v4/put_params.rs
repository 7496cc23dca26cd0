//! The parameters of a `PUT` of one adapter's integration, from the adapter's declaration: its own settings, the common
//! settings that it has, every `…_events` flag, and `use_inherited_settings`.
//!
//! Other parameters are ignored, as in GitLab; [`unknown`] names them. Missing parameters and those of the wrong type are reported all at once, in the order of the
//! declaration. The catalog checks whether the values are valid together, because this check needs the stored values.
//! Every adapter has every flag, because every object shows all flags. Flags for events that an adapter does not
//! support are stored and have no effect.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::params::{Invalid, Param, Params};
use crate::adapters::Entry;
use crate::adapters::alerts::endpoint;
use crate::adapters::common_settings::{FLAGS_WITHOUT_TRIGGER, Group, common_fields, is_stored_as_flag};
use crate::api::error::ApiError;
use crate::catalog::Request;
use crate::event::Trigger;
use crate::provision::did_you_mean;
use crate::settings::{Field, FieldError, Kind, Shape, Value};

/// Follow the nearest default of a group or the instance; `false` ends that.
pub(in crate::api) const INHERIT: &str = "use_inherited_settings";
/// Whether it is active, for the adapters that take this parameter.
const ACTIVE: &str = "active";
/// Whether `alerts` gets another token.
const RESET_TOKEN: &str = "reset_token";
/// The longest value of a setting, in characters. Every service's limits are far below it.
pub(in crate::api) const MAX_LENGTH: usize = 65_535;

/// One parameter that a `PUT` takes.
#[derive(Clone, Debug)]
pub(in crate::api) struct ParamSpec {
    pub(in crate::api) name: Cow<'static, str>,
    pub(in crate::api) kind: Kind,
    pub(in crate::api) required: bool,
    pub(in crate::api) help: Cow<'static, str>,
    pub(in crate::api) example: Option<Cow<'static, str>>,
    /// The value that applies if the parameter was never set.
    pub(in crate::api) default: Option<&'static str>,
    pub(in crate::api) stored_as: StoredAs,
    /// Whether the parameter has an effect for the service.
    pub(in crate::api) has_effect: bool,
    /// Whether GitLab does not have it. Sent blank or as null, such a setting is as if it had never been set.
    pub(in crate::api) is_addition: bool,
}

/// How a parameter is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum StoredAs {
    Setting,
    Flag,
    Inheritance,
    Active,
    /// Not stored: the parameter requests an action.
    Nothing,
}

/// Every parameter that a `PUT` of this adapter takes.
pub(in crate::api) fn put_params(entry: &Entry) -> Vec<ParamSpec> {
    let (own_flags, own): (Vec<&Field>, Vec<&Field>) =
        entry.fields.iter().partition(|field| is_stored_as_flag(field.name));
    let own = own.into_iter().map(|field: &Field| ParamSpec {
        name: field.name.into(),
        kind: field.kind,
        required: field.required,
        help: field.help.trim().into(),
        example: Some(field.example.into()),
        default: field.default,
        stored_as: StoredAs::Setting,
        has_effect: true,
        is_addition: false,
    });
    let shared = common_fields(&entry.about);
    let (supported, settings): (Vec<_>, Vec<_>) =
        shared.into_iter().partition(|field| field.group == Group::Flags);
    let settings = settings.into_iter().map(|field| ParamSpec {
        name: field.name,
        kind: field.kind,
        required: false,
        help: field.help,
        example: Some(field.example),
        default: field.default,
        stored_as: StoredAs::Setting,
        has_effect: true,
        is_addition: field.is_addition,
    });
    let supported = supported.into_iter().map(|field| flag(field.name, field.help, field.default));
    let own_flags =
        own_flags.into_iter().map(|field| flag(field.name.into(), field.help.trim().into(), field.default));
    let supported: Vec<_> = supported.chain(own_flags).collect();
    let all_flags = Trigger::ALL.into_iter().map(Trigger::flag).chain(FLAGS_WITHOUT_TRIGGER);
    let unsupported: Vec<_> =
        all_flags.filter(|name| supported.iter().all(|spec| spec.name != *name)).collect();
    let unsupported = unsupported
        .into_iter()
        .map(|name| flag(name.into(), "Stored, and without effect for this service.".into(), None))
        .map(|spec| ParamSpec { has_effect: false, ..spec });
    let inherit = ParamSpec {
        name: INHERIT.into(),
        kind: Kind::Bool,
        required: false,
        help: "Whether it follows the nearest default, of a group above or of the instance: the other parameters are \
               then ignored. `false` ends that. Not sent: it stays as it is."
            .into(),
        example: None,
        default: None,
        stored_as: StoredAs::Inheritance,
        has_effect: true,
        is_addition: false,
    };
    let active = entry.about.common.active_parameter.then(|| ParamSpec {
        name: ACTIVE.into(),
        kind: Kind::Bool,
        required: false,
        help: "`false` switches it off, and the settings stay. Not sent: it is active.".into(),
        example: None,
        default: None,
        stored_as: StoredAs::Active,
        has_effect: true,
        is_addition: false,
    });
    let reset = (entry.about.slug == endpoint::SLUG).then(|| ParamSpec {
        name: RESET_TOKEN.into(),
        kind: Kind::Bool,
        required: false,
        help: "Whether a new token is made in place of the one that this made before, which ends. Not sent: the token stays."
            .into(),
        example: None,
        default: None,
        stored_as: StoredAs::Nothing,
        has_effect: true,
        is_addition: false,
    });
    own.chain(settings)
        .chain(supported)
        .chain(unsupported)
        .chain(active)
        .chain(reset)
        .chain([inherit])
        .collect()
}

/// Whether a `PUT` of `alerts`, which was [read], asks for another token.
pub(in crate::api) fn resets_token(params: &Params) -> bool {
    params.boolean(RESET_TOKEN) == Ok(Some(true))
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
        has_effect: true,
        is_addition: false,
    }
}

/// Reads the parameters of a `PUT` for an adapter. Those in `kept` keep their values where they are not sent.
///
/// # Errors
/// All parameters that are missing or of the wrong type; else all that are too long.
pub(in crate::api) fn read(
    entry: &Entry,
    params: &Params,
    kept: &BTreeSet<&str>,
) -> Result<Request, ApiError> {
    // An integration that follows a default needs no settings. An invalid value of this parameter is reported below.
    let inherits = params.boolean(INHERIT) == Ok(Some(true));
    let mut request = Request::default();
    let mut complaints = Vec::new();
    let mut too_long = Vec::new();
    for spec in put_params(entry) {
        let name = spec.name.as_ref();
        if !params.has(name) {
            if spec.required && !inherits && !kept.contains(name) {
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
                if unsets(&spec, params) {
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

/// Whether a sent parameter unsets its setting. A text that a client read as null is null again when it is sent back. A
/// blank number or boolean of GitLab counts as not sent; one of Forgebell's additions is unset.
fn unsets(spec: &ParamSpec, params: &Params) -> bool {
    let is_text = matches!(spec.kind.shape(), Shape::Words | Shape::List);
    let blank = |value: &Value| matches!(value, Value::Text(text) if text.trim().is_empty());
    match params.get(&spec.name) {
        Some(Param::Null) => is_text || spec.is_addition,
        Some(Param::Simple(value)) => spec.is_addition && blank(value),
        _ => false,
    }
}

/// A warning for each parameter that is ignored. Names that are too long for one are cut, and so is a long list.
pub(in crate::api) fn unknown(entry: &Entry, params: &Params) -> Vec<String> {
    const MOST: usize = 20;
    const LONGEST: usize = 60;
    // Parts of the request that are no settings: its token, and its path, which some clients repeat.
    const OTHERS: [&str; 4] = ["private_token", "access_token", "id", "slug"];
    let specs = put_params(entry);
    let is_known = |name: &str| OTHERS.contains(&name) || specs.iter().any(|spec| spec.name == name);
    let unknown: Vec<&str> = params.names().filter(|name| !is_known(name)).collect();
    let warning = |name: &str| {
        let shown: String = name.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
        if name == ACTIVE {
            return "active: is ignored: an integration that is set is active, and DELETE switches it off"
                .to_owned();
        }
        let names = specs.iter().map(|spec| spec.name.as_ref());
        let remedy = did_you_mean(&shown, names).map(|remedy| format!("; {remedy}")).unwrap_or_default();
        format!("{shown}: is no setting of {} and is ignored{remedy}", entry.about.slug)
    };
    let mut warnings: Vec<String> = unknown.iter().take(MOST).map(|name| warning(name)).collect();
    if unknown.len() > MOST {
        warnings.push(format!("{} more parameters are ignored", unknown.len() - MOST));
    }
    warnings
}

/// The value as its field stores it. A null text is blank; a blank or null number or boolean counts as not sent.
fn value(kind: Kind, params: &Params, name: &str) -> Result<Option<Value>, Invalid> {
    Ok(match kind.shape() {
        Shape::Truth => params.boolean(name)?.map(Value::Bool),
        Shape::Number => params.integer(name)?.map(Value::Integer),
        Shape::List => params.list(name)?.map(|items| Value::Text(items.join(","))),
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
        (StoredAs::Active, Some(Value::Bool(active))) => request.active = Some(active),
        // The parameter counts as not sent. (`value` never returns a flag that is not a boolean.)
        (_, None)
        | (StoredAs::Flag | StoredAs::Inheritance | StoredAs::Active | StoredAs::Nothing, Some(_)) => {}
    }
}

#[cfg(test)]
mod tests;

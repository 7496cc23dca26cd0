//! The body of a `PUT`, adapter by adapter, read off what each declares.

use serde_json::{Map, Value as Json};

use super::model::{Body, Content, Ordered, Schema, Types};
use crate::adapters::Entry;
use crate::api::v4::put_params::{MAX_LENGTH, ParamSpec, StoredAs, put_params};
use crate::settings::{Kind, Shape};

/// The schema of booleans, as they are read.
const TRUTH: &str = "Truth";
/// StoredAs counts as true or false, in any case.
const WORDS: &str = "^ *([Tt]([Rr][Uu][Ee])?|[Ff]([Aa][Ll][Ss][Ee])?|[Yy]([Ee][Ss])?|[Nn][Oo]?|[Oo][Nn]|[Oo][Ff][Ff]|[01])? *$";
/// The same of a body.
const KINDS: [&str; 3] = ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"];

/// `slack` → `SlackSettings`
pub(super) fn schema_name(entry: &Entry) -> String {
    let words = entry.about.slug.split('-').map(|word| {
        let mut letters = word.chars();
        letters.next().map(char::to_uppercase).into_iter().flatten().chain(letters).collect::<String>()
    });
    format!("{}Settings", words.collect::<String>())
}

/// StoredAs a `PUT` of this adapter takes.
pub(super) fn schema(entry: &Entry) -> Schema {
    let specs = put_params(entry);
    let required = specs.iter().filter(|spec| spec.required).map(|spec| spec.name.clone());
    Schema {
        required: required.collect(),
        properties: specs.iter().map(|spec| (spec.name.clone(), parameter(spec))).collect(),
        ..Schema::of(&["object"]).saying(entry.about.summary)
    }
}

/// StoredAs is sent is read leniently, and what is read leniently is documented so: numbers where texts are asked for,
/// words where truths are, and null.
fn parameter(spec: &ParamSpec) -> Schema {
    let example = spec.example.as_deref().map(|example| literal(spec.kind, example));
    let default = spec.default.map(|default| literal(spec.kind, default));
    let is_address = matches!(spec.kind, Kind::Url | Kind::SecretUrl);
    let base = match spec.kind.shape() {
        Shape::Truth => Schema::reference(TRUTH),
        Shape::Number => Schema {
            any_of: vec![
                Schema::integer(),
                Schema { pattern: Some("^ *[-+]?[0-9]{1,18} *$|^ *$"), ..Schema::text() },
                Schema::of(&["null"]),
            ],
            ..Schema::default()
        },
        Shape::Words if is_address && spec.required => {
            Schema { pattern: Some("^https?://[A-Za-z0-9]"), format: Some("uri"), ..Schema::text() }
        }
        Shape::Words => Schema {
            types: Types(&["string", "number", "boolean", "null"]),
            max_length: Some(MAX_LENGTH),
            ..Schema::default()
        },
    };
    Schema {
        description: spec.help.clone(),
        write_only: spec.kind.is_secret(),
        examples: example.into_iter().collect(),
        default,
        ..base
    }
}

/// Schemas that settings have in common, for `components.schemas`.
pub(super) fn schemas() -> [(&'static str, Schema); 1] {
    [(TRUTH, truth())]
}

fn truth() -> Schema {
    Schema {
        description: "True or false, read as GitLab reads it. Blank and null say nothing.".into(),
        any_of: vec![
            Schema::boolean(),
            Schema { pattern: Some(WORDS), ..Schema::text() },
            Schema { one_of_values: vec![0.into(), 1.into()], ..Schema::default() },
            Schema::of(&["null"]),
        ],
        ..Schema::default()
    }
}

fn literal(kind: Kind, text: &str) -> Json {
    match kind {
        Kind::Bool => text.parse().map_or_else(|_| text.into(), Json::Bool),
        Kind::Integer => text.parse::<i64>().map_or_else(|_| text.into(), Json::from),
        _ => text.into(),
    }
}

/// The body, with an example that is taken as it stands.
pub(super) fn body(entry: &Entry) -> Body {
    let schema = Schema::reference(&schema_name(entry));
    let content = KINDS
        .map(|kind| (kind, Content { schema: schema.clone(), example: Some(Json::Object(example(entry))) }));
    Body { required: true, content: Ordered::from_iter(content), ..Body::default() }
}

/// The required settings, and a flag to show how these go.
pub(super) fn example(entry: &Entry) -> Map<String, Json> {
    let specs = put_params(entry);
    let required = specs.iter().filter(|spec| spec.required);
    let flag = specs.iter().find(|spec| spec.stored_as == StoredAs::Flag);
    let value = |spec: &ParamSpec| literal(spec.kind, spec.example.as_deref().unwrap_or("true"));
    required.chain(flag).map(|spec| (spec.name.to_string(), value(spec))).collect()
}

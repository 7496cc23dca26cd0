//! The parameters of a `PUT` for each adapter, from its declaration.

use serde_json::{Map, Value as Json};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{AllOfBuilder, AnyOfBuilder, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{ArrayBuilder, ContentBuilder, ObjectBuilder, Ref, RefOr, Required, Schema};

use crate::adapters::Entry;
use crate::api::v4::put_params::{MAX_LENGTH, ParamSpec, StoredAs, put_params};
use crate::settings::{Kind, Shape};

/// The suffix of these schemas' names.
pub(super) const SUFFIX: &str = "Settings";
/// The schema of booleans, as they are read.
const TRUTH: &str = "Truth";
/// The texts that are read as booleans, in any case.
const WORDS: &str = "^ *([Tt]([Rr][Uu][Ee])?|[Ff]([Aa][Ll][Ss][Ee])?|[Yy]([Ee][Ss])?|[Nn][Oo]?|[Oo][Nn]|[Oo][Ff][Ff]|[01])? *$";
/// A body may be any of these.
const KINDS: [&str; 3] = ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"];

/// `emails-on-push` → `EmailsOnPush`
pub(super) fn name(entry: &Entry) -> String {
    let words = entry.about.slug.split('-').map(|word| {
        let mut letters = word.chars();
        letters.next().map(char::to_uppercase).into_iter().flatten().chain(letters).collect::<String>()
    });
    words.collect()
}

/// `slack` → `SlackSettings`
pub(super) fn schema_name(entry: &Entry) -> String {
    format!("{}{SUFFIX}", name(entry))
}

/// The parameters of a `PUT` of this adapter.
pub(super) fn schema(entry: &Entry) -> Schema {
    let object = ObjectBuilder::new().schema_type(Type::Object).description(Some(entry.about.summary));
    let schema = put_params(entry).iter().fold(object, |object, spec| {
        let object = object.property(spec.name.as_ref(), parameter(spec));
        if spec.required { object.required(spec.name.as_ref()) } else { object }
    });
    schema.into()
}

/// The schema of a parameter. Values are read leniently, and the schema says so: numbers are accepted as texts, words
/// as booleans, and null.
fn parameter(spec: &ParamSpec) -> Schema {
    let help = Some(spec.help.as_ref());
    let example = spec.example.as_deref().map(|example| literal(spec.kind, example));
    let default = spec.default.map(|default| literal(spec.kind, default));
    let is_address = matches!(spec.kind, Kind::Url | Kind::InternalUrl | Kind::SecretUrl);
    let text = |builder: ObjectBuilder| {
        let builder = if spec.kind.is_write_only() { builder.write_only(true) } else { builder };
        builder.description(help).examples(example.clone()).default(default.clone()).into()
    };
    match spec.kind.shape() {
        Shape::Truth => {
            let truth = AllOfBuilder::new().item(Ref::from_schema_name(TRUTH));
            truth.description(help).examples(example).default(default).into()
        }
        Shape::Number => {
            let digits =
                ObjectBuilder::new().schema_type(Type::String).pattern(Some("^ *[-+]?[0-9]{1,18} *$|^ *$"));
            let number = AnyOfBuilder::new()
                .item(ObjectBuilder::new().schema_type(Type::Integer))
                .item(digits)
                .item(null());
            number.description(help).examples(example).default(default).into()
        }
        Shape::List => {
            let item = ObjectBuilder::new().schema_type(Type::String).max_length(Some(MAX_LENGTH));
            let text = || ObjectBuilder::new().schema_type(Type::String).max_length(Some(MAX_LENGTH));
            let list = AnyOfBuilder::new().item(ArrayBuilder::new().items(item)).item(text()).item(null());
            list.description(help).examples(example).default(default).into()
        }
        Shape::Words if is_address && spec.required => text(
            ObjectBuilder::new()
                .schema_type(Type::String)
                .pattern(Some("^https?://[A-Za-z0-9]"))
                .format(Some(SchemaFormat::Custom("uri".to_owned()))),
        ),
        Shape::Words => {
            let types = vec![Type::String, Type::Number, Type::Boolean, Type::Null];
            text(ObjectBuilder::new().schema_type(SchemaType::Array(types)).max_length(Some(MAX_LENGTH)))
        }
    }
}

fn null() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Null)
}

/// Schemas that the settings share, for `components.schemas`.
pub(super) fn schemas() -> [(&'static str, RefOr<Schema>); 1] {
    let numbers = ObjectBuilder::new().schema_type(SchemaType::AnyValue).enum_values(Some([0, 1]));
    let truth = AnyOfBuilder::new()
        .description(Some("True or false, read as GitLab reads it. Blank and null count as not sent."))
        .item(ObjectBuilder::new().schema_type(Type::Boolean))
        .item(ObjectBuilder::new().schema_type(Type::String).pattern(Some(WORDS)))
        .item(numbers)
        .item(null());
    [(TRUTH, truth.into())]
}

fn literal(kind: Kind, text: &str) -> Json {
    match kind {
        Kind::Bool => text.parse().map_or_else(|_| text.into(), Json::Bool),
        Kind::Integer => text.parse::<i64>().map_or_else(|_| text.into(), Json::from),
        _ => text.into(),
    }
}

/// The body of a `PUT`, with an example that is accepted as it stands.
pub(super) fn body(entry: &Entry) -> RequestBody {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(schema_name(entry))))
        .example(Some(Json::Object(example(entry))))
        .build();
    let body = RequestBodyBuilder::new().required(Some(Required::True));
    KINDS.into_iter().fold(body, |body, kind| body.content(kind, content.clone())).build()
}

/// The required settings, and one flag.
fn example(entry: &Entry) -> Map<String, Json> {
    let specs = put_params(entry);
    let required = specs.iter().filter(|spec| spec.required);
    let flag = specs.iter().find(|spec| spec.stored_as == StoredAs::Flag);
    let value = |spec: &ParamSpec| literal(spec.kind, spec.example.as_deref().unwrap_or("true"));
    required.chain(flag).map(|spec| (spec.name.to_string(), value(spec))).collect()
}

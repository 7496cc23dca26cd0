//! The parts of an OpenAPI 3.1 document that ours has, with names in the order in which they are written down.
//! <https://spec.openapis.org/oas/v3.1.0>

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use serde_json::Value;

type Text = Cow<'static, str>;

/// An object whose names keep their order.
#[derive(Clone, Debug)]
pub struct Ordered<T>(pub Vec<(Text, T)>);

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Ordered<T> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get(&self, name: &str) -> Option<&T> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

impl<T, N: Into<Text>> FromIterator<(N, T)> for Ordered<T> {
    fn from_iter<I: IntoIterator<Item = (N, T)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }
}

impl<T: Serialize> Serialize for Ordered<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// The whole document.
#[derive(Clone, Debug, Serialize)]
pub struct Document {
    pub openapi: &'static str,
    pub info: Info,
    pub servers: Vec<Server>,
    pub tags: Vec<Tag>,
    /// Any one of them.
    pub security: Vec<Value>,
    pub paths: Ordered<Path>,
    pub components: Components,
}

#[derive(Clone, Debug, Serialize)]
pub struct Info {
    pub title: &'static str,
    pub version: &'static str,
    pub summary: &'static str,
    pub description: Text,
    pub license: Value,
}

#[derive(Clone, Debug, Serialize)]
pub struct Server {
    pub url: &'static str,
}

#[derive(Clone, Debug, Serialize)]
pub struct Tag {
    pub name: &'static str,
    pub description: &'static str,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct Components {
    pub schemas: Ordered<Schema>,
    pub parameters: Ordered<Parameter>,
    pub responses: Ordered<Answer>,
    #[serde(rename = "securitySchemes")]
    pub security_schemes: Ordered<Value>,
}

/// What can be asked at one address.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Path {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
    /// By method, in lower case.
    #[serde(flatten)]
    pub operations: Ordered<Operation>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct Operation {
    #[serde(rename = "operationId")]
    pub id: Text,
    pub tags: Vec<&'static str>,
    pub summary: Text,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub description: Text,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deprecated: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
    #[serde(rename = "requestBody", skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
    pub responses: Ordered<Answer>,
    /// `None`: as the document has it. Empty: it needs no token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security: Option<Vec<Value>>,
}

/// A parameter, or a reference to one.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Parameter {
    #[serde(rename = "$ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<Text>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub name: Text,
    #[serde(rename = "in", skip_serializing_if = "str::is_empty")]
    pub place: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub description: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Schema>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct Body {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub description: Text,
    pub required: bool,
    pub content: Ordered<Content>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct Content {
    pub schema: Schema,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<Value>,
}

/// An answer, or a reference to one.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Answer {
    #[serde(rename = "$ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<Text>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub description: Text,
    #[serde(skip_serializing_if = "Ordered::is_empty")]
    pub headers: Ordered<Header>,
    #[serde(skip_serializing_if = "Ordered::is_empty")]
    pub content: Ordered<Content>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct Header {
    pub description: Text,
    pub schema: Schema,
}

/// What a value must be, or a reference to that.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Schema {
    #[serde(rename = "$ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<Text>,
    #[serde(rename = "type", skip_serializing_if = "Types::is_any")]
    pub types: Types,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub description: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<&'static str>,
    #[serde(rename = "maxLength", skip_serializing_if = "Option::is_none")]
    pub max_length: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum: Option<i64>,
    #[serde(rename = "enum", skip_serializing_if = "Vec::is_empty")]
    pub one_of_values: Vec<Value>,
    #[serde(rename = "anyOf", skip_serializing_if = "Vec::is_empty")]
    pub any_of: Vec<Schema>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<Box<Schema>>,
    #[serde(rename = "maxItems", skip_serializing_if = "Option::is_none")]
    pub max_items: Option<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<Text>,
    #[serde(skip_serializing_if = "Ordered::is_empty")]
    pub properties: Ordered<Schema>,
    #[serde(rename = "writeOnly", skip_serializing_if = "std::ops::Not::not")]
    pub write_only: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Value>,
}

/// Which kinds of value there may be; none named: any.
#[derive(Clone, Debug, Default)]
pub struct Types(pub &'static [&'static str]);

impl Types {
    fn is_any(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Types {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            [one] => one.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}

impl Schema {
    pub fn of(types: &'static [&'static str]) -> Self {
        Self { types: Types(types), ..Self::default() }
    }

    pub fn text() -> Self {
        Self::of(&["string"])
    }

    pub fn integer() -> Self {
        Self::of(&["integer"])
    }

    pub fn boolean() -> Self {
        Self::of(&["boolean"])
    }

    pub fn moment() -> Self {
        Self { format: Some("date-time"), ..Self::text() }
    }

    pub fn or_null(self) -> Self {
        let types: &'static [&'static str] = match self.types.0 {
            // Null would have to be one of the words.
            ["string"] if !self.one_of_values.is_empty() => &[],
            ["string"] => &["string", "null"],
            ["integer"] => &["integer", "null"],
            ["object"] => &["object", "null"],
            _ => &[],
        };
        if types.is_empty() {
            return Self { any_of: vec![self, Self::of(&["null"])], ..Self::default() };
        }
        Self { types: Types(types), ..self }
    }

    pub fn reference(name: &str) -> Self {
        Self { reference: Some(format!("#/components/schemas/{name}").into()), ..Self::default() }
    }

    pub fn list(items: Self) -> Self {
        Self { items: Some(Box::new(items)), ..Self::of(&["array"]) }
    }

    /// An object all of whose properties are there.
    pub fn object<N: Into<Text>>(properties: impl IntoIterator<Item = (N, Self)>) -> Self {
        let properties: Ordered<Self> = properties.into_iter().collect();
        let required = properties.0.iter().map(|(name, _)| name.clone()).collect();
        Self { required, properties, ..Self::of(&["object"]) }
    }

    pub fn words(words: impl IntoIterator<Item = &'static str>) -> Self {
        Self { one_of_values: words.into_iter().map(Value::from).collect(), ..Self::text() }
    }

    pub fn saying(self, description: impl Into<Text>) -> Self {
        Self { description: description.into(), ..self }
    }
}

impl Parameter {
    pub fn reference(name: &str) -> Self {
        Self { reference: Some(format!("#/components/parameters/{name}").into()), ..Self::default() }
    }

    pub fn in_path(name: &'static str, description: &'static str, schema: Schema) -> Self {
        Self {
            name: name.into(),
            place: "path",
            required: true,
            description: description.into(),
            schema: Some(schema),
            reference: None,
        }
    }

    pub fn in_query(name: &'static str, description: &'static str, schema: Schema) -> Self {
        Self { place: "query", required: false, ..Self::in_path(name, description, schema) }
    }
}

impl Content {
    pub fn json(schema: Schema) -> Ordered<Self> {
        Ordered::from_iter([("application/json", Self { schema, example: None })])
    }
}

impl Answer {
    pub fn reference(name: &str) -> Self {
        Self { reference: Some(format!("#/components/responses/{name}").into()), ..Self::default() }
    }

    pub fn json(description: impl Into<Text>, schema: Schema) -> Self {
        Self { description: description.into(), content: Content::json(schema), ..Self::default() }
    }
}

//! The parameters in a request's path: `id`, `slug`, `delivery_id`, `event_id`, `sha`, `reference`.

use std::collections::HashMap;
use std::convert::Infallible;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::Type;
use utoipa::openapi::{ObjectBuilder, Required, Schema};

use crate::api::resources::slugs;

/// The decoded parameters, by name. A path that can't be decoded has none, and so names nothing.
#[derive(Clone, Debug, Default)]
pub(in crate::api) struct PathParams(HashMap<String, String>);

impl PathParams {
    pub(in crate::api) fn id(&self) -> &str {
        self.text("id")
    }

    pub(in crate::api) fn slug(&self) -> &str {
        self.text("slug")
    }

    pub(in crate::api) fn sha(&self) -> &str {
        self.text("sha")
    }

    pub(in crate::api) fn reference(&self) -> &str {
        self.text("reference")
    }

    pub(in crate::api) fn event_id(&self) -> &str {
        self.text("event_id")
    }

    /// A number from one up; `None` where the text is not such a number.
    pub(in crate::api) fn number(&self, name: &str) -> Option<i64> {
        let text = self.text(name);
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number| is_number && *number > 0)
    }

    fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathParams {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let path = Path::<HashMap<String, String>>::from_request_parts(parts, state).await;
        Ok(Self(path.map(|Path(path)| path).unwrap_or_default()))
    }
}

/// The description of a parameter in a route's path, for `components.parameters`: its key there, and the parameter.
///
/// # Panics
/// A route has a parameter that is not described here; a test walks all routes.
pub(in crate::api) fn described(path: &str, name: &str) -> (&'static str, Parameter) {
    let text = || ObjectBuilder::new().schema_type(Type::String).build().into();
    let number = || ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).build().into();
    let (key, description, schema): (_, _, Schema) = match (path.split('/').nth(1), name) {
        (Some("projects"), "id") => {
            ("project", "The project's number, or its full path with `/` written as `%2F`.", text())
        }
        (Some("groups"), "id") => {
            let description =
                "The group's full path with `/` written as `%2F`, or its number where that is known.";
            ("group", description, text())
        }
        (Some("quarantine"), "id") => ("quarantined", "The message's number.", number()),
        (_, "slug") => ("slug", "The service, with dashes or underscores.", slugs()),
        (_, "sha") => ("commit", "The commit's whole hash.", text()),
        (_, "reference") => {
            ("issue", "The issue as people call it, `ABC-12`; `#12` is written as `%2312`.", text())
        }
        (_, "event_id") => ("event", "The event's id, percent-encoded.", text()),
        (_, "delivery_id") => ("delivery", "The delivery's number.", number()),
        _ => panic!("{{{name}}} in {path} has no description"),
    };
    let parameter = ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(description))
        .schema(Some(schema));
    (key, parameter.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_positive() {
        let number =
            |text: &str| PathParams([("number".to_owned(), text.to_owned())].into()).number("number");
        assert_eq!(number("7"), Some(7));
        for none in ["", "0", "-1", "+1", "x", "1.0", "9223372036854775808", "\u{661}"] {
            assert_eq!(number(none), None, "{none}");
        }
        assert_eq!(PathParams::default().number("number"), None);
    }
}

//! The parameters in a request's path: `id`, `slug`, `delivery_id`.

use std::collections::HashMap;
use std::convert::Infallible;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

/// The decoded parameters, by name. A path that can't be decoded has none, and so names nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct PathParams(HashMap<String, String>);

impl PathParams {
    pub(super) fn id(&self) -> &str {
        self.text("id")
    }

    pub(super) fn slug(&self) -> &str {
        self.text("slug")
    }

    /// A number from one up; `None` where the text is not such a number.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
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

//! The parts of a path that differ: `:id`, `:slug`, a delivery's number.

use std::collections::HashMap;
use std::convert::Infallible;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

/// The parts, by name and decoded. A path that can't be decoded has none, and names nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Segments(HashMap<String, String>);

impl Segments {
    pub(super) fn id(&self) -> &str {
        self.text("id")
    }

    pub(super) fn slug(&self) -> &str {
        self.text("slug")
    }

    /// A number that counts from one; `None` is what can't be one.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        let text = self.text(name);
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number| is_number && *number > 0)
    }

    fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Segments {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let path = Path::<HashMap<String, String>>::from_request_parts(parts, state).await;
        Ok(Self(path.map(|Path(segments)| segments).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_from_one() {
        let number = |text: &str| Segments([("number".to_owned(), text.to_owned())].into()).number("number");
        assert_eq!(number("7"), Some(7));
        for none in ["", "0", "-1", "+1", "x", "1.0", "9223372036854775808", "\u{661}"] {
            assert_eq!(number(none), None, "{none}");
        }
        assert_eq!(Segments::default().number("number"), None);
    }
}

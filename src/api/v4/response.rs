//! Helpers for successful answers.

use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value as Json;

use super::ApiError;
use super::params::{Invalid, Params};

/// JSON text, whose keys keep their order.
pub(super) fn json_text(status: StatusCode, text: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// JSON whose keys need no order.
pub(super) fn json(status: StatusCode, json: &Json) -> Response {
    json_text(status, json.to_string())
}

/// Which page of a list is requested: at most `limit` items with ids below `before`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) before: Option<i64>,
    pub(super) limit: usize,
}

impl Page {
    /// GitLab's page sizes: 20 unless `per_page` says otherwise, and at most 100.
    pub(super) fn read(params: &Params) -> Result<Self, ApiError> {
        let mut complaints = Vec::new();
        let mut number = |name: &str| {
            let read = params.integer(name).and_then(|number| match number {
                Some(number) if number < 1 => Err(Invalid),
                number => Ok(number),
            });
            read.unwrap_or_else(|Invalid| {
                complaints.push(format!("{name} is invalid"));
                None
            })
        };
        let (before, per_page) = (number("before"), number("per_page"));
        if !complaints.is_empty() {
            return Err(ApiError::InvalidParams(complaints));
        }
        let limit = usize::try_from(per_page.unwrap_or(20)).unwrap_or(usize::MAX).min(100);
        Ok(Self { before, limit })
    }

    /// The page, with a `Link` to the next one where this one is full. `numbers` are the ids of its items.
    pub(super) fn answer(self, uri: &Uri, items: &[Json], numbers: impl Iterator<Item = i64>) -> Response {
        let mut response = json(StatusCode::OK, &Json::Array(items.to_vec()));
        if let Some(last) = numbers.last().filter(|_| items.len() >= self.limit) {
            let next = format!("<{}?before={last}&per_page={}>; rel=\"next\"", uri.path(), self.limit);
            if let Ok(value) = HeaderValue::from_str(&next) {
                response.headers_mut().insert(header::LINK, value);
            }
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> Result<(Option<i64>, usize), ApiError> {
        Page::read(&Params::of_query(query).unwrap()).map(|page| (page.before, page.limit))
    }

    #[test]
    fn pages_have_twenty_items_by_default_and_a_hundred_at_most() {
        assert_eq!(page(""), Ok((None, 20)));
        assert_eq!(page("before=7&per_page=5"), Ok((Some(7), 5)));
        assert_eq!(page("per_page=1000000000000"), Ok((None, 100)));
        let both = vec!["before is invalid".to_owned(), "per_page is invalid".to_owned()];
        assert_eq!(page("before=x&per_page=0"), Err(ApiError::InvalidParams(both)));
    }

    #[test]
    fn a_full_page_names_the_next() {
        let page = Page { before: None, limit: 2 };
        let uri: Uri = "/api/v4/audit_events?private_token=s3cret".parse().unwrap();
        let full = page.answer(&uri, &[Json::Null, Json::Null], [9, 8].into_iter());
        assert_eq!(full.headers()["link"], "</api/v4/audit_events?before=8&per_page=2>; rel=\"next\"");
        let last = page.answer(&uri, &[Json::Null], [7].into_iter());
        assert!(last.headers().get("link").is_none());
    }
}

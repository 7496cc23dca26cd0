//! Lists with several pages, as GitLab serves them: `per_page` items, and a `Link` to the next page.

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::Type;
use utoipa::openapi::{ObjectBuilder, path::ParameterBuilder};

use super::params::{Invalid, Params};
use crate::api::error::ApiError;

const DEFAULT_SIZE: i64 = 20;
/// The most items of a page.
pub(super) const MAX_SIZE: usize = 100;

/// Which page of a list is requested: at most `limit` items with ids below `before`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageRequest {
    pub(super) before: Option<i64>,
    pub(super) limit: usize,
}

impl PageRequest {
    /// # Errors
    /// `before` or `per_page` is not a positive number, or the query counts pages.
    pub(super) fn read(params: &Params) -> Result<Self, ApiError> {
        if positive(params, "page").is_ok_and(|page| page.is_some_and(|page| page > 1)) {
            // The same items again would look like the next page.
            let why = "page is not supported: follow the `Link` header, or send before=ID".to_owned();
            return Err(ApiError::InvalidParams(vec![why]));
        }
        match (positive(params, "before"), size(params)) {
            (Ok(before), Ok(limit)) => Ok(Self { before, limit }),
            (before, limit) => {
                let complaints = [before.err(), limit.err()];
                Err(ApiError::InvalidParams(complaints.into_iter().flatten().collect()))
            }
        }
    }

    /// The page with these items, each with its id; it names the next page where this one is full.
    pub(super) fn of<T>(self, uri: &Uri, items: impl Iterator<Item = (i64, T)>) -> Page<T> {
        let (ids, items): (Vec<i64>, Vec<T>) = items.unzip();
        let last = ids.last().map(ToString::to_string);
        Page::of(uri, self.limit, items, last.as_deref())
    }
}

/// The number of items of a page, or the error in it.
pub(super) fn size(params: &Params) -> Result<usize, String> {
    let per_page = positive(params, "per_page")?.unwrap_or(DEFAULT_SIZE);
    Ok(usize::try_from(per_page).unwrap_or(usize::MAX).min(MAX_SIZE))
}

fn positive(params: &Params, name: &str) -> Result<Option<i64>, String> {
    let read = params.integer(name).and_then(|number| match number {
        Some(number) if number < 1 => Err(Invalid),
        number => Ok(number),
    });
    read.map_err(|Invalid| format!("{name} is invalid"))
}

/// The parameters of a query that do not name a page, as they were sent, and ready for more.
fn others(query: &str) -> String {
    let is_of_page = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        // A token in an address would be in the next one too.
        !matches!(name, "before" | "page" | "per_page" | "private_token" | "access_token" | "")
    };
    query.split('&').filter(is_of_page).flat_map(|pair| [pair, "&"]).collect()
}

/// One page of a list, newest first.
pub(super) struct Page<T> {
    items: Vec<T>,
    /// The value of the `Link` header.
    next: Option<String>,
}

impl<T> Page<T> {
    /// The page with these items. `last` is the name of the last item. The page has a link to the next one if it is
    /// full.
    pub(super) fn of(uri: &Uri, limit: usize, items: Vec<T>, last: Option<&str>) -> Self {
        let filters = others(uri.query().unwrap_or_default());
        let next = last.filter(|_| items.len() >= limit).map(|last| {
            let last: String = url::form_urlencoded::byte_serialize(last.as_bytes()).collect();
            format!("<{}?{filters}before={last}&per_page={limit}>; rel=\"next\"", uri.path())
        });
        Self { items, next }
    }
}

impl<T: Serialize> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        let link = self.next.and_then(|next| HeaderValue::from_str(&next).ok());
        let headers: HeaderMap = link.map(|link| (header::LINK, link)).into_iter().collect();
        (headers, Json(self.items)).into_response()
    }
}

/// The description of an optional parameter of the query.
pub(super) fn query_parameter(name: &str, description: &str, schema: ObjectBuilder) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .description(Some(description))
        .schema(Some(schema.build()))
        .build()
}

impl IntoParams for PageRequest {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let number = || ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
        let before = "Only items with ids below this number: the page after the one that ended with it.";
        vec![query_parameter("before", before, number()), size_parameter()]
    }
}

/// The description of `per_page`.
pub(super) fn size_parameter() -> Parameter {
    let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
    let per_page = "How many items a page has; more than 100 count as 100.";
    query_parameter("per_page", per_page, number.default(Some(DEFAULT_SIZE.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> Result<(Option<i64>, usize), ApiError> {
        PageRequest::read(&Params::of_query(query).unwrap()).map(|page| (page.before, page.limit))
    }

    #[test]
    fn pages_have_twenty_items_by_default_and_a_hundred_at_most() {
        assert_eq!(page("page=1"), Ok((None, 20)));
        let counted = "page is not supported: follow the `Link` header, or send before=ID".to_owned();
        assert_eq!(page("page=2"), Err(ApiError::InvalidParams(vec![counted])));
        assert_eq!(page(""), Ok((None, 20)));
        assert_eq!(page("before=7&per_page=5"), Ok((Some(7), 5)));
        assert_eq!(page("per_page=1000000000000"), Ok((None, 100)));
        let both = vec!["before is invalid".to_owned(), "per_page is invalid".to_owned()];
        assert_eq!(page("before=x&per_page=0"), Err(ApiError::InvalidParams(both)));
    }

    #[test]
    fn a_full_page_names_the_next() {
        let page = PageRequest { before: None, limit: 2 };
        let uri: Uri = "/api/v4/audit_events?private_token=s3cret".parse().unwrap();
        let full = page.of(&uri, [(9, "a"), (8, "b")].into_iter()).into_response();
        assert_eq!(full.headers()["link"], "</api/v4/audit_events?before=8&per_page=2>; rel=\"next\"");
        let last = page.of(&uri, [(7, "a")].into_iter()).into_response();
        assert!(last.headers().get("link").is_none());
    }
}

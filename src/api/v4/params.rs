//! The parameters of a request: its query and its body together.
//!
//! JSON, forms and multipart forms all become [`Params`]: names with simple values. For any other value than a simple
//! one or a list of simple ones, only its presence is kept, so that a request takes no more memory than its body. If
//! several parameters have the same name, the last one counts, and the body takes precedence over the query.

mod form;
mod json;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::FromRequest;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};

use super::ApiError;
use crate::settings::{Value, read_bool};

/// The largest body of an API request. Events have a limit of their own.
pub(in crate::api) const BODY_LIMIT: usize = 1024 * 1024;
/// The most parameters of a request, and the most items of a list; far more than any integration has.
const MAX_COUNT: usize = 1000;

/// One parameter's value.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Param {
    Null,
    Simple(Value),
    List(Vec<String>),
    /// An object, a list of lists or a file, which no parameter takes.
    Other,
}

/// A request's parameters.
#[derive(Clone, Default, PartialEq, Eq)]
pub(in crate::api) struct Params(BTreeMap<String, Param>);

/// Values may be tokens and webhooks, so only names are shown.
impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A parameter has the wrong type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) struct Invalid;

impl Params {
    /// The parameters of a query.
    pub(in crate::api) fn of_query(query: &str) -> Result<Self, ApiError> {
        let mut params = Self::default();
        form::read(query.as_bytes(), &mut params)?;
        Ok(params)
    }

    /// Adds the parameters of a body. A body without a content type is read as a form, as GitLab does.
    pub(in crate::api) async fn add_body(
        &mut self,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<(), ApiError> {
        if body.is_empty() {
            return Ok(());
        }
        let kind = headers.get(header::CONTENT_TYPE);
        let kind = kind.map_or("application/x-www-form-urlencoded", |kind| kind.to_str().unwrap_or_default());
        let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/x-www-form-urlencoded" => form::read(&body, self),
            "multipart/form-data" => form::read_multipart(kind, body, self).await,
            json if json == "application/json" || json.ends_with("+json") => json::read(&body, self),
            _ => Err(ApiError::UnsupportedType(essence.chars().take(60).collect())),
        }
    }

    /// The text of a parameter; `None` where it was not sent, or is null.
    pub(in crate::api) fn text(&self, name: &str) -> Result<Option<String>, Invalid> {
        match self.get(name) {
            None | Some(Param::Null) => Ok(None),
            Some(Param::Simple(value)) => Ok(Some(value.as_text())),
            Some(Param::List(_) | Param::Other) => Err(Invalid),
        }
    }

    /// All parameters with simple values, as texts.
    pub(in crate::api) fn form(&self) -> BTreeMap<String, String> {
        let text = |(name, param): (&String, &Param)| match param {
            Param::Simple(value) => Some((name.clone(), value.as_text())),
            Param::Null | Param::List(_) | Param::Other => None,
        };
        self.0.iter().filter_map(text).collect()
    }

    /// As [`Params::text`], with GitLab's many spellings of true and false. Blank counts as not sent.
    pub(super) fn boolean(&self, name: &str) -> Result<Option<bool>, Invalid> {
        match self.get(name) {
            None | Some(Param::Null) => Ok(None),
            Some(Param::Simple(value)) if is_blank(value) => Ok(None),
            Some(Param::Simple(value)) => read_bool(value).map(Some).ok_or(Invalid),
            Some(Param::List(_) | Param::Other) => Err(Invalid),
        }
    }

    /// As [`Params::text`]. Blank counts as not sent.
    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>, Invalid> {
        match self.get(name) {
            None | Some(Param::Null) => Ok(None),
            Some(Param::Simple(value)) if is_blank(value) => Ok(None),
            Some(Param::Simple(Value::Integer(number))) => Ok(Some(*number)),
            Some(Param::Simple(Value::Text(text))) => text.trim().parse().map(Some).map_err(|_| Invalid),
            Some(_) => Err(Invalid),
        }
    }

    /// A list of texts, sent as one (`name[]=a&name[]=b`, `["a", "b"]`) or as a text with commas.
    pub(super) fn list(&self, name: &str) -> Result<Option<Vec<String>>, Invalid> {
        match self.get(name) {
            None | Some(Param::Null) => Ok(None),
            Some(Param::List(items)) => Ok(Some(items.clone())),
            Some(Param::Simple(Value::Text(text))) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Ok(Some(items.map(str::to_owned).collect()))
            }
            Some(Param::Simple(_) | Param::Other) => Err(Invalid),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Param> {
        self.0.get(name)
    }

    /// The names of all parameters that were sent.
    pub(in crate::api) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The parameters without blank texts, which a form sends for empty fields.
    pub(in crate::api) fn without_blanks(mut self) -> Self {
        self.0.retain(|_, param| !matches!(param, Param::Simple(value) if is_blank(value)));
        self
    }

    /// The parameters without those of these names.
    pub(in crate::api) fn without<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        names.into_iter().for_each(|name| drop(self.0.remove(name)));
        self
    }

    /// The parameters with this one set to null.
    pub(in crate::api) fn with_null(mut self, name: &str) -> Self {
        self.0.insert(name.to_owned(), Param::Null);
        self
    }

    /// Whether the parameter was sent, blank or not.
    pub(in crate::api) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn put(&mut self, name: String, value: Param) -> Result<(), ApiError> {
        // PostgreSQL can't store null bytes, and no setting needs them.
        let null = |text: &str| text.contains('\0');
        let has_null = null(&name)
            || match &value {
                Param::Simple(Value::Text(text)) => null(text),
                Param::List(items) => items.iter().any(|item| null(item)),
                _ => false,
            };
        if has_null {
            return Err(ApiError::Unreadable("a parameter holds a null byte".to_owned()));
        }
        if self.0.len() >= MAX_COUNT && !self.0.contains_key(&name) {
            return Err(too_many());
        }
        self.0.insert(name, value);
        Ok(())
    }
}

pub(super) fn is_blank(value: &Value) -> bool {
    matches!(value, Value::Text(text) if text.trim().is_empty())
}

fn too_many() -> ApiError {
    ApiError::Unreadable(format!("there are more than {MAX_COUNT} parameters"))
}

fn not_utf8() -> ApiError {
    ApiError::Unreadable("the parameters are not valid UTF-8".to_owned())
}

/// The whole body, within its time and within [`BODY_LIMIT`], which the router's layer sets.
pub(in crate::api) async fn read_body(
    parts: &Parts,
    body: Body,
    timeout: Duration,
) -> Result<Bytes, ApiError> {
    let has_none = matches!(parts.method, Method::GET | Method::HEAD);
    if has_none {
        return Ok(Bytes::new());
    }
    // A body that is announced as too large is refused before it is sent.
    let announced =
        parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > BODY_LIMIT as u64) {
        return Err(ApiError::BodyTooLarge { limit: BODY_LIMIT, setting: None });
    }
    let mut request = Request::new(body);
    *request.headers_mut() = parts.headers.clone();
    *request.extensions_mut() = parts.extensions.clone();
    match tokio::time::timeout(timeout, Bytes::from_request(request, &())).await {
        Err(_) => Err(ApiError::BodyTooSlow(timeout)),
        Ok(Ok(body)) => Ok(body),
        Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Err(ApiError::BodyTooLarge { limit: BODY_LIMIT, setting: None })
        }
        Ok(Err(_)) => Err(ApiError::BodyIncomplete),
    }
}

#[cfg(test)]
mod tests;

//! The shape of every refusal: `{"error": …}` where the request itself is wrong, `{"message": …}` where we are.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::v4::Refusal;
use crate::store::StoreError;

/// Seconds after which a sender may try again while the store is away.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ApiError {
    #[error("404 Not Found")]
    NoSuchRoute,
    #[error("405 Method Not Allowed")]
    NoSuchMethod,
    #[error("the header X-Gitlab-Token is missing or wrong")]
    Unauthorized,
    #[error(
        "this token does not reach the event's project or group, or that is not known by this path: a token of the instance can tell it, by an event or by PUT /api/v4/projects/:id"
    )]
    NotReached,
    /// A token of the API does not do.
    #[error("the token is refused")]
    Refused(Refusal),
    #[error("the content type is `{0}`; events are application/json")]
    NotJson(String),
    #[error("the body is larger than {0} bytes (http.body_limit)")]
    TooLarge(usize),
    #[error("the body did not arrive within {0:?} (http.body_timeout)")]
    TooSlow(std::time::Duration),
    #[error("the body broke off")]
    BrokenOff,
    /// The bytes are no event; they are in quarantine, with this reason.
    #[error("{0}")]
    NoEvent(String),
    #[error("the store is away: {0}; nothing was kept, send it again")]
    Away(String),
}

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            Self::NoSuchRoute => StatusCode::NOT_FOUND,
            Self::NoSuchMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::NotReached | Self::Refused(_) => StatusCode::FORBIDDEN, // what is refused answers for itself
            Self::NotJson(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::BrokenOff | Self::NoEvent(_) => StatusCode::BAD_REQUEST,
            Self::Away(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What is left of the body can't be told from a next request: the connection ends with the answer.
    fn ends_connection(&self) -> bool {
        matches!(self, Self::TooLarge(_) | Self::TooSlow(_) | Self::BrokenOff)
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::Away(error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if let Self::Refused(refusal) = self {
            return refusal.into_response();
        }
        let key = if matches!(self, Self::Away(_)) { "message" } else { "error" };
        let mut response = (self.status(), Json(json!({ key: self.to_string() }))).into_response();
        if matches!(self, Self::Away(_)) {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        if self.ends_connection() {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

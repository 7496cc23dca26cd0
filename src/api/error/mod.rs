//! Every error that the HTTP server answers with: its status, its JSON and its headers.
//!
//! Errors in the request itself (parameters, tokens, routes, bodies) are under `error`; errors about the requested
//! objects are under `message`, as GitLab's clients expect. No error repeats a sent value, because it may be a secret.
//! [`responses`] describes the answers for OpenAPI.

pub(super) mod responses;

use std::fmt::Write as _;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::webhook_signature::BadSignature;
use crate::catalog::{ChangeError, InvalidChange};
use crate::settings::FieldError;
use crate::store::StoreError;

/// The realm in `WWW-Authenticate`; GitLab's word.
const REALM: &str = "The API";
/// How long a client should wait before it tries again while the store is unavailable.
const STORE_RETRY_AFTER: Duration = Duration::from_secs(5);

/// How long a client should wait while the server has no place or memory for it. These become free within seconds.
const NO_ROOM_RETRY_AFTER: Duration = Duration::from_secs(2);

const EXPIRED: &str = "Token is expired. You can either do re-authorization or token refresh.";
const REVOKED: &str = "Token was revoked. You have to re-authorize from the user.";
const INSUFFICIENT: &str = "The request requires higher privileges than provided by the access token.";
const UNKNOWN: &str = "Bad Access Token.";
const NOT_REACHED: &str = "this token does not reach the event's project or group, or that is not known by this path: a \
     token of the instance can tell it, by an event or by PUT /api/v4/projects/:id";

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ApiError {
    /// Parameters are missing or of the wrong type, each with a message: `webhook is missing`.
    InvalidParams(Vec<String>),
    /// The query or the body can't be parsed at all.
    Unreadable(String),
    /// There is no adapter with this slug.
    UnknownSlug,
    /// The parameters are well-formed, but the settings that they make are not valid.
    InvalidSettings(Vec<FieldError>),
    /// `use_inherited_settings` was set, but no group above and no instance has settings to inherit.
    NoDefault,
    /// The token is missing or unknown. `bearer`: it came as `Authorization: Bearer`.
    Unauthorized {
        bearer: bool,
    },
    TokenExpired,
    TokenRevoked,
    /// The token has too few rights; any of these scopes is enough.
    InsufficientScope(&'static str),
    /// The token may see what the request names, but may not change it.
    Forbidden,
    /// `404 Project Not Found` and so on; also if the object exists but the token may not see it.
    NotFound(Missing),
    NoSuchRoute,
    /// The route has no such method; the text, which differs between GitLab's API and the other routes.
    NoSuchMethod(&'static str),
    /// The object can't be changed here, or not now.
    Conflict(String),
    /// The object changed after the moment in `If-Unmodified-Since`.
    Modified,
    /// The request is understood, but can't be carried out.
    Unprocessable(String),
    /// Too many wrong tokens came from this address; the time that it has to wait.
    TooManyAttempts(Duration),
    /// The content type of parameters is not supported.
    UnsupportedType(String),
    BodyTooLarge {
        limit: usize,
        /// The setting that holds the limit, where there is one.
        setting: Option<&'static str>,
    },
    BodyTooSlow(Duration),
    BodyIncomplete,
    /// The store is unavailable. The change may have been written nevertheless. Repeating the request is safe.
    StoreUnavailable,
    /// There is no room for the connection or the request, for this reason.
    NoRoom(&'static str),
    /// A bug or a damaged store. The log has the reason.
    Internal,
    /// `X-Gitlab-Token` is missing or wrong.
    WrongWebhookToken,
    /// An event is signed, but not validly.
    BadSignature(BadSignature),
    /// The token does not reach the event's project or group.
    EventNotReached,
    /// An event came with a content type that is not JSON.
    EventNotJson(String),
    /// The body is not an event; it is in quarantine, with this reason.
    NotAnEvent(String),
    /// The store did not confirm that it has the event, for this reason.
    EventNotStored(String),
    /// A report of alerts has more bytes than this.
    AlertsTooLarge(usize),
    /// The project's alerts endpoint is switched off.
    AlertsNotActive,
}

/// What was not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    Project,
    Group,
    Integration,
    Delivery,
    Event,
    Quarantined,
    ExternalTracker,
    ExternalIssue,
}

impl Missing {
    const fn name(self) -> &'static str {
        match self {
            Self::Project => "Project",
            Self::Group => "Group",
            Self::Integration => "Integration",
            Self::Delivery => "Delivery",
            Self::Event => "Event",
            Self::Quarantined => "Quarantined Message",
            Self::ExternalTracker => "External Issue Tracker",
            Self::ExternalIssue => "External Issue",
        }
    }
}

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            Self::InvalidParams(_)
            | Self::Unreadable(_)
            | Self::UnknownSlug
            | Self::BodyIncomplete
            | Self::InvalidSettings(_)
            | Self::NoDefault
            | Self::NotAnEvent(_)
            | Self::AlertsTooLarge(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized { .. }
            | Self::TokenExpired
            | Self::TokenRevoked
            | Self::WrongWebhookToken
            | Self::BadSignature(_) => StatusCode::UNAUTHORIZED,
            Self::InsufficientScope(_) | Self::Forbidden | Self::EventNotReached | Self::AlertsNotActive => {
                StatusCode::FORBIDDEN
            }
            Self::NotFound(_) | Self::NoSuchRoute => StatusCode::NOT_FOUND,
            Self::NoSuchMethod(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Modified => StatusCode::PRECONDITION_FAILED,
            Self::Unprocessable(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooManyAttempts(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::UnsupportedType(_) | Self::EventNotJson(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::StoreUnavailable | Self::EventNotStored(_) | Self::NoRoom(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn body(&self) -> Value {
        let error = |text: &str| json!({ "error": text });
        let message = |text: &str| json!({ "message": text });
        let token = |why: &str| json!({ "error": "invalid_token", "error_description": why });
        match self {
            Self::InvalidParams(complaints) => error(&complaints.join(", ")),
            Self::Unreadable(why) | Self::NotAnEvent(why) => error(why),
            Self::UnknownSlug => error("slug does not have a valid value"),
            Self::InvalidSettings(errors) => {
                message(&format!("Failed to update integration. {}", ruby_hash(errors)))
            }
            Self::NoDefault => message("Default integration not found."),
            Self::Unauthorized { .. } => message("401 Unauthorized"),
            Self::TokenExpired => token(EXPIRED),
            Self::TokenRevoked => token(REVOKED),
            Self::InsufficientScope(scope) => {
                json!({ "error": "insufficient_scope", "error_description": INSUFFICIENT, "scope": scope })
            }
            Self::Forbidden => message("403 Forbidden"),
            Self::NotFound(what) => message(&format!("404 {} Not Found", what.name())),
            Self::NoSuchRoute => error("404 Not Found"),
            Self::NoSuchMethod(text) => error(text),
            Self::Conflict(why) => message(&format!("409 Conflict: {why}")),
            Self::Modified => message("412 Precondition Failed"),
            Self::Unprocessable(why) => message(why),
            Self::TooManyAttempts(_) => message("429 Too Many Requests"),
            Self::UnsupportedType(given) => {
                error(&format!("The provided content-type '{given}' is not supported."))
            }
            Self::BodyTooLarge { limit, setting } => {
                let setting = setting.map(|name| format!(" ({name})")).unwrap_or_default();
                error(&format!("the body is larger than {limit} bytes{setting}"))
            }
            Self::BodyTooSlow(timeout) => {
                error(&format!("the body did not arrive within {timeout:?} (http.body_timeout)"))
            }
            Self::BodyIncomplete => error("the body is incomplete"),
            Self::StoreUnavailable => message("503 Service Unavailable: the store is unavailable; try again"),
            Self::NoRoom(why) => message(&format!("503 Service Unavailable: {why}; try again")),
            Self::Internal => message("500 Internal Server Error"),
            Self::WrongWebhookToken => error("the header X-Gitlab-Token is missing or wrong"),
            Self::BadSignature(why) => error(&format!("the webhook's signature is refused: {why}")),
            Self::EventNotReached => error(NOT_REACHED),
            Self::EventNotJson(given) => {
                error(&format!("the content type is `{given}`; events are application/json"))
            }
            Self::AlertsTooLarge(limit) => message(&format!("the report is larger than {limit} bytes")),
            Self::AlertsNotActive => message("403 Forbidden: the project's alerts endpoint is switched off"),
            Self::EventNotStored(why) => message(&format!("{why}; the event was not stored, send it again")),
        }
    }

    /// The reason alone, for people.
    pub(super) fn words(&self) -> String {
        let body = self.body();
        let text = ["error_description", "message", "error"].into_iter().find_map(|key| body[key].as_str());
        text.unwrap_or_default().to_owned()
    }

    fn headers(&self) -> Vec<(HeaderName, String)> {
        let challenge = |why: &str| (header::WWW_AUTHENTICATE, format!("Bearer realm=\"{REALM}\"{why}"));
        let invalid =
            |why: &str| challenge(&format!(", error=\"invalid_token\", error_description=\"{why}\""));
        let retry_after = |wait: Duration| (header::RETRY_AFTER, (wait.as_secs().max(1)).to_string());
        match self {
            Self::Unauthorized { bearer: false } => vec![challenge("")],
            Self::Unauthorized { bearer: true } => vec![invalid(UNKNOWN)],
            Self::TokenExpired => vec![invalid(EXPIRED)],
            Self::TokenRevoked => vec![invalid(REVOKED)],
            Self::TooManyAttempts(wait) => vec![retry_after(*wait)],
            Self::StoreUnavailable | Self::EventNotStored(_) => vec![retry_after(STORE_RETRY_AFTER)],
            Self::NoRoom(_) => {
                vec![retry_after(NO_ROOM_RETRY_AFTER), (header::CONNECTION, "close".to_owned())]
            }
            // The unread rest of the body can't be distinguished from the next request, so the connection is closed
            // after the answer.
            Self::BodyTooLarge { .. }
            | Self::BodyTooSlow(_)
            | Self::BodyIncomplete
            | Self::AlertsTooLarge(_) => {
                vec![(header::CONNECTION, "close".to_owned())]
            }
            _ => Vec::new(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status(), Json(self.body())).into_response();
        for (name, value) in self.headers() {
            let value =
                HeaderValue::from_str(&value).expect("these texts are constants and numbers in plain ASCII");
            response.headers_mut().append(name, value);
        }
        response
    }
}

impl From<StoreError> for ApiError {
    /// The store's own text names files and hosts: it goes to the log, not to the client.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(why) => {
                tracing::warn!(why, "the store is unavailable; an API request was refused with 503");
                Self::StoreUnavailable
            }
            StoreError::Refused(why) => {
                tracing::error!(
                    why,
                    "the store does not take a value of an API request; it was refused with 422"
                );
                Self::Unprocessable("the store does not take a value of this request: shorten it".to_owned())
            }
            StoreError::Broken(why) => {
                tracing::error!(why, "the store is broken; an API request failed with 500");
                Self::Internal
            }
        }
    }
}

impl From<ChangeError> for ApiError {
    fn from(refusal: ChangeError) -> Self {
        match refusal {
            ChangeError::NeverConfigured => Self::NotFound(Missing::Integration),
            ChangeError::Provisioned(_) | ChangeError::Contended => Self::Conflict(refusal.to_string()),
            ChangeError::ChangedSince => Self::Modified,
            ChangeError::Invalid(InvalidChange::NoDefault) => Self::NoDefault,
            ChangeError::Invalid(InvalidChange::Settings(errors)) => Self::InvalidSettings(errors),
            ChangeError::Store(error) => error.into(),
        }
    }
}

/// `{:webhook=>["can't be blank", "must be a valid URL"]}`: the text that GitLab 17 and later show, and that clients
/// search for parts of. Older versions answered `400 Bad Request` without a reason.
fn ruby_hash(errors: &[FieldError]) -> String {
    let mut fields: Vec<&str> = Vec::new();
    for error in errors {
        if !fields.contains(&error.field.as_str()) {
            fields.push(&error.field);
        }
    }
    let problems = |field: &str| {
        let of_field = errors.iter().filter(|error| error.field == field);
        of_field.map(|error| ruby_text(model_text(&error.problem))).collect::<Vec<_>>().join(", ")
    };
    let pairs = fields.into_iter().map(|field| format!(":{field}=>[{}]", problems(field)));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
}

/// GitLab's models call a missing value blank.
fn model_text(problem: &str) -> &str {
    if problem == "is missing" { "can't be blank" } else { problem }
}

fn ruby_text(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(character);
            }
            '\n' => quoted.push_str("\\n"),
            control if control.is_control() => {
                let _ = write!(quoted, "\\u{{{:x}}}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answer(refusal: ApiError) -> (u16, axum::http::HeaderMap, Value) {
        let response = refusal.into_response();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        (parts.status.as_u16(), parts.headers, serde_json::from_slice(&body).unwrap())
    }

    async fn assert_answer(refusal: ApiError, status: u16, body: Value) {
        let (given_status, headers, given_body) = answer(refusal).await;
        assert_eq!((given_status, given_body), (status, body));
        assert_eq!(headers["content-type"], "application/json");
    }

    #[tokio::test]
    async fn malformed_requests_are_answered_under_error_with_every_message() {
        let two = ApiError::InvalidParams(vec!["token is missing".into(), "room is missing".into()]);
        assert_answer(two, 400, json!({ "error": "token is missing, room is missing" })).await;
        let slug = json!({ "error": "slug does not have a valid value" });
        assert_answer(ApiError::UnknownSlug, 400, slug).await;
        assert_answer(ApiError::NoSuchRoute, 404, json!({ "error": "404 Not Found" })).await;
        assert_answer(ApiError::NoSuchMethod("405 Not Allowed"), 405, json!({ "error": "405 Not Allowed" }))
            .await;
    }

    #[tokio::test]
    async fn impossible_requests_are_answered_under_message() {
        for (missing, message) in [
            (Missing::Project, "404 Project Not Found"),
            (Missing::Group, "404 Group Not Found"),
            (Missing::Integration, "404 Integration Not Found"),
        ] {
            assert_answer(ApiError::NotFound(missing), 404, json!({ "message": message })).await;
        }
        assert_answer(ApiError::Forbidden, 403, json!({ "message": "403 Forbidden" })).await;
        assert_answer(ApiError::Modified, 412, json!({ "message": "412 Precondition Failed" })).await;
        let no_default = json!({ "message": "Default integration not found." });
        assert_answer(ApiError::NoDefault, 400, no_default).await;
        let conflict = ApiError::Conflict("it is configured in ops.toml".into());
        let expected = json!({ "message": "409 Conflict: it is configured in ops.toml" });
        assert_answer(conflict, 409, expected).await;
    }

    #[tokio::test]
    async fn invalid_settings_are_reported_in_gitlabs_text() {
        let errors = vec![
            FieldError::new("webhook", "can't be blank"),
            FieldError::new("channel", "cannot have more than 10 channels"),
            FieldError::new("webhook", "must be a valid URL"),
        ];
        let expected = "Failed to update integration. {:webhook=>[\"can't be blank\", \"must be a valid URL\"], \
                    :channel=>[\"cannot have more than 10 channels\"]}";
        assert_answer(ApiError::InvalidSettings(errors), 400, json!({ "message": expected })).await;
        let missing = ApiError::InvalidSettings(vec![FieldError::new("webhook", "is missing")]);
        let expected = "Failed to update integration. {:webhook=>[\"can't be blank\"]}";
        assert_answer(missing, 400, json!({ "message": expected })).await;
    }

    #[test]
    fn quotes_and_line_breaks_in_a_problem_are_escaped() {
        assert_eq!(ruby_text("say \"hi\"\n\\ \u{7}"), r#""say \"hi\"\n\\ \u{7}""#);
    }

    #[tokio::test]
    async fn every_401_says_how_to_authenticate_and_a_bearer_gets_the_reason() {
        let plain = answer(ApiError::Unauthorized { bearer: false }).await;
        assert_eq!((plain.0, plain.2), (401, json!({ "message": "401 Unauthorized" })));
        assert_eq!(plain.1["www-authenticate"], "Bearer realm=\"The API\"");
        let (_, headers, body) = answer(ApiError::Unauthorized { bearer: true }).await;
        assert_eq!(body, json!({ "message": "401 Unauthorized" }));
        let challenge =
            "Bearer realm=\"The API\", error=\"invalid_token\", error_description=\"Bad Access Token.\"";
        assert_eq!(headers["www-authenticate"], challenge);
        let expired = json!({
            "error": "invalid_token",
            "error_description": "Token is expired. You can either do re-authorization or token refresh.",
        });
        assert_answer(ApiError::TokenExpired, 401, expired).await;
        let revoked = json!({
            "error": "invalid_token",
            "error_description": "Token was revoked. You have to re-authorize from the user.",
        });
        assert_answer(ApiError::TokenRevoked, 401, revoked).await;
        let scope = json!({
            "error": "insufficient_scope",
            "error_description": "The request requires higher privileges than provided by the access token.",
            "scope": "api",
        });
        assert_answer(ApiError::InsufficientScope("api"), 403, scope).await;
    }

    #[tokio::test]
    async fn a_client_that_has_to_wait_gets_the_time() {
        let (status, headers, _) = answer(ApiError::TooManyAttempts(Duration::from_secs(17))).await;
        assert_eq!((status, &headers["retry-after"]), (429, &HeaderValue::from_static("17")));
        let (status, headers, _) = answer(ApiError::StoreUnavailable).await;
        assert_eq!((status, &headers["retry-after"]), (503, &HeaderValue::from_static("5")));
    }

    #[tokio::test]
    async fn a_connection_with_an_unread_body_is_closed() {
        for refusal in [
            ApiError::BodyTooLarge { limit: 9, setting: None },
            ApiError::BodyTooSlow(Duration::from_secs(1)),
            ApiError::BodyIncomplete,
        ] {
            let (_, headers, _) = answer(refusal.clone()).await;
            assert_eq!(headers["connection"], "close", "{refusal:?}");
        }
    }

    #[tokio::test]
    async fn the_stores_own_errors_are_not_shown_to_clients() {
        for error in [
            StoreError::Unavailable("postgres://secret-host".to_owned()),
            StoreError::Refused("index row size 3040 of secret-index".to_owned()),
            StoreError::Broken("secret-table".to_owned()),
        ] {
            let (_, _, body) = answer(error.into()).await;
            assert!(!body.to_string().contains("secret"), "{body}");
        }
    }
}

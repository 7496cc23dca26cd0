//! Every way in which `/api/v4` says no, in the words and shapes that GitLab's clients know.
//!
//! What is wrong with the request's form is told under `error` (parameters, routes, tokens); what is wrong with what it
//! asks for under `message`. Neither ever repeats a value that was sent: it may be a secret.

use std::fmt::Write as _;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::catalog::{self, Wrong};
use crate::settings::FieldError;
use crate::store::StoreError;

/// What `WWW-Authenticate` calls this place; GitLab's word.
const REALM: &str = "The API";
/// Seconds after which a client may try again while the store is away.
const AWAY_FOR: Duration = Duration::from_secs(5);

const EXPIRED: &str = "Token is expired. You can either do re-authorization or token refresh.";
const REVOKED: &str = "Token was revoked. You have to re-authorize from the user.";
const NOT_ENOUGH: &str = "The request requires higher privileges than provided by the access token.";
const UNKNOWN: &str = "Bad Access Token.";

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api) enum Refusal {
    /// Parameters that are missing or of the wrong type, each with its complaint: `webhook is missing`.
    Parameters(Vec<String>),
    /// Query or body can't be read at all.
    Unreadable(String),
    /// There is no adapter of this slug.
    UnknownSlug,
    /// The parameters are what they should be, and yet the integration can't be so.
    Model(Vec<FieldError>),
    /// `use_inherited_settings`, and nobody above has settings for it.
    NoDefault,
    /// No token, or none that we know. `bearer`: it came as `Authorization: Bearer`.
    Unauthorized {
        bearer: bool,
    },
    Expired,
    Revoked,
    /// The token's right is too small; the scopes that would do.
    InsufficientScope(&'static str),
    /// What it asks for is seen by its token, yet not its own to change.
    Forbidden,
    /// `404 Project Not Found` and its like. Also where it is there and not the asker's to see.
    NotFound(Missing),
    NoSuchRoute,
    NoSuchMethod,
    /// It can't be changed here, or not now.
    Conflict(String),
    /// It changed after the moment in `If-Unmodified-Since`.
    Modified,
    /// It is understood, and can't be done.
    Unprocessable(String),
    /// Too many wrong tokens from this address.
    TooManyTries(Duration),
    UnsupportedType(String),
    TooLarge(usize),
    TooSlow(Duration),
    BrokenOff,
    /// The store is away. Whether it took a change just before, nobody knows: asking again makes sure, and does no harm.
    Away,
    /// A mistake of ours. The log has it.
    Broken,
}

/// What is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum Missing {
    Project,
    Group,
    Integration,
    Delivery,
    Quarantined,
}

impl Missing {
    const fn name(self) -> &'static str {
        match self {
            Self::Project => "Project",
            Self::Group => "Group",
            Self::Integration => "Integration",
            Self::Delivery => "Delivery",
            Self::Quarantined => "Quarantined Message",
        }
    }
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Parameters(_) | Self::Unreadable(_) | Self::UnknownSlug | Self::BrokenOff => {
                StatusCode::BAD_REQUEST
            }
            Self::Model(_) | Self::NoDefault => StatusCode::BAD_REQUEST,
            Self::Unauthorized { .. } | Self::Expired | Self::Revoked => StatusCode::UNAUTHORIZED,
            Self::InsufficientScope(_) | Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound(_) | Self::NoSuchRoute => StatusCode::NOT_FOUND,
            Self::NoSuchMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Modified => StatusCode::PRECONDITION_FAILED,
            Self::Unprocessable(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooManyTries(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::UnsupportedType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Away => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn body(&self) -> Value {
        let error = |text: &str| json!({ "error": text });
        let message = |text: &str| json!({ "message": text });
        let token = |why: &str| json!({ "error": "invalid_token", "error_description": why });
        match self {
            Self::Parameters(complaints) => error(&complaints.join(", ")),
            Self::Unreadable(why) => error(why),
            Self::UnknownSlug => error("slug does not have a valid value"),
            Self::Model(errors) => message(&format!("Failed to update integration. {}", ruby_hash(errors))),
            Self::NoDefault => message("Default integration not found."),
            Self::Unauthorized { .. } => message("401 Unauthorized"),
            Self::Expired => token(EXPIRED),
            Self::Revoked => token(REVOKED),
            Self::InsufficientScope(scope) => {
                json!({ "error": "insufficient_scope", "error_description": NOT_ENOUGH, "scope": scope })
            }
            Self::Forbidden => message("403 Forbidden"),
            Self::NotFound(what) => message(&format!("404 {} Not Found", what.name())),
            Self::NoSuchRoute => error("404 Not Found"),
            Self::NoSuchMethod => error("405 Not Allowed"),
            Self::Conflict(why) => message(&format!("409 Conflict: {why}")),
            Self::Modified => message("412 Precondition Failed"),
            Self::Unprocessable(why) => message(why),
            Self::TooManyTries(_) => message("429 Too Many Requests"),
            Self::UnsupportedType(given) => {
                error(&format!("The provided content-type '{given}' is not supported."))
            }
            Self::TooLarge(most) => error(&format!("the body is larger than {most} bytes")),
            Self::TooSlow(patience) => {
                error(&format!("the body did not arrive within {patience:?} (http.body_timeout)"))
            }
            Self::BrokenOff => error("the body broke off"),
            Self::Away => message("503 Service Unavailable: the store is away; try again"),
            Self::Broken => message("500 Internal Server Error"),
        }
    }

    fn headers(&self) -> Vec<(HeaderName, String)> {
        let challenge = |why: &str| (header::WWW_AUTHENTICATE, format!("Bearer realm=\"{REALM}\"{why}"));
        let invalid =
            |why: &str| challenge(&format!(", error=\"invalid_token\", error_description=\"{why}\""));
        let after = |wait: Duration| (header::RETRY_AFTER, (wait.as_secs().max(1)).to_string());
        match self {
            Self::Unauthorized { bearer: false } => vec![challenge("")],
            Self::Unauthorized { bearer: true } => vec![invalid(UNKNOWN)],
            Self::Expired => vec![invalid(EXPIRED)],
            Self::Revoked => vec![invalid(REVOKED)],
            Self::TooManyTries(wait) => vec![after(*wait)],
            Self::Away => vec![after(AWAY_FOR)],
            // What is left of the body can't be told from a next request: the connection ends with the answer.
            Self::TooLarge(_) | Self::TooSlow(_) | Self::BrokenOff => {
                vec![(header::CONNECTION, "close".to_owned())]
            }
            _ => Vec::new(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status(), Json(self.body())).into_response();
        for (name, value) in self.headers() {
            let value = HeaderValue::from_str(&value).expect("these texts are ours, and plain ASCII");
            response.headers_mut().append(name, value);
        }
        response
    }
}

impl From<StoreError> for Refusal {
    /// The store's own words name files and hosts: they are the log's, not the caller's.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(why) => {
                tracing::warn!(why, "the store is away; a request of the API was refused");
                Self::Away
            }
            StoreError::Broken(why) => {
                tracing::error!(why, "the store is broken; a request of the API failed");
                Self::Broken
            }
        }
    }
}

impl From<catalog::Refusal> for Refusal {
    fn from(refusal: catalog::Refusal) -> Self {
        use catalog::Refusal as Why;
        match refusal {
            Why::NeverConfigured => Self::NotFound(Missing::Integration),
            Why::Provisioned(_) | Why::Contended => Self::Conflict(refusal.to_string()),
            Why::NoNumber(_) => Self::Unprocessable(refusal.to_string()),
            Why::ChangedSince => Self::Modified,
            Why::Wrong(Wrong::NoDefault) => Self::NoDefault,
            Why::Wrong(Wrong::Invalid(errors)) => Self::Model(errors),
            Why::Store(error) => error.into(),
        }
    }
}

/// `{:webhook=>["can't be blank", "must be a valid URL"]}`: the text that GitLab 17 and later show, which clients match
/// parts of. Those before said `400 Bad Request` and left people guessing.
fn ruby_hash(errors: &[FieldError]) -> String {
    let mut fields: Vec<&str> = Vec::new();
    for error in errors {
        if !fields.contains(&error.field.as_str()) {
            fields.push(&error.field);
        }
    }
    let problems = |field: &str| {
        let of_field = errors.iter().filter(|error| error.field == field);
        of_field.map(|error| ruby_text(model_words(&error.problem))).collect::<Vec<_>>().join(", ")
    };
    let pairs = fields.into_iter().map(|field| format!(":{field}=>[{}]", problems(field)));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
}

/// To a model nothing is missing; it is blank.
fn model_words(problem: &str) -> &str {
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

    async fn answer(refusal: Refusal) -> (u16, axum::http::HeaderMap, Value) {
        let response = refusal.into_response();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        (parts.status.as_u16(), parts.headers, serde_json::from_slice(&body).unwrap())
    }

    async fn assert_answer(refusal: Refusal, status: u16, body: Value) {
        let (given_status, headers, given_body) = answer(refusal).await;
        assert_eq!((given_status, given_body), (status, body));
        assert_eq!(headers["content-type"], "application/json");
    }

    #[tokio::test]
    async fn what_is_wrong_with_the_form_is_an_error_and_all_of_it_is_told() {
        let two = Refusal::Parameters(vec!["token is missing".into(), "room is missing".into()]);
        assert_answer(two, 400, json!({ "error": "token is missing, room is missing" })).await;
        let slug = json!({ "error": "slug does not have a valid value" });
        assert_answer(Refusal::UnknownSlug, 400, slug).await;
        assert_answer(Refusal::NoSuchRoute, 404, json!({ "error": "404 Not Found" })).await;
        assert_answer(Refusal::NoSuchMethod, 405, json!({ "error": "405 Not Allowed" })).await;
    }

    #[tokio::test]
    async fn what_is_wrong_with_the_matter_is_a_message() {
        for (missing, message) in [
            (Missing::Project, "404 Project Not Found"),
            (Missing::Group, "404 Group Not Found"),
            (Missing::Integration, "404 Integration Not Found"),
        ] {
            assert_answer(Refusal::NotFound(missing), 404, json!({ "message": message })).await;
        }
        assert_answer(Refusal::Forbidden, 403, json!({ "message": "403 Forbidden" })).await;
        assert_answer(Refusal::Modified, 412, json!({ "message": "412 Precondition Failed" })).await;
        let no_default = json!({ "message": "Default integration not found." });
        assert_answer(Refusal::NoDefault, 400, no_default).await;
        let conflict = Refusal::Conflict("it is configured in ops.toml".into());
        let told = json!({ "message": "409 Conflict: it is configured in ops.toml" });
        assert_answer(conflict, 409, told).await;
    }

    #[tokio::test]
    async fn a_models_errors_are_told_as_gitlab_tells_them() {
        let errors = vec![
            FieldError::new("webhook", "can't be blank"),
            FieldError::new("channel", "cannot have more than 10 channels"),
            FieldError::new("webhook", "must be a valid URL"),
        ];
        let told = "Failed to update integration. {:webhook=>[\"can't be blank\", \"must be a valid URL\"], \
                    :channel=>[\"cannot have more than 10 channels\"]}";
        assert_answer(Refusal::Model(errors), 400, json!({ "message": told })).await;
        let missing = Refusal::Model(vec![FieldError::new("webhook", "is missing")]);
        let told = "Failed to update integration. {:webhook=>[\"can't be blank\"]}";
        assert_answer(missing, 400, json!({ "message": told })).await;
    }

    #[test]
    fn quotes_and_line_breaks_in_a_problem_stay_in_their_text() {
        assert_eq!(ruby_text("say \"hi\"\n\\ \u{7}"), r#""say \"hi\"\n\\ \u{7}""#);
    }

    #[tokio::test]
    async fn every_401_says_how_to_log_in_and_a_bearer_is_told_what_is_wrong() {
        let plain = answer(Refusal::Unauthorized { bearer: false }).await;
        assert_eq!((plain.0, plain.2), (401, json!({ "message": "401 Unauthorized" })));
        assert_eq!(plain.1["www-authenticate"], "Bearer realm=\"The API\"");
        let (_, headers, body) = answer(Refusal::Unauthorized { bearer: true }).await;
        assert_eq!(body, json!({ "message": "401 Unauthorized" }));
        let challenge =
            "Bearer realm=\"The API\", error=\"invalid_token\", error_description=\"Bad Access Token.\"";
        assert_eq!(headers["www-authenticate"], challenge);
        let expired = json!({
            "error": "invalid_token",
            "error_description": "Token is expired. You can either do re-authorization or token refresh.",
        });
        assert_answer(Refusal::Expired, 401, expired).await;
        let revoked = json!({
            "error": "invalid_token",
            "error_description": "Token was revoked. You have to re-authorize from the user.",
        });
        assert_answer(Refusal::Revoked, 401, revoked).await;
        let scope = json!({
            "error": "insufficient_scope",
            "error_description": "The request requires higher privileges than provided by the access token.",
            "scope": "api",
        });
        assert_answer(Refusal::InsufficientScope("api"), 403, scope).await;
    }

    #[tokio::test]
    async fn who_has_to_wait_is_told_how_long() {
        let (status, headers, _) = answer(Refusal::TooManyTries(Duration::from_secs(17))).await;
        assert_eq!((status, &headers["retry-after"]), (429, &HeaderValue::from_static("17")));
        let (status, headers, _) = answer(Refusal::Away).await;
        assert_eq!((status, &headers["retry-after"]), (503, &HeaderValue::from_static("5")));
    }

    #[tokio::test]
    async fn a_connection_with_half_a_body_in_it_is_closed() {
        for refusal in [Refusal::TooLarge(9), Refusal::TooSlow(Duration::from_secs(1)), Refusal::BrokenOff] {
            let (_, headers, _) = answer(refusal.clone()).await;
            assert_eq!(headers["connection"], "close", "{refusal:?}");
        }
    }

    #[tokio::test]
    async fn what_the_store_says_of_itself_is_not_the_callers() {
        for error in [
            StoreError::Unavailable("postgres://secret-host".to_owned()),
            StoreError::Broken("secret-table".to_owned()),
        ] {
            let (_, _, body) = answer(error.into()).await;
            assert!(!body.to_string().contains("secret"), "{body}");
        }
    }
}

//! The error answers as OpenAPI describes them: one response per status, and the groups in which handlers give them.
//!
//! A handler's annotation names the groups beside its success. The answers of its request type (401, 403, 404) are
//! described at that type.

use std::collections::BTreeMap;

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::schema::{AnyOfBuilder, Type};
use utoipa::openapi::{Content, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, Schema};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

/// What is wrong with what the request asks for.
#[derive(ToSchema)]
#[schema(example = json!({ "message": "404 Project Not Found" }))]
#[expect(dead_code, reason = "it describes what ApiError writes")]
pub(in crate::api) struct Message {
    message: String,
}

/// What is wrong with the request itself.
#[derive(ToSchema)]
#[schema(example = json!({ "error": "token is missing, room is missing" }))]
#[expect(dead_code, reason = "it describes what ApiError writes")]
pub(in crate::api) struct Error {
    error: String,
}

/// What is wrong with a token.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what ApiError writes")]
pub(in crate::api) struct OAuthError {
    #[schema(pattern = "^(invalid_token|insufficient_scope)$")]
    error: String,
    error_description: String,
    /// The scopes that would be enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    scope: Option<String>,
}

/// One error status: its name, what it means, the objects in its body, and its header.
struct ErrorResponse {
    status: &'static str,
    name: &'static str,
    description: &'static str,
    schemas: &'static [&'static str],
    header: Option<(&'static str, &'static str)>,
}

impl ErrorResponse {
    const fn new(
        status: &'static str,
        name: &'static str,
        description: &'static str,
        schemas: &'static [&'static str],
    ) -> Self {
        Self { status, name, description, schemas, header: None }
    }

    const fn with(self, header: &'static str, description: &'static str) -> Self {
        Self { header: Some((header, description)), ..self }
    }
}

const MESSAGE: &str = "Message";
const ERROR: &str = "Error";
const OAUTH: &str = "OAuthError";

static ERRORS: &[ErrorResponse] = &[
    ErrorResponse::new(
        "400",
        "BadRequest",
        "Parameters are missing or of the wrong type (`error`; all of them at once), or the settings are not valid \
         (`message`).",
        &[ERROR, MESSAGE],
    ),
    ErrorResponse::new("401", "Unauthorized", "The token is missing or not valid.", &[MESSAGE, OAUTH])
        .with("WWW-Authenticate", "How to authenticate, and what is wrong with the token."),
    ErrorResponse::new(
        "403",
        "Forbidden",
        "The token's right is too small (`error`), or it does not reach what would be changed (`message`).",
        &[OAUTH, MESSAGE],
    ),
    ErrorResponse::new(
        "404",
        "NotFound",
        "It does not exist, or the token may not see it.",
        &[MESSAGE, ERROR],
    ),
    ErrorResponse::new("405", "NotAllowed", "The route has no such method.", &[ERROR])
        .with("Allow", "The methods that the route has."),
    ErrorResponse::new(
        "408",
        "TooSlow",
        "The body did not arrive in time; the connection is closed.",
        &[ERROR],
    ),
    ErrorResponse::new(
        "409",
        "Conflict",
        "It is configured in a provisioning file and has to be changed there, or it is being changed by others.",
        &[MESSAGE],
    ),
    ErrorResponse::new(
        "412",
        "Modified",
        "It was changed after the moment in `If-Unmodified-Since`.",
        &[MESSAGE],
    ),
    ErrorResponse::new("413", "TooLarge", "The body is too large; the connection is closed.", &[ERROR]),
    ErrorResponse::new("415", "UnsupportedType", "The body is neither JSON nor a form.", &[ERROR]),
    ErrorResponse::new(
        "422",
        "Unprocessable",
        "The request is understood, but can't be carried out.",
        &[MESSAGE],
    ),
    ErrorResponse::new("429", "TooManyRequests", "Too many wrong tokens came from this address.", &[MESSAGE])
        .with("Retry-After", "Seconds."),
    ErrorResponse::new(
        "431",
        "HeadTooLarge",
        "The headers are too many or too large; the connection is closed.",
        &[],
    ),
    ErrorResponse::new("500", "Broken", "An error of Forgebell; its log has the reason.", &[MESSAGE]),
    ErrorResponse::new(
        "503",
        "Unavailable",
        "The store is unavailable; try again. A change may have been written just before.",
        &[MESSAGE],
    )
    .with("Retry-After", "Seconds."),
];

/// References to the responses of these statuses.
pub(in crate::api) fn responses_of(
    statuses: impl IntoIterator<Item = &'static str>,
) -> BTreeMap<String, RefOr<Response>> {
    let reference = |status: &'static str| {
        let error = ERRORS.iter().find(|error| error.status == status).expect("every status has a row above");
        (status.to_owned(), Ref::from_response_name(error.name).into())
    };
    statuses.into_iter().map(reference).collect()
}

/// Groups of statuses, as types that annotations can name.
macro_rules! groups {
    ($($(#[$doc:meta])* $name:ident: $($status:literal)*;)*) => {$(
        $(#[$doc])*
        pub(in crate::api) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                responses_of([$($status),*])
            }
        }
    )*};
}

groups! {
    /// Any request, for any route.
    Any: "400" "405" "429" "431" "500" "503";
    /// A request that names something that may be missing.
    NotFound: "404";
    /// A handler that reads the body.
    ReadsBody: "408" "413" "415";
    /// A change of settings.
    Changes: "409" "412" "422";
    /// A request that may be understood and yet impossible.
    Unprocessable: "422";
}

/// `components.responses`
pub(in crate::api) fn components() -> impl Iterator<Item = (&'static str, Response)> {
    ERRORS.iter().map(|error| (error.name, response(error)))
}

fn response(error: &ErrorResponse) -> Response {
    let mut response = ResponseBuilder::new().description(error.description);
    if let Some((name, description)) = error.header {
        let text = ObjectBuilder::new().schema_type(Type::String);
        response = response
            .header(name, HeaderBuilder::new().schema(Some(text)).description(Some(description)).build());
    }
    let reference = |name: &&str| Ref::from_schema_name(*name);
    let schema: RefOr<Schema> = match error.schemas {
        [] => return response.build(),
        [one] => reference(one).into(),
        several => several.iter().map(reference).fold(AnyOfBuilder::new(), AnyOfBuilder::item).into(),
    };
    response.content("application/json", Content::new(Some(schema))).build()
}

/// The objects in error answers, for `components.schemas`.
pub(in crate::api) fn schemas() -> [(&'static str, RefOr<Schema>); 3] {
    [(MESSAGE, Message::schema()), (ERROR, Error::schema()), (OAUTH, OAuthError::schema())]
}

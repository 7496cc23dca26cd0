//! `/audit_events`, `/version`, and what describes the API itself.

use std::sync::LazyLock;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value as Json, json};

use super::ApiError;
use super::authorized::{Authorized, Read};
use super::extract::InstanceRequest;
use super::object::moment;
use super::response::{self, Page};
use crate::api::openapi;

/// `GET /audit_events`, newest first.
pub(super) async fn audit_events(
    InstanceRequest(mut authorized): InstanceRequest<Read>,
) -> Result<Response, ApiError> {
    let page = Page::read(&authorized.params().await?)?;
    let lines = authorized.state.registry.audit_log(page.before, page.limit).await?;
    let line_json = |line: &crate::store::registry::AuditLine| {
        json!({
            "id": line.id,
            "at": moment(line.at),
            "who": line.who,
            "action": line.action,
            "object": line.object,
            "fields": line.fields,
        })
    };
    let items: Vec<Json> = lines.iter().map(line_json).collect();
    Ok(page.answer(&authorized.head.uri, &items, lines.iter().map(|line| line.id)))
}

/// `GET /version`. Clients of a GitLab ask it; what they hear is no GitLab's version.
pub(super) async fn version(_: Authorized<Read>) -> Response {
    let json = json!({ "version": env!("CARGO_PKG_VERSION"), "revision": "forgebell" });
    response::json(StatusCode::OK, &json)
}

/// `GET /openapi.json`
pub(super) async fn description() -> Result<Response, ApiError> {
    static TEXT: LazyLock<Option<String>> =
        LazyLock::new(|| serde_json::to_string(&openapi::document()).ok());
    TEXT.as_ref().map(|text| response::json_text(StatusCode::OK, text.clone())).ok_or(ApiError::Internal)
}

/// `GET /docs`
pub(super) async fn page() -> Response {
    static PAGE: LazyLock<String> = LazyLock::new(|| openapi::page(&openapi::document()));
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], PAGE.as_str()).into_response()
}

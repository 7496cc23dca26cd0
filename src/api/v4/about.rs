//! `/audit_events`, `/version`, and what describes the API itself.

use std::sync::LazyLock;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value as Json, json};

use super::Refusal;
use super::admitted::{Admitted, See};
use super::answer::{self, Page};
use super::asked::ForInstance;
use super::object::moment;
use crate::api::openapi;

/// `GET /audit_events`, newest first.
pub(super) async fn audit_events(ForInstance(mut admitted): ForInstance<See>) -> Result<Response, Refusal> {
    let page = Page::read(&admitted.params().await?)?;
    let lines = admitted.state.registry.audit_log(page.before, page.limit).await?;
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
    Ok(page.answer(&admitted.head.uri, &items, lines.iter().map(|line| line.id)))
}

/// `GET /version`. Clients of a GitLab ask it; what they hear is no GitLab's version.
pub(super) async fn version(_: Admitted<See>) -> Response {
    let json = json!({ "version": env!("CARGO_PKG_VERSION"), "revision": "forgebell" });
    answer::json(StatusCode::OK, &json)
}

/// `GET /openapi.json`
pub(super) async fn description() -> Result<Response, Refusal> {
    static TEXT: LazyLock<Option<String>> =
        LazyLock::new(|| serde_json::to_string(&openapi::document()).ok());
    TEXT.as_ref().map(|text| answer::json_text(StatusCode::OK, text.clone())).ok_or(Refusal::Broken)
}

/// `GET /docs`
pub(super) async fn page() -> Response {
    static PAGE: LazyLock<String> = LazyLock::new(|| openapi::page(&openapi::document()));
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], PAGE.as_str()).into_response()
}

//! `/quarantine`: messages that could not be decoded. Their project is unknown, so these routes are for tokens of the
//! instance.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value as Json, json};

use super::ApiError;
use super::authorized::{Authorized, Read, Write};
use super::extract::InstanceRequest;
use super::object::moment;
use super::response::{self, Page};
use crate::api::error::Missing;
use crate::event::EventId;
use crate::pipeline::quarantine::{self, Retried, audit_entry};
use crate::store::Quarantined;

const MISSING: ApiError = ApiError::NotFound(Missing::Quarantined);

/// `GET /quarantine`, newest first.
pub(super) async fn list(
    InstanceRequest(mut authorized): InstanceRequest<Read>,
) -> Result<Response, ApiError> {
    let page = Page::read(&authorized.params().await?)?;
    let list = authorized.state.quarantine.list_quarantined(page.before, page.limit).await?;
    let items: Vec<Json> = list.iter().map(item_json).collect();
    Ok(page.answer(&authorized.head.uri, &items, list.iter().map(|item| item.number)))
}

/// `GET /quarantine/:id`
pub(super) async fn show(InstanceRequest(authorized): InstanceRequest<Read>) -> Result<Response, ApiError> {
    let found = authorized.state.quarantine.quarantined(number(&authorized)?).await?;
    let (item, raw) = found.ok_or(MISSING)?;
    let mut json = item_json(&item);
    json["body"] = String::from_utf8_lossy(&raw).into();
    Ok(response::json(StatusCode::OK, &json))
}

/// `DELETE /quarantine/:id`
pub(super) async fn delete(
    InstanceRequest(authorized): InstanceRequest<Write>,
) -> Result<Response, ApiError> {
    let number = number(&authorized)?;
    let audit = audit_entry("quarantine.drop", number, &authorized.actor().0, authorized.now);
    let removed = authorized.state.quarantine.remove_quarantined(number, audit).await?;
    if removed { Ok(StatusCode::NO_CONTENT.into_response()) } else { Err(MISSING) }
}

/// `POST /quarantine/:id/retry`
pub(super) async fn retry(InstanceRequest(authorized): InstanceRequest<Write>) -> Result<Response, ApiError> {
    let (state, number) = (&authorized.state, number(&authorized)?);
    match quarantine::retry(&*state.inbox, &*state.quarantine, number, &authorized.actor().0, authorized.now)
        .await?
    {
        Retried::NotThere => return Err(MISSING),
        Retried::NotUnderstood(why) => {
            return Err(ApiError::Unprocessable(format!("still not understood: {why}")));
        }
        Retried::Understood(_) => state.arrived.notify_one(),
        Retried::Repeated(_) => {}
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn number<I>(authorized: &Authorized<I>) -> Result<i64, ApiError> {
    authorized.path.number("id").ok_or(MISSING)
}

fn item_json(item: &Quarantined) -> Json {
    json!({
        "id": item.number,
        "source": item.source,
        "event": item.id.as_ref().map(EventId::as_str),
        "reason": item.reason,
        "received_at": moment(item.received_at),
        "size": item.size,
    })
}

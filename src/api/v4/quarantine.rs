//! `/quarantine`: what could not be understood. Whose it would have been nobody knows: it is for tokens of the instance.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value as Json, json};

use super::Refusal;
use super::admitted::{Admitted, Change, See};
use super::answer::{self, Page};
use super::asked::ForInstance;
use super::object::moment;
use super::refusal::Missing;
use crate::event::EventId;
use crate::pipeline::quarantine::{self, Retried, audit_entry};
use crate::store::Quarantined;

const MISSING: Refusal = Refusal::NotFound(Missing::Quarantined);

/// `GET /quarantine`, newest first.
pub(super) async fn list(ForInstance(mut admitted): ForInstance<See>) -> Result<Response, Refusal> {
    let page = Page::read(&admitted.params().await?)?;
    let list = admitted.state.quarantine.list_quarantined(page.before, page.limit).await?;
    let items: Vec<Json> = list.iter().map(item_json).collect();
    Ok(page.answer(&admitted.head.uri, &items, list.iter().map(|item| item.number)))
}

/// `GET /quarantine/:number`
pub(super) async fn show(ForInstance(admitted): ForInstance<See>) -> Result<Response, Refusal> {
    let found = admitted.state.quarantine.quarantined(number(&admitted)?).await?;
    let (item, raw) = found.ok_or(MISSING)?;
    let mut json = item_json(&item);
    json["body"] = String::from_utf8_lossy(&raw).into();
    Ok(answer::json(StatusCode::OK, &json))
}

/// `DELETE /quarantine/:number`
pub(super) async fn delete(ForInstance(admitted): ForInstance<Change>) -> Result<Response, Refusal> {
    let number = number(&admitted)?;
    let audit = audit_entry("quarantine.drop", number, &admitted.who().0, admitted.now);
    let removed = admitted.state.quarantine.remove_quarantined(number, audit).await?;
    if removed { Ok(StatusCode::NO_CONTENT.into_response()) } else { Err(MISSING) }
}

/// `POST /quarantine/:number/retry`
pub(super) async fn retry(ForInstance(admitted): ForInstance<Change>) -> Result<Response, Refusal> {
    let (state, number) = (&admitted.state, number(&admitted)?);
    match quarantine::retry(&*state.inbox, &*state.quarantine, number, &admitted.who().0, admitted.now)
        .await?
    {
        Retried::NotThere => return Err(MISSING),
        Retried::NotUnderstood(why) => {
            return Err(Refusal::Unprocessable(format!("still not understood: {why}")));
        }
        Retried::Understood(_) => state.arrived.notify_one(),
        Retried::Repeated(_) => {}
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn number<I>(admitted: &Admitted<I>) -> Result<i64, Refusal> {
    admitted.segments.number("number").ok_or(MISSING)
}

fn item_json(item: &Quarantined) -> Json {
    json!({
        "number": item.number,
        "source": item.source,
        "event": item.id.as_ref().map(EventId::as_str),
        "reason": item.reason,
        "received_at": moment(item.received_at),
        "size": item.size,
    })
}

//! Quarantine: messages that are not events, for tokens of the instance.

use axum::response::Response;
use maud::html;

use super::layout::Section;
use super::parts::{self, Row, code_box, facts, moment, moment_in_full, notice, table};
use super::viewer::{Posted, Refused, Viewer, go_to};
use crate::api::error::{ApiError, Missing};
use crate::api::resources::QuarantinedDetail;
use crate::api::v4::quarantine::{dropped, found, retried};

const PER_PAGE: usize = 50;
/// The most characters of a message that are shown.
const SHOWN: usize = 20_000;

/// `GET /-/quarantine`
pub(super) async fn list(viewer: Viewer) -> Result<Response, Refused> {
    viewer.caller.require_instance()?;
    let now = viewer.caller.now;
    let before = viewer.query.text("before").ok().flatten().and_then(|text| text.parse().ok());
    let items = viewer.caller.state.quarantine.list_quarantined(before, PER_PAGE).await?;
    let rows: Vec<Row> = items
        .iter()
        .map(|item| {
            vec![
                html! { a href={ "/-/quarantine/" (item.number) } { "#" (item.number) } },
                moment(item.received_at, now),
                html! { (item.source) },
                html! { (item.sender.as_deref().unwrap_or("unknown")) },
                html! { (parts::cut(&item.reason, 200)) },
                html! { (item.size) " bytes" },
            ]
        })
        .collect();
    let next = items.last().filter(|_| items.len() == PER_PAGE).map(|item| item.number);
    let words = match viewer.query.text("done").ok().flatten().as_deref() {
        Some("retried") => Some("The message was understood, and is dispatched like any event."),
        Some("dropped") => Some("The message is deleted."),
        _ => None,
    };
    let content = html! {
        h1 { "Quarantine" }
        p class="quiet" { "Messages that came and are no events." }
        @if let Some(words) = words { (notice("good", &html! { p { (words) } })) }
        @if rows.is_empty() { p class="empty" { "It is empty." } }
        @else { (table("Messages, newest first", &["Message", "Came", "Source", "Sender", "Why", "Size"], &rows)) }
        @if let Some(before) = next { p { a class="button" rel="next" href={ "/-/quarantine?before=" (before) } { "Older messages" } } }
    };
    Ok(viewer.page(Section::Quarantine, "Quarantine", &content))
}

fn id(viewer: &Viewer) -> Result<i64, ApiError> {
    viewer.path.number("id").ok_or(ApiError::NotFound(Missing::Quarantined))
}

/// `GET /-/quarantine/{id}`
pub(super) async fn show(viewer: Viewer) -> Result<Response, Refused> {
    let now = viewer.caller.now;
    let QuarantinedDetail { item, body } = found(&viewer.caller, id(&viewer)?).await?;
    let title = format!("Message #{}", item.id);
    let address = format!("/-/quarantine/{}", item.id);
    let content = html! {
        p class="crumbs" { a href="/-/quarantine" { "Quarantine" } }
        h1 { (title) }
        section class="card why bad" aria-labelledby="why" {
            h2 id="why" { "Why it is no event" }
            p class="reason" { (parts::prose(&item.reason)) }
        }
        @if viewer.may_write() {
            div class="actions" {
                (viewer.button(&format!("{address}/retry"), "Retry", &format!("Retry: decode message #{} again", item.id)))
                (viewer.button(&format!("{address}/delete"), "Delete", &format!("Delete message #{}", item.id)))
            }
        }
        (facts(&[
            ("Source", Some(html! { (item.source) })),
            ("Sender", item.sender.as_ref().map(|sender| html! { (sender) })),
            ("Event", item.event.as_ref().map(|event| html! { (event) })),
            ("Came", Some(moment_in_full(item.received_at.0, now))),
            ("Size", Some(html! { (item.size) " bytes" })),
        ]))
        section aria-labelledby="body" {
            h2 id="body" { "Message" }
            (code_box("The message", &parts::cut(&body, SHOWN)))
        }
    };
    Ok(viewer.page(Section::Quarantine, &title, &content))
}

/// `POST /-/quarantine/{id}/retry`
pub(super) async fn retry(Posted { viewer, .. }: Posted) -> Result<Response, Refused> {
    retried(&viewer.caller, id(&viewer)?).await?;
    Ok(go_to("/-/quarantine?done=retried"))
}

/// `POST /-/quarantine/{id}/delete`
pub(super) async fn delete(Posted { viewer, .. }: Posted) -> Result<Response, Refused> {
    dropped(&viewer.caller, id(&viewer)?).await?;
    Ok(go_to("/-/quarantine?done=dropped"))
}

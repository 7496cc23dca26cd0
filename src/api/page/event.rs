//! An event of which something was delivered: its deliveries, and what each integration does with it by the present
//! settings.

use axum::response::Response;
use maud::{Markup, html};

use super::deliveries::{id, lines};
use super::layout::Section;
use super::parts::{self, Row, badge, facts, table};
use super::viewer::{Refused, Viewer};
use super::{places, reached};
use crate::api::error::{ApiError, Missing};
use crate::api::resources::{Explanation, Verdict, VerdictKind};
use crate::api::v4::deliveries::found;
use crate::api::v4::explain::explained;
use crate::api::v4::trusted_event;
use crate::event::Event;
use crate::integration::IntegrationId;
use crate::store::{DeliveryFilter, JSON_GONE};

/// The most deliveries of one event that are shown.
const MOST: usize = 200;

/// `GET /-/deliveries/{delivery_id}/event`
pub(super) async fn show(viewer: Viewer) -> Result<Response, Refused> {
    let caller = &viewer.caller;
    let detail = found(caller, id(&viewer)?).await?;
    let line = detail.line;
    let raw = detail.raw.clone().ok_or_else(|| ApiError::Unprocessable(JSON_GONE.to_owned()))?;
    let event = Event::decode(line.event.clone(), line.created_at, raw)
        .map_err(|why| ApiError::Unprocessable(why.to_string()))?;
    let event = trusted_event(&caller.state.catalog, caller.reach(), event);
    let event = event.ok_or(ApiError::NotFound(Missing::Project))?;
    let explanation = explained(caller, &event).await?;
    let filter = DeliveryFilter { event: Some(line.event.clone()), limit: MOST, ..DeliveryFilter::default() };
    let deliveries = reached::deliveries(caller, filter).await?.lines;
    let title = format!("Event {}", line.event.as_str());
    let content = html! {
        p class="crumbs" { a href={ "/-/deliveries/" (line.id) } { "Delivery #" (line.id) } }
        h1 { (title) }
        (about(&explanation))
        section aria-labelledby="deliveries" {
            h2 id="deliveries" { "What was sent" }
            (lines(&viewer, "Its deliveries, newest first", &deliveries))
        }
        section aria-labelledby="verdicts" {
            h2 id="verdicts" { "Who is told of such an event now" }
            p class="quiet" { "By the present settings. They may differ from those of the time when it came." }
            @if explanation.verdicts.is_empty() { p class="empty" { "No integration is concerned." } }
            @else { (verdicts(&explanation.verdicts)) }
        }
    };
    Ok(viewer.page(Section::Deliveries, &title, &content))
}

fn about(explanation: &Explanation) -> Markup {
    facts(&[
        ("Kind", Some(html! { (explanation.kind) })),
        ("About", Some(html! { (parts::subject(&explanation.subject)) })),
        ("Project", explanation.project.as_ref().map(|project| html! { (project.path) })),
        ("Group", explanation.group.as_ref().map(|path| html! { (path) })),
    ])
}

fn verdicts(verdicts: &[Verdict]) -> Markup {
    let row = |verdict: &Verdict| -> Row {
        let word = match verdict.verdict {
            VerdictKind::Deliver => "deliver",
            VerdictKind::Skip => "skip",
            VerdictKind::SwitchedOff => "switched off",
            VerdictKind::Muted => "muted",
        };
        let targets: Vec<&str> = verdict.targets.iter().map(|target| target.target.as_str()).collect();
        let address = places::of_integration(&IntegrationId::new(verdict.integration.as_str()));
        vec![
            html! { a href=(address) { (verdict.integration) } },
            badge(word),
            html! { (targets.into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>().join(", ")) },
            html! { (parts::prose(verdict.why.as_deref().unwrap_or_default())) },
        ]
    };
    let rows: Vec<Row> = verdicts.iter().map(row).collect();
    table(
        "The verdict of each integration, with its reason",
        &["Integration", "Verdict", "Targets", "Why"],
        &rows,
    )
}

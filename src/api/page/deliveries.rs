//! Deliveries: a list with filters, and a page for one delivery with its request, its answer, and a retry.

use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use super::layout::Section;
use super::parts::{self, Row, badge, facts, json_box, moment, moment_in_full, notice, table};
use super::viewer::{Posted, Refused, Viewer, go_to};
use super::{places, reached};
use crate::api::error::{ApiError, Missing};
use crate::api::resources::{Attempt, DeliveryDetail};
use crate::api::v4::Params;
use crate::api::v4::deliveries::{self, ListQuery};
use crate::api::v4::delivery_changes::{Change, change_reached};
use crate::integration::IntegrationId;
use crate::store::{DeliveryFilter, DeliveryId, DeliveryLine, HoldCause, State};

const PER_PAGE: usize = 50;
/// The most characters of a note in a list.
const NOTE: usize = 140;

/// The times that the list's filter offers, in seconds.
const TIMES: [(&str, &str, i64); 4] = [
    ("hour", "the last hour", 3600),
    ("day", "the last day", 86_400),
    ("week", "the last week", 604_800),
    ("", "any time", 0),
];

/// `GET /-/deliveries`
pub(super) async fn list(viewer: Viewer) -> Result<Response, Refused> {
    let (filter, wrong) = match filter(&viewer.query, viewer.caller.now) {
        Ok(filter) => (filter, None),
        Err(error) => (DeliveryFilter::default(), Some(error.words())),
    };
    let before =
        viewer.query.text("before").ok().flatten().and_then(|text| text.parse().ok()).map(DeliveryId);
    let filter = DeliveryFilter { before, limit: PER_PAGE, ..filter };
    let (project, integration) = (filter.project.clone(), filter.integrations.first().cloned());
    let listed = reached::deliveries(&viewer.caller, filter).await?;
    let integration = integration.as_ref().map(|id| &*id.0);
    let unknown = || reached::unknown_name(&viewer.caller, project.as_deref(), integration);
    let wrong = wrong.or_else(|| if listed.lines.is_empty() { unknown() } else { None });
    let content = html! {
        h1 { "Deliveries" }
        @if let Some(wrong) = wrong { (notice("bad", &html! { p { (wrong) } })) }
        (filters(&viewer.query))
        @if listed.lines.is_empty() {
            p class="empty" { "No delivery fits." }
        } @else {
            (lines(&viewer, "Deliveries, newest first", &listed.lines))
        }
        @if let Some(before) = listed.before {
            p { a class="button" rel="next" href=(older(&viewer.query, before)) { "Older deliveries" } }
        }
    };
    Ok(viewer.page(Section::Deliveries, "Deliveries", &content))
}

/// The filter of a query: the API's, with a project, an integration and a time.
fn filter(query: &Params, now: Timestamp) -> Result<DeliveryFilter, ApiError> {
    let text = |name: &str| query.text(name).ok().flatten();
    let given = ListQuery::read(query)?;
    Ok(DeliveryFilter {
        since: since(query, now).or(given.since),
        project: text("project"),
        integrations: text("integration").map(IntegrationId::new).into_iter().collect(),
        ..given
    })
}

/// The beginning of the time that a query chose.
pub(super) fn since(query: &Params, now: Timestamp) -> Option<Timestamp> {
    let time = query.text("time").ok().flatten()?;
    let seconds = TIMES.iter().find(|(name, ..)| *name == time).map_or(0, |(.., seconds)| *seconds);
    (seconds > 0).then(|| now.checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MIN))
}

/// The choice of a time.
pub(super) fn time_field(label: &str, query: &Params) -> Markup {
    let chosen = query.text("time").ok().flatten().unwrap_or_default();
    let times = [3, 0, 1, 2].map(|at: usize| (TIMES[at].0, TIMES[at].1));
    parts::select("time", label, &chosen, &times)
}

fn older(query: &Params, before: DeliveryId) -> String {
    parts::next_page("/-/deliveries", query, &before.to_string())
}

fn filters(query: &Params) -> Markup {
    let text = |name: &str| query.text(name).ok().flatten().unwrap_or_default();
    let states = [("", "any state")].into_iter().chain(State::ALL.map(|state| (state.name(), state.name())));
    html! {
        form class="filters" method="get" action="/-/deliveries" role="search" aria-label="Filter the deliveries" {
            (parts::select("state", "State", &text("state"), &states.collect::<Vec<_>>()))
            (parts::text_field("project", "Project or group", &text("project"), "acme/rocket"))
            (parts::text_field("integration", "Integration", &text("integration"), "acme/rocket:slack"))
            (parts::text_field("event", "Event", &text("event"), ""))
            (time_field("Ended in", query))
            div class="field go" {
                button type="submit" class="main" { "Filter" }
                a href="/-/deliveries" { "Clear" }
            }
        }
    }
}

/// A table of deliveries.
pub(super) fn lines(viewer: &Viewer, caption: &str, lines: &[DeliveryLine]) -> Markup {
    let now = viewer.caller.now;
    let row = |line: &DeliveryLine| -> Row {
        let name = viewer.caller.state.catalog.read(|snapshot| places::name(snapshot, &line.integration));
        let note = line.last_note.as_deref().filter(|_| line.state != State::Delivered).unwrap_or_default();
        vec![
            html! { a href={ "/-/deliveries/" (line.id) } { "#" (line.id) } },
            badge(line.state.name()),
            moment(line.settled_at.unwrap_or(line.created_at), now),
            html! {
                @if let Some(trigger) = &line.trigger { span class="quiet" { (trigger.replace('_', " ")) } " " }
                (parts::cut(&parts::subject(&line.subject), NOTE))
            },
            html! {
                a href=(places::of_integration(&line.integration)) { (name) }
                @if !line.target.is_empty() { " → " (line.target) }
            },
            html! { (parts::cut(note, NOTE)) },
        ]
    };
    let rows: Vec<Row> = lines.iter().map(row).collect();
    table(caption, &["Delivery", "State", "When", "About", "Integration", "Why"], &rows)
}

pub(super) fn id(viewer: &Viewer) -> Result<DeliveryId, ApiError> {
    viewer.path.number("delivery_id").map(DeliveryId).ok_or(ApiError::NotFound(Missing::Delivery))
}

/// `GET /-/deliveries/{delivery_id}`
pub(super) async fn show(viewer: Viewer) -> Result<Response, Refused> {
    let detail = deliveries::reached(&viewer.caller, id(&viewer)?).await?;
    let title = format!("Delivery #{}", detail.delivery.id);
    let content = one(&viewer, &title, &detail);
    Ok(viewer.page(Section::Deliveries, &title, &content))
}

/// `POST /-/deliveries/{delivery_id}/retry`
pub(super) async fn retry(Posted { viewer, .. }: Posted) -> Result<Response, Refused> {
    changed(&viewer, Change::Retry, "retried").await
}

/// `POST /-/deliveries/{delivery_id}/cancel`
pub(super) async fn cancel(Posted { viewer, .. }: Posted) -> Result<Response, Refused> {
    changed(&viewer, Change::Cancel, "cancelled").await
}

async fn changed(viewer: &Viewer, change: Change, done: &str) -> Result<Response, Refused> {
    let id = id(viewer)?;
    change_reached(&viewer.caller, id, change).await?;
    Ok(go_to(&format!("/-/deliveries/{id}?done={done}")))
}

fn one(viewer: &Viewer, title: &str, detail: &DeliveryDetail) -> Markup {
    let now = viewer.caller.now;
    let delivery = &detail.delivery;
    let integration = IntegrationId::new(delivery.integration.as_str());
    let name = viewer.caller.state.catalog.read(|snapshot| places::name(snapshot, &integration));
    let is_settled = delivery.state != State::Waiting.name();
    let was_retried = viewer.query.text("done").ok().flatten().as_deref() == Some("retried");
    let is_bad = [State::Failed, State::Expired].iter().any(|state| state.name() == delivery.state);
    html! {
        h1 { (title) " " (badge(delivery.state)) }
        @if was_retried && !is_settled { (notice("good", &html! { p { "It is due now. Load the page again to see what became of it." } })) }
        @if let Some(note) = delivery.note.as_ref().filter(|_| delivery.state != State::Delivered.name()) {
            section class={ "card why " (if is_bad { "bad" } else { "busy" }) } aria-labelledby="why" {
                h2 id="why" { "Why" }
                p class="reason" { (note) }
                @if let Some(hold) = &detail.hold {
                    p {
                        "It waits: " (hold.cause.replace('_', " ")) ", " (hold.reason) ". "
                        @if hold.cause == HoldCause::SwitchedOff.name() {
                            "The next attempt is made when the integration is resumed or its settings are corrected."
                        } @else {
                            "The next attempt is made " (moment(hold.until.0, now)) "."
                        }
                    }
                }
                p { a href=(places::of_integration(&integration)) { "Look at the settings of " (name) } }
            }
        }
        @if viewer.may_write() && is_settled {
            div class="actions" {
                (viewer.button(&format!("/-/deliveries/{}/retry", delivery.id), "Retry", &format!("Retry delivery #{}", delivery.id)))
                span class="quiet" { "Sends it again, with the present settings." }
            }
        }
        @if viewer.may_write() && (!is_settled || is_bad) {
            div class="actions" {
                (viewer.button(&format!("/-/deliveries/{}/cancel", delivery.id), "Cancel", &format!("Cancel delivery #{}", delivery.id)))
                span class="quiet" {
                    @if is_bad { "It is not counted as failed any more." } @else { "Ends it, and nothing is sent." }
                }
            }
        }
        (facts(&[
            ("About", Some(html! { (parts::subject(&delivery.subject)) })),
            ("Kind", delivery.trigger.as_ref().map(|trigger| html! { (trigger.replace('_', " ")) })),
            ("Project", delivery.project.as_ref().map(|path| html! { (path) })),
            ("Integration", Some(html! { a href=(places::of_integration(&integration)) { (name) } })),
            ("Target", Some(if delivery.target.is_empty() { html! { "the address's own" } } else { html! { (delivery.target) } })),
            ("Destination", Some(html! { code { (delivery.destination) } })),
            ("Event", Some(html! { a href=(places::of_event(&delivery.event)) { (delivery.event) } })),
            ("Written", Some(moment_in_full(delivery.created_at.0, now))),
            ("Ended", delivery.settled_at.map(|at| moment_in_full(at.0, now))),
            ("Next attempt", delivery.due.map(|at| moment_in_full(at.0, now))),
        ]))
        (attempts(&detail.attempt_records, now))
        (request(detail))
        @if detail.payload.is_null() {
            p class="quiet" { "The event's JSON is not kept any more." }
        } @else {
            details {
                summary { "The event, as it came" }
                (json_box("The event's JSON", &detail.payload))
            }
        }
    }
}

fn attempts(attempts: &[Attempt], now: Timestamp) -> Markup {
    let row = |attempt: &Attempt| -> Row {
        vec![
            html! { (attempt.number) },
            moment(attempt.at.0, now),
            badge(&attempt.outcome),
            html! { @if let Some(status) = attempt.status { code { (status) } } @else { "none" } },
            html! { (attempt.latency_ms) " ms" },
            html! { (attempt.note) },
        ]
    };
    let rows: Vec<Row> = attempts.iter().map(row).collect();
    html! {
        section aria-labelledby="attempts" {
            h2 id="attempts" { "Attempts" }
            @if rows.is_empty() {
                p class="empty" { "None yet." }
            } @else {
                (table("Attempts with what was answered, oldest first",
                    &["Attempt", "When", "Outcome", "Status", "Took", "Answer"], &rows))
            }
        }
    }
}

fn request(detail: &DeliveryDetail) -> Markup {
    html! {
        section aria-labelledby="request" {
            h2 id="request" { "Request" }
            p { a href={ "/-/preview?delivery=" (detail.delivery.id) } { "Look at the message as the service shows it" } }
            p class="quiet" { "Made again with the present settings, so it is what a retry sends. Secrets are masked." }
            @if let Some(request) = &detail.request { (json_box("The request", request)) }
            @if let Some(why) = &detail.no_request { p class="empty" { (why) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_768_469_400, 0);

    fn query(text: &str) -> Params {
        Params::of_query(text).unwrap().without_blanks()
    }

    #[test]
    fn empty_fields_of_the_form_filter_nothing() {
        let filter = filter(&query("state=&project=&integration=&event=&time="), NOW).unwrap();
        assert_eq!(
            (filter.state, filter.project, filter.integrations, filter.since),
            (None, None, vec![], None)
        );
    }

    #[test]
    fn each_field_of_the_form_filters() {
        let found =
            filter(&query("state=failed&project=acme%2Frocket&integration=42:slack&event=e1&time=day"), NOW);
        let found = found.unwrap();
        assert_eq!((found.state, found.project.as_deref()), (Some(State::Failed), Some("acme/rocket")));
        assert_eq!(found.integrations, [IntegrationId::new("42:slack")]);
        assert_eq!(found.event.map(|id| id.as_str().to_owned()).as_deref(), Some("e1"));
        assert_eq!(found.since, Some(NOW - SignedDuration::from_hours(24)));
        assert!(filter(&query("state=lost"), NOW).is_err());
    }

    #[test]
    fn the_next_page_has_the_same_filters() {
        let next = older(&query("project=a%26b&before=9&state=failed"), DeliveryId(7));
        assert_eq!(next, "/-/deliveries?project=a%26b&state=failed&before=7");
    }
}

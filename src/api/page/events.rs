//! Events: a list with results, and a page for one event that shows what each integration did with it and would do now.

use axum::response::Response;
use maud::{Markup, html};

use super::deliveries::{lines, since, time_field};
use super::layout::Section;
use super::parts::{self, Row, badge, facts, json_box, moment, moment_in_full, notice, table};
use super::viewer::{Refused, Viewer};
use super::{places, reached};
use crate::api::error::ApiError;
use crate::api::v4::Caller;
use crate::api::v4::event_records::{EventQuery, detail, of, with_all_ids};
use crate::catalog::ResolvedScope;
use crate::event::{EventId, KINDS};
use crate::pipeline::then_and_now::{Decided, ThenAndNow, compare, result};
use crate::store::registry::ScopeKey;
use crate::store::{DeliveryFilter, EventFilter, EventRecord, EventsOf};

const PER_PAGE: usize = 50;
/// The most deliveries of one event that are shown.
const MOST: usize = 200;
/// The most characters of a subject in a list.
const SUBJECT: usize = 140;

/// Of no project.
const NONE: EventsOf = EventsOf::Place { project_id: None, path: None };

/// The events that a token reaches.
fn reached_by(caller: &Caller) -> EventsOf {
    caller.state.catalog.read(|snapshot| {
        let directory = snapshot.directory();
        match caller.reach() {
            ScopeKey::Instance => EventsOf::All,
            ScopeKey::Project(id) => {
                let path = directory.project(id).and_then(|project| project.path.clone());
                of(ResolvedScope::Project { id: Some(id), path })
            }
            ScopeKey::Group(key) => {
                let path = directory.group(key).and_then(|group| group.path.clone());
                path.map_or(NONE, EventsOf::Within)
            }
            ScopeKey::File(_) => NONE,
        }
    })
}

/// The events of one project or group, as far as the token reaches.
fn within(viewer: &Viewer, path: &str) -> EventsOf {
    let known = viewer.caller.state.catalog.read(|snapshot| reached::place(&viewer.caller, snapshot, path));
    match known {
        Some(scope) => of(scope),
        // The log may still have events of a removed project.
        None if viewer.sees_instance() => EventsOf::Within(path.to_owned()),
        None => NONE,
    }
}

/// The filter of a query: the API's, with a project and a time.
fn filter(viewer: &Viewer) -> Result<EventFilter, ApiError> {
    let given = EventQuery::read(&viewer.query)?;
    let project = viewer.query.text("project").ok().flatten();
    let of = project.map_or_else(|| reached_by(&viewer.caller), |path| within(viewer, &path));
    let since = since(&viewer.query, viewer.caller.now).or(given.since);
    let filter = EventFilter { of, since, limit: PER_PAGE, ..given };
    Ok(with_all_ids(&viewer.caller.state, filter))
}

/// `GET /-/events`
pub(super) async fn list(viewer: Viewer) -> Result<Response, Refused> {
    let (filter, wrong) = match filter(&viewer) {
        Ok(filter) => (filter, None),
        Err(error) => (EventFilter { of: NONE, ..EventFilter::default() }, Some(error.words())),
    };
    let records = viewer.caller.state.event_records.events(filter).await?;
    let named = |name: &str| viewer.query.text(name).ok().flatten();
    let unknown = || {
        reached::unknown_name(&viewer.caller, named("project").as_deref(), named("integration").as_deref())
    };
    let wrong = wrong.or_else(|| if records.is_empty() { unknown() } else { None });
    let next = records.last().filter(|_| records.len() == PER_PAGE).map(|last| last.id.as_str());
    let content = html! {
        h1 { "Events" }
        @if let Some(wrong) = &wrong { (notice("bad", &html! { p { (wrong) } })) }
        (filters(&viewer))
        @if records.is_empty() {
            p class="empty" { "No event fits." }
        } @else {
            (rows(&viewer, &records))
        }
        @if let Some(before) = next {
            p { a class="button" rel="next" href=(parts::next_page("/-/events", &viewer.query, before)) { "Older events" } }
        }
    };
    Ok(viewer.page(Section::Events, "Events", &content))
}

fn filters(viewer: &Viewer) -> Markup {
    let query = &viewer.query;
    let text = |name: &str| query.text(name).ok().flatten().unwrap_or_default();
    let kinds: Vec<_> =
        [("", "any kind")].into_iter().chain(KINDS.iter().map(|kind| (*kind, *kind))).collect();
    let told = [("", "all"), ("true", "those that were told"), ("false", "those that were not told")];
    html! {
        form class="filters" method="get" action="/-/events" role="search" aria-label="Filter the events" {
            (parts::select("kind", "Kind", &text("kind"), &kinds))
            (parts::text_field("project", "Project or group", &text("project"), "acme/rocket"))
            (parts::text_field("integration", "Integration", &text("integration"), "acme/rocket:slack"))
            (parts::select("told", "Which", &text("told"), &told))
            (time_field("Came in", query))
            div class="field go" {
                button type="submit" class="main" { "Filter" }
                a href="/-/events" { "Clear" }
            }
        }
    }
}

fn rows(viewer: &Viewer, records: &[EventRecord]) -> Markup {
    let now = viewer.caller.now;
    let row = |record: &EventRecord| -> Row {
        vec![
            html! { a href=(places::of_event(record.id.as_str())) { (moment(record.received_at, now)) } },
            html! { (record.kind.replace('_', " ")) },
            html! { (record.project.as_deref().unwrap_or_default()) },
            html! { (parts::cut(&parts::subject(&record.subject), SUBJECT)) },
            html! { (record.source.as_deref().unwrap_or_default()) },
            html! { (result(record)) },
        ]
    };
    let rows: Vec<Row> = records.iter().map(row).collect();
    table("Events, newest first", &["Came", "Kind", "Project", "About", "By", "What became of it"], &rows)
}

/// `GET /-/events/{event_id}`
pub(super) async fn show(viewer: Viewer) -> Result<Response, Refused> {
    let caller = &viewer.caller;
    let id = EventId::new(viewer.path.event_id());
    let (record, raw, compared) = detail(&caller.state, id, &reached_by(caller), caller.now).await?;
    let filter = DeliveryFilter { event: Some(record.id.clone()), limit: MOST, ..DeliveryFilter::default() };
    let deliveries = reached::deliveries(caller, filter).await?.lines;
    let title = format!("Event {}", record.id.as_str());
    let json = raw.as_deref().and_then(|raw| serde_json::from_slice(raw).ok());
    let content = html! {
        h1 { (title) }
        (about(&viewer, &record))
        section aria-labelledby="verdicts" {
            h2 id="verdicts" { "What each integration did, and would do now" }
            @if !record.is_complete() { p class="quiet" { "Why integrations were not told was not kept." } }
            @if raw.is_none() {
                p class="quiet" { "What would become of it now is not known, because the event's JSON is not kept." }
            } @else if compared.is_none() {
                p class="quiet" { "What would become of it now is not known: this version does not understand the event." }
            }
            (verdicts(&viewer, &record, compared.as_deref()))
        }
        section aria-labelledby="deliveries" {
            h2 id="deliveries" { "What was sent" }
            @if deliveries.is_empty() { p class="empty" { "Nothing." } }
            @else { (lines(&viewer, "Its deliveries, newest first", &deliveries)) }
        }
        @if let Some(json) = &json {
            details {
                summary { "The event, as it came" }
                (json_box("The event's JSON", json))
            }
        }
    };
    Ok(viewer.page(Section::Events, &title, &content))
}

fn about(viewer: &Viewer, record: &EventRecord) -> Markup {
    let text = |text: Option<&str>| text.map(|text| html! { (text) });
    facts(&[
        ("About", Some(html! { (parts::subject(&record.subject)) })),
        ("Kind", Some(html! { (record.kind.replace('_', " ")) })),
        ("Project", text(record.project.as_deref())),
        ("Came", Some(moment_in_full(record.received_at, viewer.caller.now))),
        ("By", text(record.source.as_deref())),
        ("What became of it", Some(html! { (result(record)) })),
    ])
}

/// What each integration did, and what it would do now, if known.
fn verdicts(viewer: &Viewer, record: &EventRecord, compared: Option<&[ThenAndNow]>) -> Markup {
    let then_alone = compare(record, &[]);
    let both = compared.unwrap_or(&then_alone);
    if both.is_empty() {
        return html! { p class="empty" { "No integration was concerned, and none is now." } };
    }
    let row = |one: &ThenAndNow| -> Row {
        let name = viewer.caller.state.catalog.read(|snapshot| places::name(snapshot, &one.integration));
        vec![
            html! { a href=(places::of_integration(&one.integration)) { (name) } },
            then(record, one),
            if compared.is_some() {
                now(one)
            } else {
                html! { "not known" }
            },
        ]
    };
    let rows: Vec<Row> = both.iter().map(row).collect();
    table("The verdict of each integration, then and now", &["Integration", "Then", "Now"], &rows)
}

fn then(record: &EventRecord, one: &ThenAndNow) -> Markup {
    match &one.then {
        Some(Decided::Tells(_)) => {
            let told = record.told.iter().filter(|told| told.integration == one.integration);
            html! {
                @for told in told {
                    div {
                        a href={ "/-/deliveries/" (told.delivery) } { "#" (told.delivery) } " " (badge(told.state.name()))
                        @if !told.target.is_empty() { " " (told.target) }
                    }
                }
            }
        }
        Some(Decided::Not(why)) => parts::prose(why),
        None if record.is_complete() => html! { "not concerned" },
        None => html! { "not kept" },
    }
}

fn now(one: &ThenAndNow) -> Markup {
    match &one.now {
        _ if !one.is_different() => html! { "the same" },
        Some(decided) => parts::prose(&decided.words()),
        None => html! { "not concerned" },
    }
}

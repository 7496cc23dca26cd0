//! The event log, as people read it.

use std::sync::Arc;

use bytes::Bytes;

use super::Backend;
use super::fixtures::{Case, Change as _, at, delivery, event};
use crate::event::{Event, EventId};
use crate::integration::IntegrationId;
use crate::store::{
    Dispatched, EventFilter, EventLog as _, EventRecord, EventRecords as _, EventsOf, Inbox as _, LogLine,
    LoggedEvent, NotTold, Origin, Outbox as _, Remembered, State,
};

fn line(verdicts: Option<&str>) -> LogLine {
    LogLine { source: "amqp", verdicts: verdicts.map(str::to_owned) }
}

/// An event that goes to two channels of `slack` and not to `irker`, and two later ones: one that goes to neither, and
/// one that concerns no integration.
async fn logged<B: Backend>(case: &Case<B>) {
    let told = Dispatched {
        event: Arc::new(event("told")),
        origin: Origin::Broker { digest: None, redelivered: false },
        deliveries: vec![delivery().to("#ops"), delivery().to("#dev").lane(2)],
        remembered: Remembered {
            log: Some(line(Some(r#"[["irker","push events are off"]]"#))),
            ..Remembered::default()
        },
    };
    case.store.enqueue(vec![told], at(0)).await.unwrap();
    let untold = |id: &str, second: i64, verdicts: Option<&str>| LoggedEvent {
        event: Arc::new(event(id)),
        received_at: at(second),
        line: line(verdicts),
        keeps_json: verdicts.is_some(),
    };
    let not_told = r#"[["slack","the branch is another"],["irker","push events are off"]]"#;
    let events = vec![untold("not told", 10, Some(not_told)), untold("unmatched", 20, None)];
    case.store.log_events(events).await.unwrap();
}

async fn listed<B: Backend>(case: &Case<B>, filter: EventFilter) -> Vec<String> {
    let limit = if filter.limit == 0 { 10 } else { filter.limit };
    let records = case.store.events(EventFilter { limit, ..filter }).await.unwrap();
    records.into_iter().map(|record| record.id.to_string()).collect()
}

async fn one<B: Backend>(case: &Case<B>, id: &str) -> EventRecord {
    case.store.event(&EventId::new(id).unwrap()).await.unwrap().unwrap().0
}

pub(super) async fn events_are_listed_newest_first_with_what_became_of_them<B: Backend>() {
    let case = Case::<B>::new().await;
    logged(&case).await;
    assert_eq!(listed(&case, EventFilter::default()).await, ["unmatched", "not told", "told"]);
    let told = one(&case, "told").await;
    let made: Vec<_> =
        told.told.iter().map(|told| (&*told.integration.0, &*told.target, told.state)).collect();
    assert_eq!(made, [("slack", "#ops", State::Waiting), ("slack", "#dev", State::Waiting)]);
    let irker =
        || NotTold { integration: IntegrationId::new("irker"), why: "push events are off".to_owned() };
    assert_eq!(told.not_told, [irker()]);
    assert_eq!((&*told.kind, told.trigger.as_deref(), told.project_id), ("push", Some("push"), Some(7)));
    assert_eq!((told.project.as_deref(), &*told.subject), (Some("acme/web"), "ref:refs/heads/main"));
    assert_eq!((told.source.as_deref(), told.occurred_at, told.received_at), (Some("amqp"), at(-5), at(0)));
    let not_told = one(&case, "not told").await;
    assert!(not_told.told.is_empty() && not_told.received_at == at(10));
    assert_eq!(not_told.not_told[1], irker());
    let unmatched = one(&case, "unmatched").await;
    assert!(unmatched.told.is_empty() && unmatched.not_told.is_empty() && unmatched.is_complete());
    assert_eq!(case.store.event(&EventId::new("never").unwrap()).await.unwrap(), None);
}

pub(super) async fn events_are_filtered_by_what_people_ask_for<B: Backend>() {
    let case = Case::<B>::new().await;
    logged(&case).await;
    let of =
        |name: &str| EventFilter { integrations: vec![IntegrationId::new(name)], ..EventFilter::default() };
    assert_eq!(listed(&case, of("slack")).await, ["not told", "told"]);
    assert_eq!(listed(&case, of("irker")).await, ["not told", "told"]);
    assert!(listed(&case, of("slac")).await.is_empty(), "a part of a name is another name");
    assert_eq!(listed(&case, EventFilter { is_told: Some(true), ..of("slack") }).await, ["told"]);
    assert_eq!(
        listed(&case, EventFilter { is_told: Some(false), ..of("irker") }).await,
        ["not told", "told"]
    );
    let told = |is_told| EventFilter { is_told: Some(is_told), ..EventFilter::default() };
    assert_eq!(listed(&case, told(true)).await, ["told"]);
    assert_eq!(listed(&case, told(false)).await, ["unmatched", "not told"]);
    let kind = |kind: &str| EventFilter { kind: Some(kind.to_owned()), ..EventFilter::default() };
    assert_eq!(listed(&case, kind("push")).await.len(), 3);
    assert!(listed(&case, kind("note")).await.is_empty());
    let time = EventFilter { since: Some(at(10)), until: Some(at(20)), ..EventFilter::default() };
    assert_eq!(listed(&case, time).await, ["not told"]);
    for (of, count) in [
        (EventsOf::Place { project_id: Some(7), path: None }, 3),
        (EventsOf::Place { project_id: None, path: Some("Acme/Web".to_owned()) }, 3),
        (EventsOf::Place { project_id: Some(8), path: Some("acme".to_owned()) }, 0),
        (EventsOf::Place { project_id: Some(8), path: Some("acme/web".to_owned()) }, 0),
        (EventsOf::Place { project_id: None, path: None }, 0),
        (EventsOf::Within("ACME".to_owned()), 3),
        (EventsOf::Within("acme/web".to_owned()), 3),
        (EventsOf::Within("acm".to_owned()), 0),
    ] {
        let filter = EventFilter { of: of.clone(), ..EventFilter::default() };
        assert_eq!(listed(&case, filter).await.len(), count, "{of:?}");
        let record = one(&case, "told").await;
        assert_eq!(of.includes(&record), count > 0, "{of:?}");
    }
}

pub(super) async fn events_are_listed_in_pages<B: Backend>() {
    let case = Case::<B>::new().await;
    logged(&case).await;
    let page =
        |before: &str| EventFilter { before: EventId::new(before), limit: 1, ..EventFilter::default() };
    assert_eq!(listed(&case, page("unmatched")).await, ["not told"]);
    assert_eq!(listed(&case, page("not told")).await, ["told"]);
    assert!(listed(&case, page("told")).await.is_empty());
    assert!(listed(&case, page("never")).await.is_empty());
}

pub(super) async fn the_json_of_a_told_event_is_shown<B: Backend>() {
    let case = Case::<B>::new().await;
    logged(&case).await;
    let raw = case.store.event(&EventId::new("told").unwrap()).await.unwrap().unwrap().1;
    assert_eq!(raw, Some(event("told").raw));
    let none = case.store.event(&EventId::new("unmatched").unwrap()).await.unwrap().unwrap().1;
    assert_eq!(none, None, "of what concerned no integration, only the line is kept");
}

pub(super) async fn the_json_of_an_event_that_nobody_wanted_is_shown_where_it_is_kept<B: Backend>() {
    let case = Case::<B>::new().await;
    logged(&case).await;
    let raw = async || case.store.event(&EventId::new("not told").unwrap()).await.unwrap().unwrap().1;
    assert_eq!(raw().await, Some(event("not told").raw));
    // The same event comes again, and under the newer settings it is wanted.
    let told = Dispatched {
        event: Arc::new(event("not told")),
        origin: Origin::Broker { digest: None, redelivered: false },
        deliveries: vec![delivery()],
        remembered: Remembered { log: Some(line(None)), ..Remembered::default() },
    };
    case.store.enqueue(vec![told], at(30)).await.unwrap();
    assert_eq!(raw().await, Some(event("not told").raw));
    assert_eq!(one(&case, "not told").await.told.len(), 1);
}

/// A push of the project with this number and path.
fn push_of(id: &str, project: i64, path: &str) -> Event {
    let raw = format!(
        r#"{{"object_kind":"push","ref":"refs/heads/main","after":"{id}",
            "project":{{"id":{project},"path_with_namespace":"{path}"}}}}"#
    );
    Event::decode(EventId::new(id).unwrap(), at(-5), Bytes::from(raw)).unwrap()
}

async fn log<B: Backend>(case: &Case<B>, event: Event, second: i64, verdicts: Option<&str>) {
    let line = line(verdicts);
    let logged = LoggedEvent { event: Arc::new(event), received_at: at(second), line, keeps_json: false };
    case.store.log_events(vec![logged]).await.unwrap();
}

pub(super) async fn events_of_a_project_that_had_the_path_before_are_not_anothers<B: Backend>() {
    let case = Case::<B>::new().await;
    for (id, project, path, second) in [
        ("former", 7, "acme/web", 0),
        ("renamed", 7, "acme/old-web", 10),
        ("unnumbered", 0, "Acme/Web", 20),
        ("present", 8, "acme/web", 30),
    ] {
        log(&case, push_of(id, project, path), second, None).await;
    }
    for (project_id, expected) in [
        (Some(8), &["present", "unnumbered"][..]),
        (Some(7), &["unnumbered", "renamed", "former"]),
        (None, &["present", "unnumbered", "former"]),
    ] {
        let of = EventsOf::Place { project_id, path: Some("acme/web".to_owned()) };
        let filter = EventFilter { of: of.clone(), ..EventFilter::default() };
        assert_eq!(listed(&case, filter).await, expected, "{of:?}");
        for id in ["former", "renamed", "unnumbered", "present"] {
            assert_eq!(of.includes(&one(&case, id).await), expected.contains(&id), "{of:?} {id}");
        }
    }
}

pub(super) async fn events_of_an_integration_are_found_by_any_of_its_ids<B: Backend>() {
    let case = Case::<B>::new().await;
    let told = |id: &str, integration: &str| Dispatched {
        event: Arc::new(event(id)),
        origin: Origin::Broker { digest: None, redelivered: false },
        deliveries: vec![delivery().of(integration)],
        remembered: Remembered { log: Some(line(None)), ..Remembered::default() },
    };
    case.store.enqueue(vec![told("by path", "acme/web:slack")], at(0)).await.unwrap();
    case.store.enqueue(vec![told("by number", "7:slack")], at(10)).await.unwrap();
    case.store.enqueue(vec![told("another", "8:slack")], at(20)).await.unwrap();
    log(&case, event("not told"), 30, Some(r#"[["7:slack","push events are off"]]"#)).await;
    let of = |names: &[&str]| EventFilter {
        integrations: names.iter().map(|name| IntegrationId::new(*name)).collect(),
        ..EventFilter::default()
    };
    let both = of(&["acme/web:slack", "7:slack"]);
    assert_eq!(listed(&case, both.clone()).await, ["not told", "by number", "by path"]);
    assert_eq!(listed(&case, EventFilter { is_told: Some(false), ..both }).await, ["not told"]);
    assert_eq!(listed(&case, of(&["acme/web:slack"])).await, ["by path"]);
}

pub(super) async fn a_time_is_found_among_events_that_came_in_disorder<B: Backend>() {
    let case = Case::<B>::new().await;
    // Every third event was written 45 minutes after it came, behind later ones.
    let came = |number: i64| number * 1800 - if number % 3 == 0 { 2700 } else { 0 };
    for number in 0..40 {
        log(&case, event(&format!("e{number}")), came(number), None).await;
    }
    for (since, until) in
        [(None, None), (Some(-3000), Some(1)), (Some(18_000), Some(27_000)), (Some(70_000), None)]
    {
        let fits = |number: &i64| {
            since.is_none_or(|since| came(*number) >= since)
                && until.is_none_or(|until| came(*number) < until)
        };
        let mut expected: Vec<String> = (0..40).filter(fits).map(|number| format!("e{number}")).collect();
        expected.sort();
        let filter =
            EventFilter { since: since.map(at), until: until.map(at), limit: 50, ..EventFilter::default() };
        let mut found = listed(&case, filter).await;
        found.sort();
        assert_eq!(found, expected, "{since:?} {until:?}");
    }
}

pub(super) async fn an_event_over_http_that_leads_to_nothing_is_logged<B: Backend>() {
    let case = Case::<B>::new().await;
    for (id, discard_first) in [("first", true), ("second", false)] {
        assert!(case.push(id, at(0)).await);
        let number = case.inbox(0).await[0].0;
        let log = || async {
            let verdicts = Some(r#"[["slack","the branch is another"]]"#);
            let event = Arc::new(event(id));
            let logged = LoggedEvent { event, received_at: at(0), line: line(verdicts), keeps_json: true };
            case.store.log_events(vec![logged]).await.unwrap();
        };
        if discard_first {
            case.store.discard(&[number]).await.unwrap();
            log().await;
        } else {
            log().await;
            case.store.discard(&[number]).await.unwrap();
        }
        let record = one(&case, id).await;
        assert_eq!(record.not_told.len(), 1, "{id}");
        assert!(record.is_complete(), "{id}");
    }
    // The log is switched off.
    assert!(case.push("third", at(0)).await);
    case.store.discard(&[case.inbox(0).await[0].0]).await.unwrap();
    let mut listed = listed(&case, EventFilter::default()).await;
    listed.sort();
    assert_eq!(listed, ["first", "second"]);
}

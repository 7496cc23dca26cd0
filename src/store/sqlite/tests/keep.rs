//! Results of first attempts that were made before a row was written.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{event, now};
use crate::integration::IntegrationId;
use crate::store::registry::AuditEntry;
use crate::store::seal::Keyring;
use crate::store::sqlite::Sqlite;
use crate::store::suite::watches::probe;
use crate::store::{
    Asked, AttemptRecord, Claim, DeliveryFilter, DeliveryId, EventLog, Fate, FirstAttempts, Inbox, Kept,
    KeptDelivery, Known, Lane, Lease, Ledger, LogLine, LoggedEvent, NewDelivery, NewState, NodeId, Origin,
    Outbox, Portion, Remembered, RepeatOf, Resend, Retention, Settled, State, WatchKind, Watches,
};

const BROKER: Origin = Origin::Broker { digest: None, redelivered: false };

fn store(folder: &tempfile::TempDir) -> Sqlite {
    Sqlite::open(&folder.path().join("forgebell.db"), Keyring::none()).unwrap()
}

fn node() -> NodeId {
    NodeId("here".into())
}

fn to(target: &str, lane: i64) -> NewDelivery {
    NewDelivery {
        integration: IntegrationId::new("slack"),
        target: target.into(),
        destination: "hook".into(),
        share: "hook".into(),
        lane: Lane(lane),
        replaces: false,
        lease: None,
    }
}

fn attempted(id: DeliveryId, state: NewState) -> Fate {
    let outcome = if state == NewState::Delivered { "delivered" } else { "unavailable" };
    let record =
        AttemptRecord { at: now(), latency_ms: 12, outcome, status: Some(200), note: "ok".to_owned() };
    let (end, begin) = (Vec::new(), Vec::new());
    Fate::Attempted(Box::new(Settled {
        delivery: id,
        state,
        attempts: 1,
        record,
        end,
        begin,
        watch: None,
        at: now(),
    }))
}

/// An event with these deliveries, each with its fate.
fn kept(id: &str, origin: Origin, deliveries: Vec<(DeliveryId, NewDelivery, Fate)>) -> Kept {
    Kept {
        event: Arc::new(event(id, 0)),
        origin,
        remembered: Remembered {
            log: Some(LogLine { source: "amqp", verdicts: None }),
            ..Remembered::default()
        },
        received_at: now(),
        history: true,
        deliveries: deliveries.into_iter().map(|(id, new, fate)| KeptDelivery { id, new, fate }).collect(),
    }
}

async fn keep(store: &Sqlite, kept: Kept) {
    store.keep(&node(), [kept].into()).await.unwrap();
}

/// An event that was delivered at the first attempt.
async fn told(store: &Sqlite, id: &str) -> DeliveryId {
    let delivery = store.next_id();
    let fate = attempted(delivery, NewState::Delivered);
    keep(store, kept(id, BROKER, vec![(delivery, to("", 1), fate)])).await;
    delivery
}

async fn state(store: &Sqlite, id: DeliveryId) -> Option<State> {
    Some(store.delivery(id).await.unwrap()?.line.state)
}

async fn known(store: &Sqlite, id: &str) -> Known {
    known_as(store, RepeatOf::Id(event(id, 0).id)).await
}

async fn known_as(store: &Sqlite, repeat: RepeatOf) -> Known {
    let asked = Asked { repeat, lanes: vec![(Lane(1), "hook".into())] };
    store.look_up(vec![asked]).await.unwrap().remove(0)
}

/// Puts an event in the inbox. Returns its number.
async fn posted(store: &Sqlite, id: &str) -> i64 {
    assert!(store.push(&event(id, 0), now()).await.unwrap());
    store.peek(0, Portion::rows(1)).await.unwrap()[0].0
}

fn swept_after(seconds: i64) -> Retention {
    Retention {
        settled_before: after(seconds),
        dead_letters_before: after(seconds),
        quarantine_before: after(seconds),
        merge_requests_before: after(seconds),
    }
}

fn audit(seconds: i64) -> AuditEntry {
    AuditEntry::whole(after(seconds), "ada", "delivery.retry", "delivery".to_owned())
}

fn after(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

async fn claimed(store: &Sqlite, at: Timestamp) -> Vec<DeliveryId> {
    let lease = Lease { node: node(), until: at + SignedDuration::from_secs(60) };
    let claim = Claim { destinations: vec!["hook".into()], portion: Portion::rows(16), lease, now: at };
    let claimed = store.claim(claim).await.unwrap();
    claimed.into_iter().flat_map(|claimed| claimed.deliveries).map(|(delivery, _)| delivery.id).collect()
}

#[tokio::test]
async fn what_was_delivered_is_history_with_its_json_and_a_repeat_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    assert_eq!(known(&store, "e1").await, new(&[]));
    let id = told(&store, "e1").await;
    let detail = store.delivery(id).await.unwrap().unwrap();
    assert_eq!((detail.line.state, detail.line.attempts), (State::Delivered, 1));
    assert_eq!(detail.raw, Some(event("e1", 0).raw));
    assert_eq!(detail.attempts.len(), 1);
    assert_eq!(detail.attempts[0].1.status, Some(200));
    assert_eq!(known(&store, "e1").await, Known::Repeat);
    assert_eq!(super::count(&store).await, 0, "no row of the hot table was written");
    drop(store);
    let store = self::store(&folder);
    assert_eq!(store.delivery(id).await.unwrap().unwrap().raw, Some(event("e1", 0).raw));
    assert!(store.next_id() > id, "an id is not given twice");
}

#[tokio::test]
async fn the_watches_of_an_event_are_written_with_what_became_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let id = store.next_id();
    let told = kept("e1", BROKER, vec![(id, to("", 1), attempted(id, NewState::Delivered))]);
    let remembered = Remembered { watches: vec![probe("redmine", after(5))], ..told.remembered.clone() };
    keep(&store, Kept { remembered, ..told }).await;
    let claimed = store.claim_watches(after(5), after(60), 10).await.unwrap();
    assert_eq!(claimed.watches.len(), 1);
    assert_eq!(claimed.watches[0].kind, WatchKind::Probe);
}

#[tokio::test]
async fn the_list_has_rows_and_history_in_the_order_of_their_ids() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let first = told(&store, "e1").await;
    let open = store.next_id();
    keep(&store, kept("e2", BROKER, vec![(open, to("", 2), Fate::Open)])).await;
    let last = told(&store, "e3").await;
    let ids = async |filter| -> Vec<DeliveryId> {
        store.deliveries(filter).await.unwrap().into_iter().map(|line| line.id).collect()
    };
    let all = DeliveryFilter { limit: 10, ..DeliveryFilter::default() };
    assert_eq!(ids(all.clone()).await, [last, open, first]);
    assert_eq!(ids(DeliveryFilter { limit: 2, ..all.clone() }).await, [last, open]);
    assert_eq!(ids(DeliveryFilter { before: Some(open), ..all.clone() }).await, [first]);
    assert_eq!(ids(DeliveryFilter { state: Some(State::Delivered), ..all.clone() }).await, [last, first]);
    assert_eq!(ids(DeliveryFilter { state: Some(State::Waiting), ..all.clone() }).await, [open]);
    assert_eq!(ids(DeliveryFilter { event: Some(event("e1", 0).id), ..all.clone() }).await, [first]);
    let of = |names: &[&str]| DeliveryFilter {
        integrations: names.iter().map(|name| IntegrationId::new(*name)).collect(),
        ..all.clone()
    };
    assert_eq!(ids(of(&["teams"])).await, []);
    assert_eq!(ids(of(&["teams", "slack"])).await, [last, open, first]);
}

#[tokio::test]
async fn each_delivery_of_an_event_has_its_own_fate() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let ids: Vec<_> = (0..4).map(|_| store.next_id()).collect();
    let fates = [
        attempted(ids[0], NewState::Delivered),
        attempted(ids[1], NewState::Failed),
        attempted(ids[2], NewState::Waiting(after(30))),
        Fate::Open,
    ];
    let deliveries = ids.iter().zip(fates).zip(1..).map(|((id, fate), n)| (*id, to(&n.to_string(), n), fate));
    let event = kept("e1", BROKER, deliveries.collect());
    keep(&store, event.clone()).await;
    let expected = [State::Delivered, State::Failed, State::Waiting, State::Waiting];
    for (id, expected) in ids.iter().zip(expected) {
        assert_eq!(state(&store, *id).await, Some(expected));
    }
    assert_eq!(store.delivery(ids[2]).await.unwrap().unwrap().line.due, Some(after(30)));
    keep(&store, event).await;
    assert_eq!(super::count(&store).await, 3, "repeating it records nothing twice");
    assert_eq!(store.delivery(ids[1]).await.unwrap().unwrap().attempts.len(), 1);
    assert_eq!(claimed(&store, after(1)).await, [ids[3]]);
    assert_eq!(claimed(&store, after(31)).await, [ids[2]]);
}

#[tokio::test]
async fn rows_of_a_lane_are_handed_out_in_the_order_of_their_ids_whichever_is_written_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let (first, second) = (store.next_id(), store.next_id());
    keep(&store, kept("e2", BROKER, vec![(second, to("", 1), Fate::Open)])).await;
    keep(&store, kept("e1", BROKER, vec![(first, to("", 1), Fate::Open)])).await;
    assert_eq!(claimed(&store, after(1)).await, [first, second]);
}

/// The answer for a new event whose deliveries with these indexes wait behind others.
fn new(behind: &[usize]) -> Known {
    Known::New { behind: behind.to_vec() }
}

#[tokio::test]
async fn a_new_delivery_stands_behind_rows_of_its_lane_or_destination() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let open = store.next_id();
    keep(&store, kept("e1", BROKER, vec![(open, to("", 1), Fate::Open)])).await;
    let asked = |lane, destination: &str| Asked {
        repeat: RepeatOf::Id(event("e2", 0).id),
        lanes: vec![(Lane(lane), destination.into())],
    };
    let asked = vec![asked(1, "other"), asked(2, "hook"), asked(2, "other")];
    let found = store.look_up(asked).await.unwrap();
    assert_eq!(found, [new(&[0]), new(&[0]), new(&[])]);
}

#[tokio::test]
async fn an_event_of_the_inbox_leaves_it_with_its_outcome() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    store.push(&event("e1", 0), now()).await.unwrap();
    let number = store.peek(0, Portion::rows(1)).await.unwrap()[0].0;
    let id = store.next_id();
    let fate = attempted(id, NewState::Delivered);
    let event = kept("e1", Origin::Inbox(number), vec![(id, to("", 1), fate)]);
    keep(&store, event.clone()).await;
    assert!(store.peek(0, Portion::rows(1)).await.unwrap().is_empty());
    let detail = store.delivery(id).await.unwrap().unwrap();
    assert_eq!((detail.line.state, detail.raw), (State::Delivered, Some(super::event("e1", 0).raw)));
    keep(&store, event).await;
    assert_eq!(store.delivery(id).await.unwrap().unwrap().attempts.len(), 1);
}

#[tokio::test]
async fn an_event_from_a_broker_that_also_came_over_http_is_kept_whole_and_leaves_the_inbox() {
    for state in [NewState::Delivered, NewState::Waiting(after(30))] {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let number = posted(&store, "e1").await;
        assert_eq!(known(&store, "e1").await, new(&[]), "what lies in the inbox was not dispatched");
        assert_eq!(known_as(&store, RepeatOf::Inbox(number)).await, new(&[]));
        let id = store.next_id();
        let fate = attempted(id, state.clone());
        keep(&store, kept("e1", BROKER, vec![(id, to("", 1), fate)])).await;
        assert!(store.peek(0, Portion::rows(1)).await.unwrap().is_empty(), "{state:?}");
        assert_eq!(known(&store, "e1").await, Known::Repeat);
        assert_eq!(
            known_as(&store, RepeatOf::Inbox(number)).await,
            Known::Repeat,
            "it is not there any more"
        );
        let detail = store.delivery(id).await.unwrap().expect("the outcome of an attempt is never dropped");
        assert_eq!((detail.attempts.len(), detail.raw), (1, Some(event("e1", 0).raw)));
        let due = if state == NewState::Delivered { Vec::new() } else { vec![id] };
        assert_eq!(claimed(&store, after(31)).await, due);
    }
}

#[tokio::test]
async fn where_the_history_cannot_be_written_only_the_json_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("forgebell.db-history"), "a file in place of the folder").unwrap();
    let store = store(&folder);
    let id = told(&store, "e1").await;
    let detail = store.delivery(id).await.unwrap().unwrap();
    assert_eq!((detail.line.state, detail.raw), (State::Delivered, None));
    assert_eq!(known(&store, "e1").await, Known::Repeat);
    std::fs::remove_file(folder.path().join("forgebell.db-history")).unwrap();
    let id = told(&store, "e2").await;
    assert_eq!(store.delivery(id).await.unwrap().unwrap().raw, Some(event("e2", 0).raw));
}

#[tokio::test]
async fn an_id_is_not_given_twice_where_all_history_was_swept_before_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    told(&store, "e1").await;
    let last = told(&store, "e2").await;
    assert_eq!(store.sweep(swept_after(1), 100).await.unwrap().deliveries, 2);
    drop(store);
    assert!(self::store(&folder).next_id() > last);
}

#[tokio::test]
async fn where_a_copy_was_written_otherwise_delivered_wins_and_an_open_delivery_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    told(&store, "e1").await;
    let (second, third) = (store.next_id(), store.next_id());
    let fate = attempted(second, NewState::Delivered);
    keep(&store, kept("e1", BROKER, vec![(second, to("a", 1), fate), (third, to("b", 2), Fate::Open)])).await;
    assert_eq!(state(&store, second).await, Some(State::Delivered));
    assert_eq!(state(&store, third).await, None);
}

#[tokio::test]
async fn what_was_delivered_can_be_sent_again_unless_its_json_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let (one, two) = (told(&store, "e1").await, told(&store, "e2").await);
    assert_eq!(store.resend(one, audit(1)).await.unwrap(), Resend::Done);
    assert_eq!(state(&store, one).await, Some(State::Waiting));
    assert_eq!(claimed(&store, after(2)).await, [one], "with its JSON, which the claim reads");
    assert_eq!(store.delivery(one).await.unwrap().unwrap().attempts.len(), 1, "the former record stays");
    std::fs::remove_dir_all(folder.path().join("forgebell.db-history")).unwrap();
    assert_eq!(store.resend(two, audit(3)).await.unwrap(), Resend::JsonGone);
    assert_eq!(state(&store, two).await, Some(State::Delivered));
    assert_eq!(store.delivery(two).await.unwrap().unwrap().raw, None);
}

#[tokio::test]
async fn a_sweep_removes_history_and_the_events_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let id = told(&store, "e1").await;
    let line = LogLine { source: "amqp", verdicts: Some("[]".to_owned()) };
    let logged = LoggedEvent { event: Arc::new(event("e2", 0)), received_at: now(), line, keeps_json: false };
    store.log_events(vec![logged]).await.unwrap();
    assert_eq!(known(&store, "e2").await, new(&[]), "the log makes no id known");
    let swept = store.sweep(swept_after(0), 100).await.unwrap();
    assert_eq!((swept.deliveries, swept.events), (0, 0));
    let swept = store.sweep(swept_after(1), 100).await.unwrap();
    assert_eq!((swept.deliveries, swept.events), (1, 2));
    assert_eq!(state(&store, id).await, None);
    assert_eq!(known(&store, "e1").await, new(&[]));
}

#[tokio::test]
async fn an_event_that_only_the_log_had_may_be_delivered_when_it_comes_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let line = LogLine { source: "amqp", verdicts: None };
    let logged = LoggedEvent { event: Arc::new(event("e1", 0)), received_at: now(), line, keeps_json: false };
    store.log_events(vec![logged.clone(), logged]).await.unwrap();
    let id = told(&store, "e1").await;
    assert_eq!(state(&store, id).await, Some(State::Delivered));
    assert_eq!(known(&store, "e1").await, Known::Repeat);
}

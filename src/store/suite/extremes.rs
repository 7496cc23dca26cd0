//! Extreme values: stored values come back unchanged, and refused values give the right error.

use std::fmt::Write as _;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::Backend;
use super::fixtures::{
    Case, Change as _, at, audit, delivery, event, from_broker, held_route, node, route, settled,
};
use crate::store::registry::{Learned, Mute, SeenProject};
use crate::store::{
    AttemptRecord, DeliveryFilter, DeliveryId, Hold, Ledger, NewState, Outbox, Quarantine, Registry, Settled,
    StoreError,
};

/// A text of this many letters that no compression shortens to fit an index.
fn random_letters(length: usize) -> String {
    let mut text = String::with_capacity(length + 64);
    let mut block = Sha256::digest("seed");
    while text.len() < length {
        for byte in block {
            let _ = write!(text, "{byte:02x}");
        }
        block = Sha256::digest(block);
    }
    text.truncate(length);
    text
}

/// The lengths at which indexes of PostgreSQL and pages of SQLite end, and a text of 1 MB.
const LENGTHS: [usize; 4] = [255, 2_704, 3_000, 1 << 20];

pub(super) async fn keys_of_any_length_are_kept_apart_by_their_last_letter<B: Backend>() {
    let case = Case::<B>::new().await;
    for length in LENGTHS {
        let (one, other) = (random_letters(length) + "1", random_letters(length) + "2");
        let both = || vec![delivery().to(&one), delivery().to(&other)];
        let id = format!("event {length}");
        let written = case.write_all(&id, both(), at(0)).await;
        assert!(written.iter().all(Option::is_some), "{length}");
        let again = case.write_all(&id, both(), at(1)).await;
        assert!(again.iter().all(Option::is_none), "{length}");
        let detail = case.store.delivery(written[1].as_ref().unwrap().id).await.unwrap().unwrap();
        assert!(detail.line.target == other, "{length}");
    }
}

pub(super) async fn a_held_route_of_any_length_holds_that_target_only<B: Backend>() {
    let case = Case::<B>::new().await;
    for (lane, length) in (1..).zip(LENGTHS) {
        let (held, free) = (random_letters(length) + "1", random_letters(length) + "2");
        let over = format!("hook {length}");
        case.hold(held_route(&held, at(60)), at(0)).await;
        let id = format!("event {length}");
        let to = |target: &str, lane| delivery().to(target).over(&over).lane(lane);
        let written = case.write_all(&id, vec![to(&held, lane), to(&free, lane + 100)], at(0)).await;
        let ids: Vec<_> = written.into_iter().map(|row| row.unwrap().id).collect();
        assert_eq!(case.claim("a", &over, at(1)).await, ids[1..], "{length}");
        case.end_hold(&route(&held), at(2)).await;
        assert_eq!(case.claim("a", &over, at(2)).await, ids[..1], "{length}");
    }
}

pub(super) async fn strange_texts_come_back_as_they_were<B: Backend>() {
    let case = Case::<B>::new().await;
    let strange = [
        "\u{202e}\u{05e9}\u{05dc}\u{05d5}\u{05dd} right to left",
        "\u{1f600}\u{200d}\u{1f525} e\u{301}\u{327}",
        "\\x00 \\ '; DROP TABLE deliveries; --",
        "\u{1}\u{7f}\u{fffd}\u{ffff}\u{10ffff}",
        "{\"a\": [1, null]} \t\r\n ,,{}",
        " ",
    ];
    for (lane, text) in (1..).zip(strange) {
        let id = case.write(&format!("event {lane}"), delivery().to(text).lane(lane), at(0)).await;
        let record =
            AttemptRecord { note: text.to_owned(), ..settled(id, NewState::Delivered, at(1)).record };
        let hold = Hold { reason: text.to_owned(), ..held_route(text, at(60)) };
        let waits = NewState::Waiting(at(2));
        case.settle("a", Settled { record, begin: vec![hold.clone()], ..settled(id, waits, at(1)) }).await;
        let detail = case.store.delivery(id).await.unwrap().unwrap();
        assert_eq!((&*detail.line.target, &*detail.attempts[0].1.note), (text, text));
        assert_eq!(detail.hold, Some(hold));
        case.end_hold(&route(text), at(2)).await;
        assert_eq!(case.claim("a", "hook", at(2)).await, [id], "{text}");
        case.end("a", id, NewState::Delivered, at(3)).await;
    }
    // PostgreSQL has no NUL in texts: another character takes its place, everywhere the same.
    let id = case.write("NUL", delivery().to("a\0b"), at(4)).await;
    assert!(case.write_all("NUL", vec![delivery().to("a\0b")], at(5)).await[0].is_none());
    case.hold(held_route("a\0b", at(60)), at(5)).await;
    assert_eq!(case.claim("a", "hook", at(6)).await, []);
    case.end_hold(&route("a\0b"), at(7)).await;
    assert_eq!(case.claim("a", "hook", at(8)).await, [id]);
    let item = crate::store::NewQuarantined {
        source: "http",
        sender: None,
        id: None,
        reason: "NUL \0".to_owned(),
        received_at: at(9),
        raw: vec![0, 255, 0].into(),
    };
    case.store.quarantine(vec![item]).await.unwrap();
    let number = case.store.list_quarantined(None, 1).await.unwrap()[0].number;
    assert_eq!(&case.store.quarantined(number).await.unwrap().unwrap().1[..], [0, 255, 0]);
}

pub(super) async fn numbers_and_moments_at_their_limits_are_stored<B: Backend>() {
    let case = Case::<B>::new().await;
    for (number, lane) in [(1, i64::MIN), (2, i64::MAX), (3, 0)] {
        let id = case.write(&format!("event {number}"), delivery().lane(lane), at(0)).await;
        let record = AttemptRecord {
            at: Timestamp::MIN,
            latency_ms: u32::MAX,
            status: Some(u16::MAX),
            ..settled(id, NewState::Failed, at(1)).record
        };
        let hold =
            Hold { since: Timestamp::MIN, strikes: u32::MAX, ..held_route(&id.to_string(), Timestamp::MAX) };
        let waits = NewState::Waiting(Timestamp::MAX);
        let last =
            Settled { attempts: u32::MAX, record, begin: vec![hold], ..settled(id, waits, Timestamp::MAX) };
        case.settle("a", last).await;
        let detail = case.store.delivery(id).await.unwrap().unwrap();
        assert_eq!(detail.line.due.unwrap().as_second(), Timestamp::MAX.as_second());
        assert_eq!(detail.attempts[0].1.latency_ms, u32::MAX);
        assert!(detail.line.attempts > 1_000_000_000);
    }
    let all = DeliveryFilter { limit: 10, ..DeliveryFilter::default() };
    assert_eq!(case.store.deliveries(all).await.unwrap().len(), 3);
    assert_eq!(case.store.holds(at(0)).await.unwrap().len(), 3);
    assert_eq!(case.waiting(at(0)).await.len(), 1);
    let seen = SeenProject { id: i64::MAX, path: Some("acme/last".to_owned()), learned: Learned::default() };
    assert_eq!(case.store.upsert_seen_projects(vec![seen], at(0)).await.unwrap()[0].id, i64::MAX);
}

pub(super) async fn paths_of_any_length_name_one_project_each<B: Backend>() {
    let case = Case::<B>::new().await;
    for (id, length) in (1..).zip(LENGTHS) {
        let path = format!("acme/{}Z", random_letters(length));
        let seen =
            |id, path: &str| SeenProject { id, path: Some(path.to_owned()), learned: Learned::default() };
        let other = format!("{path}z");
        case.store.upsert_seen_projects(vec![seen(id, &path), seen(id + 100, &other)], at(0)).await.unwrap();
        let found = case.store.project_by_path(&path.to_uppercase()).await.unwrap().unwrap();
        assert_eq!(found.id, id, "{length}");
        case.store.upsert_seen_projects(vec![seen(id + 200, &path)], at(1)).await.unwrap();
        assert_eq!(case.store.project_by_path(&path).await.unwrap().unwrap().id, id + 200, "{length}");
        assert_eq!(case.store.project(id).await.unwrap().unwrap().path, None, "{length}");

        let group = case.store.put_group(None, &path, audit("group.create", at(0))).await.unwrap();
        assert_eq!(case.store.group_by_path(&path.to_uppercase()).await.unwrap(), Some(group), "{length}");
    }
}

pub(super) async fn a_mute_of_a_long_channel_is_replaced<B: Backend>() {
    let case = Case::<B>::new().await;
    let mute = |until| Mute {
        project: 42,
        slug: "slack".to_owned(),
        channel: random_letters(1 << 20),
        until: at(until),
        by: "@ada".to_owned(),
        revision: 0,
    };
    for until in [60, 90] {
        case.store.mute(mute(until), audit("mute", at(0))).await.unwrap();
    }
    let mutes = case.store.changes(0).await.unwrap().mutes;
    assert_eq!(mutes.iter().map(|mute| mute.until).collect::<Vec<_>>(), [at(90)]);
}

pub(super) async fn a_refused_value_is_named_so_and_undoes_nothing_else<B: Backend>() {
    let case = Case::<B>::new().await;
    case.backend().refuse_target("#refused").await;
    let dispatched = |id: &str, target: &str| from_broker(event(id), vec![delivery().to(target)]);
    let batch =
        vec![dispatched("before", "#ops"), dispatched("bad", "#refused"), dispatched("after", "#ops")];
    let refused = case.store.enqueue(batch.clone(), at(0)).await.unwrap_err();
    assert!(matches!(refused, StoreError::Refused(_)), "{refused:?}");
    assert_eq!(case.waiting(at(0)).await, [], "of the batch nothing is written");
    for (dispatched, is_taken) in batch.into_iter().zip([true, false, true]) {
        assert_eq!(case.store.enqueue(vec![dispatched], at(0)).await.is_ok(), is_taken);
    }
    let got = case.claim("a", "hook", at(0)).await;
    assert_eq!(got.len(), 2);
    // A settlement of another row in the same batch goes on too.
    case.store
        .settle(&node("a"), vec![settled(DeliveryId(got[0].0), NewState::Delivered, at(1))])
        .await
        .unwrap();
}

//! The inbox and the quarantine.

use std::sync::Arc;

use bytes::Bytes;

use super::Backend;
use super::fixtures::{Case, at, audit, delivery, event, from_broker};
use crate::event::EventId;
use crate::store::{
    Claim, Dispatched, EventLog, Inbox, LogLine, LoggedEvent, NewQuarantined, Origin, Outbox, Portion,
    Quarantine, Registry, Remembered,
};

pub(super) async fn pushing_an_event_twice_keeps_one<B: Backend>() {
    let case = Case::<B>::new().await;
    assert!(case.push("e1", at(0)).await);
    assert!(!case.push("e1", at(1)).await);
    assert_eq!(case.inbox(0).await.len(), 1);
    let case = case.reopened().await;
    assert!(!case.push("e1", at(2)).await);
    let (_, stored) = case.store.peek(0, Portion::rows(1)).await.unwrap().remove(0);
    assert_eq!((stored.raw, stored.occurred_at), (event("e1").raw, at(-5)));
}

pub(super) async fn the_inbox_gives_its_events_in_order_until_they_are_dispatched<B: Backend>() {
    let case = Case::<B>::new().await;
    for id in ["c", "a", "b"] {
        case.push(id, at(0)).await;
    }
    let all = case.inbox(0).await;
    assert_eq!(all.iter().map(|(_, id)| &**id).collect::<Vec<_>>(), ["c", "a", "b"]);
    assert!(all.is_sorted_by_key(|(number, _)| *number));
    assert_eq!(case.inbox(all[0].0).await, all[1..], "after the number");
    let each = event("c").raw.len();
    for (portion, expected) in [
        (Portion::rows(2), 2),
        (Portion { rows: 9, bytes: 1 }, 1),
        (Portion { rows: 9, bytes: each }, 1),
        (Portion { rows: 9, bytes: each + 1 }, 2),
        (Portion { rows: 9, bytes: each * 9 }, 3),
    ] {
        let peeked = case.store.peek(0, portion).await.unwrap();
        assert!(peeked.iter().map(|(number, _)| number).eq(all[..expected].iter().map(|(number, _)| number)));
    }

    let dispatched = |n: usize| Dispatched {
        event: Arc::new(event(&all[n].1)),
        origin: Origin::Inbox(all[n].0),
        deliveries: vec![delivery()],
        remembered: Remembered::default(),
    };
    let written = case.store.enqueue(vec![dispatched(0), dispatched(2)], at(1)).await.unwrap();
    assert!(written.iter().all(|event| event[0].is_some()));
    assert_eq!(case.inbox(0).await, all[1..2]);
    // As after a crash between the commit and its answer.
    let again = case.store.enqueue(vec![dispatched(0)], at(2)).await.unwrap();
    assert!(again[0][0].is_none());
    assert_eq!(case.claim("a", "hook", at(3)).await.len(), 2);
}

pub(super) async fn a_discarded_event_is_known_and_gone<B: Backend>() {
    let case = Case::<B>::new().await;
    case.push("e1", at(0)).await;
    case.push("e2", at(0)).await;
    let all = case.inbox(0).await;
    case.store.discard(&[all[0].0, 4711]).await.unwrap();
    assert_eq!(case.inbox(0).await, all[1..]);
    assert!(!case.push("e1", at(1)).await);
}

pub(super) async fn an_event_that_was_dispatched_is_known_to_the_inbox<B: Backend>() {
    let case = Case::<B>::new().await;
    case.write("e1", delivery(), at(0)).await;
    assert!(!case.push("e1", at(1)).await, "it came from the broker before");
}

pub(super) async fn an_event_over_two_ways_is_dispatched_once_by_whichever_comes_first<B: Backend>() {
    let case = Case::<B>::new().await;
    let by_inbox = |id: &str, number| Dispatched {
        origin: Origin::Inbox(number),
        ..from_broker(event(id), vec![delivery()])
    };
    let write =
        async |dispatched, now| case.store.enqueue(vec![dispatched], now).await.unwrap().remove(0).remove(0);
    for (id, broker_is_first) in [("e1", true), ("e2", false)] {
        assert!(case.push(id, at(1)).await);
        let number = case.inbox(0).await[0].0;
        let broker = from_broker(event(id), vec![delivery()]);
        let (first, second) =
            if broker_is_first { (broker, by_inbox(id, number)) } else { (by_inbox(id, number), broker) };
        assert!(write(first, at(2)).await.is_some(), "{id}");
        assert_eq!(case.inbox(0).await, [], "{id} does not wait to be told again");
        assert!(write(second, at(3)).await.is_none(), "{id}");
    }
    let lease = super::fixtures::lease("a", at(4));
    let claim = Claim { destinations: vec!["hook".into()], portion: Portion::rows(9), lease, now: at(4) };
    let claimed = case.store.claim(claim).await.unwrap().remove(0).deliveries;
    let bodies: Vec<_> = claimed.into_iter().map(|(_, stored)| stored.raw.clone()).collect();
    assert_eq!(bodies, [event("e1").raw, event("e2").raw]);
}

/// The inbox is read in the order of its numbers, each once.
pub(super) async fn an_event_that_only_the_log_has_is_read_from_the_inbox_when_it_comes_again<B: Backend>() {
    let case = Case::<B>::new().await;
    let line = LogLine { source: "amqp", verdicts: None };
    let event = Arc::new(event("e1"));
    let logged = LoggedEvent { event, received_at: at(0), line, keeps_json: false };
    case.store.log_events(vec![logged]).await.unwrap();
    assert!(case.push("e2", at(1)).await);
    let last_read = case.inbox(0).await[0].0;
    assert!(case.push("e1", at(2)).await, "it was not told");
    let next = case.inbox(last_read).await;
    assert_eq!(next.iter().map(|(_, id)| &**id).collect::<Vec<_>>(), ["e1"]);
}

fn bad(id: Option<&str>, second: i64) -> NewQuarantined {
    NewQuarantined {
        source: "http",
        sender: None,
        id: id.and_then(EventId::new),
        reason: "the body is not JSON".to_owned(),
        received_at: at(second),
        raw: Bytes::from_static(b"\x00\xff{"),
    }
}

pub(super) async fn quarantine_keeps_the_bytes_and_the_reason<B: Backend>() {
    let case = Case::<B>::new().await;
    case.store.quarantine(vec![bad(Some("e1"), 0), bad(None, 1)]).await.unwrap();
    let case = case.reopened().await;
    let list = case.store.list_quarantined(None, 10).await.unwrap();
    let (one, raw) = case.store.quarantined(list[1].number).await.unwrap().unwrap();
    assert_eq!((&*one.source, one.id.as_ref().map(EventId::as_str)), ("http", Some("e1")));
    assert_eq!((&*one.reason, one.received_at, one.size), ("the body is not JSON", at(0), 3));
    assert_eq!(raw, bad(None, 0).raw);
    assert_eq!(list[0].id, None);

    assert!(case.store.remove_quarantined(one.number, audit("quarantine.drop", at(2))).await.unwrap());
    assert!(!case.store.remove_quarantined(one.number, audit("quarantine.drop", at(2))).await.unwrap());
    assert!(case.store.quarantined(one.number).await.unwrap().is_none());
    let log = case.store.audit_log(None, 10).await.unwrap();
    assert_eq!(
        log.iter().map(|line| &*line.action).collect::<Vec<_>>(),
        ["quarantine.drop"],
        "it is said once"
    );
}

pub(super) async fn the_use_of_the_quarantine_is_known_for_each_sender<B: Backend>() {
    let case = Case::<B>::new().await;
    assert_eq!(case.store.quarantine_use().await.unwrap(), []);
    let of = |sender: Option<&str>, second| NewQuarantined {
        sender: sender.map(ToOwned::to_owned),
        ..bad(None, second)
    };
    let items = vec![of(None, 0), of(Some("token 3"), 1), of(Some("token 3"), 2)];
    case.store.quarantine(items).await.unwrap();
    let mut found = case.store.quarantine_use().await.unwrap();
    found.sort_by_key(|of| of.messages);
    let found: Vec<_> = found.iter().map(|of| (of.sender.as_deref(), of.messages, of.bytes)).collect();
    assert_eq!(found, [(None, 1, 3), (Some("token 3"), 2, 6)]);
    let list = case.store.list_quarantined(None, 10).await.unwrap();
    assert_eq!((list[0].sender.as_deref(), list[2].sender.as_deref()), (Some("token 3"), None));
}

pub(super) async fn quarantine_is_listed_newest_first_in_pages<B: Backend>() {
    let case = Case::<B>::new().await;
    case.store.quarantine((0..5).map(|n| bad(None, n)).collect()).await.unwrap();
    let first = case.store.list_quarantined(None, 3).await.unwrap();
    assert_eq!(first.iter().map(|line| line.received_at).collect::<Vec<_>>(), [at(4), at(3), at(2)]);
    let second = case.store.list_quarantined(Some(first[2].number), 3).await.unwrap();
    assert_eq!(second.iter().map(|line| line.received_at).collect::<Vec<_>>(), [at(1), at(0)]);
}

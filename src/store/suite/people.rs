//! The ledger: what people read and resend.

use jiff::Timestamp;

use super::Backend;
use super::fixtures::{Case, Change, at, audit, delivery, event, held_route, hold, node, route, settled};
use crate::integration::IntegrationId;
use crate::store::{
    AttemptRecord, Cancel, DeliveryFilter, DeliveryId, Depth, Inbox, Ledger, NewDelivery, NewQuarantined,
    NewState, Outbox, Overview, Portion, Quarantine, Registry, Retention, Settled, State, WaitingGroup,
};

fn all() -> DeliveryFilter {
    DeliveryFilter { limit: 100, ..Default::default() }
}

async fn list<B: Backend>(case: &Case<B>, filter: DeliveryFilter) -> Vec<DeliveryId> {
    case.store.deliveries(filter).await.unwrap().iter().map(|line| line.id).collect()
}

/// Writes a delivery and settles it in this state.
async fn ended<B: Backend>(
    case: &Case<B>,
    id: &str,
    new: NewDelivery,
    state: NewState,
    now: Timestamp,
) -> DeliveryId {
    let written = case.write(id, new.leased("a", now), now).await;
    case.end("a", written, state, now).await;
    written
}

pub(super) async fn the_list_shows_newest_first_in_pages<B: Backend>() {
    let case = Case::<B>::new().await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(case.write(&format!("e{n}"), delivery().to("#ops"), at(n)).await);
    }
    ids.reverse();
    let page = |before| DeliveryFilter { before, limit: 3, ..Default::default() };
    assert_eq!(list(&case, page(None)).await, ids[..3]);
    assert_eq!(list(&case, page(Some(ids[2]))).await, ids[3..]);

    let line = case.store.deliveries(page(None)).await.unwrap().remove(0);
    assert_eq!((line.event.as_str(), line.trigger.as_deref(), &*line.target), ("e4", Some("push"), "#ops"));
    assert_eq!(line.subject, event("e4").subject);
    assert_eq!(
        (&*line.destination, line.integration, line.attempts),
        ("hook", IntegrationId::new("slack"), 0)
    );
    assert_eq!(
        (line.due, line.created_at, line.settled_at, line.last_note),
        (Some(at(4)), at(4), None, None)
    );
}

pub(super) async fn the_list_is_filtered_by_state_and_integration<B: Backend>() {
    let case = Case::<B>::new().await;
    let by = |name: &str, lane| delivery().of(name).lane(lane);
    let delivered = ended(&case, "e1", by("slack", 1), NewState::Delivered, at(0)).await;
    let failed = ended(&case, "e2", by("slack", 2), NewState::Failed, at(0)).await;
    let expired = ended(&case, "e3", by("jira", 3), NewState::Expired, at(0)).await;
    let cancelled = ended(&case, "e4", by("jira", 4), NewState::Cancelled, at(0)).await;
    let retried = ended(&case, "e5", by("jira", 5), NewState::Waiting(at(9)), at(0)).await;
    let leased = case.write("e6", by("slack", 6).leased("a", at(0)), at(0)).await;
    let behind = case.write("e7", by("jira", 5), at(0)).await;

    let state = |state| DeliveryFilter { state: Some(state), ..all() };
    assert_eq!(list(&case, state(State::Waiting)).await, [behind, leased, retried]);
    assert_eq!(list(&case, state(State::Delivered)).await, [delivered]);
    assert_eq!(list(&case, state(State::Failed)).await, [failed]);
    assert_eq!(list(&case, state(State::Expired)).await, [expired]);
    assert_eq!(list(&case, state(State::Cancelled)).await, [cancelled]);

    let of = |names: &[&str]| names.iter().map(|name| IntegrationId::new(*name)).collect();
    let any = DeliveryFilter { integrations: of(&["jira", "none", "slack"]), limit: 3, ..all() };
    assert_eq!(list(&case, any).await, [behind, leased, retried], "newest first, whatever their integration");
    let jira = DeliveryFilter { integrations: of(&["jira"]), ..all() };
    assert_eq!(list(&case, jira.clone()).await, [behind, retried, cancelled, expired]);
    let both = DeliveryFilter { state: Some(State::Waiting), ..jira };
    assert_eq!(list(&case, both.clone()).await, [behind, retried]);
    assert_eq!(list(&case, DeliveryFilter { before: Some(behind), limit: 1, ..both }).await, [retried]);
}

pub(super) async fn the_list_is_filtered_by_project_event_and_time<B: Backend>() {
    let case = Case::<B>::new().await;
    let early = ended(&case, "e1", delivery().lane(1), NewState::Failed, at(0)).await;
    let late = ended(&case, "e2", delivery().lane(2), NewState::Failed, at(100)).await;
    let waits = case.write("e3", delivery().lane(3), at(200)).await;
    let path = event("e1").project.expect("a project").path_with_namespace;
    let of = |project: &str| DeliveryFilter { project: Some(project.to_owned()), ..all() };
    assert_eq!(list(&case, of(&path.to_uppercase())).await, [waits, late, early]);
    assert_eq!(list(&case, of("acme/other")).await, []);
    let (group, _) = path.rsplit_once('/').expect("the project is in a group");
    assert_eq!(
        list(&case, of(&group.to_uppercase())).await,
        [waits, late, early],
        "all that lies in the group"
    );
    assert_eq!(list(&case, of(&path[..path.len() - 1])).await, [], "part of a name is another name");
    let line = case.store.deliveries(of(&path)).await.unwrap().remove(0);
    assert_eq!((line.project.as_deref(), line.project_id), (Some(path.as_str()), Some(7)));
    let of_number = |number| DeliveryFilter { project_id: Some(number), ..of(&path) };
    assert_eq!(list(&case, of_number(7)).await, [waits, late, early]);
    assert_eq!(list(&case, of_number(8)).await, [], "another project has the path now");

    let by = |id: &str| DeliveryFilter { event: crate::event::EventId::new(id), ..all() };
    assert_eq!(list(&case, by("e2")).await, [late]);
    assert_eq!(list(&case, DeliveryFilter { state: Some(State::Waiting), ..by("e3") }).await, [waits]);
    assert_eq!(list(&case, by("e4")).await, []);

    let when = |since, until| DeliveryFilter { since, until, ..all() };
    assert_eq!(list(&case, when(Some(at(100)), None)).await, [waits, late], "the bound itself is in");
    assert_eq!(list(&case, when(None, Some(at(100)))).await, [early]);
    let failed = DeliveryFilter { state: Some(State::Failed), ..when(Some(at(50)), Some(at(150))) };
    assert_eq!(list(&case, failed).await, [late]);
}

pub(super) async fn a_waiting_delivery_is_cancelled_and_the_next_of_its_lane_follows<B: Backend>() {
    let case = Case::<B>::new().await;
    let ready = case.write("e1", delivery().lane(1), at(0)).await;
    let behind = case.write("e2", delivery().lane(1), at(1)).await;
    let cancel = |id, second| case.store.cancel(id, audit("delivery.cancel", at(second)));
    assert_eq!(cancel(ready, 10).await.unwrap(), Cancel::Done);
    let detail = case.store.delivery(ready).await.unwrap().unwrap();
    assert_eq!((detail.line.state, detail.line.settled_at), (State::Cancelled, Some(at(10))));
    let (_, record) = &detail.attempts[0];
    assert_eq!(record.outcome, "cancelled");
    assert!(record.note.starts_with("cancelled by "), "{record:?}");
    assert_eq!(cancel(ready, 11).await.unwrap(), Cancel::NotWaiting, "it has ended");
    assert_eq!(cancel(DeliveryId(4711), 11).await.unwrap(), Cancel::NotWaiting);

    assert_eq!(case.claim("a", "hook", at(20)).await, [behind], "nothing of its lane is before it");
    assert_eq!(cancel(behind, 21).await.unwrap(), Cancel::UnderWay);
    case.end("a", behind, NewState::Delivered, at(22)).await;
    assert_eq!(case.store.delivery(behind).await.unwrap().unwrap().line.state, State::Delivered);
}

pub(super) async fn a_cancelled_dead_letter_is_not_counted_any_more<B: Backend>() {
    let case = Case::<B>::new().await;
    let failed = ended(&case, "e1", delivery().lane(1), NewState::Failed, at(0)).await;
    let expired = ended(&case, "e2", delivery().lane(2), NewState::Expired, at(0)).await;
    let later = case.write("e3", delivery().lane(1), at(1)).await;
    assert_eq!(case.store.overview().await.unwrap().dead_letters.len(), 2);
    for (number, id) in [failed, expired].into_iter().enumerate() {
        let audit = audit("delivery.cancel", at(10));
        assert_eq!(case.store.cancel(id, audit).await.unwrap(), Cancel::Done, "dead letter {number}");
        let detail = case.store.delivery(id).await.unwrap().unwrap();
        assert_eq!((detail.line.state, detail.line.settled_at), (State::Cancelled, Some(at(10))));
        let (_, record) = detail.attempts.last().expect("a record");
        assert!(record.note.starts_with("cancelled by "), "{record:?}");
    }
    assert_eq!(case.store.overview().await.unwrap().dead_letters, []);
    assert_eq!(case.claim("a", "hook", at(20)).await, [later], "its lane goes on as before");
    let resend = case.store.resend(expired, audit("delivery.retry", at(30))).await.unwrap();
    assert!(resend.is_done(), "it can still be sent again");
}

pub(super) async fn the_detail_tells_the_whole_story<B: Backend>() {
    let case = Case::<B>::new().await;
    let id = case.write("e1", delivery().to("#ops").leased("a", at(0)), at(0)).await;
    let refused = AttemptRecord {
        at: at(1),
        latency_ms: 250,
        outcome: "misconfigured",
        status: Some(404),
        note: "channel_not_found".to_owned(),
    };
    let first = Settled {
        record: refused.clone(),
        begin: vec![held_route("#ops", at(90))],
        watch: None,
        ..settled(id, NewState::Waiting(at(90)), at(1))
    };
    case.settle("a", first).await;
    case.hold(hold("hook", at(30)), at(2)).await;
    case.hold(hold("else", at(200)), at(2)).await;

    let detail = case.store.delivery(id).await.unwrap().unwrap();
    assert_eq!(detail.raw, Some(event("e1").raw));
    assert_eq!(
        (detail.line.due, detail.line.last_note.as_deref()),
        (Some(at(90)), Some("channel_not_found"))
    );
    assert_eq!(detail.hold.unwrap().key, route("#ops"), "the one that keeps it longest");
    let (n, attempt) = &detail.attempts[0];
    assert_eq!((*n, attempt.at, attempt.latency_ms, attempt.status), (1, at(1), 250, Some(404)));
    assert_eq!((&*attempt.outcome, &*attempt.note), (refused.outcome, &*refused.note));

    assert_eq!(case.claim("a", "hook", at(90)).await, [id]);
    case.settle("a", Settled { attempts: 2, ..settled(id, NewState::Delivered, at(91)) }).await;
    let detail = case.store.delivery(id).await.unwrap().unwrap();
    assert_eq!((detail.line.state, detail.line.attempts, detail.line.due), (State::Delivered, 2, None));
    assert_eq!(detail.attempts.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(detail.hold, None);
    assert!(case.store.delivery(DeliveryId(4711)).await.unwrap().is_none());
}

pub(super) async fn a_dead_letter_is_sent_again<B: Backend>() {
    let case = Case::<B>::new().await;
    let id = ended(&case, "e1", delivery(), NewState::Failed, at(0)).await;
    assert!(case.store.resend(id, audit("delivery.retry", at(100))).await.unwrap().is_done());
    let claim = crate::store::Claim {
        destinations: vec!["hook".into()],
        portion: Portion::rows(9),
        lease: super::fixtures::lease("a", at(100)),
        now: at(100),
    };
    let (again, _) = case.store.claim(claim).await.unwrap().remove(0).deliveries.remove(0);
    assert_eq!((again.id, again.attempts, again.fresh_since), (id, 0, at(100)));
    case.end("a", id, NewState::Delivered, at(101)).await;
    let detail = case.store.delivery(id).await.unwrap().unwrap();
    assert_eq!((detail.line.state, detail.line.attempts), (State::Delivered, 1));
    assert_eq!(detail.attempts.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1, 2], "the old record stays");
    assert!(
        case.store.resend(id, audit("delivery.retry", at(200))).await.unwrap().is_done(),
        "what arrived may be sent again too"
    );
    let log = case.store.audit_log(None, 10).await.unwrap();
    let said: Vec<_> = log.iter().map(|line| (&*line.action, line.at)).collect();
    assert_eq!(said, [("delivery.retry", at(200)), ("delivery.retry", at(100))]);
}

pub(super) async fn a_resent_letter_goes_before_the_later_ones_of_its_lane<B: Backend>() {
    let case = Case::<B>::new().await;
    let old = ended(&case, "e1", delivery(), NewState::Failed, at(0)).await;
    let waiting = case.write("e2", delivery(), at(1)).await;
    assert!(case.store.resend(old, audit("delivery.retry", at(2))).await.unwrap().is_done());
    assert_eq!(case.claim_some("a", "hook", Portion::rows(1), at(3)).await, (vec![old], true));
    assert_eq!(case.claim("b", "hook", at(3)).await, []);
    assert_eq!(case.claim("a", "hook", at(3)).await, [waiting]);
}

pub(super) async fn what_is_on_its_way_is_not_resent<B: Backend>() {
    let case = Case::<B>::new().await;
    let waits = case.write("e1", delivery(), at(0)).await;
    let leased = case.write("e2", delivery().lane(2).leased("a", at(0)), at(0)).await;
    for id in [waits, leased, DeliveryId(4711)] {
        assert!(!case.store.resend(id, audit("delivery.retry", at(1))).await.unwrap().is_done());
    }
}

pub(super) async fn depth_counts_what_waits<B: Backend>() {
    let case = Case::<B>::new().await;
    assert_eq!(case.store.depth(at(0)).await.unwrap(), Depth::default());
    ended(&case, "e1", delivery(), NewState::Delivered, at(0)).await;
    ended(&case, "e2", delivery(), NewState::Failed, at(1)).await;
    ended(&case, "e3", delivery(), NewState::Expired, at(2)).await;
    ended(&case, "e4", delivery(), NewState::Cancelled, at(3)).await;
    case.write("e5", delivery().lane(2).leased("a", at(4)), at(4)).await;
    case.write("e6", delivery(), at(5)).await;
    case.write("e7", delivery(), at(6)).await;
    case.push("e8", at(7)).await;
    case.hold(hold("hook", at(50)), at(7)).await;
    case.store.quarantine(vec![bad(7)]).await.unwrap();
    let depth =
        Depth { inbox: 1, waiting: 3, oldest_waiting: Some(at(4)), dead_letters: 2, quarantined: 1, held: 1 };
    assert_eq!(case.store.depth(at(8)).await.unwrap(), depth);
    assert_eq!(case.store.depth(at(50)).await.unwrap().held, 0);
}

pub(super) async fn an_overview_groups_what_waits_and_what_was_given_up<B: Backend>() {
    let case = Case::<B>::new().await;
    assert_eq!(case.store.overview().await.unwrap(), Overview::default());
    ended(&case, "e1", delivery(), NewState::Delivered, at(0)).await;
    ended(&case, "e2", delivery(), NewState::Cancelled, at(0)).await;
    ended(&case, "e3", delivery(), NewState::Failed, at(1)).await;
    ended(&case, "e4", delivery(), NewState::Failed, at(3)).await;
    ended(&case, "e5", delivery(), NewState::Expired, at(2)).await;
    case.write("e6", delivery().lane(2).leased("a", at(4)), at(4)).await;
    case.write("e7", delivery(), at(5)).await;
    let other = NewDelivery { target: "#other".into(), ..delivery().lane(3) };
    case.write("e8", other, at(6)).await;

    let Overview { waiting, dead_letters, watches, first_watch_due } = case.store.overview().await.unwrap();
    let of = delivery();
    let group = |target: &str, deliveries, since| WaitingGroup {
        integration: of.integration.clone(),
        target: target.to_owned(),
        destination: of.destination.to_string(),
        deliveries,
        next_due: since,
        since,
    };
    let mut expected = vec![group(&of.target, 2, at(4)), group("#other", 1, at(6))];
    expected.sort_by(|a, b| a.target.cmp(&b.target));
    assert_eq!(waiting, expected);
    let found: Vec<_> =
        dead_letters.iter().map(|group| (group.cause.as_str(), group.deliveries, group.newest)).collect();
    let failed = dead_letters.iter().find(|group| group.cause != "expired").unwrap();
    assert_eq!(failed.integration, of.integration);
    assert!(found.contains(&("expired", 1, at(2))), "{found:?}");
    assert_eq!((failed.deliveries, failed.newest), (2, at(3)), "the newest of them is named: {found:?}");
    assert_eq!((watches, first_watch_due), (0, None));
}

fn bad(second: i64) -> NewQuarantined {
    let received_at = at(second);
    NewQuarantined {
        source: "amqp",
        sender: None,
        id: None,
        reason: "no".to_owned(),
        received_at,
        raw: "x".into(),
    }
}

pub(super) async fn sweeping_takes_what_is_too_old_and_only_that<B: Backend>() {
    let case = Case::<B>::new().await;
    let old = ended(&case, "old", delivery(), NewState::Delivered, at(0)).await;
    let shared = case.write_all("shared", vec![delivery(), delivery().to("#x")], at(0)).await;
    let dead = shared[1].as_ref().unwrap().id;
    case.end("a", shared[0].as_ref().unwrap().id, NewState::Cancelled, at(0)).await;
    case.end("a", dead, NewState::Failed, at(0)).await;
    let waits = case.write("waits", delivery(), at(0)).await;
    let young = ended(&case, "young", delivery().lane(2), NewState::Delivered, at(20)).await;
    for id in ["unmatched", "undispatched"] {
        case.push(id, at(0)).await;
    }
    case.store.discard(&[case.inbox(0).await[0].0]).await.unwrap();
    case.store.quarantine(vec![bad(0), bad(20)]).await.unwrap();

    let keep_dead = Retention {
        settled_before: at(10),
        dead_letters_before: at(-9),
        quarantine_before: at(10),
        merge_requests_before: at(-9),
    };
    let swept = case.store.sweep(keep_dead, 100).await.unwrap();
    assert_eq!((swept.deliveries, swept.events, swept.quarantined, swept.more), (2, 2, 1, false));
    assert_eq!(list(&case, all()).await, [young, waits, dead]);
    assert!(case.store.delivery(dead).await.unwrap().is_some(), "its event is there still");
    assert!(case.store.delivery(old).await.unwrap().is_none());
    assert!(case.push("unmatched", at(30)).await, "forgotten with its time");
    assert_eq!(case.inbox(0).await.len(), 2);

    let all_dead = Retention { dead_letters_before: at(10), ..keep_dead };
    let swept = case.store.sweep(all_dead, 100).await.unwrap();
    assert_eq!((swept.deliveries, swept.events, swept.quarantined), (1, 1, 0));
    assert_eq!(case.claim("a", "hook", at(40)).await, [waits], "what waits is never too old for the sweep");
}

pub(super) async fn sweeping_takes_a_bounded_piece_at_a_time<B: Backend>() {
    let case = Case::<B>::new().await;
    for n in 0..5 {
        ended(&case, &format!("e{n}"), delivery(), NewState::Delivered, at(n)).await;
    }
    let retention = Retention {
        settled_before: at(10),
        dead_letters_before: at(10),
        quarantine_before: at(10),
        merge_requests_before: at(-9),
    };
    let mut pieces = Vec::new();
    loop {
        let swept = case.store.sweep(retention, 2).await.unwrap();
        pieces.push((swept.deliveries, swept.events));
        if !swept.more {
            break;
        }
    }
    assert_eq!(pieces, [(2, 2), (2, 2), (1, 1)]);
    assert!(list(&case, all()).await.is_empty());
}

pub(super) async fn the_store_answers<B: Backend>() {
    let case = Case::<B>::new().await;
    case.store.ping().await.unwrap();
    case.store.settle(&node("a"), Vec::new()).await.unwrap();
    assert!(case.store.enqueue(Vec::new(), at(0)).await.unwrap().is_empty());
}

//! The states of merge requests from events.

use jiff::Timestamp;

use super::Backend;
use super::fixtures::{Case, at, delivery, event, from_broker};
use crate::store::merge_requests::{MergeRequestState, MergeRequests, SeenMergeRequest};
use crate::store::{Dispatched, Inbox, LatestWaits, Ledger, Origin, Outbox, Remembered, Retention};

/// An open merge request of project 7 into itself.
fn open(iid: i64, branch: &str, seen_at: Timestamp) -> SeenMergeRequest {
    SeenMergeRequest {
        project_id: 7,
        iid,
        source_project_id: 7,
        source_branch: branch.to_owned(),
        state: MergeRequestState::Opened,
        seen_at,
    }
}

fn with_state(state: MergeRequestState, seen: SeenMergeRequest) -> SeenMergeRequest {
    SeenMergeRequest { state, ..seen }
}

fn only(seen: SeenMergeRequest) -> Remembered {
    Remembered { seen: Some(seen), ..Remembered::default() }
}

/// Dispatches events with these states, which no integration takes, in one batch.
async fn remember<B: Backend>(case: &Case<B>, seen: Vec<SeenMergeRequest>) {
    let batch =
        seen.into_iter().map(|seen| Dispatched { remembered: only(seen), ..from_broker(event("e"), vec![]) });
    case.store.enqueue(batch.collect(), at(0)).await.unwrap();
}

async fn found<B: Backend>(case: &Case<B>, branch: &str, since: Timestamp) -> Option<i64> {
    case.store.open_merge_request(7, branch, since).await.unwrap()
}

pub(super) async fn an_open_merge_request_is_found_by_its_branch_until_it_ends<B: Backend>() {
    let case = Case::<B>::new().await;
    remember(&case, vec![open(5, "main", at(1)), open(3, "dev", at(1))]).await;
    let case = case.reopened().await;
    assert_eq!((found(&case, "main", at(1)).await, found(&case, "dev", at(1)).await), (Some(5), Some(3)));
    assert_eq!(found(&case, "Main", at(1)).await, None, "letters' case makes another branch");
    assert_eq!(case.store.open_merge_request(8, "main", at(1)).await.unwrap(), None);

    remember(&case, vec![open(9, "main", at(2))]).await;
    for state in [MergeRequestState::Merged, MergeRequestState::Closed] {
        remember(&case, vec![with_state(state, open(5, "main", at(3)))]).await;
        assert_eq!(found(&case, "main", at(1)).await, Some(9), "another one has the branch");
    }
    remember(&case, vec![with_state(MergeRequestState::Closed, open(9, "main", at(3)))]).await;
    assert_eq!(found(&case, "main", at(1)).await, None);
    remember(&case, vec![open(5, "main", at(4))]).await;
    assert_eq!(found(&case, "main", at(1)).await, Some(5), "it was opened again");
}

pub(super) async fn a_merge_request_of_a_fork_has_another_branch<B: Backend>() {
    let case = Case::<B>::new().await;
    remember(&case, vec![SeenMergeRequest { source_project_id: 8, ..open(5, "main", at(1)) }]).await;
    assert_eq!(found(&case, "main", at(0)).await, None);
    assert_eq!(case.store.open_merge_request(8, "main", at(0)).await.unwrap(), None, "it merges elsewhere");
}

pub(super) async fn the_latest_event_of_a_merge_request_counts_however_they_come<B: Backend>() {
    let closed = |at| with_state(MergeRequestState::Closed, open(5, "main", at));
    let case = Case::<B>::new().await;
    remember(&case, vec![closed(at(9))]).await;
    remember(&case, vec![open(5, "main", at(8))]).await;
    assert_eq!(found(&case, "main", at(0)).await, None, "an older event came later");
    remember(&case, vec![open(5, "main", at(9))]).await;
    assert_eq!(found(&case, "main", at(0)).await, Some(5), "in the same moment, the later one counts");
    remember(&case, vec![closed(at(12)), open(5, "main", at(11))]).await;
    assert_eq!(found(&case, "main", at(0)).await, None, "in one batch too");
    remember(&case, vec![open(5, "main", at(13)), closed(at(13)), open(5, "main", at(13))]).await;
    assert_eq!(found(&case, "main", at(0)).await, Some(5));
}

pub(super) async fn what_an_event_says_is_written_with_its_deliveries_or_out_of_the_inbox<B: Backend>() {
    let case = Case::<B>::new().await;
    assert!(case.push("e1", at(0)).await);
    let number = case.inbox(0).await[0].0;
    let batch = vec![
        Dispatched { remembered: only(open(1, "a", at(0))), ..from_broker(event("e2"), vec![delivery()]) },
        Dispatched {
            origin: Origin::Inbox(number),
            remembered: only(open(2, "b", at(0))),
            ..from_broker(event("e1"), vec![])
        },
    ];
    let written = case.store.enqueue(batch, at(1)).await.unwrap();
    assert_eq!(written.iter().map(Vec::len).collect::<Vec<_>>(), [1, 0]);
    assert_eq!((found(&case, "a", at(0)).await, found(&case, "b", at(0)).await), (Some(1), Some(2)));
    assert_eq!(case.inbox(0).await, []);
    assert!(!case.store.push(&event("e1"), at(2)).await.unwrap(), "it is known");
}

pub(super) async fn what_was_said_in_the_future_was_said_now<B: Backend>() {
    let case = Case::<B>::new().await;
    remember(&case, vec![open(5, "main", at(1_000_000)), open(6, "dev", at(10))]).await;
    let latest = LatestWaits { now: at(20), delivery: at(100), watch: at(60), holds: Vec::new() };
    assert_eq!(case.store.shorten_waits(&latest).await.unwrap(), 1);
    assert_eq!(found(&case, "main", at(20)).await, Some(5));
    assert_eq!(found(&case, "main", at(21)).await, None);
    remember(&case, vec![with_state(MergeRequestState::Closed, open(5, "main", at(30)))]).await;
    assert_eq!(found(&case, "main", at(0)).await, None, "a later event counts");
    assert_eq!(found(&case, "dev", at(10)).await, Some(6));
}

pub(super) async fn what_was_said_long_ago_does_not_count_and_is_swept<B: Backend>() {
    let case = Case::<B>::new().await;
    remember(&case, (1..=5).map(|iid| open(iid, "main", at(iid))).collect()).await;
    assert_eq!(found(&case, "main", at(3)).await, Some(3));
    let retention = Retention {
        settled_before: at(0),
        dead_letters_before: at(0),
        quarantine_before: at(0),
        merge_requests_before: at(5),
    };
    assert!(case.store.sweep(retention, 3).await.unwrap().more, "a sweep is bounded");
    assert_eq!(found(&case, "main", at(0)).await, Some(4));
    assert!(!case.store.sweep(retention, 3).await.unwrap().more);
    assert_eq!(found(&case, "main", at(0)).await, Some(5));
}

pub(super) async fn a_merge_request_may_have_any_numbers_and_names<B: Backend>() {
    let case = Case::<B>::new().await;
    let long = "b".repeat(1_000_000);
    for (iid, branch) in [(i64::MAX, long.as_str()), (1, "a\0b"), (2, "\u{202e}'\";--"), (3, "%2F/\\")] {
        let far = Timestamp::MAX;
        let seen =
            SeenMergeRequest { project_id: i64::MAX, source_project_id: i64::MAX, ..open(iid, branch, far) };
        remember(&case, vec![seen]).await;
        assert_eq!(case.store.open_merge_request(i64::MAX, branch, at(0)).await.unwrap(), Some(iid));
    }
    assert_eq!(case.store.open_merge_request(i64::MAX, &long[1..], Timestamp::MIN).await.unwrap(), None);
}

//! Builds that are watched, and services that are probed.

use jiff::Timestamp;

use super::Backend;
use super::fixtures::{
    Case, Change, at, delivery, event, from_broker, hold, made_under, settled as settled_delivery,
};
use crate::call::{BuildState, CommitStatus};
use crate::integration::IntegrationId;
use crate::store::{
    Dispatched, HealthRecord, Inbox, LatestWaits, Ledger, NewHealth, NewState, NewWatch, Outbox, Portion,
    Remembered, Retention, Settled, SettledWatch, State, Watch, WatchKind, Watches,
};

fn new(ref_name: &str, due: Timestamp) -> NewWatch {
    NewWatch {
        kind: WatchKind::Build,
        integration: IntegrationId::new("acme/web:teamcity"),
        project_id: 7,
        project: "acme/web".to_owned(),
        sha: "cafe".to_owned(),
        ref_name: ref_name.to_owned(),
        project_json: r#"{"id":7}"#.into(),
        since: at(0),
        due,
    }
}

fn settled(watch: &Watch, state: BuildState, again: Option<Timestamp>) -> SettledWatch {
    let seen = Some(CommitStatus { state, page: Some("https://ci.example/1".to_owned()) });
    let (number, polls) = (watch.number, watch.polls + 1);
    SettledWatch {
        number,
        polls,
        seen,
        note: String::new(),
        at: at(9),
        again,
        announce: None,
        begin: Vec::new(),
    }
}

/// Dispatches an event that leads to these watches and to no delivery.
async fn begin<B: Backend>(case: &Case<B>, watches: Vec<NewWatch>) {
    let remembered = Remembered { watches, ..Remembered::default() };
    let event = Dispatched { remembered, ..from_broker(event("e"), Vec::new()) };
    case.store.enqueue(vec![event], at(0)).await.unwrap();
}

/// The branches of the watches that are due.
async fn due<B: Backend>(case: &Case<B>, now: Timestamp) -> Vec<String> {
    let claimed = case.store.claim_watches(now, at(1_000), 100).await.unwrap();
    claimed.watches.into_iter().map(|watch| watch.ref_name).collect()
}

pub(super) async fn a_watch_is_handed_out_when_it_is_due_and_to_one_node_at_a_time<B: Backend>() {
    let case = Case::<B>::new().await;
    begin(&case, vec![new("main", at(5)), new("dev", at(30)), new("main", at(5))]).await;
    let early = case.store.claim_watches(at(4), at(60), 100).await.unwrap();
    assert_eq!((early.watches.len(), early.next), (0, Some(at(5))));
    let claimed = case.store.claim_watches(at(5), at(60), 100).await.unwrap();
    assert_eq!((claimed.watches.len(), claimed.next), (1, Some(at(30))));
    let overview = case.store.overview().await.unwrap();
    assert_eq!((overview.watches, overview.first_watch_due), (2, Some(at(30))), "the claimed one is put off");
    assert_eq!(claimed.watches[0].ref_name, "main");
    assert_eq!(claimed.watches[0].project_json, r#"{"id":7}"#);
    let case = case.reopened().await;
    assert_eq!(due(&case, at(59)).await, ["dev"], "the one that was claimed is put off");
    assert_eq!(due(&case, at(60)).await, ["main"], "and due again where its node ended");
}

pub(super) async fn what_the_service_says_is_kept_and_a_silence_leaves_it<B: Backend>() {
    let case = Case::<B>::new().await;
    begin(&case, vec![new("main", at(5))]).await;
    let watch = case.store.claim_watches(at(5), at(60), 1).await.unwrap().watches.remove(0);
    let running = settled(&watch, BuildState::Running, Some(at(20)));
    assert!(!case.store.settle_watch(running.clone()).await.unwrap());
    let note = "unavailable: no answer".to_owned();
    let silence = SettledWatch { seen: None, note: note.clone(), polls: 2, ..running };
    case.store.settle_watch(silence).await.unwrap();
    let known = case.store.commit_statuses(7, "cafe").await.unwrap();
    assert_eq!(known.len(), 1);
    let seen = known[0].seen.as_ref().unwrap();
    assert_eq!((seen.state, seen.page.as_deref()), (BuildState::Running, Some("https://ci.example/1")));
    assert_eq!((known[0].polls, &known[0].note, known[0].ended_at), (2, &note, None));
    assert_eq!(case.store.commit_statuses(8, "cafe").await.unwrap(), []);
    assert_eq!(due(&case, at(20)).await, ["main"]);
}

pub(super) async fn a_result_is_announced_once_and_with_the_end_of_the_watch<B: Backend>() {
    let case = Case::<B>::new().await;
    begin(&case, vec![new("main", at(5))]).await;
    let watch = case.store.claim_watches(at(5), at(60), 1).await.unwrap().watches.remove(0);
    let announce = Some(event("built"));
    let end = SettledWatch { announce, ..settled(&watch, BuildState::Failed, None) };
    assert!(case.store.settle_watch(end.clone()).await.unwrap());
    assert!(!case.store.settle_watch(end).await.unwrap(), "it has ended");
    let inbox = case.store.peek(0, Portion::rows(9)).await.unwrap();
    assert_eq!(inbox.len(), 1);
    assert_eq!(due(&case, at(999)).await, Vec::<String>::new());

    let seen = async || case.store.commit_statuses(7, "cafe").await.unwrap()[0].seen.clone();
    begin(&case, vec![new("main", at(50))]).await;
    assert_eq!(due(&case, at(50)).await, Vec::<String>::new(), "the same trigger, told again");
    assert!(seen().await.is_some(), "the result stays");
    begin(&case, vec![NewWatch { since: at(20), ..new("main", at(50)) }]).await;
    assert_eq!(due(&case, at(50)).await, ["main"], "it was triggered again");
    assert_eq!(seen().await, None);
}

pub(super) async fn a_watch_begins_with_the_outcome_of_the_delivery_that_triggered_the_build<B: Backend>() {
    let case = Case::<B>::new().await;
    let id = case.write("e1", delivery().leased("a", at(0)), at(0)).await;
    let delivered = settled_delivery(id, NewState::Delivered, at(1));
    case.settle("a", Settled { watch: Some(Box::new(new("main", at(6)))), ..delivered }).await;
    assert_eq!(case.store.delivery(id).await.unwrap().unwrap().line.state, State::Delivered);
    assert_eq!(due(&case, at(5)).await, Vec::<String>::new());
    assert_eq!(due(&case, at(6)).await, ["main"]);
}

pub(super) async fn the_outcome_before_is_of_the_same_build_and_the_last_that_passed_or_failed<B: Backend>() {
    let case = Case::<B>::new().await;
    let built = async |sha: &str, ref_name: &str, slug: &str, state: BuildState, ended: i64| {
        let integration = IntegrationId::new(format!("acme/web:{slug}"));
        let watch =
            NewWatch { sha: sha.to_owned(), integration, since: at(ended - 5), ..new(ref_name, at(1)) };
        begin(&case, vec![watch]).await;
        let watch = case.store.claim_watches(at(1), at(60), 1).await.unwrap().watches.remove(0);
        let before = case.store.outcome_before(&watch).await.unwrap();
        let end = SettledWatch { at: at(ended), ..settled(&watch, state, None) };
        case.store.settle_watch(end).await.unwrap();
        before
    };
    assert_eq!(built("a", "main", "teamcity", BuildState::Failed, 10).await, None, "there was none");
    assert_eq!(built("b", "main", "drone-ci", BuildState::Success, 20).await, None, "another service");
    assert_eq!(built("c", "dev", "teamcity", BuildState::Success, 30).await, None, "another branch");
    let failed = Some(BuildState::Failed);
    assert_eq!(built("d", "main", "teamcity", BuildState::Canceled, 40).await, failed);
    assert_eq!(built("e", "main", "teamcity", BuildState::SuccessWithWarnings, 50).await, failed);
    let warned = Some(BuildState::SuccessWithWarnings);
    assert_eq!(built("f", "main", "teamcity", BuildState::Failed, 60).await, warned);
    assert_eq!(built("f", "main", "teamcity", BuildState::Failed, 70).await, warned, "the same one again");
}

pub(super) async fn a_hold_begins_with_the_question_that_led_to_it<B: Backend>() {
    let case = Case::<B>::new().await;
    begin(&case, vec![new("main", at(5))]).await;
    let watch = case.store.claim_watches(at(5), at(60), 1).await.unwrap().watches.remove(0);
    let throttled = made_under(hold("hook", at(50)), "teamcity", 3);
    let put_off = settled(&watch, BuildState::Pending, Some(at(50)));
    case.store.settle_watch(SettledWatch { begin: vec![throttled.clone()], ..put_off }).await.unwrap();
    assert_eq!(case.store.holds(at(9)).await.unwrap(), [throttled]);
}

pub(super) async fn a_watch_of_another_clock_is_asked_about_soon<B: Backend>() {
    let case = Case::<B>::new().await;
    let far = at(1_000_000);
    let ahead = NewWatch { since: at(999_000), ..new("ahead", far) };
    begin(&case, vec![ahead, new("soon", at(40)), NewWatch { since: far, ..new("begun", at(50)) }]).await;
    let latest = LatestWaits { now: at(20), delivery: at(100), watch: at(60), holds: Vec::new() };
    assert_eq!(case.store.shorten_waits(&latest).await.unwrap(), 2);
    assert_eq!(case.store.shorten_waits(&latest).await.unwrap(), 0, "nothing is too late any more");
    let known = case.store.commit_statuses(7, "cafe").await.unwrap();
    let mut since: Vec<_> = known.iter().map(|watch| (&*watch.ref_name, watch.since)).collect();
    since.sort_unstable();
    assert_eq!(since, [("ahead", at(20)), ("begun", at(20)), ("soon", at(0))]);
    assert_eq!(due(&case, at(59)).await, ["soon", "begun"]);
    assert_eq!(due(&case, at(60)).await, ["ahead"]);
}

pub(super) async fn watches_that_ended_are_swept_with_what_was_delivered<B: Backend>() {
    let case = Case::<B>::new().await;
    begin(&case, vec![new("main", at(5)), new("dev", at(6))]).await;
    let claimed = case.store.claim_watches(at(5), at(60), 1).await.unwrap();
    case.store.settle_watch(settled(&claimed.watches[0], BuildState::Success, None)).await.unwrap();
    let retention = |settled_before| Retention {
        settled_before,
        dead_letters_before: at(0),
        quarantine_before: at(0),
        merge_requests_before: at(-9),
    };
    case.store.sweep(retention(at(9)), 10).await.unwrap();
    assert_eq!(case.store.commit_statuses(7, "cafe").await.unwrap().len(), 2);
    case.store.sweep(retention(at(10)), 10).await.unwrap();
    let left = case.store.commit_statuses(7, "cafe").await.unwrap();
    assert_eq!(left.iter().map(|watch| &*watch.ref_name).collect::<Vec<_>>(), ["dev"]);
}

/// The question whether an integration's service can be reached, due at this moment.
pub(in crate::store) fn probe(slug: &str, due: Timestamp) -> NewWatch {
    NewWatch {
        kind: WatchKind::Probe,
        integration: IntegrationId::new(format!("acme/web:{slug}")),
        sha: String::new(),
        project_json: "".into(),
        ..new("", due)
    }
}

pub(super) async fn pushes_within_the_pause_are_one_question_and_a_later_one_is_another<B: Backend>() {
    let case = Case::<B>::new().await;
    let claim = async |now| case.store.claim_watches(now, at(1_000), 100).await.unwrap().watches;
    for second in 0..10 {
        begin(&case, vec![probe("redmine", at(10 + second)), probe("bugzilla", at(10))]).await;
    }
    let claimed = claim(at(10)).await;
    assert_eq!(claimed.len(), 2, "one for each integration");
    assert!(claimed.iter().all(|watch| watch.kind == WatchKind::Probe));
    begin(&case, vec![probe("redmine", at(30))]).await;
    assert_eq!(claim(at(999)).await, [], "it is being asked");
    for watch in claimed {
        let end = SettledWatch { seen: None, ..settled(&watch, BuildState::Pending, None) };
        case.store.settle_watch(end).await.unwrap();
    }
    assert_eq!(claim(at(999)).await, []);
    begin(&case, vec![NewWatch { since: at(20), ..probe("redmine", at(30)) }]).await;
    let again = claim(at(30)).await;
    assert_eq!((again.len(), again[0].polls), (1, 0));
}

fn answer(slug: &str, reached: bool, note: &str, second: i64) -> NewHealth {
    let integration = IntegrationId::new(format!("acme/web:{slug}"));
    NewHealth { integration, reached, note: note.to_owned(), at: at(second) }
}

/// The known health of a service: whether it is reachable, its answer, since when, and when it was last asked.
async fn health<B: Backend>(case: &Case<B>, slug: &str) -> Option<(bool, String, Timestamp, Timestamp)> {
    let integration = IntegrationId::new(format!("acme/web:{slug}"));
    let mut found = case.store.health(&[integration]).await.unwrap();
    assert!(found.len() <= 1);
    found
        .pop()
        .map(|HealthRecord { reached, note, since, checked_at, .. }| (reached, note, since, checked_at))
}

pub(super) async fn the_health_of_a_service_is_its_last_answer_and_since_when_it_is_so<B: Backend>() {
    let case = Case::<B>::new().await;
    assert_eq!(health(&case, "redmine").await, None);
    let refused = "could not connect: \u{1f514}";
    for (reached, note, second) in [
        (true, "answered 200", 10),
        (true, "answered 500", 20),
        (false, refused, 30),
        (false, "timed out", 40),
    ] {
        case.store.note_health(answer("redmine", reached, note, second)).await.unwrap();
    }
    case.store.note_health(answer("bugzilla", true, "answered 404", 5)).await.unwrap();
    let case = case.reopened().await;
    assert_eq!(health(&case, "redmine").await, Some((false, "timed out".to_owned(), at(30), at(40))));
    case.store.note_health(answer("redmine", true, "late", 35)).await.unwrap();
    let kept = health(&case, "redmine").await.unwrap();
    assert_eq!((kept.0, kept.3), (false, at(40)), "an older answer changes nothing");
    case.store.note_health(answer("redmine", true, "answered 302", 50)).await.unwrap();
    assert_eq!(health(&case, "redmine").await, Some((true, "answered 302".to_owned(), at(50), at(50))));
    let both = ["redmine", "bugzilla", "ewm"].map(|slug| IntegrationId::new(format!("acme/web:{slug}")));
    assert_eq!(case.store.health(&both).await.unwrap().len(), 2);
    assert_eq!(case.store.health(&[]).await.unwrap(), []);
}

pub(super) async fn health_that_is_too_old_is_swept<B: Backend>() {
    let case = Case::<B>::new().await;
    for (slug, second) in [("redmine", 5), ("bugzilla", 9)] {
        case.store.note_health(answer(slug, true, "answered 200", second)).await.unwrap();
    }
    let retention = Retention {
        settled_before: at(9),
        dead_letters_before: at(0),
        quarantine_before: at(0),
        merge_requests_before: at(0),
    };
    case.store.sweep(retention, 10).await.unwrap();
    assert_eq!(health(&case, "redmine").await, None);
    assert!(health(&case, "bugzilla").await.is_some());
}

//! Alerts that monitoring systems reported.

use jiff::Timestamp;

use super::Backend;
use super::fixtures::{Case, at};
use crate::event::{Event, EventId};
use crate::store::{
    AlertChange, AlertReport, Alerts, Inbox, Ledger, NotedAlert, Portion, Retention, StoredEvent,
};

fn event(key: &str, now: Timestamp) -> Event {
    let raw = format!(
        r#"{{"object_kind":"alert","project":{{"id":7,"path_with_namespace":"acme/web"}},
            "object_attributes":{{"title":"{key}","events":1}}}}"#
    );
    Event::decode(EventId::new(&format!("alert-{key}")).unwrap(), now, raw.into()).unwrap()
}

fn firing(key: &str, now: Timestamp) -> AlertReport {
    AlertReport { key: key.to_owned(), title: "High load".to_owned(), event: Some(event(key, now)) }
}

fn ended(key: &str) -> AlertReport {
    AlertReport { key: key.to_owned(), title: "High load".to_owned(), event: None }
}

async fn note<B: Backend>(
    case: &Case<B>,
    reports: Vec<AlertReport>,
    now: Timestamp,
) -> Vec<Option<NotedAlert>> {
    case.store.note_alerts(reports, now).await.unwrap()
}

fn changes(noted: &[Option<NotedAlert>]) -> Vec<&'static str> {
    noted.iter().map(|noted| noted.map_or("nothing", |noted| noted.change.name())).collect()
}

/// The ids of the events in the inbox.
async fn inbox<B: Backend>(case: &Case<B>) -> Vec<String> {
    let waiting = case.store.peek(0, Portion::rows(1_000)).await.unwrap();
    waiting.into_iter().map(|(_, event)| event.id.to_string()).collect()
}

pub(super) async fn an_alert_is_news_once_until_it_ended_and_fires_again<B: Backend>() {
    let case = Case::<B>::new().await;
    let first = note(&case, vec![firing("load", at(0))], at(0)).await[0].expect("news");
    assert_eq!(first.change, AlertChange::New);
    assert_eq!(inbox(&case).await, [format!("alert-load-{}", first.number)]);
    // The answer was lost, and the report comes again; and then it is repeated, also after a restart.
    let again = Some(NotedAlert { change: AlertChange::Again, ..first });
    assert_eq!(note(&case, vec![firing("load", at(1))], at(1)).await, [again]);
    let case = case.reopened().await;
    assert_eq!(note(&case, vec![firing("load", at(2))], at(2)).await, [again]);
    assert_eq!(inbox(&case).await.len(), 1, "one event");
    assert_eq!(
        note(&case, vec![ended("load")], at(3)).await,
        [Some(NotedAlert { change: AlertChange::Ended, ..first })]
    );
    assert_eq!(note(&case, vec![ended("load")], at(4)).await, [None], "it has ended already");
    let second = note(&case, vec![firing("load", at(5))], at(5)).await[0].expect("news");
    assert_eq!(second.change, AlertChange::New);
    assert!(second.number > first.number);
    assert_eq!(inbox(&case).await[1], format!("alert-load-{}", second.number), "another event");
    let waiting = case.store.peek(0, Portion::rows(10)).await.unwrap();
    let StoredEvent { id, occurred_at, raw } = waiting[1].1.clone();
    let told = Event::decode(id, occurred_at, raw).expect("an alert");
    assert_eq!((told.kind(), told.occurred_at), ("alert", at(5)));
    assert_eq!(told.project.expect("a project").path_with_namespace, "acme/web");
}

pub(super) async fn the_alerts_of_one_report_are_noted_in_order_and_in_one_commit<B: Backend>() {
    let case = Case::<B>::new().await;
    let reports = vec![
        ended("a"),
        firing("a", at(0)),
        firing("b", at(0)),
        firing("a", at(0)),
        ended("a"),
        firing("a", at(0)),
    ];
    let noted = note(&case, reports, at(0)).await;
    assert_eq!(changes(&noted), ["nothing", "new", "new", "again", "ended", "new"]);
    let number = |place: usize| noted[place].expect("a number").number;
    assert_eq!((number(3), number(4)), (number(1), number(1)));
    let expected = [
        format!("alert-a-{}", number(1)),
        format!("alert-b-{}", number(2)),
        format!("alert-a-{}", number(5)),
    ];
    assert_eq!(inbox(&case).await, expected);
    assert!(note(&case, Vec::new(), at(1)).await.is_empty());
}

pub(super) async fn alerts_of_two_keys_do_not_know_of_each_other<B: Backend>() {
    let case = Case::<B>::new().await;
    note(&case, vec![firing("a", at(0)), firing("b", at(0))], at(0)).await;
    let noted = note(&case, vec![ended("b"), firing("a", at(1)), firing("b", at(1))], at(1)).await;
    assert_eq!(changes(&noted), ["ended", "again", "new"]);
}

pub(super) async fn alerts_that_are_no_longer_reported_are_swept<B: Backend>() {
    let case = Case::<B>::new().await;
    let first =
        note(&case, vec![firing("old", at(0)), firing("told", at(0)), firing("over", at(0))], at(0)).await;
    note(&case, vec![firing("told", at(50)), ended("over")], at(50)).await;
    let retention = Retention {
        settled_before: at(50),
        dead_letters_before: at(0),
        quarantine_before: at(0),
        merge_requests_before: at(0),
    };
    let swept = case.store.sweep(retention, 100).await.unwrap();
    assert!(!swept.more);
    let noted =
        note(&case, vec![firing("told", at(60)), ended("over"), ended("old"), firing("old", at(60))], at(60))
            .await;
    assert_eq!(changes(&noted), ["again", "nothing", "nothing", "new"]);
    assert!(noted[3].expect("news").number > first[2].expect("news").number, "numbers are not used again");
    let all = Retention { settled_before: at(100), ..retention };
    assert!(case.store.sweep(all, 1).await.unwrap().more, "some are left");
}

//! Services that are asked whether they can be reached, over the whole table.

use jiff::Timestamp;

use super::{ADAPTERS, Entry, http_response, operator, settings};
use crate::adapters::contract::Linked;
use crate::call::{Answer, Call, Health, HttpRequest, Method, Request, Response};

fn probed() -> impl Iterator<Item = &'static Entry> {
    ADAPTERS.iter().filter(|entry| entry.is_probed_after_pushes())
}

fn probe(entry: &Entry) -> Call<Health> {
    let probe = entry.probe.as_ref().expect("it is probed");
    probe.probe(&settings(entry), Timestamp::UNIX_EPOCH, operator()).expect("a call")
}

fn http(call: &Call<Health>) -> &HttpRequest {
    match &call.request {
        Request::Http(request) => request,
        other => panic!("not HTTP: {other:?}"),
    }
}

#[test]
fn every_tracker_that_is_only_linked_to_is_probed_after_pushes() {
    let trackers = ADAPTERS.iter().filter(|entry| !entry.can_deliver());
    let trackers =
        trackers.filter(|entry| entry.link.as_ref().is_some_and(|link| link.leads_to == Linked::Tracker));
    let slugs = |entries: Vec<&Entry>| entries.iter().map(|entry| entry.about.slug).collect::<Vec<_>>();
    assert_eq!(slugs(probed().collect()), slugs(trackers.collect()));
    assert!(probed().count() > 0);
}

#[test]
fn the_project_page_of_a_tracker_is_asked_for_with_head_and_its_certificate_is_verified() {
    for entry in probed() {
        let call = probe(entry);
        let request = http(&call);
        let page = entry.link.as_ref().expect("it is linked to").project(&settings(entry)).expect("a page");
        assert_eq!((request.method, request.url.as_str()), (Method::Head, page.as_str()), "{entry:?}");
        assert!(request.verify_tls && request.body.is_empty() && request.headers.is_empty(), "{entry:?}");
    }
}

#[test]
fn any_answer_of_a_tracker_means_that_it_was_reached() {
    for entry in probed() {
        for status in 100..=599 {
            for body in ["", "<html>login</html>"] {
                let answer = Response::Http(http_response(status, &[], body));
                let Answer::Done(health) = (probe(entry).read)(&answer) else { panic!("{entry:?} {status}") };
                assert!(health.answer.starts_with(&format!("answered {status}")), "{}", health.answer);
            }
        }
    }
}

#[test]
fn a_question_needs_no_more_calls_than_its_pace_allows_at_once() {
    for entry in ADAPTERS {
        let Some(probe) = &entry.probe else { continue };
        let pace = probe.pace(&settings(entry));
        assert!(pace.calls >= probe.calls, "{entry:?}");
        assert!(pace.buckets().all(|bucket| bucket.burst >= pace.calls), "{entry:?}");
    }
}

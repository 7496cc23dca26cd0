//! References in messages lead to the project's tracker, at every service.

use serde_json::{Value as Json, json};

use super::{
    Before, Case, answers_of_chain, body, contract, http_response, note, settings, settings_of, strings,
    target, tellers,
};
use crate::adapters::{Entry, Notification, ProjectLinks, find};
use crate::call::{Answer, Call, Response, Sent};

const TITLE: &str = "Fix ABC-71 and xABC-72 (https://a.example/ABC-73), CVE-2024-74, ABC-75-76, #77";
const ISSUES: &str = "https://redmine.example.com/issues/";

fn call(entry: &Entry, case: &Case, links: &ProjectLinks) -> Option<Call<Sent>> {
    let target = target(entry, case)?;
    let note = Notification { links, ..note(&case.event, &target) };
    entry.call(&settings(entry), &note).ok()
}

fn redmine() -> ProjectLinks {
    let pages = [
        ("project_url", "https://redmine.example.com/projects/x"),
        ("issues_url", "https://redmine.example.com/issues/:id"),
        ("new_issue_url", "https://redmine.example.com/projects/x/issues/new"),
    ];
    ProjectLinks::default().or(find("redmine").expect("an adapter"), &settings_of("redmine", &pages))
}

/// An event of each kind that has people's words in it, all of which are [`TITLE`].
fn told() -> Vec<Case> {
    let titled = |file: &str, change: fn(&mut Json)| super::events::tell_changed(file, change);
    vec![
        titled("push.json", |push| {
            for commit in push["commits"].as_array_mut().expect("commits") {
                commit["message"] = json!(TITLE);
                commit["title"] = json!(TITLE);
            }
        }),
        titled("merge_request_open.json", |event| event["object_attributes"]["title"] = json!(TITLE)),
        titled("note_issue.json", |event| event["object_attributes"]["note"] = json!(TITLE)),
        titled("issue_open.json", |event| event["object_attributes"]["description"] = json!(TITLE)),
    ]
}

/// Every text that the service gets, in all of the calls that its declared answers lead through.
fn texts(entry: &Entry, first: Call<Sent>) -> String {
    let (mut all, mut next) = (String::new(), Some(first));
    let mut answers = answers_of_chain(entry, Before::Nothing).iter();
    while let Some(call) = next.take() {
        let json = body(&call);
        let mut found = Vec::new();
        strings(&json, "", &mut found);
        all.extend(found.iter().map(|(_, text)| *text));
        if let Some((status, answer)) = answers.next()
            && let Answer::Next(call) = (call.read)(&Response::Http(http_response(*status, &[], answer)))
        {
            next = Some(call);
        }
    }
    all
}

#[test]
fn references_lead_to_the_tracker_at_every_service_and_nothing_else_does() {
    let mut with_links = Vec::new();
    for entry in tellers().filter(|entry| !contract(entry).forwards) {
        for case in told() {
            let wanted = case.event.trigger.is_some_and(|trigger| entry.about.triggers.contains(trigger));
            let Some(made) = wanted.then(|| call(entry, &case, &redmine())).flatten() else { continue };
            let all = texts(entry, made);
            if all.contains(&format!("{ISSUES}71")) {
                with_links.push(entry.about.slug);
            }
            for other in [72, 73, 74, 75, 76, 77, 2024] {
                assert!(!all.contains(&format!("{ISSUES}{other}")), "{}: {other} in {all}", entry.about.slug);
            }
        }
    }
    let declared = tellers().filter(|entry| !contract(entry).forwards && contract(entry).links_references);
    let declared: Vec<&str> = declared.map(|entry| entry.about.slug).collect();
    with_links.dedup();
    assert_eq!(with_links, declared, "those that show links, and those that declare them");
}

#[test]
fn text_without_references_is_the_same_with_a_tracker() {
    for entry in tellers() {
        for case in super::cases() {
            let wanted = case.event.trigger.is_some_and(|trigger| entry.about.triggers.contains(trigger));
            let Some(without) = wanted.then(|| call(entry, case, ProjectLinks::none())).flatten() else {
                continue;
            };
            let with = call(entry, case, &redmine()).expect("a call with links too");
            assert_eq!(body(&without), body(&with), "{} of {}", entry.about.slug, case.name);
        }
    }
}

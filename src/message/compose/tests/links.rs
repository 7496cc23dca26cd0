//! References and wikis in messages.

use serde_json::json;

use super::changed;
use crate::event::Event;
use crate::message::compose::compose_with;
use crate::message::links::tests::Tracker;
use crate::message::{Body, Links, Markup, Message, NoLinks, Reference, Wiki};

fn message(event: &Event) -> Message {
    compose_with(event, &Tracker, None).expect("a message")
}

fn summary(event: &Event) -> String {
    Markup::Markdown.render(&message(event).summary)
}

fn body(event: &Event) -> String {
    match message(event).body {
        Body::None => String::new(),
        Body::Lines(lines) => lines.iter().map(|line| Markup::Markdown.render(line) + "\n").collect(),
        Body::Prose(text) => Markup::Markdown.render(&text),
    }
}

#[test]
fn references_in_commit_titles_are_links() {
    let event = changed("push.json", |push| push["commits"][0]["title"] = json!("Fix ABC-1 (`ABC-2x`)"));
    assert!(body(&event).contains(": Fix [ABC-1](https://t.example/ABC-1) ("), "{}", body(&event));
}

#[test]
fn references_in_a_merge_requests_title_divide_its_link() {
    let event = changed("merge_request_open.json", |merge_request| {
        merge_request["object_attributes"]["title"] = json!("ABC-1: the API");
    });
    let summary = summary(&event);
    let [first, rest] =
        ["[!1](http", "/-/merge_requests/1) [ABC-1](https://t.example/ABC-1): [the API](http"];
    assert!(summary.contains(first) && summary.contains(rest), "{summary}");
}

#[test]
fn references_in_descriptions_and_comments_are_links_outside_of_code_and_links() {
    let words = "ABC-1, `ABC-2`, [ABC-3](https://a.example), https://a.example/ABC-4\n\n> **ABC-5**\n\n```\nABC-6\n```";
    let issue = changed("issue_open.json", |issue| issue["object_attributes"]["description"] = json!(words));
    let note = changed("note_issue.json", |note| note["object_attributes"]["note"] = json!(words));
    for event in [issue, note] {
        let body = body(&event);
        for linked in ["[ABC-1](https://t.example/ABC-1)", "**[ABC-5](https://t.example/ABC-5)**"] {
            assert!(body.contains(linked), "{linked} in {body}");
        }
        for other in ["t.example/ABC-2", "t.example/ABC-3", "t.example/ABC-6"] {
            assert!(!body.contains(other), "{other} in {body}");
        }
    }
}

#[test]
fn a_hundred_references_of_a_message_are_links_and_it_knows_of_more() {
    let with = |count: usize| {
        let words: String = (0..count).map(|_| "ABC-1 ").collect();
        message(&changed("issue_open.json", |issue| issue["object_attributes"]["description"] = json!(words)))
    };
    let links = |message: &Message| match &message.body {
        Body::Prose(text) => Markup::Markdown.render(text).matches("](https://t.example").count(),
        other => panic!("{other:?}"),
    };
    assert_eq!((links(&with(100)), with(100).has_unlinked_references), (100, false));
    assert_eq!((links(&with(101)), with(101).has_unlinked_references), (100, true));
    assert!(with(10_000).has_unlinked_references);
}

/// A project whose wiki is elsewhere.
struct Elsewhere;

impl Links for Elsewhere {
    fn references(&self, text: &str) -> Vec<Reference> {
        NoLinks.references(text)
    }

    fn has_tracker(&self) -> bool {
        false
    }

    fn wiki(&self) -> Option<Wiki> {
        Some(Wiki { name: "Confluence".to_owned(), url: "https://w.example/wiki".to_owned() })
    }
}

#[test]
fn a_message_about_a_wiki_page_leads_to_the_projects_wiki_too() {
    let summary = |action: &str| {
        let event = changed("wiki_page_create.json", |page| {
            page["object_attributes"]["action"] = json!(action);
            page["object_attributes"]["diff_url"] = json!("https://f.example/diff");
        });
        let message = compose_with(&event, &Elsewhere, None).expect("a message");
        Markup::Markdown.render(&message.summary)
    };
    let edited = summary("update");
    let end = " ([Compare changes](https://f.example/diff), [Confluence](https://w.example/wiki))";
    assert!(edited.ends_with(end), "{edited}");
    assert!(edited.contains("/wikis/"), "the page's own link stays: {edited}");
    let deleted = summary("delete");
    assert!(deleted.ends_with(" ([Confluence](https://w.example/wiki))"), "{deleted}");
}

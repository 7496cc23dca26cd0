//! `detail` and `max_commits`, through every adapter that has them; and titles, which no message says twice.

use super::*;
use crate::adapters::common_settings::common_fields;
use crate::integration::{Detail, Extent};
use crate::message::compose;

fn sent(entry: &'static Entry, case: &Case, extent: Extent) -> String {
    let note = Notification { extent, ..note(&case.event, contract(entry).target) };
    let call = entry.call(&settings(entry), &note).expect("a call");
    let mut found = Vec::new();
    let body = body(&call);
    strings(&body, "", &mut found);
    found.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join("\n")
}

/// The adapters with the setting.
fn having(setting: &str) -> impl Iterator<Item = &'static Entry> {
    tellers().filter(move |entry| common_fields(&entry.about).iter().any(|field| field.name == setting))
}

#[test]
fn the_chat_services_have_the_settings() {
    let slugs: Vec<&str> = having("detail").map(|entry| entry.about.slug).collect();
    let expected = [
        "discord",
        "hangouts-chat",
        "hipchat",
        "matrix",
        "mattermost",
        "microsoft-teams",
        "pumble",
        "slack",
        "telegram",
        "unify-circuit",
        "webex-teams",
    ];
    assert_eq!(slugs, expected);
    assert_eq!(having("max_commits").count(), expected.len());
    assert_eq!(having("merge_request_actions").count(), expected.len());
}

#[test]
fn with_the_title_alone_nothing_is_said_below_the_first_line() {
    let title = Extent { detail: Detail::Title, max_commits: None };
    for entry in having("detail") {
        for (name, below) in [
            ("push", "Update Catalan translation"),
            ("issue", "Create new API for manipulations"),
            ("note_issue", "Hello world"),
            ("pipeline_failed", "job 7"),
            ("merge_request", "User1"),
        ] {
            let case = kind(name);
            let full = sent(entry, case, Extent::default());
            // For a merge request, HipChat's rooms get the description instead, as from GitLab.
            if !(entry.about.slug == "hipchat" && matches!(name, "merge_request" | "pipeline_failed")) {
                assert!(full.contains(below), "{} of {name}: {full}", entry.about.slug);
            }
            let short = sent(entry, case, title);
            assert!(!short.contains(below), "{} of {name}: {short}", entry.about.slug);
            assert!(short.len() > 20, "{} of {name}: {short}", entry.about.slug);
        }
    }
}

#[test]
fn as_many_commits_are_listed_as_the_setting_says() {
    let case = kind("push_14_commits");
    let ids: Vec<String> = match &case.event.payload {
        crate::event::Payload::Push(push) => {
            push.commits.iter().map(|commit| commit.short_id().to_owned()).collect()
        }
        _ => unreachable!("it is a push"),
    };
    for entry in having("max_commits") {
        for most in [0, 1, 5, 20] {
            let text = sent(entry, case, Extent { detail: Detail::Full, max_commits: Some(most) });
            // Addresses have ids too, with more digits behind the first eight.
            let is_listed =
                |id: &&String| ["]", ">", "</a>", ":"].iter().any(|end| text.contains(&format!("{id}{end}")));
            let listed: Vec<&String> = ids.iter().filter(is_listed).collect();
            let expected: Vec<&String> = ids.iter().skip(ids.len().saturating_sub(most)).collect();
            assert_eq!(listed, expected, "{} of at most {most}: {text}", entry.about.slug);
            let others = ids.len().saturating_sub(most);
            assert!(
                most == 0 || others == 0 || text.contains(&format!("{others} more commits")),
                "{}: {text}",
                entry.about.slug
            );
        }
    }
}

/// A service's own limit holds where the setting is not set.
#[test]
fn hipchat_lists_three_commits_unless_told_otherwise() {
    let entry = entry("hipchat");
    assert!(sent(entry, kind("push_14_commits"), Extent::default()).contains("11 more commits"));
}

/// The visible words of a text, without the addresses of its links.
fn shown(text: &str) -> String {
    let mut parts = text.split("href=\"");
    let first = parts.next().unwrap_or_default().to_owned();
    let words = parts.map(|part| part.split_once('"').map_or("", |(_, behind)| behind));
    crate::message::without_addresses(&words.fold(first, |words, part| words + part))
}

/// The object of a message is named either in the summary or in the title.
#[test]
fn no_message_says_its_title_twice() {
    for entry in having("detail") {
        for case in cases() {
            let Some(trigger) = case.event.trigger.filter(|trigger| entry.about.triggers.contains(*trigger))
            else {
                continue;
            };
            let message = compose(&case.event).expect("a message");
            let Some(title) = &message.title else { continue };
            let call = call(entry, case, contract(entry).target);
            let body = body(&call);
            let mut found = Vec::new();
            strings(&body, "", &mut found);
            // For notifications and for clients that show no cards: they are shown instead of the message.
            // A thread's key is not shown.
            let instead = ["/fallback", "/summary", "/fallbackText", "/threadKey"];
            // Matrix sends every message in two forms, of which clients show one.
            let instead = |path: &str| instead.iter().any(|end| path.ends_with(end)) || path == "/body";
            // People's own words may be the title again.
            let own = match &message.body {
                crate::message::Body::Prose(prose) => prose.plain_text().matches(title.text.as_str()).count(),
                _ => 0,
            };
            let times: usize = found
                .iter()
                .filter(|(path, text)| !instead(path) && !text.starts_with("http"))
                .map(|(_, text)| shown(text).matches(title.text.as_str()).count())
                .sum();
            assert!(
                times <= 1 + own,
                "{} of {trigger} ({}): {times} times: {body:#}",
                entry.about.slug,
                case.name
            );
        }
    }
}

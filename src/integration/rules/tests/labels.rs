//! The label filter.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{asked, chat, event};
use crate::event::{Event, Trigger};
use crate::integration::LabelBehavior::{self, MatchAll, MatchAny};

fn titled(titles: &[&str]) -> Value {
    titles.iter().map(|title| json!({ "title": title })).collect()
}

fn issue(titles: &[&str]) -> Event {
    event(Trigger::Issue, json!({ "labels": titled(titles) }))
}

#[test]
fn any_or_all_of_the_labels_must_be_there() {
    #[rustfmt::skip]
    let table = [
        // wanted,                on the issue,              any,           all
        ("~bug",                  &["bug"][..],              Ok(()),        Ok(())),
        ("~bug",                  &["bug", "docs"],          Ok(()),        Ok(())),
        ("~bug",                  &["docs"],                 Err("labels"), Err("labels")),
        ("~bug",                  &[],                       Err("labels"), Err("labels")),
        ("~bug, ~docs",           &["bug"],                  Ok(()),        Err("labels")),
        ("~bug, ~docs",           &["docs", "bug"],          Ok(()),        Ok(())),
        ("~bug, ~docs",           &["docs", "bug", "ui"],    Ok(()),        Ok(())),
        ("~bug, ~docs",           &["ui"],                   Err("labels"), Err("labels")),
        // Exact and case-sensitive.
        ("~bug",                  &["Bug"],                  Err("labels"), Err("labels")),
        ("~bug",                  &["bugs"],                 Err("labels"), Err("labels")),
        // Every ~ is dropped, spaces around are trimmed, spaces within stay.
        ("bug",                   &["bug"],                  Ok(()),        Ok(())),
        ("  ~~bug ,~team one  ",  &["team one", "bug"],      Ok(()),        Ok(())),
        ("~team one",             &["team"],                 Err("labels"), Err("labels")),
        // A blank filter is no filter.
        ("",                      &[],                       Ok(()),        Ok(())),
        ("  ",                    &["bug"],                  Ok(()),        Ok(())),
        // A list of blank entries is a filter that names no label, so nothing matches it.
        ("~",                     &["bug"],                  Err("labels"), Err("labels")),
        (" , ~ ,",                &["bug", ""],              Err("labels"), Err("labels")),
        (",",                     &[],                       Err("labels"), Err("labels")),
        ("~, ~bug",               &["bug"],                  Ok(()),        Ok(())),
    ];
    for (wanted, on_it, any, all) in table {
        assert_eq!(
            asked(&chat().labels(wanted, MatchAny), &issue(on_it)),
            any,
            "any of `{wanted}` in {on_it:?}"
        );
        assert_eq!(
            asked(&chat().labels(wanted, MatchAll), &issue(on_it)),
            all,
            "all of `{wanted}` in {on_it:?}"
        );
    }
}

#[test]
fn only_issues_merge_requests_and_notes_are_filtered() {
    let picky = chat().labels("~unused-label", MatchAny);
    for trigger in [
        Trigger::Issue,
        Trigger::ConfidentialIssue,
        Trigger::Incident,
        Trigger::MergeRequest,
        Trigger::Note,
        Trigger::ConfidentialNote,
    ] {
        assert_eq!(asked(&picky, &event(trigger, json!({}))), Err("labels"), "{trigger}");
    }
    let work_item = event(Trigger::Issue, json!({ "object_kind": "work_item", "event_type": "work_item" }));
    assert_eq!(asked(&picky, &work_item), Err("labels"));
    for trigger in [
        Trigger::Push,
        Trigger::TagPush,
        Trigger::Pipeline,
        Trigger::WikiPage,
        Trigger::Deployment,
        Trigger::Alert,
        Trigger::Vulnerability,
    ] {
        assert_eq!(asked(&picky, &event(trigger, json!({}))), Ok(()), "{trigger}");
    }
}

#[test]
fn notes_have_the_labels_of_the_object_that_they_are_on() {
    let on_merge_request = event(Trigger::Note, json!({ "merge_request": { "labels": titled(&["docs"]) } }));
    let on_issue = event(Trigger::ConfidentialNote, json!({ "issue": { "labels": titled(&["docs"]) } }));
    for note in [on_merge_request, on_issue] {
        assert_eq!(asked(&chat().labels("~docs", MatchAny), &note), Ok(()));
        assert_eq!(asked(&chat().labels("~bug", MatchAny), &note), Err("labels"));
    }
}

#[test]
fn notes_on_commits_and_snippets_pass_no_filter() {
    for (noteable_type, key) in [("Commit", "commit"), ("Snippet", "snippet")] {
        let changes = json!({
            "object_attributes": { "noteable_type": noteable_type },
            "merge_request": null,
            key: { "title": "bug" },
        });
        let note = event(Trigger::Note, changes);
        for behavior in [MatchAny, MatchAll] {
            assert_eq!(asked(&chat().labels("~bug", behavior), &note), Err("labels"), "{noteable_type}");
        }
        assert_eq!(asked(&chat(), &note), Ok(()), "{noteable_type}");
    }
}

/// GitLab uses the first list of labels that it finds, even an empty one. It does not combine lists.
#[test]
fn only_the_first_list_of_labels_counts() {
    for (top, within, expected) in [
        (json!([]), titled(&["bug"]), Err("labels")),
        (json!(null), titled(&["bug"]), Ok(())),
        (titled(&["docs"]), titled(&["bug"]), Err("labels")),
        (titled(&["bug"]), json!(null), Ok(())),
    ] {
        let issue =
            event(Trigger::Issue, json!({ "labels": top, "object_attributes": { "labels": within } }));
        assert_eq!(asked(&chat().labels("~bug", MatchAny), &issue), expected, "{top} before {within}");
    }
    let spread = json!({ "labels": titled(&["bug"]), "object_attributes": { "labels": titled(&["docs"]) } });
    assert_eq!(asked(&chat().labels("~bug, ~docs", MatchAll), &event(Trigger::Issue, spread)), Err("labels"));
}

fn behaviors() -> impl Strategy<Value = LabelBehavior> {
    prop_oneof![Just(MatchAny), Just(MatchAll)]
}

proptest! {
    #[test]
    fn order_and_repeats_change_nothing(
        titles in prop::collection::vec("[abc]", 0..5),
        wanted in prop::collection::vec("[abc]", 1..4),
        behavior in behaviors(),
    ) {
        let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
        let mut otherwise: Vec<&str> = titles.iter().rev().copied().collect();
        otherwise.extend(&titles);
        let reversed: Vec<String> = wanted.iter().rev().cloned().collect();
        prop_assert_eq!(
            asked(&chat().labels(&wanted.join(","), behavior), &issue(&titles)),
            asked(&chat().labels(&reversed.join(" , ~"), behavior), &issue(&otherwise))
        );
    }

    #[test]
    fn an_issue_that_matches_all_matches_any(titles in prop::collection::vec("[abc]", 0..5), wanted in prop::collection::vec("[abc]", 1..4)) {
        let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
        let wanted = wanted.join(",");
        if asked(&chat().labels(&wanted, MatchAll), &issue(&titles)).is_ok() {
            prop_assert_eq!(asked(&chat().labels(&wanted, MatchAny), &issue(&titles)), Ok(()));
        }
    }
}

//! The branch filter: which settings let which branches pass, and how an event's branch is found.

use proptest::prelude::*;
use serde_json::json;

use super::super::branches::matches;
use super::{asked, asked_knowing, chat, event};
use crate::event::{Event, Trigger};
use crate::integration::{Family, Integration, ProjectFacts};

const SETTINGS: [&str; 5] = ["all", "default", "protected", "default_and_protected", "main"];

/// The results for each setting, in the order of `SETTINGS`.
type Passes = [Result<(), &'static str>; 5];

const YES: Result<(), &'static str> = Ok(());
const NO: Result<(), &'static str> = Err("branch");

/// Events on this branch without further facts about it.
fn push(branch: &str) -> Event {
    event(Trigger::Push, json!({ "ref": format!("refs/heads/{branch}"), "ref_protected": null }))
}

fn pipeline(branch: &str) -> Event {
    event(Trigger::Pipeline, json!({ "object_attributes": { "ref": branch, "protected_ref": null } }))
}

fn deployment(branch: &str) -> Event {
    event(Trigger::Deployment, json!({ "ref": branch }))
}

fn tag_pipeline(tag: &str) -> Event {
    let attributes = json!({ "ref": tag, "tag": true, "protected_ref": true });
    event(Trigger::Pipeline, json!({ "object_attributes": attributes }))
}

fn protecting(patterns: &[&str]) -> ProjectFacts {
    let protected_branches = Some(patterns.iter().map(|&pattern| pattern.to_owned()).collect());
    ProjectFacts { protected_branches, ..ProjectFacts::default() }
}

fn holds(family: Family, event: &Event, facts: &ProjectFacts, expected: Passes) {
    for (setting, expected) in SETTINGS.into_iter().zip(expected) {
        let integration = Integration::example(family).branches(setting);
        let answer = asked_knowing(&integration, event, facts);
        assert_eq!(answer, expected, "{family:?}, {setting}: {} with {facts:?}", event.subject);
    }
}

#[test]
fn each_setting_lets_its_branches_pass() {
    let facts = protecting(&["*-stable", "production/*", "exact"]);
    #[rustfmt::skip]
    let table: [(&str, Passes); 7] = [
        // branch,            all  default  protected  either  anything else
        ("main",             [YES, YES,     NO,        YES,    NO]),
        ("1-2-stable",       [YES, NO,      YES,       YES,    NO]),
        ("production/eu/1",  [YES, NO,      YES,       YES,    NO]),
        ("exact",            [YES, NO,      YES,       YES,    NO]),
        ("exactly",          [YES, NO,      NO,        NO,     NO]),
        ("Main",             [YES, NO,      NO,        NO,     NO]),
        ("feature/main",     [YES, NO,      NO,        NO,     NO]),
    ];
    for (branch, expected) in table {
        for event in [push(branch), pipeline(branch), deployment(branch)] {
            holds(Family::Chat, &event, &facts, expected);
        }
        holds(Family::PushMail, &push(branch), &facts, expected);
        holds(Family::PipelineMail, &pipeline(branch), &facts, expected);
        holds(Family::Hook, &push(branch), &facts, expected);
    }
}

#[test]
fn without_a_branch_filter_every_branch_passes() {
    for event in [push("feature"), pipeline("feature"), deployment("feature")] {
        assert_eq!(asked(&chat(), &event), YES);
    }
}

/// Projects usually protect the default branch, but then the event or the list of protected branches says so.
#[test]
fn the_default_branch_is_not_protected_automatically() {
    holds(Family::Chat, &push("main"), &protecting(&[]), [YES, YES, NO, YES, NO]);
    holds(Family::Chat, &push("main"), &protecting(&["main"]), [YES, YES, YES, YES, NO]);
}

#[test]
fn the_events_protection_flag_takes_precedence_over_the_list() {
    #[rustfmt::skip]
    let table = [
        // said by the event,  in the list,                 is it protected?
        (Some(true),           Some(&["other"][..]),        YES),
        (Some(true),           None,                        YES),
        (Some(false),          Some(&["feature"][..]),      NO),
        (Some(false),          None,                        NO),
        (None,                 Some(&["feature"][..]),      YES),
        (None,                 Some(&["other"][..]),        NO),
        (None,                 Some(&[][..]),               NO),
        (None,                 None,                        NO),
    ];
    for (said, list, expected) in table {
        let facts = list.map_or_else(ProjectFacts::default, protecting);
        let attributes = json!({ "ref": "feature", "protected_ref": said });
        for event in [
            event(Trigger::Push, json!({ "ref": "refs/heads/feature", "ref_protected": said })),
            event(Trigger::Pipeline, json!({ "object_attributes": attributes })),
        ] {
            for setting in ["protected", "default_and_protected"] {
                let answer = asked_knowing(&chat().branches(setting), &event, &facts);
                assert_eq!(answer, expected, "{}: said {said:?}, listed {list:?}", event.subject);
            }
        }
    }
}

#[test]
fn what_is_known_of_the_default_branch_takes_precedence_over_the_event() {
    #[rustfmt::skip]
    let table = [
        // said by the event, known otherwise, is `main` the default?
        (Some("main"),        Some("trunk"),   NO),
        (Some("main"),        None,            YES),
        (Some("trunk"),       Some("main"),    YES),
        (None,                Some("main"),    YES),
        (None,                Some("trunk"),   NO),
        (None,                None,            NO),
    ];
    for (said, known, expected) in table {
        let facts = ProjectFacts { default_branch: known.map(str::to_owned), ..ProjectFacts::default() };
        let push =
            event(Trigger::Push, json!({ "project": { "default_branch": said }, "ref_protected": null }));
        let answer = asked_knowing(&chat().branches("default"), &push, &facts);
        assert_eq!(answer, expected, "said {said:?}, known {known:?}");
    }
}

#[test]
fn pushed_tags_always_pass() {
    let tag = event(Trigger::TagPush, json!({ "ref": "refs/tags/feature", "ref_protected": false }));
    for family in [Family::Chat, Family::PushMail, Family::Hook] {
        holds(family, &tag, &protecting(&[]), [YES; 5]);
    }
}

#[test]
fn pipelines_of_tags_pass_in_chat() {
    holds(Family::Chat, &tag_pipeline("v1.0"), &protecting(&[]), [YES; 5]);
    holds(Family::Hook, &tag_pipeline("v1.0"), &protecting(&[]), [YES; 5]);
    let attributes = json!({ "ref": "refs/tags/v1.0", "tag": false, "protected_ref": null });
    let by_full_ref = event(Trigger::Pipeline, json!({ "object_attributes": attributes }));
    holds(Family::Chat, &by_full_ref, &protecting(&[]), [YES; 5]);
}

/// The payload's flag for a protected *tag* is not used for this.
#[test]
fn in_mails_about_pipelines_a_tag_is_compared_like_a_branch() {
    let facts = protecting(&["v1.*"]);
    holds(Family::PipelineMail, &tag_pipeline("v1.0"), &facts, [YES, NO, YES, YES, NO]);
    holds(Family::PipelineMail, &tag_pipeline("v2.0"), &facts, [YES, NO, NO, NO, NO]);
    holds(Family::PipelineMail, &tag_pipeline("main"), &facts, [YES, YES, NO, YES, NO]);
}

#[test]
fn events_without_a_branch_pass() {
    let facts = protecting(&[]);
    for without_ref in [
        event(Trigger::Pipeline, json!({ "object_attributes": { "ref": null } })),
        event(Trigger::Pipeline, json!({ "object_attributes": { "ref": "" } })),
        event(Trigger::Deployment, json!({ "ref": null })),
        event(Trigger::Deployment, json!({ "ref": "" })),
        event(Trigger::Deployment, json!({ "ref": "refs/tags/v1.0" })),
    ] {
        holds(Family::Chat, &without_ref, &facts, [YES; 5]);
    }
    for trigger in [
        Trigger::Issue,
        Trigger::ConfidentialIssue,
        Trigger::Incident,
        Trigger::MergeRequest,
        Trigger::Note,
        Trigger::ConfidentialNote,
        Trigger::WikiPage,
        Trigger::Alert,
        Trigger::Vulnerability,
    ] {
        holds(Family::Chat, &event(trigger, json!({})), &facts, [YES; 5]);
    }
    holds(Family::Hook, &event(Trigger::Job, json!({ "ref": "feature" })), &facts, [YES; 5]);
}

#[test]
fn full_refs_are_shortened_before_they_are_compared() {
    let facts = protecting(&[]);
    holds(Family::Chat, &deployment("refs/heads/main"), &facts, [YES, YES, NO, YES, NO]);
    holds(Family::Chat, &pipeline("refs/heads/main"), &facts, [YES, YES, NO, YES, NO]);
}

/// GitLab looks at the name of the branch alone.
#[test]
fn a_pipeline_on_a_forks_branch_is_compared_by_the_branchs_name() {
    let of_fork = |branch: &str| {
        let request = json!({ "iid": 5, "source_project_id": 99, "target_project_id": 42 });
        let attributes = json!({ "ref": branch, "protected_ref": null });
        event(Trigger::Pipeline, json!({ "object_attributes": attributes, "merge_request": request }))
    };
    let facts = protecting(&["*-stable"]);
    holds(Family::Chat, &of_fork("main"), &facts, [YES, YES, NO, YES, NO]);
    holds(Family::Chat, &of_fork("feature"), &facts, [YES, NO, NO, NO, NO]);
    holds(Family::Chat, &of_fork("1-2-stable"), &facts, [YES, NO, YES, YES, NO]);
}

#[test]
fn a_hidden_ref_is_not_the_branch_that_its_last_part_names() {
    let facts = protecting(&["main"]);
    for hidden in ["refs/environments/main", "refs/merge-requests/1/head", "refs/keep-around/main"] {
        holds(Family::Chat, &pipeline(hidden), &facts, [YES, NO, NO, NO, NO]);
        holds(Family::Chat, &deployment(hidden), &facts, [YES, NO, NO, NO, NO]);
    }
}

#[test]
fn wildcards() {
    #[rustfmt::skip]
    let table = [
        ("main",         "main",              true),
        ("main",         "Main",              false),
        ("main",         "mainline",          false),
        ("main",         "a/main",            false),
        ("*",            "anything/at/all",   true),
        ("*",            "",                  true),
        ("**",           "anything",          true),
        ("*-stable",     "1-2-stable",        true),
        ("*-stable",     "-stable",           true),
        ("*-stable",     "1-2-Stable",        false),
        ("*-stable",     "1-2-stable-ee",     false),
        ("production/*", "production/",       true),
        ("production/*", "production/a/b",    true),
        ("production/*", "production",        false),
        ("*gitlab*",     "on-gitlab/1",       true),
        ("*gitlab*",     "gitlab",            true),
        ("a*a",          "a",                 false),
        ("a*a",          "aa",                true),
        ("a*b*c",        "a--c--b--c",        true),
        ("a*b*c",        "a--c--b",           false),
        ("*ab*ab",       "ab",                false),
        ("*ab*ab",       "abab",              true),
        // Nothing else is special.
        ("v1.0",         "v1x0",              false),
        ("v?",           "v1",                false),
        ("[ab]",         "a",                 false),
        ("ünï*",         "ünïcode",           true),
        ("",             "",                  true),
        ("",             "main",              false),
    ];
    for (pattern, name, expected) in table {
        assert_eq!(matches(pattern, name), expected, "`{pattern}` and `{name}`");
    }
}

/// Matchers that backtrack take exponential time for patterns of this kind.
#[test]
fn no_pattern_takes_long() {
    let (pattern, name) = ("a*".repeat(20_000) + "b", "a".repeat(200_000));
    assert!(!matches(&pattern, &name));
    let (pattern, name) = ("*".repeat(200_000), "a".repeat(200_000));
    assert!(matches(&pattern, &name));
}

/// A slow and simple definition of matching: `*` is nothing, or any one character followed by a `*` again.
fn means(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], _) if means(rest, name) => true,
        ([b'*', ..], [_, name @ ..]) => means(pattern, name),
        ([p, pattern @ ..], [n, name @ ..]) if p == n => means(pattern, name),
        _ => false,
    }
}

proptest! {
    #[test]
    fn the_matcher_agrees_with_the_simple_definition(pattern in "[ab/*]{0,8}", name in "[ab/]{0,10}") {
        prop_assert_eq!(matches(&pattern, &name), means(pattern.as_bytes(), name.as_bytes()));
    }

    #[test]
    fn a_pattern_made_of_a_name_matches_it(pieces in prop::collection::vec("\\PC{0,4}", 1..5), fill in "\\PC{0,4}") {
        prop_assert!(matches(&pieces.join("*"), &pieces.join(&fill)));
    }

    #[test]
    fn a_pattern_without_a_star_is_a_name(pattern in "[^*]{0,6}", name in "[^*]{0,6}") {
        prop_assert_eq!(matches(&pattern, &name), pattern == name);
        prop_assert!(matches(&pattern, &pattern));
    }
}

//! The texts that explain why an integration did not get an event.

use serde_json::json;

use super::{WhyNot, chat, decode, event, wants};
use crate::event::{Event, Trigger, sample};
use crate::integration::LabelBehavior::{MatchAll, MatchAny};
use crate::integration::{Integration, ProjectFacts, Scope};

fn why(integration: &Integration, event: &Event, facts: &ProjectFacts) -> WhyNot {
    wants(integration, event, facts).expect_err("it is not wanted")
}

fn on_branch(setting: &str, facts: &ProjectFacts) -> String {
    let changes = json!({ "ref": "refs/heads/feature", "ref_protected": null });
    why(&chat().branches(setting), &event(Trigger::Push, changes), facts).to_string()
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table of all reasons")]
fn every_reason_names_the_setting_and_its_value() {
    let push = sample(Trigger::Push);
    let issue = sample(Trigger::Issue);
    let update = json!({ "object_attributes": { "action": "update" } });
    let incident = json!({ "object_kind": "work_item", "object_attributes": { "type": "Incident" } });
    let epic = json!({ "object_attributes": { "noteable_type": "Epic" } });
    let mentioned = json!({ "object_attributes": { "object_kind": "epic" } });
    let of_group = chat()
        .of(Scope::Group("acme/launch-crew".to_owned()))
        .supporting(&[Trigger::GroupMention])
        .listening_to(&[Trigger::GroupMention]);
    let pipeline = |status: &str, ref_status_name: Option<&str>| {
        let attributes = json!({ "status": status, "ref_status_name": ref_status_name });
        event(Trigger::Pipeline, json!({ "object_attributes": attributes }))
    };
    for (integration, event, code, text) in vec![
        (
            chat(),
            decode(&json!({ "object_kind": "emoji", "object_attributes": {} })),
            "no_trigger",
            "no integration takes `emoji` events",
        ),
        (
            chat(),
            event(Trigger::Push, json!({ "ref": "refs/merge-requests/1/head" })),
            "hidden_ref",
            "the ref `refs/merge-requests/1/head` is neither a branch nor a tag",
        ),
        (chat().inactive(), push.clone(), "inactive", "the integration is switched off (active = false)"),
        (
            chat().of(Scope::ProjectId(7)),
            push.clone(),
            "elsewhere",
            "the event belongs to project acme/rocket, and the integration to project 7",
        ),
        (
            chat(),
            sample(Trigger::GroupMention),
            "elsewhere",
            "the event belongs to group acme/launch-crew, and the integration to project acme/rocket",
        ),
        (
            chat().supporting(&[Trigger::TagPush]),
            push.clone(),
            "unsupported",
            "bell does not support `push` events",
        ),
        (
            chat().listening_to(&[Trigger::ConfidentialIssue]),
            issue.clone(),
            "switched_off",
            "the integration is switched off for `issue` events (issues_events = false)",
        ),
        (
            chat(),
            event(Trigger::MergeRequest, update),
            "update",
            "updates are not notified (`merge_request` event with action = update)",
        ),
        (
            chat(),
            event(
                Trigger::MergeRequest,
                json!({
                    "object_attributes": { "action": "update" },
                    "changes": {
                        "labels": { "previous": [], "current": [{ "title": "ui" }] },
                        "title": { "previous": "A", "current": "B" },
                    },
                }),
            ),
            "merge_request_action",
            "none of the actions `title`, `labels` is notified (merge_request_actions = open, close, reopen, merge, \
             approved, unapproved, approval, unapproval, reviewers)",
        ),
        (
            chat().merge_request_actions("open, draft"),
            event(Trigger::MergeRequest, json!({ "object_attributes": { "action": "merge" } })),
            "merge_request_action",
            "the action `merge` is not notified (merge_request_actions = open, draft)",
        ),
        (
            chat(),
            event(Trigger::Issue, incident),
            "comes_as_incident",
            "an incident is notified by its `incident` event, not by its `work_item` event",
        ),
        (
            chat(),
            event(Trigger::Note, epic),
            "noteable",
            "comments on this kind of object are not notified (noteable_type = Epic)",
        ),
        (
            of_group,
            event(Trigger::GroupMention, mentioned),
            "mention",
            "mentions in this kind of object are not notified (object_kind = epic)",
        ),
        (
            chat(),
            pipeline("running", None),
            "pipeline_status",
            "the pipeline is neither `success` nor `failed` (status = running)",
        ),
        (
            chat().only_broken(true),
            pipeline("success", None),
            "not_broken",
            "the pipeline is not broken (notify_only_broken_pipelines = true, status = success)",
        ),
        (
            chat().only_when_status_changes(true),
            pipeline("failed", Some("still_failing")),
            "status_unchanged",
            "the pipeline is `failed` as it was before \
             (notify_only_when_pipeline_status_changes = true, ref_status_name = still_failing)",
        ),
        (
            chat().only_when_status_changes(true),
            pipeline("failed", None),
            "status_unchanged",
            "it is not known whether the pipeline was `failed` before \
             (notify_only_when_pipeline_status_changes = true, no ref_status_name)",
        ),
        (
            chat().labels("~ui, ~team one", MatchAny),
            issue.clone(),
            "labels",
            "it has none of the required labels: its labels are bug, propulsion \
             (labels_to_be_notified = ui, team one, labels_to_be_notified_behavior = match_any)",
        ),
        (
            chat().labels("~ ,", MatchAny),
            event(Trigger::Issue, json!({})),
            "labels",
            "labels_to_be_notified is set but names no label, so nothing matches it",
        ),
        (
            chat().labels("~bug, ~ui", MatchAll),
            event(Trigger::Issue, json!({ "labels": [] })),
            "labels",
            "it has not all of the required labels: it has no labels \
             (labels_to_be_notified = bug, ui, labels_to_be_notified_behavior = match_all)",
        ),
    ] {
        let why = why(&integration, &event, &ProjectFacts::default());
        assert_eq!((why.code(), why.to_string().as_str()), (code, text));
    }
}

#[test]
fn the_reason_of_the_branch_filter_says_what_is_unknown() {
    let unknown = ProjectFacts::default();
    let known = ProjectFacts { default_branch: None, protected_branches: Some(vec!["*-stable".to_owned()]) };
    for (setting, facts, text) in [
        (
            "default",
            &known,
            "the branch `feature` is not the default branch `main` (branches_to_be_notified = default)",
        ),
        ("protected", &known, "the branch `feature` is not protected (branches_to_be_notified = protected)"),
        (
            "protected",
            &unknown,
            "the branch `feature` is not known to be protected (the protected branches are not known) \
             (branches_to_be_notified = protected)",
        ),
        (
            "default_and_protected",
            &known,
            "the branch `feature` is not the default branch `main`, and not protected \
             (branches_to_be_notified = default_and_protected)",
        ),
        (
            "main",
            &known,
            "the setting matches no branch, so not `feature` either: it is none of all, default, protected, \
             default_and_protected (branches_to_be_notified = main)",
        ),
    ] {
        assert_eq!(on_branch(setting, facts), text);
    }
    let nobody_said = event(
        Trigger::Push,
        json!({ "ref": "refs/heads/feature", "ref_protected": null, "project": { "default_branch": null } }),
    );
    assert_eq!(
        why(&chat().branches("default"), &nobody_said, &unknown).to_string(),
        "the branch `feature` is not known to be the default branch (the default branch is not known) \
         (branches_to_be_notified = default)"
    );
}

#[test]
fn only_the_most_general_reason_is_given() {
    let deaf = chat().listening_to(&[]).branches("default");
    let push = event(Trigger::Push, json!({ "ref": "refs/heads/feature" }));
    let code = |integration: &Integration| why(integration, &push, &ProjectFacts::default()).code();
    assert_eq!(code(&deaf.clone().inactive()), "inactive");
    assert_eq!(code(&deaf.clone().of(Scope::ProjectId(7))), "elsewhere");
    assert_eq!(code(&deaf.clone().supporting(&[])), "unsupported");
    assert_eq!(code(&deaf), "switched_off");
    assert_eq!(code(&deaf.listening_to(&[Trigger::Push])), "branch");
}

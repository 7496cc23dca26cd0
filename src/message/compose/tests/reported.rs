//! The messages about events that people reported as told wrongly: who acted, and what is known.

use serde_json::json;

use super::{changed, event, fields, lines, message, plain};
use crate::message::Tone;

fn author(event: &crate::event::Event) -> String {
    message(event).author.map_or_else(String::new, |author| author.display.to_string())
}

#[test]
fn approvals_that_a_push_resets_are_not_taken_back_by_a_person() {
    let reset = event("reported/56_mr_unapproved_by_system.json");
    assert_eq!(
        plain(&reset),
        "GitLab reset the approvals of merge request !5 Add x in Acme / rocket (x → main), because new commits were pushed"
    );
    assert_eq!((author(&reset).as_str(), reset.user()), ("GitLab", None));
    for action in ["approved", "unapproval"] {
        let reset = changed("reported/56_mr_unapproved_by_system.json", |body| {
            body["object_attributes"]["action"] = json!(action);
            body["object_attributes"]["system_action"] = json!("code_owner_approvals_reset_on_push");
        });
        assert!(plain(&reset).starts_with("GitLab reset the approvals of merge request !5"), "{action}");
    }
    let otherwise = changed("reported/56_mr_unapproved_by_system.json", |body| {
        body["object_attributes"]["action"] = json!("unapproval");
        body["object_attributes"]["system_action"] = json!("some_later_one");
    });
    assert_eq!(
        plain(&otherwise),
        "GitLab removed an approval from merge request !5 Add x in Acme / rocket (x → main)"
    );
    assert_eq!(
        plain(&event("reported/57b_mr_unapproved_by_person.json")),
        "Ada Byron (ada) unapproved merge request !5 Add x in Acme / rocket (x → main)"
    );
}

#[test]
fn a_deployment_is_approved_or_rejected_by_its_approver() {
    let approved = event("reported/02a_deployment_approved.json");
    assert_eq!(plain(&approved), "Acme / rocket: Grace Hopper (grace) approved the deploy to production");
    assert_eq!(
        (author(&approved).as_str(), message(&approved).tone),
        ("Grace Hopper (grace)", Tone::Neutral)
    );
    assert_eq!(
        message(&approved).author.and_then(|author| author.url.clone()).as_deref(),
        Some("https://git.example.com/grace"),
        "the address in the event is of the person who deploys"
    );
    assert_eq!(
        lines(&approved),
        [
            "Job [#796](https://git.example.com/acme/rocket/-/jobs/796) by [Ada Byron (ada)](https://git.example.com/ada)",
            "[2166d75e](https://git.example.com/acme/rocket/-/commit/2166d75e44d9b13be5d7fc739fd40e7ba8a8eece): \
             Edit .gitlab-ci.yml",
            "Comment: Go on",
        ]
    );
    let rejected = changed("reported/02a_deployment_approved.json", |body| {
        body["status"] = json!("rejected");
        body["approval"]["status"] = json!("rejected");
        body["approval"]["comment"] = json!("");
    });
    assert_eq!(plain(&rejected), "Acme / rocket: Grace Hopper (grace) rejected the deploy to production");
    assert_eq!((message(&rejected).tone, lines(&rejected).len()), (Tone::Danger, 2));
    let nobody = changed("reported/02a_deployment_approved.json", |body| {
        body["status"] = json!("rejected");
        body["approver"] = json!(null);
    });
    assert_eq!(plain(&nobody), "Acme / rocket: Deploy to production was rejected");
    assert_eq!((author(&nobody).as_str(), message(&nobody).tone), ("", Tone::Danger));
}

#[test]
fn a_deployment_that_was_approved_before_is_still_the_deployers() {
    let created = event("reported/60_deployment_created_by_api.json");
    assert_eq!(plain(&created), "Acme / rocket: Deploy to production was created");
    assert_eq!(author(&created), "Ada Byron (ada)");
    assert!(lines(&created).iter().all(|line| !line.starts_with("Comment")), "{:?}", lines(&created));
    let blocked = event("reported/02c_deployment_blocked.json");
    assert_eq!(plain(&blocked), "Acme / rocket: Deploy to production is waiting for approval");
    assert_eq!(author(&blocked), "Ada Byron (ada)");
}

#[test]
fn reviews_are_requested_again_and_reviewers_say_how_far_they_are() {
    const OWN: &str = "reported/61_mr_reviewer_state_only.json";
    let again = event("reported/28_mr_rerequest_review.json");
    let title = "draft merge request !5 Add x in Acme / rocket (x → main)";
    assert_eq!(plain(&again), format!("Ada Byron (ada) requested another review from A (a) of {title}"));
    let both = changed("reported/28_mr_rerequest_review.json", |body| {
        let reviewers = &mut body["changes"]["reviewers"];
        reviewers["previous"].as_array_mut().unwrap().push(json!({ "name": "C", "username": "c" }));
        reviewers["current"].as_array_mut().unwrap().push(json!({ "name": "B", "username": "b" }));
    });
    assert_eq!(
        plain(&both),
        format!(
            "Ada Byron (ada) requested a review from B (b), requested another review from A (a) and removed C (c) as \
             reviewer of {title}"
        )
    );

    for (state, done) in [
        ("requested_changes", "requested changes to"),
        ("reviewed", "reviewed"),
        ("approved", "approved"),
        ("unapproved", "removed their approval from"),
        ("review_started", "started a review of"),
        ("a_later_state", "updated"),
    ] {
        let own = changed(OWN, |body| body["changes"]["reviewers"]["current"][0]["state"] = json!(state));
        assert_eq!(plain(&own), format!("A (a) {done} merge request !5 Add x in Acme / rocket (x → main)"));
    }
    let anothers = changed(OWN, |body| body["user"] = json!({ "name": "B", "username": "b" }));
    assert_eq!(plain(&anothers), "B (b) updated merge request !5 Add x in Acme / rocket (x → main)");
}

#[test]
fn a_passed_pipeline_has_no_failed_jobs() {
    let passed = event("reported/14_pipeline_allow_failure_only.json");
    assert_eq!(fields(&passed)[2..], [("Allowed failure".to_owned(), "lint".to_owned())]);
    let old = changed("reported/14_pipeline_allow_failure_only.json", |body| {
        body["builds"][1].as_object_mut().unwrap().remove("allow_failure");
    });
    assert_eq!(fields(&old), fields(&passed), "an old payload does not say what was allowed to fail");
    let failed = event("reported/15_pipeline_failed_with_allowed.json");
    let expected = [("Failed stage", "test"), ("Failed job", "rspec"), ("Allowed failure", "lint")];
    assert_eq!(fields(&failed)[2..], expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn a_child_pipeline_says_whose_child_it_is() {
    let child = event("reported/18_pipeline_child_failed.json");
    assert_eq!(
        plain(&child),
        "Acme / rocket: Pipeline #77 of branch main (child of acme/parent #76) by Ada Byron (ada) has failed in 02:00"
    );
    assert!(fields(&child).contains(&("Parent pipeline".to_owned(), "acme/parent #76".to_owned())));
    let field = message(&child).fields.into_iter().find(|field| field.name == "Parent pipeline");
    assert_eq!(
        crate::message::Markup::Markdown.render(&field.expect("it is there").value),
        "[acme/parent #76](https://git.example.com/acme/parent/-/pipelines/76)"
    );
    let with = |change: fn(&mut serde_json::Value)| {
        plain(&changed("reported/18_pipeline_child_failed.json", change))
    };
    let here = with(|body| body["source_pipeline"]["project"] = body["project"].clone());
    assert!(here.contains("branch main (child of #76) by"), "{here}");
    let downstream = with(|body| body["object_attributes"]["source"] = json!("pipeline"));
    assert!(downstream.contains("branch main (started by acme/parent #76) by"), "{downstream}");
    let old = with(|body| body["source_pipeline"] = json!(null));
    assert!(old.contains("branch main (child of another pipeline) by"), "{old}");
}

/// System hooks list no commits and count none, whatever was pushed.
#[test]
fn a_push_whose_commits_are_not_listed_is_a_push() {
    let files = [
        "44_push_empty_commit_list_forced",
        "49_push_without_commits_key",
        "58_system_hook_push_no_commits",
        "58c_push_no_commits_no_count",
    ];
    for file in files {
        let pushed = plain(&event(&format!("reported/{file}.json")));
        assert!(
            pushed.starts_with("Ada Byron (ada) pushed to branch main of Acme / rocket (Compare"),
            "{pushed}"
        );
    }
    let counted =
        changed("reported/49_push_without_commits_key.json", |body| body["total_commits_count"] = json!(7));
    assert!(
        plain(&counted).starts_with("Ada Byron (ada) pushed 7 commits to branch main"),
        "{}",
        plain(&counted)
    );
}

#[test]
fn a_merge_trains_pipeline_is_of_its_merge_request() {
    let train = event("reported/17_pipeline_merge_train.json");
    assert_eq!(
        super::summary(&train),
        "[Acme / rocket](https://git.example.com/acme/rocket): Pipeline \
         [#77](https://git.example.com/acme/rocket/-/pipelines/77) of merge request \
         [!12](https://git.example.com/acme/rocket/-/merge_requests/12) by Ada Byron (ada) has failed in 02:00"
    );
}

#[test]
fn a_change_without_an_actor_is_told_in_the_passive() {
    assert_eq!(
        plain(&event("reported/30_mr_merged_by_nobody.json")),
        "Merge request !5 Add x was merged in Acme / rocket (x → main)"
    );
    assert_eq!(
        plain(&event("reported/34_push_by_deploy_key.json")),
        "1 commit was pushed to branch main of Acme / rocket (Compare changes)"
    );
    let by_nobody = |file: &str| plain(&changed(file, |body| body["user"] = json!(null)));
    assert_eq!(by_nobody("note_issue.json"), "New comment on issue #17 in Gitlab Org / Gitlab Test: test");
    assert_eq!(
        by_nobody("captured/issue_closed.json"),
        "Issue #1 found a bug was closed in sytses / hello-world"
    );
    assert_eq!(
        by_nobody("wiki_page_create.json"),
        "Wiki page Awesome was created in root / awesome-project (Compare changes)"
    );
}

#[test]
fn a_title_that_loses_the_word_wip_was_no_draft() {
    let event = changed("captured/merge_request_update_edited.json", |body| {
        body["object_attributes"]["draft"] = json!(false);
        body["changes"] =
            json!({"title": {"previous": "WIP cleanup of cache", "current": "Cleanup of cache"}});
    });
    assert!(!plain(&event).contains("ready"), "{}", plain(&event));
}

#[test]
fn a_feature_flag_that_does_not_say_its_state_was_changed() {
    let told = |active: serde_json::Value| {
        plain(&changed("feature_flag.json", |body| body["object_attributes"]["active"] = active))
    };
    assert!(told(json!(false)).contains("turned off feature flag"));
    assert!(told(json!(null)).contains("changed feature flag"), "{}", told(json!(null)));
}

/// GitLab names the schedule's owner as the pipeline's user.
#[test]
fn a_scheduled_pipeline_is_not_started_by_the_schedules_owner() {
    let told = |source: &str, user: Option<serde_json::Value>| {
        let event = changed("reported/36_pipeline_long.json", |body| {
            body["object_attributes"]["source"] = json!(source);
            if let Some(user) = user {
                body["user"] = user;
            }
        });
        let author = message(&event).author.map(|author| (author.display.to_string(), author.url.is_some()));
        (plain(&event).replace("Acme / rocket: Pipeline #77 of branch main", "…"), author)
    };
    let said =
        |words: &str, author: &str, has_page: bool| (words.to_owned(), Some((author.to_owned(), has_page)));
    assert_eq!(
        told("schedule", None),
        said(
            "… by a schedule of Ada Byron (ada) has passed in 26:03:04",
            "A schedule of Ada Byron (ada)",
            false
        )
    );
    assert_eq!(
        told("trigger", None),
        said(
            "… by a trigger of Ada Byron (ada) has passed in 26:03:04",
            "A trigger of Ada Byron (ada)",
            false
        )
    );
    for by_hand in ["web", "push", "merge_request_event", ""] {
        assert_eq!(
            told(by_hand, None),
            said("… by Ada Byron (ada) has passed in 26:03:04", "Ada Byron (ada)", true),
            "{by_hand}"
        );
    }
    let nobody = || Some(json!(null));
    assert_eq!(
        told("schedule", nobody()),
        said("… by a schedule has passed in 26:03:04", "A schedule", false)
    );
    assert_eq!(told("api", nobody()), said("… by API has passed in 26:03:04", "API", false));
    assert_eq!(
        told("push", nobody()),
        ("… has passed in 26:03:04".to_owned(), None),
        "pushed with a deploy key"
    );
}

#[test]
fn an_edited_comment_is_not_edited_by_its_author_if_it_says_otherwise() {
    let edited = |editor: serde_json::Value| {
        changed("note_issue.json", |body| {
            body["user"]["id"] = json!(1);
            body["object_attributes"]["action"] = json!("update");
            body["object_attributes"]["updated_by_id"] = editor;
        })
    };
    for own in [json!(1), json!(null)] {
        assert!(plain(&edited(own)).starts_with("Administrator (root) edited a comment on issue #17 in"));
    }
    let other = edited(json!(2));
    assert!(
        plain(&other).starts_with("A comment by Administrator (root) on issue #17 was edited in"),
        "{}",
        plain(&other)
    );
    assert_eq!((author(&other).as_str(), other.user()), ("", None));
}

#[test]
fn comments_that_gitlab_writes_tell_of_a_change() {
    assert_eq!(
        plain(&event("reported/50_system_note.json")),
        "Ada Byron (ada) changed merge request !5 in Acme / rocket: X"
    );
}

#[test]
fn a_merge_request_is_marked_as_draft_or_as_ready() {
    assert_eq!(
        plain(&event("reported/29_mr_marked_ready.json")),
        "Ada Byron (ada) marked merge request !5 Add x as ready in Acme / rocket (x → main)"
    );
    let draft = plain(&event("captured/merge_request_review_ready.json"));
    assert!(draft.contains(" marked merge request !3 Update README.md as draft in "), "{draft}");
}

#[test]
fn mentions_of_a_group_on_other_objects_have_no_message() {
    let on = |kind: &str, noteable: &str| {
        let event = changed("note_issue.json", |body| {
            body["object_kind"] = json!("group_mention");
            body["mentioned"] = json!({ "object_kind": "group", "name": "acme/ops", "url": "http://example.com/groups/acme/ops" });
            body["object_attributes"]["object_kind"] = json!(kind);
            body["object_attributes"]["noteable_type"] = json!(noteable);
            if noteable != "Issue" {
                body["issue"] = json!(null);
            }
        });
        super::compose(&event).is_some()
    };
    assert!(on("note", "Issue") && on("issue", "") && on("merge_request", "") && on("work_item", ""));
    for (kind, noteable) in
        [("epic", ""), ("vulnerability", ""), ("note", "Epic"), ("note", "DesignManagement::Design")]
    {
        assert!(!on(kind, noteable), "{kind} {noteable}");
    }
}

/// GitLab 7 sent no project, only its number.
#[test]
fn the_project_of_an_old_payload_is_linked() {
    assert_eq!(
        super::summary(&event("reported/04c_issue_gitlab7_number_in_attributes.json")),
        "Ada (ada) opened issue [#23 New API](http://git.example.com/acme/rocket/issues/23) in \
         [Rocket](http://git.example.com/acme/rocket)"
    );
}

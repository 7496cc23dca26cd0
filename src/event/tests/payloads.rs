//! What each payload file decodes to. The expected values are read from the files themselves.

use super::{bytes_of, decode, event, files, json_of};
use crate::event::{Noteable, Payload, Project, RefChange, RefType, SharedStr, Trigger};

/// File, kind, trigger, project id, subject.
type Row = (&'static str, &'static str, Option<Trigger>, Option<i64>, &'static str);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    ("push.json",                     "push",          Some(Trigger::Push),          Some(15),  "ref:refs/heads/master"),
    ("tag_push.json",                 "tag_push",      Some(Trigger::TagPush),       Some(1),   "ref:refs/tags/v1.0.0"),
    ("issue_open.json",               "issue",         Some(Trigger::Issue),         Some(1),   "issue:23"),
    ("merge_request_open.json",       "merge_request", Some(Trigger::MergeRequest),  Some(1),   "merge_request:1"),
    ("note_commit.json",              "note",          Some(Trigger::Note),          Some(5),   "commit:cfe32cf61b73a0d5e9f13e774abde7ff789b1660"),
    ("note_issue.json",               "note",          Some(Trigger::Note),          Some(5),   "issue:17"),
    ("note_merge_request.json",       "note",          Some(Trigger::Note),          Some(5),   "merge_request:1"),
    ("note_snippet.json",             "note",          Some(Trigger::Note),          Some(5),   "snippet:53"),
    ("pipeline_success.json",         "pipeline",      Some(Trigger::Pipeline),      Some(1),   "pipeline:31"),
    ("build_created.json",            "job",           Some(Trigger::Job),           Some(380), "job:1977"),
    ("wiki_page_create.json",         "wiki_page",     Some(Trigger::WikiPage),      Some(1),   "wiki_page:awesome"),
    ("deployment_success.json",       "deployment",    Some(Trigger::Deployment),    Some(30),  "deployment:staging"),
    ("vulnerability_confirmed.json",  "vulnerability", Some(Trigger::Vulnerability), Some(50),  "vulnerability:https://example.com/flightjs/Flight/-/security/vulnerabilities/1"),
    // No integration takes these; GitLab sends them to webhooks only.
    ("access_token_group_expiring.json",   "access_token", None, None,     "access_token"),
    ("access_token_project_expiring.json", "access_token", None, Some(7),  "access_token"),
    ("emoji_award.json",                   "emoji",        None, Some(6),  "emoji"),
    ("feature_flag.json",                  "feature_flag", Some(Trigger::FeatureFlag), Some(1),  "feature_flag:test-feature-flag"),
    ("group_project_create.json",          "group",        Some(Trigger::Project), Some(22), "project:22"),
    ("group_project_destroy.json",         "group",        Some(Trigger::Project), Some(22), "project:22"),
    ("member_access_request.json",         "member",       None, None,     "member:test_user"),
    ("member_access_request_denied.json",  "member",       None, None,     "member:test_user"),
    ("member_add.json",                    "member",       None, None,     "member:test_user"),
    ("member_remove.json",                 "member",       None, None,     "member:test_user"),
    ("member_update.json",                 "member",       None, None,     "member:test_user"),
    ("milestone_create.json",              "milestone",    Some(Trigger::Milestone), Some(1),  "milestone:10"),
    ("release_create.json",                "release",      Some(Trigger::Release), Some(2),  "release:v1.1"),
    ("subgroup_create.json",               "group",        Some(Trigger::Subgroup), None,     "group:10"),
    ("subgroup_destroy.json",              "group",        Some(Trigger::Subgroup), None,     "group:10"),
    // From bug reports: what was told wrongly, or not at all.
    ("reported/01_hidden_comment_issue.json", "issue", Some(Trigger::Issue), Some(42), "issue:3"),
    ("reported/02a_deployment_approved.json", "deployment", Some(Trigger::Deployment), Some(42), "deployment:production"),
    ("reported/02c_deployment_blocked.json", "deployment", Some(Trigger::Deployment), Some(42), "deployment:production"),
    ("reported/06_relative_avatars.json", "issue", Some(Trigger::Issue), Some(42), "issue:3"),
    ("reported/07_issue_modern_markdown.json", "issue", Some(Trigger::Issue), Some(42), "issue:3"),
    ("reported/08_note_suggestion.json", "note", Some(Trigger::Note), Some(42), "merge_request:5"),
    ("reported/09_branch_names.json", "push", Some(Trigger::Push), Some(42), "ref:refs/heads/feature/#123-50%25_off&more?x=1+2/ünï🚀"),
    ("reported/10_sha256_new_branch.json", "push", Some(Trigger::Push), Some(42), "ref:refs/heads/topic"),
    ("reported/11_commit_titles.json", "push", Some(Trigger::Push), Some(42), "ref:refs/heads/main"),
    ("reported/12_tag_annotated.json", "tag_push", Some(Trigger::TagPush), Some(42), "ref:refs/tags/v1.0.0-rc.1+build"),
    ("reported/13_tag_deleted.json", "tag_push", Some(Trigger::TagPush), Some(42), "ref:refs/tags/v0.9"),
    ("reported/14_pipeline_allow_failure_only.json", "pipeline", Some(Trigger::Pipeline), Some(42), "pipeline:77"),
    ("reported/15_pipeline_failed_with_allowed.json", "pipeline", Some(Trigger::Pipeline), Some(42), "pipeline:77"),
    ("reported/16_pipeline_matrix_names.json", "pipeline", Some(Trigger::Pipeline), Some(42), "pipeline:77"),
    ("reported/17_pipeline_merge_train.json", "pipeline", Some(Trigger::Pipeline), Some(42), "pipeline:77"),
    ("reported/18_pipeline_child_failed.json", "pipeline", Some(Trigger::Pipeline), Some(42), "pipeline:77"),
    ("reported/19_pipeline_redacted_pusher.json", "pipeline", Some(Trigger::Pipeline), Some(42), "pipeline:77"),
    ("reported/21_gfm_footnote_frontmatter.json", "issue", Some(Trigger::Issue), Some(42), "issue:3"),
    ("reported/22_only_html_image.json", "issue", Some(Trigger::Issue), Some(42), "issue:3"),
    ("reported/23_video_audio_upload.json", "issue", Some(Trigger::Issue), Some(42), "issue:3"),
    ("reported/24_ref_links_entities.json", "issue", Some(Trigger::Issue), Some(42), "issue:3"),
    ("reported/25_note_only_comment.json", "note", Some(Trigger::Note), Some(42), "merge_request:5"),
    ("reported/26_note_quote_reply_email.json", "note", Some(Trigger::Note), Some(42), "issue:3"),
    ("reported/27_mr_reviewers_pair_arrays.json", "merge_request", Some(Trigger::MergeRequest), Some(42), "merge_request:5"),
    ("reported/28_mr_rerequest_review.json", "merge_request", Some(Trigger::MergeRequest), Some(42), "merge_request:5"),
    ("reported/29_mr_marked_ready.json", "merge_request", Some(Trigger::MergeRequest), Some(42), "merge_request:5"),
    ("reported/30_mr_merged_by_nobody.json", "merge_request", Some(Trigger::MergeRequest), Some(42), "merge_request:5"),
    ("reported/31_mr_locked_no_action.json", "merge_request", Some(Trigger::MergeRequest), Some(42), "merge_request:5"),
    ("reported/32_numbers_as_strings.json", "issue", Some(Trigger::Issue), Some(42), "issue:3"),
    ("reported/33_user_id_string.json", "push", Some(Trigger::Push), Some(42), "ref:refs/heads/main"),
    ("reported/34_push_by_deploy_key.json", "push", Some(Trigger::Push), Some(42), "ref:refs/heads/main"),
    ("reported/35_pipeline_duration_string_null.json", "pipeline", Some(Trigger::Pipeline), Some(42), "pipeline:77"),
    ("reported/36_pipeline_long.json", "pipeline", Some(Trigger::Pipeline), Some(42), "pipeline:77"),
    ("reported/37_commit_author_null.json", "push", Some(Trigger::Push), Some(42), "ref:refs/heads/main"),
    ("reported/38_dup_labels_null.json", "issue", Some(Trigger::Issue), Some(42), "issue:3"),
    ("reported/39_push_author_email_none.json", "push", Some(Trigger::Push), Some(42), "ref:refs/heads/main"),
    ("reported/40_push_redacted_email.json", "push", Some(Trigger::Push), Some(42), "ref:refs/heads/main"),
    ("reported/41_push_long_unicode_subject.json", "push", Some(Trigger::Push), Some(42), "ref:refs/heads/feature/ünïcödé-branch"),
    ("reported/42_push_file_names.json", "push", Some(Trigger::Push), Some(42), "ref:refs/heads/main"),
    ("reported/43_push_merge_squash.json", "push", Some(Trigger::Push), Some(42), "ref:refs/heads/main"),
    ("reported/44_push_empty_commit_list_forced.json", "push", Some(Trigger::Push), Some(42), "ref:refs/heads/main"),
    ("reported/45_push_protected_wild.json", "push", Some(Trigger::Push), Some(42), "ref:refs/heads/release/1.2"),
    ("reported/46_subgroup_names.json", "issue", Some(Trigger::Issue), Some(42), "issue:3"),
    ("reported/47b_commit_title_gitweb.json", "push", Some(Trigger::Push), Some(42), "ref:refs/heads/main"),
    ("reported/48_code_with_at.json", "issue", Some(Trigger::Issue), Some(42), "issue:3"),
    ("reported/49_push_without_commits_key.json", "push", Some(Trigger::Push), Some(42), "ref:refs/heads/main"),
    ("reported/50_system_note.json", "note", Some(Trigger::Note), Some(42), "merge_request:5"),
    ("reported/51_branch_markup_names.json", "push", Some(Trigger::Push), Some(42), "ref:refs/heads/_wip_/*fix*~1`x`|y"),
    ("reported/52_relative_links.json", "issue", Some(Trigger::Issue), Some(42), "issue:3"),
    ("reported/53_localhost_forge.json", "issue", Some(Trigger::Issue), Some(42), "issue:3"),
    ("reported/54_ipv6_forge.json", "issue", Some(Trigger::Issue), Some(42), "issue:3"),
    ("reported/55_idn_userinfo_forge.json", "issue", Some(Trigger::Issue), Some(42), "issue:3"),
    ("reported/56_mr_unapproved_by_system.json", "merge_request", Some(Trigger::MergeRequest), Some(42), "merge_request:5"),
    ("reported/57b_mr_unapproved_by_person.json", "merge_request", Some(Trigger::MergeRequest), Some(42), "merge_request:5"),
    ("reported/58_system_hook_push_no_commits.json", "push", Some(Trigger::Push), Some(42), "ref:refs/heads/main"),
    ("reported/58c_push_no_commits_no_count.json", "push", Some(Trigger::Push), Some(42), "ref:refs/heads/main"),
    ("reported/59_mr_title_slack_breakout.json", "merge_request", Some(Trigger::MergeRequest), Some(42), "merge_request:5"),
    ("reported/60_deployment_created_by_api.json", "deployment", Some(Trigger::Deployment), Some(42), "deployment:production"),
    ("reported/61_mr_reviewer_state_only.json", "merge_request", Some(Trigger::MergeRequest), Some(42), "merge_request:5"),
    ("reported/62_pipeline_success_twice_a.json", "pipeline", Some(Trigger::Pipeline), Some(42), "pipeline:77"),
    ("reported/62_pipeline_success_twice_b.json", "pipeline", Some(Trigger::Pipeline), Some(42), "pipeline:77"),
    ("reported/63_bidi_and_controls.json", "push", Some(Trigger::Push), Some(42), "ref:refs/heads/main"),
    ("reported/64_author_name_bidi.json", "push", Some(Trigger::Push), Some(42), "ref:refs/heads/main"),
    ("reported/65_confidential_issue_note_old.json", "note", Some(Trigger::ConfidentialNote), Some(42), "issue:3"),
    // From bug reports: old releases, which describe the project elsewhere or without its id; and system hooks.
    ("reported/03_mr_gitlab7_project_in_target.json",       "merge_request", Some(Trigger::MergeRequest), Some(14), "merge_request:1"),
    ("reported/04a_mr_gitlab9_project_without_id.json",     "merge_request", Some(Trigger::MergeRequest), Some(14), "merge_request:1"),
    ("reported/04b_issue_gitlab9_project_without_id.json",  "issue",         Some(Trigger::Issue),        Some(14), "issue:23"),
    ("reported/04c_issue_gitlab7_number_in_attributes.json", "issue",        Some(Trigger::Issue),        Some(14), "issue:23"),
    ("reported/05a_repository_update.json",   "repository_update", None, Some(42), "repository_update"),
    ("reported/05b_user_create.json",         "user",              None, None,     "user"),
    ("reported/05c_key_create.json",          "key",               None, None,     "key"),
    ("reported/05d_user_failed_login.json",   "user",              None, None,     "user"),
    ("reported/05f_user_add_to_group_with_group_archived.json", "group", None, Some(5), "project:5"),
    // Captured from real forges, some of them years ago.
    ("captured/push.json",                     "push",     Some(Trigger::Push),    Some(4_861_503), "ref:refs/heads/master"),
    ("captured/push_14_commits.json",          "push",     Some(Trigger::Push),    Some(1066),      "ref:refs/heads/master"),
    ("captured/push_merge.json",               "push",     Some(Trigger::Push),    Some(4_861_503), "ref:refs/heads/master"),
    ("captured/push_subgroup.json",            "push",     Some(Trigger::Push),    Some(4_861_503), "ref:refs/heads/master"),
    ("captured/branch_create.json",            "push",     Some(Trigger::Push),    Some(4_861_503), "ref:refs/heads/feature"),
    ("captured/branch_delete.json",            "push",     Some(Trigger::Push),    Some(4_861_503), "ref:refs/heads/feature"),
    ("captured/branch_delete_subgroup.json",   "push",     Some(Trigger::Push),    Some(4_861_503), "ref:refs/heads/feature"),
    ("captured/tag_create.json",               "tag_push", Some(Trigger::TagPush), Some(4_861_503), "ref:refs/tags/v1.0.0"),
    ("captured/tag_delete.json",               "tag_push", Some(Trigger::TagPush), Some(4_861_503), "ref:refs/tags/v1.0.0"),
    ("captured/tag_delete_subgroup.json",      "tag_push", Some(Trigger::TagPush), Some(4_861_503), "ref:refs/tags/v1.0.0"),
    ("captured/issue_create.json",             "issue",    Some(Trigger::Issue),   Some(4_861_503), "issue:1"),
    ("captured/issue_edited.json",             "issue",    Some(Trigger::Issue),   Some(4_861_503), "issue:1"),
    ("captured/issue_labeled.json",            "issue",    Some(Trigger::Issue),   Some(4_861_503), "issue:1"),
    ("captured/issue_closed.json",             "issue",    Some(Trigger::Issue),   Some(4_861_503), "issue:1"),
    ("captured/issue_reopen.json",             "issue",    Some(Trigger::Issue),   Some(4_861_503), "issue:1"),
    ("captured/issue_comment_create.json",     "note",     Some(Trigger::Note),    Some(4_861_503), "issue:1"),
    ("captured/confidential_note.json",        "note",     Some(Trigger::ConfidentialNote), Some(5), "issue:17"),
    ("captured/merge_request_create.json",           "merge_request", Some(Trigger::MergeRequest), Some(4_861_503),  "merge_request:1"),
    ("captured/merge_request_close.json",            "merge_request", Some(Trigger::MergeRequest), Some(4_861_503),  "merge_request:1"),
    ("captured/merge_request_reopen.json",           "merge_request", Some(Trigger::MergeRequest), Some(4_861_503),  "merge_request:1"),
    ("captured/merge_request_merge.json",            "merge_request", Some(Trigger::MergeRequest), Some(4_861_503),  "merge_request:1"),
    ("captured/merge_request_subgroup.json",         "merge_request", Some(Trigger::MergeRequest), Some(4_861_503),  "merge_request:1"),
    ("captured/merge_request_update_edited.json",    "merge_request", Some(Trigger::MergeRequest), Some(4_861_503),  "merge_request:1"),
    ("captured/merge_request_review_ready.json",     "merge_request", Some(Trigger::MergeRequest), Some(44_067_058), "merge_request:3"),
    ("captured/merge_request_comment_create.json",   "note",          Some(Trigger::Note),         Some(4_861_503),  "merge_request:1"),
    ("captured/merge_request_comment_subgroup.json", "note",          Some(Trigger::Note),         Some(4_861_503),  "merge_request:1"),
    ("captured/merge_request_diff_note_create.json", "note",          Some(Trigger::Note),         Some(4_861_503),  "merge_request:1"),
    ("captured/pipeline_hook.json",                  "pipeline",      Some(Trigger::Pipeline),     Some(1),          "pipeline:31"),
    ("captured/pipeline_subgroup.json",              "pipeline",      Some(Trigger::Pipeline),     Some(1),          "pipeline:31"),
];

#[test]
fn every_payload_decodes_to_its_row_of_the_table() {
    for &(file, kind, trigger, project, subject) in TABLE {
        let event = decode(bytes_of(file)).unwrap_or_else(|why| panic!("{file}: {why}"));
        let read = (event.kind(), event.trigger, event.project.map(|p| p.id), event.subject.as_str());
        assert_eq!(read, (kind, trigger, project, subject), "{file}");
    }
}

#[test]
fn every_payload_file_is_in_the_table() {
    let mut tabled: Vec<_> = TABLE.iter().map(|(file, ..)| (*file).to_owned()).collect();
    tabled.sort();
    assert_eq!(tabled, files());
}

#[test]
fn the_raw_body_is_kept_unchanged() {
    for file in files() {
        let raw = bytes_of(&file);
        assert_eq!(decode(raw.clone()).expect("tested above").raw, raw, "{file}");
    }
}

/// Most files begin with their kind, and are read in one pass; sorted keys are read in two.
#[test]
fn the_order_of_the_keys_changes_nothing() {
    for file in files() {
        let of = |body: Vec<u8>| {
            let event = decode(body).expect("tested above");
            format!("{:?}", (event.trigger, event.project, event.group, event.subject, event.payload))
        };
        assert_eq!(of(bytes_of(&file)), of(json_of(&file).to_string().into_bytes()), "{file}");
    }
}

/// Project, web address and display name, of payloads in which these are of different forms.
#[test]
fn projects_are_known_by_path_address_and_name() {
    let project =
        |file: &str| -> Project { decode(bytes_of(file)).expect("tested above").project.expect("a project") };
    let facts = |file: &str| {
        let project = project(file);
        (project.full_name(), project.path_with_namespace, project.web_url, project.default_branch)
    };
    let expected = |name: &str, path: &str, url: &str, default: Option<&str>| {
        (name.to_owned(), path.into(), url.into(), default.map(SharedStr::from))
    };
    let master = Some("master");
    assert_eq!(
        facts("push.json"),
        expected("Mike / Diaspora", "mike/diaspora", "http://example.com/mike/diaspora", master)
    );
    let nested = "group1/group2/group3/grp2repo";
    assert_eq!(
        facts("captured/push_subgroup.json"),
        expected(nested, nested, "https://gitlab.com/group1/group2/group3/grp2repo", master)
    );
    // GitLab 7 describes the project as a merge request's target; GitLab 9's `project` object has no id.
    let acme = expected("Acme / Rocket", "acme/rocket", "http://git.example.com/acme/rocket", master);
    for file in ["03_mr_gitlab7_project_in_target", "04a_mr_gitlab9_project_without_id"] {
        assert_eq!(facts(&format!("reported/{file}.json")), acme, "{file}");
    }
    assert_eq!(facts("reported/04b_issue_gitlab9_project_without_id.json"), acme);
    // Of an issue, GitLab 7 says no more than these; the issue's page is below the project's.
    assert_eq!(
        facts("reported/04c_issue_gitlab7_number_in_attributes.json"),
        expected("Rocket", "", "http://git.example.com/acme/rocket", None)
    );
    // Only the address of the vulnerability's page names the project.
    assert_eq!(
        facts("vulnerability_confirmed.json"),
        expected("flightjs/Flight", "flightjs/Flight", "https://example.com/flightjs/Flight", None)
    );
}

#[test]
fn a_push_has_its_user_its_commits_and_its_change_of_the_ref() {
    let Payload::Push(push) = decode(bytes_of("push.json")).unwrap().payload else { panic!("no push") };
    assert_eq!((push.short_ref(), push.change()), ("master", RefChange::Updated));
    assert_eq!((push.commit_count(), push.commits.len()), (Some(4), 2));
    assert_eq!(push.ref_protected, Some(true));
    assert_eq!(push.user.display(), "John Smith (jsmith)");
    assert_eq!((push.commits[0].short_id(), push.commits[1].short_id()), ("b6568db1", "da156088"));
    assert_eq!(push.commits[0].title(), "Update Catalan translation to e38cb41.");
    assert_eq!(push.commits[1].author.name, "GitLab dev user");

    let change = |file: &str| match decode(bytes_of(file)).unwrap().payload {
        Payload::Push(push) => push.change(),
        other => panic!("{file} is {}", other.kind()),
    };
    assert_eq!(change("captured/branch_create.json"), RefChange::Created);
    assert_eq!(change("captured/branch_delete.json"), RefChange::Removed);
    assert_eq!(change("captured/push_merge.json"), RefChange::Updated);
    assert_eq!(change("captured/tag_create.json"), RefChange::Created);
    assert_eq!(change("captured/tag_delete.json"), RefChange::Removed);
}

#[test]
fn issues_and_merge_requests_have_their_action_and_labels() {
    let issue = |file: &str| match decode(bytes_of(file)).unwrap().payload {
        Payload::Issue(issue) => (issue.action, issue.state, titles(issue.labels)),
        other => panic!("{file} is {}", other.kind()),
    };
    let said = |action: &str, state: &str, labels: &[&str]| {
        (
            Some(SharedStr::from(action)),
            SharedStr::from(state),
            Some(labels.iter().map(|&l| l.to_owned()).collect()),
        )
    };
    assert_eq!(issue("issue_open.json"), said("open", "opened", &["API"]));
    assert_eq!(issue("captured/issue_create.json"), said("open", "opened", &[]));
    assert_eq!(issue("captured/issue_edited.json"), said("update", "opened", &[]));
    assert_eq!(issue("captured/issue_labeled.json"), said("update", "opened", &["critical"]));
    assert_eq!(issue("captured/issue_closed.json"), said("close", "closed", &["critical"]));
    assert_eq!(issue("captured/issue_reopen.json"), said("reopen", "opened", &["critical"]));

    let merge_request = |file: &str| match decode(bytes_of(file)).unwrap().payload {
        Payload::MergeRequest(mr) => (mr.action, mr.state, titles(mr.labels)),
        other => panic!("{file} is {}", other.kind()),
    };
    assert_eq!(merge_request("merge_request_open.json"), said("open", "opened", &["API"]));
    assert_eq!(merge_request("captured/merge_request_merge.json"), said("merge", "merged", &[]));
    assert_eq!(
        merge_request("captured/merge_request_update_edited.json"),
        said("update", "opened", &["API"])
    );
}

#[test]
fn notes_have_the_thing_commented_on() {
    let note = |file: &str| match decode(bytes_of(file)).unwrap().payload {
        Payload::Note(note) => note,
        other => panic!("{file} is {}", other.kind()),
    };
    let on_commit = note("note_commit.json");
    assert_eq!(on_commit.on.title(), "Add submodule");
    assert_eq!(on_commit.note, "This is a commit comment. How does this work?");
    assert_eq!(on_commit.labels, None);
    let on_issue = note("note_issue.json");
    assert!(matches!(on_issue.on, Noteable::Issue { iid: 17, .. }));
    assert_eq!(titles(on_issue.labels), Some(vec!["Afterpod".to_owned(), "Element".to_owned()]));
    assert!(matches!(note("note_merge_request.json").on, Noteable::MergeRequest { iid: 1, .. }));
    assert!(matches!(note("note_snippet.json").on, Noteable::Snippet { id: 53, .. }));
    assert_eq!(note("captured/issue_comment_create.json").on.title(), "found a bug");
}

#[test]
fn a_pipeline_has_its_ref_its_status_and_its_jobs() {
    let Payload::Pipeline(pipeline) = decode(bytes_of("pipeline_success.json")).unwrap().payload else {
        panic!("no pipeline")
    };
    assert_eq!((pipeline.ref_name.as_str(), pipeline.status.as_str()), ("master", "success"));
    assert_eq!(pipeline.duration, Some(63.0));
    assert_eq!(pipeline.builds.len(), 5);
    let failed: Vec<_> = pipeline.failed_builds().iter().map(|build| build.name.as_str()).collect();
    assert_eq!(failed, ["test-build"]);
    assert_eq!(pipeline.user.expect("a user").display(), "Administrator (root)");
}

/// The names in GitLab's documentation of webhooks and system hooks, and those of later verbs.
#[test]
fn kinds_for_webhooks_alone_are_recognised_and_have_no_trigger() {
    let event_names: &[(&str, &[&str])] = &[
        (
            "member",
            &[
                "user_add_to_group",
                "user_remove_from_group",
                "user_update_for_group",
                "user_access_request_to_group",
                "user_access_request_revoked_for_group",
                "user_access_request_denied_for_group",
                "user_add_to_team",
                "user_remove_from_team",
                "user_update_for_team",
                "user_access_request_to_project",
                "user_access_request_revoked_for_project",
                "user_access_request_denied_for_project",
            ],
        ),
        ("group", &["group_create", "group_destroy", "group_rename"]),
        ("user", &["user_create", "user_destroy", "user_rename", "user_failed_login"]),
        ("key", &["key_create", "key_destroy"]),
        ("repository_update", &["repository_update"]),
    ];
    for (kind, names) in event_names {
        for name in *names {
            let event = event(&serde_json::json!({ "event_name": name }));
            assert_eq!((event.kind(), event.trigger), (*kind, None), "{name}");
        }
    }
    let object_kinds = [
        ("gitlab_subscription_member_approval", "member_approval"),
        ("gitlab_subscription_member_approvals", "member_approval"),
        ("deploy_token", "deploy_token"),
    ];
    for (name, kind) in object_kinds {
        let event = event(&serde_json::json!({ "object_kind": name, "object_attributes": {} }));
        assert_eq!((event.kind(), event.trigger), (kind, None), "{name}");
    }
    for unknown in ["project_", "groups", "user_", "users_create", "key", "keyboard_create"] {
        assert!(decode(serde_json::json!({ "event_name": unknown }).to_string()).is_err(), "{unknown}");
    }
}

#[test]
fn the_path_of_a_vulnerabilitys_project_is_a_guess_until_a_better_one_is_known() {
    let mut found = json_of("vulnerability_confirmed.json");
    found["object_attributes"]["url"] = "https://example.com/gitlab/flightjs/Flight/-/security/1".into();
    let event = event(&found);
    let path =
        |event: &super::Event| event.project.as_ref().map(|project| project.path_with_namespace.to_string());
    let guess = event.guessed_project().map(|project| project.path_with_namespace.to_string());
    assert_eq!((guess.as_deref(), guess.clone()), (Some("gitlab/flightjs/Flight"), path(&event)));
    let known = event.with_path("flightjs/Flight");
    assert_eq!((path(&known).as_deref(), known.guessed_project()), (Some("flightjs/Flight"), None));
    let again = known.with_path("other/path");
    assert_eq!(path(&again).as_deref(), Some("flightjs/Flight"), "it is no guess any more");
    let push = super::event(&json_of("push.json"));
    assert_eq!(push.guessed_project(), None, "the payload names the path");
    assert_eq!(push.clone().with_path("diaspora").project, push.project);
}

#[test]
fn only_refs_of_branches_and_tags_are_branches_and_tags() {
    for (full_ref, ref_type, trigger, short) in [
        ("refs/heads/main", RefType::Branch, Some(Trigger::Push), "main"),
        ("main", RefType::Branch, Some(Trigger::Push), "main"),
        ("refs/tags/v1", RefType::Tag, Some(Trigger::TagPush), "v1"),
        ("refs/merge-requests/1/head", RefType::Hidden, None, "refs/merge-requests/1/head"),
        ("refs/pipelines/31", RefType::Hidden, None, "refs/pipelines/31"),
        ("refs/environments/production", RefType::Hidden, None, "refs/environments/production"),
        ("refs/keep-around/cafe", RefType::Hidden, None, "refs/keep-around/cafe"),
    ] {
        let mut pushed = json_of("push.json");
        pushed["ref"] = full_ref.into();
        let pushed = event(&pushed);
        assert_eq!(pushed.trigger, trigger, "{full_ref}");
        let Payload::Push(push) = pushed.payload else { panic!("not a push") };
        assert_eq!((push.ref_type(), push.short_ref()), (ref_type, short));
        let mut ran = json_of("pipeline_success.json");
        ran["object_attributes"]["ref"] = full_ref.into();
        let Payload::Pipeline(pipeline) = event(&ran).payload else { panic!("not a pipeline") };
        assert_eq!((pipeline.ref_type, pipeline.ref_name.as_str()), (ref_type, short));
    }
}

/// A group's integrations are notified of what is directly in it. A project in a person's namespace is in no group that has
/// integrations.
#[test]
fn changes_in_a_group_are_events_of_that_group() {
    for (name, trigger) in [
        ("subgroup_create", Trigger::Subgroup),
        ("subgroup_destroy", Trigger::Subgroup),
        ("project_create", Trigger::Project),
        ("project_destroy", Trigger::Project),
        ("project_rename", Trigger::Project),
        ("project_transfer", Trigger::Project),
        ("project_update", Trigger::Project),
        ("project_archived", Trigger::Project),
    ] {
        let event = event(&serde_json::json!({
            "event_name": name, "full_path": "acme/crew/night", "parent_full_path": "acme/crew",
            "path_with_namespace": "acme/crew/night", "project_id": 7,
        }));
        assert_eq!((event.kind(), event.trigger), ("group", Some(trigger)), "{name}");
        assert_eq!(event.group.expect("the group").path, "acme/crew", "{name}");
    }
    for name in ["subgroup_create", "project_create"] {
        let without = event(&serde_json::json!({ "event_name": name, "path_with_namespace": "rocket" }));
        assert_eq!((without.trigger, without.group), (None, None), "{name} names no group");
    }
}

/// Events with the same subject are delivered in order; events with other subjects do not wait for them.
#[test]
fn changes_of_one_group_or_project_have_one_subject_and_another_ones_have_another() {
    let subject = |name: &str, group: i64, full_path: &str| {
        let json = serde_json::json!({
            "event_name": name, "name": "Crew", "group_id": group, "full_path": full_path, "parent_full_path": "acme",
        });
        event(&json).subject
    };
    let created = subject("subgroup_create", 10, "acme/crew");
    assert_eq!(created, subject("subgroup_rename", 10, "acme/night-crew"));
    assert_ne!(created, subject("subgroup_create", 11, "acme/other/crew"), "another group of the same name");
    let by_path = subject("subgroup_create", 0, "acme/crew");
    assert_eq!(by_path, subject("subgroup_destroy", 0, "acme/crew"));
    assert_ne!(by_path, subject("subgroup_create", 0, "acme/other/crew"));
    let of_project = |id: i64, path: &str| {
        let json = serde_json::json!({
            "event_name": "project_update", "name": "Crew", "project_id": id, "path_with_namespace": path,
        });
        event(&json).subject
    };
    assert_eq!(of_project(10, "acme/crew"), of_project(10, "acme/night-crew"));
    assert_ne!(of_project(10, "acme/crew"), of_project(11, "acme/crew"));
    assert_ne!(of_project(10, "acme/crew"), created, "a project's number may be a group's too");
}

#[test]
fn the_kind_is_the_object_kind_or_else_the_event_name() {
    let mut push = json_of("push.json");
    push["event_name"] = "tag_push".into();
    assert_eq!(event(&push).kind(), "push");
    for none in [serde_json::Value::Null, "".into()] {
        push["object_kind"] = none;
        push["event_name"] = "push".into();
        assert_eq!(event(&push).kind(), "push");
    }
}

fn titles(labels: Option<Vec<crate::event::Label>>) -> Option<Vec<String>> {
    labels.map(|labels| labels.into_iter().map(|label| label.title.to_string()).collect())
}

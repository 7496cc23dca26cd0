//! What mails say: subjects, commits, files and jobs.

use serde_json::{Value as Json, json};

use super::{PIPELINES, PUSH, mail, pipeline, push, tell_changed};

#[test]
fn subjects_are_gitlabs() {
    let commits = |count: usize| {
        move |push: &mut Json| {
            let first = push["commits"][0].clone();
            push["commits"] = vec![first; count].into();
            push["total_commits_count"] = json!(count);
        }
    };
    let zeros = "0".repeat(40);
    let table = [
        (push(commits(1)), "[Git][mike/diaspora][master] Update Catalan translation to e38cb41."),
        (push(commits(3)), "[Git][mike/diaspora][master] 3 commits: Update Catalan translation to e38cb41."),
        (push(|push| push["before"] = json!(zeros)), "[Git][mike/diaspora] Pushed new branch master"),
        (push(|push| push["after"] = json!(zeros)), "[Git][mike/diaspora] Deleted branch master"),
        (
            push(|push| {
                push["before"] = json!(zeros);
                push["ref"] = json!("refs/tags/v1.0");
            }),
            "[Git][mike/diaspora] Pushed new tag v1.0",
        ),
        // System hooks list no commits and count none, whatever was pushed.
        (push(commits(0)), "[Git][mike/diaspora][master] Pushed da156088"),
        (
            push(|push| {
                commits(0)(push);
                push["total_commits_count"] = json!(3);
            }),
            "[Git][mike/diaspora][master] 3 commits",
        ),
        (
            push(|push| {
                commits(0)(push);
                push["ref"] = json!("refs/tags/v1.0");
            }),
            "[Git][mike/diaspora][v1.0] Moved to da156088",
        ),
    ];
    for (case, expected) in table {
        assert_eq!(mail(PUSH, &[], &case).subject, expected);
    }
    let ended = |status: &'static str, name: &'static str| {
        pipeline(move |pipeline| {
            pipeline["object_attributes"]["status"] = json!(status);
            pipeline["object_attributes"]["ref_status_name"] = json!(name);
        })
    };
    let table = [
        (ended("failed", "broken"), "Gitlab Test | Failed pipeline for master | bcbb5ec3"),
        (ended("success", "success"), "Gitlab Test | Successful pipeline for master | bcbb5ec3"),
        (ended("success", "fixed"), "Gitlab Test | Fixed pipeline for master | bcbb5ec3"),
    ];
    for (case, expected) in table {
        assert_eq!(mail(PIPELINES, &[], &case).subject, expected);
    }
    let hidden = pipeline(|pipeline| {
        pipeline["object_attributes"]["ref"] = json!("refs/merge-requests/1/head");
        pipeline["object_attributes"]["status"] = json!("failed");
    });
    let sent = mail(PIPELINES, &[], &hidden);
    assert_eq!(sent.subject, "Gitlab Test | Failed pipeline for !1 | bcbb5ec3", "a hidden ref is no branch");
    assert!(!sent.text.contains("refs/") && sent.text.contains("\nMerge request: !1 Test "), "{}", sent.text);
    let fork = pipeline(|pipeline| {
        pipeline["merge_request"]["source_project_id"] = json!(99);
        pipeline["object_attributes"]["status"] = json!("failed");
    });
    let sent = mail(PIPELINES, &[], &fork);
    assert_eq!(
        sent.subject, "Gitlab Test | Failed pipeline for !1 | bcbb5ec3",
        "a fork's master is another one"
    );
    assert!(sent.text.contains("\nBranch: master (in a fork)\n"), "{}", sent.text);
}

#[test]
fn errors_of_the_ci_configuration_are_shown() {
    let passed = |how: &'static str| {
        pipeline(move |pipeline| {
            pipeline["object_attributes"]["status"] = json!("success");
            pipeline["object_attributes"]["detailed_status"] = json!(how);
            pipeline["builds"] = json!([
                {"id": 1, "stage": "build", "name": "make", "status": "success"},
                {"id": 2, "stage": "test", "name": "flaky", "status": "failed"}
            ]);
        })
    };
    let text = mail(PIPELINES, &[], &passed("passed with warnings")).text;
    assert!(text.contains("\n1 failed job, allowed to fail\n- flaky ("), "{text}");
    assert!(!mail(PIPELINES, &[], &passed("passed")).text.contains("failed job"));
}

#[test]
fn jobs_that_may_fail_are_listed_separately() {
    let failed = pipeline(|pipeline| {
        pipeline["object_attributes"]["status"] = json!("failed");
        pipeline["builds"] = json!([
            {"id": 1, "stage": "test", "name": "lint", "status": "failed", "allow_failure": true},
            {"id": 2, "stage": "test", "name": "rspec", "status": "failed", "allow_failure": false}
        ]);
    });
    let text = mail(PIPELINES, &[], &failed).text;
    assert!(text.contains("\n1 failed job\n- rspec ("), "{text}");
    assert!(text.contains("\n1 failed job, allowed to fail\n- lint ("), "{text}");
}

#[test]
fn a_mail_about_a_child_pipeline_names_its_parent() {
    let child = pipeline(|pipeline| {
        pipeline["object_attributes"]["source"] = json!("parent_pipeline");
        pipeline["source_pipeline"] = json!({
            "project": { "web_url": "https://git.example.com/acme/parent", "path_with_namespace": "acme/parent" },
            "pipeline_id": 76,
        });
    });
    let text = mail(PIPELINES, &[("notify_child_pipelines", "true")], &child).text;
    let expected = "\nParent pipeline: acme/parent #76 (https://git.example.com/acme/parent/-/pipelines/76)";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn a_push_that_names_no_one_is_mailed_without_an_actor() {
    let case = push(|push| {
        push["user_name"] = json!(null);
        push["user_username"] = json!(null);
    });
    let text = mail(PUSH, &[], &case).text;
    assert!(text.starts_with("Branch master ("), "{text}");
    assert!(text.lines().next().is_some_and(|line| line.ends_with(" was pushed to")), "{text}");
}

#[test]
fn a_scheduled_pipeline_was_not_started_by_the_schedules_owner() {
    let case = tell_changed("pipeline_success.json", |pipeline| {
        pipeline["object_attributes"]["source"] = json!("schedule");
    });
    let text = mail(PIPELINES, &[], &case).text;
    assert!(text.contains("a schedule of Administrator (root)"), "{text}");
}

/// An event without a list of commits does not say that commits were removed.
#[test]
fn a_push_without_listed_commits_is_mailed() {
    for count in [json!(0), json!(null)] {
        let case = push(|push| {
            push["commits"] = json!([]);
            push["total_commits_count"] = count.clone();
        });
        let text = mail(PUSH, &[], &case).text;
        assert!(text.starts_with("John Smith pushed to branch master "), "{text}");
        assert!(
            text.contains("The event lists no commits: the branch went from 95790bf8 to da156088."),
            "{text}"
        );
        assert!(!text.contains("removed") && !text.contains("force push"), "{text}");
    }
}

#[test]
fn a_moved_tag_is_not_reported_as_having_lost_commits() {
    let case = push(|push| {
        push["commits"] = json!([]);
        push["total_commits_count"] = json!(0);
        push["ref"] = json!("refs/tags/v1.0");
    });
    let text = mail(PUSH, &[], &case).text;
    assert!(text.starts_with("John Smith moved tag v1.0 "), "{text}");
    assert!(text.contains("the tag went from 95790bf8 to da156088"), "{text}");
}

#[test]
fn files_are_shown_as_they_are_after_the_push() {
    let case = |total: usize| {
        push(move |push| {
            let commit = push["commits"][0].clone();
            let with = |added: &[&str], modified: &[&str], removed: &[&str]| {
                let mut commit = commit.clone();
                (commit["added"], commit["modified"], commit["removed"]) =
                    (json!(added), json!(modified), json!(removed));
                commit
            };
            push["commits"] = json!([
                with(&["new", "came-and-went"], &["changed", "went"], &["back"]),
                with(&["back"], &["new"], &["came-and-went", "went"]),
            ]);
            push["total_commits_count"] = json!(total);
        })
    };
    let files = |total: usize| {
        let text = mail(PUSH, &[], &case(total)).text;
        let from = text.find("4 changed files").unwrap_or_else(|| panic!("{text}"));
        text[from..].lines().take_while(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(files(2), ["4 changed files", "- new (new)", "- changed", "- went (removed)", "- back"]);
    assert_eq!(files(9)[0], "4 changed files in these commits", "the files of the others are not known");
}

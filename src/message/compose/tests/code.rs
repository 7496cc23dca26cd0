//! Pushes and pipelines.

use serde_json::json;

use super::{changed, event, fields, lines, message, plain, summary};
use crate::event::Event;
use crate::message::{Body, Markup, Text, Tone};

const PUSH: &str = "push.json";
const PIPELINE: &str = "pipeline_success.json";

#[test]
fn a_push_lists_its_commits_and_links_to_all_of_them() {
    let compare = "http://example.com/mike/diaspora/-/compare/95790bf891e76fee5e1747ab589903a6a1f80f22...da1560886d4f094c3e6c9ef40349f7d38b5d27d7";
    assert_eq!(
        summary(&event(PUSH)),
        format!(
            "John Smith (jsmith) pushed 4 commits to branch [master](http://example.com/mike/diaspora/-/commits/master) \
             of [Mike / Diaspora](http://example.com/mike/diaspora) ([Compare changes]({compare}))"
        )
    );
    let commit = "http://example.com/mike/diaspora/commit";
    assert_eq!(
        lines(&event(PUSH)),
        [
            format!(
                "[b6568db1]({commit}/b6568db1bc1dcd7f8b4d5a946b0b91f9dacd7327): Update Catalan translation to e38cb41. - Jordi Mallach"
            ),
            format!(
                "[da156088]({commit}/da1560886d4f094c3e6c9ef40349f7d38b5d27d7): fixed readme - GitLab dev user"
            ),
            format!("and [2 more commits]({compare})"),
        ]
    );
}

#[test]
fn commits_are_counted_including_those_not_listed() {
    let with_total = |total: serde_json::Value| changed(PUSH, |push| push["total_commits_count"] = total);
    let last = |event: &Event| lines(event).last().cloned().unwrap_or_default();
    assert!(last(&with_total(json!(3))).starts_with("and [1 more commit]("));
    assert!(last(&with_total(json!(2))).contains("fixed readme"));
    // A total below the number of listed commits, or none: the listed ones are counted.
    assert!(plain(&with_total(json!(1))).contains("pushed 2 commits to branch master"));
    assert!(plain(&with_total(json!(null))).contains("pushed 2 commits to branch master"));
    let many = changed(PUSH, |push| {
        push["commits"] =
            (0..10_000).map(|n| json!({"id": format!("{n:08}"), "message": format!("no. {n}")})).collect();
        push["total_commits_count"] = json!(12_000);
    });
    let lines = lines(&many);
    assert_eq!(lines.len(), 21);
    // GitLab lists the newest last, and so do we.
    assert!(lines[19].ends_with(": no. 9999"), "{}", lines[19]);
    assert!(lines[20].starts_with("and [11980 more commits]("), "{}", lines[20]);
    let taken_back = changed(PUSH, |push| {
        push["commits"] = json!([]);
        push["total_commits_count"] = json!(0);
    });
    assert!(
        plain(&taken_back)
            .starts_with("John Smith (jsmith) pushed to branch master of Mike / Diaspora (Compare")
    );
    assert_eq!(message(&taken_back).body, Body::None);
}

#[test]
fn messages_about_created_or_removed_refs_list_no_commits() {
    assert_eq!(
        summary(&event("captured/tag_create.json")),
        "Sid Sijbrandij (sytses) pushed new tag [v1.0.0](https://gitlab.com/gitlab-org/hello-world/-/tags/v1.0.0) \
         to [sytses / hello-world](https://gitlab.com/gitlab-org/hello-world)"
    );
    assert_eq!(message(&event("captured/branch_create.json")).body, Body::None);
    // A link to a removed branch would be dead.
    assert_eq!(
        summary(&event("captured/branch_delete.json")),
        "Sid Sijbrandij (sytses) removed branch feature from [gitlab-org / hello-world](https://gitlab.com/gitlab-org/hello-world)"
    );
}

#[test]
fn refs_are_percent_encoded_in_addresses() {
    let odd = changed(PUSH, |push| push["ref"] = json!("refs/heads/fix/#12 50%?é"));
    let summary = summary(&odd);
    assert!(summary.contains("[fix/#12 50%?é]("), "{summary}");
    assert!(summary.contains("/-/commits/fix/%2312%2050%25%3F%C3%A9)"), "{summary}");
    let endless = changed(PUSH, |push| push["ref"] = json!(format!("refs/heads/{}", "x".repeat(5000))));
    assert!(super::plain(&endless).contains("xxx… of Mike"));
}

#[test]
fn the_parts_of_a_pipeline_message_are_self_contained() {
    let message = message(&event(PIPELINE));
    assert!(message.self_contained_parts);
    let title = message.title.as_ref().expect("a title");
    assert_eq!(title.text, "Pipeline #31 has passed in 01:03");
    // Jobs failed that were allowed to: the page of failures is the more useful one.
    assert_eq!(
        title.url.as_deref(),
        Some("http://example.com/gitlab-org/gitlab-test/-/pipelines/31/failures")
    );
    assert_eq!(message.tone, Tone::Good);
    assert_eq!(message.ended_at.map(|at| at.to_string()).as_deref(), Some("2016-08-12T15:26:29Z"));
    assert_eq!(
        message.summary.plain_text(),
        "Gitlab Org / Gitlab Test: Pipeline #31 of branch master by Administrator (root) has passed in 01:03"
    );
    assert_eq!(
        message.headline().plain_text(),
        "Pipeline #31 of branch master by Administrator (root) has passed in 01:03"
    );
    let fields = fields(&event(PIPELINE));
    let expected = [
        ("Branch", "master"),
        ("Commit", "test"),
        ("Merge request", "!1 Test"),
        ("Failed stage", "test"),
        ("Failed job", "test-build"),
        ("Pipeline name", "Pipeline for branch: master"),
    ];
    assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn pipelines_say_how_they_ended() {
    let ended = |status: &str, detailed: &str, duration: serde_json::Value| {
        let event = changed(PIPELINE, |pipeline| {
            pipeline["builds"] = json!([]);
            for (name, value) in
                [("status", json!(status)), ("detailed_status", json!(detailed)), ("duration", duration)]
            {
                pipeline["object_attributes"][name] = value;
            }
        });
        let message = message(&event);
        (message.title.map(|title| title.text).unwrap_or_default(), message.tone)
    };
    let table = [
        ("success", "passed", json!(95), "has passed in 01:35", Tone::Good),
        (
            "success",
            "passed with warnings",
            json!(3725),
            "has passed with warnings in 01:02:05",
            Tone::Warning,
        ),
        ("failed", "failed", json!(0.6), "has failed in 00:01", Tone::Danger),
        ("failed", "failed", json!(null), "has failed", Tone::Danger),
        ("failed", "failed", json!(-1e30), "has failed in 00:00", Tone::Danger),
        ("canceled", "canceled", json!(3600), "was canceled in 01:00:00", Tone::Warning),
        ("running", "running", json!(12), "is running", Tone::Neutral),
        ("waiting_for_resource", "", json!(null), "is waiting for a resource", Tone::Neutral),
        ("brand_new_status", "", json!(null), "is brand new status", Tone::Neutral),
        ("", "", json!(null), "has changed", Tone::Neutral),
    ];
    for (status, detailed, duration, expected, tone) in table {
        assert_eq!(ended(status, detailed, duration), (format!("Pipeline #31 {expected}").into(), tone));
    }
}

#[test]
fn failures_are_listed_up_to_ten_and_counted_beyond() {
    let failed = |jobs: i64, stages: i64| {
        let build = |n: i64| json!({"id": n, "stage": format!("s{}", n % stages), "name": format!("j{n}"), "status": "failed"});
        changed(PIPELINE, |pipeline| {
            pipeline["object_attributes"]["status"] = json!("failed");
            pipeline["builds"] = (1..=jobs).map(build).collect();
        })
    };
    let field = |event: &Event, name: &str| -> String {
        let found = message(event).fields.into_iter().find(|field| field.name == name);
        Markup::Markdown.render(&found.unwrap_or_else(|| panic!("no {name}")).value)
    };
    let one = failed(1, 1);
    assert_eq!(field(&one, "Failed job"), "[j1](http://192.168.64.1:3005/gitlab-org/gitlab-test/-/jobs/1)");
    assert!(field(&one, "Failed stage").ends_with("/-/pipelines/31/failures)"));
    let many = failed(23, 12);
    let jobs = field(&many, "Failed jobs");
    assert!(jobs.starts_with("[j23]("), "the last to fail first: {jobs}");
    assert!(
        jobs.ends_with("and [13 more](http://example.com/gitlab-org/gitlab-test/-/pipelines/31/failures)"),
        "{jobs}"
    );
    assert_eq!(jobs.matches("/-/jobs/").count(), 10);
    let stages = field(&many, "Failed stages");
    assert_eq!(stages.matches('[').count(), 11);
    assert!(stages.contains("and [2 more]("), "{stages}");
}

#[test]
fn pipelines_without_a_user_of_tags_and_of_broken_configurations() {
    let event = changed(PIPELINE, |pipeline| {
        pipeline["user"] = json!(null);
        pipeline["object_attributes"]["source"] = json!("api");
        pipeline["object_attributes"]["tag"] = json!(true);
        pipeline["object_attributes"]["ref"] = json!("v1.2");
        pipeline["object_attributes"]["yaml_errors"] = json!("jobs:test config\nkey may not be used");
    });
    let text = plain(&event);
    assert!(text.contains("Pipeline #31 of tag v1.2 by API has passed"), "{text}");
    assert_eq!(message(&event).author.map(|author| author.display.clone()).as_deref(), Some("API"));
    let fields = fields(&event);
    assert_eq!(fields[0], ("Tag".to_owned(), "v1.2".to_owned()));
    let errors =
        ("Invalid CI config YAML file".to_owned(), "jobs:test config key may not be used".to_owned());
    assert!(fields.contains(&errors), "{fields:?}");
    let hidden = changed(PIPELINE, |pipeline| {
        pipeline["object_attributes"]["ref"] = json!("refs/merge-requests/1/head");
    });
    assert!(
        plain(&hidden).contains("Pipeline #31 of merge request !1 by Administrator"),
        "{}",
        plain(&hidden)
    );
    assert_eq!(message(&hidden).fields[0].name, "Commit");
}

/// A merge request's pipeline, as the project gets it that the merge request is for.
fn of_fork(pipeline: &mut serde_json::Value) {
    pipeline["object_attributes"]["ref"] = json!("master");
    pipeline["merge_request"]["source_project_id"] = json!(99);
}

#[test]
fn a_pipeline_on_a_forks_branch_is_not_told_as_one_of_the_projects_branch_of_that_name() {
    let fork = changed(PIPELINE, of_fork);
    let text = plain(&fork);
    assert!(text.contains("Pipeline #31 of merge request !1 from a fork by Administrator"), "{text}");
    let branch = &message(&fork).fields[0];
    assert_eq!(
        (branch.name.as_str(), branch.value.plain_text()),
        ("Branch", "master (in a fork)".to_owned())
    );
    assert_eq!(Markup::Markdown.render(&branch.value), "master (in a fork)", "the project has no page of it");
    // The fork runs pipelines of its own branch too, also where they belong to a merge request of another project.
    let of_fork_itself = changed(PIPELINE, |pipeline| {
        of_fork(pipeline);
        pipeline["project"]["id"] = json!(99);
    });
    assert!(
        plain(&of_fork_itself).contains("Pipeline #31 of branch master by"),
        "{}",
        plain(&of_fork_itself)
    );
    // Where the project is not known, it may be the fork.
    let of_unknown = changed(PIPELINE, |pipeline| {
        of_fork(pipeline);
        pipeline["project"].as_object_mut().expect("an object").remove("id");
    });
    assert!(plain(&of_unknown).contains("Pipeline #31 of branch master by"), "{}", plain(&of_unknown));
}

#[test]
fn a_build_of_a_forks_branch_is_not_told_as_one_of_the_projects_branch_of_that_name() {
    let build = |change: fn(&mut serde_json::Value)| {
        let build = changed(PIPELINE, |pipeline| {
            pipeline["forgebell_build"] = json!({ "integration": "1:drone-ci", "service": "Drone" });
            change(pipeline);
        });
        Markup::Markdown.render(&message(&build).headline())
    };
    let own = build(|_| ());
    assert!(own.contains(" of [master]("), "{own}");
    let numbered = build(of_fork);
    assert!(numbered.contains(" of [!1](") && !numbered.contains("master"), "{numbered}");
    let unnumbered = build(|pipeline| {
        of_fork(pipeline);
        pipeline["merge_request"]["iid"] = json!(0);
    });
    assert!(unnumbered.contains(" of master (in a fork) "), "{unnumbered}");
}

#[test]
fn a_hidden_ref_is_no_branch_and_has_no_page() {
    for name in [
        "refs/pipelines/31",
        "refs/environments/production",
        "refs/keep-around/bcbb5ec396a2c0f828686f14fac9b80b780504f2",
        "refs/workloads/0a1b2c",
    ] {
        let hidden = changed(PIPELINE, |pipeline| {
            pipeline["object_attributes"]["ref"] = json!(name);
            pipeline["merge_request"] = json!(null);
        });
        assert!(plain(&hidden).contains(&format!("Pipeline #31 of ref {name} by")), "{}", plain(&hidden));
        assert!(!summary(&hidden).contains("/-/commits/"), "{}", summary(&hidden));
        assert_eq!(fields(&hidden)[0], ("Ref".to_owned(), name.to_owned()));
    }
}

#[test]
fn authors_link_to_their_page_where_the_forges_address_is_known() {
    let author = |event: &Event| message(event).author.expect("an author");
    assert_eq!(author(&event(PUSH)).url.as_deref(), Some("http://example.com/jsmith"));
    let elsewhere =
        changed(PUSH, |push| push["project"]["web_url"] = json!("http://example.com/another/path"));
    assert_eq!(author(&elsewhere).url, None);
    let evil = changed(PUSH, |push| push["user_avatar"] = json!("javascript:alert(1)"));
    assert_eq!(author(&evil).avatar_url, None);
    assert_eq!(
        message(&event(PUSH)).headline().plain_text(),
        "John Smith (jsmith) pushed 4 commits to branch master (Compare changes)"
    );
    assert_eq!(Text::new().plain_text(), "");
}

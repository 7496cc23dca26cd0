//! The requests to GitHub, and the pipelines that are not sent.

use super::*;
use crate::adapters::tests::{header, http_call_of, settings_with, targets_of_changed};

const SETTINGS: [(&str, &str); 2] =
    [("token", "ghp_x"), ("repository_url", "https://github.com/acme/rocket")];
const SHA: &str = "bcbb5ec396a2c0f828686f14fac9b80b780504f2";

fn request(settings: &[(&str, &str)], change: impl FnOnce(&mut Json)) -> HttpRequest {
    http_call_of("github", settings, Trigger::Pipeline, |json| {
        json["object_attributes"]["sha"] = SHA.into();
        change(json);
    })
}

fn body(settings: &[(&str, &str)], change: impl FnOnce(&mut Json)) -> Json {
    serde_json::from_slice(&request(settings, change).body).expect("JSON")
}

fn with(more: (&'static str, &'static str)) -> Vec<(&'static str, &'static str)> {
    SETTINGS.into_iter().filter(|(name, _)| *name != more.0).chain([more]).collect()
}

#[test]
fn a_child_pipeline_does_not_take_its_parents_place() {
    let targets = targets_of_changed("github", &SETTINGS, Trigger::Pipeline, |json| {
        json["object_attributes"]["sha"] = SHA.into();
        json["object_attributes"]["source"] = "parent_pipeline".into();
    });
    assert_eq!(targets.send, []);
    assert!(targets.left_out[0].contains("the parent's status counts"), "{:?}", targets.left_out);
}

#[test]
fn every_status_has_githubs_state_or_sends_nothing() {
    for (status, state) in [
        ("created", Some("pending")),
        ("pending", Some("pending")),
        ("running", Some("pending")),
        ("manual", Some("pending")),
        ("success", Some("success")),
        ("skipped", Some("success")),
        ("failed", Some("failure")),
        ("canceled", Some("error")),
        ("preparing", None),
        ("waiting_for_resource", None),
        ("scheduled", None),
        ("canceling", None),
        ("no such status", None),
    ] {
        let change = |json: &mut Json| {
            json["object_attributes"]["sha"] = SHA.into();
            json["object_attributes"]["status"] = status.into();
        };
        let targets = targets_of_changed("github", &SETTINGS, Trigger::Pipeline, change);
        if let Some(state) = state {
            assert_eq!(body(&SETTINGS, change)["state"], state, "{status}");
        } else {
            assert!(targets.send.is_empty(), "{status}");
            let why = format!("GitHub has no state for this status (status = {status})");
            assert_eq!(targets.left_out, [why]);
        }
    }
}

#[test]
fn the_context_is_the_forges_host_or_the_branch() {
    let change = |json: &mut Json| json["object_attributes"]["ref"] = "feature/Ünï".into();
    assert_eq!(body(&SETTINGS, change)["context"], "ci/gitlab/forge.example.com");
    assert_eq!(body(&with(("static_context", "false")), change)["context"], "ci/gitlab/feature/Ünï");
}

#[test]
fn long_texts_are_cut_with_three_dots() {
    let change = |json: &mut Json| {
        json["object_attributes"]["ref"] = "ü".repeat(300).into();
        json["object_attributes"]["detailed_status"] = "ü".repeat(300).into();
    };
    let body = body(&with(("static_context", "false")), change);
    for (part, limit) in [("context", 255), ("description", 140)] {
        let text = body[part].as_str().expect("a text");
        assert_eq!((text.chars().count(), text.ends_with("ü...")), (limit, true), "{part}");
    }
}

#[test]
fn the_description_says_what_gitlab_shows() {
    for (status, detailed, expected) in [
        ("success", "passed", "Pipeline passed on GitLab"),
        ("success", "passed with warnings", "Pipeline passed with warnings on GitLab"),
        ("manual", "blocked", "Pipeline waiting for manual action on GitLab"),
        ("success", "", "Pipeline passed on GitLab"),
        ("running", "", "Pipeline running on GitLab"),
    ] {
        let body = body(&SETTINGS, |json| {
            json["object_attributes"]["status"] = status.into();
            json["object_attributes"]["detailed_status"] = detailed.into();
        });
        assert_eq!(body["description"], expected);
    }
}

#[test]
fn the_api_is_githubs_own_or_an_enterprise_servers() {
    let called = |page: &'static str| request(&with(("repository_url", page)), |_| ()).url.to_string();
    let path = format!("repos/acme/rocket/statuses/{SHA}");
    assert_eq!(called("https://github.com/acme/rocket.git"), format!("https://api.github.com/{path}"));
    assert_eq!(called("https://www.github.com/acme/rocket/"), format!("https://api.github.com/{path}"));
    assert_eq!(
        called("http://me:tok@ghe.example:8080/acme/rocket/tree/main?x=y#z"),
        format!("http://ghe.example:8080/api/v3/{path}")
    );
    let request = request(&SETTINGS, |_| ());
    assert_eq!(header(&request, "authorization"), Some("Bearer ghp_x"));
}

#[test]
fn a_page_that_is_no_repository_is_refused() {
    for page in [
        "https://github.com",
        "https://github.com/acme",
        "https://github.com/acme/.git",
        "https://github.com//x",
    ] {
        let errors = settings_with("github", &with(("repository_url", page))).unwrap_err();
        assert!(
            errors[0].starts_with("repository_url: must be the page of a repository"),
            "{page}: {errors:?}"
        );
    }
}

#[test]
fn order_is_kept_for_each_commit_and_context_and_a_newer_status_replaces_an_older_one() {
    let lane = |settings: &[(&str, &str)], sha: &str, name: &str, id: i64| {
        let targets = targets_of_changed("github", settings, Trigger::Pipeline, |json| {
            json["object_attributes"]["sha"] = sha.into();
            json["object_attributes"]["ref"] = name.into();
            json["object_attributes"]["id"] = id.into();
        });
        assert!(targets.send[0].replaces);
        targets.send[0].lane.clone().expect("a lane of its own")
    };
    let dynamic = with(("static_context", "false"));
    let other = SHA.replace('b', "c");
    assert_eq!(lane(&SETTINGS, SHA, "main", 1), lane(&SETTINGS, SHA, "other", 2));
    assert_ne!(lane(&SETTINGS, SHA, "main", 1), lane(&SETTINGS, &other, "main", 1));
    assert_ne!(lane(&dynamic, SHA, "main", 1), lane(&dynamic, SHA, "other", 1));
    assert_eq!(lane(&dynamic, SHA, "Main", 1), lane(&dynamic, SHA, "main", 1), "GitHub ignores case");
}

#[test]
fn an_event_without_a_commit_is_left_out() {
    let targets = targets_of_changed("github", &SETTINGS, Trigger::Pipeline, |json| {
        json["object_attributes"]["sha"] = "../..".into();
    });
    assert_eq!(targets.left_out, ["the event names no commit"]);
}

/// "No more than 80 content-generating requests per minute and no more than 500 … per hour"
/// (<https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>).
#[test]
fn the_pace_is_within_githubs_limits_whenever_a_window_begins() {
    let settings = settings_with("github", &SETTINGS).expect("valid settings");
    let pace = crate::adapters::find("github").and_then(|entry| entry.pace(&settings, "")).expect("a pace");
    let within = |window: Duration| {
        let most =
            |bucket: &Bucket| f64::from(bucket.burst) + window.as_secs_f64() / bucket.every.as_secs_f64();
        pace.buckets().map(most).fold(f64::INFINITY, f64::min)
    };
    assert!(within(Duration::from_secs(60)) <= 80.0);
    assert!(within(Duration::from_secs(3600)) <= 500.0);
}

#[test]
fn a_refused_token_is_not_the_refusal_of_a_repository() {
    let failed = |status: u16| {
        let answer = crate::adapters::tests::http_response(status, &[("x-github-request-id", "1")], "{}");
        match read(&answer) {
            Answer::Failed(failure) => failure,
            _ => panic!("{status} is a failure"),
        }
    };
    assert!(matches!(failed(401), Failure::LoginRefused(_)));
    for status in [301, 403, 404] {
        assert!(matches!(failed(status), Failure::Misconfigured(_)), "{status}");
    }
}

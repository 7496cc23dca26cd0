//! Tests of the special rules of Slack and Mattermost.

use serde_json::{Value as Json, json};

use super::events::tell_changed;
use super::{body, buckets, call_with, cases, entry, events, http, kind, settings_of as settings, strings};
use crate::call::{Answer, Call, Failure, HttpResponse, Response, Sent};
use crate::message::{Message, Text};
use crate::settings::Parsed;

fn call(slug: &str, settings: &Parsed, case: &events::Case, target: &str) -> Call<Sent> {
    call_with(entry(slug), settings, case, target)
}

const HOOK: &str = "https://hooks.slack.com/services/T01/B01/aaaaaaaaaaaaaaaaaaaaaaaa";
const WORKFLOW: &str = "https://hooks.slack.com/triggers/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";

#[test]
fn names_and_channels_are_sent_only_if_they_are_set() {
    for (slug, webhook) in [("slack", HOOK), ("mattermost", "https://chat.example/hooks/xyz")] {
        let bare = settings(slug, &[("webhook", webhook)]);
        let sent = body(&call(slug, &bare, kind("push"), ""));
        assert!(sent.get("channel").is_none() && sent.get("username").is_none(), "{sent}");
        let named = settings(slug, &[("webhook", webhook), ("username", "Forge")]);
        let sent = body(&call(slug, &named, kind("push"), "town-square"));
        assert_eq!(sent["channel"], "town-square");
        assert_eq!(sent["username"], "Forge");
    }
}

#[test]
fn an_attachment_does_not_repeat_the_text() {
    for slug in ["slack", "mattermost"] {
        let settings = settings(slug, &[("webhook", HOOK)]);
        let pipeline = body(&call(slug, &settings, kind("pipeline_failed"), ""));
        assert_eq!(pipeline["text"], "");
        assert_eq!(pipeline["attachments"][0]["color"], "danger");
        assert_eq!(pipeline["attachments"][0]["author_name"], "Administrator (root)");
        let closed = body(&call(slug, &settings, kind("issue_closed"), ""));
        assert_eq!(closed["attachments"], Json::Array(Vec::new()), "nothing to add to the text");
        assert!(closed["text"].as_str().is_some_and(|text| text.contains("closed issue")));
    }
}

/// Titles and names are short when they come here, but their addresses need not be.
#[test]
fn a_text_is_cut_to_the_services_limit() {
    let long = |name: &str| format!("https://forge.example.com/{}/{name}", "a".repeat(1900));
    let case = tell_changed("push.json", |push| {
        push["project"]["web_url"] = json!(long("project"));
    });
    let links = (0..40).map(|n| Text::new().link(format!("link {n}"), long(&n.to_string())));
    let message = Message { summary: Text::join(links, " "), ..case.message().clone() };
    let case = events::Case { message: Some(message), ..case };
    for (slug, webhook) in [("slack", HOOK), ("mattermost", "https://chat.example/hooks/xyz")] {
        let sent = body(&call(slug, &settings(slug, &[("webhook", webhook)]), &case, ""));
        let text = sent["text"].as_str().expect("a text");
        assert!((1_000..=4_000).contains(&text.chars().count()), "{slug}: {}", text.len());
        assert!(text.contains("link 39"), "the words have room without their addresses: {text}");
    }
    let sent = body(&call("slack", &settings("slack", &[("webhook", WORKFLOW)]), &case, ""));
    let variables = sent.as_object().expect("an object");
    for (name, value) in variables {
        assert!(value.as_str().is_some_and(|value| value.chars().count() <= 3_000), "{name}");
    }
}

#[test]
fn workflows_get_strings_by_name() {
    for address in [WORKFLOW, "https://hooks.slack.com/workflows/T01/A01/1/abc"] {
        let settings = settings("slack", &[("webhook", address)]);
        for case in cases() {
            let call = call("slack", &settings, case, "#general");
            assert_eq!(http(&call).url.as_str(), address);
            let sent = body(&call);
            let variables = sent.as_object().expect("an object");
            assert!(variables.values().all(Json::is_string), "{sent}");
            assert!(!sent["text"].as_str().unwrap_or_default().is_empty());
            assert!(sent["url"].as_str().unwrap_or_default().starts_with("http"), "{sent}");
            assert!(variables.get("channel").is_none());
        }
        let issue = body(&call("slack", &settings, kind("issue"), ""));
        assert_eq!(issue["event"], "issue");
        assert_eq!(issue["title"], "#23 New API: create/update/delete file");
        assert_eq!(issue["url"], "http://example.com/diaspora/issues/23");
        assert_eq!(issue["details"], "Create new API for manipulations with repository");
        assert_eq!(issue["author"], "Administrator (root)");
        assert_eq!(issue["project"], "GitlabHQ / Gitlab Test");
        let note = body(&call("slack", &settings, kind("note_issue"), ""));
        assert_eq!(note["url"], "http://example.com/gitlab-org/gitlab-test/issues/17#note_1241");
    }
}

#[test]
fn workflows_answer_with_json_or_an_empty_body() {
    let settings = settings("slack", &[("webhook", WORKFLOW)]);
    let read = |status: u16, text: &str| {
        let at = jiff::Timestamp::UNIX_EPOCH;
        let response = HttpResponse { status, headers: Vec::new(), body: text.to_owned().into(), at };
        (call("slack", &settings, kind("push"), "").read)(&Response::Http(response))
    };
    for (status, text) in [(200, "{\"ok\":true}"), (200, ""), (202, ""), (200, "ok")] {
        assert!(matches!(read(status, text), Answer::Done(Sent)), "{status} {text}");
    }
    let refused = "{\"ok\":false,\"error\":\"parameter_validation_failed\"}";
    assert!(
        matches!(read(200, refused), Answer::Failed(Failure::Misconfigured(_))),
        "the workflow's variables"
    );
    let refused = "{\"ok\":false,\"error\":\"invalid_payload\"}";
    assert!(matches!(read(400, refused), Answer::Failed(Failure::Rejected(_))));
    assert!(matches!(
        read(404, "{\"ok\":false,\"error\":\"no_service\"}"),
        Answer::Failed(Failure::Gone { .. })
    ));
}

#[test]
fn slacks_rate_limits_are_per_webhook_and_per_workspace() {
    let keys = |webhook: &str| -> Vec<String> {
        let settings = settings("slack", &[("webhook", webhook)]);
        let buckets = buckets(entry("slack"), &settings, "#any");
        assert_eq!((buckets[0].every.as_millis(), buckets[0].burst), (1000, 5));
        assert_eq!((buckets[1].every.as_millis(), buckets[1].burst), (200, 10));
        buckets.into_iter().map(|bucket| bucket.key.0.to_string()).collect()
    };
    let (one, two) = (keys(HOOK), keys("https://hooks.slack.com/services/T01/B02/bbbbbbbbbbbbbbbbbbbbbbbb"));
    assert_ne!(one[0], two[0]);
    assert_eq!(one[1], two[1], "one workspace");
    assert_eq!(one[1], keys(WORKFLOW)[1], "workflows count in the same workspace");
    assert_ne!(one[1], keys("https://hooks.slack.com/services/T02/B01/aaaaaaaaaaaaaaaaaaaaaaaa")[1]);
}

/// The server looks for names in the text, and in an attachment's text and fields; clients show them as links in more
/// places than that.
#[test]
fn mattermost_messages_mention_no_one() {
    let calls = "@jane.doe @all @channel @here, @Everyone (@root) x@here";
    let settings = settings("mattermost", &[("webhook", "https://chat.example/hooks/xyz")]);
    let pipeline = |url: &str| {
        tell_changed("pipeline_success.json", |pipeline| {
            pipeline["object_attributes"]["status"] = json!("failed");
            for name in ["name", "ref", "yaml_errors", "detailed_status"] {
                pipeline["object_attributes"][name] = json!(calls);
            }
            pipeline["object_attributes"]["url"] = json!(url);
            pipeline["user"] = json!({"name": calls, "username": calls});
            pipeline["project"]["name"] = json!(calls);
            pipeline["commit"]["title"] = json!(calls);
            pipeline["commit"]["message"] = json!(calls);
            pipeline["merge_request"]["title"] = json!(calls);
            pipeline["builds"] = json!([{"id": 1, "stage": calls, "name": calls, "status": "failed"}]);
        })
    };
    let all = [
        pipeline("https://forge.example/p/1"),
        pipeline(""),
        tell_changed("push.json", |push| {
            push["user_name"] = json!(calls);
            push["ref"] = json!(format!("refs/heads/{calls}"));
            push["commits"][0]["title"] = json!(calls);
            push["commits"][0]["author"]["name"] = json!(calls);
        }),
        tell_changed("issue_open.json", |issue| {
            issue["object_attributes"]["title"] = json!(calls);
            issue["object_attributes"]["description"] =
                json!(format!("{calls}\n\n> {calls}\n\n# {calls}\n\n- {calls}"));
        }),
        tell_changed("note_issue.json", |note| {
            note["object_attributes"]["note"] = json!(format!("**{calls}** [{calls}](https://a.example)"));
            note["issue"]["title"] = json!(calls);
        }),
    ];
    for case in &all {
        let sent = body(&call("mattermost", &settings, case, ""));
        let mut found = Vec::new();
        strings(&sent, "", &mut found);
        let mut ats = 0;
        for (path, text) in &found {
            for (at, _) in text.match_indices('@') {
                let next = text[at + 1..].chars().next();
                assert!(next.is_some_and(|c| !c.is_alphanumeric()), "{path}: {text}");
                ats += 1;
            }
        }
        assert!(ats > 10, "the names are there to be read: {sent}");
    }
}

/// Text that is escaped for Slack contains no mention of any kind.
#[test]
fn slack_messages_mention_no_one() {
    let calls = "<@U01ABCDEF> <!here> <!channel|x> <!subteam^S01> <#C01|general> <https://evil.example|ok>";
    let settings = settings("slack", &[("webhook", HOOK)]);
    let case = tell_changed("issue_open.json", |issue| {
        issue["object_attributes"]["title"] = json!(calls);
        issue["object_attributes"]["description"] = json!(calls);
        issue["user"]["name"] = json!(calls);
    });
    let sent = body(&call("slack", &settings, &case, ""));
    let mut found = Vec::new();
    strings(&sent, "", &mut found);
    for (path, text) in found {
        for opened in text.match_indices('<').map(|(at, _)| &text[at + 1..]) {
            assert!(opened.starts_with("http"), "{path}: {text}");
        }
    }
}

#[test]
fn workflows_get_only_web_addresses() {
    let case = tell_changed("issue_open.json", |issue| {
        issue["object_attributes"]["url"] = json!("javascript:alert(1)");
        issue["object_attributes"]["action"] = json!("close");
    });
    let sent = body(&call("slack", &settings("slack", &[("webhook", WORKFLOW)]), &case, ""));
    assert_eq!(sent["url"], "http://example.com/gitlabhq/gitlab-test");
}

#[test]
fn mattermosts_rate_limit_is_per_host() {
    let keys = |webhook: &str| -> Vec<String> {
        let settings = settings("mattermost", &[("webhook", webhook)]);
        let buckets = buckets(entry("mattermost"), &settings, "");
        let host = buckets.last().expect("a bucket");
        assert_eq!((host.every.as_millis(), host.burst), (200, 20));
        buckets.into_iter().map(|bucket| bucket.key.0.to_string()).collect()
    };
    let one = keys("https://chat.example/hooks/a");
    assert_eq!(one.last(), keys("https://chat.example/sub/path/hooks/b").last());
    assert_ne!(one.last(), keys("https://chat.example:8065/hooks/a").last());
}

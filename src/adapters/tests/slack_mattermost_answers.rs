//! How Slack's and Mattermost's answers are read: every body that they document.

use std::time::Duration;

use super::{answer, consequence, entry, failure, outcome};
use crate::call::Failure;

const SLACKS_KIN: [&str; 2] = ["slack", "mattermost"];

/// The consequence of a body; `gone` includes its confirmations.
fn read(slug: &str, status: u16, body: &str) -> String {
    let answer = answer(entry(slug), status, &[], body);
    match &answer {
        crate::call::Answer::Failed(Failure::Gone { confirmations, .. }) => format!("gone {confirmations}"),
        crate::call::Answer::Failed(Failure::Unavailable { maybe_taken: true, .. }) => {
            "perhaps taken".to_owned()
        }
        other => consequence(other).to_owned(),
    }
}

#[test]
fn waits_are_read_from_each_services_headers() {
    for entry in SLACKS_KIN.map(entry) {
        let waited = |headers: &[(&str, &str)]| match failure(answer(entry, 429, headers, "")) {
            Failure::Throttled { wait, .. } => wait,
            other => panic!("{other}"),
        };
        assert_eq!(waited(&[("retry-after", "30")]), Some(Duration::from_secs(30)), "{}", entry.about.slug);
        assert_eq!(waited(&[]), None, "{}", entry.about.slug);
    }
    let mattermost =
        |headers: &[(&str, &str)]| failure(answer(entry("mattermost"), 429, headers, "limit exceeded"));
    let wait = |seconds| Failure::Throttled {
        wait: Some(Duration::from_secs(seconds)),
        why: "answered 429: limit exceeded".to_owned(),
        shared: true,
    };
    assert_eq!(mattermost(&[("x-ratelimit-reset", "7")]), wait(7));
    assert_eq!(mattermost(&[("x-ratelimit-reset", "7"), ("retry-after", "3")]), wait(3));
    let slack = failure(answer(entry("slack"), 503, &[("retry-after", "9")], ""));
    assert_eq!(
        slack,
        Failure::Unavailable {
            maybe_taken: false,
            wait: Some(Duration::from_secs(9)),
            why: "answered 503".to_owned()
        }
    );
}

#[test]
fn slacks_errors_are_read_from_the_body_whatever_the_status() {
    let table = [
        ("ok", 200, "taken"),
        ("ok\n", 200, "taken"),
        ("{\"ok\":true}", 200, "taken"),
        ("{\"success\":true}", 200, "taken"),
        ("", 200, "perhaps taken"),
        ("accepted", 202, "perhaps taken"),
        ("<html>Sign in to the network</html>", 200, "unavailable"),
        ("{\"ok\":false,\"error\":\"no_such_thing\"}", 200, "rejected"),
        ("{\"ok\":false,\"error\":\"rate_limited\"}", 200, "throttled"),
        ("{\"ok\":false}", 200, "rejected"),
        ("invalid_payload", 400, "rejected"),
        ("invalid_payload: missing a comma", 400, "rejected"),
        ("invalid_blocks", 400, "rejected"),
        ("invalid_blocks_format", 400, "rejected"),
        ("no_text", 400, "rejected"),
        ("missing_text_or_fallback_or_attachments", 400, "rejected"),
        ("too_many_attachments", 400, "rejected"),
        ("msg_too_long", 400, "rejected"),
        ("user_not_found", 400, "misconfigured"),
        ("action_prohibited", 403, "misconfigured"),
        ("posting_to_general_channel_denied", 403, "misconfigured"),
        ("invalid_token", 403, "gone 3"),
        ("invalid_token", 400, "gone 3"),
        ("team_disabled", 403, "gone 3"),
        ("no_active_hooks", 403, "gone 3"),
        ("no_active_hooks", 200, "gone 3"),
        ("channel_not_found", 404, "misconfigured"),
        ("is_archived", 403, "misconfigured"),
        ("invalid_channel", 400, "misconfigured"),
        ("not_in_channel", 403, "misconfigured"),
        ("no_permission", 403, "misconfigured"),
        ("restricted_action", 403, "misconfigured"),
        ("restricted_action_read_only_channel", 403, "misconfigured"),
        ("restricted_action_thread_only_channel", 403, "misconfigured"),
        ("restricted_action_non_threadable_channel", 403, "misconfigured"),
        ("messages_tab_disabled", 400, "misconfigured"),
        ("ekm_access_denied", 403, "misconfigured"),
        ("enterprise_is_restricted", 403, "misconfigured"),
        ("team_access_not_granted", 403, "misconfigured"),
        ("attachment_payload_limit_exceeded", 400, "rejected"),
        ("msg_blocks_too_long", 400, "rejected"),
        ("invalid_attachments", 400, "rejected"),
        ("message_limit_exceeded", 429, "throttled"),
        ("fatal_error", 500, "unavailable"),
        ("internal_error", 500, "unavailable"),
        ("service_unavailable", 503, "unavailable"),
        ("org_login_required", 403, "unavailable"),
        ("an_error_of_tomorrow", 400, "rejected"),
        ("an_error_of_tomorrow", 403, "unavailable"),
        ("{\"error\":\"invalid-channel\",\"success\":false}", 400, "rejected"),
        ("{\"error\":\"channel_not_found\",\"ok\":false}", 200, "misconfigured"),
        ("{\"error\":\"unauthorized\"}", 200, "perhaps taken"),
        ("{\"status\":\"ok\"}", 200, "taken"),
        ("{\"status\":\"success\"}", 200, "taken"),
        ("{}", 200, "taken"),
        ("{\"status\":\"error\",\"message\":\"no\"}", 200, "perhaps taken"),
        ("{\"message\":\"Access denied\"}", 200, "perhaps taken"),
        ("no_service", 404, "gone 3"),
        ("no_service_id", 404, "gone 3"),
        ("no_team", 404, "gone 3"),
        ("no service", 404, "unavailable"),
        ("channel_is_archived", 410, "misconfigured"),
        ("rate_limited", 429, "throttled"),
        ("{\"ok\":false,\"error\":\"rate_limited\"}", 429, "throttled"),
        ("rollup_error", 500, "unavailable"),
        ("<html>Bad gateway</html>", 502, "unavailable"),
    ];
    for (body, status, expected) in table {
        assert_eq!(read("slack", status, body), expected, "{status} {body}");
    }
}

/// A workflow gets the same variables with every message, so what it refuses is not this message's words.
#[test]
fn what_a_workflow_refuses_holds_the_workflow() {
    let settings =
        super::settings_of("slack", &[("webhook", "https://hooks.slack.com/triggers/T0/1/secret")]);
    let read = |status: u16, body: &str| {
        let call = super::call_with(entry("slack"), &settings, super::kind("push"), "");
        let response = super::http_response(status, &[], body);
        outcome(&(call.read)(&crate::call::Response::Http(response)))
    };
    assert_eq!(read(200, "{\"ok\":true}"), "taken");
    assert_eq!(read(200, ""), "taken");
    for status in [200, 400, 404] {
        assert_eq!(read(status, "{\"ok\":false,\"error\":\"invalid_workflow_input\"}"), "misconfigured");
    }
    assert_eq!(read(404, "{\"ok\":false,\"error\":\"no_service\"}"), "gone 3");
    assert_eq!(read(404, "{\"ok\":false}"), "misconfigured");
    // A limit or an outage says nothing about the workflow.
    assert_eq!(read(503, "{\"ok\":false}"), "unavailable");
    assert_eq!(read(429, "{\"ok\":false,\"error\":\"an_error_of_tomorrow\"}"), "throttled");
    assert_eq!(read(404, ""), "unavailable");
}

#[test]
fn mattermosts_errors_are_recognised_by_their_id() {
    let error = |id: &str, status: u16| {
        format!(
            "{{\"id\":\"{id}\",\"message\":\"Ungültiger Webhook.\",\"detailed_error\":\"\",\"request_id\":\"x\",\"status_code\":{status}}}"
        )
    };
    let table = [
        ("web.incoming_webhook.text.app_error", 400, "rejected"),
        ("web.incoming_webhook.parse.app_error", 400, "rejected"),
        ("model.incoming_hook.parse_data.app_error", 400, "rejected"),
        ("api.webhook.incoming.error", 400, "rejected"),
        ("web.incoming_webhook.invalid.app_error", 400, "gone 3"),
        ("web.incoming_webhook.user.app_error", 400, "misconfigured"),
        ("web.incoming_webhook.user.app_error", 403, "misconfigured"),
        ("web.incoming_webhook.channel_locked.app_error", 403, "misconfigured"),
        ("web.incoming_webhook.permissions.app_error", 403, "misconfigured"),
        ("web.incoming_webhook.channel.app_error", 404, "misconfigured"),
        ("app.channel.get.existing.app_error", 404, "misconfigured"),
        ("web.incoming_webhook.disabled.app_error", 501, "misconfigured"),
        ("api.post.create_post.can_not_post_to_deleted.error", 400, "misconfigured"),
        ("api.post.create_post.can_not_post_in_restricted_dm.error", 400, "misconfigured"),
        ("api.post.create_post.town_square_read_only", 403, "misconfigured"),
        ("api.channel.create_direct_channel.invalid_user.app_error", 400, "misconfigured"),
        ("api.context.404.app_error", 404, "misconfigured"),
        ("web.incoming_webhook.split_props_length.app_error", 400, "rejected"),
        ("model.post.is_valid.msg.app_error", 400, "rejected"),
        ("model.post.is_valid.props.app_error", 400, "rejected"),
        ("app.post.save.app_error", 500, "unavailable"),
        // The same ids, where the server's database failed.
        ("web.incoming_webhook.channel.app_error", 500, "unavailable"),
        ("app.channel.get.find.app_error", 500, "unavailable"),
        ("some.new.app_error", 400, "rejected"),
        ("some.new.app_error", 404, "unavailable"),
    ];
    for (id, status, expected) in table {
        assert_eq!(read("mattermost", status, &error(id, status)), expected, "{status} {id}");
    }
    let others = [
        ("ok", 200, "taken"),
        ("", 200, "perhaps taken"),
        ("<!DOCTYPE html><title>Mattermost</title>", 200, "unavailable"),
        ("limit exceeded", 429, "throttled"),
        ("<html>504 Gateway Time-out</html>", 504, "unavailable"),
        ("{not json", 400, "rejected"),
        // Another service's error that contains a Mattermost id: the status in it differs from that of the answer.
        (
            r#"{"id":"web.incoming_webhook.invalid.app_error","message":"…","status_code":400}"#,
            404,
            "unavailable",
        ),
    ];
    for (body, status, expected) in others {
        assert_eq!(read("mattermost", status, body), expected, "{status} {body}");
    }
}

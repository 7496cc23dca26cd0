//! How Slack's and Mattermost's answers are read: every body that they document.

use std::time::Duration;

use super::{answer, consequence, entry, failure};
use crate::call::Failure;

const SLACKS_KIN: [&str; 2] = ["slack", "mattermost"];

/// What a body comes to; a `gone` names its confirmations.
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
        ("no_service", 404, "gone 3"),
        ("no_service_id", 404, "gone 3"),
        ("no_team", 404, "gone 3"),
        ("no service", 404, "misconfigured"),
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
        ("app.post.save.app_error", 500, "unavailable"),
        ("some.new.app_error", 400, "rejected"),
        ("some.new.app_error", 404, "misconfigured"),
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
    ];
    for (body, status, expected) in others {
        assert_eq!(read("mattermost", status, body), expected, "{status} {body}");
    }
}

//! The consequences of Discord's answers.

use serde_json::json;

use super::{consequence, failure, outcome, said};
use crate::call::Failure;

#[test]
fn discords_answers_have_their_consequences() {
    let table = [
        (200, r#"{"id":"1","type":0,"content":"","embeds":[]}"#, "taken"),
        (204, "", "taken"),
        (200, "<html>Sign in to the network</html>", "unavailable"),
        // What no Discord sends may be the word of a filter before it.
        (200, "Access denied by policy", "unavailable"),
        (200, r#"{"message":"Access denied"}"#, "unavailable"),
        (400, r#"{"message":"Invalid Form Body","code":50035,"errors":{"embeds":{}}}"#, "rejected"),
        (400, r#"{"message":"Invalid Form Body","code":50035,"errors":{"thread_id":{}}}"#, "misconfigured"),
        (400, r#"{"embeds": ["0"]}"#, "rejected"),
        (400, r#"{"message": "400: Bad Request", "code": 0}"#, "rejected"),
        (401, r#"{"message": "401: Unauthorized", "code": 0}"#, "misconfigured"),
        (404, r#"{"message": "404: Not Found", "code": 0}"#, "misconfigured"),
        (405, r#"{"message": "405: Method Not Allowed", "code": 0}"#, "misconfigured"),
        (403, r#"{"message": "Forbidden", "code": 0}"#, "unavailable"),
        (403, "error code: 1015", "throttled"),
        (500, r#"{"message": "500: Internal Server Error", "code": 0}"#, "unavailable"),
        (521, "<html>Web server is down</html>", "unavailable"),
    ];
    for (status, body, expected) in table {
        assert_eq!(consequence(&said(status, &[], body)), expected, "{status} {body}");
    }
}

/// <https://docs.discord.com/developers/topics/opcodes-and-status-codes#json-json-error-codes>: those that a webhook's
/// message may lead to, with what they mean.
#[test]
fn every_code_of_discord_has_its_consequence() {
    let place = "misconfigured";
    let table = [
        (10_003, 404, "Unknown channel", place),
        (10_004, 404, "Unknown guild", place),
        (10_015, 404, "Unknown webhook", "gone 1"),
        (10_016, 404, "Unknown webhook service", place),
        (20_009, 400, "Explicit content cannot be sent to the desired recipient(s)", "rejected"),
        (20_016, 429, "This action cannot be performed due to slowmode rate limit", "throttled"),
        (20_016, 400, "This action cannot be performed due to slowmode rate limit", "throttled"),
        (20_028, 429, "The write action on the channel has hit the write rate limit", "throttled"),
        (20_029, 429, "The write action on the server has hit the write rate limit", "throttled"),
        (40_001, 401, "Unauthorized", place),
        (40_004, 403, "Send messages has been temporarily disabled", "unavailable"),
        (40_005, 413, "Request entity too large", "rejected"),
        (40_006, 403, "This feature has been temporarily disabled server-side", "unavailable"),
        (40_007, 403, "The user is banned from this guild", place),
        (40_012, 403, "Connection has been revoked", place),
        (40_058, 400, "Cannot send a message in a forum channel", place),
        (40_062, 429, "Service resource is being rate limited", "throttled"),
        (40_067, 400, "A tag is required to create a forum post in this channel", place),
        (40_333, 403, "internal network error", "unavailable"),
        (50_001, 403, "Missing access", place),
        (50_006, 400, "Cannot send an empty message", "rejected"),
        (50_008, 400, "Cannot send messages in a non-text channel", place),
        (50_009, 403, "Channel verification level is too high", place),
        (50_013, 403, "You lack permissions to perform that action", place),
        (50_014, 401, "Invalid authentication token provided", place),
        (50_024, 400, "Cannot execute action on this channel type", place),
        (50_027, 401, "Invalid webhook token provided", "gone 1"),
        (50_035, 400, "Invalid form body", "rejected"),
        (50_041, 400, "Invalid API version provided", place),
        (50_045, 400, "File uploaded exceeds the maximum size", "rejected"),
        (50_055, 400, "Invalid Guild", place),
        (50_068, 400, "Invalid message type", "rejected"),
        (50_073, 403, "Cannot modify a system webhook", place),
        (50_083, 400, "Tried to perform an operation on an archived thread", place),
        (50_095, 403, "This server is not available in your location", place),
        (50_097, 403, "This server needs monetization enabled", place),
        (50_101, 403, "This server needs more boosts", place),
        (50_109, 400, "The request body contains invalid JSON", "rejected"),
        (130_000, 429, "API resource is currently overloaded", "throttled"),
        (130_000, 400, "API resource is currently overloaded", "unavailable"),
        (160_005, 403, "Thread is locked", place),
        (160_006, 400, "Maximum number of active threads reached", place),
        (160_007, 400, "Maximum number of active announcement threads reached", place),
        (200_000, 400, "Message was blocked by automatic moderation", "rejected"),
        (200_001, 400, "Title was blocked by automatic moderation", "rejected"),
        (220_001, 400, "Webhooks posted to forum channels must have a thread_name or thread_id", place),
        (220_002, 400, "… cannot have both a thread_name and thread_id", place),
        (220_003, 400, "Webhooks can only create threads in forum channels", place),
        (220_004, 400, "Webhook services cannot be used in forum channels", place),
        (240_000, 400, "Message blocked by harmful links filter", "rejected"),
        (999_999, 400, "a code of tomorrow", "rejected"),
        (999_999, 403, "a code of tomorrow", "unavailable"),
        (999_999, 404, "a code of tomorrow", "unavailable"),
    ];
    for (code, status, message, expected) in table {
        let body = json!({"message": message, "code": code}).to_string();
        assert_eq!(outcome(&said(status, &[], &body)), expected, "{status} {code} {message}");
    }
}

#[test]
fn a_refusal_of_the_place_names_its_remedy() {
    let why = |code: i64| {
        let body = json!({"message": "…", "code": code}).to_string();
        failure(said(400, &[], &body)).why().to_owned()
    };
    assert!(why(220_001).ends_with("add ?thread_id=… to the webhook's address"), "{}", why(220_001));
    assert!(why(50_083).contains("open the thread again"), "{}", why(50_083));
}

#[test]
fn waits_are_read_from_discords_headers_and_bodies() {
    let throttled = |headers: &[(&str, &str)], body: &str| match failure(said(429, headers, body)) {
        Failure::Throttled { wait, shared, .. } => (wait.map(|wait| wait.as_millis()), shared),
        other => panic!("{other}"),
    };
    let limited = r#"{"message": "You are being rate limited.", "retry_after": 0.457, "global": false}"#;
    let all = [("retry-after", "1"), ("x-ratelimit-reset-after", "0.470"), ("x-ratelimit-scope", "user")];
    assert_eq!(throttled(&all, limited), (Some(457), false));
    let bare = r#"{"message": "You are being rate limited.", "global": false}"#;
    assert_eq!(throttled(&all, bare), (Some(1000), false));
    assert_eq!(throttled(&all[1..], bare), (Some(470), false));
    assert_eq!(throttled(&[], bare), (None, false));
    // The limit of a channel, which all its webhooks share and no header announces.
    let channel =
        r#"{"message": "The resource is being rate limited.", "retry_after": 42.5, "global": false}"#;
    assert_eq!(throttled(&[("x-ratelimit-scope", "shared")], channel), (Some(42_500), false));
    let global = r#"{"message": "You are being rate limited.", "retry_after": 64.57, "global": true}"#;
    assert_eq!(throttled(&[], global), (Some(64_570), true));
    assert_eq!(throttled(&[("x-ratelimit-scope", "global")], limited), (Some(457), true));
    assert_eq!(throttled(&[("x-ratelimit-global", "true")], limited), (Some(457), true));
    let nonsense = r#"{"message": "…", "retry_after": -1e300, "global": false}"#;
    assert_eq!(throttled(&[], nonsense), (None, false));
    // Cloudflare: no JSON, and it means the address that we call from.
    let ban =
        "<!DOCTYPE html><title>Access denied | discord.com used Cloudflare to restrict access</title> 1015";
    assert_eq!(throttled(&[("retry-after", "20")], ban), (Some(3_600_000), true));
    assert_eq!(throttled(&[], "error code: 1015"), (Some(3_600_000), true));
    // This answer is not a ban.
    assert_eq!(throttled(&[("retry-after", "2")], ""), (Some(2000), false));
    assert_eq!(throttled(&[("retry-after", "2")], r#"{"global": null, "code": "1"}"#), (Some(2000), false));
}

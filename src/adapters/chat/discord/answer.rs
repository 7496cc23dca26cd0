//! Discord's answers. Errors are JSON with a `code`
//! (<https://docs.discord.com/developers/topics/opcodes-and-status-codes#json-json-error-codes>); what has no code is not
//! from Discord, but from Cloudflare or a proxy before it.

use std::time::Duration;

use serde_json::Value;

use crate::call::{Answer, Failure, HttpResponse, Sent, by_status, describe, is_page, unavailable};

/// About the time for which Cloudflare refuses a sender after Discord has refused too many of its requests
/// (<https://docs.discord.com/developers/topics/rate-limits#invalid-request-limit-aka-cloudflare-bans>).
const BAN: Duration = Duration::from_secs(3600);

pub(super) fn read(response: &HttpResponse) -> Answer<Sent> {
    let body = response.text();
    let complaint: Value = serde_json::from_str(&body).unwrap_or_default();
    let page = is_page(response);
    // Cloudflare's error 1015 means that it refuses this host for a while.
    let banned = body.contains("1015") && (page || complaint.is_null());
    Answer::Failed(match (response.status, complaint["code"].as_i64()) {
        // A proxy answered with a page instead of Discord, so nothing was accepted.
        (200..=299, _) if page => unavailable(response, false),
        (200..=299, _) if is_taken(response.status, &body, &complaint) => return Answer::Done(Sent),
        // The answer is neither the message nor an error of Discord. A repeat does less harm than a lost message.
        (200..=299, _) => unavailable(response, true),
        (403, _) if banned => ban(response),
        // Without JSON, the answer is from Cloudflare, not from Discord, and concerns all requests of this host.
        (429, _) if banned || page => ban(response),
        (429, _) => throttled(&complaint, response),
        (400..=499, Some(code)) => match named(code, &complaint, response) {
            Some(failure) => failure,
            None => return by_status(response),
        },
        _ => return by_status(response),
    })
}

/// With `wait=true`, Discord answers with the message that it stored. Compatible services may answer nothing.
fn is_taken(status: u16, body: &str, answer: &Value) -> bool {
    status == 204 || body.trim().is_empty() || answer["id"].is_string()
}

/// The consequence of the codes that Discord may answer to a webhook; `None` for others.
fn named(code: i64, complaint: &Value, response: &HttpResponse) -> Option<Failure> {
    let (wait, why) = (response.retry_after(), describe(response));
    Some(match code {
        // Unknown webhook; invalid webhook token. Clients that keep calling a deleted webhook are banned.
        10_015 | 50_027 => Failure::Gone { why, confirmations: 1 },
        // There is no such route or method: the address is not a webhook's.
        0 if is_of_route(complaint, response.status) => Failure::Misconfigured(why),
        // The channel is a forum, which accepts only messages with a thread.
        40_058 | 40_067 | 220_001..=220_004 => {
            Failure::Misconfigured(format!("{why}; add ?thread_id=… to the webhook's address"))
        }
        // The thread is archived or locked.
        50_083 | 160_005 => Failure::Misconfigured(format!(
            "{why}; open the thread again, or change ?thread_id=… in the webhook's address"
        )),
        // The form's error is about the thread in the address.
        50_035 if complaint["errors"]["thread_id"].is_object() => Failure::Misconfigured(why),
        // The channel, the server, or what the webhook may do there: unknown channel, server, webhook service; banned,
        // revoked; no access, no permission; channels of other types; too many threads.
        10_003 | 10_004 | 10_016 | 40_001 | 40_007 | 40_012 | 50_001 | 50_008 | 50_009 | 50_013 | 50_014
        | 50_024 | 50_041 | 50_055 | 50_073 | 50_095 | 50_097 | 50_101 | 160_006 | 160_007 => {
            Failure::Misconfigured(why)
        }
        // Errors about the content of the message: too large, empty, invalid, blocked by moderation or by the filter of
        // links.
        20_009 | 40_005 | 50_006 | 50_035 | 50_045 | 50_068 | 50_109 | 200_000 | 200_001 | 240_000 => {
            Failure::Rejected(why)
        }
        // Slow mode, or too many writes to the channel or the server.
        20_016 | 20_028 | 20_029 | 40_062 => Failure::Throttled { wait, why, shared: false },
        // Sending is switched off or overloaded for the moment; Cloudflare blocks the request.
        40_004 | 40_006 | 40_333 | 130_000 => unavailable(response, false),
        _ => return None,
    })
}

/// `{"message": "405: Method Not Allowed", "code": 0}`: the general error of a path without a webhook.
fn is_of_route(complaint: &Value, status: u16) -> bool {
    let says = complaint["message"].as_str().unwrap_or_default();
    matches!(status, 401 | 403..=405) && says.starts_with(&format!("{status}: "))
}

fn ban(response: &HttpResponse) -> Failure {
    Failure::Throttled { wait: Some(BAN), why: describe(response), shared: true }
}

/// The answer to a request beyond the rate limit
/// (<https://docs.discord.com/developers/topics/rate-limits#exceeding-a-rate-limit>).
fn throttled(complaint: &Value, response: &HttpResponse) -> Failure {
    let seconds = |seconds: f64| Duration::try_from_secs_f64(seconds).ok();
    let header = |name: &str| response.header(name).map(str::trim);
    let reset = || header("x-ratelimit-reset-after").and_then(|text| text.parse().ok()).and_then(seconds);
    let named = complaint["retry_after"].as_f64().and_then(seconds);
    let wait = named.or_else(|| response.retry_after()).or_else(reset);
    let shared = complaint["global"] == true
        || header("x-ratelimit-scope") == Some("global")
        || header("x-ratelimit-global") == Some("true");
    Failure::Throttled { wait, why: describe(response), shared }
}

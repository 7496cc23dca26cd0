//! Simulates the answers of HipChat, Microsoft Teams and Discord.

use std::time::{Duration, Instant};

use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value as Json, json};

use super::Asked;

/// Version 2 of HipChat's API: a success is a status without a body.
pub(super) fn hipchat(asked: &Asked<'_>, is_known: bool) -> Response {
    let refuse = |status: StatusCode, kind: &str, message: &str| {
        answer(status, &json!({ "error": { "code": status.as_u16(), "type": kind, "message": message } }))
    };
    if !asked.authorization.is_some_and(|given| given.starts_with("Bearer ")) {
        return refuse(StatusCode::UNAUTHORIZED, "Unauthorized", "Invalid OAuth session");
    }
    if asked.method != Method::POST || !is_known {
        return refuse(StatusCode::NOT_FOUND, "Not Found", "Room not found");
    }
    if asked.body["message"].as_str().is_none_or(str::is_empty) {
        return refuse(StatusCode::BAD_REQUEST, "Bad Request", "Field 'message' is required");
    }
    StatusCode::NO_CONTENT.into_response()
}

/// A workflow: it has queued the card, and does not report the result.
pub(super) fn teams(asked: &Asked<'_>, is_known: bool) -> Response {
    let refuse = |status, code: &str, message: &str| {
        answer(status, &json!({ "error": { "code": code, "message": message } }))
    };
    if asked.method != Method::POST || !is_known {
        return refuse(
            StatusCode::NOT_FOUND,
            "WorkflowNotFound",
            "The requested workflow could not be found.",
        );
    }
    let card = &asked.body["attachments"][0];
    if card["contentType"] != "application/vnd.microsoft.card.adaptive" || !card["content"].is_object() {
        return refuse(StatusCode::BAD_REQUEST, "TriggerInputSchemaMismatch", "The input does not match.");
    }
    StatusCode::ACCEPTED.into_response()
}

/// Discord's state: it accepts one message, then asks for a pause, and then accepts all.
#[derive(Default)]
pub(super) struct Patience {
    taken: usize,
    rests_until: Option<Instant>,
}

pub(super) fn discord(
    asked: &Asked<'_>,
    is_known: bool,
    patience: &mut Patience,
    rest: Duration,
) -> Response {
    let refuse =
        |status, code: i64, message: &str| answer(status, &json!({ "code": code, "message": message }));
    if asked.method != Method::POST || !is_known {
        return refuse(StatusCode::NOT_FOUND, 10_015, "Unknown Webhook");
    }
    let is_empty = |name: &str| match &asked.body[name] {
        Json::Array(items) => items.is_empty(),
        Json::String(text) => text.is_empty(),
        _ => true,
    };
    if is_empty("content") && is_empty("embeds") {
        return refuse(StatusCode::BAD_REQUEST, 50_006, "Cannot send an empty message");
    }
    let now = Instant::now();
    if patience.taken == 1 {
        let until = *patience.rests_until.get_or_insert(now + rest);
        // Discord asks for a pause at least once, even if the next message comes late.
        if until > now {
            let left = (until - now).as_secs_f64();
            let body =
                json!({ "message": "You are being rate limited.", "retry_after": left, "global": false });
            let mut refusal = answer(StatusCode::TOO_MANY_REQUESTS, &body);
            let seconds = (until - now).as_secs() + 1;
            refusal.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            return refusal;
        }
    }
    patience.taken += 1;
    if asked.query.split('&').any(|part| part == "wait=true") {
        return answer(
            StatusCode::OK,
            &json!({ "id": patience.taken.to_string(), "type": 0, "content": "" }),
        );
    }
    StatusCode::NO_CONTENT.into_response()
}

fn answer(status: StatusCode, body: &Json) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked<'a>(body: &'a Json, authorization: Option<&'a str>, query: &'a str) -> Asked<'a> {
        Asked { method: &Method::POST, path: "/x", query, authorization, body }
    }

    #[test]
    fn hipchat_wants_a_token_a_room_and_a_message() {
        let (body, nothing) = (json!({ "message": "hello" }), json!({}));
        let status = |body, token, is_known| hipchat(&asked(body, token, ""), is_known).status().as_u16();
        let token = Some("Bearer x");
        assert_eq!(
            [
                status(&body, None, true),
                status(&body, token, false),
                status(&nothing, token, true),
                status(&body, token, true)
            ],
            [401, 404, 400, 204]
        );
    }

    #[test]
    fn teams_takes_cards_and_says_that_it_has_queued_them() {
        let card = json!({ "attachments": [{ "contentType": "application/vnd.microsoft.card.adaptive", "content": {} }] });
        let status = |body, is_known| teams(&asked(body, None, ""), is_known).status().as_u16();
        assert_eq!(
            [status(&card, false), status(&json!({ "text": "hello" }), true), status(&card, true)],
            [404, 400, 202]
        );
    }

    #[test]
    fn discord_takes_one_rests_once_and_takes_the_rest() {
        let (body, empty) = (json!({ "content": "hello" }), json!({ "embeds": [] }));
        let mut patience = Patience::default();
        let mut status = |body, query, is_known| {
            discord(&asked(body, None, query), is_known, &mut patience, Duration::from_millis(50))
                .status()
                .as_u16()
        };
        assert_eq!([status(&body, "", false), status(&empty, "", true)], [404, 400]);
        assert_eq!([status(&body, "wait=true", true), status(&body, "wait=true", true)], [200, 429]);
        std::thread::sleep(Duration::from_millis(60));
        assert_eq!([status(&body, "wait=true", true), status(&body, "", true)], [200, 204]);
    }
}

//! Discord's answers and limits, from its documentation and from reports of users.

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::events::{Case, tell_changed};
use super::{
    answer, body, buckets, call_with, cases, consequence, entry, failure, hostile, kind, outcome,
    target_names,
};
use super::{http, settings_of};
use crate::adapters::contract::LazyMessage;
use crate::adapters::{Notification, OperatorSettings, ProjectLinks};
use crate::call::{Answer, Failure, Sent};
use crate::event::Trigger;
use crate::message::{Body, Field, Message, Person, ProjectInfo, Text, Title, Tone};
use crate::settings::{Parsed, Value};

const HOOK: &str = "https://discord.com/api/webhooks/1/aaaaaaaaaaaaaaaaaaaaaaaa";

fn plain() -> Parsed {
    settings_of("discord", &[("webhook", HOOK)])
}

fn sent(case: &Case) -> Json {
    body(&call_with(entry("discord"), &plain(), case, ""))
}

fn said(status: u16, headers: &[(&str, &str)], body: &str) -> Answer<Sent> {
    answer(entry("discord"), status, headers, body)
}

// ---- answers

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

// ---- addresses

#[test]
fn webhook_addresses_are_accepted() {
    let problem = |webhook: &str| {
        let properties = [("webhook".to_owned(), Value::Text(webhook.to_owned()))].into();
        let errors = entry("discord").read(&properties).err()?;
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(!errors[0].problem.contains("aaaa"), "the address is a secret");
        Some(errors[0].to_string())
    };
    for good in [
        HOOK,
        "https://discord.com/api/v10/webhooks/1/aaaa",
        "https://discordapp.com/api/webhooks/1/aaaa",
        "https://canary.discord.com/api/webhooks/1/aaaa",
        "https://ptb.discord.com/api/webhooks/1/aaaa/",
        "https://discord.com/api/webhooks/1/aaaa?thread_id=2",
        "http://chat.example.com:8080/base/api/v9/webhooks/1/a-_a",
    ] {
        assert_eq!(problem(good), None, "{good}");
    }
    for bad in [
        "https://discord.com/api/webhooks/1",
        "https://discord.com/api/webhooks/1/",
        "https://discord.com/webhooks/1/aaaa",
        "https://discord.com/api/v10/aaaa",
        "https://discord.com/api/vx/webhooks/1/aaaa",
        "https://discord.com/api/webhooks/1/aaaa/messages",
        "https://discord.com/channels/1/aaaa",
        "https://hooks.slack.com/services/T0/B0/aaaa",
    ] {
        let problem = problem(bad).expect(bad);
        assert!(problem.starts_with("webhook: must be a webhook's address, as in "), "{bad}: {problem}");
    }
    for suffix in ["slack", "github", "slack/"] {
        let problem = problem(&format!("{HOOK}/{suffix}")).expect("an error");
        let suffix = suffix.trim_end_matches('/');
        assert!(problem.ends_with(&format!("; leave out /{suffix}")), "{problem}");
    }
}

#[test]
fn every_wrong_address_is_reported() {
    let wrong = |name: &str| (name.to_owned(), Value::Text(format!("{HOOK}/slack")));
    let properties = ["webhook", "push_channel", "group_confidential_mention_channel"].map(wrong).into();
    let errors = entry("discord").read(&properties).expect_err("they are wrong");
    let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(fields, ["webhook", "push_channel", "group_confidential_mention_channel"]);
}

#[test]
fn calls_wait_for_the_message_and_keep_the_thread() {
    let called = |webhook: &str| {
        let settings = settings_of("discord", &[("webhook", webhook)]);
        http(&call_with(entry("discord"), &settings, kind("push"), "")).url.to_string()
    };
    assert_eq!(called(HOOK), format!("{HOOK}?wait=true"));
    assert_eq!(called(&format!("{HOOK}/")), format!("{HOOK}?wait=true"));
    assert_eq!(called(&format!("{HOOK}?thread_id=22")), format!("{HOOK}?thread_id=22&wait=true"));
    assert_eq!(
        called(&format!("{HOOK}?wait=false&thread_id=22#x")),
        format!("{HOOK}?thread_id=22&wait=true")
    );
}

#[test]
fn an_event_goes_to_the_webhook_of_its_kind() {
    const NAMES: [&str; 17] = [
        "push",
        "issue",
        "confidential_issue",
        "merge_request",
        "note",
        "confidential_note",
        "tag_push",
        "pipeline",
        "wiki_page",
        "deployment",
        "group_mention",
        "group_confidential_mention",
        "alert",
        "vulnerability",
        "release",
        "feature_flag",
        "milestone",
    ];
    let heard: Vec<&str> = entry("discord").about.triggers.iter().map(Trigger::name).collect();
    assert!(NAMES.len() == heard.len() && NAMES.iter().all(|name| heard.contains(name)), "{heard:?}");
    let address = |name: &str| format!("https://discord.com/api/webhooks/1/{name}");
    let all: Vec<(String, String)> =
        NAMES.iter().map(|name| (format!("{name}_channel"), address(name))).collect();
    let mut all: Vec<(&str, &str)> = all.iter().map(|(key, url)| (key.as_str(), url.as_str())).collect();
    all.push(("webhook", HOOK));
    let settings = settings_of("discord", &all);
    for name in NAMES {
        let trigger = Trigger::ALL.into_iter().find(|trigger| trigger.name() == name).expect("a trigger");
        let case = super::sample(trigger);
        assert_eq!(target_names(entry("discord"), &settings, &case.event), [name]);
        let call = call_with(entry("discord"), &settings, &case, name);
        assert_eq!(http(&call).url.as_str(), format!("{}?wait=true", address(name)));
        // Where its setting has been removed since, and where there never was one.
        let call = call_with(entry("discord"), &plain(), &case, name);
        assert_eq!(http(&call).url.as_str(), format!("{HOOK}?wait=true"));
        assert_eq!(target_names(entry("discord"), &plain(), &case.event), [""]);
    }
}

#[test]
fn confidential_events_use_the_public_webhook_by_default() {
    let issues = ("issue_channel", "https://discord.com/api/webhooks/2/b");
    let notes = ("note_channel", "https://discord.com/api/webhooks/3/c");
    let mine = ("confidential_issue_channel", "https://discord.com/api/webhooks/4/d");
    let targets = |more: &[(&str, &str)], name: &str| {
        let settings = settings_of("discord", &[&[("webhook", HOOK)], more].concat());
        target_names(entry("discord"), &settings, &kind(name).event)
    };
    assert_eq!(targets(&[issues, notes], "issue_confidential"), ["issue"]);
    assert_eq!(targets(&[issues, notes], "note_confidential"), ["note"]);
    assert_eq!(targets(&[issues, mine], "issue_confidential"), ["confidential_issue"]);
    assert_eq!(targets(&[mine], "issue"), [""], "but not the other way round");
    assert_eq!(targets(&[("issue_channel", " ")], "issue"), [""], "blank is as good as unsaid");
    // The settings changed while it waited for its turn.
    let case = kind("issue_confidential");
    let address = |more: &[(&str, &str)]| {
        let settings = settings_of("discord", &[&[("webhook", HOOK)], more].concat());
        http(&call_with(entry("discord"), &settings, case, "confidential_issue")).url.path().to_owned()
    };
    assert_eq!(address(&[issues, mine]), "/api/webhooks/4/d");
    assert_eq!(address(&[issues, notes]), "/api/webhooks/2/b", "not to everybody's");
}

#[test]
fn rate_limits_are_per_webhook_and_per_service() {
    let keys = |webhook: &str| -> Vec<String> {
        let buckets = buckets(entry("discord"), &settings_of("discord", &[("webhook", webhook)]), "");
        assert_eq!((buckets[0].every.as_millis(), buckets[0].burst), (2000, 5));
        assert_eq!((buckets[1].every.as_millis(), buckets[1].burst), (20, 50));
        buckets.into_iter().map(|bucket| bucket.key.0.to_string()).collect()
    };
    let one = keys(HOOK);
    for same in [
        "https://discordapp.com/api/v10/webhooks/1/aaaaaaaaaaaaaaaaaaaaaaaa",
        "https://ptb.discord.com/api/webhooks/1/aaaaaaaaaaaaaaaaaaaaaaaa/?thread_id=5",
    ] {
        assert_eq!(keys(same), one, "{same}");
    }
    let other = keys("https://discord.com/api/webhooks/2/bbbbbbbbbbbbbbbbbbbbbbbb");
    assert_ne!(other[0], one[0]);
    assert_eq!(other[1], one[1]);
    assert_ne!(keys("https://notdiscord.com/api/webhooks/1/aaaa")[1], one[1]);
    // Each webhook of its own has a pace of its own.
    let second = ("push_channel", "https://discord.com/api/webhooks/2/bbbbbbbbbbbbbbbbbbbbbbbb");
    let settings = settings_of("discord", &[("webhook", HOOK), second]);
    assert_eq!(buckets(entry("discord"), &settings, "push")[0].key.0.as_ref(), other[0]);
    assert_eq!(buckets(entry("discord"), &settings, "issue")[0].key.0.as_ref(), one[0]);
}

// ---- what is said

#[test]
fn an_embed_contains_everything_once() {
    let issue = sent(kind("issue"));
    assert_eq!(issue["allowed_mentions"], json!({ "parse": [] }));
    assert!(issue.get("content").is_none());
    let embed = &issue["embeds"][0];
    assert_eq!(embed["title"], "Opened issue #23 New API: create/update/delete file");
    assert_eq!(embed["url"], "http://example.com/diaspora/issues/23");
    assert_eq!(
        embed["description"],
        "[GitlabHQ / Gitlab Test](http://example.com/gitlabhq/gitlab-test)  \n  \n\
         Create new API for manipulations with repository"
    );
    assert_eq!(embed["author"]["name"], "Administrator (root)");
    assert!(embed["author"]["icon_url"].as_str().is_some_and(|url| url.starts_with("http")), "{embed}");
    assert!(embed.get("footer").is_none(), "{embed}");
    assert_eq!(embed["color"], 0xC9_58_23);
    assert_eq!(embed["timestamp"], "1970-01-01T00:00:00Z");

    let push = &sent(kind("push"))["embeds"][0];
    let description = push["description"].as_str().expect("a description");
    assert!(description.starts_with("Pushed 4 commits to branch ["), "{description}");
    assert!(
        description.contains(" of [Mike / Diaspora](http://example.com/mike/diaspora) "),
        "{description}"
    );
    assert!(description.contains("b6568db1]("), "{description}");
    assert_eq!(push["color"], 0x33_44_55);

    let pipeline = &sent(kind("pipeline_failed"))["embeds"][0];
    assert_eq!(pipeline["title"], "Pipeline #31 has failed in 01:03");
    assert_eq!(pipeline["color"], 0x8D_13_00);
    assert_eq!(pipeline["timestamp"], "2016-08-12T15:26:29Z", "when it finished");
    assert_eq!(
        pipeline["description"],
        "[Gitlab Org / Gitlab Test](http://192.168.64.1:3005/gitlab-org/gitlab-test)"
    );
    assert!(pipeline["fields"].as_array().is_some_and(|fields| fields.len() >= 4), "{pipeline}");
    assert_eq!(sent(kind("pipeline"))["embeds"][0]["color"], 0x0D_53_2A);
    assert_eq!(sent(kind("deployment"))["embeds"][0]["color"], 0x0D_53_2A);
    assert_eq!(sent(kind("issue_closed"))["embeds"][0]["color"], 0xC9_58_23);
    for orange in ["merge_request", "note_issue", "wiki_page", "group_mention"] {
        assert_eq!(sent(kind(orange))["embeds"][0]["color"], 0xFC_6D_26, "{orange}");
    }
}

/// In the units in which there are most of them.
fn length(text: &Json) -> usize {
    text.as_str().map_or(0, |text| text.encode_utf16().count())
}

/// Holds a body against every limit of embeds
/// (<https://docs.discord.com/developers/resources/message#embed-object-embed-limits>).
fn fits(body: &Json, name: &str) {
    let embeds = body["embeds"].as_array().expect("embeds");
    assert_eq!(embeds.len(), 1, "{name}");
    let embed = &embeds[0];
    let empty = Vec::new();
    let fields = embed["fields"].as_array().unwrap_or(&empty);
    let parts = [
        (&embed["title"], 256),
        (&embed["description"], 4096),
        (&embed["footer"]["text"], 2048),
        (&embed["author"]["name"], 256),
    ];
    let of_fields = fields.iter().flat_map(|field| [(&field["name"], 256), (&field["value"], 1024)]);
    let mut sum = 0;
    for (part, most) in parts.into_iter().chain(of_fields) {
        assert!(length(part) <= most, "{name}: {} of {most}", length(part));
        if let Some(text) = part.as_str() {
            assert!(!text.is_empty() && text.trim() == text, "{name}: {text:?}");
        }
        sum += length(part);
    }
    assert!(fields.len() <= 25 && sum <= 6000, "{name}: {sum}");
    assert!(fields.iter().all(|field| length(&field["name"]) > 0 && length(&field["value"]) > 0), "{name}");
    assert!(length(&embed["title"]) + length(&embed["description"]) > 0, "{name}: says nothing");
    for url in
        [&embed["url"], &embed["author"]["url"], &embed["author"]["icon_url"], &embed["footer"]["icon_url"]]
    {
        let Some(url) = url.as_str() else { continue };
        let host = url::Url::parse(url).expect("an address").host_str().expect("a host").to_owned();
        assert!(host.contains('.') && url.len() <= 2048, "{name}: {url}");
    }
    assert_eq!(body["allowed_mentions"], json!({ "parse": [] }), "{name}");
}

#[test]
fn every_message_keeps_every_limit() {
    let heard =
        |case: &&Case| case.event.trigger.is_some_and(|t| entry("discord").about.triggers.contains(t));
    for case in cases().iter().chain(hostile()).filter(heard) {
        fits(&sent(case), &case.name);
    }
}

/// A message that is larger than any real one, made of one repeated sign.
fn huge(sign: &str) -> Message {
    let words = sign.repeat(10_000);
    let text = || Text::new().plain(words.as_str());
    let person = Person { display: words.clone(), ..Person::default() };
    Message {
        summary: text(),
        title: Some(Title { text: words.clone(), url: Some("https://a.example/x".to_owned()) }),
        body: Body::Lines(vec![Text::new().plain(sign.repeat(100)); 10_000]),
        fields: vec![Field { name: words.clone(), value: text(), short: true }; 40],
        author: Some(person.into()),
        project: ProjectInfo { full_name: words.clone(), ..ProjectInfo::default() }.into(),
        tone: Tone::Danger,
        ..Message::default()
    }
}

fn sent_message(message: &Message) -> Json {
    let note = Notification {
        id: "1",
        event: &kind("push").event,
        target: "",
        now: Timestamp::UNIX_EPOCH,
        operator: &OperatorSettings::default(),
        links: ProjectLinks::none(),
        open_request: None,
        may_have_been_sent: false,
        is_test: false,
        extent: crate::integration::Extent::default(),
        message: LazyMessage::composed(message.clone()),
    };
    body(&entry("discord").call(&plain(), &note).expect("a call"))
}

#[test]
fn limits_hold_for_characters_of_several_units() {
    for sign in ["x", "é", "🦊", "👩‍👩‍👧‍👦", "e\u{301}", "*", "@", "\u{2800}"] {
        let body = sent_message(&huge(sign));
        fits(&body, sign);
        let description = body["embeds"][0]["description"].as_str().expect("a description");
        assert!(description.ends_with('…'), "{sign}");
        assert!(length(&body["embeds"][0]["description"]) > 4000, "{sign}: the room is used");
        if sign == "👩‍👩‍👧‍👦" {
            assert!(description.trim_end_matches(['…', ' ', '\n']).ends_with(sign), "a family is not torn");
        }
    }
}

#[test]
fn parts_without_readable_text_are_left_out() {
    let blank = |name: &str, value: &str| Field {
        name: name.to_owned(),
        value: Text::new().plain(value),
        short: true,
    };
    let message = Message {
        summary: Text::new().plain("Something happened"),
        title: Some(Title { text: " \n".to_owned(), url: Some("https://a.example/x".to_owned()) }),
        fields: vec![blank("", "x"), blank("Name", " \u{2003}\n"), blank("Name", "value")],
        author: Some(Person::default().into()),
        ..Message::default()
    };
    let body = sent_message(&message);
    let embed = &body["embeds"][0];
    fits(&body, "blank");
    assert_eq!(embed["description"], "Something happened");
    assert_eq!(embed["fields"], json!([{ "name": "Name", "value": "value", "inline": true }]));
    for absent in ["title", "url", "author", "footer"] {
        assert!(embed.get(absent).is_none(), "{absent} in {embed}");
    }
}

#[test]
fn addresses_that_discord_refuses_are_in_the_description() {
    for host in ["gitlab", "localhost:3000", "[::1]"] {
        let url = format!("http://{host}/x");
        let message = Message {
            summary: Text::new().plain("Ann saw ").link("this", url.as_str()),
            title: Some(Title { text: "Title".to_owned(), url: Some(url.clone()) }),
            author: Some(
                Person {
                    display: "Ann".to_owned(),
                    avatar_url: Some(url.clone()),
                    url: Some(url.clone()),
                    ..Person::default()
                }
                .into(),
            ),
            ..Message::default()
        };
        let body = sent_message(&message);
        fits(&body, host);
        assert!(body["embeds"][0].get("title").is_none(), "{body}");
        assert_eq!(body["embeds"][0]["description"], format!("**[Title]({url})**  \nSaw [this]({url})"));
    }
    let forge = sent(&tell_changed("reported/53_localhost_forge.json", |_| {}));
    assert_eq!(
        forge["embeds"][0]["description"],
        "**[Opened issue #3 Screen stays black](http://gitlab/acme/rocket/-/issues/3)**  \n\
         [Acme / rocket](http://gitlab/acme/rocket)  \n  \nx"
    );
}

/// A title of 255 characters, the forge's longest, and the words before it.
#[test]
fn a_title_that_is_too_long_for_its_part_is_in_the_description() {
    let title = "Screen stays black ".repeat(13) + "for ever";
    let case = tell_changed("issue_open.json", |issue| issue["object_attributes"]["title"] = json!(title));
    let body = sent(&case);
    fits(&body, "a long title");
    let embed = &body["embeds"][0];
    assert!(embed.get("title").is_none(), "{embed}");
    let linked =
        format!("**[Opened issue #23 {title}](http://example.com/diaspora/issues/23)**  \n[GitlabHQ");
    assert!(embed["description"].as_str().is_some_and(|text| text.starts_with(&linked)), "{embed}");
}

/// The Markdown without the signs that a backslash escapes.
fn armed(text: &str) -> String {
    let mut left = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                chars.next();
                // It stands for a word.
                left.push('x');
            }
            c => left.push(c),
        }
    }
    left
}

#[test]
fn text_of_people_is_not_markup_to_discord() {
    let tricks = [
        "<@1>",
        "<@!1>",
        "<@&1>",
        "<#1>",
        "<:emoji:1>",
        "<a:emoji:1>",
        "<t:1>",
        "<t:1618953630:R>",
        "</cmd:1>",
        "<id:customize>",
        "<https://a.example>",
        "@everyone",
        "@here",
        "[words](https://a.example/)",
        "||spoiler||",
        "> quote",
        ">>> quote",
        "-# subtext",
        "# heading",
        "### heading",
        "- list",
        "* list",
        "1. list",
        "```rust\ncode\n```",
        "`code`",
        "**bold**",
        "__underlined__",
        "_slanted_",
        "~~struck~~",
    ];
    let forms = [
        "<@",
        "<#",
        "<:",
        "<a:",
        "<t:",
        "</",
        "<id:",
        "<http",
        "](",
        "||",
        "`",
        "**",
        "__",
        "~~",
        "@everyone",
        "@here",
    ];
    for trick in tricks {
        for words in [trick.to_owned(), format!("a\n{trick}"), format!("a {trick} b"), format!("\\{trick}")] {
            let text = || Text::new().plain(words.as_str());
            let message = Message {
                summary: text(),
                title: Some(Title { text: words.clone(), url: None }),
                fields: vec![Field { name: words.clone(), value: text(), short: true }],
                body: Body::Lines(vec![text()]),
                ..Message::default()
            };
            let body = sent_message(&message);
            let embed = &body["embeds"][0];
            for part in [
                &embed["title"],
                &embed["description"],
                &embed["fields"][0]["name"],
                &embed["fields"][0]["value"],
            ] {
                // An address in a text is a link to itself.
                let armed = armed(&part.as_str().expect("words").replace("<https://a.example>", "link"));
                for form in forms {
                    assert!(!armed.contains(form), "{words:?} became {part}");
                }
                for line in armed.lines() {
                    let begins = ["#", ">", "-", "* ", "1. ", "+ "].iter().any(|mark| line.starts_with(mark));
                    assert!(!begins, "{words:?} became {part}");
                }
            }
        }
    }
    // Names, in which Discord reads no Markdown, mention no one either.
    let message = Message {
        author: Some(Person { display: "@everyone <@1>".to_owned(), ..Person::default() }.into()),
        ..Message { summary: Text::new().plain("x"), ..Message::default() }
    };
    let name = sent_message(&message)["embeds"][0]["author"]["name"].to_string();
    assert!(!name.contains("@everyone") && !name.contains("<@"), "{name}");
}

#[test]
fn addresses_are_dropped_before_text() {
    let title = "Light the engines two seconds earlier, as was agreed upon in the last meeting but one";
    let many = tell_changed("push.json", |push| {
        let commit = push["commits"][0].clone();
        push["commits"] = vec![commit; 20].into();
        push["commits"]
            .as_array_mut()
            .into_iter()
            .flatten()
            .for_each(|commit| commit["title"] = json!(title));
        push["total_commits_count"] = json!(57);
    });
    let description = sent(&many)["embeds"][0]["description"].as_str().unwrap_or_default().to_owned();
    assert_eq!(description.matches(title).count(), 20, "{description}");
    assert!(description.ends_with("and 37 more commits"), "{description}");
    assert!(description.contains("[b6568db1](http"), "the first ones are links: {description}");
    let failed = tell_changed("pipeline_success.json", |pipeline| {
        pipeline["object_attributes"]["status"] = json!("failed");
        pipeline["project"]["web_url"] =
            json!("https://forge.example.com/a/group/with/a/longer/name/and/a/project");
        let job = |n: usize| json!({"id": n, "stage": "test", "name": format!("rspec-ee unit pg14 praefect {n}/30"), "status": "failed"});
        pipeline["builds"] = (1..=30).map(job).collect();
    });
    let embed = &sent(&failed)["embeds"][0];
    let jobs = embed["fields"].as_array().into_iter().flatten().find(|field| field["name"] == "Failed jobs");
    let jobs = jobs.and_then(|jobs| jobs["value"].as_str()).unwrap_or_default();
    assert!(jobs.ends_with("and 20 more"), "{jobs}");
}

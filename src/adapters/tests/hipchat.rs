//! HipChat: how its answers are read, and what it does in its own way.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::events::{Case, tell_changed};
use super::{
    answer, body, buckets as buckets_of, call_with, consequence, entry, http, kind, note, settings_of,
};
use crate::call::{Answer, Failure, HttpRequest, HttpResponse, Response, Sent};
use crate::settings::{FieldError, Properties, Value};

const SLUG: &str = "hipchat";

fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut properties = vec![("token", "s3cr3tt0ken"), ("room", "dev")];
    properties.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
    properties.extend(more);
    properties
}

fn request(more: &[(&str, &str)], case: &Case) -> HttpRequest {
    http(&call_with(entry(SLUG), &settings_of(SLUG, &with(more)), case, "")).clone()
}

fn sent(more: &[(&str, &str)], case: &Case) -> Json {
    body(&call_with(entry(SLUG), &settings_of(SLUG, &with(more)), case, ""))
}

/// The consequence of an answer to a request of this version.
fn read(version: &str, status: u16, headers: &[(&str, &str)], text: &str) -> Answer<Sent> {
    let settings = settings_of(SLUG, &with(&[("api_version", version)]));
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let at = Timestamp::from_second(1_000_000).expect("a moment");
    let response = HttpResponse { status, headers, body: text.to_owned().into(), at };
    (call_with(entry(SLUG), &settings, kind("push"), "").read)(&Response::Http(response))
}

fn errors(more: &[(&str, &str)]) -> Vec<String> {
    let property = |(name, value): (&str, &str)| (name.to_owned(), Value::Text(value.to_owned()));
    let properties: Properties = with(more).into_iter().map(property).collect();
    let errors = entry(SLUG).read(&properties).err().unwrap_or_default();
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn version_1_answers_sent_and_reports_its_rate_limit_as_403() {
    assert!(matches!(read("v1", 200, &[], "{\"status\":\"sent\"}"), Answer::Done(Sent)));
    assert!(matches!(read("v1", 200, &[], ""), Answer::Done(Sent)));
    let Answer::Failed(odd) = read("v1", 200, &[], "{\"status\":\"queued?\"}") else { panic!("taken") };
    assert!(matches!(odd, Failure::Unavailable { maybe_taken: true, .. }), "{odd}");
    let limited = r#"{"error":{"code":403,"type":"Forbidden","message":"You have exceeded the rate limit"}}"#;
    let Answer::Failed(throttled) = read("v1", 403, &[], limited) else { panic!("taken") };
    assert!(matches!(throttled, Failure::Throttled { shared: true, wait: None, .. }), "{throttled}");
    for silent in ["", "{}"] {
        assert!(matches!(read("v2", 200, &[], silent), Answer::Done(Sent)), "{silent}");
    }
    for words in ["Access denied by policy", r#"{"error":{"code":401,"type":"Unauthorized"}}"#] {
        let Answer::Failed(odd) = read("v2", 200, &[], words) else { panic!("{words} counts as taken") };
        assert!(matches!(odd, Failure::Unavailable { maybe_taken: true, .. }), "{odd}");
    }
    for version in ["v1", "v2"] {
        let Answer::Failed(page) = read(version, 200, &[], "<html>Sign in</html>") else { panic!("taken") };
        assert!(matches!(page, Failure::Unavailable { maybe_taken: false, .. }), "{page}");
    }
}

/// The form of its errors is seen in <https://gist.github.com/danriti/7345074>.
#[test]
fn only_an_error_in_the_servers_own_form_is_about_the_token_or_the_room() {
    let error = |code: u16, kind: &str| {
        json!({"error": {"code": code, "type": kind, "message": "Invalid OAuth session"}}).to_string()
    };
    let table = [
        (400, error(400, "Bad Request"), "rejected"),
        (401, error(401, "Unauthorized"), "misconfigured"),
        (403, error(403, "Forbidden"), "misconfigured"),
        (404, error(404, "Not Found"), "misconfigured"),
        (405, error(405, "Method Not Allowed"), "misconfigured"),
        (404, error(503, "Not Found"), "unavailable"),
        (404, r#"{"error":{"code":404}}"#.to_owned(), "unavailable"),
        (401, String::new(), "unavailable"),
    ];
    for (status, body, expected) in table {
        assert_eq!(consequence(&read("v2", status, &[], &body)), expected, "{status} {body}");
    }
    assert_eq!(consequence(&read("v1", 403, &[], "<html>Blocked</html>")), "unavailable");
}

#[test]
fn a_rooms_limit_holds_the_room_and_a_tokens_limit_holds_all_of_its_rooms() {
    let throttled = |headers: &[(&str, &str)]| match read("v2", 429, headers, "") {
        Answer::Failed(Failure::Throttled { wait, shared, .. }) => (wait.map(|wait| wait.as_secs()), shared),
        other => panic!("{}", consequence(&other)),
    };
    let flood = [("x-floodcontrol-remaining", "0"), ("x-floodcontrol-reset", "1000042")];
    let rate = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1000270")];
    let flood_left = [("x-floodcontrol-remaining", "7"), ("x-floodcontrol-reset", "1000042")];
    let rate_left = [("x-ratelimit-remaining", "480"), ("x-ratelimit-reset", "1000270")];
    assert_eq!(throttled(&[flood, rate_left].concat()), (Some(42), false));
    assert_eq!(throttled(&[flood_left, rate].concat()), (Some(270), true));
    assert_eq!(throttled(&[flood, rate].concat()), (Some(270), true), "both must end");
    assert_eq!(throttled(&flood), (Some(42), false));
    assert_eq!(throttled(&[flood_left, rate_left].concat()), (None, false), "neither has ended");
    assert_eq!(throttled(&[]), (None, false));
    assert_eq!(throttled(&[("retry-after", "9")]), (Some(9), false));
    let past = [("x-floodcontrol-remaining", "0"), ("x-floodcontrol-reset", "999990")];
    assert_eq!(throttled(&past), (Some(1), false), "the clocks differ");
    for nonsense in ["soon", "-1", "1e300", "NaN", ""] {
        let reset = [("x-floodcontrol-remaining", "0"), ("x-floodcontrol-reset", nonsense)];
        let (wait, shared) = throttled(&reset);
        assert!(wait.is_none_or(|wait| wait == 1) && !shared, "{nonsense}: {wait:?}");
    }
}

#[test]
fn without_a_room_nothing_is_sent_and_a_warning_says_so() {
    let (entry, settings) = (entry(SLUG), settings_of(SLUG, &with(&[("room", " ")])));
    assert_eq!(entry.warnings(&settings), [FieldError::new("room", "is not set: nothing can be sent")]);
    let note = note(&kind("push").event, "");
    let Err(failure) = entry.call(&settings, &note) else { panic!("there is a call") };
    assert!(matches!(&failure, Failure::Misconfigured(why) if why.contains("set `room`")), "{failure}");
    assert!(entry.warnings(&settings_of(SLUG, &with(&[]))).is_empty());
}

#[test]
fn any_name_of_a_room_is_one_part_of_the_address() {
    let path = |room: &str| request(&[("room", room)], kind("push")).url.to_string();
    let at = |room: &str| format!("https://api.hipchat.com/v2/room/{room}/notification");
    assert_eq!(path("1234"), at("1234"));
    assert_eq!(path("  Release Room "), at("Release%20Room"));
    assert_eq!(path("a/b?c#d%e"), at("a%2Fb%3Fc%23d%25e"));
    assert_eq!(path("Bücher & Käse+Wein"), at("B%C3%BCcher%20&%20K%C3%A4se+Wein"));
    assert_eq!(path("../../v1"), at("..%2F..%2Fv1"));
    assert_eq!(path("%2e%2e"), at("%252e%252e"));
    assert_eq!(errors(&[("room", "..")]), ["room: must be a room's name or number"]);
    assert_eq!(errors(&[("room", " . ")]), ["room: must be a room's name or number"]);
}

#[test]
fn server_addresses_are_normalised() {
    for server in [
        "https://chat.example",
        "https://chat.example/",
        "https://chat.example/v2",
        "https://chat.example/v1/",
    ] {
        let url = request(&[("server", server)], kind("push")).url;
        assert_eq!(url.as_str(), "https://chat.example/v2/room/dev/notification", "{server}");
    }
    let below = request(&[("server", "https://example.com:8443/hipchat/v2/?x=y#z")], kind("push")).url;
    assert_eq!(below.as_str(), "https://example.com:8443/hipchat/v2/room/dev/notification");
    let blank = request(&[("server", " ")], kind("push")).url;
    assert_eq!(blank.as_str(), "https://api.hipchat.com/v2/room/dev/notification");
    let named = errors(&[("server", "https://user:pass@chat.example")]);
    assert_eq!(named.len(), 1, "{named:?}");
    assert_eq!(errors(&[("server", "chat.example")]), ["server: must be a valid URL"]);
}

#[test]
fn invalid_settings_are_reported() {
    assert_eq!(errors(&[]), Vec::<String>::new());
    assert_eq!(errors(&[("color", "Gray "), ("api_version", "V1")]), Vec::<String>::new());
    assert_eq!(errors(&[("color", " "), ("api_version", "")]), Vec::<String>::new());
    assert_eq!(
        errors(&[("color", "pink"), ("api_version", "v3"), ("notify", "loudly")]),
        [
            "color: must be yellow, red, green, purple, gray or random",
            "notify: is not true or false",
            "api_version: must be v1 or v2"
        ]
    );
    assert_eq!(errors(&[("token", "one\ntwo")]), ["token: must be one word of letters, digits and signs"]);
}

#[test]
fn the_token_is_a_header_and_with_version_1_in_the_query() {
    let second = request(&[], kind("push"));
    assert!(second.headers.contains(&("authorization", "Bearer s3cr3tt0ken".to_owned())));
    assert!(!second.url.as_str().contains("s3cr3t"));
    let case = kind("push");
    let first = request(&[("api_version", "v1"), ("room", "Käse"), ("notify", "yes")], case);
    assert_eq!(
        first.url.as_str(),
        "https://api.hipchat.com/v1/rooms/message?format=json&auth_token=s3cr3tt0ken"
    );
    assert_eq!(first.headers, [("content-type", "application/x-www-form-urlencoded".to_owned())]);
    let form = sent(&[("api_version", "v1"), ("room", "Käse"), ("notify", "yes")], case);
    assert_eq!(form["room_id"], "Käse");
    assert_eq!(
        (&form["notify"], &form["color"], &form["message_format"]),
        (&json!("1"), &json!("yellow"), &json!("html"))
    );
    assert!(form["from"].as_str().is_some_and(|from| !from.is_empty() && from.len() < 15));
    assert_eq!(form["message"], sent(&[], case)["message"]);
}

#[test]
fn a_pipelines_colour_shows_its_status_and_other_colours_are_set() {
    let color = |more: &[(&str, &str)], name: &str| sent(more, kind(name))["color"].clone();
    assert_eq!(color(&[], "issue"), "yellow");
    assert_eq!(color(&[("color", "")], "push"), "yellow");
    assert_eq!(color(&[("color", "random")], "push"), "random");
    assert_eq!(color(&[("color", "purple")], "pipeline"), "green");
    assert_eq!(color(&[("color", "purple")], "pipeline_failed"), "red");
    assert_eq!(sent(&[], kind("push"))["notify"], false);
    assert_eq!(sent(&[("notify", "1")], kind("push"))["notify"], true);
}

#[test]
fn three_commits_are_listed_and_the_others_counted() {
    let message = |case: &Case| sent(&[], case)["message"].as_str().expect("a message").to_owned();
    let many = message(kind("push_14_commits"));
    assert_eq!(many.matches("<br />- ").count(), 3, "{many}");
    assert!(many.ends_with("<br />… 11 more commits"), "{many}");
    let some = message(kind("push"));
    assert_eq!(some.matches("<br />- ").count(), 2, "{some}");
    assert!(some.ends_with("<br />… 2 more commits"), "the payload lists two of four: {some}");
    let pushed = |commits: usize| {
        message(&tell_changed("push.json", |push| {
            let commit = push["commits"][0].clone();
            push["commits"] = vec![commit; commits].into();
            push["total_commits_count"] = json!(commits);
        }))
    };
    assert!(!pushed(3).contains("more commit"));
    assert!(pushed(4).ends_with("<br />… 1 more commit"));
    assert!(!message(kind("branch_removed")).contains("<br />"));
}

#[test]
fn text_of_people_is_cut_at_200_characters_with_its_tags_closed() {
    let message = |words: String| {
        let case = tell_changed("note_issue.json", |note| note["object_attributes"]["note"] = json!(words));
        sent(&[], &case)["message"].as_str().expect("a message").to_owned()
    };
    let long =
        message("a **bold** word, [a link](https://a.example/x) ".to_owned() + &"and more ".repeat(100));
    let (_, shown) = long.split_once("<br />").expect("a second line");
    assert!(
        shown.starts_with("a <b>bold</b> word, <a href=\"https://a.example/x\">a link</a> and more"),
        "{shown}"
    );
    assert!(shown.ends_with(" and…") || shown.ends_with(" more…"), "{shown}");
    let visible = shown.len() - "<b></b>".len() - "<a href=\"https://a.example/x\"></a>".len();
    assert!((180..=202).contains(&visible), "{visible}: {shown}");
    // The cut falls into an emoji that is made of several characters, for every place in it.
    for before in 190..200 {
        let message = message("x".repeat(before) + "👩‍👩‍👧👩‍👩‍👧 and then");
        assert!(message.ends_with("👩‍👩‍👧…") || message.ends_with("x…"), "{message}");
    }
    let code = message("```\n".to_owned() + &"let x = 1;\n".repeat(50) + "```");
    assert!(code.ends_with("…</pre>"), "{code}");
    let bold = message(format!("**{}**", "strong words ".repeat(50).trim_end()));
    assert!(bold.ends_with("…</b>"), "{bold}");
}

/// As in GitLab, the description follows the title for every action.
#[test]
fn descriptions_of_issues_and_merge_requests_are_shown() {
    for file in [
        "issue_open.json",
        "captured/issue_closed.json",
        "merge_request_open.json",
        "captured/merge_request_merge.json",
    ] {
        let case = tell_changed(file, |body| {
            body["object_attributes"]["description"] = json!("use *this* one\n\n![shot](/uploads/1f/a.png)");
        });
        let message = sent(&[], &case)["message"].as_str().expect("a message").to_owned();
        let (_, shown) = message.split_once("<br />").unwrap_or_else(|| panic!("{file}: {message}"));
        assert!(shown.starts_with("use <i>this</i> one<br /><br /><a href=\"http"), "{file}: {shown}");
    }
    let without = tell_changed("captured/merge_request_merge.json", |body| {
        body["object_attributes"]["description"] = json!("<!-- nothing -->");
    });
    let message = sent(&[], &without)["message"].as_str().expect("a message").to_owned();
    assert!(!message.contains("<br />"), "{message}");
}

#[test]
fn a_message_with_a_long_title_fits() {
    let case = tell_changed("push.json", |push| {
        let commit = |n: usize| {
            json!({
                "id": format!("{n:040}"), "title": "<&'\">".repeat(60), "url": format!("https://a.example/{}", "x".repeat(1900)),
                "author": {"name": "\"".repeat(200)}
            })
        };
        push["commits"] = (0..20).map(commit).collect();
        push["ref"] = json!("refs/heads/".to_owned() + &"ü".repeat(250));
        push["project"]["web_url"] = json!("https://a.example/".to_owned() + &"p".repeat(1900));
    });
    let message = sent(&[], &case)["message"].as_str().expect("a message").to_owned();
    assert!(message.chars().count() <= 10_000, "{}", message.chars().count());
    for tag in ["a", "b", "pre", "code"] {
        let opened =
            message.matches(&format!("<{tag} ")).count() + message.matches(&format!("<{tag}>")).count();
        assert_eq!(opened, message.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn rooms_and_tokens_have_separate_limits() {
    let buckets = |more: &[(&str, &str)]| buckets_of(entry(SLUG), &settings_of(SLUG, &with(more)), "");
    let ours = buckets(&[]);
    assert_eq!((ours[0].every, ours[0].burst), (Duration::from_secs(2), 5));
    assert_eq!((ours[1].every, ours[1].burst), (Duration::from_millis(600), 20));
    assert_eq!(buckets(&[("api_version", "v1")])[1].every, Duration::from_secs(3));
    let other_room = buckets(&[("room", "ops")]);
    assert_ne!(ours[0].key, other_room[0].key);
    assert_eq!(ours[1].key, other_room[1].key, "one token");
    let other_token = buckets(&[("token", "an0ther")]);
    assert_eq!(ours[0].key, other_token[0].key, "one room");
    assert_ne!(ours[1].key, other_token[1].key);
    assert_eq!(ours[0].key, buckets(&[("server", "https://api.hipchat.com/v2/")])[0].key, "one server");
    assert_ne!(ours[0].key, buckets(&[("server", "https://chat.example")])[0].key);
}

#[test]
fn errors_of_the_server_are_quoted_without_the_token() {
    let said = "{\"error\":{\"code\":400,\"type\":\"Bad Request\",\"message\":\"Field 'message' too long\"}}";
    let Answer::Failed(refused) = answer(entry(SLUG), 400, &[], said) else { panic!("taken") };
    assert_eq!(refused, Failure::Rejected(format!("answered 400: {said}")));
    let Answer::Failed(unknown) = read("v1", 401, &[], "auth_token=s3cr3tt0ken is unknown") else {
        panic!("taken")
    };
    assert!(unknown.why().starts_with("answered 401: auth_token=************ is unknown"), "{unknown}");
}

//! Pivotal Tracker: every commit of a push is posted to its endpoint for source commits, which finds the stories that
//! the message names (`[#123]`, `[fixes #123]`, `[delivers #123]`) by itself (`POST /services/v5/source_commits`).
//!
//! The service ended on 30 April 2025, so commits are posted only to the compatible server that `base_url` names, if
//! any. Each commit is a separate delivery. A repeated attempt first checks whether one of the stories has the commit
//! already: a comment for a commit contains its `commit_identifier`.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::address::{below, page, token_errors};
use super::commits::{find, push, told_of};
use super::restrict::{self, Spaces};
use crate::adapters::contract::{
    About, Adapter, CommonSettings, Deliver, Delivery, Notification, Preview, Target, Targets,
};
#[cfg(test)]
use crate::adapters::tests::{Contract, Expected, OwnEvent};
use crate::call::{
    Answer, Bucket, Call, Failure, HttpRequest, HttpResponse, Method, Pace, Sent, by_status, describe,
    unavailable,
};
use crate::event::{Commit, Event, Trigger, Triggers};
use crate::integration::Family;
use crate::message::{Limit, Markup, TEST_MARK, Text};
use crate::settings::{FieldError, Secret, Url};

const SERVER: &str = "https://www.pivotaltracker.com";
/// No limit is published; these values are our choice.
const MESSAGE: Limit = Limit::Chars(20_000);
const AUTHOR: Limit = Limit::Chars(250);
/// No rate is published; this value is our choice.
const PER_TOKEN: (u32, u32) = (1, 3);
/// A repeated attempt checks this many of the stories that a commit names. If one has the commit, that is enough.
const LOOKED_AT: usize = 2;
/// Longer numbers are none.
const LONGEST_NUMBER: usize = 19;

crate::settings! {
    /// What Pivotal Tracker needs.
    pub struct Settings {
        /// The API token of the user who makes the comments.
        pub token: Secret = "8f2c4e6a1b3d5f7092a4c6e8b0d2f4a6",
        /// The branches whose commits are told, separated by commas; exact names. Blank: all branches.
        pub restrict_to_branch: Option<String> = "main, master",
        /// The address of a compatible server. Pivotal Tracker has ended, so nothing is sent without it.
        pub base_url: Option<Url> = "https://tracker.example.com",
    }
}

/// The adapter.
pub struct PivotalTracker;

impl Adapter for PivotalTracker {
    const ABOUT: About = About {
        slug: "pivotaltracker",
        title: "Pivotal Tracker",
        summary: "Tells each commit to a server that is compatible with Pivotal Tracker, which comments on the stories that it \
                  names.",
        triggers: Triggers::of(&[Trigger::Push]),
        family: Family::Hook,
        common: CommonSettings::NONE,
    };
    type Settings = Settings;

    fn validate(settings: &Settings) -> Vec<FieldError> {
        token_errors("token", &settings.token)
    }

    fn warnings(settings: &Settings) -> Vec<FieldError> {
        let mut warnings = restrict::warnings(settings.restrict_to_branch.as_deref(), Spaces::Trimmed);
        if settings.base_url.is_none() {
            warnings.push(FieldError::new("base_url", format!("is not set, so nothing is sent: {ENDED}")));
        }
        warnings
    }
}

const ENDED: &str = "Pivotal Tracker has ended, and `base_url` names a compatible server";

impl Deliver for PivotalTracker {
    const DELIVERY: Delivery = Delivery {
        max_age: Duration::from_secs(24 * 3600),
        retry_ambiguous: true,
        // Stories get the commits in their order.
        concurrency: 1,
        // The stories, and the commit.
        calls: 3,
        limits: "1 request a second per token (bursts of 3); the 20 newest commits of a push are told; messages are cut at 20,000 \
                 characters.",
        preview: Preview::Call,
    };
    const LOOKS_FIRST: bool = true;

    #[cfg(test)]
    const CONTRACT: Contract = Contract {
        links_references: false,
        // 20,000 characters of four bytes, some of which are escaped.
        largest_body: 140_000,
        // Tracker finds people in comments that they write, and none in commits.
        mentions: &[],
        targets_of_event: true,
        own_event: Some(OwnEvent {
            name: "push_of_stories",
            file: "push.json",
            change: |push| {
                push["commits"][0]["message"] = "Light the engines [fixes #123456789 #987654321]".into();
            },
        }),
        answers: &[
            Expected { status: 200, headers: &[], body: "[]", outcome: "taken" },
            Expected { status: 200, headers: &[], body: r#"[{"kind":"story","id":1}]"#, outcome: "taken" },
            Expected { status: 200, headers: &[], body: "{}", outcome: "taken" },
            Expected { status: 204, headers: &[], body: "", outcome: "taken" },
            Expected { status: 200, headers: &[], body: "<html>Sign in</html>", outcome: "unavailable" },
            Expected {
                status: 403,
                headers: &[],
                body: r#"{"code":"invalid_authentication","kind":"error","error":"Invalid authentication credentials were presented."}"#,
                outcome: "misconfigured",
            },
            Expected {
                status: 404,
                headers: &[],
                body: r#"{"code":"route_not_found","kind":"error","error":"The path you requested has no valid endpoint."}"#,
                outcome: "misconfigured",
            },
            Expected {
                status: 400,
                headers: &[],
                body: r#"{"code":"invalid_parameter","kind":"error","error":"One or more request parameters was missing or invalid."}"#,
                outcome: "rejected",
            },
            Expected {
                status: 200,
                headers: &[],
                body: r#"{"code":"unhandled_condition","kind":"error","error":"x"}"#,
                outcome: "rejected",
            },
            Expected { status: 403, headers: &[], body: r#"{"error":"x"}"#, outcome: "unavailable" },
            Expected { status: 429, headers: &[("retry-after", "9")], body: "", outcome: "throttled 9 s" },
            Expected {
                status: 500,
                headers: &[],
                body: r#"{"code":"unhandled_condition","kind":"error","error":"x"}"#,
                outcome: "unavailable, perhaps taken",
            },
            Expected { status: 503, headers: &[], body: "<html>", outcome: "unavailable" },
        ],
        chain: &[(200, "[]")],
        repeated: &[
            (200, r#"{"comments":[{"kind":"comment","commit_identifier":"another"}]}"#),
            (
                404,
                r#"{"code":"unfound_resource","kind":"error","error":"The object you tried to access could not be found."}"#,
            ),
            (200, "[]"),
        ],
        ..Contract::USUAL
    };

    /// A commit each, by its id.
    fn targets(settings: &Settings, event: &Event, _channels: &[String]) -> Targets {
        let Some(push) = push(event) else { return Targets::none("only pushes have commits") };
        if settings.base_url.is_none() {
            return Targets::none(format!("`base_url` is not set: {ENDED}"));
        }
        if let Some(why) = restrict::left_out(settings.restrict_to_branch.as_deref(), Spaces::Trimmed, push) {
            return Targets::none(why);
        }
        let (commits, left_out) = told_of(push);
        let send = commits.into_iter().map(|commit| Target::named(commit.id.to_string())).collect();
        Targets { send, left_out }
    }

    fn pace(settings: &Settings, _target: &str) -> Pace {
        let (count, burst) = PER_TOKEN;
        let server = below(settings.base_url.as_ref(), SERVER, []).origin().ascii_serialization();
        let parts = [server.as_str(), settings.token.expose().trim()];
        // The calls of a repeated attempt. The first attempt takes a single call.
        let bucket = Bucket::new("pivotal token", &parts, count, Duration::from_secs(1), burst);
        Pace::of(bucket).calls(Self::DELIVERY.calls)
    }

    fn call(settings: &Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        let commit = push(note.event).and_then(|push| find(push, note.target));
        let Some(commit) = commit else {
            return Err(Failure::Rejected(format!("the push has no commit {}", note.target)));
        };
        let tell = tell(settings, note, commit);
        if !note.may_have_been_sent {
            return Ok(tell);
        }
        let stories = stories(&commit.message).into_iter().take(LOOKED_AT);
        Ok(stories.rev().fold(tell, |next, story| unless_known(settings, &story, &commit.id, next)))
    }
}

fn request(settings: &Settings, method: Method, parts: &[&str]) -> HttpRequest {
    let segments = ["services", "v5"].iter().chain(parts).copied();
    let url = below(settings.base_url.as_ref(), SERVER, segments);
    let headers = vec![
        ("accept", "application/json".to_owned()),
        ("x-trackertoken", settings.token.expose().trim().to_owned()),
    ];
    HttpRequest { headers, ..HttpRequest::new(method, url) }
}

fn tell(settings: &Settings, note: &Notification<'_>, commit: &Commit) -> Call<Sent> {
    let test = if note.is_test { format!("{TEST_MARK} ") } else { String::new() };
    let words = format!("{test}{}", commit.message);
    let source = json!({
        "commit_id": commit.id,
        "author": Markup::Plain.label(&commit.author.name, AUTHOR),
        "url": page(&commit.url),
        "message": Markup::Plain.render_within(&Text::new().plain(words), MESSAGE),
    });
    let mut request = request(settings, Method::Post, &["source_commits"]);
    request.headers.push(("content-type", "application/json".to_owned()));
    request.body = json!({ "source_commit": source }).to_string().into();
    Call::http(request, read)
}

/// Goes on where the story does not have the commit.
fn unless_known(settings: &Settings, story: &str, commit: &str, next: Call<Sent>) -> Call<Sent> {
    let mut request = request(settings, Method::Get, &["stories", story]);
    request.url.query_pairs_mut().append_pair("fields", "comments(commit_identifier)");
    let commit = commit.to_owned();
    Call::http(request, move |response| {
        let answer: Json = serde_json::from_slice(&response.body).unwrap_or_default();
        let is_error = answer["kind"] == "error";
        match response.status {
            200 if answer.is_object() && !is_error => {
                let mut comments = answer["comments"].as_array().into_iter().flatten();
                let has_it = comments.any(|comment| comment["commit_identifier"] == commit.as_str());
                if has_it { Answer::Done(Sent) } else { Answer::Next(next) }
            }
            // The story does not exist, or the token's user can't see it.
            404 if is_error => Answer::Next(next),
            200..=299 => Answer::Failed(unavailable(response, false)),
            _ => refused(response, &answer),
        }
    })
}

/// The stories that a message names: `#` and a number within square brackets.
fn stories(message: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for part in message.split('[').skip(1) {
        let Some((inside, _)) = part.split_once(']') else { continue };
        for word in inside.split('#').skip(1) {
            let number = &word[..word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len())];
            if (1..=LONGEST_NUMBER).contains(&number.len()) && !found.iter().any(|known| known == number) {
                found.push(number.to_owned());
                if found.len() == LOOKED_AT {
                    return found;
                }
            }
        }
    }
    found
}

fn read(response: &HttpResponse) -> Answer<Sent> {
    let answer: Json = serde_json::from_slice(&response.body).unwrap_or_default();
    match response.status {
        200..=299 if answer["kind"] == "error" => Answer::Failed(Failure::Rejected(describe(response))),
        // The endpoint may have made the comments before it failed.
        500 if answer["kind"] == "error" => Answer::Failed(unavailable(response, true)),
        _ => refused(response, &answer),
    }
}

/// Errors of the service's own say so (`"kind":"error"`).
fn refused(response: &HttpResponse, answer: &Json) -> Answer<Sent> {
    match response.status {
        401 | 403 | 404 if answer["kind"] == "error" => {
            Answer::Failed(Failure::Misconfigured(describe(response)))
        }
        _ => by_status(response),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::tests::{Before, errors, own_event, play_own, play_to, targets_of_own};

    const REQUIRED: [(&str, &str); 2] = [("token", "t0ken-word"), ("base_url", "https://pt.example/x/?a=b")];
    const FIRST: &str = "b6568db1bc1dcd7f8b4d5a946b0b91f9dacd7327";

    #[test]
    fn each_commit_is_told_by_itself() {
        let targets = targets_of_own("pivotaltracker", &REQUIRED, |_| ());
        let names: Vec<&str> = targets.send.iter().map(|target| target.name.as_str()).collect();
        assert_eq!(names, [FIRST, "da1560886d4f094c3e6c9ef40349f7d38b5d27d7"]);
        assert_eq!(
            targets.left_out,
            ["the other 2 commits of the push, which the event does not list"],
            "push.json counts four and lists two"
        );
        let played = play_own("pivotaltracker", &REQUIRED, &[(200, "[]")]);
        assert_eq!(played.address(0), "POST https://pt.example/x/services/v5/source_commits");
        assert_eq!(played.header(0, "x-trackertoken"), "t0ken-word");
        assert_eq!(
            *played.body(0),
            json!({ "source_commit": {
                "commit_id": FIRST, "author": "Jordi Mallach",
                "url": format!("http://example.com/mike/diaspora/commit/{FIRST}"),
                "message": "Light the engines [fixes #123456789 #987654321]",
            }})
        );
        assert_eq!(played.outcome, "taken");
    }

    #[test]
    fn a_push_without_commits_is_told_of_nothing() {
        let targets = targets_of_own("pivotaltracker", &REQUIRED, |push| {
            push["commits"] = json!([]);
            push["total_commits_count"] = json!(0);
        });
        assert_eq!((targets.send.len(), targets.left_out), (0, vec!["the push has no commits".to_owned()]));
    }

    #[test]
    fn a_repeated_attempt_looks_at_the_stories_first() {
        let event = own_event("pivotaltracker", |_| ());
        let repeated = |answers: &[(u16, &str)]| {
            play_to("pivotaltracker", &REQUIRED, &event, FIRST, Before::Attempt, answers)
        };
        let known =
            format!(r#"{{"comments":[{{"commit_identifier":"x"}},{{"commit_identifier":"{FIRST}"}}]}}"#);
        let none = r#"{"comments":[]}"#;
        let found = repeated(&[(200, &known)]);
        assert_eq!(
            found.address(0),
            "GET https://pt.example/x/services/v5/stories/123456789?fields=comments%28commit_identifier%29"
        );
        assert_eq!((found.requests.len(), found.outcome.as_str()), (1, "taken"));
        let second = repeated(&[(200, none), (200, &known)]);
        assert_eq!((second.requests.len(), second.outcome.as_str()), (2, "taken"));
        let neither = repeated(&[(200, none), (200, none), (200, "[]")]);
        assert!(neither.address(2).starts_with("POST "), "{:?}", neither.requests);
        // If the check fails, it is made again later, and nothing is posted meanwhile.
        for unsound in ["", "<html>", "[]", "{", r#"{"kind":"error"}"#] {
            assert_eq!(repeated(&[(200, unsound)]).outcome, "unavailable", "{unsound}");
        }
    }

    #[test]
    fn a_repeated_attempt_takes_all_of_its_calls() {
        let entry = crate::adapters::find("pivotaltracker").expect("the adapter");
        let settings = crate::adapters::tests::settings_with("pivotaltracker", &REQUIRED).expect("settings");
        let pace = entry.pace(&settings, FIRST).expect("a pace");
        assert_eq!((pace.calls, pace.destination.burst), (3, 3), "two stories and the commit");
    }

    #[test]
    fn stories_are_numbers_in_brackets() {
        for (message, expected) in [
            ("[#1]", vec!["1"]),
            ("a [fixes #1 and #2] b", vec!["1", "2"]),
            ("[delivers #1][#1] [#3]", vec!["1", "3"]),
            ("#1 (#2) [3] [#x] [#] [#4", vec![]),
            ("[#12345678901234567890]", vec![]),
        ] {
            assert_eq!(stories(message), expected, "{message}");
        }
        assert_eq!(stories(&"[#1] [#2] [#3] ".repeat(10_000)).len(), LOOKED_AT);
    }

    #[test]
    fn long_messages_are_cut_and_odd_ones_are_cleaned() {
        let event = own_event("pivotaltracker", |push| {
            push["commits"][0]["message"] = json!(format!("\u{202e}\0[#1] {}", "ש".repeat(30_000)));
            push["commits"][0]["url"] = json!("javascript:alert(1)");
            push["commits"][0]["author"] = json!(null);
        });
        let played = play_to("pivotaltracker", &REQUIRED, &event, FIRST, Before::Nothing, &[]);
        let told = &played.body(0)["source_commit"];
        let message = told["message"].as_str().expect("a message");
        assert_eq!(message.chars().count(), 20_000);
        assert!(message.starts_with("[#1] ש") && message.ends_with('…'), "{}", &message[..20]);
        assert_eq!((&told["url"], &told["author"]), (&json!(null), &json!("")));
    }

    #[test]
    fn without_a_compatible_server_nothing_is_sent_and_the_reason_is_said() {
        let alone = [("token", "t")];
        assert!(errors("pivotaltracker", &alone).is_empty(), "GitLab's settings are accepted");
        let targets = targets_of_own("pivotaltracker", &alone, |_| ());
        assert_eq!(targets, Targets::none(format!("`base_url` is not set: {ENDED}")));
    }

    #[test]
    fn branches_are_exact_and_the_list_is_trimmed() {
        let with = |list: &'static str| {
            let settings = [REQUIRED[0], REQUIRED[1], ("restrict_to_branch", list)];
            targets_of_own("pivotaltracker", &settings, |_| ()).send.len()
        };
        assert_eq!((with(" master , x"), with("mas"), with("masterpiece"), with("")), (2, 0, 0, 2));
    }

    #[test]
    fn a_token_is_one_word() {
        let wrong = errors("pivotaltracker", &[("token", "a b")]);
        assert_eq!(wrong, ["token: must be one word of letters, digits and signs"]);
    }
}

//! Flowdock, through activities in a flow (<https://github.com/flowdock/flowdock-api>). The service has ended
//! (<https://gitlab.com/gitlab-org/gitlab/-/issues/379197>); `base_url` names a server that is compatible with it.
//!
//! Each commit of a push is an activity of its own, and a delivery of its own. Activities of a branch share a thread, as
//! GitLab's did: the thread of a branch is named by its ref, and each push to `master` has a thread of its own.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::one_text::one_text;
use crate::adapters::contract::{
    About, Adapter, CommonSettings, Deliver, Delivery, Notification, Preview, Target, Targets,
};
#[cfg(test)]
use crate::adapters::tests::{Contract, Expected, is_seen};
use crate::call::{Bucket, Call, Failure, HttpRequest, Pace, Sent, by_status};
use crate::digest::Digest;
use crate::event::{Commit, Event, Payload, Push, Trigger, Triggers};
use crate::integration::Family;
use crate::message::{Limit, Markup, Message, References, Span, TEST_MARK, Text};
use crate::settings::{FieldError, Secret, Url};

const API: &str = "https://api.flowdock.com";
/// No limits are published; these values are our choice.
const TITLE: Limit = Limit::Chars(3000);
const BODY: Limit = Limit::Chars(8000);
const NAME: Limit = Limit::Chars(120);
/// No rate is published; this value is our choice.
const PER_TOKEN: (u32, u32) = (1, 3);
/// GitLab puts at most this many commits into an event.
const MOST_COMMITS: usize = 20;
/// Longer ids are none: SHA-256 has 64 digits.
const LONGEST_ID: usize = 64;
/// Refs that contain this live long, so that one thread for all their pushes would have no end.
const PERMANENT: &str = "refs/heads/master";

crate::settings! {
    /// What Flowdock needs.
    pub struct Settings {
        /// The token of the flow's source. Several are separated by commas.
        pub token: Secret = "f7b3c1d09e8a4b6c5d2e1f0a9b8c7d6e",
        /// The address of a compatible server. Blank: Flowdock's own, which has ended.
        pub base_url: Option<Url> = "https://flowdock.example.com",
    }
}

/// The adapter.
pub struct Flowdock;

impl Adapter for Flowdock {
    const ABOUT: About = About {
        slug: "flowdock",
        title: "Flowdock",
        summary: "Shows each commit of a push as an activity in a flow of Flowdock or of a compatible server.",
        triggers: Triggers::of(&[Trigger::Push]),
        family: Family::Chat,
        common: CommonSettings::NONE,
    }
    .with_own_events();
    type Settings = Settings;

    fn validate(settings: &Settings) -> Vec<FieldError> {
        let is_word = settings.token.expose().trim().bytes().all(|byte| byte.is_ascii_graphic());
        let error = || FieldError::new("token", "must be one word of letters, digits and signs");
        if is_word { Vec::new() } else { vec![error()] }
    }
}

impl Deliver for Flowdock {
    const DELIVERY: Delivery = Delivery {
        max_age: Duration::from_secs(8 * 3600),
        // Flowdock has no idempotency key. A duplicate activity is better than a lost one.
        retry_ambiguous: true,
        concurrency: 1,
        calls: 1,
        limits: "1 activity a second per token (bursts of 3); the 20 newest commits of a push are shown; messages of commits \
                 are cut at 8,000 characters.",
        preview: Preview::Text { field: "title", markup: Markup::Html },
    };

    #[cfg(test)]
    const CONTRACT: Contract = Contract {
        // 11,000 characters of four bytes, and what is around them.
        largest_body: 50_000,
        fault: |body| {
            let is_titled = is_seen(&body["title"]) && is_seen(&body["thread"]["title"]);
            (!is_titled).then_some("no title")
        },
        mentions: &[],
        targets_of_event: true,
        answers: &[
            Expected { status: 200, headers: &[], body: r#"{"id":1}"#, outcome: "taken" },
            Expected { status: 202, headers: &[], body: "", outcome: "taken" },
            Expected { status: 200, headers: &[], body: "<html>Sign in</html>", outcome: "unavailable" },
            Expected {
                status: 400,
                headers: &[],
                body: r#"{"message":"Validation error","errors":{"title":["can't be blank"]}}"#,
                outcome: "rejected",
            },
            // Gateways answer in the same form, so these answers may not come from the service.
            Expected { status: 401, headers: &[], body: r#"{"message":"x"}"#, outcome: "unavailable" },
            Expected { status: 403, headers: &[], body: r#"{"message":"x"}"#, outcome: "unavailable" },
            Expected {
                status: 404,
                headers: &[],
                body: r#"{"message":"not found"}"#,
                outcome: "unavailable",
            },
            Expected { status: 404, headers: &[], body: "<html>no</html>", outcome: "unavailable" },
            Expected { status: 429, headers: &[("retry-after", "4")], body: "{}", outcome: "throttled 4 s" },
            Expected { status: 500, headers: &[], body: r#"{"message":"x"}"#, outcome: "unavailable" },
        ],
        ..Contract::USUAL
    };

    /// The targets of a push: one for each commit, by its id.
    fn targets(_settings: &Settings, event: &Event, _channels: &[String]) -> Targets {
        let Some(push) = push(event) else { return Targets::own() };
        let commits = push.commits.as_slice();
        let mut targets = Targets::default();
        for commit in &commits[commits.len().saturating_sub(MOST_COMMITS)..] {
            let id = commit.id.as_str();
            if id.is_empty() || id.len() > LONGEST_ID || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                targets.left_out.push("a commit without an id".to_owned());
            } else if !targets.send.iter().any(|target| target.name == id) {
                targets.send.push(Target::named(id.to_owned()));
            }
        }
        if commits.is_empty() {
            targets.left_out.push("a push without commits has no activities".to_owned());
        }
        targets
    }

    fn pace(settings: &Settings, _target: &str) -> Pace {
        let (count, burst) = PER_TOKEN;
        let parts =
            [address(settings).origin().ascii_serialization(), settings.token.expose().trim().to_owned()];
        let parts = [parts[0].as_str(), parts[1].as_str()];
        Pace::of(Bucket::new("flowdock token", &parts, count, Duration::from_secs(1), burst))
    }

    fn call(settings: &Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        let send = |activity: &Json| {
            let request = HttpRequest::post_json(address(settings), activity);
            let mut request = request.with_secret_fields(&["flow_token"]);
            request.headers.push(("accept", "application/json".to_owned()));
            Call::http(request, by_status)
        };
        let push = push(note.event);
        if push.is_none() {
            return Ok(send(&news(settings, note.event, note.message()?)));
        }
        let commit = push.and_then(|push| push.commits.iter().find(|commit| commit.id == note.target));
        let (Some(push), Some(commit)) = (push, commit) else {
            return Err(Failure::Rejected(format!("the push has no commit {}", note.target)));
        };
        Ok(send(&activity(settings, note, note.message()?, (push, commit))))
    }
}

fn push(event: &Event) -> Option<&Push> {
    match &event.payload {
        Payload::Push(push) => Some(push),
        _ => None,
    }
}

/// The address that activities are posted to.
fn address(settings: &Settings) -> url::Url {
    let default = || url::Url::parse(API).expect("the constant is an address");
    let mut url = settings.base_url.as_ref().map_or_else(default, |base| base.0.clone());
    url.set_query(None);
    url.set_fragment(None);
    let mut path = url.path_segments_mut().expect("an http address has a path");
    path.pop_if_empty().extend(["v1", "messages"]);
    drop(path);
    url
}

/// The activity for anything but a push, in a thread of what it is about.
fn news(settings: &Settings, event: &Event, message: &Message) -> Json {
    let more = one_text(&Message { summary: Text::new(), ..message.clone() });
    // The text begins with the line break after the summary.
    let more = Text(
        more.0
            .into_iter()
            .skip_while(|span| matches!(span, Span::Text { text, .. } if text.trim().is_empty()))
            .collect(),
    );
    let title = Markup::Html.render_within(&message.summary, TITLE);
    json!({
        "event": "activity",
        "external_thread_id": Markup::Plain.label(&event.subject, NAME),
        "author": { "name": Markup::Plain.label(&message.project.name, NAME) },
        "title": title,
        "thread": {
            "title": Markup::Html.label(&message.headline().plain_text(), NAME),
            "external_url": message.project.url,
        },
        "body": Markup::Html.render_within(&more, BODY),
        "tags": [],
        "flow_token": settings.token.expose().trim(),
    })
}

/// The fields and their order are those that GitLab sent.
fn activity(
    settings: &Settings,
    note: &Notification<'_>,
    message: &Message,
    (push, commit): (&Push, &Commit),
) -> Json {
    let thread = Thread::of(note.event, push);
    json!({
        "event": "activity",
        "external_thread_id": thread.id,
        "author": {
            "name": Markup::Plain.label(&commit.author.name, NAME),
            "email": Markup::Plain.label(&commit.author.email, NAME),
        },
        "title": title(commit, note.is_test, &note.references()),
        "thread": { "title": thread.title, "external_url": message.project.url },
        "body": body(commit),
        "tags": [],
        "flow_token": settings.token.expose().trim(),
    })
}

/// The thread that an activity belongs to.
struct Thread {
    id: String,
    title: String,
}

impl Thread {
    fn of(event: &Event, push: &Push) -> Self {
        let name = format!("{} {}", push.ref_type().name(), push.short_ref());
        let title = |words: &str| Markup::Html.label(words, NAME);
        if push.full_ref.contains(PERMANENT) {
            // GitLab uses a random id. This id is the same for all commits of the push, and for every attempt.
            let id = Digest::of([event.id.as_str().as_bytes()]).hex(16);
            return Self { id, title: title(&format!("{name} updated")) };
        }
        Self { id: Markup::Plain.label(&push.full_ref, NAME), title: title(&name) }
    }
}

/// The commit's id with a link, and the first line of its message.
fn title(commit: &Commit, is_test: bool, references: &References<'_>) -> String {
    let first_line = commit.message.trim().lines().next().unwrap_or_default().trim();
    let first_line = if first_line.is_empty() { commit.title() } else { first_line };
    let short_id: String = commit.id.chars().take(7).collect();
    let mark = if is_test { format!("{TEST_MARK} ") } else { String::new() };
    let words = references.linked(Text::new().plain(format!(" {first_line}")));
    let title = Text::new().plain(mark).link(short_id, commit.url.as_str()).then(words);
    Markup::Html.render_within(&title, TITLE)
}

/// The other lines of the commit's message, unchanged.
fn body(commit: &Commit) -> Option<String> {
    let (_, rest) = commit.message.trim().split_once('\n')?;
    let text = Text(vec![Span::CodeBlock(rest.trim_matches('\n').trim_end().into())]);
    Some(Markup::Html.render_within(&text, BODY)).filter(|body| !body.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::tests::{changed_push, play};
    use crate::message::NoLinks;

    const TOKEN: [(&str, &str); 1] = [("token", "a-flow-token")];

    #[test]
    fn an_activity_has_the_fields_that_gitlab_sent() {
        let played = play("flowdock", &TOKEN, Trigger::Push, &[(200, "{}")]);
        assert_eq!(played.address(0), "POST https://api.flowdock.com/v1/messages");
        assert_eq!(played.header(0, "content-type"), "application/json");
        assert_eq!(played.header(0, "accept"), "application/json");
        let body = played.body(0);
        assert_eq!((&body["event"], &body["tags"]), (&json!("activity"), &json!([])));
        assert_eq!(body["flow_token"], "a-flow-token");
        assert_eq!(body["thread"]["external_url"], "https://gitlab.example.com/acme/rocket");
        assert_eq!(played.outcome, "taken");
    }

    #[test]
    fn every_commit_is_a_target_once_and_the_newest_twenty_are_shown() {
        let ids = |ids: &[&str]| {
            let event = changed_push(|push| {
                let commit = |id: &&str| json!({ "id": id, "message": "x", "url": "", "author": {} });
                push["commits"] = ids.iter().map(commit).collect();
            });
            let settings = <Settings as crate::settings::Settings>::read(
                &[("token".to_owned(), crate::settings::Value::Text("x".to_owned()))].into(),
            );
            let targets = Flowdock::targets(&settings.expect("valid settings"), &event, &[]);
            let names: Vec<String> = targets.send.into_iter().map(|target| target.name).collect();
            (names, targets.left_out)
        };
        assert_eq!(ids(&["ab1", "cd2", "ab1"]).0, ["ab1", "cd2"]);
        assert_eq!(ids(&[]).1, ["a push without commits has no activities"]);
        assert_eq!(ids(&["", "x y", &"a".repeat(65)]).1.len(), 3, "they are no ids");
        let many: Vec<String> = (0..25).map(|n| format!("{n:02}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(ids(&many).0, many[5..]);
    }

    #[test]
    fn pushes_to_master_have_threads_of_their_own_and_branches_one_for_all() {
        let thread = |full_ref: &str| {
            let event = changed_push(|push| push["ref"] = json!(full_ref));
            let push = push(&event).expect("a push");
            Thread::of(&event, push)
        };
        let (master, also) = (thread("refs/heads/master"), thread("refs/heads/master-2"));
        assert_eq!(master.title, "branch master updated");
        assert!(
            master.id.len() == 32 && master.id.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{}",
            master.id
        );
        assert_eq!(also.title, "branch master-2 updated", "as GitLab's own rule had it");
        let (branch, tag) = (thread("refs/heads/feature/x"), thread("refs/tags/v1"));
        assert_eq!((branch.id.as_str(), branch.title.as_str()), ("refs/heads/feature/x", "branch feature/x"));
        assert_eq!((tag.id.as_str(), tag.title.as_str()), ("refs/tags/v1", "tag v1"));
    }

    #[test]
    fn a_commits_first_line_is_the_title_and_the_rest_the_body_both_escaped() {
        let event = changed_push(|push| {
            push["commits"] = json!([{
                "id": "da1560886d4f094c3e6c9ef40349f7d38b5d27d7", "url": "https://forge.example/c/1",
                "message": "  Fix <b> & co \n\nBecause <it>\nwas so.\n", "author": {},
            }]);
        });
        let commit = &push(&event).expect("a push").commits[0];
        assert_eq!(
            title(commit, false, &References::new(&NoLinks)),
            "<a href=\"https://forge.example/c/1\">da15608</a> Fix &lt;b&gt; &amp; co"
        );
        assert!(title(commit, true, &References::new(&NoLinks)).starts_with("[Test] <a "), "a test says so");
        assert_eq!(body(commit).as_deref(), Some("<pre>Because &lt;it&gt;\nwas so.</pre>"));
        let with = |message: String| {
            let mut other = commit.clone();
            other.message = message.into();
            body(&other)
        };
        assert_eq!(with("One line\n".to_owned()), None);
        let body = with(format!("x\n{}", "y".repeat(20_000))).expect("a body");
        assert!(body.ends_with("…</pre>") && body.chars().count() == 8000, "{}", body.len());
    }
}

//! Asana: a commit that names a task becomes a comment on it, and may complete it
//! (<https://developers.asana.com/reference/createstoryfortask>, <https://developers.asana.com/reference/updatetask>).
//!
//! The comment and the completion are targets of their own, so that a retry of one never repeats the other. A repeated
//! completion changes nothing. A repeated comment would be a second one, so a repeated attempt looks first whether the task
//! has it.
//!
//! Errors are JSON with a list `errors`, whose entries point to Asana's documentation or name the object (`task: …`). Requests
//! that are refused because of the rate limit count against it too, so the wait is always kept.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::address::{below, page, token_errors, without_login};
use super::commits::{find, push, told_of};
use super::restrict::{self, Spaces};
use super::tasks::{self, Mentions};
use crate::adapters::contract::{
    About, Adapter, CommonSettings, Deliver, Delivery, Notification, Preview, Probe, Target, Targets,
};
use crate::adapters::operator::OperatorSettings;
#[cfg(test)]
use crate::adapters::tests::{Contract, Expected, OwnEvent, is_seen, usual_status};
use crate::call::{
    Answer, Bucket, Call, Failure, Health, HttpRequest, HttpResponse, Method, Pace, Sent, by_status,
    describe, is_page, unavailable,
};
use crate::event::{Commit, Event, Push, Trigger, Triggers};
use crate::integration::Family;
use crate::message::{Limit, Markup, TEST_MARK, Text};
use crate::settings::{FieldError, Secret, Url};

const SERVER: &str = "https://app.asana.com";
/// Comments may be a little longer. The value is our choice.
const COMMENT: Limit = Limit::Chars(65_000);
/// In characters. The names of branches and projects are much shorter.
const HEAD: Limit = Limit::Chars(2_000);
/// "150 requests per minute" of a free workspace; other clients need some of them
/// (<https://developers.asana.com/docs/rate-limits>).
const PER_TOKEN: (u32, u32) = (2, 10);
/// The wait after a refusal that names none: limits are counted by the minute.
const UNNAMED_WAIT: Duration = Duration::from_secs(60);
/// The most comments and completions of one event.
const MOST_EFFECTS: usize = 100;
/// The most words without a task that a reason shows.
const SHOWN: usize = 5;
/// A repeated attempt looks through this many pages of a task's stories. If the comment is not found there, it is
/// written again: a second comment is better than none.
const PAGES: u32 = 5;
const STORIES_PER_PAGE: &str = "100";
/// A page of the longest comments.
const LONGEST_PAGE: usize = 8 * 1024 * 1024;
const TIMEOUT: Duration = Duration::from_secs(15);

crate::settings! {
    /// What Asana needs.
    pub struct Settings {
        /// The personal access token of the user who writes the comments.
        pub api_key: Secret = "1/1202345678901234:5f3c9a7b1e8d2046a9c7e5b3d1f08642",
        /// The branches whose commits are told, separated by commas; exact names. Blank: all branches.
        pub restrict_to_branch: Option<String> = "main, master",
        /// The address of a compatible server. Blank: Asana.
        pub base_url: Option<Url> = "https://asana.example.com",
    }
}

/// The adapter.
pub struct Asana;

impl Adapter for Asana {
    const ABOUT: About = About {
        slug: "asana",
        title: "Asana",
        summary: "Comments on the Asana tasks that commits name, and completes those that they fix or close.",
        triggers: Triggers::of(&[Trigger::Push]),
        family: Family::Hook,
        common: CommonSettings::NONE,
    };
    type Settings = Settings;

    fn validate(settings: &Settings) -> Vec<FieldError> {
        token_errors("api_key", &settings.api_key)
    }

    fn warnings(settings: &Settings) -> Vec<FieldError> {
        restrict::warnings(settings.restrict_to_branch.as_deref(), Spaces::Removed)
    }
}

impl Deliver for Asana {
    const DELIVERY: Delivery = Delivery {
        max_age: Duration::from_secs(24 * 3600),
        retry_ambiguous: true,
        // Comments of one push appear in the order of its commits.
        concurrency: 1,
        // The stories of a task, page by page, and the comment.
        calls: PAGES + 1,
        limits: "2 requests a second per token (bursts of 10); 100 comments and completions for one push; comments are cut at \
                 65,000 characters.",
        preview: Preview::Call,
    };
    const LOOKS_FIRST: bool = true;

    #[cfg(test)]
    const CONTRACT: Contract = Contract {
        links_references: false,
        // 65,000 characters of four bytes, some of which are escaped.
        largest_body: 500_000,
        fault: |body| {
            let is_comment = body["data"]["text"].is_string();
            (is_comment && !is_seen(&body["data"]["text"])).then_some("no text")
        },
        // Asana reads mentions in rich text only.
        mentions: &[],
        targets_of_event: true,
        own_event: Some(OwnEvent {
            name: "push_of_tasks",
            file: "push.json",
            change: |push| {
                push["commits"][0]["message"] = "Fix #1202345678901234 and see #1202345678905678".into();
            },
        }),
        status: |status| match status {
            // Asana answers with JSON. Without it, it is unknown whether there is a comment.
            200..=299 => "unavailable",
            other => usual_status(other),
        },
        answers: &[
            Expected { status: 201, headers: &[], body: r#"{"data":{"gid":"77"}}"#, outcome: "taken" },
            Expected { status: 200, headers: &[], body: r#"{"data":{"gid":"77"}}"#, outcome: "taken" },
            Expected { status: 201, headers: &[], body: "{}", outcome: "unavailable, perhaps taken" },
            Expected { status: 200, headers: &[], body: "<html>Sign in</html>", outcome: "unavailable" },
            Expected {
                status: 400,
                headers: &[],
                body: r#"{"errors":[{"message":"text: Too long","help":"https://developers.asana.com/docs/errors"}]}"#,
                outcome: "rejected",
            },
            Expected {
                status: 401,
                headers: &[],
                body: r#"{"errors":[{"message":"Not Authorized","help":"https://developers.asana.com/docs/errors"}]}"#,
                outcome: "misconfigured",
            },
            Expected {
                status: 402,
                headers: &[],
                body: r#"{"errors":[{"message":"Payment required","help":"https://developers.asana.com/docs/errors"}]}"#,
                outcome: "misconfigured",
            },
            Expected {
                status: 403,
                headers: &[],
                body: r#"{"errors":[{"message":"task: Forbidden"}]}"#,
                outcome: "misconfigured",
            },
            Expected {
                status: 404,
                headers: &[],
                body: r#"{"errors":[{"message":"task: Not a recognized ID: 12","help":"https://developers.asana.com/docs/errors"}]}"#,
                outcome: "skipped",
            },
            Expected {
                status: 404,
                headers: &[],
                body: r#"{"errors":[{"message":"task: Unknown object: 12"}]}"#,
                outcome: "skipped",
            },
            Expected {
                status: 404,
                headers: &[],
                body: r#"{"errors":[{"message":"no route"}]}"#,
                outcome: "unavailable",
            },
            Expected { status: 429, headers: &[("retry-after", "30")], body: "", outcome: "throttled 30 s" },
            Expected {
                status: 429,
                headers: &[],
                body: r#"{"errors":[{"message":"You have made too many requests recently."}]}"#,
                outcome: "throttled 60 s",
            },
            Expected {
                status: 500,
                headers: &[],
                body: r#"{"errors":[{"phrase":"6 sad squid snuggle softly"}]}"#,
                outcome: "unavailable, perhaps taken",
            },
            Expected { status: 502, headers: &[], body: "<html>", outcome: "unavailable" },
            Expected { status: 503, headers: &[], body: "", outcome: "unavailable" },
        ],
        chain: &[(201, r#"{"data":{"gid":"77"}}"#)],
        repeated: &[
            (200, r#"{"data":[{"gid":"1","text":"old"}],"next_page":{"offset":"eyJ0"}}"#),
            (200, r#"{"data":[{"gid":"2","text":"another"}],"next_page":null}"#),
            (201, r#"{"data":{"gid":"77"}}"#),
        ],
        ..Contract::USUAL
    };

    fn targets(settings: &Settings, event: &Event, _channels: &[String]) -> Targets {
        let Some(push) = push(event) else { return Targets::none("only pushes have commits") };
        if let Some(why) = restrict::left_out(settings.restrict_to_branch.as_deref(), Spaces::Removed, push) {
            return Targets::none(why);
        }
        let (commits, left_out) = told_of(push);
        let mut effects = Effects { targets: Targets { send: Vec::new(), left_out }, dropped: 0 };
        let mut no_tasks = Vec::new();
        for commit in commits {
            // Code is ignored, because numbers in code have another meaning, such as a colour (`#123456`).
            let words = crate::message::without_code(&commit.message, false);
            let Mentions { tasks, others } = tasks::mentioned(&words, settings.base_url.as_ref());
            for task in &tasks {
                effects.add(Effect::Comment { task: &task.id, commit: &commit.id });
            }
            for task in tasks.iter().filter(|task| task.completes) {
                effects.add(Effect::Completion { task: &task.id });
            }
            no_tasks.extend(others);
        }
        effects.into_targets(&no_tasks)
    }

    fn pace(settings: &Settings, target: &str) -> Pace {
        let (count, burst) = PER_TOKEN;
        let server = below(settings.base_url.as_ref(), SERVER, []).origin().ascii_serialization();
        let parts = [server.as_str(), settings.api_key.expose().trim()];
        let pace = Pace::of(Bucket::new("asana token", &parts, count, Duration::from_secs(1), burst));
        match Effect::of(target) {
            Some(Effect::Completion { .. }) | None => pace,
            // The calls of a repeated attempt. The first attempt takes a single call.
            Some(Effect::Comment { .. }) => pace.calls(Self::DELIVERY.calls),
        }
    }

    fn call(settings: &Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        let none = || Failure::Rejected(format!("the push has no effect `{}`", note.target));
        let api = Api::of(settings);
        match Effect::of(note.target).ok_or_else(none)? {
            Effect::Completion { task } => Ok(api.complete(task)),
            Effect::Comment { task, commit } => {
                let push = push(note.event).ok_or_else(none)?;
                let commit = find(push, commit).ok_or_else(none)?;
                let comment = Comment::of(note, push, commit);
                let task = task.to_owned();
                Ok(if note.may_have_been_sent {
                    api.unless_written(task, comment, PAGES, None)
                } else {
                    api.write(&task, &comment)
                })
            }
        }
    }
}

/// A test asks whose the token is, as GitLab does: an event need not name a task
/// (<https://developers.asana.com/reference/getuser>).
impl Probe for Asana {
    fn pace(settings: &Settings) -> Pace {
        <Self as Deliver>::pace(settings, "")
    }

    fn probe(
        settings: &Settings,
        _now: Timestamp,
        _operator: &OperatorSettings,
    ) -> Result<Call<Health>, Failure> {
        let request = Api::of(settings).request(Method::Get, &["users", "me"]);
        Ok(Call::http(request, |response| {
            let answer: Json = serde_json::from_slice(&response.body).unwrap_or_default();
            match response.status {
                200..=299 if answer["data"].is_object() => {
                    Answer::Done(Health { answer: format!("answered {}", response.status) })
                }
                200..=299 => Answer::Failed(unavailable(response, false)),
                _ => failure(response),
            }
        }))
    }
}

/// The action at Asana that a target names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect<'a> {
    Comment { task: &'a str, commit: &'a str },
    Completion { task: &'a str },
}

impl<'a> Effect<'a> {
    fn of(target: &'a str) -> Option<Self> {
        let parts: Vec<&str> = target.split(' ').collect();
        match parts.as_slice() {
            [task, "comment", commit] => Some(Self::Comment { task, commit }),
            [task, "complete"] => Some(Self::Completion { task }),
            _ => None,
        }
    }

    fn target(self) -> String {
        match self {
            Self::Comment { task, commit } => format!("{task} comment {commit}"),
            Self::Completion { task } => format!("{task} complete"),
        }
    }
}

/// The effects of a push, as far as they are not too many.
struct Effects {
    targets: Targets,
    dropped: usize,
}

impl Effects {
    fn add(&mut self, effect: Effect<'_>) {
        let name = effect.target();
        if self.targets.send.iter().any(|known| known.name == name) {
            return;
        }
        if self.targets.send.len() == MOST_EFFECTS {
            self.dropped += 1;
        } else {
            self.targets.send.push(Target::named(name));
        }
    }

    fn into_targets(self, no_tasks: &[String]) -> Targets {
        let Self { mut targets, dropped } = self;
        if dropped > 0 {
            targets.left_out.push(format!(
                "{dropped} more comments and completions: at most {MOST_EFFECTS} are made for one push"
            ));
        }
        if !no_tasks.is_empty() {
            targets.left_out.push(no_task(no_tasks));
        }
        if targets.send.is_empty() && dropped == 0 && no_tasks.is_empty() {
            targets.left_out.push("no commit names a task (#1234, or a task's address)".to_owned());
        }
        targets
    }
}

/// `#fixme, #channel and 3 more name no task: a task is a number`.
fn no_task(words: &[String]) -> String {
    let shown = words[..words.len().min(SHOWN)].join(", ");
    let more = match words.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{shown}{more} in commit messages: a task is named by its number")
}

/// A comment as it is written, and what it is known by in a task's list of stories.
#[derive(Clone, Debug)]
struct Comment {
    text: String,
    /// The text before the commit's message. It names the commit and the branch.
    head: String,
}

impl Comment {
    /// `Ada pushed to branch main of Acme / Rocket ( https://…/commit/… ): the commit's message`.
    fn of(note: &Notification<'_>, push: &Push, commit: &Commit) -> Self {
        let plain = |words: &str| Markup::Plain.label(words, HEAD);
        let user = [&push.user.name, &push.user.username].into_iter().find(|name| !name.trim().is_empty());
        let user = plain(user.map_or("Someone", |name| name.as_str()));
        let project =
            plain(&note.event.project.as_ref().map(crate::event::Project::full_name).unwrap_or_default());
        let of_project = if project.is_empty() { String::new() } else { format!(" of {project}") };
        let name = page(&commit.url).unwrap_or(&commit.id);
        let test = if note.is_test { format!("{TEST_MARK} ") } else { String::new() };
        let branch = plain(push.short_ref());
        let head = format!("{test}{user} pushed to branch {branch}{of_project} ( {name} ):");
        let words = format!("{head} {}", commit.message.trim());
        let text = Markup::Plain.render_within(&Text::new().plain(words), COMMENT);
        Self { text, head }
    }

    /// Whether one of these stories is this comment. Asana may change white space.
    fn is_among(&self, stories: &[Json]) -> bool {
        let spaced = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let head = spaced(&self.head);
        stories.iter().filter_map(|story| story["text"].as_str()).any(|text| spaced(text).starts_with(&head))
    }
}

/// The address and the credentials for requests.
#[derive(Clone)]
struct Api {
    base: Option<Url>,
    authorization: String,
}

impl Api {
    fn of(settings: &Settings) -> Self {
        let authorization = format!("Bearer {}", settings.api_key.expose().trim());
        Self { base: settings.base_url.clone(), authorization }
    }

    fn request(&self, method: Method, parts: &[&str]) -> HttpRequest {
        let segments = ["api", "1.0"].iter().chain(parts).copied();
        let url = without_login(below(self.base.as_ref(), SERVER, segments));
        let headers =
            vec![("accept", "application/json".to_owned()), ("authorization", self.authorization.clone())];
        HttpRequest { headers, timeout: TIMEOUT, ..HttpRequest::new(method, url) }
    }

    fn with_json(&self, method: Method, parts: &[&str], body: &Json) -> HttpRequest {
        let mut request = self.request(method, parts);
        request.headers.push(("content-type", "application/json".to_owned()));
        request.body = body.to_string().into();
        request
    }

    fn complete(&self, task: &str) -> Call<Sent> {
        let request =
            self.with_json(Method::Put, &["tasks", task], &json!({ "data": { "completed": true } }));
        Call::http(request, read)
    }

    fn write(&self, task: &str, comment: &Comment) -> Call<Sent> {
        let body = json!({ "data": { "text": comment.text } });
        Call::http(self.with_json(Method::Post, &["tasks", task, "stories"], &body), read)
    }

    /// Writes the comment unless it is on one of the next pages of the task's stories.
    fn unless_written(self, task: String, comment: Comment, pages: u32, offset: Option<&str>) -> Call<Sent> {
        let mut request = self.request(Method::Get, &["tasks", &task, "stories"]);
        request.answer_limit = LONGEST_PAGE;
        let mut query = request.url.query_pairs_mut();
        query.append_pair("limit", STORIES_PER_PAGE).append_pair("opt_fields", "text");
        if let Some(offset) = offset {
            query.append_pair("offset", offset);
        }
        drop(query);
        Call::http(request, move |response| {
            let answer: Json = serde_json::from_slice(&response.body).unwrap_or_default();
            let Some(stories) = answer["data"].as_array().filter(|_| response.status == 200) else {
                return unread(response);
            };
            if comment.is_among(stories) {
                return Answer::Done(Sent);
            }
            Answer::Next(match answer["next_page"]["offset"].as_str() {
                Some(offset) if pages > 1 => self.unless_written(task, comment, pages - 1, Some(offset)),
                _ => self.write(&task, &comment),
            })
        })
    }
}

fn read(response: &HttpResponse) -> Answer<Sent> {
    let answer: Json = serde_json::from_slice(&response.body).unwrap_or_default();
    match response.status {
        200..=299 if answer["data"].is_object() => Answer::Done(Sent),
        200..=299 => Answer::Failed(unavailable(response, !is_page(response))),
        _ => refused(response),
    }
}

/// The answer to a look-up that is no list of stories. Nothing was written yet.
fn unread(response: &HttpResponse) -> Answer<Sent> {
    match response.status {
        200..=299 => Answer::Failed(unavailable(response, false)),
        _ => refused(response),
    }
}

fn refused(response: &HttpResponse) -> Answer<Sent> {
    match response.status {
        404 if is_own(response) => {
            Answer::Skipped("the token's user can see no such task at Asana".to_owned())
        }
        // Asana may have written the comment before it failed.
        500 if !is_page(response) && !response.body.is_empty() => Answer::Failed(unavailable(response, true)),
        _ => failure(response),
    }
}

/// Errors that mean the same for all requests.
fn failure<T>(response: &HttpResponse) -> Answer<T> {
    Answer::Failed(match response.status {
        401 if is_own(response) => Failure::LoginRefused(describe(response)),
        402 | 403 if is_own(response) => Failure::Misconfigured(describe(response)),
        429 => {
            let wait = response.retry_after().unwrap_or(UNNAMED_WAIT);
            Failure::Throttled { wait: Some(wait), why: describe(response), shared: false }
        }
        _ => match by_status(response) {
            Answer::Failed(failure) => failure,
            _ => unavailable(response, false),
        },
    })
}

/// Whether Asana itself refuses: errors point to its documentation, or name the object.
fn is_own(response: &HttpResponse) -> bool {
    let answer: Json = serde_json::from_slice(&response.body).unwrap_or_default();
    let says = |error: &Json| {
        let (help, message) = (error["help"].as_str(), error["message"].as_str());
        message.is_some_and(|message| message.starts_with("task: "))
            || help.is_some_and(|help| help.contains("asana.com"))
    };
    answer["errors"].as_array().is_some_and(|errors| errors.iter().any(says))
}

#[cfg(test)]
mod tests;

//! Jira, Cloud and Data Center: issues get comments and links for the commits and merge requests that name them, and
//! are closed by those that say so (<https://docs.gitlab.com/integration/jira/issues/>).
//!
//! Each issue that a commit or merge request names is a target; its deliveries are made in order. `references` finds
//! the issues, `told` selects the commits and merge requests, `markup` writes the comments, `chain` makes the calls,
//! and `answers` reads refusals.

#![expect(
    clippy::result_large_err,
    reason = "an answer that ends a step is returned at once, and steps are few"
)]

mod answers;
mod chain;
mod issue;
mod markup;
mod references;
mod server;
#[cfg(test)]
mod tests;
mod told;

use std::time::Duration;

use jiff::Timestamp;
use url::Url as Address;

use self::chain::{CALLS, CALLS_TO_MENTION, Closing, Progress, Task, Transitions};
use self::issue::{LONGEST_ID, RemoteLink};
use self::markup::Named;
use self::references::{Finder, MOST_REFERENCES, Search};
use self::server::Server;
use self::told::{Kind as ObjectKind, Object, below, icon, objects, page, person};
use crate::adapters::contract::{
    About, Adapter, CommonSettings, Deliver, Delivery, LaneKey, Link, Linked, Notification, Preview, Probe,
    Target, Targets,
};
use crate::adapters::operator::OperatorSettings;
#[cfg(test)]
use crate::adapters::tests::Contract;
use crate::call::{Answer, Bucket, Call, Failure, Health, Method, Pace, Sent, excerpt};
use crate::digest::Digest;
use crate::event::{Event, Trigger, Triggers};
use crate::integration::Family;
use crate::message::{MOST_REFERENCES as MOST_LINKS, Reference};
use crate::settings::{FieldError, FieldType, Kind, Names, PageUrl, Secret, Value};

/// Nothing is published; this value is our choice.
const PER_USER: (u32, u32) = (5, 10);
/// One event tells this many issues at most.
const MOST_TARGETS: usize = 100;
/// The longest name and password, in characters, as in GitLab.
const LONGEST: usize = 2048;
/// More transitions lead from no state to another.
const MOST_TRANSITIONS: usize = 20;
/// The suffix of a target's name if the issue is to be closed.
const CLOSES: &str = " closes";
/// How many things of a kind a reason names.
const NAMED: usize = 5;

crate::settings! {
    /// What Jira needs.
    pub struct Settings {
        /// Jira's address, for people: `https://acme.atlassian.net`, or that of a Data Center, which may have a path.
        pub url: PageUrl = "https://jira.example.com/jira",
        /// The address of its API, if it is not the same.
        pub api_url: Option<PageUrl> = "https://jira-api.example.com/jira",
        /// How the user logs in: `0` with name and password (Jira Cloud: mail address and API token), `1` with a personal
        /// access token of a Data Center.
        pub jira_auth_type: AuthType = "1" or "0",
        /// The user's name, or the mail address for Jira Cloud. Required if `jira_auth_type` is `0`.
        pub username: Option<String> = "forgebell",
        /// The user's password, API token or personal access token.
        pub password: Secret = "j1ra-s3cret-t0ken",
        /// The transitions that close an issue: their numbers, separated by `,` or `;`. Each that is on offer is taken, in this
        /// order. Blank: issues are not closed.
        pub jira_issue_transition_id: Option<String> = "11;31",
        /// Whether an issue is closed by the first transition to a state that is done. Then the numbers have no effect.
        pub jira_issue_transition_automatic: bool = "false" or "false",
        /// What stands before the key in a reference: a regular expression.
        pub jira_issue_prefix: Option<String> = "(?:JIRA#)?",
        /// A regular expression for keys. Blank: as `ABC-12`.
        pub jira_issue_regex: Option<String> = "[A-Z][A-Z_0-9]+-[0-9]+",
        /// The key of a Jira project. Only issues of this one and of `project_keys` are told; if both are blank, of all.
        pub project_key: Option<String> = "ABC",
        /// The keys of Jira projects. Only their issues are told; words such as `UTF-8` look like keys otherwise.
        pub project_keys: Option<Names> = "ABC,DEF",
        /// Whether GitLab shows Jira's issues. Stored, and without effect here.
        pub issues_enabled: bool = "false" or "false",
        /// Whether GitLab makes issues of vulnerabilities. Stored, and without effect here.
        pub vulnerabilities_enabled: bool = "false" or "false",
        /// The type of those issues. Stored, and without effect here.
        pub vulnerabilities_issuetype: Option<i64> = "10001",
        /// Whether people may change those issues first. Stored, and without effect here.
        pub customize_jira_issue_enabled: bool = "false" or "false",
        /// What a comment quotes: the title (`standard`), or all of a commit's message (`all_details`).
        pub comment_detail: CommentDetail = "standard" or "standard",
        /// Whether issues are told of commits.
        pub commit_events: bool = "true" or "true",
        /// Whether comments are written, and not only links made.
        pub comment_on_event_enabled: bool = "true" or "true",
    }
}

/// `jira_auth_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthType {
    Basic,
    PersonalAccessToken,
}

impl FieldType for AuthType {
    const KIND: Kind = Kind::Integer;

    fn read(value: &Value) -> Result<Self, String> {
        match i64::read(value) {
            Ok(0) => Ok(Self::Basic),
            Ok(1) => Ok(Self::PersonalAccessToken),
            _ => Err("must be 0 (name and password) or 1 (personal access token)".to_owned()),
        }
    }
}

/// `comment_detail`. GitLab stores numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommentDetail {
    Standard,
    AllDetails,
}

impl FieldType for CommentDetail {
    const KIND: Kind = Kind::Choice(&["standard", "all_details"]);

    fn read(value: &Value) -> Result<Self, String> {
        match value.as_text().trim().to_lowercase().as_str() {
            "standard" | "1" => Ok(Self::Standard),
            "all_details" | "2" => Ok(Self::AllDetails),
            _ => Err("must be standard or all_details".to_owned()),
        }
    }
}

impl Settings {
    fn api(&self) -> &Address {
        &self.api_url.as_ref().unwrap_or(&self.url).0
    }

    /// A page of Jira, for people.
    fn page(&self, segments: &[&str]) -> String {
        let mut url = self.url.0.clone();
        url.set_fragment(None);
        // An http address has a path, and takes both of a login.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url.into()
    }

    fn uses_token(&self) -> bool {
        self.jira_auth_type == AuthType::PersonalAccessToken
    }

    fn user(&self) -> &str {
        self.username.as_deref().unwrap_or_default().trim()
    }

    /// How issues are closed; `None` if they are not.
    fn transitions(&self) -> Option<Transitions> {
        if self.jira_issue_transition_automatic {
            return Some(Transitions::Automatic);
        }
        let list: Vec<String> = self.transition_ids().map(str::to_owned).collect();
        (!list.is_empty()).then_some(Transitions::Listed(list))
    }

    fn transition_ids(&self) -> impl Iterator<Item = &str> {
        let text = self.jira_issue_transition_id.as_deref().unwrap_or_default();
        text.split([',', ';']).map(str::trim).filter(|id| !id.is_empty())
    }

    fn own_errors(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let mut wrong = |field: &str, problem: &str| errors.push(FieldError::new(field, problem));
        if !self.uses_token() && self.user().is_empty() {
            wrong("username", "can't be blank where `jira_auth_type` is 0");
        }
        let is_cloud = |url: &PageUrl| {
            url.0.host_str().is_some_and(|host| host.to_ascii_lowercase().ends_with(".atlassian.net"))
        };
        if self.uses_token() && (is_cloud(&self.url) || self.api_url.as_ref().is_some_and(is_cloud)) {
            wrong(
                "jira_auth_type",
                "must be 0 for Jira Cloud (atlassian.net), with an API token as the password",
            );
        }
        if self.uses_token() && !self.password.expose().trim().bytes().all(|byte| byte.is_ascii_graphic()) {
            wrong("password", "must be one word of letters, digits and signs, as personal access tokens are");
        }
        let ids: Vec<&str> = self.transition_ids().collect();
        let is_number = |id: &&str| id.len() <= 18 && id.bytes().all(|byte| byte.is_ascii_digit());
        if !ids.iter().all(is_number) {
            wrong("jira_issue_transition_id", "must be a list of numbers, separated by , or ;");
        }
        if ids.len() > MOST_TRANSITIONS {
            wrong("jira_issue_transition_id", &format!("can't have more than {MOST_TRANSITIONS} numbers"));
        }
        errors
    }

    fn length_errors(&self) -> impl Iterator<Item = FieldError> {
        let lengths = [("username", self.username.as_deref()), ("password", Some(self.password.expose()))];
        let is_long = |text: &str| text.chars().count() > LONGEST;
        let long = lengths.into_iter().filter(move |(_, text)| text.is_some_and(is_long));
        long.map(|(field, _)| {
            FieldError::new(field, format!("is too long (maximum is {LONGEST} characters)"))
        })
    }
}

/// The adapter.
pub struct Jira;

impl Adapter for Jira {
    const ABOUT: About = About {
        slug: "jira",
        title: "Jira issues",
        summary: "Tells Jira's issues which commits and merge requests name them, and closes those that they solve.",
        triggers: Triggers::of(&[Trigger::Push, Trigger::MergeRequest]),
        family: Family::Hook,
        common: CommonSettings {
            // Commits are switched by `commit_events`.
            without_flag: Triggers::of(&[Trigger::Push]),
            active_parameter: true,
            ..CommonSettings::NONE
        },
    };
    type Settings = Settings;

    fn validate(settings: &Settings) -> Vec<FieldError> {
        let pattern = Finder::of(settings).err().map(|(field, problem)| FieldError::new(field, problem));
        settings.own_errors().into_iter().chain(settings.length_errors()).chain(pattern).collect()
    }
}

impl Deliver for Jira {
    const DELIVERY: Delivery = Delivery {
        max_age: Duration::from_secs(24 * 3600),
        // Every step looks first.
        retry_ambiguous: true,
        concurrency: 2,
        calls: CALLS,
        limits: "5 calls a second per user (bursts of 10); 100 issues per event; comments are cut at 32,767 characters.",
        preview: Preview::AfterLookUp { answer: r#"{"id":"1","fields":{}}"#, then: &Preview::Call },
    };

    #[cfg(test)]
    const CONTRACT: Contract = tests::CONTRACT;

    fn targets(settings: &Settings, event: &Event, _channels: &[String]) -> Targets {
        let finder = match Finder::of(settings) {
            Ok(finder) => finder,
            Err((field, problem)) => return Targets::none(format!("{field} {problem}")),
        };
        let (objects, mut left_out) = objects(settings, event);
        let is_told = !objects.is_empty();
        let mut search = Search::default();
        let (mut send, mut more) = (Vec::new(), 0);
        let closes_issues = settings.transitions().is_some();
        for object in objects {
            for issue in object.issues(&finder, &mut search) {
                if send.len() == MOST_TARGETS {
                    more += 1;
                    continue;
                }
                let closes = if issue.closes && closes_issues { CLOSES } else { "" };
                let name = format!("{} {}{closes}", issue.key, object.id);
                let lane = Some(LaneKey(issue.key.to_ascii_uppercase()));
                send.push(Target { name, lane, replaces: false });
            }
        }
        left_out.extend(search_left_out(&search, more));
        if is_told && send.is_empty() && left_out.is_empty() {
            left_out.push("no Jira issue is named in it".to_owned());
        }
        Targets { send, left_out }
    }

    fn pace(settings: &Settings, target: &str) -> Pace {
        let calls = if target.ends_with(CLOSES) { CALLS } else { CALLS_TO_MENTION };
        paced(settings).calls(calls)
    }

    fn call(settings: &Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        let (name, closes) = match note.target.strip_suffix(CLOSES) {
            Some(name) => (name, true),
            None => (note.target, false),
        };
        let named = name.rsplit_once(' ').and_then(|(key, id)| {
            let object = objects(settings, note.event).0.into_iter().find(|object| object.id == id)?;
            Some((key, object))
        });
        let (key, object) = named.ok_or_else(|| {
            Failure::Rejected(format!(
                "the target `{}` names no issue and commit or merge request of the event",
                note.target
            ))
        })?;
        Ok(chain::start(task(settings, note, key, &object, closes)))
    }
}

/// The probe asks for Jira's server data and for the user. Jira shows the server data without a login, so the probe
/// needs both.
impl Probe for Jira {
    const CALLS: u32 = 2;

    fn pace(settings: &Settings) -> Pace {
        paced(settings).calls(<Self as Probe>::CALLS)
    }

    fn probe(settings: &Settings, _: Timestamp, _: &OperatorSettings) -> Result<Call<Health>, Failure> {
        let server = Server::of(settings);
        let request = server.request(Method::Get, &["serverInfo"], &[]);
        Ok(Call::http(request, move |response| {
            let info = match answers::json(response, false) {
                Ok(info) => info,
                Err(answer) => return answer,
            };
            let words = ["deploymentType", "version"].map(|name| info[name].as_str().unwrap_or_default());
            if words[1].is_empty() {
                return answers::not_understood(response, false);
            }
            let what = format!("Jira {}", excerpt(&words.join(" ")));
            let myself = server.request(Method::Get, &["myself"], &[]);
            Answer::Next(Call::http(myself, move |response| match answers::json(response, false) {
                Ok(user) => {
                    let name = user["displayName"].as_str().map(excerpt);
                    let name = name.unwrap_or_else(|| "a user without a name".to_owned());
                    Answer::Done(Health { answer: format!("{what} answers, and knows the user as {name}") })
                }
                Err(answer) => answer,
            }))
        }))
    }
}

/// The pages of issues, and the page for a new one. The query of Jira's address stays.
impl Link for Jira {
    const LEADS_TO: Linked = Linked::Tracker;

    fn references(settings: &Settings, text: &str) -> Vec<Reference> {
        let Ok(finder) = Finder::of(settings) else { return Vec::new() };
        let reference = |found: crate::adapters::references::Found<'_>| Reference {
            url: settings.page(&["browse", found.issue]),
            range: found.range,
        };
        // With one more than become links, it is known that there are more.
        finder.places(text).map(reference).take(MOST_LINKS + 1).collect()
    }

    fn issue(settings: &Settings, name: &str) -> Option<String> {
        let finder = Finder::of(settings).ok()?;
        finder.whole(name).map(|key| settings.page(&["browse", key]))
    }

    fn project(settings: &Settings) -> Option<String> {
        Some(settings.page(&[]))
    }

    fn new_issue(settings: &Settings) -> Option<String> {
        Some(settings.page(&["secure", "CreateIssue!default.jspa"]))
    }
}

/// Jira's limits are those of a user. A refused login holds what is sent with this login alone: a corrected password is
/// another destination.
fn paced(settings: &Settings) -> Pace {
    let api = settings.api();
    let site = format!("{}{}", api.origin().ascii_serialization(), api.path().trim_end_matches('/'));
    let password = settings.password.expose().trim();
    let (login, user) =
        if settings.uses_token() { ("", password) } else { (settings.user(), settings.user()) };
    let (count, burst) = PER_USER;
    let bucket = |kind, parts: &[&str]| Bucket::new(kind, parts, count, Duration::from_secs(1), burst);
    Pace::of(bucket("jira login", &[&site, login, password])).and(bucket("jira user", &[&site, user]))
}

/// Why issues that are named are not told.
fn search_left_out(search: &Search, more: usize) -> Vec<String> {
    let mut left_out = Vec::new();
    if let [_, ..] = search.other_projects.as_slice() {
        let named: Vec<&str> = search.other_projects.iter().take(NAMED).map(String::as_str).collect();
        let others = match search.other_projects.len() - named.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let named = named.join(", ");
        left_out.push(format!(
            "{named}{others}: not of the Jira projects of project_key and project_keys, or not a key of Jira"
        ));
    }
    if more > 0 {
        left_out.push(format!("{more} more issues are named; one event tells at most {MOST_TARGETS}"));
    }
    if search.is_cut {
        left_out.push(format!(
            "only the beginning of a long text was searched, and at most {MOST_REFERENCES} references of an event"
        ));
    }
    left_out
}

/// The task for an issue.
fn task(settings: &Settings, note: &Notification<'_>, key: &str, object: &Object<'_>, closes: bool) -> Task {
    let project = note.event.project.as_ref();
    let link = RemoteLink {
        global_id: global_id(&object.url),
        url: object.url.clone(),
        title: match object.kind {
            ObjectKind::Commit => format!("Commit - {}", object.title),
            ObjectKind::MergeRequest => format!("Merge request - {}", object.title),
        },
        icon: icon(project),
        is_resolved: false,
    };
    let has_comments = settings.comment_on_event_enabled;
    let closing = settings.transitions().filter(|_| closes).zip(object.solved_by.as_ref());
    let closing = closing.map(|(by, (sha, url))| Closing {
        by,
        url: url.clone(),
        comment: has_comments.then(|| markup::solved(&Named { words: sha, url: Some(url) })),
        link: RemoteLink {
            title: match object.kind {
                ObjectKind::Commit => format!("Solved by commit {sha}."),
                ObjectKind::MergeRequest => format!("Solved by merge request {}.", object.id),
            },
            is_resolved: true,
            ..link.clone()
        },
    });
    Task {
        server: Server::of(settings),
        key: key.to_owned(),
        url: object.url.clone(),
        comment: has_comments.then(|| comment(settings, note, object)),
        link,
        closing,
        occurred_at: note.event.occurred_at,
        progress: Progress::default(),
    }
}

/// The id of the link: an object has only one link in an issue, for all its events.
fn global_id(url: &str) -> String {
    let id = format!("forgebell={url}");
    if id.chars().count() <= LONGEST_ID {
        id
    } else {
        format!("forgebell={}", Digest::of([url.as_bytes()]).hex(16))
    }
}

/// The comment that tells an issue of the object.
fn comment(settings: &Settings, note: &Notification<'_>, object: &Object<'_>) -> String {
    let project = note.event.project.as_ref();
    let user = note.event.user();
    let name = user.map(crate::event::User::display).filter(|name| !name.is_empty());
    let user_page = user.and_then(|user| person(project, user.username.trim()));
    let all = settings.comment_detail == CommentDetail::AllDetails;
    let what = match (object.kind, all) {
        (ObjectKind::Commit, false) => "a commit".to_owned(),
        (ObjectKind::Commit, true) => format!("commit {}", object.id.get(..8).unwrap_or(&object.id)),
        (ObjectKind::MergeRequest, false) => "a merge request".to_owned(),
        (ObjectKind::MergeRequest, true) => format!("merge_request {}", object.id),
    };
    let quoted =
        if all && object.kind == ObjectKind::Commit { object.message.trim_end() } else { object.title };
    let full_name = project.map(crate::event::Project::full_name).filter(|name| !name.is_empty());
    let project_page = project.and_then(|project| page(&project.web_url));
    let branch_page = below(project, &["-", "tree", object.branch]).filter(|_| !object.is_of_fork);
    let branch = Named { words: object.branch, url: branch_page.as_deref() };
    markup::mention(
        &Named { words: name.as_deref().unwrap_or("Somebody"), url: user_page.as_deref() },
        &Named { words: &what, url: Some(&object.url) },
        &Named { words: full_name.as_deref().unwrap_or("a project"), url: project_page.as_deref() },
        Some(&branch).filter(|_| !object.branch.is_empty()),
        quoted,
    )
}

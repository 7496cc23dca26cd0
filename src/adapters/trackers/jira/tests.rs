//! Jira's contract, and its deliveries, played through with Jira's answers.

mod meanwhile;

use serde_json::{Value as Json, json};

use crate::adapters::contract::{Notification, Targets};
use crate::adapters::find;
use crate::adapters::tests::{
    Contract, Expected, OwnEvent, call_with, changed, changed_push, header, http_response, note,
    settings_with, tell, usual_status,
};
use crate::call::{Answer, Failure, HttpRequest, HttpResponse, Method, Request, Response, Sent};
use crate::event::{Event, EventId};

/// An issue, as far as it is asked for.
const ISSUE: &str = r#"{"id":"10001","key":"ABC-7","fields":{"status":{"id":"1"},"resolution":null,"resolutiondate":null},"transitions":[{"id":"11","name":"Start","to":{"id":"3","statusCategory":{"key":"indeterminate"}}}]}"#;
const RESOLVED: &str = r#"{"id":"10001","key":"ABC-7","fields":{"status":{"id":"6"},"resolution":{"name":"Done"},"resolutiondate":"2026-01-15T09:30:00.000+0000"}}"#;
/// Jira's form of an error.
const MISSING: &str =
    r#"{"errorMessages":["Issue does not exist or you do not have permission to see it."],"errors":{}}"#;

pub(super) const CONTRACT: Contract = Contract {
    links_references: false,
    largest_body: 200_000,
    mentions: &[],
    targets_of_event: true,
    own_event: Some(OwnEvent {
        name: "push_that_closes",
        file: "push.json",
        change: |push| {
            push["ref"] = json!("refs/heads/master");
            push["commits"][0]["message"] = json!("Fix the pumps\n\nFixes ABC-7, and mentions `DEF-1`.\n");
            push["commits"][0]["title"] = json!("Fix the pumps [!]");
        },
    }),
    status: |status| match status {
        200..=299 => "unavailable",
        other => usual_status(other),
    },
    answers: &[
        Expected { status: 200, headers: &[], body: ISSUE, outcome: "next call" },
        Expected { status: 404, headers: &[], body: MISSING, outcome: "skipped" },
        Expected { status: 404, headers: &[], body: "<html>Not Found", outcome: "unavailable" },
        Expected {
            status: 200,
            headers: &[],
            body: "<!DOCTYPE html><title>Log in - Jira",
            outcome: "unavailable",
        },
        Expected { status: 200, headers: &[], body: r#"{"key":"ABC-7"}"#, outcome: "unavailable" },
        Expected {
            status: 401,
            headers: &[("x-seraph-loginreason", "AUTHENTICATED_FAILED")],
            body: "",
            outcome: "misconfigured",
        },
        Expected {
            status: 401,
            headers: &[("x-seraph-loginreason", "AUTHENTICATION_DENIED")],
            body: "",
            outcome: "operator_error",
        },
        Expected {
            status: 403,
            headers: &[],
            body: r#"{"errorMessages":["You do not have the permission to see it."],"errors":{}}"#,
            outcome: "misconfigured",
        },
        Expected {
            status: 429,
            headers: &[("retry-after", "12"), ("ratelimit-reason", "jira-cost-based")],
            body: "",
            outcome: "throttled 12 s, shared",
        },
        Expected {
            status: 503,
            headers: &[("retry-after", "12")],
            body: "<html>Service Unavailable",
            outcome: "unavailable",
        },
    ],
    chain: &[
        (200, ISSUE),
        (
            200,
            r#"{"startAt":0,"maxResults":100,"total":1,"comments":[{"id":"1","body":"a person's words"}]}"#,
        ),
        (200, "[]"),
        (201, r#"{"id":"10100","body":"…"}"#),
        (201, r#"{"id":10200,"self":"https://jira.example.com/rest/api/2/issue/10001/remotelink/10200"}"#),
        (204, ""),
        (200, RESOLVED),
        (201, r#"{"id":"10101","body":"…"}"#),
        (204, ""),
    ],
    ..Contract::USUAL
};

/// A Jira that keeps the state of an issue in memory, for requests in any order.
#[derive(Default)]
struct Tracker {
    comments: Vec<(String, String)>,
    links: Vec<Json>,
    moves: Vec<String>,
    status: usize,
    resolved: Option<String>,
    /// Transitions are refused, every one is on offer in every state, or a person is faster.
    workflow: Workflow,
    /// How many transitions meet with another user's change at the same time.
    conflicts: usize,
    asked: usize,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Workflow {
    #[default]
    Strict,
    Refuses,
    AnyToAny,
    /// A person resolves the issue right before the first transition.
    Overtaken,
}

/// The transitions of a workflow of four states, and their numbers.
const MOVES: [&str; 3] = ["11", "21", "31"];
const NOW: &str = "2026-01-15T09:30:05.000+0000";

impl Tracker {
    fn offers(&self) -> Json {
        let is_on_offer = |place: usize| self.workflow == Workflow::AnyToAny || place == self.status;
        let offer = |(place, id): (usize, &&str)| {
            let category = if place + 1 == MOVES.len() { "done" } else { "indeterminate" };
            json!({ "id": id, "to": { "id": (place + 2).to_string(), "statusCategory": { "key": category } } })
        };
        MOVES.iter().enumerate().filter(|(place, _)| is_on_offer(*place)).map(offer).collect()
    }

    fn issue(&self) -> Json {
        let resolution = self.resolved.as_ref().map(|_| json!({ "name": "Done" }));
        json!({
            "id": "10001", "key": "ABC-7", "transitions": self.offers(),
            "fields": {
                "status": { "id": (self.status + 1).to_string() },
                "resolution": resolution, "resolutiondate": self.resolved,
            },
        })
    }

    fn answer(&mut self, request: &HttpRequest) -> (u16, Json) {
        self.asked += 1;
        let path = request.url.path().trim_start_matches("/jira/rest/api/2/issue/").to_owned();
        let body: Json = serde_json::from_slice(&request.body).unwrap_or_default();
        match (request.method, path.as_str()) {
            (Method::Get, "ABC-7" | "10001") => (200, self.issue()),
            (Method::Get, "10001/comment") => {
                let comment =
                    |(body, at): &(String, String)| json!({ "id": "1", "body": body, "created": at });
                (200, json!({ "comments": self.comments.iter().rev().map(comment).collect::<Json>() }))
            }
            (Method::Post, "10001/comment") => {
                let text = body["body"].as_str().expect("a text");
                assert!(text.encode_utf16().count() <= 32_767);
                self.comments.push((text.to_owned(), NOW.to_owned()));
                (201, json!({ "id": "1" }))
            }
            (Method::Get, "10001/remotelink") => (200, self.links.clone().into()),
            (Method::Post, "10001/remotelink") => {
                let known = self.links.iter().position(|link| link["globalId"] == body["globalId"]);
                let id = known.map_or(self.links.len(), |place| place);
                let mut link = body;
                link["id"] = json!(id);
                match known {
                    Some(place) => self.links[place] = link,
                    None => self.links.push(link),
                }
                (201, json!({ "id": id }))
            }
            (Method::Put, "10001/remotelink/0") => {
                self.links[0] = body;
                self.links[0]["id"] = json!(0);
                (204, Json::Null)
            }
            (Method::Post, "10001/transitions") => {
                let id = body["transition"]["id"].as_str().expect("a number").to_owned();
                if self.workflow == Workflow::Overtaken {
                    (self.status, self.resolved) = (MOVES.len(), Some(NOW.to_owned()));
                }
                let is_on_offer =
                    self.offers().as_array().expect("a list").iter().any(|offer| offer["id"] == id.as_str());
                if self.conflicts > 0 {
                    self.conflicts -= 1;
                    return (409, json!({ "errorMessages": ["The issue was changed."], "errors": {} }));
                }
                if self.workflow == Workflow::Refuses || !is_on_offer {
                    return (400, json!({ "errorMessages": ["illegal workflow operation"], "errors": {} }));
                }
                self.status = MOVES.iter().position(|known| *known == id).expect("one of them") + 1;
                self.resolved = (self.status == MOVES.len()).then(|| NOW.to_owned());
                self.moves.push(id);
                (204, Json::Null)
            }
            (method, path) => panic!("{} {path}", method.name()),
        }
    }

    /// The state in short: comments that mention, comments that solve, links, transitions.
    fn told(&self) -> (usize, usize, usize, String) {
        let count = |words: &str| self.comments.iter().filter(|(text, _)| text.contains(words)).count();
        (
            count(" mentioned this issue in "),
            count("Issue solved with "),
            self.links.len(),
            self.moves.join(" "),
        )
    }
}

const USUAL: [(&str, &str); 3] =
    [("url", "https://jira.example.com/jira"), ("username", "ada"), ("password", "s3cret-t0ken")];

fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    USUAL.iter().chain(more).copied().collect()
}

fn push(message: &str) -> Event {
    changed_push(|push| {
        push["ref"] = json!("refs/heads/master");
        push["commits"] = json!([push["commits"][0]]);
        push["total_commits_count"] = json!(1);
        push["commits"][0]["message"] = json!(message);
        push["commits"][0]["title"] = json!(message.lines().next());
    })
}

fn at(event: Event, moment: &str) -> Event {
    Event { occurred_at: moment.parse().expect("a moment"), ..event }
}

fn settings(more: &[(&str, &str)]) -> crate::settings::Parsed {
    settings_with("jira", &with(more)).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn targets(more: &[(&str, &str)], event: &Event) -> Targets {
    find("jira").expect("the adapter").targets(&settings(more), event, &[])
}

fn names(targets: &Targets) -> Vec<&str> {
    targets.send.iter().map(|target| target.name.as_str()).collect()
}

/// One attempt at the first target. It ends after so many answers: the next request arrives, and its answer is lost.
fn attempt(
    more: &[(&str, &str)],
    event: &Event,
    tracker: &mut Tracker,
    answers: usize,
) -> Option<Answer<Sent>> {
    let (entry, settings) = (find("jira").expect("the adapter"), settings(more));
    let target = entry.targets(&settings, event, &[]).send.remove(0).name;
    let note = Notification { now: event.occurred_at, may_have_been_sent: true, ..note(event, &target) };
    let mut call = entry.call(&settings, &note).unwrap_or_else(|failure| panic!("{failure}"));
    for made in 0.. {
        let Request::Http(request) = &call.request else { panic!("no HTTP") };
        let (status, body) = tracker.answer(request);
        if made == answers {
            return None;
        }
        assert!(made < 10, "an attempt makes at most ten calls");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let response = HttpResponse { status, headers: Vec::new(), body: body.into(), at: event.occurred_at };
        match (call.read)(&Response::Http(response)) {
            Answer::Next(next) => call = next,
            answer => return Some(answer),
        }
    }
    None
}

/// Attempts until it is done.
fn deliver(more: &[(&str, &str)], event: &Event, tracker: &mut Tracker) {
    for _ in 0..10 {
        match attempt(more, event, tracker, usize::MAX).expect("an end") {
            Answer::Done(Sent) => return,
            Answer::Failed(Failure::Deferred { .. }) => {}
            other => panic!("{}", crate::adapters::tests::consequence(&other)),
        }
    }
    panic!("not done after ten attempts");
}

const EVENT: &str = "2026-01-15T09:30:00Z";

#[test]
fn an_attempt_that_ends_after_any_step_repeats_nothing() {
    let event = at(push("Fixes ABC-7"), EVENT);
    for (settings, moves) in [
        (&[("jira_issue_transition_id", "11,21;31")][..], "11 21 31"),
        (&[("jira_issue_transition_id", "31"), ("commit_events", "true")], "31"),
        (&[("jira_issue_transition_automatic", "true")], "31"),
    ] {
        let start = if moves == "31" { 2 } else { 0 };
        for workflow in [Workflow::Strict, Workflow::AnyToAny] {
            for (first, second) in (0..10).flat_map(|first| (0..10).map(move |second| (first, second))) {
                let mut tracker = Tracker { status: start, workflow, ..Tracker::default() };
                for answers in [first, second] {
                    attempt(settings, &event, &mut tracker, answers);
                }
                deliver(settings, &event, &mut tracker);
                assert_eq!(tracker.told(), (1, 1, 1, moves.to_owned()), "after {first} and {second}");
                assert_eq!(tracker.links[0]["object"]["status"]["resolved"], true);
                // A resend tells nothing twice.
                deliver(settings, &event, &mut tracker);
                assert_eq!(tracker.told(), (1, 1, 1, moves.to_owned()));
            }
        }
    }
}

#[test]
fn a_forks_branch_is_not_linked_to_the_projects_branch_of_that_name() {
    let said = |source: i64| {
        let mut tracker = Tracker { status: 2, ..Tracker::default() };
        let event = request(|request| {
            request["project"]["id"] = json!(1);
            request["object_attributes"]["source_branch"] = json!("main");
            request["object_attributes"]["source_project_id"] = json!(source);
        });
        deliver(&[], &event, &mut tracker);
        tracker.comments[0].0.clone()
    };
    let (own, fork) = (said(1), said(99));
    assert!(own.contains(" on branch [main|http://example.com/gitlabhq/gitlab-test/-/tree/main]:"), "{own}");
    assert!(fork.contains(" on branch main:"), "{fork}");
}

#[test]
fn what_is_written_is_as_the_reference_says() {
    let event = at(push("Fixes ABC-7 {it}"), EVENT);
    let mut tracker = Tracker { status: 2, ..Tracker::default() };
    deliver(&[("jira_issue_transition_id", "31")], &event, &mut tracker);
    let sha = "b6568db1bc1dcd7f8b4d5a946b0b91f9dacd7327";
    let commit = format!("http://example.com/mike/diaspora/commit/{sha}");
    assert_eq!(
        tracker.comments[0].0,
        format!(
            "[John Smith|http://example.com/jsmith] mentioned this issue in [a commit|{commit}] of \
             [Mike / Diaspora|http://example.com/mike/diaspora] on branch \
             [master|http://example.com/mike/diaspora/-/tree/master]:{{quote}}Fixes ABC\\-7 \\{{it\\}}{{quote}}"
        )
        .replace("[John Smith|http://example.com/jsmith]", "[John Smith \\(jsmith\\)|http://example.com/jsmith]")
    );
    assert_eq!(tracker.comments[1].0, format!("Issue solved with [{sha}|{commit}]."));
    assert_eq!(
        tracker.links,
        [json!({
            "id": 0, "globalId": format!("forgebell={commit}"), "relationship": "mentioned on",
            "object": {
                "url": commit, "title": format!("Solved by commit {sha}."), "status": { "resolved": true },
                "icon": { "title": "GitLab", "url16x16": "http://example.com/favicon.ico" },
            },
        })]
    );
    let mut mentioned = Tracker::default();
    deliver(&[], &at(push("See ABC-7"), EVENT), &mut mentioned);
    assert_eq!(mentioned.links[0]["object"]["title"], "Commit - See ABC-7");
    assert_eq!((mentioned.told(), mentioned.asked), ((1, 0, 1, String::new()), 5));
}

#[test]
fn a_comment_that_is_there_means_to_go_on_with_the_link() {
    let event = at(push("See ABC-7"), EVENT);
    let mut tracker = Tracker::default();
    deliver(&[], &event, &mut tracker);
    tracker.links.clear();
    deliver(&[], &event, &mut tracker);
    assert_eq!(tracker.told(), (1, 0, 1, String::new()));
    // GitLab's own link to the commit, without our id, is used.
    let mut tracker = Tracker::default();
    tracker.links.push(json!({ "id": 0, "object": { "url": "http://example.com/mike/diaspora/commit/b6568db1bc1dcd7f8b4d5a946b0b91f9dacd7327", "title": "old" } }));
    deliver(&[], &event, &mut tracker);
    assert_eq!(tracker.told(), (0, 0, 1, String::new()), "where the link is, the comment was");
    assert_eq!(tracker.links[0]["object"]["title"], "Commit - See ABC-7");
}

#[test]
fn an_issue_that_was_resolved_before_the_event_is_left_alone() {
    let event = at(push("Fixes ABC-7"), EVENT);
    let by = [("jira_issue_transition_id", "5")];
    let resolved = |at: &str| Tracker { status: 3, resolved: Some(at.to_owned()), ..Tracker::default() };
    let mut before = resolved("2026-01-15T09:29:00.000+0000");
    deliver(&by, &event, &mut before);
    assert_eq!(before.told(), (1, 0, 1, String::new()), "it is mentioned, and no more");
    let mut since = resolved("2026-01-15T09:30:01.000+0000");
    deliver(&by, &event, &mut since);
    assert_eq!(since.told(), (1, 1, 1, String::new()), "an attempt before this one took the transition");
    // Two commits close the issue, and only one is recorded as its solution.
    let other = at(
        changed_push(|push| {
            push["ref"] = json!("refs/heads/master");
            push["commits"] = json!([push["commits"][1]]);
            push["commits"][0]["message"] = json!("Closes ABC-7 too");
        }),
        EVENT,
    );
    deliver(&by, &other, &mut since);
    assert_eq!(since.told(), (2, 1, 2, String::new()));
    assert_eq!(since.links[1]["object"]["status"]["resolved"], false);
}

#[test]
fn a_refused_transition_is_a_remark_and_no_failure() {
    let event = at(push("Fixes ABC-7"), EVENT);
    let mut tracker = Tracker { workflow: Workflow::Refuses, ..Tracker::default() };
    deliver(&[("jira_issue_transition_id", "11")], &event, &mut tracker);
    assert_eq!(tracker.told(), (1, 0, 1, String::new()), "it is mentioned, and not said to be solved");
    let answers = CONTRACT.chain.iter().take(5).copied();
    let refused = (400, r#"{"errorMessages":["no"],"errors":{}}"#);
    let answers: Vec<_> = answers.chain([refused]).collect();
    let entry = find("jira").expect("the adapter");
    let settings = settings(&[("jira_issue_transition_id", "11")]);
    let target = entry.targets(&settings, &event, &[]).send.remove(0).name;
    let note = Notification { now: event.occurred_at, ..note(&event, &target) };
    let mut call = entry.call(&settings, &note).unwrap_or_else(|failure| panic!("{failure}"));
    for (status, body) in answers {
        let response = HttpResponse { status, headers: Vec::new(), body: body.into(), at: event.occurred_at };
        let Answer::Next(next) = (call.read)(&Response::Http(response)) else {
            panic!("the chain ends at {status}")
        };
        call = next;
    }
    let remark = call.remark.expect("a remark");
    assert!(
        remark
            .starts_with("Jira did not take transition 11 of ABC-7; the issue stays as it is: answered 400"),
        "{remark}"
    );
}

/// Each setting that has an effect, and the effect.
#[test]
fn settings_have_their_effects() {
    let event = at(push("Fixes ABC-7"), EVENT);
    let told = |more: &[(&str, &str)]| {
        let mut tracker = Tracker { status: 2, ..Tracker::default() };
        deliver(more, &event, &mut tracker);
        tracker
    };
    for off in ["", " ", ";", " , "] {
        assert_eq!(
            told(&[("jira_issue_transition_id", off)]).told(),
            (1, 0, 1, String::new()),
            "blank is off"
        );
    }
    assert_eq!(told(&[("jira_issue_transition_id", "31")]).told().3, "31");
    assert_eq!(told(&[("jira_issue_transition_automatic", "true")]).told().3, "31");
    let silent = told(&[("jira_issue_transition_id", "31"), ("comment_on_event_enabled", "false")]);
    assert_eq!(silent.told(), (0, 0, 1, "31".to_owned()));
    assert_eq!(silent.links[0]["object"]["status"]["resolved"], true);
    let all = told(&[("comment_detail", "all_details")]);
    assert!(all.comments[0].0.contains(" in [commit b6568db1|http"), "{}", all.comments[0].0);
    let off = targets(&[("commit_events", "false")], &event);
    assert_eq!(off.left_out, ["the integration is switched off for commits (commit_events = false)"]);
    assert_eq!(names(&targets(&[("project_keys", "DEF")], &event)), [""; 0]);
    assert_eq!(
        names(&targets(&[("jira_issue_prefix", "X"), ("jira_issue_regex", "ABC-[0-9]")], &event)),
        [""; 0]
    );
}

#[test]
fn the_login_is_basic_or_a_personal_access_token_and_the_api_may_be_elsewhere() {
    let first = |more: &[(&str, &str)]| {
        let case = tell("push", &serde_json::from_slice(&push("See ABC-7").raw).expect("JSON"));
        let settings = settings(more);
        let entry = find("jira").expect("the adapter");
        let target = entry.targets(&settings, &case.event, &[]).send.remove(0).name;
        match call_with(entry, &settings, &case, &target).request {
            Request::Http(request) => request,
            other => panic!("{other:?}"),
        }
    };
    let request = first(&[]);
    assert_eq!(
        request.url.as_str(),
        "https://ada:s3cret-t0ken@jira.example.com/jira/rest/api/2/issue/ABC-7?fields=resolution%2Cresolutiondate%2Cstatus"
    );
    assert_eq!(header(&request, "cookie"), Some("OBBasicAuth=fromDialog"));
    let request = first(&[("jira_auth_type", "1"), ("api_url", "https://api.example.com/x/?a=b#c")]);
    assert!(
        request.url.as_str().starts_with("https://api.example.com/x/rest/api/2/issue/ABC-7?fields="),
        "{}",
        request.url
    );
    assert_eq!(header(&request, "authorization"), Some("Bearer s3cret-t0ken"));
    assert_eq!(header(&request, "cookie"), None);
}

#[test]
fn each_issue_and_object_is_a_target_and_issues_keep_their_order() {
    let event = changed_push(|push| {
        push["ref"] = json!("refs/heads/topic");
        push["commits"][0]["message"] = json!("Closes ABC-7, DEF-8");
        push["commits"][1]["message"] = json!("ABC-7 again");
        push["total_commits_count"] = json!(5);
    });
    let told = targets(&[("jira_issue_transition_id", "31")], &event);
    let (one, two) = ("b6568db1bc1dcd7f8b4d5a946b0b91f9dacd7327", "da1560886d4f094c3e6c9ef40349f7d38b5d27d7");
    assert_eq!(names(&told), [format!("ABC-7 {one}"), format!("DEF-8 {one}"), format!("ABC-7 {two}")]);
    let lanes: Vec<_> =
        told.send.iter().map(|target| target.lane.as_ref().expect("a lane").0.as_str()).collect();
    assert_eq!(lanes, ["ABC-7", "DEF-8", "ABC-7"]);
    assert_eq!(
        told.left_out,
        ["3 of 5 commits are not listed in the event, so the issues that only they name are not known"]
    );
    let closed = targets(&[("jira_issue_transition_id", "31")], &push("Closes ABC-7, mentions DEF-8"));
    assert_eq!(names(&closed), [format!("ABC-7 {one} closes"), format!("DEF-8 {one}")]);
    let nothing = targets(&[], &push("no key"));
    assert_eq!(nothing.left_out, ["no Jira issue is named in it"]);
}

#[test]
fn at_most_a_hundred_issues_are_told_and_the_rest_is_said() {
    let keys: Vec<String> = (1..=10_000).map(|number| format!("ABC-{number}")).collect();
    let told = targets(&[], &push(&keys.join(" ")));
    assert_eq!(told.send.len(), 100);
    assert_eq!(
        told.left_out,
        [
            "4900 more issues are named; one event tells at most 100",
            "only the beginning of a long text was searched, and at most 5000 references of an event"
        ]
    );
    let other = targets(&[("project_keys", "ABC")], &push("ABC-7 in UTF-8 by ISO-8601"));
    assert_eq!(names(&other).len(), 1);
    assert_eq!(
        other.left_out,
        ["UTF-8, ISO-8601: not of the Jira projects of project_key and project_keys, or not a key of Jira"]
    );
    let mut tracker = Tracker::default();
    deliver(
        &[("comment_detail", "all_details")],
        &push(&format!("ABC-7 {}", "{x} ".repeat(5_000))),
        &mut tracker,
    );
    assert_eq!(tracker.told().0, 1, "a message of 20,000 characters is told");
}

fn request(change: impl FnOnce(&mut Json)) -> Event {
    let id = EventId::new("a merge request").expect("an id");
    let json = changed("merge_request_open.json", |request| {
        request["object_attributes"]["title"] = json!("ABC-7: new pumps");
        request["object_attributes"]["description"] = json!("Closes DEF-8\n\n`GHI-9` <!-- JKL-1 -->");
        request["changes"] = json!({});
        change(request);
    });
    Event::decode(id, EVENT.parse().expect("a moment"), json.to_string().into()).expect("an event")
}

#[test]
fn merge_requests_tell_what_they_mention_when_opened_or_edited_and_close_when_merged() {
    let by = [("jira_issue_transition_id", "31")];
    let with = |action: &str, more: &dyn Fn(&mut Json)| {
        let event = request(|request| {
            request["object_attributes"]["action"] = json!(action);
            more(request);
        });
        let told = targets(&by, &event);
        (names(&told).iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), told.left_out)
    };
    for action in ["open", "reopen"] {
        assert_eq!(with(action, &|_| ()).0, ["ABC-7 !1", "DEF-8 !1"]);
    }
    let edited =
        |request: &mut Json| request["changes"]["title"] = json!({ "previous": "a", "current": "b" });
    assert_eq!(with("update", &edited).0, ["ABC-7 !1", "DEF-8 !1"]);
    assert_eq!(
        with("update", &|_| ()),
        (vec![], vec!["the update changed neither the title nor the description".to_owned()])
    );
    let default = |request: &mut Json| {
        request["project"]["default_branch"] = request["object_attributes"]["target_branch"].clone();
    };
    assert_eq!(with("merge", &default).0, ["DEF-8 !1 closes"]);
    let (none, why) = with("merge", &|request| request["project"]["default_branch"] = json!("other"));
    assert!(none.is_empty() && why[0].starts_with("it was not merged into the default branch"), "{why:?}");
    assert_eq!(
        with("approved", &default).1,
        ["issues are told when a merge request is opened, edited or merged (action = approved)"]
    );
}

#[test]
fn settings_that_can_not_work_are_refused() {
    for (wrong, expected) in [
        (&[("username", " ")][..], "username: can't be blank where `jira_auth_type` is 0"),
        (
            &[("jira_auth_type", "2")],
            "jira_auth_type: must be 0 (name and password) or 1 (personal access token)",
        ),
        (
            &[("jira_auth_type", "1"), ("url", "https://acme.atlassian.net")],
            "jira_auth_type: must be 0 for Jira Cloud (atlassian.net), with an API token as the password",
        ),
        (
            &[("jira_issue_transition_id", "done")],
            "jira_issue_transition_id: must be a list of numbers, separated by , or ;",
        ),
        (&[("jira_issue_regex", "(")], "jira_issue_regex: is not a regular expression: unclosed group"),
        (&[("comment_detail", "more")], "comment_detail: must be standard or all_details"),
    ] {
        let errors = settings_with("jira", &with(wrong)).err().unwrap_or_default();
        assert_eq!(errors, [expected]);
    }
    let long = format!("https://jira.example.com/{}", "x".repeat(2_048));
    let errors = settings_with("jira", &with(&[("api_url", &long)])).err().unwrap_or_default();
    assert_eq!(errors, ["api_url: is too long (maximum is 2048 characters)"]);
    for sound in ["2", "5, 6;7", "731"] {
        assert!(settings_with("jira", &with(&[("jira_issue_transition_id", sound)])).is_ok(), "{sound}");
    }
}

#[test]
fn references_lead_to_jiras_pages() {
    let entry = find("jira").expect("the adapter");
    let link = entry.link.as_ref().expect("it leads to pages");
    let settings = settings(&[("url", "https://u:p@jira.example.com/jira/?os=1#x"), ("project_keys", "ABC")]);
    let found = link.references(&settings, "see ABC-12, UTF-8 and https://a.example/ABC-3");
    let found: Vec<_> = found.iter().map(|found| (found.range.clone(), found.url.as_str())).collect();
    assert_eq!(found, [(4..10, "https://jira.example.com/jira/browse/ABC-12?os=1")]);
    assert_eq!(
        link.issue(&settings, "ABC-12").as_deref(),
        Some("https://jira.example.com/jira/browse/ABC-12?os=1")
    );
    assert_eq!(link.issue(&settings, "12"), None);
    assert_eq!(link.issue(&settings, "DEF-1"), None);
    let new = link.new_issue(&settings);
    assert_eq!(new.as_deref(), Some("https://jira.example.com/jira/secure/CreateIssue!default.jspa?os=1"));
}

#[test]
fn a_test_asks_who_jira_is_and_who_the_user_is() {
    let entry = find("jira").expect("the adapter");
    let probe = entry.probe.as_ref().expect("it can be asked");
    let answered = |answers: &[(u16, &str)]| {
        let call = probe.probe(
            &settings(&[]),
            jiff::Timestamp::UNIX_EPOCH,
            &crate::adapters::OperatorSettings::default(),
        );
        let mut call = call.unwrap_or_else(|failure| panic!("{failure}"));
        for (status, body) in answers {
            match (call.read)(&Response::Http(http_response(*status, &[], body))) {
                Answer::Next(next) => call = next,
                Answer::Done(health) => return health.answer,
                Answer::Failed(failure) => return failure.consequence().to_owned(),
                Answer::Skipped(why) => return why,
            }
        }
        "unanswered".to_owned()
    };
    let info = r#"{"version":"9.12.4","deploymentType":"Server"}"#;
    assert_eq!(
        answered(&[(200, info), (200, r#"{"displayName":"Ada"}"#)]),
        "Jira Server 9.12.4 answers, and knows the user as Ada"
    );
    assert_eq!(answered(&[(200, info), (401, r#"{"errorMessages":["no"],"errors":{}}"#)]), "misconfigured");
    assert_eq!(answered(&[(200, "<html>Jira")]), "unavailable");
    assert_eq!(answered(&[(404, "<html>Not Found")]), "unavailable");
}

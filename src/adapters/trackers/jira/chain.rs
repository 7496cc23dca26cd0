//! The calls of one delivery: one commit or merge request for one issue.
//!
//! Every step checks the current state first, so a delivery can be repeated after any step: find the issue; read its
//! comments and links; write the comment; make the link; and, if the issue is to be closed, take a transition, read the
//! issue again, and write what solved it. [`advance`] does the first step that is not done yet.

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::answers::{done, is_missing, json as json_of, not_understood, own_no};
use super::issue::{Existing, Issue, RemoteLink, Said};
use super::server::Server;
use crate::call::{Answer, Call, Failure, HttpRequest, HttpResponse, Method, Sent, describe};

/// The most calls of an attempt. If closing an issue takes more transitions than fit, the next attempt continues. It
/// needs fewer calls before the transitions.
pub(super) const CALLS: u32 = 10;
/// Without a transition: the issue, its comments, its links, a comment, a link.
pub(super) const CALLS_TO_MENTION: u32 = 5;
/// A transition, another look at the issue, a comment, a link.
const CALLS_TO_CLOSE: u32 = 4;
/// Comments are asked for newest first, and not all of them: a comment of this event is new, and its link says the same.
const COMMENTS: &str = "50";

/// The task and its state so far.
pub(super) struct Task {
    pub server: Server,
    pub key: String,
    /// The address of the commit or merge request.
    pub url: String,
    /// The comment; `None` if the settings want none.
    pub comment: Option<String>,
    pub link: RemoteLink,
    pub closing: Option<Closing>,
    /// When the event happened: an issue that was resolved before is left alone.
    pub occurred_at: Timestamp,
    pub progress: Progress,
}

/// How an issue is closed.
pub(super) struct Closing {
    pub by: Transitions,
    /// The address of the commit that solves it.
    pub url: String,
    /// The comment; `None` if the settings want none.
    pub comment: Option<String>,
    /// The link afterwards.
    pub link: RemoteLink,
}

/// Which transitions close an issue.
pub(super) enum Transitions {
    /// The first that leads to a state which is done.
    Automatic,
    /// These transitions, one after another.
    Listed(Vec<String>),
}

/// The known state of an issue.
#[derive(Default)]
pub(super) struct Progress {
    calls: u32,
    issue: Issue,
    said: Said,
    existing: Option<Existing>,
    is_link_there: bool,
    taken: usize,
    /// No other transition is taken.
    is_moved: bool,
    /// Jira took a transition in this attempt.
    has_moved: bool,
    remark: Option<String>,
}

/// The first call.
pub(super) fn start(task: Task) -> Call<Sent> {
    let task = Box::new(task);
    let request = task.issue_request(&task.key);
    task.call(request, |mut task, response| {
        if is_missing(response) {
            let why = format!(
                "Jira has no issue {}, or its user may not see it ({})",
                task.key,
                describe(response)
            );
            return Answer::Skipped(why);
        }
        match task.look(response) {
            Ok(()) => read_comments(task),
            Err(answer) => answer,
        }
    })
}

fn read_comments(task: Box<Task>) -> Answer<Sent> {
    let closing_comment = task.closing.as_ref().and_then(|closing| closing.comment.as_ref());
    if task.comment.as_ref().or(closing_comment).is_none() {
        return read_links(task);
    }
    let query = [("orderBy", "-created"), ("maxResults", COMMENTS)];
    let request = task.server.request(Method::Get, &["issue", &task.progress.issue.id, "comment"], &query);
    Answer::Next(task.call(request, |mut task, response| {
        let json = match json_of(response, false) {
            Ok(json) => json,
            Err(answer) => return answer,
        };
        let solved_url = task.closing.as_ref().map_or(&task.url, |closing| &closing.url);
        let Some(said) = Said::read(&json, &task.url, solved_url) else {
            return not_understood(response, false);
        };
        task.progress.said = said;
        read_links(task)
    }))
}

fn read_links(task: Box<Task>) -> Answer<Sent> {
    let request = task.server.request(Method::Get, &["issue", &task.progress.issue.id, "remotelink"], &[]);
    Answer::Next(task.call(request, |mut task, response| {
        let json = match json_of(response, false) {
            Ok(json) => json,
            Err(answer) => return answer,
        };
        let Some(existing) = Existing::among(&json, &task.link) else {
            return not_understood(response, false);
        };
        // The comment is written before the link. So if the link exists, the comment was written.
        task.progress.said.mentioned |= existing.is_some();
        task.progress.existing = existing;
        advance(task)
    }))
}

/// The next step, or the end.
fn advance(mut task: Box<Task>) -> Answer<Sent> {
    if let Some(comment) = task.comment.as_ref().filter(|_| !task.progress.said.mentioned) {
        let request = task.comment_request(comment);
        return task.then(request, json_of_new, |task, _| task.progress.said.mentioned = true);
    }
    if !task.progress.is_link_there {
        task.progress.is_link_there = true;
        if task.progress.existing.as_ref().is_none_or(|existing| !existing.says(&task.link)) {
            let link = task.link.clone();
            return link_step(task, link);
        }
    }
    close(task)
}

fn close(task: Box<Task>) -> Answer<Sent> {
    let Some(closing) = &task.closing else { return Answer::Done(Sent) };
    let progress = &task.progress;
    let Some(resolved) = &progress.issue.resolved else { return transition(task) };
    if resolved.is_before(task.occurred_at) {
        return Answer::Done(Sent);
    }
    if let Some(comment) = closing.comment.as_ref().filter(|_| !progress.said.says_solved(resolved)) {
        let request = task.comment_request(comment);
        return task.then(request, json_of_new, |task, _| task.progress.said.solved_by_this = true);
    }
    // If another commit or a person solved the issue, the link to this commit stays a mention. If comments are off,
    // only a transition in this attempt proves that this commit solved it.
    let is_solved_by_this =
        if closing.comment.is_some() { progress.said.solved_by_this } else { progress.has_moved };
    let is_said = progress.existing.as_ref().is_some_and(|existing| existing.says(&closing.link));
    if !is_solved_by_this || is_said {
        return Answer::Done(Sent);
    }
    let link = closing.link.clone();
    link_step(task, link)
}

/// Takes the next transition, and looks at the issue again.
fn transition(task: Box<Task>) -> Answer<Sent> {
    let Some(closing) = task.closing.as_ref().filter(|_| !task.progress.is_moved) else {
        return Answer::Done(Sent);
    };
    let (issue, taken) = (&task.progress.issue, task.progress.taken);
    let next = match &closing.by {
        Transitions::Automatic => issue.done_transition().map(|id| (0, id.to_owned())),
        Transitions::Listed(list) => {
            issue.next_transition(list, taken).map(|(place, id)| (place, id.to_owned()))
        }
    };
    let Some((place, id)) = next else { return Answer::Done(Sent) };
    if task.progress.calls + CALLS_TO_CLOSE > CALLS {
        let why = format!(
            "the issue takes several transitions, and one attempt makes {CALLS} calls: the next one goes on"
        );
        return Answer::Failed(Failure::Deferred { wait: None, why });
    }
    let body = json!({ "transition": { "id": id } });
    let request = task.server.send(Method::Post, &["issue", &issue.id, "transitions"], &body);
    let is_automatic = matches!(closing.by, Transitions::Automatic);
    Answer::Next(task.call(request, move |mut task, response| {
        task.progress.taken = place + 1;
        task.progress.is_moved = is_automatic;
        if own_no(response) {
            let said = describe(response);
            task.progress.remark = Some(format!(
                "Jira did not take transition {id} of {}; the issue stays as it is: {said}",
                task.key
            ));
            task.progress.is_moved = true;
        } else if let Err(answer) = done(response) {
            return answer;
        } else {
            task.progress.has_moved = true;
        }
        look_again(task)
    }))
}

fn look_again(task: Box<Task>) -> Answer<Sent> {
    let request = task.issue_request(&task.progress.issue.id);
    Answer::Next(task.call(request, |mut task, response| match task.look(response) {
        Ok(()) => close(task),
        Err(answer) => answer,
    }))
}

/// Makes the link, or changes the one that is there. With an id of our own, Jira makes no second one.
fn link_step(task: Box<Task>, link: RemoteLink) -> Answer<Sent> {
    let (body, issue) = (link.body(), &task.progress.issue.id);
    let known = task.progress.existing.as_ref().and_then(|existing| existing.id.clone());
    let request = match &known {
        Some(id) => task.server.send(Method::Put, &["issue", issue, "remotelink", id], &body),
        None => task.server.send(Method::Post, &["issue", issue, "remotelink"], &body),
    };
    let is_change = known.is_some();
    Answer::Next(task.call(request, move |mut task, response| {
        if is_change && is_missing(response) {
            let why = format!("the link was removed meanwhile: {}", describe(response));
            return Answer::Failed(Failure::TemporarilyRejected { wait: None, why });
        }
        let made = if is_change { done(response).map(|()| Json::Null) } else { json_of_new(response) };
        match made {
            Ok(json) => {
                task.progress.existing = Some(Existing::made(&json, known, &link));
                advance(task)
            }
            Err(answer) => answer,
        }
    }))
}

/// Reads the answer to a created object, which must have an id.
fn json_of_new(response: &HttpResponse) -> Result<Json, Answer<Sent>> {
    let json = json_of(response, true)?;
    if json["id"].is_null() { Err(not_understood(response, true)) } else { Ok(json) }
}

impl Task {
    fn issue_request(&self, name: &str) -> HttpRequest {
        let fields = ("fields", "resolution,resolutiondate,status");
        let query = [fields, ("expand", "transitions")];
        let query = if self.closing.is_some() { &query[..] } else { &query[..1] };
        self.server.request(Method::Get, &["issue", name], query)
    }

    fn comment_request(&self, comment: &str) -> HttpRequest {
        self.server.send(
            Method::Post,
            &["issue", &self.progress.issue.id, "comment"],
            &json!({ "body": comment }),
        )
    }

    /// Takes in what an answer says of the issue.
    fn look(&mut self, response: &HttpResponse) -> Result<(), Answer<Sent>> {
        let json = json_of(response, false)?;
        self.progress.issue = Issue::read(&json, response).ok_or_else(|| not_understood(response, false))?;
        Ok(())
    }

    /// A call, and how its answer is read.
    fn call(
        mut self: Box<Self>,
        request: HttpRequest,
        read: impl FnOnce(Box<Self>, &HttpResponse) -> Answer<Sent> + Send + 'static,
    ) -> Call<Sent> {
        self.progress.calls += 1;
        let remark = self.progress.remark.take();
        let call = Call::http(request, |response| read(self, response));
        match remark {
            Some(remark) => call.remarking(remark),
            None => call,
        }
    }

    /// A call that does something, what is known then, and the next step.
    fn then(
        self: Box<Self>,
        request: HttpRequest,
        read: fn(&HttpResponse) -> Result<Json, Answer<Sent>>,
        known: fn(&mut Self, Json),
    ) -> Answer<Sent> {
        Answer::Next(self.call(request, move |mut task, response| match read(response) {
            Ok(json) => {
                known(&mut task, json);
                advance(task)
            }
            Err(answer) => answer,
        }))
    }
}

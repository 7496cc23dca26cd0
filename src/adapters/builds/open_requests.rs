//! GitLab's rule that a push starts no build where an open merge request has the pushed branch: the merge request's own
//! event starts it then (`app/models/concerns/integrations/push_data_validations.rb` in
//! <https://gitlab.com/gitlab-org/gitlab>).
//!
//! An event does not say which merge requests are open, so the forge is asked, where the operator configured its API
//! (<https://docs.gitlab.com/api/merge_requests/#list-project-merge-requests>). If the forge can't tell, the states
//! from events count (`pipeline::open_requests`). If there are none, the build is started: two builds of one commit are
//! better than none.

use serde::Deserialize;

use crate::adapters::contract::Notification;
use crate::call::{Answer, Call, Egress, HttpRequest, HttpResponse, Method, Sent, by_status};
use crate::event::{Payload, RefType};

/// Longer lists are not read: as many pages of merge requests from one branch are forks'.
const MOST_PAGES: u32 = 5;
/// The calls of an attempt: the pages, and the start of the build.
pub(super) const MOST_CALLS: u32 = MOST_PAGES + 1;
/// A page has 100 merge requests of a few kilobytes each. Some descriptions are longer.
const LONGEST: usize = 4 * 1024 * 1024;

/// Makes this call, unless the forge knows an open merge request of the pushed branch.
pub(super) fn unless_open(note: &Notification<'_>, start: Call<Sent>) -> Call<Sent> {
    match question(note) {
        Some((project, request)) => {
            let list = List { request, project, page: 1, known: note.open_request, start };
            list.read()
        }
        None => start,
    }
}

/// A list of merge requests, from a page on.
struct List {
    /// The first page.
    request: HttpRequest,
    project: i64,
    page: u32,
    /// The open merge request by events.
    known: Option<i64>,
    start: Call<Sent>,
}

impl List {
    fn read(self) -> Call<Sent> {
        let mut request = self.request.clone();
        if self.page > 1 {
            request.url.query_pairs_mut().append_pair("page", &self.page.to_string());
        }
        Call::http(request, move |response| self.answer(response)).to_other_service()
    }

    /// A fork's branch of the same name is another branch.
    fn answer(self, response: &HttpResponse) -> Answer<Sent> {
        let is_whole = response.body.len() < LONGEST;
        let open: Option<Vec<Open>> = match response.status {
            200..=299 if is_whole => serde_json::from_slice(&response.body).ok(),
            // The answer is too long to be read, or the token may not read the project.
            200..=299 | 401 | 403 | 404 => None,
            _ => return by_status(response),
        };
        let Some(open) = open else { return self.by_events() };
        if let Some(own) = open.iter().find(|open| open.source_project_id == Some(self.project)) {
            return Answer::Skipped(starts_build(own.iid));
        }
        let next = response.header("x-next-page").and_then(|page| page.trim().parse().ok());
        match next {
            Some(page) if page > self.page && page <= MOST_PAGES => {
                Answer::Next(Self { page, ..self }.read())
            }
            // The list goes on, but this many pages are forks'.
            Some(page) if page > self.page => self.by_events(),
            _ => Answer::Next(self.start),
        }
    }

    /// The forge can't tell.
    fn by_events(self) -> Answer<Sent> {
        match self.known {
            Some(iid) => Answer::Skipped(starts_build(Some(iid))),
            None => Answer::Next(self.start),
        }
    }
}

/// The question to the forge, and the pushing project; `None` where there is nothing to ask.
fn question(note: &Notification<'_>) -> Option<(i64, HttpRequest)> {
    let Payload::Push(push) = &note.event.payload else { return None };
    let project = note.event.project.as_ref()?.id;
    let forge = &note.operator.forge;
    if push.ref_type() != RefType::Branch || !forge.can_be_asked() || project <= 0 {
        return None;
    }
    let api = forge.api_url.trim_end_matches('/');
    let mut url = url::Url::parse(&format!("{api}/projects/{project}/merge_requests")).ok()?;
    url.query_pairs_mut()
        .append_pair("state", "opened")
        .append_pair("source_branch", push.short_ref())
        .append_pair("per_page", "100");
    let request = HttpRequest {
        headers: vec![("private-token", forge.token.expose().to_owned())],
        egress: Egress::Operator,
        answer_limit: LONGEST,
        ..HttpRequest::new(Method::Get, url)
    };
    Some((project, request))
}

/// Why a push starts no build, where this merge request is open.
pub fn starts_build(iid: Option<i64>) -> String {
    let iid = iid.map(|iid| format!(" !{iid}")).unwrap_or_default();
    format!("the open merge request{iid} has this branch, and its own event starts the build")
}

/// The fields of a merge request that are read.
#[derive(Deserialize)]
struct Open {
    iid: Option<i64>,
    source_project_id: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::OperatorSettings;
    use crate::adapters::tests::note;
    use crate::call::{Request, Response};
    use crate::event::{Trigger, sample};
    use crate::settings::Secret;

    type Given<'a> = (u16, &'a [(&'a str, &'a str)], String);

    /// The decision after these answers of the forge in turn, with this state from events: `build`, or why not. The
    /// second value has the queries.
    fn decided(answers: &[Given<'_>], known: Option<i64>) -> (String, Vec<String>) {
        let mut operator = OperatorSettings::default();
        operator.forge.api_url = "https://forge.example.com/api/v4".to_owned();
        operator.forge.token = Secret::new("t0ken");
        let event = sample(Trigger::Push);
        let note = Notification { operator: &operator, open_request: known, ..note(&event, "") };
        let hook = HttpRequest::new(Method::Post, "https://drone.example.com/hook".parse().expect("a URL"));
        let mut call = unless_open(&note, Call::http(hook, |_| Answer::Done(Sent)));
        let mut asked = Vec::new();
        for (status, headers, body) in answers {
            let Request::Http(request) = &call.request else { panic!("no HTTP") };
            asked.push(request.url.query().unwrap_or_default().to_owned());
            let headers =
                headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let body = body.clone().into();
            let at = jiff::Timestamp::UNIX_EPOCH;
            match (call.read)(&Response::Http(HttpResponse { status: *status, headers, body, at })) {
                Answer::Next(next) => call = next,
                Answer::Skipped(why) => return (why, asked),
                _ => return ("failed".to_owned(), asked),
            }
        }
        match &call.request {
            Request::Http(request) if request.method == Method::Post => ("build".to_owned(), asked),
            _ => ("another question".to_owned(), asked),
        }
    }

    /// A page of merge requests of forks.
    fn forks() -> String {
        let fork = |iid: i64| serde_json::json!({ "iid": iid, "source_project_id": 99_999_999 });
        serde_json::Value::from((1..=100).map(fork).collect::<Vec<_>>()).to_string()
    }

    fn own(iid: i64) -> String {
        let project = sample(Trigger::Push).project.expect("a project").id;
        serde_json::json!([{ "iid": iid, "source_project_id": project }]).to_string()
    }

    #[test]
    fn the_projects_own_merge_request_is_found_behind_a_page_of_forks() {
        let second: &[(&str, &str)] = &[("x-next-page", "2")];
        let (why, asked) = decided(&[(200, second, forks()), (200, &[("x-next-page", "")], own(7))], None);
        assert_eq!(why, starts_build(Some(7)));
        assert!(
            asked[0].ends_with("&per_page=100") && asked[1].ends_with("&per_page=100&page=2"),
            "{asked:?}"
        );
        let none = decided(&[(200, second, forks()), (200, &[("x-next-page", "")], "[]".to_owned())], None);
        assert_eq!(none.0, "build");
    }

    #[test]
    fn so_many_pages_are_read_as_an_attempt_has_calls_for() {
        let next: Vec<String> = (2..=MOST_PAGES + 1).map(|page| page.to_string()).collect();
        let headers: Vec<[(&str, &str); 1]> =
            next.iter().map(|page| [("x-next-page", page.as_str())]).collect();
        let pages: Vec<_> = headers.iter().map(|headers| (200, &headers[..], forks())).collect();
        let (why, asked) = decided(&pages, None);
        assert_eq!((why.as_str(), asked.len()), ("build", MOST_PAGES as usize));
        assert_eq!(decided(&pages, Some(7)).0, starts_build(Some(7)));
    }

    #[test]
    fn where_the_forge_cannot_tell_what_events_said_counts() {
        let cut = format!("[{{\"iid\":1,\"description\":\"{}", "x".repeat(LONGEST));
        for (status, body) in [
            (401, String::new()),
            (403, String::new()),
            (404, String::new()),
            (200, cut),
            (200, "<html>".to_owned()),
        ] {
            let answer = [(status, &[][..], body)];
            assert_eq!(decided(&answer, Some(7)).0, starts_build(Some(7)), "{status}");
            assert_eq!(decided(&answer, None).0, "build", "{status}");
        }
        let none: [Given<'_>; 1] = [(200, &[], "[]".to_owned())];
        assert_eq!(decided(&none, Some(7)).0, "build", "the forge knows better");
    }
}

//! GitLab's rule that a push starts no build where an open merge request has the pushed branch: the merge request's own
//! event starts it then (`app/models/concerns/integrations/push_data_validations.rb` in
//! <https://gitlab.com/gitlab-org/gitlab>).
//!
//! An event does not say which merge requests are open, so the forge is asked, where the operator configured its API
//! (<https://docs.gitlab.com/api/merge_requests/#list-project-merge-requests>). Where it can't tell, the build is started: two
//! builds of one commit are better than none. Where no API is configured, the pipeline knows it from events
//! (`pipeline::open_requests`).

use serde::Deserialize;

use crate::adapters::contract::Notification;
use crate::call::{Answer, Call, Egress, HttpRequest, HttpResponse, Method, Sent, by_status};
use crate::event::{Payload, RefType};

/// This call, unless the forge knows an open merge request of the pushed branch.
pub(super) fn unless_open(note: &Notification<'_>, start: Call<Sent>) -> Call<Sent> {
    match question(note) {
        Some((project, request)) => {
            Call::http(request, move |response| read(response, project, start)).to_other_service()
        }
        None => start,
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
        // A merge request is a few kilobytes in it.
        answer_limit: 1024 * 1024,
        ..HttpRequest::new(Method::Get, url)
    };
    Some((project, request))
}

/// Why a push starts no build, where this merge request is open.
pub fn starts_build(iid: Option<i64>) -> String {
    let iid = iid.map(|iid| format!(" !{iid}")).unwrap_or_default();
    format!("the open merge request{iid} has this branch, and its own event starts the build")
}

/// What is read of a merge request.
#[derive(Deserialize)]
struct Open {
    iid: Option<i64>,
    source_project_id: Option<i64>,
}

/// A fork's branch of the same name is another branch.
fn read(response: &HttpResponse, project: i64, start: Call<Sent>) -> Answer<Sent> {
    match response.status {
        200..=299 => {
            let open: Vec<Open> = serde_json::from_slice(&response.body).unwrap_or_default();
            match open.iter().find(|open| open.source_project_id == Some(project)) {
                Some(open) => Answer::Skipped(starts_build(open.iid)),
                None => Answer::Next(start),
            }
        }
        // The token may not read the project.
        401 | 403 | 404 => Answer::Next(start),
        _ => by_status(response),
    }
}

//! The events: real payloads that are notified in chats, spread over projects, each with a mark.
//!
//! The mark is in the author's name, which every message shows, so that a message or a payload identifies its event. What
//! an event says of its project is the same every time, as it is in a forge.

use serde_json::{Value, json};

use crate::harness::payloads::payload;

/// Names an event within one run of the bench.
pub type EventNumber = u32;

/// Payloads that chat services get, in roughly the shares of a busy forge.
const PAYLOADS: [&str; 20] = [
    "push.json",
    "captured/push.json",
    "captured/push.json",
    "captured/push_merge.json",
    "captured/push_14_commits.json",
    "captured/branch_create.json",
    "pipeline_success.json",
    "captured/pipeline_hook.json",
    "captured/pipeline_hook.json",
    "merge_request_open.json",
    "captured/merge_request_create.json",
    "captured/merge_request_merge.json",
    "note_merge_request.json",
    "captured/merge_request_comment_create.json",
    "captured/issue_comment_create.json",
    "note_commit.json",
    "issue_open.json",
    "captured/issue_create.json",
    "tag_push.json",
    "wiki_page_create.json",
];

const MARK: &str = "fbmark";
const DIGITS: usize = 9;
/// Merge requests of one project, where order is looked at.
const MERGE_REQUESTS: u32 = 5;
/// Added to the project's number, where no integration wants the event.
const UNKNOWN_PROJECT: u32 = 1_000_000;

/// What events are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// All kinds, for all projects in turn.
    Varied,
    /// Updates of a few merge requests in each project, each of which is a lane.
    MergeRequests,
    /// Updates of one merge request.
    OneLane,
    /// All kinds, for projects without an integration; but the first and the last one are wanted.
    Unmatched,
}

/// An event to publish.
#[derive(Clone)]
pub struct Event {
    pub number: EventNumber,
    pub body: Vec<u8>,
    /// The order is kept within it.
    pub lane: (u32, u32),
    /// Whether an integration wants it.
    pub wanted: bool,
}

/// Makes events, never two with the same number.
pub struct Events {
    payloads: Vec<Value>,
    merge_request: Value,
    /// Events go to as many projects in turn, numbered from 1.
    projects: u32,
    next: EventNumber,
}

impl Events {
    pub fn new(projects: u32) -> Self {
        let parsed = |name: &str| serde_json::from_slice(&payload(name)).expect("a payload is JSON");
        let merge_request = parsed("merge_request_open.json");
        Self { payloads: PAYLOADS.map(parsed).into(), merge_request, projects, next: 1 }
    }

    pub fn make(&mut self, count: usize, mix: Mix) -> Vec<Event> {
        let is_end = |n: usize| n == 0 || n + 1 == count;
        (0..count).map(|n| self.one(mix, is_end(n))).collect()
    }

    fn one(&mut self, mix: Mix, is_end: bool) -> Event {
        let number = self.next;
        self.next += 1;
        let (mut project, mut iid) = (self.project_of(number), 0);
        let mut json = match mix {
            Mix::Varied | Mix::Unmatched => {
                // A step of its own through the payloads, so that each project gets all kinds.
                let turn = (number / self.projects + number) as usize % self.payloads.len();
                self.payloads[turn].clone()
            }
            Mix::MergeRequests | Mix::OneLane => self.merge_request.clone(),
        };
        let wanted = mix != Mix::Unmatched || is_end;
        match mix {
            Mix::MergeRequests => iid = 1 + number / self.projects % MERGE_REQUESTS,
            Mix::OneLane => (project, iid) = (1, 1),
            Mix::Unmatched if !wanted => project += UNKNOWN_PROJECT,
            Mix::Varied | Mix::Unmatched => {}
        }
        if iid > 0 {
            json["object_attributes"]["iid"] = iid.into();
        }
        belongs_to(&mut json, project);
        mark(&mut json, &mark_of(number));
        let body = serde_json::to_vec(&json).expect("a JSON value can be written");
        Event { number, body, lane: (project, iid), wanted }
    }

    /// The project that an event belongs to, where it is of several.
    pub fn project_of(&self, number: EventNumber) -> u32 {
        1 + number % self.projects
    }
}

/// Makes it this project's, with what a forge says of the project each time.
fn belongs_to(json: &mut Value, project: u32) {
    for place in
        ["/project_id", "/project/id", "/object_attributes/project_id", "/merge_request/target_project_id"]
    {
        if let Some(id) = json.pointer_mut(place) {
            *id = project.into();
        }
    }
    let path = format!("bench/project-{project}");
    for (name, value) in [
        ("name", json!(format!("Project {project}"))),
        ("web_url", json!(format!("https://forge.example.com/{path}"))),
        ("path_with_namespace", json!(path)),
        ("default_branch", json!("master")),
        ("visibility_level", json!(0)),
    ] {
        json["project"][name] = value;
    }
}

fn mark(json: &mut Value, mark: &str) {
    for place in ["/user/name", "/user_name"] {
        if let Some(value) = json.pointer_mut(place) {
            *value = format!("Author {mark}").into();
        }
    }
}

/// The number of a body's event.
pub fn marked(body: &[u8]) -> Option<EventNumber> {
    let at = body.windows(MARK.len()).position(|bytes| bytes == MARK.as_bytes())? + MARK.len();
    std::str::from_utf8(body.get(at..at + DIGITS)?).ok()?.parse().ok()
}

/// The mark of an event, for what is not published as a payload.
pub fn mark_of(number: EventNumber) -> String {
    format!("{MARK}{number:0DIGITS$}")
}

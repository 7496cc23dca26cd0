//! The events: real payloads that are notified in chats, spread over projects, each with a mark.
//!
//! The mark is in fields that every message shows (the project's name and address, the author's name), so that a message
//! or a payload identifies its event.

use serde_json::Value;

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

/// An event to publish.
pub struct Event {
    pub number: EventNumber,
    pub body: Vec<u8>,
}

/// Makes events, never two with the same number.
pub struct Events {
    payloads: Vec<Value>,
    /// Events go to as many projects in turn, numbered from 1.
    projects: u32,
    next: EventNumber,
}

impl Events {
    pub fn new(projects: u32) -> Self {
        let parsed = PAYLOADS.map(|name| serde_json::from_slice(&payload(name)).expect("a payload is JSON"));
        Self { payloads: parsed.into(), projects, next: 1 }
    }

    pub fn make(&mut self, count: usize) -> Vec<Event> {
        (0..count).map(|_| self.one()).collect()
    }

    fn one(&mut self) -> Event {
        let number = self.next;
        self.next += 1;
        // A step of its own through the payloads, so that each project gets all kinds.
        let turn = (number / self.projects + number) as usize % self.payloads.len();
        let mut json = self.payloads[turn].clone();
        address(&mut json, self.project_of(number));
        mark(&mut json, &format!("{MARK}{number:0DIGITS$}"));
        Event { number, body: serde_json::to_vec(&json).expect("a JSON value can be written") }
    }

    /// The project that an event belongs to.
    pub fn project_of(&self, number: EventNumber) -> u32 {
        1 + number % self.projects
    }
}

/// Makes it this project's.
fn address(json: &mut Value, project: u32) {
    for place in
        ["/project_id", "/project/id", "/object_attributes/project_id", "/merge_request/target_project_id"]
    {
        if let Some(id) = json.pointer_mut(place) {
            *id = project.into();
        }
    }
    if let Some(path) = json.pointer_mut("/project/path_with_namespace") {
        *path = format!("bench/project-{project}").into();
    }
}

fn mark(json: &mut Value, mark: &str) {
    for (place, words) in [
        ("/project/name", format!("Project {mark}")),
        ("/project/web_url", format!("https://forge.example.com/{mark}")),
        ("/user/name", format!("Author {mark}")),
        ("/user_name", format!("Author {mark}")),
    ] {
        if let Some(value) = json.pointer_mut(place) {
            *value = words.into();
        }
    }
}

/// The number of a body's event.
pub fn marked(body: &[u8]) -> Option<EventNumber> {
    let at = body.windows(MARK.len()).position(|bytes| bytes == MARK.as_bytes())? + MARK.len();
    std::str::from_utf8(body.get(at..at + DIGITS)?).ok()?.parse().ok()
}

//! An adapter's declarations about its service for the tests: see [`Contract`].

use serde_json::Value as Json;

use crate::call::{Answer, Failure, Sent};

/// Facts on a service for the contract tests.
pub struct Contract {
    /// The most that the service takes in one request, in bytes.
    pub largest_body: usize,
    /// The fault in a body that the service would refuse or people could not read; `None` where the body is sound.
    pub fault: fn(&Json) -> Option<&'static str>,
    /// Whether the service gets the event unchanged. Then the texts of people in it are not escaped.
    pub forwards: bool,
    /// Whether references in what people wrote become links to the project's tracker, in some message at least. A service
    /// whose messages are plain text, or have no words of people, has no such links.
    pub links_references: bool,
    /// Markup that notifies people in this service. No text of people may be rendered as one of these.
    pub mentions: &'static [&'static str],
    /// A target that the settings' examples allow.
    pub target: &'static str,
    /// Whether targets come from the event (a commit each): the tests use the event's first target instead, and leave out
    /// events that have none.
    pub targets_of_event: bool,
    /// An event that has a target, where the usual ones have none (a push without a reference to a task).
    pub own_event: Option<OwnEvent>,
    /// Whether the forge can be asked in all tests, because nothing can be sent otherwise.
    pub needs_forge: bool,
    /// The consequence of an HTTP status with an empty body; [`usual_status`] for most services.
    pub status: fn(u16) -> &'static str,
    /// The consequences of answers with a body.
    pub answers: &'static [Expected],
    /// Answers that lead through the whole chain of calls, where there is more than one: the snapshots show each.
    pub chain: &'static [(u16, &'static str)],
    /// The consequences for a repeated attempt, if such an attempt looks first.
    pub repeated: &'static [(u16, &'static str)],
    /// Settings besides the examples with which answers are read in another way: the misleading ones are tried with each.
    pub variants: &'static [&'static [(&'static str, &'static str)]],
    /// Misleading answers (see the test of this name) that do not come to what they usually come to. None of them may
    /// prove an address dead, settings wrong or a message refused.
    pub misleading: &'static [Differs],
}

/// An event that an adapter declares for its tests.
pub struct OwnEvent {
    /// The name that it has in the tests.
    pub name: &'static str,
    /// A payload, and what is changed in it.
    pub file: &'static str,
    pub change: fn(&mut Json),
}

/// A misleading answer that comes to something else at this service.
pub struct Differs {
    /// The answer's name in the table of the test.
    pub answer: &'static str,
    /// The consequence, in the words of [`consequence`].
    pub outcome: &'static str,
    /// Why, with the source.
    pub because: &'static str,
}

impl Contract {
    /// For adapters that name what differs.
    pub const USUAL: Self = Self {
        largest_body: 0,
        fault: |_| None,
        forwards: false,
        links_references: true,
        mentions: &["@channel", "@here", "@everyone", "@all"],
        target: "",
        targets_of_event: false,
        own_event: None,
        needs_forge: false,
        status: usual_status,
        answers: &[],
        chain: &[],
        repeated: &[],
        variants: &[],
        misleading: &[],
    };
}

/// An answer, and what it comes to: in the words of [`outcome`].
pub struct Expected {
    pub status: u16,
    pub headers: &'static [(&'static str, &'static str)],
    pub body: &'static str,
    pub outcome: &'static str,
}

/// The consequence of a status without a body: see [`crate::call::by_status`]. The sender of the answer is unknown, so
/// the answer proves no address dead and no setting wrong.
pub fn usual_status(status: u16) -> &'static str {
    match status {
        200..=299 => "taken",
        429 => "throttled",
        400 | 413 | 422 => "rejected",
        _ => "unavailable",
    }
}

/// The consequence of an answer, in one word.
pub fn consequence(answer: &Answer<Sent>) -> &'static str {
    match answer {
        Answer::Done(Sent) => "taken",
        Answer::Next(_) => "next call",
        Answer::Skipped(_) => "skipped",
        Answer::Failed(failure) => failure.consequence(),
    }
}

/// The consequence with its details: `gone 3`, `unavailable, perhaps taken`, `throttled 30 s, shared`, `quota until
/// …`.
pub fn outcome(answer: &Answer<Sent>) -> String {
    match answer {
        Answer::Failed(Failure::Gone { confirmations, .. }) => format!("gone {confirmations}"),
        Answer::Failed(Failure::Unavailable { maybe_taken: true, .. }) => {
            "unavailable, perhaps taken".to_owned()
        }
        Answer::Failed(Failure::Throttled { wait, shared, .. }) => {
            let wait = wait.map(|wait| format!(" {} s", wait.as_secs())).unwrap_or_default();
            let shared = if *shared { ", shared" } else { "" };
            format!("throttled{wait}{shared}")
        }
        Answer::Failed(Failure::Quota { until, .. }) => format!("quota until {until}"),
        other => consequence(other).to_owned(),
    }
}

/// Whether people see anything of a text.
pub fn is_seen(text: &Json) -> bool {
    let unseen = |c: char| {
        c.is_whitespace() || c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
    };
    text.as_str().is_some_and(|text| text.chars().any(|c| !unseen(c)))
}

//! Plays a delivery's chain of calls through with answers that a test names.

use serde_json::Value as Json;

use super::calls::settings_with;
use super::events::{Case, changed};
use super::{
    Before, Targets, call_after, call_with, entry, http_response, outcome, own_case, sample, settings_of,
    shown, tell,
};
use crate::call::{Answer, Bucket, Call, Response, Sent};
use crate::event::{Event, EventId, Trigger};

/// A delivery that was played.
pub struct Played {
    /// Every request: `request` (method and address), `headers` and `body`.
    pub requests: Vec<Json>,
    /// The consequence, in the words of the declared answers; `unanswered` if there were fewer answers than calls.
    pub outcome: String,
    /// The reason, where it failed or was skipped.
    pub why: String,
    /// The remarks for the log.
    pub remarks: Vec<String>,
}

impl Played {
    /// Method and address of a request.
    pub fn address(&self, index: usize) -> &str {
        self.requests[index]["request"].as_str().expect("an HTTP request")
    }

    pub fn body(&self, index: usize) -> &Json {
        &self.requests[index]["body"]
    }

    /// A header of a request; empty if it is missing.
    pub fn header(&self, index: usize, name: &str) -> &str {
        let headers = self.requests[index]["headers"].as_array().into_iter().flatten();
        let mut values = headers.filter(|header| header[0] == name).filter_map(|header| header[1].as_str());
        values.next().unwrap_or_default()
    }
}

/// Delivers the sample of this trigger, to its first target, with these answers in turn.
pub fn play(slug: &str, settings: &[(&str, &str)], trigger: Trigger, answers: &[(u16, &str)]) -> Played {
    let (entry, settings) = (entry(slug), settings_of(slug, settings));
    let case = sample(trigger);
    let target = entry.targets(&settings, &case.event, &[]).send.remove(0).name;
    play_call(&case, call_with(entry, &settings, &case, &target), answers)
}

/// Delivers the event that the adapter declares, to its first target, with these answers in turn.
pub fn play_own(slug: &str, settings: &[(&str, &str)], answers: &[(u16, &str)]) -> Played {
    let case = own_case(entry(slug)).expect("the adapter declares an event");
    let target = targets_of_own(slug, settings, |_| ()).send.remove(0).name;
    play_to(slug, settings, &case.event, &target, Before::Nothing, answers)
}

/// The targets of the event that the adapter declares, with changes.
pub fn targets_of_own(slug: &str, settings: &[(&str, &str)], change: impl FnOnce(&mut Json)) -> Targets {
    let (entry, settings) = (entry(slug), settings_of(slug, settings));
    entry.targets(&settings, &own_event(slug, change), &[])
}

/// The event that the adapter declares, with changes.
pub fn own_event(slug: &str, change: impl FnOnce(&mut Json)) -> Event {
    let case = own_case(entry(slug)).expect("the adapter declares an event");
    let mut json: Json = serde_json::from_slice(&case.event.raw).expect("an event is JSON");
    change(&mut json);
    tell("changed", &json).event
}

/// Delivers an event to a target, with these answers in turn.
pub fn play_to(
    slug: &str,
    settings: &[(&str, &str)],
    event: &Event,
    target: &str,
    before: Before,
    answers: &[(u16, &str)],
) -> Played {
    let (entry, settings) = (entry(slug), settings_of(slug, settings));
    let case = Case { name: "played".to_owned(), event: event.clone(), message: None };
    let operator = if entry.deliver.as_ref().is_some_and(|deliver| deliver.contract.needs_forge) {
        super::operator_of_forge()
    } else {
        super::operator()
    };
    play_call(&case, call_after(entry, &settings, &case, target, operator, before), answers)
}

/// Makes this call and those that follow from it.
fn play_call(case: &Case, call: Call<Sent>, answers: &[(u16, &str)]) -> Played {
    let mut played = Played {
        requests: Vec::new(),
        outcome: "unanswered".to_owned(),
        why: String::new(),
        remarks: Vec::new(),
    };
    let (mut call, mut answers) = (call, answers.iter());
    loop {
        played.requests.push(shown(&call, case));
        played.remarks.extend(call.remark.clone());
        let Some((status, body)) = answers.next() else { return played };
        match (call.read)(&Response::Http(http_response(*status, &[], body))) {
            Answer::Next(next) => call = next,
            answer => {
                played.outcome = outcome(&answer);
                played.why = match answer {
                    Answer::Failed(failure) => failure.why().to_owned(),
                    Answer::Skipped(why) => why,
                    _ => String::new(),
                };
                return played;
            }
        }
    }
}

/// A push with some of its parts changed.
pub fn changed_push(change: impl FnOnce(&mut Json)) -> Event {
    let id = EventId::new("a push").expect("an id");
    let json = changed("push.json", change).to_string();
    Event::decode(id, jiff::Timestamp::UNIX_EPOCH, json.into()).expect("an event")
}

/// All buckets with these settings, for the first target of a push; the destination's first.
pub fn sample_buckets(slug: &str, settings: &[(&str, &str)]) -> Vec<Bucket> {
    let (entry, settings) = (entry(slug), settings_of(slug, settings));
    let target = entry.targets(&settings, &sample(Trigger::Push).event, &[]).send.remove(0).name;
    super::buckets(entry, &settings, &target)
}

/// The errors in these settings, as people read them.
pub fn errors(slug: &str, settings: &[(&str, &str)]) -> Vec<String> {
    settings_with(slug, settings).err().unwrap_or_default()
}

//! Plays a delivery's chain of calls through with answers that a test names.

use serde_json::Value as Json;

use super::calls::settings_with;
use super::events::{Case, changed};
use super::{call_with, entry, http_response, outcome, sample, settings_of, shown};
use crate::call::{Answer, Bucket, Call, Response, Sent};
use crate::event::{Event, EventId, Trigger};

/// A delivery that was played.
pub struct Played {
    /// Every request: `request` (method and address), `headers` and `body`.
    pub requests: Vec<Json>,
    /// What it came to, in the words of the declared answers; `unanswered` if there were fewer answers than calls.
    pub outcome: String,
    /// The reason, where it failed.
    pub why: String,
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

/// Makes this call and those that follow from it.
fn play_call(case: &Case, call: Call<Sent>, answers: &[(u16, &str)]) -> Played {
    let mut played = Played { requests: Vec::new(), outcome: "unanswered".to_owned(), why: String::new() };
    let (mut call, mut answers) = (call, answers.iter());
    loop {
        played.requests.push(shown(&call, case));
        let Some((status, body)) = answers.next() else { return played };
        match (call.read)(&Response::Http(http_response(*status, &[], body))) {
            Answer::Next(next) => call = next,
            answer => {
                played.outcome = outcome(&answer);
                if let Answer::Failed(failure) = answer {
                    played.why = failure.why().to_owned();
                }
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

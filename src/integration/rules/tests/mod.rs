//! GitLab's rules as truth tables. The expected values are from GitLab's documentation and sources.

mod addressed;
mod branches;
mod labels;
mod pipelines;
mod reasons;
mod silence;

use jiff::Timestamp;
use serde_json::Value;

use super::{WhyNot, wants};
use crate::event::{Event, EventId, Trigger, sample};
use crate::integration::{Family, Integration, ProjectFacts};

const FAMILIES: [Family; 4] = [Family::Chat, Family::PushMail, Family::PipelineMail, Family::Hook];

/// The sample event of this trigger, with some fields changed.
fn event(trigger: Trigger, changes: Value) -> Event {
    let mut body = serde_json::from_slice(&sample(trigger).raw).expect("samples are JSON");
    change(&mut body, changes);
    decode(&body)
}

fn decode(body: &Value) -> Event {
    let id = EventId::new("test").expect("a printable id");
    Event::decode(id, Timestamp::UNIX_EPOCH, body.to_string().into())
        .unwrap_or_else(|why| panic!("{why}: {body}"))
}

/// Objects are merged field by field, everything else is replaced.
fn change(body: &mut Value, changes: Value) {
    match (body, changes) {
        (Value::Object(body), Value::Object(changes)) => {
            for (name, value) in changes {
                change(body.entry(name).or_insert(Value::Null), value);
            }
        }
        (body, changes) => *body = changes,
    }
}

/// `Ok` or the reason's code, with no facts of the project beyond the event.
fn asked(integration: &Integration, event: &Event) -> Result<(), &'static str> {
    asked_knowing(integration, event, &ProjectFacts::default())
}

fn asked_knowing(integration: &Integration, event: &Event, facts: &ProjectFacts) -> Result<(), &'static str> {
    wants(integration, event, facts).map_err(|why| why.code())
}

/// An integration of this family that is switched on for everything.
fn chat() -> Integration {
    Integration::example(Family::Chat)
}

//! An adapter that forwards the event's JSON: kinds that have no message reach it, and no message is composed for it.

use std::time::Duration;

use jiff::Timestamp;

use super::{Contract, body, note};
use crate::adapters::Entry;
use crate::adapters::contract::{About, Adapter, CommonSettings, Deliver, Delivery, Notification, Preview};
use crate::call::{Bucket, Call, Failure, HttpRequest, Pace, Sent, by_status};
use crate::event::{Event, EventId, Trigger, Triggers};
use crate::integration::Family;
use crate::settings::{Properties, Url, Value};

crate::settings! {
    /// What the test's service needs.
    struct Settings {
        /// The address.
        url: Url = "https://ci.example.com/hook",
    }
}

struct Forwarder;

impl Adapter for Forwarder {
    const ABOUT: About = About {
        slug: "forwarder",
        title: "Forwarder",
        summary: "Forwards events.",
        triggers: Triggers::of(&[Trigger::Job, Trigger::ArchiveTrace]),
        family: Family::Chat,
        common: CommonSettings::NONE,
    };
    type Settings = Settings;
}

impl Deliver for Forwarder {
    const DELIVERY: Delivery = Delivery {
        max_age: Duration::from_secs(3600),
        retry_ambiguous: false,
        concurrency: 1,
        calls: 1,
        limits: "None.",
        preview: Preview::Request,
    };
    const CONTRACT: Contract = Contract::USUAL;

    fn pace(settings: &Settings, _target: &str) -> Pace {
        Pace::of(Bucket::new("forwarder", &[settings.url.0.as_str()], 1, Duration::from_secs(1), 1))
    }

    fn call(settings: &Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        let json: serde_json::Value = serde_json::from_slice(&note.event.raw).expect("an event is JSON");
        Ok(Call::http(HttpRequest::post_json(settings.url.0.clone(), &json), by_status))
    }
}

static FORWARDER: Entry = Entry::of::<Forwarder>().delivers::<Forwarder>();

#[test]
fn kinds_without_a_message_reach_an_adapter_that_wants_them() {
    let url = Value::Text("https://ci.example.com/hook".to_owned());
    let settings = FORWARDER.read(&Properties::from([("url".to_owned(), url)])).expect("valid settings");
    for (trigger, raw) in [
        (Trigger::Job, r#"{"object_kind":"build","build_id":7,"project_id":42}"#),
        (Trigger::ArchiveTrace, r#"{"object_kind":"archive_trace","build_id":7,"project_id":42}"#),
    ] {
        let id = EventId::new("e1").expect("an id");
        let event = Event::decode(id, Timestamp::UNIX_EPOCH, raw.into()).expect("an event");
        assert_eq!(event.trigger, Some(trigger));
        let targets = FORWARDER.targets(&settings, &event, &[]);
        assert_eq!((targets.send.len(), targets.left_out.len()), (1, 0));
        let note = note(&event, &targets.send[0].name);
        let call = FORWARDER.call(&settings, &note).expect("a call");
        assert_eq!(body(&call), serde_json::from_str::<serde_json::Value>(raw).expect("JSON"));
        assert_eq!(note.without_message(), None, "no message was asked for");
        assert!(note.message().is_err(), "{trigger} has no message");
        assert!(note.without_message().is_some());
    }
}

//! Ten events in a row for each subject, so that neighbours in the queue are of one subject: where two dispatchers share the
//! queue, this breaks the order most.

use std::collections::HashMap;
use std::ops::Range;

use forgebell::event::EventId;
use forgebell::pipeline::amqp::Publisher;
use serde_json::json;

use super::daemon::Home;
use super::payloads::{payload, with};
use super::receiver::Receiver;

const BURST: usize = 10;
const PROJECTS: usize = 20;

/// The project of the `n`th event, and its subject.
fn place(n: usize) -> (usize, usize) {
    (n / BURST % PROJECTS, n / BURST)
}

/// One Slack integration for each project, at a path of its own.
pub fn integrations(receiver: &Receiver) -> String {
    let one = |project: usize| {
        let hook = receiver.slack_like(&format!("/services/T{project}/B/hook"));
        let (id, webhook) = (1000 + project, hook.url());
        format!("[[integration]]\nproject = {id}\nadapter = \"slack\"\nwebhook = \"{webhook}\"\n\n")
    };
    (0..PROJECTS).map(one).collect()
}

/// The `n`th event, whose number can be read in its message.
fn event(n: usize) -> Vec<u8> {
    let (project, subject) = place(n);
    with(&payload("merge_request_open.json"), |json| {
        json["project"]["id"] = json!(1000 + project);
        json["project"]["path_with_namespace"] = json!(format!("gitlabhq/test-{project}"));
        json["object_attributes"]["iid"] = json!(subject + 1);
        json["object_attributes"]["title"] = json!(format!("event {n} end"));
    })
}

/// Publishes these events in order, each with its project.
pub async fn publish(home: &Home, numbers: Range<usize>) {
    let publisher = Publisher::connect(&home.config().amqp).await.expect("the broker is there");
    for n in numbers {
        let id = EventId::new(&format!("event-{n}")).expect("a short id");
        let (now, project) = (forgebell::daemon::now(), (1000 + place(n).0).to_string());
        let body = event(n);
        let sent = publisher.publish_of_project(&project, &id, "merge_request", "test", now, &body);
        sent.await.expect("the broker confirms");
    }
    publisher.close().await;
}

/// What became of the events.
#[derive(Debug)]
pub struct Told {
    pub lost: Vec<usize>,
    /// Told for the first time after a newer event of the same subject.
    pub out_of_order: Vec<usize>,
    pub repeated: usize,
}

impl Told {
    pub fn by(receiver: &Receiver, events: usize) -> Self {
        let mut times = vec![0; events];
        let mut last: HashMap<usize, usize> = HashMap::new();
        let mut out_of_order = Vec::new();
        for received in receiver.received().iter().filter(|received| received.answered == Some(200)) {
            let text = received.text();
            let number = text.split("event ").nth(1).and_then(|rest| rest.split(' ').next());
            let n: usize = number.and_then(|n| n.parse().ok()).expect("the message names its event");
            times[n] += 1;
            if times[n] == 1 {
                let before = last.insert(place(n).1, n);
                out_of_order.extend(before.filter(|before| *before > n).map(|_| n));
            }
        }
        let lost = (0..events).filter(|n| times[*n] == 0).collect();
        Self { lost, out_of_order, repeated: times.iter().filter(|times| **times > 1).count() }
    }

    /// Repeats are permitted: what a node had told and not settled when it was killed.
    pub fn assert_all_in_order(&self) {
        let Self { lost, out_of_order, repeated } = self;
        println!("{} lost, {} out of order, {repeated} repeated", lost.len(), out_of_order.len());
        assert!(lost.is_empty(), "never told: {lost:?}");
        assert!(out_of_order.is_empty(), "told after newer ones: {out_of_order:?}");
    }
}

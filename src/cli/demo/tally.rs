//! Compares what the simulated services received with what the story says they must receive. It uses neither the daemon's
//! metrics nor its store.

use std::time::Duration;

use serde_json::Value as Json;

use super::stand_ins::Receipt;
use super::story::{Heard, Scene};

/// A receipt, and its time since the story began.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    pub(super) receipt: Receipt,
    pub(super) after: Duration,
}

/// The messages that arrived, and what is wrong with them.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Expected messages that arrived, each counted once.
    pub(super) delivered: usize,
    /// Expected messages that did not arrive.
    pub(super) lost: Vec<String>,
    /// Messages that arrived more than once.
    pub(super) repeated: Vec<String>,
    /// Messages that were not expected.
    pub(super) stray: Vec<String>,
}

impl Tally {
    /// Whether every expected message arrived once, and no other.
    pub(super) fn is_clean(&self) -> bool {
        self.lost.is_empty() && self.repeated.is_empty() && self.stray.is_empty()
    }
}

pub(super) fn tally(story: &[Scene], arrivals: &[Arrival]) -> Tally {
    let mut tally = Tally::default();
    for scene in story {
        for heard in &scene.heard_by {
            let name = format!("{} to {} {}", scene.title, heard.hook.slug, heard.channel);
            match taken(arrivals).filter(|arrival| is_it(heard, &arrival.receipt)).count() {
                0 => tally.lost.push(name),
                1 => tally.delivered += 1,
                times => {
                    tally.delivered += 1;
                    tally.repeated.push(format!("{name} ({times} times)"));
                }
            }
        }
    }
    let expected = |arrival: &&Arrival| {
        !story.iter().flat_map(|scene| &scene.heard_by).any(|heard| is_it(heard, &arrival.receipt))
    };
    tally.stray.extend(taken(arrivals).filter(expected).map(|arrival| {
        format!(
            "{} {}: {}",
            arrival.receipt.service.name(),
            arrival.receipt.channel(),
            arrival.receipt.body["text"]
        )
    }));
    tally
}

/// When this message arrived, if it did.
pub(super) fn arrived(heard: &Heard, arrivals: &[Arrival]) -> Option<Duration> {
    taken(arrivals).find(|arrival| is_it(heard, &arrival.receipt)).map(|arrival| arrival.after)
}

fn taken(arrivals: &[Arrival]) -> impl Iterator<Item = &Arrival> {
    arrivals.iter().filter(|arrival| arrival.receipt.is_taken())
}

fn is_it(heard: &Heard, receipt: &Receipt) -> bool {
    heard.hook.path == receipt.path
        && heard.channel == receipt.channel()
        && words(&receipt.body).any(|words| words.contains(heard.saying))
}

/// All texts in a message.
fn words(body: &Json) -> Box<dyn Iterator<Item = &str> + '_> {
    match body {
        Json::String(text) => Box::new(std::iter::once(text.as_str())),
        Json::Array(items) => Box::new(items.iter().flat_map(words)),
        Json::Object(fields) => Box::new(fields.values().flat_map(words)),
        _ => Box::new(std::iter::empty()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::story::STORY;
    use super::*;

    /// An expected message with the least content.
    fn all() -> Vec<Arrival> {
        let heard = STORY.iter().flat_map(|scene| &scene.heard_by);
        heard
            .map(|heard| {
                let body = json!({ "channel": heard.channel, "attachments": [{ "text": heard.saying }] });
                let receipt = Receipt {
                    service: heard.hook.service,
                    path: heard.hook.path.to_owned(),
                    body,
                    status: 200,
                };
                Arrival { receipt, after: Duration::from_secs(1) }
            })
            .collect()
    }

    #[test]
    fn all_of_it_once_is_clean() {
        let tally = tally(&STORY, &all());
        assert!(tally.is_clean(), "{tally:?}");
        assert_eq!(tally.delivered, all().len());
    }

    #[test]
    fn what_is_missing_is_lost_and_what_was_refused_did_not_arrive() {
        let mut arrivals = all();
        arrivals[0].receipt.status = 429;
        arrivals.pop();
        let tally = tally(&STORY, &arrivals);
        assert_eq!((tally.lost.len(), tally.delivered), (2, all().len() - 2));
        assert!(arrived(&STORY[0].heard_by[0], &arrivals).is_none());
    }

    #[test]
    fn what_comes_again_or_unexpected_is_told() {
        let mut arrivals = all();
        arrivals.push(arrivals[0].clone());
        let mut stray = arrivals[1].clone();
        stray.receipt.body["channel"] = json!("#elsewhere");
        arrivals.push(stray);
        let tally = tally(&STORY, &arrivals);
        assert_eq!((tally.repeated.len(), tally.stray.len(), tally.lost.len()), (1, 1, 0));
        assert!(!tally.is_clean());
    }
}

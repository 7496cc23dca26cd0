//! Compares what integrations did with an event with what they would do under the current settings. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::dispatch::Verdict;
use super::reasons::{muted, named, why_nothing};
use crate::integration::{Integration, IntegrationId};
use crate::store::{EventRecord, NewDelivery, State};

/// What one integration did with an event then, and what it would do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThenAndNow {
    pub integration: IntegrationId,
    /// `None` where the event did not concern the integration: it was not configured, or it was off. If the reasons of
    /// the event were not kept, also where it was not notified.
    pub then: Option<Decided>,
    /// `None` where the event does not concern the integration: it is not configured, or it is off.
    pub now: Option<Decided>,
}

/// What an integration does with an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decided {
    /// A message to each of these targets, by their names.
    Tells(Vec<String>),
    Not(String),
}

impl Decided {
    /// `told #dev, #ops` or the reason why not.
    pub fn words(&self) -> String {
        match self {
            Self::Tells(targets) => {
                let names: Vec<_> = targets.iter().map(|target| named(target)).collect();
                format!("told {}", names.join(", "))
            }
            Self::Not(why) => why.clone(),
        }
    }
}

impl ThenAndNow {
    pub fn is_different(&self) -> bool {
        self.then != self.now
    }
}

/// What the integrations named in the log did.
pub fn then(record: &EventRecord) -> BTreeMap<IntegrationId, Decided> {
    let mut decided: BTreeMap<IntegrationId, Decided> = BTreeMap::new();
    for not in &record.not_told {
        decided.entry(not.integration.clone()).or_insert_with(|| Decided::Not(not.why.clone()));
    }
    let mut told: BTreeMap<IntegrationId, Vec<String>> = BTreeMap::new();
    for one in &record.told {
        told.entry(one.integration.clone()).or_default().push(one.target.clone());
    }
    for (integration, mut targets) in told {
        targets.sort();
        decided.insert(integration, Decided::Tells(targets));
    }
    decided
}

/// What the integrations would do, by the current verdicts.
pub fn now(verdicts: &[(Arc<Integration>, Verdict)]) -> BTreeMap<IntegrationId, Decided> {
    let mut decided: BTreeMap<IntegrationId, Decided> = BTreeMap::new();
    for (integration, verdict) in verdicts {
        let id = integration.id.clone();
        let found = match verdict {
            // A switched-off integration keeps its deliveries until it is switched on again.
            Verdict::SwitchedOff { waits: deliveries, .. } => tells(deliveries, &[]),
            Verdict::Sends { deliveries, left_out } => tells(deliveries, left_out),
            Verdict::Not(why) => Decided::Not(why.to_string()),
            Verdict::Muted { target, mute } => Decided::Not(muted(target, mute)),
        };
        match (decided.get_mut(&id), found) {
            // Of several mutes, the first is named. Deliveries to other targets take precedence over mutes.
            (Some(Decided::Tells(_) | Decided::Not(_)), Decided::Not(_)) => {}
            (_, found) => drop(decided.insert(id, found)),
        }
    }
    decided
}

fn tells(deliveries: &[NewDelivery], left_out: &[String]) -> Decided {
    if deliveries.is_empty() {
        return Decided::Not(why_nothing(left_out));
    }
    let mut targets: Vec<_> = deliveries.iter().map(|delivery| delivery.target.to_string()).collect();
    targets.sort();
    Decided::Tells(targets)
}

/// Both results for every integration in either, ordered by name.
pub fn compare(record: &EventRecord, verdicts: &[(Arc<Integration>, Verdict)]) -> Vec<ThenAndNow> {
    let (mut then, mut now) = (then(record), now(verdicts));
    let mut names: Vec<IntegrationId> = then.keys().chain(now.keys()).cloned().collect();
    names.sort();
    names.dedup();
    let both = |integration: IntegrationId| ThenAndNow {
        then: then.remove(&integration),
        now: now.remove(&integration),
        integration,
    };
    names.into_iter().map(both).collect()
}

/// The result of an event, in a few words.
pub fn result(record: &EventRecord) -> String {
    if record.told.is_empty() {
        return match (record.not_told.len(), record.is_complete()) {
            (0, false) => "not kept".to_owned(),
            (0, true) => "concerned no integration".to_owned(),
            (1, _) => "told to none of 1 integration".to_owned(),
            (count, _) => format!("told to none of {count} integrations"),
        };
    }
    let count = |state: State| record.told.iter().filter(|told| told.state == state).count();
    let states = State::ALL.into_iter().filter(|state| count(*state) > 0);
    let words: Vec<_> = states.map(|state| format!("{} {}", count(state), state.name())).collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::event::{EventId, Trigger};
    use crate::integration::Family;
    use crate::integration::rules::WhyNot;
    use crate::store::registry::Mute;
    use crate::store::{DeliveryId, Lane, NotTold, Told};

    fn record() -> EventRecord {
        let told = |integration: &str, target: &str, state| Told {
            integration: IntegrationId::new(integration),
            target: target.to_owned(),
            delivery: DeliveryId(1),
            state,
        };
        EventRecord {
            id: EventId::new("e-1").unwrap(),
            kind: "push".to_owned(),
            trigger: Some("push".to_owned()),
            project_id: Some(42),
            project: Some("acme/rocket".to_owned()),
            subject: "ref:refs/heads/main".to_owned(),
            source: Some("http".to_owned()),
            occurred_at: Timestamp::UNIX_EPOCH,
            received_at: Timestamp::UNIX_EPOCH,
            told: vec![
                told("42:slack", "#ops", State::Delivered),
                told("42:slack", "#dev", State::Failed),
                told("42:discord", "", State::Delivered),
            ],
            not_told: vec![NotTold {
                integration: IntegrationId::new("42:irker"),
                why: "push_events is off".to_owned(),
            }],
        }
    }

    fn delivery(target: &str) -> NewDelivery {
        NewDelivery {
            integration: IntegrationId::new("42:slack"),
            target: target.into(),
            destination: "hook".into(),
            share: "hook".into(),
            lane: Lane(1),
            replaces: false,
            lease: None,
        }
    }

    fn sends(targets: &[&str]) -> Verdict {
        let deliveries = targets.iter().map(|target| delivery(target)).collect();
        Verdict::Sends { deliveries, left_out: Vec::new() }
    }

    fn of(id: &str, verdict: Verdict) -> (Arc<Integration>, Verdict) {
        let example = Integration { id: IntegrationId::new(id), ..Integration::example(Family::Chat) };
        (Arc::new(example), verdict)
    }

    fn different(verdicts: &[(Arc<Integration>, Verdict)]) -> Vec<String> {
        let both = compare(&record(), verdicts).into_iter().filter(ThenAndNow::is_different);
        let words = |decided: &Option<Decided>| decided.as_ref().map_or("-".to_owned(), Decided::words);
        both.map(|one| format!("{}: {} / {}", one.integration, words(&one.then), words(&one.now))).collect()
    }

    #[test]
    fn the_same_settings_make_no_difference_also_where_an_address_died_since() {
        let off = Verdict::SwitchedOff { why: "answered 404".to_owned(), waits: vec![delivery("")] };
        let same = [
            of("42:slack", sends(&["#dev", "#ops"])),
            of("42:discord", off),
            of("42:irker", Verdict::Not(WhyNot::SwitchedOff { trigger: Trigger::Push })),
        ];
        let why = WhyNot::SwitchedOff { trigger: Trigger::Push }.to_string();
        assert_eq!(different(&same), [format!("42:irker: push_events is off / {why}")], "the words differ");
    }

    #[test]
    fn what_changed_is_named_for_each_integration() {
        let mute = Mute {
            project: 42,
            slug: "slack".to_owned(),
            channel: "ops".to_owned(),
            until: Timestamp::UNIX_EPOCH,
            by: "@ada".to_owned(),
            revision: 1,
        };
        let verdicts = [
            of("42:slack", Verdict::Muted { target: "#ops".into(), mute }),
            of("42:slack", sends(&["#dev"])),
            of("42:irker", sends(&["#builds"])),
            of("42:teams", sends(&[""])),
        ];
        assert_eq!(
            different(&verdicts),
            [
                "42:discord: told where its settings say / -",
                "42:irker: push_events is off / told #builds",
                "42:slack: told #dev, #ops / told #dev",
                "42:teams: - / told where its settings say",
            ]
        );
    }

    #[test]
    fn the_result_is_said_in_a_few_words() {
        assert_eq!(result(&record()), "2 delivered, 1 failed");
        let none = EventRecord { told: Vec::new(), ..record() };
        assert_eq!(result(&none), "told to none of 1 integration");
        let unmatched = EventRecord { not_told: Vec::new(), ..none };
        assert_eq!(result(&unmatched), "concerned no integration");
        assert_eq!(result(&EventRecord { source: None, ..unmatched }), "not kept");
    }
}

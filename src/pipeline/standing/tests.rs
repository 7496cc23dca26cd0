use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use crate::integration::Fingerprint;
use crate::provision;
use crate::store::DestinationKey;

const SLACK: &str = "acme/rocket:slack";
const OTHER: &str = "acme/other:slack";

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_second(1_770_000_000 + 60 * minutes).unwrap()
}

/// Slack for two projects with one webhook.
fn snapshot() -> Snapshot {
    let block = |project: &str| {
        format!(
            "[[integration]]\nproject = \"{project}\"\nadapter = \"slack\"\nchannel = \"#ops\"\n\
             webhook = \"https://hooks.slack.com/services/T1/B1/secret\"\n"
        )
    };
    let text = block("acme/rocket") + &block("acme/other");
    let no_secret = |_: &Path| Err(std::io::Error::other("there are no files here"));
    provision::read(&[(PathBuf::from("a.toml"), text)], &no_secret).unwrap().into_snapshot()
}

fn destination(snapshot: &Snapshot) -> DestinationKey {
    let integration = snapshot.integration(&IntegrationId::new(SLACK)).unwrap();
    adapters::find("slack").unwrap().destination(&integration.settings, "#ops")
}

fn fingerprint(snapshot: &Snapshot) -> Fingerprint {
    snapshot.integration(&IntegrationId::new(SLACK)).unwrap().fingerprint
}

fn hold(snapshot: &Snapshot, key: HoldKey, cause: HoldCause, until: Timestamp) -> Hold {
    Hold {
        key,
        cause,
        reason: "answered 404".to_owned(),
        since: at(-5),
        until,
        strikes: 1,
        made_under: Some((IntegrationId::new(SLACK), fingerprint(snapshot))),
    }
}

fn waiting(snapshot: &Snapshot, integration: &str, target: &str, deliveries: u64) -> WaitingGroup {
    WaitingGroup {
        integration: IntegrationId::new(integration),
        target: target.to_owned(),
        destination: destination(snapshot).to_string(),
        deliveries,
        next_due: at(1),
        since: at(-5),
    }
}

fn standing(snapshot: &Snapshot, holds: Vec<Hold>, groups: Vec<WaitingGroup>) -> Standing {
    let overview = Overview { waiting: groups, ..Overview::default() };
    Standing::new(snapshot, &holds.into_iter().collect(), overview, at(0))
}

#[test]
fn nothing_is_wrong_where_nothing_is_held() {
    let snapshot = snapshot();
    let found = standing(&snapshot, Vec::new(), vec![waiting(&snapshot, SLACK, "#ops", 3)]);
    assert_eq!((found.problems(), found.waiting), (0, 3));
    assert_eq!(found.troubles, []);
}

#[test]
fn a_held_destination_is_shown_with_each_integration_that_waits_for_it() {
    let snapshot = snapshot();
    let key = HoldKey::Destination(destination(&snapshot));
    let holds = vec![hold(&snapshot, key, HoldCause::Unavailable, at(10))];
    let groups = vec![waiting(&snapshot, SLACK, "#ops", 3), waiting(&snapshot, OTHER, "#ops", 2)];
    let found = standing(&snapshot, holds, groups);
    let shown: Vec<_> = found
        .troubles
        .iter()
        .map(|trouble| (trouble.integration.as_ref().unwrap().to_string(), trouble.waiting, trouble.until))
        .collect();
    assert_eq!(shown, [(OTHER.to_owned(), 2, Some(at(10))), (SLACK.to_owned(), 3, Some(at(10)))]);
    assert_eq!(found.troubles[1].command, format!("forgebell integrations resume {SLACK}"));
    assert_eq!(found.troubles[1].scope.as_ref().unwrap().path(), Some("acme/rocket"));
}

#[test]
fn an_address_that_is_switched_off_names_its_channels_and_has_no_next_attempt() {
    let snapshot = snapshot();
    let integration = IntegrationId::new(SLACK);
    let key = HoldKey::Address { integration, destination: destination(&snapshot) };
    let off = hold(&snapshot, key, HoldCause::SwitchedOff, Timestamp::MAX);
    let outdated = Hold { made_under: Some((IntegrationId::new(SLACK), Fingerprint(1))), ..off.clone() };
    let found = standing(&snapshot, vec![off.clone()], vec![waiting(&snapshot, SLACK, "#ops", 3)]);
    let [trouble] = &found.troubles[..] else { panic!("{found:?}") };
    assert_eq!((trouble.targets.clone(), trouble.until, trouble.waiting), (vec!["#ops".to_owned()], None, 3));
    assert_eq!(trouble.command, format!("forgebell integrations test {SLACK}"));
    let off: HoldSet = [off].into_iter().collect();
    assert_eq!(switched_off(&snapshot, &off, at(0)), BTreeMap::from([("address_gone", 1)]));
    assert_eq!(standing(&snapshot, vec![outdated], Vec::new()).troubles, [], "other settings count now");
}

#[test]
fn a_short_throttle_is_shown_and_is_no_problem_and_a_long_one_is() {
    let snapshot = snapshot();
    let key = || HoldKey::Destination(destination(&snapshot));
    let short = standing(&snapshot, vec![hold(&snapshot, key(), HoldCause::Throttled, at(1))], Vec::new());
    assert_eq!((short.troubles.len(), short.problems()), (1, 0));
    let long = standing(&snapshot, vec![hold(&snapshot, key(), HoldCause::Throttled, at(6))], Vec::new());
    assert_eq!((long.troubles.len(), long.problems()), (1, 1));
}

#[test]
fn a_throttle_is_one_problem_for_all_that_wait_for_it() {
    let snapshot = snapshot();
    let key = HoldKey::Destination(destination(&snapshot));
    let groups = || vec![waiting(&snapshot, SLACK, "#ops", 3), waiting(&snapshot, OTHER, "#ops", 2)];
    let throttle = |key| hold(&snapshot, key, HoldCause::Throttled, at(60));
    let found = standing(&snapshot, vec![throttle(key.clone())], groups());
    assert_eq!((found.troubles.len(), found.problems()), (2, 1), "two projects with one webhook");

    let integration = snapshot.integration(&IntegrationId::new(SLACK)).unwrap();
    let pace = adapters::find("slack").unwrap().pace(&integration.settings, "#ops").unwrap();
    let shared =
        pace.buckets().find(|bucket| *bucket.key.0 != *destination(&snapshot)).expect("a shared limit");
    let shared = HoldKey::Bucket(Arc::clone(&shared.key.0));
    assert_eq!(shared.kind(), SHARED_LIMIT);
    let found = standing(&snapshot, vec![throttle(key.clone()), throttle(shared)], groups());
    assert_eq!(
        (found.troubles.len(), found.problems()),
        (4, 1),
        "the limit and the webhook that ran into it"
    );

    let elsewhere = throttle(HoldKey::Destination("another service".into()));
    let elsewhere = Hold { made_under: None, ..elsewhere };
    assert_eq!(standing(&snapshot, vec![throttle(key), elsewhere], groups()).problems(), 2);
}

#[test]
fn a_confirmation_that_is_waited_for_is_one_trouble_and_not_two() {
    let snapshot = snapshot();
    let integration = IntegrationId::new(SLACK);
    let route = HoldKey::Route { integration: integration.clone(), target: Arc::from("#ops") };
    let address = HoldKey::Address { integration, destination: destination(&snapshot) };
    let holds = [route, address].map(|key| hold(&snapshot, key, HoldCause::Gone, at(10)));
    assert_eq!(standing(&snapshot, holds.into(), Vec::new()).troubles.len(), 1);
}

#[test]
fn a_part_of_the_instance_shows_what_concerns_it_and_no_parts() {
    let snapshot = snapshot();
    let key = HoldKey::Destination(destination(&snapshot));
    let holds: HoldSet = [hold(&snapshot, key, HoldCause::Unavailable, at(10))].into_iter().collect();
    let letters = |integration: &str| DeadLetters {
        integration: IntegrationId::new(integration),
        cause: "rejected".to_owned(),
        deliveries: 1,
        newest: at(-1),
        note: String::new(),
    };
    let overview = Overview {
        waiting: vec![waiting(&snapshot, SLACK, "#ops", 3), waiting(&snapshot, OTHER, "#ops", 2)],
        dead_letters: vec![letters(SLACK), letters(OTHER)],
        watches: 1,
        first_watch_due: Some(at(-60)),
    };
    let all = Standing::new(&snapshot, &holds, overview.clone(), at(0));
    assert_eq!((all.waiting, all.dead_letters.len(), all.problems()), (5, 2, 5), "the poller is late too");
    let is_other = |scope: &ResolvedScope| scope.path() == Some("acme/other");
    let part = Standing::within(&snapshot, &holds, overview, at(0), is_other);
    assert_eq!((part.waiting, part.troubles.len(), part.dead_letters.len()), (2, 1, 1));
    assert_eq!(part.parts, []);
}

#[test]
fn dead_letters_are_a_problem_for_a_day() {
    let snapshot = snapshot();
    let letters = |newest| DeadLetters {
        integration: IntegrationId::new(SLACK),
        cause: "expired".to_owned(),
        deliveries: 1,
        newest,
        note: String::new(),
    };
    let overview =
        Overview { dead_letters: vec![letters(at(-60)), letters(at(-1500))], ..Overview::default() };
    let found = Standing::new(&snapshot, &HoldSet::default(), overview, at(0));
    assert_eq!((found.dead_letters.len(), found.problems()), (2, 1));
}

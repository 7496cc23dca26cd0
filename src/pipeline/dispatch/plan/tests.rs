//! Plans of events: where a channel is muted, what is remembered of merge requests, and where a path is only guessed.

use bytes::Bytes;

use super::*;
use crate::catalog::Snapshot;
use crate::pipeline::source::Receipt;
use crate::settings::{Properties, Secret, Value};
use crate::store::registry::{
    Changes, Configuration, Corrected, Learned, ScopeKey, StoredIntegration, StoredProject,
};

const PAUSES: FirstPauses = FirstPauses { build: Duration::from_secs(5), probe: Duration::from_secs(10) };

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Project 42 has a Slack integration with two channels, and a Mattermost integration.
fn catalog(mutes: Vec<Mute>) -> Snapshot {
    let row = |slug: &str, channel: &str| StoredIntegration {
        id: 1,
        owner: ScopeKey::Project(42),
        slug: slug.to_owned(),
        configuration: Configuration {
            active: true,
            properties: Properties::from([("channel".to_owned(), Value::Text(channel.to_owned()))]),
            secrets: [("webhook".to_owned(), Secret::new("https://chat.example.com/hooks/x"))].into(),
            ..Configuration::default()
        },
        revision: 1,
        created_at: at(0),
        updated_at: at(0),
    };
    let integrations = vec![row("slack", "#Ops, #dev"), row("mattermost", "ops")];
    let mut snapshot = Snapshot::default();
    snapshot.take_changes(Changes { revision: 1, integrations, mutes, ..Changes::default() });
    snapshot
}

fn mute(project: i64, slug: &str, channel: &str) -> Mute {
    let (slug, channel) = (slug.to_owned(), Mute::channel_of(channel));
    Mute { project, slug, channel, until: at(100), by: "@ada".to_owned(), revision: 1 }
}

fn planning(holds: &HoldSet, second: i64) -> Planning<'_> {
    Planning { source: "test", holds, pauses: PAUSES, log: true, now: at(second) }
}

fn inbound(body: &'static str) -> Inbound {
    Inbound {
        id: None,
        occurred_at: at(0),
        received_at: at(0),
        raw: Bytes::from(body),
        refused: None,
        origin: Origin::Broker { digest: None, redelivered: false },
        receipt: Receipt { generation: 0, number: 0 },
        again: false,
    }
}

/// The targets of a push at this moment.
fn told(mutes: Vec<Mute>, second: i64) -> Vec<String> {
    let body = r#"{"object_kind":"push","ref":"refs/heads/main",
        "project":{"id":42,"path_with_namespace":"acme/rocket","default_branch":"main"}}"#;
    match plan(inbound(body), &catalog(mutes), planning(&HoldSet::default(), second)) {
        Plan::Deliver { dispatched, .. } => {
            let deliveries = dispatched.deliveries.into_iter();
            deliveries.map(|new| format!("{} {}", new.integration, new.target)).collect()
        }
        Plan::Drop { result, .. } => vec![result.to_owned()],
        Plan::Quarantine { item, .. } => panic!("{}", item.reason),
    }
}

#[test]
fn a_muted_channel_hears_nothing_and_the_others_do() {
    assert_eq!(told(Vec::new(), 1), ["42:mattermost ops", "42:slack #Ops", "42:slack #dev"]);
    assert_eq!(told(vec![mute(42, "slack", "#OPS")], 99), ["42:mattermost ops", "42:slack #dev"]);
    assert_eq!(told(vec![mute(43, "slack", "ops")], 99).len(), 3, "another project's mute");
}

#[test]
fn a_mute_that_is_over_is_over() {
    assert_eq!(told(vec![mute(42, "slack", "ops")], 100).len(), 3);
}

#[test]
fn where_every_channel_is_muted_nothing_is_sent() {
    let all = vec![mute(42, "slack", "ops"), mute(42, "slack", "dev"), mute(42, "mattermost", "#ops")];
    assert_eq!(told(all, 99), ["muted"]);
}

/// The address of a page does not say where the path of the forge ends and that of the project begins.
#[test]
fn a_vulnerability_is_of_the_known_project_if_the_forge_lies_below_a_path() {
    let mut snapshot = Snapshot::default();
    let project = StoredProject {
        id: 42,
        path: Some("acme/rocket".to_owned()),
        learned: Learned::default(),
        corrected: Corrected::default(),
        revision: 1,
        created_at: at(0),
        updated_at: at(0),
    };
    snapshot.take_changes(Changes { revision: 1, projects: vec![project], ..Changes::default() });
    let body = r#"{"object_kind":"vulnerability","object_attributes":{"project_id":42,
        "url":"https://example.com/gitlab/acme/rocket/-/security/vulnerabilities/1"}}"#;
    let Plan::Drop { event, .. } = plan(inbound(body), &snapshot, planning(&HoldSet::default(), 1)) else {
        panic!("no integration wants it")
    };
    assert_eq!(event.project.as_ref().expect("a project").path_with_namespace, "acme/rocket");
    assert_eq!(snapshot.directory().unknown_in(&event), None, "the project keeps its path");
}

/// What dispatch remembers of a merge request's event where project 42 has this integration.
fn remembered(slug: &str, active: bool, change: impl FnOnce(&mut serde_json::Value)) -> Option<String> {
    let (properties, secret) = match slug {
        "drone-ci" => (vec![("drone_url", "https://ci.example.com")], ("token", "t")),
        _ => (Vec::new(), ("webhook", "https://chat.example.com/hooks/x")),
    };
    let properties =
        properties.into_iter().map(|(name, value)| (name.to_owned(), Value::Text(value.to_owned())));
    let row = StoredIntegration {
        id: 1,
        owner: ScopeKey::Project(42),
        slug: slug.to_owned(),
        configuration: Configuration {
            active,
            flags: [("merge_requests_events".to_owned(), false)].into(),
            properties: properties.collect(),
            secrets: [(secret.0.to_owned(), Secret::new(secret.1))].into(),
            ..Configuration::default()
        },
        revision: 1,
        created_at: at(0),
        updated_at: at(0),
    };
    let mut snapshot = Snapshot::default();
    snapshot.take_changes(Changes { revision: 1, integrations: vec![row], ..Changes::default() });
    let mut event = serde_json::json!({
        "object_kind": "merge_request",
        "project": {"id": 42, "path_with_namespace": "acme/rocket"},
        "object_attributes": {
            "iid": 5, "state": "opened", "action": "open", "source_branch": "dev", "source_project_id": 42,
        },
    });
    change(&mut event);
    let inbound = Inbound {
        id: None,
        occurred_at: at(3),
        received_at: at(4),
        raw: Bytes::from(event.to_string()),
        refused: None,
        origin: Origin::Broker { digest: None, redelivered: false },
        receipt: Receipt { generation: 0, number: 0 },
        again: false,
    };
    match plan(inbound, &snapshot, planning(&HoldSet::default(), 5)) {
        Plan::Drop { remembered, result: "unmatched", .. } => remembered.seen.map(|seen| {
            assert_eq!(seen.seen_at, at(3), "when the forge sent it");
            format!(
                "!{} {} of {} in {}: {:?}",
                seen.iid, seen.source_branch, seen.source_project_id, seen.project_id, seen.state
            )
        }),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_merge_request_is_remembered_where_an_active_integration_heeds_it() {
    let as_it_is = |_: &mut serde_json::Value| {};
    assert_eq!(remembered("drone-ci", true, as_it_is).unwrap(), "!5 dev of 42 in 42: Opened");
    assert_eq!(remembered("drone-ci", false, as_it_is), None);
    assert_eq!(remembered("slack", true, as_it_is), None);
    let changed = |name: &'static str, value: serde_json::Value| {
        remembered("drone-ci", true, move |event| event["object_attributes"][name] = value)
    };
    assert_eq!(changed("state", "closed".into()).unwrap(), "!5 dev of 42 in 42: Closed");
    assert_eq!(changed("state", "locked".into()).unwrap(), "!5 dev of 42 in 42: Merged");
    assert_eq!(changed("state", "new word".into()).unwrap(), "!5 dev of 42 in 42: Closed");
    assert_eq!(changed("source_project_id", 43.into()).unwrap(), "!5 dev of 43 in 42: Opened");
    assert_eq!(changed("source_project_id", serde_json::Value::Null), None);
    assert_eq!(changed("source_branch", "".into()), None);
    assert_eq!(changed("iid", 0.into()), None);
}

#[test]
fn a_message_that_its_source_refuses_goes_to_quarantine_with_the_reason() {
    let inbound = Inbound {
        id: None,
        occurred_at: at(0),
        received_at: at(0),
        raw: Bytes::from("{\"object_kind\":"),
        refused: Some("it has 11000000 bytes".to_owned()),
        origin: Origin::Broker { digest: None, redelivered: false },
        receipt: Receipt { generation: 0, number: 0 },
        again: false,
    };
    match plan(inbound, &catalog(Vec::new()), planning(&HoldSet::default(), 1)) {
        Plan::Quarantine { item, .. } => {
            assert_eq!(
                (item.reason.as_str(), &item.raw[..]),
                ("it has 11000000 bytes", b"{\"object_kind\":".as_slice())
            );
        }
        other => panic!("{other:?}"),
    }
}

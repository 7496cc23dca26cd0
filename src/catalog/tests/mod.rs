//! What holds where, over adapters as they are.

mod changing;
mod directory;
mod effects;
mod forge;
mod inheritance;
mod model;
mod trackers;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::json;

use super::{Catalog as _, Configured, ConfiguredAt, Resolved, Snapshot, sort_secrets};
use crate::adapters;
use crate::event::{Event, EventId, GroupRef};
use crate::integration::Scope;
use crate::settings::Value;
use crate::store::registry::{
    Changes, Configuration, GroupKey, Learned, ScopeKey, StoredGroup, StoredIntegration, StoredProject,
};

const HOOK: &str = "https://hooks.slack.com/services/T0/B0/s3cret";

/// Slack's settings: its webhook, and what the test is about.
fn slack(settings: &[(&str, &str)]) -> Configuration {
    let mut configuration = Configuration { active: true, ..Configuration::default() };
    let settings = [("webhook", HOOK)].iter().chain(settings);
    let settings = settings.map(|(name, value)| ((*name).to_owned(), Value::Text((*value).to_owned())));
    sort_secrets(adapters::find("slack").unwrap(), settings.collect(), &mut configuration);
    configuration
}

fn following() -> Configuration {
    Configuration { active: true, inherits: true, ..Configuration::default() }
}

fn inactive(configuration: Configuration) -> Configuration {
    Configuration { active: false, ..configuration }
}

fn row(owner: ScopeKey, configuration: Configuration) -> StoredIntegration {
    StoredIntegration {
        id: 1,
        owner,
        slug: "slack".to_owned(),
        configuration,
        revision: 1,
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
    }
}

fn in_file(scope: Scope, configuration: Configuration) -> ConfiguredAt {
    let entry = adapters::find("slack").unwrap();
    let resolved = Resolved::read(entry, &configuration).map(std::sync::Arc::new);
    ConfiguredAt {
        scope,
        configured: Configured::of_file(entry, configuration, resolved, "integrations.toml".into()),
    }
}

fn group(key: i64, path: &str) -> StoredGroup {
    let path = Some(path.to_owned());
    StoredGroup { key: GroupKey(key), id: None, path, revision: 1, created_at: Timestamp::UNIX_EPOCH }
}

fn project(id: i64, path: &str) -> StoredProject {
    StoredProject {
        id,
        path: Some(path.to_owned()),
        learned: Learned::default(),
        corrected: crate::store::registry::Corrected::default(),
        revision: 1,
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
    }
}

fn by_id(id: i64) -> Scope {
    Scope::ProjectId(id)
}

fn by_path(path: &str) -> Scope {
    Scope::ProjectPath(path.to_owned())
}

fn of_group(path: &str) -> Scope {
    Scope::Group(path.to_owned())
}

/// A catalogue of these rows, with the groups acme (1) and acme/web (2) and the project acme/web/rocket (42).
fn rows(rows: Vec<StoredIntegration>) -> Snapshot {
    let mut snapshot = Snapshot::default();
    snapshot.take_changes(Changes {
        revision: 1,
        integrations: rows,
        projects: vec![project(42, "acme/web/rocket")],
        groups: vec![group(1, "acme"), group(2, "acme/web")],
        ..Changes::default()
    });
    snapshot
}

fn files(placed: Vec<ConfiguredAt>) -> Snapshot {
    let mut snapshot = Snapshot::default();
    snapshot.set_files(placed, Vec::new());
    snapshot
}

/// A push to this project.
fn push(project_id: i64, path: &str) -> Event {
    let project = json!({ "id": project_id, "path_with_namespace": path, "default_branch": "trunk" });
    let body = json!({ "object_kind": "push", "ref": "refs/heads/main", "project": project });
    let id = EventId::new("e1").unwrap();
    Event::decode(id, Timestamp::UNIX_EPOCH, Bytes::from(body.to_string())).unwrap()
}

/// A mention of this group.
fn mention(path: &str) -> Event {
    let mut event = push(42, "acme/web/rocket");
    event.group = Some(GroupRef { path: path.into(), url: "".into() });
    event
}

/// Who is concerned: the id, and the channel that it would tell.
fn concerned(snapshot: &Snapshot, event: &Event) -> Vec<String> {
    let description = |integration: &std::sync::Arc<crate::integration::Integration>| {
        let off = if integration.active { "" } else { " (off)" };
        format!("{} {}{off}", integration.id, integration.channels.default.join(","))
    };
    let mut found: Vec<_> = snapshot.concerned(event).iter().map(description).collect();
    found.sort();
    found
}

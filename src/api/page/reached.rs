//! The deliveries that a token reaches, over all of its integrations.
//!
//! The ledger lists deliveries by integration or all together. A token of the instance reads all. For another token
//! with few integrations, the lists of these integrations are merged. With many integrations, all deliveries are read
//! and those of other integrations left out, up to a bound, where the next page continues.

use std::collections::BTreeSet;

use crate::adapters::{self, ADAPTERS};
use crate::api::error::ApiError;
use crate::api::v4::Caller;
use crate::catalog::{ResolvedScope, Snapshot};
use crate::integration::{IntegrationId, Scope};
use crate::store::registry::ScopeKey;
use crate::store::{DeliveryFilter, DeliveryId, DeliveryLine};

/// The most integrations whose lists are merged.
const MOST_LISTS: usize = 50;
/// How many deliveries are read at once when most of them are out of reach, and the most reads.
const BATCH: usize = 500;
const MOST_BATCHES: usize = 10;

/// One page of deliveries.
pub(super) struct Listed {
    /// Newest first.
    pub(super) lines: Vec<DeliveryLine>,
    /// The next page has ids below this one; `None` where this was the last.
    pub(super) before: Option<DeliveryId>,
}

/// The newest deliveries of a filter that the caller reaches.
pub(super) async fn deliveries(caller: &Caller, filter: DeliveryFilter) -> Result<Listed, ApiError> {
    let ledger = &caller.state.ledger;
    let integrations = match &filter.integration {
        Some(id) => {
            let is_reached =
                |snapshot: &Snapshot, id: &IntegrationId| caller.reaches_integration(snapshot, id);
            caller.state.catalog.read(|snapshot| {
                let ids = snapshot.ids_of(id).into_iter();
                ids.filter(|id| is_reached(snapshot, id)).collect()
            })
        }
        None if caller.reach() == ScopeKey::Instance => {
            let limit = filter.limit;
            return Ok(cut(ledger.deliveries(filter).await?, limit));
        }
        None => caller.state.catalog.read(|snapshot| integrations(caller, snapshot)),
    };
    if integrations.len() > MOST_LISTS {
        return scan(caller, filter).await;
    }
    let mut lines = Vec::new();
    for id in integrations {
        let filter = DeliveryFilter { integration: Some(id), ..filter.clone() };
        lines.extend(ledger.deliveries(filter).await?);
    }
    lines.sort_by_key(|line| std::cmp::Reverse(line.id.0));
    Ok(cut(lines, filter.limit))
}

fn cut(mut lines: Vec<DeliveryLine>, limit: usize) -> Listed {
    let is_full = lines.len() >= limit;
    lines.truncate(limit);
    let before = lines.last().filter(|_| is_full).map(|line| line.id);
    Listed { lines, before }
}

async fn scan(caller: &Caller, filter: DeliveryFilter) -> Result<Listed, ApiError> {
    let mut lines = Vec::new();
    let mut before = filter.before;
    for _ in 0..MOST_BATCHES {
        let batch = DeliveryFilter { before, limit: BATCH, ..filter.clone() };
        let batch = caller.state.ledger.deliveries(batch).await?;
        before = batch.last().filter(|_| batch.len() == BATCH).map(|line| line.id);
        caller.state.catalog.read(|snapshot| {
            let reached = |line: &DeliveryLine| caller.reaches_integration(snapshot, &line.integration);
            lines.extend(batch.into_iter().filter(reached));
        });
        if lines.len() >= filter.limit {
            return Ok(cut(lines, filter.limit));
        }
        if before.is_none() {
            break;
        }
    }
    Ok(Listed { lines, before })
}

/// The project or group with this full path, where it is known and the caller reaches it.
pub(super) fn place(caller: &Caller, snapshot: &Snapshot, path: &str) -> Option<ResolvedScope> {
    let named = [Scope::ProjectPath(path.to_owned()), Scope::Group(path.to_owned())];
    let mut known = named.iter().filter_map(|scope| snapshot.known(scope));
    known.find(|scope| caller.reaches(snapshot, scope))
}

/// Why nothing was found: a name that is unknown or out of the caller's reach.
pub(super) fn unknown_name(
    caller: &Caller,
    project: Option<&str>,
    integration: Option<&str>,
) -> Option<String> {
    caller.state.catalog.read(|snapshot| {
        if let Some(path) = project.filter(|path| place(caller, snapshot, path).is_none()) {
            return Some(format!(
                "There is no project or group {path}, or your token does not reach it. Write its full path, as acme/rocket."
            ));
        }
        unknown_integration(caller, snapshot, integration?)
    })
}

fn unknown_integration(caller: &Caller, snapshot: &Snapshot, name: &str) -> Option<String> {
    let Some((_, slug)) = name.rsplit_once(':') else {
        return Some(format!(
            "There is no integration {name}. Write it as acme/rocket:slack, a project's path and a service."
        ));
    };
    if adapters::find(slug).is_none() {
        return Some(format!("There is no integration {name}: {slug} is no service."));
    }
    let id = IntegrationId::new(name);
    let is_known = caller.reaches_integration(snapshot, &id) && snapshot.configured(&id).is_some();
    (!is_known).then(|| format!("There is no integration {name}, or your token does not reach it."))
}

/// The known scopes that the caller reaches.
pub(super) fn scopes(caller: &Caller, snapshot: &Snapshot) -> Vec<ResolvedScope> {
    let directory = snapshot.directory();
    let projects = directory
        .projects()
        .into_iter()
        .map(|project| ResolvedScope::Project { id: Some(project.id), path: project.path.clone() });
    let groups = directory.groups().into_iter().filter_map(|group| group.path.clone().map(Scope::Group));
    let named = groups.chain(snapshot.scopes()).map(|scope| directory.resolve(&scope));
    let mut seen = BTreeSet::new();
    let mut all: Vec<ResolvedScope> = projects
        .chain(named)
        .filter(|scope| caller.reaches(snapshot, scope))
        .filter(|scope| seen.insert(scope.name().canonical()))
        .collect();
    all.sort_by_cached_key(|scope| scope.path().map(str::to_ascii_lowercase));
    all
}

/// The ids of all integrations that the caller reaches.
pub(super) fn integrations(caller: &Caller, snapshot: &Snapshot) -> Vec<IntegrationId> {
    let of_scope = |scope: &ResolvedScope| -> Vec<IntegrationId> {
        let configured = ADAPTERS.iter().map(|entry| entry.about.slug).filter(|slug| {
            let inheritance = snapshot.inheritance(scope, slug);
            inheritance.own.is_some() || inheritance.default.is_some()
        });
        configured.map(|slug| snapshot.id_at(scope, slug)).collect()
    };
    scopes(caller, snapshot).iter().flat_map(of_scope).collect()
}

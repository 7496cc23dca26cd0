//! The deliveries that a token reaches, over all of its integrations.
//!
//! The ledger lists deliveries by integration or all together. A token of the instance reads all. For another token
//! with few integrations, the lists of these integrations are merged. With many integrations, all deliveries are read
//! and those of other integrations left out, up to a bound, where the next page continues.

use std::iter;

use crate::adapters;
use crate::api::error::ApiError;
use crate::api::v4::Caller;
use crate::api::v4::deliveries::{owner_of, reaches};
use crate::catalog::{ResolvedScope, Snapshot};
use crate::integration::{IntegrationId, Scope};
use crate::store::registry::ScopeKey;
use crate::store::{DeliveryFilter, DeliveryId, DeliveryLine};

/// The most integrations whose lists are merged.
const MOST_LISTS: usize = 50;
/// The most projects and groups whose integrations are looked up.
const MOST_SCOPES: usize = 500;
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
    let integrations = if !filter.integrations.is_empty() {
        caller.state.catalog.read(|snapshot| {
            let ids = filter.integrations.iter().flat_map(|id| snapshot.ids_of(id));
            Some(ids.filter(|id| caller.reaches_integration(snapshot, id)).collect::<Vec<_>>())
        })
    } else if caller.reach() == ScopeKey::Instance {
        let limit = filter.limit;
        return Ok(cut(ledger.deliveries(filter).await?, limit));
    } else {
        caller.state.catalog.read(|snapshot| integrations(caller, snapshot))
    };
    let Some(integrations) = integrations else { return scan(caller, filter).await };
    let mut lines = Vec::new();
    for id in integrations {
        let project_id = caller.state.catalog.read(|snapshot| owner_of(snapshot, &id));
        let filter = DeliveryFilter { integrations: vec![id], project_id, ..filter.clone() };
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
            let reached = |line: &DeliveryLine| reaches(caller, snapshot, line);
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

/// The known scopes that the caller reaches, ordered by path. They are found by path, so that the first ones cost the
/// same in a small and in a large forge.
pub(super) fn scopes<'a>(
    caller: &'a Caller,
    snapshot: &'a Snapshot,
) -> impl Iterator<Item = ResolvedScope> + use<'a> {
    let of_group = |key| snapshot.directory().group(key).and_then(|group| group.path.as_deref());
    let found: Box<dyn Iterator<Item = ResolvedScope> + 'a> = match caller.reach() {
        ScopeKey::Instance => Box::new(snapshot.all_scopes()),
        ScopeKey::Group(key) => {
            Box::new(of_group(key).into_iter().flat_map(move |path| snapshot.scopes_within(path)))
        }
        ScopeKey::Project(id) => Box::new(snapshot.known(&Scope::ProjectId(id)).into_iter()),
        ScopeKey::File(_) => Box::new(iter::empty()),
    };
    found.filter(move |scope| caller.reaches(snapshot, scope))
}

/// The ids of all integrations that the caller reaches. `None` where there are too many to merge their lists.
fn integrations(caller: &Caller, snapshot: &Snapshot) -> Option<Vec<IntegrationId>> {
    let mut ids = Vec::new();
    for (number, scope) in scopes(caller, snapshot).enumerate() {
        if number == MOST_SCOPES {
            return None;
        }
        ids.extend(snapshot.slugs_at(&scope).into_iter().map(|slug| snapshot.id_at(&scope, slug)));
        if ids.len() > MOST_LISTS {
            return None;
        }
    }
    Some(ids)
}

//! Lists the current problems: one answer for the API, the commands, the slash command and the gauges.
//!
//! A [`Standing`] is a pure function of the catalog, the holds and the store's [`Overview`]. It lists what is held
//! ([`Trouble`]) with its reason and the command that helps, the dead letters by cause ([`Given`]), and the [`Part`]s that
//! the daemon works with. The computation changes nothing and sends nothing.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::addresses;
use super::holds::HoldSet;
use crate::adapters;
use crate::catalog::{Catalog as _, ResolvedScope, Snapshot};
use crate::integration::{IntegrationId, Scope};
use crate::store::{DeadLetters, Hold, HoldCause, HoldKey, Overview, WaitingGroup};

/// A throttle by a service is ordinary, unless it is at least this long. Then it counts as a problem.
const LONG_THROTTLE: SignedDuration = SignedDuration::from_mins(10);
/// Older dead letters are shown, but do not count as a problem.
const FRESH: SignedDuration = SignedDuration::from_hours(24);
/// If a watch is overdue for this long, no node polls.
const POLLER_LATE: SignedDuration = SignedDuration::from_mins(5);

/// The kind of the holds of a rate limit that destinations share.
const SHARED_LIMIT: &str = "bucket";

/// The cause of a [`Trouble`] that is not a hold.
pub const INVALID_SETTINGS: &str = "invalid_settings";

/// The current problems.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    pub at: Timestamp,
    pub troubles: Vec<Trouble>,
    pub dead_letters: Vec<Given>,
    /// The configured parts that the daemon works with.
    pub parts: Vec<Part>,
    /// Deliveries that wait.
    pub waiting: u64,
    /// When the oldest of them was written.
    pub oldest_waiting: Option<Timestamp>,
}

/// Something that gets no deliveries now, and the affected integration.
#[derive(Clone, Debug, PartialEq)]
pub struct Trouble {
    /// As [`HoldKey::kind`], or `integration`.
    pub kind: &'static str,
    /// As [`HoldCause::name`], or [`INVALID_SETTINGS`].
    pub cause: &'static str,
    pub integration: Option<IntegrationId>,
    /// The owner of the integration.
    pub scope: Option<ResolvedScope>,
    /// The channels or other targets; empty where all of the integration's are meant.
    pub targets: Vec<String>,
    pub destination: Option<String>,
    pub reason: String,
    pub since: Timestamp,
    /// When the next attempt is made. `None` where a person has to do something first.
    pub until: Option<Timestamp>,
    /// The number of deliveries that wait for its end.
    pub waiting: u64,
    /// Whether it counts as a problem.
    pub is_problem: bool,
    /// The command that helps.
    pub command: String,
}

/// Deliveries of one integration that were given up for one cause.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    pub letters: DeadLetters,
    pub scope: ResolvedScope,
    pub is_problem: bool,
    pub command: String,
}

/// A part that the daemon works with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// `store`, `broker`, `mail relay`, `forge API`, `poller`, `last reload`.
    pub name: &'static str,
    /// What was found, or the problem.
    pub found: Result<String, String>,
}

impl Part {
    pub fn new(name: &'static str, found: Result<String, String>) -> Self {
        Self { name, found }
    }

    /// The state of the status poller; `None` where nothing is watched.
    pub fn poller(overview: &Overview, now: Timestamp) -> Option<Self> {
        let due = overview.first_watch_due?;
        let late = now.duration_since(due);
        let count = overview.watches;
        let found = if late > POLLER_LATE {
            Err(format!("{count} builds and services are watched, and none was asked for since {due}"))
        } else {
            Ok(format!("{count} builds and services are watched"))
        };
        Some(Self::new("poller", found))
    }
}

impl Standing {
    pub fn new(snapshot: &Snapshot, holds: &HoldSet, overview: Overview, now: Timestamp) -> Self {
        let troubles = troubles(snapshot, holds, &overview.waiting, now);
        let parts = Part::poller(&overview, now).into_iter().collect();
        let waiting = overview.waiting.iter().map(|group| group.deliveries).sum();
        let oldest_waiting = overview.waiting.iter().map(|group| group.since).min();
        let given = |letters: DeadLetters| Given {
            scope: scope_of(snapshot, &letters.integration),
            is_problem: now.duration_since(letters.newest) < FRESH,
            command: retry_command(&letters),
            letters,
        };
        let dead_letters = overview.dead_letters.into_iter().map(given).collect();
        Self { at: now, troubles, dead_letters, parts, waiting, oldest_waiting }
    }

    /// The problems of a part of the instance. Problems of integrations elsewhere and the daemon's parts are left out.
    #[must_use]
    pub fn within(
        snapshot: &Snapshot,
        holds: &HoldSet,
        overview: Overview,
        now: Timestamp,
        reaches: impl Fn(&ResolvedScope) -> bool,
    ) -> Self {
        let is_in = |id: &IntegrationId| reaches(&scope_of(snapshot, id));
        let waiting = overview.waiting.into_iter().filter(|group| is_in(&group.integration)).collect();
        let overview = Overview { waiting, ..overview };
        let mut standing = Self::new(snapshot, holds, overview, now);
        standing.troubles.retain(|trouble| trouble.scope.as_ref().is_some_and(&reaches));
        standing.dead_letters.retain(|given| reaches(&given.scope));
        standing.parts.clear();
        standing
    }

    /// How many problems there are. A service's throttle is one problem, however many integrations and destinations
    /// wait for its end: the service asked once.
    pub fn problems(&self) -> usize {
        let (throttles, others): (Vec<&Trouble>, Vec<&Trouble>) = self
            .troubles
            .iter()
            .filter(|trouble| trouble.is_problem)
            .partition(|trouble| trouble.is_throttle());
        distinct_throttles(&throttles)
            + others.len()
            + self.dead_letters.iter().filter(|given| given.is_problem).count()
            + self.parts.iter().filter(|part| part.found.is_err()).count()
    }
}

impl Trouble {
    /// Whether the service itself asked for the wait.
    fn is_throttle(&self) -> bool {
        [HoldCause::Throttled, HoldCause::Quota].map(HoldCause::name).contains(&self.cause)
    }
}

/// The number of throttles in a list that names each integration that waits for one. A throttle of a shared rate limit
/// holds the limit and the destinations that ran into it. These destinations are not counted again.
fn distinct_throttles(throttles: &[&Trouble]) -> usize {
    let (shared, own): (Vec<&Trouble>, Vec<&Trouble>) =
        throttles.iter().copied().partition(|trouble| trouble.kind == SHARED_LIMIT);
    let sharers: BTreeSet<_> = shared.iter().filter_map(|trouble| trouble.integration.as_ref()).collect();
    let is_counted = |trouble: &&Trouble| trouble.integration.as_ref().is_some_and(|id| sharers.contains(id));
    let own = own.into_iter().filter(|trouble| !is_counted(trouble));
    let held = shared.iter().copied().chain(own);
    held.map(|trouble| (trouble.kind, &trouble.destination)).collect::<BTreeSet<_>>().len()
}

/// The owner of the integration with this id.
pub fn scope_of(snapshot: &Snapshot, id: &IntegrationId) -> ResolvedScope {
    let name = id.0.rsplit_once(':').map_or(&*id.0, |(name, _)| name);
    snapshot.directory().resolve(&Scope::from_canonical(name))
}

/// Everything that is held, throttled, blocked or switched off, by integration.
pub fn troubles(
    snapshot: &Snapshot,
    holds: &HoldSet,
    waiting: &[WaitingGroup],
    now: Timestamp,
) -> Vec<Trouble> {
    let mut found: Vec<Trouble> =
        holds.active_all(now).flat_map(|hold| of_hold(snapshot, holds, hold, waiting, now)).collect();
    found.extend(invalid(snapshot, waiting));
    found.sort_by(|a, b| {
        let name = |trouble: &Trouble| trouble.integration.clone();
        (name(a), a.since, &a.targets, a.kind).cmp(&(name(b), b.since, &b.targets, b.kind))
    });
    found
}

/// The reasons why an integration that is switched on sends nothing.
pub const OFF_REASONS: [&str; 2] = [ADDRESS_GONE, INVALID_SETTINGS];
const ADDRESS_GONE: &str = "address_gone";

/// How many integrations send nothing, by reason: all their addresses are dead, or their settings are not valid.
pub fn switched_off(snapshot: &Snapshot, holds: &HoldSet, now: Timestamp) -> BTreeMap<&'static str, u64> {
    let mut off: BTreeMap<&'static str, BTreeSet<IntegrationId>> = BTreeMap::new();
    for trouble in troubles(snapshot, holds, &[], now) {
        let reason = match trouble.cause {
            INVALID_SETTINGS => INVALID_SETTINGS,
            cause if cause == HoldCause::SwitchedOff.name() => ADDRESS_GONE,
            _ => continue,
        };
        off.entry(reason).or_default().extend(trouble.integration);
    }
    off.into_iter().map(|(reason, ids)| (reason, ids.len() as u64)).collect()
}

fn of_hold(
    snapshot: &Snapshot,
    holds: &HoldSet,
    hold: &Hold,
    waiting: &[WaitingGroup],
    now: Timestamp,
) -> Vec<Trouble> {
    let waits = |group: &&WaitingGroup| waits_for(snapshot, group, &hold.key);
    let mut by_integration: BTreeMap<IntegrationId, (u64, BTreeSet<String>)> = BTreeMap::new();
    for group in waiting.iter().filter(waits) {
        let (count, targets) = by_integration.entry(group.integration.clone()).or_default();
        *count += group.deliveries;
        targets.insert(group.target.clone());
    }
    match &hold.key {
        HoldKey::Route { integration, target } => {
            if hold.cause == HoldCause::Gone {
                return Vec::new(); // the hold of its address says the same
            }
            let count = by_integration.get(integration).map_or(0, |(count, _)| *count);
            let targets = BTreeSet::from([target.to_string()]);
            by_integration = BTreeMap::from([(integration.clone(), (count, targets))]);
        }
        HoldKey::Address { integration, destination } => {
            // An integration of a file that can't be read is unknown here, and the daemon has it.
            let known = snapshot.integration(integration);
            if known.is_none() && by_integration.is_empty() {
                return Vec::new(); // it was removed, and nothing waits for it
            }
            if let Some(known) = known {
                let is_outdated =
                    hold.cause == HoldCause::SwitchedOff && holds.switched_off(&known, destination).is_none();
                if is_outdated || !known.active {
                    return Vec::new();
                }
                let served = addresses::targets(&known).remove(destination).unwrap_or_default();
                by_integration.entry(integration.clone()).or_default().1.extend(served);
            }
        }
        HoldKey::Destination(_) | HoldKey::Bucket(_) => {
            if let Some((maker, _)) = &hold.made_under {
                by_integration.entry(maker.clone()).or_default();
            }
        }
    }
    if by_integration.is_empty() {
        return vec![trouble(hold, None, 0, BTreeSet::new(), None, now)];
    }
    let of = |(id, (count, targets)): (IntegrationId, (u64, BTreeSet<String>))| {
        let scope = scope_of(snapshot, &id);
        trouble(hold, Some(id), count, targets, Some(scope), now)
    };
    by_integration.into_iter().map(of).collect()
}

fn trouble(
    hold: &Hold,
    integration: Option<IntegrationId>,
    waiting: u64,
    targets: BTreeSet<String>,
    scope: Option<ResolvedScope>,
    now: Timestamp,
) -> Trouble {
    let destination = match &hold.key {
        HoldKey::Route { .. } => None,
        HoldKey::Destination(name) | HoldKey::Bucket(name) | HoldKey::Address { destination: name, .. } => {
            Some(name.to_string())
        }
    };
    let lasts = hold.until.duration_since(hold.since.min(now));
    Trouble {
        kind: hold.key.kind(),
        cause: hold.cause.name(),
        command: command(hold.cause, integration.as_ref()),
        integration,
        scope,
        targets: targets.into_iter().filter(|target| !target.is_empty()).collect(),
        destination,
        reason: hold.reason.clone(),
        since: hold.since,
        until: (hold.cause != HoldCause::SwitchedOff).then_some(hold.until),
        waiting,
        is_problem: hold.cause != HoldCause::Throttled || lasts >= LONG_THROTTLE,
    }
}

/// The command with which a person can end a hold.
fn command(cause: HoldCause, integration: Option<&IntegrationId>) -> String {
    let Some(id) = integration else { return "forgebell check".to_owned() };
    match cause {
        // The service asked for the wait, so no command shortens it.
        HoldCause::Throttled | HoldCause::Quota => {
            format!("forgebell deliveries list --state waiting --integration {id}")
        }
        HoldCause::Unavailable => format!("forgebell integrations resume {id}"),
        HoldCause::OperatorError => "forgebell check".to_owned(),
        HoldCause::Misconfigured | HoldCause::Gone | HoldCause::SwitchedOff => {
            format!("forgebell integrations test {id}")
        }
    }
}

/// The command that sends dead letters again.
fn retry_command(letters: &DeadLetters) -> String {
    let which = if letters.cause == "expired" { "--state expired" } else { "--all-failed" };
    format!("forgebell deliveries retry {which} --integration {}", letters.integration)
}

/// Whether these deliveries wait for the end of a hold of this key.
fn waits_for(snapshot: &Snapshot, group: &WaitingGroup, key: &HoldKey) -> bool {
    match key {
        HoldKey::Destination(name) => group.destination == **name,
        HoldKey::Route { integration, target } => {
            group.integration == *integration && group.target == **target
        }
        HoldKey::Address { integration, destination } => {
            group.integration == *integration && group.destination == **destination
        }
        HoldKey::Bucket(name) => {
            let Some(integration) = snapshot.integration(&group.integration) else { return false };
            let pace = adapters::find(integration.slug)
                .and_then(|entry| entry.pace(&integration.settings, &group.target));
            pace.is_some_and(|pace| pace.buckets().any(|bucket| *bucket.key.0 == **name))
        }
    }
}

/// Integrations that are switched on and whose settings are not valid: they send nothing.
fn invalid(snapshot: &Snapshot, waiting: &[WaitingGroup]) -> Vec<Trouble> {
    let configured = snapshot.all_configured().into_iter();
    let broken = configured.filter_map(|(scope, configured)| {
        let errors = configured.unusable()?;
        let id = crate::catalog::integration_id(&scope, configured.slug());
        let reason = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let waits = waiting.iter().filter(|group| group.integration == id);
        Some(Trouble {
            kind: "integration",
            cause: INVALID_SETTINGS,
            scope: Some(snapshot.directory().resolve(&scope)),
            targets: Vec::new(),
            destination: None,
            reason,
            since: configured.noted.updated_at,
            until: None,
            waiting: waits.map(|group| group.deliveries).sum(),
            is_problem: true,
            command: format!("forgebell integrations show {id}"),
            integration: Some(id),
        })
    });
    broken.collect()
}

#[cfg(test)]
mod tests;

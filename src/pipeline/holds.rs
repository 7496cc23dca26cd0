//! Holds: which deliveries must wait, and until when.
//!
//! A [`HoldSet`] contains the holds by their keys, and the strikes against keys that failed and are not held yet. As a
//! pure function, it computes the effect of an attempt on other deliveries: a [`HoldChange`].
//!
//! [`Holds`] shares one set between dispatch, the deliverer, the API and `explain`. The store keeps the holds: changes are
//! written with the settlement that they follow from, or by [`Holds::end`]. [`Holds::sync`] takes over the store's
//! holds at each poll, because other nodes and people's commands change them too.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::after;
use super::retry::Effect;
use crate::call::{Bucket, Failure, Pace};
use crate::integration::{Fingerprint, Integration, IntegrationId};
use crate::store::{Delivery, DeliveryLine, DestinationKey, Hold, HoldCause, HoldKey, Outbox, Result};

/// The length of a hold that lasts until the settings are corrected. [`after`] limits the resulting time.
const FOR_EVER: Duration = Duration::MAX;
/// How long strikes are remembered after their hold ended.
const STRIKES_KEPT: SignedDuration = SignedDuration::from_hours(24);
/// A hold that ends within this time is left to end by itself when the store no longer has it: the store rounds times
/// to milliseconds.
const ABOUT_TO_END: SignedDuration = SignedDuration::from_secs(1);

/// The holds by their keys.
#[derive(Clone, Debug, Default)]
pub struct HoldSet {
    /// Ended holds are included, because their strikes still count.
    by_key: HashMap<HoldKey, Hold>,
}

/// What follows from an attempt for other deliveries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HoldChange {
    pub end: Vec<HoldKey>,
    /// The holds that begin. A strike that leads to no hold yet begins and ends at the same moment.
    pub begin: Vec<Hold>,
}

/// An attempt, as input for [`HoldSet::change`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempted<'a> {
    pub(super) delivery: &'a Delivery,
    /// `None` where there was no integration.
    pub(super) integration: Option<&'a Integration>,
    /// The rate limits that the destination shares with others.
    pub(super) shared: &'a [Bucket],
    /// The outcome in words.
    pub(super) reason: &'a str,
}

/// An answer to a status question after which the service is not asked for a while.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeldAnswer<'a> {
    pub(super) integration: &'a Integration,
    pub(super) cause: HoldCause,
    /// What the service answered, in words.
    pub(super) reason: &'a str,
    pub(super) until: Timestamp,
    pub(super) now: Timestamp,
}

fn destination_of(delivery: &Delivery) -> HoldKey {
    HoldKey::Destination(Arc::clone(&delivery.destination))
}

fn route_of(delivery: &Delivery) -> HoldKey {
    HoldKey::Route { integration: delivery.integration.clone(), target: Arc::clone(&delivery.target) }
}

fn address_of(integration: &IntegrationId, destination: &DestinationKey) -> HoldKey {
    HoldKey::Address { integration: integration.clone(), destination: Arc::clone(destination) }
}

fn bucket_key(bucket: &Bucket) -> HoldKey {
    HoldKey::Bucket(Arc::clone(&bucket.key.0))
}

impl HoldChange {
    /// The part that the store keeps. A strike that leads to no hold yet is kept in memory only.
    pub(super) fn stored(self, now: Timestamp) -> (Vec<HoldKey>, Vec<Hold>) {
        let Self { end, mut begin } = self;
        begin.retain(|hold| hold.until > now);
        (end, begin)
    }
}

impl FromIterator<Hold> for HoldSet {
    fn from_iter<T: IntoIterator<Item = Hold>>(holds: T) -> Self {
        Self { by_key: holds.into_iter().map(|hold| (hold.key.clone(), hold)).collect() }
    }
}

impl HoldSet {
    /// The hold on this key, unless it has ended.
    pub fn active(&self, key: &HoldKey, now: Timestamp) -> Option<&Hold> {
        self.by_key.get(key).filter(|hold| hold.until > now)
    }

    /// All holds, to build another set in a command.
    pub fn current(&self) -> Vec<Hold> {
        self.by_key.values().cloned().collect()
    }

    /// All holds that have not ended, in no order.
    pub fn active_all(&self, now: Timestamp) -> impl Iterator<Item = &Hold> {
        self.by_key.values().filter(move |hold| hold.until > now)
    }

    /// Why an address of this integration is switched off, if so. A change of the settings switches it on again.
    pub fn switched_off(&self, integration: &Integration, destination: &DestinationKey) -> Option<&str> {
        if self.by_key.is_empty() {
            return None; // the ordinary case: no key is allocated
        }
        let hold = self.by_key.get(&address_of(&integration.id, destination))?;
        let under = hold.made_under.as_ref().map(|(_, fingerprint)| *fingerprint);
        let is_off = hold.cause == HoldCause::SwitchedOff && under == Some(integration.fingerprint);
        is_off.then_some(hold.reason.as_str())
    }

    /// The holds of an integration's addresses that are switched off, each with its destination; the oldest first.
    pub fn dead_addresses(&self, integration: &Integration) -> Vec<(&DestinationKey, &Hold)> {
        let mut dead: Vec<_> = self
            .by_key
            .values()
            .filter_map(|hold| match &hold.key {
                HoldKey::Address { integration: id, destination } if *id == integration.id => {
                    self.switched_off(integration, destination).map(|_| (destination, hold))
                }
                _ => None,
            })
            .collect();
        dead.sort_by_key(|(destination, hold)| (hold.since, *destination));
        dead
    }

    /// The integrations whose settings led to holds.
    pub fn makers(&self) -> BTreeSet<IntegrationId> {
        let makers = self.by_key.values().filter_map(|hold| hold.made_under.as_ref());
        makers.map(|(integration, _)| integration.clone()).collect()
    }

    /// The hold that delays a delivery longest. `pace` names the rate limits of its attempts; without it, their holds
    /// are ignored. If a destination and a bucket are held until the same moment, the answer is the bucket, because it
    /// affects more.
    pub fn longest(&self, line: &DeliveryLine, pace: Option<&Pace>, now: Timestamp) -> Option<&Hold> {
        let destination: DestinationKey = line.destination.as_str().into();
        let mut keys = vec![
            HoldKey::Route { integration: line.integration.clone(), target: line.target.as_str().into() },
            address_of(&line.integration, &destination),
            HoldKey::Destination(destination),
        ];
        keys.extend(pace.into_iter().flat_map(Pace::buckets).map(bucket_key));
        keys.iter().filter_map(|key| self.active(key, now)).max_by_key(|hold| hold.until)
    }

    /// Whether a bucket is held now.
    pub fn holds_buckets(&self, now: Timestamp) -> bool {
        self.by_key.values().any(|hold| matches!(hold.key, HoldKey::Bucket(_)) && hold.until > now)
    }

    /// The holds that a success disproves, or that a person's retry ends: of the route, the address and the destination, except
    /// those that the service asked for.
    pub fn disproved(&self, integration: &IntegrationId, target: &str, destination: &str) -> Vec<HoldKey> {
        let destination: DestinationKey = destination.into();
        let keys = [
            HoldKey::Route { integration: integration.clone(), target: target.into() },
            address_of(integration, &destination),
            HoldKey::Destination(destination),
        ];
        keys.into_iter().filter(|key| self.may_be_disproved(key)).collect()
    }

    fn may_be_disproved(&self, key: &HoldKey) -> bool {
        self.by_key.get(key).is_some_and(|hold| !hold.cause.ends_by_time_alone())
    }

    /// The number of earlier strikes in a row for this kind of failure. Attempts that were under way together count as
    /// one strike, and strikes under other settings do not count.
    pub(super) fn strikes_before(&self, failure: &Failure, of: &Attempted<'_>, now: Timestamp) -> u32 {
        if self.by_key.is_empty() {
            return 0;
        }
        let key = match failure {
            Failure::Misconfigured(_) => route_of(of.delivery),
            Failure::Gone { .. } => address_of(&of.delivery.integration, &of.delivery.destination),
            _ => destination_of(of.delivery),
        };
        // A refused login and a failing service are independent, so their strikes are not added.
        let refuses_login = matches!(failure, Failure::LoginRefused(_));
        let is_same = |hold: &Hold| {
            !matches!(key, HoldKey::Destination(_))
                || refuses_login == (hold.cause == HoldCause::Misconfigured)
        };
        let Some(hold) = self.known(&key, of).filter(|hold| is_same(hold)) else { return 0 };
        if hold.until > now { hold.strikes.saturating_sub(1) } else { hold.strikes }
    }

    /// Since when the attempt's destination has been failing, if it failed before, and until when it is held for that.
    pub(super) fn outage(
        &self,
        of: &Attempted<'_>,
        now: Timestamp,
    ) -> Option<(Timestamp, Option<Timestamp>)> {
        if self.by_key.is_empty() {
            return None;
        }
        let hold = self.known(&destination_of(of.delivery), of).filter(|hold| hold.strikes > 0)?;
        let is_held = hold.until > now && hold.cause == HoldCause::Unavailable;
        Some((hold.since, is_held.then_some(hold.until)))
    }

    /// The hold on this key, unless it was made under other settings of the same integration.
    fn known(&self, key: &HoldKey, of: &Attempted<'_>) -> Option<&Hold> {
        let hold = self.by_key.get(key)?;
        let is_outdated = match (&hold.made_under, of.integration) {
            (Some((id, fingerprint)), Some(now)) => *id == now.id && *fingerprint != now.fingerprint,
            _ => false,
        };
        (!is_outdated || hold.cause.ends_by_time_alone()).then_some(hold)
    }

    /// What follows from an attempt for other deliveries.
    pub(super) fn change(&self, effect: &Effect, of: &Attempted<'_>, now: Timestamp) -> HoldChange {
        let mut change = HoldChange::default();
        match effect {
            Effect::None => {}
            Effect::Recovered => {
                if self.by_key.is_empty() {
                    return change; // the ordinary case: no keys are allocated
                }
                self.destination_answers(of, now, &mut change);
                let disproved =
                    [route_of(of.delivery), address_of(&of.delivery.integration, &of.delivery.destination)];
                change.end.extend(disproved.into_iter().filter(|key| self.by_key.contains_key(key)));
            }
            Effect::Strike { rest } => {
                let until = rest.unwrap_or(now);
                change.begin.extend(self.strike(
                    destination_of(of.delivery),
                    HoldCause::Unavailable,
                    until,
                    of,
                    now,
                ));
            }
            Effect::HoldDestination { until, cause, shared } => {
                change.begin.extend(self.strike(destination_of(of.delivery), *cause, *until, of, now));
                for bucket in of.shared.iter().filter(|_| *shared) {
                    change.begin.extend(self.strike(bucket_key(bucket), *cause, *until, of, now));
                }
            }
            Effect::BlockDestination(until) => {
                let key = destination_of(of.delivery);
                change.begin.extend(self.strike(key, HoldCause::OperatorError, *until, of, now));
            }
            Effect::HoldRoute(until) => {
                self.destination_answers(of, now, &mut change);
                change.begin.extend(self.strike(
                    route_of(of.delivery),
                    HoldCause::Misconfigured,
                    *until,
                    of,
                    now,
                ));
            }
            Effect::CountGone { until, switch_off } => {
                self.destination_answers(of, now, &mut change);
                self.count_gone(*until, *switch_off && of.integration.is_some(), of, now, &mut change);
            }
        }
        change
    }

    /// The destination works, although it may have rejected this message. Its strikes are forgotten, and its hold ends
    /// unless the service asked for the hold.
    fn destination_answers(&self, of: &Attempted<'_>, now: Timestamp, change: &mut HoldChange) {
        let key = destination_of(of.delivery);
        let Some(hold) = self.by_key.get(&key) else { return };
        if hold.cause.ends_by_time_alone() && hold.until > now {
            let forgiven = Hold { strikes: 0, ..hold.clone() };
            change.begin.extend((hold.strikes > 0).then_some(forgiven));
        } else {
            change.end.push(key);
        }
    }

    /// One more strike against a key, with a hold until `until`. `None` where the key is held already: the attempt was
    /// under way when the hold began, so its failure is the same strike. The hold gets longer only if the service asks
    /// for that.
    fn strike(
        &self,
        key: HoldKey,
        cause: HoldCause,
        until: Timestamp,
        of: &Attempted<'_>,
        now: Timestamp,
    ) -> Option<Hold> {
        let known = self.known(&key, of).filter(|hold| hold.strikes > 0 || hold.until > now);
        let (since, strikes) = match known {
            Some(hold) if hold.until > now && (hold.until >= until || !cause.ends_by_time_alone()) => {
                return None;
            }
            Some(hold) if hold.until > now => (hold.since, hold.strikes.max(1)),
            Some(hold) if (hold.cause == HoldCause::Misconfigured) == (cause == HoldCause::Misconfigured) => {
                (hold.since, hold.strikes + 1)
            }
            _ => (now, 1),
        };
        let reason = of.reason.to_owned();
        Some(Hold { key, cause, reason, since, until, strikes, made_under: made_under(of.integration) })
    }

    /// The holds after a service throttled a question: on the destination and, if `shared`, on its shared buckets. A
    /// longer hold is not changed.
    pub(super) fn held_by_answer(&self, pace: &Pace, shared: bool, hold: &HeldAnswer<'_>) -> HoldChange {
        let destination = HoldKey::Destination(Arc::clone(&pace.destination.key.0));
        let buckets = pace.shared.iter().filter(|_| shared).map(bucket_key);
        let begin = std::iter::once(destination).chain(buckets).filter_map(|key| {
            let known = self.active(&key, hold.now);
            if known.is_some_and(|known| known.until >= hold.until) {
                return None;
            }
            Some(Hold {
                key,
                cause: hold.cause,
                reason: hold.reason.to_owned(),
                since: known.map_or(hold.now, |known| known.since),
                until: hold.until,
                strikes: known.map_or(1, |known| known.strikes.max(1)),
                made_under: made_under(Some(hold.integration)),
            })
        });
        HoldChange { end: Vec::new(), begin: begin.collect() }
    }

    /// One more confirmation that an address is dead. The route waits for the next one, or the address is switched off.
    fn count_gone(
        &self,
        until: Timestamp,
        switch_off: bool,
        of: &Attempted<'_>,
        now: Timestamp,
        change: &mut HoldChange,
    ) {
        let key = address_of(&of.delivery.integration, &of.delivery.destination);
        let known = self.known(&key, of);
        if known.is_some_and(|hold| hold.cause == HoldCause::SwitchedOff) {
            return;
        }
        // A failure before the end of the wait is no further confirmation.
        let same = known.filter(|hold| hold.until > now);
        let counted = Hold {
            key,
            cause: HoldCause::Gone,
            reason: of.reason.to_owned(),
            since: known.map_or(now, |hold| hold.since),
            until: same.map_or(until, |hold| hold.until),
            strikes: same.map_or_else(|| known.map_or(1, |hold| hold.strikes + 1), |hold| hold.strikes),
            made_under: made_under(of.integration),
        };
        if switch_off {
            let until = after(now, FOR_EVER);
            change.begin.push(Hold { cause: HoldCause::SwitchedOff, until, ..counted });
        } else {
            change.begin.push(Hold { key: route_of(of.delivery), ..counted.clone() });
            change.begin.push(counted);
        }
    }

    fn apply(&mut self, change: &HoldChange, now: Timestamp) {
        for key in &change.end {
            self.by_key.remove(key);
        }
        for hold in &change.begin {
            let is_longer = |known: &Hold| known.until > now && known.until > hold.until;
            if !self.by_key.get(&hold.key).is_some_and(is_longer) {
                self.by_key.insert(hold.key.clone(), hold.clone());
            }
        }
    }
}

fn made_under(integration: Option<&Integration>) -> Option<(IntegrationId, Fingerprint)> {
    integration.map(|integration| (integration.id.clone(), integration.fingerprint))
}

/// The holds of this node. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Holds(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Whether there is a hold or a strike. Usually there is none, and then no lock is taken.
    any: AtomicBool,
    memory: RwLock<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    set: Arc<HoldSet>,
    /// The number of changes of each key that are not in the store yet. For these keys, memory is newer than the store.
    unwritten: HashMap<HoldKey, usize>,
}

impl Holds {
    /// A set with the store's holds.
    pub fn new(holds: impl IntoIterator<Item = Hold>) -> Self {
        let shared = Self::default();
        shared.write(|memory| memory.set = Arc::new(holds.into_iter().collect()));
        shared
    }

    /// The holds as they are now.
    pub fn snapshot(&self) -> Arc<HoldSet> {
        Arc::clone(&self.read().set)
    }

    /// Until when a destination is held.
    pub(super) fn destination_until(&self, key: &DestinationKey, now: Timestamp) -> Option<Timestamp> {
        self.look(|set| Some(set.active(&HoldKey::Destination(Arc::clone(key)), now)?.until))
    }

    /// Whether a destination's last attempts failed.
    pub(super) fn has_failed(&self, key: &DestinationKey) -> bool {
        let strikes = |set: &HoldSet| Some(set.by_key.get(&HoldKey::Destination(Arc::clone(key)))?.strikes);
        self.look(strikes).is_some_and(|strikes| strikes > 0)
    }

    /// Until when a delivery's route is held.
    pub(super) fn route_until(&self, delivery: &Delivery, now: Timestamp) -> Option<Timestamp> {
        self.look(|set| Some(set.active(&route_of(delivery), now)?.until))
    }

    /// Until when any of these rate limits is held.
    pub fn buckets_until<'a>(
        &self,
        buckets: impl IntoIterator<Item = &'a Bucket>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let until = |set: &HoldSet, bucket: &Bucket| Some(set.active(&bucket_key(bucket), now)?.until);
        self.look(|set| buckets.into_iter().filter_map(|bucket| until(set, bucket)).max())
    }

    /// See [`HoldSet::switched_off`].
    pub fn switched_off(&self, integration: &Integration, destination: &DestinationKey) -> Option<String> {
        self.look(|set| set.switched_off(integration, destination).map(str::to_owned))
    }

    fn look<T>(&self, find: impl FnOnce(&HoldSet) -> Option<T>) -> Option<T> {
        if self.0.any.load(Ordering::Acquire) { find(&self.read().set) } else { None }
    }

    /// Applies a change after an attempt. Changes that the store keeps count as unwritten until [`Holds::written`] is
    /// called.
    pub(super) fn apply(&self, change: &HoldChange, now: Timestamp) {
        if *change == HoldChange::default() {
            return;
        }
        self.write(|memory| {
            Arc::make_mut(&mut memory.set).apply(change, now);
            let begun = change.begin.iter().filter(|hold| hold.until > now).map(|hold| &hold.key);
            for key in change.end.iter().chain(begun) {
                *memory.unwritten.entry(key.clone()).or_default() += 1;
            }
        });
    }

    /// Notes that the changes of these keys are in the store.
    pub(super) fn written<'a>(&self, keys: impl IntoIterator<Item = &'a HoldKey>) {
        self.write(|memory| {
            for key in keys {
                let Some(count) = memory.unwritten.get_mut(key) else { continue };
                *count -= 1;
                if *count == 0 {
                    memory.unwritten.remove(key);
                }
            }
        });
    }

    /// Applies the store's holds, which other nodes and people's commands change too. Returns the destinations whose holds
    /// ended.
    pub fn sync(&self, stored: Vec<Hold>, now: Timestamp) -> Vec<DestinationKey> {
        if stored.is_empty() && !self.0.any.load(Ordering::Acquire) {
            return Vec::new();
        }
        self.write(|memory| {
            let stored: HashMap<HoldKey, Hold> = stored
                .into_iter()
                .filter(|hold| !memory.unwritten.contains_key(&hold.key))
                .map(|hold| (hold.key.clone(), hold))
                .collect();
            let ended_elsewhere = |hold: &Hold| {
                hold.until > now + ABOUT_TO_END
                    && !stored.contains_key(&hold.key)
                    && !memory.unwritten.contains_key(&hold.key)
            };
            let is_forgotten =
                |hold: &Hold| hold.until < now.checked_sub(STRIKES_KEPT).unwrap_or(Timestamp::MIN);
            let mut freed = Vec::new();
            let set = Arc::make_mut(&mut memory.set);
            set.by_key.retain(|key, hold| {
                let is_ended = ended_elsewhere(hold);
                if let (true, HoldKey::Destination(destination)) = (is_ended, key) {
                    freed.push(Arc::clone(destination));
                }
                !is_ended && !is_forgotten(hold)
            });
            set.by_key.extend(stored);
            freed
        })
    }

    /// Switches a delivery's address on again where its hold is not among the store's holds any more. Nothing else is taken
    /// over: [`Self::sync`] may have applied newer holds of the store meanwhile.
    pub(super) fn forget_ended_address(&self, delivery: &Delivery, stored: &[Hold]) {
        let key = address_of(&delivery.integration, &delivery.destination);
        if stored.iter().any(|hold| hold.key == key) {
            return;
        }
        self.write(|memory| {
            let is_off = memory.set.by_key.get(&key).is_some_and(|hold| hold.cause == HoldCause::SwitchedOff);
            if is_off && !memory.unwritten.contains_key(&key) {
                Arc::make_mut(&mut memory.set).by_key.remove(&key);
            }
        });
    }

    /// Ends holds in memory and in the store, after a success disproved them or a person asked for a retry. The future
    /// `written` completes when all outcomes are written that were decided before it was first polled.
    ///
    /// # Errors
    /// The store is unavailable. The holds are back when the deliverer reads the store's next.
    pub async fn end(
        &self,
        outbox: &dyn Outbox,
        keys: Vec<HoldKey>,
        written: impl Future<Output = ()>,
        now: Timestamp,
    ) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let forget = || {
            self.write(|memory| {
                let set = Arc::make_mut(&mut memory.set);
                for key in &keys {
                    set.by_key.remove(key);
                }
            });
        };
        // Deliveries may wait for hours because of the holds, and the store makes them due. No delivery may be put off
        // after that. So the holds are removed from memory first, and then all earlier decisions are written.
        forget();
        written.await;
        outbox.end_holds(&keys, now).await?;
        forget();
        Ok(())
    }

    /// Ends the holds that these integrations' settings led to, in the store and in memory, after a person saved the
    /// settings, changed or not. A destination that others share too stays held; the store knows that.
    ///
    /// # Errors
    /// The store is unavailable. The holds are back when the deliverer reads the store's next.
    pub async fn end_made_under(
        &self,
        outbox: &dyn Outbox,
        integrations: &BTreeSet<IntegrationId>,
        written: impl Future<Output = ()>,
        now: Timestamp,
    ) -> Result<()> {
        self.forget_made_under(integrations);
        written.await;
        let no_settings: Vec<_> = integrations.iter().map(|id| (id.clone(), None)).collect();
        outbox.end_outdated_holds(&no_settings, now).await?;
        self.forget_made_under(integrations);
        Ok(())
    }

    fn forget_made_under(&self, integrations: &BTreeSet<IntegrationId>) {
        self.write(|memory| {
            Arc::make_mut(&mut memory.set).by_key.retain(|key, hold| {
                let is_theirs = hold.made_under.as_ref().is_some_and(|(id, _)| integrations.contains(id));
                let is_their_own = matches!(key, HoldKey::Route { .. } | HoldKey::Address { .. });
                !(is_theirs && is_their_own) || hold.cause.ends_by_time_alone()
            });
        });
    }

    fn read(&self) -> RwLockReadGuard<'_, Memory> {
        self.0.memory.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write<T>(&self, change: impl FnOnce(&mut Memory) -> T) -> T {
        let mut memory = self.0.memory.write().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut memory);
        self.0.any.store(!memory.set.by_key.is_empty(), Ordering::Release);
        changed
    }
}

#[cfg(test)]
mod tests;

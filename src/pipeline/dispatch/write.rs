//! Writes projects, rows and quarantined messages to the store. An item that the store refuses is found by halving the
//! batch, and is set aside.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::plan::Plan;
use super::{Dispatcher, path_of};
use crate::event::Event;
use crate::pipeline::halves;
use crate::pipeline::store_calls::{self, NotWritten};
use crate::store::{Delivery, Dispatched, Lease, NewQuarantined, Origin, StoreError};

/// Whether quarantine has room for a message.
#[derive(Clone, Copy)]
enum Room {
    /// Always, because the sender was told that the message is accepted.
    Always,
    WithinBounds,
}

impl Dispatcher {
    /// Writes the projects of these events to the store. A row names its integration by the project, so a node that
    /// attempts the row has to know the project. An event whose project the store refuses is set aside.
    pub(super) async fn learn(
        &self,
        source: &'static str,
        plans: &mut [Plan],
        now: Timestamp,
        stop: &CancellationToken,
    ) -> Result<(), NotWritten> {
        let (places, events): (Vec<_>, Vec<_>) =
            plans.iter().enumerate().filter_map(|(at, plan)| Some((at, Arc::clone(plan.event()?)))).unzip();
        let learn = |part: Range<usize>| {
            let events = &events[part];
            self.insist(source, stop, || self.catalog.learn(events, now))
        };
        for (part, answer) in halves::write(events.len(), learn).await {
            if let Some(why) = refusal(answer)? {
                let plan = &mut plans[places[part.start]];
                let aside = self.set_aside(source, &events[part.start], plan.received_at(), &why);
                *plan = Plan::Quarantine { item: aside, origin: plan.origin().clone() };
            }
        }
        Ok(())
    }

    /// An event for quarantine, because the store refused a value in it.
    pub(super) fn set_aside(
        &self,
        source: &'static str,
        event: &Event,
        received_at: Timestamp,
        why: &str,
    ) -> NewQuarantined {
        error!(source, event = %event.id, why, "the store does not take this event; it is put aside, and the others go on");
        self.condition.refused();
        let (id, raw) = (Some(event.id.clone()), event.raw.clone());
        NewQuarantined { source, sender: None, id, reason: why.to_owned(), received_at, raw }
    }

    /// See [`store_calls::insist`].
    pub(super) async fn insist<T, F>(
        &self,
        source: &'static str,
        stop: &CancellationToken,
        call: impl FnMut() -> F,
    ) -> Result<T, NotWritten>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let trouble = |why| self.condition.dispatch(source, why);
        store_calls::insist("store a batch of events", stop, trouble, call).await
    }

    /// Puts messages in quarantine. Removes those that came from the inbox, and these numbers, from the inbox. `false`
    /// where it was told to stop.
    pub(super) async fn put_away(
        &self,
        source: &'static str,
        items: Vec<(NewQuarantined, Origin)>,
        discard: &mut Vec<i64>,
        stop: &CancellationToken,
    ) -> bool {
        self.quarantine(items, discard, stop).await
            && (discard.is_empty() || self.insist(source, stop, || self.inbox.discard(discard)).await.is_ok())
    }

    async fn quarantine(
        &self,
        items: Vec<(NewQuarantined, Origin)>,
        discard: &mut Vec<i64>,
        stop: &CancellationToken,
    ) -> bool {
        let (mut accepted, mut others) = (Vec::new(), Vec::new());
        for (item, origin) in items {
            if let Origin::Inbox(number) = origin {
                discard.push(number);
                accepted.push(item);
            } else {
                others.push(item);
            }
        }
        self.put_in_quarantine(&accepted, Room::Always, stop).await
            && self.put_in_quarantine(&others, Room::WithinBounds, stop).await
    }

    async fn put_in_quarantine(
        &self,
        items: &[NewQuarantined],
        room: Room,
        stop: &CancellationToken,
    ) -> bool {
        let now = self.clock.now();
        let put = |part: Range<usize>| {
            let items = &items[part];
            self.insist(items[0].source, stop, move || async move {
                match room {
                    Room::Always => self.quarantine.keep_all(items.to_vec()).await,
                    Room::WithinBounds => self.quarantine.keep(items.to_vec(), now).await.map(drop),
                }
            })
        };
        for (part, answer) in halves::write(items.len(), put).await {
            match answer {
                Ok(()) => {}
                Err(NotWritten::Refused(why)) => {
                    let id = &items[part.start].id;
                    error!(event = ?id, why, "quarantine does not take this event either; it is dropped");
                }
                Err(NotWritten::Stopped | NotWritten::Broken(_)) => return false,
            }
        }
        true
    }

    /// Commits deliveries, then hands the leased ones to the deliverer. Returns the events that the store refused.
    pub(super) async fn enqueue(
        &self,
        source: &'static str,
        mut batch: Vec<Dispatched>,
        received: &[Timestamp],
        stop: &CancellationToken,
    ) -> Result<Vec<(NewQuarantined, Origin)>, NotWritten> {
        // One for each delivery of each event.
        let mut permits = Vec::with_capacity(batch.len());
        for Dispatched { event, deliveries, .. } in &mut batch {
            let of_event = deliveries.iter_mut().map(|delivery| {
                let may_be_handed = !self.deliverer.has_backlog(&delivery.destination);
                let permit = may_be_handed.then(|| self.deliverer.memory_permit(event.raw.len())).flatten();
                delivery.lease = permit.as_ref().map(|_| self.deliverer.lease(self.clock.now()));
                permit
            });
            permits.push(of_event.collect::<Vec<_>>());
        }
        let write = |part: Range<usize>| {
            let part = Cow::Borrowed(&batch[part]);
            async move {
                let event = part[0].event.id.clone();
                let write = |part| self.write_part(source, part, stop);
                store_calls::write_deliveries_at_least(part, &event, |part| alone(part), write).await
            }
        };
        let parts = halves::write(batch.len(), write).await;
        let mut entries = batch.into_iter().zip(permits).zip(received);
        let mut refused = Vec::new();
        for (part, answer) in parts {
            let part = entries.by_ref().take(part.len());
            match answer {
                Ok(rows) => {
                    for (((dispatched, permits), received_at), rows) in part.zip(rows) {
                        log_written(source, &dispatched.event, &rows);
                        self.hand_over(&dispatched.event, rows, permits, *received_at);
                    }
                }
                Err(NotWritten::Refused(why)) => {
                    refused.extend(part.map(|((dispatched, _), received_at)| {
                        (self.set_aside(source, &dispatched.event, *received_at, &why), dispatched.origin)
                    }));
                }
                Err(stopped) => return Err(stopped),
            }
        }
        Ok(refused)
    }

    async fn write_part(
        &self,
        source: &'static str,
        part: Cow<'_, [Dispatched]>,
        stop: &CancellationToken,
    ) -> Result<Vec<Vec<Option<Delivery>>>, NotWritten> {
        self.insist(source, stop, || {
            // The lease begins at each call: while the store was unavailable, an earlier one may have lapsed.
            let now = self.clock.now();
            self.outbox.enqueue(leased_from(&part, &self.deliverer.lease(now)), now)
        })
        .await
    }

    /// Hands the rows of one event to the deliverer.
    fn hand_over(
        &self,
        event: &Arc<Event>,
        rows: Vec<Option<Delivery>>,
        permits: Vec<Option<OwnedSemaphorePermit>>,
        received_at: Timestamp,
    ) {
        for (row, permit) in rows.into_iter().zip(permits) {
            match row {
                // The row existed before, and is delivered already.
                None => {}
                Some(delivery) if delivery.leased => {
                    self.deliverer.enqueue(delivery, Arc::clone(event), permit, received_at);
                }
                Some(delivery) => self.deliverer.note_written(delivery),
            }
        }
    }
}

/// The deliveries of an event that is alone in a part.
fn alone<'a>(part: &[Dispatched]) -> Option<Cow<'a, [Dispatched]>> {
    match part {
        [dispatched] => dispatched.deliveries_alone().map(|alone| Cow::Owned(vec![alone])),
        _ => None,
    }
}

/// Logs each event that integrations want, with the number of deliveries that were written.
fn log_written(source: &'static str, event: &Event, rows: &[Option<Delivery>]) {
    let (id, kind, subject, project) = (&event.id, event.kind(), &event.subject, path_of(event));
    match rows.iter().flatten().count() {
        // Nothing was to be written: see `log_dropped`.
        0 if rows.is_empty() => {}
        0 => info!(source, event = %id, kind, project, subject, "came again; dispatched once already"),
        deliveries => info!(source, event = %id, kind, project, subject, deliveries, "dispatched"),
    }
}

/// Why the store refused an item.
///
/// # Errors
/// Told to stop.
fn refusal<T>(answer: Result<T, NotWritten>) -> Result<Option<String>, NotWritten> {
    match answer {
        Ok(_) => Ok(None),
        Err(NotWritten::Refused(why)) => Ok(Some(why)),
        Err(stopped) => Err(stopped),
    }
}

/// The batch, with this lease for each delivery that asks for one.
fn leased_from(batch: &[Dispatched], lease: &Lease) -> Vec<Dispatched> {
    let mut batch = batch.to_vec();
    for asked in batch.iter_mut().flat_map(|dispatched| &mut dispatched.deliveries) {
        asked.lease = asked.lease.take().map(|_| lease.clone());
    }
    batch
}

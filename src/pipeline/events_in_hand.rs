//! The ids of the events in hand: those that were taken from a source and whose outcome is not on disk yet.
//!
//! All sources share one registry, so that a repeat is recognised from any source. The repeat keeps its own receipt,
//! and is acknowledged when the first copy is finished.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::source::Receipt;
use crate::event::{Event, EventId};
use crate::store::Origin;

/// A message, and the channel that tells its source when the message is finished.
#[derive(Clone, Debug)]
pub struct Ticket {
    pub receipt: Receipt,
    pub finished: mpsc::UnboundedSender<Finished>,
}

/// A message that is finished.
#[derive(Clone, Debug)]
pub struct Finished {
    pub receipt: Receipt,
    /// Set where the store refused the event's outcome.
    pub refused: Option<RefusedEvent>,
}

/// An event with a value that the store refuses.
#[derive(Clone, Debug)]
pub struct RefusedEvent {
    pub event: Arc<Event>,
    pub origin: Origin,
    pub received_at: Timestamp,
    pub why: String,
}

/// The events in hand, each with the messages that brought it.
#[derive(Clone, Debug, Default)]
pub struct EventsInHand(Arc<Mutex<HashMap<EventId, Tickets>>>);

/// The messages that brought an event.
#[derive(Debug, Default)]
struct Tickets {
    tickets: Vec<Ticket>,
    /// Whether a dispatcher or the deliverer has the event and writes its outcome.
    is_worked: bool,
}

impl EventsInHand {
    /// Takes an event in hand. `false` where the event is in hand already: then the message is finished together with
    /// the event.
    pub(super) fn enter(&self, id: &EventId, ticket: Ticket) -> bool {
        let mut events = self.lock();
        let event = events.entry(id.clone()).or_default();
        event.tickets.push(ticket);
        !std::mem::replace(&mut event.is_worked, true)
    }

    /// The event that this message of this source brought.
    pub(super) fn brought_by(
        &self,
        receipt: Receipt,
        source: &mpsc::UnboundedSender<Finished>,
    ) -> Option<EventId> {
        let is_it = |ticket: &Ticket| ticket.receipt == receipt && ticket.finished.same_channel(source);
        let events = self.lock();
        events.iter().find(|(_, event)| event.tickets.iter().any(is_it)).map(|(id, _)| id.clone())
    }

    /// Notes that nothing works on the event any more although it is not on disk: its source was told to stop, and
    /// brings the event again over the next connection. Copies from other sources are finished with the next copy from
    /// any source.
    pub(super) fn give_up(&self, id: &EventId, source: &mpsc::UnboundedSender<Finished>) {
        let mut events = self.lock();
        let Some(event) = events.get_mut(id) else { return };
        event.is_worked = false;
        event.tickets.retain(|ticket| !ticket.finished.same_channel(source));
        if event.tickets.is_empty() {
            events.remove(id);
        }
    }

    /// Finishes the messages of an event that is on disk or that the store refused.
    pub(super) fn leave(&self, id: &EventId, refused: Option<&RefusedEvent>) {
        let Tickets { tickets, .. } = self.lock().remove(id).unwrap_or_default();
        for Ticket { receipt, finished } in tickets {
            // An error is ignored: a stopped source does not acknowledge any more.
            let _ = finished.send(Finished { receipt, refused: refused.cloned() });
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<EventId, Tickets>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_of_an_event_in_hand_is_finished_with_it() {
        let events = EventsInHand::default();
        let (finished, mut heard) = mpsc::unbounded_channel();
        let ticket =
            |number| Ticket { receipt: Receipt { generation: 1, number }, finished: finished.clone() };
        let id = EventId::new("e1").unwrap();
        assert!(events.enter(&id, ticket(1)));
        assert!(!events.enter(&id, ticket(2)), "it is in hand already");
        assert!(heard.try_recv().is_err());
        events.leave(&id, None);
        let numbers: Vec<_> =
            std::iter::from_fn(|| heard.try_recv().ok()).map(|it| it.receipt.number).collect();
        assert_eq!(numbers, [1, 2]);
        assert!(events.enter(&id, ticket(3)), "afterwards the store knows it");
    }

    #[test]
    fn an_event_that_is_given_up_is_worked_when_it_comes_again_and_finishes_what_waited_for_it() {
        let events = EventsInHand::default();
        let (former, mut heard_of_former) = mpsc::unbounded_channel();
        let (other, mut heard) = mpsc::unbounded_channel();
        let ticket = |number, finished: &mpsc::UnboundedSender<_>| Ticket {
            receipt: Receipt { generation: 1, number },
            finished: finished.clone(),
        };
        let id = EventId::new("e1").unwrap();
        assert!(events.enter(&id, ticket(1, &former)));
        assert!(!events.enter(&id, ticket(2, &other)), "another source brings it too");
        events.give_up(&id, &former);
        assert!(heard_of_former.try_recv().is_err(), "it is not on disk, so it must not be acknowledged");
        assert!(events.enter(&id, ticket(3, &other)), "it comes again, and no dispatcher works it");
        events.leave(&id, None);
        let numbers: Vec<_> =
            std::iter::from_fn(|| heard.try_recv().ok()).map(|it| it.receipt.number).collect();
        assert_eq!(numbers, [2, 3]);
        assert!(heard_of_former.try_recv().is_err(), "its connection is closed");
    }

    #[test]
    fn an_event_that_is_given_up_and_that_no_other_source_brought_is_forgotten() {
        let events = EventsInHand::default();
        let (finished, _heard) = mpsc::unbounded_channel();
        let id = EventId::new("e1").unwrap();
        let receipt = Receipt { generation: 1, number: 1 };
        events.enter(&id, Ticket { receipt, finished: finished.clone() });
        events.give_up(&id, &finished);
        assert!(events.lock().is_empty());
    }
}

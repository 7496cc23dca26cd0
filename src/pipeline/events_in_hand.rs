//! The ids of the events that are in hand: taken from a source, and not yet on disk with what became of them.
//!
//! All sources share one registry, so that a repeat is known by whichever way it comes. The repeat keeps its own receipt, and is
//! acknowledged when the first one is finished.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::source::Receipt;
use crate::event::{Event, EventId};
use crate::store::Origin;

/// A message, and the source that is told when it is finished.
#[derive(Clone, Debug)]
pub struct Ticket {
    pub receipt: Receipt,
    pub finished: mpsc::UnboundedSender<Finished>,
}

/// What became of a message.
#[derive(Clone, Debug)]
pub struct Finished {
    pub receipt: Receipt,
    /// Where the store does not take what became of the event.
    pub refused: Option<RefusedEvent>,
}

/// An event of which the store does not take a value.
#[derive(Clone, Debug)]
pub struct RefusedEvent {
    pub event: Arc<Event>,
    pub origin: Origin,
    pub received_at: Timestamp,
    pub why: String,
}

/// The events in hand, each with the messages that brought it.
#[derive(Clone, Debug, Default)]
pub struct EventsInHand(Arc<Mutex<HashMap<EventId, Vec<Ticket>>>>);

impl EventsInHand {
    /// Takes an event in hand. `false` where it is in hand already: then the message is finished together with it.
    pub(super) fn enter(&self, id: &EventId, ticket: Ticket) -> bool {
        let mut events = self.lock();
        let tickets = events.entry(id.clone()).or_default();
        tickets.push(ticket);
        tickets.len() == 1
    }

    /// The event is on disk, or the store does not take it. Its messages are finished.
    pub(super) fn leave(&self, id: &EventId, refused: Option<&RefusedEvent>) {
        let tickets = self.lock().remove(id).unwrap_or_default();
        for Ticket { receipt, finished } in tickets {
            // A source that has stopped does not acknowledge any more.
            let _ = finished.send(Finished { receipt, refused: refused.cloned() });
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<EventId, Vec<Ticket>>> {
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
}

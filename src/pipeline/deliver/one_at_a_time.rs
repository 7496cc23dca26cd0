//! Requests to the store of which one of a kind is under way at a time: renewals of leases and polls. While the store
//! is away, no others pile up.

use super::Deliverer;
use crate::pipeline::outbox_writer::Command;

/// Whether a request is under way, and whether it is to be made once more.
#[derive(Debug, Default)]
pub(super) struct OneAtATime {
    under_way: bool,
    again: bool,
}

impl OneAtATime {
    /// Whether the request is to be made now: none is under way.
    pub(super) fn ask(&mut self) -> bool {
        !std::mem::replace(&mut self.under_way, true)
    }

    /// The same, where something happened that the answer under way may not know: then the request is made again after
    /// it.
    pub(super) fn ask_anew(&mut self) -> bool {
        let now = self.ask();
        self.again |= !now;
        now
    }

    /// The answer came. Whether the request is to be made again, which counts as under way then.
    pub(super) fn answered(&mut self) -> bool {
        self.under_way = std::mem::take(&mut self.again);
        self.under_way
    }
}

impl Deliverer {
    pub(super) fn send_renewal(&mut self) {
        let rows = self.scheduler.rows().into_iter().filter(|row| !self.in_hand.contains(*row)).collect();
        self.send(Command::Renew(rows));
    }

    pub(super) fn on_renewal_answered(&mut self) {
        if self.renewal.answered() {
            self.send_renewal();
        }
    }

    pub(super) fn poll_anew(&mut self) {
        if self.poll.ask_anew() {
            self.send(Command::PollDue);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_request_is_made_before_the_one_under_way_is_answered() {
        let mut requests = OneAtATime::default();
        assert!(requests.ask());
        assert!(!requests.ask());
        assert!(!requests.answered());
        assert!(requests.ask());
    }

    #[test]
    fn what_happens_while_one_is_under_way_leads_to_one_more() {
        let mut requests = OneAtATime::default();
        assert!(requests.ask_anew());
        assert!(!requests.ask_anew());
        assert!(!requests.ask_anew());
        assert!(requests.answered(), "the answer may not know what happened");
        assert!(!requests.ask(), "it is under way");
        assert!(!requests.answered());
    }
}

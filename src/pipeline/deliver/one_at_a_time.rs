//! Requests to the store of which at most one is under way at a time: renewals of leases, and polls. So no requests
//! pile up while the store is unavailable.

use super::Deliverer;
use crate::pipeline::outbox_writer::Command;

/// Whether a request is under way, and whether another must follow.
#[derive(Debug, Default)]
pub(super) struct OneAtATime {
    under_way: bool,
    again: bool,
}

impl OneAtATime {
    /// Whether to make the request now. `false` while one is under way.
    pub(super) fn ask(&mut self) -> bool {
        !std::mem::replace(&mut self.under_way, true)
    }

    /// As [`Self::ask`], after a change that a request under way may have missed: then the request is made again when
    /// the answer comes.
    pub(super) fn ask_anew(&mut self) -> bool {
        let now = self.ask();
        self.again |= !now;
        now
    }

    /// Notes the answer. Returns whether to make the request again; it then counts as under way.
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

//! Handles a step of the wall clock: moments in memory that were computed before may be far in the future.

use std::sync::Arc;

use jiff::Timestamp;

use super::Scheduler;

impl Scheduler {
    /// Forgets until when destinations wait, and considers each destination now. Holds and the pace then set new
    /// moments.
    pub(in crate::pipeline) fn clock_stepped(&mut self, now: Timestamp) {
        self.timers.clear();
        let keys: Vec<_> = self.destinations.keys().map(Arc::clone).collect();
        for key in keys {
            if let Some(destination) = self.destinations.get_mut(&key) {
                (destination.timer, destination.paced_until) = (None, None);
                destination.wants_claim |= destination.more_in_store;
            }
            self.reschedule(&key, now);
        }
    }
}

//! Integrations that rows are of and that this node does not know, though it looked: nodes that share a store each have
//! files of their own, and while these are changed on one after the other, one node writes rows of what another is still
//! to hear of. So what is not here is not gone yet. For a while such rows wait; only then it counts as removed.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::integration::IntegrationId;
use crate::pipeline::after;

/// How long it is remembered that an integration is not known here. After that its next row waits once more.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// The integrations that this node was asked for and does not know.
#[derive(Debug)]
pub(super) struct Strangers {
    /// Zero where there are no other nodes.
    patience: Duration,
    /// Since when each is missed.
    since: HashMap<IntegrationId, Timestamp>,
}

impl Strangers {
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, since: HashMap::new() }
    }

    /// Until when rows of this one wait for somebody who knows it; `None` where they have waited long enough.
    pub(super) fn wait(&mut self, integration: &IntegrationId, now: Timestamp) -> Option<Timestamp> {
        if self.patience.is_zero() {
            return None;
        }
        let since = self.since.get(integration).copied().filter(|since| now < after(*since, REMEMBERED));
        let since = since.unwrap_or_else(|| {
            self.since.retain(|_, since| now < after(*since, REMEMBERED));
            self.since.insert(integration.clone(), now);
            now
        });
        Some(after(since, self.patience)).filter(|until| now < *until)
    }

    /// It is known now: should it be missed again, that is another time.
    pub(super) fn met(&mut self, integration: &IntegrationId) {
        if !self.since.is_empty() {
            self.since.remove(integration);
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan as _;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(600);

    fn slack() -> IntegrationId {
        IntegrationId::new("42:slack".to_owned())
    }

    #[test]
    fn the_first_row_of_a_stranger_sets_the_clock_for_all() {
        let mut strangers = Strangers::new(PATIENCE);
        let start = Timestamp::UNIX_EPOCH;
        let end = start + 10.minutes();
        assert_eq!(strangers.wait(&slack(), start), Some(end));
        assert_eq!(strangers.wait(&slack(), start + 9.minutes()), Some(end));
        assert_eq!(strangers.wait(&slack(), end), None);
        assert_eq!(
            strangers.wait(&slack(), end + 5.hours()),
            None,
            "whoever comes later need not wait again"
        );
        let other = IntegrationId::new("43:slack".to_owned());
        assert_eq!(strangers.wait(&other, end), Some(end + 10.minutes()));
    }

    #[test]
    fn one_that_was_met_is_missed_anew() {
        let mut strangers = Strangers::new(PATIENCE);
        let start = Timestamp::UNIX_EPOCH;
        strangers.wait(&slack(), start);
        strangers.met(&slack());
        let later = start + 1.hour();
        assert_eq!(strangers.wait(&slack(), later), Some(later + 10.minutes()));
    }

    #[test]
    fn what_was_missed_yesterday_is_missed_anew_and_takes_no_memory() {
        let mut strangers = Strangers::new(PATIENCE);
        let start = Timestamp::UNIX_EPOCH;
        for project in 0..100 {
            strangers.wait(&IntegrationId::new(format!("{project}:slack")), start);
        }
        let later = start + 24.hours();
        assert_eq!(strangers.wait(&slack(), later), Some(later + 10.minutes()));
        assert_eq!(strangers.since.len(), 1);
    }

    #[test]
    fn a_node_by_itself_waits_for_nobody() {
        assert_eq!(Strangers::new(Duration::ZERO).wait(&slack(), Timestamp::UNIX_EPOCH), None);
    }
}

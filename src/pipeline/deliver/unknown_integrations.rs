//! Integrations of rows that this node does not know although it read its catalogue again. Nodes that share a store
//! each have their own files. While an operator changes the files of one node after the other, one node writes rows for
//! integrations that another node does not know yet. So such rows wait for a while before the integration counts as
//! removed.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::integration::IntegrationId;
use crate::pipeline::after;

/// How long an unknown integration is remembered. After this time, its next row waits again.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// The integrations of rows that this node does not know.
#[derive(Debug)]
pub(super) struct UnknownIntegrations {
    /// How long rows wait. Zero where there are no other nodes.
    patience: Duration,
    /// When each integration was first missed.
    since: HashMap<IntegrationId, Timestamp>,
}

impl UnknownIntegrations {
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, since: HashMap::new() }
    }

    /// Until when rows of this integration wait for a node that knows it; `None` where they have waited long enough.
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

    /// Forgets an integration that is known now. If it is missed again later, its rows wait for the whole time again.
    pub(super) fn seen(&mut self, integration: &IntegrationId) {
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
        let mut unknown_integrations = UnknownIntegrations::new(PATIENCE);
        let start = Timestamp::UNIX_EPOCH;
        let end = start + 10.minutes();
        assert_eq!(unknown_integrations.wait(&slack(), start), Some(end));
        assert_eq!(unknown_integrations.wait(&slack(), start + 9.minutes()), Some(end));
        assert_eq!(unknown_integrations.wait(&slack(), end), None);
        assert_eq!(
            unknown_integrations.wait(&slack(), end + 5.hours()),
            None,
            "a later row need not wait again"
        );
        let other = IntegrationId::new("43:slack".to_owned());
        assert_eq!(unknown_integrations.wait(&other, end), Some(end + 10.minutes()));
    }

    #[test]
    fn one_that_was_met_is_missed_anew() {
        let mut unknown_integrations = UnknownIntegrations::new(PATIENCE);
        let start = Timestamp::UNIX_EPOCH;
        unknown_integrations.wait(&slack(), start);
        unknown_integrations.seen(&slack());
        let later = start + 1.hour();
        assert_eq!(unknown_integrations.wait(&slack(), later), Some(later + 10.minutes()));
    }

    #[test]
    fn what_was_missed_yesterday_is_missed_anew_and_takes_no_memory() {
        let mut unknown_integrations = UnknownIntegrations::new(PATIENCE);
        let start = Timestamp::UNIX_EPOCH;
        for project in 0..100 {
            unknown_integrations.wait(&IntegrationId::new(format!("{project}:slack")), start);
        }
        let later = start + 24.hours();
        assert_eq!(unknown_integrations.wait(&slack(), later), Some(later + 10.minutes()));
        assert_eq!(unknown_integrations.since.len(), 1);
    }

    #[test]
    fn a_node_by_itself_waits_for_nobody() {
        assert_eq!(UnknownIntegrations::new(Duration::ZERO).wait(&slack(), Timestamp::UNIX_EPOCH), None);
    }
}

//! Asks services whether they can be reached, and notes the answers as the health of their integrations.
//!
//! Any answer of a service means that it was reached. An unreachable service is asked again after growing pauses, so
//! that its recovery is noticed without another push.

use jiff::Timestamp;
use tracing::{debug, info, warn};

use super::{Answered, Config, StatusPoller, after, failed, store_calls};
use crate::adapters;
use crate::call::Health;
use crate::integration::{Integration, IntegrationId};
use crate::metrics;
use crate::pipeline::attempt::{End, run};
use crate::store::{NewHealth, SettledWatch, Watch};

impl StatusPoller {
    pub(super) async fn follow_probe(&self, watch: Watch, integration: Option<&Integration>) {
        let answered = self.probe(&watch.integration, integration).await;
        let now = self.clock.now();
        let settled = settle(&watch, &answered, &self.probes, now);
        if let Some(health) = health(&watch.integration, &answered, now) {
            log(&health, &settled);
            // The watch is due again when its claim ends.
            if let Err(error) = self.watches.note_health(health).await {
                return store_calls::log(&error, "write whether a service was reached");
            }
        }
        if let Err(error) = self.watches.settle_watch(settled).await {
            store_calls::log(&error, "write whether a service was reached");
        }
    }

    async fn probe(&self, id: &IntegrationId, integration: Option<&Integration>) -> Answered<Health> {
        let integration = match self.current(id, integration) {
            Ok(integration) => integration,
            Err(answered) => return answered,
        };
        let Some(probe) = adapters::find(integration.slug).and_then(|entry| entry.probe.as_ref()) else {
            return Answered::Over(format!("{} can't be asked whether it is reached", integration.slug));
        };
        if let Some(until) = self.must_wait(&probe.pace(&integration.settings)) {
            return Answered::Early(until);
        }
        let end = match probe.probe(&integration.settings, self.clock.now(), &self.operator.get()) {
            Ok(call) => run(&*self.transport, call, probe.calls).await.end,
            Err(failure) => End::Failed(failure),
        };
        let answered = match end {
            End::Done(health) => Answered::Said(health),
            End::Skipped(why) | End::NotNeeded(why) => Answered::Failed { why, wait: None },
            End::Failed(failure) => failed(&failure),
        };
        let reached = matches!(answered, Answered::Said(_));
        metrics::probe(integration.slug, if reached { "reached" } else { "not_reached" });
        answered
    }
}

/// The health of the service according to an answer; `None` where the service was not asked.
fn health(integration: &IntegrationId, answered: &Answered<Health>, at: Timestamp) -> Option<NewHealth> {
    let (reached, note) = match answered {
        Answered::Said(health) => (true, &health.answer),
        Answered::Failed { why, .. } => (false, why),
        Answered::Early(_) | Answered::Over(_) => return None,
    };
    Some(NewHealth { integration: integration.clone(), reached, note: note.clone(), at })
}

/// The next state of a watch after an answer. Pure.
pub(super) fn settle(
    watch: &Watch,
    answered: &Answered<Health>,
    config: &Config,
    now: Timestamp,
) -> SettledWatch {
    let asked = SettledWatch {
        number: watch.number,
        polls: watch.polls + 1,
        seen: None,
        note: String::new(),
        at: now,
        again: None,
        announce: None,
        begin: Vec::new(),
    };
    match answered {
        Answered::Said(health) => SettledWatch { note: health.answer.clone(), ..asked },
        Answered::Failed { why, wait } => {
            let next = config.next(asked.polls, watch.since, now);
            let again = next.map(|next| wait.map_or(next, |wait| next.max(after(now, wait))));
            SettledWatch { note: why.clone(), again, ..asked }
        }
        Answered::Early(until) => {
            let again = (!config.is_too_old(watch.since, now)).then_some(*until);
            SettledWatch { polls: watch.polls, note: watch.note.clone(), again, ..asked }
        }
        Answered::Over(why) => SettledWatch { polls: watch.polls, note: why.clone(), ..asked },
    }
}

fn log(health: &NewHealth, settled: &SettledWatch) {
    let NewHealth { integration, reached, note, .. } = health;
    match (reached, &settled.again) {
        (true, _) => debug!(%integration, answer = note, "the service was reached"),
        (false, Some(again)) if settled.polls == 1 => {
            warn!(%integration, why = note, %again, "the service was not reached; it is asked again");
        }
        (false, Some(again)) => debug!(%integration, why = note, %again, "the service was not reached"),
        (false, None) => {
            info!(%integration, why = note, "the service was not reached; the next push asks again");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::pipeline::status_poller::tests::{self, at};
    use crate::store::WatchKind;

    fn config() -> Config {
        let seconds = Duration::from_secs;
        Config {
            first_pause: seconds(10),
            second_pause: seconds(60),
            longest_pause: seconds(600),
            give_up_after: seconds(24 * 3600),
        }
    }

    fn watch(polls: u32) -> Watch {
        Watch {
            kind: WatchKind::Probe,
            integration: IntegrationId::new("acme/web:redmine"),
            sha: String::new(),
            ref_name: String::new(),
            project_json: bytes::Bytes::new(),
            polls,
            ..tests::watch()
        }
    }

    fn refused() -> Answered<Health> {
        Answered::Failed { why: "connection refused".to_owned(), wait: None }
    }

    #[test]
    fn a_service_that_answered_is_asked_again_after_the_next_push_only() {
        let reached = Answered::Said(Health { answer: "answered 500".to_owned() });
        let settled = settle(&watch(0), &reached, &config(), at(10));
        assert_eq!((settled.again, settled.polls, settled.note.as_str()), (None, 1, "answered 500"));
        let health = health(&watch(0).integration, &reached, at(10)).unwrap();
        assert_eq!((health.reached, health.note.as_str(), health.at), (true, "answered 500", at(10)));
    }

    #[test]
    fn a_service_that_was_not_reached_is_asked_again_for_a_day() {
        let mut asked = vec![10];
        for polls in 0..6 {
            let now = at(*asked.last().unwrap());
            asked.push(settle(&watch(polls), &refused(), &config(), now).again.unwrap().as_second());
        }
        assert_eq!(asked, [10, 60, 160, 360, 760, 1360, 1960]);
        let last = settle(&watch(99), &refused(), &config(), at(24 * 3600));
        assert_eq!((last.again, last.note.as_str()), (None, "connection refused"));
        assert!(!health(&watch(99).integration, &refused(), at(9)).unwrap().reached);
    }

    #[test]
    fn what_was_not_asked_says_nothing_of_the_service() {
        let early = Answered::Early(at(40));
        let settled = settle(&watch(2), &early, &config(), at(10));
        assert_eq!((settled.again, settled.polls), (Some(at(40)), 2));
        assert_eq!(settle(&watch(2), &early, &config(), at(24 * 3600)).again, None);
        let over = Answered::Over("the integration was removed".to_owned());
        assert_eq!(settle(&watch(0), &over, &config(), at(10)).again, None);
        for answered in [early, over] {
            assert_eq!(health(&watch(0).integration, &answered, at(10)), None);
        }
    }
}

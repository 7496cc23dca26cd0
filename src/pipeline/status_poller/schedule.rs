//! When to ask a build service.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use crate::pipeline::{after, signed};

/// `[builds]`: how often build services are asked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The pause between the trigger and the first question.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub first_pause: Duration,
    /// The pause between the trigger and the second question. From there on, each pause is twice as long as the one before.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub second_pause: Duration,
    /// The longest pause.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub longest_pause: Duration,
    /// A build without a final state is no longer asked for after this time.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub give_up_after: Duration,
}

impl Config {
    /// When to ask for the first time.
    pub fn first(&self, triggered: Timestamp) -> Timestamp {
        after(triggered, self.first_pause)
    }

    /// When to ask again, after this number of questions; `None` where it is time to give up.
    pub fn next(&self, polls: u32, triggered: Timestamp, now: Timestamp) -> Option<Timestamp> {
        if self.is_too_old(triggered, now) {
            return None;
        }
        let first_gap = self.second_pause.saturating_sub(self.first_pause).max(self.first_pause);
        let doubled =
            first_gap.saturating_mul(1_u32.checked_shl(polls.saturating_sub(1).min(30)).unwrap_or(u32::MAX));
        // The last question is asked at the moment of giving up.
        let last = after(triggered, self.give_up_after);
        Some(after(now, doubled.min(self.longest_pause)).min(last))
    }

    /// The longest pause before a question.
    pub fn longest(&self) -> Duration {
        self.first_pause.max(self.longest_pause)
    }

    pub(super) fn is_too_old(&self, triggered: Timestamp, now: Timestamp) -> bool {
        now.duration_since(triggered) >= signed(self.give_up_after)
    }

    /// Why a watch ended without a final state.
    pub(super) fn given_up(&self) -> String {
        format!("no final state within {:#}", signed(self.give_up_after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let seconds = Duration::from_secs;
        Config {
            first_pause: seconds(5),
            second_pause: seconds(30),
            longest_pause: seconds(300),
            give_up_after: seconds(24 * 3600),
        }
    }

    #[test]
    fn questions_come_at_5_and_30_seconds_and_then_in_growing_pauses_to_five_minutes() {
        let (config, triggered) = (config(), Timestamp::UNIX_EPOCH);
        let mut asked = vec![config.first(triggered).as_second()];
        for polls in 1..8 {
            let now = Timestamp::from_second(*asked.last().unwrap()).unwrap();
            asked.push(config.next(polls, triggered, now).unwrap().as_second());
        }
        assert_eq!(asked, [5, 30, 80, 180, 380, 680, 980, 1280]);
    }

    #[test]
    fn after_a_day_there_is_a_last_question_and_no_other() {
        let (config, triggered) = (config(), Timestamp::UNIX_EPOCH);
        let day = Timestamp::from_second(24 * 3600).unwrap();
        let just_before = Timestamp::from_second(24 * 3600 - 10).unwrap();
        assert_eq!(config.next(300, triggered, just_before), Some(day));
        assert_eq!(config.next(301, triggered, day), None);
        assert_eq!(config.given_up(), "no final state within 24h");
    }

    #[test]
    fn equal_pauses_are_no_busy_loop() {
        let config = Config { second_pause: Duration::from_secs(5), ..config() };
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(config.next(1, now, now).unwrap().as_second(), 5);
    }
}

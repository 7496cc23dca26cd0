//! Limits how often rows are counted. A count reads an index of all waiting rows, so its time grows with their number.

use std::sync::{Mutex, PoisonError};

use super::Depth;

/// A count is reused for one more call for each this many rows.
const ROWS_A_CALL: u64 = 25_000;
/// The most further calls that a count answers. Gauges ask every 5 s, so a count is at most a minute old.
const CALLS_MAX: u64 = 11;

/// The last count of waiting rows. While there are many, a count answers several calls, so that counting takes a small
/// part of the store's time.
#[derive(Debug, Default)]
pub(super) struct LastDepth(Mutex<Last>);

#[derive(Debug, Default)]
struct Last {
    depth: Depth,
    /// The number of calls that this count still answers.
    answers: u64,
}

impl LastDepth {
    /// The last count, if it answers another call.
    pub(super) fn again(&self) -> Option<Depth> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.answers = last.answers.checked_sub(1)?;
        Some(last.depth.clone())
    }

    /// Keeps a new count.
    pub(super) fn keep(&self, depth: Depth) -> Depth {
        let Depth { inbox, waiting, dead_letters, quarantined, held, oldest_waiting: _ } = depth;
        let rows = inbox + waiting + dead_letters + quarantined + held;
        let answers = (rows / ROWS_A_CALL).min(CALLS_MAX);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Last { depth: depth.clone(), answers };
        depth
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many calls one count of so many rows answers, including the call that counted.
    fn calls(waiting: u64) -> usize {
        let last = LastDepth::default();
        assert_eq!(last.again(), None, "nothing was counted yet");
        let depth = last.keep(Depth { waiting, ..Depth::default() });
        1 + std::iter::from_fn(|| last.again()).inspect(|again| assert_eq!(*again, depth)).count()
    }

    #[test]
    fn few_rows_are_counted_each_time_and_many_at_least_once_a_minute() {
        assert_eq!([0, 24_999, 25_000, 200_000, 1_000_000, u64::MAX / 2].map(calls), [1, 1, 2, 9, 12, 12]);
    }
}

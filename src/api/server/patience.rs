//! How long the server waits for a client: the fewer places are free, the shorter.
//!
//! [`Patience`] is the decision, a function of the number of places in use. [`Deadline`] enforces it, and checks the
//! decision again every second, so that it applies to open connections too.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// How long a client may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Patience {
    /// To send the head of a request, and to be idle between two requests.
    pub(super) head: Duration,
    /// To read an answer.
    pub(super) answer: Duration,
}

impl Patience {
    /// While half of the places are free. An answer may take a minute: enough for the largest one over a slow line.
    pub(super) const CALM: Self = Self { head: Duration::from_secs(10), answer: Duration::from_secs(60) };
    /// While no place is free. It is enough for a client that is active.
    pub(super) const SHORT: Self = Self { head: Duration::from_secs(1), answer: Duration::from_secs(10) };

    /// [`Patience::CALM`] while half of the places are free. Below that, it falls linearly to [`Patience::SHORT`].
    pub(super) fn at(in_use: usize, limit: usize) -> Self {
        let half = u32::try_from(limit / 2).unwrap_or(u32::MAX).max(1);
        let free = u32::try_from(limit.saturating_sub(in_use)).unwrap_or(u32::MAX).min(half);
        let between = |calm: Duration, short: Duration| short + calm.saturating_sub(short) * free / half;
        Self {
            head: between(Self::CALM.head, Self::SHORT.head),
            answer: between(Self::CALM.answer, Self::SHORT.answer),
        }
    }

    /// The shorter time of each.
    pub(super) fn min(self, other: Self) -> Self {
        Self { head: self.head.min(other.head), answer: self.answer.min(other.answer) }
    }
}

/// How often the time is compared with the current limit.
const STEP: Duration = Duration::from_secs(1);

/// The time that has passed since something began, against a limit that may change meanwhile.
pub(super) struct Deadline {
    since: Instant,
    next: Pin<Box<Sleep>>,
}

impl Deadline {
    pub(super) fn start(allowed: Duration) -> Self {
        Self { since: Instant::now(), next: Box::pin(sleep(allowed.min(STEP))) }
    }

    /// Ready when more time has passed than is allowed.
    pub(super) fn poll(&mut self, context: &mut Context<'_>, allowed: impl Fn() -> Duration) -> Poll<()> {
        loop {
            ready!(self.next.as_mut().poll(context));
            let (now, end) = (Instant::now(), self.since + allowed());
            if now >= end {
                return Poll::Ready(());
            }
            self.next.as_mut().reset(end.min(now + STEP));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;

    use super::*;

    #[test]
    fn the_time_is_full_while_half_of_the_places_are_free_and_falls_to_a_second() {
        let head = |in_use| Patience::at(in_use, 512).head;
        assert_eq!((head(0), head(256)), (Duration::from_secs(10), Duration::from_secs(10)));
        assert_eq!(head(384), Duration::from_millis(5500), "half of the way");
        assert_eq!((head(512), head(513)), (Duration::from_secs(1), Duration::from_secs(1)));
        assert_eq!(Patience::at(512, 512).answer, Duration::from_secs(10));
    }

    #[test]
    fn it_never_grows_with_the_number_of_places_in_use_whatever_the_limit() {
        for limit in 1..70 {
            let times: Vec<_> = (0..limit + 2).map(|in_use| Patience::at(in_use, limit).head).collect();
            assert!(times.is_sorted_by(|a, b| a >= b), "{limit}: {times:?}");
            assert_eq!(times[0], Patience::CALM.head, "{limit}");
            assert_eq!(times[limit], Patience::SHORT.head, "{limit}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_that_becomes_shorter_meanwhile_ends_within_a_second() {
        let allowed = Cell::new(Duration::from_secs(10));
        let began = Instant::now();
        let mut deadline = Deadline::start(allowed.get());
        let mut over = poll_fn(|context| deadline.poll(context, || allowed.get()));
        let early = tokio::time::timeout(Duration::from_millis(4500), &mut over).await;
        assert!(early.is_err());
        allowed.set(Duration::from_secs(1));
        over.await;
        assert!(began.elapsed() <= Duration::from_millis(5100), "{:?}", began.elapsed());
    }
}

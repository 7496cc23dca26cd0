//! How many messages the broker may send ahead, so that they fit into a budget of bytes. Pure.
//!
//! AMQP limits the unacknowledged messages of a consumer by their number (`basic.qos`); `RabbitMQ` has no limit in bytes, and
//! none for a channel where the queue is a quorum queue (<https://www.rabbitmq.com/docs/quorum-queues#global-qos>). The
//! limit of a running consumer can't be changed. Each change takes a new connection, and then another node may become
//! the active consumer. So the number changes seldom: it starts with the configured number, shrinks when the budget is
//! exceeded, and grows again when many messages in a row were small.
//!
//! The number does not start small. A quorum queue keeps messages that a consumer returned in a separate list, and
//! appends to this list. If the next consumer takes only some of the returned messages and leaves too, they come back
//! behind the others. A consumer that takes as many messages as its predecessor had takes all of them at once.
//! (`RabbitMQ` 3.10.8: with 6 messages instead of 512, one to five of 3,000 events were out of order when nodes were
//! restarted quickly.)

use std::cmp::max;

/// After the budget was exceeded, this many messages in a row must be small before the number grows again.
const LOOK: usize = 1024;

/// The number of messages that may be sent ahead, and the values that decide it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prefetch {
    /// The configured maximum.
    most: u16,
    /// The most bytes that all unacknowledged messages may have together.
    budget: usize,
    current: u16,
    /// The number of messages since the last look, and the size of the largest in bytes.
    seen: usize,
    largest: usize,
}

impl Prefetch {
    pub(super) fn new(most: u16, budget: usize) -> Self {
        Self { most, budget, current: most, seen: 0, largest: 0 }
    }

    /// The number of messages that may be sent ahead: 1 to the maximum.
    pub(super) fn current(&self) -> u16 {
        self.current
    }

    /// Notes the size of a message, in bytes.
    pub(super) fn saw(&mut self, bytes: usize) {
        self.seen += 1;
        self.largest = max(self.largest, bytes);
    }

    /// The new number, where the unacknowledged messages exceed the budget. `None` where they don't, or where the
    /// number can't be lower.
    pub(super) fn shrunk(self, unacknowledged: usize) -> Option<Self> {
        if unacknowledged <= self.budget || self.current == 1 {
            return None;
        }
        // The number is at least halved, because the largest message may have come before the last look began.
        let current = self.fitting(self.largest).min(self.current / 2).max(1);
        Some(Self { current, ..self.looking_again() })
    }

    /// The new number, where the messages were so small that at least twice as many fit. Otherwise the next look begins
    /// if this one is over.
    pub(super) fn grown(&mut self) -> Option<Self> {
        // After so many messages, those that came back from the former connection were taken.
        if self.seen < max(LOOK, 2 * usize::from(self.most)) {
            return None;
        }
        let fitting = self.fitting(self.largest);
        *self = self.looking_again();
        (fitting / 2 >= self.current).then_some(Self { current: fitting, ..*self })
    }

    fn looking_again(self) -> Self {
        Self { seen: 0, largest: 0, ..self }
    }

    /// How many messages of this size fit into the budget.
    fn fitting(&self, bytes: usize) -> u16 {
        u16::try_from(self.budget / max(bytes, 1)).unwrap_or(u16::MAX).clamp(1, self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: usize = 1 << 20;

    fn prefetch() -> Prefetch {
        Prefetch::new(512, 64 * MB)
    }

    /// After the budget was exceeded by messages of eight megabytes.
    fn few() -> Prefetch {
        let mut prefetch = prefetch();
        prefetch.saw(8 * MB);
        prefetch.shrunk(65 * MB).expect("this is more than the budget")
    }

    fn after(mut prefetch: Prefetch, messages: usize, bytes: usize) -> Prefetch {
        for _ in 0..messages {
            prefetch.saw(bytes);
            prefetch = prefetch.grown().unwrap_or(prefetch);
        }
        prefetch
    }

    #[test]
    fn small_messages_always_have_the_configured_number() {
        assert_eq!(prefetch().current(), 512);
        assert_eq!(after(prefetch(), 5_000, 3_000).current(), 512);
    }

    #[test]
    fn it_shrinks_only_when_the_budget_is_exceeded() {
        let mut many = prefetch();
        many.saw(8 * MB);
        assert!(many.shrunk(64 * MB).is_none(), "a large message among small ones is no reason");
        assert_eq!(few().current(), 8);
    }

    #[test]
    fn it_grows_again_only_when_many_messages_were_small() {
        assert_eq!(after(few(), LOOK - 1, 3_000).current(), 8);
        assert_eq!(after(few(), LOOK, 3_000).current(), 512);
        assert_eq!(after(few(), LOOK, MB).current(), 64);
        let mixed = after(after(few(), LOOK / 2, 3_000), 1, 8 * MB);
        assert_eq!(after(mixed, LOOK / 2, 3_000).current(), 8);
        assert_eq!(after(few(), LOOK, 5 * MB).current(), 8, "twelve are too little a gain");
    }

    #[test]
    fn it_ends_at_one_message_whatever_its_size() {
        let (mut prefetch, mut changes) = (prefetch(), 0);
        while let Some(fewer) = prefetch.shrunk(usize::MAX) {
            assert!(fewer.current() < prefetch.current());
            (prefetch, changes) = (fewer, changes + 1);
        }
        assert_eq!((prefetch.current(), changes), (1, 9));
    }

    proptest::proptest! {
        #[test]
        fn it_is_always_from_one_to_the_maximum(
            most in 1_u16..,
            budget in 0_usize..1 << 34,
            sizes in proptest::collection::vec(0_usize..1 << 30, 0..200),
        ) {
            let mut prefetch = Prefetch::new(most, budget);
            for size in sizes {
                prefetch.saw(size);
                prefetch = prefetch.shrunk(size.saturating_mul(3)).or_else(|| prefetch.grown()).unwrap_or(prefetch);
                assert!((1..=most).contains(&prefetch.current()));
            }
        }
    }
}

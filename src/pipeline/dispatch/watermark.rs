//! Decides which messages of a source may be acknowledged. Pure.
//!
//! A broker's acknowledgement covers every earlier message too, so it must not pass an unfinished message. Every
//! message of a source is noted here, also dropped and quarantined ones.

use std::collections::VecDeque;

use crate::pipeline::source::Receipt;

/// The messages of a source that are not acknowledged, in their order.
#[derive(Debug, Default)]
pub(super) struct Watermark {
    messages: VecDeque<Message>,
    /// How many of them are finished.
    finished: usize,
}

#[derive(Debug)]
struct Message {
    receipt: Receipt,
    finished: bool,
}

impl Watermark {
    /// Notes a message that the source brought, with a greater number than those before it. Messages of a former connection can't
    /// be acknowledged any more.
    pub(super) fn took(&mut self, receipt: Receipt) {
        if self.messages.back().is_some_and(|last| last.receipt.generation != receipt.generation) {
            self.messages.clear();
            self.finished = 0;
        }
        self.messages.push_back(Message { receipt, finished: false });
    }

    /// Notes that the outcome of the message is on disk. A message of a former connection is ignored.
    pub(super) fn finish(&mut self, receipt: Receipt) {
        let found = self.messages.binary_search_by_key(&receipt.number, |message| message.receipt.number);
        if let Ok(at) = found
            && let Some(message) = self.messages.get_mut(at)
            && message.receipt == receipt
            && !message.finished
        {
            message.finished = true;
            self.finished += 1;
        }
    }

    /// Returns the last message such that it and all earlier ones are finished, and forgets them. `None` where the
    /// first message is unfinished.
    pub(super) fn pass(&mut self) -> Option<Receipt> {
        let mut passed = None;
        while let Some(first) = self.messages.front().filter(|first| first.finished) {
            passed = Some(first.receipt);
            self.messages.pop_front();
            self.finished -= 1;
        }
        passed
    }

    /// The unfinished messages for each of which more than `most` later messages wait that are finished.
    pub(super) fn held_up_by(&self, most: usize) -> Vec<Receipt> {
        let (mut later, mut found) = (self.finished, Vec::new());
        for message in &self.messages {
            if later <= most {
                break;
            }
            if message.finished {
                later -= 1;
            } else {
                found.push(message.receipt);
            }
        }
        found
    }

    /// The number of messages that are not acknowledged.
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn receipt(generation: u64, number: u64) -> Receipt {
        Receipt { generation, number }
    }

    fn taken(numbers: impl IntoIterator<Item = u64>) -> Watermark {
        let mut watermark = Watermark::default();
        numbers.into_iter().for_each(|number| watermark.took(receipt(1, number)));
        watermark
    }

    #[test]
    fn it_never_passes_an_unfinished_message() {
        let mut watermark = taken([3, 4, 7]);
        watermark.finish(receipt(1, 4));
        assert_eq!(watermark.pass(), None);
        watermark.finish(receipt(1, 3));
        assert_eq!(watermark.pass(), Some(receipt(1, 4)));
        assert_eq!(watermark.pass(), None);
        watermark.finish(receipt(1, 7));
        assert_eq!(watermark.pass(), Some(receipt(1, 7)));
        assert_eq!(watermark.len(), 0);
    }

    #[test]
    fn the_messages_are_named_for_which_many_finished_ones_wait() {
        let mut watermark = taken([1, 2, 3, 4]);
        for number in [2, 4, 4] {
            watermark.finish(receipt(1, number));
        }
        assert_eq!(watermark.held_up_by(0), [receipt(1, 1), receipt(1, 3)]);
        assert_eq!(watermark.held_up_by(1), [receipt(1, 1)]);
        assert_eq!(watermark.held_up_by(2), []);
        watermark.finish(receipt(1, 1));
        assert_eq!(watermark.pass(), Some(receipt(1, 2)));
        assert_eq!((watermark.held_up_by(0), watermark.held_up_by(1)), (vec![receipt(1, 3)], vec![]));
    }

    #[test]
    fn messages_of_a_former_connection_are_forgotten() {
        let mut watermark = taken([1, 2]);
        watermark.took(receipt(2, 1));
        assert_eq!(watermark.len(), 1);
        watermark.finish(receipt(1, 1));
        assert_eq!(watermark.pass(), None, "the number is the same, and the message is another");
        watermark.finish(receipt(2, 1));
        assert_eq!(watermark.pass(), Some(receipt(2, 1)));
    }

    proptest! {
        #[test]
        fn whatever_the_order_each_message_is_passed_once_and_only_when_all_before_it_are_finished(
            order in Just((1..=50_u64).collect::<Vec<_>>()).prop_shuffle()
        ) {
            let (mut watermark, mut finished, mut last) = (taken(1..=50), Vec::new(), 0);
            for number in order {
                watermark.finish(receipt(1, number));
                finished.push(number);
                if let Some(passed) = watermark.pass() {
                    prop_assert!(passed.number > last);
                    last = passed.number;
                    prop_assert!((1..=last).all(|number| finished.contains(&number)));
                }
            }
            prop_assert_eq!(last, 50);
        }
    }
}

//! Decides for each watch whether its service is asked now, whether it waits for others of its destination, or whether
//! it is put off. Pure.
//!
//! A slow destination delays only its own questions: a few are under way, a few more wait in memory, and the others go
//! back to the store.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use super::after;
use crate::pipeline::signed;

/// Questions under way at the same time.
const UNDER_WAY: usize = 128;
/// Questions under way to one destination.
const AT_ONE_DESTINATION: usize = 4;
/// The most watches of one destination that wait in memory.
const WAITING: usize = 32;
/// How long a watch is put off when there is no place for it.
const PUT_OFF: Duration = Duration::from_secs(5);
/// A destination is slow if a question took this long.
const SLOW: Duration = Duration::from_secs(5);
/// How long the watches of a slow destination are put off.
const PUT_OFF_AS_SLOW: Duration = Duration::from_secs(30);

/// What is to be done with a watch now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due<W> {
    /// Its service is asked. [`Turns::ended`] must be called with the turn afterwards.
    Ask(W, Turn),
    PutOff(W, Timestamp),
}

/// A question under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    destination: String,
    since: Timestamp,
}

/// The questions under way, and the watches that wait for them.
pub(super) struct Turns<W> {
    under_way: usize,
    destinations: HashMap<String, Destination<W>>,
}

struct Destination<W> {
    under_way: usize,
    waiting: VecDeque<W>,
}

impl<W> Turns<W> {
    pub(super) fn new() -> Self {
        Self { under_way: 0, destinations: HashMap::new() }
    }

    /// How many more questions may begin.
    pub(super) fn places(&self) -> usize {
        UNDER_WAY.saturating_sub(self.under_way)
    }

    /// Takes a due watch. `None`: the watch waits until a question to its destination has ended.
    pub(super) fn take(&mut self, destination: String, watch: W, now: Timestamp) -> Option<Due<W>> {
        let found = self.destinations.entry(destination.clone());
        let found = found.or_insert_with(|| Destination { under_way: 0, waiting: VecDeque::new() });
        if found.under_way < AT_ONE_DESTINATION {
            found.under_way += 1;
            self.under_way += 1;
            return Some(Due::Ask(watch, Turn { destination, since: now }));
        }
        if found.waiting.len() < WAITING {
            found.waiting.push_back(watch);
            return None;
        }
        Some(Due::PutOff(watch, after(now, PUT_OFF)))
    }

    /// Notes the end of a question, with an answer or without. Returns what to do with watches that waited for it.
    pub(super) fn ended(&mut self, turn: &Turn, now: Timestamp) -> Vec<Due<W>> {
        let Some(found) = self.destinations.get_mut(&turn.destination) else { return Vec::new() };
        found.under_way -= 1;
        self.under_way -= 1;
        if now.duration_since(turn.since) >= signed(SLOW) {
            let until = after(now, PUT_OFF_AS_SLOW);
            let waiting = std::mem::take(&mut found.waiting);
            if found.under_way == 0 {
                self.destinations.remove(&turn.destination);
            }
            return waiting.into_iter().map(|watch| Due::PutOff(watch, until)).collect();
        }
        let Some(next) = found.waiting.pop_front() else {
            if found.under_way == 0 {
                self.destinations.remove(&turn.destination);
            }
            return Vec::new();
        };
        found.under_way += 1;
        self.under_way += 1;
        vec![Due::Ask(next, Turn { destination: turn.destination.clone(), since: now })]
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan as _;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + seconds.seconds()
    }

    /// Takes these watches of a destination, and returns those that are asked about and those that are put off.
    fn take(
        turns: &mut Turns<usize>,
        destination: &str,
        count: usize,
    ) -> (Vec<usize>, Vec<usize>, Vec<Turn>) {
        let (mut asked, mut put_off, mut under_way) = (Vec::new(), Vec::new(), Vec::new());
        for watch in 0..count {
            match turns.take(destination.to_owned(), watch, at(0)) {
                Some(Due::Ask(watch, turn)) => {
                    asked.push(watch);
                    under_way.push(turn);
                }
                Some(Due::PutOff(watch, until)) => {
                    assert_eq!(until, at(5));
                    put_off.push(watch);
                }
                None => {}
            }
        }
        (asked, put_off, under_way)
    }

    #[test]
    fn a_destination_has_few_questions_under_way_and_others_have_theirs() {
        let mut turns = Turns::new();
        let (asked, put_off, _) = take(&mut turns, "hangs", 100);
        assert_eq!((asked, put_off.len(), put_off[0]), (vec![0, 1, 2, 3], 64, 36));
        assert_eq!(turns.places(), 124);
        assert_eq!(take(&mut turns, "answers", 3).0, [0, 1, 2]);
    }

    #[test]
    fn those_that_wait_are_asked_about_in_their_order() {
        let mut turns = Turns::new();
        let (_, _, mut under_way) = take(&mut turns, "answers", 10);
        let mut asked = Vec::new();
        while let Some(turn) = under_way.pop() {
            for due in turns.ended(&turn, at(1)) {
                let Due::Ask(watch, turn) = due else { panic!("it answers in time: {due:?}") };
                asked.push(watch);
                under_way.push(turn);
            }
        }
        assert_eq!(asked, [4, 5, 6, 7, 8, 9]);
        assert_eq!((turns.places(), turns.destinations.len()), (128, 0), "nothing is left");
    }

    #[test]
    fn those_that_wait_for_a_slow_destination_are_put_off() {
        let mut turns = Turns::new();
        let (_, _, under_way) = take(&mut turns, "hangs", 7);
        let due = turns.ended(&under_way[0], at(10));
        assert_eq!(due, [4, 5, 6].map(|watch| Due::PutOff(watch, at(40))));
        for turn in &under_way[1..] {
            assert_eq!(turns.ended(turn, at(10)), []);
        }
        assert_eq!((turns.places(), turns.destinations.len()), (128, 0));
    }
}

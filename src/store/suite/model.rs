//! Random sequences of all operations of the pipeline, compared with a simple model in memory.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::Backend;
use super::fixtures::{
    Case, Change, at, audit, delivery, event, held_route, hold, made_under, node, settled,
};
use crate::integration::{Fingerprint, IntegrationId};
use crate::store::{
    DeliveryId, Hold, HoldKey, Lease, Ledger, NewDelivery, NewState, Outbox, Portion, Settled,
};

/// One operation. Rows are named by their place among those written so far.
#[derive(Clone, Debug)]
enum Step {
    Enqueue {
        lane: i64,
        moved: bool,
        leased_by: Option<usize>,
    },
    /// With a portion of this many rows, and of the bytes of this many events.
    Claim {
        by: usize,
        destination: usize,
        rows: usize,
        events: usize,
    },
    Settle {
        by: usize,
        row: usize,
        outcome: Outcome,
    },
    Release {
        by: usize,
        row: usize,
    },
    Renew {
        by: usize,
    },
    Hold {
        key: usize,
        seconds: i64,
    },
    EndHold {
        key: usize,
    },
    NewSettings,
    Recover,
    Resend {
        row: usize,
    },
    Pass {
        seconds: i64,
    },
    Restart,
}

#[derive(Clone, Debug)]
enum Outcome {
    Delivered,
    Failed,
    Waiting(i64),
}

const NODES: [&str; 2] = ["a", "b"];
const DESTINATIONS: [&str; 2] = ["hook", "mail"];
const LEASE: i64 = 20;

/// Lanes 0 and 1 share a route, lane 2 is another route of the same destination, lane 3 has another destination.
fn new_delivery(lane: i64, moved: bool) -> NewDelivery {
    let (target, home) = [("#ops", 0), ("#ops", 0), ("#dev", 0), ("", 1)][usize::try_from(lane).unwrap()];
    // `moved`: the integration's address was changed meanwhile.
    delivery().to(target).over(DESTINATIONS[if moved { 1 - home } else { home }]).lane(lane)
}

/// Two destinations and two routes can be held. A change of settings ends the hold of one route.
fn new_hold(key: usize, until: Timestamp) -> Hold {
    match key {
        0 | 1 => hold(DESTINATIONS[key], until),
        2 => made_under(held_route("#ops", until), "slack", 1),
        _ => held_route("#dev", until),
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let by = 0..NODES.len();
    let outcome = prop_oneof![
        3 => Just(Outcome::Delivered),
        1 => Just(Outcome::Failed),
        2 => (0..30i64).prop_map(Outcome::Waiting),
    ];
    let step = prop_oneof![
        6 => (0..4i64, prop::bool::weighted(0.1), prop::option::of(by.clone()))
            .prop_map(|(lane, moved, leased_by)| Step::Enqueue { lane, moved, leased_by }),
        6 => (by.clone(), 0..DESTINATIONS.len(), 1..6usize, 1..6usize)
            .prop_map(|(by, destination, rows, events)| Step::Claim { by, destination, rows, events }),
        6 => (by.clone(), any::<usize>(), outcome).prop_map(|(by, row, outcome)| Step::Settle { by, row, outcome }),
        2 => (by.clone(), any::<usize>()).prop_map(|(by, row)| Step::Release { by, row }),
        1 => by.prop_map(|by| Step::Renew { by }),
        1 => (0..4usize, 1..40i64).prop_map(|(key, seconds)| Step::Hold { key, seconds }),
        1 => (0..4usize).prop_map(|key| Step::EndHold { key }),
        1 => Just(Step::NewSettings),
        1 => Just(Step::Recover),
        1 => any::<usize>().prop_map(|row| Step::Resend { row }),
        4 => (1..15i64).prop_map(|seconds| Step::Pass { seconds }),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..60)
}

/// A row of the model.
#[derive(Clone, Debug)]
struct Row {
    id: DeliveryId,
    new: NewDelivery,
    open: bool,
    delivered: bool,
    due: Timestamp,
    lease: Option<(usize, Timestamp)>,
}

impl Row {
    fn route(&self) -> HoldKey {
        let NewDelivery { integration, target, .. } = &self.new;
        HoldKey::Route { integration: integration.clone(), target: target.clone() }
    }
}

#[derive(Default)]
struct Model {
    rows: Vec<Row>,
    holds: HashMap<HoldKey, Hold>,
}

impl Model {
    /// Ends lapsed leases. A store does so at the latest when rows are claimed.
    fn lapse(&mut self, now: Timestamp) {
        for row in &mut self.rows {
            row.lease = row.lease.filter(|(_, until)| *until > now);
        }
    }

    fn earlier(&self, row: &Row) -> impl Iterator<Item = &Row> {
        let (id, lane) = (row.id, row.new.lane);
        self.rows.iter().filter(move |earlier| earlier.open && earlier.new.lane == lane && earlier.id < id)
    }

    fn is_held(&self, key: &HoldKey, now: Timestamp) -> bool {
        self.holds.get(key).is_some_and(|hold| hold.until > now)
    }

    /// Whether the contract allows a claim to hand out this row.
    fn may_go(&self, row: &Row, by: usize, destination: &str, now: Timestamp) -> bool {
        row.open
            && row.lease.is_none()
            && *row.new.destination == *destination
            && row.due <= now
            && !self.is_held(&HoldKey::Destination(destination.into()), now)
            && !self.is_held(&row.route(), now)
            && self.earlier(row).all(|earlier| earlier.lease.is_some_and(|(holder, _)| holder == by))
    }

    fn row(&mut self, n: usize) -> Option<&mut Row> {
        let count = self.rows.len();
        if count == 0 { None } else { self.rows.get_mut(n % count) }
    }

    fn due_on(&mut self, now: Timestamp, concerns: impl Fn(&Row) -> bool) {
        for row in self.rows.iter_mut().filter(|row| row.open && row.lease.is_none() && concerns(row)) {
            row.due = row.due.min(now);
        }
    }
}

struct Run<B: Backend> {
    case: Case<B>,
    model: Model,
    now: Timestamp,
}

impl<B: Backend> Run<B> {
    fn lease(&self, by: usize) -> Lease {
        Lease { node: node(NODES[by]), until: self.now + SignedDuration::from_secs(LEASE) }
    }

    async fn step(&mut self, n: usize, step: Step) {
        let now = self.now;
        match step {
            Step::Enqueue { lane, moved, leased_by } => {
                self.enqueue(n, new_delivery(lane, moved), leased_by).await;
            }
            Step::Claim { by, destination, rows, events } => {
                // One byte less than the events have, so that the last of them fills the portion.
                let portion = Portion { rows, bytes: events * event("e1").raw.len() - 1 };
                self.claim(by, DESTINATIONS[destination], portion).await;
            }
            Step::Settle { by, row, outcome } => self.settle(by, row, &outcome).await,
            Step::Release { by, row } => {
                let Some(row) = self.model.row(row) else { return };
                row.lease = row.lease.filter(|(holder, _)| *holder != by);
                let id = row.id;
                self.case.store.release(&node(NODES[by]), &[id]).await.unwrap();
            }
            Step::Renew { by } => {
                let lease = self.lease(by);
                for row in &mut self.model.rows {
                    row.lease = row.lease.map(|(holder, until)| {
                        (holder, if holder == by { until.max(lease.until) } else { until })
                    });
                }
                let rows: Vec<_> = self.model.rows.iter().map(|row| row.id).collect();
                self.case.store.renew(lease, &rows).await.unwrap();
            }
            Step::Hold { key, seconds } => {
                let hold = new_hold(key, now + SignedDuration::from_secs(seconds));
                let known = self.model.holds.get(&hold.key);
                if known.is_none_or(|known| known.until <= hold.until) {
                    self.model.holds.insert(hold.key.clone(), hold.clone());
                }
                self.case.hold(hold, now).await;
            }
            Step::EndHold { key } => {
                let key = new_hold(key, now).key;
                if self.model.is_held(&key, now) {
                    self.model.due_on(now, |row| row.route() == key);
                }
                self.model.holds.remove(&key);
                self.case.end_hold(&key, now).await;
            }
            Step::NewSettings => {
                let ends = |hold: &Hold| hold.made_under.is_some() && hold.until > now;
                if self.model.holds.values().any(ends) {
                    self.model.due_on(now, |_| true);
                }
                self.model.holds.retain(|_, hold| !ends(hold));
                let now_is = [(IntegrationId::new("slack"), Some(Fingerprint(2)))];
                self.case.store.end_outdated_holds(&now_is, now).await.unwrap();
            }
            Step::Recover => {
                self.model.rows.iter_mut().for_each(|row| row.lease = None);
                for name in NODES {
                    self.case.store.release_leases(&node(name), now).await.unwrap();
                }
            }
            Step::Resend { row } => {
                let Some(row) = self.model.row(row) else { return };
                let resent = !row.open;
                if resent {
                    (row.open, row.delivered, row.due) = (true, false, now);
                }
                let id = row.id;
                assert_eq!(
                    self.case.store.resend(id, audit("delivery.retry", now)).await.unwrap().is_done(),
                    resent
                );
            }
            Step::Pass { seconds } => self.now += SignedDuration::from_secs(seconds),
            Step::Restart => unreachable!("needs the case itself, see `run`"),
        }
    }

    async fn enqueue(&mut self, n: usize, new: NewDelivery, leased_by: Option<usize>) {
        self.model.lapse(self.now);
        let new = NewDelivery { lease: leased_by.map(|by| self.lease(by)), ..new };
        let written =
            self.case.write_all(&format!("e{n}"), vec![new.clone()], self.now).await.remove(0).unwrap();
        let mut row = Row { id: written.id, new, open: true, delivered: false, due: self.now, lease: None };
        let granted = leased_by.filter(|by| {
            self.model.earlier(&row).all(|earlier| earlier.lease.is_some_and(|(holder, _)| holder == *by))
        });
        assert_eq!(written.leased, granted.is_some(), "{row:?}");
        row.lease = granted.map(|by| (by, self.lease(by).until));
        self.model.rows.push(row);
    }

    async fn claim(&mut self, by: usize, destination: &str, portion: Portion) -> usize {
        self.model.lapse(self.now);
        let lease = self.lease(by);
        let claim = crate::store::Claim {
            destinations: vec![destination.into()],
            portion,
            lease: lease.clone(),
            now: self.now,
        };
        let claimed = self.case.store.claim(claim).await.unwrap().remove(0);
        let got: Vec<_> = claimed.deliveries.iter().map(|(delivery, _)| delivery.id).collect();
        assert!(got.is_sorted(), "{got:?}");
        let lengths: Vec<_> = claimed.deliveries.iter().map(|(_, event)| event.raw.len()).collect();
        let is_full = |rows: usize| portion.is_full(rows, lengths[..rows].iter().sum());
        assert!((0..got.len()).all(|rows| !is_full(rows)), "{got:?} is more than {portion:?}");
        // In the order handed out, each row may go when its node has the rows before it.
        for id in &got {
            let n = self.model.rows.iter().position(|row| row.id == *id).unwrap();
            assert!(self.model.may_go(&self.model.rows[n], by, destination, self.now), "{id} of {got:?}");
            self.model.rows[n].lease = Some((by, lease.until));
        }
        let left = self.model.rows.iter().find(|row| self.model.may_go(row, by, destination, self.now));
        assert!(is_full(got.len()) || left.is_none(), "got {got:?}, and {left:?} could have gone");
        got.len()
    }

    async fn settle(&mut self, by: usize, row: usize, outcome: &Outcome) {
        let now = self.now;
        let Some(row) = self.model.row(row) else { return };
        let state = match outcome {
            Outcome::Delivered => NewState::Delivered,
            Outcome::Failed => NewState::Failed,
            Outcome::Waiting(seconds) => NewState::Waiting(now + SignedDuration::from_secs(*seconds)),
        };
        let another_has_it = row.lease.is_some_and(|(holder, until)| holder != by && until > now);
        let heeded = row.open && !another_has_it || state == NewState::Delivered && !row.delivered;
        if heeded {
            row.lease = None;
            match &state {
                NewState::Waiting(due) => row.due = *due,
                state => (row.open, row.delivered) = (false, *state == NewState::Delivered),
            }
        }
        let settled = Settled { attempts: 1, ..settled(row.id, state, now) };
        self.case.settle(NODES[by], settled).await;
    }

    /// `waiting` names exactly the destinations of rows that are the first unleased row of their lane.
    async fn waiting_is_complete(&mut self) {
        self.model.lapse(self.now);
        let mut expected: Vec<_> =
            self.case.waiting(self.now).await.into_iter().map(|(key, _)| key).collect();
        expected.sort();
        let free = |row: &&Row| row.open && row.lease.is_none();
        let first = |row: &&Row| self.model.earlier(row).all(|earlier| earlier.lease.is_some());
        let rows = self.model.rows.iter().filter(free).filter(first);
        let mut destinations: Vec<_> = rows.map(|row| row.new.destination.to_string()).collect();
        destinations.sort();
        destinations.dedup();
        assert_eq!(expected, destinations);
    }

    /// In the end, all open rows can be claimed and delivered.
    async fn nothing_is_lost(&mut self) {
        self.now += SignedDuration::from_hours(1);
        loop {
            let mut got = 0;
            for destination in DESTINATIONS {
                got += self.claim(0, destination, Portion::rows(100)).await;
            }
            if got == 0 {
                break;
            }
            for n in 0..self.model.rows.len() {
                if self.model.rows[n].lease.is_some() {
                    self.settle(0, n, &Outcome::Delivered).await;
                }
            }
        }
        assert!(self.model.rows.iter().all(|row| !row.open));
        assert_eq!(self.case.store.depth(self.now).await.unwrap().waiting, 0);
    }
}

async fn run<B: Backend>(steps: Vec<Step>) {
    let mut run = Run { case: Case::<B>::new().await, model: Model::default(), now: at(0) };
    for (n, step) in steps.into_iter().enumerate() {
        match step {
            Step::Restart => run.case = run.case.reopened().await,
            step => run.step(n, step).await,
        }
        run.waiting_is_complete().await;
    }
    run.nothing_is_lost().await;
}

pub(super) async fn whatever_happens_nothing_is_doubled_reordered_or_lost<B: Backend>() {
    // proptest is synchronous and the tests are not, so its cases run on a thread with its own runtime.
    let tried = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let config = Config { cases: 48, failure_persistence: None, ..Config::default() };
        TestRunner::new(config).run(&steps(), |steps| {
            runtime.block_on(run::<B>(steps));
            Ok(())
        })
    });
    tried.join().unwrap().unwrap();
}

//! Deliver: a delivery becomes attempts.
//!
//! One task, the [`Deliverer`], owns what is in flight. It asks the board whose turn it is and the pace whether it may,
//! starts attempts as tracked tasks, has [`super::retry::rule`] say what follows, and tells the writer. [`Intake`] is its door.

mod doubt;
mod intake;
mod settle;
mod strangers;

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::attempt::{Attempts, Prepared, Report};
use super::board::{Board, Bounds, Job, JobEvent, Left, SHORT_REST};
use super::retry::{Outcome, Policy};
use super::writer::{Heard, Word, Writer};
use super::{Clock, Config, after};
use crate::adapters;
use crate::integration::Integration;
use crate::store::{Claimed, Delivery, DestinationKey, Hold, NodeId, Outbox, Portion, route_key};
use crate::wire::pace::Pace;
use doubt::{Doubts, Reading};
pub use intake::Intake;
use intake::{Crowded, Handed};
use strangers::Strangers;

/// How often to look for rows that nobody told us of: a resend, another node's, a former life's.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Things taken from a channel at once.
const AT_ONCE: usize = 256;
/// Jobs kept in memory for one destination.
const PER_DESTINATION: usize = 256;
/// What one claim brings for one destination: little, so that many destinations get their turn in a bounded memory.
const PORTION: Portion = Portion { rows: 16, bytes: 256 << 10 };

/// What is needed to deliver.
pub struct Deliverer {
    pub config: Config,
    pub policy: Policy,
    pub node: NodeId,
    pub outbox: Arc<dyn Outbox>,
    pub attempts: Attempts,
    pub pace: Arc<Pace>,
    pub clock: Clock,
    pub tasks: TaskTracker,
    handed: mpsc::UnboundedReceiver<Handed>,
    crowded: Crowded,
}

/// The parts of a deliverer that are given.
pub struct Parts {
    pub config: Config,
    pub policy: Policy,
    pub node: NodeId,
    pub outbox: Arc<dyn Outbox>,
    pub attempts: Attempts,
    pub pace: Arc<Pace>,
    pub tasks: TaskTracker,
}

/// Something that ended.
enum Ended {
    Attempt(Box<Done>),
    Reading(Box<Reading>),
}

/// An attempt that ended.
struct Done {
    job: Job,
    /// The integration as it was when the attempt began; `None` where there was none.
    integration: Option<Arc<Integration>>,
    report: Report,
    at: Timestamp,
}

/// One integration's way to one target that leads nowhere.
#[derive(Clone, Copy, Debug)]
struct Route {
    /// How often in a row it was found so.
    strikes: u32,
    held_until: Timestamp,
}

/// An address that is called dead.
#[derive(Clone, Copy, Debug)]
struct Gone {
    confirmations: u32,
    /// What is found before that confirms nothing more.
    until: Timestamp,
}

/// The deliverer at work: its parts, and what only lives while it runs.
struct Work {
    parts: Deliverer,
    board: Board,
    words: mpsc::UnboundedSender<Word>,
    done: mpsc::UnboundedSender<Ended>,
    /// Ways that lead nowhere, by their key.
    routes: HashMap<Arc<str>, Route>,
    /// Settlements that were said and are not written yet. They count as attempts under way: after a power cut, they are
    /// what is told again.
    unwritten: usize,
    /// Addresses that were called dead, by the key of the hold that would switch them off.
    gone: HashMap<Arc<str>, Gone>,
    /// When the leases were prolonged last.
    renewed: Timestamp,
    doubts: Doubts,
    strangers: Strangers,
}

impl Deliverer {
    /// A deliverer, and the door to it.
    pub fn new(parts: Parts) -> (Self, Intake) {
        let crowded = Crowded::default();
        let (intake, receiver) = Intake::open(&parts, Arc::clone(&crowded));
        let Parts { config, policy, node, outbox, attempts, pace, tasks } = parts;
        let clock = attempts.clock.clone();
        let deliverer =
            Self { config, policy, node, outbox, attempts, pace, clock, tasks, handed: receiver, crowded };
        (deliverer, intake)
    }

    /// Delivers until told to stop; then attempts in flight get the grace period, everything is written, and what was
    /// not attempted is given back.
    pub async fn run(self, stop: CancellationToken) {
        let bounds = Bounds {
            concurrency: self.config.concurrency,
            per_destination: PER_DESTINATION,
            in_memory: self.config.in_memory,
            portion: PORTION,
        };
        let (words, word_receiver) = mpsc::unbounded_channel();
        let (heard_sender, heard) = mpsc::unbounded_channel();
        let (done_sender, done) = mpsc::unbounded_channel();
        let board = Board::new(bounds);
        let writer = Writer {
            outbox: Arc::clone(&self.outbox),
            node: self.node.clone(),
            lease: self.config.lease,
            portion: PORTION,
            clock: self.clock.clone(),
            words: word_receiver,
            heard: heard_sender,
        };
        let writing = self.tasks.spawn(writer.run());
        let renewed = self.clock.now();
        let strangers = Strangers::new(self.config.left_to_others);
        let mut work = Work {
            parts: self,
            board,
            words,
            done: done_sender,
            routes: HashMap::new(),
            unwritten: 0,
            gone: HashMap::new(),
            renewed,
            doubts: Doubts::default(),
            strangers,
        };
        work.take_up_holds().await;
        work.until(stop, heard, done).await;
        drop(work); // the writer ends when nobody can say anything more
        let _ = writing.await;
        info!("stopped delivering; everything is written");
    }
}

impl Work {
    async fn until(
        &mut self,
        stop: CancellationToken,
        mut heard: mpsc::UnboundedReceiver<Heard>,
        mut done: mpsc::UnboundedReceiver<Ended>,
    ) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut renew = tokio::time::interval(self.parts.config.lease / 3);
        let (mut handed, mut ended, mut open) = (Vec::new(), Vec::new(), true);
        loop {
            self.start_attempts();
            let wake = self.until_wake();
            tokio::select! {
                () = stop.cancelled() => break,
                taken = self.parts.handed.recv_many(&mut handed, AT_ONCE), if open => {
                    open = taken > 0; // nobody holds the door any more: only what is in flight is left
                    for handed in handed.drain(..) {
                        self.take(handed);
                    }
                }
                _ = done.recv_many(&mut ended, AT_ONCE) => {
                    for ended in ended.drain(..) {
                        self.take_up_ended(ended);
                    }
                }
                Some(heard) = heard.recv() => self.hear(heard),
                _ = look.tick() => {
                    if self.leases_may_have_lapsed(self.now()) {
                        self.say(Word::Renew(self.board.rows()));
                    }
                    self.say(Word::Look);
                }
                _ = renew.tick() => self.say(Word::Renew(self.board.rows())),
                () = tokio::time::sleep(wake) => {}
            }
        }
        self.wind_up(done).await;
    }

    /// Lets attempts in flight end within the grace period, and gives back the rest.
    async fn wind_up(&mut self, mut done: mpsc::UnboundedReceiver<Ended>) {
        self.parts.handed.close();
        for row in self.board.drain() {
            self.say(Word::Release(row));
        }
        while let Some(handed) = self.parts.handed.recv().await {
            if let Handed::Leased(job) = handed {
                self.say(Word::Release(job.delivery.id));
            }
        }
        let grace = tokio::time::sleep(self.parts.config.grace);
        tokio::pin!(grace);
        while self.board.in_flight() > 0 {
            tokio::select! {
                Some(ended) = done.recv() => match ended {
                    Ended::Attempt(done) => self.settle(*done),
                    Ended::Reading(reading) => self.put_back(&reading.job.delivery, self.now()),
                },
                () = &mut grace => {
                    let left = self.board.in_flight();
                    warn!(left, "the grace period is over; attempts in flight are left, and made again at the next start");
                    return;
                }
            }
        }
    }

    /// Holds outlive the process: take them up before the first attempt.
    async fn take_up_holds(&mut self) {
        match self.parts.outbox.holds(self.now()).await {
            Ok(holds) => self.restore(&holds),
            Err(error) => {
                warn!(%error, "cannot read the holds; destinations will say again that they want rest");
            }
        }
    }

    /// Goes on from what the store remembers: rests, and how often in a row something failed.
    fn restore(&mut self, holds: &[Hold]) {
        let now = self.now();
        for hold in holds {
            if hold.key.starts_with("route:") {
                let route = Route { strikes: hold.strikes, held_until: hold.until };
                self.routes.insert(Arc::clone(&hold.key), route);
            } else if !hold.key.starts_with("off:") {
                let back = self.board.restore(&hold.key, hold.until, hold.strikes, now);
                self.give_back(back);
            }
        }
    }

    /// Whether the store has not been heard of for as long as leases last: what is in memory may be another node's by now.
    fn leases_may_have_lapsed(&self, now: Timestamp) -> bool {
        now >= after(self.renewed, self.parts.config.lease)
    }

    fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    fn say(&self, word: Word) {
        // The writer ends only after us.
        let _ = self.words.send(word);
    }

    fn until_wake(&self) -> Duration {
        let Some(wake) = self.board.wake() else { return LOOK_EVERY };
        if self.leases_may_have_lapsed(self.now()) {
            return LOOK_EVERY; // nothing starts before the store has answered
        }
        // A moment that has just passed is now.
        Duration::try_from(wake.duration_since(self.now())).unwrap_or_default().min(LOOK_EVERY)
    }

    fn take(&mut self, handed: Handed) {
        let now = self.now();
        match handed {
            Handed::Leased(job) => {
                let job = Job { concurrency: self.concurrency(&job.delivery), ..*job };
                let key = Arc::clone(&job.delivery.destination);
                if let Some(back) = self.board.hand(job, now) {
                    self.give_back([back]);
                }
                self.note_crowding(&key);
            }
            Handed::Stored(key) => {
                self.board.stored(&key, now, now);
                self.note_crowding(&key);
            }
            Handed::Healed(holds) => {
                self.routes.clear();
                self.gone.clear();
                self.board.lift_all(now);
                self.restore(&holds);
                self.say(Word::Look);
            }
            Handed::Mark(mark) => self.say(Word::Mark(mark)),
        }
        self.say_claims();
    }

    fn hear(&mut self, heard: Heard) {
        let now = self.now();
        match heard {
            Heard::Claimed(claimed) => {
                for claimed in claimed {
                    self.take_claimed(claimed, now);
                }
            }
            Heard::Renewed { asked, lost } => {
                self.renewed = asked;
                self.forget_doubts(&lost);
                self.board.forget(&lost, now);
            }
            Heard::Written(count) => self.unwritten = self.unwritten.saturating_sub(count),
            Heard::NotClaimed(keys) => {
                for key in &keys {
                    self.board.claim_failed(key);
                }
            }
            Heard::Waiting(waiting) => {
                for (key, at) in waiting {
                    self.board.stored(&key, at, now);
                    self.note_crowding(&key);
                }
            }
        }
        self.say_claims();
    }

    fn take_claimed(&mut self, claimed: Claimed, now: Timestamp) {
        let Claimed { destination, deliveries, more } = claimed;
        let jobs = deliveries.into_iter().map(|(delivery, event)| Job {
            concurrency: self.concurrency(&delivery),
            entered: delivery.fresh_since,
            event: JobEvent::Stored(event),
            certain: false,
            delivery,
            _place: None,
        });
        let jobs: Vec<_> = jobs.collect();
        let back = self.board.claimed(&destination, jobs, more, now);
        self.give_back(back);
        self.note_crowding(&destination);
    }

    fn concurrency(&self, delivery: &Delivery) -> usize {
        let integration = self.parts.attempts.catalog.integration(&delivery.integration);
        let entry = integration.and_then(|integration| adapters::find(integration.slug));
        entry.map_or(1, |entry| entry.about.concurrency)
    }

    fn give_back(&self, jobs: impl IntoIterator<Item = Job>) {
        for job in jobs {
            self.say(Word::Release(job.delivery.id));
        }
    }

    fn say_claims(&mut self) {
        for key in self.board.take_claims() {
            self.say(Word::Claim(key));
        }
    }

    fn note_crowding(&self, key: &DestinationKey) {
        let mut crowded = self.parts.crowded.lock().unwrap_or_else(PoisonError::into_inner);
        if self.board.is_crowded(key) {
            crowded.insert(Arc::clone(key));
        } else {
            crowded.remove(key);
        }
    }

    /// Starts what may start.
    fn start_attempts(&mut self) {
        while self.board.in_flight() + self.unwritten < self.parts.config.concurrency.max(1) {
            let now = self.now();
            if self.leases_may_have_lapsed(now) {
                break;
            }
            let Some(job) = self.board.next(now) else { break };
            if let Some(until) = self.route_held_until(&job.delivery, now) {
                // The store knows of the hold, and hands it out again when that ends.
                self.say(Word::Release(job.delivery.id));
                let back = self.board.left(&job.delivery, Left::Waits(until), now);
                self.give_back(back);
                continue;
            }
            match self.parts.attempts.prepare(&job.delivery) {
                Ok(prepared) => {
                    self.strangers.met(&job.delivery.integration);
                    self.admit(job, prepared, now);
                }
                Err(Report { outcome: Outcome::Cancelled(_), .. }) if !job.certain => self.doubt(job),
                Err(report) => {
                    let report = self.left_to_others(&job.delivery, report, now);
                    let integration = self.parts.attempts.catalog.integration(&job.delivery.integration);
                    self.settle(Done { job, integration, report, at: now });
                }
            }
        }
        self.say_claims();
    }

    /// Starts an attempt, if it is bound for where it was written for, and the pace allows it now.
    fn admit(&mut self, job: Job, prepared: Prepared, now: Timestamp) {
        let buckets = prepared.buckets(&job.delivery);
        let is_bound_elsewhere =
            buckets.first().is_some_and(|bucket| *bucket.key.0 != *job.delivery.destination);
        if is_bound_elsewhere && !job.certain {
            return self.doubt(job);
        }
        if let Err(wait) = self.parts.pace.admit(&buckets) {
            return self.pace(job, after(now, wait), now);
        }
        self.start(job, prepared);
    }

    fn take_up_ended(&mut self, ended: Ended) {
        match ended {
            Ended::Attempt(done) => self.settle(*done),
            Ended::Reading(reading) => self.take_up_reading(*reading),
        }
    }

    /// It is too early for this one. A long wait (all who share a bucket were sent away) is a rest: the store keeps the rows.
    fn pace(&mut self, job: Job, until: Timestamp, now: Timestamp) {
        if until <= now + SHORT_REST {
            return self.board.paced(job, until, now);
        }
        let key = Arc::clone(&job.delivery.destination);
        self.say(Word::Release(job.delivery.id));
        let mut back = self.board.left(&job.delivery, Left::Waits(until), now);
        back.extend(self.board.hold(&key, until, now));
        self.give_back(back);
    }

    fn start(&self, job: Job, prepared: Prepared) {
        let (attempts, done, clock) =
            (self.parts.attempts.clone(), self.done.clone(), self.parts.clock.clone());
        self.parts.tasks.spawn(async move {
            let attempt = AssertUnwindSafe(attempts.make(&job, &prepared)).catch_unwind().await;
            // A bug of ours costs this one message, visibly, and not its whole destination.
            let report = attempt.unwrap_or_else(|_| Report::of_a_bug());
            let integration = Some(prepared.integration);
            // Nobody listens any more only when the grace period is over.
            let _ = done.send(Ended::Attempt(Box::new(Done { at: clock.now(), job, integration, report })));
        });
    }

    fn route_held_until(&self, delivery: &Delivery, now: Timestamp) -> Option<Timestamp> {
        if self.routes.is_empty() {
            return None; // the ordinary case: no key need be made to look it up
        }
        let route = self.routes.get(&route_key(&delivery.integration, &delivery.target))?;
        Some(route.held_until).filter(|until| *until > now)
    }
}

/// A number from 0 up to 1, from a fresh UUID's random bits: no more randomness is needed, and no more dependencies.
pub(super) fn jitter() -> f64 {
    let (_, random) = uuid::Uuid::now_v7().as_u64_pair();
    f64::from((random & 0xFFFF_FFFF) as u32) / f64::from(u32::MAX)
}

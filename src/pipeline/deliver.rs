//! Deliver: a delivery becomes attempts.
//!
//! One task, the [`Deliverer`], owns what is in flight. It asks the board whose turn it is and the pace whether it may,
//! starts attempts as tracked tasks, has [`retry::rule`] say what follows, and tells the writer. [`Intake`] is its door:
//! dispatch hands it rows that it wrote leased, so that an ordinary first attempt needs no query.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use super::attempt::{Attempts, Report};
use super::board::{Board, Bounds, Job, JobEvent, Left};
use super::retry::{self, Circumstances, Consequence, Outcome, Policy, Ruling};
use super::writer::{Heard, Word, Writer};
use super::{Clock, Config, after};
use crate::adapters;
use crate::event::Event;
use crate::integration::IntegrationId;
use crate::metrics;
use crate::store::{
    AttemptRecord, Claimed, Delivery, DestinationKey, Hold, Lease, NewState, NodeId, Outbox, Settled,
    route_key, switch_key,
};
use crate::wire::pace::Pace;

/// How often to look for rows that nobody told us of: a resend, another node's, a former life's.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Things taken from a channel at once.
const AT_ONCE: usize = 256;
/// Until somebody corrects the settings; [`after`] knows how long that is at the most.
const FOR_EVER: Duration = Duration::MAX;
/// Jobs kept in memory for one destination.
const PER_DESTINATION: usize = 256;
/// Rows that one claim brings for one destination: few, so that many destinations get their turn in a bounded memory.
const CLAIM_SIZE: usize = 16;

/// Where dispatch hands over what it wrote.
#[derive(Clone)]
pub struct Intake {
    handed: mpsc::UnboundedSender<Handed>,
    places: Arc<Semaphore>,
    crowded: Crowded,
    node: NodeId,
    lease: Duration,
}

enum Handed {
    Leased(Box<Job>),
    Stored(DestinationKey),
    /// The settings changed: rests that were made under the old ones are over.
    Healed,
}

/// Destinations for which rows wait in the store: new ones had better be written to wait behind them. Only a hint; the
/// board keeps the order in any case.
type Crowded = Arc<Mutex<HashSet<DestinationKey>>>;

impl Intake {
    /// As many places in memory as are free, up to `wanted`.
    pub(super) fn places(&self, wanted: usize) -> Vec<OwnedSemaphorePermit> {
        let take = |_| Arc::clone(&self.places).try_acquire_owned().ok();
        (0..wanted).map_while(take).collect()
    }

    pub(super) fn is_crowded(&self, destination: &DestinationKey) -> bool {
        self.crowded.lock().unwrap_or_else(PoisonError::into_inner).contains(destination)
    }

    /// A lease for rows that are handed over as soon as they are written.
    pub(super) fn lease(&self, now: Timestamp) -> Lease {
        Lease { node: self.node.clone(), until: after(now, self.lease) }
    }

    pub(super) fn hand(
        &self,
        delivery: Delivery,
        event: Arc<Event>,
        place: Option<OwnedSemaphorePermit>,
        entered: Timestamp,
    ) {
        let event = JobEvent::Decoded(event);
        let job = Job { concurrency: 1, delivery, event, entered, _place: place };
        // Once the deliverer has stopped, the row's lease lapses or is given back with the rest at the next start.
        let _ = self.handed.send(Handed::Leased(Box::new(job)));
    }

    pub(super) fn stored(&self, destination: DestinationKey) {
        let _ = self.handed.send(Handed::Stored(destination));
    }

    /// The settings changed; see [`Outbox::heal`].
    pub fn healed(&self) {
        let _ = self.handed.send(Handed::Healed);
    }
}

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

/// An attempt that ended.
struct Done {
    job: Job,
    report: Report,
    at: Timestamp,
}

/// The deliverer at work: its parts, and what only lives while it runs.
struct Work {
    parts: Deliverer,
    board: Board,
    words: mpsc::UnboundedSender<Word>,
    done: mpsc::UnboundedSender<Done>,
    /// Failures in a row of one integration's way to one target.
    route_strikes: HashMap<Arc<str>, u32>,
    /// Confirmations in a row that an integration's address is dead.
    gone: HashMap<IntegrationId, u32>,
}

impl Deliverer {
    /// A deliverer, and the door to it.
    pub fn new(parts: Parts) -> (Self, Intake) {
        let (handed, receiver) = mpsc::unbounded_channel();
        let crowded = Crowded::default();
        let intake = Intake {
            handed,
            places: Arc::new(Semaphore::new(parts.config.in_memory)),
            crowded: Arc::clone(&crowded),
            node: parts.node.clone(),
            lease: parts.config.lease,
        };
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
            claim_size: CLAIM_SIZE,
        };
        let (words, word_receiver) = mpsc::unbounded_channel();
        let (heard_sender, heard) = mpsc::unbounded_channel();
        let (done_sender, done) = mpsc::unbounded_channel();
        let board = Board::new(bounds);
        let writer = Writer {
            outbox: Arc::clone(&self.outbox),
            node: self.node.clone(),
            lease: self.config.lease,
            claim_size: CLAIM_SIZE,
            clock: self.clock.clone(),
            words: word_receiver,
            heard: heard_sender,
        };
        let writing = self.tasks.spawn(writer.run());
        let mut work = Work {
            parts: self,
            board,
            words,
            done: done_sender,
            route_strikes: HashMap::new(),
            gone: HashMap::new(),
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
        mut done: mpsc::UnboundedReceiver<Done>,
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
                    for done in ended.drain(..) {
                        self.settle(done);
                    }
                }
                Some(heard) = heard.recv() => self.hear(heard),
                _ = look.tick() => self.say(Word::Look),
                _ = renew.tick() => self.say(Word::Renew),
                () = tokio::time::sleep(wake) => {}
            }
        }
        self.wind_up(done).await;
    }

    /// Lets attempts in flight end within the grace period, and gives back the rest.
    async fn wind_up(&mut self, mut done: mpsc::UnboundedReceiver<Done>) {
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
                Some(ended) = done.recv() => self.settle(ended),
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
        let now = self.now();
        match self.parts.outbox.holds(now).await {
            Ok(holds) => {
                for hold in &holds {
                    if !is_route_or_switch(&hold.key) {
                        self.board.hold(&hold.key, hold.until, now);
                    }
                }
            }
            Err(error) => {
                warn!(%error, "cannot read the holds; destinations will say again that they want rest");
            }
        }
    }

    fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    fn say(&self, word: Word) {
        // The writer ends only after us.
        let _ = self.words.send(word);
    }

    fn until_wake(&self) -> Duration {
        let wake = self.board.wake().map(|at| at.duration_since(self.now()));
        wake.and_then(|wait| Duration::try_from(wait).ok()).map_or(LOOK_EVERY, |wait| wait.min(LOOK_EVERY))
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
            Handed::Healed => {
                self.route_strikes.clear();
                self.gone.clear();
                self.board.lift_all(now);
                self.say(Word::Look);
            }
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
            entered: delivery.news_since,
            event: JobEvent::Stored(event),
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
        loop {
            let now = self.now();
            let Some(job) = self.board.next(now) else { break };
            let prepared = match self.parts.attempts.prepare(&job.delivery) {
                Ok(prepared) => prepared,
                Err(report) => {
                    self.settle(Done { job, report, at: now });
                    continue;
                }
            };
            if let Err(wait) = self.parts.pace.admit(&prepared.buckets(&job.delivery)) {
                self.board.paced(job, after(now, wait), now);
                continue;
            }
            let (attempts, done, clock) =
                (self.parts.attempts.clone(), self.done.clone(), self.parts.clock.clone());
            self.parts.tasks.spawn(async move {
                let report = attempts.make(&job, &prepared).await;
                // Nobody listens any more only when the grace period is over.
                let _ = done.send(Done { at: clock.now(), job, report });
            });
        }
        self.say_claims();
    }

    /// Rules what follows from an attempt, and sees to it.
    fn settle(&mut self, done: Done) {
        let Done { job, report, at } = done;
        let delivery = &job.delivery;
        let ruling = self.rule(delivery, &report, at);
        self.count(&job, &report, &ruling, at);
        tell(delivery, &report, &ruling);
        let (hold, lift) = self.see_to(delivery, &report, &ruling, at);
        let left = match ruling.state {
            NewState::Waiting(until) => Left::Waits(until),
            _ => Left::Settled,
        };
        self.say(Word::Settle(Box::new(Settled {
            delivery: delivery.id,
            attempts: delivery.attempts + u32::from(ruling.counts),
            record: record(&report, at),
            state: ruling.state,
            hold,
            lift,
            at,
        })));
        let back = self.board.left(&delivery.destination, delivery.lane, left, at);
        self.give_back(back);
        self.note_crowding(&delivery.destination);
        self.say_claims();
    }

    fn rule(&self, delivery: &Delivery, report: &Report, now: Timestamp) -> Ruling {
        use crate::call::Failure;
        let strikes = match &report.outcome {
            Outcome::Failed(Failure::Misconfigured(_)) => {
                let route = route_key(&delivery.integration, &delivery.target);
                self.route_strikes.get(&route).copied().unwrap_or_default()
            }
            Outcome::Failed(Failure::Gone { .. }) => {
                self.gone.get(&delivery.integration).copied().unwrap_or_default()
            }
            _ => self.board.strikes(&delivery.destination),
        };
        let integration = self.parts.attempts.catalog.integration(&delivery.integration);
        let entry = integration.and_then(|integration| adapters::find(integration.slug));
        let of = Circumstances {
            now,
            attempts: delivery.attempts,
            repeatable: entry.is_none_or(|entry| entry.about.repeatable),
            strikes,
            jitter: jitter(),
        };
        retry::rule(&report.outcome, of, &self.parts.policy)
    }

    /// Carries out what follows for others than the delivery; answers what of it the store must keep.
    fn see_to(
        &mut self,
        delivery: &Delivery,
        report: &Report,
        ruling: &Ruling,
        now: Timestamp,
    ) -> (Option<Hold>, Option<Arc<str>>) {
        let key = &delivery.destination;
        let made_under = self
            .parts
            .attempts
            .catalog
            .integration(&delivery.integration)
            .map(|integration| (integration.id.clone(), integration.fingerprint));
        let why = note(report);
        let hold = |key: &Arc<str>, until, strikes| Hold {
            key: Arc::clone(key),
            until,
            why: why.clone(),
            strikes,
            made_under: made_under.clone(),
        };
        let route = route_key(&delivery.integration, &delivery.target);
        match &ruling.consequence {
            Consequence::None => (None, None),
            Consequence::Answers => {
                self.gone.remove(&delivery.integration);
                let route_was_held = self.route_strikes.remove(&route).is_some();
                let recovered = self.board.answers(key);
                let lift = if recovered { Some(Arc::clone(key)) } else { route_was_held.then_some(route) };
                (None, lift)
            }
            Consequence::Strike { rest } => {
                self.board.strike(key);
                let strikes = self.board.strikes(key);
                let held = rest.map(|until| hold(key, until, strikes));
                if let Some(until) = rest {
                    let back = self.board.hold(key, *until, now);
                    self.give_back(back);
                    warn!(destination = %key, failures = strikes, %until, "destination keeps failing; it gets a rest");
                }
                (held, None)
            }
            Consequence::HoldDestination(until) => {
                self.board.strike(key);
                let back = self.board.hold(key, *until, now);
                self.give_back(back);
                (Some(hold(key, *until, self.board.strikes(key))), None)
            }
            Consequence::HoldRoute(until) => {
                self.board.answers(key);
                let strikes = self.route_strikes.entry(Arc::clone(&route)).or_default();
                *strikes += 1;
                (Some(hold(&route, *until, *strikes)), None)
            }
            Consequence::Confirmed { switch_off } => {
                self.board.answers(key);
                let confirmations = self.gone.entry(delivery.integration.clone()).or_default();
                *confirmations += 1;
                let confirmations = *confirmations;
                let under = made_under.clone().filter(|_| *switch_off);
                let Some((id, fingerprint)) = under else { return (None, None) };
                error!(integration = %id, reason = why, "switched off: its address is dead; correct its settings to switch it on again");
                metrics::switched_off(self.slug(delivery));
                self.parts.attempts.switches.switch_off(id, fingerprint, why.clone());
                (Some(hold(&switch_key(&delivery.integration), after(now, FOR_EVER), confirmations)), None)
            }
        }
    }

    fn slug(&self, delivery: &Delivery) -> &'static str {
        self.parts.attempts.catalog.integration(&delivery.integration).map_or("unknown", |found| found.slug)
    }

    fn count(&self, job: &Job, report: &Report, ruling: &Ruling, at: Timestamp) {
        let adapter = self.slug(&job.delivery);
        metrics::attempt(adapter, outcome_word(&report.outcome), report.took);
        match ruling.state {
            NewState::Waiting(_) => metrics::retry(adapter),
            NewState::Delivered => {
                metrics::delivery(adapter, "delivered");
                let took = at.duration_since(job.entered);
                metrics::entry_to_acceptance(adapter, Duration::try_from(took).unwrap_or_default());
            }
            NewState::Failed => metrics::delivery(adapter, "failed"),
            NewState::Expired => metrics::delivery(adapter, "expired"),
            NewState::Cancelled => metrics::delivery(adapter, "cancelled"),
        }
    }
}

fn is_route_or_switch(key: &str) -> bool {
    key.starts_with("route:") || key.starts_with("off:")
}

/// One line in the log per attempt that people may want to read of.
fn tell(delivery: &Delivery, report: &Report, ruling: &Ruling) {
    let (id, event, integration) = (delivery.id.0, &delivery.event, &delivery.integration);
    let reason = note(report);
    match &ruling.state {
        NewState::Delivered => {
            tracing::debug!(delivery = id, %event, %integration, target = %delivery.target, "delivered");
        }
        NewState::Waiting(until) => {
            info!(delivery = id, %event, %integration, reason, %until, "not delivered yet; trying again");
        }
        NewState::Failed => {
            warn!(delivery = id, %event, %integration, reason, "given up; it is kept as a dead letter");
        }
        NewState::Expired => {
            warn!(delivery = id, %event, %integration, "too old to be told; it is kept as a dead letter");
        }
        NewState::Cancelled => info!(delivery = id, %event, %integration, reason, "cancelled"),
    }
}

fn record(report: &Report, at: Timestamp) -> AttemptRecord {
    let latency_ms = report.took.map_or(0, |took| u32::try_from(took.as_millis()).unwrap_or(u32::MAX));
    AttemptRecord {
        at,
        latency_ms,
        outcome: outcome_word(&report.outcome),
        status: report.status,
        note: note(report),
    }
}

fn outcome_word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Delivered => "delivered",
        Outcome::Failed(failure) => failure.consequence(),
        Outcome::Expired => "expired",
        Outcome::Cancelled(_) => "cancelled",
    }
}

fn note(report: &Report) -> String {
    match &report.outcome {
        Outcome::Delivered => String::new(),
        Outcome::Failed(failure) => failure.why().to_owned(),
        Outcome::Expired => "older than this adapter's patience".to_owned(),
        Outcome::Cancelled(why) => why.clone(),
    }
}

/// A number from 0 up to 1, from a fresh UUID's random bits: no more randomness is needed, and no more dependencies.
pub(super) fn jitter() -> f64 {
    let (_, random) = uuid::Uuid::now_v7().as_u64_pair();
    f64::from((random & 0xFFFF_FFFF) as u32) / f64::from(u32::MAX)
}

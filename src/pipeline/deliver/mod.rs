//! Deliver: a delivery becomes attempts.
//!
//! One task, the [`Deliverer`], owns all deliveries in flight. It asks the scheduler which delivery is next and the
//! pace whether the delivery may start. It runs the attempts, calls [`super::retry::decide`] with each outcome, and
//! sends the decisions to the writer. [`DelivererHandle`] is its handle.

mod admit;
mod fresh;
mod handle;
mod one_at_a_time;
mod revalidate;
mod settle;
mod start;
mod unknown_integrations;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::attempt::{Attempter, Report};
use super::condition::Condition;
use super::events_in_hand::EventsInHand;
use super::in_hand::InHand;
use super::outbox_writer::{Batch, Command, Event, OutboxWriter};
use super::retry::{Outcome, Policy};
use super::scheduler::{After, Bounds, Job, JobEvent, Scheduler};
use super::unwritten::{Stopped, Unkept, Unwritten};
use super::{Config, after};
use crate::adapters::{self, Deliveries};
use crate::integration::Integration;
use crate::store::{
    Claimed, Delivery, DeliveryId, DestinationKey, EventLog, HoldKey, Kept, Lane, NodeId, Outbox, Portion,
};
use crate::wire::pace::Pace;
pub use handle::DelivererHandle;
pub(super) use handle::Fresh;
use handle::{Backlogged, Input};
use one_at_a_time::OneAtATime;
use revalidate::{Revalidated, Revalidations};
use unknown_integrations::UnknownIntegrations;

/// The most unwritten outcomes, in addition to the attempts under way. After a crash, at most these attempts are
/// repeated.
const MAY_BE_UNWRITTEN: usize = 256;
/// How often to look for rows that were not handed over: resent rows, and rows of another node or of a former run.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The most messages taken from a channel at once.
const AT_ONCE: usize = 256;
/// Jobs kept in memory for one destination.
const PER_DESTINATION: usize = 256;
/// How long a destination waits before it is considered again, while the outcome of its last attempt is not written.
const WHILE_STOPPED: Duration = Duration::from_secs(1);
/// The least time that the writer gets at shutdown.
const WRITTEN_WITHIN: Duration = Duration::from_secs(4);
/// The most rows that one claim brings for one destination. It is small, so that many destinations fit into the memory.
const PORTION: Portion = Portion { rows: 16, bytes: 256 << 10 };

/// The components of a deliverer.
pub struct Deps {
    pub config: Config,
    pub policy: Policy,
    pub node: NodeId,
    pub outbox: Arc<dyn Outbox>,
    pub event_log: Arc<dyn EventLog>,
    pub events_in_hand: EventsInHand,
    /// The prefetch that is assumed until a source reports its own.
    pub prefetch: usize,
    pub attempts: Attempter,
    pub pace: Arc<Pace>,
    pub condition: Condition,
    pub tasks: TaskTracker,
}

/// Something that ended.
enum Completed {
    Attempt(Box<Finished>),
    Revalidated(Box<Revalidated>),
    /// The attempt was not made, because another node has the row by now.
    Lost(Box<Job>),
}

/// An attempt that ended.
struct Finished {
    job: Job,
    /// The integration as it was when the attempt began; `None` where there was none.
    integration: Option<Arc<Integration>>,
    report: Report,
    at: Timestamp,
}

/// The task that delivers: what it works with, and what only lives while it runs.
pub struct Deliverer {
    deps: Deps,
    inputs: mpsc::UnboundedReceiver<Input>,
    backlogged: Backlogged,
    scheduler: Scheduler,
    commands: mpsc::UnboundedSender<Command>,
    events: mpsc::UnboundedReceiver<Event>,
    /// The writer's task. It returns whether everything was written.
    writing: JoinHandle<bool>,
    /// The attempts and the readings of the store that are under way.
    under_way: FuturesUnordered<BoxFuture<'static, Completed>>,
    /// Events whose deliveries are attempted before they are rows.
    in_hand: InHand,
    /// Beyond so many, the oldest of them become rows.
    most_in_hand: usize,
    /// The sum of the prefetches of all sources.
    prefetch: usize,
    /// Events to be kept, which are written together.
    to_keep: Vec<Kept>,
    to_keep_since: Option<Timestamp>,
    /// How many deliveries wait until the events to be kept are written.
    awaited: usize,
    /// The bytes of events that wait to be written to the event log.
    logged: Arc<AtomicUsize>,
    /// Settlements that were sent to the writer and are not written yet. They are bounded, because their messages are
    /// sent again after a power cut.
    unwritten: usize,
    /// What must not start, because the store refuses outcomes.
    stopped: Stopped,
    renewal: OneAtATime,
    poll: OneAtATime,
    /// Ends the writer's attempts to reach an unavailable store.
    give_up: CancellationToken,
    /// When the leases were prolonged last.
    renewed: Timestamp,
    /// When this node was last found cut off from the store. Renewals that were requested earlier do not count.
    cut_off_at: Timestamp,
    revalidations: Revalidations,
    unknown_integrations: UnknownIntegrations,
}

impl Deliverer {
    /// A deliverer, and the handle to it.
    pub fn new(deps: Deps) -> (Self, DelivererHandle) {
        let backlogged = Backlogged::default();
        let logged = Arc::default();
        let (handle, inputs) = DelivererHandle::open(&deps, Arc::clone(&backlogged), &logged);
        let (commands, command_receiver) = mpsc::unbounded_channel();
        let (event_sender, events) = mpsc::unbounded_channel();
        let give_up = CancellationToken::new();
        let writer = OutboxWriter {
            outbox: Arc::clone(&deps.outbox),
            event_log: Arc::clone(&deps.event_log),
            node: deps.node.clone(),
            lease: deps.config.lease,
            portion: PORTION,
            clock: deps.attempts.clock.clone(),
            commands: command_receiver,
            events: event_sender,
            concurrency: deps.config.concurrency,
            condition: deps.condition.clone(),
            broken_until: None,
            unwritten: Unwritten::new(Instant::now()),
            unkept: Unkept::default(),
            held_back: Batch::default(),
            give_up: give_up.clone(),
        };
        let bounds = Bounds {
            concurrency: deps.config.concurrency,
            per_destination: PER_DESTINATION,
            buffer: deps.config.buffer,
            portion: PORTION,
        };
        let deliverer = Self {
            inputs,
            backlogged,
            scheduler: Scheduler::new(bounds, deps.attempts.holds.clone()),
            commands,
            events,
            writing: deps.tasks.spawn(writer.run()),
            under_way: FuturesUnordered::new(),
            in_hand: InHand::default(),
            most_in_hand: most_in_hand(deps.prefetch),
            prefetch: 0,
            to_keep: Vec::new(),
            to_keep_since: None,
            awaited: 0,
            logged,
            unwritten: 0,
            stopped: Stopped::default(),
            renewal: OneAtATime::default(),
            poll: OneAtATime::default(),
            give_up,
            renewed: deps.attempts.clock.now(),
            cut_off_at: Timestamp::MIN,
            revalidations: Revalidations::default(),
            unknown_integrations: UnknownIntegrations::new(deps.config.unknown_integration_grace),
            deps,
        };
        (deliverer, handle)
    }

    /// Delivers until `stop`. `asked` is cancelled when the daemon is asked to end. From `asked` (or `stop`, if
    /// earlier) on, attempts in flight have `shutdown_timeout` to end. Then everything is written, and the leases of
    /// deliveries that were not attempted are released.
    pub async fn run(mut self, asked: CancellationToken, stop: CancellationToken) {
        let deadline = self.run_until(asked, stop).await;
        self.shut_down(deadline).await;
        drop(self.commands); // the writer ends when nothing more can come
        let written_by = deadline.max(Instant::now() + WRITTEN_WITHIN);
        let in_time = tokio::time::timeout_at(written_by, &mut self.writing).await;
        let has_written_all = if let Ok(ended) = in_time {
            ended
        } else {
            self.give_up.cancel();
            self.writing.await
        };
        if has_written_all.unwrap_or_default() {
            info!("stopped delivering; everything is written");
        } else {
            warn!("stopped delivering; the store did not take everything in time");
        }
    }

    /// Returns when attempts in flight have to end.
    async fn run_until(&mut self, asked: CancellationToken, stop: CancellationToken) -> Instant {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut renew = tokio::time::interval(self.deps.config.lease / 3);
        let (mut inputs, mut open) = (Vec::new(), true);
        let mut deadline = None;
        loop {
            self.start_attempts();
            self.keep_what_is_due(self.now());
            let wake = self.until_wake();
            tokio::select! {
                () = stop.cancelled() => {
                    return deadline.unwrap_or_else(|| Instant::now() + self.deps.config.shutdown_timeout);
                }
                () = asked.cancelled(), if deadline.is_none() => {
                    deadline = Some(Instant::now() + self.deps.config.shutdown_timeout);
                }
                taken = self.inputs.recv_many(&mut inputs, AT_ONCE), if open => {
                    open = taken > 0; // no handle is left: only what is in flight remains
                    for input in inputs.drain(..) {
                        self.on_input(input);
                    }
                }
                Some(completed) = self.under_way.next() => {
                    self.on_completed(completed);
                    for _ in 1..AT_ONCE {
                        let Some(Some(completed)) = self.under_way.next().now_or_never() else { break };
                        self.on_completed(completed);
                    }
                }
                Some(event) = self.events.recv() => self.on_event(event),
                _ = look.tick() => {
                    if self.leases_may_have_lapsed(self.now()) {
                        self.renew();
                    }
                    if self.poll.ask() {
                        self.send(Command::PollDue);
                    }
                }
                _ = renew.tick() => self.renew(),
                () = tokio::time::sleep(wake) => {}
            }
        }
    }

    /// Waits for attempts in flight until the deadline, and releases the leases of all others.
    async fn shut_down(&mut self, deadline: Instant) {
        self.inputs.close();
        for row in self.scheduler.drain() {
            // A delivery without a row comes again from its source.
            if !self.in_hand.contains(row) {
                self.send(Command::Release(row));
            }
        }
        while let Some(input) = self.inputs.recv().await {
            if let Input::Job(job) = input {
                self.send(Command::Release(job.delivery.id));
            }
        }
        let timeout = tokio::time::sleep_until(deadline);
        tokio::pin!(timeout);
        while self.scheduler.in_flight() > 0 {
            tokio::select! {
                Some(completed) = self.under_way.next() => match completed {
                    Completed::Attempt(finished) => self.settle(*finished),
                    Completed::Revalidated(row) => self.put_back(&row.job.delivery, self.now()),
                    Completed::Lost(job) => self.put_back(&job.delivery, self.now()),
                },
                () = &mut timeout => {
                    let left = self.scheduler.in_flight();
                    warn!(left, "`delivery.shutdown_timeout` is over; attempts in flight are left, and made again at the next start");
                    break;
                }
            }
        }
        // An event that was partly delivered must not come again from its source, so its other deliveries become rows.
        let spilled = self.in_hand.spill_all(&self.new_lease(self.now()));
        self.keep(spilled, self.now());
        self.keep_now();
    }

    /// Whether no lease was renewed for as long as leases last. Then another node may have leased the rows in memory.
    fn leases_may_have_lapsed(&self, now: Timestamp) -> bool {
        now >= after(self.renewed, self.deps.config.lease)
    }

    /// Whether another node may have leased the rows in memory, so that no attempt may start. Shares that this node
    /// took over from other nodes are paced as if every burst was used up.
    fn must_not_start(&mut self, now: Timestamp) -> bool {
        let nodes = self.deps.outbox.among_nodes();
        for share in &nodes.gained {
            self.deps.pace.used_up(share);
        }
        if nodes.is_cut_off {
            self.renewed = Timestamp::MIN;
            self.cut_off_at = now;
        }
        self.leases_may_have_lapsed(now)
    }

    fn now(&self) -> Timestamp {
        self.deps.attempts.clock.now()
    }

    /// Sends a command to the writer, behind the events to be kept: a claim must find the rows of these events.
    fn send(&mut self, command: Command) {
        self.keep_now();
        // The writer ends only after us.
        let _ = self.commands.send(command);
    }

    /// Prolongs the leases of the rows in memory.
    fn renew(&mut self) {
        if self.renewal.ask() {
            self.send_renewal();
        }
    }

    /// After a step of the clock, the age of the events in hand is unknown. So all of them become rows, and their
    /// leases are prolonged with those of the other rows.
    fn on_clock_stepped(&mut self, now: Timestamp) {
        let spilled = self.in_hand.spill_all(&self.new_lease(now));
        self.keep(spilled, now);
        self.renewed = self.renewed.min(now);
        self.cut_off_at = self.cut_off_at.min(now);
        if self.renewal.ask_anew() {
            self.send_renewal();
        }
        self.poll_anew();
        self.scheduler.clock_stepped(now);
    }

    fn until_wake(&self) -> Duration {
        let wakes = [self.scheduler.wake(), self.keep_at()];
        let Some(wake) = wakes.into_iter().flatten().min() else { return LOOK_EVERY };
        if self.leases_may_have_lapsed(self.now()) {
            return LOOK_EVERY; // nothing starts before the store has answered
        }
        // A moment that has just passed is now.
        Duration::try_from(wake.duration_since(self.now())).unwrap_or_default().min(LOOK_EVERY)
    }

    fn on_input(&mut self, input: Input) {
        let now = self.now();
        match input {
            Input::Fresh(events) => {
                for event in events {
                    self.take_in_hand(event, now);
                }
            }
            Input::KeepLanes(lanes, kept) => {
                let spilled = self.in_hand.spill_lanes(&lanes, &self.new_lease(now));
                self.keep(spilled, now);
                self.send(Command::Flush(kept));
            }
            Input::Prefetch { before, is } => {
                self.prefetch = self.prefetch.saturating_sub(before) + is;
                self.most_in_hand = most_in_hand(self.prefetch);
            }
            Input::Spill(event) => {
                let spilled = self.in_hand.spill_event(&event, &self.new_lease(now));
                self.keep(spilled, now);
            }
            Input::Log(events) => self.send(Command::Log(events)),
            Input::Job(job) => {
                let job = Job { concurrency: self.concurrency(&job.delivery), ..*job };
                let key = Arc::clone(&job.delivery.destination);
                let back = self.scheduler.enqueue(job, now);
                self.give_back(back);
                self.note_backlogged(&key);
            }
            Input::Written(delivery) => {
                let back = self.scheduler.note_written(&delivery, now);
                self.give_back(back);
                self.note_backlogged(&delivery.destination);
            }
            Input::Backlog(key) => {
                self.scheduler.note_backlog(&key, now, now);
                self.note_backlogged(&key);
            }
            // The store's holds come with the next poll.
            Input::HoldsChanged => self.poll_anew(),
            Input::ClockStepped => self.on_clock_stepped(now),
            Input::Flush(flushed) => self.send(Command::Flush(flushed)),
        }
        self.send_claims();
    }

    fn on_event(&mut self, event: Event) {
        let now = self.now();
        match event {
            Event::Claimed(claimed) => {
                for claimed in claimed {
                    self.take_claimed(claimed, now);
                }
            }
            Event::Renewed { asked, lost } => {
                if asked > self.cut_off_at {
                    self.renewed = asked;
                }
                self.forget_revalidations(&lost);
                self.scheduler.forget(&lost, now);
                self.on_renewal_answered();
            }
            Event::NotRenewed => self.on_renewal_answered(),
            Event::Polled => {
                if self.poll.answered() {
                    self.send(Command::PollDue);
                }
            }
            Event::Written { outcomes, holds } => self.on_written(&outcomes, &holds, now),
            Event::Kept(events) => {
                for event in events {
                    self.on_written(&event.outcomes, &event.holds, now);
                    self.deps.events_in_hand.leave(&event.id, event.refused.as_ref());
                }
            }
            Event::Logged(bytes) => drop(self.logged.fetch_sub(bytes, Ordering::Relaxed)),
            Event::Unwritten(stopped) => self.stopped = stopped,
            Event::Holds(holds) => {
                for key in self.deps.attempts.holds.sync(holds, now) {
                    self.scheduler.resume(&key, now);
                    self.note_backlogged(&key);
                }
            }
            Event::NotClaimed(keys) => {
                for key in &keys {
                    self.scheduler.claim_failed(key);
                }
            }
            Event::Waiting(waiting) => {
                for (key, at) in waiting {
                    self.scheduler.note_backlog(&key, at, now);
                    self.note_backlogged(&key);
                }
            }
        }
        self.send_claims();
    }

    /// Notes that outcomes are on disk: later jobs of their lanes may start.
    fn on_written(
        &mut self,
        outcomes: &[(DestinationKey, Lane, DeliveryId)],
        holds: &[HoldKey],
        now: Timestamp,
    ) {
        self.unwritten = self.unwritten.saturating_sub(outcomes.len());
        for (destination, lane, delivery) in outcomes {
            self.scheduler.written(destination, *lane, *delivery, now);
        }
        if !holds.is_empty() {
            self.deps.attempts.holds.written(holds);
        }
    }

    fn take_claimed(&mut self, claimed: Claimed, now: Timestamp) {
        let Claimed { destination, deliveries, more } = claimed;
        let jobs = deliveries.into_iter().map(|(delivery, event)| Job {
            concurrency: self.concurrency(&delivery),
            entered: delivery.fresh_since,
            event: JobEvent::Stored(event),
            catalog_is_fresh: false,
            holds_are_fresh: false,
            delivery,
            _permit: None,
        });
        let jobs: Vec<_> = jobs.collect();
        let back = self.scheduler.claimed(&destination, jobs, more, now);
        self.give_back(back);
        self.note_backlogged(&destination);
    }

    fn concurrency(&self, delivery: &Delivery) -> usize {
        self.deliveries_of(delivery).map_or(1, |deliver| deliver.about.concurrency)
    }

    fn looks_first(&self, delivery: &Delivery) -> bool {
        self.deliveries_of(delivery).is_some_and(|deliver| deliver.looks_first)
    }

    /// The adapter's properties for deliveries.
    fn deliveries_of(&self, delivery: &Delivery) -> Option<&'static Deliveries> {
        let integration = self.deps.attempts.catalog.integration(&delivery.integration);
        integration.and_then(|integration| adapters::find(integration.slug))?.deliver.as_ref()
    }

    fn give_back(&mut self, jobs: impl IntoIterator<Item = Job>) {
        for job in jobs {
            self.release(job.delivery.id);
        }
    }

    fn send_claims(&mut self) {
        for key in self.scheduler.take_claims() {
            self.send(Command::Claim(key));
        }
    }

    fn note_backlogged(&self, key: &DestinationKey) {
        let mut backlogged = self.backlogged.lock().unwrap_or_else(PoisonError::into_inner);
        if self.scheduler.has_backlog(key) {
            backlogged.insert(Arc::clone(key));
        } else {
            backlogged.remove(key);
        }
    }

    /// Starts attempts while the bounds allow.
    fn start_attempts(&mut self) {
        let concurrency = self.deps.config.concurrency.max(1);
        // Also where nothing may start: a timer that has passed would wake this task again at once.
        self.scheduler.fire_timers(self.now());
        while self.scheduler.in_flight() < concurrency
            && self.scheduler.in_flight() + self.unwritten < concurrency + MAY_BE_UNWRITTEN
            && !self.stopped.is_all(concurrency)
        {
            let now = self.now();
            if self.must_not_start(now) {
                break;
            }
            let Some(mut job) = self.scheduler.next(now) else { break };
            if job.delivery.started {
                if !self.looks_first(&job.delivery) {
                    // This comes before anything that makes the row wait, because a wait would remove the mark.
                    self.give_up_started(job, now);
                    continue;
                }
                // The interrupted attempt counts, so that it is remembered after the mark is removed.
                job.delivery.attempts += 1;
                job.delivery.started = false;
            }
            if self.stopped.includes(&job.delivery) {
                self.scheduler.defer(job, after(now, WHILE_STOPPED), now);
                continue;
            }
            if let Some(until) = self.deps.attempts.holds.route_until(&job.delivery, now) {
                // The store knows of the hold, and hands out the row again when the hold ends.
                self.release(job.delivery.id);
                let back = self.scheduler.finish(&job.delivery, After::Waiting(until), now);
                self.give_back(back);
                continue;
            }
            match self.deps.attempts.prepare(&job.delivery) {
                Ok(prepared) => {
                    self.unknown_integrations.seen(&job.delivery.integration);
                    self.admit(job, prepared, now);
                }
                Err(Report { outcome: Outcome::Cancelled(_), .. }) if !job.catalog_is_fresh => {
                    self.revalidate(job);
                }
                // Another node, or a person's command, may have ended the hold and made the row due.
                Err(Report { outcome: Outcome::SwitchedOff(_), .. }) if !job.holds_are_fresh => {
                    self.revalidate(job);
                }
                Err(report) => {
                    let report = self.leave_to_other_nodes(&job.delivery, report, now);
                    let integration = self.deps.attempts.catalog.integration(&job.delivery.integration);
                    self.settle(Finished { job, integration, report, at: now });
                }
            }
        }
        self.send_claims();
    }

    fn on_completed(&mut self, completed: Completed) {
        match completed {
            Completed::Attempt(finished) => self.settle(*finished),
            Completed::Revalidated(row) => self.on_revalidated(*row),
            Completed::Lost(job) => self.put_back(&job.delivery, self.now()),
        }
    }
}

/// The most events in hand from sources of this prefetch. It is less than the prefetch, because a source that has reached its
/// prefetch brings no further event.
fn most_in_hand(prefetch: usize) -> usize {
    (prefetch / 4 * 3).max(1)
}

/// A number from 0 up to 1, from a fresh UUID's random bits: no more randomness is needed, and no more dependencies.
pub(super) fn jitter() -> f64 {
    let (_, random) = uuid::Uuid::now_v7().as_u64_pair();
    f64::from((random & 0xFFFF_FFFF) as u32) / f64::from(u32::MAX)
}

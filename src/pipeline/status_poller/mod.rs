//! Polls services after events: for the results of builds, and whether a tracker can be reached.
//!
//! A delivery to a build service leaves a [`Watch`] in the store, in the commit that records the
//! delivery; a push leaves one for a service that is only asked, or that is [probed](crate::adapters::contract::Probe) after
//! pushes. [`StatusPoller`] claims the watches that are due, asks at
//! the pace of the service, and writes what the service said. A watch is a row with a due time, and nodes that share a store
//! share the work. A slow service delays only the questions to itself.
//!
//! `turns` decides which question is next, `schedule` when to ask again, and `announcement` turns a result into an
//! event for people. All three are pure. `probing` asks whether services can be reached.

mod announcement;
mod probing;
mod schedule;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use self::turns::{Due, Turn, Turns};
use super::attempt::{End, run};
use super::holds::{HeldAnswer, Holds};
use super::live::Live;
use super::retry::throttled_until;
use super::{Clock, after, build_watch, store_calls};
use crate::adapters::contract::BuiltCommit;
use crate::adapters::{self, Entry, OperatorSettings};
use crate::call::{CommitStatus, Failure};
use crate::catalog::Catalog;
use crate::event::Event;
use crate::integration::{Integration, IntegrationId};
use crate::metrics;
use crate::store::{DestinationKey, Hold, HoldCause, SettledWatch, Watch, WatchKind, Watches};
use crate::wire::Transport;
use crate::wire::pace::Pace;
pub use announcement::announcement;
pub use schedule::Config;

/// The longest pause between two looks into the store.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The shortest pause between two looks.
const SHORTEST_LOOK: Duration = Duration::from_millis(50);
/// The most watches that one claim takes.
const AT_ONCE: usize = 64;
/// How long a service is not asked with a login that it refused. A correction of the settings ends the wait.
const REFUSED_LOGIN_RESTS: Duration = Duration::from_secs(3600);
/// After this time, another node may claim a claimed watch. It is longer than two chains of calls can take, because a
/// watch may wait for another one.
const HIDDEN_FOR: Duration = Duration::from_secs(180);
/// How long a watch waits if this node does not know its integration, because another node may know it.
const UNKNOWN_INTEGRATION: Duration = Duration::from_secs(20);

/// Asks build services about commits, and services whether they can be reached.
pub struct StatusPoller {
    pub config: Config,
    /// When services are asked whether they can be reached.
    pub probes: Config,
    pub operator: Live<OperatorSettings>,
    pub watches: Arc<dyn Watches>,
    pub catalog: Arc<dyn Catalog>,
    pub transport: Arc<dyn Transport>,
    pub pace: Arc<Pace>,
    pub holds: Holds,
    pub clock: Clock,
    /// Wakes the reader of the inbox, where announcements are put.
    pub arrived: Arc<Notify>,
}

/// The result of a watch that was due.
enum Answered<T> {
    /// The service said this.
    Said(T),
    /// The service did not say anything useful.
    Failed { why: String, wait: Option<Duration> },
    /// It is too early to ask. This does not count as a question.
    Early(Timestamp),
    /// The watch is over: there is nothing to ask for any more.
    Over(String),
}

impl StatusPoller {
    /// Polls until told to stop. A question under way is then dropped, and its watch is due again later.
    pub async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = Arc::new(self).ask_in_turn() => {}
        }
    }

    /// Begins questions when they are due. A question never waits for one to another destination.
    async fn ask_in_turn(self: Arc<Self>) {
        let (mut turns, mut under_way) = (Turns::new(), JoinSet::new());
        let mut look_at = Instant::now();
        loop {
            let due = tokio::select! {
                Some(ended) = under_way.join_next() => match ended {
                    Ok(Some(turn)) => turns.ended(&turn, self.clock.now()),
                    Ok(None) => Vec::new(),
                    Err(error) => match error.try_into_panic() {
                        Ok(panic) => std::panic::resume_unwind(panic),
                        Err(_) => return, // the runtime ends
                    },
                },
                () = tokio::time::sleep_until(look_at), if turns.places() > 0 => {
                    let (watches, pause) = self.look(turns.places().min(AT_ONCE)).await;
                    look_at = Instant::now() + pause;
                    let now = self.clock.now();
                    let due = watches.into_iter().filter_map(|watch| turns.take(self.destination(&watch), watch, now));
                    due.collect()
                }
            };
            for due in due {
                under_way.spawn(Arc::clone(&self).carry_out(due));
            }
        }
    }

    /// Claims watches that are due, up to a number. Returns how long to pause as well.
    async fn look(&self, at_most: usize) -> (Vec<Watch>, Duration) {
        let now = self.clock.now();
        let claimed = match self.watches.claim_watches(now, after(now, HIDDEN_FOR), at_most).await {
            Ok(claimed) => claimed,
            Err(error) => {
                store_calls::log(&error, "read which builds are due");
                return (Vec::new(), LOOK_EVERY);
            }
        };
        if claimed.watches.len() == at_most {
            return (claimed.watches, Duration::ZERO);
        }
        let next = claimed.next.map(|next| next.duration_since(self.clock.now()));
        let until_next = next.map_or(LOOK_EVERY, |wait| Duration::try_from(wait).unwrap_or_default());
        (claimed.watches, until_next.clamp(SHORTEST_LOOK, LOOK_EVERY))
    }

    /// The destination of a question. A watch that needs no question gets a unique destination.
    fn destination(&self, watch: &Watch) -> String {
        let pace = self.catalog.integration(&watch.integration).and_then(|integration| {
            let (entry, settings) = (adapters::find(integration.slug)?, &integration.settings);
            match watch.kind {
                WatchKind::Build => entry.status.as_ref().map(|status| status.pace(settings)),
                WatchKind::Probe => entry.probe.as_ref().map(|probe| probe.pace(settings)),
            }
        });
        pace.map_or_else(|| format!("watch {}", watch.number), |pace| pace.destination.key.0.to_string())
    }

    /// Asks about the watch or puts it off. Returns the turn of a question that was asked.
    async fn carry_out(self: Arc<Self>, due: Due<Watch>) -> Option<Turn> {
        match due {
            Due::Ask(watch, turn) => {
                self.follow(watch).await;
                Some(turn)
            }
            Due::PutOff(watch, until) => {
                self.put_off(&watch, until).await;
                None
            }
        }
    }

    async fn put_off(&self, watch: &Watch, until: Timestamp) {
        let now = self.clock.now();
        let settled = match watch.kind {
            WatchKind::Build => settle(watch, &Answered::Early(until), &self.config, now),
            WatchKind::Probe => probing::settle(watch, &Answered::Early(until), &self.probes, now),
        };
        if let Err(error) = self.watches.settle_watch(settled).await {
            store_calls::log(&error, "put off a question to a service that has others to answer");
        }
    }

    async fn follow(&self, watch: Watch) {
        let integration = self.catalog.integration(&watch.integration);
        if watch.kind == WatchKind::Probe {
            return self.follow_probe(watch, integration.as_deref()).await;
        }
        let (answered, begin) = self.ask(&watch, integration.as_deref()).await;
        let now = self.clock.now();
        let mut settled = SettledWatch { begin, ..settle(&watch, &answered, &self.config, now) };
        if let Some(integration) = integration.filter(|integration| integration.announce_result)
            && let Some(entry) = adapters::find(integration.slug)
        {
            settled.announce = self.announced(&watch, &settled, entry).await;
        }
        log(&watch, &settled);
        let held: Vec<_> = settled.begin.iter().map(|hold| hold.key.clone()).collect();
        match self.watches.settle_watch(settled).await {
            Ok(true) => self.arrived.notify_one(),
            Ok(false) => {}
            // The watch is due again when its claim ends. The holds that follow from the answer last until the next poll.
            Err(error) => store_calls::log(&error, "write what became of a build"),
        }
        self.holds.written(&held);
    }

    /// The event for a result, if people are to be notified of it.
    async fn announced(&self, watch: &Watch, settled: &SettledWatch, entry: &Entry) -> Option<Event> {
        if !ends(settled) {
            return None;
        }
        let before = self.watches.outcome_before(watch).await.unwrap_or_else(|error| {
            store_calls::log(&error, "read how the build before went");
            None
        });
        announcement(watch, settled, entry.about.title, before)
    }

    /// The integration of a watch. The error is the watch's result where there is no usable integration.
    fn current<'a, T>(
        &self,
        id: &IntegrationId,
        integration: Option<&'a Integration>,
    ) -> Result<&'a Integration, Answered<T>> {
        let Some(integration) = integration else {
            if self.catalog.hangs_on_files(id) {
                return Err(Answered::Early(after(self.clock.now(), UNKNOWN_INTEGRATION)));
            }
            return Err(Answered::Over("the integration was removed".to_owned()));
        };
        if !integration.active {
            return Err(Answered::Over("the integration is not active any more".to_owned()));
        }
        Ok(integration)
    }

    /// When the service may be asked, if not now. `None` means now, and the pace has counted the question.
    fn must_wait(&self, pace: &crate::call::Pace) -> Option<Timestamp> {
        let now = self.clock.now();
        let destination: DestinationKey = Arc::clone(&pace.destination.key.0);
        let held = self.holds.buckets_until(pace.buckets(), now);
        // A held destination is not asked.
        let held = held.max(self.holds.destination_until(&destination, now));
        held.or_else(|| self.pace.admit(pace).err().map(|wait| after(now, wait)))
    }

    /// Asks the service. Returns the result of the watch, and the holds that follow from it.
    async fn ask(
        &self,
        watch: &Watch,
        integration: Option<&Integration>,
    ) -> (Answered<CommitStatus>, Vec<Hold>) {
        let integration = match self.current(&watch.integration, integration) {
            Ok(integration) => integration,
            Err(answered) => return (answered, Vec::new()),
        };
        let Some(asked) = adapters::find(integration.slug).and_then(|entry: &Entry| entry.status.as_ref())
        else {
            let why = format!("{} is not asked for builds", integration.slug);
            return (Answered::Over(why), Vec::new());
        };
        let pace = asked.pace(&integration.settings);
        if let Some(until) = self.must_wait(&pace) {
            return (Answered::Early(until), Vec::new());
        }
        let branch = build_watch::built_branch(watch);
        let commit = BuiltCommit { sha: &watch.sha, ref_name: &branch, project: &watch.project };
        let end = match asked.status(&integration.settings, &commit) {
            Ok(call) => run(&*self.transport, call, asked.calls).await.end,
            Err(failure) => End::Failed(failure),
        };
        let (answered, begin) = match end {
            End::Done(status) => (Answered::Said(status), Vec::new()),
            End::Skipped(why) | End::NotNeeded(why) => (Answered::Failed { why, wait: None }, Vec::new()),
            End::Failed(failure) => (failed(&failure), self.hold(&pace, &failure, integration)),
        };
        metrics::build_status(integration.slug, answered.name());
        (answered, begin)
    }

    /// Holds what a service throttled, and a login that it refuses. The holds must be written, and [`Holds::written`] called.
    fn hold(&self, pace: &crate::call::Pace, failure: &Failure, integration: &Integration) -> Vec<Hold> {
        let now = self.clock.now();
        let (cause, until, shared) = match failure {
            Failure::Throttled { wait, shared, .. } => {
                (HoldCause::Throttled, throttled_until(*wait, now), *shared)
            }
            Failure::LoginRefused(_) => (HoldCause::Misconfigured, after(now, REFUSED_LOGIN_RESTS), false),
            Failure::OperatorError(_) => (HoldCause::OperatorError, after(now, REFUSED_LOGIN_RESTS), false),
            _ => return Vec::new(),
        };
        let reason = failure.to_string();
        let answered = HeldAnswer { integration, cause, reason: &reason, until, now };
        let change = self.holds.snapshot().held_by_answer(pace, shared, &answered);
        self.holds.apply(&change, now);
        change.begin
    }
}

/// Whether the build has ended with a known result.
fn ends(settled: &SettledWatch) -> bool {
    settled.again.is_none() && settled.seen.as_ref().is_some_and(|seen| seen.state.is_final())
}

impl Answered<CommitStatus> {
    /// The answer in one word of a fixed set, for metrics.
    const fn name(&self) -> &'static str {
        match self {
            Self::Said(status) => status.state.name(),
            Self::Failed { .. } => "failed",
            Self::Early(_) => "early",
            Self::Over(_) => "over",
        }
    }
}

fn failed<T>(failure: &Failure) -> Answered<T> {
    let wait = match failure {
        Failure::Throttled { wait, .. } | Failure::Unavailable { wait, .. } => *wait,
        _ => None,
    };
    Answered::Failed { why: failure.to_string(), wait }
}

/// The next state of a watch after an answer. Pure. The caller adds announcements.
fn settle(watch: &Watch, answered: &Answered<CommitStatus>, config: &Config, now: Timestamp) -> SettledWatch {
    let settled = SettledWatch {
        number: watch.number,
        polls: watch.polls + 1,
        seen: None,
        note: String::new(),
        at: now,
        again: None,
        announce: None,
        begin: Vec::new(),
    };
    let again = |wait: Option<Duration>| {
        let next = config.next(settled.polls, watch.since, now)?;
        Some(wait.map_or(next, |wait| next.max(after(now, wait))))
    };
    match answered {
        Answered::Said(status) if status.state.is_final() => {
            SettledWatch { seen: Some(status.clone()), ..settled }
        }
        Answered::Said(status) => {
            let again = again(None);
            let note = if again.is_none() { config.given_up() } else { String::new() };
            SettledWatch { seen: Some(status.clone()), note, again, ..settled }
        }
        Answered::Failed { why, wait } => match again(*wait) {
            Some(again) => SettledWatch { note: why.clone(), again: Some(again), ..settled },
            None => {
                SettledWatch { note: format!("{}; the last answer: {why}", config.given_up()), ..settled }
            }
        },
        Answered::Early(until) if config.is_too_old(watch.since, now) => {
            let note = format!("{}; it could not be asked before {until:.0}", config.given_up());
            SettledWatch { polls: watch.polls, note, ..settled }
        }
        Answered::Early(until) => {
            let note = watch.note.clone();
            SettledWatch { polls: watch.polls, note, again: Some(*until), ..settled }
        }
        Answered::Over(why) => SettledWatch { polls: watch.polls, note: why.clone(), ..settled },
    }
}

fn log(watch: &Watch, settled: &SettledWatch) {
    let (integration, sha, ref_name) = (&watch.integration, &watch.sha, &watch.ref_name);
    let state = settled.seen.as_ref().map(|seen| seen.state.name());
    match (&settled.again, state) {
        (None, Some(state)) => info!(%integration, sha, ref_name, state, "the build ended"),
        (None, None) => {
            info!(%integration, sha, ref_name, why = settled.note, "the build is no longer watched");
        }
        (Some(until), _) => {
            debug!(%integration, sha, ref_name, state, why = settled.note, %until, "asking again");
        }
    }
}

#[cfg(test)]
mod tests;

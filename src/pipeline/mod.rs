//! The pipeline: from a source, through the outbox, to people.
//!
//! Its parts, in the order in which an event meets them:
//!
//! - [`source::Source`] brings batches of inbound bytes and takes acknowledgements: [`amqp`] from a broker,
//!   [`inbox_source`] from the store's inbox. Everything behind them is common.
//! - [`dispatch`] decodes and matches a batch, and acknowledges a message when its outcome is committed. It puts
//!   messages that it cannot decode in quarantine, which has bounds ([`bounded_quarantine`]). It hands events to the
//!   deliverer before their deliveries are rows, or writes the rows first. [`events_in_hand`] has the ids of the events
//!   without rows.
//! - [`deliver`] owns the deliveries in flight, and `in_hand` the events without rows. The `scheduler` decides, purely,
//!   which delivery is next, in which order and at which pace. All writes to the store go through the `outbox_writer`,
//!   in order.
//! - [`attempt`] makes one attempt: message, call, send, read.
//! - [`retry`] decides, purely, what follows from the outcome, and [`holds`] remembers what must wait because of that.
//! - [`status_poller`] asks build services for the results of the builds that deliveries triggered, and asks trackers
//!   whether they can be reached.
//! - [`test_send`] makes an attempt or a probe as a test, and reports everything that went over the wire.
//! - [`standing`] lists the current problems, purely, and [`addresses`] the dead addresses. [`parts`] asks the broker,
//!   the mail relay and the forge whether they answer.
//! - [`live`] has values that a reload of the settings replaces.
//! - [`explain`] corrects what dispatch would do by what an attempt would leave out, [`reasons`] has the texts for why
//!   nothing is sent, and [`then_and_now`] compares the past result of an event with the result under current settings.
//!   [`trace`] shows requests and answers, and [`quarantine`] decodes quarantined messages again.
//!
//! Deliberately absent: SQL, HTTP, and retries by sleeping. A waiting delivery is a row with a due time.

pub mod addresses;
pub mod amqp;
pub mod attempt;
pub mod bounded_quarantine;
mod build_watch;
pub mod condition;
pub mod deliver;
pub mod dispatch;
pub mod events_in_hand;
pub mod explain;
mod halves;
pub mod holds;
mod in_hand;
pub mod inbox_source;
pub mod live;
mod open_requests;
mod outbox_writer;
pub mod parts;
mod probe_watch;
pub mod quarantine;
pub mod reasons;
pub mod rendered;
pub mod resume;
pub mod retry;
mod scheduler;
pub mod source;
pub mod standing;
pub mod status_poller;
pub mod store_calls;
pub mod test_send;
#[cfg(test)]
mod tests;
pub mod then_and_now;
pub mod trace;
mod unwritten;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

/// The clock: given as a value, so that tests can set the time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// `[delivery]`: how deliveries are processed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The number of attempts that run at the same time, over all destinations.
    pub concurrency: usize,
    /// The number of deliveries in memory; others wait in the store. A delivery of a large event counts once for each
    /// 16 KiB.
    pub buffer: usize,
    /// How long a delivery is leased to the node that has it in hand, unless the lease is prolonged. The limit frees
    /// rows whose lease no node remembers. The rows of a failed node are taken over sooner (see
    /// [`crate::store::postgres`]).
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub lease: Duration,
    /// When the daemon is told to stop, attempts in flight have this time to end. Then the outcomes are written.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub shutdown_timeout: Duration,
    /// How long a delivery whose integration this node does not know waits before it is cancelled, so that a node that
    /// knows it can send it. Zero where no other node shares the store.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub unknown_integration_grace: Duration,
    /// The number of failures in a row after which deliveries to a destination pause.
    pub breaker_threshold: u32,
    /// The longest pause for a destination that keeps failing.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub breaker_max: Duration,
}

/// A duration as `jiff` knows it, for arithmetic on timestamps; ten years where it would not fit.
fn signed(duration: Duration) -> jiff::SignedDuration {
    const TEN_YEARS: jiff::SignedDuration = jiff::SignedDuration::from_hours(24 * 365 * 10);
    jiff::SignedDuration::try_from(duration).unwrap_or(TEN_YEARS).min(TEN_YEARS)
}

/// `at + duration`, or the end of time.
fn after(at: Timestamp, duration: Duration) -> Timestamp {
    at.checked_add(signed(duration)).unwrap_or(Timestamp::MAX)
}

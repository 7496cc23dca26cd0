//! One attempt: compose → call → send → read, and once more for services that want two calls.
//!
//! It works with the settings as they are now, not as they were when the delivery was written: a wrong webhook that was
//! corrected meanwhile is healed, and no secret needs to lie in a queue row.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tracing::debug;

use super::holds::Holds;
use super::retry::Outcome;
use super::scheduler::{Job, JobEvent};
use super::{Clock, signed};
use crate::adapters::contract::LazyMessage;
use crate::adapters::{self, Entry, Notification, OperatorSettings};
use crate::call::{Answer, Call, Failure, Pace, Receiver, Response, Sent};
use crate::catalog::Catalog;
use crate::digest::Digest;
use crate::event::{Event, Undecodable};
use crate::integration::Integration;
use crate::store::Delivery;
use crate::wire::{SendError, Transport};

/// What attempts are made with.
#[derive(Clone)]
pub struct Attempter {
    pub catalog: Arc<dyn Catalog>,
    pub transport: Arc<dyn Transport>,
    pub holds: Holds,
    pub clock: Clock,
    /// How old news may be, by slug, where it is not as the adapter says.
    pub max_age: Arc<BTreeMap<String, Duration>>,
    pub operator: Arc<OperatorSettings>,
}

/// A delivery whose integration was found to be there and willing.
pub(super) struct Prepared {
    pub(super) integration: Arc<Integration>,
    pub(super) entry: &'static Entry,
}

/// How an attempt went.
#[derive(Clone, Debug)]
pub struct Report {
    pub outcome: Outcome,
    /// The HTTP status of the last answer, or the mail relay's last reply, where there was one.
    pub status: Option<u16>,
    /// From the first byte sent to the last answer read; `None` where nothing was sent.
    pub took: Option<Duration>,
}

impl Report {
    /// The attempt ended in a panic of ours.
    pub(super) fn of_a_bug() -> Self {
        let why = "a bug of ours: the attempt ended in a panic".to_owned();
        Self::unsent(Outcome::Failed(Failure::Rejected(why)))
    }

    /// The event was readable when it was dispatched: another version of us wrote it, and may yet be the one that sends it.
    fn unreadable(error: &Undecodable) -> Self {
        let why =
            format!("this version of forgebell cannot read the event, which another one wrote: {error}");
        Self::unsent(Outcome::Failed(Failure::Deferred { wait: None, why }))
    }

    pub(super) fn unsent(outcome: Outcome) -> Self {
        Self { outcome, status: None, took: None }
    }
}

impl Attempter {
    /// Finds the delivery's integration; a report where there is nobody to tell any more.
    pub(super) fn prepare(&self, delivery: &Delivery) -> Result<Prepared, Report> {
        let cancelled = |why: String| Report::unsent(Outcome::Cancelled(why));
        let Some(integration) = self.catalog.integration(&delivery.integration) else {
            return Err(cancelled("the integration was removed".to_owned()));
        };
        if !integration.active {
            return Err(cancelled("the integration is not active any more".to_owned()));
        }
        if let Some(why) = self.holds.switched_off(&integration, &delivery.destination) {
            return Err(Report::unsent(Outcome::SwitchedOff(format!(
                "the integration is switched off: {why}"
            ))));
        }
        let Some(entry) = adapters::find(integration.slug) else {
            return Err(cancelled(format!("there is no adapter `{}`", integration.slug)));
        };
        let age = self.clock.now().duration_since(delivery.fresh_since);
        let own = entry.deliver.as_ref().map_or(Duration::MAX, |deliver| deliver.about.max_age);
        let max_age = self.max_age.get(integration.slug).copied().unwrap_or(own);
        if age > signed(max_age) {
            return Err(Report::unsent(Outcome::Expired));
        }
        Ok(Prepared { integration, entry })
    }

    /// Makes the attempt.
    pub(super) async fn make(&self, job: &Job, prepared: &Prepared) -> Report {
        let event = match &job.event {
            JobEvent::Decoded(event) => Arc::clone(event),
            JobEvent::Stored(stored) => match stored.decode() {
                Ok(event) => Arc::new(event),
                Err(error) => return Report::unreadable(&error),
            },
        };
        let outgoing = Outgoing {
            entry: prepared.entry,
            integration: &prepared.integration,
            event: &event,
            target: &job.delivery.target,
            id: &notification_id(&job.delivery),
            now: self.clock.now(),
            operator: &self.operator,
            may_have_been_sent: job.delivery.attempts > 0,
            test: false,
        };
        attempt(&*self.transport, outgoing).await
    }
}

impl Prepared {
    pub(super) fn pace(&self, delivery: &Delivery) -> Option<Pace> {
        self.entry.pace(&self.integration.settings, &delivery.target)
    }
}

/// Who is told of what, by whom.
#[derive(Clone, Copy)]
pub struct Outgoing<'a> {
    pub entry: &'static Entry,
    pub integration: &'a Integration,
    pub event: &'a Event,
    pub target: &'a str,
    /// See [`notification_id`].
    pub id: &'a str,
    pub now: Timestamp,
    pub operator: &'a OperatorSettings,
    /// See [`Notification::may_have_been_sent`].
    pub may_have_been_sent: bool,
    /// The message says of itself that it is a test, in every form that a person may see.
    pub test: bool,
}

/// One attempt to tell one target of one event.
pub async fn attempt(transport: &dyn Transport, outgoing: Outgoing<'_>) -> Report {
    match outgoing.build_call() {
        Ok(call) => {
            let Ran { end, status, took } = run(transport, call, outgoing.calls()).await;
            let outcome = match end {
                End::Done(sent) => Outcome::Delivered(sent),
                End::Skipped(why) => Outcome::Skipped(why),
                End::Failed(failure) => Outcome::Failed(failure),
            };
            Report { outcome, status, took: Some(took) }
        }
        Err(outcome) => Report::unsent(outcome),
    }
}

impl Outgoing<'_> {
    /// The call that an attempt begins with: what `send --dry-run` prints.
    ///
    /// # Errors
    /// The outcome, where nothing need be sent to know it.
    pub fn build_call(self) -> Result<Call<Sent>, Outcome> {
        let Self { entry, integration, event, target, id, now, operator, may_have_been_sent, test } = self;
        let message = LazyMessage::default();
        let note =
            Notification { id, event, target, now, operator, may_have_been_sent, is_test: test, message };
        entry.call(&integration.settings, &note).map_err(|failure| match note.without_message() {
            Some(why) => Outcome::Cancelled(why),
            None => Outcome::Failed(failure),
        })
    }

    /// How many calls it makes at most.
    fn calls(self) -> u32 {
        self.entry.deliver.as_ref().map_or(0, |deliver| deliver.about.calls)
    }
}

/// How a chain of calls ended.
pub(super) struct Ran<T> {
    pub(super) end: End<T>,
    /// The HTTP status of the last answer, or the mail relay's last reply, where there was one.
    pub(super) status: Option<u16>,
    /// From the first byte sent to the last answer read.
    pub(super) took: Duration,
}

/// What a chain of calls came to.
pub(super) enum End<T> {
    Done(T),
    Skipped(String),
    Failed(Failure),
}

/// Sends a call and those that its answers ask for, `at_most` in all: the one runner of calls, whatever they result in.
pub(super) async fn run<T>(transport: &dyn Transport, mut call: Call<T>, at_most: u32) -> Ran<T> {
    let started = Instant::now();
    let mut status = None;
    let end = 'calls: {
        for _ in 0..at_most {
            let Call { request, read, on_no_response, receiver } = call;
            debug!(?request, "sending");
            let answer = match (transport.send(&request).await, on_no_response) {
                (Ok(response), _) => {
                    status = status_of(&response);
                    read(&response)
                }
                (Err(error), Some(go_on)) => go_on(&error.to_string()),
                (Err(error), None) => Answer::Failed(failure_of(error)),
            };
            match answer {
                Answer::Done(value) => break 'calls End::Done(value),
                Answer::Skipped(why) => break 'calls End::Skipped(why),
                Answer::Failed(failure) => {
                    break 'calls End::Failed(match receiver {
                        Receiver::Service => failure,
                        Receiver::Other => failure.of_other_service(),
                    });
                }
                Answer::Next(next) => call = next,
            }
        }
        // A reader that asks for more than its adapter declares goes round in circles.
        End::Failed(Failure::Rejected(format!("still not done after {at_most} calls")))
    };
    Ran { end, status, took: started.elapsed() }
}

fn status_of(response: &Response) -> Option<u16> {
    match response {
        Response::Http(response) => Some(response.status),
        Response::Smtp(reply) => Some(reply.code),
        Response::Written => None,
    }
}

fn failure_of(error: SendError) -> Failure {
    match error {
        SendError::Refused(why) => Failure::Misconfigured(why),
        SendError::OperatorError(why) => Failure::OperatorError(why),
        SendError::NotSent(why) => Failure::Unavailable { maybe_taken: false, wait: None, why },
        SendError::NoAnswer(why) => Failure::Unavailable { maybe_taken: true, wait: None, why },
    }
}

/// The same on every attempt and every node, another one after a resend, and no other notification's.
pub fn notification_id(delivery: &Delivery) -> String {
    // A resend makes the delivery fresh, and nothing else does. Stores keep milliseconds.
    let since = delivery.fresh_since.as_millisecond().to_be_bytes();
    let parts = [delivery.event.as_str(), &delivery.integration.0, &delivery.target];
    Digest::of(parts.map(str::as_bytes).into_iter().chain([since.as_slice()])).hex(16)
}

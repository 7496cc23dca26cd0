//! One attempt: call → send → read, and on to the next call for services that want several.
//!
//! An attempt uses the settings of now, not those of the time when the delivery was written. So a delivery succeeds
//! after a wrong webhook is corrected, and no row in the queue needs to contain a secret.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tracing::{debug, warn};

use super::build_watch::watch_of;
use super::holds::Holds;
use super::live::Live;
use super::open_requests::open_request;
use super::retry::Outcome;
use super::scheduler::{Job, JobEvent};
use super::{Clock, signed};
use crate::adapters::contract::LazyMessage;
use crate::adapters::{
    self, Entry, Notification, OperatorSettings, ProjectLinks, open_request_starts_build, secrets_of,
};
use crate::call::{Answer, Call, Failure, Pace, Receiver, Request, Response, Sent, describe};
use crate::catalog::Catalog;
use crate::digest::Digest;
use crate::event::{Event, Undecodable};
use crate::integration::Integration;
use crate::settings::Secrets;
use crate::store::merge_requests::MergeRequests;
use crate::store::{Delivery, NewWatch};
use crate::wire::{SendError, Transport};

/// The components for attempts.
#[derive(Clone)]
pub struct Attempter {
    pub catalog: Arc<dyn Catalog>,
    pub transport: Arc<dyn Transport>,
    pub merge_requests: Arc<dyn MergeRequests>,
    pub holds: Holds,
    pub clock: Clock,
    /// How old an event may be, by slug, where the operator's setting replaces the adapter's `max_age`.
    pub max_age: Live<BTreeMap<String, Duration>>,
    pub operator: Live<OperatorSettings>,
    /// The pause between the trigger of a build and the first question after it.
    pub first_build_pause: Duration,
}

/// The integration of a delivery, found to exist and to be usable, with its adapter.
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
    /// What the service answered in the end to a delivery that it accepted, in words without secrets.
    pub answer: Option<String>,
    /// The build that the delivery triggered, if it is to be watched.
    pub watch: Option<Box<NewWatch>>,
}

/// How long a delivery waits when its integration's settings are not valid. A reload that corrects the settings makes
/// the delivery due earlier.
const UNUSABLE_WAIT: Duration = Duration::from_secs(30);

impl Report {
    /// The report of an attempt that panicked.
    pub(super) fn of_a_bug() -> Self {
        let why = "a bug of ours: the attempt ended in a panic".to_owned();
        Self::unsent(Outcome::Failed(Failure::Rejected(why)))
    }

    /// The report where the stored event can't be decoded. It could be decoded at dispatch, so another version of
    /// Forgebell wrote it and may still send it.
    fn unreadable(error: &Undecodable) -> Self {
        let why =
            format!("this version of forgebell cannot read the event, which another one wrote: {error}");
        Self::unsent(Outcome::Failed(Failure::Deferred { wait: None, why }))
    }

    pub(super) fn unsent(outcome: Outcome) -> Self {
        Self { outcome, status: None, took: None, answer: None, watch: None }
    }
}

impl Attempter {
    /// Finds the delivery's integration. The error is the report where no attempt can be made, for example because the
    /// integration was removed.
    pub(super) fn prepare(&self, delivery: &Delivery) -> Result<Prepared, Report> {
        let cancelled = |why: String| Report::unsent(Outcome::Cancelled(why));
        let Some(integration) = self.catalog.integration(&delivery.integration) else {
            if let Some(why) = self.catalog.unusable(&delivery.integration) {
                let slug = delivery.integration.0.rsplit_once(':').map_or("", |(_, slug)| slug);
                if adapters::find(slug).is_some_and(|entry| self.is_too_old(delivery, entry)) {
                    return Err(Report::unsent(Outcome::Expired));
                }
                let why = format!("the integration is off, because its settings are not valid: {why}");
                let wait = Some(UNUSABLE_WAIT);
                return Err(Report::unsent(Outcome::Failed(Failure::Deferred { wait, why })));
            }
            return Err(cancelled("the integration was removed".to_owned()));
        };
        if !integration.active {
            return Err(cancelled("the integration is not active any more".to_owned()));
        }
        let Some(entry) = adapters::find(integration.slug) else {
            return Err(cancelled(format!("there is no adapter `{}`", integration.slug)));
        };
        // Also where an address is switched off: otherwise deliveries to an address that is never corrected would be kept
        // for ever.
        if self.is_too_old(delivery, entry) {
            return Err(Report::unsent(Outcome::Expired));
        }
        if let Some(why) = self.holds.switched_off(&integration, &delivery.destination) {
            return Err(Report::unsent(Outcome::SwitchedOff(format!(
                "the integration is switched off: {why}"
            ))));
        }
        Ok(Prepared { integration, entry })
    }

    fn is_too_old(&self, delivery: &Delivery, entry: &Entry) -> bool {
        let age = self.clock.now().duration_since(delivery.fresh_since);
        let own = entry.deliver.as_ref().map_or(Duration::MAX, |deliver| deliver.about.max_age);
        let max_age = self.max_age.get().get(entry.about.slug).copied().unwrap_or(own);
        age > signed(max_age)
    }

    /// Makes the attempt.
    pub(super) async fn make(&self, job: &Job, prepared: &Prepared) -> Report {
        let event = match &job.event {
            JobEvent::Decoded(event) => Arc::clone(event),
            JobEvent::Stored(stored) => {
                match self.catalog.decode(stored.id.clone(), stored.occurred_at, stored.raw.clone()) {
                    Ok(event) => Arc::new(event),
                    Err(error) => return Report::unreadable(&error),
                }
            }
        };
        let operator = self.operator.get();
        let open = open_request(prepared.entry, &event, &*self.merge_requests, self.clock.now());
        let open_request = match open.await {
            Ok(Some(iid)) if !operator.forge.can_be_asked() => {
                return Report::unsent(Outcome::NotNeeded(open_request_starts_build(Some(iid))));
            }
            Ok(known) => known,
            Err(error) => {
                let why = format!("whether a merge request has this branch is not known: {error}");
                return Report::unsent(Outcome::StoreUnavailable(why));
            }
        };
        let links = self.catalog.links(&event);
        let outgoing = Outgoing {
            entry: prepared.entry,
            integration: &prepared.integration,
            event: &event,
            target: &job.delivery.target,
            id: &notification_id(&job.delivery),
            now: self.clock.now(),
            operator: &operator,
            links: &links,
            open_request,
            may_have_been_sent: is_repeat(&job.delivery),
            test: false,
        };
        let mut report = attempt(&*self.transport, outgoing).await;
        if matches!(report.outcome, Outcome::Delivered(_)) {
            let pause = self.first_build_pause;
            let now = self.clock.now();
            report.watch = watch_of(&prepared.integration, &event, pause, (now, now)).map(Box::new);
        }
        report
    }
}

/// Whether an earlier attempt may have reached the service.
fn is_repeat(delivery: &Delivery) -> bool {
    delivery.attempts > 0 || delivery.started
}

impl Prepared {
    /// Whether an attempt may be repeated although the service may have accepted the first one.
    pub(super) fn may_repeat(&self) -> bool {
        self.entry.deliver.as_ref().is_none_or(|deliver| deliver.about.retry_ambiguous)
    }

    /// Whether the attempt must be marked as started in the store before anything is sent.
    pub(super) fn is_marked(&self) -> bool {
        !self.may_repeat() || self.looks_first()
    }

    fn looks_first(&self) -> bool {
        self.entry.deliver.as_ref().is_some_and(|deliver| deliver.looks_first)
    }

    /// The pace of the attempt. An adapter that looks first does so only in a repeat, so a first attempt makes one
    /// call.
    pub(super) fn pace(&self, delivery: &Delivery) -> Option<Arc<Pace>> {
        let pace = self.entry.pace(&self.integration.settings, &delivery.target)?;
        if self.looks_first() && !is_repeat(delivery) {
            return Some(Arc::new((*pace).clone().calls(1)));
        }
        Some(pace)
    }
}

/// One event for one target of one integration.
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
    /// See [`Notification::links`].
    pub links: &'a ProjectLinks,
    /// See [`Notification::open_request`].
    pub open_request: Option<i64>,
    /// See [`Notification::may_have_been_sent`].
    pub may_have_been_sent: bool,
    /// Whether the message must say that it is a test, in every form that a person may see.
    pub test: bool,
}

/// One attempt to deliver one event to one target.
pub async fn attempt(transport: &dyn Transport, outgoing: Outgoing<'_>) -> Report {
    match outgoing.build_call() {
        Ok(call) => {
            let Ran { end, status, took, answer } = run(transport, call, outgoing.calls()).await;
            let answer = answer.map(|Said { words, may_quote }| {
                if may_quote {
                    outgoing.integration.settings.secret_settings().mask_echo(words)
                } else {
                    words
                }
            });
            let outcome = match end {
                End::Done(sent) => Outcome::Delivered(sent),
                End::Skipped(why) => Outcome::Skipped(why),
                End::NotNeeded(why) => Outcome::NotNeeded(why),
                End::Failed(failure) => Outcome::Failed(failure),
            };
            Report { outcome, status, took: Some(took), answer, watch: None }
        }
        Err(outcome) => Report::unsent(outcome),
    }
}

impl Outgoing<'_> {
    /// The call that an attempt begins with: what `send --dry-run` prints.
    ///
    /// # Errors
    /// The outcome, where it is known without sending anything.
    pub fn build_call(self) -> Result<Call<Sent>, Outcome> {
        let Self { entry, integration, event, target, id, now, operator, .. } = self;
        let Self { links, open_request, may_have_been_sent, test, .. } = self;
        if let Some(why) = entry.unmet(&integration.settings, operator) {
            return Err(Outcome::Skipped(why));
        }
        let (message, extent) = (LazyMessage::default(), integration.extent);
        let note = Notification {
            id,
            event,
            target,
            now,
            operator,
            links,
            open_request,
            may_have_been_sent,
            is_test: test,
            extent,
            message,
        };
        entry.call(&integration.settings, &note).map_err(|failure| match note.without_message() {
            Some(why) => Outcome::Cancelled(why),
            None => Outcome::Failed(failure),
        })
    }

    /// The most calls that the chain may make.
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
    /// The answer that ended a chain successfully, without the secrets of the request.
    pub(super) answer: Option<Said>,
}

/// What a service answered, for people.
pub(super) struct Said {
    pub(super) words: String,
    /// Whether the words may quote the request and must be masked. Masking is the most expensive step of reading an
    /// answer, and most services answer nothing or `ok`.
    pub(super) may_quote: bool,
}

/// The result of a chain of calls.
pub(super) enum End<T> {
    Done(T),
    Skipped(String),
    /// The answer of another service made the call unnecessary.
    NotNeeded(String),
    Failed(Failure),
}

/// Sends a call and the calls that its answers ask for, `at_most` in all. All calls run through this function.
pub(super) async fn run<T>(transport: &dyn Transport, mut call: Call<T>, at_most: u32) -> Ran<T> {
    let started = Instant::now();
    let (mut status, mut said): (_, Option<Said>) = (None, None);
    let end = 'calls: {
        for _ in 0..at_most {
            let Call { request, read, on_no_response, receiver, remark } = call;
            if let Some(remark) = remark {
                warn!(?request, "{remark}");
            }
            debug!(?request, "sending");
            said = None;
            let answer = match (transport.send(&request).await, on_no_response) {
                (Ok(response), _) => {
                    status = status_of(&response);
                    said = Said::of(&response);
                    read(&response)
                }
                (Err(error), Some(go_on)) => go_on(&error.to_string()),
                (Err(error), None) => Answer::Failed(failure_of(error)),
            };
            match answer {
                Answer::Done(value) => {
                    said = said.map(|said| said.without_secrets_of(&request));
                    break 'calls End::Done(value);
                }
                Answer::Skipped(why) => {
                    break 'calls match receiver {
                        Receiver::Service => End::Skipped(why),
                        Receiver::Other => End::NotNeeded(why),
                    };
                }
                Answer::Failed(failure) => {
                    break 'calls End::Failed(match receiver {
                        Receiver::Service => failure,
                        Receiver::Other => failure.of_other_service(),
                    });
                }
                Answer::Next(next) => call = next,
            }
        }
        // A reader that asks for more calls than its adapter declares probably loops.
        End::Failed(Failure::Rejected(format!("still not done after {at_most} calls")))
    };
    let answer = said.filter(|_| matches!(end, End::Done(_)));
    Ran { end, status, took: started.elapsed(), answer }
}

fn status_of(response: &Response) -> Option<u16> {
    match response {
        Response::Http(response) => Some(response.status),
        Response::Smtp(reply) => Some(reply.code),
        Response::Written => None,
    }
}

impl Said {
    fn of(response: &Response) -> Option<Self> {
        Some(match response {
            Response::Http(response) => {
                Self { words: describe(response), may_quote: Secrets::may_stand_in(&response.body) }
            }
            Response::Smtp(reply) => Self { words: reply.describe(), may_quote: true },
            Response::Written => return None,
        })
    }

    fn without_secrets_of(self, request: &Request) -> Self {
        if !self.may_quote {
            return self;
        }
        Self { words: secrets_of(request).mask_echo(self.words), ..self }
    }
}

fn failure_of(error: SendError) -> Failure {
    match error {
        SendError::Refused(why) => Failure::Misconfigured(why),
        SendError::OperatorError(why) => Failure::OperatorError(why),
        SendError::NoPlace(why) => Failure::NoPlace(why),
        SendError::NotSent(why) => Failure::Unavailable { maybe_taken: false, wait: None, why },
        SendError::NoAnswer(why) => Failure::Unavailable { maybe_taken: true, wait: None, why },
    }
}

/// The id of a notification. It is the same for every attempt on every node, unique, and changes with a resend.
pub fn notification_id(delivery: &Delivery) -> String {
    // Only a resend changes `fresh_since`. Stores keep milliseconds.
    let since = delivery.fresh_since.as_millisecond().to_be_bytes();
    let parts = [delivery.event.as_str(), &delivery.integration.0, &delivery.target];
    Digest::of(parts.map(str::as_bytes).into_iter().chain([since.as_slice()])).hex(16)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;

    use super::*;
    use crate::call::{HttpRequest, HttpResponse, Method, by_status};
    use crate::event::EventId;
    use crate::integration::{Family, IntegrationId};
    use crate::settings::{Properties, Value};
    use crate::store::{DeliveryId, Lane};

    /// Answers in turn with these statuses; where none is left, nothing answers.
    struct Scripted(Mutex<Vec<u16>>);

    #[async_trait]
    impl Transport for Scripted {
        async fn send(&self, _: &Request) -> Result<Response, SendError> {
            let mut statuses = self.0.lock().expect("no test panics with it");
            if statuses.is_empty() {
                return Err(SendError::NotSent("nothing listens".to_owned()));
            }
            let status = statuses.remove(0);
            let at = Timestamp::UNIX_EPOCH;
            Ok(Response::Http(HttpResponse { status, headers: Vec::new(), body: Vec::new().into(), at }))
        }
    }

    fn request() -> HttpRequest {
        HttpRequest::new(Method::Post, "https://chat.example".parse().expect("a URL"))
    }

    fn steps(steps: u32) -> Call<u32> {
        Call::http(request(), move |response| match (response.status, steps) {
            (404, _) => Answer::Skipped("no such issue".to_owned()),
            (500, _) => Answer::Failed(Failure::Rejected("no".to_owned())),
            (_, 1) => Answer::Done(7),
            (_, steps) => Answer::Next(self::steps(steps - 1)),
        })
    }

    async fn ran(call: Call<u32>, statuses: &[u16]) -> (String, Option<u16>) {
        let transport = Scripted(Mutex::new(statuses.to_vec()));
        let ran = run(&transport, call, 3).await;
        let end = match ran.end {
            End::Done(value) => format!("done: {value}"),
            End::Skipped(why) => format!("skipped: {why}"),
            End::NotNeeded(why) => format!("not needed: {why}"),
            End::Failed(failure) => failure.to_string(),
        };
        (end, ran.status)
    }

    #[tokio::test]
    async fn a_chain_runs_to_its_result_and_no_further_than_its_adapter_declares() {
        assert_eq!(ran(steps(3), &[200, 200, 201]).await, ("done: 7".to_owned(), Some(201)));
        let (endless, _) = ran(steps(4), &[200; 9]).await;
        assert_eq!(endless, "rejected: still not done after 3 calls");
        assert_eq!(ran(steps(3), &[200, 404]).await.0, "skipped: no such issue");
        assert_eq!(ran(steps(3), &[200, 500]).await, ("rejected: no".to_owned(), Some(500)));
        assert_eq!(ran(steps(3), &[200]).await.0, "unavailable: nothing listens");
    }

    #[test]
    fn only_a_service_that_was_called_and_did_not_answer_is_unavailable() {
        let why = || "it said so".to_owned();
        let is_outage = |error| matches!(failure_of(error), Failure::Unavailable { .. });
        assert!(is_outage(SendError::NotSent(why())) && is_outage(SendError::NoAnswer(why())));
        assert_eq!(failure_of(SendError::NoPlace(why())), Failure::NoPlace(why()));
    }

    #[tokio::test]
    async fn another_service_that_fails_defers_the_delivery() {
        assert_eq!(ran(steps(2).to_other_service(), &[500]).await.0, "deferred: no");
        assert_eq!(ran(steps(2).to_other_service(), &[]).await.0, "deferred: nothing listens");
        assert_eq!(ran(steps(2).to_other_service(), &[404]).await.0, "not needed: no such issue");
        let goes_on = steps(2).to_other_service().or_else_on_no_response(|_| Answer::Done(1));
        assert_eq!(ran(goes_on, &[]).await, ("done: 1".to_owned(), None));
        assert_eq!(
            ran(steps(2).to_other_service(), &[200, 500]).await.0,
            "rejected: no",
            "the next call's own"
        );
    }

    #[test]
    fn a_status_alone_is_read_as_http_means_it() {
        let at = Timestamp::UNIX_EPOCH;
        let answered =
            |status| by_status(&HttpResponse { status, headers: Vec::new(), body: Vec::new().into(), at });
        assert!(matches!(answered(204), Answer::Done(Sent)));
        assert!(matches!(answered(503), Answer::Failed(Failure::Unavailable { maybe_taken: false, .. })));
    }

    #[test]
    fn a_notification_has_its_id_for_all_attempts_and_another_one_after_a_resend() {
        let first = Delivery {
            id: crate::store::DeliveryId(1),
            event: crate::event::EventId::new("e1").expect("an id"),
            integration: crate::integration::IntegrationId::new("acme/web:slack"),
            target: "#ops".into(),
            destination: "hook".into(),
            lane: crate::store::Lane(1),
            replaces: false,
            attempts: 0,
            fresh_since: "2026-01-01T00:00:00.0001Z".parse().expect("a moment"),
            started: false,
            leased: true,
        };
        let id = notification_id(&first);
        let stored = "2026-01-01T00:00:00Z".parse().expect("a moment");
        assert_eq!(id, notification_id(&Delivery { attempts: 3, fresh_since: stored, ..first.clone() }));
        let resent = "2026-01-02T00:00:00Z".parse().expect("a moment");
        assert_ne!(id, notification_id(&Delivery { fresh_since: resent, ..first.clone() }));
        assert_ne!(id, notification_id(&Delivery { target: "#dev".into(), ..first }));
    }

    #[test]
    fn what_looks_first_in_a_repeat_alone_takes_one_call_before() {
        let entry = adapters::find("asana").expect("the adapter");
        let key: Properties = [("api_key".to_owned(), Value::Text("1/23:abc".to_owned()))].into();
        let settings = entry.read(&key).expect("sound settings");
        let integration = Integration { slug: "asana", settings, ..Integration::example(Family::Hook) };
        let prepared = Prepared { integration: Arc::new(integration), entry };
        let calls = |attempts: u32, started: bool| {
            let delivery = Delivery {
                id: DeliveryId(1),
                event: EventId::new("e1").expect("an id"),
                integration: IntegrationId::new("42:asana"),
                target: "12 comment c0ffee".into(),
                destination: "token".into(),
                lane: Lane(1),
                replaces: false,
                attempts,
                fresh_since: Timestamp::UNIX_EPOCH,
                started,
                leased: true,
            };
            prepared.pace(&delivery).expect("a pace").calls
        };
        assert_eq!((calls(0, false), calls(1, false), calls(0, true)), (1, 6, 6));
    }
}

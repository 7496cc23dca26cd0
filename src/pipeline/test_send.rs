//! Tests of an integration. A test is a real attempt by the same functions, with a message that says that it is a test,
//! or a [`Probe`] for services that get no events. A test returns what went over the wire, so that people can see why
//! nothing arrives. The store keeps nothing of a test's attempt.
//!
//! [`Probe`]: crate::adapters::contract::Probe

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::attempt::{End, Outgoing, Ran, Report, attempt, run};
use super::holds::Holds;
use super::live::Live;
use crate::adapters::{Entry, OperatorSettings, Probes, ProjectLinks};
use crate::call::{Failure, Health, Pace as CallPace, Request, Response};
use crate::catalog::Catalog;
use crate::event::{Event, Project};
use crate::integration::{Integration, IntegrationId};
use crate::store::{DeliveryFilter, Ledger};
use crate::wire::pace::Pace;
use crate::wire::{SendError, Transport};

/// The project of the last event that an integration was notified of, as that event describes it.
pub async fn last_project(
    catalog: &dyn Catalog,
    ledger: &dyn Ledger,
    integration: &IntegrationId,
) -> Option<Project> {
    let integrations = vec![integration.clone()];
    let filter = DeliveryFilter { integrations, limit: 1, ..DeliveryFilter::default() };
    let last = ledger.deliveries(filter).await.ok()?.into_iter().next()?;
    let detail = ledger.delivery(last.id).await.ok()??;
    let event = catalog.decode(last.event, last.created_at, detail.raw?).ok()?;
    event.project.filter(|project| !project.path_with_namespace.is_empty())
}

/// Whether a project has this number and path.
pub fn is_project(project: &Project, id: Option<i64>, path: Option<&str>) -> bool {
    id.is_some_and(|id| id > 0 && project.id == id)
        || path.is_some_and(|path| !path.is_empty() && project.path_with_namespace.eq_ignore_ascii_case(path))
}

/// One request and its answer.
#[derive(Debug)]
pub struct Exchange {
    pub request: Request,
    pub answer: Result<Response, SendError>,
}

/// How a test went, with everything that went over the wire.
#[derive(Debug)]
pub struct TestReport {
    pub report: Report,
    pub exchanges: Vec<Exchange>,
}

/// How a probe went, with everything that went over the wire.
#[derive(Debug)]
pub struct ProbeReport {
    pub result: Result<Health, Failure>,
    /// The HTTP status of the last answer.
    pub status: Option<u16>,
    /// `None` where nothing was sent.
    pub took: Option<Duration>,
    pub exchanges: Vec<Exchange>,
}

/// Makes tests with the same components as real attempts.
#[derive(Clone)]
pub struct TestSender {
    pub transport: Arc<dyn Transport>,
    pub pace: Arc<Pace>,
    pub operator: Live<OperatorSettings>,
    pub holds: Holds,
}

impl TestSender {
    /// Sends an event to one target as a test, if the pace of the destination allows it now.
    ///
    /// # Errors
    /// How long to wait.
    pub async fn test(
        &self,
        integration: &Integration,
        entry: &'static Entry,
        event: &Event,
        target: &str,
        links: &ProjectLinks,
        now: Timestamp,
    ) -> Result<TestReport, Duration> {
        if let Some(pace) = entry.pace(&integration.settings, target) {
            self.admit(&pace, now)?;
        }
        let operator = self.operator.get();
        let id = event.id.to_string();
        let outgoing = Outgoing {
            entry,
            integration,
            event,
            target,
            id: &id,
            now,
            operator: &operator,
            links,
            open_request: None,
            may_have_been_sent: false,
            test: true,
        };
        let recorder = self.recorder();
        let report = attempt(&recorder, outgoing).await;
        Ok(TestReport { report, exchanges: recorder.exchanges() })
    }

    /// Asks the service whether it can be reached and accepts the settings, if its pace allows it now.
    ///
    /// # Errors
    /// How long to wait.
    pub async fn probe(
        &self,
        integration: &Integration,
        probe: &Probes,
        now: Timestamp,
    ) -> Result<ProbeReport, Duration> {
        self.admit(&probe.pace(&integration.settings), now)?;
        let recorder = self.recorder();
        let (result, status, took) = match probe.probe(&integration.settings, now, &self.operator.get()) {
            Err(failure) => (Err(failure), None, None),
            Ok(call) => {
                let Ran { end, status, took, answer: _ } = run(&recorder, call, probe.calls).await;
                let result = match end {
                    End::Done(health) => Ok(health),
                    End::Skipped(why) | End::NotNeeded(why) => Err(Failure::Rejected(why)),
                    End::Failed(failure) => Err(failure),
                };
                (result, status, Some(took))
            }
        };
        Ok(ProbeReport { result, status, took, exchanges: recorder.exchanges() })
    }

    fn admit(&self, pace: &CallPace, now: Timestamp) -> Result<(), Duration> {
        if let Some(until) = self.holds.buckets_until(pace.buckets(), now) {
            return Err(until.duration_since(now).try_into().unwrap_or_default());
        }
        self.pace.admit(pace)
    }

    fn recorder(&self) -> Recorder<'_> {
        Recorder { transport: &*self.transport, exchanges: Mutex::default() }
    }
}

/// A transport that records requests and answers.
struct Recorder<'a> {
    transport: &'a dyn Transport,
    exchanges: Mutex<Vec<Exchange>>,
}

impl Recorder<'_> {
    fn exchanges(self) -> Vec<Exchange> {
        self.exchanges.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Transport for Recorder<'_> {
    async fn send(&self, request: &Request) -> Result<Response, SendError> {
        let answer = self.transport.send(request).await;
        let exchange = Exchange { request: request.clone(), answer: answer.clone() };
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner).push(exchange);
        answer
    }
}

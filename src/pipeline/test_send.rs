//! A test: the real attempt, by the same functions, with a message that says that it is a test. What went over the wire
//! comes back with it, so that people can see why nothing arrives. The store keeps nothing of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::attempt::{Outgoing, Report, attempt};
use super::holds::Holds;
use crate::adapters::{Entry, OperatorSettings, ProjectLinks};
use crate::call::{Request, Response};
use crate::event::Event;
use crate::integration::Integration;
use crate::wire::pace::Pace;
use crate::wire::{SendError, Transport};

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

/// Makes tests, with what real attempts are made with.
#[derive(Clone)]
pub struct TestSender {
    pub transport: Arc<dyn Transport>,
    pub pace: Arc<Pace>,
    pub operator: Arc<OperatorSettings>,
    pub holds: Holds,
}

impl TestSender {
    /// Sends an event to one target, as a test, if the pace of its destination allows that now.
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
            if let Some(until) = self.holds.buckets_until(pace.buckets(), now) {
                return Err(until.duration_since(now).try_into().unwrap_or_default());
            }
            self.pace.admit(&pace)?;
        }
        let id = event.id.to_string();
        let outgoing = Outgoing {
            entry,
            integration,
            event,
            target,
            id: &id,
            now,
            operator: &self.operator,
            links,
            may_have_been_sent: false,
            test: true,
        };
        let recorder = Recorder { transport: &*self.transport, exchanges: Mutex::default() };
        let report = attempt(&recorder, outgoing).await;
        let exchanges = recorder.exchanges.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(TestReport { report, exchanges })
    }
}

/// A transport that remembers.
struct Recorder<'a> {
    transport: &'a dyn Transport,
    exchanges: Mutex<Vec<Exchange>>,
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

//! A test delivery: a real attempt by the same functions, with a message that is marked as a test. The report contains
//! the requests and answers, to find out why messages do not arrive. Nothing of it is stored.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::attempt::{Report, Telling, attempt};
use crate::adapters::{Entry, OperatorSettings};
use crate::call::{Request, Response};
use crate::event::Event;
use crate::integration::Integration;
use crate::wire::pace::Pace;
use crate::wire::{SendError, Transport};

/// One question and its answer.
#[derive(Debug)]
pub struct Exchange {
    pub request: Request,
    pub answer: Result<Response, SendError>,
}

/// How a test went, with everything that went over the wire.
#[derive(Debug)]
pub struct Rehearsal {
    pub report: Report,
    pub exchanges: Vec<Exchange>,
}

/// Makes the attempt, if the pace of its destination allows one now.
///
/// # Errors
/// How long to wait: who tests is no faster than who tells.
pub async fn rehearse(
    transport: &dyn Transport,
    pace: &Pace,
    telling: Telling<'_>,
) -> Result<Rehearsal, Duration> {
    pace.admit(&telling.entry.buckets(&telling.integration.settings, telling.target))?;
    let recorder = Recorder { transport, exchanges: Mutex::default() };
    let report = attempt(&recorder, Telling { test: true, ..telling }).await;
    let exchanges = recorder.exchanges.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Rehearsal { report, exchanges })
}

/// Where tests are made: with what real attempts are made with.
#[derive(Clone)]
pub struct Stage {
    pub transport: Arc<dyn Transport>,
    pub pace: Arc<Pace>,
    pub operator: Arc<OperatorSettings>,
}

impl Stage {
    /// Tells one target of an event, as a test.
    ///
    /// # Errors
    /// How long to wait.
    pub async fn rehearse(
        &self,
        integration: &Integration,
        entry: &'static Entry,
        event: &Event,
        target: &str,
        now: Timestamp,
    ) -> Result<Rehearsal, Duration> {
        let id = event.id.to_string();
        let operator = &self.operator;
        let telling = Telling { entry, integration, event, target, id: &id, now, operator, test: true };
        rehearse(&*self.transport, &self.pace, telling).await
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

//! A test: the real attempt, by the same functions, with a message that says what it is. What went over the wire comes
//! back with it, for whoever has to find out why nothing is heard. Nothing of it is kept.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::attempt::{Report, Telling, attempt};
use crate::call::{Request, Response};
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

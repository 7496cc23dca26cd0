//! The measuring: fill a queue, let a contender empty it, look what came.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use crate::broker::{Broker, Queue};
use crate::contender::{Contender, Job, Running};
use crate::events::{Event, EventNumber, Events};
use crate::figures::{count, percentile, rate};
use crate::sink::{Receipt, SILENT, Sink};

/// Nothing that is measured takes this long, unless it hangs.
const BOUND: Duration = Duration::from_secs(60);
/// Events before a steady load, which open the connections and are not counted.
const WARM_UP: usize = 256;

/// What it is measured with.
pub struct Bench {
    pub broker: Broker,
    pub sink: Sink,
    pub events: Events,
    pub projects: u32,
    pub in_flight: usize,
    pub prefetch: u16,
    /// Where Forgebell's store is put.
    pub disk: PathBuf,
    /// A port without a listener.
    pub closed_port: u16,
    /// The program.
    pub forgebell: PathBuf,
}

/// How one did when the queue was full.
#[derive(Clone, Copy, Debug)]
pub struct Drained {
    pub per_second: f64,
    /// Seconds of CPU time for 10,000 events, from the process's begin to the last receipt.
    pub cpu: f64,
    /// The most memory it ever had, in MB.
    pub peak: f64,
}

/// How long one took from the publishing to the receipt.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    pub p50: Duration,
    pub p99: Duration,
}

/// Whether all destinations answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    AllWell,
    /// One in ten refuses connections, one in ten takes requests and never answers.
    SomeDead,
}

/// A contender at its queue.
struct Session {
    queue: Queue,
    running: Running,
    health: Health,
}

impl Bench {
    /// A queue full of events, as fast as it goes.
    pub async fn drain(&mut self, contender: Contender, events: usize) -> Result<Drained> {
        let (events, session) = self.emptied(contender, events, Health::AllWell).await?;
        let usage = session.running.usage()?;
        let receipts = self.finish(session, &events, Vec::new()).await?;
        Ok(Drained {
            per_second: per_second(&receipts),
            cpu: usage.cpu.as_secs_f64() / count(events.len()) * 10_000.0,
            peak: count(usage.peak_kb) / 1000.0,
        })
    }

    /// What those destinations get that answer in any case, while others may not.
    pub async fn drain_beside(&mut self, health: Health, events: usize) -> Result<f64> {
        let (mut events, session) = self.emptied(Contender::Forgebell, events, health).await?;
        if health == Health::SomeDead {
            events.retain(|event| !self.may_be_dead(event.number));
        }
        let mut receipts = self.finish(session, &events, Vec::new()).await?;
        receipts.retain(|receipt| !self.may_be_dead(receipt.event));
        Ok(per_second(&receipts))
    }

    /// Fills a queue, starts a contender and waits until all is delivered that can be.
    async fn emptied(
        &mut self,
        contender: Contender,
        events: usize,
        health: Health,
    ) -> Result<(Vec<Event>, Session)> {
        let events = self.events.make(events);
        let expected = events
            .iter()
            .filter(|event| health == Health::AllWell || !self.may_be_dead(event.number))
            .count();
        let queue = self.broker.fresh_queue().await?;
        self.broker.fill(&queue, &events).await?;
        self.sink.expect(expected).await?;
        let mut session = self.start(contender, queue, health)?;
        self.done(&mut session.running).await.with_context(|| format!("the {contender} is stuck"))?;
        Ok((events, session))
    }

    /// A steady load.
    pub async fn pace(&mut self, contender: Contender, events: usize, rate: f64) -> Result<Latency> {
        let (warm_up, events) = (self.events.make(WARM_UP), self.events.make(events));
        let queue = self.broker.fresh_queue().await?;
        self.broker.fill(&queue, &warm_up).await?;
        self.sink.expect(warm_up.len()).await?;
        let mut session = self.start(contender, queue, Health::AllWell)?;
        self.done(&mut session.running).await.with_context(|| format!("the {contender} is stuck"))?;
        let first = self.sink.take().await?;
        self.sink.expect(events.len()).await?;
        let published = self.broker.trickle(&session.queue, &events, rate).await?;
        self.done(&mut session.running).await.with_context(|| format!("the {contender} lags"))?;
        let published: HashMap<_, _> = events.iter().map(|event| event.number).zip(published).collect();
        let all: Vec<_> = warm_up.into_iter().chain(events).collect();
        let receipts = self.finish(session, &all, first).await?;
        let took = receipts.iter().filter_map(|receipt| {
            Some(Duration::from_nanos(receipt.at.saturating_sub(*published.get(&receipt.event)?)))
        });
        let mut took: Vec<_> = took.collect();
        took.sort();
        Ok(Latency { p50: percentile(&took, 50), p99: percentile(&took, 99) })
    }

    fn start(&self, contender: Contender, queue: Queue, health: Health) -> Result<Session> {
        let job = Job {
            broker: self.broker.url.clone(),
            queue: queue.0.clone(),
            addresses: (1..=self.projects).map(|project| self.address(project, health)).collect(),
            in_flight: self.in_flight,
            prefetch: self.prefetch,
            forgebell: self.forgebell.clone(),
        };
        Ok(Session { running: Running::start(contender, job, &self.disk)?, queue, health })
    }

    fn address(&self, project: u32, health: Health) -> String {
        let (open, closed) = (self.sink.port, self.closed_port);
        match project % 10 {
            3 if health == Health::SomeDead => format!("http://127.0.0.1:{closed}/hook/{project}"),
            7 if health == Health::SomeDead => format!("http://127.0.0.1:{open}{SILENT}{project}"),
            _ => format!("http://127.0.0.1:{open}/hook/{project}"),
        }
    }

    fn may_be_dead(&self, event: EventNumber) -> bool {
        matches!(self.events.project_of(event) % 10, 3 | 7)
    }

    /// Until everything expected has come.
    async fn done(&mut self, running: &mut Running) -> Result<()> {
        let waited = tokio::select! {
            done = self.sink.done() => return done,
            broken = running.broken() => broken,
            () = tokio::time::sleep(BOUND) => anyhow!("not all came within {BOUND:?}"),
        };
        let came = self.sink.take().await?.len();
        Err(waited.context(format!("{came} receipts; the end of its log:\n{}", running.said())))
    }

    /// Stops it, and sees to it that every event came exactly once, and that the broker knows.
    async fn finish(
        &mut self,
        Session { queue, running, health }: Session,
        events: &[Event],
        mut receipts: Vec<Receipt>,
    ) -> Result<Vec<Receipt>> {
        running.stop(health == Health::SomeDead).await?;
        receipts.extend(self.sink.take().await?);
        let left = self.broker.remove(&queue).await?;
        let mut times: HashMap<EventNumber, usize> = events.iter().map(|event| (event.number, 0)).collect();
        let mut strange = 0;
        for receipt in &receipts {
            match times.get_mut(&receipt.event) {
                Some(times) => *times += 1,
                None => strange += 1,
            }
        }
        let lost = times.values().filter(|times| **times == 0).count();
        let repeated = times.values().filter(|times| **times > 1).count();
        if (lost, repeated, strange, left) == (0, 0, 0, 0) {
            return Ok(receipts);
        }
        Err(anyhow!(
            "NOT EXACTLY ONCE: of {} events {lost} LOST, {repeated} REPEATED; {strange} that were not expected; \
             {left} messages not acknowledged",
            events.len()
        ))
    }
}

/// From the first receipt to the last one.
fn per_second(receipts: &[Receipt]) -> f64 {
    let times = || receipts.iter().map(|receipt| receipt.at);
    let (first, last) = (times().min().unwrap_or_default(), times().max().unwrap_or_default());
    rate(receipts.len().saturating_sub(1), last - first)
}

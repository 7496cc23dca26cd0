//! The measuring: fill a queue, let a contender empty it, look what came.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use tokio::task::JoinHandle;

use crate::broker::{Broker, Queue};
use crate::contender::{Contender, Job, Running};
use crate::events::{Event, EventNumber, Events, Mix};
use crate::figures::{count, percentile, rate};
use crate::posting;
use crate::sink::{Receipt, SILENT, SLOW, Sink, Taken};
use crate::usage::Usage;

/// Events before a steady load, which open the connections and are not counted.
const WARM_UP: usize = 256;
/// The project whose destination is dead, where one is.
const DEAD: u32 = 7;

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
    /// A port for a contender to which events are posted.
    pub http_port: u16,
    /// The program.
    pub forgebell: PathBuf,
    /// More of its settings.
    pub settings: Vec<String>,
    /// Nothing that is measured takes this long, unless it hangs.
    pub bound: Duration,
}

/// What a contender is measured under.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub mix: Mix,
    pub events: usize,
    /// Channels that each event goes to.
    pub copies: u32,
    pub in_flight: usize,
    pub health: Health,
}

/// How one did when the queue was full.
#[derive(Clone, Copy, Debug)]
pub struct Drained {
    /// Events, from the first receipt to the last.
    pub per_second: f64,
    /// Seconds of CPU time for 10,000 events, from the process's begin to the last receipt.
    pub cpu: f64,
    /// The most memory it ever had, in MB.
    pub peak: f64,
    /// Connections that it made to the sink.
    pub connections: usize,
}

/// How one did under a steady load.
#[derive(Clone, Copy, Debug)]
pub struct Paced {
    /// From the publishing to the receipt.
    pub p50: Duration,
    pub p99: Duration,
    /// Seconds of CPU time for 10,000 events.
    pub cpu: f64,
}

/// How the destinations answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    AllWell,
    /// All take [`crate::served::PATIENCE`].
    AllSlow,
    /// One refuses connections.
    OneRefuses,
    /// One takes requests and never answers.
    OneHangs,
    /// One in ten refuses connections, one in ten takes requests and never answers.
    SomeDead,
}

impl Health {
    fn is_dead(self, project: u32) -> bool {
        match self {
            Self::AllWell | Self::AllSlow => false,
            Self::OneRefuses | Self::OneHangs => project == DEAD,
            Self::SomeDead => matches!(project % 10, 3 | 7),
        }
    }
}

/// A contender at its queue.
pub struct Session {
    pub queue: Queue,
    pub running: Running,
    load: Load,
    /// Other nodes of the same contender.
    others: Vec<Running>,
    /// What hands events to a contender that reads no queue.
    feeding: Option<JoinHandle<Result<()>>>,
}

impl Session {
    /// What each node used.
    fn usages(&self) -> Result<Vec<Usage>> {
        self.others.iter().chain([&self.running]).map(Running::usage).collect()
    }
}

impl Bench {
    /// A load of so many events, as most scenarios have it.
    pub const fn load(&self, events: usize) -> Load {
        Load { mix: Mix::Varied, events, copies: 1, in_flight: self.in_flight, health: Health::AllWell }
    }

    /// A queue full of events, as fast as it goes.
    pub async fn drain(&mut self, contender: Contender, load: Load) -> Result<Drained> {
        let (events, session) = self.emptied(contender, load).await?;
        let usage = session.running.usage()?;
        let taken = self.finish(session, &events, Taken::default()).await?;
        Ok(Drained {
            per_second: per_second(&taken.receipts, events.len()),
            cpu: usage.cpu.as_secs_f64() / count(events.len()) * 10_000.0,
            peak: count(usage.peak_kb) / 1000.0,
            connections: taken.connections,
        })
    }

    /// What nodes of Forgebell with these settings do together. They are at work before the events that count are published.
    pub async fn drain_by_nodes(&mut self, load: Load, nodes: &[Vec<String>]) -> Result<Drained> {
        let (warm_up, events) =
            (self.events.make(WARM_UP, load.mix), self.events.make(load.events, load.mix));
        let own = self.settings.clone();
        let mut all = Vec::new();
        let queue = self.broker.fresh_queue().await?;
        for settings in nodes {
            self.settings = [own.as_slice(), settings].concat();
            all.push(self.start(Contender::Forgebell, &queue, load)?);
        }
        self.settings = own;
        let running = all.pop().context("there is no node")?;
        let mut session = Session { queue, running, load, others: all, feeding: None };
        let first = self.told(&mut session, &warm_up).await?;
        let before = session.usages()?;
        let taken = self.told(&mut session, &events).await?;
        let usages = session.usages()?;
        let cpu = before.iter().zip(&usages).map(|(before, after)| cpu_between(*before, *after));
        let drained = Drained {
            per_second: per_second(&taken.receipts, events.len()),
            cpu: cpu.sum::<Duration>().as_secs_f64() / count(events.len()) * 10_000.0,
            peak: usages.iter().map(|usage| count(usage.peak_kb)).sum::<f64>() / 1000.0,
            connections: first.connections + taken.connections,
        };
        let before_the_last = Taken {
            receipts: first.receipts.into_iter().chain(taken.receipts).collect(),
            connections: drained.connections,
        };
        let all: Vec<_> = warm_up.into_iter().chain(events).collect();
        self.finish(session, &all, before_the_last).await?;
        Ok(drained)
    }

    /// Publishes events to nodes that are at work, and waits until all are told.
    async fn told(&mut self, session: &mut Session, events: &[Event]) -> Result<Taken> {
        self.sink.expect(events.len(), session.load.copies).await?;
        self.broker.fill(&session.queue, events).await?;
        self.done(&mut session.running).await.context("the nodes are stuck")?;
        self.sink.take().await
    }

    /// What those destinations get that are well under `beside`, while the destinations are as the load says.
    pub async fn drain_beside(&mut self, load: Load, beside: Health) -> Result<f64> {
        let (events, session) = self.emptied(Contender::Forgebell, load).await?;
        let mut taken = self.finish(session, &events, Taken::default()).await?;
        taken.receipts.retain(|receipt| !beside.is_dead(self.events.project_of(receipt.event)));
        Ok(per_second(&taken.receipts, taken.receipts.len()))
    }

    /// Fills a queue, starts a contender and waits until all is delivered that can be.
    async fn emptied(&mut self, contender: Contender, load: Load) -> Result<(Vec<Event>, Session)> {
        let events = self.events.make(load.events, load.mix);
        let mut session = self.begin(contender, load, &events).await?;
        self.done(&mut session.running).await.with_context(|| format!("the {contender} is stuck"))?;
        Ok((events, session))
    }

    /// Fills a queue, and starts a contender at it. The sink says when all has come that can.
    pub async fn begin(&mut self, contender: Contender, load: Load, events: &[Event]) -> Result<Session> {
        let queue = self.broker.fresh_queue().await?;
        if contender.reads_queue() {
            self.broker.fill(&queue, events).await?;
        }
        self.sink.expect(Self::deliverable(events, load.health), load.copies).await?;
        let running = self.start(contender, &queue, load)?;
        let feeding = posting::feed(contender, self.http_port, events);
        Ok(Session { running, queue, load, others: Vec::new(), feeding })
    }

    fn deliverable(events: &[Event], health: Health) -> usize {
        let is_told = |event: &&Event| event.wanted && !health.is_dead(event.lane.0);
        events.iter().filter(is_told).count()
    }

    /// A steady load. The latency is that of events for destinations that are well under `beside`.
    pub async fn pace(
        &mut self,
        contender: Contender,
        load: Load,
        rate: f64,
        beside: Health,
    ) -> Result<Paced> {
        let (warm_up, events) =
            (self.events.make(WARM_UP, load.mix), self.events.make(load.events, load.mix));
        let mut session = self.begin(contender, load, &warm_up).await?;
        self.done(&mut session.running).await.with_context(|| format!("the {contender} is stuck"))?;
        let first = self.sink.take().await?;
        self.sink.expect(Self::deliverable(&events, load.health), load.copies).await?;
        let before = session.running.usage()?;
        let published = self.broker.trickle(&session.queue, &events, rate).await?;
        self.done(&mut session.running).await.with_context(|| format!("the {contender} lags"))?;
        let cpu = cpu_between(before, session.running.usage()?);
        let published: HashMap<_, _> = events.iter().map(|event| event.number).zip(published).collect();
        let paced = events.len();
        let all: Vec<_> = warm_up.into_iter().chain(events).collect();
        let taken = self.finish(session, &all, first).await?;
        let took = taken.receipts.iter().filter_map(|receipt| {
            let is_well = !beside.is_dead(self.events.project_of(receipt.event));
            let published = published.get(&receipt.event).filter(|_| is_well)?;
            Some(Duration::from_nanos(receipt.at.saturating_sub(*published)))
        });
        let mut took: Vec<_> = took.collect();
        took.sort();
        let cpu = cpu.as_secs_f64() / count(paced) * 10_000.0;
        Ok(Paced { p50: percentile(&took, 50), p99: percentile(&took, 99), cpu })
    }

    pub fn start(&self, contender: Contender, queue: &Queue, load: Load) -> Result<Running> {
        // Of one lane, only the first can be under way: the bare loop, which knows no lanes, posts one after the other.
        let is_in_turn = load.mix == Mix::OneLane && contender == Contender::Bare;
        let job = Job {
            broker: self.broker.url.clone(),
            queue: queue.0.clone(),
            addresses: (1..=self.projects).map(|project| self.address(project, load.health)).collect(),
            in_flight: if is_in_turn { 1 } else { load.in_flight },
            prefetch: self.prefetch,
            copies: load.copies,
            authority: self.sink.authority.clone(),
            forgebell: self.forgebell.clone(),
            settings: self.settings.clone(),
            http_port: self.http_port,
        };
        Running::start(contender, job, &self.disk)
    }

    fn address(&self, project: u32, health: Health) -> String {
        let closed = || format!("http://127.0.0.1:{}/hook/{project}", self.closed_port);
        let at = |path: &str| self.sink.address(&format!("{path}{project}"));
        match health {
            Health::AllSlow => at(SLOW),
            Health::OneRefuses if project == DEAD => closed(),
            Health::OneHangs if project == DEAD => at(SILENT),
            Health::SomeDead if project % 10 == 3 => closed(),
            Health::SomeDead if project % 10 == 7 => at(SILENT),
            _ => at("/hook/"),
        }
    }

    /// Until everything expected has come.
    pub async fn done(&mut self, running: &mut Running) -> Result<()> {
        let waited = tokio::select! {
            done = self.sink.done() => return done,
            broken = running.broken() => broken,
            () = tokio::time::sleep(self.bound) => anyhow!("not all came within {:?}", self.bound),
        };
        let came = self.sink.take().await?.receipts.len();
        Err(waited.context(format!("{came} receipts; the end of its log:\n{}", running.said())))
    }

    /// Everything that has come when all that is expected is there, or when nothing has come for so long.
    pub async fn until_quiet(&mut self, quiet: Duration) -> Result<Vec<Receipt>> {
        // The sink answers a question only after what it has said, so one `done` may come late: `take` skips it.
        let mut receipts = Vec::new();
        loop {
            let is_done = tokio::time::timeout(quiet, self.sink.done()).await;
            let taken = self.sink.take().await?.receipts;
            let is_quiet = taken.is_empty();
            receipts.extend(taken);
            match is_done {
                Ok(done) => {
                    done?;
                    return Ok(receipts);
                }
                Err(_) if is_quiet => return Ok(receipts),
                Err(_) => {}
            }
        }
    }

    /// Stops it, and sees to it that every event came as often as it should, and that the broker knows.
    async fn finish(
        &mut self,
        Session { queue, running, load, others, feeding }: Session,
        events: &[Event],
        mut taken: Taken,
    ) -> Result<Taken> {
        if let Some(feeding) = feeding {
            feeding.await??;
        }
        for running in others.into_iter().chain([running]) {
            running.stop(matches!(load.health, Health::SomeDead | Health::OneHangs)).await?;
        }
        let last = self.sink.take().await?;
        taken.receipts.extend(last.receipts);
        taken.connections += last.connections;
        let left = self.broker.remove(&queue).await?;
        let told = |event: &&Event| event.wanted && !load.health.is_dead(event.lane.0);
        let mut times: HashMap<EventNumber, u32> =
            events.iter().filter(told).map(|event| (event.number, 0)).collect();
        let mut strange = 0;
        for receipt in &taken.receipts {
            match times.get_mut(&receipt.event) {
                Some(times) => *times += 1,
                None => strange += 1,
            }
        }
        let lost = times.values().filter(|times| **times < load.copies).count();
        let repeated = times.values().filter(|times| **times > load.copies).count();
        if (lost, repeated, strange, left) == (0, 0, 0, 0) {
            return Ok(taken);
        }
        Err(anyhow!(
            "NOT EXACTLY ONCE: of {} events {lost} LOST, {repeated} REPEATED; {strange} that were not expected; \
             {left} messages not acknowledged",
            events.len()
        ))
    }
}

fn cpu_between(before: Usage, after: Usage) -> Duration {
    after.cpu.saturating_sub(before.cpu)
}

/// So many events, from the first receipt to the last one.
fn per_second(receipts: &[Receipt], events: usize) -> f64 {
    let times = || receipts.iter().map(|receipt| receipt.at);
    let (first, last) = (times().min().unwrap_or_default(), times().max().unwrap_or_default());
    rate(events.saturating_sub(1), last - first)
}

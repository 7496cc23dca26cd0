//! How much goes through the store, with full durability, and what it costs: `cargo bench --bench store`.
//!
//! Five ways, each in batches of several sizes. *kept*: the event and the outcome of its first attempt are written at once:
//! the ordinary way, with the event's JSON in the history. *forgotten*: the same without the JSON
//! (`store.history = false`). *claimed*: enqueue, claim, settle, one after another, as after an overflow or a retry.
//! *leased*: enqueue with a lease, then settle. *overlapped*: the same by a dispatcher and a deliverer at the same time,
//! so that both share commits.
//!
//! Then what each call costs while rows wait: `-- backlog 1000000` measures that with so many rows.

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use forgebell::event::{Event, EventId};
use forgebell::integration::IntegrationId;
use forgebell::store::seal::Keyring;
use forgebell::store::sqlite::Sqlite;
use forgebell::store::{
    AttemptRecord, Claim, Delivery, DeliveryId, Dispatched, Fate, FirstAttempts, Kept, KeptDelivery, Lane,
    Lease, Ledger, NewDelivery, NewState, NodeId, Origin, Outbox, Remembered, Settled,
};
use jiff::Timestamp;

/// On the disk that the build is on, and not in memory, as `/tmp` may be.
const DISK: &str = env!("CARGO_TARGET_TMPDIR");

const EVENT_BYTES: usize = 2700;
const DESTINATIONS: usize = 10;
const LANES: usize = 200;
const BATCHES: [usize; 4] = [1, 16, 64, 256];
const TIME_EACH: Duration = Duration::from_secs(3);
/// Rows that wait, where it is measured what that costs.
const BACKLOGS: [usize; 3] = [1_000, 30_000, 300_000];
/// The size of an event in a backlog: small, since only the number of rows counts.
const BACKLOG_BYTES: usize = 300;
/// Rows that one call writes when a backlog is made.
const AT_ONCE: usize = 1_000;
/// Calls of each kind that are measured in a backlog.
const CALLS: usize = 100;
/// What the deliverer asks for in one claim, for one destination.
const PORTION: usize = 16;

type Done = Result<(), Box<dyn std::error::Error>>;

fn main() -> Done {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    println!(
        "SQLite, WAL, synchronous=FULL; events of {EVENT_BYTES} bytes, one delivery each; {}",
        machine()
    );
    let titles = ["way", "batch", "deliveries/s", "CPU s per 10,000", "KB written each"];
    println!("{:>10} {:>6} {:>14} {:>18} {:>16}", titles[0], titles[1], titles[2], titles[3], titles[4]);
    // `cargo bench --bench store -- leased 64` measures that alone.
    let named: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let (sizes, ways): (Vec<_>, Vec<_>) = named.into_iter().partition(|name| name.parse::<usize>().is_ok());
    let wanted = |names: &[String], name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    let is_backlog_alone = ways == ["backlog"];
    for batch in BATCHES.into_iter().filter(|batch| !is_backlog_alone && wanted(&sizes, &batch.to_string())) {
        if wanted(&ways, "kept") {
            runtime.block_on(measure("kept", batch, async |bench| kept(bench, true).await))?;
        }
        if wanted(&ways, "forgotten") {
            runtime.block_on(measure("forgotten", batch, async |bench| kept(bench, false).await))?;
        }
        if wanted(&ways, "claimed") {
            runtime.block_on(measure("claimed", batch, claimed))?;
        }
        if wanted(&ways, "leased") {
            runtime.block_on(measure("leased", batch, leased))?;
        }
        if wanted(&ways, "overlapped") {
            runtime.block_on(measure("overlapped", batch, overlapped))?;
        }
    }
    if wanted(&ways, "backlog") {
        let named: Vec<usize> = sizes.iter().filter_map(|size| size.parse().ok()).collect();
        let sizes = if is_backlog_alone && !named.is_empty() { named } else { BACKLOGS.to_vec() };
        runtime.block_on(backlogs(&sizes))?;
    }
    Ok(())
}

/// What each call costs while so many rows wait: in few long lanes, and in a lane and a destination for each row.
async fn backlogs(sizes: &[usize]) -> Done {
    println!("\nmicroseconds of one call, the median of {CALLS}, while rows wait");
    let titles = ["rows", "destinations", "claim of 16", "settle of 16", "waiting", "depth", "overview"];
    println!(
        "{:>9} {:>13} {:>12} {:>13} {:>9} {:>9} {:>9}",
        titles[0], titles[1], titles[2], titles[3], titles[4], titles[5], titles[6]
    );
    for &size in sizes {
        for destinations in [DESTINATIONS, 200, size.min(50_000)] {
            backlog(size, destinations).await?;
        }
    }
    Ok(())
}

async fn backlog(size: usize, destinations: usize) -> Done {
    let folder = tempfile::tempdir_in(DISK)?;
    let bench = Bench::new(&folder, AT_ONCE, BACKLOG_BYTES)?;
    for from in (0..size).step_by(AT_ONCE) {
        let row = |n| in_backlog(&bench.template, n, destinations);
        let batch = (from..size.min(from + AT_ONCE)).map(row).collect();
        bench.store.enqueue(batch, now()).await?;
    }
    let (mut claims, mut settlements) = (Vec::new(), Vec::new());
    for call in 0..CALLS.min(size / PORTION) {
        let claim = Claim {
            destinations: vec![hook(call * 7 % destinations)],
            portion: forgebell::store::Portion::rows(PORTION),
            lease: bench.lease(),
            now: now(),
        };
        let started = Instant::now();
        let claimed = bench.store.claim(claim).await?;
        claims.push(started.elapsed());
        let deliveries = claimed.into_iter().flat_map(|claimed| claimed.deliveries);
        let deliveries = deliveries.map(|(delivery, _)| delivery).collect();
        let started = Instant::now();
        bench.settle(deliveries).await?;
        settlements.push(started.elapsed());
    }
    let waiting = timed(async || bench.store.waiting(now(), 10_000).await.map(drop)).await?;
    let depth = timed(async || bench.store.depth(now()).await.map(drop)).await?;
    let overview = timed(async || bench.store.overview().await.map(drop)).await?;
    println!(
        "{size:>9} {destinations:>13} {:>12} {:>13} {waiting:>9} {depth:>9} {overview:>9}",
        middle(claims),
        middle(settlements)
    );
    Ok(())
}

/// The median of several calls, in microseconds.
async fn timed<E: std::error::Error + 'static>(
    call: impl AsyncFn() -> Result<(), E>,
) -> Result<u128, Box<dyn std::error::Error>> {
    let mut took = Vec::new();
    for _ in 0..CALLS / 10 {
        let started = Instant::now();
        call().await?;
        took.push(started.elapsed());
    }
    Ok(middle(took))
}

fn middle(mut took: Vec<Duration>) -> u128 {
    took.sort();
    took.get(took.len() / 2).copied().unwrap_or_default().as_micros()
}

fn hook(n: usize) -> Arc<str> {
    format!("hook:{n:016x}").into()
}

/// A row that waits: each destination has a few lanes.
fn in_backlog(template: &Event, n: usize, destinations: usize) -> Dispatched {
    let mut dispatched = dispatched(template, n, None);
    let of = n % destinations;
    for delivery in &mut dispatched.deliveries {
        delivery.destination = hook(of);
        let lane = of * 8 + n / destinations % 8;
        delivery.lane = Lane(i64::try_from(lane).unwrap_or_default().wrapping_mul(0x09e3_779b_97f4_a7c1));
    }
    dispatched
}

/// Runs one way on a fresh store, and prints a line.
async fn measure(way: impl Display, batch: usize, run: impl AsyncFn(&Bench) -> Done) -> Done {
    let folder = tempfile::tempdir_in(DISK)?;
    let bench = Bench::new(&folder, batch, EVENT_BYTES)?;
    let (cpu, written) = (cpu_seconds(), kilobytes_written());
    run(&bench).await?;
    let seconds = bench.started.elapsed().as_secs_f64();
    let settled = f64::from(bench.settled.load(std::sync::atomic::Ordering::Relaxed));
    let cpu_each = (cpu_seconds() - cpu) / settled * 10_000.0;
    let written_each = (kilobytes_written() - written) / settled;
    println!("{way:>10} {batch:>6} {:>14.0} {cpu_each:>18.2} {written_each:>16.1}", settled / seconds);
    Ok(())
}

struct Bench {
    store: Sqlite,
    template: Event,
    batch: usize,
    node: NodeId,
    settled: std::sync::atomic::AtomicU32,
    started: Instant,
}

async fn kept(bench: &Bench, history: bool) -> Done {
    let mut written = 0;
    while bench.has_time() {
        let batch = (written..written + bench.batch).map(|n| bench.delivered(n, history)).collect();
        bench.store.keep(&bench.node, batch).await?;
        written += bench.batch;
        bench.count(bench.batch)?;
    }
    Ok(())
}

async fn claimed(bench: &Bench) -> Done {
    let mut written = 0;
    while bench.has_time() {
        bench.enqueue(written, None).await?;
        let claim = Claim {
            destinations: (written..written + bench.batch.min(DESTINATIONS)).map(destination).collect(),
            portion: forgebell::store::Portion::rows(bench.batch),
            lease: bench.lease(),
            now: now(),
        };
        written += bench.batch;
        let claimed = bench.store.claim(claim).await?;
        let deliveries =
            claimed.into_iter().flat_map(|claimed| claimed.deliveries).map(|(delivery, _)| delivery);
        bench.settle(deliveries.collect()).await?;
    }
    Ok(())
}

async fn leased(bench: &Bench) -> Done {
    let mut written = 0;
    while bench.has_time() {
        let deliveries = bench.enqueue(written, Some(bench.lease())).await?;
        written += bench.batch;
        bench.settle(deliveries).await?;
    }
    Ok(())
}

async fn overlapped(bench: &Bench) -> Done {
    let (to_settle, mut settling) = tokio::sync::mpsc::channel(4);
    let dispatch = async {
        let mut written = 0;
        while bench.has_time() {
            to_settle.send(bench.enqueue(written, Some(bench.lease())).await?).await?;
            written += bench.batch;
        }
        drop(to_settle);
        Done::Ok(())
    };
    let deliver = async {
        while let Some(deliveries) = settling.recv().await {
            bench.settle(deliveries).await?;
        }
        Done::Ok(())
    };
    let (dispatched, delivered) = tokio::join!(dispatch, deliver);
    dispatched.and(delivered)
}

impl Bench {
    fn new(
        folder: &tempfile::TempDir,
        batch: usize,
        bytes: usize,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        Ok(Self {
            store: Sqlite::open(&folder.path().join("bench.db"), Keyring::none())?,
            template: template(bytes),
            batch,
            node: NodeId("bench".into()),
            settled: 0.into(),
            started: Instant::now(),
        })
    }

    fn has_time(&self) -> bool {
        self.started.elapsed() < TIME_EACH
    }

    fn lease(&self) -> Lease {
        Lease { node: self.node.clone(), until: now() + jiff::SignedDuration::from_secs(60) }
    }

    async fn enqueue(
        &self,
        from: usize,
        lease: Option<Lease>,
    ) -> Result<Vec<Delivery>, Box<dyn std::error::Error>> {
        let batch = (from..from + self.batch).map(|n| dispatched(&self.template, n, lease.clone())).collect();
        let written = self.store.enqueue(batch, now()).await?;
        Ok(written.into_iter().flatten().flatten().collect())
    }

    async fn settle(&self, deliveries: Vec<Delivery>) -> Done {
        let count = deliveries.len();
        let settled = deliveries.into_iter().map(|delivery| settled(delivery.id));
        self.store.settle(&self.node, settled.collect()).await?;
        self.count(count)
    }

    /// An event whose delivery was successful at the first attempt.
    fn delivered(&self, n: usize, history: bool) -> Kept {
        let Dispatched { event, origin, deliveries, remembered } = dispatched(&self.template, n, None);
        let attempted = deliveries.into_iter().map(|new| {
            let id = self.store.next_id();
            KeptDelivery { id, new, fate: Fate::Attempted(Box::new(settled(id))) }
        });
        let deliveries = attempted.collect();
        Kept { event, origin, remembered, received_at: now(), history, deliveries }
    }

    fn count(&self, deliveries: usize) -> Done {
        self.settled.fetch_add(u32::try_from(deliveries)?, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }
}

fn settled(delivery: DeliveryId) -> Settled {
    Settled {
        delivery,
        state: NewState::Delivered,
        attempts: 1,
        record: AttemptRecord {
            at: now(),
            latency_ms: 42,
            outcome: "delivered",
            status: Some(200),
            note: String::new(),
        },
        end: Vec::new(),
        begin: Vec::new(),
        watch: None,
        at: now(),
    }
}

fn dispatched(template: &Event, n: usize, lease: Option<Lease>) -> Dispatched {
    let delivery = NewDelivery {
        integration: IntegrationId::new("acme/web:slack"),
        target: "#ops".into(),
        destination: destination(n),
        share: destination(n),
        lane: Lane(i64::try_from(n % LANES).unwrap_or_default().wrapping_mul(0x09e3_779b_97f4_a7c1)),
        replaces: false,
        lease,
    };
    Dispatched {
        event: Arc::new(event(template, n)),
        origin: Origin::Broker { digest: None, redelivered: false },
        deliveries: vec![delivery],
        remembered: Remembered::default(),
    }
}

fn destination(n: usize) -> Arc<str> {
    format!("hook:{:016x}", n % DESTINATIONS).into()
}

/// A push, as long as a real one, decoded once: what decoding costs is not the store's. Ids are as random as those
/// of forges.
fn event(template: &Event, n: usize) -> Event {
    let id = format!("{:016x}-{n:08x}", (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    Event { id: EventId::new(&id).expect("printable and short"), ..template.clone() }
}

fn template(bytes: usize) -> Event {
    let mut raw = r#"{"object_kind":"push","ref":"refs/heads/main","after":"0123456789abcdef",
        "project":{"id":7,"path_with_namespace":"acme/web"},"filler":""#
        .to_owned();
    raw.push_str(&"x".repeat(bytes.saturating_sub(raw.len() + 2)));
    raw.push_str("\"}");
    let id = EventId::new("template").expect("printable and short");
    Event::decode(id, now(), Bytes::from(raw)).expect("a push")
}

/// The store has no clock, and no need of a true one.
fn now() -> Timestamp {
    Timestamp::from_second(1_700_000_000).expect("in range")
}

/// What this process has used of the processor so far, all threads.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field, the name, may hold spaces; fields 14 and 15 are user and system time in hundredths.
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks = after_name.split(' ').skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

/// What this process has written to files so far.
fn kilobytes_written() -> f64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let written = io.lines().find_map(|line| line.strip_prefix("wchar: ")?.parse::<f64>().ok());
    written.unwrap_or_default() / 1024.0
}

fn machine() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("an unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores of {model}; in {DISK}")
}

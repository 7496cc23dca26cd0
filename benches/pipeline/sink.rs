//! The sink: the server that all contenders post to. It is a process of its own, so that its work is not counted as theirs.
//!
//! It is a minimal HTTP server that keeps connections alive, in plain text or over TLS. It answers `200 ok` to everything, and
//! records the event and the time of each body. Under [`SILENT`] it accepts requests and never answers, and under
//! [`SLOW`] it takes its time.
//!
//! It reads commands, one a line, from its standard input, and ends when that is closed:
//!
//! * `expect N COPIES`: print `done` when N different events have come so many times each since the last `take`;
//! * `take`: print what came as lines `event nanoseconds`, ended by a dot and the number of connections that were accepted
//!   meanwhile, and begin anew.

use std::collections::HashMap;
use std::io::Write;
use std::process::{ExitCode, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::events::EventNumber;
use crate::harness::authority::Authority;
use crate::served;

/// The word by which this executable, started again, becomes the sink.
pub const ROLE: &str = "role:sink";
/// Paths that begin so are never answered.
pub const SILENT: &str = "/silent/";
/// Paths that begin so are answered after [`served::PATIENCE`].
pub const SLOW: &str = "/slow/";

/// What the sink speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Protocol {
    /// HTTP/1.1 in plain text.
    #[default]
    Http,
    /// HTTP/1.1 over TLS.
    Tls,
    /// HTTP/2 over TLS.
    H2,
}

/// An event's arrival.
#[derive(Clone, Copy, Debug)]
pub struct Receipt {
    pub event: EventNumber,
    /// Wall-clock nanoseconds, as the publisher's.
    pub at: u64,
}

/// What came in a while.
#[derive(Debug, Default)]
pub struct Taken {
    /// In the order of their arrival.
    pub receipts: Vec<Receipt>,
    /// Connections that were accepted.
    pub connections: usize,
}

// ---- its owner's side --------------------------------------------------------------------------------------------

/// The sink as its owner sees it. It dies with this.
pub struct Sink {
    said: Lines<BufReader<ChildStdout>>,
    told: ChildStdin,
    port: u16,
    protocol: Protocol,
    /// The authority behind its certificate, in PEM.
    pub authority: String,
    _process: Child,
}

impl Sink {
    pub async fn start(protocol: Protocol) -> Result<Self> {
        let authority = Authority::new();
        let (certificate, key) = authority.certify(&["localhost", "127.0.0.1"]);
        let word = match protocol {
            Protocol::Http => "http",
            Protocol::Tls => "tls",
            Protocol::H2 => "h2",
        };
        let mut process = Command::new(std::env::current_exe()?)
            .args([ROLE, word, &certificate, &key])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the sink")?;
        let told = process.stdin.take().context("the sink has no standard input")?;
        let said = BufReader::new(process.stdout.take().context("the sink has no standard output")?).lines();
        let mut sink = Self { said, told, port: 0, protocol, authority: authority.pem, _process: process };
        sink.port = sink.line().await?.parse().context("the sink said no port")?;
        Ok(sink)
    }

    /// The address of one of its paths.
    pub fn address(&self, path: &str) -> String {
        let scheme = if self.protocol == Protocol::Http { "http" } else { "https" };
        format!("{scheme}://127.0.0.1:{}{path}", self.port)
    }

    /// Has [`Self::done`] come back when so many different events have arrived so many times since the last [`Self::take`].
    pub async fn expect(&mut self, events: usize, copies: u32) -> Result<()> {
        self.tell(&format!("expect {events} {copies}\n")).await
    }

    pub async fn done(&mut self) -> Result<()> {
        match self.line().await?.as_str() {
            "done" => Ok(()),
            other => bail!("the sink said {other:?}"),
        }
    }

    /// What has come since the last time.
    pub async fn take(&mut self) -> Result<Taken> {
        self.tell("take\n").await?;
        let mut taken = Taken::default();
        loop {
            let line = self.line().await?;
            match line.split_once(' ') {
                Some((".", connections)) => {
                    taken.connections = connections.parse()?;
                    return Ok(taken);
                }
                Some((event, at)) => {
                    taken.receipts.push(Receipt { event: event.parse()?, at: at.parse()? });
                }
                // It was reached after the last one to wait for it had gone.
                None if line == "done" => {}
                None => bail!("the sink said {line:?}"),
            }
        }
    }

    async fn tell(&mut self, words: &str) -> Result<()> {
        self.told.write_all(words.as_bytes()).await.context("the sink is gone")
    }

    async fn line(&mut self) -> Result<String> {
        self.said.next_line().await?.context("the sink is gone")
    }
}

// ---- its own side ------------------------------------------------------------------------------------------------

/// What came.
#[derive(Default)]
pub struct Ledger {
    taken: Taken,
    times: HashMap<EventNumber, u32>,
    /// How many events, and how many times each.
    expected: Option<(usize, u32)>,
    complete: usize,
}

impl Ledger {
    pub fn note(&mut self, event: EventNumber, at: u64) {
        self.taken.receipts.push(Receipt { event, at });
        let times = self.times.entry(event).or_default();
        *times += 1;
        if self.expected.is_some_and(|(_, copies)| *times == copies) {
            self.complete += 1;
            self.look();
        }
    }

    pub fn connected(&mut self) {
        self.taken.connections += 1;
    }

    fn expect(&mut self, events: usize, copies: u32) {
        self.expected = Some((events, copies));
        self.complete = self.times.values().filter(|times| **times >= copies).count();
        self.look();
    }

    fn look(&mut self) {
        if self.expected.is_some_and(|(events, _)| self.complete >= events) {
            self.expected = None;
            say("done\n");
        }
    }
}

pub fn say(words: &str) {
    let mut out = std::io::stdout().lock();
    // Who does not listen any more will close our standard input too.
    let _ = out.write_all(words.as_bytes()).and_then(|()| out.flush());
}

pub fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Is the sink, until its standard input ends.
pub fn run(arguments: &[String]) -> Result<ExitCode> {
    let [word, certificate, key] = arguments else { bail!("the sink wants three arguments") };
    let tls = if word == "http" { None } else { Some(served::tls(certificate, key, word == "h2")?) };
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let serving = Arc::clone(&ledger);
    // One thread serves: more would only take turns with the contender on a small machine.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        if let Err(error) = runtime.block_on(served::serve(serving, tls)) {
            // Its owner misses what it would have said.
            eprintln!("the sink cannot serve: {error}");
            std::process::exit(1);
        }
    });
    for order in std::io::stdin().lines() {
        let order = order?;
        let words: Vec<_> = order.split(' ').collect();
        match words[..] {
            ["expect", events, copies] => lock(&ledger).expect(events.parse()?, copies.parse()?),
            ["take"] => {
                let Taken { receipts, connections } = std::mem::take(&mut *lock(&ledger)).taken;
                let lines: Vec<_> = receipts.iter().map(|of| format!("{} {}\n", of.event, of.at)).collect();
                say(&format!("{}. {connections}\n", lines.concat()));
            }
            _ => bail!("the sink does not know the command {order:?}"),
        }
    }
    Ok(ExitCode::SUCCESS)
}

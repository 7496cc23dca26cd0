//! The sink: the server that both contenders post to. It is a process of its own, so that its work is not counted as theirs.
//!
//! It is a minimal HTTP/1.1 server that keeps connections alive. It answers `200 ok` to everything, and records the event and
//! the time of each body. Under [`SILENT`] it accepts requests and never answers.
//!
//! It reads commands, one a line, from its standard input, and ends when that is closed:
//!
//! * `expect N`: print `done` when N different events have come since the last `take`;
//! * `take`: print what came as lines `event nanoseconds`, ended by a dot, and begin anew.

use std::collections::HashSet;
use std::io::Write;
use std::net::Ipv4Addr;
use std::process::{ExitCode, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::events::{EventNumber, marked};
use crate::figures::now_nanos;

/// The word by which this executable, started again, becomes the sink.
pub const ROLE: &str = "role:sink";
/// Paths that begin so are never answered.
pub const SILENT: &str = "/silent/";

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok";

/// An event's arrival.
#[derive(Clone, Copy, Debug)]
pub struct Receipt {
    pub event: EventNumber,
    /// Wall-clock nanoseconds, as the publisher's.
    pub at: u64,
}

// ---- its owner's side --------------------------------------------------------------------------------------------

/// The sink as its owner sees it. It dies with this.
pub struct Sink {
    said: Lines<BufReader<ChildStdout>>,
    told: ChildStdin,
    pub port: u16,
    _process: Child,
}

impl Sink {
    pub async fn start() -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg(ROLE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the sink")?;
        let told = process.stdin.take().context("the sink has no standard input")?;
        let said = BufReader::new(process.stdout.take().context("the sink has no standard output")?).lines();
        let mut sink = Self { said, told, port: 0, _process: process };
        sink.port = sink.line().await?.parse().context("the sink said no port")?;
        Ok(sink)
    }

    /// Has [`Self::done`] come back when so many different events have arrived since the last [`Self::take`].
    pub async fn expect(&mut self, events: usize) -> Result<()> {
        self.tell(&format!("expect {events}\n")).await
    }

    pub async fn done(&mut self) -> Result<()> {
        match self.line().await?.as_str() {
            "done" => Ok(()),
            other => bail!("the sink said {other:?}"),
        }
    }

    /// What has come since the last time.
    pub async fn take(&mut self) -> Result<Vec<Receipt>> {
        self.tell("take\n").await?;
        let mut receipts = Vec::new();
        loop {
            let line = self.line().await?;
            match line.split_once(' ') {
                Some((event, at)) => receipts.push(Receipt { event: event.parse()?, at: at.parse()? }),
                None if line == "." => return Ok(receipts),
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
struct Ledger {
    receipts: Vec<Receipt>,
    different: HashSet<EventNumber>,
    expected: Option<usize>,
}

impl Ledger {
    fn note(&mut self, event: EventNumber, at: u64) {
        self.receipts.push(Receipt { event, at });
        self.different.insert(event);
        self.look();
    }

    fn expect(&mut self, events: usize) {
        self.expected = Some(events);
        self.look();
    }

    fn look(&mut self) {
        if self.expected.is_some_and(|expected| self.different.len() >= expected) {
            self.expected = None;
            say("done\n");
        }
    }
}

fn say(words: &str) {
    let mut out = std::io::stdout().lock();
    // Who does not listen any more will close our standard input too.
    let _ = out.write_all(words.as_bytes()).and_then(|()| out.flush());
}

/// Is the sink, until its standard input ends.
pub fn run() -> Result<ExitCode> {
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let serving = Arc::clone(&ledger);
    // One thread serves: more would only take turns with the contender on a small machine.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        if let Err(error) = runtime.block_on(serve(serving)) {
            // Its owner misses what it would have said.
            eprintln!("the sink cannot serve: {error}");
            std::process::exit(1);
        }
    });
    for order in std::io::stdin().lines() {
        let order = order?;
        match order.split_once(' ') {
            Some(("expect", events)) => lock(&ledger).expect(events.parse()?),
            None if order == "take" => {
                let taken = std::mem::take(&mut *lock(&ledger)).receipts;
                let lines: Vec<_> = taken.iter().map(|of| format!("{} {}\n", of.event, of.at)).collect();
                say(&(lines.concat() + ".\n"));
            }
            _ => bail!("the sink does not know the command {order:?}"),
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn serve(ledger: Arc<Mutex<Ledger>>) -> std::io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    say(&format!("{}\n", listener.local_addr()?.port()));
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(answer(stream, Arc::clone(&ledger)));
    }
}

fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers the requests of one connection, until it ends.
async fn answer(mut stream: TcpStream, ledger: Arc<Mutex<Ledger>>) {
    let _ = stream.set_nodelay(true);
    let mut bytes = Vec::with_capacity(16 * 1024);
    while let Some(request) = read_request(&mut stream, &mut bytes).await {
        if request.silent {
            // Holds the connection, as a service does that hangs.
            tokio::time::sleep(Duration::from_secs(3600)).await;
            return;
        }
        let at = now_nanos();
        if let Some(event) = marked(&bytes[request.body_at..request.end]) {
            lock(&ledger).note(event, at);
        }
        bytes.drain(..request.end);
        if stream.write_all(ANSWER).await.is_err() {
            return;
        }
    }
}

/// Where a request's body lies in the bytes read so far.
struct Request {
    silent: bool,
    body_at: usize,
    end: usize,
}

/// Reads until a whole request is there; `None` at the connection's end.
async fn read_request(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<Request> {
    let mut found = None;
    loop {
        if found.is_none() {
            found = head(bytes);
        }
        if let Some(request) = found.take_if(|request| bytes.len() >= request.end) {
            return Some(request);
        }
        if stream.read_buf(bytes).await.ok()? == 0 {
            return None;
        }
    }
}

fn head(bytes: &[u8]) -> Option<Request> {
    let body_at = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..body_at]).ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let path = head.split(' ').nth(1)?;
    Some(Request { silent: path.starts_with(SILENT), body_at, end: body_at + length.unwrap_or_default() })
}

//! The service that is told of things: a real HTTP/1.1 server on loopback, which records every request and answers by
//! script. It can be slow, rude, strict about pace, or break off in the middle.
//!
//! * [`Receiver`]: the server. It records every request, and answers 404 to paths without a script.
//! * [`Hook`]: one path of it, with its script: first these answers in turn, then that one for ever.
//! * [`Answer`]: an answer, and how it is sent.
//! * [`Received`]: one request as it came.
//!
//! It is written on the bare socket, because closing a connection before or within an answer is what a server library
//! is made to prevent.

mod answer;
mod http;

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{fmt, io};

use axum::http::HeaderMap;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

pub use answer::Answer;
use answer::{Manner, Pace};
use http::{Request, read_request};

/// How long [`Hook::wait_for`] waits: far longer than anything healthy takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// One request as it came.
#[derive(Debug)]
pub struct Received {
    /// Its place among all requests to this receiver, from 0.
    pub seq: usize,
    pub at: Instant,
    pub method: String,
    pub path: String,
    /// What stood after the `?`, or nothing.
    pub query: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// The status it was (or was to be) answered with; none where nothing was to be answered.
    pub answered: Option<u16>,
}

impl Received {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {self}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("a header in plain text"))
    }
}

impl fmt::Display for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seq, method, path, answered, .. } = self;
        let body: String = self.text().chars().take(200).collect();
        write!(f, "#{seq} {method} {path} → {answered:?}: {body}")
    }
}

// ---- the books ---------------------------------------------------------------------------------------------------

#[derive(Default)]
struct Books {
    received: Vec<Arc<Received>>,
    paths: HashMap<String, PathBook>,
    connections: usize,
}

#[derive(Default)]
struct PathBook {
    received: Vec<Arc<Received>>,
    script: VecDeque<Answer>,
    default: Option<Answer>,
    pace: Option<Pace>,
    in_progress: usize,
    most_in_progress: usize,
}

impl PathBook {
    fn next_answer(&mut self, now: Instant) -> Answer {
        let refusal = self.pace.as_mut().and_then(|pace| pace.refuse(now));
        let answer = refusal.or_else(|| self.script.pop_front()).or_else(|| self.default.clone());
        answer.unwrap_or_else(Answer::not_scripted)
    }
}

struct Ledger {
    books: Mutex<Books>,
    changed: watch::Sender<()>,
}

impl Ledger {
    /// A predicate that panicked has changed nothing, so that the others can go on.
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, request: Request) -> Answer {
        let now = Instant::now();
        let mut books = self.books();
        let seq = books.received.len();
        let path = books.paths.entry(request.path.clone()).or_default();
        let answer = path.next_answer(now);
        let Request { method, path: name, query, headers, body } = request;
        let answered = answer.announced();
        let received =
            Arc::new(Received { seq, at: now, method, path: name, query, headers, body, answered });
        path.in_progress += 1;
        path.most_in_progress = path.most_in_progress.max(path.in_progress);
        path.received.push(Arc::clone(&received));
        books.received.push(received);
        drop(books);
        self.changed.send_replace(());
        answer
    }

    fn finished(&self, path: &str) {
        if let Some(path) = self.books().paths.get_mut(path) {
            path.in_progress -= 1;
        }
    }

    /// Registers before it looks, so that nothing falls between.
    async fn until<T>(&self, bound: Duration, mut look: impl FnMut(&Books) -> Option<T>) -> Option<T> {
        let mut changes = self.changed.subscribe();
        let looking = async {
            loop {
                if let Some(seen) = look(&self.books()) {
                    return seen;
                }
                changes.changed().await.expect("the ledger outlives those who wait");
            }
        };
        timeout(bound, looking).await.ok()
    }
}

fn list(received: &[Arc<Received>]) -> String {
    let lines: Vec<String> = received.iter().map(ToString::to_string).collect();
    format!("{} arrived\n{}", lines.len(), lines.join("\n"))
}

// ---- the server --------------------------------------------------------------------------------------------------

pub struct Receiver {
    address: SocketAddr,
    ledger: Arc<Ledger>,
    _server: AbortOnDropHandle<()>,
}

impl Receiver {
    pub async fn start() -> Receiver {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port to receive on");
        let address = listener.local_addr().expect("a bound socket has an address");
        let ledger = Arc::new(Ledger { books: Mutex::default(), changed: watch::Sender::new(()) });
        let server = tokio::spawn(serve(listener, Arc::clone(&ledger)));
        Receiver { address, ledger, _server: AbortOnDropHandle::new(server) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// One path of this server, to be scripted and asked.
    pub fn at(&self, path: &str) -> Hook {
        Hook { path: path.to_owned(), url: self.url(path), ledger: Arc::clone(&self.ledger) }
    }

    /// A path that always says 200 and `ok`.
    pub fn slack_like(&self, path: &str) -> Hook {
        self.at(path).answer(Answer::ok())
    }

    pub fn received(&self) -> Vec<Arc<Received>> {
        self.ledger.books().received.clone()
    }

    pub fn received_at(&self, path: &str) -> Vec<Arc<Received>> {
        self.at(path).received()
    }

    /// Connections accepted so far: few, where the daemon keeps them open.
    pub fn connections(&self) -> usize {
        self.ledger.books().connections
    }

    /// Waits until what arrived at any path satisfies the predicate, and returns it. Panics with what did arrive.
    pub async fn wait_until(
        &self,
        description: &str,
        bound: Duration,
        predicate: impl Fn(&[Arc<Received>]) -> bool,
    ) -> Vec<Arc<Received>> {
        let look = |books: &Books| predicate(&books.received).then(|| books.received.clone());
        let Some(received) = self.ledger.until(bound, look).await else {
            panic!("waited {bound:?} in vain for: {description}; {}", list(&self.received()));
        };
        received
    }

    /// Waits for `count` requests or more, at any path.
    pub async fn wait_for(&self, count: usize) -> Vec<Arc<Received>> {
        self.wait_until(&format!("{count} requests"), PATIENCE, |received| received.len() >= count).await
    }
}

/// One path of a [`Receiver`].
#[derive(Clone)]
pub struct Hook {
    path: String,
    url: String,
    ledger: Arc<Ledger>,
}

impl Hook {
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// From now on always this.
    pub fn answer(self, answer: Answer) -> Hook {
        self.answer_then(Vec::new(), answer)
    }

    /// First these in turn, then always `default`. What was scripted before is forgotten.
    pub fn answer_then(self, script: Vec<Answer>, default: Answer) -> Hook {
        self.amend(|path| {
            path.script = script.into();
            path.default = Some(default);
        })
    }

    /// A token bucket before the script: `burst` requests pass at once, and `burst` per `window` in the long run. All
    /// others get `refusal`, which is most often [`Answer::throttled`]. Where nothing is scripted, 200 and `ok`.
    pub fn rate_limited(self, burst: u32, window: Duration, refusal: Answer) -> Hook {
        self.amend(|path| {
            path.pace = Some(Pace::new(burst, window, refusal));
            path.default.get_or_insert_with(Answer::ok);
        })
    }

    fn amend(self, change: impl FnOnce(&mut PathBook)) -> Hook {
        change(self.ledger.books().paths.entry(self.path.clone()).or_default());
        self
    }

    pub fn received(&self) -> Vec<Arc<Received>> {
        let books = self.ledger.books();
        books.paths.get(&self.path).map(|path| path.received.clone()).unwrap_or_default()
    }

    /// The most requests that were ever in progress at once here.
    pub fn max_concurrency(&self) -> usize {
        self.ledger.books().paths.get(&self.path).map_or(0, |path| path.most_in_progress)
    }

    /// As [`Receiver::wait_until`], for this path.
    pub async fn wait_until(
        &self,
        description: &str,
        bound: Duration,
        predicate: impl Fn(&[Arc<Received>]) -> bool,
    ) -> Vec<Arc<Received>> {
        let look = |books: &Books| {
            let received = books.paths.get(&self.path).map_or(&[][..], |path| &path.received);
            predicate(received).then(|| received.to_vec())
        };
        let Some(received) = self.ledger.until(bound, look).await else {
            let (path, arrived) = (&self.path, list(&self.received()));
            panic!("waited {bound:?} in vain at {path} for: {description}; {arrived}");
        };
        received
    }

    /// Waits for `count` requests or more.
    pub async fn wait_for(&self, count: usize) -> Vec<Arc<Received>> {
        self.wait_until(&format!("{count} requests"), PATIENCE, |received| received.len() >= count).await
    }
}

async fn serve(listener: TcpListener, ledger: Arc<Ledger>) {
    // Dropped with this task, and all connections with it.
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        ledger.books().connections += 1;
        connections.spawn(converse(stream, Arc::clone(&ledger)));
        while connections.try_join_next().is_some() {}
    }
}

/// One connection, request after request. An error is the other side's going away, which is recorded nowhere.
async fn converse(stream: TcpStream, ledger: Arc<Ledger>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    while let Some(request) = read_request(&mut stream).await? {
        let keep = !request.wants_close();
        let without_body = request.method == "HEAD";
        let progress = InProgress { path: request.path.clone(), ledger: Arc::clone(&ledger) };
        let answer = ledger.record(request);
        if !answer.delay.is_zero() {
            tokio::select! {
                () = sleep(answer.delay) => {}
                () = gone(&mut stream) => return Ok(()),
            }
        }
        match answer.manner {
            Manner::Whole => {
                // Counted out first: who has the answer may at once send the next.
                drop(progress);
                let body = if without_body { &[][..] } else { &answer.body };
                stream.write_all(&[answer.head().as_bytes(), body].concat()).await?;
            }
            Manner::Hang => {
                gone(&mut stream).await;
                return Ok(());
            }
            Manner::Close => return Ok(()),
            Manner::CloseMid => {
                let half = &answer.body[..answer.body.len() / 2];
                return stream.write_all(&[answer.head().as_bytes(), half].concat()).await;
            }
        }
        if !keep {
            break;
        }
    }
    Ok(())
}

/// Counts a request out again, however its connection ends.
struct InProgress {
    path: String,
    ledger: Arc<Ledger>,
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.ledger.finished(&self.path);
    }
}

/// Until the other side has closed. Should it send more instead, nothing is lost, and this never ends.
async fn gone(stream: &mut BufReader<TcpStream>) {
    match stream.fill_buf().await {
        Ok(more) if !more.is_empty() => std::future::pending().await,
        _ => {}
    }
}

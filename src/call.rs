//! What is said over a wire, and what its answer means: data only.
//!
//! An adapter makes a [`Call`]: a [`Request`] and how its answer is read. `wire` sends the request and brings a
//! [`Response`]; the call's reader turns that into an [`Answer`]. A [`Failure`] is named by its consequence, and
//! keeps its type until `pipeline::retry` has decided what follows. A [`Bucket`] is what limits the pace of calls.
//! [`Mail`] is in `mail.rs`.

mod mail;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use crate::digest::Digest;

pub use mail::{Mail, Mailbox, SmtpReply, SmtpStage};

/// A request, and how its answer is read.
pub struct Call {
    pub request: Request,
    pub read: Read,
    /// What follows where no answer came at all; `None` where then the attempt has failed.
    pub unanswered: Option<Unanswered>,
}

/// Reads an answer. It may hold what it needs to know; it is called once.
pub type Read = Box<dyn FnOnce(&Response) -> Answer + Send>;

/// Makes do without an answer, given why none came.
pub type Unanswered = Box<dyn FnOnce(&str) -> Answer + Send>;

impl Call {
    /// An HTTP request, and how its answer is read.
    pub fn http(request: HttpRequest, read: impl FnOnce(&HttpResponse) -> Answer + Send + 'static) -> Self {
        let read: Read = Box::new(|response| match response {
            Response::Http(response) => read(response),
            Response::Smtp(_) | Response::Written => unexpected(),
        });
        Self { request: Request::Http(request), read, unanswered: None }
    }

    /// A mail, and how the relay's last reply is read.
    pub fn smtp(mail: Mail, read: impl FnOnce(&SmtpReply) -> Answer + Send + 'static) -> Self {
        let read: Read = Box::new(|response| match response {
            Response::Smtp(reply) => read(reply),
            Response::Http(_) | Response::Written => unexpected(),
        });
        Self { request: Request::Smtp(Box::new(mail)), read, unanswered: None }
    }

    /// Bytes for a service that never answers: what was written counts as taken.
    pub fn tcp(request: TcpRequest) -> Self {
        Self { request: Request::Tcp(request), read: Box::new(|_| Answer::Taken), unanswered: None }
    }

    /// The same call; where no answer comes, it goes on like this instead of failing.
    #[must_use]
    pub fn or_unanswered(self, unanswered: impl FnOnce(&str) -> Answer + Send + 'static) -> Self {
        Self { unanswered: Some(Box::new(unanswered)), ..self }
    }
}

/// Only a bug in a transport brings an answer of another kind than was asked for.
fn unexpected() -> Answer {
    Answer::Failed(Failure::Rejected(
        "a bug of ours: the answer is of another kind than the request".to_owned(),
    ))
}

/// What goes over a wire.
#[derive(Clone, Debug)]
pub enum Request {
    Http(HttpRequest),
    /// One mail for one recipient, through the relay that the operator configured.
    Smtp(Box<Mail>),
    Tcp(TcpRequest),
}

/// Bytes for a service that never answers: connect, write, close.
#[derive(Clone)]
pub struct TcpRequest {
    pub host: String,
    pub port: u16,
    pub body: Bytes,
    /// For the whole of it: connecting, writing, closing.
    pub timeout: Duration,
    /// Whom the service will call for us, host and port: it may go nowhere that we may not.
    pub onward: Vec<(String, u16)>,
}

impl fmt::Debug for TcpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} ({} bytes)", self.host, self.port, self.body.len())
    }
}

/// An HTTP request. Its address and headers may hold credentials: `Debug` shows neither.
#[derive(Clone)]
pub struct HttpRequest {
    pub method: Method,
    pub url: url::Url,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
    /// For the whole of it: connecting, sending, reading the answer.
    pub timeout: Duration,
    pub reach: Reach,
    /// How much of the answer's body is read, in bytes. With HTTP/1 what is longer costs its connection.
    pub answer_limit: usize,
    /// How long the answer may be given again to whoever asks the same: only for what does not change.
    pub keep: Option<Duration>,
}

/// Whose address it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// An integration's, set up by any of many hands: the guard judges where it leads.
    Guarded,
    /// The operator's own, from the daemon's configuration: it may well be in a private network.
    Operator,
}

/// The methods that adapters use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Put,
}

impl Method {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

impl HttpRequest {
    /// What services answer is short: of more than this, nothing is read.
    pub const ANSWER_LIMIT: usize = 64 * 1024;

    /// A request without headers or a body, with the time-out that chat services get.
    pub fn new(method: Method, url: url::Url) -> Self {
        Self {
            method,
            url,
            headers: Vec::new(),
            body: Bytes::new(),
            timeout: Duration::from_secs(10),
            reach: Reach::Guarded,
            answer_limit: Self::ANSWER_LIMIT,
            keep: None,
        }
    }

    /// A POST of JSON.
    pub fn post_json(url: url::Url, body: &serde_json::Value) -> Self {
        Self {
            headers: vec![("content-type", "application/json".to_owned())],
            body: serde_json::to_vec(body).expect("a JSON value can be written").into(),
            ..Self::new(Method::Post, url)
        }
    }

    /// Where it goes, as far as anyone may see: scheme and host, no path, no query.
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/… ({} bytes)", self.method.name(), self.origin(), self.body.len())
    }
}

/// What limits the pace: at most `burst` at once, then one `every` so often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    pub key: BucketKey,
    pub every: Duration,
    pub burst: u32,
}

impl Bucket {
    /// `count` messages in `per`, with bursts of up to `burst`, for whoever shares the key's parts. `kind` keeps
    /// apart what happens to have the same parts (`slack webhook`, `slack workspace`).
    pub fn new(kind: &'static str, parts: &[&str], count: u32, per: Duration, burst: u32) -> Self {
        Self { key: BucketKey::digest(kind, parts), every: per / count.max(1), burst: burst.max(1) }
    }
}

/// Names a bucket. A stable digest, since it is made of secrets and is stored and logged.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BucketKey(pub String);

impl BucketKey {
    fn digest(kind: &'static str, parts: &[&str]) -> Self {
        let digest = Digest::of(parts.iter().map(|part| part.as_bytes())).hex(8);
        let mut key = String::with_capacity(kind.len() + 1 + digest.len());
        key.extend(kind.chars().map(|letter| if letter == ' ' { '-' } else { letter }));
        key.push(':');
        Self(key + &digest)
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub enum Response {
    Http(HttpResponse),
    /// The relay's last reply, good or bad.
    Smtp(SmtpReply),
    /// All bytes were written and the connection closed in order. There is no other answer.
    Written,
}

/// An HTTP answer, cut at the request's limit.
#[derive(Clone, Debug)]
pub struct HttpResponse {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    /// When it came, for headers that name a moment rather than a wait.
    pub at: Timestamp,
}

impl HttpResponse {
    /// The first header of this (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as text, whatever it holds.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// The wait that `Retry-After` names, in seconds or as a date (RFC 9110, section 10.2.3).
    pub fn retry_after(&self) -> Option<Duration> {
        let value = self.header("retry-after")?.trim();
        if let Ok(seconds) = value.parse::<f64>() {
            return Duration::try_from_secs_f64(seconds).ok();
        }
        let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
        date.duration_since(self.at).try_into().ok()
    }
}

/// What an answer means.
pub enum Answer {
    /// It has our message.
    Taken,
    /// That was the first half: this call is the next.
    Then(Call),
    Failed(Failure),
}

/// A failure of theirs, named by what follows from it. The reasons are for people: short, redacted, one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// This message never: the service refuses what it says. Others may pass.
    Rejected(String),
    /// Nothing to this target until the settings change, here or there.
    Misconfigured(String),
    /// The address is dead. After this many confirmations in a row the integration is switched off.
    Gone { why: String, confirmations: u8 },
    /// Too fast: the whole destination waits, and no attempt is counted.
    Throttled {
        wait: Option<Duration>,
        why: String,
        /// Not this destination alone, but whoever shares a bucket with it (a token, a workspace, a host).
        wide: bool,
    },
    /// It answers, but will not take this one now (a mailbox that is full, a greylist): again on schedule, not before
    /// `wait`, for as long as the news is worth telling; and nobody else waits for it.
    Deferred { wait: Option<Duration>, why: String },
    /// It takes nothing from us at all until somebody changes something (a relay that refuses our login): the whole
    /// destination waits, and no attempt is counted.
    ShutOut(String),
    /// Down, slow or unreachable: again on schedule, not before `wait`.
    Unavailable {
        /// It may have our message all the same (it was sent, and no answer came).
        maybe_taken: bool,
        wait: Option<Duration>,
        why: String,
    },
}

impl Failure {
    /// The consequence in one word, for metrics and lists: one of a fixed set.
    pub const fn consequence(&self) -> &'static str {
        match self {
            Self::Rejected(_) => "rejected",
            Self::Misconfigured(_) => "misconfigured",
            Self::Gone { .. } => "gone",
            Self::Throttled { .. } => "throttled",
            Self::Deferred { .. } => "deferred",
            Self::ShutOut(_) => "shut_out",
            Self::Unavailable { .. } => "unavailable",
        }
    }

    pub fn why(&self) -> &str {
        match self {
            Self::Rejected(why)
            | Self::Misconfigured(why)
            | Self::ShutOut(why)
            | Self::Gone { why, .. }
            | Self::Throttled { why, .. }
            | Self::Deferred { why, .. }
            | Self::Unavailable { why, .. } => why,
        }
    }
}

impl Failure {
    /// The same failure, its reason put otherwise.
    #[must_use]
    pub fn map_why(self, change: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::Rejected(why) => Self::Rejected(change(why)),
            Self::Misconfigured(why) => Self::Misconfigured(change(why)),
            Self::ShutOut(why) => Self::ShutOut(change(why)),
            Self::Gone { why, confirmations } => Self::Gone { why: change(why), confirmations },
            Self::Throttled { wait, why, wide } => Self::Throttled { wait, why: change(why), wide },
            Self::Deferred { wait, why } => Self::Deferred { wait, why: change(why) },
            Self::Unavailable { maybe_taken, wait, why } => {
                Self::Unavailable { maybe_taken, wait, why: change(why) }
            }
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.consequence(), self.why())
    }
}

/// Reads an answer by its status alone: what an adapter gets that knows no better, and what most fall back on.
///
/// 2xx is taken. 429 throttles; 408, 425, 500, 502, 503 and 504 are temporary; 410 is gone; 401, 403, 404, 405, 3xx and
/// 501 want other settings; any other 4xx refuses this one message.
pub fn by_status(response: &HttpResponse) -> Answer {
    let why = describe(response);
    let wait = response.retry_after();
    Answer::Failed(match response.status {
        200..=299 => return Answer::Taken,
        429 => Failure::Throttled { wait, why, wide: false },
        408 | 425 | 500 | 502..=504 | 505..=599 => Failure::Unavailable { maybe_taken: false, wait, why },
        410 => Failure::Gone { why, confirmations: 1 },
        300..=399 | 401 | 403..=405 | 407 | 501 => Failure::Misconfigured(why),
        _ => Failure::Rejected(why),
    })
}

/// The status and the start of the body, on one line, for people.
pub fn describe(response: &HttpResponse) -> String {
    let text = response.text();
    let looks_like_html = text.trim_start().starts_with('<');
    let words: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let excerpt: String = words.chars().filter(|c| !c.is_control()).take(200).collect();
    match excerpt.as_str() {
        "" => format!("answered {}", response.status),
        _ if looks_like_html => format!("answered {} with a page of HTML", response.status),
        excerpt => format!("answered {}: {excerpt}", response.status),
    }
}

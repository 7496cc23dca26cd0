//! What is said over a wire, and what its answer means: data only.
//!
//! An adapter makes a [`Call`]: a [`Request`] and how its answer is read. `wire` sends the request and brings a
//! [`Response`]; the call's reader turns that into an [`Answer`]. A [`Failure`] is named by its consequence, and
//! keeps its type until `pipeline::retry` has decided what follows. A [`Bucket`] is what limits the pace of calls.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use crate::digest::Digest;

/// A request, and how its answer is read.
pub struct Call {
    pub request: Request,
    pub read: Read,
}

/// Reads an answer. It may hold what it needs to know; it is called once.
pub type Read = Box<dyn FnOnce(&Response) -> Answer + Send>;

/// What goes over a wire.
#[derive(Clone, Debug)]
pub enum Request {
    Http(HttpRequest),
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
}

/// The methods that adapters use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Put,
}

impl Method {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

impl HttpRequest {
    /// A POST of JSON, with the time-out that chat services get.
    pub fn post_json(url: url::Url, body: &serde_json::Value) -> Self {
        Self {
            method: Method::Post,
            url,
            headers: vec![("content-type", "application/json".to_owned())],
            body: body.to_string().into(),
            timeout: Duration::from_secs(10),
        }
    }

    /// Where it goes, as far as anyone may see: scheme and host, no path, no query.
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/… ({} bytes)", self.method.word(), self.origin(), self.body.len())
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
        let digest = Digest::of(parts.iter().map(|part| part.as_bytes()));
        Self(format!("{}:{}", kind.replace(' ', "-"), digest.hex(8)))
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub enum Response {
    Http(HttpResponse),
}

/// An HTTP answer, cut at 64 KiB.
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
    Throttled { wait: Option<Duration>, why: String },
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
            Self::Unavailable { .. } => "unavailable",
        }
    }

    pub fn why(&self) -> &str {
        match self {
            Self::Rejected(why)
            | Self::Misconfigured(why)
            | Self::Gone { why, .. }
            | Self::Throttled { why, .. }
            | Self::Unavailable { why, .. } => why,
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
        429 => Failure::Throttled { wait, why },
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

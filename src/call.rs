//! Requests, their answers, and the meaning of answers. This module contains only data.
//!
//! An adapter makes a [`Call`]: a [`Request`] and the reader of its answer. `wire` sends the request and returns a
//! [`Response`]; the call's reader turns the response into an [`Answer`]. A call has a result type: [`Sent`] for
//! deliveries. A [`Failure`] is named by its consequence, and keeps its type until `pipeline::retry` has decided what
//! follows. A [`Bucket`] limits the pace of calls. [`Mail`] is in `mail.rs`; `status.rs` reads answers that contain no
//! code of the service.

mod commit_status;
mod health;
mod mail;
mod status;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use crate::digest::Digest;

pub use commit_status::{BuildState, CommitStatus};
pub use health::Health;
pub use mail::{Mail, Mailbox, SmtpReply, SmtpStage};
pub use status::{CUT, by_status, describe, excerpt, is_page, unavailable};

/// A request, and the reader of its answer. `T` is the result of the last call of a chain.
pub struct Call<T> {
    pub request: Request,
    pub read: Read<T>,
    /// How the chain continues if no answer came; `None` where the chain fails then.
    pub on_no_response: Option<OnNoResponse<T>>,
    pub receiver: Receiver,
    /// A remark about the previous answer for the log, where the answer does not affect the delivery but the operator
    /// should know it (such as a transition that a tracker refused).
    pub remark: Option<String>,
}

/// Reads an answer. The reader may own data that it needs. It is called once.
pub type Read<T> = Box<dyn FnOnce(&Response) -> Answer<T> + Send>;

/// Goes on without an answer, given why none came.
pub type OnNoResponse<T> = Box<dyn FnOnce(&str) -> Answer<T> + Send>;

/// Who answers a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// The service that the integration is for.
    Service,
    /// Another service that is asked first, such as the forge's API. Its failures defer the delivery, and do not count
    /// against the integration's service.
    Other,
}

/// The result of a delivery: the service has the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent;

impl<T: 'static> Call<T> {
    /// An HTTP request, and how its answer is read.
    pub fn http(
        request: HttpRequest,
        read: impl FnOnce(&HttpResponse) -> Answer<T> + Send + 'static,
    ) -> Self {
        Self::new(Request::Http(request), |response| match response {
            Response::Http(response) => read(response),
            Response::Smtp(_) | Response::Written => unexpected(),
        })
    }

    /// A mail, and how the relay's last reply is read.
    pub fn smtp(mail: Mail, read: impl FnOnce(&SmtpReply) -> Answer<T> + Send + 'static) -> Self {
        Self::new(Request::Smtp(Box::new(mail)), |response| match response {
            Response::Smtp(reply) => read(reply),
            Response::Http(_) | Response::Written => unexpected(),
        })
    }

    /// Bytes for a service that never answers; `written` is the result once they are written.
    pub fn tcp(request: TcpRequest, written: T) -> Self
    where
        T: Send,
    {
        Self::new(Request::Tcp(request), |_| Answer::Done(written))
    }

    fn new(request: Request, read: impl FnOnce(&Response) -> Answer<T> + Send + 'static) -> Self {
        Self {
            request,
            read: Box::new(read),
            on_no_response: None,
            receiver: Receiver::Service,
            remark: None,
        }
    }

    /// The call with a continuation for the case that no answer comes. Without one, the chain fails then.
    #[must_use]
    pub fn or_else_on_no_response(self, go_on: impl FnOnce(&str) -> Answer<T> + Send + 'static) -> Self {
        Self { on_no_response: Some(Box::new(go_on)), ..self }
    }

    /// The call with a remark for the log: see [`Call::remark`].
    #[must_use]
    pub fn remarking(self, remark: String) -> Self {
        Self { remark: Some(remark), ..self }
    }

    /// The call, marked as a call to another service than the integration's: see [`Receiver::Other`].
    #[must_use]
    pub fn to_other_service(self) -> Self {
        Self { receiver: Receiver::Other, ..self }
    }
}

/// The answer where a transport returned a response of another kind than the request, which is a bug.
fn unexpected<T>() -> Answer<T> {
    Answer::Failed(Failure::Rejected(
        "a bug of ours: the answer is of another kind than the request".to_owned(),
    ))
}

/// A request over one of the wires.
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
    /// The limit for connecting, writing and closing together.
    pub timeout: Duration,
    /// The body as people may see it: with passwords and keys masked.
    pub shown: Bytes,
    /// The hosts and ports that the service will call on our behalf. The guard must allow them too.
    pub onward: Vec<(String, u16)>,
}

impl fmt::Debug for TcpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} ({} bytes)", self.host, self.port, self.shown.len())
    }
}

/// An HTTP request. Its address and headers may hold credentials: `Debug` shows neither.
#[derive(Clone)]
pub struct HttpRequest {
    pub method: Method,
    pub url: url::Url,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
    /// The fields of the body whose values are credentials: of a form, or at the top of a JSON object. In the address,
    /// everything except the origin counts as a credential; in the headers, everything except those of
    /// [`HttpRequest::is_public`].
    pub secret_fields: &'static [&'static str],
    /// The limit for connecting, sending and reading the answer together.
    pub timeout: Duration,
    pub egress: Egress,
    /// Whether the server must prove its name with a certificate. An integration may switch that off for a server of
    /// its own.
    pub verify_tls: bool,
    /// How much of the answer's body is read, in bytes. With HTTP/1, a longer answer ends its connection.
    pub answer_limit: usize,
    /// How long the answer may be reused for the same request. Set only for answers that do not change.
    pub keep: Option<Duration>,
    /// How many requests may be with the service at once, whatever account they are for. `None` where the service does
    /// not limit that.
    pub at_once: Option<usize>,
}

/// Who set an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Egress {
    /// The address is from an integration, so any maintainer may have set it. The guard checks it.
    Public,
    /// The address is from the operator's configuration, so it may be in a private network.
    Operator,
}

/// The methods that adapters use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// The content type of a form.
const FORM: &str = "application/x-www-form-urlencoded";
/// The headers whose values are no credentials. Every other header is masked where people see it.
const PUBLIC_HEADERS: [&str; 11] = [
    "accept",
    "content-type",
    "dd-evp-origin",
    "idempotency-key",
    "user-agent",
    "x-github-api-version",
    "x-gitlab-event",
    "x-gitlab-event-uuid",
    "x-gitlab-instance",
    "x-gms-branch",
    "x-gms-revision",
];

impl HttpRequest {
    /// The default limit of an answer, in bytes. Answers are short, and nothing beyond the limit is read.
    pub const ANSWER_LIMIT: usize = 64 * 1024;

    /// A request without headers or a body, with the time-out that chat services get.
    pub fn new(method: Method, url: url::Url) -> Self {
        Self {
            method,
            url,
            headers: Vec::new(),
            body: Bytes::new(),
            secret_fields: &[],
            timeout: Duration::from_secs(10),
            egress: Egress::Public,
            verify_tls: true,
            answer_limit: Self::ANSWER_LIMIT,
            keep: None,
            at_once: None,
        }
    }

    /// A POST of a form.
    pub fn post_form<'a>(url: url::Url, fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        Self {
            headers: vec![("content-type", FORM.to_owned())],
            body: body.into(),
            ..Self::new(Method::Post, url)
        }
    }

    /// Whether the body is a form.
    pub fn is_form(&self) -> bool {
        self.headers.iter().any(|(name, value)| *name == "content-type" && value == FORM)
    }

    /// A POST of JSON.
    pub fn post_json(url: url::Url, body: &impl serde::Serialize) -> Self {
        Self {
            headers: vec![("content-type", "application/json".to_owned())],
            body: json(body),
            ..Self::new(Method::Post, url)
        }
    }

    /// The request, with these fields of its body marked as credentials: see [`HttpRequest::secret_fields`].
    #[must_use]
    pub fn with_secret_fields(self, secret_fields: &'static [&'static str]) -> Self {
        Self { secret_fields, ..self }
    }

    /// Whether the header of this (lower-case) name holds no credential.
    pub fn is_public(header: &str) -> bool {
        PUBLIC_HEADERS.contains(&header)
    }

    /// The visible part of the address: scheme and host, no path, no query.
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/…", self.method.name(), self.origin())
    }
}

/// A body as JSON. Most bodies have less than a kilobyte, so the buffer need not grow.
fn json(body: &impl serde::Serialize) -> Bytes {
    let mut json = Vec::with_capacity(1024);
    serde_json::to_writer(&mut json, body).expect("our own JSON can be written");
    json.into()
}

/// A rate limit: at most `burst` calls at once, then one in each period `every`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    pub key: BucketKey,
    pub every: Duration,
    pub burst: u32,
}

impl Bucket {
    /// `count` messages in `per`, with bursts of up to `burst`, for all requests with the same key parts. `kind`
    /// distinguishes buckets that have the same parts by chance (`slack webhook`, `slack workspace`).
    pub fn new(kind: &'static str, parts: &[&str], count: u32, per: Duration, burst: u32) -> Self {
        Self { key: BucketKey::digest(kind, parts), every: per / count.max(1), burst: burst.max(1) }
    }
}

/// The rate limits of deliveries to one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The bucket of the destination. Rate limits and holds of the service refer to it.
    pub destination: Bucket,
    /// Buckets that other destinations take from too: a token, a workspace, a host. The widest is the last.
    pub shared: Vec<Bucket>,
    /// The most calls that one attempt takes from each bucket. All are taken before the first call.
    pub calls: u32,
}

impl Pace {
    /// One call, limited by its destination alone.
    pub const fn of(destination: Bucket) -> Self {
        Self { destination, shared: Vec::new(), calls: 1 }
    }

    /// The pace, limited by this bucket too.
    #[must_use]
    pub fn and(mut self, shared: Bucket) -> Self {
        self.shared.push(shared);
        self
    }

    /// The pace for an attempt of so many calls.
    #[must_use]
    pub fn calls(self, calls: u32) -> Self {
        Self { calls, ..self }
    }

    /// The bucket that most destinations share. If nodes share a store, one node works all destinations of this bucket,
    /// so that the limit is kept.
    pub fn widest(&self) -> &Bucket {
        self.shared.last().unwrap_or(&self.destination)
    }

    /// All buckets, the destination's first.
    pub fn buckets(&self) -> impl Iterator<Item = &Bucket> + Clone {
        std::iter::once(&self.destination).chain(&self.shared)
    }
}

/// Names a bucket. It is a stable digest, because its parts are secret and the key is stored and logged.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BucketKey(pub Arc<str>);

impl BucketKey {
    fn digest(kind: &'static str, parts: &[&str]) -> Self {
        let digest = Digest::of(parts.iter().map(|part| part.as_bytes())).hex(8);
        let mut key = String::with_capacity(kind.len() + 1 + digest.len());
        key.extend(kind.chars().map(|letter| if letter == ' ' { '-' } else { letter }));
        key.push(':');
        Self((key + &digest).into())
    }
}

/// The response to a request.
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
    /// The time of arrival, for headers that name a moment instead of a wait.
    pub at: Timestamp,
}

impl HttpResponse {
    /// The first header of this (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as text; invalid UTF-8 is replaced.
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

/// The meaning of a response.
#[expect(
    clippy::large_enum_variant,
    reason = "an answer is taken apart at once, and a step of a chain is its usual form"
)]
pub enum Answer<T> {
    /// The chain of calls has its result.
    Done(T),
    /// The chain continues with this call.
    Next(Call<T>),
    /// The service answered, and there is nothing to do ("no such issue", "muted until …"): neither a success nor a
    /// failure. The reason is for people.
    Skipped(String),
    Failed(Failure),
}

/// A failure of a service, named by its consequence. The reasons are for people: short, redacted, one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The service refuses the content of this message, so it is never sent again. Other messages may succeed.
    Rejected(String),
    /// Nothing can be sent to this target until the settings change, here or at the service.
    Misconfigured(String),
    /// The service refuses the login, for any message. The whole destination waits for other settings, and the attempt
    /// does not count. Some services lock a user out after a few such attempts. For adapters that return this failure,
    /// the login is a part of the destination, so a corrected login is another destination.
    LoginRefused(String),
    /// The address is dead. After this many confirmations in a row the integration is switched off.
    Gone { why: String, confirmations: u8 },
    /// The rate limit was exceeded. The whole destination waits, and the attempt does not count.
    Throttled {
        wait: Option<Duration>,
        why: String,
        /// Whether all destinations that share a bucket with this one (a token, a workspace, a host) are throttled.
        shared: bool,
    },
    /// A quota of the service is used up until this moment. The whole destination waits until then, and the attempt
    /// does not count.
    Quota { until: Timestamp, why: String },
    /// The service does not accept this message now (a full mailbox, a greylist). It is tried again on schedule, not
    /// before `wait`, until the message is too old. Other deliveries do not wait.
    TemporarilyRejected { wait: Option<Duration>, why: String },
    /// The service was not asked, because an earlier step failed (the forge's API, an event that this version can't
    /// read). The delivery is tried again on schedule, not before `wait`. The failure does not count against the
    /// service.
    Deferred { wait: Option<Duration>, why: String },
    /// The service was not asked, because as many requests of this node are with it as it takes at once. The delivery is
    /// tried again soon, and neither the attempt nor a failure of the service counts.
    NoPlace(String),
    /// The operator must change something before the service accepts anything (a relay that refuses the daemon's
    /// login). The whole destination waits, and the attempt does not count.
    OperatorError(String),
    /// The service is down, slow or unreachable. The delivery is tried again on schedule, not before `wait`.
    Unavailable {
        /// Whether the service may have the message nevertheless (it was sent, and no answer came).
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
            Self::Misconfigured(_) | Self::LoginRefused(_) => "misconfigured",
            Self::Gone { .. } => "gone",
            Self::Throttled { .. } => "throttled",
            Self::Quota { .. } => "quota",
            Self::TemporarilyRejected { .. } => "temporarily_rejected",
            Self::Deferred { .. } | Self::NoPlace(_) => "deferred",
            Self::OperatorError(_) => "operator_error",
            Self::Unavailable { .. } => "unavailable",
        }
    }

    pub fn why(&self) -> &str {
        match self {
            Self::Rejected(why)
            | Self::Misconfigured(why)
            | Self::LoginRefused(why)
            | Self::NoPlace(why)
            | Self::OperatorError(why)
            | Self::Gone { why, .. }
            | Self::Throttled { why, .. }
            | Self::Quota { why, .. }
            | Self::TemporarilyRejected { why, .. }
            | Self::Deferred { why, .. }
            | Self::Unavailable { why, .. } => why,
        }
    }

    fn why_mut(&mut self) -> &mut String {
        match self {
            Self::Rejected(why)
            | Self::Misconfigured(why)
            | Self::LoginRefused(why)
            | Self::NoPlace(why)
            | Self::OperatorError(why)
            | Self::Gone { why, .. }
            | Self::Throttled { why, .. }
            | Self::Quota { why, .. }
            | Self::TemporarilyRejected { why, .. }
            | Self::Deferred { why, .. }
            | Self::Unavailable { why, .. } => why,
        }
    }

    /// Whether the service may have the message nevertheless.
    pub const fn may_have_been_taken(&self) -> bool {
        matches!(self, Self::Unavailable { maybe_taken: true, .. })
    }

    /// The failure with another reason.
    #[must_use]
    pub fn map_why(mut self, change: impl FnOnce(String) -> String) -> Self {
        let why = self.why_mut();
        *why = change(std::mem::take(why));
        self
    }

    /// The failure of a delivery for which a call to another service than the receiver failed like this.
    #[must_use]
    pub fn of_other_service(self) -> Self {
        let wait = match &self {
            Self::Throttled { wait, .. }
            | Self::Unavailable { wait, .. }
            | Self::TemporarilyRejected { wait, .. } => *wait,
            _ => None,
        };
        Self::Deferred { wait, why: self.why().to_owned() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.consequence(), self.why())
    }
}

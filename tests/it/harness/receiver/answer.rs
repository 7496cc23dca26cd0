//! What a [`Receiver`](super::Receiver) answers, and how.
//!
//! * [`Answer`]: status, headers, body, and the [`Manner`] in which they come, or fail to come.
//! * [`Pace`]: refuses what comes too fast.

use std::fmt::Write;
use std::time::{Duration, Instant};

use axum::http::{HeaderName, HeaderValue, StatusCode};

#[derive(Debug, Clone)]
pub struct Answer {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Vec<u8>,
    pub(super) delay: Duration,
    pub(super) manner: Manner,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    Whole,
    /// Never; the connection stays open until the other side gives up.
    Hang,
    /// The request is read, the connection closed.
    Close,
    /// All headers and half of the body, then the connection is closed.
    CloseMid,
}

impl Answer {
    pub fn status(status: u16) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).expect("an HTTP status"),
            headers: Vec::new(),
            body: Vec::new(),
            delay: Duration::ZERO,
            manner: Manner::Whole,
        }
    }

    /// 200 and `ok`, as Slack and those who resemble it say.
    pub fn ok() -> Answer {
        Answer::status(200).body("ok")
    }

    pub fn json(status: u16, body: &serde_json::Value) -> Answer {
        Answer::status(status).header("content-type", "application/json").body(body.to_string())
    }

    /// 429 with `Retry-After` in whole seconds, rounded up.
    pub fn throttled(retry_after: Duration) -> Answer {
        let seconds = retry_after.as_millis().div_ceil(1000);
        Answer::status(429).header("retry-after", &seconds.to_string())
    }

    pub(super) fn not_scripted() -> Answer {
        Answer::status(404).body("this path has no script")
    }

    pub fn hang() -> Answer {
        Answer { manner: Manner::Hang, ..Answer::status(200) }
    }

    pub fn close() -> Answer {
        Answer { manner: Manner::Close, ..Answer::status(200) }
    }

    pub fn close_mid() -> Answer {
        Answer { manner: Manner::CloseMid, ..Answer::ok() }
    }

    pub fn header(mut self, name: &str, value: &str) -> Answer {
        let name = name.parse().expect("a header's name");
        self.headers.push((name, value.parse().expect("a header's value")));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Answer {
        self.body = body.into();
        self
    }

    /// Waits so long before it says, or does, anything.
    pub fn delay(mut self, delay: Duration) -> Answer {
        self.delay = delay;
        self
    }

    /// The status that it will have; none where nothing is to come.
    pub(super) fn announced(&self) -> Option<u16> {
        matches!(self.manner, Manner::Whole | Manner::CloseMid).then_some(self.status.as_u16())
    }

    pub(super) fn head(&self) -> String {
        let reason = self.status.canonical_reason().unwrap_or("");
        let mut head = format!("HTTP/1.1 {} {reason}\r\n", self.status.as_u16());
        for (name, value) in &self.headers {
            let value = value.to_str().expect("a header in plain text");
            write!(head, "{name}: {value}\r\n").expect("a String takes all");
        }
        if !matches!(self.status.as_u16(), 204 | 304) {
            write!(head, "content-length: {}\r\n", self.body.len()).expect("a String takes all");
        }
        head + "\r\n"
    }
}

/// A token bucket, and what is said to those for whom it has no token.
pub(super) struct Pace {
    tokens: f64,
    burst: f64,
    per_second: f64,
    looked: Instant,
    refusal: Answer,
}

impl Pace {
    pub(super) fn new(burst: u32, window: Duration, refusal: Answer) -> Pace {
        let burst = f64::from(burst);
        let per_second = burst / window.as_secs_f64();
        Pace { tokens: burst, burst, per_second, looked: Instant::now(), refusal }
    }

    pub(super) fn refuse(&mut self, now: Instant) -> Option<Answer> {
        let refilled = (now - self.looked).as_secs_f64() * self.per_second;
        self.tokens = (self.tokens + refilled).min(self.burst);
        self.looked = now;
        if self.tokens < 1.0 {
            return Some(self.refusal.clone());
        }
        self.tokens -= 1.0;
        None
    }
}

//! Reads the part of a request's body that a handler left unread.
//!
//! A handler that refuses a request need not read its body, but the client may still send it: a client that sends head
//! and body separately (Python's do) would write to a closed connection, and report this error instead of the answer.
//! So the rest is read and discarded before the answer is sent, up to a limit. Beyond the limit, the answer closes the
//! connection.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// The most that is read and discarded. It exceeds every body limit, so that a client
/// whose body is a little too large reads the answer.
const MAX_DISCARDED: u64 = 64 * 1024 * 1024;
/// The longest time for reading the rest. Bytes that are on their way arrive within this time.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// If a client sent nothing for this long, no bytes are on their way.
const IDLE_TIMEOUT: Duration = Duration::from_secs(1);

/// A request's body as a handler gets it. When it is dropped, its unread rest goes to its [`BodyDrain`].
pub(super) struct TrackedBody<B> {
    body: Option<B>,
    started: bool,
    slot: Slot<B>,
}

/// Takes the unread rest of a body.
pub(super) struct BodyDrain<B> {
    slot: Slot<B>,
    /// The client sent `Expect: 100-continue`: it waits for `100 Continue` before it sends the body.
    waits_for_continue: bool,
}

type Slot<B> = Arc<Mutex<Option<Rest<B>>>>;

struct Rest<B> {
    body: B,
    /// The handler began to read, so `100 Continue` was sent to a client that waited.
    started: bool,
}

/// Splits the body of a request with these headers into what the handler reads and what drains the rest.
pub(super) fn track<B>(headers: &HeaderMap, body: B) -> (TrackedBody<B>, BodyDrain<B>) {
    let slot = Slot::default();
    let waits_for_continue = headers.contains_key(header::EXPECT);
    (
        TrackedBody { body: Some(body), started: false, slot: Arc::clone(&slot) },
        BodyDrain { slot, waits_for_continue },
    )
}

impl<B: Body<Data = Bytes> + Unpin> Body for TrackedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.started = true;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(context);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.body = None; // the end, or an error
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl<B> Drop for TrackedBody<B> {
    fn drop(&mut self) {
        let rest = self.body.take().map(|body| Rest { body, started: self.started });
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = rest;
    }
}

impl<B: Body<Data = Bytes> + Unpin> BodyDrain<B> {
    /// Reads the rest before an answer goes out, and marks the answer with `Connection: close` where that is not possible.
    pub(super) async fn drain(self, mut answer: Response) -> Response {
        let rest = self.slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Rest { body, started }) = rest.filter(|rest| !rest.body.is_end_stream()) else {
            return answer;
        };
        // A client that still waits for `100 Continue` will not send the body, and a client that was too slow gets no
        // more time.
        let is_sent = (started || !self.waits_for_continue) && answer.status() != StatusCode::REQUEST_TIMEOUT;
        if !is_sent || !reaches_end(body).await {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}

/// Reads and discards a body. Returns whether its end came within the limits.
async fn reaches_end<B: Body<Data = Bytes> + Unpin>(mut body: B) -> bool {
    if body.size_hint().lower() > MAX_DISCARDED {
        return false;
    }
    let to_the_end = async {
        let mut left = MAX_DISCARDED;
        loop {
            let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context));
            let Ok(frame) = tokio::time::timeout(IDLE_TIMEOUT, frame).await else { return false };
            let Some(frame) = frame else { return true };
            let size = frame.ok().map(|frame| frame.data_ref().map_or(0, Bytes::len) as u64);
            match size.and_then(|size| left.checked_sub(size)) {
                Some(rest) => left = rest,
                None => return false,
            }
        }
    };
    tokio::time::timeout(DRAIN_TIMEOUT, to_the_end).await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::Body as Chunks;
    use futures_util::stream;

    use super::*;

    /// A body of pieces, each of which takes a while to arrive.
    fn arriving(pieces: usize, size: usize, each: Duration) -> Chunks {
        let piece = move |left: usize| async move {
            let more = left.checked_sub(1)?;
            tokio::time::sleep(each).await;
            Some((Ok::<_, Infallible>(Bytes::from(vec![7; size])), more))
        };
        Chunks::from_stream(stream::unfold(pieces, piece))
    }

    /// The answer's `Connection` header where the handler read nothing of the body.
    async fn after(headers: &HeaderMap, body: Chunks) -> Option<HeaderValue> {
        let (tracked, drain) = track(headers, body);
        drop(tracked);
        drain.drain(Response::default()).await.headers().get(header::CONNECTION).cloned()
    }

    const SOON: Duration = Duration::from_millis(100);
    const CLOSE: Option<HeaderValue> = Some(HeaderValue::from_static("close"));

    #[tokio::test(start_paused = true)]
    async fn what_is_on_its_way_is_discarded_and_the_connection_stays_open() {
        let headers = HeaderMap::new();
        assert_eq!(after(&headers, arriving(3, 1000, SOON)).await, None);
        assert_eq!(after(&headers, Chunks::from(vec![7; 5_000_000])).await, None);
        assert_eq!(after(&headers, Chunks::empty()).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rest_that_is_too_long_or_too_slow_ends_the_connection_and_the_answer_says_so() {
        let headers = HeaderMap::new();
        let began = tokio::time::Instant::now();
        assert_eq!(after(&headers, Chunks::from(vec![7; 70_000_000])).await, CLOSE);
        assert_eq!(after(&headers, arriving(80, 1_000_000, Duration::ZERO)).await, CLOSE);
        assert_eq!(after(&headers, arriving(3, 1, Duration::from_secs(3600))).await, CLOSE);
        assert!(began.elapsed() < IDLE_TIMEOUT * 2, "a client that sends nothing is not waited for");
        let began = tokio::time::Instant::now();
        assert_eq!(after(&headers, arriving(100, 1, IDLE_TIMEOUT / 2)).await, CLOSE);
        assert!(
            began.elapsed() < DRAIN_TIMEOUT + IDLE_TIMEOUT,
            "nor, for ever, one that sends a byte now and then"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_waits_for_100_continue_is_not_told_to_send_an_unwanted_body() {
        let asking = HeaderMap::from_iter([(header::EXPECT, HeaderValue::from_static("100-continue"))]);
        let unread =
            stream::poll_fn(|_| -> Poll<Option<Result<Bytes, Infallible>>> { panic!("the body is polled") });
        assert_eq!(after(&asking, Chunks::from_stream(unread)).await, CLOSE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_was_read_leaves_nothing_to_drain() {
        let (tracked, drain) = track(&HeaderMap::new(), arriving(3, 1000, SOON));
        let read = axum::body::to_bytes(Chunks::new(tracked), usize::MAX).await.unwrap();
        assert_eq!(read.len(), 3000);
        assert!(drain.drain(Response::default()).await.headers().is_empty());
    }
}

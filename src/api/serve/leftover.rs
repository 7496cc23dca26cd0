//! What a handler leaves of a request's body.
//!
//! Who refuses a request need not read its body, and yet it comes: whoever sends head and body apart (Python's clients do)
//! would send it to a connection that is shut already, and hear of that in place of the answer. So what is left is read
//! over before the answer goes, up to a point. Beyond that the connection ends, and the answer says so.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// As much is read over for nobody: more than anybody sends who means well, so that they hear that it is too much.
const MOST: u64 = 64 * 1024 * 1024;
/// For as long: what is under way arrives within that, or is not worth the wait.
const PATIENCE: Duration = Duration::from_secs(5);
/// Of whom nothing came for so long, nothing is under way.
const SILENCE: Duration = Duration::from_secs(1);

/// A body on loan to a handler. What is left of it when that is done goes back to its lender.
pub(super) struct Lent<B> {
    body: Option<B>,
    begun: bool,
    slot: Slot<B>,
}

/// Where the rest of a body comes back to.
pub(super) struct Lender<B> {
    slot: Slot<B>,
    /// The sender waits to be told that the body is wanted.
    asks_first: bool,
}

type Slot<B> = Arc<Mutex<Option<Rest<B>>>>;

struct Rest<B> {
    body: B,
    /// Some of it was asked for: whoever waited to be told has been told.
    begun: bool,
}

/// Lends out the body of a request that has these headers.
pub(super) fn lend<B>(headers: &HeaderMap, body: B) -> (Lent<B>, Lender<B>) {
    let slot = Slot::default();
    let asks_first = headers.contains_key(header::EXPECT);
    (Lent { body: Some(body), begun: false, slot: Arc::clone(&slot) }, Lender { slot, asks_first })
}

impl<B: Body<Data = Bytes> + Unpin> Body for Lent<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.begun = true;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(context);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.body = None; // it is over
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

impl<B> Drop for Lent<B> {
    fn drop(&mut self) {
        let rest = self.body.take().map(|body| Rest { body, begun: self.begun });
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = rest;
    }
}

impl<B: Body<Data = Bytes> + Unpin> Lender<B> {
    /// Sees to what is left, before this answer goes.
    pub(super) async fn see_to(self, mut answer: Response) -> Response {
        let rest = self.slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Rest { body, begun }) = rest.filter(|rest| !rest.body.is_end_stream()) else {
            return answer;
        };
        // Who still waits to be told need not send anything; and who took too long has had their time.
        let comes = (begun || !self.asks_first) && answer.status() != StatusCode::REQUEST_TIMEOUT;
        if !comes || !is_over(body).await {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}

/// Reads to the end of a body, if that is near.
async fn is_over<B: Body<Data = Bytes> + Unpin>(mut body: B) -> bool {
    if body.size_hint().lower() > MOST {
        return false;
    }
    let to_the_end = async {
        let mut left = MOST;
        loop {
            let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context));
            let Ok(frame) = tokio::time::timeout(SILENCE, frame).await else { return false };
            let Some(frame) = frame else { return true };
            let size = frame.ok().map(|frame| frame.data_ref().map_or(0, Bytes::len) as u64);
            match size.and_then(|size| left.checked_sub(size)) {
                Some(rest) => left = rest,
                None => return false,
            }
        }
    };
    tokio::time::timeout(PATIENCE, to_the_end).await.unwrap_or(false)
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

    /// How the connection goes on after an answer to a request whose body nobody read.
    async fn after(headers: &HeaderMap, body: Chunks) -> Option<HeaderValue> {
        let (lent, lender) = lend(headers, body);
        drop(lent);
        lender.see_to(Response::default()).await.headers().get(header::CONNECTION).cloned()
    }

    const SOON: Duration = Duration::from_millis(100);
    const CLOSE: Option<HeaderValue> = Some(HeaderValue::from_static("close"));

    #[tokio::test(start_paused = true)]
    async fn what_is_under_way_is_read_over_and_the_connection_goes_on() {
        let headers = HeaderMap::new();
        assert_eq!(after(&headers, arriving(3, 1000, SOON)).await, None);
        assert_eq!(after(&headers, Chunks::from(vec![7; 5_000_000])).await, None);
        assert_eq!(after(&headers, Chunks::empty()).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_too_long_or_too_slow_ends_the_connection_and_that_is_said() {
        let headers = HeaderMap::new();
        let began = tokio::time::Instant::now();
        assert_eq!(after(&headers, Chunks::from(vec![7; 70_000_000])).await, CLOSE);
        assert_eq!(after(&headers, arriving(80, 1_000_000, Duration::ZERO)).await, CLOSE);
        assert_eq!(after(&headers, arriving(3, 1, Duration::from_secs(3600))).await, CLOSE);
        assert!(began.elapsed() < SILENCE * 2, "who sends nothing is not waited for");
        let began = tokio::time::Instant::now();
        assert_eq!(after(&headers, arriving(100, 1, SILENCE / 2)).await, CLOSE);
        assert!(began.elapsed() < PATIENCE + SILENCE, "nor, for ever, who sends a byte now and then");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_to_be_told_is_not_told_to_send_what_nobody_reads() {
        let asking = HeaderMap::from_iter([(header::EXPECT, HeaderValue::from_static("100-continue"))]);
        let unread =
            stream::poll_fn(|_| -> Poll<Option<Result<Bytes, Infallible>>> { panic!("it is asked for") });
        assert_eq!(after(&asking, Chunks::from_stream(unread)).await, CLOSE);
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_it_all_leaves_nothing() {
        let (lent, lender) = lend(&HeaderMap::new(), arriving(3, 1000, SOON));
        let read = axum::body::to_bytes(Chunks::new(lent), usize::MAX).await.unwrap();
        assert_eq!(read.len(), 3000);
        assert!(lender.see_to(Response::default()).await.headers().is_empty());
    }
}

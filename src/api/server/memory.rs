//! How much memory the bodies of requests and answers may take at once.
//!
//! [`Budget`] is a number of bytes, of which one client may have half. The first [`FREE`] bytes of a body are not
//! counted, because the number of connections bounds them. So ordinary events never wait for large ones.
//! [`BudgetedBody`] reserves memory for more bytes before it reads on, so that TCP stops a client that has to wait. It
//! gathers a large body in memory of its own ([`Gathered`]), and gives it out as one frame.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::gathered::Gathered;

/// The bytes that a body may have without a reservation. GitLab's events have a few kilobytes.
pub(super) const FREE: u64 = 64 * 1024;
/// A body without a known length reserves this much at a time.
const STEP: u64 = 256 * 1024;
/// How long a body waits for memory. GitLab gives up after ten seconds.
const WAIT: Duration = Duration::from_secs(4);

/// Bytes that may be reserved.
pub(super) struct Budget {
    total: u64,
    used: Mutex<Used>,
    released: Notify,
}

#[derive(Default)]
struct Used {
    bytes: u64,
    clients: HashMap<IpAddr, u64>,
}

/// Bytes that are reserved until this is dropped.
pub(super) struct Reservation {
    budget: Arc<Budget>,
    client: IpAddr,
    bytes: u64,
}

impl Budget {
    pub(super) fn new(total: u64) -> Arc<Self> {
        Arc::new(Self { total, used: Mutex::default(), released: Notify::new() })
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reserves bytes at once, or not at all. A client without any reservation may exceed its half, so that a body
    /// larger than the half can be received.
    pub(super) fn try_reserve(self: &Arc<Self>, client: IpAddr, bytes: u64) -> Option<Reservation> {
        let mut used = self.used();
        let of_client = used.clients.get(&client).copied().unwrap_or_default();
        let fits_all = used.bytes + bytes <= self.total;
        let fits_client = of_client == 0 || of_client + bytes <= self.total / 2;
        if !(fits_all && fits_client) {
            return None;
        }
        used.bytes += bytes;
        *used.clients.entry(client).or_default() += bytes;
        Some(Reservation { budget: Arc::clone(self), client, bytes })
    }

    /// Reserves bytes, and waits for them. `None` if they are not free within the time.
    async fn reserve(self: Arc<Self>, client: IpAddr, bytes: u64) -> Option<Reservation> {
        let end = Instant::now() + WAIT;
        loop {
            let mut released = std::pin::pin!(self.released.notified());
            released.as_mut().enable();
            if let Some(reservation) = self.try_reserve(client, bytes) {
                return Some(reservation);
            }
            timeout_at(end, released).await.ok()?;
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut used = self.budget.used();
        used.bytes -= self.bytes;
        if let Some(of_client) = used.clients.get_mut(&self.client) {
            *of_client -= self.bytes;
            if *of_client == 0 {
                used.clients.remove(&self.client);
            }
        }
        drop(used);
        self.budget.released.notify_waiters();
    }
}

/// The reservation of a request's body. The service keeps it until the request is answered.
#[derive(Clone, Default)]
pub(super) struct BodyMemory {
    reserved: Arc<Mutex<Vec<Reservation>>>,
    starved: Arc<AtomicBool>,
}

impl BodyMemory {
    /// Whether the body ended with an error because no memory was free.
    pub(super) fn starved(&self) -> bool {
        self.starved.load(Relaxed)
    }
}

/// A body that reserves memory for the bytes that its reader keeps.
pub(super) struct BudgetedBody<B> {
    body: B,
    budget: Arc<Budget>,
    client: IpAddr,
    memory: BodyMemory,
    /// The most that any reader accepts.
    largest: usize,
    /// The bytes that have come.
    come: u64,
    /// The bytes that may come before more is reserved.
    allowed: u64,
    waits: Option<BoxFuture<'static, Option<Reservation>>>,
    held: Held,
}

/// The received bytes that are not given out yet.
enum Held {
    /// Nothing; frames are given out as they come.
    Nothing,
    Gathered(Gathered),
    /// The frame for which no room was left. Its reader refuses it.
    Excess(Bytes),
}

impl<B: Body> BudgetedBody<B> {
    /// A body of a request. No reader accepts more than `largest` bytes.
    pub(super) fn new(
        body: B,
        budget: Arc<Budget>,
        client: IpAddr,
        memory: BodyMemory,
        largest: usize,
    ) -> Self {
        let (waits, held) = (None, Held::Nothing);
        Self { body, budget, client, memory, largest, come: 0, allowed: FREE, waits, held }
    }

    /// The bytes to reserve next. For a body of known length, this is the whole rest: a body with only a part of its
    /// memory would prevent others from getting all of theirs.
    fn next_bytes(&self) -> u64 {
        let bytes = self.body.size_hint().exact().map_or(STEP, |rest| (self.come + rest) - self.allowed);
        bytes.min(self.budget.total)
    }

    /// Memory for a body before any of it has come; `None` for a small body.
    fn memory_for_all(&self) -> io::Result<Option<Gathered>> {
        match self.body.size_hint().exact() {
            Some(length) if length <= FREE => Ok(None),
            Some(length) => {
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                Gathered::new(length.min(self.largest)).map(Some)
            }
            None => Gathered::new(self.largest.min(usize::try_from(self.budget.total).unwrap_or(usize::MAX)))
                .map(Some),
        }
    }

    fn no_memory(&self) -> axum::BoxError {
        self.memory.starved.store(true, Relaxed);
        "no memory is free for the body".into()
    }
}

impl<B: Body<Data = Bytes, Error: Into<axum::BoxError>> + Unpin> BudgetedBody<B> {
    /// The body's next frame, as soon as the memory for it is reserved.
    fn poll_inner(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        if self.come >= self.allowed && !self.body.is_end_stream() {
            let bytes = self.next_bytes();
            let (budget, client) = (&self.budget, self.client);
            let waits = self.waits.get_or_insert_with(|| Box::pin(Arc::clone(budget).reserve(client, bytes)));
            let reserved = ready!(waits.as_mut().poll(context));
            self.waits = None;
            let Some(reservation) = reserved else { return Poll::Ready(Some(Err(self.no_memory()))) };
            self.allowed += reservation.bytes;
            self.memory.reserved.lock().unwrap_or_else(PoisonError::into_inner).push(reservation);
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }
}

impl<B: Body<Data = Bytes, Error: Into<axum::BoxError>> + Unpin> Body for BudgetedBody<B> {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let this = &mut *self;
        if let Held::Excess(excess) = &mut this.held {
            let excess = std::mem::take(excess);
            this.held = Held::Nothing;
            return Poll::Ready(Some(Ok(Frame::data(excess))));
        }
        if this.come == 0 && matches!(this.held, Held::Nothing) {
            match this.memory_for_all() {
                Ok(None) => {}
                Ok(Some(gathered)) => this.held = Held::Gathered(gathered),
                Err(_) => return Poll::Ready(Some(Err(this.no_memory()))),
            }
        }
        loop {
            let frame = ready!(this.poll_inner(context)).transpose()?;
            let data = frame.as_ref().and_then(Frame::data_ref);
            this.come += data.map_or(0, Bytes::len) as u64;
            let Held::Gathered(gathered) = &mut this.held else { return Poll::Ready(frame.map(Ok)) };
            let end_or_excess = match (frame.is_some(), data) {
                (true, Some(data)) if !gathered.push(data) => Held::Excess(data.clone()),
                // No handler reads trailers.
                (true, _) => continue,
                (false, _) => Held::Nothing,
            };
            if let Held::Gathered(gathered) = std::mem::replace(&mut this.held, end_or_excess) {
                return Poll::Ready(Some(Ok(Frame::data(gathered.into_bytes()))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.held, Held::Nothing) && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let held = match &self.held {
            Held::Nothing => 0,
            Held::Gathered(gathered) => gathered.as_ref().len(),
            Held::Excess(excess) => excess.len(),
        } as u64;
        let rest = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + held);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + held);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::Body as Chunks;
    use futures_util::{StreamExt as _, stream};

    use super::*;

    const KIB: usize = 1024;

    fn client(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    /// A body of a known length of which a part has come, and whose sender never sends the rest.
    fn unfinished(length: usize, come: usize) -> impl Body<Data = Bytes, Error = axum::Error> + Unpin {
        let first = stream::iter([Ok::<_, Infallible>(Bytes::from(vec![7; come]))]);
        with_length(length as u64, Chunks::from_stream(first.chain(stream::pending())))
    }

    struct WithLength(u64, Chunks);

    fn with_length(length: u64, body: Chunks) -> WithLength {
        WithLength(length, body)
    }

    impl Body for WithLength {
        type Data = Bytes;
        type Error = axum::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
            let frame = ready!(Pin::new(&mut self.1).poll_frame(context));
            if let Some(Ok(frame)) = &frame {
                self.0 -= frame.data_ref().map_or(0, Bytes::len) as u64;
            }
            Poll::Ready(frame)
        }

        fn is_end_stream(&self) -> bool {
            self.0 == 0
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(self.0)
        }
    }

    /// Reads a body until nothing more comes. Its memory is released with the result.
    async fn read(
        budget: &Arc<Budget>,
        of: u8,
        body: impl Body<Data = Bytes, Error = axum::Error> + Unpin,
    ) -> BodyMemory {
        let memory = BodyMemory::default();
        let body = BudgetedBody::new(body, Arc::clone(budget), client(of), memory.clone(), 10_000 * KIB);
        let reading = read_to_end(body);
        let _ = tokio::time::timeout(WAIT * 2, reading).await;
        memory
    }

    async fn read_to_end<B: Body<Data = Bytes> + Unpin>(mut body: B) -> Result<u64, B::Error> {
        let mut read = 0;
        while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await
        {
            read += frame?.data_ref().map_or(0, Bytes::len) as u64;
        }
        Ok(read)
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_wait_for_memory_and_small_ones_do_not() {
        let budget = Budget::new(1024 * KIB as u64);
        let held: Vec<_> = (0..4).map(|n| budget.try_reserve(client(n), 250 * KIB as u64).unwrap()).collect();
        let large = read(&budget, 9, unfinished(500 * KIB, 100 * KIB)).await;
        assert!(large.starved());
        let small = with_length(60 * KIB as u64, Chunks::from(vec![7; 60 * KIB]));
        assert!(!read(&budget, 9, small).await.starved());
        drop(held);
        assert!(!read(&budget, 9, unfinished(500 * KIB, 100 * KIB)).await.starved());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_goes_on_when_another_one_is_done() {
        let budget = Budget::new(1024 * KIB as u64);
        let held = budget.try_reserve(client(1), 1000 * KIB as u64).unwrap();
        let body = with_length(500 * KIB as u64, Chunks::from(vec![7; 500 * KIB]));
        let (memory, ()) = tokio::join!(read(&budget, 9, body), async {
            tokio::time::sleep(WAIT / 2).await;
            drop(held);
        });
        assert!(!memory.starved());
    }

    /// The frames of a body that came in pieces.
    async fn frames(pieces: &[&'static [u8]], length: Option<usize>, largest: usize) -> Vec<Bytes> {
        let pieces = pieces.to_vec();
        let pieces =
            stream::iter(pieces.into_iter().map(|piece| Ok::<_, Infallible>(Bytes::from_static(piece))));
        let chunks = Chunks::from_stream(pieces);
        let budget = Budget::new(1024 * KIB as u64);
        let memory = BodyMemory::default();
        match length {
            Some(length) => {
                let body = with_length(length as u64, chunks);
                all_frames(BudgetedBody::new(body, budget, client(1), memory, largest)).await
            }
            None => all_frames(BudgetedBody::new(chunks, budget, client(1), memory, largest)).await,
        }
    }

    async fn all_frames<B: Body<Data = Bytes, Error = axum::BoxError> + Unpin>(mut body: B) -> Vec<Bytes> {
        let mut frames = Vec::new();
        while !body.is_end_stream()
            && let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await
        {
            frames.push(frame.unwrap().into_data().unwrap());
        }
        frames
    }

    #[tokio::test]
    async fn a_large_body_is_one_frame_and_a_small_one_is_as_it_comes() {
        const PIECE: &[u8] = &[7; 60 * KIB];
        let sizes = |frames: Vec<Bytes>| frames.iter().map(Bytes::len).collect::<Vec<_>>();
        let large = frames(&[PIECE, PIECE, b"end"], Some(120 * KIB + 3), 1024 * KIB).await;
        assert!(large[0].ends_with(b"\x07end"));
        assert_eq!(sizes(large), [120 * KIB + 3]);
        assert_eq!(sizes(frames(&[b"1234", b"567"], Some(7), 1024 * KIB).await), [4, 3]);
        let chunked = frames(&[b"1234", b"567"], None, 1024 * KIB).await;
        assert_eq!(chunked.last().unwrap(), "1234567");
    }

    #[tokio::test]
    async fn what_no_reader_accepts_is_given_out_for_the_reader_to_refuse() {
        let sizes: Vec<_> = frames(&[b"1234", b"567", b"89"], None, 8).await.iter().map(Bytes::len).collect();
        assert_eq!(sizes, [7, 2]);
    }

    #[test]
    fn one_client_gets_half_of_it() {
        let budget = Budget::new(1000);
        let held: Vec<_> = (0..5).map_while(|_| budget.try_reserve(client(1), 100)).collect();
        assert_eq!(held.len(), 5);
        assert!(budget.try_reserve(client(1), 100).is_none());
        assert!(budget.try_reserve(client(2), 500).is_some());
        assert!(budget.try_reserve(client(2), 501).is_none());
    }

    #[test]
    fn a_body_larger_than_half_can_come_and_one_beyond_all_waits_until_it_is_cut() {
        let budget = Budget::new(1000);
        assert!(budget.try_reserve(client(1), 900).is_some());
        assert!(budget.try_reserve(client(1), 1001).is_none());
    }
}

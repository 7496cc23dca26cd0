//! The messages that the broker has sent and that are not acknowledged yet, bounded in bytes.
//!
//! The client library buffers arriving messages without a bound. A task takes each message out at once: a message over
//! the limit is cut to its beginning, and where the unacknowledged messages exceed their budget, the connection is
//! closed, so that the source connects again with a smaller [`Prefetch`]. Messages that were not acknowledged come
//! again, in their order.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::StreamExt as _;
use jiff::Timestamp;
use lapin::Consumer;
use lapin::message::Delivery;
use tokio::sync::Notify;

use super::connection::Socket;
use super::prefetch::Prefetch;
use crate::event::EventId;

/// How many bytes are kept of a message over the limit.
const BEGINNING: usize = 4096;

/// The consumer of one connection, which ends when this is dropped.
pub(super) struct Intake(Arc<Shared>);

/// A message as it arrived.
pub(super) struct Message {
    pub(super) tag: u64,
    pub(super) redelivered: bool,
    pub(super) id: Option<EventId>,
    /// The sender's time.
    pub(super) sent: Option<Timestamp>,
    /// The beginning only, if `size` is over the limit.
    pub(super) body: Bytes,
    /// The size of the whole message, in bytes.
    pub(super) size: usize,
}

/// Why no more messages come over this connection.
#[derive(Debug)]
pub(super) enum End {
    Lost(lapin::Error),
    /// The broker cancelled the consumer: the queue was deleted, perhaps.
    Cancelled,
    /// The messages are too large for the number that the broker may send ahead. This prefetch fits.
    OverBudget(Prefetch),
}

struct Shared {
    state: Mutex<State>,
    /// Notified when a message has arrived, or the end.
    changed: Notify,
}

struct State {
    waiting: VecDeque<Message>,
    /// The bytes in memory of all unacknowledged messages.
    unacknowledged: usize,
    /// The messages that were taken and are not acknowledged: their tags and bytes.
    taken: VecDeque<(u64, usize)>,
    prefetch: Prefetch,
    message_limit: usize,
    end: Option<End>,
    /// Open until the end.
    socket: Option<Socket>,
}

/// Takes messages out of the client library. It closes the socket before the library can say farewell to the broker.
struct Reader {
    shared: Arc<Shared>,
    consumer: Consumer,
}

impl Intake {
    pub(super) fn start(
        consumer: Consumer,
        socket: Socket,
        prefetch: Prefetch,
        message_limit: usize,
    ) -> Self {
        let state = State {
            waiting: VecDeque::new(),
            unacknowledged: 0,
            taken: VecDeque::new(),
            prefetch,
            message_limit,
            end: None,
            socket: Some(socket),
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Notify::new() });
        #[expect(
            clippy::disallowed_methods,
            reason = "it ends with the connection, which the source closes"
        )]
        tokio::spawn(Reader { shared: Arc::clone(&shared), consumer }.run());
        Self(shared)
    }

    /// Waits for messages, and takes what is there, up to `at_most`, in order. Dropping the future loses nothing.
    pub(super) async fn take(&self, at_most: usize) -> Result<Vec<Message>, End> {
        loop {
            {
                let mut state = self.0.lock();
                if let Some(end) = state.end.take() {
                    return Err(end);
                }
                if !state.waiting.is_empty() {
                    let count = at_most.min(state.waiting.len());
                    let taken: Vec<_> = state.waiting.drain(..count).collect();
                    state.taken.extend(taken.iter().map(|message| (message.tag, message.body.len())));
                    return Ok(taken);
                }
            }
            self.0.changed.notified().await;
        }
    }

    /// Whether the connection has ended: no message comes over it, and an acknowledgement has no effect.
    pub(super) fn has_ended(&self) -> bool {
        self.0.lock().end.is_some()
    }

    /// Notes that the messages up to this one are acknowledged.
    pub(super) fn acknowledged(&self, last: u64) {
        let mut state = self.0.lock();
        while let Some((_, bytes)) = state.taken.front().copied().filter(|(tag, _)| *tag <= last) {
            state.taken.pop_front();
            state.unacknowledged -= bytes;
        }
    }

    /// The new prefetch, where so many more messages fit that a new connection is worth its cost.
    pub(super) fn grown(&self) -> Option<Prefetch> {
        let mut state = self.0.lock();
        if state.end.is_some() { None } else { state.prefetch.grown() }
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        self.0.lock().socket = None;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader {
    async fn run(mut self) {
        loop {
            let end = match self.consumer.next().await {
                Some(Ok(delivery)) => {
                    self.shared.lock().receive(delivery);
                    self.shared.changed.notify_one();
                    continue;
                }
                Some(Err(error)) => End::Lost(error),
                None => End::Cancelled,
            };
            self.shared.lock().end.get_or_insert(end);
            self.shared.changed.notify_one();
            return;
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.shared.lock().socket = None;
    }
}

impl State {
    fn receive(&mut self, delivery: Delivery) {
        if self.socket.is_none() {
            return; // it comes again over the next connection
        }
        let message = Message::new(delivery, self.message_limit);
        self.prefetch.saw(message.body.len());
        self.unacknowledged += message.body.len();
        self.waiting.push_back(message);
        if let Some(fewer) = self.prefetch.shrunk(self.unacknowledged) {
            self.end = Some(End::OverBudget(fewer));
            self.socket = None;
            self.waiting = VecDeque::new();
        }
    }
}

impl Message {
    fn new(delivery: Delivery, limit: usize) -> Self {
        let properties = &delivery.properties;
        let sent = properties.timestamp().and_then(|s| Timestamp::from_second(i64::try_from(s).ok()?).ok());
        let id = properties.message_id().as_ref().and_then(|id| EventId::new(id.as_str()));
        let size = delivery.data.len();
        let body = if size > limit {
            Bytes::copy_from_slice(&delivery.data[..size.min(BEGINNING)])
        } else {
            delivery.data.into()
        };
        Self { tag: delivery.delivery_tag, redelivered: delivery.redelivered, id, sent, body, size }
    }
}

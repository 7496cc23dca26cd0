//! What the stream and the service of one connection tell each other about the request under way.
//!
//! hyper parses heads and calls the service. The stream below it has to know what the service knows: how the body is
//! framed, and whether a request is under way. The service has to know what the stream knows: that the answer is written.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::Body as AxumBody;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::memory::Reservation;
use super::places::{Place, RequestPlace, Waiting};

/// How a body is framed, as hyper understood the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
}

impl Framing {
    pub(super) fn of(body: &impl Body) -> Self {
        body.size_hint().exact().map_or(Self::Chunked, Self::Length)
    }
}

/// The state of a connection, shared by its stream and its service.
#[derive(Clone)]
pub(super) struct Exchange {
    place: Arc<Place>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Of the request whose head was parsed last, until the stream takes it.
    framing: Option<Framing>,
    /// There is no request under way.
    waiting: Option<Waiting>,
    /// hyper has the whole answer, but perhaps not yet written.
    answered: bool,
    /// What the answers hold until they are written.
    place: Option<RequestPlace>,
    answers: Vec<Reservation>,
}

impl Exchange {
    pub(super) fn new(place: Arc<Place>) -> Self {
        let state = State { waiting: Some(place.wait()), ..State::default() };
        Self { place, state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The service has a request.
    pub(super) fn begin(&self, framing: Framing) {
        let mut state = self.state();
        state.framing = Some(framing);
        state.waiting = None;
        state.answered = false;
        state.place = None;
    }

    /// The request counts for its client until the answer is written.
    pub(super) fn hold_place(&self, place: RequestPlace) {
        self.state().place = Some(place);
    }

    /// The answer's memory is reserved until it is written.
    pub(super) fn hold_memory(&self, reservation: Reservation) {
        self.state().answers.push(reservation);
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.state().waiting.is_some()
    }

    /// Whether the connection may be ended in favour of a new one.
    pub(super) fn may_give_way(&self) -> bool {
        self.state().waiting.as_ref().is_some_and(Waiting::may_give_way)
    }

    /// The framing of the body that follows the head which was parsed last.
    pub(super) fn take_framing(&self) -> Option<Framing> {
        self.state().framing.take()
    }

    /// All that hyper had to write is written. Returns whether the connection waits for a request from now on.
    pub(super) fn flushed(&self) -> bool {
        let mut state = self.state();
        if !state.answered {
            return false;
        }
        let waiting = Some(self.place.wait());
        *state = State { waiting, framing: state.framing, ..State::default() };
        true
    }
}

/// An answer's body, whose end the exchange is told of.
pub(super) struct AnswerBody {
    body: AxumBody,
    exchange: Exchange,
}

impl AnswerBody {
    pub(super) fn new(body: AxumBody, exchange: Exchange) -> Self {
        Self { body, exchange }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        Body::size_hint(&self.body)
    }
}

/// hyper drops it when it has everything.
impl Drop for AnswerBody {
    fn drop(&mut self) {
        self.exchange.state().answered = true;
    }
}

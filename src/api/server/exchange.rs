//! State that the stream and the service of one connection share about the request under way.
//!
//! hyper parses heads and calls the service. The stream below hyper has to know from the service how the body is
//! framed, and whether a request is under way. The service has to know from the stream when the answer is written.

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
    /// The framing of the last parsed request, until the stream takes it.
    framing: Option<Framing>,
    /// Set while no request is under way.
    waiting: Option<Waiting>,
    /// Whether hyper has the whole answer. It may not be written yet.
    answered: bool,
    /// The place that an answer holds until it is written.
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

    /// Notes that the service got a request.
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

    /// Notes that hyper has written everything. Returns whether the connection waits for a request from now on.
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

/// An answer's body, which notifies the exchange of its end.
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

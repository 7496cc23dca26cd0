//! HOW IT GETS OUT: HTTP clients, the mail relay, bare TCP; the guard in front of them, and the pace.
//!
//! [`Wire`] sends one [`Request`] once and returns any answer: the call reads what it means,
//! and whether to try again is the pipeline's to decide. `http` keeps connections and, where a request asks for it,
//! answers (`kept`); `smtp` keeps a few connections to the operator's relay; `tcp` writes and closes. The `guard` keeps
//! it out of networks that no integration has any business in; [`pace::Pace`] answers *when* the next request to a destination may go. A [`SendError`] is named by
//! its consequence: never sent, or perhaps taken.
//!
//! Deliberately absent: redirects (a webhook that moved wants new settings, and a redirect would walk around the
//! guard), cookies, compression (answers are short, and a small one could unpack to a large one), sending again (but
//! for what an HTTP/2 server says it has not processed), and sleeping.

mod config;
mod guard;
mod http;
mod kept;
pub mod pace;
pub mod smtp;
mod tcp;

use async_trait::async_trait;

use crate::call::{Request, Response};

pub use config::Config;
pub use http::{Wire, WireError};

/// The only seam between the pipeline and the network.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends one request, once, and brings the answer.
    async fn send(&self, request: &Request) -> Result<Response, SendError>;
}

/// Why no answer came. Named by what follows from it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// We do not send there: the guard forbids the address, or the request is none that can be sent.
    #[error("{0}")]
    Refused(String),
    /// The daemon's own configuration lacks what is needed to send this, or the operator's relay refuses us: nothing that
    /// an integration's settings could change.
    #[error("{0}")]
    OperatorError(String),
    /// Nothing was taken for certain: no connection came about.
    #[error("{0}")]
    NotSent(String),
    /// It was sent, at least in part, and no whole answer came: it may have been taken.
    #[error("{0}")]
    NoAnswer(String),
}

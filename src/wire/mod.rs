//! Sends requests: over HTTP, to the mail relay, over bare TCP.
//!
//! * [`Wire`] sends one [`Request`] once and returns the response. The call interprets it, and the pipeline decides
//!   whether to try again.
//! * `http` keeps connections open, and caches responses where a request allows it (`response_cache`). `smtp` keeps a few
//!   connections to the operator's relay. `tcp` writes and closes.
//! * `guard` refuses addresses in networks that integrations may not reach.
//! * `places` bounds the requests that are with a service at once, where the service limits them for each address.
//! * [`pace::Pace`] says when the next request to a destination may go.
//! * [`SendError`] is named by its consequence: certainly not sent, or possibly received.
//!
//! It does not follow redirects (a webhook that moved needs new settings, and a redirect would bypass the guard), keep
//! cookies or accept compression (responses are short, and a small one could unpack to a large one). It does not send
//! again, except what an HTTP/2 server says it has not processed, and it does not sleep.

mod config;
mod guard;
mod http;
pub mod pace;
mod places;
mod response_cache;
pub mod smtp;
mod tcp;

use async_trait::async_trait;

use crate::call::{Request, Response};

pub use config::Config;
pub use http::{Wire, WireError};

/// The pipeline's only way to the network.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends one request, once, and returns the response.
    async fn send(&self, request: &Request) -> Result<Response, SendError>;
}

/// Why there is no response. Each is named by its consequence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The guard forbids the address, or the request can't be sent.
    #[error("{0}")]
    Refused(String),
    /// The daemon's own configuration lacks what is needed to send this, or the operator's relay refuses it. The
    /// integration's settings can't change that.
    #[error("{0}")]
    OperatorError(String),
    /// As many requests of this node are with the service as it takes at once. Nothing was sent, and the service may be
    /// well.
    #[error("{0}")]
    NoPlace(String),
    /// There was no connection, so certainly nothing was received.
    #[error("{0}")]
    NotSent(String),
    /// It was sent, at least in part, and no whole response came: it may have been received.
    #[error("{0}")]
    NoAnswer(String),
}

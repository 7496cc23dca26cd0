//! HOW IT GETS OUT.
mod guard;
mod http;
pub mod pace;

use async_trait::async_trait;

use crate::call::{Request, Response};

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
    /// Nothing was taken for certain: no connection came about.
    #[error("{0}")]
    NotSent(String),
    /// It was sent, at least in part, and no whole answer came: it may have been taken.
    #[error("{0}")]
    NoAnswer(String),
}

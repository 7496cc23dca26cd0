//! Values that a reload of the settings replaces while the daemon runs.

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;

use crate::call::{Request, Response};
use crate::wire::{SendError, Transport, Wire};

/// A value that can be replaced. Clones share the value. A reader keeps the value that it got.
#[derive(Debug)]
pub struct Live<T>(Arc<RwLock<Arc<T>>>);

impl<T> Live<T> {
    pub fn new(value: T) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(value))))
    }

    /// The value as it is now.
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn set(&self, value: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
    }
}

impl<T> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Default> Default for Live<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for Live<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

/// Sends through the client of the current settings. A request under way ends with the client that it began with.
#[async_trait]
impl Transport for Live<Wire> {
    async fn send(&self, request: &Request) -> Result<Response, SendError> {
        self.get().send(request).await
    }
}

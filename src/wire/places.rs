//! The places of a service that takes only a few requests at once from one address. Other rate limits belong to an
//! account and are in [`super::pace`]; this one belongs to the address of this node, and all accounts share it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::SignedDuration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::SendError;
use crate::call::HttpRequest;

/// The places of all services, by origin. A service without a request is not listed.
#[derive(Debug, Default)]
pub(super) struct Places {
    by_origin: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Places {
    /// Waits for a place, in order of arrival, and for at most half of the time that the request may take: the other half
    /// is for the request. `None` where the service takes any number of requests.
    ///
    /// # Errors
    /// All places were taken for so long.
    pub(super) async fn enter(
        &self,
        request: &HttpRequest,
    ) -> Result<Option<OwnedSemaphorePermit>, SendError> {
        let Some(at_once) = request.at_once else { return Ok(None) };
        let origin = request.origin();
        let most = request.timeout / 2;
        let place = tokio::time::timeout(most, self.of(&origin, at_once).acquire_owned()).await;
        let Ok(place) = place else {
            let waited = SignedDuration::try_from(most).unwrap_or(SignedDuration::MAX);
            return Err(SendError::NoPlace(format!(
                "could not send to {origin}: its places for requests ({at_once}) were taken for {waited:#}"
            )));
        };
        // Places are never closed, so there is one.
        Ok(place.ok())
    }

    fn of(&self, origin: &str, at_once: usize) -> Arc<Semaphore> {
        let mut by_origin = self.by_origin.lock().unwrap_or_else(PoisonError::into_inner);
        // Each place that is taken or waited for holds a reference.
        by_origin.retain(|_, places| Arc::strong_count(places) > 1);
        let places = by_origin.entry(origin.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(at_once)));
        Arc::clone(places)
    }
}

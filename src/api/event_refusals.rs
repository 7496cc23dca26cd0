//! Counts and logs refused calls of `/events`. The first refusal of a reason is logged at once, further ones at most
//! every ten seconds with their number, so that an attack does not fill the log.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::ApiError;
use crate::metrics;

const INTERVAL: Duration = Duration::from_secs(10);

/// The refusals that are not reported yet, by reason.
#[derive(Debug, Default)]
pub struct EventRefusals(Mutex<HashMap<&'static str, Unsaid>>);

#[derive(Debug, Default)]
struct Unsaid {
    count: u64,
    said_at: Option<Instant>,
}

impl Unsaid {
    /// How many refusals to report now, with this one; `None` where the last report is too fresh.
    fn add(&mut self, now: Instant) -> Option<u64> {
        self.count += 1;
        if self.said_at.is_some_and(|at| now < at + INTERVAL) {
            return None;
        }
        self.said_at = Some(now);
        Some(std::mem::take(&mut self.count))
    }
}

impl EventRefusals {
    pub(super) fn record(&self, error: &ApiError, client: Option<IpAddr>) {
        let reason = reason(error);
        metrics::event_refused(reason);
        let mut unsaid = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(refused) = unsaid.entry(reason).or_default().add(Instant::now()) else { return };
        drop(unsaid);
        let client = client.map_or_else(|| "unknown".to_owned(), |client| client.to_string());
        tracing::warn!(client, reason, refused, "refused calls of /events; the address is the last one's");
    }
}

/// One of [`metrics::EVENT_REFUSALS`].
fn reason(error: &ApiError) -> &'static str {
    match error {
        ApiError::WrongWebhookToken
        | ApiError::Unauthorized { .. }
        | ApiError::TokenExpired
        | ApiError::TokenRevoked => "token",
        ApiError::BadSignature(_) => "signature",
        ApiError::Forbidden | ApiError::InsufficientScope(_) | ApiError::EventNotReached => "right",
        ApiError::TooManyAttempts(_) => "throttled",
        ApiError::EventNotJson(_) => "content_type",
        ApiError::BodyTooLarge { .. } => "too_large",
        ApiError::BodyTooSlow(_) | ApiError::BodyIncomplete => "too_slow",
        ApiError::NotAnEvent(_) => "not_an_event",
        ApiError::EventNotStored(_) | ApiError::StoreUnavailable => "store",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_reported_at_once_and_the_others_together_ten_seconds_later() {
        let (mut unsaid, start) = (Unsaid::default(), Instant::now());
        assert_eq!(unsaid.add(start), Some(1));
        assert_eq!(unsaid.add(start + Duration::from_secs(9)), None);
        assert_eq!(unsaid.add(start + INTERVAL), Some(2));
    }

    #[test]
    fn every_reason_is_one_that_the_metrics_know() {
        let errors = [
            ApiError::WrongWebhookToken,
            ApiError::EventNotReached,
            ApiError::EventNotJson("text/plain".to_owned()),
            ApiError::NotAnEvent("no".to_owned()),
            ApiError::EventNotStored("full".to_owned()),
            ApiError::NoSuchRoute,
        ];
        for error in errors {
            assert!(metrics::EVENT_REFUSALS.contains(&reason(&error)), "{error:?}");
        }
    }
}

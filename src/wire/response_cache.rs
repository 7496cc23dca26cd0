//! A cache of responses, for equal requests of several deliveries: a push is mailed to hundreds of people, and each
//! mail shows the same diff. [`ResponseCache`] keeps responses, and merges equal requests that are made at the same
//! time. Requests with different headers are different, so that an answer for one token is not shown to another.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use super::SendError;
use crate::call::{HttpRequest, HttpResponse};

/// The bytes of all cached bodies together.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// The number of cached responses.
const MOST: usize = 64;

/// A request in flight, and its outcome for the tasks that wait for the same.
pub(super) type InFlight = tokio::sync::Mutex<Option<Result<HttpResponse, SendError>>>;

/// The key by which requests are equal. Only requests without a body are cached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    url: Url,
    headers: Vec<(&'static str, String)>,
}

impl Key {
    pub(super) fn of(request: &HttpRequest) -> Self {
        Self { url: request.url.clone(), headers: request.headers.clone() }
    }
}

#[derive(Debug, Default)]
pub(super) struct ResponseCache {
    /// The oldest first.
    entries: Mutex<VecDeque<Entry>>,
    in_flight: Mutex<Vec<(Key, Weak<InFlight>)>>,
}

#[derive(Debug)]
struct Entry {
    key: Key,
    until: Instant,
    outcome: Result<HttpResponse, SendError>,
}

impl ResponseCache {
    /// The request in flight for this key, or a new one. The task that locks it first sends the request; the others
    /// find the outcome in it.
    pub(super) fn in_flight(&self, key: &Key) -> Arc<InFlight> {
        let mut all = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(_, request)| request.strong_count() > 0);
        let same = all.iter().find(|(requested, _)| requested == key);
        if let Some(request) = same.and_then(|(_, request)| request.upgrade()) {
            return request;
        }
        let request = Arc::default();
        all.push((key.clone(), Arc::downgrade(&request)));
        request
    }

    pub(super) fn get(&self, key: &Key) -> Option<Result<HttpResponse, SendError>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        entries.retain(|entry| entry.until > now);
        entries.iter().find(|entry| entry.key == *key).map(|entry| entry.outcome.clone())
    }

    /// Caches an outcome for a time. The oldest entries make room for it.
    pub(super) fn put(&self, key: &Key, outcome: &Result<HttpResponse, SendError>, keep: Duration) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|entry| entry.key != *key);
        entries.push_back(Entry { key: key.clone(), until: Instant::now() + keep, outcome: outcome.clone() });
        let size = |entry: &Entry| entry.outcome.as_ref().map_or(0, |response| response.body.len());
        let bytes = |entries: &VecDeque<Entry>| entries.iter().map(size).sum::<usize>();
        while entries.len() > MOST || bytes(&entries) > MOST_BYTES {
            entries.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> Key {
        Key { url: format!("https://forge.example/{n}").parse().unwrap(), headers: Vec::new() }
    }

    #[expect(clippy::unnecessary_wraps, reason = "the cache holds results")]
    fn response(bytes: usize) -> Result<HttpResponse, SendError> {
        let at = jiff::Timestamp::UNIX_EPOCH;
        Ok(HttpResponse { status: 200, headers: Vec::new(), body: vec![b'x'; bytes].into(), at })
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_response_is_cached_until_its_time_is_over() {
        let cache = ResponseCache::default();
        cache.put(&key(1), &response(3), MINUTE);
        assert_eq!(cache.get(&key(1)).map(|response| response.unwrap().body.len()), Some(3));
        assert!(cache.get(&key(2)).is_none());
        tokio::time::advance(MINUTE).await;
        assert!(cache.get(&key(1)).is_none());
    }

    #[tokio::test]
    async fn requests_for_the_same_address_at_the_same_time_are_one() {
        let cache = ResponseCache::default();
        let (first, second) = (cache.in_flight(&key(1)), cache.in_flight(&key(1)));
        let mut outcome = first.lock().await;
        assert!(outcome.is_none() && second.try_lock().is_err());
        *outcome = Some(response(3));
        drop(outcome);
        assert!(second.lock().await.is_some(), "it has the outcome of the first");
        assert!(cache.in_flight(&key(2)).lock().await.is_none());
        drop((first, second));
        assert!(cache.in_flight(&key(1)).lock().await.is_none(), "a later request is a new one");
    }

    #[tokio::test]
    async fn an_answer_to_one_token_is_not_for_another() {
        let cache = ResponseCache::default();
        let with = |token: &str| Key { headers: vec![("authorization", token.to_owned())], ..key(1) };
        cache.put(&with("one"), &response(3), MINUTE);
        assert!(cache.get(&with("one")).is_some());
        assert!(cache.get(&with("two")).is_none() && cache.get(&key(1)).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_entries_make_room() {
        let cache = ResponseCache::default();
        (0..=MOST).for_each(|n| cache.put(&key(n), &response(1), MINUTE));
        assert!(cache.get(&key(0)).is_none());
        assert!(cache.get(&key(1)).is_some());
        cache.put(&key(1000), &response(MOST_BYTES), MINUTE);
        assert!(cache.get(&key(1)).is_none());
        cache.put(&key(1001), &response(MOST_BYTES + 1), MINUTE);
        assert!(cache.get(&key(1001)).is_none(), "a response larger than the whole cache is not cached");
    }
}

//! Answers that are kept for a while, for requests that many make alike: a push is mailed to hundreds of people, and
//! each of those mails shows the same diff.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use crate::call::HttpResponse;

/// All kept bodies together, in bytes.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// How many are kept, however small.
const MOST: usize = 64;

/// Answers, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<VecDeque<Answer>>);

#[derive(Debug)]
struct Answer {
    url: Url,
    until: Instant,
    response: HttpResponse,
}

impl Kept {
    pub(super) fn get(&self, url: &Url) -> Option<HttpResponse> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        kept.retain(|answer| answer.until > now);
        kept.iter().find(|answer| answer.url == *url).map(|answer| answer.response.clone())
    }

    /// Keeps an answer, at the cost of the oldest.
    pub(super) fn put(&self, url: &Url, response: &HttpResponse, keep: Duration) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|answer| answer.url != *url);
        kept.push_back(Answer { url: url.clone(), until: Instant::now() + keep, response: response.clone() });
        let bytes =
            |kept: &VecDeque<Answer>| kept.iter().map(|answer| answer.response.body.len()).sum::<usize>();
        while kept.len() > MOST || bytes(&kept) > MOST_BYTES {
            kept.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(n: usize) -> Url {
        format!("https://forge.example/{n}").parse().unwrap()
    }

    fn response(bytes: usize) -> HttpResponse {
        let at = jiff::Timestamp::UNIX_EPOCH;
        HttpResponse { status: 200, headers: Vec::new(), body: vec![b'x'; bytes].into(), at }
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_given_again_until_its_time_is_over() {
        let kept = Kept::default();
        kept.put(&url(1), &response(3), MINUTE);
        assert_eq!(kept.get(&url(1)).map(|response| response.body.len()), Some(3));
        assert!(kept.get(&url(2)).is_none());
        tokio::time::advance(MINUTE).await;
        assert!(kept.get(&url(1)).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_make_room() {
        let kept = Kept::default();
        (0..=MOST).for_each(|n| kept.put(&url(n), &response(1), MINUTE));
        assert!(kept.get(&url(0)).is_none());
        assert!(kept.get(&url(1)).is_some());
        kept.put(&url(1000), &response(MOST_BYTES), MINUTE);
        assert!(kept.get(&url(1)).is_none());
        kept.put(&url(1001), &response(MOST_BYTES + 1), MINUTE);
        assert!(kept.get(&url(1001)).is_none(), "what is larger than everything is not kept at all");
    }
}

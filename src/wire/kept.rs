//! Answers that are kept for a while, for requests that many make alike: a push is mailed to hundreds of people, and
//! each of those mails shows the same diff.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use super::SendError;
use crate::call::HttpResponse;

/// All kept bodies together, in bytes.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// How many are kept, however small.
const MOST: usize = 64;

/// A question that is being asked, and what came of it for those who wait with the same one.
pub(super) type Asking = tokio::sync::Mutex<Option<Result<HttpResponse, SendError>>>;

#[derive(Debug, Default)]
pub(super) struct Kept {
    /// The oldest first.
    answers: Mutex<VecDeque<Answer>>,
    asking: Mutex<Vec<(Url, Weak<Asking>)>>,
}

#[derive(Debug)]
struct Answer {
    url: Url,
    until: Instant,
    outcome: Result<HttpResponse, SendError>,
}

impl Kept {
    /// The place where those meet who ask the same at the same time: who locks it first asks for all.
    pub(super) fn asking(&self, url: &Url) -> Arc<Asking> {
        let mut all = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(_, asking)| asking.strong_count() > 0);
        if let Some(asking) =
            all.iter().find(|(asked, _)| asked == url).and_then(|(_, asking)| asking.upgrade())
        {
            return asking;
        }
        let asking = Arc::default();
        all.push((url.clone(), Arc::downgrade(&asking)));
        asking
    }

    pub(super) fn get(&self, url: &Url) -> Option<Result<HttpResponse, SendError>> {
        let mut kept = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        kept.retain(|answer| answer.until > now);
        kept.iter().find(|answer| answer.url == *url).map(|answer| answer.outcome.clone())
    }

    /// Keeps an answer, or that there was none, at the cost of the oldest.
    pub(super) fn put(&self, url: &Url, outcome: &Result<HttpResponse, SendError>, keep: Duration) {
        let mut kept = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|answer| answer.url != *url);
        kept.push_back(Answer { url: url.clone(), until: Instant::now() + keep, outcome: outcome.clone() });
        let size = |answer: &Answer| answer.outcome.as_ref().map_or(0, |response| response.body.len());
        let bytes = |kept: &VecDeque<Answer>| kept.iter().map(size).sum::<usize>();
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

    #[expect(clippy::unnecessary_wraps, reason = "it is what is kept")]
    fn response(bytes: usize) -> Result<HttpResponse, SendError> {
        let at = jiff::Timestamp::UNIX_EPOCH;
        Ok(HttpResponse { status: 200, headers: Vec::new(), body: vec![b'x'; bytes].into(), at })
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_given_again_until_its_time_is_over() {
        let kept = Kept::default();
        kept.put(&url(1), &response(3), MINUTE);
        assert_eq!(kept.get(&url(1)).map(|response| response.unwrap().body.len()), Some(3));
        assert!(kept.get(&url(2)).is_none());
        tokio::time::advance(MINUTE).await;
        assert!(kept.get(&url(1)).is_none());
    }

    #[tokio::test]
    async fn who_asks_the_same_at_the_same_time_asks_once() {
        let kept = Kept::default();
        let (first, second) = (kept.asking(&url(1)), kept.asking(&url(1)));
        let mut outcome = first.lock().await;
        assert!(outcome.is_none() && second.try_lock().is_err());
        *outcome = Some(response(3));
        drop(outcome);
        assert!(second.lock().await.is_some(), "it hears what the first was told");
        assert!(kept.asking(&url(2)).lock().await.is_none());
        drop((first, second));
        assert!(kept.asking(&url(1)).lock().await.is_none(), "who comes later asks anew");
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

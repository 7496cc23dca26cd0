//! Calls of the store that must succeed, and the log lines for failures.
//!
//! An unavailable store is called again, with growing pauses. A broken store is called again after a longer pause and
//! logged as an error, because the operator has to repair it first. If the store refuses a value, the caller must set
//! the value aside.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::event::EventId;
use crate::store::StoreError;

/// The pauses between calls of a store that is unavailable: the first and the longest.
const UNAVAILABLE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// The pause before a broken store is called again: the operator has to repair it first.
pub(super) const BROKEN: Duration = Duration::from_secs(5);

/// Why a call did not succeed and is not repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NotWritten {
    Stopped,
    /// The store refused a value of this call, for this reason.
    Refused(String),
    /// The store is broken, for this reason.
    Broken(String),
}

/// Calls the store until it is available, or until told to stop.
pub(super) async fn call<T, F>(
    what: &str,
    stop: &CancellationToken,
    call: impl FnMut() -> F,
) -> Result<T, NotWritten>
where
    F: Future<Output = Result<T, StoreError>>,
{
    call_and_report(what, stop, |_| {}, call).await
}

/// [`call`]. `trouble` is called with the reason each time the store is unavailable.
async fn call_and_report<T, F>(
    what: &str,
    stop: &CancellationToken,
    trouble: impl Fn(String),
    mut call: impl FnMut() -> F,
) -> Result<T, NotWritten>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut pause = UNAVAILABLE.0;
    loop {
        let error = match call().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        log(&error, what);
        let said = error.to_string();
        match error {
            StoreError::Refused(_) => return Err(NotWritten::Refused(said)),
            StoreError::Broken(_) => return Err(NotWritten::Broken(said)),
            StoreError::Unavailable(_) => trouble(said),
        }
        tokio::select! {
            () = stop.cancelled() => return Err(NotWritten::Stopped),
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(UNAVAILABLE.1),
        }
    }
}

/// Calls the store until it answers, until told to stop, or until it refuses a value. A broken store may be repaired
/// meanwhile. `trouble` is called with `Some` reason for each failure, and with `None` when the store answers again.
pub(super) async fn insist<T, F>(
    what: &str,
    stop: &CancellationToken,
    trouble: impl Fn(Option<String>),
    mut call: impl FnMut() -> F,
) -> Result<T, NotWritten>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let has_failed = AtomicBool::new(false);
    let failed = |why| {
        has_failed.store(true, Ordering::Relaxed);
        trouble(Some(why));
    };
    loop {
        match call_and_report(what, stop, failed, &mut call).await {
            Err(NotWritten::Broken(why)) => failed(why),
            answer => {
                if has_failed.load(Ordering::Relaxed) {
                    trouble(None);
                }
                return answer;
            }
        }
        tokio::select! {
            () = stop.cancelled() => return Err(NotWritten::Stopped),
            () = tokio::time::sleep(BROKEN) => {}
        }
    }
}

/// Writes a part of a batch. If the store refuses a part of one event, `alone` returns the event's deliveries without
/// what is remembered beside them, and these are written.
pub(super) async fn write_deliveries_at_least<P, T, F>(
    part: P,
    event: &EventId,
    alone: impl FnOnce(&P) -> Option<P>,
    mut write: impl FnMut(P) -> F,
) -> Result<T, NotWritten>
where
    P: Clone,
    F: Future<Output = Result<T, NotWritten>>,
{
    let refused = match write(part.clone()).await {
        Err(NotWritten::Refused(why)) => why,
        answer => return answer,
    };
    let Some(deliveries) = alone(&part) else { return Err(NotWritten::Refused(refused)) };
    let written = write(deliveries).await?;
    warn!(
        %event,
        why = refused,
        "the store does not take what an event has beside its deliveries, such as a watch of its build; the \
         deliveries are written without it"
    );
    Ok(written)
}

/// Logs a failed call, at a level that fits the error.
pub fn log(error: &StoreError, what: &str) {
    match error {
        StoreError::Unavailable(_) => warn!(%error, "cannot {what}; trying again"),
        StoreError::Refused(_) => error!(%error, "cannot {what}"),
        StoreError::Broken(_) => error!(
            %error,
            "cannot {what}; trying again every {} s: mend the store, or restore it from a copy (a restart creates the functions \
             in PostgreSQL again)",
            BROKEN.as_secs()
        ),
    }
}

pub(super) fn is_broken(error: &StoreError) -> bool {
    matches!(error, StoreError::Broken(_))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn away() -> StoreError {
        StoreError::Unavailable("being restarted".to_owned())
    }

    fn broken() -> StoreError {
        StoreError::Broken("no right".to_owned())
    }

    /// The result of a call that gets these answers, and the reported troubles.
    async fn ended(
        answers: Vec<Result<u8, StoreError>>,
        stop: &CancellationToken,
    ) -> (Result<u8, NotWritten>, Vec<Option<String>>) {
        let mut answers = answers.into_iter();
        let troubles = RefCell::new(Vec::new());
        let call = || std::future::ready(answers.next().expect("no call after the last answer"));
        let ended = insist("do it", stop, |trouble| troubles.borrow_mut().push(trouble), call).await;
        (ended, troubles.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_away_is_called_until_it_answers() {
        let ended = ended(vec![Err(away()), Err(away()), Ok(7)], &CancellationToken::new()).await;
        let away = Some(away().to_string());
        assert_eq!(ended, (Ok(7), vec![away.clone(), away, None]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_broken_store_is_called_until_it_is_mended_and_that_is_said() {
        let ended = ended(vec![Err(away()), Err(broken()), Ok(7)], &CancellationToken::new()).await;
        assert_eq!(ended, (Ok(7), vec![Some(away().to_string()), Some(broken().to_string()), None]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_that_is_refused_is_not_offered_again() {
        let refused = StoreError::Refused("too long".to_owned());
        let ended = ended(vec![Err(refused.clone())], &CancellationToken::new()).await;
        assert_eq!(ended.0, Err(NotWritten::Refused(refused.to_string())));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_told_to_stop_calls_no_more() {
        let stop = CancellationToken::new();
        stop.cancel();
        assert_eq!(ended(vec![Err(away())], &stop).await.0, Err(NotWritten::Stopped));
        assert_eq!(ended(vec![Err(broken())], &stop).await.0, Err(NotWritten::Stopped));
    }
}

//! Calls of the store that must succeed, and what the log says when they do not.
//!
//! A store that is unavailable is called again, with growing pauses. One that is broken won't be mended by calling it: that
//! is logged as an error, and who calls decides what to do meanwhile.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::store::StoreError;

/// The pauses between calls of a store that is unavailable: the first and the longest.
const UNAVAILABLE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// The pause before a broken store is called again: somebody has to mend it first.
pub(super) const BROKEN: Duration = Duration::from_secs(30);

/// Why a call was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GivenUp {
    Stopped,
    Broken,
}

/// Calls the store until it answers, until told to stop, or until it says that it is broken.
pub(super) async fn insist<T, F>(
    what: &str,
    stop: &CancellationToken,
    mut call: impl FnMut() -> F,
) -> Result<T, GivenUp>
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
        if is_broken(&error) {
            return Err(GivenUp::Broken);
        }
        tokio::select! {
            () = stop.cancelled() => return Err(GivenUp::Stopped),
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(UNAVAILABLE.1),
        }
    }
}

/// Logs that a call failed, as loud as it is bad.
pub fn log(error: &StoreError, what: &str) {
    match error {
        StoreError::Unavailable(_) => warn!(%error, "cannot {what}; trying again"),
        StoreError::Broken(_) => error!(
            %error,
            "cannot {what}, and trying again won't help: mend the store, or restore it from a copy, and start the daemon anew"
        ),
    }
}

pub(super) fn is_broken(error: &StoreError) -> bool {
    matches!(error, StoreError::Broken(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away() -> StoreError {
        StoreError::Unavailable("being restarted".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_away_is_called_until_it_answers() {
        let mut answers = [Err(away()), Err(away()), Ok(7)].into_iter();
        let call = || std::future::ready(answers.next().expect("no call after the answer"));
        assert_eq!(insist("do it", &CancellationToken::new(), call).await, Ok(7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_broken_store_is_called_once() {
        let mut answers = [Err(away()), Err(StoreError::Broken("malformed".to_owned()))].into_iter();
        let call = || std::future::ready::<Result<(), _>>(answers.next().expect("no call after that"));
        assert_eq!(insist("do it", &CancellationToken::new(), call).await, Err(GivenUp::Broken));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_told_to_stop_calls_no_more() {
        let stop = CancellationToken::new();
        stop.cancel();
        let mut answers = [Err(away())].into_iter();
        let call = || std::future::ready::<Result<(), _>>(answers.next().expect("no second call"));
        assert_eq!(insist("do it", &stop, call).await, Err(GivenUp::Stopped));
    }
}

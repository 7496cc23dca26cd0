//! What a build server's answer means.
//!
//! A build that was started can't be taken back, so a server error that may have come after the start is an attempt that
//! may have been taken. Only a 503, a 429 and their like say that nothing was started.

use crate::call::{Answer, Failure, HttpResponse, Sent, by_status, describe};

/// Reads the answer to a request that starts a build, where nothing in it is the service's own code.
pub(super) fn of_trigger(response: &HttpResponse) -> Answer<Sent> {
    match by_status(response) {
        Answer::Failed(Failure::Unavailable { wait, why, .. }) if may_have_started(response.status) => {
            let why = format!("{why}; a build may have been started, so none is asked for again");
            Answer::Failed(Failure::Unavailable { maybe_taken: true, wait, why })
        }
        answer => answer,
    }
}

/// Whether the answer may come after the start of a build: a server error, or 303, which says that the request was carried
/// out and shows its result elsewhere. Not so the errors of which the request got no further: not implemented, unavailable,
/// a network that wants a login.
const fn may_have_started(status: u16) -> bool {
    matches!(status, 303 | 500..=599) && !matches!(status, 501 | 503 | 511)
}

/// The service's own word that the settings are wrong.
pub(super) fn misconfigured(response: &HttpResponse) -> Answer<Sent> {
    Answer::Failed(Failure::Misconfigured(describe(response)))
}

/// The service's own word that it does not take this event.
pub(super) fn rejected(response: &HttpResponse) -> Answer<Sent> {
    Answer::Failed(Failure::Rejected(describe(response)))
}

/// The wait of a limit in another header than `Retry-After`, in seconds from now, where that one is not there.
pub(super) fn with_wait_of<T>(header: &str, response: &HttpResponse, answer: Answer<T>) -> Answer<T> {
    let seconds = response.header(header).and_then(|seconds| seconds.trim().parse().ok());
    match (answer, seconds) {
        (Answer::Failed(Failure::Throttled { wait: None, why, shared }), Some(seconds)) => {
            let wait = Some(std::time::Duration::from_secs(seconds));
            Answer::Failed(Failure::Throttled { wait, why, shared })
        }
        (answer, _) => answer,
    }
}

/// Jenkins, its plug-ins included: its answers have a header of its own, also where Jenkins refuses the login. Only then a
/// status is Jenkins' own word. `says` are words of the plug-in.
pub(super) fn of_jenkins(response: &HttpResponse, says: &[&str]) -> Answer<Sent> {
    let text = response.text();
    let is_jenkins = response.header("x-jenkins").is_some() || says.iter().any(|words| text.contains(words));
    match response.status {
        401 | 403 | 404 if is_jenkins => misconfigured(response),
        // The job takes events, but not of this kind.
        409 if is_jenkins => rejected(response),
        _ => of_trigger(response),
    }
}

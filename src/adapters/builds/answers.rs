//! What a build server's answer means.
//!
//! A build that was started can't be taken back, so a server error that may have come after the start is an attempt that
//! may have been taken. Only a 503, a 429 and their like say that nothing was started.

use crate::call::{Answer, Failure, HttpResponse, Sent, describe};

/// Reads the answer to a request that starts a build.
pub(super) fn of_trigger(response: &HttpResponse) -> Answer<Sent> {
    match response.status {
        200..=299 if is_page(response) => Answer::Failed(login_page(response)),
        200..=299 => Answer::Done(Sent),
        _ => Answer::Failed(refusal_of_trigger(response)),
    }
}

/// What follows from a status that is not a success, where the request starts a build.
pub(super) fn refusal_of_trigger(response: &HttpResponse) -> Failure {
    match refusal(response) {
        Failure::Unavailable { wait, why, .. } if may_have_started(response.status) => {
            let why = format!("{why}; a build may have been started, so none is asked for again");
            Failure::Unavailable { maybe_taken: true, wait, why }
        }
        refusal => refusal,
    }
}

const fn may_have_started(status: u16) -> bool {
    matches!(status, 500..=599) && status != 503
}

/// What follows from a status that is not a success, where a repetition does no harm. Nothing here proves an address dead:
/// the servers have no word for it, and a 410 may come from a proxy.
pub(super) fn refusal(response: &HttpResponse) -> Failure {
    let why = describe(response);
    let wait = response.retry_after();
    match response.status {
        429 => Failure::Throttled { wait, why, shared: false },
        501 => Failure::Misconfigured(why),
        408 | 425 | 500..=599 => Failure::Unavailable { maybe_taken: false, wait, why },
        300..=399 | 401 | 403..=405 | 407 | 410 => Failure::Misconfigured(why),
        _ => Failure::Rejected(why),
    }
}

/// Whether the answer is a page for people. No build server answers a call with one, so something else did.
pub(super) fn is_page(response: &HttpResponse) -> bool {
    let text = response.text();
    let start: String = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}').chars().take(16).collect();
    let start = start.to_ascii_lowercase();
    start.starts_with("<!doctype html") || start.starts_with("<html") || start.starts_with("<head")
}

/// A success by its status, and a page by its body: the service was not reached.
pub(super) fn login_page(response: &HttpResponse) -> Failure {
    let status = response.status;
    Failure::Misconfigured(format!(
        "answered {status} with a page of HTML, perhaps a login page: check the address, the user name and the password"
    ))
}

/// The consequences of statuses with an empty body, for servers that take any 2xx.
#[cfg(test)]
pub(super) fn declared_status(status: u16) -> &'static str {
    match status {
        410 => "misconfigured",
        other => crate::adapters::tests::usual_status(other),
    }
}

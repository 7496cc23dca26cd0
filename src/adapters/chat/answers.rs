//! What follows from answers that are not the service's own, and from those of services that define nothing but a status.
//! This module is not an adapter.

use serde_json::Value as Json;

use crate::call::{Answer, Failure, HttpResponse, Sent, by_status, describe};

/// A service that does not know an address this often in a row has forgotten it.
pub(super) const CONFIRMATIONS: u8 = 3;

/// Whether the answer is a page for people: a login page, an error page of a proxy.
pub(super) fn is_page(response: &HttpResponse) -> bool {
    response.text().trim_start().starts_with('<')
}

/// Down or unreachable: to be tried again on schedule.
pub(super) fn unavailable(response: &HttpResponse, maybe_taken: bool) -> Answer<Sent> {
    let (wait, why) = (response.retry_after(), describe(response));
    Answer::Failed(Failure::Unavailable { maybe_taken, wait, why })
}

/// An answer without the format that the service's own answers have. A proxy or a network between gave it, so it says
/// nothing about the address or the message: the service is taken for unreachable, whatever the status.
pub(super) fn not_its_own(response: &HttpResponse) -> Answer<Sent> {
    match response.status {
        200..=299 => unavailable(response, !is_page(response)),
        // These two mean the same from anyone: another pace, or another address.
        429 | 300..=399 | 407 => by_status(response),
        // A proxy's limit for a body is there the next time as well.
        413 => Answer::Failed(Failure::Rejected(describe(response))),
        _ => unavailable(response, false),
    }
}

/// The answer of a webhook whose service publishes no error codes. Any 2xx but a page is a success. An error in JSON is the
/// service's own; with these statuses it says that the webhook is gone.
pub(super) fn of_webhook(response: &HttpResponse) -> Answer<Sent> {
    let is_own = serde_json::from_str(&response.text()).is_ok_and(|answer: Json| answer.is_object());
    match response.status {
        200..=299 if is_page(response) => not_its_own(response),
        200..=299 => Answer::Done(Sent),
        _ if !is_own => not_its_own(response),
        401 | 403 | 404 | 410 => {
            Answer::Failed(Failure::Gone { why: describe(response), confirmations: CONFIRMATIONS })
        }
        _ => by_status(response),
    }
}

/// What a status without a body comes to in [`not_its_own`].
#[cfg(test)]
pub(super) const fn status_of_a_stranger(status: u16) -> &'static str {
    match status {
        429 => "throttled",
        300..=399 | 407 => "misconfigured",
        413 => "rejected",
        _ => "unavailable",
    }
}

//! The meaning of a build server's answers.
//!
//! A build that was started can't be taken back, so a server error that may have come after the start is an attempt that
//! may have been taken. Only statuses such as 503 and 429 say that nothing was started.

use std::time::Duration;

use url::Url;

use crate::call::{Answer, Bucket, Failure, HttpResponse, Pace, Sent, by_status, describe};
use crate::settings::Secret;

/// Reads the answer to a request that starts a build, where nothing in it is the service's own code.
pub(super) fn of_trigger(response: &HttpResponse) -> Answer<Sent> {
    match by_status(response) {
        Answer::Failed(Failure::Unavailable { wait, why, .. }) if may_have_started(response) => {
            let why = format!("{why}; a build may have been started, so none is asked for again");
            Answer::Failed(Failure::Unavailable { maybe_taken: true, wait, why })
        }
        answer => answer,
    }
}

/// Whether the answer may come after the start of a build: a server error, or a redirect to the page of the build. Not so
/// the errors of requests that got no further (not implemented, unavailable, a network that wants a login), and redirects of
/// whole addresses (301, 307, 308) or to a login.
fn may_have_started(response: &HttpResponse) -> bool {
    match response.status {
        302 | 303 => !leads_to_login(response.header("location").unwrap_or_default()),
        501 | 503 | 511 => false,
        status => (500..=599).contains(&status),
    }
}

fn leads_to_login(location: &str) -> bool {
    let location = location.to_ascii_lowercase();
    ["login", "log-in", "log_in", "signin", "sign-in", "sign_in", "sso", "oauth", "saml"]
        .iter()
        .any(|word| location.contains(word))
}

/// The service's own word that the settings are wrong.
pub(super) fn misconfigured(response: &HttpResponse) -> Answer<Sent> {
    Answer::Failed(Failure::Misconfigured(describe(response)))
}

/// The service's own word that it does not take the login. The destination of such an adapter has the login in its key.
pub(super) fn login_refused(response: &HttpResponse) -> Failure {
    Failure::LoginRefused(describe(response))
}

/// The limit of a server, and the destination that holds what is sent with one login. A service may lock a user out after a
/// few refused logins, so the other projects that use the same login must wait too.
pub(super) fn paced_by_login(
    names: (&'static str, &'static str),
    server: &Url,
    (user, password): (Option<&str>, Option<&Secret>),
    (count, burst): (u32, u32),
) -> Pace {
    let server = server.origin().ascii_serialization();
    let bucket = |name, parts: &[&str]| Bucket::new(name, parts, count, Duration::from_secs(1), burst);
    let password = password.map(Secret::expose).unwrap_or_default();
    let login = bucket(names.0, &[&server, user.unwrap_or_default(), password]);
    Pace::of(login).and(bucket(names.1, &[&server]))
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
            let wait = Some(Duration::from_secs(seconds));
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

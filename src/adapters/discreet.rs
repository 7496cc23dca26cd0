//! Keeps credentials out of failures. Services quote the address they were called at, proxies the whole request:
//! what they say goes into records and logs, so whatever of it was secret in the request is masked there.

use crate::call::{Answer, Call, Failure, HttpRequest, Request};
use crate::settings::Secret;

/// Shorter parts of an address are words (`services`, `hooks`) or names (`T01ABCDEF`); secrets are longer.
const SHORTEST_IN_PATH: usize = 16;
/// Credentials in queries and headers stand where nothing else does.
const SHORTEST_VALUE: usize = 6;

/// The same call; failures that its answer is read as show nothing of its credentials.
pub(super) fn discreet(call: Call) -> Call {
    let Request::Http(request) = &call.request;
    let secrets = secrets_of(request);
    let read = call.read;
    Call {
        request: call.request,
        read: Box::new(move |response| match read(response) {
            Answer::Failed(failure) => Answer::Failed(masked(failure, &secrets)),
            // The next half has credentials of its own, and may be answered with those of this one.
            Answer::Then(next) => Answer::Then(discreet(next)),
            Answer::Taken => Answer::Taken,
        }),
    }
}

/// All that could be a credential, the longest first, so that no part of it is masked before the whole.
fn secrets_of(request: &HttpRequest) -> Vec<String> {
    let url = &request.url;
    let mut secrets: Vec<String> = Vec::new();
    let mut add = |secret: &str, shortest: usize| {
        if secret.len() >= shortest {
            secrets.push(secret.to_owned());
        }
    };
    add(url.path().trim_matches('/'), SHORTEST_IN_PATH);
    url.path_segments().into_iter().flatten().for_each(|part| add(part, SHORTEST_IN_PATH));
    url.query_pairs().for_each(|(_, value)| add(&value, SHORTEST_VALUE));
    add(url.password().unwrap_or_default(), 1);
    for (name, value) in &request.headers {
        if *name != "content-type" {
            add(value.rsplit(' ').next().unwrap_or_default(), SHORTEST_VALUE);
        }
    }
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets
}

fn masked(failure: Failure, secrets: &[String]) -> Failure {
    let mask = |why: String| mask(why, secrets);
    match failure {
        Failure::Rejected(why) => Failure::Rejected(mask(why)),
        Failure::Misconfigured(why) => Failure::Misconfigured(mask(why)),
        Failure::Gone { why, confirmations } => Failure::Gone { why: mask(why), confirmations },
        Failure::Throttled { wait, why } => Failure::Throttled { wait, why: mask(why) },
        Failure::Unavailable { maybe_taken, wait, why } => {
            Failure::Unavailable { maybe_taken, wait, why: mask(why) }
        }
    }
}

fn mask(why: String, secrets: &[String]) -> String {
    let mut why = why;
    for secret in secrets {
        if why.contains(secret.as_str()) {
            why = why.replace(secret.as_str(), Secret::MASK);
        }
        // An excerpt may end in the middle of one.
        let cut = (SHORTEST_VALUE..secret.len()).rev().filter(|end| secret.is_char_boundary(*end));
        if let Some(end) = cut.into_iter().find(|end| why.ends_with(&secret[..*end])) {
            why.truncate(why.len() - end);
            why.push_str(Secret::MASK);
        }
    }
    why
}

//! Removes credentials from failure texts. Services may quote the address that they were called at, and proxies the whole
//! request. Their answers are stored and logged, so the request's secrets are masked in them.

use crate::call::{Answer, CUT, Call, HttpRequest, OnNoResponse, Request};
use crate::settings::Secret;

/// Parts of an address of this length or more are taken for secrets. Shorter ones are words (`services`, `hooks`) or names
/// (`T01ABCDEF`).
const SHORTEST_IN_PATH: usize = 16;
/// The same for queries and headers, where credentials are found more reliably.
const SHORTEST_VALUE: usize = 6;

/// The same call, but the failures that it reports contain neither its credentials nor these secrets of the settings. A
/// request may contain a secret only in part or in another form (`bot` and the token, Base64).
pub(super) fn redacted<T: 'static>(call: Call<T>, secrets: &[&str]) -> Call<T> {
    let secrets = secrets.iter().map(|secret| secret.trim()).filter(|secret| secret.len() >= SHORTEST_VALUE);
    hiding(call, secrets.map(str::to_owned).collect())
}

fn hiding<T: 'static>(call: Call<T>, mut secrets: Vec<String>) -> Call<T> {
    if let Request::Http(request) = &call.request {
        secrets.extend(secrets_of(request));
    }
    // The longest first, so that no secret is masked only in part.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.dedup();
    let Call { request, read, on_no_response, receiver } = call;
    let without_answer = secrets.clone();
    let on_no_response = on_no_response
        .map(|go_on| -> OnNoResponse<T> { Box::new(move |why| hidden(go_on(why), without_answer)) });
    Call {
        request,
        read: Box::new(move |response| hidden(read(response), secrets)),
        on_no_response,
        receiver,
    }
}

fn hidden<T: 'static>(answer: Answer<T>, secrets: Vec<String>) -> Answer<T> {
    match answer {
        Answer::Failed(failure) => Answer::Failed(failure.map_why(|why| mask(why, &secrets))),
        Answer::Skipped(why) => Answer::Skipped(mask(why, &secrets)),
        // The next step's answer may quote this one's credentials too.
        Answer::Next(next) => Answer::Next(hiding(next, secrets)),
        Answer::Done(value) => Answer::Done(value),
    }
}

/// Everything that could be a credential.
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
    // Both percent-encoded and decoded.
    url.query()
        .into_iter()
        .flat_map(|query| query.split(['&', '=']))
        .for_each(|part| add(part, SHORTEST_IN_PATH));
    url.query_pairs().for_each(|(_, value)| add(&value, SHORTEST_VALUE));
    let password = url.password().unwrap_or_default();
    add(password, 1);
    add(&percent_encoding::percent_decode_str(password).decode_utf8_lossy(), 1);
    if request.is_form() {
        // A key is one word; a value with several words is ordinary text.
        url::form_urlencoded::parse(&request.body)
            .filter(|(_, value)| !value.contains(char::is_whitespace))
            .for_each(|(_, value)| add(&value, SHORTEST_IN_PATH));
    }
    for (name, value) in &request.headers {
        if *name != "content-type" {
            add(value.rsplit(' ').next().unwrap_or_default(), SHORTEST_VALUE);
        }
    }
    secrets
}

fn mask(why: String, secrets: &[String]) -> String {
    let mut why = why;
    for secret in secrets {
        if why.contains(secret.as_str()) {
            why = why.replace(secret.as_str(), Secret::MASK);
        }
        // An excerpt may end in the middle of a secret.
        let ends = (SHORTEST_VALUE..secret.len()).rev().filter(|end| secret.is_char_boundary(*end));
        for cut in ends.map(|end| format!("{}{CUT}", &secret[..end])) {
            if let Some(start) = why.find(&cut) {
                why.replace_range(start..start + cut.len(), Secret::MASK);
                break;
            }
        }
    }
    why
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{HttpResponse, Method, Response, Sent, by_status};

    fn call(url: &str, next: Option<Call<Sent>>) -> Call<Sent> {
        let request = HttpRequest {
            headers: vec![("authorization", "Bearer s3cr3t-t0ken".to_owned())],
            ..HttpRequest::new(Method::Post, url.parse().expect("a URL"))
        };
        Call::http(request, move |response| next.map_or_else(|| by_status(response), Answer::Next))
    }

    fn why(call: Call<Sent>, body: &str) -> String {
        let at = jiff::Timestamp::UNIX_EPOCH;
        let answer = HttpResponse { status: 404, headers: Vec::new(), body: body.to_owned().into(), at };
        match (call.read)(&Response::Http(answer)) {
            Answer::Failed(failure) => failure.why().to_owned(),
            Answer::Next(next) => why(next, body),
            Answer::Done(Sent) | Answer::Skipped(_) => panic!("not failed"),
        }
    }

    #[test]
    fn the_requests_secrets_are_masked_in_failures() {
        let url = "https://user:pass1@a.example/hooks/0123456789abcdefghij?token=abcdef%2B12";
        let said = |body: &str| {
            let why = why(redacted(call(url, None), &["a s3tting"]), body);
            why.split("; ").next().unwrap_or_default().to_owned()
        };
        assert_eq!(said("no /hooks/0123456789abcdefghij here"), "answered 404: no /************ here");
        assert_eq!(said("no abcdef+12, no s3cr3t-t0ken"), "answered 404: no ************, no ************");
        assert_eq!(said("no a s3tting"), "answered 404: no ************");
        assert_eq!(said("hooks are words"), "answered 404: hooks are words");
        let cut = format!("{} 0123456789abcdefghij", "x".repeat(187));
        assert_eq!(said(&cut), format!("answered 404: {} ************", "x".repeat(187)));
    }

    #[test]
    fn the_second_step_of_a_call_masks_the_first_ones_secrets_too() {
        let second = call("https://b.example/zyxwvutsrqponmlkjihg", None);
        let both = call("https://a.example/0123456789abcdefghij", Some(second));
        let said = why(redacted(both, &[]), "0123456789abcdefghij and zyxwvutsrqponmlkjihg");
        assert!(said.starts_with("answered 404: ************ and ************;"), "{said}");
    }
}

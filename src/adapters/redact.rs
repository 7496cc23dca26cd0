//! Removes credentials from failure texts. Services may quote the address that they were called at, and proxies the whole
//! request. Their answers are stored and logged, so the settings' and the request's secrets are masked in them.

use bytes::Bytes;

use crate::call::{Answer, Call, HttpRequest, OnNoResponse, Request};
use crate::settings::{SecretSettings, Secrets};

/// The call with redacted failures: they contain neither the settings' secrets nor the request's credentials.
pub(super) fn redacted<T: 'static>(call: Call<T>, settings: &SecretSettings) -> Call<T> {
    hiding(call, Credentials { settings: settings.clone(), requests: Vec::new() })
}

/// The sources of credentials that an answer may quote. The credentials are extracted only when there is a text to
/// mask, because most answers need no masking.
#[derive(Clone)]
struct Credentials {
    settings: SecretSettings,
    /// The parts with possible credentials, of this request and of those before it.
    requests: Vec<HttpRequest>,
}

impl Credentials {
    fn mask_echo(&self, text: String) -> String {
        let mut secrets = self.settings.secrets();
        self.requests.iter().for_each(|request| secrets.extend(&secrets_of_http(request)));
        secrets.mask_echo(text)
    }
}

fn hiding<T: 'static>(call: Call<T>, mut credentials: Credentials) -> Call<T> {
    let Call { request, read, on_no_response, receiver, remark } = call;
    if let Request::Http(request) = &request {
        credentials.requests.push(without_rest(request));
    }
    let remark = remark.map(|remark| credentials.mask_echo(remark));
    let on_no_response = on_no_response.map(|go_on| -> OnNoResponse<T> {
        let credentials = credentials.clone();
        Box::new(move |why| hidden(go_on(why), credentials))
    });
    Call {
        request,
        read: Box::new(move |response| hidden(read(response), credentials)),
        on_no_response,
        receiver,
        remark,
    }
}

/// The parts of a request that may contain credentials.
fn without_rest(request: &HttpRequest) -> HttpRequest {
    // The content type says how the fields of the body are written.
    let has_fields = !request.secret_fields.is_empty();
    let is_needed = |name: &str| has_fields || !HttpRequest::is_public(name);
    HttpRequest {
        headers: request.headers.iter().filter(|(name, _)| is_needed(name)).cloned().collect(),
        body: if has_fields { request.body.clone() } else { Bytes::new() },
        secret_fields: request.secret_fields,
        ..HttpRequest::new(request.method, request.url.clone())
    }
}

fn hidden<T: 'static>(answer: Answer<T>, credentials: Credentials) -> Answer<T> {
    match answer {
        Answer::Failed(failure) => Answer::Failed(failure.map_why(|why| credentials.mask_echo(why))),
        Answer::Skipped(why) => Answer::Skipped(credentials.mask_echo(why)),
        // The next step's answer may quote this one's credentials too.
        Answer::Next(next) => Answer::Next(hiding(next, credentials)),
        Answer::Done(value) => Answer::Done(value),
    }
}

/// Everything in a request that could be a credential, the operator's own among it.
pub fn secrets_of(request: &Request) -> Secrets {
    match request {
        Request::Http(request) => secrets_of_http(request),
        Request::Smtp(_) | Request::Tcp(_) => Secrets::default(),
    }
}

fn secrets_of_http(request: &HttpRequest) -> Secrets {
    let mut secrets = Secrets::default();
    secrets.add_address(&request.url);
    for (_, value) in request.headers.iter().filter(|(name, _)| !HttpRequest::is_public(name)) {
        secrets.add_header(value);
    }
    for value in values_of_fields(request) {
        secrets.add(&value);
    }
    secrets
}

/// The values of the fields that the request declares as credentials.
fn values_of_fields(request: &HttpRequest) -> Vec<String> {
    if request.secret_fields.is_empty() {
        return Vec::new();
    }
    let is_secret = |name: &str| request.secret_fields.contains(&name);
    if request.is_form() {
        let fields = url::form_urlencoded::parse(&request.body).filter(|(name, _)| is_secret(name));
        return fields.map(|(_, value)| value.into_owned()).collect();
    }
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let fields = body.as_object().into_iter().flatten().filter(|(name, _)| is_secret(name));
    fields.filter_map(|(_, value)| value.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{HttpResponse, Method, Response, Sent, by_status};
    use crate::settings::{Field, Secret, Value};

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
        const FIELDS: &[Field] = &[Field::new::<Secret>("token", "", "", None)];
        let url = "https://user:pass1@a.example/hooks/0123456789abcdefghij?token=abcdef%2B12";
        let given = [("token".to_owned(), Value::Text("a s3tting".to_owned()))].into();
        let of_settings = SecretSettings::of(FIELDS, &given);
        let said = |body: &str| -> String {
            let why = why(redacted(call(url, None), &of_settings), body);
            why.split("; ").next().unwrap_or_default().to_owned()
        };
        assert_eq!(said("no /hooks/0123456789abcdefghij here"), "answered 404: no ************ here");
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
        let said =
            why(redacted(both, &SecretSettings::default()), "0123456789abcdefghij and zyxwvutsrqponmlkjihg");
        assert!(said.starts_with("answered 404: ************ and ************;"), "{said}");
    }
}

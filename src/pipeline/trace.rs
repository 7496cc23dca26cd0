//! Requests and answers as JSON, for people and scripts.
//!
//! A request is masked by position ([`masked`]): every part that may hold a credential is masked, whatever its content.
//! So the shown text does not depend on the secrets, even if they are short. Only the origin of an address is shown. An
//! answer is searched for the secrets that it may quote.

use bytes::Bytes;
use serde_json::{Value as Json, json};

use crate::adapters::secrets_of;
use crate::call::{HttpRequest, Request, Response, TcpRequest};
use crate::settings::{Secret, Secrets};
use crate::wire::SendError;

/// The number of characters of an answer that are shown.
const LONGEST_ANSWER: usize = 4096;

/// The request as people may see it: the parts that may hold credentials are masked.
pub fn masked(request: &Request) -> Request {
    match request {
        Request::Http(request) => Request::Http(masked_http(request)),
        Request::Tcp(request) => Request::Tcp(TcpRequest { body: request.shown.clone(), ..request.clone() }),
        Request::Smtp(mail) => Request::Smtp(mail.clone()),
    }
}

fn masked_http(request: &HttpRequest) -> HttpRequest {
    let mut url = request.url.clone();
    let logs_in = !url.username().is_empty() || url.password().is_some();
    // These calls fail only for addresses without a host, which no request has.
    let _ = (url.set_username(""), url.set_password(None));
    url.set_path(Secret::MASK);
    url.set_query(None);
    url.set_fragment(None);
    let shown = |name: &str, value: &str| {
        if HttpRequest::is_public(name) { value.to_owned() } else { Secret::MASK.to_owned() }
    };
    let mut headers: Vec<_> =
        request.headers.iter().map(|(name, value)| (*name, shown(name, value))).collect();
    // The client sends the login of an address in this header.
    if logs_in && !headers.iter().any(|(name, _)| *name == "authorization") {
        headers.push(("authorization", Secret::MASK.to_owned()));
    }
    HttpRequest { url, headers, body: masked_body(request), ..request.clone() }
}

fn masked_body(request: &HttpRequest) -> Bytes {
    let is_secret = |name: &str| request.secret_fields.contains(&name);
    if request.secret_fields.is_empty() {
        return request.body.clone();
    }
    if request.is_form() {
        let fields = url::form_urlencoded::parse(&request.body);
        let shown = fields.map(|(name, value)| {
            let value = if is_secret(&name) { Secret::MASK.into() } else { value };
            (name, value)
        });
        return url::form_urlencoded::Serializer::new(String::new()).extend_pairs(shown).finish().into();
    }
    match serde_json::from_slice(&request.body) {
        Ok(Json::Object(mut fields)) => {
            let secret = fields.iter_mut().filter(|(name, _)| is_secret(name));
            secret.for_each(|(_, value)| *value = Secret::MASK.into());
            Json::Object(fields).to_string().into()
        }
        // A body whose fields can't be told apart is not shown.
        _ => Bytes::from_static(Secret::MASK.as_bytes()),
    }
}

/// The secrets that an answer may quote: those of the settings, and those of the requests before it, which may be the
/// operator's.
pub fn quotable<'a>(settings: &Secrets, requests: impl IntoIterator<Item = &'a Request>) -> Secrets {
    let mut secrets = settings.clone();
    requests.into_iter().for_each(|request| secrets.extend(&secrets_of(request)));
    secrets
}

/// A request, masked.
pub fn request_json(request: &Request) -> Json {
    match masked(request) {
        Request::Http(request) => http_json(&request),
        Request::Smtp(mail) => json!({ "mail": mail }),
        Request::Tcp(request) => json!({
            "tcp": format!("{}:{}", request.host, request.port),
            "lines": lines(&request.body).collect::<Vec<_>>(),
        }),
    }
}

/// An answer, or why there is none. `secrets` are masked in it: see [`quotable`].
pub fn answer_json(answer: &Result<Response, SendError>, secrets: &Secrets) -> Json {
    let shown = |text: &str| -> String {
        // Masked before it is cut, so that no part of a secret is left at the end.
        secrets.mask_echo(text.to_owned()).chars().take(LONGEST_ANSWER).collect()
    };
    match answer {
        Ok(Response::Http(response)) => {
            json!({ "status": response.status, "body": shown(&response.text()) })
        }
        Ok(Response::Smtp(reply)) => json!({ "status": reply.code, "body": shown(&reply.text) }),
        Ok(Response::Written) => json!({ "written": true }),
        Err(error) => json!({ "none": shown(&error.to_string()) }),
    }
}

/// The lines of a body: each as JSON if it is JSON, else as text.
fn lines(body: &[u8]) -> impl Iterator<Item = Json> {
    let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| {
        serde_json::from_slice(line).unwrap_or_else(|_| String::from_utf8_lossy(line).into_owned().into())
    })
}

/// The JSON of a request that is masked already.
fn http_json(request: &HttpRequest) -> Json {
    let headers = request.headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into()));
    let body = serde_json::from_slice(&request.body)
        .unwrap_or_else(|_| Json::String(String::from_utf8_lossy(&request.body).into_owned()));
    json!({
        "method": request.method.name(),
        "url": request.url.as_str(),
        "headers": headers.collect::<serde_json::Map<_, _>>(),
        "body": body,
    })
}

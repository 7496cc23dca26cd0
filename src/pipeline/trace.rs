//! Requests and answers as JSON, for people and scripts.
//!
//! Of an address, only the origin is shown, since the rest may be a credential. Headers with credentials are masked. Other
//! secrets are masked by the caller, which knows them.

use serde_json::{Value as Json, json};

use crate::call::{HttpRequest, Request, Response};
use crate::settings::Secret;
use crate::wire::SendError;

/// Headers that hold credentials.
const SECRET_HEADERS: [&str; 4] = ["authorization", "x-api-key", "private-token", "cookie"];
/// The number of characters of an answer that are shown.
const LONGEST_ANSWER: usize = 4096;

/// A request.
pub fn request_json(request: &Request) -> Json {
    match request {
        Request::Http(request) => http_json(request),
        Request::Smtp(mail) => json!({ "mail": mail }),
        Request::Tcp(request) => json!({
            "tcp": format!("{}:{}", request.host, request.port),
            "lines": lines(&request.body).collect::<Vec<_>>(),
        }),
    }
}

/// An answer, or why there is none.
pub fn answer_json(answer: &Result<Response, SendError>) -> Json {
    match answer {
        Ok(Response::Http(response)) => {
            let text: String = response.text().chars().take(LONGEST_ANSWER).collect();
            json!({ "status": response.status, "body": text })
        }
        Ok(Response::Smtp(reply)) => json!({ "status": reply.code, "body": reply.text }),
        Ok(Response::Written) => json!({ "written": true }),
        Err(error) => json!({ "none": error.to_string() }),
    }
}

/// The lines of a body: as JSON where they are JSON, else as text.
fn lines(body: &[u8]) -> impl Iterator<Item = Json> {
    let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| {
        serde_json::from_slice(line).unwrap_or_else(|_| String::from_utf8_lossy(line).into_owned().into())
    })
}

fn http_json(request: &HttpRequest) -> Json {
    let headers =
        request.headers.iter().map(|(name, value)| ((*name).to_owned(), header(name, value).into()));
    let body = serde_json::from_slice(&request.body)
        .unwrap_or_else(|_| Json::String(String::from_utf8_lossy(&request.body).into_owned()));
    json!({
        "method": request.method.name(),
        "url": address(request),
        "headers": headers.collect::<serde_json::Map<_, _>>(),
        "body": body,
    })
}

/// A chat webhook's path is its credential: of the address, only the origin is shown.
pub fn address(request: &HttpRequest) -> String {
    format!("{}/{}", request.origin(), Secret::MASK)
}

/// A header's value, unless it is a credential.
pub fn header<'a>(name: &str, value: &'a str) -> &'a str {
    let is_secret = SECRET_HEADERS.contains(&name) || name.contains("token") || name.contains("secret");
    if is_secret { Secret::MASK } else { value }
}

//! HTTP: one client for all requests, with kept connections, and readable errors.

use std::error::Error;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use jiff::{SignedDuration, Timestamp};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::guard::{Forbidden, Guard};
use super::places::Places;
use super::response_cache::{Key, ResponseCache};
use super::smtp::{self, Relay};
use super::{Config, SendError, Transport, tcp};
use crate::call::{Egress, HttpRequest, HttpResponse, Method, Request, Response, is_page};

/// The longest time for which the cache keeps a failure.
const KEEP_FAILURES: Duration = Duration::from_secs(60);

const USER_AGENT: &str = concat!("Forgebell/", env!("CARGO_PKG_VERSION"));

/// Why the HTTP client could not be set up: a wrong setting, or a system without certificates.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    #[error("failed to read wire.ca_file {}: {why}", path.display())]
    CaFile { path: PathBuf, why: String },
    #[error("failed to read smtp.ca_file {}: {why}", path.display())]
    SmtpCaFile { path: PathBuf, why: String },
    /// Nearly always: a machine or container without certificates.
    #[error(
        "failed to set up the HTTP client, which needs the system's ca-certificates or wire.ca_file: {0}"
    )]
    Client(String),
}

/// Sends requests. Clones share its connections and its cache.
#[derive(Clone, Debug)]
pub struct Wire {
    /// Sends requests to receivers that integrations name, where the guard allows them.
    client: reqwest::Client,
    /// The client for requests that switch off the verification of certificates. It is built for the first such
    /// request.
    unverified: Arc<OnceLock<reqwest::Client>>,
    /// Sends requests to receivers that the operator names in the configuration. The guard does not apply to them.
    operators: reqwest::Client,
    config: Config,
    guard: Guard,
    cache: Arc<ResponseCache>,
    places: Arc<Places>,
    relay: Relay,
    connect_timeout: Duration,
}

impl Wire {
    /// # Errors
    /// The certificates can't be read, or the system has none at all.
    pub fn new(config: &Config) -> Result<Self, WireError> {
        // This fails if a provider is installed already, by another daemon in this process. It is the same provider.
        let _ = rustls::crypto::ring::default_provider().install_default();

        let guard = Guard::new(config.allow_networks.clone(), &config.proxy_hosts)
            .allowing_tcp(config.allow_tcp.clone());
        Ok(Self {
            client: client_builder(config, Some(guard.clone()))?
                .build()
                .map_err(|error| not_built(&error))?,
            unverified: Arc::default(),
            operators: client_builder(config, None)?.build().map_err(|error| not_built(&error))?,
            config: config.clone(),
            guard,
            cache: Arc::default(),
            places: Arc::default(),
            relay: Relay::new(config.smtp.clone())?,
            connect_timeout: config.connect_timeout,
        })
    }

    /// The settings of the relay that it sends mails to.
    pub fn smtp(&self) -> &smtp::Config {
        &self.config.smtp
    }

    fn unverified(&self) -> Result<&reqwest::Client, WireError> {
        if let Some(client) = self.unverified.get() {
            return Ok(client);
        }
        let builder = client_builder(&self.config, Some(self.guard.clone()))?;
        let client =
            builder.tls_danger_accept_invalid_certs(true).build().map_err(|error| not_built(&error))?;
        // Two concurrent requests may both build a client; the first one that is stored is used for all.
        Ok(self.unverified.get_or_init(|| client))
    }

    async fn send_http(&self, request: &HttpRequest) -> Result<HttpResponse, SendError> {
        let Some(keep) = request.keep else { return self.call(request).await };
        let key = Key::of(request);
        let in_flight = self.cache.in_flight(&key);
        let mut outcome = in_flight.lock().await;
        if let Some(outcome) = &*outcome {
            return outcome.clone();
        }
        if let Some(cached) = self.cache.get(&key) {
            return cached;
        }
        let answer = self.call(request).await;
        // A page of HTML is a login page or a proxy's, even with a 200.
        let is_good = answer
            .as_ref()
            .is_ok_and(|response| (200..=299).contains(&response.status) && !is_page(response));
        // Failures are cached for a short time, so that hundreds of waiting requests do not each repeat a failing one.
        self.cache.put(&key, &answer, if is_good { keep } else { keep.min(KEEP_FAILURES) });
        *outcome = Some(answer.clone());
        answer
    }

    async fn call(&self, request: &HttpRequest) -> Result<HttpResponse, SendError> {
        let refused = |why: &dyn std::fmt::Display| {
            SendError::Refused(format!("will not call {}: {why}", request.origin()))
        };
        let client = match request.egress {
            Egress::Public => {
                self.guard.check(&request.url).map_err(|forbidden| refused(&forbidden))?;
                if request.verify_tls {
                    &self.client
                } else {
                    self.unverified().map_err(|error| refused(&error))?
                }
            }
            Egress::Operator => &self.operators,
        };
        let headers = headers(request).map_err(|why| refused(&why))?;
        let begun = Instant::now();
        // The place is free again when the answer has been read.
        let _place = self.places.enter(request).await?;
        // `request()` turns a user and password in the address into Basic authorisation. `headers()` is called after
        // it, so an authorisation header that the adapter set takes precedence.
        let sent = client
            .request(method(request.method), request.url.clone())
            .headers(headers)
            .body(request.body.clone())
            .timeout(request.timeout.saturating_sub(begun.elapsed()))
            .send()
            .await;
        let response = sent.map_err(|error| self.explain(request, &error.without_url()))?;

        let status = response.status().as_u16();
        let headers = answered_headers(response.headers());
        let body = read_body(response, request.answer_limit).await.map_err(|error| {
            SendError::NoAnswer(format!(
                "{} answered {status}, then broke off: {}",
                request.origin(),
                self.reason(request, &error.without_url())
            ))
        })?;
        #[expect(clippy::disallowed_methods, reason = "only the wire knows when a response arrived")]
        let at = Timestamp::now();
        Ok(HttpResponse { status, headers, body, at })
    }

    /// Classifies a failure by its consequence.
    fn explain(&self, request: &HttpRequest, error: &reqwest::Error) -> SendError {
        let origin = request.origin();
        if let Some(forbidden) = chain(error).find_map(|cause| cause.downcast_ref::<Forbidden>()) {
            return SendError::Refused(format!("will not call {origin}: {forbidden}"));
        }
        let reason = self.reason(request, error);
        if error.is_connect() {
            SendError::NotSent(format!("could not connect to {origin}: {reason}"))
        } else if error.is_builder() {
            SendError::Refused(format!("will not call {origin}: {reason}"))
        } else {
            SendError::NoAnswer(format!("no answer from {origin}: {reason}"))
        }
    }

    /// A short description of the failure, without secrets.
    fn reason(&self, request: &HttpRequest, error: &reqwest::Error) -> String {
        if error.is_timeout() {
            let limit = if error.is_connect() { self.connect_timeout } else { request.timeout };
            return format!(
                "nothing within {:#}",
                SignedDuration::try_from(limit).unwrap_or(SignedDuration::MAX)
            );
        }
        let text = innermost(error);
        if text.contains("UnknownIssuer") {
            format!("{text} (wire.ca_file can add its authority)")
        } else {
            text
        }
    }
}

#[async_trait]
impl Transport for Wire {
    async fn send(&self, request: &Request) -> Result<Response, SendError> {
        match request {
            Request::Http(request) => self.send_http(request).await.map(Response::Http),
            // A session with a relay has far more state than a request over HTTP, which would have to move with it.
            Request::Smtp(mail) => Box::pin(self.relay.send(mail)).await.map(Response::Smtp),
            Request::Tcp(request) => {
                let sent = Box::pin(tcp::send(&self.guard, self.connect_timeout, request));
                sent.await.map(|()| Response::Written)
            }
        }
    }
}

fn not_built(error: &reqwest::Error) -> WireError {
    WireError::Client(innermost(error))
}

/// The settings of a client that resolves names through the guard or, without a guard, through the system alone.
fn client_builder(config: &Config, guard: Option<Guard>) -> Result<reqwest::ClientBuilder, WireError> {
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(config.connect_timeout)
        .pool_idle_timeout(config.idle_timeout)
        .pool_max_idle_per_host(config.idle_per_host)
        // Without the pings, every request that is multiplexed over a broken connection would be lost.
        .http2_keep_alive_interval(Duration::from_secs(10))
        .http2_keep_alive_timeout(Duration::from_secs(10))
        .tls_certs_merge(private_authorities(config)?);
    if let Some(guard) = guard {
        builder = builder.dns_resolver(guard);
    }
    if !config.system_proxy {
        builder = builder.no_proxy();
    }
    Ok(builder)
}

fn private_authorities(config: &Config) -> Result<Vec<reqwest::Certificate>, WireError> {
    let Some(path) = &config.ca_file else { return Ok(Vec::new()) };
    let failed = |why: String| WireError::CaFile { path: path.clone(), why };
    let pem = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let certificates =
        reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| failed(innermost(&error)))?;
    if certificates.is_empty() {
        return Err(failed("there is no PEM certificate in it".to_owned()));
    }
    Ok(certificates)
}

const fn method(method: Method) -> reqwest::Method {
    match method {
        Method::Get => reqwest::Method::GET,
        Method::Head => reqwest::Method::HEAD,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Patch => reqwest::Method::PATCH,
        Method::Delete => reqwest::Method::DELETE,
    }
}

/// A request's headers, or an error that names the header that can't be sent. Header values may be secrets, so the
/// error does not contain them.
fn headers(request: &HttpRequest) -> Result<HeaderMap, String> {
    let mut map = HeaderMap::with_capacity(request.headers.len());
    for (name, value) in &request.headers {
        let key = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("{name} is not a valid header name"))?;
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| format!("the header {name} contains characters that a header must not contain"))?;
        value.set_sensitive(true);
        map.append(key, value);
    }
    Ok(map)
}

/// A response's headers. The client has their names in lower case already. Invalid UTF-8 is replaced by U+FFFD.
fn answered_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

/// Reads a body up to the limit. The rest stays unread, and an HTTP/1 connection is closed because of that.
async fn read_body(mut response: reqwest::Response, limit: usize) -> reqwest::Result<Bytes> {
    // Most answers come in one piece, which is not copied.
    let first = response.chunk().await?.unwrap_or_default();
    if first.len() >= limit {
        return Ok(first.slice(..limit));
    }
    let Some(second) = response.chunk().await? else { return Ok(first) };
    let mut body = BytesMut::from(first);
    body.extend_from_slice(&second[..second.len().min(limit - body.len())]);
    while body.len() < limit {
        let Some(piece) = response.chunk().await? else { break };
        body.extend_from_slice(&piece[..piece.len().min(limit - body.len())]);
    }
    Ok(body.freeze())
}

/// An error and its causes, outermost first.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&cause| cause.source())
}

/// The innermost cause, which says what happened; the outer ones only name the client's layers. The text is one short
/// line, without the system's error number. It begins in lower case, because our messages end with it.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let text = chain(error).last().map(ToString::to_string).unwrap_or_default();
    let text = text.split(" (os error ").next().unwrap_or_default();
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut letters = words.chars().filter(|letter| !letter.is_control()).take(200).peekable();
    let Some(first) = letters.next() else { return String::new() };
    // An acronym at the beginning keeps its case.
    let begins_a_word = letters.peek().is_some_and(|second| second.is_lowercase());
    let first = if begins_a_word { first.to_ascii_lowercase() } else { first };
    std::iter::once(first).chain(letters).collect()
}

#[cfg(test)]
mod tests;

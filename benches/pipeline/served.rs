//! How the sink serves: HTTP/1.1 by hand, in plain text or within TLS, and HTTP/2 by hyper.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use axum::body::Body;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::events::marked;
use crate::figures::now_nanos;
use crate::sink::{Ledger, SILENT, SLOW, lock, say};

/// How long a slow path takes to answer: longer than a delivery is waited for before it becomes a row.
pub const PATIENCE: Duration = Duration::from_millis(300);

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok";

/// What TLS is served with.
pub struct Tls {
    acceptor: TlsAcceptor,
    is_h2: bool,
}

pub fn tls(certificate: &str, key: &str, is_h2: bool) -> Result<Tls> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes())?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())?;
    let mut config =
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![if is_h2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
    Ok(Tls { acceptor: TlsAcceptor::from(Arc::new(config)), is_h2 })
}

/// Says the port, then serves for ever.
pub async fn serve(ledger: Arc<Mutex<Ledger>>, tls: Option<Tls>) -> std::io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    say(&format!("{}\n", listener.local_addr()?.port()));
    let tls = tls.map(Arc::new);
    loop {
        let (stream, _) = listener.accept().await?;
        lock(&ledger).connected();
        let _ = stream.set_nodelay(true);
        match &tls {
            None => drop(tokio::spawn(answer(stream, Arc::clone(&ledger)))),
            Some(tls) => drop(tokio::spawn(answer_within(Arc::clone(tls), stream, Arc::clone(&ledger)))),
        }
    }
}

async fn answer_within(tls: Arc<Tls>, stream: TcpStream, ledger: Arc<Mutex<Ledger>>) {
    let Ok(stream) = tls.acceptor.accept(stream).await else { return };
    if !tls.is_h2 {
        return answer(stream, ledger).await;
    }
    let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        let ledger = Arc::clone(&ledger);
        async move {
            let path = request.uri().path().to_owned();
            let body = axum::body::to_bytes(Body::new(request.into_body()), usize::MAX).await;
            note(&ledger, &path, &body.unwrap_or_default()).await;
            Ok::<_, Infallible>(hyper::Response::new(Body::from("ok")))
        }
    });
    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    // A connection that breaks off is the contender's matter.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

/// Answers the requests of one connection, until it ends.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, ledger: Arc<Mutex<Ledger>>) {
    let mut bytes = Vec::with_capacity(16 * 1024);
    while let Some(request) = read_request(&mut stream, &mut bytes).await {
        note(&ledger, &request.path, &bytes[request.body_at..request.end]).await;
        bytes.drain(..request.end);
        if stream.write_all(ANSWER).await.is_err() {
            return;
        }
    }
}

/// Notes the event of a request, and waits for as long as its path says.
async fn note(ledger: &Mutex<Ledger>, path: &str, body: &[u8]) {
    if path.starts_with(SILENT) {
        // Holds the connection, as a service does that hangs.
        tokio::time::sleep(Duration::from_secs(3600)).await;
    }
    if path.starts_with(SLOW) {
        tokio::time::sleep(PATIENCE).await;
    }
    let at = now_nanos();
    if let Some(event) = marked(body) {
        lock(ledger).note(event, at);
    }
}

/// Where a request's body lies in the bytes read so far.
struct Request {
    path: String,
    body_at: usize,
    end: usize,
}

/// Reads until a whole request is there; `None` at the connection's end.
async fn read_request(stream: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>) -> Option<Request> {
    let mut found = None;
    loop {
        if found.is_none() {
            found = head(bytes);
        }
        if let Some(request) = found.take_if(|request| bytes.len() >= request.end) {
            return Some(request);
        }
        if stream.read_buf(bytes).await.ok()? == 0 {
            return None;
        }
    }
}

fn head(bytes: &[u8]) -> Option<Request> {
    let body_at = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..body_at]).ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let path = head.split(' ').nth(1)?.to_owned();
    Some(Request { path, body_at, end: body_at + length.unwrap_or_default() })
}

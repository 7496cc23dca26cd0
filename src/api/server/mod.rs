//! Runs the router on a listener, and stops it.
//!
//! This is not `axum::serve`, because that sets hyper no timer: a client that sends half a head would keep its connection
//! for ever, and a stopping daemon would wait as long. Here a head has a time limit, the number of connections is bounded,
//! and a stop waits for requests, but not for connections on which there was none. It speaks HTTP/1.1 only: forges send
//! their webhooks over it, and without TLS no client negotiates another version.
//!
//! A client that does not read its answer in time is disconnected ([`write_timeout`]). A client that is refused while it is
//! still sending gets to read the answer ([`drain_body`]).

mod drain_body;
mod write_timeout;

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::client_addr::Peer;
use drain_body::track;
use write_timeout::WriteTimeout;

/// How long a client may take to send the head of a request, and how long a connection may be idle between two requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take to read an answer: enough for the largest answer over a slow line.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// The largest head. GitLab's is well below 2 KiB.
const MAX_HEAD: usize = 64 * 1024;
/// Further connections wait in the kernel's backlog until one of these ends.
const MAX_CONNECTIONS: usize = 512;
/// How long requests may go on after a stop: the time of a body and a commit, with some to spare.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(25);
/// A pause after an error of the listener itself: the process has no free file descriptors, and an immediate retry fails
/// as well.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// Serves until `stop` is cancelled; requests under way are finished. Dropping the future closes all connections at once.
///
/// # Errors
/// None at present: an error of the listener is logged, and it is tried again.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) -> io::Result<()> {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let (stream, peer, permit) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &permits) => accepted,
            Some(ended) = connections.join_next() => {
                report_panic(ended);
                continue;
            }
        };
        connections.spawn(serve_connection(stream, peer, permit, router.clone(), stop.clone()));
    }
    drop(listener);
    let all_ended = async {
        while let Some(ended) = connections.join_next().await {
            report_panic(ended);
        }
    };
    if tokio::time::timeout(SHUTDOWN_TIMEOUT, all_ended).await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "closed connections whose requests did not end in time"
        );
    }
    Ok(())
}

async fn accept(listener: &TcpListener, permits: &Arc<Semaphore>) -> (TcpStream, Peer, OwnedSemaphorePermit) {
    let permit = Arc::clone(permits).acquire_owned().await.expect("this semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, address)) => return (stream, Peer(address), permit),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Serves one connection, from its first request to its last.
async fn serve_connection(
    stream: TcpStream,
    peer: Peer,
    permit: OwnedSemaphorePermit,
    router: Router,
    stop: CancellationToken,
) {
    // Answers are small and written whole, so there is nothing to gather into larger packets.
    let _ = stream.set_nodelay(true);
    let had_request = AtomicBool::new(false);
    let handlers = TowerToHyperService::new(router);
    let service = service_fn(|mut request: Request<Incoming>| {
        had_request.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(peer);
        let (head, body) = request.into_parts();
        let (body, drain) = track(&head.headers, body);
        let answer = handlers.call(Request::from_parts(head, body));
        async move { Ok::<_, Infallible>(drain.drain(answer.await?).await) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD);
    let stream = TokioIo::new(WriteTimeout::new(stream, WRITE_TIMEOUT));
    let mut connection = pin!(server.serve_connection(stream, service));
    // An error here is the client's disconnect or a malformed request: there is nothing left to do about either.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = stop.cancelled() => {
            if had_request.load(Ordering::Relaxed) {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    }
    drop(permit);
}

fn report_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a request handler panicked; its client got no answer");
    }
}

//! Opens the doors on a listener, and shuts them.
//!
//! Not `axum::serve`: it sets hyper no timer, so that whoever sends half a head keeps a connection for ever, and keeps
//! a stopping daemon waiting as long. Here a head has its time, there are only so many connections at once, and
//! stopping waits for requests, not for connections on which nobody asked anything. HTTP/1.1 only: forges send their
//! webhooks over it, and without TLS nobody negotiates another.
//!
//! Who asks and does not listen to the answer keeps a connection no longer than who asks too slowly ([`hearing`]); and who
//! is refused while still sending hears why ([`leftover`]).

mod hearing;
mod leftover;

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

use super::caller::Peer;
use hearing::Hearing;
use leftover::lend;

/// How long a caller may take over the head of a request, and how long a connection may idle between two.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a caller may take over hearing an answer: enough for the largest event, over a slow line.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// The largest head. GitLab's is well below 2 KiB.
const LARGEST_HEAD: usize = 64 * 1024;
/// More wait with the kernel until one of these ends.
const MOST_CONNECTIONS: usize = 512;
/// How long requests under way may take after the stop: as long as a body and a commit do, then somebody dawdles.
const LAST_WORDS: Duration = Duration::from_secs(25);
/// A pause after an error that is not one connection's: the process is out of files, and trying harder won't help.
const OUT_OF_FILES: Duration = Duration::from_millis(500);

/// Serves until told to stop; requests under way are finished. Dropped, it hangs up on everybody at once.
///
/// # Errors
/// None yet: a listener that fails is tried again.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let (stream, peer, place) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
            Some(ended) = connections.join_next() => {
                report(ended);
                continue;
            }
        };
        connections.spawn(converse(stream, peer, place, router.clone(), stop.clone()));
    }
    drop(listener);
    let farewell = async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    };
    if tokio::time::timeout(LAST_WORDS, farewell).await.is_err() {
        tracing::warn!(connections = connections.len(), "hung up on callers who did not come to an end");
    }
    Ok(())
}

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> (TcpStream, Peer, OwnedSemaphorePermit) {
    let place = Arc::clone(places).acquire_owned().await.expect("nobody closes this semaphore");
    loop {
        match listener.accept().await {
            Ok((stream, address)) => return (stream, Peer(address), place),
            Err(error) if is_the_callers(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                tokio::time::sleep(OUT_OF_FILES).await;
            }
        }
    }
}

fn is_the_callers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// One connection, from its first request to its last.
async fn converse(
    stream: TcpStream,
    peer: Peer,
    place: OwnedSemaphorePermit,
    router: Router,
    stop: CancellationToken,
) {
    // Answers are small and whole: there is nothing to gather.
    let _ = stream.set_nodelay(true);
    let asked = AtomicBool::new(false);
    let answers = TowerToHyperService::new(router);
    let service = service_fn(|mut request: Request<Incoming>| {
        asked.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(peer);
        let (head, body) = request.into_parts();
        let (body, lender) = lend(&head.headers, body);
        let answer = answers.call(Request::from_parts(head, body));
        async move { Ok::<_, Infallible>(lender.see_to(answer.await?).await) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(LARGEST_HEAD);
    let mut connection =
        pin!(server.serve_connection(TokioIo::new(Hearing::new(stream, ANSWER_TIMEOUT)), service));
    // How a connection ends is the caller's affair: what matters was answered, or was never asked.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = stop.cancelled() => {
            if asked.load(Ordering::Relaxed) {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    }
    drop(place);
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a request made the doors panic; the caller got no answer");
    }
}

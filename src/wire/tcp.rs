//! Bare TCP, for services that read lines and never answer: connect, write, close.
//!
//! A request counts as received when it was written and the connection closed in order; there is no other sign. The
//! connection is never kept open: irkerd serves one client at a time.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::SendError;
use super::guard::Guard;
use crate::call::TcpRequest;

/// Sends one request's bytes. The look-up of the address and the connection have the limit `connect_timeout`, the whole
/// has the request's timeout.
pub(super) async fn send(
    guard: &Guard,
    connect_timeout: Duration,
    request: &TcpRequest,
) -> Result<(), SendError> {
    let place = format!("{}:{}", request.host, request.port);
    let deadline = Instant::now() + request.timeout;
    let connect_timeout = connect_timeout.min(request.timeout);
    let Ok(connected) = timeout(connect_timeout, connect(guard, request, &place)).await else {
        let limit = words(connect_timeout);
        return Err(SendError::NotSent(format!("could not connect to {place}: nothing within {limit}")));
    };
    let stream = connected?;
    match timeout_at(deadline, write(stream, &request.body)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => {
            Err(SendError::NoAnswer(format!("could not write all to {place}: {}", plain(&error))))
        }
        Err(_) => Err(SendError::NoAnswer(format!(
            "{place} did not take it all within {}; perhaps another connection keeps it busy",
            words(request.timeout)
        ))),
    }
}

/// Connects to the first of the allowed addresses that answers.
async fn connect(guard: &Guard, request: &TcpRequest, place: &str) -> Result<TcpStream, SendError> {
    for (host, port) in &request.onward {
        judge_onward(guard, host, *port).await?;
    }
    let addresses = find(guard, request, place).await?;
    let connected = TcpStream::connect(addresses.as_slice()).await;
    connected.map_err(|error| SendError::NotSent(format!("could not connect to {place}: {}", plain(&error))))
}

/// Checks an address that the service will call on our behalf, so that the guard can't be bypassed. A name that can't be
/// resolved is not refused here, because the service can't resolve it either.
async fn judge_onward(guard: &Guard, host: &str, port: u16) -> Result<(), SendError> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let Ok(found) = tokio::net::lookup_host((bare, port)).await else { return Ok(()) };
    found
        .into_iter()
        .try_for_each(|address| guard.filter_tcp(host, vec![address]).map(drop))
        .map_err(|forbidden| SendError::Refused(format!("will not have {host}:{port} called: {forbidden}")))
}

/// Looks up the addresses of a request's host, and keeps those that may be called.
async fn find(guard: &Guard, request: &TcpRequest, place: &str) -> Result<Vec<SocketAddr>, SendError> {
    let host = request.host.trim_start_matches('[').trim_end_matches(']');
    let found = tokio::net::lookup_host((host, request.port)).await;
    let found: Vec<SocketAddr> = found
        .map_err(|error| {
            SendError::NotSent(format!("could not find the address of {}: {}", request.host, plain(&error)))
        })?
        .collect();
    if found.is_empty() {
        return Err(SendError::NotSent(format!("{} has no address", request.host)));
    }
    guard
        .filter_tcp(&request.host, found)
        .map_err(|forbidden| SendError::Refused(format!("will not call {place}: {forbidden}")))
}

/// Writes, shuts down the sending side, and waits until the other side has closed as well: bytes in this system's buffers
/// may still be lost to a reset.
async fn write(mut stream: TcpStream, body: &[u8]) -> io::Result<()> {
    stream.write_all(body).await?;
    stream.shutdown().await?;
    let mut nothing = [0; 256];
    while stream.read(&mut nothing).await? > 0 {}
    Ok(())
}

fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
    text.split(" (os error ").next().unwrap_or_default().to_lowercase()
}

fn words(limit: Duration) -> String {
    format!("{:#}", SignedDuration::try_from(limit).unwrap_or(SignedDuration::MAX))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::net::TcpListener;

    use super::*;

    fn guard(allow: &[&str]) -> Guard {
        Guard::new(Vec::new(), &[]).allowing_tcp(allow.iter().map(|a| a.parse().unwrap()).collect())
    }

    fn request(address: SocketAddr) -> TcpRequest {
        TcpRequest {
            host: address.ip().to_string(),
            port: address.port(),
            body: "{\"to\":\"irc://a/b\"}\n".into(),
            shown: Bytes::new(),
            timeout: Duration::from_secs(5),
            onward: Vec::new(),
        }
    }

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn all_bytes_arrive_and_the_connection_is_closed() {
        let (listener, address) = listener().await;
        let request = request(address);
        let body = request.body.clone();
        let reading = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut got = Vec::new();
            stream.read_to_end(&mut got).await.unwrap();
            got
        };
        let guard = guard(&[&address.to_string()]);
        let (got, sent) = tokio::join!(reading, send(&guard, SECOND, &request));
        assert_eq!(got, body);
        assert_eq!(sent, Ok(()));
    }

    #[tokio::test]
    async fn this_machine_is_called_only_where_address_and_port_are_allowed() {
        let (_listener, address) = listener().await;
        let refused = send(&guard(&[]), SECOND, &request(address)).await;
        let Err(SendError::Refused(why)) = refused else { panic!("{refused:?}") };
        assert!(why.contains("wire.allow_tcp"), "{why}");
        let other_port = guard(&["127.0.0.1:1"]);
        assert!(matches!(send(&other_port, SECOND, &request(address)).await, Err(SendError::Refused(_))));
    }

    #[tokio::test]
    async fn an_address_that_the_service_would_call_is_guarded_too() {
        let (_listener, address) = listener().await;
        let guard = guard(&[&address.to_string()]);
        for host in ["127.0.0.1", "10.0.0.5", "localhost", "[::1]"] {
            let request = TcpRequest { onward: vec![(host.to_owned(), 6379)], ..request(address) };
            let sent = send(&guard, SECOND, &request).await;
            let Err(SendError::Refused(why)) = sent else { panic!("{host}: {sent:?}") };
            assert!(why.contains(host) && why.contains("wire.allow_tcp"), "{why}");
        }
    }

    #[tokio::test]
    async fn a_refused_connection_means_not_sent() {
        let (listener, address) = listener().await;
        drop(listener);
        let sent = send(&guard(&[&address.to_string()]), SECOND, &request(address)).await;
        assert_eq!(
            sent,
            Err(SendError::NotSent(format!("could not connect to {address}: connection refused")))
        );
    }

    #[tokio::test]
    async fn a_receiver_that_never_closes_may_have_received_it() {
        let (listener, address) = listener().await;
        let request = TcpRequest { timeout: Duration::from_millis(200), ..request(address) };
        let guard = guard(&[&address.to_string()]);
        let holding = async {
            let stream = listener.accept().await.unwrap();
            tokio::time::sleep(SECOND * 5).await;
            drop(stream);
        };
        tokio::select! {
            () = holding => panic!("it waited for ever"),
            sent = send(&guard, SECOND, &request) => assert!(matches!(sent, Err(SendError::NoAnswer(_))), "{sent:?}"),
        }
    }
}

//! Runs the router on a listener, and stops it.
//!
//! This is not `axum::serve`, because that sets hyper no timer: a client that sends half a head would keep its connection
//! for ever, and a stopping daemon would wait as long. Here a stop waits for requests, but not for connections on which
//! there was none. It speaks HTTP/1.1 only: forges send their webhooks over it, and without TLS no client negotiates
//! another version.
//!
//! No client can shut the others out, or take all memory:
//!
//! * [`places`]: the number of connections is bounded, in all and for each client address;
//! * [`memory`]: the bytes of large bodies and large answers are bounded too. The memory of a large body goes back to
//!   the system after its request ([`gathered`]);
//! * [`patience`]: a client that does not send a head ([`head_reader`]) or read its answer ([`write_timeout`]) in time is
//!   disconnected, the sooner the fewer places are free;
//! * [`refusals`] counts and logs what is refused.
//!
//! [`head_reader`] and [`host`] refuse heads that a proxy in front may understand differently. A client that is refused
//! while it is still sending can read the answer ([`drain_body`]). [`exchange`] is the state that a connection's stream
//! and its service share.

mod chunks;
mod drain_body;
mod exchange;
mod gathered;
mod head_reader;
mod host;
mod memory;
mod patience;
mod places;
mod refusals;
mod write_timeout;

use std::convert::Infallible;
use std::future::poll_fn;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use hyper::Request;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use ipnet::IpNet;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::client_addr::{self, Peer, network_of};
use super::{ApiError, Config};
use drain_body::track;
use exchange::{AnswerBody, Exchange, Framing};
use head_reader::HeadReader;
use memory::{BodyMemory, Budget, BudgetedBody, FREE};
use places::{Admission, Limits, Place, Places, Refusal};
use refusals::Refusals;
use write_timeout::WriteTimeout;

/// The largest head. GitLab's is well below 2 KiB.
const MAX_HEAD: usize = 64 * 1024;
/// How long requests may go on after a stop. GitLab itself waits 10 s for an answer, and sends the event again after that.
/// With `delivery.shutdown_timeout` and the last writes, it is less than the 40 s that the service files in `deploy/` allow.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);
/// A pause after an error of the listener itself: the process has no free file descriptors, and an immediate retry fails
/// as well.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// The paths that are answered even if no ordinary place is free.
const HEALTH: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Serves until `stop` is cancelled; requests under way are finished. Dropping the future closes all connections at once.
///
/// # Errors
/// None at present: an error of the listener is logged, and it is tried again.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    config: Config,
    stop: CancellationToken,
) -> io::Result<()> {
    let server = Arc::new(Server::new(router, config));
    let mut connections = JoinSet::new();
    loop {
        let (stream, peer) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener) => accepted,
            Some(ended) = connections.join_next() => {
                report_panic(ended);
                continue;
            }
        };
        match server.enter(peer) {
            Ok(connection) => {
                connections.spawn(connection.serve(stream, stop.clone()));
            }
            Err(why) => refuse(stream, why),
        }
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

async fn accept(listener: &TcpListener) -> (TcpStream, Peer) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => return (stream, Peer(address)),
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

/// Answers a connection that gets no place, without waiting for its request. The answer fits into the send buffer of a
/// new connection; a client that is still sending may lose it.
fn refuse(stream: TcpStream, why: Refusal) {
    let Ok(mut stream) = stream.into_std() else { return };
    let body = format!("{{\"message\":\"503 Service Unavailable: {}; try again\"}}", why.why());
    let head = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 2\r\n\
                connection: close\r\n";
    let _ = stream.write(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes());
}

/// The state that all connections share.
struct Server {
    handlers: TowerToHyperService<Router>,
    trusted_proxies: Vec<IpNet>,
    places: Arc<Places>,
    body_memory: Arc<Budget>,
    body_limit: usize,
    answer_memory: Arc<Budget>,
    refusals: Refusals,
}

impl Server {
    fn new(router: Router, config: Config) -> Self {
        Self {
            handlers: TowerToHyperService::new(router),
            trusted_proxies: config.trusted_proxies,
            places: Places::new(Limits {
                connections: config.connection_limit,
                per_client: config.connection_limit_per_client,
                for_health: config.health_connections,
            }),
            body_memory: Budget::new(config.body_memory),
            body_limit: config.body_limit,
            answer_memory: Budget::new(config.answer_memory),
            refusals: Refusals::default(),
        }
    }

    fn is_proxy(&self, address: IpAddr) -> bool {
        client_addr::is_trusted(address, &self.trusted_proxies)
    }

    fn enter(self: &Arc<Self>, peer: Peer) -> Result<Connection, Refusal> {
        let address = peer.0.ip();
        let place = self.places.enter(network_of(address), self.is_proxy(address));
        let place = place.inspect_err(|why| self.refusals.record(*why, address))?;
        Ok(Connection { server: Arc::clone(self), peer, place: Arc::new(place) })
    }

    /// The answer where there is no room for a request.
    fn refused(&self, why: Refusal, client: IpAddr) -> Response {
        self.refusals.record(why, client);
        ApiError::NoRoom(why.why()).into_response()
    }

    /// Lets the handlers answer a request, if there is memory for it.
    async fn answer(&self, request: Request<Incoming>, client: IpAddr, exchange: &Exchange) -> Response {
        let (head, body) = request.into_parts();
        let (body, drain) = track(&head.headers, body);
        let (memory, of_client) = (BodyMemory::default(), network_of(client));
        let budget = Arc::clone(&self.body_memory);
        let body = BudgetedBody::new(body, budget, of_client, memory.clone(), self.body_limit);
        let Ok(mut answer) = self.handlers.call(Request::from_parts(head, body)).await;
        if memory.starved() {
            answer = self.refused(Refusal::BodyMemory, client);
        }
        answer = drain.drain(answer).await;
        drop(memory);
        let beyond = answer.body().size_hint().exact().unwrap_or_default().saturating_sub(FREE);
        if beyond > 0 {
            match self.answer_memory.try_reserve(of_client, beyond) {
                Some(reservation) => exchange.hold_memory(reservation),
                None => answer = self.refused(Refusal::AnswerMemory, client),
            }
        }
        answer
    }
}

/// One connection, from its first request to its last.
struct Connection {
    server: Arc<Server>,
    peer: Peer,
    place: Arc<Place>,
}

impl Connection {
    async fn serve(self, stream: TcpStream, stop: CancellationToken) {
        // Answers are small and written whole, so there is nothing to gather into larger packets.
        let _ = stream.set_nodelay(true);
        let exchange = Exchange::new(Arc::clone(&self.place));
        let had_request = AtomicBool::new(false);
        let service = service_fn(|request: Request<Incoming>| {
            had_request.store(true, Ordering::Relaxed);
            self.answer(request, exchange.clone())
        });
        let (for_head, for_answer) = (Arc::clone(&self.place), Arc::clone(&self.place));
        let stream = WriteTimeout::new(stream, move || for_answer.patience().answer);
        let stream = HeadReader::new(stream, move || for_head.patience().head, exchange.clone());
        let mut server = http1::Builder::new();
        server.header_read_timeout(None).max_buf_size(MAX_HEAD);
        let mut connection = pin!(server.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            () = until_end(connection.as_mut(), &self.server.places, &exchange) => {}
            () = stop.cancelled() => {
                if had_request.load(Ordering::Relaxed) {
                    connection.as_mut().graceful_shutdown();
                    let _ = connection.await;
                }
            }
        }
    }

    /// Called by hyper as soon as it has parsed a head, before it reads on: the stream depends on that.
    fn answer(
        &self,
        mut request: Request<Incoming>,
        exchange: Exchange,
    ) -> impl Future<Output = Result<hyper::Response<AnswerBody>, Infallible>> + use<> {
        exchange.begin(Framing::of(request.body()));
        request.extensions_mut().insert(self.peer);
        let server = Arc::clone(&self.server);
        let client = client_addr::client_address(self.peer.0, request.headers(), &server.trusted_proxies);
        let refused = self.refused(&request, client, &exchange);
        let only_health = matches!(self.place.admission, Admission::HealthOnly(_));
        async move {
            let mut answer = match refused {
                Some(refused) => refused,
                None => server.answer(request, client, &exchange).await,
            };
            if only_health {
                answer.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
            }
            Ok(answer.map(|body| AnswerBody::new(body, exchange)))
        }
    }

    /// The answer to a request that is not looked at further. The connection ends with it.
    fn refused(&self, request: &Request<Incoming>, client: IpAddr, exchange: &Exchange) -> Option<Response> {
        if let Some(why) = host::refused(request.version(), request.headers()) {
            let close = [(header::CONNECTION, "close")];
            return Some(
                (StatusCode::BAD_REQUEST, close, format!("400 Bad Request: {why}\n")).into_response(),
            );
        }
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        let for_health = is_read && HEALTH.contains(&request.uri().path());
        if let Admission::HealthOnly(why) = self.place.admission
            && !for_health
        {
            return Some(self.server.refused(why, client));
        }
        // A direct client's place is counted with its connection. Only a request through a proxy needs a place here.
        if self.server.is_proxy(self.peer.0.ip()) && !self.server.is_proxy(client) {
            match self.server.places.enter_request(network_of(client), for_health) {
                Ok(place) => exchange.hold_place(place),
                Err(why) => return Some(self.server.refused(why, client)),
            }
        }
        None
    }
}

/// Runs a connection until it ends, or has to give way to a new one.
async fn until_end<C: Future>(mut connection: Pin<&mut C>, places: &Places, exchange: &Exchange) {
    let mut gives_way = pin!(places.gives_way());
    poll_fn(|context| {
        // An error here is the client's disconnect or a malformed request: there is nothing left to do about either.
        if connection.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        if !exchange.may_give_way() {
            // If this connection was told to give way but has a request now, another connection is told instead.
            gives_way.set(places.gives_way());
        } else if gives_way.as_mut().poll(context).is_ready() {
            places.gave_way();
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
}

fn report_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a request handler panicked; its client got no answer");
    }
}

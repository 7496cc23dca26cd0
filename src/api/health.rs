//! Liveness, readiness and metrics of the process.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{Request, State as Extract};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use super::State;
use super::client_addr::{Peer, is_of_this_host};
use super::resources::{Alive, Ready};

/// `GET /healthz`: the process answers.
pub(super) async fn alive() -> Json<Alive> {
    Json(Alive { status: "ok" })
}

/// The words for a part that does not work, for clients on other hosts.
const FAILED: &str = "failed; the daemon's log says why, and so does this address on the daemon's own host";

/// `GET /readyz`: 200 if `/events` can take events, which needs only the store, else 503. An unavailable broker is
/// reported but does not change the status: `/events` works without it, so a load balancer must keep this node. A part
/// that is not configured is left out.
///
/// The reason why a part does not work names files, hosts and logins. So only processes on the daemon's own host get
/// it, such as `forgebell status`.
pub(super) async fn ready(
    Extract(state): Extract<Arc<State>>,
    request: Request,
) -> (StatusCode, Json<Ready>) {
    let listen = state.config.get().listen.ip();
    let peer = request.extensions().get::<Peer>();
    let is_local = peer.is_some_and(|Peer(peer)| is_of_this_host(*peer, listen, request.headers()));
    let store = state.store_part().await.found;
    let is_ready = store.is_ok();
    let status = if is_ready { "ready" } else { "not ready" };
    let broker = state.broker_part().map(|part| words(part.found, is_local));
    let last_reload = state.last_reload.get().as_ref().clone().map(|part| words(part.found, is_local));
    let body = Ready { status, store: words(store, is_local), broker, last_reload };
    (if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(body))
}

fn words(found: Result<String, String>, is_local: bool) -> String {
    match found {
        Ok(words) | Err(words) if is_local => words,
        Ok(_) => "ok".to_owned(),
        Err(_) => FAILED.to_owned(),
    }
}

/// `GET /metrics`, for Prometheus: see [`Handle::text`](crate::metrics::Handle::text).
pub(super) async fn metrics(Extract(state): Extract<Arc<State>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], state.metrics.text(Instant::now()))
}

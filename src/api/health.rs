//! Liveness, readiness and metrics of the process.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::State as Extract;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use super::State;
use super::resources::{Alive, Ready};

/// `GET /healthz`: the process answers.
pub(super) async fn alive() -> Json<Alive> {
    Json(Alive { status: "ok" })
}

/// `GET /readyz`: 200 if `/events` can take events, which needs only the store, else 503. An unavailable broker is
/// reported but does not change the status: `/events` works without it, so a load balancer must keep this node. A part
/// that is not configured is left out.
pub(super) async fn ready(Extract(state): Extract<Arc<State>>) -> (StatusCode, Json<Ready>) {
    let store = state.store_part().await.found;
    let is_ready = store.is_ok();
    let words = |found: Result<String, String>| found.unwrap_or_else(|why| why);
    let status = if is_ready { "ready" } else { "not ready" };
    let broker = state.broker_part().map(|part| words(part.found));
    let last_reload = state.last_reload.get().as_ref().clone().map(|part| words(part.found));
    let body = Ready { status, store: words(store), broker, last_reload };
    (if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(body))
}

/// `GET /metrics`, for Prometheus: see [`Handle::text`](crate::metrics::Handle::text).
pub(super) async fn metrics(Extract(state): Extract<Arc<State>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], state.metrics.text(Instant::now()))
}

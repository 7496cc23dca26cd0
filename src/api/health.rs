//! Liveness, readiness and metrics of the process.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State as Extract;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use super::State;
use super::resources::{Alive, Ready};

/// Probes wait a second or a few; a store that takes longer is not ready.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// `GET /healthz`: the process answers.
pub(super) async fn alive() -> Json<Alive> {
    Json(Alive { status: "ok" })
}

/// `GET /readyz`: 200 if events can be accepted and dispatched, else 503; each part has its state.
pub(super) async fn ready(Extract(state): Extract<Arc<State>>) -> (StatusCode, Json<Ready>) {
    let store = match tokio::time::timeout(PING_TIMEOUT, state.ledger.ping()).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err("the store does not answer".to_owned()),
    };
    let store = store.and_then(|()| state.condition.check());
    let broker = (state.broker)();
    let is_ready = store.is_ok() && broker.is_ok();
    let part = |result: Result<Option<String>, String>| match result {
        Ok(remark) => remark.unwrap_or_else(|| "ok".to_owned()),
        Err(why) => why,
    };
    let status = if is_ready { "ready" } else { "not ready" };
    let body = Ready { status, store: part(store), broker: part(broker.map(|()| None)) };
    (if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(body))
}

/// `GET /metrics`, for Prometheus.
pub(super) async fn metrics(Extract(state): Extract<Arc<State>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], state.metrics.render())
}

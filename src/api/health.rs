//! Whether it lives, whether it is ready, and what it counted.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State as Extract;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::State;

/// Who asks for readiness has a second or a few; a store that takes longer is not ready.
const PING_PATIENCE: Duration = Duration::from_secs(2);

/// `GET /healthz`: the process answers.
pub(super) async fn alive() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// `GET /readyz`: 200 where events can be taken in and worked, 503 where not; each part says how it stands.
pub(super) async fn ready(Extract(state): Extract<Arc<State>>) -> (StatusCode, Json<Value>) {
    let store = match tokio::time::timeout(PING_PATIENCE, state.ledger.ping()).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err("the store does not answer".to_owned()),
    };
    let broker = (state.broker)();
    let ready = store.is_ok() && broker.is_ok();
    let part = |result: Result<(), String>| result.map_or_else(|why| json!(why), |()| json!("ok"));
    let body = json!({
        "status": if ready { "ready" } else { "not ready" },
        "store": part(store),
        "broker": part(broker),
    });
    (if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(body))
}

/// `GET /metrics`, for Prometheus.
pub(super) async fn metrics(Extract(state): Extract<Arc<State>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], state.metrics.render())
}

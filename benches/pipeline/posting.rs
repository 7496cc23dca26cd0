//! The client that posts events to contenders that read no queue.

use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::StreamExt;
use futures_util::stream;
use reqwest::{Client, RequestBuilder};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::contender::Contender;
use crate::events::{Event, mark_of};
use crate::forgebell;

/// Requests at once.
const AT_ONCE: usize = 64;
/// Between two attempts to post an event that was not accepted.
const REST: Duration = Duration::from_millis(20);
/// How long the contender may take to accept an event, its start included.
const ACCEPTED_WITHIN: Duration = Duration::from_secs(30);

/// Starts the client, if the contender needs one.
pub fn feed(contender: Contender, port: u16, events: &[Event]) -> Option<JoinHandle<Result<()>>> {
    let request: fn(&Client, u16, &Event) -> RequestBuilder = match contender {
        Contender::OverHttp => hook,
        Contender::Alertmanager => alert,
        Contender::Bare | Contender::Forgebell | Contender::Node | Contender::Apprise => return None,
    };
    Some(tokio::spawn(post(port, events.to_vec(), request)))
}

/// A forge's webhook.
fn hook(client: &Client, port: u16, event: &Event) -> RequestBuilder {
    client
        .post(format!("http://127.0.0.1:{port}/events"))
        .header("content-type", "application/json")
        .header("x-gitlab-token", forgebell::TOKEN)
        .header("idempotency-key", mark_of(event.number))
        .body(event.body.clone())
}

/// The event as an alert.
fn alert(client: &Client, port: u16, event: &Event) -> RequestBuilder {
    let alert = json!([{
        "labels": {
            "alertname": "bench", "event": mark_of(event.number), "project": event.lane.0.to_string(),
        },
        "annotations": { "summary": String::from_utf8_lossy(&event.body) },
    }]);
    client
        .post(format!("http://127.0.0.1:{port}/api/v2/alerts"))
        .header("content-type", "application/json")
        .body(alert.to_string())
}

/// Posts each event until it is accepted.
async fn post(
    port: u16,
    events: Vec<Event>,
    request: fn(&Client, u16, &Event) -> RequestBuilder,
) -> Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().no_proxy().build()?;
    let posted = stream::iter(events).map(|event| {
        let client = client.clone();
        async move {
            let accepted = async {
                loop {
                    match request(&client, port, &event).send().await {
                        Ok(answer) if answer.status().is_success() => return,
                        _ => tokio::time::sleep(REST).await,
                    }
                }
            };
            tokio::time::timeout(ACCEPTED_WITHIN, accepted).await.context("an event was not accepted")
        }
    });
    let each: Vec<Result<()>> = posted.buffer_unordered(AT_ONCE).collect().await;
    each.into_iter().collect()
}

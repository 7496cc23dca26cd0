//! A client of the daemon's API, and a daemon with a token for everything.

use std::time::Duration;

use forgebell::store::registry::{Right, ScopeKey};
use serde_json::Value;

use super::daemon::{Daemon, Home};
use super::wait::eventually;

/// A client with a token.
pub struct Caller {
    base: String,
    pub token: String,
    pub client: reqwest::Client,
}

impl Caller {
    pub fn new(daemon: &Daemon, token: String) -> Self {
        let base = format!("{}/api/v4", daemon.base());
        Self { base, token, client: super::client() }
    }

    /// Asks; the answer's status, and its body as JSON (null where it is empty).
    pub async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let method = method.parse().expect("a method");
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        request = request.header("private-token", &self.token);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await.expect("the daemon answers");
        let status = response.status().as_u16();
        let text = response.text().await.expect("it answers to the end");
        let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).expect("JSON") };
        (status, body)
    }

    pub async fn put(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask("PUT", path, Some(body)).await;
        assert_eq!(status, 200, "PUT {path}: {answer}");
        answer
    }
}

/// A daemon at work, and a client with a token for everything.
pub async fn administered(home: &Home) -> (Daemon, Caller) {
    let daemon = home.start().await;
    let caller = caller(home, &daemon, ScopeKey::Instance, Right::Maintain).await;
    (daemon, caller)
}

/// A client with a new token, which the daemon knows already.
pub async fn caller(home: &Home, daemon: &Daemon, reach: ScopeKey, right: Right) -> Caller {
    let caller = Caller::new(daemon, home.token(reach, right).await);
    eventually("the daemon knows the token", Duration::from_secs(20), async || {
        (caller.ask("GET", "/projects", None).await.0 != 401).then_some(())
    })
    .await;
    caller
}

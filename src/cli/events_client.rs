//! A client of `POST /events`: sends events to a daemon as a forge would.

use std::time::Duration;

use anyhow::bail;
use bytes::Bytes;
use jiff::Timestamp;
use url::Url;

use super::table::{cut, printable};
use crate::api::SigningKeys;
use crate::call::{Egress, HttpRequest, Method, Request, Response};
use crate::event::{EventId, Trigger};
use crate::settings::Secret;
use crate::wire::{self, Transport as _, Wire};

/// How long the daemon may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A client of the `/events` route at one address.
pub(super) struct EventsClient {
    wire: Wire,
    url: Url,
    credentials: Credentials,
}

/// The credentials for the daemon. Both may be needed.
#[derive(Default)]
pub(super) struct Credentials {
    pub(super) token: Option<Secret>,
    pub(super) signing_keys: Option<SigningKeys>,
}

/// The daemon's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Accepted,
    /// The daemon knows the event already.
    Repeated,
    /// No integration takes such an event with any settings, for this reason.
    Dropped(String),
    /// The event was refused, for this reason.
    Refused(String),
}

impl EventsClient {
    pub(super) fn new(config: &wire::Config, url: Url, credentials: Credentials) -> anyhow::Result<Self> {
        Ok(Self { wire: Wire::new(config)?, url, credentials })
    }

    /// Sends one event at this time. `kind` is the event's, where it could be decoded.
    ///
    /// # Errors
    /// There was no answer.
    pub(super) async fn send(
        &self,
        id: &EventId,
        kind: &str,
        at: Timestamp,
        body: Bytes,
    ) -> anyhow::Result<Answer> {
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            ("x-gitlab-event", hook(kind)),
            ("idempotency-key", id.to_string()),
        ];
        let Credentials { token, signing_keys } = &self.credentials;
        headers.extend(signing_keys.iter().flat_map(|keys| keys.sign(id.as_str(), at, &body)));
        headers.extend(token.iter().map(|token| ("x-gitlab-token", token.expose().to_owned())));
        let request = HttpRequest {
            headers,
            body,
            timeout: TIMEOUT,
            // The operator set the address, so the guard, which is for addresses of users, does not apply.
            egress: Egress::Operator,
            ..HttpRequest::new(Method::Post, self.url.clone())
        };
        match self.wire.send(&Request::Http(request)).await? {
            Response::Http(response) => Ok(read(response.status, &response.text())),
            Response::Smtp(_) | Response::Written => bail!("a bug of ours: no HTTP answer"),
        }
    }
}

fn read(status: u16, text: &str) -> Answer {
    let json = serde_json::from_str::<serde_json::Value>(text).unwrap_or_default();
    match status {
        200..=299 => match json["result"].as_str().unwrap_or_default() {
            result if result.starts_with("known") => Answer::Repeated,
            result => match result.strip_prefix("dropped: ") {
                Some(why) => Answer::Dropped(cut(&printable(why), 200)),
                None => Answer::Accepted,
            },
        },
        status => {
            let why = ["message", "error"].iter().find_map(|key| json[key].as_str()).unwrap_or(text);
            Answer::Refused(cut(&printable(&format!("{status}: {why}")), 200))
        }
    }
}

/// The value of `X-Gitlab-Event` that GitLab sends with a kind of event: `Merge Request Hook`.
fn hook(kind: &str) -> String {
    let name = match kind {
        "incident" | "work_item" => "issue",
        "access_token" => "resource_access_token",
        "group" => "subgroup",
        "release" | "feature_flag" | "emoji" | "milestone" | "member" => kind,
        _ if Trigger::ALL.iter().any(|trigger| trigger.name() == kind) => kind,
        _ => "system",
    };
    let mut hook = String::new();
    for word in name.split('_') {
        hook.push_str(&word[..1].to_uppercase());
        hook.push_str(&word[1..]);
        hook.push(' ');
    }
    hook + "Hook"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        assert_eq!(read(202, r#"{"id":"1","result":"accepted"}"#), Answer::Accepted);
        assert_eq!(read(202, r#"{"id":"1","result":"known: it came before"}"#), Answer::Repeated);
        assert_eq!(
            read(202, r#"{"id":"1","result":"dropped: no integration takes `emoji` events"}"#),
            Answer::Dropped("no integration takes `emoji` events".to_owned())
        );
        assert_eq!(read(401, r#"{"error":"wrong token"}"#), Answer::Refused("401: wrong token".to_owned()));
        assert_eq!(read(502, "<html>\u{1b}"), Answer::Refused("502: <html>".to_owned()));
    }

    #[test]
    fn hooks_have_gitlabs_names() {
        let expected = [
            ("push", "Push Hook"),
            ("tag_push", "Tag Push Hook"),
            ("issue", "Issue Hook"),
            ("incident", "Issue Hook"),
            ("work_item", "Issue Hook"),
            ("note", "Note Hook"),
            ("merge_request", "Merge Request Hook"),
            ("wiki_page", "Wiki Page Hook"),
            ("feature_flag", "Feature Flag Hook"),
            ("access_token", "Resource Access Token Hook"),
            ("member", "Member Hook"),
            ("group", "Subgroup Hook"),
            ("vulnerability", "Vulnerability Hook"),
            ("unknown", "System Hook"),
        ];
        for (kind, name) in expected {
            assert_eq!(hook(kind), name);
        }
    }
}

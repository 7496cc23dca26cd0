//! The event's JSON, forwarded as it came in, with the headers of GitLab's webhooks
//! (`app/services/web_hook_service.rb` in <https://gitlab.com/gitlab-org/gitlab>).

use bytes::Bytes;
use url::Url;

use crate::adapters::contract::Notification;
use crate::call::{Failure, HttpRequest, Method};
use crate::digest::Digest;
use crate::event::{Event, Trigger};

/// GitLab refuses to send more than this in one request, in bytes.
pub(in crate::adapters) const LARGEST_BODY: usize = 25 * 1024 * 1024;

crate::choices! {
    /// The name of the event in the header `X-Gitlab-Event`.
    pub enum EventHeader {
        /// The event's own name: `Push Hook`, `Merge Request Hook`.
        Real = "real",
        /// GitLab's name for all hooks of integrations.
        ServiceHook = "service_hook",
    }
}

impl EventHeader {
    fn value(self, event: &Event) -> &'static str {
        match self {
            Self::Real => hook_name(event),
            Self::ServiceHook => SERVICE_HOOK,
        }
    }
}

const SERVICE_HOOK: &str = "Service Hook";

/// The name of an event in the headers of a project's webhooks.
fn hook_name(event: &Event) -> &'static str {
    match event.trigger {
        Some(Trigger::Push) => "Push Hook",
        Some(Trigger::TagPush) => "Tag Push Hook",
        Some(Trigger::MergeRequest) => "Merge Request Hook",
        Some(Trigger::Note) => "Note Hook",
        Some(Trigger::Pipeline) => "Pipeline Hook",
        Some(Trigger::Job) => "Job Hook",
        Some(Trigger::ArchiveTrace) => "Archive Trace Hook",
        Some(Trigger::Subgroup) => "Subgroup Hook",
        Some(Trigger::Project) => "Project Hook",
        _ => SERVICE_HOOK,
    }
}

/// A POST of the event's JSON, byte for byte, to this address.
///
/// # Errors
/// The event is larger than GitLab sends.
pub(super) fn request(
    note: &Notification<'_>,
    url: Url,
    header: EventHeader,
) -> Result<HttpRequest, Failure> {
    request_named(note, url, header.value(note.event))
}

/// The request with this name of the event in the header `X-Gitlab-Event`.
///
/// # Errors
/// The event is larger than GitLab sends.
pub(in crate::adapters) fn request_named(
    note: &Notification<'_>,
    url: Url,
    name: &str,
) -> Result<HttpRequest, Failure> {
    let body = whole(note.event)?;
    let mut headers = vec![
        ("content-type", "application/json".to_owned()),
        ("idempotency-key", note.id.to_owned()),
        ("x-gitlab-event", name.to_owned()),
        ("x-gitlab-event-uuid", note.event.id.as_str().to_owned()),
        ("x-gitlab-webhook-uuid", webhook_uuid(&url)),
    ];
    if let Ok(forge) = Url::parse(&note.operator.forge.url) {
        headers.push(("x-gitlab-instance", forge.origin().ascii_serialization()));
    }
    Ok(HttpRequest { headers, body, ..HttpRequest::new(Method::Post, url) })
}

/// The event's JSON.
///
/// # Errors
/// It is larger than GitLab sends.
pub(in crate::adapters) fn whole(event: &Event) -> Result<Bytes, Failure> {
    if event.raw.len() <= LARGEST_BODY {
        return Ok(event.raw.clone());
    }
    let why = format!("the event has {} bytes; at most {LARGEST_BODY} are sent", event.raw.len());
    Err(Failure::Rejected(why))
}

/// An id of the webhook for its receiver. It is the same for all events to one address. It does not depend on a login
/// or query, which may be secret: a short secret could be guessed from the id, and a new secret is not another webhook.
fn webhook_uuid(url: &Url) -> String {
    let address = &url[url::Position::BeforeHost..url::Position::AfterPath];
    let digest = Digest::of([b"webhook".as_slice(), url.scheme().as_bytes(), address.as_bytes()]).hex(16);
    [&digest[..8], &digest[8..12], &digest[12..16], &digest[16..20], &digest[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhooks_name_has_no_secret_in_it_and_survives_a_new_one() {
        let uuid = |url: &str| webhook_uuid(&url.parse().expect("a URL"));
        let known = uuid("https://ada:old@ci.example:8080/hook?token=old#top");
        assert_eq!(known, uuid("https://ci.example:8080/hook?token=new"));
        assert_ne!(known, uuid("https://ci.example:8080/other"));
        assert_ne!(known, uuid("http://ci.example:8080/hook"));
        assert_eq!(known.len(), 36);
    }
}

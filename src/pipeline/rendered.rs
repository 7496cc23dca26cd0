//! Renders the first request of a delivery again for people, with the integration's current settings.

use jiff::Timestamp;
use serde_json::Value as Json;

use super::attempt::Outgoing;
use super::retry::Outcome;
use super::trace::request_json;
use crate::adapters::{self, OperatorSettings};
use crate::catalog::Catalog;
use crate::store::{DeliveryDetail, JSON_GONE};

/// The first request of a delivery, with secrets masked. It is rendered now, so it shows what a retry would send.
///
/// # Errors
/// Why nothing would be sent, in words without secrets.
pub fn rendered(
    catalog: &dyn Catalog,
    detail: &DeliveryDetail,
    operator: &OperatorSettings,
    now: Timestamp,
) -> Result<Json, String> {
    let integration = catalog.integration(&detail.line.integration);
    let integration = integration.ok_or("the integration does not exist any more")?;
    let entry = adapters::find(integration.slug).ok_or("this version has no such service")?;
    let line = &detail.line;
    let raw = detail.raw.clone().ok_or(JSON_GONE)?;
    let event = catalog.decode(line.event.clone(), line.created_at, raw).map_err(|why| why.to_string())?;
    let links = catalog.links(&event);
    let outgoing = Outgoing {
        entry,
        integration: &integration,
        event: &event,
        target: &line.target,
        // Attempts use another id, by which a service may recognise a repeat. This one must not be confused with it.
        id: &format!("delivery-{}", line.id),
        now,
        operator,
        links: &links,
        open_request: None,
        may_have_been_sent: false,
        test: false,
    };
    let secrets = integration.settings.secret_settings().secrets();
    match outgoing.build_call() {
        Ok(call) => Ok(secrets.mask_json(request_json(&call.request))),
        Err(outcome) => Err(secrets.mask_echo(why(&outcome))),
    }
}

fn why(outcome: &Outcome) -> String {
    format!("nothing would be sent: {outcome}")
}

//! Decodes quarantined messages again, because a newer version of Forgebell may understand them.

use jiff::Timestamp;

use crate::event::{Event, EventId};
use crate::store::registry::AuditEntry;
use crate::store::{Inbox, Quarantine, Quarantined, Result};

/// The result of a retry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retried {
    NotThere,
    /// The message still can't be decoded, for this reason. It stays in quarantine.
    NotUnderstood(String),
    /// The message is an event of this kind now, and is dispatched.
    Understood(String),
    /// The store knows the event already.
    Repeated(EventId),
}

/// Decodes a quarantined message again. An event moves to the inbox.
///
/// # Errors
/// The store is unavailable.
pub async fn retry<S: Inbox + ?Sized, Q: Quarantine + ?Sized>(
    inbox: &S,
    quarantine: &Q,
    number: i64,
    who: &str,
    now: Timestamp,
) -> Result<Retried> {
    let Some((item, raw)) = quarantine.quarantined(number).await? else { return Ok(Retried::NotThere) };
    let event = match Event::decode(id(&item), item.received_at, raw) {
        Ok(event) => event,
        Err(error) => return Ok(Retried::NotUnderstood(error.to_string())),
    };
    let fresh = inbox.push(&event, now).await?;
    quarantine.remove_quarantined(number, audit_entry("quarantine.retry", number, who, now)).await?;
    Ok(if fresh { Retried::Understood(event.kind().to_owned()) } else { Retried::Repeated(event.id) })
}

/// The audit log's entry of what a person did with a quarantined message.
pub fn audit_entry(action: &'static str, number: i64, who: &str, now: Timestamp) -> AuditEntry {
    AuditEntry::whole(now, who, action, format!("quarantined message {number}"))
}

/// The sender's id, or an id that is the same at each retry of this message.
fn id(item: &Quarantined) -> EventId {
    let own = || EventId::new(&format!("quarantine-{}-{}", item.number, item.received_at.as_millisecond()));
    item.id.clone().or_else(own).expect("two numbers are printable and short")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: Option<&str>) -> Quarantined {
        Quarantined {
            number: 3,
            source: "amqp".to_owned(),
            sender: None,
            id: id.and_then(EventId::new),
            reason: "the body is not JSON: expected value at line 1".to_owned(),
            received_at: Timestamp::UNIX_EPOCH,
            size: 9,
        }
    }

    #[test]
    fn an_item_keeps_its_id_and_one_without_gets_the_same_each_time() {
        assert_eq!(id(&item(Some("m-1"))).as_str(), "m-1");
        assert_eq!(id(&item(None)), id(&item(None)));
    }
}

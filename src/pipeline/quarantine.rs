//! Another try at what could not be understood: a newer version of us may know better.

use jiff::Timestamp;

use crate::event::{Event, EventId};
use crate::store::registry::AuditEntry;
use crate::store::{Inbox, Quarantine, Quarantined, Result};

/// What became of another try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retried {
    NotThere,
    /// Why it is still no event; it stays where it is.
    NotUnderstood(String),
    /// It is on its way, as an event of this kind.
    Understood(String),
    /// It is an event that was here before.
    Repeated(EventId),
}

/// Reads one anew; what is understood now goes its way.
///
/// # Errors
/// The store is away.
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

/// What a person did to one, for the audit log.
pub fn audit_entry(action: &'static str, number: i64, who: &str, now: Timestamp) -> AuditEntry {
    AuditEntry::whole(now, who, action, format!("quarantined message {number}"))
}

/// The sender's id, or one that is the same whenever this item is tried.
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

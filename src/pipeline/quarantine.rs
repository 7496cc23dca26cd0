//! Decodes quarantined messages again, because a newer version of Forgebell may understand them.

use jiff::Timestamp;

use crate::event::{Event, EventId};
use crate::store::registry::AuditEntry;
use crate::store::{Inbox, Quarantine, Quarantined, StoreError};

/// The result of a retry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retried {
    NotThere,
    /// The message still can't be decoded, for this reason. It stays in quarantine.
    NotUnderstood(String),
    /// The sender's token does not admit the event, for this reason. The message stays in quarantine.
    NotAdmitted(String),
    /// The message is an event of this kind now, and is dispatched.
    Understood(String),
    /// The store knows the event already.
    Repeated(EventId),
}

/// Decodes a quarantined message again. An event moves to the inbox.
///
/// `admit` gets the sender and the event of a message whose sender reaches only a part of the instance. It returns the
/// event with the facts for which the sender is trusted, or `None`. A message is quarantined before its event is known,
/// so nothing has checked yet whether the sender reaches it.
///
/// # Errors
/// The store is unavailable, or `admit` failed.
pub async fn retry<S, Q, E, F>(
    inbox: &S,
    quarantine: &Q,
    number: i64,
    who: &str,
    now: Timestamp,
    admit: impl FnOnce(String, Event) -> F,
) -> Result<Retried, E>
where
    S: Inbox + ?Sized,
    Q: Quarantine + ?Sized,
    E: From<StoreError>,
    F: Future<Output = Result<Option<Event>, E>>,
{
    let Some((item, raw)) = quarantine.quarantined(number).await? else { return Ok(Retried::NotThere) };
    let decoded = match Event::decode(id(&item), item.received_at, raw) {
        Ok(event) => event,
        Err(error) => return Ok(Retried::NotUnderstood(error.to_string())),
    };
    let event = match item.sender {
        None => decoded,
        Some(sender) => match admit(sender.clone(), decoded).await? {
            Some(event) => event,
            None => return Ok(Retried::NotAdmitted(not_admitted(&sender))),
        },
    };
    let fresh = inbox.push(&event, now).await?;
    quarantine.remove_quarantined(number, audit_entry("quarantine.retry", number, who, now)).await?;
    Ok(if fresh { Retried::Understood(event.kind().to_owned()) } else { Retried::Repeated(event.id) })
}

fn not_admitted(sender: &str) -> String {
    format!(
        "it came with {sender}, which does not reach the event's project or group: let the event be sent with a token \
         that reaches it, or drop the message"
    )
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

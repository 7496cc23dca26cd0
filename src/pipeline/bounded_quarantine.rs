//! Bounds the quarantine by a number of messages and a number of bytes.
//!
//! When the quarantine is full, further messages are counted and logged, but not kept. The first messages of a kind
//! show what is wrong; the thousandth adds nothing, and the disk is for events. A token that reaches only a part of the
//! instance may fill a tenth of the quarantine, so that it leaves room for other senders.
//!
//! A message from the inbox was accepted, so it is kept even when the quarantine is full.
//!
//! [`Bounds`] decides, without IO. [`BoundedQuarantine`] reads the use from the store every minute (people delete,
//! sweeps remove, other nodes add), and adds its own messages in between. So several nodes may exceed the bounds by the
//! messages of one minute.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;
use tracing::{error, warn};

use crate::metrics;
use crate::store::{self, NewQuarantined, Quarantine, QuarantineUse};

/// How often the use is read from the store.
const READ_EVERY: SignedDuration = SignedDuration::from_mins(1);
/// How often the log says that messages were not kept.
const SAY_EVERY: SignedDuration = SignedDuration::from_secs(10);
/// A token that reaches a part of the instance may fill this part of the quarantine.
const SHARE: u64 = 10;

/// The most that may be in quarantine.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub messages: u64,
    pub bytes: u64,
}

/// How much is in quarantine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Amount {
    messages: u64,
    bytes: u64,
}

/// How much is in quarantine, in all and for each sender that has a share.
#[derive(Clone, Debug, Default)]
struct Use {
    all: Amount,
    senders: HashMap<String, Amount>,
}

/// Which bound a message would exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Full {
    All,
    Share,
}

impl Full {
    const fn label(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Share => "token",
        }
    }

    const fn why(self) -> &'static str {
        match self {
            Self::All => {
                "the quarantine is full: see `forgebell quarantine list`, store.quarantine_messages and \
                          store.quarantine_bytes"
            }
            Self::Share => "this token has filled its tenth of the quarantine",
        }
    }
}

impl Amount {
    fn plus(self, bytes: u64) -> Self {
        Self { messages: self.messages + 1, bytes: self.bytes + bytes }
    }

    fn exceeds(self, bounds: Bounds) -> bool {
        self.messages > bounds.messages || self.bytes > bounds.bytes
    }
}

impl Bounds {
    fn share(self) -> Self {
        Self { messages: (self.messages / SHARE).max(1), bytes: self.bytes / SHARE }
    }

    /// Adds a message to the use, if it may be kept.
    fn admit(self, used: &mut Use, sender: Option<&str>, bytes: u64) -> Result<(), Full> {
        let all = used.all.plus(bytes);
        if all.exceeds(self) {
            return Err(Full::All);
        }
        if let Some(sender) = sender {
            let of_sender = used.senders.get(sender).copied().unwrap_or_default().plus(bytes);
            if of_sender.exceeds(self.share()) {
                return Err(Full::Share);
            }
            used.senders.insert(sender.to_owned(), of_sender);
        }
        used.all = all;
        Ok(())
    }
}

impl Use {
    fn of(rows: Vec<QuarantineUse>) -> Self {
        let mut used = Self::default();
        for QuarantineUse { sender, messages, bytes } in rows {
            used.all.messages += messages;
            used.all.bytes += bytes;
            if let Some(sender) = sender {
                used.senders.insert(sender, Amount { messages, bytes });
            }
        }
        used
    }
}

/// Puts messages into quarantine, as far as there is room.
pub struct BoundedQuarantine {
    store: Arc<dyn Quarantine>,
    bounds: Bounds,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The use, and when it was read from the store.
    known: Option<(Use, Timestamp)>,
    /// The number of messages that were not kept since the last line in the log.
    unsaid: u64,
    said_at: Option<Timestamp>,
}

impl BoundedQuarantine {
    pub fn new(store: Arc<dyn Quarantine>, bounds: Bounds) -> Self {
        Self { store, bounds, state: Mutex::default() }
    }

    /// Keeps the messages that there is room for, in one transaction. Returns their number.
    ///
    /// # Errors
    /// The store does not take them. They may be given again.
    pub async fn keep(&self, items: Vec<NewQuarantined>, now: Timestamp) -> store::Result<usize> {
        let mut state = self.state.lock().await;
        let known = state.known.take().filter(|(_, read_at)| now.duration_since(*read_at).abs() < READ_EVERY);
        let (mut used, read_at) = match known {
            Some(known) => known,
            None => (Use::of(self.store.quarantine_use().await?), now),
        };
        let (mut kept, mut refused) = (Vec::new(), Vec::new());
        for item in items {
            match self.bounds.admit(&mut used, item.sender.as_deref(), item.raw.len() as u64) {
                Ok(()) => kept.push(item),
                Err(full) => refused.push((full, item)),
            }
        }
        let count = kept.len();
        if count > 0 {
            // Where the store fails, the use is read again next time.
            self.put(kept).await?;
        }
        state.known = Some((used, read_at));
        for (full, item) in refused {
            state.say(full, &item, now);
        }
        Ok(count)
    }

    /// Keeps messages even where there is no room: their sender was told that they are accepted, so they must not be
    /// lost.
    ///
    /// # Errors
    /// The store does not take them. They may be given again.
    pub async fn keep_all(&self, items: Vec<NewQuarantined>) -> store::Result<()> {
        let mut state = self.state.lock().await;
        state.known = None;
        self.put(items).await
    }

    async fn put(&self, items: Vec<NewQuarantined>) -> store::Result<()> {
        let named = |item: &NewQuarantined| (item.source, item.id.clone(), item.reason.clone());
        let put: Vec<_> = items.iter().map(named).collect();
        self.store.quarantine(items).await?;
        for (source, event, reason) in put {
            warn!(source, ?event, reason, "put in quarantine");
        }
        Ok(())
    }
}

impl State {
    fn say(&mut self, full: Full, item: &NewQuarantined, now: Timestamp) {
        metrics::quarantine_refused(full.label());
        self.unsaid += 1;
        if self.said_at.is_some_and(|at| now.duration_since(at).abs() < SAY_EVERY) {
            return;
        }
        self.said_at = Some(now);
        error!(
            source = item.source,
            sender = item.sender,
            event = ?item.id,
            reason = item.reason,
            why = full.why(),
            not_kept = std::mem::take(&mut self.unsaid),
            "messages that are no events were not kept; this is the last one"
        );
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::store::Ledger as _;
    use crate::store::seal::Keyring;
    use crate::store::sqlite::Sqlite;

    const BOUNDS: Bounds = Bounds { messages: 20, bytes: 1000 };
    const NOW: Timestamp = Timestamp::constant(1_768_469_400, 0);

    fn junk(sender: Option<&str>, size: usize) -> NewQuarantined {
        NewQuarantined {
            source: "http",
            sender: sender.map(ToOwned::to_owned),
            id: None,
            reason: "no".to_owned(),
            received_at: NOW,
            raw: Bytes::from(vec![b'x'; size]),
        }
    }

    #[test]
    fn the_first_are_kept_until_the_number_or_the_bytes_are_reached() {
        let mut used = Use::default();
        let admitted =
            |used: &mut Use, size| (0..30).filter(|_| BOUNDS.admit(used, None, size).is_ok()).count();
        assert_eq!(admitted(&mut used, 10), 20);
        assert_eq!(BOUNDS.admit(&mut used, None, 1), Err(Full::All));
        assert_eq!(admitted(&mut Use::default(), 300), 3);
        assert_eq!(admitted(&mut Use::default(), 1001), 0);
    }

    #[test]
    fn a_token_of_a_part_of_the_instance_fills_a_tenth_and_no_more() {
        let mut used = Use::default();
        let answers: Vec<_> = (0..3).map(|_| BOUNDS.admit(&mut used, Some("token 3"), 10)).collect();
        assert_eq!(answers, [Ok(()), Ok(()), Err(Full::Share)]);
        assert_eq!(BOUNDS.admit(&mut used, Some("token 4"), 101), Err(Full::Share));
        assert_eq!(BOUNDS.admit(&mut used, Some("token 4"), 100), Ok(()));
        assert_eq!(BOUNDS.admit(&mut used, None, 500), Ok(()), "others have the rest");
    }

    #[tokio::test]
    async fn what_is_in_the_store_counts_and_what_was_removed_makes_room_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Sqlite::open(&folder.path().join("forgebell.db"), Keyring::none()).unwrap());
        let many = (0..18).map(|_| junk(None, 1)).collect();
        store.quarantine(many).await.unwrap();
        let bounded = BoundedQuarantine::new(store.clone(), BOUNDS);
        assert_eq!(bounded.keep((0..5).map(|_| junk(None, 1)).collect(), NOW).await.unwrap(), 2);
        assert_eq!(store.depth(NOW).await.unwrap().quarantined, 20);

        let swept = crate::store::Retention {
            settled_before: NOW,
            merge_requests_before: NOW,
            dead_letters_before: NOW,
            quarantine_before: Timestamp::MAX,
        };
        store.sweep(swept, 1000).await.unwrap();
        assert_eq!(bounded.keep(vec![junk(None, 1)], NOW).await.unwrap(), 0, "the use is known for a minute");
        assert_eq!(bounded.keep(vec![junk(None, 1)], NOW + READ_EVERY).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn what_was_accepted_is_kept_although_the_quarantine_is_full() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Sqlite::open(&folder.path().join("forgebell.db"), Keyring::none()).unwrap());
        let bounded = BoundedQuarantine::new(store.clone(), BOUNDS);
        assert_eq!(bounded.keep((0..30).map(|_| junk(None, 1)).collect(), NOW).await.unwrap(), 20);
        bounded.keep_all(vec![junk(None, 1)]).await.unwrap();
        assert_eq!(store.depth(NOW).await.unwrap().quarantined, 21);
        assert_eq!(bounded.keep(vec![junk(None, 1)], NOW).await.unwrap(), 0, "the others find it full");
    }
}

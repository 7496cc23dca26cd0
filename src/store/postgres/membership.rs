//! Membership of nodes: which other nodes are alive, and whether the others may consider this node dead.
//!
//! Each node gives a sign of life every second ([`BEAT_EVERY`]), on the connection that reserves its name. A node that got no
//! answer for five seconds, by its own clock and counted from when it asked, is *cut off* ([`CUT_OFF_AFTER`]): it starts no
//! attempt before it has renewed its leases. If a node sees no sign of life of another one for eight seconds, while its
//! own are answered, the other node is *silent* ([`SILENT_AFTER`]), and its leases are taken over. Each node measures
//! times with its own clock only, so no two clocks are compared, and an outage of the database makes no node silent.
//!
//! The answers contain the database's time. Leases use that clock, so that nodes with different clocks do not end each
//! other's leases.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{info, warn};

use super::connection::{Connection, failed};
use crate::store::{AmongNodes, NodeId, Result, ShareKey, StoreError};

/// The time between two signs of life.
const BEAT_EVERY: Duration = Duration::from_secs(1);
/// A node without an answer for this time is cut off: it starts no attempt.
const CUT_OFF_AFTER: Duration = Duration::from_secs(5);
/// Another node takes over after this time without a sign of life. The difference to [`CUT_OFF_AFTER`] allows for
/// attempts that a node decided to start just before, and for clocks with different speeds.
const SILENT_AFTER: Duration = Duration::from_secs(8);
/// A node that had no answer itself for this time starts to measure the others' silence again.
const STEADY: Duration = Duration::from_secs(3);

/// This node's own state. The listener writes it, the store reads it.
#[derive(Debug)]
pub(super) struct Membership {
    pub(super) node: NodeId,
    /// How long leases last, in milliseconds.
    lease: i64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the last sign of life was given that was answered. Before the first, no other node can take anything over.
    contact: Option<Instant>,
    /// Whether the node was cut off and the deliverer was not told yet.
    was_cut_off: bool,
    /// The database's clock in milliseconds, and when this value arrived.
    clock: Option<(i64, Instant)>,
    gained: Vec<ShareKey>,
}

impl Membership {
    pub(super) fn new(node: NodeId, lease: Duration) -> Self {
        let lease = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX / 4);
        Self { node, lease, state: Mutex::default() }
    }

    /// Notes that the sign of life from `sent` was answered at `now`, with the database's clock.
    fn answered(&self, sent: Instant, clock: i64, now: Instant) {
        let mut state = self.state();
        let was_cut_off = state.without_contact(sent).is_some_and(|time| time > CUT_OFF_AFTER);
        state.was_cut_off |= was_cut_off;
        state.contact = Some(sent);
        state.clock = Some((clock, now));
    }

    /// Notes the database's clock, in milliseconds, at `now`.
    pub(super) fn set_clock(&self, clock: i64, now: Instant) {
        self.state().clock = Some((clock, now));
    }

    /// The changes that the deliverer has to know. Each is returned once.
    pub(super) fn tell(&self, now: Instant) -> AmongNodes {
        let mut state = self.state();
        let was_cut_off = std::mem::take(&mut state.was_cut_off);
        AmongNodes {
            is_cut_off: was_cut_off || state.without_contact(now).is_some_and(|time| time > CUT_OFF_AFTER),
            gained: std::mem::take(&mut state.gained),
        }
    }

    /// How long this node has been cut off: `None` where it is not.
    pub(super) fn cut_off_for(&self, now: Instant) -> Option<Duration> {
        self.state().without_contact(now).filter(|time| *time > CUT_OFF_AFTER)
    }

    pub(super) fn gain(&self, shares: impl IntoIterator<Item = ShareKey>) {
        self.state().gained.extend(shares);
    }

    /// The database's clock at this moment, in milliseconds, computed from its last answer.
    pub(super) fn clock(&self, now: Instant) -> Option<i64> {
        let (clock, at) = self.state().clock?;
        let passed = i64::try_from(now.saturating_duration_since(at).as_millis()).unwrap_or(i64::MAX / 4);
        Some(clock.saturating_add(passed))
    }

    /// The end of a lease that is given at this moment.
    pub(super) fn lease_end(&self, clock: i64) -> i64 {
        clock.saturating_add(self.lease)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn without_contact(&self, now: Instant) -> Option<Duration> {
        self.contact.map(|contact| now.saturating_duration_since(contact))
    }
}

/// A node, and its last sign of life.
pub(super) type Sign = (String, i64);

/// The other nodes, as this node sees them.
#[derive(Debug, Default)]
struct Peers {
    /// The last sign of life of each, and when it was seen first.
    seen: HashMap<String, (i64, Instant)>,
    looked: Option<Instant>,
}

impl Peers {
    /// Takes the signs that were seen at `now`. Returns the last signs of silent nodes.
    fn look(&mut self, signs: Vec<Sign>, now: Instant) -> Vec<Sign> {
        if self.looked.replace(now).is_none_or(|looked| now.duration_since(looked) > STEADY) {
            self.seen.clear();
        }
        let mut seen = HashMap::with_capacity(signs.len());
        let mut silent = Vec::new();
        for (node, beats) in signs {
            let since = match self.seen.get(&node) {
                Some((before, since)) if *before == beats => *since,
                _ => now,
            };
            if now.duration_since(since) >= SILENT_AFTER {
                silent.push((node.clone(), beats));
            }
            seen.insert(node, (beats, since));
        }
        self.seen = seen;
        silent
    }
}

/// Gives signs of life until one is not answered, and sends the names of silent nodes.
pub(super) async fn beat(
    client: &tokio_postgres::Client,
    membership: &Membership,
    silent: &mpsc::Sender<Sign>,
) -> StoreError {
    let node = &*membership.node.0;
    let statement = match client.prepare("SELECT b_clock, b_node, b_beats FROM beat($1)").await {
        Ok(statement) => statement,
        Err(error) => return failed(&error),
    };
    let mut peers = Peers::default();
    let mut ticks = tokio::time::interval(BEAT_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let sent = Instant::now();
        let rows = match tokio::time::timeout(CUT_OFF_AFTER, client.query(&statement, &[&node])).await {
            Ok(Ok(rows)) => rows,
            Ok(Err(error)) => return failed(&error),
            Err(_) => {
                let why = format!("no answer to a sign of life within {} s", CUT_OFF_AFTER.as_secs());
                return StoreError::Unavailable(why);
            }
        };
        let now = Instant::now();
        if let Some(row) = rows.first() {
            membership.answered(sent, row.get(0), now);
        }
        let others = rows.iter().map(|row| (row.get::<_, String>(1), row.get(2)));
        let others = others.filter(|(name, _)| name != node).collect();
        for sign in peers.look(others, now) {
            // An error is ignored: while one node is being taken over, the others are named again later.
            let _ = silent.try_send(sign);
        }
    }
}

/// Takes over from silent nodes, until the sender of their names is gone.
pub(super) async fn take_over(writer: Arc<Connection>, mut silent: mpsc::Receiver<Sign>) {
    while let Some((node, beats)) = silent.recv().await {
        match taken_over(&writer, &node, beats).await {
            Ok(Some(rows)) => {
                warn!(node, rows, "a node gives no sign of life; what it had in hand is taken over");
            }
            Ok(None) => {} // it is back, or another node was faster
            Err(error) => warn!(%error, node, "cannot take over from a node that gives no sign of life"),
        }
    }
}

async fn taken_over(writer: &Connection, node: &str, beats: i64) -> Result<Option<i64>> {
    Ok(writer.row("SELECT take_over($1, $2)", &[&node, &beats]).await?.get(0))
}

/// Tells the other nodes that this one ends. If that fails, they notice its silence.
pub(super) async fn leave(client: &tokio_postgres::Client, node: &NodeId) {
    match client.query("SELECT leave_nodes($1)", &[&&*node.0]).await {
        Ok(_) => info!("left the other nodes"),
        Err(error) => {
            let error = failed(&error);
            warn!(%error, "cannot leave the other nodes; they take over within seconds");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn sign(name: &str, beats: i64) -> Sign {
        (name.to_owned(), beats)
    }

    #[test]
    fn a_node_that_gives_no_sign_for_eight_seconds_is_silent() {
        let (mut peers, start) = (Peers::default(), Instant::now());
        for second in 0..8 {
            let signs = vec![sign("frozen", 7), sign("well", second)];
            assert_eq!(peers.look(signs, start + u32::try_from(second).unwrap() * SECOND), []);
        }
        let signs = vec![sign("frozen", 7), sign("well", 8)];
        assert_eq!(peers.look(signs, start + 8 * SECOND), [sign("frozen", 7)]);
        let back = vec![sign("frozen", 8), sign("well", 9)];
        assert_eq!(peers.look(back, start + 9 * SECOND), [], "it is back");
    }

    #[test]
    fn a_node_that_saw_nothing_itself_calls_no_other_silent() {
        let (mut peers, start) = (Peers::default(), Instant::now());
        assert_eq!(peers.look(vec![sign("other", 1)], start), []);
        // The database was away, or this node was stopped.
        for second in 60..68 {
            assert_eq!(peers.look(vec![sign("other", 1)], start + second * SECOND), []);
        }
        assert_eq!(peers.look(vec![sign("other", 1)], start + 68 * SECOND), [sign("other", 1)]);
    }

    #[test]
    fn a_node_is_cut_off_before_others_take_over() {
        let (membership, start) = (Membership::new(NodeId("a".into()), 60 * SECOND), Instant::now());
        let is_cut_off = |at: Duration| membership.tell(start + at).is_cut_off;
        assert!(!is_cut_off(Duration::ZERO), "it has not joined, so that no other can take over");
        // The answer came after three seconds. The sign may be as old as the question.
        membership.answered(start, 0, start + 3 * SECOND);
        assert!(!is_cut_off(5 * SECOND));
        assert!(is_cut_off(5 * SECOND + Duration::from_millis(1)));
        assert!(CUT_OFF_AFTER + 2 * SECOND < SILENT_AFTER);
    }

    #[test]
    fn that_it_was_cut_off_is_told_although_it_is_back() {
        let (membership, start) = (Membership::new(NodeId("a".into()), 60 * SECOND), Instant::now());
        membership.answered(start, 0, start);
        membership.answered(start + 4 * SECOND, 0, start + 4 * SECOND);
        assert!(!membership.tell(start + 4 * SECOND).is_cut_off);
        // The process was stopped meanwhile, and asked nothing.
        membership.answered(start + 20 * SECOND, 0, start + 20 * SECOND);
        assert!(membership.tell(start + 20 * SECOND).is_cut_off);
        assert!(!membership.tell(start + 20 * SECOND).is_cut_off);
    }

    #[test]
    fn leases_go_by_the_databases_clock() {
        let (membership, start) = (Membership::new(NodeId("a".into()), 20 * SECOND), Instant::now());
        assert_eq!(membership.clock(start), None);
        membership.answered(start, 1_000_000, start);
        let clock = membership.clock(start + 2 * SECOND).unwrap();
        assert_eq!((clock, membership.lease_end(clock)), (1_002_000, 1_022_000));
    }
}

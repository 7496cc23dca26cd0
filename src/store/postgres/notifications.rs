//! Notifications of other nodes' changes, over a connection that also reserves this node's name and carries its signs of life
//! ([`super::membership`]).
//!
//! Notifications only save time. A node that gets none, because the connection is broken or a pooler drops `NOTIFY`, looks
//! into the store every second anyway.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_postgres::AsyncMessage;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::connection::{Connection, NOTICE_LOSS, TIMEOUT, failed, silent};
use super::membership::{self, Membership, Sign};
use super::tls::Tls;
use crate::store::{DestinationKey, Result, StoreError};

/// The pause before the next attempt to connect.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// The time limit for telling the other nodes that this node ends.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);

/// Signs of life need not survive a crash of the database.
const BEGIN: &str = "SET search_path TO forgebell; SET synchronous_commit TO off;
     LISTEN forgebell_stored; LISTEN forgebell_arrived; LISTEN forgebell_configured";

/// The database's identity of a connection: its process and start time.
type Session = (i32, SystemTime);

const SESSION: &str = "SELECT pid, backend_start, (extract(epoch FROM clock_timestamp()) * 1000)::bigint
     FROM pg_stat_activity WHERE pid = pg_backend_pid()";
const NAME: &str = "SELECT pg_try_advisory_lock(1178752365, hashtext($1))";
const END: &str =
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2";

/// A change by another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notification {
    /// Rows of this destination were written and wait for a claim.
    Stored(DestinationKey),
    /// An event was written to the inbox.
    Arrived,
    /// The configuration changed: see [`Registry::changes`](crate::store::Registry::changes).
    Configured,
}

/// Listens for notifications. It is opened with the store and runs beside it.
pub struct Listener {
    config: tokio_postgres::Config,
    tls: Tls,
    /// Takes over from silent nodes.
    writer: Arc<Connection>,
    membership: Arc<Membership>,
    live: Option<Live>,
    /// The last connection of this listener that had the name. The connection may be broken before the database notices
    /// it.
    former: Option<Session>,
}

struct Live {
    client: tokio_postgres::Client,
    connection: Listening,
    session: Session,
}

type Listening = BoxStream<'static, std::result::Result<AsyncMessage, tokio_postgres::Error>>;

impl Listener {
    /// Reserves the node's name, and begins to listen. A former process of this node may still have the name until the
    /// database notices its end. This waits for it, up to `timeout`.
    ///
    /// # Errors
    /// Another node of this name works with the database, or the database is unavailable.
    pub(super) async fn open(
        config: tokio_postgres::Config,
        tls: Tls,
        writer: Arc<Connection>,
        membership: Arc<Membership>,
        timeout: Duration,
    ) -> Result<Self> {
        let mut listener = Self { config, tls, writer, membership, live: None, former: None };
        let mut left = timeout;
        loop {
            match listener.connect().await {
                Err(StoreError::Broken(why)) if !left.is_zero() => {
                    warn!(
                        why,
                        "waiting for the database to free this node's name, in case a former process of this node had it"
                    );
                    tokio::time::sleep(RETRY_AFTER).await;
                    left = left.saturating_sub(RETRY_AFTER);
                }
                ended => {
                    listener.keep(ended?);
                    return Ok(listener);
                }
            }
        }
    }

    /// Sends notifications on and gives signs of life until it is stopped; takes over from nodes that are silent. It
    /// reconnects after outages.
    ///
    /// # Errors
    /// During an outage another node took this node's name. Leases can't tell the two apart, so this node has to end.
    pub async fn run(
        self,
        notifications: mpsc::UnboundedSender<Notification>,
        stop: CancellationToken,
    ) -> Result<()> {
        let (silent, silent_nodes) = mpsc::channel(1);
        let taking_over = membership::take_over(Arc::clone(&self.writer), silent_nodes);
        // Taking over ends when listening ends, which drops the sender.
        tokio::join!(self.listen(notifications, silent, stop), taking_over).0
    }

    async fn listen(
        mut self,
        notifications: mpsc::UnboundedSender<Notification>,
        silent: mpsc::Sender<Sign>,
        stop: CancellationToken,
    ) -> Result<()> {
        while !stop.is_cancelled() {
            if let Some(mut live) = self.live.take() {
                tokio::select! {
                    () = stop.cancelled() => {
                        live.leave(&self.membership).await;
                        return Ok(());
                    }
                    why = live.listen(&self.membership, &notifications, &silent) => {
                        warn!(why, "the connection to PostgreSQL that carries notifications and signs of life broke; polling every second until it is back");
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(RETRY_AFTER) => {}
            }
            let connected = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                connected = self.connect() => connected,
            };
            match connected {
                Err(taken @ StoreError::Broken(_)) => return Err(taken),
                Ok(live) => {
                    info!("notifications from PostgreSQL work again");
                    self.keep(live);
                }
                Err(error) => {
                    warn!(%error, "cannot connect for notifications from PostgreSQL; trying again in a second");
                }
            }
        }
        Ok(())
    }

    fn keep(&mut self, live: Live) {
        self.former = Some(live.session);
        self.live = Some(live);
    }

    async fn connect(&mut self) -> Result<Live> {
        tokio::time::timeout(TIMEOUT, self.connect_without_timeout()).await.unwrap_or_else(|_| Err(silent()))
    }

    async fn connect_without_timeout(&mut self) -> Result<Live> {
        let (client, mut connection) =
            self.config.connect(self.tls.clone()).await.map_err(|error| failed(&error))?;
        let mut connection: Listening =
            futures_util::stream::poll_fn(move |context| connection.poll_message(context)).boxed();
        // The connection has to be polled while the queries wait. Notifications that arrive meanwhile may be dropped.
        let session = tokio::select! {
            session = self.take_name(&client) => session,
            () = drain(&mut connection) => Err(StoreError::Unavailable("PostgreSQL closed the connection".to_owned())),
        };
        Ok(Live { session: session?, client, connection })
    }

    /// Reserves the node's name, unless another node has it.
    async fn take_name(&mut self, client: &tokio_postgres::Client) -> Result<Session> {
        let node = &*self.membership.node.0;
        client.batch_execute(NOTICE_LOSS).await.map_err(|error| failed(&error))?;
        client.batch_execute(BEGIN).await.map_err(|error| failed(&error))?;
        let is_ours = client.query_one(NAME, &[&node]).await.map_err(|error| failed(&error))?;
        if is_ours.get(0) {
            let session = client.query_one(SESSION, &[]).await.map_err(|error| failed(&error))?;
            self.membership.set_clock(session.get(2), Instant::now());
            return Ok((session.get(0), session.get(1)));
        }
        if let Some((process, since)) = &self.former
            && let Some(_ended) =
                client.query_opt(END, &[process, since]).await.map_err(|error| failed(&error))?
        {
            // Only this side noticed the lost network. No other node can get the name before the former connection
            // ends.
            let why = "this node's former connection still has the node's name; it is being closed";
            return Err(StoreError::Unavailable(why.to_owned()));
        }
        Err(StoreError::Broken(format!(
            "another node called `{node}` works with this database: give each a name of its own (`node.name`)"
        )))
    }
}

/// Returns when the connection ends.
async fn drain(connection: &mut Listening) {
    while connection.next().await.is_some_and(|message| message.is_ok()) {}
}

impl Live {
    /// Passes notifications on and gives signs of life until the connection ends. Returns the reason.
    async fn listen(
        &mut self,
        membership: &Membership,
        notifications: &mpsc::UnboundedSender<Notification>,
        silent: &mpsc::Sender<Sign>,
    ) -> String {
        let Self { client, connection, .. } = self;
        tokio::select! {
            // The connection is polled first, since the answers to signs of life come over it.
            biased;
            why = pass_on(connection, notifications) => why,
            error = membership::beat(client, membership, silent) => error.to_string(),
        }
    }

    async fn leave(&mut self, membership: &Membership) {
        let Self { client, connection, .. } = self;
        tokio::select! {
            () = membership::leave(client, &membership.node) => {}
            () = drain(connection) => {}
            () = tokio::time::sleep(LEAVE_WITHIN) => {}
        }
    }
}

/// Passes notifications on until the connection ends. Returns the reason.
async fn pass_on(connection: &mut Listening, notifications: &mpsc::UnboundedSender<Notification>) -> String {
    loop {
        let note = match connection.next().await {
            Some(Ok(AsyncMessage::Notification(note))) => note,
            Some(Ok(_)) => continue,
            Some(Err(error)) => return failed(&error).to_string(),
            None => return "PostgreSQL closed it".to_owned(),
        };
        let notification = match (note.channel(), note.payload()) {
            ("forgebell_arrived", _) => Notification::Arrived,
            ("forgebell_configured", _) => Notification::Configured,
            (_, "") => continue,
            (_, destination) => Notification::Stored(destination.into()),
        };
        // An error is ignored: the receiver is gone while the daemon ends, and the signs of life must go on until then.
        let _ = notifications.send(notification);
    }
}

//! What other nodes do: a connection that listens, and that holds this node's name for as long as it lives.
//!
//! News only saves time: who hears nothing (while the connection is away, or where a pooler stands between that lets no
//! `NOTIFY` through) looks every second anyway.

use std::time::{Duration, SystemTime};

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use tokio::sync::mpsc;
use tokio_postgres::AsyncMessage;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::connection::{PATIENCE, failed, silent};
use super::tls::Tls;
use crate::store::{DestinationKey, NodeId, Result, StoreError};

/// The pause before the next try to connect.
const AGAIN: Duration = Duration::from_secs(2);

/// Where a node's machine went dark, the database notices within a minute, and its name is free.
const BEGIN: &str =
    "SET tcp_keepalives_idle TO 30; SET tcp_keepalives_interval TO 10; SET tcp_keepalives_count TO 3;
     LISTEN forgebell_stored; LISTEN forgebell_arrived; LISTEN forgebell_configured";

/// Who we are to the database, as long as a connection lives: its process, and since when.
type Session = (i32, SystemTime);

const SESSION: &str = "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()";
const NAME: &str = "SELECT pg_try_advisory_lock(1178752365, hashtext($1))";
const END: &str =
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2";

/// What a node hears of the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notification {
    /// Rows of this destination wait in the store.
    Stored(DestinationKey),
    /// An event arrived in the inbox.
    Arrived,
    /// Something that people configure changed: see [`Registry::changes`](crate::store::Registry::changes).
    Configured,
}

/// Hears news. Made when the store is opened, run beside it.
pub struct Listener {
    pub(super) config: tokio_postgres::Config,
    pub(super) tls: Tls,
    pub(super) node: NodeId,
    live: Option<Live>,
    /// The last one that had the name. It may be over on our side, and the database does not know.
    former: Option<Session>,
}

struct Live {
    client: tokio_postgres::Client,
    connection: Listening,
    session: Session,
}

type Listening = BoxStream<'static, std::result::Result<AsyncMessage, tokio_postgres::Error>>;

impl Listener {
    /// Takes the node's name, and begins to listen. A former life of this node may still have the name, for as long as the
    /// database takes to notice its end: that is waited for.
    ///
    /// # Errors
    /// Another node of this name works with the database, or the database is away.
    pub(super) async fn open(
        config: tokio_postgres::Config,
        tls: Tls,
        node: NodeId,
        patience: Duration,
    ) -> Result<Self> {
        let mut listener = Self { config, tls, node, live: None, former: None };
        let mut left = patience;
        loop {
            match listener.connect().await {
                Err(StoreError::Broken(why)) if !left.is_zero() => {
                    warn!(why, "waiting for the database to notice the end of a former life of this node");
                    tokio::time::sleep(AGAIN).await;
                    left = left.saturating_sub(AGAIN);
                }
                ended => {
                    listener.keep(ended?);
                    return Ok(listener);
                }
            }
        }
    }

    /// Tells what it hears until notifications to stop; comes back after outages.
    ///
    /// # Errors
    /// Meanwhile another node took this one's name: leases tell the two apart no more, so that one must end.
    pub async fn run(
        mut self,
        notifications: mpsc::UnboundedSender<Notification>,
        stop: CancellationToken,
    ) -> Result<()> {
        while !stop.is_cancelled() {
            if let Some(live) = self.live.take() {
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    () = listen(live, &notifications) => warn!("PostgreSQL's news broke off; looking every second instead"),
                }
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(AGAIN) => {}
            }
            let connected = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                connected = self.connect() => connected,
            };
            match connected {
                Err(taken @ StoreError::Broken(_)) => return Err(taken),
                Ok(live) => {
                    info!("hearing PostgreSQL's news again");
                    self.keep(live);
                }
                Err(error) => warn!(%error, "cannot hear PostgreSQL's news"),
            }
        }
        Ok(())
    }

    fn keep(&mut self, live: Live) {
        self.former = Some(live.session);
        self.live = Some(live);
    }

    async fn connect(&mut self) -> Result<Live> {
        tokio::time::timeout(PATIENCE, self.connect_at_leisure()).await.unwrap_or_else(|_| Err(silent()))
    }

    async fn connect_at_leisure(&mut self) -> Result<Live> {
        let (client, mut connection) =
            self.config.connect(self.tls.clone()).await.map_err(|error| failed(&error))?;
        let mut connection: Listening =
            futures_util::stream::poll_fn(move |context| connection.poll_message(context)).boxed();
        // The connection moves while the questions wait for their answers; what it hears meanwhile is no loss.
        let session = tokio::select! {
            session = self.take_name(&client) => session,
            () = drain(&mut connection) => Err(StoreError::Unavailable("PostgreSQL closed the connection".to_owned())),
        };
        Ok(Live { session: session?, client, connection })
    }

    /// Takes the node's name, unless another has it.
    async fn take_name(&mut self, client: &tokio_postgres::Client) -> Result<Session> {
        let node = &*self.node.0;
        client.batch_execute(BEGIN).await.map_err(|error| failed(&error))?;
        let is_ours = client.query_one(NAME, &[&node]).await.map_err(|error| failed(&error))?;
        if is_ours.get(0) {
            let session = client.query_one(SESSION, &[]).await.map_err(|error| failed(&error))?;
            return Ok((session.get(0), session.get(1)));
        }
        if let Some((process, since)) = &self.former
            && let Some(_ended) =
                client.query_opt(END, &[process, since]).await.map_err(|error| failed(&error))?
        {
            // The network failed for this node only. Any other node with this name would have waited for this connection to end.
            let why = "this node's own former connection still has its name, and is being ended";
            return Err(StoreError::Unavailable(why.to_owned()));
        }
        Err(StoreError::Broken(format!(
            "another node called `{node}` works with this database: give each a name of its own (`node.name`)"
        )))
    }
}

/// Until the connection ends.
async fn drain(connection: &mut Listening) {
    while connection.next().await.is_some_and(|message| message.is_ok()) {}
}

async fn listen(live: Live, notifications: &mpsc::UnboundedSender<Notification>) {
    // The client is held: the connection ends with it.
    let Live { client, mut connection, .. } = live;
    while let Some(Ok(message)) = connection.next().await {
        let AsyncMessage::Notification(note) = message else { continue };
        let notification = match (note.channel(), note.payload()) {
            ("forgebell_arrived", _) => Notification::Arrived,
            ("forgebell_configured", _) => Notification::Configured,
            (_, "") => continue,
            (_, destination) => Notification::Stored(destination.into()),
        };
        if notifications.send(notification).is_err() {
            return; // the receiver is gone
        }
    }
    drop(client);
}

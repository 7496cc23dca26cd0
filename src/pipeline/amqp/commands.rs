//! Slash commands for the forge: published to the broker, from which the forge reads them. The forge answers at the
//! `response_url` in the message.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lapin::options::ConfirmSelectOptions;
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ExchangeKind};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::connection::{self, BrokerError, open};
use super::publisher::{Message, PublishError, publish};
use super::topology::declare_exchange;

/// The time limit for publishing a command. The user's chat waits three seconds for an answer.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(2);

/// `[commands]`: where Forgebell forwards commands that it does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// A topic exchange. It must not be the exchange of the events, because commands would then come back as events.
    pub exchange: String,
    /// Without a routing key, no command is published.
    pub routing_key: String,
}

/// Forwards commands to the forge. Clones share one connection.
#[derive(Clone)]
pub struct Commands {
    broker: connection::Config,
    config: Config,
    /// The connection, opened at the first command and again after it broke.
    connected: Arc<Mutex<Option<Connected>>>,
}

struct Connected {
    /// The channel closes when the connection is dropped.
    _connection: Connection,
    channel: Channel,
}

impl Commands {
    /// `None` where forwarding is not configured.
    pub fn new(broker: &connection::Config, config: &Config) -> Option<Self> {
        (broker.enabled && !config.routing_key.is_empty()).then(|| Self {
            broker: broker.clone(),
            config: config.clone(),
            connected: Arc::default(),
        })
    }

    /// Publishes one command, and waits for the broker's confirmation.
    ///
    /// # Errors
    /// The broker is unavailable, or no queue is bound for commands.
    pub async fn forward(&self, id: &str, body: &[u8], now: Timestamp) -> Result<(), PublishError> {
        let publishing = async {
            let mut connected = self.connected.lock().await;
            let ready = match connected.take() {
                Some(ready) if ready.channel.status().connected() => ready,
                _ => self.connect().await?,
            };
            // The connection is kept only after a success; after a failure, the next command connects again.
            let message =
                Message { id, kind: "slash_command", at: now, body, headers: FieldTable::default() };
            publish(&ready.channel, &self.config.exchange, &self.config.routing_key, message).await?;
            *connected = Some(ready);
            Ok(())
        };
        let ended = tokio::time::timeout(PUBLISH_TIMEOUT, publishing).await;
        ended.unwrap_or(Err(PublishError::Broker(BrokerError::Timeout(PUBLISH_TIMEOUT))))
    }

    async fn connect(&self) -> Result<Connected, PublishError> {
        let connection = open(&self.broker).await?;
        let channel = connection.create_channel().await?;
        declare_exchange(&channel, &self.config.exchange, ExchangeKind::Topic, self.broker.declare).await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(Connected { _connection: connection, channel })
    }
}

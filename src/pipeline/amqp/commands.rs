//! Slash commands for the forge: published to the broker, from which the forge reads them. The forge answers at the
//! `response_url` in the message.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lapin::options::ConfirmSelectOptions;
use lapin::{Channel, Connection, ExchangeKind};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::connection::{self, BrokerError, declare_exchange, open};
use super::publisher::{Message, PublishError, publish};

/// Part of the three seconds in which the user must have an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// `[commands]`: where commands go that are not ours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// A topic exchange of its own: on the events' exchange, commands would come back as events.
    pub exchange: String,
    /// Without one, nothing is published.
    pub routing_key: String,
}

/// The way to the forge. Cloned, it is the same one.
#[derive(Clone)]
pub struct Commands {
    broker: connection::Config,
    config: Config,
    /// Made when first needed, and anew when it broke.
    connected: Arc<Mutex<Option<Connected>>>,
}

struct Connected {
    /// The channel ends with it.
    _connection: Connection,
    channel: Channel,
}

impl Commands {
    /// The way that is configured, if one is.
    pub fn new(broker: &connection::Config, config: &Config) -> Option<Self> {
        (broker.enabled && !config.routing_key.is_empty()).then(|| Self {
            broker: broker.clone(),
            config: config.clone(),
            connected: Arc::default(),
        })
    }

    /// Publishes one command, and waits until the broker has it.
    ///
    /// # Errors
    /// The broker is away, or no queue is bound for commands.
    pub async fn forward(&self, id: &str, body: &[u8], now: Timestamp) -> Result<(), PublishError> {
        let publishing = async {
            let mut connected = self.connected.lock().await;
            let ready = match connected.take() {
                Some(ready) if ready.channel.status().connected() => ready,
                _ => self.connect().await?,
            };
            // Put back only where it worked: what broke is made anew.
            let message = Message { id, kind: "slash_command", at: now, body };
            publish(&ready.channel, &self.config.exchange, &self.config.routing_key, message).await?;
            *connected = Some(ready);
            Ok(())
        };
        let ended = tokio::time::timeout(PATIENCE, publishing).await;
        ended.unwrap_or(Err(PublishError::Broker(BrokerError::Timeout(PATIENCE))))
    }

    async fn connect(&self) -> Result<Connected, PublishError> {
        let connection = open(&self.broker).await?;
        let channel = connection.create_channel().await?;
        declare_exchange(&channel, &self.config.exchange, ExchangeKind::Topic, self.broker.declare).await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(Connected { _connection: connection, channel })
    }
}

//! Commands that people typed in a chat and that are the forge's to carry out: published to the broker, for whoever
//! listens there. The forge answers at the `response_url` in the message.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ExchangeKind};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::amqp::{self, BrokerError};
use super::publish::PublishError;

/// Whoever typed waits three seconds in all.
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
    broker: amqp::Config,
    config: Config,
    /// Made when first needed, and anew when it broke.
    open: Arc<Mutex<Option<Open>>>,
}

struct Open {
    /// The channel ends with it.
    _connection: Connection,
    channel: Channel,
}

impl Commands {
    /// The way that is configured, if one is.
    pub fn new(broker: &amqp::Config, config: &Config) -> Option<Self> {
        (broker.enabled && !config.routing_key.is_empty()).then(|| Self {
            broker: broker.clone(),
            config: config.clone(),
            open: Arc::default(),
        })
    }

    /// Publishes one command, and waits until the broker has it.
    ///
    /// # Errors
    /// The broker is away, or nobody listens for commands.
    pub async fn forward(&self, id: &str, body: &[u8], now: Timestamp) -> Result<(), PublishError> {
        let publishing = async {
            let mut open = self.open.lock().await;
            let ready = match open.take() {
                Some(ready) if ready.channel.status().connected() => ready,
                _ => self.connect().await?,
            };
            // Put back only where it worked: what broke is made anew.
            self.publish(&ready.channel, id, body, now).await?;
            *open = Some(ready);
            Ok(())
        };
        let ended = tokio::time::timeout(PATIENCE, publishing).await;
        ended.unwrap_or(Err(PublishError::Broker(BrokerError::Timeout(PATIENCE))))
    }

    async fn connect(&self) -> Result<Open, PublishError> {
        let connection = amqp::open(&self.broker).await?;
        let channel = connection.create_channel().await?;
        let passive = self.broker.declare == amqp::Declare::Passive;
        let options = ExchangeDeclareOptions { passive, durable: true, ..ExchangeDeclareOptions::default() };
        let exchange = self.config.exchange.as_str();
        channel
            .exchange_declare(exchange.into(), ExchangeKind::Topic, options, FieldTable::default())
            .await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(Open { _connection: connection, channel })
    }

    async fn publish(
        &self,
        channel: &Channel,
        id: &str,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), PublishError> {
        const PERSISTENT: u8 = 2;
        let properties = BasicProperties::default()
            .with_message_id(id.into())
            .with_type("slash_command".into())
            .with_content_type("application/json".into())
            .with_timestamp(u64::try_from(now.as_second()).unwrap_or_default())
            .with_delivery_mode(PERSISTENT);
        // Nobody listens: better said to who typed than kept by nobody.
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let (exchange, key) = (self.config.exchange.as_str(), self.config.routing_key.as_str());
        let published = channel.basic_publish(exchange.into(), key.into(), options, body, properties);
        match published.await?.await? {
            Confirmation::Ack(None) => Ok(()),
            _ => Err(PublishError::Refused(key.to_owned())),
        }
    }
}

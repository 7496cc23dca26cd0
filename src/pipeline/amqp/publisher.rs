//! Publishing events to the broker, as a forge would: for `forgebell publish`, the demo and the benches.

use jiff::Timestamp;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, ExchangeDeleteOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{BasicProperties, Channel, Confirmation, Connection};

use super::connection::{BrokerError, Config, open, within};
use super::topology::{declare, queues, spreader};
use crate::event::EventId;

/// A connection that publishes, and waits for the broker's confirmations.
pub struct Publisher {
    connection: Connection,
    channel: Channel,
    config: Config,
}

/// The broker did not confirm a message.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error("the broker refused the message: no queue is bound for routing key `{0}`, or it is full")]
    Refused(String),
}

impl PublishError {
    /// Whether the broker may have the message although it did not confirm.
    pub fn maybe_taken(&self) -> bool {
        matches!(self, Self::Broker(BrokerError::Timeout(_)))
    }
}

impl From<lapin::Error> for PublishError {
    fn from(error: lapin::Error) -> Self {
        Self::Broker(error.into())
    }
}

impl Publisher {
    /// Connects, and declares exchange, queue and bindings.
    ///
    /// # Errors
    /// The broker is unavailable, or refuses.
    pub async fn connect(config: &Config) -> Result<Self, PublishError> {
        let opened = within(config.connect_timeout, async {
            let connection = open(config).await?;
            let (channel, _) = declare(&connection, config).await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok((connection, channel))
        });
        let (connection, channel) = opened.await?;
        Ok(Self { connection, channel, config: config.clone() })
    }

    /// Publishes one event without naming its project, as [`Self::publish_of_project`] does.
    ///
    /// # Errors
    /// The broker did not confirm it.
    pub async fn publish(
        &self,
        id: &EventId,
        kind: &str,
        routing_key: &str,
        at: Timestamp,
        body: &[u8],
    ) -> Result<(), PublishError> {
        let message = Message { id: id.as_str(), kind, at, body, headers: FieldTable::default() };
        publish(&self.channel, &self.config.exchange, routing_key, message).await
    }

    /// Publishes one event, persistent, and waits for the broker's confirmation. `project` goes into the header by which
    /// events are spread over partitions.
    ///
    /// # Errors
    /// The broker did not confirm it.
    pub async fn publish_of_project(
        &self,
        project: &str,
        id: &EventId,
        kind: &str,
        routing_key: &str,
        at: Timestamp,
        body: &[u8],
    ) -> Result<(), PublishError> {
        let mut headers = FieldTable::default();
        if !self.config.partition_header.is_empty() {
            let header = self.config.partition_header.as_str().into();
            headers.insert(header, AMQPValue::LongString(LongString::from(project)));
        }
        let message = Message { id: id.as_str(), kind, at, body, headers };
        publish(&self.channel, &self.config.exchange, routing_key, message).await
    }

    /// Deletes queues and exchanges with their messages, and disconnects; for callers that created their own temporarily.
    pub async fn dismantle(self) {
        // An error is ignored: the names are unique, so what stays does no harm, and the caller has to disconnect.
        for queue in queues(&self.config) {
            let _ = self.channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await;
        }
        for exchange in spreader(&self.config).into_iter().chain([self.config.exchange.clone()]) {
            let _ = self.channel.exchange_delete(exchange.into(), ExchangeDeleteOptions::default()).await;
        }
        self.close().await;
    }

    /// Closes the connection in order.
    pub async fn close(self) {
        let _ = self.connection.close(200, "done".into()).await;
    }
}

/// A message to publish.
pub(super) struct Message<'a> {
    pub(super) id: &'a str,
    /// The message's `type`.
    pub(super) kind: &'a str,
    pub(super) at: Timestamp,
    pub(super) body: &'a [u8],
    pub(super) headers: FieldTable,
}

/// Publishes one persistent message, and waits for the broker's confirmation. It is an error if no queue receives the
/// message, because the message would be lost.
pub(super) async fn publish(
    channel: &Channel,
    exchange: &str,
    routing_key: &str,
    message: Message<'_>,
) -> Result<(), PublishError> {
    const PERSISTENT: u8 = 2;
    let properties = BasicProperties::default()
        .with_message_id(message.id.into())
        .with_type(message.kind.into())
        .with_content_type("application/json".into())
        .with_headers(message.headers)
        .with_timestamp(u64::try_from(message.at.as_second()).unwrap_or_default())
        .with_delivery_mode(PERSISTENT);
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let published =
        channel.basic_publish(exchange.into(), routing_key.into(), options, message.body, properties);
    match published.await?.await? {
        Confirmation::Ack(None) => Ok(()),
        _ => Err(PublishError::Refused(routing_key.to_owned())),
    }
}

//! The connection to a broker: its settings, and exchange, queue and bindings as they are declared.

use std::path::PathBuf;
use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, ExchangeKind};
use serde::Deserialize;

use crate::settings::Secret;

/// `[amqp]`: the broker's address and what is consumed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whether to consume from a broker at all.
    pub enabled: bool,
    /// `amqp://` or `amqps://`, with user, password and virtual host.
    pub url: Secret,
    /// A private certificate authority, for `amqps://`.
    pub ca_file: Option<PathBuf>,
    pub exchange: String,
    pub exchange_type: ExchangeType,
    pub queue: String,
    pub queue_type: QueueType,
    /// The routing keys that the queue is bound with.
    pub routing_keys: Vec<String>,
    pub declare: Declare,
    /// Messages that the broker may send ahead of acknowledgements.
    pub prefetch: u16,
    pub consumer_tag: String,
    /// After twice this time without traffic, the connection counts as lost.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub heartbeat: Duration,
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub connect_timeout: Duration,
    /// The longest pause between attempts to connect.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub reconnect_max: Duration,
}

/// How an exchange routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExchangeType {
    Topic,
    Direct,
    Fanout,
    Headers,
}

impl ExchangeType {
    fn kind(self) -> ExchangeKind {
        match self {
            Self::Topic => ExchangeKind::Topic,
            Self::Direct => ExchangeKind::Direct,
            Self::Fanout => ExchangeKind::Fanout,
            Self::Headers => ExchangeKind::Headers,
        }
    }
}

/// How a queue keeps its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QueueType {
    /// Replicated where there are several nodes, and faster than classic even on one.
    Quorum,
    Classic,
}

/// Who declares exchange, queue and binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Declare {
    /// Forgebell declares them, durable, where they are missing.
    Create,
    /// They must exist already. A missing one is an error.
    Passive,
}

/// How often a quorum queue may deliver a message again before it drops it. RabbitMQ 4 drops after 20 unless told otherwise
/// (<https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling>), and every lost connection counts; we
/// acknowledge what we cannot read, so there is no poison to guard against.
const DELIVERY_LIMIT: i32 = 1_000_000;
/// Why there is no connection, in words.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    #[error("the URL is none that AMQP knows: {0}")]
    Url(String),
    #[error("cannot read {file}: {error}")]
    CaFile { file: String, error: std::io::Error },
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("{0}")]
    Amqp(#[from] lapin::Error),
}

/// A broker that is stopped, rather than gone, never answers, and the client's own time-out does not notice.
pub(super) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, BrokerError>>,
) -> Result<T, BrokerError> {
    tokio::time::timeout(limit, work).await.unwrap_or(Err(BrokerError::Timeout(limit)))
}

/// Opens a connection.
pub(super) async fn open(config: &Config) -> Result<Connection, BrokerError> {
    let mut uri: AMQPUri = config.url.expose().parse().map_err(BrokerError::Url)?;
    uri.query.heartbeat = Some(u16::try_from(config.heartbeat.as_secs()).unwrap_or(u16::MAX).max(1));
    let cert_chain = match &config.ca_file {
        None => None,
        Some(file) => Some(
            std::fs::read_to_string(file)
                .map_err(|error| BrokerError::CaFile { file: file.display().to_string(), error })?,
        ),
    };
    let tls = lapin::tcp::OwnedTLSConfig { cert_chain, identity: None };
    let properties = ConnectionProperties::default().with_connection_name("forgebell".into());
    let runtime = lapin::runtime::default_runtime()?;
    Ok(Connection::connect_uri_with_config(uri, properties, tls, runtime).await?)
}

/// Declares exchange, queue and bindings, or checks that they exist.
pub(super) async fn declare(channel: &Channel, config: &Config) -> Result<(), BrokerError> {
    let passive = config.declare == Declare::Passive;
    let queue_type = match config.queue_type {
        QueueType::Quorum => "quorum",
        QueueType::Classic => "classic",
    };
    let mut arguments = FieldTable::default();
    if !passive {
        arguments.insert("x-queue-type".into(), AMQPValue::LongString(LongString::from(queue_type)));
        if config.queue_type == QueueType::Quorum {
            arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(DELIVERY_LIMIT));
        }
    }
    declare_exchange(channel, &config.exchange, config.exchange_type.kind(), config.declare).await?;
    channel
        .queue_declare(
            config.queue.as_str().into(),
            QueueDeclareOptions { passive, durable: true, ..QueueDeclareOptions::default() },
            arguments,
        )
        .await?;
    for routing_key in config.routing_keys.iter().filter(|_| !passive) {
        channel
            .queue_bind(
                config.queue.as_str().into(),
                config.exchange.as_str().into(),
                routing_key.as_str().into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await?;
    }
    Ok(())
}

/// Declares an exchange, or checks that it exists.
pub(super) async fn declare_exchange(
    channel: &Channel,
    name: &str,
    kind: ExchangeKind,
    declare: Declare,
) -> Result<(), BrokerError> {
    let passive = declare == Declare::Passive;
    let options = ExchangeDeclareOptions { passive, durable: true, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(name.into(), kind, options, FieldTable::default()).await?;
    Ok(())
}

/// Whether the broker answers and accepts the credentials, and whether passive declarations exist: for `check`.
///
/// # Errors
/// What is wrong, in words.
pub async fn probe(config: &Config) -> Result<(), BrokerError> {
    within(config.connect_timeout, async {
        let connection = open(config).await?;
        let channel = connection.create_channel().await?;
        // A check consumes and declares nothing, so that it changes nothing.
        if config.declare == Declare::Passive {
            declare(&channel, config).await?;
        }
        Ok(connection.close(200, "checked".into()).await?)
    })
    .await
}

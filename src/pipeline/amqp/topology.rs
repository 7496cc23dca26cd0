//! Declares the exchange, the queue and its bindings at the broker, or a queue for each partition.
//!
//! ```text
//! one queue:    exchange ──routing keys──▶ queue
//! 4 partitions: exchange ──routing keys──▶ queue.of-4 ──hash of the project──▶ queue.1-of-4 … queue.4-of-4
//! ```
//!
//! The number of partitions is part of the names: with another number, a project's events go to other queues, and a queue that
//! is not read any more must not take events away from those that are.
//!
//! Each queue delivers to one consumer at a time (`x-single-active-consumer`), so that two nodes never dispatch
//! neighbouring events at the same time: <https://www.rabbitmq.com/docs/consumers#single-active-consumer>. A queue that
//! exists and was declared otherwise is used as it is, with a [`Remark`]: no policy can change these arguments, and an
//! upgrade must not stop delivery.

use std::fmt;

use lapin::options::{ExchangeBindOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{Channel, Connection, ErrorKind, ExchangeKind};

use super::connection::{BrokerError, Config, Declare, QueueType, open, within};

/// How often a quorum queue may deliver a message again before it drops it. RabbitMQ 4 drops a message after 20
/// deliveries by default (<https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling>), and every lost
/// connection counts as one. Forgebell acknowledges messages that it cannot read, so it needs no protection against
/// poison messages.
const DELIVERY_LIMIT: i32 = 1_000_000;
/// <https://www.rabbitmq.com/amqp-0-9-1-reference#constants>
const NOT_FOUND: u16 = 404;
const PRECONDITION_FAILED: u16 = 406;
const COMMAND_INVALID: u16 = 503;

/// Something at the broker that the operator should change. Events are read nevertheless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remark {
    /// The queue exists, and delivers to all nodes at once.
    NotSingleActive { queue: String },
    /// The queue exists with other arguments.
    QueueDiffers { queue: String, answer: String },
    /// The queue that was read before partitions were configured still receives all events.
    Unread { queue: String },
}

impl Remark {
    /// The queue that the remark is about.
    pub(super) fn queue(&self) -> &str {
        match self {
            Self::NotSingleActive { queue } | Self::QueueDiffers { queue, .. } | Self::Unread { queue } => {
                queue
            }
        }
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSingleActive { queue } => write!(
                f,
                "queue `{queue}` exists without x-single-active-consumer, which a queue gets only when it is created. \
                 It is read all the same; but if several nodes read it, events are sent out of order. With several \
                 nodes, set amqp.queue to a new name, as the comment there describes; with one node, set \
                 amqp.single_active_consumer = false"
            ),
            Self::QueueDiffers { queue, answer } => write!(
                f,
                "queue `{queue}` exists and was declared otherwise: {answer}. It is read as it is. Set amqp.queue_type \
                 to its type or amqp.declare = \"passive\", or set amqp.queue to a new name, as the comment there describes"
            ),
            Self::Unread { queue } => write!(
                f,
                "queue `{queue}` still exists and receives events, but with amqp.partitions it is not read. Delete it \
                 when no event in it is needed any more"
            ),
        }
    }
}

/// The queues that a node reads.
pub(super) fn queues(config: &Config) -> Vec<String> {
    match config.partitions {
        0 | 1 => vec![config.queue.clone()],
        partitions => {
            (1..=partitions).map(|number| format!("{}.{number}-of-{partitions}", config.queue)).collect()
        }
    }
}

/// The exchange that spreads events over the partitions, where there are several.
pub(super) fn spreader(config: &Config) -> Option<String> {
    (config.partitions > 1).then(|| format!("{}.of-{}", config.queue, config.partitions))
}

/// Declares exchange, queues and bindings, or checks that they exist. Returns an open channel.
pub(super) async fn declare(
    connection: &Connection,
    config: &Config,
) -> Result<(Channel, Vec<Remark>), BrokerError> {
    let mut channel = connection.create_channel().await?;
    declare_exchange(&channel, &config.exchange, config.exchange_type.kind(), config.declare).await?;
    let mut remarks = Vec::new();
    for queue in queues(config) {
        let declared = declare_queue(connection, channel, config, &queue).await?;
        channel = declared.0;
        remarks.extend(declared.1);
    }
    if config.declare == Declare::Create {
        bind(&channel, config).await?;
    }
    Ok((channel, remarks))
}

/// Declares one queue. A refused declaration closes its channel; then a new channel is returned.
async fn declare_queue(
    connection: &Connection,
    channel: Channel,
    config: &Config,
    queue: &str,
) -> Result<(Channel, Option<Remark>), BrokerError> {
    if config.declare == Declare::Passive {
        exists(&channel, queue).await?;
        return Ok((channel, None));
    }
    let Some(answer) = differs(&channel, queue, arguments(config)).await? else { return Ok((channel, None)) };
    let mut channel = connection.create_channel().await?;
    // Checks whether only this argument differs.
    let former = Config { single_active_consumer: false, ..config.clone() };
    if config.single_active_consumer && differs(&channel, queue, arguments(&former)).await?.is_none() {
        return Ok((channel, Some(Remark::NotSingleActive { queue: queue.to_owned() })));
    }
    if !channel.status().connected() {
        channel = connection.create_channel().await?;
    }
    exists(&channel, queue).await?;
    Ok((channel, Some(Remark::QueueDiffers { queue: queue.to_owned(), answer })))
}

/// Declares a queue. Where it exists with other arguments, the broker's answer is returned.
async fn differs(
    channel: &Channel,
    queue: &str,
    arguments: FieldTable,
) -> Result<Option<String>, BrokerError> {
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    match channel.queue_declare(queue.into(), options, arguments).await {
        Ok(_) => Ok(None),
        Err(error) if code(&error) == Some(PRECONDITION_FAILED) => Ok(Some(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

async fn exists(channel: &Channel, queue: &str) -> Result<(), lapin::Error> {
    let options = QueueDeclareOptions { passive: true, durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.into(), options, FieldTable::default()).await.map(drop)
}

/// The arguments of a queue that we create.
fn arguments(config: &Config) -> FieldTable {
    let queue_type = match config.queue_type {
        QueueType::Quorum => "quorum",
        QueueType::Classic => "classic",
    };
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString(LongString::from(queue_type)));
    if config.queue_type == QueueType::Quorum {
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(DELIVERY_LIMIT));
    }
    if config.single_active_consumer {
        arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
    }
    arguments
}

async fn bind(channel: &Channel, config: &Config) -> Result<(), BrokerError> {
    let exchange = || config.exchange.as_str().into();
    let Some(spreader) = spreader(config) else {
        for key in &config.routing_keys {
            let (queue, key) = (config.queue.as_str().into(), key.as_str().into());
            let options = QueueBindOptions::default();
            channel.queue_bind(queue, exchange(), key, options, FieldTable::default()).await?;
        }
        return Ok(());
    };
    declare_spreader(channel, &spreader, config).await?;
    // Events may flow only when all queues are bound, because each further queue changes which queue some projects
    // belong to.
    for queue in queues(config) {
        // The routing key is the queue's weight.
        let options = QueueBindOptions::default();
        let bound = channel.queue_bind(
            queue.into(),
            spreader.as_str().into(),
            "1".into(),
            options,
            FieldTable::default(),
        );
        bound.await?;
    }
    for key in &config.routing_keys {
        let (spreader, key) = (spreader.as_str().into(), key.as_str().into());
        let options = ExchangeBindOptions::default();
        channel.exchange_bind(spreader, exchange(), key, options, FieldTable::default()).await?;
    }
    Ok(())
}

/// <https://github.com/rabbitmq/rabbitmq-server/tree/main/deps/rabbitmq_consistent_hash_exchange>
async fn declare_spreader(channel: &Channel, name: &str, config: &Config) -> Result<(), BrokerError> {
    let mut arguments = FieldTable::default();
    if !config.partition_header.is_empty() {
        let header = LongString::from(config.partition_header.as_str());
        arguments.insert("hash-header".into(), AMQPValue::LongString(header));
    }
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let kind = ExchangeKind::Custom("x-consistent-hash".to_owned());
    let declared = channel.exchange_declare(name.into(), kind, options, arguments).await;
    declared.map_err(|error| match code(&error) {
        Some(COMMAND_INVALID | PRECONDITION_FAILED) => BrokerError::NoHashExchange(error.to_string()),
        _ => error.into(),
    })
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
    let declared = channel.exchange_declare(name.into(), kind, options, FieldTable::default()).await;
    declared.map_err(|error| match code(&error) {
        Some(PRECONDITION_FAILED) => {
            BrokerError::ExchangeDiffers { exchange: name.to_owned(), answer: error.to_string() }
        }
        _ => error.into(),
    })
}

/// The reply code of a broker that refuses.
fn code(error: &lapin::Error) -> Option<u16> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some(error.get_id()),
        _ => None,
    }
}

/// Checks for `check` whether the broker answers and accepts the credentials, and whether passive declarations exist.
/// Returns what differs from the settings. Nothing is consumed or created.
///
/// # Errors
/// What is wrong, in words.
pub async fn probe(config: &Config) -> Result<Vec<Remark>, BrokerError> {
    within(config.connect_timeout, async {
        let connection = open(config).await?;
        let remarks = match config.declare {
            Declare::Passive => declare(&connection, config).await?.1,
            Declare::Create => remarks(&connection, config).await?,
        };
        // An error is ignored: closing fails while a channel is being closed, as after a refused declaration.
        let _ = connection.close(200, "checked".into()).await;
        Ok(remarks)
    })
    .await
}

/// The remarks about existing exchanges and queues. Declaring an exchange or a queue that exists changes nothing.
async fn remarks(connection: &Connection, config: &Config) -> Result<Vec<Remark>, BrokerError> {
    let mut remarks = Vec::new();
    let channel = connection.create_channel().await?;
    let kind = || config.exchange_type.kind();
    match declare_exchange(&channel, &config.exchange, kind(), Declare::Passive).await {
        Ok(()) => declare_exchange(&channel, &config.exchange, kind(), Declare::Create).await?,
        Err(BrokerError::Amqp(error)) if code(&error) == Some(NOT_FOUND) => {}
        Err(error) => return Err(error),
    }
    if config.partitions > 1 && exists(&connection.create_channel().await?, &config.queue).await.is_ok() {
        remarks.push(Remark::Unread { queue: config.queue.clone() });
    }
    for queue in queues(config) {
        let channel = connection.create_channel().await?;
        match exists(&channel, &queue).await {
            Ok(()) => remarks.extend(declare_queue(connection, channel, config, &queue).await?.1),
            Err(error) if code(&error) == Some(NOT_FOUND) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(remarks)
}

//! A broker as a source: `RabbitMQ`, or another that speaks AMQP 0-9-1.
//!
//! # The contract for publishers
//!
//! Publish each event as one persistent message to the exchange (`forge.events`, a topic exchange, by default):
//!
//! - **body**: the JSON of a GitLab webhook, as GitLab sends it;
//! - **`message_id`**: names the event, for ever. Published twice, it is told once. Without it, only a repeat that the
//!   broker flags as redelivered is recognised, by its body;
//! - **`timestamp`**: when it happened (seconds). Decides whether the news is still fresh. Without it, the time of arrival;
//! - **`content_type`** `application/json`, **`type`** the event's name (`push`): for people who look into the queue;
//! - **routing key**: anything that the binding matches; `<event>.<project path with dots>` is a good choice.
//!
//! A quorum queue that somebody else makes (`declare = "passive"`) needs a high `x-delivery-limit`: from version 4 on,
//! RabbitMQ drops a message after 20 deliveries, and each lost connection counts as one.
//!
//! Publish the events of one thing (a merge request, a pipeline) in order over one channel, and they are told in order.
//!
//! # Supervision
//!
//! The connection is supervised here, not by the client library's recovery: a loss is seen at once and said in logs,
//! metrics and readiness. Whatever ends the stream (the broker gone, the channel closed by an exception, the queue
//! deleted) leads to the same thing: connect anew, declare anew, consume anew, for ever, with growing jittered pauses.
//! What was not acknowledged comes again, and is known as a repeat.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt};
use jiff::Timestamp;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicQosOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, Consumer, ExchangeKind};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tracing::{debug, info, warn};

use super::source::{Inbound, Receipt, Source};
use super::{Clock, after};
use crate::event::EventId;
use crate::metrics;
use crate::settings::Secret;
use crate::store::{BodyDigest, Origin};

/// `[amqp]`: where the broker is and what is consumed.
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
    /// What the queue is bound with.
    pub routing_keys: Vec<String>,
    pub declare: Declare,
    /// Messages that the broker may send ahead of acknowledgements.
    pub prefetch: u16,
    pub consumer_tag: String,
    /// Silence for twice this long is a lost connection.
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
    pub(super) fn kind(self) -> ExchangeKind {
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

/// Who makes exchange, queue and binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Declare {
    /// We do, durable, where they are missing.
    Create,
    /// Somebody else does: it is an error if they are missing.
    Passive,
}

/// How it stands with the broker, for readiness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrokerState {
    Connected,
    Away { since: Timestamp, why: String },
}

/// How often a quorum queue may deliver a message again before it drops it. RabbitMQ 4 drops after 20 unless told otherwise
/// (<https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling>), and every lost connection counts; we
/// acknowledge what we cannot read, so there is no poison to guard against.
const DELIVERY_LIMIT: i32 = 1_000_000;
/// The first pause between attempts to connect.
const RECONNECT_MIN: Duration = Duration::from_millis(200);
/// A connection that lives shorter than this is followed by a pause: a broker that lets in and throws out is not pressed.
const SHORT_LIFE: Duration = Duration::from_secs(5);
/// An acknowledgement that takes longer is a connection that is no more.
const ACK_TIMEOUT: Duration = Duration::from_secs(10);

/// Consumes from a broker.
pub struct Amqp {
    config: Config,
    clock: Clock,
    state: watch::Sender<BrokerState>,
    live: Option<Live>,
    /// Counts connections: a receipt of a former one acknowledges nothing.
    generation: u64,
    pause: Duration,
    connected_at: Timestamp,
    /// The last connection did not live long: the next one waits.
    hasty: bool,
}

/// One connection, with all that hangs on it.
struct Live {
    connection: Connection,
    channel: Channel,
    consumer: Consumer,
}

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

impl Amqp {
    /// A source that will connect when it is first asked; and how it stands, to watch.
    pub fn new(config: Config, clock: Clock) -> (Self, watch::Receiver<BrokerState>) {
        let away = BrokerState::Away { since: clock.now(), why: "not connected yet".to_owned() };
        let (state, receiver) = watch::channel(away);
        metrics::broker_connected(false);
        let clock_now = clock.now();
        let amqp = Self {
            config,
            clock,
            state,
            live: None,
            generation: 0,
            pause: RECONNECT_MIN,
            connected_at: clock_now,
            hasty: false,
        };
        (amqp, receiver)
    }

    /// Connects, for ever.
    async fn connected(&mut self) -> &mut Live {
        while self.live.is_none() {
            if std::mem::take(&mut self.hasty) {
                self.rest().await;
            }
            match connect(&self.config).await {
                Ok(live) => {
                    info!(queue = self.config.queue, "connected to the broker");
                    self.generation += 1;
                    self.connected_at = self.clock.now();
                    self.live = Some(live);
                    self.state.send_replace(BrokerState::Connected);
                    metrics::broker_connected(true);
                }
                Err(error) => {
                    warn!(%error, "cannot consume from the broker; trying again");
                    self.lost(&error.to_string());
                    self.rest().await;
                }
            }
        }
        self.live.as_mut().expect("the loop ends with a connection")
    }

    /// A jittered pause, the next one longer.
    async fn rest(&mut self) {
        let pause = self.pause.mul_f64(0.5 + super::deliver::jitter() / 2.0);
        self.pause = (self.pause * 2).min(self.config.reconnect_max);
        tokio::time::sleep(pause).await;
    }

    /// Forgets the connection, and says so.
    fn lost(&mut self, why: &str) {
        let now = self.clock.now();
        self.hasty = self.live.take().is_some() && now < after(self.connected_at, SHORT_LIFE);
        metrics::broker_connected(false);
        self.state.send_modify(|state| {
            let since = match state {
                BrokerState::Connected => now,
                BrokerState::Away { since, .. } => *since,
            };
            *state = BrokerState::Away { since, why: why.to_owned() };
        });
    }

    fn inbound(&self, delivery: Delivery) -> Inbound {
        let now = self.clock.now();
        let properties = &delivery.properties;
        let id = properties.message_id().as_ref().and_then(|id| EventId::new(id.as_str()));
        let sent = properties.timestamp().and_then(|s| Timestamp::from_second(i64::try_from(s).ok()?).ok());
        let digest = id.is_none().then(|| BodyDigest(Sha256::digest(&delivery.data).into()));
        Inbound {
            id,
            // A sender whose clock is ahead of ours must not make news that stays fresh for ever.
            occurred_at: sent.map_or(now, |sent| sent.min(now)),
            received_at: now,
            origin: Origin::Broker { digest, redelivered: delivery.redelivered },
            receipt: Receipt { generation: self.generation, number: delivery.delivery_tag },
            raw: delivery.data.into(),
        }
    }
}

#[async_trait]
impl Source for Amqp {
    fn name(&self) -> &'static str {
        "amqp"
    }

    async fn next(&mut self, at_most: usize) -> Vec<Inbound> {
        loop {
            let consumer = &mut self.connected().await.consumer;
            let first = match consumer.next().await {
                Some(Ok(delivery)) => delivery,
                Some(Err(error)) => {
                    warn!(%error, "lost the broker");
                    self.lost(&error.to_string());
                    continue;
                }
                None => {
                    warn!("the broker cancelled the consumer; was the queue deleted?");
                    self.lost("the broker cancelled the consumer");
                    continue;
                }
            };
            let mut deliveries = vec![first];
            // What else is there already; an error or an end is met again by the next call.
            while deliveries.len() < at_most
                && let Some(Some(Ok(delivery))) = consumer.next().now_or_never()
            {
                deliveries.push(delivery);
            }
            if self.clock.now() >= after(self.connected_at, SHORT_LIFE) {
                self.pause = RECONNECT_MIN;
            }
            return deliveries.into_iter().map(|delivery| self.inbound(delivery)).collect();
        }
    }

    async fn acknowledge(&mut self, last: Receipt) {
        let Some(live) = self.live.as_ref().filter(|_| last.generation == self.generation) else {
            debug!("the connection is another one by now; the broker will bring these again");
            return;
        };
        // Dispatch takes messages in order and commits them in order, so one acknowledgement covers all before it.
        let ack = live.channel.basic_ack(last.number, BasicAckOptions { multiple: true });
        let why = match tokio::time::timeout(ACK_TIMEOUT, ack).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {ACK_TIMEOUT:?}"),
        };
        warn!(error = why, "cannot acknowledge; the broker will bring these again");
        self.lost(&why);
    }

    async fn close(&mut self) {
        let Some(live) = self.live.take() else { return };
        let farewell = live.connection.close(200, "stopping".into());
        if !matches!(tokio::time::timeout(Duration::from_secs(5), farewell).await, Ok(Ok(()))) {
            debug!("the broker did not say goodbye");
        }
    }
}

/// Connects, declares and consumes.
async fn connect(config: &Config) -> Result<Live, BrokerError> {
    within(config.connect_timeout, async {
        let connection = open(config).await?;
        let channel = connection.create_channel().await?;
        channel.basic_qos(config.prefetch, BasicQosOptions::default()).await?;
        declare(&channel, config).await?;
        let consumer = channel
            .basic_consume(
                config.queue.as_str().into(),
                config.consumer_tag.as_str().into(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            )
            .await?;
        Ok(Live { connection, channel, consumer })
    })
    .await
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

/// Makes sure that exchange, queue and bindings are there.
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
    declare_exchange(channel, config).await?;
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

/// Makes sure that the exchange is there.
async fn declare_exchange(channel: &Channel, config: &Config) -> Result<(), BrokerError> {
    let passive = config.declare == Declare::Passive;
    channel
        .exchange_declare(
            config.exchange.as_str().into(),
            config.exchange_type.kind(),
            ExchangeDeclareOptions { passive, durable: true, ..ExchangeDeclareOptions::default() },
            FieldTable::default(),
        )
        .await?;
    Ok(())
}

/// Whether the broker answers, lets us in, and has what others should have made: for `check`.
///
/// # Errors
/// What is wrong, in words.
pub async fn probe(config: &Config) -> Result<(), BrokerError> {
    within(config.connect_timeout, async {
        let connection = open(config).await?;
        let channel = connection.create_channel().await?;
        // Nothing is consumed, and nothing is made: a look must not change what is looked at.
        if config.declare == Declare::Passive {
            declare(&channel, config).await?;
        }
        Ok(connection.close(200, "checked".into()).await?)
    })
    .await
}

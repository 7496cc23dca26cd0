//! The broker as a source.
//!
//! The connection is supervised here, not by the client library's recovery: a loss is seen at once and appears in logs,
//! metrics and readiness. Every end of the stream (the broker is gone, the channel is closed by an exception, the queue
//! is deleted) leads to the same thing: connect, declare and consume again, without end, with growing jittered pauses.
//! What was not acknowledged is delivered again, and is recognised as a repeat.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt};
use jiff::Timestamp;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, Consumer};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tracing::{debug, info, warn};

use super::connection::{BrokerError, Config, declare, open, within};
use crate::event::EventId;
use crate::metrics;
use crate::pipeline::deliver::jitter;
use crate::pipeline::source::{Inbound, Receipt, Source};
use crate::pipeline::{Clock, after};
use crate::store::{BodyDigest, Origin};

/// The state of the connection to the broker, for readiness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrokerState {
    Connected,
    Away { since: Timestamp, why: String },
}

/// The first pause between attempts to connect.
const RECONNECT_MIN: Duration = Duration::from_millis(200);
/// A connection that lives shorter than this is followed by a pause, so that a broker that accepts and closes connections is
/// not overloaded.
const SHORT_LIFE: Duration = Duration::from_secs(5);
/// After this time without an answer to an acknowledgement, the connection counts as lost.
const ACK_TIMEOUT: Duration = Duration::from_secs(10);

/// Consumes from a broker.
pub struct AmqpSource {
    config: Config,
    clock: Clock,
    state: watch::Sender<BrokerState>,
    live: Option<Live>,
    /// The number of connections so far. A receipt of a former connection acknowledges nothing.
    generation: u64,
    pause: Duration,
    connected_at: Timestamp,
    /// Whether the last connection was short, so that a pause precedes the next one.
    hasty: bool,
}

/// One connection, with its channel and consumer.
struct Live {
    connection: Connection,
    channel: Channel,
    consumer: Consumer,
}

impl AmqpSource {
    /// A source that connects at the first call of [`Source::next`], and the state of its connection to watch.
    pub fn new(config: Config, clock: Clock) -> (Self, watch::Receiver<BrokerState>) {
        let away = BrokerState::Away { since: clock.now(), why: "not connected yet".to_owned() };
        let (state, receiver) = watch::channel(away);
        metrics::broker_connected(false);
        let clock_now = clock.now();
        let source = Self {
            config,
            clock,
            state,
            live: None,
            generation: 0,
            pause: RECONNECT_MIN,
            connected_at: clock_now,
            hasty: false,
        };
        (source, receiver)
    }

    /// Connects, and tries again until that succeeds.
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

    /// Pauses with jitter. Each pause is longer than the one before.
    async fn rest(&mut self) {
        let pause = self.pause.mul_f64(0.5 + jitter() / 2.0);
        self.pause = (self.pause * 2).min(self.config.reconnect_max);
        tokio::time::sleep(pause).await;
    }

    /// Drops the connection, and reports the reason in its state.
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
            // A sender whose clock is fast must not make an event that never expires.
            occurred_at: sent.map_or(now, |sent| sent.min(now)),
            received_at: now,
            origin: Origin::Broker { digest, redelivered: delivery.redelivered },
            receipt: Receipt { generation: self.generation, number: delivery.delivery_tag },
            raw: delivery.data.into(),
        }
    }
}

#[async_trait]
impl Source for AmqpSource {
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
            // Messages that have arrived already. An error or an end comes again at the next call.
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

//! The broker as a source.
//!
//! The connection is supervised here, not by the client library's recovery: a loss is seen at once and appears in logs,
//! metrics and readiness. After every end of the stream (the broker is gone, the channel is closed by an exception, the
//! queue is deleted), the source connects, declares and consumes again, without end, with growing jittered pauses. The
//! broker delivers unacknowledged messages again, and they are recognised as repeats.
//!
//! Order: the broker delivers each queue to one consumer at a time, in order. The next consumer first gets the messages
//! that its predecessor did not acknowledge. So when a node commits an event, all events before it are committed. For
//! that, a consumer leaves by closing its socket ([`Socket`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tracing::{debug, info, warn};

use super::connection::{BrokerError, Config, Socket, open_with_socket, within};
use super::intake::{End, Intake, Message};
use super::prefetch::Prefetch;
use super::topology::{Remark, declare, queues};
use crate::digest::Digest;
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
/// After a connection that lived shorter than this, the source pauses. Otherwise it would overload a broker that
/// accepts and closes connections.
const SHORT_LIFE: Duration = Duration::from_secs(5);
/// After this time without an answer to an acknowledgement, the connection counts as lost.
const ACK_TIMEOUT: Duration = Duration::from_secs(10);

/// Consumes one queue of a broker.
pub struct AmqpSource {
    config: Config,
    queue: String,
    /// The consumer's priority, where nodes share several queues: the broker prefers the highest as the active
    /// consumer.
    priority: Option<i32>,
    clock: Clock,
    state: watch::Sender<BrokerState>,
    connected: Connected,
    live: Option<Live>,
    prefetch: Prefetch,
    /// The number of connections so far. A receipt of a former connection acknowledges nothing.
    generation: u64,
    pause: Duration,
    connected_at: Timestamp,
    /// Whether the last connection was short, so that a pause precedes the next one.
    hasty: bool,
}

/// One connection, in the order in which its parts are dropped: a channel that is dropped says farewell to the broker.
struct Link {
    socket: Socket,
    channel: Channel,
    connection: Connection,
}

/// One connection with its consumer. The intake is dropped first, which closes the socket.
struct Live {
    intake: Intake,
    channel: Channel,
    _connection: Connection,
}

/// How many of the sources are connected, for the metric.
#[derive(Clone)]
struct Connected {
    count: Arc<AtomicUsize>,
    all: usize,
}

impl AmqpSource {
    /// A source for each queue of the settings, which connects at the first call of [`Source::next`], and the state of its
    /// connection to watch. `node` is this node's name.
    pub fn all(config: &Config, node: &str, clock: &Clock) -> Vec<(Self, watch::Receiver<BrokerState>)> {
        let queues = queues(config);
        let connected = Connected { count: Arc::default(), all: queues.len() };
        metrics::broker_connected(false);
        let is_shared = queues.len() > 1;
        // The budget is the node's, whatever the number of queues.
        let prefetch_bytes = config.prefetch_bytes / queues.len();
        let config = Config { prefetch_bytes, ..config.clone() };
        let new = |queue: String| {
            let priority = is_shared.then(|| priority(node, &queue));
            Self::new(config.clone(), queue, priority, clock.clone(), connected.clone())
        };
        queues.into_iter().map(new).collect()
    }

    fn new(
        config: Config,
        queue: String,
        priority: Option<i32>,
        clock: Clock,
        connected: Connected,
    ) -> (Self, watch::Receiver<BrokerState>) {
        let now = clock.now();
        let away = BrokerState::Away { since: now, why: "not connected yet".to_owned() };
        let (state, receiver) = watch::channel(away);
        let prefetch = Prefetch::new(config.prefetch, config.prefetch_bytes);
        let source = Self {
            config,
            queue,
            priority,
            clock,
            state,
            connected,
            live: None,
            prefetch,
            generation: 0,
            pause: RECONNECT_MIN,
            connected_at: now,
            hasty: false,
        };
        (source, receiver)
    }

    /// Connects. Tries again until a connection succeeds.
    async fn connected(&mut self) -> &Live {
        while self.live.is_none() {
            if std::mem::take(&mut self.hasty) {
                self.rest().await;
            }
            match self.connect().await {
                Ok((live, remarks)) => {
                    self.generation += 1;
                    self.connected_at = self.clock.now();
                    self.live = Some(live);
                    let prefetch = self.prefetch.current();
                    if self.state.send_replace(BrokerState::Connected) == BrokerState::Connected {
                        debug!(queue = self.queue, prefetch, "consuming with another prefetch");
                    } else {
                        info!(queue = self.queue, "connected to the broker");
                        self.connected.one_more();
                        for remark in remarks.iter().filter(|remark| remark.queue() == self.queue) {
                            warn!("{remark}");
                        }
                    }
                }
                Err(error) => {
                    warn!(%error, "cannot consume from the broker; trying again");
                    self.lost(&error.to_string());
                    self.rest().await;
                }
            }
        }
        self.live.as_ref().expect("the loop ends with a connection")
    }

    /// Connects, declares and consumes.
    async fn connect(&self) -> Result<(Live, Vec<Remark>), BrokerError> {
        let config = &self.config;
        within(config.connect_timeout, async {
            let (connection, socket) = open_with_socket(config).await?;
            let (channel, remarks) = declare(&connection, config).await?;
            // If this is dropped while it waits for the broker's answer to `basic.consume`, the socket closes first.
            let link = Link { socket, channel, connection };
            link.channel.basic_qos(self.prefetch.current(), BasicQosOptions::default()).await?;
            let mut arguments = FieldTable::default();
            if let Some(priority) = self.priority {
                arguments.insert("x-priority".into(), AMQPValue::LongInt(priority));
            }
            let (queue, tag) = (self.queue.as_str().into(), config.consumer_tag.as_str().into());
            let options = BasicConsumeOptions::default();
            let consumer = link.channel.basic_consume(queue, tag, options, arguments).await?;
            let Link { socket, channel, connection } = link;
            let intake = Intake::start(consumer, socket, self.prefetch, config.message_limit);
            Ok((Live { intake, channel, _connection: connection }, remarks))
        })
        .await
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
        let state = self.state.borrow().clone();
        let since = match state {
            BrokerState::Connected => {
                self.connected.one_less();
                now
            }
            BrokerState::Away { since, .. } => since,
        };
        self.state.send_replace(BrokerState::Away { since, why: why.to_owned() });
    }

    /// Ends the connection. The next one uses this prefetch.
    fn connect_with(&mut self, prefetch: Prefetch) {
        self.prefetch = prefetch;
        self.live = None;
    }

    fn ended(&mut self, end: End) {
        match end {
            End::Lost(error) => {
                warn!(%error, "lost the broker");
                self.lost(&error.to_string());
            }
            End::Cancelled => {
                warn!("the broker cancelled the consumer; was the queue deleted?");
                self.lost("the broker cancelled the consumer");
            }
            End::OverBudget(prefetch) => {
                info!(
                    queue = self.queue,
                    prefetch = prefetch.current(),
                    "the messages exceed amqp.prefetch_bytes; connecting again for fewer at a time"
                );
                self.connect_with(prefetch);
            }
        }
    }

    fn inbound(&self, message: Message) -> Inbound {
        let now = self.clock.now();
        let Message { tag, redelivered, id, sent, body, size } = message;
        let digest = id.is_none().then(|| BodyDigest(Sha256::digest(&body).into()));
        let limit = self.config.message_limit;
        let refused = (size > limit).then(|| {
            format!(
                "it has {size} bytes, and amqp.message_limit is {limit}; only its first {} bytes were kept",
                body.len()
            )
        });
        Inbound {
            id,
            // A sender whose clock is ahead must not produce an event that expires too late.
            occurred_at: sent.map_or(now, |sent| sent.min(now)),
            received_at: now,
            origin: Origin::Broker { digest, redelivered },
            receipt: Receipt { generation: self.generation, number: tag },
            again: redelivered,
            raw: body,
            refused,
        }
    }
}

#[async_trait]
impl Source for AmqpSource {
    fn name(&self) -> &'static str {
        "amqp"
    }

    fn prefetch(&self) -> Option<usize> {
        Some(self.prefetch.current().into())
    }

    async fn next(&mut self, at_most: usize) -> Vec<Inbound> {
        loop {
            let live = self.connected().await;
            // Unacknowledged messages come again over the new connection, and are recognised as in hand.
            if let Some(prefetch) = live.intake.grown() {
                self.connect_with(prefetch);
                continue;
            }
            let messages = match live.intake.take(at_most).await {
                Ok(messages) => messages,
                Err(end) => {
                    self.ended(end);
                    continue;
                }
            };
            if self.clock.now() >= after(self.connected_at, SHORT_LIFE) {
                self.pause = RECONNECT_MIN;
            }
            return messages.into_iter().map(|message| self.inbound(message)).collect();
        }
    }

    async fn acknowledge(&mut self, last: Receipt) {
        let Some(live) = self.live.as_ref().filter(|_| last.generation == self.generation) else {
            debug!("the connection is another one by now; the broker will bring these again");
            return;
        };
        if live.intake.has_ended() {
            return; // the next call says why
        }
        // Dispatch acknowledges a message when all messages before it are finished, so one acknowledgement covers all
        // of them.
        let ack = live.channel.basic_ack(last.number, BasicAckOptions { multiple: true });
        let why = match tokio::time::timeout(ACK_TIMEOUT, ack).await {
            Ok(Ok(())) => {
                live.intake.acknowledged(last.number);
                return;
            }
            Ok(Err(_)) if live.intake.has_ended() => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {ACK_TIMEOUT:?}"),
        };
        warn!(error = why, "cannot acknowledge; the broker will bring these again");
        self.lost(&why);
    }

    async fn stand_by(&mut self) {
        if self.live.is_some() {
            warn!(
                queue = self.queue,
                "the store does not answer; other nodes may consume the queue meanwhile"
            );
            self.lost("not consuming, because the store does not answer this node");
        }
    }

    async fn close(&mut self) {
        self.live = None;
    }
}

impl Connected {
    fn one_more(&self) {
        self.show(self.count.fetch_add(1, Ordering::Relaxed) + 1);
    }

    fn one_less(&self) {
        self.show(self.count.fetch_sub(1, Ordering::Relaxed) - 1);
    }

    fn show(&self, count: usize) {
        metrics::broker_connected(count == self.all);
    }
}

/// A number that gives each queue another order of the nodes, so that they share the queues. `RabbitMQ` 4 makes the
/// consumer with the highest priority the active one; for older versions, it is the first consumer:
/// <https://www.rabbitmq.com/docs/consumer-priority>.
fn priority(node: &str, queue: &str) -> i32 {
    let number = Digest::of([node.as_bytes(), queue.as_bytes()]).number();
    i32::try_from(number.rem_euclid(1 << 31)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_nodes_prefer_different_queues() {
        let preferred =
            |queue: &u32| priority("one", &format!("q.{queue}")) > priority("two", &format!("q.{queue}"));
        let of_one = (0..100).filter(preferred).count();
        assert!((25..75).contains(&of_one), "{of_one} of 100");
    }
}

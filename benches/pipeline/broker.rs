//! The broker's side of the bench: queues that were never used before, filled at once or at a steady rate.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, ExchangeDeleteOptions,
    QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior};

use crate::events::Event;
use crate::figures::now_nanos;

/// The routing key of an event that no integration wants.
pub const UNWANTED: &str = "unwanted";
/// The routing key of all others.
const WANTED: &str = "bench";
/// How often a steady publisher gets up.
const TICK: Duration = Duration::from_millis(2);

/// A connection to publish with.
pub struct Broker {
    pub url: String,
    channel: Channel,
    _connection: Connection,
    queues: usize,
}

/// An exchange and the quorum queue that is bound to it, both with this name. One consumer at a time gets its messages, as in a
/// queue that Forgebell declares.
#[derive(Clone)]
pub struct Queue(pub String);

impl Broker {
    pub async fn connect(url: String) -> Result<Self> {
        let connection = Connection::connect(&url, ConnectionProperties::default());
        let connection = connection.await.context("cannot connect to the broker")?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(Self { url, channel, _connection: connection, queues: 0 })
    }

    /// Declares an empty one.
    pub async fn fresh_queue(&mut self) -> Result<Queue> {
        self.queues += 1;
        let queue = Queue(format!("forgebell-bench-{}-{}", std::process::id(), self.queues));
        let name = || queue.0.as_str().into();
        let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
        self.channel.exchange_declare(name(), ExchangeKind::Topic, durable, FieldTable::default()).await?;
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString(LongString::from("quorum")));
        arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
        let durable = QueueDeclareOptions { durable: true, ..Default::default() };
        self.channel.queue_declare(name(), durable, arguments).await?;
        let options = QueueBindOptions::default();
        self.channel.queue_bind(name(), name(), "#".into(), options, FieldTable::default()).await?;
        Ok(queue)
    }

    /// Takes it away; answers how many messages were left in it.
    pub async fn remove(&self, queue: &Queue) -> Result<u32> {
        let name = || queue.0.as_str().into();
        let left = self.channel.queue_purge(name(), QueuePurgeOptions::default()).await?;
        self.channel.queue_delete(name(), QueueDeleteOptions::default()).await?;
        self.channel.exchange_delete(name(), ExchangeDeleteOptions::default()).await?;
        Ok(left)
    }

    /// Publishes as fast as the broker takes it; it has confirmed all of them then.
    pub async fn fill(&self, queue: &Queue, events: &[Event]) -> Result<()> {
        for event in events {
            self.publish(queue, event).await?;
        }
        self.confirmed().await
    }

    /// Publishes so many a second; answers when each event was published, in their order.
    pub async fn trickle(&self, queue: &Queue, events: &[Event], rate: f64) -> Result<Vec<u64>> {
        let mut published = Vec::with_capacity(events.len());
        let mut ticks = tokio::time::interval(TICK);
        // Late is late: what was due meanwhile goes at the next tick, so that the rate is kept.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let start = Instant::now();
        while published.len() < events.len() {
            ticks.tick().await;
            let due = due(start.elapsed(), rate).min(events.len());
            for event in &events[published.len().min(due)..due] {
                published.push(now_nanos());
                self.publish(queue, event).await?;
            }
        }
        self.confirmed().await?;
        Ok(published)
    }

    async fn publish(&self, queue: &Queue, event: &Event) -> Result<()> {
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(2)
            .with_message_id(format!("{}-{}", queue.0, event.number).into())
            .with_timestamp(now_nanos() / 1_000_000_000);
        let key = if event.wanted { WANTED } else { UNWANTED };
        let (exchange, key) = (queue.0.as_str().into(), key.into());
        let options = BasicPublishOptions::default();
        // Confirmations are waited for together, at the end.
        drop(self.channel.basic_publish(exchange, key, options, &event.body, properties).await?);
        Ok(())
    }

    async fn confirmed(&self) -> Result<()> {
        let returned = self.channel.wait_for_confirms().await?;
        ensure!(returned.is_empty(), "the broker sent {} messages back", returned.len());
        Ok(())
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a small positive number of events"
)]
fn due(elapsed: Duration, rate: f64) -> usize {
    (elapsed.as_secs_f64() * rate) as usize
}

/// What the broker calls itself, from the greeting with which every connection begins.
pub async fn version(url: &str) -> Result<String> {
    let uri: lapin::uri::AMQPUri = url.parse().map_err(anyhow::Error::msg)?;
    let mut stream = TcpStream::connect((uri.authority.host.as_str(), uri.authority.port)).await?;
    stream.write_all(b"AMQP\0\0\x09\x01").await?;
    let mut greeting = vec![0; 4096];
    let length = stream.read(&mut greeting).await?;
    let greeting = &greeting[..length];
    let property = |name: &str| long_string(greeting, name).unwrap_or_default();
    Ok(format!("{} {}, {}, one quorum queue", property("product"), property("version"), property("platform")))
}

/// A long string in an AMQP table, by its key.
fn long_string(table: &[u8], key: &str) -> Option<String> {
    let tag = [key.as_bytes(), b"S"].concat();
    let at = table.windows(tag.len()).position(|bytes| bytes == tag)? + tag.len();
    let length = u32::from_be_bytes(table.get(at..at + 4)?.try_into().ok()?) as usize;
    Some(String::from_utf8_lossy(table.get(at + 4..at + 4 + length)?).into_owned())
}

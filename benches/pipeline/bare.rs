//! The bare loop: what there is to compare with. It consumes, posts and acknowledges, and does nothing else: no
//! matching, no composing, no limits, no retries, nothing durable. A process of its own, as Forgebell is.
//!
//! It is as quick as we could make it without cheating, with the same libraries, client settings, prefetch and number
//! of requests in flight. A message is acknowledged when it was posted and not before; one acknowledgement covers all
//! messages up to the first that is not finished, without waiting for it.

use std::collections::VecDeque;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties};
use tokio::signal::unix::{SignalKind, signal};

/// The word by which this executable, started again, becomes the bare loop.
pub const ROLE: &str = "role:bare";
/// Messages that one acknowledgement covers, where there is a choice.
const ACK_EVERY: u64 = 64;

/// Where to consume, where to post, and how much at once.
pub struct Order {
    pub broker: String,
    pub queue: String,
    pub address: String,
    pub in_flight: usize,
    pub prefetch: u16,
}

impl Order {
    /// As arguments for the process that will be the bare loop.
    pub fn arguments(&self) -> [String; 6] {
        let Self { broker, queue, address, in_flight, prefetch } = self;
        let words = [ROLE, broker, queue, address, &in_flight.to_string(), &prefetch.to_string()];
        words.map(str::to_owned)
    }

    /// Reads what [`Self::arguments`] wrote, after the role.
    pub fn read(arguments: &[String]) -> Result<Self> {
        let [broker, queue, address, in_flight, prefetch] = arguments else {
            anyhow::bail!("the bare loop wants five arguments");
        };
        Ok(Self {
            broker: broker.clone(),
            queue: queue.clone(),
            address: address.clone(),
            in_flight: in_flight.parse()?,
            prefetch: prefetch.parse()?,
        })
    }
}

/// Runs the bare loop until a termination signal.
pub fn run(order: &Order) -> Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work(order))
}

async fn work(order: &Order) -> Result<ExitCode> {
    let mut stop = signal(SignalKind::terminate())?;
    let client = client(order.in_flight)?;
    let connection = Connection::connect(&order.broker, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.basic_qos(order.prefetch, BasicQosOptions::default()).await?;
    let (queue, tag) = (order.queue.as_str().into(), "bare".into());
    let mut consumer =
        channel.basic_consume(queue, tag, BasicConsumeOptions::default(), FieldTable::default()).await?;
    let mut posting = FuturesUnordered::new();
    let mut acknowledged = Acknowledged::default();
    loop {
        tokio::select! {
            _ = stop.recv() => break,
            Some(posted) = posting.next() => {
                acknowledged.posted(posted?);
                // Those that ended meanwhile go with the same acknowledgement.
                while let Some(Some(posted)) = posting.next().now_or_never() {
                    acknowledged.posted(posted?);
                }
                acknowledged.tell(&channel, posting.is_empty()).await?;
            }
            delivery = consumer.next(), if posting.len() < order.in_flight => {
                let delivery = delivery.context("the consumer was cancelled")??;
                posting.push(post(&client, &order.address, delivery));
            }
        }
    }
    while let Some(posted) = posting.next().await {
        acknowledged.posted(posted?);
    }
    acknowledged.tell(&channel, true).await?;
    connection.close(200, "done".into()).await?;
    Ok(ExitCode::SUCCESS)
}

/// As `wire::http` has it, as far as it is used here.
fn client(in_flight: usize) -> Result<reqwest::Client> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .user_agent("bare")
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(Duration::from_secs(5))
        .pool_idle_timeout(Duration::from_secs(30))
        .pool_max_idle_per_host(in_flight)
        .no_proxy();
    Ok(builder.build()?)
}

/// Posts a message as it is; answers with its delivery tag.
async fn post(client: &reqwest::Client, address: &str, delivery: Delivery) -> Result<u64> {
    let request = client.post(address).header("content-type", "application/json").body(delivery.data);
    let answer = request.timeout(Duration::from_secs(10)).send().await?;
    ensure!(answer.status().is_success(), "answered {}", answer.status());
    answer.bytes().await?;
    Ok(delivery.delivery_tag)
}

/// What was posted, and how far it was acknowledged.
#[derive(Default)]
struct Acknowledged {
    /// The last tag that was acknowledged to the broker.
    told: u64,
    /// The last tag up to which all were posted.
    complete: u64,
    /// Whether those after it were.
    posted: VecDeque<bool>,
}

impl Acknowledged {
    fn posted(&mut self, tag: u64) {
        let place = usize::try_from(tag - self.complete).expect("a tag is near the last one") - 1;
        if self.posted.len() <= place {
            self.posted.resize(place + 1, false);
        }
        self.posted[place] = true;
        while self.posted.front() == Some(&true) {
            self.posted.pop_front();
            self.complete += 1;
        }
    }

    /// Acknowledges what can be, if that is much or nothing more is under way.
    async fn tell(&mut self, channel: &Channel, idle: bool) -> Result<()> {
        let much = self.complete - self.told >= ACK_EVERY;
        if much || (idle && self.complete > self.told) {
            self.told = self.complete;
            channel.basic_ack(self.complete, BasicAckOptions { multiple: true }).await?;
        }
        Ok(())
    }
}

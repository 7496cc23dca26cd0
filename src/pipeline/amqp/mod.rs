//! The broker: `RabbitMQ`, or another that speaks AMQP 0-9-1.
//!
//! - [`AmqpSource`] consumes events;
//! - [`Publisher`] publishes events as a forge does, for `forgebell publish`, the demo and the benches;
//! - [`Commands`] publishes people's commands for the forge.
//!
//! # The contract for publishers
//!
//! Publish each event as one persistent message to the exchange (`forge.events`, a topic exchange, by default):
//!
//! - **body**: the JSON of a GitLab webhook, as GitLab sends it;
//! - **`message_id`**: names the event, permanently. An event that is published twice is delivered once. Without an id,
//!   only a repeat that the broker flags as redelivered is recognised, by its body;
//! - **`timestamp`**: when it happened (seconds). It decides whether the event is still fresh. Without it, the time of
//!   arrival counts;
//! - **`content_type`** `application/json`, **`type`** the event's name (`push`): for people who look into the queue;
//! - **routing key**: anything that the binding matches; `<event>.<project path with dots>` is a good choice.
//!
//! A quorum queue that is declared elsewhere (`declare = "passive"`) needs a high `x-delivery-limit`: from version 4 on,
//! RabbitMQ drops a message after 20 deliveries, and each lost connection counts as one.
//!
//! Publish the events of one subject (a merge request, a pipeline) in order over one channel: they are delivered in order.

mod commands;
mod connection;
mod publisher;
mod source;

pub use commands::{Commands, Config as CommandsConfig};
pub use connection::{BrokerError, Config, Declare, ExchangeType, QueueType, probe};
pub use publisher::{PublishError, Publisher};
pub use source::{AmqpSource, BrokerState};

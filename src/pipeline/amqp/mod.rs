//! The broker: `RabbitMQ`, or another that speaks AMQP 0-9-1.
//!
//! - [`AmqpSource`] consumes events: `topology` declares the queue, `intake` holds the messages that have arrived, and
//!   `prefetch` decides how many the broker may send ahead;
//! - [`Publisher`] publishes events as a forge does, for `forgebell publish`, the demo and the benches;
//! - [`Commands`] publishes people's commands for the forge.
//!
//! # The contract for publishers
//!
//! Publish each event as one persistent message to the exchange (`forge.events`, a topic exchange, by default):
//!
//! - **body**: the JSON of a GitLab webhook, as GitLab sends it;
//! - **`message_id`**: names the event, permanently. An event that is published twice is delivered once. Without an id,
//!   only a repeat that the broker flags as redelivered is recognised, by its body, within ten minutes;
//! - **`timestamp`**: when it happened (seconds). It decides whether the event is still fresh. Without it, the time of
//!   arrival counts;
//! - **`content_type`** `application/json`, **`type`** the event's name (`push`): for people who look into the queue;
//! - **routing key**: anything that the binding matches; `<event>.<project path with dots>` is a good choice;
//! - **header `project`**: the project's id (a text), where there are partitions: the events of a project go to one partition.
//!   Events without the header all go to the same partition.
//!
//! Publish the events of one subject (a merge request, a pipeline) in order over one channel: they are delivered in order.
//!
//! # The contract for queues
//!
//! A queue that is declared elsewhere (`declare = "passive"`) needs:
//!
//! - `x-single-active-consumer`, if several nodes read it: otherwise the broker gives neighbouring events to different nodes,
//!   which dispatch them in any order;
//! - for a quorum queue, a high `x-delivery-limit`: from version 4 on, RabbitMQ drops a message after 20 deliveries, and each
//!   lost connection counts as one.

mod commands;
mod connection;
mod intake;
mod prefetch;
mod publisher;
mod source;
mod topology;

pub use commands::{Commands, Config as CommandsConfig};
pub use connection::{BrokerError, Config, Declare, ExchangeType, QueueType};
pub use publisher::{PublishError, Publisher};
pub use source::{AmqpSource, BrokerState};
pub use topology::{Remark, probe};

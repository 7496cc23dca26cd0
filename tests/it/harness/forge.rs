//! The forge: sends events to a daemon, over HTTP or through the broker that the tests share.

use forgebell::event::EventId;
use forgebell::pipeline::publish::Publisher;

use super::daemon::{Daemon, Home};
use super::rabbit;

/// One way for events to come in.
pub enum Forge {
    Http,
    Amqp { url: String, queue: String },
}

impl Forge {
    pub fn http() -> Self {
        Self::Http
    }

    /// Over the shared broker, with a queue of its own.
    pub async fn amqp() -> Self {
        Self::Amqp { url: rabbit::shared().await.url(), queue: rabbit::unique("events") }
    }

    /// A home for a daemon that this forge can reach.
    pub fn home(&self, provisioning: &str) -> Home {
        let home = Home::new(provisioning);
        match self {
            Self::Http => home,
            Self::Amqp { url, queue } => home.with_broker(url, queue),
        }
    }

    /// Sends one event; when it returns, the daemon or the broker has it.
    pub async fn send(&self, daemon: &Daemon, id: &str, body: Vec<u8>) {
        match self {
            Self::Http => {
                daemon.send(id, body).await;
            }
            Self::Amqp { url, queue } => {
                let config = Home::new("").with_broker(url, queue).config().amqp;
                let publisher = Publisher::connect(&config).await.expect("the shared broker is there");
                let id = EventId::new(id).expect("a short id");
                let now = forgebell::daemon::now();
                publisher.publish(&id, "event", "test", now, &body).await.expect("the broker confirms");
                publisher.close().await;
            }
        }
    }
}

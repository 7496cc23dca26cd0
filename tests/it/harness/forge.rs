//! The forge: sends events to a daemon, over HTTP or through the broker that the tests share.

use forgebell::event::EventId;
use forgebell::pipeline::amqp::Publisher;

use super::daemon::{Daemon, Home};
use super::{postgres, rabbit};

/// One way for events to come in.
pub enum Forge {
    Http,
    /// The same, to a daemon whose store is this PostgreSQL database.
    HttpOnPostgres {
        url: String,
    },
    Amqp {
        url: String,
        queue: String,
        publisher: Box<Publisher>,
    },
}

impl Forge {
    pub fn http() -> Self {
        Self::Http
    }

    /// Over HTTP, to a daemon with a database of its own.
    pub fn http_on_postgres() -> Self {
        Self::HttpOnPostgres { url: postgres::database() }
    }

    /// Over the shared broker, with a queue of its own.
    pub async fn amqp() -> Self {
        Self::through(&rabbit::shared().await.url()).await
    }

    /// Over a broker of the test's own.
    pub async fn through(url: &str) -> Self {
        let queue = rabbit::unique("events");
        let config = Home::new("").with_broker(url, &queue).config().amqp;
        let publisher = Publisher::connect(&config).await.expect("the broker is there");
        Self::Amqp { url: url.to_owned(), queue, publisher: Box::new(publisher) }
    }

    /// A home for a daemon that this forge can reach.
    pub fn home(&self, provisioning: &str) -> Home {
        let home = Home::new(provisioning);
        match self {
            Self::Http => home,
            Self::HttpOnPostgres { url } => home.with_postgres(url, "node"),
            Self::Amqp { url, queue, .. } => home.with_broker(url, queue),
        }
    }

    /// Sends one event; when it returns, the daemon or the broker has it.
    pub async fn send(&self, daemon: &Daemon, id: &str, body: Vec<u8>) {
        match self {
            Self::Http | Self::HttpOnPostgres { .. } => {
                daemon.send(id, body).await;
            }
            Self::Amqp { publisher, .. } => {
                let id = EventId::new(id).expect("a short id");
                let now = forgebell::daemon::now();
                publisher.publish(&id, "event", "test", now, &body).await.expect("the broker confirms");
            }
        }
    }
}

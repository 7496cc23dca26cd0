//! The connection to a broker, and its settings.

use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapin::tcp::{AsyncTcpStream, OwnedTLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Connection, ConnectionProperties, ErrorKind, ExchangeKind};
use serde::Deserialize;

use crate::settings::Secret;

/// `[amqp]`: the broker's address and what is consumed.
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
    /// Whether the broker delivers to one node at a time, which keeps the order where several nodes read one queue.
    pub single_active_consumer: bool,
    /// The number of queues that the events are spread over, by their project.
    pub partitions: u16,
    /// The header that names an event's project. Events are spread by its value. Empty: they are spread by the routing
    /// key.
    pub partition_header: String,
    /// The routing keys that the queue is bound with.
    pub routing_keys: Vec<String>,
    pub declare: Declare,
    /// Messages that the broker may send ahead of acknowledgements, at most.
    pub prefetch: u16,
    /// The most bytes of unacknowledged messages. Where messages are large, the broker sends fewer ahead.
    pub prefetch_bytes: usize,
    /// The largest message that is read, in bytes. Of a larger message, only the beginning is kept, in quarantine.
    pub message_limit: usize,
    pub consumer_tag: String,
    /// After twice this time without traffic, the connection counts as lost.
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
    /// Replicated where the broker has several nodes, and faster than a classic queue even on one node.
    Quorum,
    Classic,
}

/// Who declares exchange, queue and binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Declare {
    /// Forgebell declares them, durable, where they are missing.
    Create,
    /// Exchange, queue and binding must exist already. It is an error if one is missing.
    Passive,
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
    /// An exchange of this name has other properties than the settings.
    #[error(
        "exchange `{exchange}` exists and was declared otherwise: {answer}. Set amqp.exchange_type to its type (of \
         amqp.exchange; that of commands.exchange must be topic), or use another name"
    )]
    ExchangeDiffers { exchange: String, answer: String },
    /// The broker can't make the exchange that partitions need.
    #[error(
        "the broker has no consistent-hash exchanges, which amqp.partitions needs: {0}. Run `rabbitmq-plugins enable \
         rabbitmq_consistent_hash_exchange` on each of its nodes, or set amqp.partitions = 1"
    )]
    NoHashExchange(String),
    #[error("{0}")]
    Amqp(#[from] lapin::Error),
}

/// <https://www.rabbitmq.com/amqp-0-9-1-reference#constants>
const ACCESS_REFUSED: u16 = 403;
const NOT_FOUND: u16 = 404;
const NOT_ALLOWED: u16 = 530;

impl BrokerError {
    /// What the operator should do about the error, by the broker's error code.
    pub fn remedy(&self) -> String {
        let reachable = "is it running, and are host and port in `amqp.url` right?";
        match self {
            Self::Url(_) => "write amqp.url as amqp://USER:PASSWORD@HOST:5672/VHOST".to_owned(),
            Self::CaFile { .. } => "name a file that this user may read: `amqp.ca_file`".to_owned(),
            Self::Timeout(_) => reachable.to_owned(),
            // The messages of these errors name the remedy.
            Self::ExchangeDiffers { .. } | Self::NoHashExchange(_) => String::new(),
            Self::Amqp(error) => match error.kind() {
                ErrorKind::ProtocolError(answer) => {
                    let says = answer.get_message().to_string();
                    match answer.get_id() {
                        ACCESS_REFUSED if says.to_ascii_lowercase().contains("login") => {
                            "the broker refuses the login: correct user and password in `amqp.url`".to_owned()
                        }
                        ACCESS_REFUSED => {
                            "the login is right, and the user lacks a permission there: grant it (`rabbitmqctl \
                             set_permissions`)"
                                .to_owned()
                        }
                        NOT_FOUND => "it does not exist: create it, or set amqp.declare = \"create\"".to_owned(),
                        NOT_ALLOWED if says.contains("refused for user") => {
                            "the login is right, and the user may not use this virtual host: grant it (`rabbitmqctl \
                             set_permissions -p VHOST USER ...`)"
                                .to_owned()
                        }
                        NOT_ALLOWED if says.contains("not found") => {
                            "there is no such virtual host: correct the end of `amqp.url`, or create it (`rabbitmqctl \
                             add_vhost`)"
                                .to_owned()
                        }
                        _ => "the broker's answer names the cause".to_owned(),
                    }
                }
                ErrorKind::IOError(_) => reachable.to_owned(),
                _ => "the message names the cause".to_owned(),
            },
        }
    }
}

/// Limits the time of a call. A broker process that is suspended never answers, and the client's own time-out does not
/// notice that.
pub(super) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, BrokerError>>,
) -> Result<T, BrokerError> {
    tokio::time::timeout(limit, work).await.unwrap_or(Err(BrokerError::Timeout(limit)))
}

/// The socket under a connection. Dropping it closes the connection at once, without the protocol's farewell.
///
/// This is how a consumer must leave a queue. After a farewell (`basic.cancel`, `channel.close` or `connection.close`), a
/// quorum queue delivers what follows to the next consumer *before* it takes back the messages that the former one did
/// not acknowledge, so that the next consumer gets newer messages first. After a lost connection, it takes them back
/// first. Measured with `RabbitMQ` 3.10.8: the order was broken by `basic.cancel` with unacknowledged messages, and by none
/// of 164 lost connections.
pub(super) struct Socket(TcpStream);

impl Drop for Socket {
    fn drop(&mut self) {
        // Fails only where the connection has ended already.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// Opens a connection that ends with a farewell.
pub(super) async fn open(config: &Config) -> Result<Connection, BrokerError> {
    let runtime = lapin::runtime::default_runtime()?;
    Ok(Connection::connect_uri_with_config(uri(config)?, properties(), tls(config)?, runtime).await?)
}

/// Opens a connection that ends when the socket is dropped.
pub(super) async fn open_with_socket(config: &Config) -> Result<(Connection, Socket), BrokerError> {
    let tls = tls(config)?;
    let opened: Arc<Mutex<Option<TcpStream>>> = Arc::default();
    let keep = Arc::clone(&opened);
    let connection = Connection::connector(
        uri(config)?,
        lapin::runtime::default_runtime()?,
        // As `Connection::connect_uri_with_config` does, but with a second handle of the socket.
        async move |uri, runtime| {
            let addresses = runtime.to_socket_addrs((uri.authority.host.clone(), uri.authority.port));
            let stream = AsyncTcpStream::connect(&runtime, addresses).await?;
            if let AsyncTcpStream::Plain(plain) = &stream {
                let handle = plain.get_ref().as_fd().try_clone_to_owned()?;
                *keep.lock().unwrap_or_else(PoisonError::into_inner) = Some(handle.into());
            }
            match uri.scheme {
                AMQPScheme::AMQP => Ok(stream),
                AMQPScheme::AMQPS => Ok(stream.into_tls(&uri.authority.host, tls.as_ref()).await?),
            }
        },
        properties(),
    );
    let connection = connection.await?;
    let socket = opened.lock().unwrap_or_else(PoisonError::into_inner).take();
    let socket = socket.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotConnected));
    Ok((connection, Socket(socket.map_err(lapin::Error::from)?)))
}

fn uri(config: &Config) -> Result<AMQPUri, BrokerError> {
    let mut uri: AMQPUri = config.url.expose().parse().map_err(BrokerError::Url)?;
    uri.query.heartbeat = Some(u16::try_from(config.heartbeat.as_secs()).unwrap_or(u16::MAX).max(1));
    Ok(uri)
}

fn tls(config: &Config) -> Result<OwnedTLSConfig, BrokerError> {
    let cert_chain = match &config.ca_file {
        None => None,
        Some(file) => Some(
            std::fs::read_to_string(file)
                .map_err(|error| BrokerError::CaFile { file: file.display().to_string(), error })?,
        ),
    };
    Ok(OwnedTLSConfig { cert_chain, identity: None })
}

fn properties() -> ConnectionProperties {
    ConnectionProperties::default().with_connection_name("forgebell".into())
}

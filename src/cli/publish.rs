//! `publish`: events handed in as a forge would, to the broker or over HTTP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use bytes::Bytes;
use clap::ValueHint;
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use url::Url;

use super::events_client::{Answer, Credentials, EventsClient};
use super::explain::{fresh_id, read, title};
use super::options::Options;
use super::{say, say_json};
use crate::config::Config;
use crate::daemon;
use crate::event::{Event, EventId};
use crate::pipeline::amqp;
use crate::pipeline::amqp::Publisher;
use crate::settings::Secret;

#[derive(Debug, clap::Args)]
#[command(after_help = "For example:\n  \
    forgebell publish payloads/push.json\n  \
    forgebell publish --to http --url http://127.0.0.1:8090/events --token-file token push.json")]
pub(super) struct Args {
    /// Webhook payloads (JSON); `-` reads standard input
    #[arg(required = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    files: Vec<PathBuf>,
    /// How to send; by default over the broker if `amqp.enabled` is true, else over HTTP
    #[arg(long, value_enum)]
    to: Option<Way>,
    /// The broker's URL (amqp://…) or the HTTP server's (http://…/events), instead of the configured one
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    url: Option<String>,
    /// The token for events over HTTP, instead of the configured token and signing token
    #[arg(long, value_name = "TOKEN", conflicts_with = "token_file")]
    token: Option<String>,
    /// A file that holds the token for events over HTTP
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    token_file: Option<PathBuf>,
    /// The event's id, instead of a new one; with several files, -1, -2 … are appended
    #[arg(long, value_parser = id)]
    id: Option<EventId>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Way {
    /// Over AMQP
    Broker,
    /// Over HTTP
    Http,
}

fn id(text: &str) -> Result<EventId, String> {
    EventId::new(text)
        .ok_or_else(|| format!("ids are printable, and at most {} characters", EventId::MAX_LEN))
}

pub(super) async fn run(args: Args, options: &Options) -> anyhow::Result<ExitCode> {
    let config = options.config_for(&["http", "amqp"])?;
    let named = args.url.as_deref().map(|url| if url.starts_with("amqp") { Way::Broker } else { Way::Http });
    let configured = if config.amqp.enabled { Way::Broker } else { Way::Http };
    let to = match args.to.or(named).unwrap_or(configured) {
        Way::Broker => To::broker(&config, args.url.as_deref()).await?,
        Way::Http => To::Http(Box::new(events_client(&config, &args)?)),
    };
    let mut code = ExitCode::SUCCESS;
    let several = args.files.len() > 1;
    let mut output = Vec::new();
    for (number, file) in args.files.iter().enumerate() {
        let id = match &args.id {
            None => fresh_id(),
            Some(id) if several => self::id(&format!("{id}-{}", number + 1)).map_err(anyhow::Error::msg)?,
            Some(id) => id.clone(),
        };
        let message = Message::new(id, read(file)?, daemon::now());
        let answer = to.send(&message).await.with_context(|| format!("cannot publish {}", file.display()))?;
        if let Answer::Refused(_) = answer {
            code = ExitCode::FAILURE;
        }
        if args.json {
            output.push(as_json(&file.display().to_string(), &message, &answer));
        } else {
            say(&format!("{}: {}", file.display(), words(&message, &answer)))?;
        }
    }
    if args.json {
        say_json(&output)?;
    }
    if let To::Broker(publisher) = to {
        publisher.close().await;
    }
    Ok(code)
}

/// The destination of the events.
pub(super) enum To {
    Broker(Box<Publisher>),
    Http(Box<EventsClient>),
}

/// An event as a forge sends it: its bytes and the message's properties.
pub(super) struct Message {
    id: EventId,
    at: Timestamp,
    kind: &'static str,
    /// The id of the event's project.
    project: Option<i64>,
    routing_key: String,
    title: String,
    body: Bytes,
}

impl Message {
    pub(super) fn new(id: EventId, body: Bytes, at: Timestamp) -> Self {
        let event = Event::decode(id.clone(), at, body.clone()).ok();
        let kind = event.as_ref().map_or("unknown", Event::kind);
        let project = event.as_ref().and_then(|event| event.project.as_ref());
        let path = project.map(|project| project.path_with_namespace.replace('/', "."));
        let project = project.map(|project| project.id);
        let routing_key = match path.filter(|path| !path.is_empty()) {
            Some(path) => format!("{kind}.{path}"),
            None => kind.to_owned(),
        };
        let title = event.as_ref().map_or_else(|| "something that is no event".to_owned(), title);
        Self { id, at, kind, project, routing_key, title, body }
    }
}

impl To {
    async fn broker(config: &Config, url: Option<&str>) -> anyhow::Result<Self> {
        let mut amqp = config.amqp.clone();
        if let Some(url) = url {
            amqp.url = Secret::new(url);
        }
        Self::to_broker(&amqp).await
    }

    pub(super) async fn to_broker(config: &amqp::Config) -> anyhow::Result<Self> {
        let publisher = Publisher::connect(config).await.context("cannot reach the broker")?;
        Ok(Self::Broker(Box::new(publisher)))
    }

    /// Sends one event.
    ///
    /// # Errors
    /// There was no answer. A refusal counts as an answer.
    pub(super) async fn send(&self, message: &Message) -> anyhow::Result<Answer> {
        let Message { id, at, kind, project, routing_key, body, .. } = message;
        match (self, project) {
            (Self::Http(client), _) => return client.send(id, kind, *at, body.clone()).await,
            (Self::Broker(publisher), Some(project)) => {
                let project = project.to_string();
                publisher.publish_of_project(&project, id, kind, routing_key, *at, body).await?;
            }
            (Self::Broker(publisher), None) => publisher.publish(id, kind, routing_key, *at, body).await?,
        }
        Ok(Answer::Accepted)
    }
}

fn events_client(config: &Config, args: &Args) -> anyhow::Result<EventsClient> {
    let url = args.url.clone().unwrap_or_else(|| format!("http://{}/events", near(config.http.listen)));
    let url: Url = url.parse().with_context(|| format!("{url} is no URL"))?;
    let given = match (&args.token, &args.token_file) {
        (Some(token), _) => Some(Secret::new(token)),
        (None, Some(file)) => {
            let token =
                std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            Some(Secret::new(token.trim()))
        }
        (None, None) => None,
    };
    let credentials = if given.is_some() {
        Credentials { token: given, signing_keys: None }
    } else {
        let config = &config.http;
        Credentials { token: config.webhook_token.clone(), signing_keys: config.signing_keys.clone() }
    };
    EventsClient::new(&config.wire, url, credentials)
}

/// The address to call for an address that the daemon listens on: loopback where it listens on all addresses.
pub(super) fn near(mut listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => listen.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => listen.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    listen
}

fn words(message: &Message, answer: &Answer) -> String {
    let Message { id, title, .. } = message;
    match answer {
        Answer::Accepted => format!("accepted as {id}: {title}"),
        Answer::Repeated => format!("was here before as {id}: {title}"),
        Answer::Dropped(why) => format!("accepted and dropped, because {why}: {title}"),
        Answer::Refused(why) => format!("refused: {why}"),
    }
}

fn as_json(file: &str, message: &Message, answer: &Answer) -> Json {
    let (word, why) = match answer {
        Answer::Accepted => ("accepted", None),
        Answer::Repeated => ("repeated", None),
        Answer::Dropped(why) => ("dropped", Some(why)),
        Answer::Refused(why) => ("refused", Some(why)),
    };
    json!({ "file": file, "id": message.id.as_str(), "kind": message.kind, "answer": word, "why": why })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Trigger, sample};

    #[test]
    fn a_message_says_beside_its_body_what_it_is() {
        let raw = sample(Trigger::TagPush).raw;
        let message = Message::new(id("m-1").unwrap(), raw, Timestamp::UNIX_EPOCH);
        assert_eq!((message.kind, message.routing_key.as_str()), ("tag_push", "tag_push.acme.rocket"));
        assert!(
            words(&message, &Answer::Accepted).starts_with("accepted as m-1: tag_push event of acme/rocket")
        );
        let output = as_json("a.json", &message, &Answer::Refused("401: wrong token".to_owned()));
        let expected = json!({
            "file": "a.json", "id": "m-1", "kind": "tag_push", "answer": "refused", "why": "401: wrong token"
        });
        assert_eq!(output, expected);
        let why = "the ref `refs/pull/1/head` is neither a branch nor a tag";
        let said = words(&message, &Answer::Dropped(why.to_owned()));
        assert!(said.starts_with(&format!("accepted and dropped, because {why}: ")), "{said}");
        let broken = Message::new(id("m-2").unwrap(), Bytes::from_static(b"{"), Timestamp::UNIX_EPOCH);
        assert_eq!((broken.kind, broken.routing_key.as_str()), ("unknown", "unknown"));
    }

    #[test]
    fn ids_are_checked_before_anything_is_sent() {
        assert!(id("  ").is_err() && id("ok-1").is_ok());
    }
}

//! The rules for settings that no type expresses.

use std::time::Duration;

use super::{MaxAge, Node, ServiceHosts};
use crate::adapters::operator::ForgeConfig as Forge;
use crate::adapters::operator::GoogleConfig as Google;
use crate::adapters::operator::MailConfig as Mail;
use crate::api::Config as Http;
use crate::pipeline::Config as Delivery;
use crate::pipeline::amqp::CommandsConfig as Commands;
use crate::pipeline::amqp::Config as Amqp;
use crate::pipeline::retry::Config as Retry;
use crate::pipeline::status_poller::Config as Asked;
use crate::store::Config as Store;
use crate::wire::Config as Wire;
use crate::wire::pace::Config as RateLimits;
use crate::wire::smtp::Config as Smtp;

/// A key, and what is wrong with its value.
pub(super) type Problem = (String, &'static str);

/// One rule: a condition, the key it is about, and the message where the condition does not hold.
type Rule = (bool, &'static str, &'static str);

const ABOVE_0: &str = "must be above 0";
/// Each partition takes a connection and a task on each node.
const MOST_PARTITIONS: u16 = 64;
const NAMED: &str = "must not be empty";
const NONE: Duration = Duration::ZERO;

fn broken(rules: &[Rule]) -> Vec<Problem> {
    let broken = rules.iter().filter(|(holds, ..)| !holds);
    broken.map(|(_, key, problem)| ((*key).to_owned(), *problem)).collect()
}

/// The rules of a section in which every value that the types allow is valid.
pub(super) fn none<T>(_: &T) -> Vec<Problem> {
    Vec::new()
}

pub(super) fn node(config: &Node) -> Vec<Problem> {
    broken(&[(!config.name.trim().is_empty(), "name", NAMED)])
}

pub(super) fn http(config: &Http) -> Vec<Problem> {
    broken(&[
        (config.body_limit > 0, "body_limit", ABOVE_0),
        (config.body_timeout > NONE, "body_timeout", ABOVE_0),
        (config.login_failures > 0, "login_failures", ABOVE_0),
        (config.connection_limit > 0, "connection_limit", ABOVE_0),
        (config.connection_limit_per_client > 0, "connection_limit_per_client", ABOVE_0),
        (
            config.connection_limit_per_client <= config.connection_limit,
            "connection_limit_per_client",
            "must not be above http.connection_limit",
        ),
        (
            config.body_memory >= config.body_limit as u64,
            "body_memory",
            "must not be below http.body_limit, or the largest event could never come",
        ),
        (config.answer_memory >= 1024 * 1024, "answer_memory", "must be 1048576 (1 MiB) or more"),
    ])
}

pub(super) fn amqp(config: &Amqp) -> Vec<Problem> {
    let url = config.url.expose();
    broken(&[
        (
            !(config.enabled && url.is_empty()),
            "url",
            "is needed, since amqp.enabled is true; set it, or amqp.url_file",
        ),
        (
            url.is_empty() || url.starts_with("amqp://") || url.starts_with("amqps://"),
            "url",
            "must begin with amqp:// or amqps://",
        ),
        (!config.exchange.is_empty(), "exchange", NAMED),
        (!config.queue.is_empty(), "queue", NAMED),
        (!config.routing_keys.is_empty(), "routing_keys", "must not be empty; \"#\" takes everything"),
        ((1..=MOST_PARTITIONS).contains(&config.partitions), "partitions", "must be 1 to 64"),
        (config.prefetch > 0, "prefetch", "must be above 0, which would be no limit at all"),
        (config.prefetch_bytes > 0, "prefetch_bytes", ABOVE_0),
        (config.message_limit > 0, "message_limit", ABOVE_0),
        (config.heartbeat >= Duration::from_secs(1), "heartbeat", "must be 1s or more"),
        (config.connect_timeout > NONE, "connect_timeout", ABOVE_0),
        (config.reconnect_max > NONE, "reconnect_max", ABOVE_0),
    ])
}

/// `amqp` checks whether there is a broker to publish to.
pub(super) fn commands(config: &Commands) -> Vec<Problem> {
    broken(&[(!config.exchange.is_empty(), "exchange", NAMED)])
}

pub(super) fn store(config: &Store) -> Vec<Problem> {
    broken(&[
        (!config.path.as_os_str().is_empty(), "path", NAMED),
        (config.sweep_every > NONE, "sweep_every", ABOVE_0),
        (config.quarantine_messages > 0, "quarantine_messages", ABOVE_0),
        (config.quarantine_bytes > 0, "quarantine_bytes", ABOVE_0),
    ])
}

pub(super) fn wire(config: &Wire) -> Vec<Problem> {
    broken(&[(config.connect_timeout > NONE, "connect_timeout", ABOVE_0)])
}

pub(super) fn smtp(config: &Smtp) -> Vec<Problem> {
    broken(&[
        (
            config.username.is_empty() || !config.password.is_blank(),
            "password",
            "is needed, since smtp.username is set; set it, or smtp.password_file",
        ),
        (config.connections > 0, "connections", ABOVE_0),
        (config.mails_per_connection > 0, "mails_per_connection", ABOVE_0),
        (config.connect_timeout > NONE, "connect_timeout", ABOVE_0),
        (config.command_timeout > NONE, "command_timeout", ABOVE_0),
        (config.content_timeout > NONE, "content_timeout", ABOVE_0),
    ])
}

pub(super) fn mail(config: &Mail) -> Vec<Problem> {
    let is_address =
        |text: &str| text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty());
    broken(&[
        (is_address(&config.from), "from", "must be a mail address"),
        (config.reply_to.is_empty() || is_address(&config.reply_to), "reply_to", "must be a mail address"),
    ])
}

pub(super) fn forge(config: &Forge) -> Vec<Problem> {
    let is_address =
        |text: &str| text.is_empty() || text.starts_with("http://") || text.starts_with("https://");
    broken(&[
        (is_address(&config.url), "url", "must begin with http:// or https://"),
        (is_address(&config.api_url), "api_url", "must begin with http:// or https://"),
    ])
}

pub(super) fn google(config: &Google) -> Vec<Problem> {
    let is_address =
        url::Url::parse(&config.token_url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    broken(&[(is_address, "token_url", "must be an http or https address")])
}

pub(super) fn rate_limits(config: &RateLimits) -> Vec<Problem> {
    broken(&[(
        config.scale > 0.0,
        "scale",
        "must be above 0; to send without limits, set rate_limits.enabled = false",
    )])
}

pub(super) fn delivery(config: &Delivery) -> Vec<Problem> {
    broken(&[
        (config.concurrency > 0, "concurrency", ABOVE_0),
        (config.buffer > 0, "buffer", ABOVE_0),
        (
            config.lease >= Duration::from_secs(10),
            "lease",
            "must be 10s or more: a node that is merely slow must not be taken for dead",
        ),
        (config.breaker_threshold > 0, "breaker_threshold", ABOVE_0),
        (config.breaker_max > NONE, "breaker_max", ABOVE_0),
    ])
}

pub(super) fn retry(config: &Retry) -> Vec<Problem> {
    broken(&[
        (config.initial > NONE, "initial", ABOVE_0),
        (config.max >= config.initial, "max", "must not be below retry.initial"),
        (config.multiplier >= 1.0, "multiplier", "must be 1 or more"),
        (config.attempts > 0, "attempts", ABOVE_0),
    ])
}

/// `[builds]` and `[probes]`.
pub(super) fn asked(config: &Asked) -> Vec<Problem> {
    broken(&[
        (config.first_pause > NONE, "first_pause", ABOVE_0),
        (config.second_pause >= config.first_pause, "second_pause", "must not be below first_pause"),
        (config.longest_pause >= config.first_pause, "longest_pause", "must not be below first_pause"),
        (config.give_up_after >= config.first_pause, "give_up_after", "must not be below first_pause"),
    ])
}

pub(super) fn service_hosts(ServiceHosts(config): &ServiceHosts) -> Vec<Problem> {
    const NOT_HOSTS: &str = "must be hosts without scheme, port and path, separated by commas";
    let is_host = |host: &str| url::Host::parse(host).is_ok();
    let wrong = config.iter().filter(|(_, list)| !ServiceHosts::hosts(list).all(is_host));
    wrong.map(|(slug, _)| (slug.clone(), NOT_HOSTS)).collect()
}

pub(super) fn max_age(MaxAge(config): &MaxAge) -> Vec<Problem> {
    config.iter().filter(|(_, age)| age.0 == NONE).map(|(slug, _)| (slug.clone(), ABOVE_0)).collect()
}

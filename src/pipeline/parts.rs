//! Checks whether the daemon's external parts answer: the mail relay, the forge's API, the broker. Each check has a
//! time limit and changes nothing. A part that is not configured is not checked.

use std::time::Duration;

use url::Url;

use super::amqp;
use super::standing::Part;
use crate::adapters::operator::ForgeConfig;
use crate::call::{Egress, HttpRequest, Method, Request, Response};
use crate::wire::Transport;
use crate::wire::smtp::{self, RelayFound, Tls};

/// The longest time that a person waits for a part.
const LIMIT: Duration = Duration::from_secs(5);

/// The names of the parts.
pub const STORE: &str = "store";
pub const BROKER: &str = "broker";
pub const MAIL_RELAY: &str = "mail relay";
pub const FORGE_API: &str = "forge API";
pub const LAST_RELOAD: &str = "last reload";

/// The mail relay; `None` where none is configured. No mail is sent.
pub async fn mail_relay(config: &smtp::Config, sender: &str) -> Option<Part> {
    let asked = smtp::probe(config, sender, LIMIT).await?;
    let found = asked.map(|found| relay_in_words(&found, sender)).map_err(|fault| fault.to_string());
    Some(Part::new(MAIL_RELAY, found))
}

/// What the relay offers, in one line.
pub fn relay_in_words(found: &RelayFound, sender: &str) -> String {
    let RelayFound { relay, encryption, is_verified, is_logged_in } = found;
    let certificate =
        if *is_verified { "its certificate is verified" } else { "its certificate is NOT verified" };
    let encryption = match encryption {
        Tls::Starttls => format!("STARTTLS, {certificate}"),
        Tls::Implicit => format!("TLS, {certificate}"),
        Tls::None => "without encryption".to_owned(),
    };
    let login = if *is_logged_in { ", logged in" } else { "" };
    format!("{relay} answers ({encryption}{login}) and takes mail from {sender}")
}

/// The forge's API; `None` where it is not configured.
pub async fn forge_api(config: &ForgeConfig, transport: &dyn Transport) -> Option<Part> {
    if config.api_url.is_empty() {
        return None;
    }
    Some(Part::new(FORGE_API, ask_forge(config, transport).await))
}

async fn ask_forge(config: &ForgeConfig, transport: &dyn Transport) -> Result<String, String> {
    let address = format!("{}/version", config.api_url.trim_end_matches('/'));
    let url: Url = address.parse().map_err(|_| format!("forge.api_url = {:?} is no URL", config.api_url))?;
    let token = config.token.expose();
    let headers = if token.is_empty() { Vec::new() } else { vec![("private-token", token.to_owned())] };
    let request = HttpRequest {
        headers,
        timeout: LIMIT,
        // The operator set the address, so the guard, which is for addresses of users, does not apply.
        egress: Egress::Operator,
        ..HttpRequest::new(Method::Get, url)
    };
    match transport.send(&Request::Http(request)).await {
        Ok(Response::Http(response)) => match response.status {
            200..=299 => Ok(format!("{} answers", config.api_url)),
            401 | 403 if token.is_empty() => {
                Ok(format!("{} answers; it shows nothing without forge.token", config.api_url))
            }
            401 | 403 => Err(format!("{} refuses forge.token ({})", config.api_url, response.status)),
            status => Err(format!("{} answers {status} to {address}", config.api_url)),
        },
        Ok(_) => Err("the answer is not HTTP".to_owned()),
        Err(error) => Err(format!("{} does not answer: {error}", config.api_url)),
    }
}

/// The broker; `None` where it is not used.
pub async fn broker(config: &amqp::Config) -> Option<Part> {
    if !config.enabled {
        return None;
    }
    let limited = amqp::Config { connect_timeout: config.connect_timeout.min(LIMIT), ..config.clone() };
    let found = amqp::probe(&limited).await.map(|_| "answers".to_owned());
    Some(Part::new(BROKER, found.map_err(|error| error.to_string())))
}

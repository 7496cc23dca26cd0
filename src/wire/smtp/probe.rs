//! Asks the operator's relay whether it would take mail: connection, encryption, login and sender. It sends no mail.

use std::time::Duration;

use lettre::Address;
use tokio::time::timeout;

use super::session::{Session, Stop};
use super::{Config, Place, Tls, hello, tls_parameters};
use crate::call::{SmtpReply, SmtpStage};

/// What the relay offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayFound {
    /// `relay.example:587`
    pub relay: String,
    pub encryption: Tls,
    /// Whether the relay's certificate was verified. Always false without encryption.
    pub is_verified: bool,
    pub is_logged_in: bool,
}

/// Why the relay would take no mail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelayFault {
    /// The settings can't be used.
    #[error("{0}")]
    Settings(String),
    /// There was no connection, or it was lost.
    #[error("{0}")]
    Unreachable(String),
    #[error("the mail relay refuses the login of smtp.username: {code} {text}")]
    Login { code: u16, text: String },
    #[error("the mail relay refuses the sender {sender} (mail.from): {code} {text}")]
    Sender { sender: String, code: u16, text: String },
    #[error("the mail relay answers {code} {text}")]
    Refused { code: u16, text: String },
}

/// Connects, encrypts and logs in as for a mail, and asks whether the relay takes mail of this sender. `None` where no relay
/// is configured.
///
/// # Errors
/// Why the relay would take no mail.
pub async fn probe(config: &Config, sender: &str, limit: Duration) -> Option<Result<RelayFound, RelayFault>> {
    if config.host.is_empty() {
        return None;
    }
    let asked = timeout(limit, ask(config, sender)).await;
    let silent = || {
        let name = format!("{}:{}", config.host, config.port());
        Err(RelayFault::Unreachable(format!(
            "the mail relay {name} did not answer within {} s",
            limit.as_secs()
        )))
    };
    Some(asked.unwrap_or_else(|_| silent()))
}

async fn ask(config: &Config, sender: &str) -> Result<RelayFound, RelayFault> {
    let address: Address = sender
        .parse()
        .map_err(|_| RelayFault::Settings(format!("mail.from = {sender:?} is not a mail address")))?;
    let tls = tls_parameters(config).map_err(|error| RelayFault::Settings(error.to_string()))?;
    let place = Place { tls, hello: hello(config), config: config.clone() };
    let mut session = Session::open(&place).await.map_err(|stop| fault(stop, sender))?;
    let found = RelayFound {
        relay: place.name(),
        encryption: config.tls,
        is_verified: session.is_encrypted() && config.verify,
        is_logged_in: !config.username.is_empty(),
    };
    let asked = session.ask_for_sender(address, config).await;
    session.reset(config).await;
    session.quit().await;
    asked.map(|()| found).map_err(|stop| fault(stop, sender))
}

fn fault(stop: Stop, sender: &str) -> RelayFault {
    match stop {
        Stop::Reply(SmtpReply { stage: SmtpStage::Login, code, text }) => RelayFault::Login { code, text },
        Stop::Reply(SmtpReply { stage: SmtpStage::Sender, code, text }) => {
            RelayFault::Sender { sender: sender.to_owned(), code, text }
        }
        Stop::Reply(SmtpReply { code, text, .. }) => RelayFault::Refused { code, text },
        Stop::Lost { why, .. } => RelayFault::Unreachable(why),
        Stop::OperatorError(why) => RelayFault::Settings(why),
    }
}

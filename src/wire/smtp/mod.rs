//! Mail, through the operator's relay (RFC 5321).
//!
//! * [`Relay`]: sends one [`Mail`] and returns the relay's last reply, good or bad; the adapter decides what it
//!   means. It keeps a few connections, never more than the operator allows.
//! * `session`: one connection. It drives every command itself, so that each reply is known by its stage, and a connection
//!   that is lost before the final dot is distinguished from one that is lost after it.
//! * `letter`: a mail as the bytes that go over the wire.
//! * `idle`: connections that wait for the next mail.
//! * [`mod@probe`]: asks the relay whether it would take mail, and sends none.
//!
//! There is no guard here: the relay is the operator's own, and may be in a private network.

mod config;
mod idle;
mod letter;
mod probe;
mod session;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lettre::transport::smtp::client::{Certificate, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use self::idle::Idle;
use self::letter::Letter;
use self::session::{Session, Stop};
use super::{SendError, WireError};
use crate::call::{Mail, SmtpReply, SmtpStage};

pub use config::{Config, Tls};
pub use probe::{RelayFault, RelayFound, probe};

/// How long a refused login is not tried again. Otherwise the login attempts of hundreds of waiting mails could make the
/// relay lock the account.
const LOGIN_REST: Duration = Duration::from_secs(60);

/// The operator's relay. Clones share its connections.
#[derive(Clone)]
pub(super) struct Relay(Option<Arc<Inner>>);

struct Inner {
    place: Place,
    /// One permit per allowed connection.
    turns: Semaphore,
    idle: Arc<Idle>,
    mails_per_connection: usize,
    refused_login: Mutex<Option<(Instant, SmtpReply)>>,
}

/// The relay's address, and the parameters for a connection to it.
struct Place {
    config: Config,
    tls: Option<TlsParameters>,
    hello: ClientId,
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(inner) => write!(f, "Relay({})", inner.place.name()),
            None => f.write_str("Relay(none)"),
        }
    }
}

impl Relay {
    /// # Errors
    /// The private authority's certificates can't be read.
    pub(super) fn new(config: Config) -> Result<Self, WireError> {
        if config.host.is_empty() {
            return Ok(Self(None));
        }
        let (connections, mails_per_connection) =
            (config.connections.max(1), config.mails_per_connection.max(1));
        let idle = Arc::new(Idle::new(config.idle_timeout));
        let place = Place { tls: tls_parameters(&config)?, hello: hello(&config), config };
        Ok(Self(Some(Arc::new(Inner {
            place,
            turns: Semaphore::new(connections),
            idle,
            mails_per_connection,
            refused_login: Mutex::default(),
        }))))
    }

    /// Sends one mail to its one recipient, and returns the reply that decided its fate: the first refusal, or the reply
    /// to the content.
    pub(super) async fn send(&self, mail: &Mail) -> Result<SmtpReply, SendError> {
        let Some(inner) = &self.0 else {
            return Err(SendError::OperatorError("there is no mail relay: set smtp.host".to_owned()));
        };
        let letter = Letter::of(mail)?;
        let _turn = inner.turns.acquire().await.expect("the semaphore is never closed");
        inner.send(&letter).await
    }
}

impl Inner {
    async fn send(&self, letter: &Letter) -> Result<SmtpReply, SendError> {
        if let Some(reply) = self.refused_login() {
            return Ok(reply);
        }
        // A connection that the relay closed while it was idle accepted nothing, so the mail goes through the next one.
        while let Some(session) = self.idle.take() {
            match self.deliver(session, letter).await {
                Err(Stop::Lost { stage: SmtpStage::Sender, .. })
                | Ok(SmtpReply { stage: SmtpStage::Sender, code: 421, .. }) => {}
                outcome => return self.to_result(outcome),
            }
        }
        let outcome = match Session::open(&self.place).await {
            Ok(session) => self.deliver(session, letter).await,
            Err(stop) => Err(stop),
        };
        self.to_result(outcome)
    }

    /// Delivers over this connection, and keeps it for the next mail where it can take one.
    async fn deliver(&self, mut session: Session, letter: &Letter) -> Result<SmtpReply, Stop> {
        let outcome = session.deliver(letter, &self.place.config).await;
        match &outcome {
            Err(_) | Ok(SmtpReply { code: 421, .. }) => {}
            Ok(_) if session.mails >= self.mails_per_connection => session.quit().await,
            Ok(reply) if reply.stage == SmtpStage::Content => self.idle.keep(session),
            // The transaction was begun but not finished. It must be reset before the next mail.
            Ok(_) => {
                if session.reset(&self.place.config).await {
                    self.idle.keep(session);
                }
            }
        }
        outcome
    }

    fn to_result(&self, outcome: Result<SmtpReply, Stop>) -> Result<SmtpReply, SendError> {
        match outcome {
            Ok(reply) => Ok(reply),
            Err(Stop::Reply(reply)) => {
                if reply.stage == SmtpStage::Login && reply.code >= 500 {
                    *self.refused_login.lock().unwrap_or_else(PoisonError::into_inner) =
                        Some((Instant::now(), reply.clone()));
                }
                Ok(reply)
            }
            Err(Stop::OperatorError(why)) => Err(SendError::OperatorError(why)),
            Err(Stop::Lost { dotted: false, why, .. }) => Err(SendError::NotSent(why)),
            Err(Stop::Lost { dotted: true, why, .. }) => Err(SendError::NoAnswer(why)),
        }
    }

    fn refused_login(&self) -> Option<SmtpReply> {
        let refused = self.refused_login.lock().unwrap_or_else(PoisonError::into_inner);
        refused.as_ref().filter(|(at, _)| at.elapsed() < LOGIN_REST).map(|(_, reply)| reply.clone())
    }
}

impl Place {
    /// `relay.example:587`
    fn name(&self) -> String {
        format!("{}:{}", self.config.host, self.config.port())
    }
}

fn tls_parameters(config: &Config) -> Result<Option<TlsParameters>, WireError> {
    if config.tls == Tls::None {
        return Ok(None);
    }
    let mut builder = TlsParameters::builder(config.host.clone());
    if let Some(path) = config.ca_file.as_ref().filter(|path| !path.as_os_str().is_empty()) {
        let failed = |why: String| WireError::SmtpCaFile { path: path.clone(), why };
        let pem = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        if !String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
            return Err(failed("there is no PEM certificate in it".to_owned()));
        }
        let authorities = Certificate::from_pem(&pem).map_err(|error| failed(error.to_string()))?;
        builder = builder.add_root_certificate(authorities);
    }
    if !config.verify {
        // The operator switched verification off, for a relay with a self-signed certificate.
        builder = builder.dangerous_accept_invalid_certs(true);
    }
    let parameters = builder.build().map_err(|error| WireError::Client(error.to_string()))?;
    Ok(Some(parameters))
}

/// The daemon's name in `EHLO`: the name that is set, or this machine's if it is fully qualified, or the domain that
/// mails are from, or an address literal, which RFC 5321 (4.1.4) has for clients without a name. Many relays refuse a
/// bare `localhost`.
fn hello(config: &Config) -> ClientId {
    let name = config.hello_name.as_str();
    let machine = || std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let is_name = |name: &str| {
        let ordinary = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
        name.len() < 256 && name.contains('.') && name.bytes().all(ordinary)
    };
    match name.trim() {
        "" => [machine().trim(), &config.mail_domain]
            .into_iter()
            .find(|name| is_name(name))
            .map(|name| ClientId::Domain(name.to_owned())),
        name => {
            let graphic: String = name.chars().filter(char::is_ascii_graphic).collect();
            Some(ClientId::Domain(graphic))
        }
    }
    .unwrap_or(ClientId::Ipv4(std::net::Ipv4Addr::LOCALHOST))
}

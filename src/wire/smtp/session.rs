//! One connection to the relay: opens it, and sends mails over it.

use std::error::Error as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::SignedDuration;
use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Auth, Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::response::Response;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::letter::Letter;
use super::{Config, Place, Tls};
use crate::call::{SmtpReply, SmtpStage};
use crate::settings::Secrets;

/// The time limit for `QUIT`, which is only a courtesy.
const GOODBYE: Duration = Duration::from_secs(2);
/// How many bytes of a mail are written at once.
const PIECE: usize = 16 * 1024;

/// A connection that is greeted, encrypted and logged in as the configuration demands.
pub(super) struct Session {
    connection: AsyncSmtpConnection,
    /// How many mails were sent over it.
    pub(super) mails: usize,
}

/// Why the session ended.
pub(super) enum Stop {
    /// The relay refused.
    Reply(SmtpReply),
    /// The connection could not be opened, or was lost.
    Lost {
        stage: SmtpStage,
        /// Whether the final dot may have been sent. If so, the relay may have accepted the mail.
        dotted: bool,
        why: String,
    },
    /// The relay does not offer what the configuration demands.
    OperatorError(String),
}

impl Session {
    /// Connects, encrypts, logs in.
    pub(super) async fn open(place: &Place) -> Result<Self, Stop> {
        let config = &place.config;
        let name = place.name();
        let implicit = place.tls.as_ref().filter(|_| config.tls == Tls::Implicit);
        let (mut connection, is_here) = if let Some(tls) = implicit {
            let limit = Some(config.connect_timeout);
            let server = (config.host.as_str(), config.port());
            let opening =
                AsyncSmtpConnection::connect_tokio1(server, limit, &place.hello, Some(tls.clone()), None);
            let limit = config.connect_timeout + config.command_timeout;
            (step(SmtpStage::Greeting, limit, opening).await?, false)
        } else {
            let stream = connect(place).await?;
            let is_here = stream.peer_addr().is_ok_and(|relay| relay.ip().is_loopback());
            let opening = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &place.hello);
            (step(SmtpStage::Greeting, config.command_timeout, opening).await?, is_here)
        };
        if let (Tls::Starttls, Some(tls)) = (config.tls, &place.tls) {
            if !connection.can_starttls() {
                return Err(Stop::OperatorError(format!(
                    "the mail relay {name} does not offer STARTTLS (smtp.tls = \"implicit\" or \"none\" are the others)"
                )));
            }
            let upgrading = connection.starttls(tls.clone(), &place.hello);
            step(SmtpStage::Greeting, config.connect_timeout + config.command_timeout, upgrading).await?;
        }
        let mut session = Self { connection, mails: 0 };
        if !config.username.is_empty() {
            session.log_in(place, is_here).await?;
        }
        Ok(session)
    }

    /// `is_here`: the relay is on this machine, so the connection can't be intercepted.
    async fn log_in(&mut self, place: &Place, is_here: bool) -> Result<(), Stop> {
        let config = &place.config;
        if !self.connection.is_encrypted() && !is_here {
            return Err(Stop::OperatorError(format!(
                "will not send the password of smtp.username to {} without encryption: set smtp.tls",
                place.name()
            )));
        }
        let credentials = Credentials::new(config.username.clone(), config.password.expose().to_owned());
        let known = [Mechanism::Plain, Mechanism::Login];
        if !known.iter().any(|mechanism| self.connection.server_info().supports_auth_mechanism(*mechanism)) {
            return Err(Stop::OperatorError(format!(
                "the mail relay {} offers no supported login (PLAIN, LOGIN), but smtp.username is set",
                place.name()
            )));
        }
        let logging_in = self.connection.auth(&known, &credentials);
        match step(SmtpStage::Login, config.command_timeout, logging_in).await {
            Ok(_) => Ok(()),
            Err(stop) => Err(without_password(stop, config, credentials)),
        }
    }

    /// Sends one mail. `Ok` is the reply that decided its fate: the first refusal, or the reply to the content.
    pub(super) async fn deliver(&mut self, letter: &Letter, config: &Config) -> Result<SmtpReply, Stop> {
        match self.transact(letter, config).await {
            Ok(response) => Ok(reply(SmtpStage::Content, &response)),
            Err(Stop::Reply(reply)) => Ok(reply),
            Err(stop) => Err(stop),
        }
    }

    async fn transact(&mut self, letter: &Letter, config: &Config) -> Result<Response, Stop> {
        self.mails += 1;
        let limit = config.command_timeout;
        let connection = &mut self.connection;
        let sender = Mail::new(Some(letter.sender.clone()), Vec::new());
        step(SmtpStage::Sender, limit, connection.command(sender)).await?;
        let recipient = Rcpt::new(letter.to.clone(), Vec::new());
        step(SmtpStage::Recipient, limit, connection.command(recipient)).await?;
        step(SmtpStage::Data, limit, connection.command(Data)).await?;

        // The last piece is empty. It is requested when all others are written, just before the final dot.
        let dotted = AtomicBool::new(false);
        let last = std::iter::once_with(|| {
            dotted.store(true, Ordering::Relaxed);
            &[][..]
        });
        let writing = connection.message_iter(letter.content.chunks(PIECE).chain(last));
        let written = step(SmtpStage::Content, config.content_timeout, writing).await;
        written.map_err(|stop| match stop {
            Stop::Lost { stage, why, .. } => {
                Stop::Lost { stage, dotted: dotted.load(Ordering::Relaxed), why }
            }
            other => other,
        })
    }

    /// Asks whether the relay takes mail of this sender. The caller resets the transaction.
    pub(super) async fn ask_for_sender(&mut self, sender: Address, config: &Config) -> Result<(), Stop> {
        let sender = Mail::new(Some(sender), Vec::new());
        step(SmtpStage::Sender, config.command_timeout, self.connection.command(sender)).await.map(drop)
    }

    /// Whether the connection is encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        self.connection.is_encrypted()
    }

    /// Resets a transaction that was begun. False means that the connection can't be used any more.
    pub(super) async fn reset(&mut self, config: &Config) -> bool {
        step(SmtpStage::Sender, config.command_timeout, self.connection.command(Rset)).await.is_ok()
    }

    /// Sends `QUIT` and closes the connection.
    pub(super) async fn quit(mut self) {
        // A failure here has no consequence.
        let _ = timeout(GOODBYE, self.connection.quit()).await;
    }
}

async fn connect(place: &Place) -> Result<TcpStream, Stop> {
    let config = &place.config;
    let connecting = TcpStream::connect((config.host.as_str(), config.port()));
    let why = match timeout(config.connect_timeout, connecting).await {
        Ok(Ok(stream)) => {
            // A failure here only makes the connection slower.
            let _ = stream.set_nodelay(true);
            return Ok(stream);
        }
        Ok(Err(error)) => plain(&error.to_string()),
        Err(_) => nothing_within(config.connect_timeout),
    };
    let why = format!("could not connect to the mail relay {}: {why}", place.name());
    Err(Stop::Lost { stage: SmtpStage::Greeting, dotted: false, why })
}

/// One command and its reply, within the time limit. Only the content counts as possibly sent.
async fn step<T>(
    stage: SmtpStage,
    limit: Duration,
    exchange: impl Future<Output = Result<T, Error>>,
) -> Result<T, Stop> {
    let lost = |why: &str| Stop::Lost {
        stage,
        dotted: false,
        why: format!("the mail relay was lost at {}: {why}", stage.name()),
    };
    match timeout(limit, exchange).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => match error.status() {
            Some(code) => {
                let text = error.source().map(ToString::to_string).unwrap_or_default();
                Err(Stop::Reply(SmtpReply { stage, code: code.into(), text: one_line(&text) }))
            }
            None if is_unreadable(&error) => Err(Stop::Reply(unreadable(stage))),
            None => Err(lost(&reason(&error))),
        },
        Err(_) => Err(lost(&nothing_within(limit))),
    }
}

/// lettre reads replies as UTF-8, and some relays send Latin-1.
fn is_unreadable(error: &Error) -> bool {
    let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
    // A certificate that is not trusted is "invalid data" as well.
    causes.any(|cause| cause.is::<std::io::Error>() && cause.to_string().contains("valid UTF-8"))
}

/// The substitute for a reply that can't be read. After the content it is a permanent error, because the relay may have
/// accepted the mail, and it must not be sent again and again. Before that it is a temporary error.
fn unreadable(stage: SmtpStage) -> SmtpReply {
    let (code, text) = match stage {
        SmtpStage::Content => (554, "not in UTF-8, so it is unknown whether the mail was accepted"),
        _ => (451, "not in UTF-8"),
    };
    SmtpReply { stage, code, text: text.to_owned() }
}

fn reply(stage: SmtpStage, response: &Response) -> SmtpReply {
    let text = response.message().collect::<Vec<_>>().join(" ");
    SmtpReply { stage, code: response.code().into(), text: one_line(&text) }
}

fn one_line(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().filter(|c| !c.is_control()).take(500).collect()
}

/// A short description of the innermost cause.
fn reason(error: &Error) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    let text = causes.last().map_or_else(|| error.to_string(), ToString::to_string);
    let text = plain(&text);
    if text.contains("UnknownIssuer") {
        return format!("{text} (smtp.ca_file can add its authority)");
    }
    // lettre's text for a connection that ended between two lines, or within one.
    if text == "incomplete response" { "the connection was closed".to_owned() } else { text }
}

fn plain(text: &str) -> String {
    let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(text);
    let text = one_line(text.split(" (os error ").next().unwrap_or_default());
    // The text ends a sentence, so it begins in lower case, unless it begins with an acronym.
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if second.is_lowercase() => {
            text.replacen(first, &first.to_lowercase().to_string(), 1)
        }
        _ => text,
    }
}

fn nothing_within(limit: Duration) -> String {
    format!("nothing within {:#}", SignedDuration::try_from(limit).unwrap_or(SignedDuration::MAX))
}

/// Removes the password from a reply, both plain and encoded, because relays may quote what they received.
fn without_password(stop: Stop, config: &Config, credentials: Credentials) -> Stop {
    let password = config.password.expose();
    let encoded = Auth::new(Mechanism::Plain, credentials, None).map(|auth| auth.to_string());
    let encoded = encoded.unwrap_or_default();
    let mut secrets = Secrets::default();
    // As AUTH PLAIN and AUTH LOGIN send it, and alone.
    secrets.add(encoded.trim_end().strip_prefix("AUTH PLAIN ").unwrap_or_default());
    secrets.add(&BASE64_STANDARD.encode(password));
    secrets.add(password);
    let mask = |text: String| secrets.mask_echo(text);
    match stop {
        Stop::Reply(SmtpReply { stage, code, text }) => {
            Stop::Reply(SmtpReply { stage, code, text: mask(text) })
        }
        Stop::Lost { stage, dotted, why } => Stop::Lost { stage, dotted, why: mask(why) },
        Stop::OperatorError(why) => Stop::OperatorError(mask(why)),
    }
}

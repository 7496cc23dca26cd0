//! A [`Mail`](crate::call::Mail) as the bytes that go over the wire (RFC 5322, RFC 2045 to 2047).
//!
//! All of it is ASCII: bodies are quoted-printable or base64 where they must be, headers are encoded words. So no relay
//! needs 8BITMIME or SMTPUTF8. A header's value can't begin another header: line breaks and control characters are
//! removed here again, even if the caller has removed them.

use std::time::SystemTime;

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart};
use lettre::{Address, address::AddressError};

use super::super::SendError;
use crate::call;

/// The envelope's sender and recipient, and the content.
pub(super) struct Letter {
    pub(super) sender: Address,
    pub(super) to: Address,
    pub(super) content: Vec<u8>,
}

impl Letter {
    /// # Errors
    /// An address or a message id is invalid: [`SendError::OperatorError`] if the cause is in the operator's settings,
    /// [`SendError::Refused`] if it is in the integration's.
    pub(super) fn of(mail: &call::Mail) -> Result<Self, SendError> {
        let operator_error =
            |what: &str, why: String| SendError::OperatorError(format!("{what} can't be sent: {why}"));
        let sender = address(&mail.sender)
            .map_err(|why| operator_error("a mail from this address (mail.from)", why))?;
        let from = address(&mail.from.address)
            .map_err(|why| operator_error("a mail from this address (mail.from)", why))?;
        let to = address(&mail.to)
            .map_err(|why| SendError::Refused(format!("can't send mail to this address: {why}")))?;
        let reply_to = mail.reply_to.as_ref();
        let reply_to = reply_to.and_then(|mailbox| Some((mailbox, address(&mailbox.address).ok()?)));
        if !is_id(&mail.message_id) {
            let why = "see mail.message_id_domain".to_owned();
            return Err(operator_error("a message id of that domain", why));
        }

        let mut message = Message::builder()
            .date(SystemTime::from(mail.date).max(SystemTime::UNIX_EPOCH))
            .from(mailbox(&mail.from.name, from))
            .to(Mailbox::new(None, to.clone()))
            .subject(one_line(&mail.subject))
            .message_id(Some(mail.message_id.clone()));
        if let Some((reply_to, address)) = reply_to {
            message = message.reply_to(mailbox(&reply_to.name, address));
        }
        if let Some(thread) = mail.thread.as_ref().filter(|thread| is_id(thread)) {
            message = message.in_reply_to(thread.clone()).references(thread.clone());
        }
        for (name, value) in &mail.headers {
            // The names are our own constants. Setting a header again replaces it, so no header is there twice.
            if let Ok(name) = HeaderName::new_from_ascii((*name).to_owned()) {
                message = message.raw_header(HeaderValue::new(name, one_line(value)));
            }
        }
        let bodies = MultiPart::alternative()
            .singlepart(part(ContentType::TEXT_PLAIN, &mail.text))
            .singlepart(part(ContentType::TEXT_HTML, &mail.html));
        let message = message.multipart(bodies).map_err(|error| SendError::Refused(error.to_string()))?;
        Ok(Self { sender, to, content: message.formatted() })
    }
}

fn part(kind: ContentType, text: &str) -> lettre::message::SinglePart {
    // RFC 5321 (4.5.2) has no way to send a NUL.
    lettre::message::SinglePart::builder().header(kind).body(text.replace('\0', ""))
}

fn mailbox(name: &str, address: Address) -> Mailbox {
    let name = one_line(name);
    Mailbox::new(Some(name).filter(|name| !name.is_empty()), address)
}

/// An address in ASCII.
fn address(text: &str) -> Result<Address, String> {
    if !text.is_ascii() {
        return Err(
            "it contains characters outside ASCII, which are not supported in mail addresses".to_owned()
        );
    }
    text.parse().map_err(|error: AddressError| error.to_string())
}

/// `<left@right>`, each side made of what RFC 5322 (3.6.4) allows without quoting, short enough for one line.
fn is_id(id: &str) -> bool {
    let inner = id.strip_prefix('<').and_then(|id| id.strip_suffix('>'));
    let is_side = |side: &str| {
        !side.is_empty() && side.bytes().all(|b| b.is_ascii_graphic() && !b"<>@()[]\\,;:\"".contains(&b))
    };
    id.len() < 250 && inner.and_then(|id| id.split_once('@')).is_some_and(|(l, r)| is_side(l) && is_side(r))
}

/// A header's value on one line.
fn one_line(value: &str) -> String {
    let is_break = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    value.split(is_break).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ").trim().to_owned()
}

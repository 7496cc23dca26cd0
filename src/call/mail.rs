//! Mail as data: the mail to one recipient, and the replies of a relay.
//!
//! An adapter decides the whole text and all headers of a [`Mail`]; `wire` encodes it and sends it to the relay.

use std::fmt;

use jiff::Timestamp;

/// A name and an address.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Mailbox {
    /// As people read it; may be empty. It is always encoded, and never becomes an address.
    pub name: String,
    pub address: String,
}

/// One mail for one recipient.
#[derive(Clone, PartialEq, Eq, serde::Serialize)]
pub struct Mail {
    /// The envelope's sender: whom a mail comes back to that can't be delivered.
    pub sender: String,
    pub from: Mailbox,
    pub reply_to: Option<Mailbox>,
    /// The only recipient, of the envelope and of the `To` header. Domains are in ASCII.
    pub to: String,
    pub subject: String,
    /// With its angle brackets, and the same on every attempt: who gets a mail twice can tell.
    pub message_id: String,
    /// The thread's root, with angle brackets, which need never have been sent: mail clients put together what names the
    /// same one. Becomes `In-Reply-To` and `References`.
    pub thread: Option<String>,
    pub date: Timestamp,
    /// Other headers, each name once. No value holds a line break; `wire` sees to that once more.
    pub headers: Vec<(&'static str, String)>,
    pub text: String,
    pub html: String,
}

/// Shows to whom and how much, but not what.
impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mail to {} ({} bytes)", self.to, self.text.len() + self.html.len())
    }
}

/// How far a mail came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SmtpStage {
    /// The greeting, `EHLO`, `STARTTLS`.
    Greeting,
    /// `AUTH`.
    Login,
    /// `MAIL FROM`.
    Sender,
    /// `RCPT TO`.
    Recipient,
    /// `DATA`, before the content.
    Data,
    /// The reply to the content: only here is a mail taken.
    Content,
}

impl SmtpStage {
    /// What the relay was replying to, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Greeting => "the greeting",
            Self::Login => "the login",
            Self::Sender => "the sender",
            Self::Recipient => "the recipient",
            Self::Data => "DATA",
            Self::Content => "the message",
        }
    }
}

/// A relay's reply: the first that was not a yes, or the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpReply {
    pub stage: SmtpStage,
    /// Three digits; the first decides (RFC 5321, section 4.2.1).
    pub code: u16,
    /// The lines after the code, joined, without line breaks. May begin with an enhanced code (RFC 3463).
    pub text: String,
}

impl SmtpReply {
    /// The enhanced status code at the text's beginning (`5.1.1`), where there is one.
    pub fn enhanced(&self) -> Option<&str> {
        let word = self.text.split_whitespace().next()?;
        let mut parts = word.split('.');
        let is_number = |part: Option<&str>| {
            part.is_some_and(|part| {
                !part.is_empty() && part.len() <= 3 && part.bytes().all(|b| b.is_ascii_digit())
            })
        };
        let three = is_number(parts.next()) && is_number(parts.next()) && is_number(parts.next());
        (three && parts.next().is_none()).then_some(word)
    }

    /// Where it came, the code and its words, for people.
    pub fn describe(&self) -> String {
        let words: String = self.text.chars().filter(|c| !c.is_control()).take(200).collect();
        format!("the relay answered {} to {}: {}", self.code, self.stage.name(), words.trim())
    }
}

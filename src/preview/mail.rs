//! Mail: its headers, its HTML apart from the page, and its text.

use std::fmt::Write as _;

use super::page::esc;
use crate::call::{Mail, Mailbox};

/// The HTML goes into a frame of its own, in which nothing may run.
pub(super) fn draw(mail: &Mail) -> String {
    let mailbox = |mailbox: &Mailbox| match mailbox.name.as_str() {
        "" => mailbox.address.clone(),
        name => format!("{name} <{}>", mailbox.address),
    };
    let mut html = format!("<div class=\"mail\"><div class=\"subject\">{}</div><table>", esc(&mail.subject));
    let mut row = |name: &str, value: &str| {
        let _ = write!(html, "<tr><th>{}</th><td>{}</td></tr>", esc(name), esc(value));
    };
    row("From", &mailbox(&mail.from));
    row("To", &mail.to);
    if let Some(reply_to) = &mail.reply_to {
        row("Reply-To", &mailbox(reply_to));
    }
    row("Date", &mail.date.strftime("%a, %-d %b %Y %H:%M:%S +0000").to_string());
    row("Message-ID", &mail.message_id);
    if let Some(thread) = &mail.thread {
        row("In-Reply-To", thread);
        row("References", thread);
    }
    mail.headers.iter().for_each(|(name, value)| row(name, value));
    let _ = write!(
        html,
        "</table><div class=\"parts\"><iframe sandbox=\"\" title=\"HTML\" srcdoc=\"{}\"></iframe><pre>{}</pre></div></div>",
        esc(&mail.html),
        esc(&mail.text)
    );
    html
}

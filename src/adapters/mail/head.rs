//! The headers of mails.
//!
//! Names, titles and refs are text that people wrote. In a header, each is one short line and never part of an address.
//! Names and values of headers are GitLab's, so that existing mail filters keep working.

use super::addresses::{address, domain_of, may_be_from};
use super::page::Page;
use crate::adapters::contract::Notification;
use crate::call::{Mail, Mailbox};
use crate::digest::Digest;
use crate::event::{Project, User};
use crate::message::{Limit, Markup, TEST_MARK};

/// Mail programs truncate longer subjects.
const SUBJECT: usize = 255;
const NAME: usize = 100;
const VALUE: usize = 200;
/// RFC 2919 (section 3) limits list ids to this length.
const LONGEST_LIST_ID: usize = 255;

/// The data for a mail's headers.
pub struct Head<'a> {
    pub subject: String,
    /// The parts that identify its thread within the project: `["push", "refs/heads/main"]`.
    pub thread: [&'a str; 2],
    /// The author, whose name the mail is sent with.
    pub author: Option<&'a User>,
    /// Whether it may be sent from the author's own address.
    pub as_author: bool,
    /// Headers in addition to those that every mail has.
    pub headers: Vec<(&'static str, String)>,
}

/// The mail without a body.
pub fn blank(note: &Notification<'_>, head: Head<'_>) -> Mail {
    let config = &note.operator.mail;
    let domain = domain_of(config.domain()).unwrap_or_else(|| "localhost".to_owned());
    let unknown = Project::default();
    let project = note.event.project.as_ref().unwrap_or(&unknown);
    let (from, reply_to) = sender(note, head.author.filter(|_| head.as_author));
    let name =
        head.author.map(|author| name(if author.name.is_empty() { &author.username } else { &author.name }));
    let name = name.filter(|name| !name.is_empty()).unwrap_or_else(|| self::name(&config.from_name));

    let mut headers = vec![
        ("List-Id", list_id(note, project, &domain)),
        ("Auto-Submitted", "auto-generated".to_owned()),
        ("X-Auto-Response-Suppress", "All".to_owned()),
        ("X-GitLab-Project", line(&project.name, VALUE)),
        ("X-GitLab-Project-Id", project.id.to_string()),
        ("X-GitLab-Project-Path", line(&project.path_with_namespace, VALUE)),
    ];
    headers.extend(head.headers.into_iter().map(|(name, value)| (name, line(&value, VALUE))));
    headers.retain(|(_, value)| !value.is_empty());
    Mail {
        sender: config.from.clone(),
        from: Mailbox { name, address: from },
        reply_to: reply_to.map(|address| Mailbox { name: String::new(), address }),
        to: note.target.to_owned(),
        subject: subject(note.is_test, &head.subject),
        message_id: format!("<{}@{domain}>", atom(note.id)),
        thread: Some(thread(project, head.thread, &domain)),
        date: note.now,
        headers,
        text: String::new(),
        html: String::new(),
    }
}

/// A subject on one line. The subject of a test is marked.
pub fn subject(is_test: bool, words: &str) -> String {
    let subject = line(words, SUBJECT);
    if is_test { format!("{TEST_MARK} {subject}") } else { subject }
}

/// The mail with this page as its body.
pub fn written(mail: Mail, page: Page) -> Mail {
    let (text, html) = page.finish(&mail.subject);
    Mail { text, html, ..mail }
}

/// The address that a mail is from, and the one for replies.
fn sender(note: &Notification<'_>, author: Option<&User>) -> (String, Option<String>) {
    let config = &note.operator.mail;
    let host = note.operator.forge.host().unwrap_or_default();
    let own =
        author.and_then(|author| address(author.email.as_deref()?)).filter(|own| may_be_from(own, &host));
    match own {
        Some(own) => (own.clone(), Some(own)),
        None => (config.from.clone(), Some(config.reply_to.clone()).filter(|address| !address.is_empty())),
    }
}

/// A text on one line, cut to so many characters.
pub fn line(words: &str, at_most: usize) -> String {
    Markup::Plain.label(words, Limit::Chars(at_most))
}

/// A name that mail programs can't mistake for an address, however they treat quotes and brackets.
fn name(words: &str) -> String {
    let harmless: String = words.chars().filter(|c| !matches!(c, '"' | '\\' | '<' | '>')).collect();
    // Some programs show a name with an @ in it instead of the address.
    line(&harmless.replace('@', " at "), NAME)
}

/// The text with only the characters that a message id may have before its `@` without quotes.
fn atom(words: &str) -> String {
    let kept = words.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    kept.take(100).collect::<String>().trim_matches('.').to_owned()
}

/// `<push.15.0f3a…@forge.example>`: the id of a thread's root. No mail with this id needs to exist.
fn thread(project: &Project, [kind, subject]: [&str; 2], domain: &str) -> String {
    let digest = Digest::of([project.path_with_namespace.as_bytes(), subject.as_bytes()]).hex(8);
    format!("<{kind}.{}.{digest}@{domain}>", project.id)
}

/// `mike/diaspora <15.diaspora.mike.gitlab.example.com>` (RFC 2919). The part in brackets consists of slugs.
fn list_id(note: &Notification<'_>, project: &Project, domain: &str) -> String {
    let host = note.operator.forge.host().and_then(|host| domain_of(&host));
    let host = host.unwrap_or_else(|| domain.to_owned());
    let label = |part: &str| -> String {
        let ordinary = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' };
        part.chars().map(ordinary).collect()
    };
    let parts: Vec<String> =
        project.path_with_namespace.split('/').rev().map(label).filter(|part| !part.is_empty()).collect();
    let short = format!("{}.{host}", project.id);
    let whole = format!("{}.{}.{host}", project.id, parts.join("."));
    let id = if parts.is_empty() || whole.len() > LONGEST_LIST_ID { short } else { whole };
    match name(&project.path_with_namespace).replace([',', ';', ':', '(', ')'], " ") {
        description if description.is_empty() => format!("<{id}>"),
        description => format!("{description} <{id}>"),
    }
}

//! Composing a message from an event: one file per kind of event.
//!
//! Every summary says who did what, to what, and in which project, with links. What a payload lacks is left out
//! together with its connecting words: no "by" without a name, no `#0`, no empty link. Titles and names are
//! truncated to a readable length here, so that later steps never handle huge ones; longer texts that people wrote
//! go through [`mod@prose`].

mod alert;
mod deployment;
mod external_build;
mod feature_flag;
mod issue;
mod mention;
mod merge_request;
mod milestone;
mod note;
mod pipeline;
mod push;
mod release;
#[cfg(test)]
mod tests;
mod vulnerability;
mod wiki_page;

use std::fmt::{self, Write as _};
use std::ops::Range;
use std::sync::Arc;

use bytestring::ByteString;

use super::links::References;
use super::markup::{address, clean, grapheme_len, start};
use super::{
    Base, Body, Field, Links, Message, NoLinks, Person, ProjectInfo, Span, Text, Title, Tone, Words,
    capitalised, prose,
};
use crate::event::{Event, Payload, Pipeline, Project, RefType, User, reading};

/// Titles as long as GitLab itself allows for issues.
const TITLE: usize = 255;
/// Names of people, projects, branches, jobs.
const NAME: usize = 120;
/// Longer ref names are not linked. Git does not allow them on most file systems.
const LONGEST_REF: usize = 512;
/// How much is shown of a description or comment: about as much as is read in a chat. The message links to the rest.
const PROSE: usize = 2_000;
const PROSE_LINES: usize = 40;
/// More names than this in one field are counted, not listed.
const MOST_NAMES: usize = 10;
/// The longest value of a short field: about three lines in half of the width.
const BESIDE_OTHERS: usize = 80;

/// The message about an event of a project whose tracker and wiki are the forge's; `None` for kinds that have no message.
pub fn compose(event: &Event) -> Option<Message> {
    compose_with(event, &NoLinks, None)
}

/// The message about an event of a project with these links; `None` for kinds that have no message. Of a push it lists at
/// most so many commits.
pub fn compose_with(event: &Event, links: &dyn Links, max_commits: Option<usize>) -> Option<Message> {
    let references = References::new(links);
    let made = || message(&Context { max_commits, ..Context::of(event, &references) }, event);
    let message = match ByteString::try_from(event.raw.clone()) {
        // The message shares the words that it takes from the payload.
        Ok(json) => reading(&json, made),
        Err(_) => made(),
    }?;
    Some(Message { has_unlinked_references: references.has_more(), ..message })
}

fn message(context: &Context<'_>, event: &Event) -> Option<Message> {
    let mut message = match &event.payload {
        Payload::Push(push) => push::message(context, push),
        Payload::Issue(issue) => issue::message(context, issue),
        Payload::MergeRequest(merge_request) => merge_request::message(context, merge_request),
        Payload::Note(note) => return note::message(context, note),
        Payload::Pipeline(pipeline) => pipeline::message(context, pipeline),
        Payload::WikiPage(page) => wiki_page::message(context, page),
        Payload::Deployment(deployment) => deployment::message(context, deployment),
        Payload::Alert(alert) => alert::message(context, alert),
        Payload::Vulnerability(found) => vulnerability::message(context, found),
        Payload::GroupMention(mention) => return mention::message(context, mention),
        Payload::Release(release) => release::message(context, release),
        Payload::FeatureFlag(flag) => feature_flag::message(context, flag),
        Payload::Milestone(milestone) => milestone::message(context, milestone, event.group.as_ref()),
        Payload::Job(_)
        | Payload::Emoji(_)
        | Payload::AccessToken(_)
        | Payload::Member(_)
        | Payload::GroupChange(_)
        | Payload::Unrouted(_)
        | Payload::ArchiveTrace => return None,
    };
    // Some services refuse a field without a value.
    message.fields.retain(|field| !field.value.is_blank());
    Some(message)
}

/// The description of the issue or merge request that an event is about, for services that show it with every action;
/// `None` where there is none.
pub fn description(event: &Event, links: &dyn Links) -> Option<Text> {
    let (markdown, page_url) = match &event.payload {
        Payload::Issue(issue) => (&issue.description, &issue.url),
        Payload::MergeRequest(merge_request) => (&merge_request.description, &merge_request.url),
        _ => return None,
    };
    let text = Context::of(event, &References::new(links)).text(markdown, page_url);
    (!text.is_blank()).then_some(text)
}

/// The author and project of the event, which every kind of message shows.
struct Context<'a> {
    project: Option<&'a Project>,
    project_info: Arc<ProjectInfo>,
    author: Option<Arc<Person>>,
    references: &'a References<'a>,
    /// The most commits of a push that are listed, where the integration sets it.
    max_commits: Option<usize>,
}

impl<'a> Context<'a> {
    fn of(event: &'a Event, references: &'a References<'a>) -> Self {
        let project_info = event.project.as_ref().map(project_info).map(Arc::new).unwrap_or_default();
        let author = event.user().and_then(|user| person(user, event.project.as_ref())).map(Arc::new);
        Self { project: event.project.as_ref(), project_info, author, references, max_commits: None }
    }

    /// A sentence about what was done to something: `Ada merged merge request !5` or, where the event does not say who
    /// acted, `Merge request !5 was merged`.
    fn deed(&self, active: &str, object: Text, passive: &str) -> Text {
        match &self.author {
            Some(author) => Text::new().plain(format!("{} {active} ", author.display)).then(object),
            None => capitalised_text(object).plain(format!(" {passive}")),
        }
    }

    /// The address of a page of the project; empty where the project's own address is unknown.
    fn page(&self, path: fmt::Arguments<'_>) -> Words {
        if self.project_info.url.is_empty() {
            Words::default()
        } else {
            format!("{}/-/{path}", self.project_info.url).into()
        }
    }

    /// A branch or tag, linked to its page.
    fn ref_link(&self, ref_type: RefType, name: &str) -> Text {
        let pages = match ref_type {
            RefType::Branch => Some("commits"),
            RefType::Tag => Some("tags"),
            RefType::Hidden => None,
        };
        let url = match pages {
            Some(pages) if name.len() <= LONGEST_REF => self.page(format_args!("{pages}/{}", in_path(name))),
            _ => Words::default(),
        };
        Text::new().link(brief(name, NAME), url)
    }

    /// A pipeline's branch or tag: `main`; `main (in a fork)`, which has no page in this project.
    fn pipeline_ref(&self, pipeline: &Pipeline) -> Text {
        if pipeline.is_of_fork {
            return Text::new().plain(format!("{} (in a fork)", brief(&pipeline.ref_name, NAME)));
        }
        self.ref_link(pipeline.ref_type, &pipeline.ref_name)
    }

    /// The project, linked.
    fn project_link(&self) -> Text {
        if self.project_info.full_name.is_empty() {
            return Text::new();
        }
        Text::new().link(&self.project_info.full_name, &self.project_info.url)
    }

    /// A message about what a person did. Its summary is `did`, then `between` (` in `) and the project, then `more`.
    fn message(&self, did: Text, between: &str, more: Text) -> Message {
        let start = did.0.len();
        let (summary, location) = match self.project_info.full_name.as_str() {
            "" => (did, start..start),
            _ => (did.plain(between).then(self.project_link()), start..start + 2),
        };
        self.message_with(summary.then(more), location)
    }

    /// A message about what happened without a person doing it. Its summary begins with the project.
    fn report(&self, what: Text) -> Message {
        match self.project_info.full_name.as_str() {
            "" => self.message_with(what, 0..0),
            _ => self.message_with(self.project_link().plain(": ").then(what), 0..2),
        }
    }

    fn message_with(&self, summary: Text, location_span: Range<usize>) -> Message {
        Message {
            summary,
            location_span,
            author: self.author.clone(),
            project: Arc::clone(&self.project_info),
            ..Message::default()
        }
    }

    /// A description or comment on a page as a message's body, truncated; no body where it is blank.
    fn prose(&self, markdown: &str, page_url: &str) -> Body {
        let text = self.text(markdown, page_url).first_lines(PROSE_LINES).excerpt(PROSE);
        if text.is_blank() { Body::None } else { Body::Prose(text) }
    }

    /// What people wrote on a page.
    fn text(&self, markdown: &str, page_url: &str) -> Text {
        let base = Base {
            page_url,
            project_url: &self.project_info.url,
            project_path: self.project.map_or("", |project| &project.path_with_namespace),
            default_branch: self.project.and_then(|project| project.default_branch.as_deref()).unwrap_or(""),
        };
        self.references.linked(prose(markdown, &base))
    }

    /// What people wrote on one line, such as a commit's title.
    fn words(&self, words: impl Into<Words>) -> Text {
        self.references.linked(Text::new().plain(words))
    }

    /// A title that people wrote, linked to its page. References in it lead to their issues.
    fn title_link(&self, words: &str, url: &str) -> Text {
        self.references.title(words, url)
    }
}

fn project_info(project: &Project) -> ProjectInfo {
    let full_name = brief(&project.full_name(), NAME);
    ProjectInfo {
        name: if project.name.is_empty() { full_name.clone() } else { brief(&project.name, NAME) },
        full_name,
        url: web_address(Some(project.web_url.trim_end_matches('/'))).unwrap_or_default(),
        avatar_url: web_address(project.avatar_url.as_deref()),
    }
}

fn person(user: &User, project: Option<&Project>) -> Option<Person> {
    let display = brief(&user.display(), NAME);
    if display.is_empty() {
        return None;
    }
    let username = brief(&user.username, NAME);
    let forge = project.and_then(|project| {
        let url = project.web_url.trim_end_matches('/');
        url.strip_suffix(project.path_with_namespace.as_str()).filter(|forge| forge.ends_with('/'))
    });
    let url = forge.filter(|_| !username.is_empty()).map(|forge| format!("{forge}{}", in_path(&username)));
    let url = web_address(url.as_deref());
    Some(Person { display, username, avatar_url: web_address(user.avatar_url.as_deref()), url })
}

/// The text with a capital letter at its start.
fn capitalised_text(mut text: Text) -> Text {
    if let Some(Span::Text { text: words, .. } | Span::Link { text: words, .. }) = text.0.first_mut() {
        *words = capitalised(words);
    }
    text
}

/// The address, if it is one of a web page.
fn web_address(url: Option<&str>) -> Option<Words> {
    let url = address(url?)?;
    url.starts_with("http").then(|| url.into())
}

/// The text on one line, truncated to so many characters.
fn brief(words: &str, at_most: usize) -> Words {
    // Enough for what is kept, and not a whole title of a megabyte.
    let start = start(words, at_most * 8);
    let line = clean(start);
    let line = match line {
        line if is_one_line(&line) => Words::from(line),
        line => line.split_whitespace().collect::<Vec<_>>().join(" ").into(),
    };
    match line.char_indices().nth(at_most) {
        None if start.len() == words.len() => line,
        None => format!("{line}…").into(),
        Some(_) => {
            // No emoji or accented letter is split.
            let (mut end, mut chars) = (0, 0);
            while let Some(whole) = line.get(end..).map(grapheme_len).filter(|whole| *whole > 0) {
                chars += line[end..end + whole].chars().count();
                if chars > at_most - 1 {
                    break;
                }
                end += whole;
            }
            format!("{}…", line[..end].trim_end()).into()
        }
    }
}

/// Whether the words have single spaces between them, and no others.
fn is_one_line(words: &str) -> bool {
    let mut before = ' ';
    let mut is_fit = |c: char| {
        let is_fit = !c.is_whitespace() || (c == ' ' && before != ' ');
        before = c;
        is_fit
    };
    words.chars().all(&mut is_fit) && !words.ends_with(' ')
}

/// A branch, tag or user name as a part of an address. Slashes stay: GitLab's pages accept `feature/x` unencoded.
fn in_path(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// `#23 New API`, or the part of it that is known.
fn numbered(sign: char, number: i64, title: &str) -> Words {
    let title = brief(title, TITLE);
    match (number > 0, title.is_empty()) {
        (true, false) => format!("{sign}{number} {title}").into(),
        (true, true) => format!("{sign}{number}").into(),
        (false, _) => title,
    }
}

/// `issue` with its indefinite article: `an issue`.
fn with_article(thing: &str) -> String {
    let article =
        if thing.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U']) { "an" } else { "a" };
    format!("{article} {thing}")
}

/// Makes an identifier readable: `critical` → `Critical`, `in_progress` → `In progress`.
fn humanized(word: &str) -> Words {
    capitalised(&brief(word, NAME).replace('_', " "))
}

/// A title; `None` where the text is empty.
fn title(text: impl Into<Words>, url: &str) -> Option<Title> {
    let text = text.into();
    (!text.is_empty()).then(|| Title { text, url: web_address(Some(url)) })
}

/// A field that is shown next to others, unless its value is too long for half of the width.
fn short_field(name: impl Into<Words>, value: Text) -> Field {
    let short = value.length() <= BESIDE_OTHERS;
    Field { name: name.into(), value, short }
}

/// The first ten names, and the number of the others.
fn listed<T>(things: &[T], name: impl Fn(&T) -> Text, all_url: &str) -> Text {
    let list = Text::join(things.iter().take(MOST_NAMES).map(name), ", ");
    match things.len().saturating_sub(MOST_NAMES) {
        0 => list,
        rest => list.plain(" and ").link(format!("{rest} more"), all_url),
    }
}

/// `A, B`.
fn joined(names: &[Words]) -> String {
    names.iter().map(Words::as_str).collect::<Vec<_>>().join(", ")
}

/// `A`, `A and B`, `A, B and C`.
fn enumerated(names: &[Words]) -> Words {
    match names {
        [] => Words::default(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", joined(most)).into(),
    }
}

//! The lines that describe a push, after GitLab's. They are short enough for IRC.

use crate::event::{Commit, Push, RefChange};
use crate::message::{Body, Limit, Markup, Message, TEST_MARK};

/// An IRC message has at most 512 bytes, including the sender, the channel and the line's end
/// (<https://www.rfc-editor.org/rfc/rfc2812#section-2.3>). A server disconnects a client that sends more.
const LINE: usize = 400;
/// Few commits, because irkerd sends one line per second.
const MOST_COMMITS: usize = 3;
/// The limit for names of projects, branches and people, in bytes. Three of them and an address fit in a line.
const NAME: usize = 70;
/// The limit for a commit id, normally eight characters.
const SHA: usize = 32;

/// The lines about a push.
pub(super) fn lines(message: &Message, push: &Push, colors: bool) -> Vec<String> {
    let names = [push.user.name.as_str(), push.user.username.as_str()];
    let who = names.into_iter().find(|name| !name.trim().is_empty());
    let (project, is_test) = (&message.project, message.is_test);
    let scene =
        Scene { project: &project.name, url: &project.url, who, branch: push.short_ref(), colors, is_test };
    let commits = push.commits.iter().take(MOST_COMMITS).map(|commit| scene.commit(commit));
    scene.change(push.change()).into_iter().chain(scene.pushed(push)).chain(commits).collect()
}

/// The most of a sentence, in bytes: an address fits beside it.
const SENTENCE: usize = 200;

/// The lines about anything else: what happened with its address, what more is known, and the beginning of a description.
pub(super) fn news(message: &Message, colors: bool) -> Vec<String> {
    // The headline itself says that it is a test.
    let project = &message.project;
    let scene = Scene { project: &project.name, url: "", who: None, branch: "", colors, is_test: false };
    let url = message.title.as_ref().and_then(|title| title.url.as_deref()).unwrap_or_default();
    let headline = scene.opening().theirs(Look::Plain, &message.headline().plain_text(), SENTENCE);
    let fields = message.fields.iter().map(|field| format!("{}: {}", field.name, field.value.plain_text()));
    let fields = fields.collect::<Vec<_>>().join(", ");
    let description = match &message.body {
        Body::Prose(prose) => prose.plain_text(),
        Body::None | Body::Lines(_) => String::new(),
    };
    let more = [fields, description].into_iter().filter(|words| !words.trim().is_empty());
    let more = more.map(|words| scene.line().theirs(Look::Plain, &words, LINE).text);
    std::iter::once(headline.leading_to(url).text).chain(more).collect()
}

/// The author, where the event names one, and the place.
struct Scene<'a> {
    project: &'a str,
    url: &'a str,
    who: Option<&'a str>,
    branch: &'a str,
    colors: bool,
    is_test: bool,
}

impl Scene<'_> {
    /// The beginning of every line: empty, except for a test.
    fn line(&self) -> Line {
        let line = Line { text: String::new(), colors: self.colors };
        if self.is_test { line.ours(TEST_MARK).ours(" ") } else { line }
    }

    /// `[Rocket] `
    fn opening(&self) -> Line {
        let line = self.line();
        if self.project.is_empty() {
            return line;
        }
        line.ours("[").theirs(Look::Project, self.project, NAME).ours("] ")
    }

    fn change(&self, change: RefChange) -> Option<String> {
        let (did, was, page) = match change {
            RefChange::Created => (" has created a new branch ", " was created", self.page("branches")),
            RefChange::Removed => (" has deleted the branch ", " was deleted", String::new()),
            RefChange::Updated => return None,
        };
        let line = match self.who {
            Some(who) => {
                let line = self.opening().theirs(Look::Plain, who, NAME);
                line.ours(did).theirs(Look::Branch, self.branch, NAME)
            }
            None => self.opening().ours("Branch ").theirs(Look::Branch, self.branch, NAME).ours(was),
        };
        Some(line.leading_to(&page).text)
    }

    fn pushed(&self, push: &Push) -> Option<String> {
        let line = self.opening();
        let line = match self.who {
            Some(who) => line.theirs(Look::Plain, who, NAME).ours(" pushed "),
            None => line,
        };
        let line = match (push.commit_count(), self.who) {
            // The first line contains it already.
            (None, _) if push.change() != RefChange::Updated => return None,
            (None, Some(_)) => line.ours("to "),
            (None, None) => line.ours("Commits were pushed to "),
            (Some(count), who) => {
                let noun = match (count, who) {
                    (1, Some(_)) => " new commit to ",
                    (_, Some(_)) => " new commits to ",
                    (1, None) => " new commit was pushed to ",
                    (_, None) => " new commits were pushed to ",
                };
                line.theirs(Look::Commits, &count.to_string(), NAME).ours(noun)
            }
        };
        let line = line.theirs(Look::Branch, self.branch, NAME);
        Some(line.leading_to(&self.commits_page(push)).text)
    }

    /// The page of the comparison; for a new branch, whose start the event does not contain, the page of its commits.
    fn commits_page(&self, push: &Push) -> String {
        let is_sha = |sha: &str| !sha.is_empty() && sha.bytes().all(|b| b.is_ascii_hexdigit());
        let short = |sha: &str| sha[..sha.len().min(8)].to_owned();
        match push.change() {
            _ if !is_sha(&push.before) || !is_sha(&push.after) => String::new(),
            RefChange::Updated => {
                self.page(&format!("compare/{}...{}", short(&push.before), short(&push.after)))
            }
            RefChange::Created => self.page(&format!("commits/{}", short(&push.after))),
            RefChange::Removed => String::new(),
        }
    }

    /// `Rocket/main c4d1e8f7 Grace Hopper (3 files): Check the weather`
    fn commit(&self, commit: &Commit) -> String {
        let mut line = self.line();
        if !self.project.is_empty() {
            line = line.theirs(Look::Project, self.project, NAME).ours("/");
        }
        line = line.theirs(Look::Branch, self.branch, NAME);
        for (look, words, at_most) in
            [(Look::Sha, commit.short_id(), SHA), (Look::Plain, &commit.author.name, NAME)]
        {
            if !words.trim().is_empty() {
                line = line.ours(" ").theirs(look, words, at_most);
            }
        }
        let files = commit.added.len() + commit.modified.len() + commit.removed.len();
        // If no file is named, the number is unknown: a merge, or a payload that was cut.
        if files > 0 {
            let noun = if files == 1 { " file)" } else { " files)" };
            line = line.ours(" (").theirs(Look::Files, &files.to_string(), NAME).ours(noun);
        }
        let title = if commit.title().is_empty() { "(no message)" } else { commit.title() };
        line.ours(": ").theirs(Look::Plain, title, LINE).text
    }

    /// A page of the project; empty where the project's address is unknown.
    fn page(&self, path: &str) -> String {
        if self.url.is_empty() { String::new() } else { format!("{}/-/{path}", self.url) }
    }
}

/// The formatting of a text, in mIRC's codes (<https://modern.ircdocs.horse/formatting>), as in GitLab.
#[derive(Clone, Copy)]
enum Look {
    Plain,
    Project,
    Branch,
    Address,
    Sha,
    Commits,
    Files,
}

impl Look {
    /// Colours have two digits, so that a digit in the text is not read as a part of the colour.
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Project => "\x0304",
            Self::Branch => "\x0305",
            Self::Address => "\x0302\x1f",
            Self::Sha => "\x0314",
            Self::Commits => "\x02",
            Self::Files => "\x0312",
        }
    }
}

/// Ends all formatting.
const RESET: &str = "\x0f";
/// Bold on and off again. These codes separate a colour from a comma, which would begin a background colour.
const NOTHING: &str = "\x02\x02";

/// A line that is being built.
struct Line {
    text: String,
    colors: bool,
}

impl Line {
    /// Our own text, which always fits.
    fn ours(mut self, words: &str) -> Self {
        self.text.push_str(words);
        self
    }

    /// People's text: on one line, without control characters that a client or server would interpret, cut to so many bytes and
    /// to the rest of the line.
    fn theirs(mut self, look: Look, words: &str, at_most: usize) -> Self {
        let code = if self.colors { look.code() } else { "" };
        let marks = if code.is_empty() { 0 } else { code.len() + NOTHING.len() + RESET.len() };
        let room = LINE.saturating_sub(self.text.len() + marks).min(at_most);
        // The limit is far more than fits in a line. It bounds the work for a very long title.
        let start = words.char_indices().nth(4 * LINE).map_or(words, |(end, _)| &words[..end]);
        let words = Markup::Irc { colors: self.colors }.label(start, Limit::Bytes(room));
        if code.is_empty() || words.is_empty() {
            return self.ours(&words);
        }
        let guard = if words.starts_with(',') { NOTHING } else { "" };
        for part in [code, guard, &words, RESET] {
            self.text.push_str(part);
        }
        self
    }

    /// A link. An address is never cut; it is left out if it does not fit.
    fn leading_to(self, address: &str) -> Self {
        let marks = if self.colors { Look::Address.code().len() + RESET.len() } else { 0 };
        if address.is_empty() || self.text.len() + ": ".len() + address.len() + marks > LINE {
            return self;
        }
        let (code, reset) = if self.colors { (Look::Address.code(), RESET) } else { ("", "") };
        self.ours(": ").ours(code).ours(address).ours(reset)
    }
}

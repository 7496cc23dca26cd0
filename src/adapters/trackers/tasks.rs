//! Asana's tasks in a commit's message: `#1202345678901234`, or the address of a task.
//!
//! GitLab takes any word behind `#` for a task; a task's number has digits only, so other words are none. A number in an
//! address or behind a word (`page.html#12`, `acme/web#12`) is another thing's.

use crate::settings::Url;

const SERVER: &str = "https://app.asana.com/";
/// Longer numbers are none.
const LONGEST_NUMBER: usize = 19;
/// The most characters that a reason shows of a word that is no task.
const LONGEST_WORD: usize = 30;
/// More are not read from one message. One event has fewer effects.
const MOST: usize = 1_000;
/// A word with this beginning right before a task means that the task is done.
const DONE: [&str; 3] = ["fix", "close", "closi"];

/// A task that a message names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) id: String,
    /// Whether the message says that it is done.
    pub(super) completes: bool,
}

/// The tasks in a message, each once, and the words after `#` that are no tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mentions {
    pub(super) tasks: Vec<Task>,
    pub(super) others: Vec<String>,
}

/// The tasks that a message names, in its order. Addresses may be those of a compatible server too.
pub(super) fn mentioned(message: &str, server: Option<&Url>) -> Mentions {
    let other = server.map(|server| server.0.origin().ascii_serialization() + "/");
    let servers: Vec<&str> = std::iter::once(SERVER).chain(other.as_deref()).collect();
    let mut found = Mentions::default();
    let mut at = 0;
    while let Some(start) = message[at..].find(['#', 'h', 'H']).map(|offset| at + offset) {
        let (before, rest) = message.split_at(start);
        let begins =
            |server: &&&str| rest.get(..server.len()).is_some_and(|start| start.eq_ignore_ascii_case(server));
        at = start + 1;
        if let Some(rest) = rest.strip_prefix('#') {
            let word = first_word(rest);
            at += word.len();
            if may_follow(before) {
                found.add_word(word, says_done(before));
            }
        } else if let Some(server) = servers.iter().find(begins) {
            let path = rest[server.len()..].split(char::is_whitespace).next().unwrap_or_default();
            at = start + server.len() + path.len();
            if let Some(id) = task_of(path).filter(|_| !is_part_of_address(before)) {
                found.add(id, says_done(before));
            }
        }
    }
    found
}

impl Mentions {
    fn add_word(&mut self, word: &str, completes: bool) {
        if is_number(word) {
            self.add(word, completes);
        } else if !word.is_empty() && self.others.len() < MOST {
            let shown: String = word.chars().take(LONGEST_WORD).collect();
            let cut = if shown.len() < word.len() { "…" } else { "" };
            self.others.push(format!("#{shown}{cut}"));
        }
    }

    fn add(&mut self, id: &str, completes: bool) {
        if let Some(known) = self.tasks.iter_mut().find(|task| task.id == id) {
            known.completes |= completes;
        } else if self.tasks.len() < MOST {
            self.tasks.push(Task { id: id.to_owned(), completes });
        }
    }
}

fn is_number(word: &str) -> bool {
    (1..=LONGEST_NUMBER).contains(&word.len())
        && word.bytes().all(|byte| byte.is_ascii_digit())
        && !word.starts_with('0')
}

/// The task of an address, from the part behind the host: `0/<project>/<task>`, `1/<workspace>/task/<task>` or
/// `1/<workspace>/project/<project>/task/<task>`. Further parts and a query may follow.
fn task_of(path: &str) -> Option<&str> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let parts: Vec<&str> = path.split('/').collect();
    let named = parts.windows(2).find(|pair| pair[0] == "task").map(|pair| pair[1]);
    let task = match parts.as_slice() {
        [number, _, task, ..] if named.is_none() && is_digits(number) => Some(*task),
        _ => named,
    };
    task.map(first_word).filter(|task| is_number(task))
}

fn is_digits(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a reference may follow this text. It may not follow a word, except one that closes tasks, and it may not be
/// in an address.
fn may_follow(before: &str) -> bool {
    match before.chars().next_back() {
        Some(c) if is_of_word(c) => says_done(before),
        Some(c) => !matches!(c, '/' | '&' | '#' | '?' | '=' | '%' | '@'),
        None => true,
    }
}

/// Whether an address after this text is a part of another address.
fn is_part_of_address(before: &str) -> bool {
    before.ends_with(|c| is_of_word(c) || matches!(c, '/' | '=' | '?' | '&' | '%'))
}

/// Whether the word at the end says that what follows is done.
fn says_done(before: &str) -> bool {
    let before = before.trim_end();
    let start = before.char_indices().rev().take_while(|(_, c)| is_of_word(*c)).last();
    let word = start.map_or("", |(start, _)| &before[start..]);
    DONE.iter().any(|done| word.get(..done.len()).is_some_and(|start| start.eq_ignore_ascii_case(done)))
}

fn first_word(text: &str) -> &str {
    &text[..text.find(|c| !is_of_word(c)).unwrap_or(text.len())]
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{FieldType as _, Value};

    /// `12` for a task, `12!` for one that is done, `#word` for what is none.
    fn named(message: &str) -> String {
        let Mentions { tasks, others } = mentioned(message, None);
        let tasks = tasks.iter().map(|task| format!("{}{}", task.id, if task.completes { "!" } else { "" }));
        tasks.chain(others).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn tasks_are_numbers_or_addresses() {
        for (message, expected) in [
            ("see #12", "12"),
            ("#12", "12"),
            ("(#12), [#13]. \"#14\"", "12 13 14"),
            ("#12 #12 #12", "12"),
            ("https://app.asana.com/0/77/12", "12"),
            ("https://app.asana.com/0/77/12/f", "12"),
            ("https://app.asana.com/0/home/12?x=y#z", "12"),
            ("HTTPS://App.Asana.com/0/77/12).", "12"),
            ("https://app.asana.com/1/9/project/77/task/12", "12"),
            ("https://app.asana.com/1/9/task/12?focus=true", "12"),
            ("https://app.asana.com/1/9/project/77/task/12/comment/13", "12"),
            ("https://app.asana.com/0/77/12 and #12", "12"),
            ("\u{202b}#12\u{202c} \u{5e9}\u{5dc}\u{5d5}\u{5dd} #13", "12 13"),
        ] {
            assert_eq!(named(message), expected, "{message}");
        }
    }

    #[test]
    fn a_word_right_before_completes() {
        for (message, expected) in [
            ("fix #12", "12!"),
            ("Fixes #12", "12!"),
            ("FIXED\n  #12", "12!"),
            ("fix#12", "12!"),
            ("close #12", "12!"),
            ("closing https://app.asana.com/0/77/12", "12!"),
            ("closed https://app.asana.com/1/9/task/12", "12!"),
            ("see #12, fixes #12", "12!"),
            // The word before the task is another one, or there is text between both.
            ("prefix #12", "12"),
            ("enclosed #12", "12"),
            ("clo #12", "12"),
            ("fixes: #12", "12"),
            ("fixes task #12", "12"),
            ("fix #12 #13", "12! 13"),
            ("resolves #12", "12"),
        ] {
            assert_eq!(named(message), expected, "{message}");
        }
    }

    #[test]
    fn other_words_are_no_tasks() {
        for (message, expected) in [
            ("#fixme", "#fixme"),
            ("tell #channel", "#channel"),
            ("#12abc", "#12abc"),
            ("#\u{5e9}\u{5dc}", "#\u{5e9}\u{5dc}"),
            ("#0012 #0", "#0012 #0"),
            ("#99999999999999999999", "#99999999999999999999"),
            ("fix #\u{661}\u{662}", "#\u{661}\u{662}"),
            // Numbers with another meaning.
            ("acme/web#12", ""),
            ("https://forge.example/page#12 https://forge.example/#13", ""),
            ("&#12; ##12 a@#12", ""),
            ("# 12", ""),
            ("#", ""),
            ("https://app.asana.com/", ""),
            ("https://app.asana.com/0/77/list", ""),
            ("https://app.asana.com/-/login", ""),
            ("https://app.asana.com.example/0/77/12", ""),
            ("http://app.asana.com/0/77/12", ""),
            ("https://x.example/?next=https://app.asana.com/0/77/12", ""),
            ("https://x.example/https://app.asana.com/0/77/12", ""),
            ("https://x.example/?https://app.asana.com/0/77/12", ""),
            ("https://x.example/?a&https://app.asana.com/0/77/12", ""),
            ("xhttps://app.asana.com/0/77/12", ""),
        ] {
            assert_eq!(named(message), expected, "{message}");
        }
        assert_eq!(named(&format!("#x{}", "y".repeat(1000))), format!("#x{}…", "y".repeat(LONGEST_WORD - 1)));
    }

    #[test]
    fn a_compatible_server_has_addresses_of_its_own() {
        let server = Url::read(&Value::Text("https://tasks.example:8443/below".to_owned())).expect("a URL");
        let tasks = mentioned("https://tasks.example:8443/0/77/12", Some(&server)).tasks;
        assert_eq!(tasks, [Task { id: "12".to_owned(), completes: false }]);
    }

    #[test]
    fn ten_thousand_references_are_read_in_bounds() {
        let message =
            (1..=10_000).map(|number| format!("fix #{number} #word{number} ")).collect::<Vec<_>>().concat();
        let found = mentioned(&message, None);
        assert_eq!((found.tasks.len(), found.others.len()), (MOST, MOST));
    }
}

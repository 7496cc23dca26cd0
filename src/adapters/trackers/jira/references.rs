//! Finds Jira's issues in people's words, and the words that close them.
//!
//! Code is ignored, because names in code have another meaning. [`crate::adapters::references`] decides, for all
//! trackers, whether a match is a reference or a part of another word or of an address.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use regex::{Regex, RegexBuilder};

use super::Settings;
use crate::adapters::references;
use crate::settings::Names;

/// GitLab's pattern of a key (`lib/gitlab/regex.rb` in <https://gitlab.com/gitlab-org/gitlab>).
const KEY: &str = r"[A-Z][A-Z_0-9]+-\d+";
/// The longest prefix and pattern, in characters, as in GitLab.
pub(super) const LONGEST_PATTERN: usize = 255;
/// How large a compiled pattern may be, in bytes. `\w{1,60}` and the like fit.
const LARGEST_PATTERN: usize = 1024 * 1024;
/// The most bytes of a text that are searched.
const MOST_BYTES: usize = 128 * 1024;
/// The most references of an event that are checked.
pub(super) const MOST_REFERENCES: usize = 5_000;
/// A pattern of one's own may read the whole text in each search. In the texts of one event, and for the links of one text, it
/// reads no more than this, in bytes: a part of a second.
const MOST_READ: usize = 4 * 1024 * 1024;
/// Jira's keys are shorter.
const LONGEST_KEY: usize = 255;
/// How far before a reference a word that closes it may stand, in bytes: there may be other references between.
const WINDOW: usize = 256;

/// Where a text comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Words {
    /// Plain text: lines with an indent are no code.
    CommitMessage,
    /// Markdown.
    MergeRequest,
}

/// A reference to an issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub key: String,
    /// Whether a word before it closes the issue.
    pub closes: bool,
}

/// The references found in the texts of one event.
#[derive(Debug)]
pub(super) struct Search {
    looked_at: usize,
    /// How many bytes a pattern of one's own may still read.
    bytes: usize,
    /// Keys of other projects than those of the settings.
    pub other_projects: Vec<String>,
    /// A text was longer than what is looked at, or there were more references.
    pub is_cut: bool,
}

impl Default for Search {
    fn default() -> Self {
        Self { looked_at: 0, bytes: MOST_READ, other_projects: Vec::new(), is_cut: false }
    }
}

/// How references are found with an integration's settings.
pub(super) struct Finder<'a> {
    pattern: Arc<Regex>,
    /// Whether people wrote the pattern.
    is_own: bool,
    project_key: Option<&'a str>,
    project_keys: &'a [String],
}

impl<'a> Finder<'a> {
    /// # Errors
    /// The error in the pattern, and its setting.
    pub(super) fn of(settings: &'a Settings) -> Result<Self, (&'static str, String)> {
        let own = pattern(settings.jira_issue_prefix.as_deref(), settings.jira_issue_regex.as_deref())?;
        Ok(Self {
            is_own: own.is_some(),
            pattern: own.unwrap_or_else(|| Arc::clone(&USUAL)),
            project_key: settings.project_key.as_deref().map(str::trim),
            project_keys: settings.project_keys.as_ref().map_or(&[], Names::as_slice),
        })
    }

    /// The issues that a text names, in the order of the text, each once.
    pub(super) fn find(&self, text: &str, words: Words, search: &mut Search) -> Vec<Reference> {
        let start = beginning(text, MOST_BYTES);
        search.is_cut |= start.len() < text.len();
        let text = crate::message::without_code(start, words == Words::MergeRequest);
        let mut found: Vec<Reference> = Vec::new();
        let mut last_closing = None;
        let mut references = self.search(&text, search.bytes);
        for reference in references.by_ref() {
            if search.looked_at == MOST_REFERENCES {
                search.is_cut = true;
                break;
            }
            search.looked_at += 1;
            let closes = closes(&text, &reference.range, last_closing);
            if closes {
                last_closing = Some(reference.range.end);
            }
            let key = reference.issue;
            if !is_key(key) {
                continue;
            }
            if !self.is_told(key) {
                if !search.other_projects.iter().any(|known| known == key) {
                    search.other_projects.push(key.to_owned());
                }
                continue;
            }
            match found.iter_mut().find(|known| known.key.eq_ignore_ascii_case(key)) {
                Some(known) => known.closes |= closes,
                None => found.push(Reference { key: key.to_owned(), closes }),
            }
        }
        search.is_cut |= references.is_cut();
        search.bytes = search.bytes.min(references.bytes_left());
        found
    }

    /// The references in a text. GitLab's own pattern takes time in proportion to the text, whatever is in it.
    fn search<'t>(&'t self, text: &'t str, bytes: usize) -> references::References<'t> {
        references::references_within(&self.pattern, text, if self.is_own { bytes } else { usize::MAX })
    }

    /// The issue of this name, if the whole of it is one.
    pub(super) fn whole<'t>(&self, name: &'t str) -> Option<&'t str> {
        references::whole(&self.pattern, name).filter(|key| is_key(key) && self.is_told(key))
    }

    /// The references of a text with their places, for links.
    pub(super) fn places<'t>(&'t self, text: &'t str) -> impl Iterator<Item = references::Found<'t>> + 't {
        self.search(text, MOST_READ).filter(|found| is_key(found.issue) && self.is_told(found.issue))
    }

    /// Whether the issue's project is one of those of the settings, where they name any. `CVE-2024` names a weakness, as in
    /// GitLab, unless the settings name a project `CVE`.
    fn is_told(&self, key: &str) -> bool {
        let project = key.rsplit_once('-').map_or(key, |(project, _)| project);
        let mut named =
            self.project_key.into_iter().chain(self.project_keys.iter().map(String::as_str)).peekable();
        match named.peek() {
            None => !project.eq_ignore_ascii_case("CVE"),
            Some(_) => named.any(|known| known.eq_ignore_ascii_case(project)),
        }
    }
}

static USUAL: LazyLock<Arc<Regex>> =
    LazyLock::new(|| Arc::new(references::pattern(&format!("(?<issue>{KEY})"))));

/// The pattern that the settings make; `None` if it is the usual one.
fn pattern(prefix: Option<&str>, regex: Option<&str>) -> Result<Option<Arc<Regex>>, (&'static str, String)> {
    if prefix.is_none() && regex.is_none() {
        return Ok(None);
    }
    let (prefix, regex) = (prefix.unwrap_or_default(), regex.unwrap_or(KEY));
    if let Some(known) = known(prefix, regex) {
        return Ok(Some(known));
    }
    let made = Arc::new(made_of(prefix, regex)?);
    remember(prefix, regex, &made);
    Ok(Some(made))
}

/// Compiled patterns by their prefix and expression, the newest last. A pattern is asked for with every text, and
/// compiling it takes longer than most searches.
static COMPILED: Mutex<VecDeque<Compiled>> = Mutex::new(VecDeque::new());
/// More are not kept.
const MOST_COMPILED: usize = 64;

struct Compiled {
    prefix: String,
    regex: String,
    pattern: Arc<Regex>,
}

fn known(prefix: &str, regex: &str) -> Option<Arc<Regex>> {
    let compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let known = compiled.iter().find(|known| known.prefix == prefix && known.regex == regex);
    known.map(|known| Arc::clone(&known.pattern))
}

fn remember(prefix: &str, regex: &str, pattern: &Arc<Regex>) {
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if compiled.len() == MOST_COMPILED {
        compiled.pop_front();
    }
    let pattern = Arc::clone(pattern);
    compiled.push_back(Compiled { prefix: prefix.to_owned(), regex: regex.to_owned(), pattern });
}

fn made_of(prefix: &str, regex: &str) -> Result<Regex, (&'static str, String)> {
    for (name, text) in [("jira_issue_prefix", prefix), ("jira_issue_regex", regex)] {
        if text.chars().count() > LONGEST_PATTERN {
            return Err((name, format!("is too long (maximum is {LONGEST_PATTERN} characters)")));
        }
        // Alone too, so that no half of a group is closed by the other.
        compiled(text).map_err(|why| (name, why))?;
    }
    compiled(&format!("(?:{prefix})(?<issue>{regex})")).map_err(|why| ("jira_issue_regex", why))
}

fn compiled(text: &str) -> Result<Regex, String> {
    let mut builder = RegexBuilder::new(text);
    builder.size_limit(LARGEST_PATTERN).dfa_size_limit(LARGEST_PATTERN);
    builder.build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "is too large a pattern: repeat less in it".to_owned(),
        error => {
            let last =
                error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            format!("is not a regular expression: {last}")
        }
    })
}

/// Whether a name can be one part of an address and the name of a lane.
fn is_key(key: &str) -> bool {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    key.len() <= LONGEST_KEY && key.contains(char::is_alphanumeric) && key.chars().all(is_plain)
}

fn beginning(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// GitLab's words (its default pattern of closing words): the word, perhaps a colon, blanks, and a list of references.
const CLOSING: &str =
    "(?:[Cc]los(?:e[sd]?|ing)|[Ff]ix(?:e[sd]|ing)?|[Rr]esolv(?:e[sd]?|ing)|[Ii]mplement(?:s|ed|ing)?):? +";
/// The text between the references of a list.
const BETWEEN: &str = "(?: *,? +and +| *,? *)";
/// References of other trackers in the list, the forge's own among them.
const OTHERS: &str = r"(?:(?:issues? +)?(?:[\w./-]*#\d+|[A-Z][A-Z0-9_]+-\d+))";

/// Whether a reference is in a list that begins with a closing word. `last_closing` is where such a list ended so far.
fn closes(text: &str, reference: &Range<usize>, last_closing: Option<usize>) -> bool {
    static FIRST: LazyLock<Regex> = LazyLock::new(|| {
        references::pattern(&format!(r"(?:^|\W){CLOSING}(?:{OTHERS}{BETWEEN})*(?:issues? +)?$"))
    });
    static NEXT: LazyLock<Regex> =
        LazyLock::new(|| references::pattern(&format!(r"^{BETWEEN}(?:{OTHERS}{BETWEEN})*(?:issues? +)?$")));
    let follows = |end: usize| end + WINDOW >= reference.start && NEXT.is_match(&text[end..reference.start]);
    if last_closing.is_some_and(follows) {
        return true;
    }
    let from = text.ceil_char_boundary(reference.start.saturating_sub(WINDOW));
    FIRST.is_match(&text[from..reference.start])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Properties, Settings as _, Value};

    fn settings(set: &[(&str, &str)]) -> Settings {
        let must = [("url", "https://jira.example"), ("username", "ada"), ("password", "x")];
        let all = must.iter().chain(set);
        let all: Properties =
            all.map(|(name, value)| ((*name).to_owned(), Value::Text((*value).to_owned()))).collect();
        Settings::read(&all).expect("sound settings")
    }

    fn found_with(set: &[(&str, &str)], text: &str, words: Words) -> Vec<Reference> {
        let settings = settings(set);
        let finder = Finder::of(&settings).unwrap_or_else(|why| panic!("{why:?}"));
        finder.find(text, words, &mut Search::default())
    }

    fn keys(text: &str) -> Vec<String> {
        found_with(&[], text, Words::CommitMessage).into_iter().map(|found| found.key).collect()
    }

    fn closed(text: &str) -> Vec<String> {
        let found = found_with(&[], text, Words::CommitMessage);
        found.into_iter().filter(|found| found.closes).map(|found| found.key).collect()
    }

    #[test]
    fn keys_are_found_as_gitlab_finds_them() {
        for (text, expected) in [
            ("ABC-7", &["ABC-7"][..]),
            ("fix ABC-7: pumps, A_2-12 and XY9-1.", &["ABC-7", "A_2-12", "XY9-1"]),
            ("ABC-7 again ABC-7", &["ABC-7"]),
            ("Merge branch 'feature/ABC-7-pumps' into 'main'", &["ABC-7"]),
            ("[ABC-7] (DEF-8) \"GHI-9\"", &["ABC-7", "DEF-8", "GHI-9"]),
            ("UTF-8 and ISO-8601 look like keys", &["UTF-8", "ISO-8601"]),
            ("ABC-007", &["ABC-007"]),
        ] {
            assert_eq!(keys(text), expected, "{text}");
        }
    }

    #[test]
    fn other_words_addresses_and_code_name_no_issue() {
        for text in [
            "ABC-12-34",
            "CVE-2024-1",
            "CVE-2024",
            "#fixme",
            "#12",
            "A-1",
            "abc-7",
            "xABC-7",
            "ABC-7x",
            "ABC-",
            "ABC-x",
            "https://other.example/browse/ABC-7?x=DEF-8#GHI-9",
            "see <https://other.example/ABC-7>",
            "ABC-7@example.com",
            "ada@ABC-7.example.com",
            "`ABC-7`",
            "``a ` ABC-7``",
            "```\nABC-7\n```",
            "~~~ text\nABC-7\n~~~\n",
            "ABC-7.txt",
        ] {
            assert_eq!(keys(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn an_indent_is_code_in_markdown_alone_and_a_comment_is_nothing_there() {
        let found = |text: &str, words| found_with(&[], text, words).len();
        for (text, in_commit, in_request) in [
            ("* list\n\n    ABC-7", 1, 1),
            ("words\n\n    ABC-7\n", 1, 0),
            ("<!-- Closes ABC-7 -->", 1, 0),
            ("<!--\nCloses ABC-7\n-->\nDEF-8", 2, 1),
            ("a <!-- ABC-7 --> b", 1, 0),
            ("<div>ABC-7</div>", 1, 1),
            ("<!-- ABC-7", 1, 0),
        ] {
            assert_eq!(found(text, Words::CommitMessage), in_commit, "{text}");
            assert_eq!(found(text, Words::MergeRequest), in_request, "{text}");
        }
    }

    #[test]
    fn project_keys_let_only_their_issues_pass() {
        let keys = |set: &[(&str, &str)], text: &str| -> Vec<String> {
            found_with(set, text, Words::CommitMessage).into_iter().map(|found| found.key).collect()
        };
        let text = "ABC-7 DEF-8 UTF-8 CVE-2024";
        assert_eq!(keys(&[("project_keys", "ABC, DEF")], text), ["ABC-7", "DEF-8"]);
        assert_eq!(keys(&[("project_key", "abc")], text), ["ABC-7"]);
        assert_eq!(keys(&[("project_key", "ABC"), ("project_keys", "DEF")], text), ["ABC-7", "DEF-8"]);
        assert_eq!(keys(&[("project_keys", "CVE")], text), ["CVE-2024"]);
        assert_eq!(keys(&[("project_keys", " , ")], text), ["ABC-7", "DEF-8", "UTF-8"]);
        let settings = settings(&[("project_keys", "ABC")]);
        let mut search = Search::default();
        Finder::of(&settings).unwrap_or_else(|why| panic!("{why:?}")).find(
            text,
            Words::CommitMessage,
            &mut search,
        );
        assert_eq!(search.other_projects, ["DEF-8", "UTF-8", "CVE-2024"], "they are said");
    }

    #[test]
    fn a_prefix_and_a_pattern_of_ones_own() {
        let keys = |set: &[(&str, &str)], text: &str| -> Vec<String> {
            found_with(set, text, Words::CommitMessage).into_iter().map(|found| found.key).collect()
        };
        assert_eq!(keys(&[("jira_issue_prefix", "JIRA#")], "JIRA#ABC-7 DEF-8 xJIRA#GHI-9"), ["ABC-7"]);
        assert_eq!(keys(&[("jira_issue_prefix", "#")], "#ABC-7, DEF-8"), ["ABC-7"]);
        assert_eq!(
            keys(&[("jira_issue_regex", r"abc-\d{3}")], "abc-123 abc-12 abc-1234 ABC-123"),
            ["abc-123"]
        );
        assert_eq!(
            keys(&[("jira_issue_regex", "(?i:abc|def)-[0-9]+")], "Abc-1 deF-2 ghi-3"),
            ["Abc-1", "deF-2"]
        );
        // Matches that can't be keys of Jira, and patterns that match nothing.
        assert_eq!(keys(&[("jira_issue_regex", ".*")], "a/b c"), [""; 0]);
        assert_eq!(keys(&[("jira_issue_regex", "x*")], "yyy"), [""; 0]);
        assert_eq!(keys(&[("jira_issue_regex", "[.]+")], ".. ."), [""; 0]);
    }

    #[test]
    fn a_pattern_that_is_wrong_too_long_or_too_large_is_refused() {
        for (set, field, says) in [
            (("jira_issue_regex", "(ABC"), "jira_issue_regex", "is not a regular expression: unclosed group"),
            (
                ("jira_issue_regex", "ABC)(x"),
                "jira_issue_regex",
                "is not a regular expression: unopened group",
            ),
            (
                ("jira_issue_prefix", "["),
                "jira_issue_prefix",
                "is not a regular expression: unclosed character class",
            ),
            (("jira_issue_regex", "(?=x)"), "jira_issue_regex", "is not a regular expression: look-around"),
            (
                ("jira_issue_regex", r"(a)\1"),
                "jira_issue_regex",
                "is not a regular expression: backreferences",
            ),
            (("jira_issue_regex", r"\w{1000}{1000}"), "jira_issue_regex", "is too large a pattern"),
            (
                ("jira_issue_regex", "(?<issue>x)"),
                "jira_issue_regex",
                "is not a regular expression: duplicate",
            ),
        ] {
            let settings = settings(&[set]);
            let (name, why) = Finder::of(&settings).err().expect("it is refused");
            assert_eq!(name, field);
            assert!(why.starts_with(says), "{why}");
        }
        let long = "x".repeat(256);
        let settings = settings(&[("jira_issue_prefix", &long)]);
        assert_eq!(
            Finder::of(&settings).err().expect("refused").1,
            "is too long (maximum is 255 characters)"
        );
    }

    #[test]
    fn a_pattern_is_compiled_once_and_other_settings_have_another() {
        let pattern = |regex: &str| {
            let settings = settings(&[("jira_issue_prefix", "once#"), ("jira_issue_regex", regex)]);
            Finder::of(&settings).unwrap_or_else(|why| panic!("{why:?}")).pattern
        };
        let first = pattern("[A-Z]+-[0-9]");
        assert!(Arc::ptr_eq(&first, &pattern("[A-Z]+-[0-9]")));
        assert!(!Arc::ptr_eq(&first, &pattern("[A-Z]+-[1-9]")));
    }

    /// An engine that backtracks would take exponential time.
    #[test]
    fn a_pattern_that_would_backtrack_ends() {
        let text = "a".repeat(100_000) + "!";
        let words = "bab ".repeat(32_000) + "z";
        for evil in [
            "(a+)+$",
            "(a|a)*b",
            "(a*)*c",
            ".*.*=.*",
            r"(?:a?){30}a{30}",
            "[^=]*[^-]-[0-9]",
            "a.*z",
            "a[^z]*z$",
        ] {
            for text in [&text, &words] {
                let settings = settings(&[("jira_issue_regex", evil)]);
                let finder = Finder::of(&settings).unwrap_or_else(|why| panic!("{why:?}"));
                let mut search = Search::default();
                // The commits of a push.
                for _ in 0..3 {
                    finder.find(text, Words::CommitMessage, &mut search);
                }
                finder.places(text).count();
            }
        }
        let settings = settings(&[("jira_issue_regex", "a.*z")]);
        let finder = Finder::of(&settings).unwrap_or_else(|why| panic!("{why:?}"));
        let mut search = Search::default();
        finder.find(&words, Words::CommitMessage, &mut search);
        assert!(search.is_cut, "what is not looked at is said");
    }

    #[test]
    fn gitlabs_closing_words_close_a_list_of_references() {
        for (text, expected) in [
            ("Closes ABC-7", &["ABC-7"][..]),
            ("closed: ABC-7", &["ABC-7"]),
            ("It is fixing ABC-7, DEF-8 and GHI-9", &["ABC-7", "DEF-8", "GHI-9"]),
            ("Resolves issue ABC-7 and issues DEF-8, GHI-9", &["ABC-7", "DEF-8", "GHI-9"]),
            ("Implement #3, group/x#4 and ABC-7", &["ABC-7"]),
            ("Implementing ABC-7; mentions DEF-8", &["ABC-7"]),
            ("fix ABC-7. DEF-8 stays", &["ABC-7"]),
            ("Fixes ABC-7 DEF-8", &["ABC-7", "DEF-8"]),
            ("Close:ABC-7", &[]),
            ("prefix ABC-7", &[]),
            ("CLOSES ABC-7", &[]),
            ("closer ABC-7", &[]),
            ("fixes\nABC-7", &[]),
            ("fixes `x` ABC-7", &[]),
            ("ABC-7 fixes", &[]),
            ("mentions ABC-7, closes ABC-7", &["ABC-7"]),
        ] {
            assert_eq!(closed(text), expected, "{text}");
        }
    }

    #[test]
    fn ten_thousand_references_are_bounded_and_it_is_said() {
        use std::fmt::Write as _;
        let mut text = String::from("Closes ");
        for number in 0..10_000 {
            let _ = write!(text, "ABC-{number}, ");
        }
        let settings = settings(&[]);
        let finder = Finder::of(&settings).unwrap_or_else(|why| panic!("{why:?}"));
        let mut search = Search::default();
        let found = finder.find(&text, Words::CommitMessage, &mut search);
        assert_eq!((found.len(), search.is_cut), (MOST_REFERENCES, true));
        assert!(found.iter().all(|found| found.closes), "the list is one");
        let long = "ö".repeat(200_000) + " ABC-7";
        let mut search = Search::default();
        assert_eq!(finder.find(&long, Words::CommitMessage, &mut search), []);
        assert!(search.is_cut);
        let twenty_thousand = "x ".repeat(10_000) + "ABC-7";
        assert_eq!(keys(&twenty_thousand), ["ABC-7"]);
    }
}

//! Problems in the files: the place, the error, and the remedy.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use super::text::{Entry, shown, shown_key, simple};
use crate::settings::Value;

/// A mistake, or something that is allowed and probably not intended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub severity: Severity,
    pub file: PathBuf,
    /// Counted from 1.
    pub line: Option<usize>,
    /// Which integration: `slack of acme/rocket`.
    pub integration: Option<String>,
    /// Which setting.
    pub key: Option<String>,
    /// The value in the file, unless it is or may be a secret.
    pub value: Option<String>,
    pub problem: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// Whether the files can be used despite the problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Error,
    Warning,
}

impl Problem {
    pub(super) fn new(severity: Severity, file: impl Into<PathBuf>, problem: impl Into<String>) -> Self {
        Self {
            severity,
            file: file.into(),
            line: None,
            integration: None,
            key: None,
            value: None,
            problem: problem.into(),
            remedy: None,
        }
    }

    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Shows the value in the file, unless it is or may be a secret.
    pub(super) fn showing(self, value: Option<&Value>) -> Self {
        Self { value: value.and_then(shown), ..self }
    }
}

/// One line: `integrations.toml:12: slack of acme/rocket: webhok: unknown setting; did you mean `webhook`?`
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(integration) = &self.integration {
            write!(f, ": {integration}")?;
        }
        match (&self.key, &self.value) {
            (Some(key), Some(value)) => write!(f, ": {key} = {value}")?,
            (Some(key), None) => write!(f, ": {key}")?,
            (None, _) => {}
        }
        write!(f, ": {}", self.problem)?;
        match &self.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

/// The remedy where the user of a command may not read a file.
pub(super) const AS_THE_DAEMON: &str =
    "run the command as the daemon's user: `sudo -u forgebell forgebell …`";

/// Where a block begins.
#[derive(Clone)]
pub(super) struct Location {
    pub(super) file: PathBuf,
    pub(super) line: usize,
}

impl Location {
    pub(super) fn error(&self, problem: impl Into<String>) -> Problem {
        Problem { line: Some(self.line), ..Problem::new(Severity::Error, &self.file, problem) }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// The error in a value, and the remedy.
pub(super) struct InvalidValue {
    pub(super) problem: &'static str,
    pub(super) remedy: Cow<'static, str>,
}

impl InvalidValue {
    pub(super) const fn new(problem: &'static str, remedy: &'static str) -> Self {
        Self { problem, remedy: Cow::Borrowed(remedy) }
    }

    /// For a key of a table that has only these.
    pub(super) fn unknown_key(key: &str, known: &[&'static str]) -> Self {
        let remedy = did_you_mean(key, known.iter().copied())
            .unwrap_or_else(|| format!("the known keys are {}", known.join(", ")));
        Self { problem: "unknown key", remedy: remedy.into() }
    }

    /// The problem of an entry of a table. The value is shown where the key is known: the value of another key may be a
    /// secret.
    pub(super) fn at(self, file: &Path, entry: &Entry<'_>, known: &[&str]) -> Problem {
        let value = if known.contains(&entry.key) { simple(entry.value).ok() } else { None };
        let problem = Problem::new(Severity::Error, file, self.problem).remedy(self.remedy);
        Problem { line: Some(entry.line), key: Some(shown_key(entry.key)), ..problem }.showing(value.as_ref())
    }
}

/// The problems of one block, with the words that name it.
pub(super) struct BlockProblems<'a> {
    file: &'a Path,
    /// `slack of project acme/rocket`, as far as that is known.
    pub(super) label: Option<String>,
    problems: Vec<Problem>,
}

impl<'a> BlockProblems<'a> {
    pub(super) fn new(file: &'a Path) -> Self {
        Self { file, label: None, problems: Vec::new() }
    }

    pub(super) fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    pub(super) fn error(&self, entry: &Entry<'_>, problem: impl Into<String>) -> Problem {
        self.about(Severity::Error, entry.line, entry.key, problem)
    }

    pub(super) fn about(
        &self,
        severity: Severity,
        line: usize,
        key: &str,
        problem: impl Into<String>,
    ) -> Problem {
        Problem {
            line: Some(line),
            integration: self.label.clone(),
            key: Some(shown_key(key)),
            ..Problem::new(severity, self.file, problem)
        }
    }

    /// The folder that relative file names in the block refer to.
    pub(super) fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    pub(super) fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }

    pub(super) fn into_vec(self) -> Vec<Problem> {
        self.problems
    }
}

/// The remedy for an unknown word: the known word that was probably intended.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let word = word.to_lowercase();
    let distance = |candidate: &str| {
        // One typing error for every four letters, and one for a short word; or the beginning of a longer name.
        let errors = strsim::damerau_levenshtein(&word, candidate);
        let is_beginning = word.len() >= 4 && candidate.starts_with(&word);
        if errors <= (word.chars().count() / 4).max(1) {
            Some(errors)
        } else if is_beginning {
            Some(usize::MAX)
        } else {
            None
        }
    };
    let nearest = known.into_iter().filter_map(|name| distance(name).map(|d| (d, name))).min();
    nearest.map(|(_, name)| format!("did you mean `{name}`?"))
}

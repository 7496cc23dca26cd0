//! What is wrong, said so that it can be mended: where, what, and what to write instead.

use std::fmt;
use std::path::PathBuf;

/// A mistake, or something that is allowed and probably not meant.
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
    /// What stands there, unless it is or may be a secret.
    pub value: Option<String>,
    pub problem: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// Whether the files can be used all the same.
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

/// The remedy for an unknown name: the known name that was probably meant.
pub(super) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let word = word.to_lowercase();
    let distant = |candidate: &str| {
        // One slip for every four letters, and one for a short word; or the beginning of a longer name.
        let slips = strsim::damerau_levenshtein(&word, candidate);
        let begun = word.len() >= 4 && candidate.starts_with(&word);
        (slips <= (word.chars().count() / 4).max(1)).then_some(slips).or(begun.then_some(usize::MAX))
    };
    let nearest = known.into_iter().filter_map(|name| distant(name).map(|d| (d, name))).min();
    nearest.map(|(_, name)| format!("did you mean `{name}`?"))
}

//! What the trackers share whose settings are three addresses: pages, names of issues, patterns.

use std::sync::LazyLock;

use regex::Regex;

use super::address;
use crate::adapters::contract::{About, CommonSettings};
use crate::adapters::references::{pattern, references, whole};
use crate::event::Triggers;
use crate::integration::Family;
use crate::message::{MOST_REFERENCES, Reference};
use crate::settings::{FieldError, PageUrl};

/// The description that all of them share.
pub(super) const fn about(slug: &'static str, title: &'static str, summary: &'static str) -> About {
    About {
        slug,
        title,
        summary,
        triggers: Triggers::of(&[]),
        family: Family::Hook,
        common: CommonSettings::NONE,
    }
}

/// `ABC-12`, and `#12` if the settings say so. The number alone names the issue.
pub(super) fn keys_and_numbers(short_references: bool) -> &'static Regex {
    static KEYS: LazyLock<Regex> = LazyLock::new(|| pattern("[A-Z][A-Z0-9_]*-(?<issue>[0-9]+)"));
    static BOTH: LazyLock<Regex> = LazyLock::new(|| pattern("(?:[A-Z][A-Z0-9_]*-|#)(?<issue>[0-9]+)"));
    if short_references { &BOTH } else { &KEYS }
}

/// The addresses of a tracker's pages.
#[derive(Clone, Copy)]
pub(super) struct Pages<'a> {
    pub project: &'a PageUrl,
    /// The address of an issue, with `:id` in the place of what names it.
    pub issues: &'a PageUrl,
    pub new_issue: Option<&'a PageUrl>,
    /// The tracker's name for people.
    pub title: Option<&'a str>,
}

impl Pages<'_> {
    /// What is wrong with them.
    pub fn errors(self) -> Vec<FieldError> {
        address::without_place(self.issues).into_iter().collect()
    }

    /// The references to issues in a text.
    pub fn references(self, pattern: &Regex, text: &str) -> Vec<Reference> {
        let reference = |range, issue: &str| Reference { range, url: self.issue(issue) };
        references(pattern, text)
            .take(MOST_REFERENCES)
            .map(|found| reference(found.range, found.issue))
            .collect()
    }

    /// The address of the issue that has this number or key.
    pub fn issue(self, id: &str) -> String {
        address::of_issue(self.issues, id)
    }

    /// The address of an issue that people call `12`, `#12` or `ABC-12`.
    pub fn numbered_issue(self, name: &str) -> Option<String> {
        let is_number = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
        let number = if is_number { Some(name) } else { whole(keys_and_numbers(true), name) };
        number.map(|number| self.issue(number))
    }

    pub fn project(self) -> Option<String> {
        Some(self.project.0.to_string())
    }

    pub fn new_issue(self) -> Option<String> {
        self.new_issue.map(|page| page.0.to_string())
    }

    pub fn name(self, otherwise: &str) -> String {
        self.title.unwrap_or(otherwise).trim().to_owned()
    }
}

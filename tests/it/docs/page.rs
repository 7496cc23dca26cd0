//! A page of Markdown: its blocks and its links.

use std::collections::BTreeSet;

use super::repository;

/// A fenced block.
#[derive(Clone, Debug)]
pub struct Block {
    /// The line of its fence, from 1 on.
    pub line: usize,
    pub language: String,
    pub text: String,
    /// The reason in a comment `<!-- not run: REASON -->` on the line before it.
    pub not_run: Option<String>,
}

pub struct Page {
    /// From the repository's root.
    pub path: String,
    pub text: String,
    pub blocks: Vec<Block>,
}

impl Page {
    pub fn read(path: &str) -> Self {
        let text =
            std::fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self { path: path.to_owned(), blocks: blocks(&text), text }
    }

    /// The targets of its links that lead to files, each with its line.
    pub fn links(&self) -> Vec<(usize, String)> {
        let mut links = Vec::new();
        for (number, line) in (1..).zip(self.text.lines()) {
            for part in line.split("](").skip(1) {
                let target = part.split(')').next().unwrap_or_default();
                if !target.contains("://") {
                    links.push((number, target.to_owned()));
                }
            }
        }
        links
    }
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    let mut before = "";
    for (number, line) in (1..).zip(text.lines()) {
        match (&mut open, line.strip_prefix("```")) {
            (Some(_), Some("")) => blocks.extend(open.take()),
            (Some(block), _) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, Some(language)) => {
                let why = before.strip_prefix("<!-- not run: ").and_then(|rest| rest.strip_suffix(" -->"));
                let (language, not_run) = (language.trim().to_owned(), why.map(str::to_owned));
                open = Some(Block { line: number, language, text: String::new(), not_run });
            }
            (None, None) => {}
        }
        before = line;
    }
    assert!(open.is_none(), "a block does not end");
    blocks
}

/// The anchors of a page's headings, as GitHub and GitLab make them.
pub fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-' || *c == '_');
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

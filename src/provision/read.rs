//! From texts to integrations, or to all that is wrong with them. No IO: files and secrets are given.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use toml::de::DeValue;

use super::problem::{Problem, Severity, did_you_mean};
use super::project::Facts;
use super::text::{Source, Table, shown_key};
use super::{Provisioned, block, group, project};
use crate::adapters::{ADAPTERS, Entry as Adapter};
use crate::catalog::{ConfiguredAt, UrlPolicy, allow_all_urls};
use crate::integration::Scope;

/// Gives the content of a file that holds a secret.
type ReadSecret<'a> = &'a dyn Fn(&Path) -> io::Result<String>;

/// What reading goes by, besides the texts.
#[derive(Clone, Copy)]
pub(super) struct ReadContext<'a> {
    pub(super) adapters: &'static [Adapter],
    pub(super) read_secret: ReadSecret<'a>,
    /// What speaks against an address.
    pub(super) blocks: &'a UrlPolicy<'a>,
}

/// Reads texts as [`load`](super::load) reads files; each is named by the file that it came from. Which addresses may be
/// called is not known here.
///
/// # Errors
/// All that is wrong with all of them, and the warnings beside it.
pub fn read(files: &[(PathBuf, String)], read_secret: ReadSecret<'_>) -> Result<Provisioned, Vec<Problem>> {
    read_all(ReadContext { adapters: ADAPTERS, read_secret, blocks: &allow_all_urls }, files)
        .finish(Vec::new())
}

/// The same for any table of adapters, before the verdict.
pub(super) fn read_all(context: ReadContext<'_>, files: &[(PathBuf, String)]) -> Reading {
    let mut reading = Reading::default();
    for (path, text) in files {
        reading.file(context, &Source { path, text });
    }
    reading.refuse_repeats();
    reading
}

/// What has been read so far.
#[derive(Default)]
pub(super) struct Reading {
    integrations: Vec<ConfiguredAt>,
    /// Every block that says for whom and by which adapter it is, sound or not.
    blocks: Vec<BlockKey>,
    facts: Vec<Facts>,
    groups: Vec<(String, Option<i64>)>,
    problems: Vec<Problem>,
    with_secrets: BTreeSet<PathBuf>,
}

/// Whose block it is and where it stands.
pub(super) struct BlockKey {
    pub(super) scope: Scope,
    pub(super) slug: &'static str,
    pub(super) label: String,
    pub(super) location: Location,
}

#[derive(Clone)]
pub(super) struct Location {
    pub(super) file: PathBuf,
    pub(super) line: usize,
}

impl Location {
    pub(super) fn error(&self, problem: String) -> Problem {
        Problem { line: Some(self.line), ..Problem::new(Severity::Error, &self.file, problem) }
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

impl Reading {
    /// Whether secrets stand in this file itself, rather than in files that it names.
    pub(super) fn holds_secrets(&self, file: &Path) -> bool {
        self.with_secrets.contains(file)
    }

    /// All or nothing: a part of a configuration would drop events silently.
    pub(super) fn finish(self, more: Vec<Problem>) -> Result<Provisioned, Vec<Problem>> {
        let Self { integrations, facts, groups, mut problems, .. } = self;
        problems.extend(more);
        problems.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        if problems.iter().any(|problem| problem.severity == Severity::Error) {
            return Err(problems);
        }
        let projects: Vec<_> = facts.iter().filter_map(Facts::correction).collect();
        let numbers = projects.iter().map(|project| (project.id, project.path.clone()));
        let numbered = integrations.iter().filter_map(|placed| match &placed.scope {
            Scope::ProjectId(id) => Some((*id, None)),
            _ => None,
        });
        let numbers = numbers.chain(numbered).collect();
        let facts = facts.into_iter().flat_map(Facts::by_name).collect();
        Ok(Provisioned { integrations, facts, projects, groups, numbers, warnings: problems })
    }

    fn file(&mut self, context: ReadContext<'_>, source: &Source<'_>) {
        let document = match source.parse() {
            Ok(document) => document,
            Err(mut problems) => return self.problems.append(&mut problems),
        };
        for entry in source.table(1, document.get_ref()).entries {
            match entry.key {
                "project" => {
                    for table in self.tables(source, entry.key, entry.line, entry.value) {
                        let (facts, mut problems) = project::read(source.path, &table);
                        self.facts.extend(facts);
                        self.problems.append(&mut problems);
                    }
                }
                "group" => {
                    for table in self.tables(source, entry.key, entry.line, entry.value) {
                        match group::read(source.path, &table) {
                            Ok(group) => self.groups.push(group),
                            Err(mut problems) => self.problems.append(&mut problems),
                        }
                    }
                }
                "integration" => {
                    for table in self.tables(source, entry.key, entry.line, entry.value) {
                        let block = block::read(context, source.path, &table);
                        self.take(source.path, block);
                    }
                }
                unknown => self.problems.push(unknown_table(source, unknown, entry.line)),
            }
        }
    }

    /// The tables of `[[name]]`.
    fn tables<'a>(
        &mut self,
        source: &Source<'a>,
        name: &str,
        line: usize,
        value: &'a DeValue<'a>,
    ) -> Vec<Table<'a>> {
        let mut wrong = |line: usize, problem: &str| {
            let problem = Problem::new(Severity::Error, source.path, problem)
                .remedy(format!("write [[{name}]] with two brackets: there may be several"));
            self.problems.push(Problem { line: Some(line), key: Some(name.to_owned()), ..problem });
        };
        let DeValue::Array(items) = value else {
            wrong(line, "is no list of tables");
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in items {
            let line = source.line(item.span().start);
            match item.get_ref() {
                DeValue::Table(table) => tables.push(source.table(line, table)),
                _ => wrong(line, "is no table"),
            }
        }
        tables
    }

    fn take(&mut self, file: &Path, mut block: block::BlockResult) {
        self.problems.append(&mut block.problems);
        self.integrations.extend(block.integration);
        self.blocks.extend(block.key);
        if block.inline_secret {
            self.with_secrets.insert(file.to_owned());
        }
    }

    /// One use of an adapter for each project or group, as in GitLab; and one table for each project's facts. Where
    /// a project's number and path are both told, a block that names the one repeats a block that names the other.
    fn refuse_repeats(&mut self) {
        let mut known = HashMap::new();
        for Facts { location, id, path, .. } in &self.facts {
            let names = [id.map(|id| id.to_string()), path.as_deref().map(str::to_ascii_lowercase)];
            let first = names.iter().flatten().find_map(|name| known.get(name).cloned());
            if let Some(first) = first {
                self.problems
                    .push(repeated(location, &first).remedy("tell a project's facts in one [[project]]"));
            }
            for name in names.into_iter().flatten() {
                known.entry(name).or_insert_with(|| location.clone());
            }
        }

        let numbers: HashMap<String, i64> = self
            .facts
            .iter()
            .filter_map(|facts| Some((facts.path.as_ref()?.to_ascii_lowercase(), facts.id?)))
            .collect();
        let mut known = HashMap::new();
        for BlockKey { scope, slug, label, location } in &self.blocks {
            let number = match scope {
                Scope::ProjectPath(path) => numbers.get(&path.to_ascii_lowercase()),
                _ => None,
            };
            let scope = number.map_or_else(|| scope.canonical(), i64::to_string);
            match known.get(&(scope.clone(), *slug)) {
                Some(first) => self.problems.push(Problem {
                    integration: Some(label.clone()),
                    ..repeated(location, first).remedy("keep one of the two")
                }),
                None => _ = known.insert((scope, *slug), location.clone()),
            }
        }
    }
}

fn repeated(location: &Location, first: &Location) -> Problem {
    location.error(format!("is configured twice, first at {first}"))
}

fn unknown_table(source: &Source<'_>, name: &str, line: usize) -> Problem {
    let remedy = did_you_mean(name, ["project", "group", "integration"])
        .unwrap_or_else(|| "there are [[project]], [[group]] and [[integration]]".to_owned());
    let problem = Problem::new(Severity::Error, source.path, "unknown key").remedy(remedy);
    Problem { line: Some(line), key: Some(shown_key(name)), ..problem }
}

//! Reads texts as integrations, or returns all their errors. No IO: files and secrets are given.

use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;
use toml::de::{DeTable, DeValue};

use super::block::BlockKey;
use super::context::{ReadContext, ReadSecret};
use super::problem::{Location, Problem, Severity, did_you_mean};
use super::project::ProjectBlock;
use super::text::{Source, TABLES, Table, shown_key};
use super::{Provisioned, block, group, project};
use crate::adapters::ADAPTERS;
use crate::catalog::{ConfiguredAt, UrlPolicy};
use crate::integration::Scope;

/// Reads texts as [`load`](super::load) reads files. Each text comes with the name of its file. No address is warned of.
///
/// # Errors
/// All that is wrong with all of them, together with the warnings.
pub fn read(files: &[(PathBuf, String)], read_secret: ReadSecret<'_>) -> Result<Provisioned, Vec<Problem>> {
    let stop = &CancellationToken::new();
    let url_policy = &UrlPolicy::allow_all();
    let context = ReadContext { adapters: ADAPTERS, read_secret, url_policy, stop };
    read_all(context, files).finish(Vec::new())
}

/// As [`read`], for any table of adapters, and before the decision whether the result can be used.
pub(super) fn read_all(context: ReadContext<'_>, files: &[(PathBuf, String)]) -> Reading {
    let mut reading = Reading::default();
    for (path, text) in files {
        reading.file(context, &Source::new(path, text));
    }
    reading.refuse_repeats();
    reading
}

/// The parts that have been read so far.
#[derive(Default)]
pub(super) struct Reading {
    integrations: Vec<ConfiguredAt>,
    /// Every block that names its scope and its adapter, valid or not.
    blocks: Vec<BlockKey>,
    projects: Vec<ProjectBlock>,
    groups: Vec<(String, Option<i64>)>,
    problems: Vec<Problem>,
    with_secrets: BTreeSet<PathBuf>,
}

impl Reading {
    /// Whether this file itself contains secrets, rather than the names of files that do.
    pub(super) fn has_secrets(&self, file: &Path) -> bool {
        self.with_secrets.contains(file)
    }

    /// Returns all or nothing: with half of a configuration, events would be dropped silently.
    pub(super) fn finish(self, more: Vec<Problem>) -> Result<Provisioned, Vec<Problem>> {
        let Self { integrations, projects, groups, mut problems, .. } = self;
        problems.extend(more);
        problems.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        if problems.iter().any(|problem| problem.severity == Severity::Error) {
            return Err(problems);
        }
        let corrections: Vec<_> = projects.iter().filter_map(ProjectBlock::correction).collect();
        let numbers = corrections.iter().map(|project| (project.id, project.path.clone()));
        let numbered = integrations.iter().filter_map(|integration| match &integration.scope {
            Scope::ProjectId(id) => Some((*id, None)),
            _ => None,
        });
        let numbers = numbers.chain(numbered).collect();
        let facts = projects.into_iter().flat_map(ProjectBlock::by_name).collect();
        Ok(Provisioned { integrations, facts, projects: corrections, groups, numbers, warnings: problems })
    }

    /// Reads a file part by part, so that its parsed document is never in memory as a whole.
    fn file(&mut self, context: ReadContext<'_>, source: &Source<'_>) {
        let mut of_parts = Self::default();
        for part in source.parts() {
            let Ok(document) = part.parse() else { return self.whole(context, source) };
            if of_parts.document(context, &part, document.get_ref()).is_break() {
                break;
            }
        }
        self.extend(of_parts);
    }

    /// Reads a file as one document, so that mistakes of grammar are reported for the whole file.
    fn whole(&mut self, context: ReadContext<'_>, source: &Source<'_>) {
        match source.parse() {
            Ok(document) => _ = self.document(context, source, document.get_ref()),
            Err(errors) => self.problems.extend(errors.into_iter().map(|error| Problem {
                line: error.line,
                ..Problem::new(Severity::Error, source.path, format!("not TOML: {}", error.message))
            })),
        }
    }

    fn extend(&mut self, more: Self) {
        let Self { integrations, blocks, projects, groups, problems, with_secrets } = more;
        self.integrations.extend(integrations);
        self.blocks.extend(blocks);
        self.projects.extend(projects);
        self.groups.extend(groups);
        self.problems.extend(problems);
        self.with_secrets.extend(with_secrets);
    }

    /// Reads the tables of a document, unless the process is stopping.
    fn document<'a>(
        &mut self,
        context: ReadContext<'_>,
        source: &Source<'a>,
        document: &'a DeTable<'a>,
    ) -> ControlFlow<()> {
        for entry in source.table(1, document).entries {
            if !TABLES.contains(&entry.key) {
                self.problems.push(unknown_table(source, entry.key, entry.line));
                continue;
            }
            for table in self.tables(source, entry.key, entry.line, entry.value) {
                if context.stop.is_cancelled() {
                    let stopped = Location { file: source.path.to_owned(), line: table.line };
                    self.problems
                        .push(stopped.error("reading stopped here, because the process is stopping"));
                    return ControlFlow::Break(());
                }
                self.block(context, source.path, entry.key, &table);
            }
        }
        ControlFlow::Continue(())
    }

    /// Reads a table of `[[name]]`.
    fn block(&mut self, context: ReadContext<'_>, file: &Path, name: &str, table: &Table<'_>) {
        match name {
            "project" => {
                let (project, mut problems) = project::read(file, table);
                self.projects.extend(project);
                self.problems.append(&mut problems);
            }
            "group" => match group::read(file, table) {
                Ok(group) => self.groups.push(group),
                Err(mut problems) => self.problems.append(&mut problems),
            },
            _ => {
                let mut block = block::read(context, file, table);
                self.problems.append(&mut block.problems);
                self.integrations.extend(block.integration);
                self.blocks.extend(block.key);
                if block.has_secret {
                    self.with_secrets.insert(file.to_owned());
                }
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
                .remedy(format!("write [[{name}]] with two brackets"));
            self.problems.push(Problem { line: Some(line), key: Some(name.to_owned()), ..problem });
        };
        let DeValue::Array(items) = value else {
            wrong(line, "is not a list of tables");
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in items {
            let line = source.line(item.span().start);
            match item.get_ref() {
                DeValue::Table(table) => tables.push(source.table(line, table)),
                _ => wrong(line, "is not a table"),
            }
        }
        tables
    }

    /// Reports second blocks: a project or group uses an adapter once, as in GitLab, and has one table of facts. Where
    /// a project's number and path are both known, a block that names the one repeats a block that names the other.
    fn refuse_repeats(&mut self) {
        let mut known: HashMap<String, Location> = HashMap::new();
        for ProjectBlock { location, id, path, .. } in &self.projects {
            let names = [id.map(|id| id.to_string()), path.as_deref().map(str::to_ascii_lowercase)];
            if let Some(first) = names.iter().flatten().find_map(|name| known.get(name)) {
                let remedy = "write all facts of a project into one [[project]]";
                self.problems.push(repeated(location, first).remedy(remedy));
            }
            for name in names.into_iter().flatten() {
                known.entry(name).or_insert_with(|| location.clone());
            }
        }

        let numbers: HashMap<String, i64> = self
            .projects
            .iter()
            .filter_map(|project| Some((project.path.as_ref()?.to_ascii_lowercase(), project.id?)))
            .collect();
        let mut known = HashMap::new();
        let mut trackers: HashMap<String, (&str, &Location)> = HashMap::new();
        for BlockKey { scope, slug, label, location, is_active_tracker } in &self.blocks {
            let is_of_project = matches!(scope, Scope::ProjectId(_) | Scope::ProjectPath(_));
            let number = match scope {
                Scope::ProjectPath(path) => numbers.get(&path.to_ascii_lowercase()),
                _ => None,
            };
            let scope = number.map_or_else(|| scope.canonical(), i64::to_string);
            if *is_active_tracker && is_of_project {
                match trackers.get(&scope) {
                    Some((other, first)) if other != slug => self.problems.push(Problem {
                        integration: Some(label.clone()),
                        ..second_tracker(location, other, first)
                    }),
                    Some(_) => {}
                    None => _ = trackers.insert(scope.clone(), (slug, location)),
                }
            }
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

/// GitLab's rule.
fn second_tracker(location: &Location, other: &str, first: &Location) -> Problem {
    let problem = format!(
        "is another active issue tracker of a project that uses {other}, see {first}; only one can be active at a time"
    );
    location.error(problem).remedy("write active = false in one of the two")
}

fn unknown_table(source: &Source<'_>, name: &str, line: usize) -> Problem {
    let remedy = did_you_mean(name, ["project", "group", "integration"])
        .unwrap_or_else(|| "the known tables are [[project]], [[group]] and [[integration]]".to_owned());
    let problem = Problem::new(Severity::Error, source.path, "unknown key").remedy(remedy);
    Problem { line: Some(line), key: Some(shown_key(name)), ..problem }
}

//! `[[project]]`: facts about a project that the rules need and events may lack.

use std::path::Path;

use toml::de::DeValue;

use super::problem::{Problem, Severity, did_you_mean};
use super::read::Location;
use super::scope;
use super::text::{Entry, Table, shown, shown_key, simple};
use crate::integration::{ProjectFacts, Scope};
use crate::store::registry::{ProjectCorrection, Visibility};

/// One table, read.
pub(super) struct Facts {
    pub(super) location: Location,
    pub(super) id: Option<i64>,
    pub(super) path: Option<String>,
    told: ProjectFacts,
    visibility: Option<Visibility>,
}

impl Facts {
    /// The same as a person would tell it through the API; `None` without the number that rows go by.
    pub(super) fn correction(&self) -> Option<ProjectCorrection> {
        Some(ProjectCorrection {
            id: self.id?,
            path: self.path.clone(),
            default_branch: self.told.default_branch.clone().into(),
            visibility: self.visibility.into(),
            protected_branches: self.told.protected_branches.clone().into(),
        })
    }

    /// The facts under each of the project's names.
    pub(super) fn by_name(self) -> impl Iterator<Item = (Scope, ProjectFacts)> {
        let Self { id, path, told, .. } = self;
        let names = [id.map(Scope::ProjectId), path.map(Scope::ProjectPath)];
        names.into_iter().flatten().map(move |name| (name, told.clone()))
    }
}

const KEYS: [&str; 5] = ["id", "path", "default_branch", "protected_branches", "visibility"];

/// Reads a table; the facts are there where the project could at least be named.
pub(super) fn read(file: &Path, table: &Table<'_>) -> (Option<Facts>, Vec<Problem>) {
    let mut problems = Vec::new();
    let location = Location { file: file.to_owned(), line: table.line };
    let mut read = Facts { location, id: None, path: None, told: ProjectFacts::default(), visibility: None };
    for entry in &table.entries {
        let done = match entry.key {
            "id" => id(entry).map(|id| read.id = Some(id)),
            "path" => path(entry).map(|path| read.path = Some(path)),
            "default_branch" => branch(entry.value).map(|branch| read.told.default_branch = Some(branch)),
            "protected_branches" => {
                branches(entry.value).map(|branches| read.told.protected_branches = Some(branches))
            }
            "visibility" => visibility(entry.value).map(|visibility| read.visibility = Some(visibility)),
            unknown => Err(InvalidValue {
                problem: "unknown key",
                remedy: did_you_mean(unknown, KEYS)
                    .unwrap_or_else(|| format!("there are {}", KEYS.join(", "))),
            }),
        };
        if let Err(InvalidValue { problem, remedy }) = done {
            let value = KEYS.contains(&entry.key).then(|| simple(entry.value).ok()).flatten();
            problems.push(Problem {
                line: Some(entry.line),
                key: Some(shown_key(entry.key)),
                value: value.as_ref().and_then(shown),
                ..Problem::new(Severity::Error, file, problem).remedy(remedy)
            });
        }
    }
    let misnamed = problems.iter().any(|p| matches!(p.key.as_deref(), Some("id" | "path")));
    let named = read.id.is_some() || read.path.is_some();
    if !named && !misnamed {
        problems.push(
            read.location
                .error("a [[project]] that doesn't say which".to_owned())
                .remedy("write path = \"acme/rocket\", or id = 42"),
        );
    }
    (named.then_some(read), problems)
}

pub(super) struct InvalidValue {
    pub(super) problem: &'static str,
    pub(super) remedy: String,
}

impl InvalidValue {
    fn new(problem: &'static str, remedy: &str) -> Self {
        Self { problem, remedy: remedy.to_owned() }
    }
}

pub(super) fn id(entry: &Entry<'_>) -> Result<i64, InvalidValue> {
    match simple(entry.value).map(|value| scope::project(&value)) {
        Ok(Ok(Scope::ProjectId(id))) => Ok(id),
        _ => Err(InvalidValue::new("is no project's number", "write id = 42, or path = \"acme/rocket\"")),
    }
}

fn path(entry: &Entry<'_>) -> Result<String, InvalidValue> {
    match simple(entry.value).map(|value| scope::project(&value)) {
        Ok(Ok(Scope::ProjectPath(path))) => Ok(path),
        _ => Err(InvalidValue::new("is no project's full path", "write path = \"acme/rocket\", or id = 42")),
    }
}

fn branch(value: &DeValue<'_>) -> Result<String, InvalidValue> {
    let branch = value.as_str().map(str::trim).filter(|branch| !branch.is_empty());
    branch
        .map(str::to_owned)
        .ok_or_else(|| InvalidValue::new("is no branch's name", "write default_branch = \"main\""))
}

fn visibility(value: &DeValue<'_>) -> Result<Visibility, InvalidValue> {
    let found = Visibility::ALL.into_iter().find(|known| Some(known.name()) == value.as_str());
    found
        .ok_or_else(|| InvalidValue::new("is no visibility", "write \"private\", \"internal\" or \"public\""))
}

fn branches(value: &DeValue<'_>) -> Result<Vec<String>, InvalidValue> {
    let list = value.as_array().map(|list| list.iter().map(|item| branch(item.get_ref()).ok()));
    list.and_then(Iterator::collect).ok_or_else(|| {
        let example = "write protected_branches = [\"main\", \"*-stable\"]";
        InvalidValue::new("is no list of branches and wildcards", example)
    })
}

//! `[[project]]`: facts on a project that the rules need and events may not contain.

use std::path::Path;

use toml::de::DeValue;

use super::problem::{InvalidValue, Location, Problem};
use super::scope;
use super::text::{Entry, Table, simple};
use crate::integration::{ProjectFacts, Scope};
use crate::store::registry::{ProjectCorrection, Visibility};

/// One table, read.
pub(super) struct ProjectBlock {
    pub(super) location: Location,
    pub(super) id: Option<i64>,
    pub(super) path: Option<String>,
    facts: ProjectFacts,
    visibility: Option<Visibility>,
}

impl ProjectBlock {
    /// The facts as a person's correction through the API; `None` without the number that identifies rows.
    pub(super) fn correction(&self) -> Option<ProjectCorrection> {
        Some(ProjectCorrection {
            id: self.id?,
            path: self.path.clone(),
            default_branch: self.facts.default_branch.clone().into(),
            visibility: self.visibility.into(),
            protected_branches: self.facts.protected_branches.clone().into(),
        })
    }

    /// The facts under each of the project's names.
    pub(super) fn by_name(self) -> impl Iterator<Item = (Scope, ProjectFacts)> {
        let Self { id, path, facts, .. } = self;
        let names = [id.map(Scope::ProjectId), path.map(Scope::ProjectPath)];
        names.into_iter().flatten().map(move |name| (name, facts.clone()))
    }
}

const KEYS: [&str; 5] = ["id", "path", "default_branch", "protected_branches", "visibility"];

/// Reads a table. The block is returned, besides its problems, if it names its project.
pub(super) fn read(file: &Path, table: &Table<'_>) -> (Option<ProjectBlock>, Vec<Problem>) {
    let mut problems = Vec::new();
    let location = Location { file: file.to_owned(), line: table.line };
    let facts = ProjectFacts::default();
    let mut block = ProjectBlock { location, id: None, path: None, facts, visibility: None };
    for entry in &table.entries {
        let read = match entry.key {
            "id" => id(entry).map(|id| block.id = Some(id)),
            "path" => path(entry).map(|path| block.path = Some(path)),
            "default_branch" => branch(entry.value).map(|branch| block.facts.default_branch = Some(branch)),
            "protected_branches" => {
                branches(entry.value).map(|branches| block.facts.protected_branches = Some(branches))
            }
            "visibility" => visibility(entry.value).map(|visibility| block.visibility = Some(visibility)),
            unknown => Err(InvalidValue::unknown_key(unknown, &KEYS)),
        };
        if let Err(invalid) = read {
            problems.push(invalid.at(file, entry, &KEYS));
        }
    }
    let is_misnamed = problems.iter().any(|p| matches!(p.key.as_deref(), Some("id" | "path")));
    let is_named = block.id.is_some() || block.path.is_some();
    if !is_named && !is_misnamed {
        let nameless = block.location.error("the [[project]] has neither path nor id");
        problems.push(nameless.remedy("write path = \"acme/rocket\", or id = 42"));
    }
    (is_named.then_some(block), problems)
}

/// The forge's number of a project or group.
pub(super) fn id(entry: &Entry<'_>) -> Result<i64, InvalidValue> {
    match simple(entry.value).map(|value| scope::project(&value)) {
        Ok(Ok(Scope::ProjectId(id))) => Ok(id),
        _ => {
            Err(InvalidValue::new("is not a number above 0", "write id = 42, or leave it out and write path"))
        }
    }
}

fn path(entry: &Entry<'_>) -> Result<String, InvalidValue> {
    match simple(entry.value).map(|value| scope::project(&value)) {
        Ok(Ok(Scope::ProjectPath(path))) => Ok(path),
        _ => {
            Err(InvalidValue::new("is not a project's full path", "write path = \"acme/rocket\", or id = 42"))
        }
    }
}

fn branch(value: &DeValue<'_>) -> Result<String, InvalidValue> {
    let branch = value.as_str().map(str::trim).filter(|branch| !branch.is_empty());
    let invalid = InvalidValue::new("is not a branch's name", "write default_branch = \"main\"");
    branch.map(str::to_owned).ok_or(invalid)
}

fn visibility(value: &DeValue<'_>) -> Result<Visibility, InvalidValue> {
    let found = Visibility::ALL.into_iter().find(|known| Some(known.name()) == value.as_str());
    let invalid = InvalidValue::new("is not a visibility", "write \"private\", \"internal\" or \"public\"");
    found.ok_or(invalid)
}

fn branches(value: &DeValue<'_>) -> Result<Vec<String>, InvalidValue> {
    let invalid = || {
        let remedy = "write protected_branches = [\"main\", \"*-stable\"]";
        InvalidValue::new("is not a list of branches and wildcards", remedy)
    };
    let list = value.as_array().ok_or_else(invalid)?;
    list.iter().map(|item| branch(item.get_ref()).map_err(|_| invalid())).collect()
}

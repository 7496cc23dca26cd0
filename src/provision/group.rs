//! `[[group]]`: the forge's id of a group, which events do not contain.

use std::path::Path;

use super::problem::{Problem, Severity, did_you_mean};
use super::project::id;
use super::scope;
use super::text::{Table, shown, shown_key, simple};
use crate::integration::Scope;

const KEYS: [&str; 2] = ["path", "id"];

/// A group's path and number.
pub(super) fn read(file: &Path, table: &Table<'_>) -> Result<(String, Option<i64>), Vec<Problem>> {
    let mut problems = Vec::new();
    let (mut path, mut number) = (None, None);
    for entry in &table.entries {
        let read = match entry.key {
            "path" => match simple(entry.value).map(|value| scope::group(&value)) {
                Ok(Ok(Scope::Group(group))) => {
                    path = Some(group);
                    Ok(())
                }
                _ => Err(("is no group's full path", "write path = \"acme/web\"".to_owned())),
            },
            "id" => id(entry).map(|id| number = Some(id)).map_err(|wrong| (wrong.problem, wrong.remedy)),
            unknown => {
                let remedy =
                    did_you_mean(unknown, KEYS).unwrap_or_else(|| "there are path and id".to_owned());
                Err(("unknown key", remedy))
            }
        };
        if let Err((problem, remedy)) = read {
            let value = KEYS.contains(&entry.key).then(|| simple(entry.value).ok()).flatten();
            problems.push(Problem {
                line: Some(entry.line),
                key: Some(shown_key(entry.key)),
                value: value.as_ref().and_then(shown),
                ..Problem::new(Severity::Error, file, problem).remedy(remedy)
            });
        }
    }
    match path {
        Some(path) if problems.is_empty() => Ok((path, number)),
        None if problems.is_empty() => {
            let nameless = Problem::new(Severity::Error, file, "a [[group]] that doesn't say which");
            Err(vec![Problem { line: Some(table.line), ..nameless.remedy("write path = \"acme/web\"") }])
        }
        _ => Err(problems),
    }
}

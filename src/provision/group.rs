//! `[[group]]`: the forge's number of a group, which events do not contain.

use std::path::Path;

use super::problem::{InvalidValue, Location, Problem};
use super::project::id;
use super::scope;
use super::text::{Table, simple};

const KEYS: [&str; 2] = ["path", "id"];

/// A group's path and number.
pub(super) fn read(file: &Path, table: &Table<'_>) -> Result<(String, Option<i64>), Vec<Problem>> {
    let mut problems = Vec::new();
    let (mut path, mut number) = (None, None);
    for entry in &table.entries {
        let read = match entry.key {
            "path" => match simple(entry.value).map(|value| scope::group_path(&value)) {
                Ok(Ok(group)) => {
                    path = Some(group);
                    Ok(())
                }
                _ => Err(InvalidValue::new("is not a group's full path", "write path = \"acme/web\"")),
            },
            "id" => id(entry).map(|id| number = Some(id)),
            unknown => Err(InvalidValue::unknown_key(unknown, &KEYS)),
        };
        if let Err(invalid) = read {
            problems.push(invalid.at(file, entry, &KEYS));
        }
    }
    match path {
        Some(path) if problems.is_empty() => Ok((path, number)),
        None if problems.is_empty() => {
            let location = Location { file: file.to_owned(), line: table.line };
            Err(vec![location.error("the [[group]] has no path").remedy("write path = \"acme/web\"")])
        }
        _ => Err(problems),
    }
}

//! Projects and groups: their paths and known facts.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::super::rows::{all, change, find, ms, one};
use super::{next_revision, people};
use crate::store::columns::path_key;
use crate::store::columns::registry::{GroupRow, ProjectRow, json};
use crate::store::registry::{
    AuditEntry, GroupKey, ProjectCorrection, SeenProject, StoredGroup, StoredProject, Visibility,
};
use crate::store::{Result, StoreError};

pub(super) fn projects_after(connection: &Connection, after: i64) -> Result<Vec<StoredProject>> {
    let sql = "SELECT * FROM projects WHERE revision > ?1 ORDER BY revision";
    all(connection, sql, [after])?.into_iter().map(ProjectRow::read).collect()
}

pub(super) fn project_by_path(connection: &Connection, path: &str) -> Result<Option<ProjectRow>> {
    one(connection, "SELECT * FROM projects WHERE path_key = ?1", [path_key(path)])
}

pub(super) fn project(connection: &Connection, id: i64) -> Result<Option<ProjectRow>> {
    one(connection, "SELECT * FROM projects WHERE id = ?1", [id])
}

/// The projects, if all are stored as they were seen.
pub(super) fn known_as_seen(
    connection: &Connection,
    seen: &[SeenProject],
) -> Result<Option<Vec<ProjectRow>>> {
    let mut rows = Vec::with_capacity(seen.len());
    for seen in seen {
        match project(connection, seen.id)? {
            Some(row) if row.is_as_seen(seen) => rows.push(row),
            _ => return Ok(None),
        }
    }
    Ok(Some(rows))
}

pub(super) fn upsert_seen_projects(
    connection: &Connection,
    seen: &[SeenProject],
    now: Timestamp,
) -> Result<Vec<ProjectRow>> {
    for seen in seen {
        if !project(connection, seen.id)?.is_some_and(|row| row.is_as_seen(seen)) {
            upsert_one(connection, seen, now)?;
        }
    }
    // The rows are read after all writes, because a later project may have taken the path of an earlier one.
    seen.iter().map(|seen| written(project(connection, seen.id)?)).collect()
}

fn upsert_one(connection: &Connection, seen: &SeenProject, now: Timestamp) -> Result<()> {
    take_project_path(connection, seen.path.as_deref(), seen.id, now)?;
    change(
        connection,
        "INSERT INTO projects (id, path, learned_branch, learned_visibility, revision, created_at, updated_at, path_key)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7)
         ON CONFLICT (id) DO UPDATE SET
             path = coalesce(excluded.path, path), path_key = coalesce(excluded.path_key, path_key),
             learned_branch = coalesce(excluded.learned_branch, learned_branch),
             learned_visibility = coalesce(excluded.learned_visibility, learned_visibility),
             revision = excluded.revision, updated_at = excluded.updated_at",
        params![
            seen.id,
            seen.path,
            seen.learned.default_branch,
            seen.learned.visibility.map(Visibility::name),
            next_revision(connection)?,
            ms(now),
            seen.path.as_deref().map(path_key),
        ],
    )?;
    Ok(())
}

/// Takes the path from another project that has it.
fn take_project_path(connection: &Connection, path: Option<&str>, id: i64, now: Timestamp) -> Result<()> {
    let holder: Option<i64> = find(
        connection,
        "SELECT id FROM projects WHERE path_key = ?1 AND id <> ?2",
        params![path.map(path_key), id],
    )?;
    if let Some(holder) = holder {
        let sql =
            "UPDATE projects SET path = NULL, path_key = NULL, revision = ?2, updated_at = ?3 WHERE id = ?1";
        change(connection, sql, params![holder, next_revision(connection)?, ms(now)])?;
    }
    Ok(())
}

pub(super) fn override_project(
    connection: &Connection,
    correction: &ProjectCorrection,
    audit: &AuditEntry,
) -> Result<ProjectRow> {
    let known = project(connection, correction.id)?;
    let present = known.clone().map(ProjectRow::read).transpose()?.map(|known| known.corrected);
    let corrected = correction.over(&present.unwrap_or_default());
    let visibility = corrected.visibility.map(Visibility::name);
    let protected = corrected.protected_branches.as_ref().map(json);
    let is_so = |row: &ProjectRow| {
        correction.path.as_ref().is_none_or(|path| row.path.as_ref() == Some(path))
            && row.corrected_branch == corrected.default_branch
            && row.corrected_visibility.as_deref() == visibility
            && row.protected_branches == protected
    };
    if let Some(row) = known.filter(is_so) {
        return Ok(row);
    }
    take_project_path(connection, correction.path.as_deref(), correction.id, audit.at)?;
    change(
        connection,
        "INSERT INTO projects (id, path, corrected_branch, corrected_visibility, protected_branches, revision,
                               created_at, updated_at, path_key)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8)
         ON CONFLICT (id) DO UPDATE SET
             path = coalesce(excluded.path, path), path_key = coalesce(excluded.path_key, path_key),
             corrected_branch = excluded.corrected_branch,
             corrected_visibility = excluded.corrected_visibility, protected_branches = excluded.protected_branches,
             revision = excluded.revision, updated_at = excluded.updated_at",
        params![
            correction.id,
            correction.path,
            corrected.default_branch,
            visibility,
            protected,
            next_revision(connection)?,
            ms(audit.at),
            correction.path.as_deref().map(path_key),
        ],
    )?;
    people::note(connection, audit)?;
    written(project(connection, correction.id)?)
}

pub(super) fn groups_after(connection: &Connection, after: i64) -> Result<Vec<StoredGroup>> {
    let sql = "SELECT * FROM groups WHERE revision > ?1 ORDER BY revision";
    all(connection, sql, [after])?.into_iter().map(GroupRow::read).collect()
}

pub(super) fn group(connection: &Connection, key: GroupKey) -> Result<Option<GroupRow>> {
    one(connection, "SELECT * FROM groups WHERE key = ?1", [key.0])
}

pub(super) fn group_by_path(connection: &Connection, path: &str) -> Result<Option<GroupRow>> {
    one(connection, "SELECT * FROM groups WHERE path_key = ?1", [path_key(path)])
}

pub(super) fn put_group(
    connection: &Connection,
    id: Option<i64>,
    path: &str,
    audit: &AuditEntry,
) -> Result<GroupRow> {
    let known = match one(connection, "SELECT * FROM groups WHERE id = ?1", [id])? {
        Some(row) => Some(row),
        // A row with another number is another group that had the path before.
        None => group_by_path(connection, path)?.filter(|row| id.is_none() || row.id.is_none()),
    };
    // The caller's spelling of the path counts only if the caller knows the number.
    let is_so = |row: &GroupRow| id.is_none() || row.id == id && row.path.as_deref() == Some(path);
    let key = known.as_ref().map(|row| row.key);
    if let Some(row) = known.filter(is_so) {
        return Ok(row);
    }
    take_group_path(connection, path, key)?;
    let revision = next_revision(connection)?;
    let key = if let Some(key) = key {
        let sql = "UPDATE groups SET id = ?2, path = ?3, path_key = ?5, revision = ?4 WHERE key = ?1";
        change(connection, sql, params![key, id, path, revision, path_key(path)])?;
        key
    } else {
        let sql = "INSERT INTO groups (id, path, revision, created_at, path_key) VALUES (?1, ?2, ?3, ?4, ?5)";
        change(connection, sql, params![id, path, revision, ms(audit.at), path_key(path)])?;
        connection.last_insert_rowid()
    };
    people::note(connection, audit)?;
    written(group(connection, GroupKey(key))?)
}

fn take_group_path(connection: &Connection, path: &str, key: Option<i64>) -> Result<()> {
    let holder: Option<i64> = find(
        connection,
        "SELECT key FROM groups WHERE path_key = ?1 AND key IS NOT ?2",
        params![path_key(path), key],
    )?;
    if let Some(holder) = holder {
        let sql = "UPDATE groups SET path = NULL, path_key = NULL, revision = ?2 WHERE key = ?1";
        change(connection, sql, params![holder, next_revision(connection)?])?;
    }
    Ok(())
}

/// A row that was written a moment ago, in the same transaction.
fn written<R>(row: Option<R>) -> Result<R> {
    row.ok_or_else(|| StoreError::Broken("a row that was just written is not there".to_owned()))
}

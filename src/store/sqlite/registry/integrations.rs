//! Integrations, and what is sealed of them.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::rows::{change, find, ms, prepare};
use super::{all, next_revision, people};
use crate::store::Result;
use crate::store::columns::registry::{IntegrationColumns, IntegrationRow, SealedRow};
use crate::store::registry::{AuditEntry, ScopeKey, StoredIntegration};
use crate::store::seal::{Keyring, MARK_LEN};

const COLUMNS: &str = "id, owner_kind, owner, slug, active, inherits, flags, properties, secrets, revision,
     created_at, updated_at";

fn row(row: &Row<'_>) -> rusqlite::Result<IntegrationRow> {
    Ok(IntegrationRow {
        id: row.get(0)?,
        owner_kind: row.get(1)?,
        owner: row.get(2)?,
        slug: row.get(3)?,
        active: row.get(4)?,
        inherits: row.get(5)?,
        flags: row.get(6)?,
        properties: row.get(7)?,
        secrets: row.get(8)?,
        revision: row.get(9)?,
        created_at: row.get(10)?,
        updated_at: row.get(11)?,
    })
}

pub(super) fn after(connection: &Connection, after: i64, keys: &Keyring) -> Result<Vec<StoredIntegration>> {
    let sql = format!("SELECT {COLUMNS} FROM integrations WHERE revision > ?1 ORDER BY revision");
    all(connection, &sql, [after], row, |row| row.opened(keys))
}

pub(super) fn one(connection: &Connection, owner: ScopeKey, slug: &str) -> Result<Option<IntegrationRow>> {
    let (kind, number) = owner.columns();
    find_one(connection, kind, number, slug)
}

fn find_one(connection: &Connection, kind: &str, owner: i64, slug: &str) -> Result<Option<IntegrationRow>> {
    let sql =
        format!("SELECT {COLUMNS} FROM integrations WHERE owner_kind = ?1 AND owner = ?2 AND slug = ?3");
    Ok(prepare(connection, &sql)?.query_row(params![kind, owner, slug], row).optional()?)
}

/// The row as it is then; `None` where it is not at the revision that the change was made from.
pub(super) fn put(
    connection: &Connection,
    new: &IntegrationColumns,
    made_from: Option<i64>,
    audit: &AuditEntry,
) -> Result<Option<IntegrationRow>> {
    let found = find(
        connection,
        "SELECT revision FROM integrations WHERE owner_kind = ?1 AND owner = ?2 AND slug = ?3",
        params![new.owner_kind, new.owner, new.slug],
    )?;
    if found != made_from {
        return Ok(None);
    }
    change(
        connection,
        "INSERT INTO integrations (owner_kind, owner, slug, active, inherits, flags, properties, secrets, revision,
                                   created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10)
         ON CONFLICT (owner_kind, owner, slug) DO UPDATE SET
             active = excluded.active, inherits = excluded.inherits, flags = excluded.flags,
             properties = excluded.properties, secrets = excluded.secrets, revision = excluded.revision,
             updated_at = excluded.updated_at",
        params![
            new.owner_kind,
            new.owner,
            new.slug,
            new.active,
            new.inherits,
            new.flags,
            new.properties,
            new.secrets,
            next_revision(connection)?,
            ms(audit.at),
        ],
    )?;
    people::note(connection, audit)?;
    find_one(connection, new.owner_kind, new.owner, &new.slug)
}

/// By which keys the rows are sealed.
pub(in crate::store::sqlite) fn marks(connection: &Connection) -> Result<Vec<Vec<u8>>> {
    let sql =
        format!("SELECT DISTINCT substr(secrets, 1, {MARK_LEN}) FROM integrations WHERE secrets IS NOT NULL");
    all(connection, &sql, [], |row| row.get(0), Ok)
}

fn sealed(connection: &Connection) -> Result<Vec<SealedRow>> {
    let sql =
        "SELECT id, owner_kind, owner, slug, secrets FROM integrations WHERE secrets IS NOT NULL ORDER BY id";
    let read = |row: &Row<'_>| {
        Ok(SealedRow {
            id: row.get(0)?,
            owner_kind: row.get(1)?,
            owner: row.get(2)?,
            slug: row.get(3)?,
            secrets: row.get(4)?,
        })
    };
    all(connection, sql, [], read, Ok)
}

/// Those that do not open are switched off, without secrets.
pub(super) fn drop_undecryptable(
    connection: &Connection,
    keys: &Keyring,
    audit: &AuditEntry,
) -> Result<Vec<(ScopeKey, String)>> {
    let mut given_up = Vec::new();
    for row in sealed(connection)? {
        let Some((owner, slug)) = row.unreadable(keys)? else { continue };
        change(
            connection,
            "UPDATE integrations SET secrets = NULL, active = FALSE, revision = ?2, updated_at = ?3 WHERE id = ?1",
            params![row.id, next_revision(connection)?, ms(audit.at)],
        )?;
        let object = format!("{owner} {slug}");
        people::note(connection, &AuditEntry { object, ..audit.clone() })?;
        given_up.push((owner, slug));
    }
    Ok(given_up)
}

pub(super) fn rekey(connection: &Connection, keys: &Keyring, audit: &AuditEntry) -> Result<usize> {
    let rows = sealed(connection)?;
    for row in &rows {
        let anew = row.sealed_anew(keys)?;
        change(connection, "UPDATE integrations SET secrets = ?2 WHERE id = ?1", params![row.id, anew])?;
    }
    people::note(connection, audit)?;
    Ok(rows.len())
}

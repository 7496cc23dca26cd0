//! Integrations and their sealed secrets.

use rusqlite::{Connection, params};

use super::super::rows::{all, change, find, ms, one, prepare};
use super::{next_revision, people};
use crate::store::Result;
use crate::store::columns::registry::{IntegrationColumns, IntegrationRow, SealedRow};
use crate::store::registry::{AuditEntry, MadeFrom, ScopeKey, StoredIntegration};
use crate::store::seal::{Keyring, MARK_LEN};

pub(super) fn after(connection: &Connection, after: i64, keys: &Keyring) -> Result<Vec<StoredIntegration>> {
    let sql = "SELECT * FROM integrations WHERE revision > ?1 ORDER BY revision";
    all::<IntegrationRow>(connection, sql, [after])?.into_iter().map(|row| row.opened(keys)).collect()
}

pub(super) fn find_one(
    connection: &Connection,
    owner: ScopeKey,
    slug: &str,
) -> Result<Option<IntegrationRow>> {
    let (kind, number) = owner.columns();
    of_owner(connection, kind, number, slug)
}

fn of_owner(connection: &Connection, kind: &str, owner: i64, slug: &str) -> Result<Option<IntegrationRow>> {
    let sql = "SELECT * FROM integrations WHERE owner_kind = ?1 AND owner = ?2 AND slug = ?3";
    one(connection, sql, params![kind, owner, slug])
}

/// Writes an integration, and returns its row. `None` where the state that the change was made from is outdated.
pub(super) fn put(
    connection: &Connection,
    new: &IntegrationColumns,
    made_from: &MadeFrom,
    audit: &AuditEntry,
) -> Result<Option<IntegrationRow>> {
    let found = find(
        connection,
        "SELECT revision FROM integrations WHERE owner_kind = ?1 AND owner = ?2 AND slug = ?3",
        params![new.owner_kind, new.owner, new.slug],
    )?;
    if found != made_from.revision {
        return Ok(None);
    }
    let (rivals, seen) = made_from.rivals();
    for slug in rivals {
        let rival: Option<i64> = find(
            connection,
            "SELECT revision FROM integrations WHERE owner_kind = ?1 AND owner = ?2 AND slug = ?3 AND active AND NOT inherits",
            params![new.owner_kind, new.owner, slug],
        )?;
        if rival.is_some_and(|revision| revision > seen) {
            return Ok(None);
        }
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
    of_owner(connection, new.owner_kind, new.owner, &new.slug)
}

/// The marks of all sealed rows: their formats and keys.
pub(in crate::store::sqlite) fn marks(connection: &Connection) -> Result<Vec<Vec<u8>>> {
    let sql =
        format!("SELECT DISTINCT substr(secrets, 1, {MARK_LEN}) FROM integrations WHERE secrets IS NOT NULL");
    let mut statement = prepare(connection, &sql)?;
    let marks = statement.query_map([], |row| row.get(0))?;
    Ok(marks.collect::<rusqlite::Result<_>>()?)
}

fn sealed(connection: &Connection) -> Result<Vec<SealedRow>> {
    all(connection, "SELECT * FROM integrations WHERE secrets IS NOT NULL ORDER BY id", [])
}

/// Switches off integrations whose secrets do not open, and removes these secrets.
pub(super) fn drop_undecryptable(
    connection: &Connection,
    keys: &Keyring,
    audit: &AuditEntry,
) -> Result<Vec<(ScopeKey, String)>> {
    let mut dropped = Vec::new();
    for row in sealed(connection)? {
        let Some((owner, slug)) = row.unreadable(keys)? else { continue };
        change(
            connection,
            "UPDATE integrations SET secrets = NULL, active = FALSE, revision = ?2, updated_at = ?3 WHERE id = ?1",
            params![row.id, next_revision(connection)?, ms(audit.at)],
        )?;
        let object = format!("{owner} {slug}");
        people::note(connection, &AuditEntry { object, ..audit.clone() })?;
        dropped.push((owner, slug));
    }
    Ok(dropped)
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

//! Tokens, mutes, and who changed what.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::rows::{self, change, ms, prepare};
use super::{all, next_revision};
use crate::store::Result;
use crate::store::columns::registry::{AuditRow, MuteRow, TokenRow, json};
use crate::store::registry::{AuditEntry, AuditLine, Mute, NewToken, StoredToken};

const TOKEN: &str = "id, name, hash, reach_kind, reach, may, expires_at, revoked_at, revision, created_at";

fn token_row(row: &Row<'_>) -> rusqlite::Result<TokenRow> {
    Ok(TokenRow {
        id: row.get(0)?,
        name: row.get(1)?,
        hash: row.get(2)?,
        reach_kind: row.get(3)?,
        reach: row.get(4)?,
        may: row.get(5)?,
        expires_at: row.get(6)?,
        revoked_at: row.get(7)?,
        revision: row.get(8)?,
        created_at: row.get(9)?,
    })
}

/// Those that changed after a revision, in the order of their numbers.
pub(super) fn tokens(connection: &Connection, after: i64) -> Result<Vec<StoredToken>> {
    let sql = format!("SELECT {TOKEN} FROM tokens WHERE revision > ?1 ORDER BY id");
    all(connection, &sql, [after], token_row, TokenRow::read)
}

pub(super) fn create_token(
    connection: &Connection,
    token: &NewToken,
    audit: &AuditEntry,
) -> Result<TokenRow> {
    let (kind, number) = token.access.reach.columns();
    let sql = format!(
        "INSERT INTO tokens (name, hash, reach_kind, reach, may, expires_at, revision, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) RETURNING {TOKEN}"
    );
    let row = prepare(connection, &sql)?.query_row(
        params![
            token.name,
            token.hash.as_slice(),
            kind,
            number,
            token.access.right.name(),
            token.expires_at.map(ms),
            next_revision(connection)?,
            ms(audit.at),
        ],
        token_row,
    )?;
    note(connection, audit)?;
    Ok(row)
}

pub(super) fn revoke_token(connection: &Connection, id: i64, audit: &AuditEntry) -> Result<bool> {
    let at = ms(audit.at);
    let lives = "SELECT 1 FROM tokens WHERE id = ?1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?2)";
    let lives = prepare(connection, lives)?.query_row([id, at], |_| Ok(())).optional()?;
    if lives.is_none() {
        return Ok(false);
    }
    let sql = "UPDATE tokens SET revoked_at = ?2, revision = ?3 WHERE id = ?1";
    change(connection, sql, [id, at, next_revision(connection)?])?;
    note(connection, audit)?;
    Ok(true)
}

fn mute_row(row: &Row<'_>) -> rusqlite::Result<MuteRow> {
    Ok(MuteRow {
        project: row.get(0)?,
        slug: row.get(1)?,
        channel: row.get(2)?,
        until: row.get(3)?,
        asked_by: row.get(4)?,
        revision: row.get(5)?,
    })
}

pub(super) fn mutes(connection: &Connection, after: i64) -> Result<Vec<Mute>> {
    let sql = "SELECT project, slug, channel, until, asked_by, revision FROM mutes WHERE revision > ?1
         ORDER BY revision";
    all(connection, sql, [after], mute_row, MuteRow::read)
}

pub(super) fn mute(connection: &Connection, mute: &Mute, audit: &AuditEntry) -> Result<()> {
    change(
        connection,
        "INSERT INTO mutes (project, slug, channel, until, asked_by, revision) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (project, slug, channel) DO UPDATE SET
             until = excluded.until, asked_by = excluded.asked_by, revision = excluded.revision",
        params![mute.project, mute.slug, mute.channel, ms(mute.until), mute.by, next_revision(connection)?],
    )?;
    note(connection, audit)
}

/// Writes a line of the audit log, in the transaction of what it tells of.
pub(in crate::store::sqlite) fn note(connection: &Connection, audit: &AuditEntry) -> Result<()> {
    change(
        connection,
        "INSERT INTO audit (at, who, action, object, fields) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![ms(audit.at), audit.who, audit.action, audit.object, json(&audit.fields)],
    )?;
    Ok(())
}

pub(super) fn audit_log(
    connection: &Connection,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<AuditLine>> {
    let sql = "SELECT id, at, who, action, object, fields FROM audit WHERE id < ?1 ORDER BY id DESC LIMIT ?2";
    let row = |row: &Row<'_>| {
        Ok(AuditRow {
            id: row.get(0)?,
            at: row.get(1)?,
            who: row.get(2)?,
            action: row.get(3)?,
            object: row.get(4)?,
            fields: row.get(5)?,
        })
    };
    all(connection, sql, params![before.unwrap_or(i64::MAX), rows::limit(limit)], row, AuditRow::read)
}

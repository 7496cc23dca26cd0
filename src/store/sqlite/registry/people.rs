//! Tokens, mutes, and the audit log.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::super::rows::{self, all, change, ms, prepare};
use super::next_revision;
use crate::store::Result;
use crate::store::columns::registry::{AuditRow, MuteRow, TokenRow, json};
use crate::store::columns::{TableRow as _, key_of};
use crate::store::registry::{AuditEntry, AuditLine, Mute, NewToken, StoredToken};

/// Tokens that changed after a revision, in the order of their ids.
pub(super) fn tokens(connection: &Connection, after: i64) -> Result<Vec<StoredToken>> {
    let sql = "SELECT * FROM tokens WHERE revision > ?1 ORDER BY id";
    all(connection, sql, [after])?.into_iter().map(TokenRow::read).collect()
}

pub(super) fn create_token(
    connection: &Connection,
    token: &NewToken,
    audit: &AuditEntry,
) -> Result<TokenRow> {
    let (kind, number) = token.access.reach.columns();
    let sql = "INSERT INTO tokens (name, hash, reach_kind, reach, may, expires_at, revision, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) RETURNING *";
    let row = prepare(connection, sql)?.query_row(
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
        |row| TokenRow::from_cells(row),
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

pub(super) fn end_session(
    connection: &Connection,
    digest: [u8; 32],
    ends: Timestamp,
    now: Timestamp,
) -> Result<()> {
    change(connection, "DELETE FROM ended_sessions WHERE ends <= ?1", [ms(now)])?;
    let sql = "INSERT INTO ended_sessions (digest, ends) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    change(connection, sql, params![digest, ms(ends)])?;
    Ok(())
}

pub(super) fn session_ended(connection: &Connection, digest: [u8; 32]) -> Result<bool> {
    let sql = "SELECT 1 FROM ended_sessions WHERE digest = ?1";
    Ok(prepare(connection, sql)?.exists([digest])?)
}

pub(super) fn mutes(connection: &Connection, after: i64) -> Result<Vec<Mute>> {
    let sql = "SELECT * FROM mutes WHERE revision > ?1 ORDER BY revision";
    all(connection, sql, [after])?.into_iter().map(MuteRow::read).collect()
}

pub(super) fn mute(connection: &Connection, mute: &Mute, audit: &AuditEntry) -> Result<()> {
    change(
        connection,
        "INSERT INTO mutes (project, slug, channel, until, asked_by, revision, channel_key)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (project, slug, channel_key) DO UPDATE SET
             until = excluded.until, asked_by = excluded.asked_by, revision = excluded.revision",
        params![
            mute.project,
            mute.slug,
            mute.channel,
            ms(mute.until),
            mute.by,
            next_revision(connection)?,
            key_of(&[&mute.channel]),
        ],
    )?;
    note(connection, audit)
}

const ENDED_MUTES: &str = "DELETE FROM mutes WHERE (project, slug, channel_key) IN
     (SELECT project, slug, channel_key FROM mutes WHERE until < ?1 LIMIT ?2)";

/// Removes mutes that ended before this moment. Returns their number.
pub(in crate::store::sqlite) fn sweep_mutes(
    connection: &Connection,
    before: i64,
    limit: usize,
) -> Result<usize> {
    Ok(change(connection, ENDED_MUTES, params![before, rows::limit(limit)])?)
}

/// Writes a line of the audit log, in the transaction of the change.
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
    let sql = "SELECT * FROM audit WHERE id < ?1 ORDER BY id DESC LIMIT ?2";
    let rows = all(connection, sql, params![before.unwrap_or(i64::MAX), rows::limit(limit)])?;
    rows.into_iter().map(AuditRow::read).collect()
}

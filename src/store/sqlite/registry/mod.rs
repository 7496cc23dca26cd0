//! The configuration by people. [`places`] has projects and groups, [`people`] has tokens, mutes and the audit log.

mod integrations;
mod people;
mod places;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Connection;

use super::Sqlite;
use super::rows::prepare;
use crate::store::Result;
use crate::store::columns::registry::{GroupRow, IntegrationColumns, ProjectRow};
use crate::store::registry::{
    AuditEntry, AuditLine, Changes, Configuration, GroupKey, MadeFrom, Mute, NewToken, ProjectCorrection,
    Put, Registry, ScopeKey, SeenProject, StoredGroup, StoredIntegration, StoredProject, StoredToken,
};
use crate::store::seal::Keyring;
pub(super) use integrations::marks;
pub(super) use people::{note, sweep_mutes};

#[async_trait]
impl Registry for Sqlite {
    async fn changes(&self, after: i64) -> Result<Changes> {
        let keys = self.keys.clone();
        self.reader.call(move |connection| changes(connection, after, &keys)).await
    }

    async fn integration(&self, owner: ScopeKey, slug: &str) -> Result<Option<StoredIntegration>> {
        let slug = slug.to_owned();
        let found =
            self.reader.call(move |connection| integrations::find_one(connection, owner, &slug)).await?;
        found.map(|row| row.opened(&self.keys)).transpose()
    }

    async fn put_integration(
        &self,
        owner: ScopeKey,
        slug: &str,
        configuration: Configuration,
        made_from: MadeFrom,
        audit: AuditEntry,
    ) -> Result<Put> {
        let columns = IntegrationColumns::new(owner, slug, &configuration, &self.keys)?;
        let put = move |connection: &Connection| integrations::put(connection, &columns, &made_from, &audit);
        match self.writer.call(put).await? {
            Some(row) => Ok(Put::Done(row.opened(&self.keys)?)),
            None => Ok(Put::Outdated),
        }
    }

    async fn upsert_seen_projects(
        &self,
        seen: Vec<SeenProject>,
        now: Timestamp,
    ) -> Result<Vec<StoredProject>> {
        // Most events show only known facts, and need no write.
        let (known, seen) =
            self.reader.call(move |connection| Ok((places::known_as_seen(connection, &seen)?, seen))).await?;
        let rows = match known {
            Some(rows) => rows,
            None => {
                self.writer
                    .call(move |connection| places::upsert_seen_projects(connection, &seen, now))
                    .await?
            }
        };
        rows.into_iter().map(ProjectRow::read).collect()
    }

    async fn override_project(&self, project: ProjectCorrection, audit: AuditEntry) -> Result<StoredProject> {
        self.writer
            .call(move |connection| places::override_project(connection, &project, &audit))
            .await?
            .read()
    }

    async fn put_group(&self, id: Option<i64>, path: &str, audit: AuditEntry) -> Result<StoredGroup> {
        let path = path.to_owned();
        self.writer.call(move |connection| places::put_group(connection, id, &path, &audit)).await?.read()
    }

    async fn project(&self, id: i64) -> Result<Option<StoredProject>> {
        let found = self.ledger.call(move |connection| places::project(connection, id)).await?;
        found.map(ProjectRow::read).transpose()
    }

    async fn project_by_path(&self, path: &str) -> Result<Option<StoredProject>> {
        let path = path.to_owned();
        let found = self.ledger.call(move |connection| places::project_by_path(connection, &path)).await?;
        found.map(ProjectRow::read).transpose()
    }

    async fn group(&self, key: GroupKey) -> Result<Option<StoredGroup>> {
        let found = self.ledger.call(move |connection| places::group(connection, key)).await?;
        found.map(GroupRow::read).transpose()
    }

    async fn group_by_path(&self, path: &str) -> Result<Option<StoredGroup>> {
        let path = path.to_owned();
        let found = self.ledger.call(move |connection| places::group_by_path(connection, &path)).await?;
        found.map(GroupRow::read).transpose()
    }

    async fn create_token(&self, token: NewToken, audit: AuditEntry) -> Result<StoredToken> {
        self.writer.call(move |connection| people::create_token(connection, &token, &audit)).await?.read()
    }

    async fn revoke_token(&self, id: i64, audit: AuditEntry) -> Result<bool> {
        self.writer.call(move |connection| people::revoke_token(connection, id, &audit)).await
    }

    async fn tokens(&self) -> Result<Vec<StoredToken>> {
        self.ledger.call(|connection| people::tokens(connection, 0)).await
    }

    async fn end_session(&self, digest: [u8; 32], ends: Timestamp, now: Timestamp) -> Result<()> {
        self.writer.call(move |connection| people::end_session(connection, digest, ends, now)).await
    }

    async fn session_ended(&self, digest: [u8; 32]) -> Result<bool> {
        self.ledger.call(move |connection| people::session_ended(connection, digest)).await
    }

    async fn mute(&self, mute: Mute, audit: AuditEntry) -> Result<()> {
        self.writer.call(move |connection| people::mute(connection, &mute, &audit)).await
    }

    async fn note(&self, audit: AuditEntry) -> Result<()> {
        self.writer.call(move |connection| people::note(connection, &audit)).await
    }

    async fn audit_log(&self, before: Option<i64>, limit: usize) -> Result<Vec<AuditLine>> {
        self.ledger.call(move |connection| people::audit_log(connection, before, limit)).await
    }

    async fn rekey(&self, audit: AuditEntry) -> Result<usize> {
        self.keys.present()?;
        let keys = self.keys.clone();
        self.writer.call(move |connection| integrations::rekey(connection, &keys, &audit)).await
    }

    async fn drop_undecryptable(&self, audit: AuditEntry) -> Result<Vec<(ScopeKey, String)>> {
        let keys = self.keys.clone();
        self.writer.call(move |connection| integrations::drop_undecryptable(connection, &keys, &audit)).await
    }
}

fn changes(connection: &Connection, after: i64, keys: &Keyring) -> Result<Changes> {
    let revision = revision(connection)?;
    if revision == after {
        return Ok(Changes { revision, ..Changes::default() });
    }
    let after = if revision < after { 0 } else { after };
    Ok(Changes {
        revision,
        integrations: integrations::after(connection, after, keys)?,
        projects: places::projects_after(connection, after)?,
        groups: places::groups_after(connection, after)?,
        tokens: people::tokens(connection, after)?,
        mutes: people::mutes(connection, after)?,
    })
}

fn revision(connection: &Connection) -> Result<i64> {
    Ok(prepare(connection, "SELECT revision FROM registry")?.query_row([], |row| row.get(0))?)
}

/// The revision for a change.
fn next_revision(connection: &Connection) -> Result<i64> {
    let sql = "UPDATE registry SET revision = revision + 1 RETURNING revision";
    Ok(prepare(connection, sql)?.query_row([], |row| row.get(0))?)
}

//! The configuration by people. Changes are functions of the database (`registry.sql`).

use async_trait::async_trait;
use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::Postgres;
use super::connection::Connection;
use super::rows::{limit, ms, text};
use crate::store::columns::TableRow as _;
use crate::store::columns::registry::{
    AuditRow, GroupRow, IntegrationColumns, IntegrationRow, MuteRow, ProjectRow, SealedRow, TokenRow, json,
};
use crate::store::registry::{
    AuditEntry, AuditLine, Changes, Configuration, GroupKey, MadeFrom, Mute, NewToken, ProjectCorrection,
    Put, Registry, ScopeKey, SeenProject, StoredGroup, StoredIntegration, StoredProject, StoredToken,
    Visibility,
};
use crate::store::seal::MARK_LEN;
use crate::store::{Result, StoreError};

/// How often sealing all secrets is tried again, because one of them changed meanwhile.
const RESEALS: usize = 20;

/// A line of the audit log, as the functions take it.
pub(super) struct Note {
    at: i64,
    who: String,
    action: &'static str,
    object: String,
    fields: String,
}

impl Note {
    pub(super) fn new(audit: &AuditEntry) -> Self {
        Self {
            at: ms(audit.at),
            who: text(&audit.who).into_owned(),
            action: audit.action,
            object: text(&audit.object).into_owned(),
            fields: json(&audit.fields),
        }
    }

    /// These values, followed by those of the audit line.
    pub(super) fn after<'a>(&'a self, values: &[&'a (dyn ToSql + Sync)]) -> Vec<&'a (dyn ToSql + Sync)> {
        let own: [&(dyn ToSql + Sync); 5] = [&self.at, &self.who, &self.action, &self.object, &self.fields];
        [values, &own].concat()
    }
}

#[async_trait]
impl Registry for Postgres {
    async fn changes(&self, after: i64) -> Result<Changes> {
        let revision = revision(&self.reader.row(REVISION, &[]).await?);
        if revision == after {
            return Ok(Changes { revision, ..Changes::default() });
        }
        self.changes_after(if revision < after { 0 } else { after }).await
    }

    async fn integration(&self, owner: ScopeKey, slug: &str) -> Result<Option<StoredIntegration>> {
        const ONE: &str = "SELECT * FROM integrations WHERE owner_kind = $1 AND owner = $2 AND slug = $3";
        let (kind, number) = owner.columns();
        let found = self.reader.query(ONE, &[&kind, &number, &text(slug)]).await?;
        found.first().map(|row| IntegrationRow::from_cells(row)?.opened(&self.keys)).transpose()
    }

    async fn put_integration(
        &self,
        owner: ScopeKey,
        slug: &str,
        configuration: Configuration,
        made_from: MadeFrom,
        audit: AuditEntry,
    ) -> Result<Put> {
        const PUT: &str = "SELECT * FROM put_integration($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";
        let new = IntegrationColumns::new(owner, slug, &configuration, &self.keys)?;
        let note = Note::new(&audit);
        let (rivals, seen) = made_from.rivals();
        let values = note.after(&[
            &new.owner_kind,
            &new.owner,
            &new.slug,
            &new.active,
            &new.inherits,
            &new.flags,
            &new.properties,
            &new.secrets,
            &made_from.revision,
            &rivals,
            &seen,
        ]);
        match self.writer.query(PUT, &values).await?.first() {
            Some(row) => Ok(Put::Done(IntegrationRow::from_cells(row)?.opened(&self.keys)?)),
            None => Ok(Put::Outdated),
        }
    }

    async fn upsert_seen_projects(
        &self,
        seen: Vec<SeenProject>,
        now: Timestamp,
    ) -> Result<Vec<StoredProject>> {
        const LEARN: &str = "SELECT * FROM upsert_seen_projects($1, $2, $3, $4, $5)";
        // Most events show only known facts, and need no write.
        if let Some(known) = known_as_seen(&self.reader, &seen).await? {
            return Ok(known);
        }
        let ids: Vec<i64> = seen.iter().map(|seen| seen.id).collect();
        let paths: Vec<_> = seen.iter().map(|seen| seen.path.as_deref().map(text)).collect();
        let branches: Vec<_> =
            seen.iter().map(|seen| seen.learned.default_branch.as_deref().map(text)).collect();
        let visibilities: Vec<Option<&str>> =
            seen.iter().map(|seen| seen.learned.visibility.map(Visibility::name)).collect();
        let found = self.writer.query(LEARN, &[&ids, &paths, &branches, &visibilities, &ms(now)]).await?;
        found.iter().map(|row| ProjectRow::from_cells(row)?.read()).collect()
    }

    async fn override_project(
        &self,
        correction: ProjectCorrection,
        audit: AuditEntry,
    ) -> Result<StoredProject> {
        const CORRECT: &str =
            "SELECT * FROM override_project($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
        let ProjectCorrection { id, path, default_branch, visibility, protected_branches } = correction;
        let path = path.as_deref().map(text);
        let keeps = [default_branch.stays(), visibility.stays(), protected_branches.stays()];
        let branch = default_branch.value().map(|branch| text(branch));
        let visibility = visibility.value().map(|visibility| visibility.name());
        let protected = protected_branches.value().map(json);
        let note = Note::new(&audit);
        let values =
            note.after(&[&id, &path, &keeps[0], &branch, &keeps[1], &visibility, &keeps[2], &protected]);
        ProjectRow::from_cells(&self.writer.row(CORRECT, &values).await?)?.read()
    }

    async fn put_group(&self, id: Option<i64>, path: &str, audit: AuditEntry) -> Result<StoredGroup> {
        const PUT: &str = "SELECT * FROM put_group($1, $2, $3, $4, $5, $6, $7)";
        let (path, note) = (text(path), Note::new(&audit));
        GroupRow::from_cells(&self.writer.row(PUT, &note.after(&[&id, &path])).await?)?.read()
    }

    async fn project(&self, id: i64) -> Result<Option<StoredProject>> {
        let found = self.people.query("SELECT * FROM projects WHERE id = $1", &[&id]).await?;
        found.first().map(|row| ProjectRow::from_cells(row)?.read()).transpose()
    }

    async fn project_by_path(&self, path: &str) -> Result<Option<StoredProject>> {
        const BY_PATH: &str = "SELECT * FROM projects WHERE path_key = path_key_of($1)";
        let found = self.people.query(BY_PATH, &[&text(path)]).await?;
        found.first().map(|row| ProjectRow::from_cells(row)?.read()).transpose()
    }

    async fn group(&self, key: GroupKey) -> Result<Option<StoredGroup>> {
        let found = self.people.query("SELECT * FROM groups WHERE key = $1", &[&key.0]).await?;
        found.first().map(|row| GroupRow::from_cells(row)?.read()).transpose()
    }

    async fn group_by_path(&self, path: &str) -> Result<Option<StoredGroup>> {
        const BY_PATH: &str = "SELECT * FROM groups WHERE path_key = path_key_of($1)";
        let found = self.people.query(BY_PATH, &[&text(path)]).await?;
        found.first().map(|row| GroupRow::from_cells(row)?.read()).transpose()
    }

    async fn create_token(&self, new: NewToken, audit: AuditEntry) -> Result<StoredToken> {
        const CREATE: &str = "SELECT * FROM create_token($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
        let (kind, number) = new.access.reach.columns();
        let (name, hash, may) = (text(&new.name), new.hash.as_slice(), new.access.right.name());
        let (expires_at, note) = (new.expires_at.map(ms), Note::new(&audit));
        let values = note.after(&[&name, &hash, &kind, &number, &may, &expires_at]);
        TokenRow::from_cells(&self.writer.row(CREATE, &values).await?)?.read()
    }

    async fn revoke_token(&self, id: i64, audit: AuditEntry) -> Result<bool> {
        let note = Note::new(&audit);
        let sql = "SELECT revoke_token($1, $2, $3, $4, $5, $6)";
        Ok(self.writer.row(sql, &note.after(&[&id])).await?.get(0))
    }

    async fn tokens(&self) -> Result<Vec<StoredToken>> {
        let found = self.people.query("SELECT * FROM tokens ORDER BY id", &[]).await?;
        found.iter().map(|row| TokenRow::from_cells(row)?.read()).collect()
    }

    async fn end_session(&self, digest: [u8; 32], ends: Timestamp, now: Timestamp) -> Result<()> {
        const END: &str = "WITH over AS (DELETE FROM ended_sessions WHERE ends <= $3)
             INSERT INTO ended_sessions (digest, ends) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        self.writer.query(END, &[&&digest[..], &ms(ends), &ms(now)]).await.map(drop)
    }

    async fn session_ended(&self, digest: [u8; 32]) -> Result<bool> {
        const ENDED: &str = "SELECT EXISTS (SELECT 1 FROM ended_sessions WHERE digest = $1)";
        Ok(self.people.row(ENDED, &[&&digest[..]]).await?.get(0))
    }

    async fn mute(&self, mute: Mute, audit: AuditEntry) -> Result<()> {
        let (slug, channel, by) = (text(&mute.slug), text(&mute.channel), text(&mute.by));
        let (until, note) = (ms(mute.until), Note::new(&audit));
        let values = note.after(&[&mute.project, &slug, &channel, &until, &by]);
        self.writer.query("SELECT mute($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)", &values).await.map(drop)
    }

    async fn note(&self, audit: AuditEntry) -> Result<()> {
        let note = Note::new(&audit);
        self.writer.query("SELECT note($1, $2, $3, $4, $5)", &note.after(&[])).await.map(drop)
    }

    async fn audit_log(&self, before: Option<i64>, most: usize) -> Result<Vec<AuditLine>> {
        const LIST: &str =
            "SELECT id, at, who, action, object, fields FROM audit WHERE id < $1 ORDER BY id DESC LIMIT $2";
        let found = self.people.query(LIST, &[&before.unwrap_or(i64::MAX), &limit(most)]).await?;
        found.iter().map(|row| AuditRow::from_cells(row)?.read()).collect()
    }

    async fn rekey(&self, audit: AuditEntry) -> Result<usize> {
        self.keys.present()?;
        let note = Note::new(&audit);
        // The database has no key, so rows are read, sealed here and written back. A row may have changed meanwhile.
        for _ in 0..RESEALS {
            if let Some(rows) = self.reseal(&note).await? {
                return Ok(rows);
            }
        }
        Err(StoreError::Unavailable(
            "integrations changed while they were sealed again: try once more".to_owned(),
        ))
    }

    async fn drop_undecryptable(&self, audit: AuditEntry) -> Result<Vec<(ScopeKey, String)>> {
        let mut unreadable = Vec::new();
        for row in self.sealed().await? {
            if let Some(whose) = row.unreadable(&self.keys)? {
                unreadable.push((row, whose));
            }
        }
        let ids: Vec<i64> = unreadable.iter().map(|(row, _)| row.id).collect();
        let old: Vec<&[u8]> = unreadable.iter().map(|(row, _)| &*row.secrets).collect();
        let objects: Vec<String> =
            unreadable.iter().map(|(_, (owner, slug))| format!("{owner} {slug}")).collect();
        let note = Note::new(&audit);
        let values: [&(dyn ToSql + Sync); 7] =
            [&ids, &old, &objects, &note.at, &note.who, &note.action, &note.fields];
        let sql = "SELECT drop_undecryptable($1, $2, $3, $4, $5, $6, $7)";
        let done: Vec<i64> = self.writer.query(sql, &values).await?.iter().map(|row| row.get(0)).collect();
        // An integration that was set again meanwhile keeps its secrets.
        Ok(unreadable.into_iter().filter(|(row, _)| done.contains(&row.id)).map(|(_, whose)| whose).collect())
    }
}

const REVISION: &str = "SELECT revision FROM registry";

fn revision(row: &Row) -> i64 {
    row.get(0)
}

impl Postgres {
    async fn changes_after(&self, after: i64) -> Result<Changes> {
        let answers = self
            .reader
            .at_once([
                (REVISION, &[]),
                ("SELECT * FROM integrations WHERE revision > $1 ORDER BY revision", &[&after]),
                ("SELECT * FROM projects WHERE revision > $1 ORDER BY revision", &[&after]),
                ("SELECT * FROM groups WHERE revision > $1 ORDER BY revision", &[&after]),
                ("SELECT * FROM tokens WHERE revision > $1 ORDER BY id", &[&after]),
                ("SELECT * FROM mutes WHERE revision > $1 ORDER BY revision", &[&after]),
            ])
            .await?;
        let [count, integrations, projects, groups, tokens, mutes] = answers;
        let no_count = || StoreError::Broken("the row of table `registry` is missing".to_owned());
        Ok(Changes {
            revision: revision(count.first().ok_or_else(no_count)?),
            integrations: integrations
                .iter()
                .map(|row| IntegrationRow::from_cells(row)?.opened(&self.keys))
                .collect::<Result<_>>()?,
            projects: projects
                .iter()
                .map(|row| ProjectRow::from_cells(row)?.read())
                .collect::<Result<_>>()?,
            groups: groups.iter().map(|row| GroupRow::from_cells(row)?.read()).collect::<Result<_>>()?,
            tokens: tokens.iter().map(|row| TokenRow::from_cells(row)?.read()).collect::<Result<_>>()?,
            mutes: mutes.iter().map(|row| MuteRow::from_cells(row)?.read()).collect::<Result<_>>()?,
        })
    }

    /// The marks of all sealed rows: their formats and keys.
    pub(super) async fn marks(&self) -> Result<Vec<Vec<u8>>> {
        const MARKS: &str =
            "SELECT DISTINCT substr(secrets, 1, $1) FROM integrations WHERE secrets IS NOT NULL";
        let length = i32::try_from(MARK_LEN).expect("a mark is short");
        let found = self.reader.query(MARKS, &[&length]).await?;
        Ok(found.iter().map(|row| row.get(0)).collect())
    }

    async fn sealed(&self) -> Result<Vec<SealedRow>> {
        const SEALED: &str = "SELECT * FROM integrations WHERE secrets IS NOT NULL ORDER BY id";
        self.people.query(SEALED, &[]).await?.iter().map(SealedRow::from_cells).collect()
    }

    /// The number of rows that were sealed again. `None` where one of them changed meanwhile.
    async fn reseal(&self, note: &Note) -> Result<Option<usize>> {
        let rows = self.sealed().await?;
        let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        let old: Vec<&[u8]> = rows.iter().map(|row| &*row.secrets).collect();
        let new = rows.iter().map(|row| row.sealed_anew(&self.keys)).collect::<Result<Vec<_>>>()?;
        let values = note.after(&[&ids, &old, &new]);
        let done = self.writer.row("SELECT reseal($1, $2, $3, $4, $5, $6, $7, $8)", &values).await?;
        Ok(done.get::<_, bool>(0).then_some(rows.len()))
    }
}

/// The outer condition is checked again where a mute was renewed meanwhile.
const ENDED_MUTES: &str =
    "WITH gone AS (DELETE FROM mutes WHERE until < $1 AND (project, slug, channel_key) IN
         (SELECT project, slug, channel_key FROM mutes WHERE until < $1 LIMIT $2) RETURNING 1)
     SELECT count(*) FROM gone";

/// Removes mutes that ended before this moment. Returns their number.
pub(super) async fn sweep_mutes(connection: &Connection, before: i64, limit: i64) -> Result<i64> {
    Ok(connection.row(ENDED_MUTES, &[&before, &limit]).await?.get(0))
}

/// The projects, if all are stored as they were seen.
async fn known_as_seen(connection: &Connection, seen: &[SeenProject]) -> Result<Option<Vec<StoredProject>>> {
    const KNOWN: &str =
        "SELECT projects.* FROM unnest($1::bigint[]) WITH ORDINALITY AS s (seen, n) JOIN projects ON id = s.seen
         ORDER BY s.n";
    let ids: Vec<i64> = seen.iter().map(|seen| seen.id).collect();
    let found = connection.query(KNOWN, &[&ids]).await?;
    let rows = found.iter().map(ProjectRow::from_cells).collect::<Result<Vec<_>>>()?;
    let all_as_seen =
        rows.len() == seen.len() && rows.iter().zip(seen).all(|(row, seen)| row.is_as_seen(seen));
    if all_as_seen {
        rows.into_iter().map(ProjectRow::read).collect::<Result<_>>().map(Some)
    } else {
        Ok(None)
    }
}

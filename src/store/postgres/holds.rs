//! Holds in the database.

use std::borrow::Cow;

use jiff::Timestamp;
use tokio_postgres::types::ToSql;

use super::Postgres;
use super::connection::Connection;
use super::rows::{self, ms, select_holds, text};
use crate::integration::{Fingerprint, IntegrationId};
use crate::store::{Hold, HoldKey, Result};

/// Keys of holds, one array a column.
pub(super) struct KeyColumns<'a> {
    pub(super) kinds: Vec<&'static str>,
    pub(super) integrations: Vec<Cow<'a, str>>,
    pub(super) names: Vec<Cow<'a, str>>,
}

impl<'a> KeyColumns<'a> {
    pub(super) fn new(keys: impl IntoIterator<Item = &'a HoldKey>) -> Self {
        let mut columns = Self { kinds: Vec::new(), integrations: Vec::new(), names: Vec::new() };
        for key in keys {
            let (kind, integration, name) = key.columns();
            columns.kinds.push(kind);
            columns.integrations.push(text(integration));
            columns.names.push(text(name));
        }
        columns
    }
}

pub(super) async fn holds(connection: &Connection, now: Timestamp) -> Result<Vec<Hold>> {
    const HOLDS: &str = select_holds!("WHERE until > $1 ORDER BY kind, integration, name");
    connection.query(HOLDS, &[&ms(now)]).await?.iter().map(rows::hold).collect()
}

impl Postgres {
    pub(super) async fn end_each(&self, keys: &[HoldKey], now: Timestamp) -> Result<()> {
        let KeyColumns { kinds, integrations, names } = KeyColumns::new(keys);
        let columns: [&(dyn ToSql + Sync); 4] = [&kinds, &integrations, &names, &ms(now)];
        self.writer.query("SELECT end_holds($1, $2, $3, $4)", &columns).await.map(drop)
    }

    pub(super) async fn end_outdated(
        &self,
        current: &[(IntegrationId, Option<Fingerprint>)],
        now: Timestamp,
    ) -> Result<usize> {
        let (ids, fingerprints): (Vec<&str>, Vec<Option<i64>>) =
            current.iter().map(|(id, now)| (&*id.0, now.map(|fingerprint| fingerprint.0))).unzip();
        let ended = "SELECT end_outdated_holds($1, $2, $3)";
        let row = self.writer.row(ended, &[&ids, &fingerprints, &ms(now)]).await?;
        Ok(usize::try_from(row.get::<_, i64>(0)).unwrap_or_default())
    }
}

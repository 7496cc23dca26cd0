//! The schema and its migrations: forward only, each step in a transaction, one node at a time.

use super::connection::Connection;
use crate::store::migrations::{STEPS, known};
use crate::store::{Result, StoreError};

/// The program's own part, created at each start.
const FUNCTIONS: &str = concat!(
    include_str!("nodes.sql"),
    "\n",
    include_str!("functions.sql"),
    "\n",
    include_str!("watches.sql"),
    "\n",
    include_str!("alerts.sql"),
    "\n",
    include_str!("registry.sql")
);

/// The functions of an earlier version go with each step: PostgreSQL replaces no function whose parameters have other names.
const DROP_FUNCTIONS: &str = "DECLARE made regprocedure; BEGIN
         FOR made IN SELECT oid FROM pg_proc WHERE pronamespace = 'forgebell'::regnamespace LOOP
             EXECUTE 'DROP FUNCTION ' || made;
         END LOOP;
     END;";

/// The schema may exist already, for a role that may not create one.
const FIRST: &str = "DO $first$ BEGIN
         IF to_regnamespace('forgebell') IS NULL THEN CREATE SCHEMA forgebell; END IF;
     END $first$;
     CREATE TABLE IF NOT EXISTS forgebell.schema_version (version bigint NOT NULL)";

/// Migrates the schema. Returns the version before and after.
pub(super) async fn migrate(connection: &Connection) -> Result<(i64, i64)> {
    let encoding: String = connection.row("SHOW server_encoding", &[]).await?.get(0);
    if encoding != "UTF8" {
        return Err(StoreError::Broken(format!(
            "the database stores texts in {encoding}: create a database with ENCODING 'UTF8', which has all characters"
        )));
    }
    connection.batch(&alone(FIRST)).await?;
    let found = version(connection).await?;
    for (number, migration) in (1..).zip(STEPS).skip_while(|(number, _)| *number <= found) {
        let sql = migration.postgres;
        // Another node may have made this step meanwhile.
        let step = alone(&format!(
            "DO $step$ BEGIN IF (SELECT coalesce(max(version), 0) FROM schema_version) >= {number} THEN RETURN; END IF;
             {DROP_FUNCTIONS} EXECUTE $sql${sql}$sql$;
             DELETE FROM schema_version; INSERT INTO schema_version VALUES ({number}); END $step$"
        ));
        connection.batch(&step).await?;
    }
    // They hold no data. A node of the same version that creates them again changes nothing.
    connection.batch(&alone(FUNCTIONS)).await?;
    Ok((found, known()))
}

/// For a command beside the daemon, which does not migrate the schema.
///
/// # Errors
/// The schema has another version.
pub(super) async fn expect_current(connection: &Connection) -> Result<()> {
    let found = connection
        .query("SELECT to_regclass('forgebell.schema_version') IS NOT NULL", &[])
        .await?
        .first()
        .is_some_and(|row| row.get(0));
    let found = if found { version(connection).await? } else { 0 };
    if found == known() {
        return Ok(());
    }
    Err(StoreError::Unavailable(format!(
        "the database has schema version {found}, and this program needs version {}: start its daemon once, or run \
         `forgebell migrate`",
        known()
    )))
}

/// A transaction that waits for every other migration.
fn alone(sql: &str) -> String {
    // A step may rewrite tables of any size.
    format!(
        "BEGIN; SET LOCAL statement_timeout TO 0; SELECT pg_advisory_xact_lock(1178752364); {sql}; COMMIT"
    )
}

async fn version(connection: &Connection) -> Result<i64> {
    let row = connection.row("SELECT coalesce(max(version), 0) FROM schema_version", &[]).await?;
    let found: i64 = row.get(0);
    if found > known() {
        return Err(StoreError::Broken(format!(
            "the database was written by a newer forgebell (schema version {found}, this one knows {}): run that version, \
             or name another database (`store.url`)",
            known()
        )));
    }
    Ok(found)
}

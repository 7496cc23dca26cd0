//! A connection that reconnects: it is opened at the first use, dropped when it breaks, and opened again by the next
//! call.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};
use tracing::warn;

use super::tls::Tls;
use crate::store::{Result, StoreError};

/// The limit for connecting, and for each statement.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

/// The limit for a step of the schema.
const BATCH_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// Every connection begins with this: only our schema, durable commits, and no statement without a time limit.
const SESSION: &str = "SET search_path TO forgebell; SET synchronous_commit TO on;
     SET statement_timeout TO '60s'; SET lock_timeout TO '30s'; SET idle_in_transaction_session_timeout TO '60s'";

/// Settings by which the database notices a lost client within ten seconds, even while it waits for a lock or sends an
/// answer. Only the settings that its version and system have are used. Without them, a lost client would keep its
/// locks for minutes.
pub(super) const NOTICE_LOSS: &str = "SELECT set_config(s.name, given.setting, false)
     FROM pg_settings AS s JOIN (VALUES ('tcp_keepalives_idle', '5'), ('tcp_keepalives_interval', '2'),
         ('tcp_keepalives_count', '2'), ('tcp_user_timeout', '8s')) AS given (name, setting) ON given.name = s.name";

/// By this setting, the database notices that a client closed its connection while a statement runs. A server on a
/// system without this function refuses the setting.
const NOTICE_CLOSING: &str = "SELECT set_config(name, '2s', false) FROM pg_settings
     WHERE name = 'client_connection_check_interval'";

/// A statement that takes this long is logged, with the sessions that it waits for.
const SLOW: Duration = Duration::from_secs(5);

/// The sessions that a session waits for in the end: those that wait for no other session. A session between them, such
/// as another node's, can do nothing about the wait. For sessions of other roles, only the process is known.
const BLOCKERS: &str = "WITH RECURSIVE blocking (pid) AS (
         SELECT unnest(pg_blocking_pids($1))
         UNION
         SELECT other FROM blocking CROSS JOIN LATERAL unnest(pg_blocking_pids(pid)) AS other)
     SELECT pid, coalesce(usename::text, ''), coalesce(application_name, '') FROM pg_stat_activity
     WHERE pid IN (SELECT pid FROM blocking) AND cardinality(pg_blocking_pids(pid)) = 0 ORDER BY pid LIMIT 5";

/// Values of a statement, in order.
pub(super) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// One connection, for one caller at a time.
pub(super) struct Connection {
    config: tokio_postgres::Config,
    tls: Tls,
    live: Mutex<Option<Live>>,
    /// The database's process for this connection; 0 before the first.
    process: AtomicI32,
    /// Why the running statement takes long.
    slow: watch::Sender<Option<String>>,
}

struct Live {
    client: Client,
    statements: HashMap<&'static str, Statement>,
    /// The task that reads from and writes to the socket.
    driver: tokio::task::JoinHandle<()>,
}

impl Live {
    async fn ask(&mut self, sql: &'static str, values: Values<'_>) -> Result<Vec<Row>> {
        let statement = if let Some(statement) = self.statements.get(sql) {
            statement.clone()
        } else {
            let statement = self.client.prepare(sql).await.map_err(|error| failed(&error))?;
            self.statements.entry(sql).or_insert(statement).clone()
        };
        self.client.query(&statement, values).await.map_err(|error| failed(&error))
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    pub(super) fn new(config: tokio_postgres::Config, tls: Tls) -> Self {
        let (process, slow) = (AtomicI32::new(0), watch::Sender::new(None));
        Self { config, tls, live: Mutex::new(None), process, slow }
    }

    /// Waits until a statement takes long, and says why.
    pub(super) async fn until_slow(&self) -> StoreError {
        let mut slow = self.slow.subscribe();
        match slow.wait_for(Option::is_some).await.map(|why| why.clone()) {
            Ok(Some(why)) => StoreError::Unavailable(why),
            _ => std::future::pending().await, // the sender is ours
        }
    }

    /// The rows that a statement answers with.
    pub(super) async fn query(&self, sql: &'static str, values: Values<'_>) -> Result<Vec<Row>> {
        let mut live = self.live.lock().await;
        let asked =
            self.noting_slowness(sql, tokio::time::timeout(TIMEOUT, self.ask(&mut live, sql, values)));
        let answer = asked.await.unwrap_or_else(|_| Err(silent()));
        if matches!(answer, Err(StoreError::Unavailable(_))) {
            // The next call connects again.
            *live = None;
        }
        answer
    }

    /// The rows of a query that was composed for this call only.
    pub(super) async fn query_once(&self, sql: &str, values: Values<'_>) -> Result<Vec<Row>> {
        let mut live = self.live.lock().await;
        let asking = async {
            let client = &self.obtain(&mut live).await?.client;
            client.query(sql, values).await.map_err(|error| failed(&error))
        };
        let answer = tokio::time::timeout(TIMEOUT, asking).await.unwrap_or_else(|_| Err(silent()));
        if matches!(answer, Err(StoreError::Unavailable(_))) {
            *live = None;
        }
        answer
    }

    /// The one row that a statement answers with.
    pub(super) async fn row(&self, sql: &'static str, values: Values<'_>) -> Result<Row> {
        let row = self.query(sql, values).await?.into_iter().next();
        row.ok_or_else(|| {
            StoreError::Broken("PostgreSQL answered with no row where there must be one".to_owned())
        })
    }

    /// The rows of several queries, all from one snapshot of the database.
    pub(super) async fn at_once<const N: usize>(
        &self,
        queries: [(&'static str, Values<'_>); N],
    ) -> Result<[Vec<Row>; N]> {
        let answers = self.transaction("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", &queries).await?;
        answers.try_into().map_err(|_| missing())
    }

    /// Makes several changes, all or none. Returns their rows.
    pub(super) async fn all_or_none(&self, changes: &[(&'static str, Values<'_>)]) -> Result<Vec<Vec<Row>>> {
        match changes {
            // One statement is a transaction, with fewer round trips.
            [(sql, values)] => Ok(vec![self.query(sql, values).await?]),
            changes => self.transaction("BEGIN", changes).await,
        }
    }

    async fn transaction(
        &self,
        begin: &str,
        statements: &[(&'static str, Values<'_>)],
    ) -> Result<Vec<Vec<Row>>> {
        let mut slot = self.live.lock().await;
        let asking = async {
            self.obtain(&mut slot).await?;
            // The connection is taken out of its slot. If a statement fails, or the caller is cancelled, the connection is
            // dropped with its open transaction, and the next call connects again.
            let mut live = slot.take().ok_or_else(missing)?;
            live.client.batch_execute(begin).await.map_err(|error| failed(&error))?;
            let mut answers = Vec::with_capacity(statements.len());
            for (sql, values) in statements {
                answers.push(live.ask(sql, values).await?);
            }
            live.client.batch_execute("COMMIT").await.map_err(|error| failed(&error))?;
            Ok((live, answers))
        };
        let bound = TIMEOUT * u32::try_from(statements.len()).unwrap_or(u32::MAX).max(1);
        let (live, answers) = tokio::time::timeout(bound, asking).await.unwrap_or_else(|_| Err(silent()))?;
        *slot = Some(live);
        Ok(answers)
    }

    /// Runs several statements, for the schema. They may take long, as when a step rewrites a table.
    pub(super) async fn batch(&self, sql: &str) -> Result<()> {
        let mut live = self.live.lock().await;
        let asking = async {
            let client = &self.obtain(&mut live).await?.client;
            client.batch_execute(sql).await.map_err(|error| failed(&error))
        };
        let ended = tokio::time::timeout(BATCH_TIMEOUT, asking).await.unwrap_or_else(|_| Err(silent()));
        if ended.is_err() {
            *live = None;
        }
        ended
    }

    /// Reports what a statement waits for, if it takes long.
    async fn noting_slowness<T>(&self, sql: &str, asked: impl Future<Output = T>) -> T {
        tokio::pin!(asked);
        let saying = async {
            tokio::time::sleep(SLOW).await;
            let (what, blockers) = (function_in(sql), self.blockers().await);
            let why = format!("PostgreSQL has not answered `{what}` for {} s{blockers}", SLOW.as_secs());
            warn!(why, "the database is slow, or a session keeps a lock");
            self.slow.send_replace(Some(why));
            std::future::pending().await
        };
        let answer = tokio::select! {
            answer = &mut asked => answer,
            answer = saying => answer,
        };
        self.slow.send_if_modified(|slow| slow.take().is_some());
        answer
    }

    /// The sessions that hold the lock that this connection waits for, in words; empty if there are none.
    async fn blockers(&self) -> String {
        let asking = async {
            let other = self.connect_as(&AtomicI32::new(0)).await?;
            let process = self.process.load(Ordering::Relaxed);
            other.client.query(BLOCKERS, &[&process]).await.map_err(|error| failed(&error))
        };
        let Ok(Ok(rows)) = tokio::time::timeout(SLOW, asking).await else { return String::new() };
        let each = rows.iter().map(|row| {
            let (process, role, name): (i32, &str, &str) = (row.get(0), row.get(1), row.get(2));
            let of = [role, name].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", ");
            if of.is_empty() { process.to_string() } else { format!("{process} ({of})") }
        });
        let each: Vec<_> = each.collect();
        if each.is_empty() { String::new() } else { format!("; it waits for process {}", each.join(", ")) }
    }

    async fn ask(&self, live: &mut Option<Live>, sql: &'static str, values: Values<'_>) -> Result<Vec<Row>> {
        self.obtain(live).await?.ask(sql, values).await
    }

    async fn obtain<'l>(&self, live: &'l mut Option<Live>) -> Result<&'l mut Live> {
        if live.as_ref().is_none_or(|live| live.client.is_closed()) {
            *live = Some(Box::pin(self.connect()).await?);
        }
        live.as_mut().ok_or_else(missing)
    }

    async fn connect(&self) -> Result<Live> {
        self.connect_as(&self.process).await
    }

    /// Connects, and notes the database's process.
    async fn connect_as(&self, process: &AtomicI32) -> Result<Live> {
        let (client, connection) =
            self.config.connect(self.tls.clone()).await.map_err(|error| failed(&error))?;
        #[expect(clippy::disallowed_methods, reason = "it ends with the connection that it belongs to")]
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                warn!(%error, "the connection to PostgreSQL broke; the next call to the store reconnects");
            }
        });
        let live = Live { client, statements: HashMap::new(), driver };
        live.client.batch_execute(SESSION).await.map_err(|error| failed(&error))?;
        live.client.batch_execute(NOTICE_LOSS).await.map_err(|error| failed(&error))?;
        // An error is ignored: the setting only helps where it exists.
        let _ = live.client.batch_execute(NOTICE_CLOSING).await;
        let own = live.client.query_one("SELECT pg_backend_pid()", &[]).await;
        process.store(own.map_err(|error| failed(&error))?.get(0), Ordering::Relaxed);
        Ok(live)
    }
}

/// The function that a statement calls, for people. Statements contain no values, so the name is no secret.
fn function_in(sql: &str) -> &str {
    let words = sql.trim_start_matches("SELECT ").trim_start_matches("* FROM ");
    words.split(['(', '\n', ' ']).next().unwrap_or(words)
}

fn missing() -> StoreError {
    StoreError::Broken("a bug: there is no connection".to_owned())
}

pub(super) fn silent() -> StoreError {
    StoreError::Unavailable(format!("PostgreSQL did not answer within {} s", TIMEOUT.as_secs()))
}

/// The remedy for errors of TLS.
fn remedy(words: &str) -> &'static str {
    if words.contains("UnknownIssuer") {
        " (store.ca_file can add its authority)"
    } else if words.contains("BadSignature") {
        // This happens when the authority was created again under the same name.
        " (store.ca_file names another authority than the one that signed it)"
    } else if words.contains("not valid for name") {
        " (store.url has to name the host as its certificate does)"
    } else if words.contains("no encryption") || words.contains("SSL off") {
        // The texts of PostgreSQL from version 14, and of older ones.
        " (it may want TLS: sslmode=require in store.url)"
    } else {
        ""
    }
}

/// An error of the connection or the server is temporary, an error of our statement is not.
pub(super) fn failed(error: &tokio_postgres::Error) -> StoreError {
    let words = std::iter::successors(Some(error as &dyn std::error::Error), |cause| cause.source())
        .last()
        .map(ToString::to_string)
        .unwrap_or_default();
    let remedy = remedy(&words);
    let words = format!("PostgreSQL: {}{remedy}", words.split_whitespace().collect::<Vec<_>>().join(" "));
    let Some(code) = error.code() else {
        // The client serializes the values before it sends them. Any other error without a code comes from the network
        // or TLS.
        let is_ours = error.to_string().starts_with("error serializing parameter");
        return if is_ours { StoreError::Refused(words) } else { StoreError::Unavailable(words) };
    };
    // Classes of https://www.postgresql.org/docs/current/errcodes-appendix.html: connection, login, transaction rolled back,
    // resources, operator's intervention, the system; and a database that does not exist yet.
    let temporary = ["08", "28", "25", "3D", "40", "53", "55", "57", "58"];
    // Data that can't be stored, data against a rule of a table, and the limits of the program (as an index row's size).
    let refused = ["22", "23", "54"];
    let class = &code.code()[..2];
    if temporary.contains(&class) {
        StoreError::Unavailable(words)
    } else if refused.contains(&class) {
        StoreError::Refused(words)
    } else {
        StoreError::Broken(words)
    }
}

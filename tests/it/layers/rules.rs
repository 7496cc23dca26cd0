//! The rules beside the map: where crates from outside, the clock and SQL may be used, where events are decoded, and
//! how long a file may be.

/// Modules that only compute: no network, no clock, no waiting, no files, no log.
pub const PURE: &[&str] = &["event", "settings", "call", "message", "integration", "adapters", "digest"];

/// Where something may be used. `pipeline` is that module, `pipeline/retry` the file `retry.rs` and the folder beside it.
pub enum Home {
    Only(&'static [&'static str]),
    AllBut(&'static [&'static str]),
}

/// What paths may be used where, and why. `axum::` is a path that begins so, `::Instant::now` one that ends so.
pub const OUTSIDE: &[(&[&str], Home, &str)] = &[
    (
        &["axum::", "tower_http::", "hyper::", "hyper_util::"],
        Home::Only(&["api", "daemon", "cli"]),
        "the HTTP server is one module",
    ),
    (&["reqwest::"], Home::Only(&["wire", "cli"]), "the guard in `wire` must see every call"),
    (
        &["rusqlite::", "sqlx::", "tokio_postgres::"],
        Home::Only(&["store"]),
        "only the store knows the database",
    ),
    (&["lapin::"], Home::Only(&["pipeline", "cli"]), "the broker is a source of events"),
    (
        &["ring::"],
        Home::Only(&["store/seal", "api/webhook_signature", "adapters/alerts/iap"]),
        "keys, random secrets and signatures are in three files",
    ),
    (&["governor::"], Home::Only(&["wire"]), "rate limits are one module"),
    (
        &["backoff::"],
        Home::Only(&["pipeline/retry"]),
        "it is unmaintained, and must be replaceable in one file",
    ),
    (
        &["pulldown_cmark::"],
        // The preview reads rendered messages, as the services do.
        Home::Only(&["message", "preview"]),
        "Markdown is read once, into spans",
    ),
    (
        &["clap::", "clap_complete::", "clap_mangen::"],
        Home::Only(&["cli", "main"]),
        "the command line is one module",
    ),
    (&["tracing_subscriber::"], Home::Only(&["log"]), "the log is set up in one place"),
    (&["metrics_exporter_prometheus::"], Home::Only(&["metrics"]), "metrics are set up in one place"),
    (&["sd_notify::"], Home::Only(&["daemon"]), "only the daemon speaks to systemd"),
    (
        &["tokio::", "tokio_util::", "futures_util::", "async_trait::"],
        Home::AllBut(PURE),
        "this module only computes",
    ),
    (&["tracing::", "metrics::"], Home::AllBut(PURE), "this module only computes; its callers count and log"),
    (
        &[
            "std::fs::",
            "std::process::",
            "std::thread::",
            "std::env::",
            "std::net::TcpStream::",
            "std::net::TcpListener::",
            "std::net::UdpSocket::",
            "std::net::ToSocketAddrs::",
        ],
        Home::AllBut(PURE),
        "this module only computes",
    ),
    (
        &["::Event::decode"],
        // Events that Forgebell makes itself, and events whose path decides nothing yet.
        Home::Only(&[
            "event",
            "catalog",
            "pipeline/quarantine",
            "pipeline/status_poller",
            "api/alerts",
            "cli/publish",
            "cli/demo",
        ]),
        "the catalog knows where the forge lies, and so of which project an event is",
    ),
    // The PostgreSQL store measures how long its database is silent.
    (
        CLOCKS,
        Home::Only(&["wire", "pipeline", "api", "metrics", "daemon", "cli", "main", "store/postgres"]),
        NOW,
    ),
    (CLOCKS, Home::AllBut(&["pipeline/retry"]), NOW),
];
const CLOCKS: &[&str] =
    &["::SystemTime::now", "::Instant::now", "::Timestamp::now", "::Zoned::now", "::Uuid::now_v7"];
const NOW: &str = "`now` is a parameter";

/// Words that pure modules may not contain.
pub const WAITING_WORDS: &[&str] = &["async", "await"];

/// How an SQL statement begins.
pub const SQL: &[&str] = &[
    "SELECT ",
    "INSERT INTO ",
    "INSERT OR ",
    "UPDATE ",
    "DELETE FROM ",
    "CREATE TABLE ",
    "CREATE INDEX ",
    "PRAGMA ",
    "BEGIN IMMEDIATE",
    "WITH ",
];

/// The lines that a file may have.
pub const MOST_LINES: usize = 700;

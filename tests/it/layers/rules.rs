//! The rules of the house, as tables.
//!
//! * [`ROOMS`]: which room may use which.
//! * [`OUTSIDE`]: where crates from outside, the clock and the file system are at home.
//! * [`WAITING_WORDS`], [`SQL`], [`MOST_LINES`]: what takes a look at words, text and length.
//!
//! They follow the map in `src/lib.rs`. Where a rule is wrong, change both.

pub enum Uses {
    Everything,
    /// `event`: all of that room. `settings::Secret`: that item alone. `*::Config`: that item of any room. `wire::*`: what
    /// the room's `mod.rs` offers, but none of its files.
    Only(&'static [&'static str]),
}

/// In reading order: what happened, what is said, who wants to know, how they are told, what must survive.
pub const ROOMS: &[(&str, Uses)] = &[
    ("event", Uses::Only(&[])),
    ("settings", Uses::Only(&[])),
    ("call", Uses::Only(&["digest"])),
    ("message", Uses::Only(&["event"])),
    ("integration", Uses::Only(&["event", "settings"])),
    ("adapters", Uses::Only(&["event", "message", "settings", "call", "integration", "digest"])),
    ("store", Uses::Only(&["event", "integration", "call", "settings"])),
    ("wire", Uses::Only(&["call", "settings::Secret"])),
    ("pipeline", Uses::Only(UP_TO_WIRE)),
    ("api", Uses::Only(UP_TO_PIPELINE)),
    (
        "provision",
        Uses::Only(&[
            "event",
            "settings",
            "call",
            "integration",
            "adapters",
            "call", // its tests have an adapter of their own
            "catalog",
            "store::registry",
            "digest",
        ]),
    ),
    ("catalog", Uses::Only(&["event", "settings", "integration", "adapters", "store", "digest"])),
    ("config", Uses::Only(&["*::Config", "adapters::OperatorSettings"])),
    ("digest", Uses::Only(&[])),
    ("metrics", Uses::Only(&[])),
    ("log", Uses::Only(&[])),
    ("daemon", Uses::Everything),
    ("cli", Uses::Everything),
    ("demo", Uses::Everything),
    ("main", Uses::Everything),
    ("lib", Uses::Only(&[])),
];
const UP_TO_WIRE: &[&str] = &[
    "event",
    "settings",
    "call",
    "message",
    "integration",
    "adapters",
    "store",
    "catalog",
    "wire",
    "provision",
    "digest",
    "metrics",
];
const UP_TO_PIPELINE: &[&str] = &[
    "event",
    "settings",
    "call",
    "message",
    "integration",
    "adapters",
    "store",
    "catalog",
    "wire::*",
    "provision",
    "pipeline",
    "digest",
    "metrics",
];

/// These compute: no network, no clock, no waiting, no files, nothing written to a log.
pub const PURE: &[&str] = &["event", "settings", "call", "message", "integration", "adapters", "digest"];

/// A room, or a module in one: `pipeline/retry` is `retry.rs` and the folder beside it.
pub enum Home {
    Only(&'static [&'static str]),
    AllBut(&'static [&'static str]),
}

/// `axum::` is a path that begins so, `::Instant::now` one that ends so.
pub const OUTSIDE: &[(&[&str], Home, &str)] = &[
    (
        &["axum::", "tower_http::", "hyper::", "hyper_util::"],
        Home::Only(&["api", "daemon", "cli", "demo"]),
        "HTTP is served at the doors",
    ),
    (
        &["reqwest::"],
        Home::Only(&["wire", "cli", "demo"]),
        "calls go out through the wire, where the guard stands",
    ),
    (&["rusqlite::", "sqlx::", "tokio_postgres::"], Home::Only(&["store"]), "the store knows the database"),
    (&["lapin::"], Home::Only(&["pipeline", "cli", "demo"]), "the broker is a source"),
    (&["ring::"], Home::Only(&["store/seal"]), "keys and unguessable values are made in one file"),
    (&["governor::"], Home::Only(&["wire"]), "the wire keeps the pace"),
    (&["backoff::"], Home::Only(&["pipeline/retry"]), "unmaintained, so one file must be able to replace it"),
    (
        &["pulldown_cmark::"],
        // The preview reads what was rendered, as the services do: it stands at the other end.
        Home::Only(&["message", "cli/preview"]),
        "messages are spans, read once",
    ),
    (
        &["clap::", "clap_complete::", "clap_mangen::"],
        Home::Only(&["cli", "demo", "main"]),
        "the command line is the cli's",
    ),
    (&["tracing_subscriber::"], Home::Only(&["log"]), "the log is set up in one place"),
    (&["metrics_exporter_prometheus::"], Home::Only(&["metrics"]), "metrics are set up in one place"),
    (&["sd_notify::"], Home::Only(&["daemon"]), "the daemon answers to the service manager"),
    (
        &["tokio::", "tokio_util::", "futures_util::", "async_trait::"],
        Home::AllBut(PURE),
        "this room doesn't wait",
    ),
    (&["tracing::", "metrics::"], Home::AllBut(PURE), "this room answers, and others count and log"),
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
        "this room touches nothing",
    ),
    (CLOCKS, Home::Only(&["wire", "pipeline", "api", "metrics", "daemon", "cli", "demo", "main"]), NOW),
    (CLOCKS, Home::AllBut(&["pipeline/retry"]), NOW),
];
const CLOCKS: &[&str] =
    &["::SystemTime::now", "::Instant::now", "::Timestamp::now", "::Zoned::now", "::Uuid::now_v7"];
const NOW: &str = "`now` comes in as a value";

pub const WAITING_WORDS: &[&str] = &["async", "await"];

/// How a statement begins. In capitals, so that prose is not mistaken for it.
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

/// A file that passes this is two.
pub const MOST_LINES: usize = 700;

/// Files in `adapters` that are no adapters, but what several of them share.
pub const SHARED_BY_ADAPTERS: &[&str] = &["attachment", "commands", "discreet", "operator", "mail", "shared"];

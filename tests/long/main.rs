//! The long tests: those that take long, measure, or need more programs than `tests/it`. `tests/long.sh` installs what
//! they need and runs them, one after the other; `cargo test` alone leaves them out (`test = false` in `Cargo.toml`).
//!
//! [`harness`] is that of `tests/it`; every other module contains tests.

#![expect(
    clippy::disallowed_methods,
    reason = "the bans are for the daemon; tests have clocks and tasks of their own"
)]

#[expect(dead_code, reason = "tests/it uses the rest of it")]
#[path = "../it/harness/mod.rs"]
mod harness;

mod amqp;
mod attacks;
mod builds_once;
mod github_status;
mod go_client;
mod matrix;
mod nodes_ledger;
mod openapi;
mod package;
mod redmine;
mod second_opinion;
mod shut_out;
mod slow_builds;

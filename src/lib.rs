//! Forgebell: the bell beside the forge.
//!
//! Events go in (over AMQP, or over HTTP where there is no broker); the right people hear of them, once, in order,
//! at the pace that their service allows, and nothing is lost on the way. Two durable steps, one direction: an
//! *event* becomes *deliveries* (match), a delivery becomes *attempts* (send).
//!
//! ```text
//!  forge ──AMQP──────────────────────────▶ amqp ──┐
//!  forge ──HTTP──▶ api/events ──▶ Inbox ──▶ embedded ──┤ Source
//!                                                      ▼
//!                  dispatch      match → one delivery per target            (commit, then ack)
//!                                                      ▼
//!                                                   Outbox
//!                                                      ▼
//!                  deliver       claim → attempt → settle
//!                                           │
//!                  attempt       compose → call → [ guard → pace → send ] → read → (then → …)
//!                                                      ▼
//!                                                   people
//! ```
//!
//! # The rooms, in reading order
//!
//! | room | what is in it | may use |
//! |---|---|---|
//! | [`event`] | what happened: webhook JSON, decoded | nothing of ours |
//! | [`message`] | what is said: an event told to people, then rendered in one service's markup | `event` |
//! | [`settings`] | the vocabulary of settings: fields, values, secrets | nothing of ours |
//! | [`integration`] | who wants to know, and the rules by which they choose | `event`, `settings` |
//! | [`call`] | requests, answers, failures: data | `digest` |
//! | [`adapters`] | how each service is told: one file each, pure | `event`, `message`, `settings`, `call`, `integration`'s rules, `digest` |
//! | [`wire`] | how it gets out: the guard, the pace, HTTP, mail, bare TCP | `call`, `settings`' secrets |
//! | [`store`] | what must survive: inbox, outbox, quarantine, ledger, what people configured; in SQLite or PostgreSQL | `event`, `integration`, `call`, `settings` |
//! | [`catalog`] | who is configured: what files and the store say, joined with the projects and groups that it is of | `event`, `settings`, `integration`, `adapters`, `store`, `digest` |
//! | [`provision`] | integrations from files | `event`, `settings`, `call`, `integration`, `adapters`, `catalog`, `store`'s registry, `digest` |
//! | [`pipeline`] | the way through: sources, dispatch, deliver | all above |
//! | [`api`] | the HTTP server: events in, GitLab's Integrations API, health and metrics out | all above but `wire`'s insides |
//! | [`config`] | every setting of the daemon, read and checked | each room's own `Config`, `adapters`' installation |
//! | [`daemon`] | the wiring, start to stop | everything; it decides nothing |
//! | [`cli`], [`demo`] | what a person runs | everything |
//! | [`digest`] | short stable names | nothing of ours |
//! | [`metrics`], [`log`] | what a person sees of it | nothing of ours |
//!
//! `tests/it/layers.rs` holds the code to this table.
//!
//! [`settings`]: mod@settings
//!
//! # Deliberately absent
//!
//! No `util` and no `common`: a helper lives with its first user until a second room needs it. No clock below
//! `pipeline`: `now` is a parameter. No retries inside the HTTP client, and no sleeping tasks that hold a message:
//! what waits is a row. No global state but the metrics recorder and the logger.

pub mod adapters;
pub mod api;
pub mod call;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod demo;
pub mod digest;
pub mod event;
pub mod integration;
pub mod log;
pub mod message;
pub mod metrics;
pub mod pipeline;
pub mod provision;
pub mod settings;
pub mod store;
pub mod wire;

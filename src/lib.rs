//! Forgebell: a notification dispatcher that runs beside a forge.
//!
//! Events come in over AMQP or HTTP, are matched against each project's integrations, and go out to chat, mail, IRC and
//! build servers: in order, at the pace that each service allows, with nothing lost. There are two durable steps in one direction: an
//! *event* becomes *deliveries* (match), and a delivery becomes *attempts* (send).
//!
//! ```text
//!  forge ── AMQP ─────────────▶ amqp source ──┐
//!  forge ── HTTP ─▶ /events ─▶ inbox source ──┤
//!                                             ▼
//!                  dispatch    decode, match: one delivery per target
//!                                             ▼
//!                  outbox      what became of an event is committed before the source is acknowledged
//!                                             ▼
//!                  deliver     schedule ─▶ attempt (message ─▶ call ─▶ guard ─▶ pace ─▶ send ─▶ read) ─▶ settle
//!                                             ▼
//!                  people
//! ```
//!
//! `ARCHITECTURE.md` follows one event from the forge to Slack, file by file.
//!
//! # The modules, in reading order
//!
//! | module | what it does | may use |
//! |---|---|---|
//! | [`event`] | decodes the forge's webhook JSON | nothing |
//! | [`message`] | composes the message about an event, and renders it in a service's markup | `event` |
//! | [`settings`] | declares settings: fields, values, secrets | nothing |
//! | [`integration`] | one project's use of a service, and the rules by which it is notified | `event`, `settings` |
//! | [`digest`] | makes short stable names | nothing |
//! | [`call`] | requests, answers and failures, as data | `digest` |
//! | [`adapters`] | how each service is called: pure functions | `event`, `message`, `settings`, `call`, `integration`, `digest` |
//! | [`wire`] | sends calls: the guard, rate limits, HTTP, mail, TCP | `call`, `settings::Secret`, `settings::Secrets` |
//! | [`store`] | keeps what must survive, in SQLite or PostgreSQL: inbox, outbox, quarantine, ledger, registry | `event`, `integration`, `call`, `settings`, `digest` |
//! | [`catalog`] | which integrations a project has: files and store, joined over the three levels | `event`, `settings`, `integration`, `adapters`, `store`, `digest` |
//! | [`provision`] | reads integrations from files, and writes them | `event`, `settings`, `call`, `integration`, `adapters`, `catalog`, `store::registry`, `digest` |
//! | [`metrics`] | counts and measures | nothing |
//! | [`pipeline`] | takes events from their sources, dispatches and delivers | all above |
//! | [`preview`] | draws messages as their services show them | `event`, `message`, `settings`, `call`, `adapters`, `pipeline` |
//! | [`api`] | the HTTP server: events, GitLab's Integrations API, the page for people, health, metrics | all above, `wire::*` |
//! | [`config`] | reads and checks the daemon's settings | `*::Config`, `adapters::operator`, `pipeline::amqp`, `digest` |
//! | [`log`] | sets up the log | nothing |
//! | [`daemon`] | connects the parts, starts and stops them; it decides nothing | everything |
//! | [`cli`] | the commands of the program | everything |
//!
//! Under "may use", `settings::Secret` and `settings::Secrets` are these items alone, `*::Config` the item of this name in every module, and
//! `wire::*` what `wire/mod.rs` offers, without its files. Modules that stand beside each other do not use each other in
//! a circle. `tests/it/layers.rs` holds the code to this table.
//!
//! [`settings`]: mod@settings
//!
//! # What there is not
//!
//! There is no `util` and no `common`: a helper is in the file of its first user until a second module needs it. Below
//! `pipeline` nothing reads the clock: `now` is a parameter. Only `wire` and the PostgreSQL store measure durations.
//! The HTTP client does not retry, and no task sleeps with a message in hand: what must wait is a row in the store. The
//! metrics recorder and the logger are the only global state, apart from patterns that are compiled once.

pub mod adapters;
pub mod api;
pub mod call;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod digest;
pub mod event;
pub mod integration;
pub mod log;
pub mod message;
pub mod metrics;
pub mod pipeline;
pub mod preview;
pub mod provision;
pub mod settings;
pub mod store;
pub mod wire;

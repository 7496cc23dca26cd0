//! The integration tests: one binary, so that everything is linked once and the tests share one broker.
//!
//! [`harness`] is the cast around the daemon; every other module is a suite.

#![expect(
    clippy::disallowed_methods,
    reason = "the bans keep the daemon honest; tests have clocks and tasks of their own"
)]

mod harness;

mod amqp;
mod cards;
mod catalog;
mod cli;
mod deploy;
mod discord;
mod harness_works;
mod irker;
mod layers;
mod mail;
mod nodes;
mod observability;
mod pipeline;
mod rest;
mod services;
mod slash;

//! The integration tests. They are one binary, so that everything is linked once and the tests share one broker.
//!
//! [`harness`] provides the surroundings of the daemon; every other module contains tests.

#![expect(
    clippy::disallowed_methods,
    reason = "the bans are for the daemon; tests have clocks and tasks of their own"
)]

#[expect(dead_code, reason = "tests/long uses the rest of it")]
mod harness;

mod alerts;
mod amqp;
mod architecture;
mod build_status;
mod builds;
mod cards;
mod catalog;
mod chat;
mod cli;
mod deploy;
mod discord;
mod docs;
mod documented_services;
mod google_chat;
mod harness_tests;
mod irker;
mod jira;
mod layers;
mod links;
mod mail;
mod nodes;
mod observability;
mod open_requests;
mod page;
mod pipeline;
mod places;
mod python_gitlab;
mod reachable;
mod recipes;
mod rest;
mod services;
mod slash;
mod store_place;
mod store_refuses;
mod switched_off;
mod trackers;

//! Discord: its answers, its addresses and its limits, from its documentation and from reports of users.

mod addresses;
mod answers;
mod embeds;

use serde_json::Value as Json;

use super::events::{Case, tell_changed};
use super::{
    answer, body, buckets, call_with, cases, consequence, entry, failure, hostile, http, kind, note, outcome,
    sample, settings_of, target_names,
};
use crate::call::{Answer, Sent};
use crate::settings::Parsed;

const HOOK: &str = "https://discord.com/api/webhooks/1/aaaaaaaaaaaaaaaaaaaaaaaa";

fn plain() -> Parsed {
    settings_of("discord", &[("webhook", HOOK)])
}

fn sent(case: &Case) -> Json {
    body(&call_with(entry("discord"), &plain(), case, ""))
}

fn said(status: u16, headers: &[(&str, &str)], body: &str) -> Answer<Sent> {
    answer(entry("discord"), status, headers, body)
}

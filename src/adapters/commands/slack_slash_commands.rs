//! Slack slash commands, which people type in a Slack channel
//! (<https://docs.slack.dev/interactivity/implementing-slash-commands>).

use super::form::{LIMITS, about, read};
use crate::adapters::contract::{About, Adapter, Inbound, InboundKind, InboundRequest, Reaction};
use crate::call::Failure;
use crate::settings::Secret;

crate::settings! {
    /// The settings that authenticate Slack.
    pub struct Settings {
        /// The token that Slack sends with each command.
        pub token: Secret = "5IwL2wSO9Zyl5pS7tGEcrx9Z",
    }
}

/// The adapter.
pub struct SlackSlashCommands;

impl Adapter for SlackSlashCommands {
    const ABOUT: About = about(
        "slack-slash-commands",
        "Slack slash commands",
        "Answers commands from Slack: status, test, mute, unmute, issue show and issue new.",
    );
    type Settings = Settings;
}

impl Inbound for SlackSlashCommands {
    const LIMITS: &'static str = LIMITS;
    const KIND: InboundKind = InboundKind::Commands;

    fn receive(request: &InboundRequest) -> Result<Reaction, Failure> {
        Ok(read("slack", request))
    }
}

//! Slack slash commands: what people type in a Slack channel
//! (<https://docs.slack.dev/interactivity/implementing-slash-commands>).

use super::About;
use super::commands::{self, Listener};
use crate::settings::Secret;

crate::settings! {
    /// What Slack shows, so that it is known to be Slack.
    #[expect(dead_code, reason = "the API compares the token as it is stored")]
    pub struct Settings {
        /// The token that Slack shows with each command.
        pub token: Secret = "5IwL2wSO9Zyl5pS7tGEcrx9Z",
    }
}

/// The adapter.
pub struct SlackSlashCommands;

impl Listener for SlackSlashCommands {
    const ABOUT: About = commands::about(
        "slack-slash-commands",
        "Slack slash commands",
        "Answers commands from Slack: what is sent where, what failed, mute and unmute.",
    );
    type Settings = Settings;
}

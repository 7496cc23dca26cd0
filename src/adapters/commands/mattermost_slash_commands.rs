//! Mattermost slash commands: what people type in a Mattermost channel
//! (<https://developers.mattermost.com/integrate/slash-commands/custom/>).

use super::form::{LIMITS, about, read};
use crate::adapters::contract::{About, Adapter, Inbound, InboundRequest, Reaction};
use crate::call::Failure;
use crate::settings::Secret;

crate::settings! {
    /// What Mattermost shows, so that it is known to be Mattermost.
    pub struct Settings {
        /// The token that Mattermost shows with each command.
        pub token: Secret = "gr8b5fzhyifcbbc7y9hmznrqir",
        /// The name beside answers; accepted, as GitLab accepts it, and not used.
        pub username: Option<String> = "forgebell",
    }
}

/// The adapter.
pub struct MattermostSlashCommands;

impl Adapter for MattermostSlashCommands {
    const ABOUT: About = about(
        "mattermost-slash-commands",
        "Mattermost slash commands",
        "Answers commands from Mattermost: what is sent where, what failed, mute and unmute.",
    );
    type Settings = Settings;
}

impl Inbound for MattermostSlashCommands {
    const LIMITS: &'static str = LIMITS;

    fn receive(_: &Settings, request: &InboundRequest) -> Result<Reaction, Failure> {
        Ok(read("mattermost", request))
    }
}

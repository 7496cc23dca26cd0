//! Mattermost slash commands, which people type in a Mattermost channel
//! (<https://developers.mattermost.com/integrate/slash-commands/custom/>).

use super::form::{LIMITS, about, read};
use crate::adapters::contract::{About, Adapter, Inbound, InboundKind, InboundRequest, Reaction};
use crate::call::Failure;
use crate::settings::Secret;

crate::settings! {
    /// The settings that authenticate Mattermost.
    pub struct Settings {
        /// The token that Mattermost sends with each command.
        pub token: Secret = "gr8b5fzhyifcbbc7y9hmznrqir",
        /// The name for answers. It is accepted for compatibility with GitLab, and not used.
        pub username: Option<String> = "forgebell",
    }
}

/// The adapter.
pub struct MattermostSlashCommands;

impl Adapter for MattermostSlashCommands {
    const ABOUT: About = about(
        "mattermost-slash-commands",
        "Mattermost slash commands",
        "Answers commands from Mattermost: status, test, mute, unmute, issue show and issue new.",
    );
    type Settings = Settings;
}

impl Inbound for MattermostSlashCommands {
    const LIMITS: &'static str = LIMITS;
    const KIND: InboundKind = InboundKind::Commands;

    fn receive(request: &InboundRequest) -> Result<Reaction, Failure> {
        Ok(read("mattermost", request))
    }
}

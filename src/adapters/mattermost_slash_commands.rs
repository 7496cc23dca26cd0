//! Mattermost slash commands: what people type in a Mattermost channel
//! (<https://developers.mattermost.com/integrate/slash-commands/custom/>).

use super::About;
use super::commands::{self, Listener};
use crate::settings::Secret;

crate::settings! {
    /// What Mattermost shows, so that it is known to be Mattermost.
    #[expect(dead_code, reason = "the API compares the token as it is stored")]
    pub struct Settings {
        /// The token that Mattermost shows with each command.
        pub token: Secret = "gr8b5fzhyifcbbc7y9hmznrqir",
        /// The name beside answers; accepted, as GitLab accepts it, and not used.
        pub username: Option<String> = "forgebell",
    }
}

/// The adapter.
pub struct MattermostSlashCommands;

impl Listener for MattermostSlashCommands {
    const ABOUT: About = commands::about(
        "mattermost-slash-commands",
        "Mattermost slash commands",
        "Answers commands from Mattermost: what is sent where, what failed, mute and unmute.",
    );
    type Settings = Settings;
}

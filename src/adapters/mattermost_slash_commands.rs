//! Mattermost slash commands: what people type in a Mattermost channel
//! (<https://developers.mattermost.com/integrate/slash-commands/custom/>).

use super::{About, Adapter, Notification, commands};
use crate::call::{Bucket, Call, Failure};
use crate::event::Event;
use crate::settings::Secret;

crate::settings! {
    /// What Mattermost shows, so that it is known to be Mattermost.
    #[expect(dead_code, reason = "the door compares the token as it is stored")]
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
    const ABOUT: About = commands::about(
        "mattermost-slash-commands",
        "Mattermost slash commands",
        "Answers commands from Mattermost: what is sent where, what failed, mute and unmute.",
    );
    type Settings = Settings;

    fn targets(_: &Settings, _: &Event, _: &[String]) -> Vec<String> {
        Vec::new()
    }

    fn buckets(_: &Settings, _: &str) -> Vec<Bucket> {
        Vec::new()
    }

    fn call(_: &Settings, _: &Notification<'_>) -> Result<Call, Failure> {
        Err(commands::tells_nobody())
    }
}

//! What the adapters share that tell nobody anything, and hear what people type in a channel: Slack's and Mattermost's
//! slash commands. The API's door for them checks the token and answers.

use std::time::Duration;

use super::{About, ChannelSettings, Offers};
use crate::call::Failure;
use crate::event::Triggers;
use crate::integration::Family;

/// Such an adapter.
pub(super) const fn about(slug: &'static str, title: &'static str, summary: &'static str) -> About {
    About {
        slug,
        title,
        summary,
        triggers: Triggers::of(&[]),
        family: Family::Commands,
        offers: Offers {
            channels: ChannelSettings::None,
            branches: None,
            only_broken_pipelines: false,
            only_status_changes: false,
            labels: false,
        },
        patience: Duration::from_secs(3),
        repeatable: false,
        concurrency: 1,
        limits: "Who typed a command waits 3 s for the answer.",
    }
}

/// Why nothing is ever sent.
pub(super) fn tells_nobody() -> Failure {
    Failure::Rejected("it hears commands, and tells nobody of events".to_owned())
}

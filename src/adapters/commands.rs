//! The common part of the adapters for slash commands of Slack and Mattermost. They send no notifications. The API's
//! route for commands checks the token and answers.

use std::time::Duration;

use super::{About, Adapter, ChannelSettings, CommonSettings, Notification};
use crate::call::{Bucket, Call, Failure, Sent};
use crate::event::{Event, Triggers};
use crate::integration::Family;
use crate::settings::Settings;

/// Such an adapter: what it is called and what is set of it.
pub trait Listener: 'static {
    const ABOUT: About;
    type Settings: Settings;
}

/// It sends no notifications.
impl<L: Listener> Adapter for L {
    const ABOUT: About = L::ABOUT;
    type Settings = L::Settings;

    fn targets(_: &L::Settings, _: &Event, _: &[String]) -> Vec<String> {
        Vec::new()
    }

    fn buckets(_: &L::Settings, _: &str) -> Vec<Bucket> {
        Vec::new()
    }

    fn call(_: &L::Settings, _: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        Err(Failure::Rejected("it receives commands and sends no notifications".to_owned()))
    }
}

/// What is the same of all of them.
pub(super) const fn about(slug: &'static str, title: &'static str, summary: &'static str) -> About {
    About {
        slug,
        title,
        summary,
        triggers: Triggers::of(&[]),
        family: Family::Commands,
        common: CommonSettings {
            channels: ChannelSettings::None,
            branches: None,
            only_broken_pipelines: false,
            only_status_changes: false,
            labels: false,
        },
        max_age: Duration::from_secs(3),
        retry_ambiguous: false,
        concurrency: 1,
        limits: "Who typed a command waits 3 s for the answer.",
    }
}

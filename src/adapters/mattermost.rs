//! Mattermost.
use super::{About, Adapter, ChannelSettings, Notification, Offers};
use crate::call::{Bucket, Call, Failure};
use crate::event::Triggers;
use crate::integration::Family;
use crate::settings::SecretUrl;
use std::time::Duration;

crate::settings! {
    /// stub
    pub struct Settings {
        /// The incoming webhook's address.
        pub webhook: SecretUrl = "https://hooks.example.com/services/T0/B0/X",
    }
}
/// stub
pub struct Mattermost;
impl Adapter for Mattermost {
    const ABOUT: About = About {
        slug: "mattermost",
        title: "Mattermost",
        summary: "",
        triggers: Triggers::of(&[]),
        family: Family::Chat,
        offers: Offers {
            channels: ChannelSettings::Names { at_most: 10 },
            branches: Some("default"),
            only_broken_pipelines: true,
            only_status_changes: false,
            labels: true,
        },
        patience: Duration::from_secs(8 * 3600),
        repeatable: true,
        concurrency: 1,
        limits: "",
    };
    type Settings = Settings;
    fn buckets(_settings: &Settings, _target: &str) -> Vec<Bucket> {
        todo!()
    }
    fn call(_settings: &Settings, _note: &Notification<'_>) -> Result<Call, Failure> {
        todo!()
    }
}

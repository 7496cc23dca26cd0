//! Chat services. `attachment` holds what Slack and the services that took after it share.

mod attachment;
pub mod discord;
pub mod hipchat;
pub mod mattermost;
pub mod microsoft_teams;
pub mod slack;

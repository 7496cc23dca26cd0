//! The form that Slack and Mattermost send when people type a slash command, and what both adapters share.

use crate::adapters::contract::{About, ChatCommand, CommonSettings, InboundRequest, Reaction};
use crate::event::Triggers;
use crate::integration::Family;

/// The limit that both services share.
pub(super) const LIMITS: &str = "An answer must arrive within 3 s.";

/// The description that both adapters share.
pub(super) const fn about(slug: &'static str, title: &'static str, summary: &'static str) -> About {
    About {
        slug,
        title,
        summary,
        triggers: Triggers::of(&[]),
        family: Family::Commands,
        common: CommonSettings::NONE,
    }
}

/// Reads the form that both services send.
pub(super) fn read(notifier: &'static str, request: &InboundRequest) -> Reaction {
    let (name, id) = (request.field("channel_name"), request.field("channel_id"));
    // Slack sends the same name for all private channels.
    let is_name = !name.is_empty() && !["privategroup", "directmessage"].contains(&name);
    let channel = match (is_name, id) {
        (true, _) => format!("#{name}"),
        (false, "") => "this channel".to_owned(),
        (false, id) => id.to_owned(),
    };
    let names = [Some(name).filter(|_| is_name), Some(id).filter(|id| !id.is_empty())];
    let command = request.field("command");
    Reaction::Command(ChatCommand {
        notifier,
        command: if command.trim().is_empty() { "/forgebell".to_owned() } else { command.to_owned() },
        text: request.field("text").to_owned(),
        channel,
        channel_names: names.into_iter().flatten().map(str::to_owned).collect(),
        user: request.field("user_name").to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_identified_by_its_name_or_by_its_id() {
        let channel = |fields: &[(&str, &str)]| {
            let form = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let request = InboundRequest { form, ..InboundRequest::default() };
            let Reaction::Command(typed) = read("slack", &request) else { panic!("a command") };
            (typed.channel, typed.channel_names)
        };
        let named = ("#Ops".to_owned(), vec!["Ops".to_owned(), "C123".to_owned()]);
        assert_eq!(channel(&[("channel_name", "Ops"), ("channel_id", "C123")]), named);
        let private = ("G9".to_owned(), vec!["G9".to_owned()]);
        assert_eq!(channel(&[("channel_name", "privategroup"), ("channel_id", "G9")]), private);
        assert_eq!(channel(&[]), ("this channel".to_owned(), Vec::new()));
    }
}

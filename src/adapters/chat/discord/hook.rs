//! A webhook's address: `…/api/webhooks/{id}/{token}`, with or without the API's version.
//!
//! Any host is read: where addresses may be, the catalog decides when they are set. Discord has several hosts
//! (`discordapp.com` in old settings, `ptb.` and `canary.` in addresses copied from test clients), and other servers
//! implement its API.

use url::Url;

const SHAPE: &str = "must be a webhook's address, as in https://discord.com/api/webhooks/ID/TOKEN; copy it in \
                     Discord from the channel's settings, under Integrations";

/// A webhook's parsed address.
pub(super) struct Hook<'a> {
    pub id: &'a str,
    pub token: &'a str,
}

impl<'a> Hook<'a> {
    /// Reads an address.
    ///
    /// # Errors
    /// The error, as a text that follows the setting's name. The address itself is not shown.
    pub fn of(url: &'a Url) -> Result<Self, &'static str> {
        // GitLab's other channel settings are lists.
        if url.path().contains([',', ' ']) && url.as_str().matches("://").count() > 1 {
            return Err("cannot have more than 1 channel");
        }
        let mut parts: Vec<&str> = url.path_segments().into_iter().flatten().collect();
        if parts.last() == Some(&"") {
            parts.pop();
        }
        match parts.last() {
            Some(&"slack") if Self::in_path(&parts[..parts.len() - 1]).is_some() => {
                Err("ends in /slack, where Discord accepts only messages in Slack's format; leave out /slack")
            }
            Some(&"github") if Self::in_path(&parts[..parts.len() - 1]).is_some() => {
                Err("ends in /github, where Discord accepts only GitHub's events; leave out /github")
            }
            _ => Self::in_path(&parts).ok_or(SHAPE),
        }
    }

    fn in_path(parts: &[&'a str]) -> Option<Self> {
        let is_version = |part: &str| {
            part.strip_prefix('v').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        };
        let [before @ .., "webhooks", id, token] = parts else { return None };
        let before = match before {
            [before @ .., version] if is_version(version) => before,
            before => before,
        };
        let whole = before.last() == Some(&"api") && !id.is_empty() && !token.is_empty();
        whole.then_some(Self { id, token })
    }
}

/// The address to call for a webhook. Without `wait=true`, Discord answers before it has stored the message, and does not
/// report a later failure (<https://docs.discord.com/developers/resources/webhook#execute-webhook-query-string-params>).
/// The rest of the query is kept: `thread_id` names a thread of the channel.
pub(super) fn address(url: &Url) -> Url {
    let mut address = url.clone();
    let path = address.path().trim_end_matches('/').to_owned();
    address.set_path(&path);
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| name != "wait")
        .map(|(n, v)| (n.into_owned(), v.into_owned()))
        .collect();
    address.query_pairs_mut().clear().extend_pairs(kept).append_pair("wait", "true");
    address.set_fragment(None);
    address
}

/// The service whose rate limits an address counts for: Discord under any of its names, or another server.
pub(super) fn service(url: &Url) -> &str {
    let host = url.host_str().unwrap_or_default();
    let is_discord =
        |name: &str| host.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with('.'));
    if is_discord("discord.com") || is_discord("discordapp.com") { "discord.com" } else { host }
}

//! Mutes by a token's holder. Slash commands mute for a chat's user.

use jiff::Timestamp;

use super::auth::Need;
use super::caller::Named;
use crate::api::error::ApiError;
use crate::catalog::ResolvedScope;
use crate::integration::Channels;
use crate::store::registry::Mute;

/// Mutes a channel of a project's integration until a moment; a moment that is not in the future ends the mute. The
/// address's own channel has no name.
///
/// # Errors
/// The right is not enough, the project's number is not known yet, or no channel has so long a name.
pub(in crate::api) async fn muted(named: Named<'_>, channel: &str, until: Timestamp) -> Result<(), ApiError> {
    let Named { caller, scope, entry } = named;
    caller.require(Need::Write)?;
    let ResolvedScope::Project { id: Some(project), .. } = scope else {
        let why = "channels are muted for a project whose number is known";
        return Err(ApiError::Unprocessable(why.to_owned()));
    };
    let channel = Mute::channel_of(channel);
    if channel.chars().count() > Channels::MAX_CHARS {
        let why = format!("the channel has more than {} characters", Channels::MAX_CHARS);
        return Err(ApiError::Unprocessable(why));
    }
    let mute = Mute {
        project: *project,
        slug: entry.about.slug.to_owned(),
        channel,
        until,
        by: caller.token.name.clone(),
        revision: 0,
    };
    Ok(caller.state.catalog.mute(mute, &caller.actor(), caller.now).await?)
}

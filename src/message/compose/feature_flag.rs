//! Feature flags.

use super::{Body, Context, Message, TITLE, Text, Tone, brief};
use crate::event::FeatureFlag;

pub(super) fn message(context: &Context<'_>, flag: &FeatureFlag) -> Message {
    let object = match brief(&flag.name, TITLE).as_str() {
        "" => Text::new().plain("a feature flag"),
        // The payload has no number of the flag's own page.
        name => Text::new().plain("feature flag ").link(name, context.page("feature_flags")),
    };
    let state = if flag.active { "on" } else { "off" };
    let did = context.deed(&format!("turned {state}"), object, &format!("was turned {state}"));
    let description = brief(&flag.description, TITLE);
    let body = match description.as_str() {
        "" => Body::None,
        words => Body::Lines(vec![Text::new().plain(words)]),
    };
    Message { body, tone: Tone::Notice, ..context.message(did, " in ", Text::new()) }
}

//! Feature flags.

use super::{Body, Context, Message, TITLE, Text, Tone, brief};
use crate::event::FeatureFlag;

pub(super) fn message(context: &Context<'_>, flag: &FeatureFlag) -> Message {
    let object = match brief(&flag.name, TITLE).as_str() {
        "" => Text::new().plain("a feature flag"),
        // The payload has no number of the flag's own page.
        name => Text::new().plain("feature flag ").link(name, context.page(format_args!("feature_flags"))),
    };
    let (active, passive) = match flag.active {
        Some(true) => ("turned on", "was turned on"),
        Some(false) => ("turned off", "was turned off"),
        None => ("changed", "was changed"),
    };
    let did = context.deed(active, object, passive);
    let description = brief(&flag.description, TITLE);
    let body = match description.as_str() {
        "" => Body::None,
        words => Body::Lines(vec![Text::new().plain(words)]),
    };
    Message { body, tone: Tone::Notice, ..context.message(did, " in ", Text::new()) }
}

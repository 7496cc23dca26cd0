//! For `explain`: which of the planned deliveries an attempt would not send.

use std::sync::Arc;

use jiff::Timestamp;

use super::dispatch::Verdict;
use super::open_requests::open_request;
use crate::adapters::{self, OperatorSettings, open_request_starts_build};
use crate::event::Event;
use crate::integration::Integration;
use crate::store::Result;
use crate::store::merge_requests::MergeRequests;

/// Removes deliveries that an attempt would not send because an open merge request starts the build.
///
/// # Errors
/// The store does not answer.
pub async fn heed(
    verdicts: &mut [(Arc<Integration>, Verdict)],
    event: &Event,
    operator: &OperatorSettings,
    store: &dyn MergeRequests,
    now: Timestamp,
) -> Result<()> {
    for (integration, verdict) in verdicts {
        let Some(entry) = adapters::find(integration.slug) else { continue };
        if let Verdict::Sends { deliveries, left_out } = verdict
            && !deliveries.is_empty()
            // Where the forge can be asked, its answer decides.
            && !operator.forge.can_be_asked()
            && let Some(iid) = open_request(entry, event, store, now).await?
        {
            deliveries.clear();
            left_out.push(open_request_starts_build(Some(iid)));
        }
    }
    Ok(())
}

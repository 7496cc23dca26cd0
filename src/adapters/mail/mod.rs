//! Mails, through the operator's relay. What both adapters share:
//!
//! * [`addresses`]: who can be written to, and whose own address a mail may be from.
//! * [`head`]: everything above a mail's text: names, ids, threads, lists.
//! * [`page`]: the text and the HTML, written side by side and never too long.
//! * [`diffs`]: what a push changed, from the event or from the forge.
//! * [`replies`]: what the relay's replies mean.

pub(in crate::adapters) mod addresses;
mod diffs;
pub mod emails_on_push;
mod head;
mod page;
pub mod pipelines_email;
pub(in crate::adapters) mod replies;

use std::time::Duration;

use crate::call::{Bucket, Pace};

/// How old news may be that is mailed: mail is slow, and is expected to be.
const MAX_AGE: Duration = Duration::from_secs(24 * 3600);
/// Fewer connections than any relay allows.
const CONCURRENCY: usize = 4;
/// A relay's limit is its own and seldom published; this is ours.
const PER_RELAY: (u32, u32) = (10, 20);

/// All mails of this installation go through one relay.
fn pace() -> Pace {
    let (count, burst) = PER_RELAY;
    Pace::of(Bucket::new("mail relay", &[], count, Duration::from_secs(1), burst))
}

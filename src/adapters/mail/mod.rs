//! Mails, through the operator's relay. Both adapters share these modules:
//!
//! * [`addresses`]: addresses of recipients, and whether a mail may be from its author's address.
//! * [`head`]: a mail's headers: names, ids, threads, lists.
//! * [`page`]: the text and the HTML, written side by side and never too long.
//! * [`diffs`]: the diff of a push, from the event or from the forge.
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

/// The largest age of an event that is mailed. It is long because mail is expected to be slow.
const MAX_AGE: Duration = Duration::from_secs(24 * 3600);
/// A number of connections that every relay allows.
const CONCURRENCY: usize = 4;
/// Relays seldom publish their limits; this value is our choice.
const PER_RELAY: (u32, u32) = (10, 20);

/// All mails of this installation go through one relay.
fn pace() -> Pace {
    let (count, burst) = PER_RELAY;
    Pace::of(Bucket::new("mail relay", &[], count, Duration::from_secs(1), burst))
}

//! The limits of the operator's mail relay, which all mails of this installation go through.

use std::time::Duration;

use crate::call::{Bucket, Pace};

/// How old an event may be when it is mailed. People expect mail to be slow.
pub(super) const MAX_AGE: Duration = Duration::from_secs(24 * 3600);
/// Fewer connections than any relay allows.
pub(super) const CONCURRENCY: usize = 4;
/// Each relay has its own limit, which is seldom published. This limit is Forgebell's choice.
const PER_RELAY: (u32, u32) = (10, 20);

/// One bucket: all mails of this installation go through one relay.
pub(super) fn pace() -> Pace {
    let (count, burst) = PER_RELAY;
    Pace::of(Bucket::new("mail relay", &[], count, Duration::from_secs(1), burst))
}

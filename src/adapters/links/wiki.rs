//! Code that the wikis share.

use crate::adapters::contract::{About, CommonSettings};
use crate::event::Triggers;
use crate::integration::Family;

/// The description of a wiki. No events concern it.
pub(super) const fn about(slug: &'static str, title: &'static str, summary: &'static str) -> About {
    About {
        slug,
        title,
        summary,
        triggers: Triggers::of(&[]),
        family: Family::Hook,
        common: CommonSettings::NONE,
    }
}

//! A digest of what an integration does: the same for every scope, and independent of spelling, order and comments.

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::event::Trigger;
use crate::integration::{
    BranchFilter, Channels, Detail, Extent, Filters, Fingerprint, LabelBehavior, MergeRequestActions, Rules,
};
use crate::settings::{Field, Kind, Properties, read_bool};

/// Everything that a fingerprint is made of. Names and values are spelled out here rather than taken from `Debug`,
/// so that a fingerprint survives an upgrade: a changed one ends the holds that were made under the old settings.
pub(super) struct Content<'a> {
    pub(super) slug: &'a str,
    pub(super) active: bool,
    pub(super) triggers: crate::event::Triggers,
    pub(super) rules: Rules,
    pub(super) filters: &'a Filters,
    pub(super) channels: &'a Channels,
    pub(super) extent: Extent,
    pub(super) announce_result: bool,
    pub(super) fields: &'a [Field],
    pub(super) properties: &'a Properties,
}

impl Content<'_> {
    pub(super) fn fingerprint(&self) -> Fingerprint {
        let content = self.canonical();
        let parts = content.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        Fingerprint(Digest::of(parts).number())
    }

    fn canonical(&self) -> BTreeMap<String, String> {
        let Filters {
            branches_to_be_notified,
            notify_only_broken_pipelines,
            notify_only_when_pipeline_status_changes,
            labels,
            merge_request_actions,
        } = self.filters;
        let behavior = match labels.behavior {
            LabelBehavior::MatchAny => "match_any",
            LabelBehavior::MatchAll => "match_all",
        };
        let mut content = BTreeMap::new();
        let mut put = |name: &str, value: String| content.insert(name.to_owned(), value);
        put("adapter", self.slug.to_owned());
        put("active", self.active.to_string());
        put("branches", branches_to_be_notified.as_ref().map_or("", BranchFilter::as_setting).to_owned());
        put("only_broken", notify_only_broken_pipelines.to_string());
        put("only_changes", notify_only_when_pipeline_status_changes.to_string());
        put("labels", labels.labels.join(","));
        put("labels_behavior", behavior.to_owned());
        // The fingerprint does not change for integrations that do not use these newer settings.
        if *merge_request_actions != MergeRequestActions::default() {
            put("merge_request_actions", merge_request_actions.to_string());
        }
        if self.extent.detail == Detail::Title {
            put("detail", "title".to_owned());
        }
        if let Some(max_commits) = self.extent.max_commits {
            put("max_commits", max_commits.to_string());
        }
        if self.announce_result {
            put("announce_result", self.announce_result.to_string());
        }
        put("channel", self.channels.default.join(","));
        for (trigger, channels) in &self.channels.per_trigger {
            put(&format!("channel.{trigger}"), channels.join(","));
        }
        // Flags of events that the adapter does not support make no difference.
        for trigger in self.triggers.iter().filter(|t| self.rules.supported.contains(*t)) {
            put(&format!("flag.{}", Trigger::flag(trigger)), "on".to_owned());
        }
        for (name, value) in self.properties {
            let is_bool = self.fields.iter().any(|field| field.name == name && field.kind == Kind::Bool);
            let value = match read_bool(value) {
                Some(value) if is_bool => value.to_string(),
                _ => value.as_text(),
            };
            put(&format!("setting.{name}"), value);
        }
        content
    }
}

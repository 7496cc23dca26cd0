//! An integration for tests: by default, it takes all events.

use std::sync::Arc;

use super::{
    BranchFilter, Family, Fingerprint, Integration, IntegrationId, LabelBehavior, LabelFilter, Rules, Scope,
};
use crate::event::{Trigger, Triggers};
use crate::settings::{Field, FieldError, Parsed, Properties, Settings};

/// Rules do not use an adapter's own settings, so there are none.
#[derive(Debug)]
struct NoSettings;

impl Settings for NoSettings {
    const FIELDS: &'static [Field] = &[];

    fn read(_: &Properties) -> Result<Self, Vec<FieldError>> {
        Ok(Self)
    }
}

impl Integration {
    /// Active, switched on for every trigger, without filters, in the samples' project `acme/rocket`.
    pub(crate) fn example(family: Family) -> Self {
        let every = Triggers::of(&Trigger::ALL);
        Self {
            id: IntegrationId::new("acme/rocket:bell"),
            scope: Scope::ProjectPath("acme/rocket".to_owned()),
            slug: "bell",
            active: true,
            triggers: every,
            filters: Arc::default(),
            channels: Arc::default(),
            extent: super::Extent::default(),
            announce_result: false,
            rules: Rules { supported: every, family },
            settings: Parsed::new(NoSettings),
            origin: Arc::from("example.toml"),
            fingerprint: Fingerprint(0),
        }
    }

    pub(crate) fn inactive(self) -> Self {
        Self { active: false, ..self }
    }

    pub(crate) fn of(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    pub(crate) fn supporting(mut self, triggers: &[Trigger]) -> Self {
        self.rules.supported = Triggers::of(triggers);
        self
    }

    pub(crate) fn listening_to(self, triggers: &[Trigger]) -> Self {
        Self { triggers: Triggers::of(triggers), ..self }
    }

    pub(crate) fn branches(mut self, setting: &str) -> Self {
        Arc::make_mut(&mut self.filters).branches_to_be_notified = Some(BranchFilter::from_setting(setting));
        self
    }

    pub(crate) fn labels(mut self, list: &str, behavior: LabelBehavior) -> Self {
        Arc::make_mut(&mut self.filters).labels = LabelFilter::from_setting(list, behavior);
        self
    }

    pub(crate) fn merge_request_actions(mut self, list: &str) -> Self {
        Arc::make_mut(&mut self.filters).merge_request_actions =
            super::MergeRequestActions::from_setting(list).expect("a list of actions");
        self
    }

    pub(crate) fn only_broken(mut self, on: bool) -> Self {
        Arc::make_mut(&mut self.filters).notify_only_broken_pipelines = on;
        self
    }

    pub(crate) fn only_when_status_changes(mut self, on: bool) -> Self {
        Arc::make_mut(&mut self.filters).notify_only_when_pipeline_status_changes = on;
        self
    }
}

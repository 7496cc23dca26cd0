//! The project's address for alerts of any monitoring system
//! (<https://docs.gitlab.com/operations/incident_management/integrations/>).
//!
//! The adapter has no settings. A request needs a token, which `PUT` or `forgebell token create --alerts` makes. A body
//! with all keys of Alertmanager's webhook is read like one, as in GitLab. So Grafana's body, which has these keys, is
//! understood too.

use super::reading::object;
use super::{alertmanager, generic};
use crate::adapters::contract::{
    About, Adapter, CommonSettings, Inbound, InboundKind, InboundRequest, Reaction, ReportedAlerts,
};
use crate::call::Failure;
use crate::event::Triggers;
use crate::integration::Family;
use crate::settings::{Field, FieldError, Properties};

/// GitLab's name for it in URLs.
pub const SLUG: &str = "alerts";

/// No settings.
#[derive(Clone, Debug)]
pub struct Settings;

impl crate::settings::Settings for Settings {
    const FIELDS: &'static [Field] = &[];

    fn read(_: &Properties) -> Result<Self, Vec<FieldError>> {
        Ok(Self)
    }
}

/// The adapter.
pub struct AlertsEndpoint;

impl Adapter for AlertsEndpoint {
    const ABOUT: About = About {
        slug: SLUG,
        title: "Alerts endpoint",
        summary: "Takes alerts of monitoring systems, and tells each new one to the project's other integrations.",
        triggers: Triggers::of(&[]),
        family: Family::Hook,
        common: CommonSettings::NONE,
    };
    type Settings = Settings;
}

impl Inbound for AlertsEndpoint {
    const LIMITS: &'static str = "100 alerts and 1 MiB in one report.";
    const KIND: InboundKind = InboundKind::Alerts;

    fn receive(request: &InboundRequest) -> Result<Reaction, Failure> {
        let body = object(request)?;
        let alerts = if alertmanager::has_its_keys(&body) {
            alertmanager::read(&body)?
        } else {
            ReportedAlerts { alerts: vec![generic::read(&body)], ..ReportedAlerts::default() }
        };
        Ok(Reaction::Alerts(alerts))
    }
}

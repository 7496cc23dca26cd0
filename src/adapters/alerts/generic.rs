//! The payload that GitLab's alert address takes of any monitoring system
//! (<https://docs.gitlab.com/operations/incident_management/integrations/#customize-the-alert-payload-outside-of-gitlab>).

use serde_json::{Map, Value as Json};

use super::reading::{DESCRIPTION, NAME, TITLE, address, first, hosts, moment, severity, text};
use crate::adapters::contract::ReportedAlert;
use crate::digest::Digest;

/// The title of an alert that has none; GitLab's.
const UNTITLED: &str = "New: Incident";

/// The alert of a body. Nothing in it is required.
pub(super) fn read(body: &Map<String, Json>) -> ReportedAlert {
    let title = text(body.get("title"), TITLE);
    ReportedAlert {
        title: if title.is_empty() { UNTITLED.to_owned() } else { title },
        description: text(body.get("description"), DESCRIPTION),
        severity: severity(body.get("severity")),
        started_at: moment(body.get("start_time")),
        ended: !text(body.get("end_time"), NAME).is_empty(),
        url: [body.get("url"), body.get("link")]
            .into_iter()
            .map(address)
            .find(|url| !url.is_empty())
            .unwrap_or_default(),
        runbook: first([body.get("runbook")], DESCRIPTION),
        environment: text(body.get("gitlab_environment_name"), NAME),
        service: text(body.get("service"), NAME),
        monitoring_tool: text(body.get("monitoring_tool"), NAME),
        hosts: hosts(body.get("hosts")),
        fingerprint: fingerprint(body.get("fingerprint")),
    }
}

/// A digest of the given fingerprint, which may be a list. Without one, each report is an alert of its own.
fn fingerprint(given: Option<&Json>) -> Option<String> {
    let given = match given? {
        Json::String(text) => text.trim().to_owned(),
        Json::Null => String::new(),
        other => other.to_string(),
    };
    (!given.is_empty()).then(|| Digest::of([given.as_bytes()]).hex(20))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::adapters::contract::Severity;

    fn alert(body: &Json) -> ReportedAlert {
        read(body.as_object().expect("an object"))
    }

    #[test]
    fn every_field_of_gitlabs_payload_is_read() {
        let read = alert(&json!({
            "title": "Disk is full", "description": "sda1 has 0 bytes left", "start_time": "2026-11-30T08:00:00Z",
            "service": "database", "monitoring_tool": "Icinga", "hosts": ["db-1", "db-2"], "severity": "warning",
            "fingerprint": "disk-db-1", "gitlab_environment_name": "production", "runbook": "https://wiki.example/disk",
        }));
        assert_eq!(
            (read.title.as_str(), read.description.as_str()),
            ("Disk is full", "sda1 has 0 bytes left")
        );
        assert_eq!((read.severity, read.ended), (Severity::Low, false));
        assert_eq!(read.started_at.map(|at| at.to_string()).as_deref(), Some("2026-11-30T08:00:00Z"));
        assert_eq!((read.service.as_str(), read.monitoring_tool.as_str()), ("database", "Icinga"));
        assert_eq!(
            (read.environment.as_str(), read.runbook.as_str()),
            ("production", "https://wiki.example/disk")
        );
        assert_eq!(read.hosts, ["db-1", "db-2"]);
        assert!(read.fingerprint.is_some_and(|digest| digest.len() == 40));
    }

    #[test]
    fn an_empty_alert_is_a_critical_incident_and_an_end_time_ends_one() {
        let read = alert(&json!({}));
        assert_eq!(
            (read.title.as_str(), read.severity, read.ended),
            ("New: Incident", Severity::Critical, false)
        );
        assert_eq!((read.fingerprint, read.started_at), (None, None));
        assert!(alert(&json!({ "end_time": "2026-11-30T08:00:00Z" })).ended);
        for none in [json!(null), json!(""), json!({})] {
            assert!(!alert(&json!({ "end_time": none })).ended, "{none}");
        }
    }

    #[test]
    fn fingerprints_are_told_apart_by_their_whole_value() {
        let of = |given: Json| alert(&json!({ "fingerprint": given })).fingerprint;
        assert_eq!(of(json!("a")), of(json!(" a ")));
        assert_ne!(of(json!("a")), of(json!("b")));
        assert_ne!(of(json!(["a", "b"])), of(json!(["a", "c"])));
        assert_eq!((of(json!(null)), of(json!(" "))), (None, None));
        assert!(of("x".repeat(1_000_000).into()).is_some_and(|digest| digest.len() == 40));
    }

    /// Payloads as Grafana's older webhook, Zabbix, Icinga and cron jobs are set up to send them.
    #[test]
    fn payloads_of_other_systems_are_read_as_far_as_their_fields_are_known() {
        for (body, title, severity, url) in [
            (
                json!({ "title": "[Alerting] Panel", "ruleId": 1, "ruleUrl": "https://g.example/d/1", "state": "alerting",
                        "message": "x", "evalMatches": [{ "value": 100 }] }),
                "[Alerting] Panel",
                Severity::Critical,
                "",
            ),
            (json!({ "title": 42, "severity": 3, "hosts": "a" }), "42", Severity::Critical, ""),
            (
                json!({ "title": "down", "severity": "Notice", "url": "https://m.example/1" }),
                "down",
                Severity::Info,
                "https://m.example/1",
            ),
            (json!({ "title": ["x"], "url": "ftp://m.example" }), UNTITLED, Severity::Critical, ""),
        ] {
            let read = alert(&body);
            assert_eq!(
                (read.title.as_str(), read.severity, read.url.as_str()),
                (title, severity, url),
                "{body}"
            );
        }
    }
}

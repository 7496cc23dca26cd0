//! Turns a reported alert into a report for the store: its key, and the event for people. Pure.

use jiff::Timestamp;
use serde_json::json;

use crate::adapters::contract::ReportedAlert;
use crate::digest::Digest;
use crate::event::{Event, EventId};
use crate::store::AlertReport;

/// The project of an alert token, with its known facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AlertProject {
    /// The forge's number.
    pub(super) id: i64,
    /// Its full path; empty where only the number is known.
    pub(super) path: String,
    pub(super) default_branch: Option<String>,
}

impl AlertProject {
    fn web_url(&self, forge: &str) -> String {
        let forge = forge.trim_end_matches('/');
        if forge.is_empty() || self.path.is_empty() {
            String::new()
        } else {
            format!("{forge}/{}", self.path)
        }
    }
}

/// The report for the store; `None` for the end of an alert that can't be distinguished from others. `fresh` makes a
/// fingerprint for an alert without one.
pub(super) fn report(
    alert: &ReportedAlert,
    project: &AlertProject,
    forge: &str,
    fresh: &dyn Fn() -> String,
    now: Timestamp,
) -> Option<AlertReport> {
    let key = match &alert.fingerprint {
        Some(fingerprint) => key(project, fingerprint),
        None if alert.ended => return None,
        None => key(project, &fresh()),
    };
    let event = if alert.ended { None } else { Some(event(alert, project, forge, &key, now)?) };
    Some(AlertReport { key, title: alert.title.clone(), event })
}

fn key(project: &AlertProject, fingerprint: &str) -> String {
    Digest::of([project.id.to_be_bytes().as_slice(), fingerprint.as_bytes()]).hex(16)
}

/// GitLab's event for a new alert, with additions: the project, which GitLab leaves out, and details for the people on
/// call.
fn event(
    alert: &ReportedAlert,
    project: &AlertProject,
    forge: &str,
    key: &str,
    now: Timestamp,
) -> Option<Event> {
    let web_url = project.web_url(forge);
    let name = project.path.rsplit('/').next().unwrap_or_default();
    let url = if alert.url.is_empty() { &web_url } else { &alert.url };
    let body = json!({
        "object_kind": "alert",
        "project": {
            "id": project.id,
            "name": if name.is_empty() { format!("project {}", project.id) } else { name.to_owned() },
            "path_with_namespace": project.path,
            "web_url": web_url,
            "default_branch": project.default_branch,
        },
        "object_attributes": {
            "title": alert.title,
            "url": url,
            "severity": alert.severity.name(),
            "events": 1,
            "status": "triggered",
            "started_at": alert.started_at.unwrap_or(now).strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
            "description": alert.description,
            "runbook": alert.runbook,
            "environment": alert.environment,
            "service": alert.service,
            "monitoring_tool": alert.monitoring_tool,
            "hosts": alert.hosts,
        },
    });
    let id = EventId::new(&format!("alert-{key}"))?;
    Event::decode(id, now, body.to_string().into()).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::adapters::contract::Severity;
    use crate::event::{Payload, Trigger};

    const NOW: Timestamp = Timestamp::constant(1_768_469_400, 0);

    fn project() -> AlertProject {
        AlertProject { id: 42, path: "acme/platform/web".to_owned(), default_branch: Some("main".to_owned()) }
    }

    fn alert() -> ReportedAlert {
        ReportedAlert {
            title: "High load".to_owned(),
            description: "15 for 10 minutes".to_owned(),
            severity: Severity::High,
            started_at: Some(Timestamp::UNIX_EPOCH),
            ended: false,
            url: "https://p.example/graph".to_owned(),
            runbook: "https://wiki.example/load".to_owned(),
            environment: "production".to_owned(),
            service: "shop".to_owned(),
            monitoring_tool: "Prometheus".to_owned(),
            hosts: vec!["web-1".to_owned()],
            fingerprint: Some("f1".to_owned()),
        }
    }

    fn fresh() -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        COUNT.fetch_add(1, Ordering::Relaxed).to_string()
    }

    fn reported(alert: &ReportedAlert) -> Option<AlertReport> {
        report(alert, &project(), "https://forge.example/", &fresh, NOW)
    }

    #[test]
    fn the_event_is_gitlabs_with_the_project() {
        let report = reported(&alert()).expect("a report");
        let event = report.event.expect("an event");
        assert_eq!((event.trigger, event.occurred_at), (Some(Trigger::Alert), NOW));
        assert_eq!(event.id.as_str(), format!("alert-{}", report.key));
        let told: serde_json::Value = serde_json::from_slice(&event.raw).expect("JSON");
        let gitlabs = ["title", "url", "severity", "events", "status", "started_at"];
        let given = gitlabs.map(|name| told["object_attributes"][name].clone());
        let expected = [
            json!("High load"),
            json!("https://p.example/graph"),
            json!("high"),
            json!(1),
            json!("triggered"),
            json!("1970-01-01 00:00:00 UTC"),
        ];
        assert_eq!(given, expected);
        let of = event.project.expect("a project");
        assert_eq!((of.id, of.full_name().as_str()), (42, "acme/platform/web"));
        assert_eq!(of.web_url, "https://forge.example/acme/platform/web");
        let Payload::Alert(alert) = event.payload else { panic!("an alert") };
        assert_eq!((alert.runbook.as_str(), alert.hosts.len()), ("https://wiki.example/load", 1));
    }

    #[test]
    fn the_key_is_that_of_project_and_fingerprint() {
        let key = |alert: &ReportedAlert| reported(alert).expect("a report").key;
        let same = key(&alert());
        assert_eq!(key(&ReportedAlert { ended: true, title: "X".to_owned(), ..alert() }), same);
        assert_ne!(key(&ReportedAlert { fingerprint: Some("f2".to_owned()), ..alert() }), same);
        let other = AlertProject { id: 43, ..project() };
        assert_ne!(report(&alert(), &other, "", &fresh, NOW).expect("a report").key, same);
        assert!(reported(&ReportedAlert { ended: true, ..alert() }).expect("a report").event.is_none());
    }

    #[test]
    fn without_a_fingerprint_each_alert_is_news_and_an_end_is_nothing() {
        let alert = ReportedAlert { fingerprint: None, ..alert() };
        assert_ne!(reported(&alert).expect("one").key, reported(&alert).expect("another").key);
        assert!(reported(&ReportedAlert { ended: true, ..alert }).is_none());
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let alert = ReportedAlert { url: String::new(), started_at: None, ..alert() };
        let with = |project: &AlertProject, forge: &str| {
            let event =
                report(&alert, project, forge, &fresh, NOW).expect("a report").event.expect("an event");
            let Payload::Alert(alert) = event.payload else { panic!("an alert") };
            (alert.url.to_string(), event.project.expect("a project").name.to_string())
        };
        assert_eq!(with(&project(), "https://f.example").0, "https://f.example/acme/platform/web");
        assert_eq!(with(&project(), "").0, "");
        let nameless = AlertProject { id: 42, path: String::new(), default_branch: None };
        assert_eq!(with(&nameless, "https://f.example"), (String::new(), "project 42".to_owned()));
    }
}

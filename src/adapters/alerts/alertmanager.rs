//! Alertmanager's webhook, version 4 (<https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>).

use serde_json::{Map, Value as Json};
use url::Url;

use super::reading::{DESCRIPTION, MOST, NAME, TITLE, address, first, hosts, moment, severity, text};
use crate::adapters::contract::{ReportedAlert, ReportedAlerts};
use crate::call::Failure;
use crate::digest::Digest;

/// The keys that GitLab requires.
const KEYS: [&str; 9] = [
    "version",
    "groupKey",
    "status",
    "receiver",
    "groupLabels",
    "commonLabels",
    "commonAnnotations",
    "externalURL",
    "alerts",
];
/// The version of the format.
const VERSION: &str = "4";

/// Whether a body has all keys of the format.
pub(super) fn has_its_keys(body: &Map<String, Json>) -> bool {
    KEYS.iter().all(|key| body.contains_key(*key))
}

/// Whether a body is of the version that GitLab takes.
pub(super) fn is_of_version_4(body: &Map<String, Json>) -> bool {
    body.get("version").and_then(Json::as_str) == Some(VERSION)
}

/// The alerts of a body.
///
/// # Errors
/// `alerts` is not a list, or none of the alerts in it can be used.
pub(super) fn read(body: &Map<String, Json>) -> Result<ReportedAlerts, Failure> {
    let rejected = |why: String| Failure::Rejected(why);
    let listed = body.get("alerts").and_then(Json::as_array);
    let listed = listed.ok_or_else(|| rejected("`alerts` is not a list".to_owned()))?;
    let mut reported =
        ReportedAlerts { beyond_limit: listed.len().saturating_sub(MOST), ..Default::default() };
    for alert in listed.iter().take(MOST) {
        match read_one(body, alert) {
            Ok(alert) => reported.alerts.push(alert),
            Err(why) => reported.unusable.push(why),
        }
    }
    match reported.unusable.first() {
        Some(why) if reported.alerts.is_empty() => Err(rejected(format!("no alert can be used: {why}"))),
        _ => Ok(reported),
    }
}

fn read_one(body: &Map<String, Json>, alert: &Json) -> Result<ReportedAlert, &'static str> {
    let (labels, annotations) = (&alert["labels"], &alert["annotations"]);
    let titles = || [annotations.get("title"), annotations.get("summary"), labels.get("alertname")];
    let title = first(titles(), TITLE);
    if title.is_empty() {
        return Err("an alert has neither the annotation `title` or `summary` nor the label `alertname`");
    }
    let started_at = moment(alert.get("startsAt")).ok_or("an alert has no readable `startsAt`")?;
    let status = alert.get("status").or_else(|| body.get("status"));
    let generator = alert.get("generatorURL");
    let url = [generator, body.get("externalURL")].into_iter().map(address).find(|url| !url.is_empty());
    let whole_title = first(titles(), usize::MAX);
    let began = text(alert.get("startsAt"), NAME);
    Ok(ReportedAlert {
        title,
        description: text(annotations.get("description"), DESCRIPTION),
        severity: severity(labels.get("severity")),
        started_at: Some(started_at),
        ended: text(status, NAME).eq_ignore_ascii_case("resolved"),
        url: url.unwrap_or_default(),
        runbook: first([annotations.get("runbook"), annotations.get("runbook_url")], DESCRIPTION),
        environment: text(labels.get("gitlab_environment_name"), NAME),
        service: text(labels.get("service"), NAME),
        monitoring_tool: "Prometheus".to_owned(),
        hosts: hosts(labels.get("instance")),
        // As in GitLab, a rule that fires for several series at once is one alert.
        fingerprint: Some(fingerprint(&began, &whole_title, &query(generator))),
    })
}

/// The query of the rule, from the address of its graph.
fn query(generator: Option<&Json>) -> String {
    let url = generator.and_then(Json::as_str).and_then(|url| Url::parse(url).ok());
    let query =
        |url: Url| url.query_pairs().find(|(name, _)| name == "g0.expr").map(|(_, query)| query.into_owned());
    url.and_then(query).unwrap_or_default()
}

fn fingerprint(started_at: &str, title: &str, query: &str) -> String {
    Digest::of([started_at, title, query].map(str::as_bytes)).hex(20)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::adapters::contract::Severity;
    use crate::adapters::tests::alertmanager;

    fn firing() -> Json {
        alertmanager(&[json!({
            "status": "firing",
            "labels": { "alertname": "HighLoad", "severity": "page", "instance": "web-1:9100", "service": "shop",
                        "gitlab_environment_name": "production" },
            "annotations": { "summary": "Load is high on web-1", "description": "15 for 10 minutes",
                             "runbook": "https://wiki.example/load" },
            "startsAt": "2026-11-30T08:00:00.123Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus.example:9090/graph?g0.expr=node_load1+%3E+10&g0.tab=1",
            "fingerprint": "aa11",
        })])
    }

    fn read_json(body: &Json) -> Result<ReportedAlerts, Failure> {
        read(body.as_object().expect("an object"))
    }

    fn one(body: &Json) -> ReportedAlert {
        read_json(body).expect("alerts").alerts.remove(0)
    }

    fn changed(change: impl FnOnce(&mut Json)) -> Json {
        let mut body = firing();
        change(&mut body["alerts"][0]);
        body
    }

    #[test]
    fn an_alert_is_read_as_gitlab_reads_it() {
        let alert = one(&firing());
        assert_eq!(alert.title, "Load is high on web-1");
        assert_eq!(alert.description, "15 for 10 minutes");
        assert_eq!(alert.severity, Severity::High);
        assert_eq!(alert.started_at, Some("2026-11-30T08:00:00.123Z".parse::<Timestamp>().unwrap()));
        assert!(!alert.ended);
        assert_eq!(alert.url, "http://prometheus.example:9090/graph?g0.expr=node_load1+%3E+10&g0.tab=1");
        assert_eq!(
            (alert.runbook.as_str(), alert.environment.as_str()),
            ("https://wiki.example/load", "production")
        );
        assert_eq!(
            (alert.hosts.as_slice(), alert.service.as_str()),
            (&["web-1:9100".to_owned()][..], "shop")
        );
        let title = |change: fn(&mut Json)| one(&changed(change)).title;
        assert_eq!(title(|alert| alert["annotations"]["title"] = json!("Own title")), "Own title");
        assert_eq!(title(|alert| alert["annotations"] = json!({})), "HighLoad");
        assert!(one(&changed(|alert| alert["status"] = json!("resolved"))).ended);
    }

    #[test]
    fn the_same_alert_has_the_same_fingerprint_and_another_start_title_or_query_another() {
        let fingerprint = |change: fn(&mut Json)| one(&changed(change)).fingerprint;
        let same = fingerprint(|_| {});
        assert_eq!(fingerprint(|alert| alert["status"] = json!("resolved")), same);
        assert_eq!(fingerprint(|alert| alert["annotations"]["description"] = json!("worse")), same);
        assert_eq!(fingerprint(|alert| alert["endsAt"] = json!("2026-11-30T09:00:00Z")), same);
        for other in [
            fingerprint(|alert| alert["startsAt"] = json!("2026-12-07T08:00:00.123Z")),
            fingerprint(|alert| alert["annotations"]["summary"] = json!("Load")),
            fingerprint(|alert| alert["generatorURL"] = json!("http://p.example/graph?g0.expr=up")),
        ] {
            assert_ne!(other, same);
        }
    }

    #[test]
    fn an_alert_without_a_title_or_a_start_is_left_out_and_the_others_are_read() {
        let mut body = firing();
        let good = body["alerts"][0].clone();
        let bad = [
            json!({ "startsAt": "2026-11-30T08:00:00Z" }),
            json!({ "labels": { "alertname": "X" }, "startsAt": "soon" }),
            json!({ "labels": ["alertname"], "annotations": "title", "startsAt": 7 }),
            json!("an alert"),
            json!(null),
        ];
        body["alerts"] = bad.iter().cloned().chain([good]).collect();
        let read = read_json(&body).expect("alerts");
        assert_eq!((read.alerts.len(), read.unusable.len()), (1, 5));
        body["alerts"] = bad.into_iter().collect();
        let Err(refused) = read_json(&body) else { panic!("nothing of it can be used") };
        assert!(refused.why().contains("`alertname`"), "{refused}");
        body["alerts"] = json!([]);
        assert_eq!(read_json(&body), Ok(ReportedAlerts::default()), "nothing fires");
        for wrong in [json!({}), json!("x"), json!(null)] {
            body["alerts"] = wrong;
            assert!(read_json(&body).is_err());
        }
    }

    #[test]
    fn the_first_hundred_of_a_thousand_alerts_are_read() {
        let mut body = firing();
        let alert = body["alerts"][0].clone();
        body["alerts"] = std::iter::repeat_n(alert, 1_000).collect();
        let read = read_json(&body).expect("alerts");
        assert_eq!((read.alerts.len(), read.beyond_limit), (100, 900));
    }

    #[test]
    fn huge_texts_are_cut_and_unsafe_addresses_are_dropped() {
        let alert = one(&changed(|alert| {
            alert["annotations"]["summary"] = "x".repeat(1_000_000).into();
            alert["annotations"]["description"] = "y".repeat(1_000_000).into();
            alert["generatorURL"] = json!("javascript:alert(1)");
        }));
        assert_eq!((alert.title.chars().count(), alert.description.chars().count()), (200, 1_000));
        assert_eq!(alert.url, "http://alertmanager.example:9093", "Alertmanager's own page");
    }

    #[test]
    fn a_body_is_alertmanagers_if_it_has_all_keys() {
        let body = firing();
        let body = body.as_object().expect("an object");
        assert!(has_its_keys(body) && is_of_version_4(body));
        for key in KEYS {
            let mut without = body.clone();
            without.remove(key);
            assert!(!has_its_keys(&without), "{key}");
        }
    }
}

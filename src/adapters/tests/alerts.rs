//! Reports of alerts, whatever they contain.

use proptest::prelude::*;

use super::*;
use crate::adapters::contract::{InboundKind, InboundRequest, Reaction, ReportedAlerts};

/// A report of Alertmanager's with these alerts.
pub fn alertmanager(alerts: &[Json]) -> Json {
    json!({
        "version": "4",
        "groupKey": "{}:{alertname=\"HighLoad\"}",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "forgebell",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example:9093",
        "alerts": alerts,
    })
}

fn receive(slug: &str, body: &str) -> Result<ReportedAlerts, Failure> {
    let request = InboundRequest { body: body.to_owned().into(), ..InboundRequest::default() };
    match entry(slug).receive(&request)? {
        Reaction::Alerts(alerts) => Ok(alerts),
        Reaction::Command(_) => panic!("an alert is no command"),
    }
}

#[test]
fn two_adapters_take_alerts() {
    let takes =
        |entry: &&Entry| entry.inbound.as_ref().is_some_and(|inbound| inbound.kind == InboundKind::Alerts);
    let slugs: Vec<_> = ADAPTERS.iter().filter(takes).map(|entry| entry.about.slug).collect();
    assert_eq!(slugs, ["alerts", "prometheus"]);
}

#[test]
fn the_generic_address_reads_alertmanagers_body_and_prometheus_only_that() {
    let alert = json!({ "labels": { "alertname": "X" }, "startsAt": "2026-11-30T08:00:00Z" });
    let body = alertmanager(&[alert]);
    for slug in ["alerts", "prometheus"] {
        assert_eq!(receive(slug, &body.to_string()).expect("alerts").alerts[0].title, "X", "{slug}");
    }
    // Grafana's webhook has the same keys and version 1.
    let mut grafana = body.clone();
    grafana["version"] = json!("1");
    grafana["title"] = json!("[FIRING:1] X");
    assert_eq!(receive("alerts", &grafana.to_string()).expect("alerts").alerts[0].title, "X");
    assert!(receive("prometheus", &grafana.to_string()).is_err());
    assert!(receive("prometheus", r#"{"title":"X"}"#).is_err());
    assert_eq!(receive("alerts", r#"{"title":"X"}"#).expect("an alert").alerts[0].title, "X");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep_within = format!(r#"{{"title":{deep}}}"#);
    for wrong in ["", "x", "7", "[]", "null", "\"x\"", "{", deep.as_str(), deep_within.as_str()] {
        let shown: String = wrong.chars().take(20).collect();
        assert!(receive("alerts", wrong).is_err() && receive("prometheus", wrong).is_err(), "{shown}");
    }
}

fn json_value() -> impl Strategy<Value = Json> {
    let text = prop_oneof![
        Just("resolved".to_owned()),
        Just("2026-11-30T08:00:00Z".to_owned()),
        Just("http://p.example/?g0.expr=%ff%zz".to_owned()),
        "\\PC{0,40}",
    ];
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        text.prop_map(Json::from)
    ];
    let key = prop_oneof![
        Just("alertname"),
        Just("title"),
        Just("summary"),
        Just("severity"),
        Just("startsAt"),
        Just("status"),
        Just("labels"),
        Just("annotations"),
        Just("generatorURL"),
        Just("hosts"),
        Just("fingerprint"),
        Just("end_time"),
        Just("start_time"),
        Just("runbook"),
        Just("alerts"),
        Just("version"),
    ];
    leaf.prop_recursive(4, 60, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..8)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_is_reported_is_read_within_limits_or_refused(value in json_value(), alerts in json_value()) {
        let mut wrapped = alertmanager(&[]);
        wrapped["alerts"] = alerts;
        for body in [value.to_string(), wrapped.to_string()] {
            for slug in ["alerts", "prometheus"] {
                let Ok(read) = receive(slug, &body) else { continue };
                for alert in read.alerts {
                    prop_assert!(!alert.title.trim().is_empty() && alert.title.chars().count() <= 200);
                    prop_assert!(alert.description.chars().count() <= 1_000);
                    prop_assert!(alert.url.is_empty() || alert.url.starts_with("http"));
                }
            }
        }
    }
}

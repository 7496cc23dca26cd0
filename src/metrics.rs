//! Metrics: every Prometheus series, declared in one table.
//!
//! Other modules call the functions below, never the `metrics` macros, so that every series is declared in [`SERIES`] with
//! its help, unit and labels. Label values come from fixed sets (adapter slugs, outcomes, kinds of event); they are never
//! a project, a channel, an address or an id.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// The declaration of one series.
#[derive(Clone, Copy, Debug)]
pub struct Series {
    pub name: &'static str,
    pub kind: Kind,
    pub unit: Unit,
    pub help: &'static str,
    pub labels: &'static [&'static str],
}

/// The type of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Counter,
    Gauge,
    /// A histogram with these upper bounds of its buckets.
    Histogram(&'static [f64]),
}

/// The duration of an attempt in seconds, up to the longest time limits.
const ATTEMPT_BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Seconds from arrival to acceptance, up to hours of retries.
const ACCEPTANCE_BUCKETS: &[f64] =
    &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 28800.0];

const EVENTS: &str = "forgebell_events_total";
const DELIVERIES: &str = "forgebell_deliveries_total";
const ATTEMPTS: &str = "forgebell_attempts_total";
const RETRIES: &str = "forgebell_retries_total";
const ATTEMPT_SECONDS: &str = "forgebell_attempt_duration_seconds";
const ACCEPTANCE_SECONDS: &str = "forgebell_event_to_acceptance_seconds";
const SWITCHED_OFF: &str = "forgebell_integrations_switched_off_total";
const OFF: &str = "forgebell_integrations_switched_off";
const HOLDS: &str = "forgebell_holds";
const INBOX: &str = "forgebell_inbox_events";
const OUTBOX: &str = "forgebell_outbox_deliveries";
const OLDEST: &str = "forgebell_outbox_oldest_age_seconds";
const DEAD_LETTERS: &str = "forgebell_dead_letters";
const HELD: &str = "forgebell_held_destinations";
const QUARANTINE: &str = "forgebell_quarantine_events";
const QUARANTINE_REFUSED: &str = "forgebell_quarantine_refused_total";
const BROKER: &str = "forgebell_broker_connected";
const UNWRITTEN: &str = "forgebell_unwritten_outcomes";
const RELOADS: &str = "forgebell_reloads_total";
const LAST_RELOAD: &str = "forgebell_last_reload_successful";
const NEED_RESTART: &str = "forgebell_settings_need_restart";
const EVENTS_REFUSED: &str = "forgebell_events_refused_total";
const API_REQUESTS: &str = "forgebell_api_requests_total";
const ALERTS: &str = "forgebell_alerts_total";
const ALERTS_REFUSED: &str = "forgebell_alert_reports_refused_total";
const BUILD_STATUS: &str = "forgebell_build_status_requests_total";
const PROBES: &str = "forgebell_probes_total";
const HTTP_CONNECTIONS: &str = "forgebell_http_connections";
const HTTP_REFUSED: &str = "forgebell_http_refused_total";
const BUILD: &str = "forgebell_build_info";

/// All series.
pub const SERIES: &[Series] = &[
    Series {
        name: EVENTS,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Events that arrived, by source, kind and result: dispatched, unmatched (no integration takes it), \
               muted (every integration that takes it is muted), watched (only services take it that are asked and sent \
               nothing), unrouted (a kind that no integration takes), \
               quarantined (could not be decoded, or the store does not take it).",
        labels: &["source", "kind", "result"],
    },
    Series {
        name: DELIVERIES,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Completed deliveries, by adapter and outcome: delivered, skipped, failed, expired, cancelled.",
        labels: &["adapter", "outcome"],
    },
    Series {
        name: ATTEMPTS,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Attempts, by adapter and outcome: delivered, or the kind of failure.",
        labels: &["adapter", "outcome"],
    },
    Series {
        name: RETRIES,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Failed attempts that will be followed by another attempt, by adapter.",
        labels: &["adapter"],
    },
    Series {
        name: ATTEMPT_SECONDS,
        kind: Kind::Histogram(ATTEMPT_BUCKETS),
        unit: Unit::Seconds,
        help: "Duration of attempts, from sending to the complete answer, by adapter.",
        labels: &["adapter"],
    },
    Series {
        name: ACCEPTANCE_SECONDS,
        kind: Kind::Histogram(ACCEPTANCE_BUCKETS),
        unit: Unit::Seconds,
        help: "Time from an event's arrival until a service accepted its message, including retries, by adapter.",
        labels: &["adapter"],
    },
    Series {
        name: SWITCHED_OFF,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Integrations that were switched off because their address does not exist any more, by adapter.",
        labels: &["adapter"],
    },
    Series {
        name: PROBES,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Questions whether a service can be reached, by adapter and result: reached, not_reached. Tests are not counted.",
        labels: &["adapter", "result"],
    },
    Series {
        name: BUILD_STATUS,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Questions to build services, by adapter and answer: the state of the build (pending, running, success, \
               success-with-warnings, failed, canceled, skipped), failed (no useful answer), early (its rate limit or a \
               hold did not allow it), over (the integration is gone).",
        labels: &["adapter", "answer"],
    },
    Series {
        name: ALERTS,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Alerts that monitoring systems reported, by what became of each: new (told as an event), again (it fires \
               still), ended, unknown (the end of an alert that did not fire), unusable (no title or start), beyond_limit \
               (more than 100 in one report).",
        labels: &["result"],
    },
    Series {
        name: ALERTS_REFUSED,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Reports of alerts that were refused, by reason: too_large, malformed, token (missing or wrong), not_active, \
               limited (too many wrong tokens), incomplete, unavailable (the store did not answer).",
        labels: &["reason"],
    },
    Series {
        name: INBOX,
        kind: Kind::Gauge,
        unit: Unit::Count,
        help: "Events that were accepted over HTTP and are not yet dispatched.",
        labels: &[],
    },
    Series {
        name: OUTBOX,
        kind: Kind::Gauge,
        unit: Unit::Count,
        help: "Deliveries that are not yet settled.",
        labels: &[],
    },
    Series {
        name: OLDEST,
        kind: Kind::Gauge,
        unit: Unit::Seconds,
        help: "Age of the oldest delivery that is not yet settled; 0 if there is none.",
        labels: &[],
    },
    Series {
        name: DEAD_LETTERS,
        kind: Kind::Gauge,
        unit: Unit::Count,
        help: "Failed and expired deliveries, which can be inspected and resent.",
        labels: &[],
    },
    Series {
        name: HELD,
        kind: Kind::Gauge,
        unit: Unit::Count,
        help: "Destinations and routes that are paused: throttled, failing, or wrongly configured.",
        labels: &[],
    },
    Series {
        name: QUARANTINE,
        kind: Kind::Gauge,
        unit: Unit::Count,
        help: "Inbound messages in quarantine.",
        labels: &[],
    },
    Series {
        name: QUARANTINE_REFUSED,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Messages that could not be decoded and were not kept, by the limit that they would have exceeded: all (the \
               quarantine is full), token (the sender's token has filled its part).",
        labels: &["limit"],
    },
    Series {
        name: BROKER,
        kind: Kind::Gauge,
        unit: Unit::Count,
        help: "1 while events are consumed from the broker, 0 while the connection is lost; absent without a broker.",
        labels: &[],
    },
    Series {
        name: UNWRITTEN,
        kind: Kind::Gauge,
        unit: Unit::Count,
        help: "Outcomes of attempts that the store does not take. Their destinations wait; above a bound, nothing is sent.",
        labels: &[],
    },
    Series {
        name: RELOADS,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Reloads of the provisioned integrations, by result: ok, failed (the previous ones stay in use).",
        labels: &["result"],
    },
    Series {
        name: LAST_RELOAD,
        kind: Kind::Gauge,
        unit: Unit::Count,
        help: "1 if the last reload (or the start) took the settings and the integrations, 0 if it was refused.",
        labels: &[],
    },
    Series {
        name: NEED_RESTART,
        kind: Kind::Gauge,
        unit: Unit::Count,
        help: "Settings that were changed since the start and apply at the next one; the log names them.",
        labels: &[],
    },
    Series {
        name: OFF,
        kind: Kind::Gauge,
        unit: Unit::Count,
        help: "Integrations that send nothing although they are switched on, by reason: address_gone (their service says \
               that an address does not exist any more), invalid_settings (a secret's file is missing, for example).",
        labels: &["reason"],
    },
    Series {
        name: HOLDS,
        kind: Kind::Gauge,
        unit: Unit::Count,
        help: "What is held at the moment, by cause: unavailable, throttled, quota, operator_error, misconfigured, gone, \
               switched_off. `forgebell status` names each.",
        labels: &["cause"],
    },
    Series {
        name: EVENTS_REFUSED,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Calls of /events that were refused, by reason: token, signature, right, throttled, content_type, too_large, \
               too_slow, not_an_event, store, other.",
        labels: &["reason"],
    },
    Series {
        name: API_REQUESTS,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Requests to the API, by route, method and status.",
        labels: &["route", "method", "status"],
    },
    Series {
        name: HTTP_CONNECTIONS,
        kind: Kind::Gauge,
        unit: Unit::Count,
        help: "Open connections to the HTTP server.",
        labels: &[],
    },
    Series {
        name: HTTP_REFUSED,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "HTTP connections and requests that were refused for want of room, by reason: client_connections (the \
               client's address has its share), connections (all are taken), body_memory, answer_memory.",
        labels: &["reason"],
    },
    Series {
        name: BUILD,
        kind: Kind::Gauge,
        unit: Unit::Count,
        help: "Always 1; the label is the running version.",
        labels: &["version"],
    },
];

/// The store's numbers that the gauges show.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Depth {
    pub inbox: u64,
    pub outbox: u64,
    pub oldest: Duration,
    pub dead_letters: u64,
    pub held: u64,
    pub quarantine: u64,
}

/// The installed recorder.
#[derive(Clone)]
pub struct Handle {
    recorder: PrometheusHandle,
    /// The last text, and when it was made.
    last: Arc<Mutex<Option<(Instant, Bytes)>>>,
}

/// For so long, a text is handed out again. Rendering one is expensive, and the endpoint is open to every client.
const TEXT_LASTS: Duration = Duration::from_millis(50);

impl Handle {
    /// The text that Prometheus scrapes, 50 ms old at most.
    pub fn text(&self, now: Instant) -> Bytes {
        // Those who ask meanwhile wait for the same text.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made, text)) = &*last
            && now.saturating_duration_since(*made) < TEXT_LASTS
        {
            return text.clone();
        }
        let text = Bytes::from(self.render());
        *last = Some((now, text.clone()));
        text
    }

    /// The text that Prometheus scrapes, made now.
    pub fn render(&self) -> String {
        self.recorder.render()
    }

    /// Aggregates the recorded histogram values; call this every few seconds.
    pub fn run_upkeep(&self) {
        self.recorder.run_upkeep();
    }
}

/// The reasons for which a call of `/events` is refused.
pub const EVENT_REFUSALS: [&str; 10] = [
    "token",
    "signature",
    "right",
    "throttled",
    "content_type",
    "too_large",
    "too_slow",
    "not_an_event",
    "store",
    "other",
];

/// Installs the recorder. Later calls in the same process return the same one.
pub fn install() -> Handle {
    static HANDLE: OnceLock<Handle> = OnceLock::new();
    HANDLE.get_or_init(set_up).clone()
}

fn set_up() -> Handle {
    let mut builder = PrometheusBuilder::new();
    for series in SERIES {
        if let Kind::Histogram(buckets) = series.kind {
            let name = Matcher::Full(series.name.to_owned());
            builder =
                builder.set_buckets_for_metric(name, buckets).expect("the table's buckets are not empty");
        }
    }
    let recorder = builder.build_recorder();
    let handle = Handle { recorder: recorder.handle(), last: Arc::default() };
    // Where the process already has a recorder (of an embedding program), that one stays; this one then shows nothing.
    let _ = metrics::set_global_recorder(recorder);
    for series in SERIES {
        match series.kind {
            Kind::Counter => describe_counter!(series.name, series.unit, series.help),
            Kind::Gauge => describe_gauge!(series.name, series.unit, series.help),
            Kind::Histogram(_) => describe_histogram!(series.name, series.unit, series.help),
        }
    }
    gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    gauge!(NEED_RESTART).set(0.0);
    // From 0 on, so that an increase by the first refusal is seen.
    for reason in EVENT_REFUSALS {
        counter!(EVENTS_REFUSED, "reason" => reason).absolute(0);
    }
    handle
}

/// Counts an event that arrived.
pub fn event(source: &'static str, kind: &'static str, result: &'static str) {
    counter!(EVENTS, "source" => source, "kind" => kind, "result" => result).increment(1);
}

/// Records an attempt that ended; `took` is its duration, if something was sent.
pub fn attempt(adapter: &'static str, outcome: &'static str, took: Option<Duration>) {
    counter!(ATTEMPTS, "adapter" => adapter, "outcome" => outcome).increment(1);
    if let Some(took) = took {
        histogram!(ATTEMPT_SECONDS, "adapter" => adapter).record(took.as_secs_f64());
    }
}

/// Counts a question to a build service, by what it said.
pub fn build_status(adapter: &'static str, answer: &'static str) {
    counter!(BUILD_STATUS, "adapter" => adapter, "answer" => answer).increment(1);
}

/// Counts a question whether a service can be reached.
pub fn probe(adapter: &'static str, result: &'static str) {
    counter!(PROBES, "adapter" => adapter, "result" => result).increment(1);
}

/// Counts an attempt that will be followed by another one.
pub fn retry(adapter: &'static str) {
    counter!(RETRIES, "adapter" => adapter).increment(1);
}

/// Counts a completed delivery.
pub fn delivery(adapter: &'static str, outcome: &'static str) {
    counter!(DELIVERIES, "adapter" => adapter, "outcome" => outcome).increment(1);
}

/// Records the time from an event's arrival until a service accepted its message.
pub fn entry_to_acceptance(adapter: &'static str, took: Duration) {
    histogram!(ACCEPTANCE_SECONDS, "adapter" => adapter).record(took.as_secs_f64());
}

/// Counts an integration that was switched off.
pub fn switched_off(adapter: &'static str) {
    counter!(SWITCHED_OFF, "adapter" => adapter).increment(1);
}

/// Sets the number of outcomes of attempts that the store does not take.
#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; the number is bounded by the attempts under way"
)]
pub fn unwritten_outcomes(count: usize) {
    gauge!(UNWRITTEN).set(count as f64);
}

/// Counts a request to the API. `route` is the pattern of a known route, and `method` one that it has, so that both come
/// from fixed sets.
pub fn api_request(route: String, method: String, status: u16) {
    counter!(API_REQUESTS, "route" => route, "method" => method, "status" => status.to_string()).increment(1);
}

/// Sets the number of open connections to the HTTP server.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; connections stay far below 2^53")]
pub fn http_connections(open: usize) {
    gauge!(HTTP_CONNECTIONS).set(open as f64);
}

/// Counts a connection or a request that was refused for want of room.
pub fn http_refused(reason: &'static str) {
    counter!(HTTP_REFUSED, "reason" => reason).increment(1);
}

/// Counts alerts that monitoring systems reported, by what became of them.
pub fn alerts(result: &'static str, count: usize) {
    if count > 0 {
        counter!(ALERTS, "result" => result).increment(count as u64);
    }
}

/// Counts a report of alerts that was refused.
pub fn alerts_refused(reason: &'static str) {
    counter!(ALERTS_REFUSED, "reason" => reason).increment(1);
}

/// Counts a message that the quarantine had no room for.
pub fn quarantine_refused(limit: &'static str) {
    counter!(QUARANTINE_REFUSED, "limit" => limit).increment(1);
}

/// Records whether the broker is connected.
pub fn broker_connected(connected: bool) {
    gauge!(BROKER).set(f64::from(u8::from(connected)));
}

/// Sets how many integrations send nothing although they are switched on, for one reason.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; integrations stay far below 2^53")]
pub fn integrations_switched_off(reason: &'static str, count: u64) {
    gauge!(OFF, "reason" => reason).set(count as f64);
}

/// Sets how much is held for one cause.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; holds stay far below 2^53")]
pub fn holds(cause: &'static str, count: u64) {
    gauge!(HOLDS, "cause" => cause).set(count as f64);
}

/// Counts a call of `/events` that was refused, for one of [`EVENT_REFUSALS`].
pub fn event_refused(reason: &'static str) {
    counter!(EVENTS_REFUSED, "reason" => reason).increment(1);
}

/// Sets the number of changed settings that apply at the next start.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; there are a few dozen settings")]
pub fn settings_need_restart(count: usize) {
    gauge!(NEED_RESTART).set(count as f64);
}

/// Records whether the last reload, or the start, took the settings and the integrations.
pub fn last_reload(ok: bool) {
    gauge!(LAST_RELOAD).set(f64::from(u8::from(ok)));
}

/// Counts a reload of the integrations.
pub fn reloaded(ok: bool) {
    last_reload(ok);
    counter!(RELOADS, "result" => if ok { "ok" } else { "failed" }).increment(1);
}

/// Sets the gauges of the store.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; counts of rows stay far below 2^53")]
pub fn depth(depth: &Depth) {
    gauge!(INBOX).set(depth.inbox as f64);
    gauge!(OUTBOX).set(depth.outbox as f64);
    gauge!(OLDEST).set(depth.oldest.as_secs_f64());
    gauge!(DEAD_LETTERS).set(depth.dead_letters as f64);
    gauge!(HELD).set(depth.held as f64);
    gauge!(QUARANTINE).set(depth.quarantine as f64);
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Writes every series at least once.
    fn everything_recorded() -> String {
        let handle = install();
        event("http", "push", "dispatched");
        attempt("slack", "delivered", Some(Duration::from_millis(20)));
        retry("slack");
        delivery("slack", "delivered");
        entry_to_acceptance("slack", Duration::from_millis(50));
        switched_off("slack");
        build_status("teamcity", "running");
        probe("redmine", "reached");
        api_request("/api/v4/version".to_owned(), "GET".to_owned(), 200);
        quarantine_refused("all");
        http_connections(1);
        http_refused("connections");
        broker_connected(true);
        unwritten_outcomes(1);
        reloaded(true);
        integrations_switched_off("address_gone", 1);
        holds("throttled", 1);
        event_refused("token");
        settings_need_restart(1);
        depth(&Depth { inbox: 1, oldest: Duration::from_secs(2), ..Depth::default() });
        handle.run_upkeep();
        handle.render()
    }

    #[test]
    fn a_text_is_made_again_when_it_is_old() {
        // The recorder is the process's. The text is this test's own.
        let handle = Handle { last: Arc::default(), ..install() };
        let now = Instant::now();
        let first = handle.text(now);
        build_status("text-that-lasts", "running");
        assert_eq!(handle.text(now + TEXT_LASTS / 2), first);
        let later = handle.text(now + TEXT_LASTS);
        assert!(String::from_utf8_lossy(&later).contains("text-that-lasts"));
    }

    #[test]
    fn every_series_of_the_table_is_shown_with_its_help_and_its_labels() {
        let text = everything_recorded();
        for series in SERIES {
            assert!(
                text.contains(&format!("# HELP {} ", series.name)),
                "{} has no help:\n{text}",
                series.name
            );
            // Another series may begin with this one's name.
            let is_its =
                |line: &&str| line.strip_prefix(series.name).is_some_and(|rest| !rest.starts_with("_total"));
            let line = text.lines().find(is_its);
            let line = line.unwrap_or_else(|| panic!("{} is not shown:\n{text}", series.name));
            for label in series.labels {
                assert!(line.contains(&format!("{label}=\"")), "{line} lacks {label}");
            }
        }
    }

    #[test]
    fn every_series_shown_is_in_the_table() {
        let declared: HashSet<_> = SERIES.iter().map(|series| series.name).collect();
        for line in everything_recorded().lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let name = line.split(' ').next().unwrap_or_default();
            assert!(declared.contains(name), "{name} is not declared");
        }
    }

    #[test]
    fn names_say_their_unit() {
        for series in SERIES {
            assert!(series.name.starts_with("forgebell_"), "{}", series.name);
            assert_eq!(series.name.ends_with("_total"), series.kind == Kind::Counter, "{}", series.name);
            assert_eq!(series.name.ends_with("_seconds"), series.unit == Unit::Seconds, "{}", series.name);
        }
    }
}

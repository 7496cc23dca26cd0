//! `docs/metrics.md` lists every series and every alert, and the daemon exposes no other.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use forgebell::metrics::{Kind, SERIES};

use super::repository;
use crate::harness::daemon::Home;
use crate::harness::payloads::payload;
use crate::harness::receiver::Receiver;

const START: &str = "<!-- metrics: written by a test from src/metrics.rs and deploy/alerts.yml -->\n";
const END: &str = "<!-- end of metrics -->";

fn text(path: &str) -> String {
    std::fs::read_to_string(repository(path)).expect("it is in the repository")
}

/// The tables as they are to be.
fn tables() -> String {
    let mut tables = String::from("\n| series | type | labels | |\n|---|---|---|---|\n");
    for series in SERIES {
        let kind = match series.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let labels: Vec<String> = series.labels.iter().map(|label| format!("`{label}`")).collect();
        let _ = writeln!(tables, "| `{}` | {kind} | {} | {} |", series.name, labels.join(", "), series.help);
    }
    tables.push_str("\n## Alerts\n\n| alert | severity | for | what it says |\n|---|---|---|---|\n");
    for rule in text("deploy/alerts.yml").split("- alert: ").skip(1) {
        let value = |key: &str| {
            let found = rule.lines().find_map(|line| line.trim().strip_prefix(key));
            found.unwrap_or_default().trim().trim_matches('"').replace('|', "\\|")
        };
        let name = rule.lines().next().expect("a rule has a name").trim();
        let (anchor, wait) = (name.to_lowercase(), value("for:"));
        let wait = if wait.is_empty() { "at once".to_owned() } else { wait };
        let _ = writeln!(
            tables,
            "| [{name}](runbooks.md#{anchor}) | {} | {wait} | {} |",
            value("severity:"),
            value("summary:")
        );
    }
    tables.push('\n');
    tables
}

/// With `INSTA_UPDATE=always`, as for snapshots, the tables are written anew.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the variable of the snapshots, which is no setting of the daemon"
)]
fn the_page_lists_every_series_and_every_alert() {
    let page = text("docs/metrics.md");
    let (before, rest) = page.split_once(START).expect("the start");
    let (listed, after) = rest.split_once(END).expect("the end");
    let tables = tables();
    if listed != tables && std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        std::fs::write(repository("docs/metrics.md"), format!("{before}{START}{tables}{END}{after}"))
            .expect("written");
    } else {
        assert_eq!(listed, tables, "run this test with INSTA_UPDATE=always");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_lists_what_a_daemon_exposes() {
    let receiver = Receiver::start().await;
    let hook = receiver.slack_like("/services/T0/B0/x");
    let webhook = hook.url();
    let home = Home::new(&format!(
        "[[integration]]\nproject = \"mike/diaspora\"\nadapter = \"slack\"\nwebhook = \"{webhook}\"\n"
    ));
    let daemon = home.start().await;
    assert_eq!(daemon.send("m-1", payload("push.json")).await.0, 202);
    hook.wait_for(1).await;
    let (status, metrics) = daemon.get("/metrics").await.expect("it answers");
    assert_eq!(status, 200);
    let exposed: BTreeSet<&str> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .filter(|name| name.starts_with("forgebell_"))
        .collect();
    let page = text("docs/metrics.md");
    let missing: Vec<&&str> =
        exposed.iter().filter(|name| !page.contains(&format!("| `{name}` |"))).collect();
    assert!(missing.is_empty() && exposed.len() > 10, "{missing:?} of {exposed:?}");
    daemon.stop().await;
}

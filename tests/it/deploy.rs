//! What is shipped for operators: it names nothing that the daemon does not have, and its own tools are content with it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use forgebell::config::{Config, Sources};
use forgebell::metrics::{Kind, SERIES};
use forgebell::provision;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn text(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every series that a text names; a histogram's parts by the histogram's name.
fn series_in(text: &str) -> BTreeSet<String> {
    let parts = ["_bucket", "_sum", "_count"];
    let whole = |word: &str| {
        let histogram = parts.iter().find_map(|part| word.strip_suffix(part));
        let is_one =
            |name: &&str| SERIES.iter().any(|s| s.name == *name && matches!(s.kind, Kind::Histogram(_)));
        histogram.filter(is_one).unwrap_or(word).to_owned()
    };
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("forgebell_"))
        .map(whole)
        .collect()
}

fn declared() -> BTreeSet<String> {
    SERIES.iter().map(|series| series.name.to_owned()).collect()
}

fn promtool(words: &[&str]) {
    let ran = Command::new("promtool").args(words).current_dir(repository("deploy")).output();
    let ran = ran.expect("promtool is installed (Debian's package is prometheus)");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(ran.status.success(), "promtool {words:?}:\n{}{}", said(&ran.stdout), said(&ran.stderr));
}

#[test]
fn alerts_and_dashboard_use_only_declared_series() {
    for file in ["deploy/alerts.yml", "deploy/alerts_test.yml", "deploy/dashboard.json"] {
        let named = series_in(&text(file));
        let unknown: Vec<_> = named.difference(&declared()).cloned().collect();
        assert!(!named.is_empty() && unknown.is_empty(), "{file}: {unknown:?}");
    }
}

#[test]
fn the_dashboard_shows_every_series() {
    let dashboard: serde_json::Value =
        serde_json::from_str(&text("deploy/dashboard.json")).expect("the dashboard is JSON");
    assert_eq!(series_in(&dashboard["panels"].to_string()), declared());
}

#[test]
fn the_alerting_rules_are_valid_and_fire_as_expected() {
    promtool(&["check", "rules", "alerts.yml"]);
    promtool(&["test", "rules", "alerts_test.yml"]);
}

/// The names of the alerts, each with the page that it leads to.
fn alerts() -> Vec<(String, String)> {
    let rules = text("deploy/alerts.yml");
    let value = |line: &str, key: &str| line.trim().strip_prefix(key).map(|rest| rest.trim().to_owned());
    let names = rules.lines().filter_map(|line| value(line, "- alert:"));
    let pages: Vec<String> = rules.lines().filter_map(|line| value(line, "runbook_url:")).collect();
    let names: Vec<String> = names.collect();
    assert_eq!(names.len(), pages.len(), "each alert has a page");
    names.into_iter().zip(pages).collect()
}

#[test]
fn every_alert_leads_to_its_section_of_the_runbooks() {
    let alerts = alerts();
    assert!(alerts.len() > 10, "{alerts:?}");
    let runbooks = text("docs/runbooks.md");
    let sections: Vec<&str> = runbooks.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let named: Vec<&str> = alerts.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(sections, named, "one section for each, in the order of the rules");
    for (name, page) in &alerts {
        assert_eq!(*page, format!("docs/runbooks.md#{}", name.to_lowercase()));
    }
}

/// One expectation of promtool's tests: of an alert at a minute, that it fires or does not.
struct Expected {
    test: String,
    alert: String,
    minute: u32,
    fires: bool,
}

/// The expectations of `alerts_test.yml`: in one line where nothing fires, in several where something does.
fn expected() -> Vec<Expected> {
    let tests = text("deploy/alerts_test.yml");
    let mut found = Vec::new();
    let (mut test, mut minute) = (String::new(), 0);
    let word = |line: &str, key: &str| {
        let rest = line.split(key).nth(1)?.trim();
        rest.split([',', ' ', '}']).next().map(str::to_owned)
    };
    for line in tests.lines() {
        if let Some(name) = line.strip_prefix("  - name:") {
            name.trim().clone_into(&mut test);
        }
        if let Some(time) = word(line, "eval_time:") {
            minute = time.trim_end_matches('m').parse().expect("times are in minutes");
        }
        if let Some(alert) = word(line, "alertname:") {
            let fires = !line.contains("exp_alerts: []");
            found.push(Expected { test: test.clone(), alert, minute, fires });
        }
    }
    found
}

#[test]
fn every_alert_is_shown_to_fire_and_then_to_end() {
    let expected = expected();
    for (name, _) in alerts() {
        let of_it = || expected.iter().filter(|one| one.alert == name);
        let ends = of_it().filter(|one| one.fires).any(|fired| {
            of_it().any(|later| !later.fires && later.test == fired.test && later.minute > fired.minute)
        });
        assert!(ends, "no test shows that {name} ends after it fired");
    }
}

/// The program's commands between backticks in a page.
fn commands_in(page: &str) -> Vec<Vec<String>> {
    let spans = page.split('`').skip(1).step_by(2);
    let spans = spans.map(|span| span.strip_prefix("sudo -u forgebell ").unwrap_or(span));
    let commands = spans.filter_map(|span| span.strip_prefix("forgebell "));
    commands.map(|words| words.split_whitespace().map(str::to_owned).collect()).collect()
}

/// Where the package puts examples of events.
const EXAMPLES: &str = "/usr/share/doc/forgebell/examples/";

#[test]
fn the_examples_that_the_pages_name_are_in_the_package() {
    let manifest = text("Cargo.toml");
    let mut found = 0;
    for page in PAGES.map(text) {
        for (at, _) in page.match_indices(EXAMPLES) {
            let name: String = page[at + EXAMPLES.len()..].split([' ', '`', '\n', '"']).take(1).collect();
            assert!(manifest.contains(&format!("[\"payloads/{name}\", \"{}\"", &EXAMPLES[1..])), "{name}");
            assert!(repository("payloads").join(&name).is_file(), "{name}");
            found += 1;
        }
    }
    assert!(found >= 5, "{found}");
}

const PAGES: [&str; 8] = [
    "README.md",
    "CONTRIBUTING.md",
    "docs/metrics.md",
    "docs/operating.md",
    "docs/operators.md",
    "docs/publishers.md",
    "docs/runbooks.md",
    "docs/teams.md",
];

/// A command within a sentence has words of capital letters for what a person puts there.
#[test]
fn the_commands_within_the_pages_sentences_exist() {
    let mut tried = 0;
    for page in PAGES {
        for words in commands_in(&text(page)) {
            let given = words.iter().map(|word| match word.trim_end_matches('…') {
                "SHELL" => "bash".to_owned(),
                "NAME" | "SERVICE" => "slack".to_owned(),
                word if word.chars().all(|c| c.is_ascii_uppercase()) => "17".to_owned(),
                word => word.to_owned(),
            });
            // With the option, a command that is understood does nothing.
            let given = given.chain(["--help".to_owned()]);
            let ran = Command::new(env!("CARGO_BIN_EXE_forgebell")).args(given).env_clear().output();
            let ran = ran.expect("the program starts");
            let said = String::from_utf8_lossy(&ran.stderr).into_owned();
            assert!(ran.status.success(), "{page}: forgebell {}: {said}", words.join(" "));
            tried += 1;
        }
    }
    assert!(tried > 60, "{tried}");
}

/// Each is run with a configuration of nothing: whether it is understood shows in its exit code.
#[test]
fn the_commands_in_the_runbooks_are_understood() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let commands = commands_in(&text("docs/runbooks.md"));
    assert!(commands.len() > 15, "{commands:?}");
    for words in commands {
        let ran = Command::new(env!("CARGO_BIN_EXE_forgebell"))
            .args(&words)
            .env_clear()
            .env("FORGEBELL__STORE__PATH", folder.path().join("none.db"))
            .env("FORGEBELL__HTTP__LISTEN", "127.0.0.1:1")
            .current_dir(repository(""))
            .output()
            .expect("the program starts");
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_ne!(ran.status.code(), Some(2), "forgebell {}: {said}", words.join(" "));
    }
}

/// A service manager that is less patient than the daemon would cut off what is being sent.
#[test]
fn service_managers_wait_longer_than_the_daemon_takes_to_stop() {
    let config = Config::load(Sources::default()).expect("the defaults are valid");
    let seconds = |file: &str, key: &str| -> u64 {
        let text = text(file);
        let value = text.lines().find_map(|line| line.trim().strip_prefix(key)).expect("it is set");
        value.trim().trim_end_matches('s').parse().expect("it is in seconds")
    };
    for (file, key) in
        [("deploy/forgebell.service", "TimeoutStopSec="), ("deploy/compose.yaml", "stop_grace_period:")]
    {
        assert!(seconds(file, key) > config.delivery.shutdown_timeout.as_secs() + 5, "{file}");
    }
}

#[test]
fn the_example_configuration_is_valid() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let token = folder.path().join("webhook-token");
    std::fs::write(&token, "open sesame\n").expect("the folder is ours");
    let config = Config::load(Sources {
        file: Some(repository("config/examples/forgebell.toml")),
        environment: Vec::new(),
        // The example names a file that is not on this machine.
        options: vec![format!("http.webhook_token_file={}", token.display())],
    });
    let config = config.unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(config.provision.files, [Path::new("/etc/forgebell/integrations.toml")]);
    assert!(config.http.webhook_token.is_some());
}

#[test]
fn the_example_integrations_are_valid_without_warnings() {
    let path = "config/examples/integrations.toml";
    let read_secret = |secret: &Path| {
        let name = secret.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let id = if name.contains("ci") { 2 } else { 1 };
        Ok(match name.split('-').next() {
            Some("discord") => format!("https://discord.com/api/webhooks/{id}/token\n"),
            _ => format!("https://chat.example.com/hooks/{name}\n"),
        })
    };
    let read = provision::read(&[(PathBuf::from(path), text(path))], &read_secret);
    let provisioned = read.unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert!(provisioned.warnings.is_empty(), "{:#?}", provisioned.warnings);
    assert!(provisioned.integrations.len() >= 4 && !provisioned.facts.is_empty());
}

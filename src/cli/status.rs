//! `status`: everything that is held, throttled, blocked or switched off, the dead letters, and the state of the
//! daemon's parts.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value as Json;

use super::options::Options;
use super::publish::near;
use super::table::{age, printable, wrapped};
use super::{say, say_json, state};
use crate::api::resources::{Status, StatusDeadLetters, StatusHeld};
use crate::call::{Egress, HttpRequest, Method, Request, Response};
use crate::config::Config;
use crate::daemon;
use crate::pipeline::parts;
use crate::pipeline::standing::{Part, Standing};
use crate::store::Overview;
use crate::wire::{Transport as _, Wire};

/// The exit code if there are problems. 1 means that the command failed.
const PROBLEMS: u8 = 3;
const WIDTH: usize = 100;

#[derive(Debug, clap::Args)]
#[command(after_help = "For example:\n  \
    forgebell status\n  \
    forgebell status --json | jq -r '.held[].command'\n\n\
    The last line is `ok` or the number of problems. A service's own throttle counts from 10 minutes on, once for all \
    that wait for it. Dead letters count for 24 hours, or until they are retried or cancelled.\n\n\
    Exit codes: 0 nothing is wrong; 3 there are problems; 1 it could not be found out.")]
pub(super) struct Args {
    /// Print JSON, as `GET /api/v4/status` answers
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args, options: &Options) -> anyhow::Result<ExitCode> {
    let config = options.config_for(&["store", "secrets", "amqp", "wire", "smtp", "forge"])?;
    let now = daemon::now();
    let (snapshot, holds, mistake) = state::view_despite_mistakes(&config, now).await?;
    let (store, overview) = store(&config).await;
    let mut standing = Standing::new(&snapshot, &holds, overview, now);
    let mut parts = others(&config).await?;
    parts.insert(1, store);
    if let Some(mistake) = mistake {
        let mistake = mistake.replace('\n', " ");
        let why =
            format!("{mistake}; the daemon works with the integrations from before: correct it, then reload");
        parts.insert(2, Part::new("files", Err(why)));
    }
    parts.append(&mut standing.parts);
    standing.parts = parts;
    let status = Status::from(&standing);
    if args.json {
        say_json(&status)?;
    } else {
        say(&words(&status, now))?;
    }
    Ok(if status.problems == 0 { ExitCode::SUCCESS } else { ExitCode::from(PROBLEMS) })
}

/// The store, and what it contains.
async fn store(config: &Config) -> (Part, Overview) {
    let look = async {
        let store = state::open(&config.store).await?;
        store.ping().await?;
        anyhow::Ok(store.overview().await?)
    };
    match look.await {
        Ok(overview) => (Part::new(parts::STORE, Ok("answers".to_owned())), overview),
        Err(error) => (Part::new(parts::STORE, Err(format!("{error:#}"))), Overview::default()),
    }
}

/// The daemon and the other configured parts. If the daemon answers, its own state of the broker is used.
async fn others(config: &Config) -> anyhow::Result<Vec<Part>> {
    let wire = Arc::new(Wire::new(&config.wire)?);
    let (ready, relay, forge) = tokio::join!(
        readiness(config, &wire),
        parts::mail_relay(&config.wire.smtp, &config.operator.mail.from),
        parts::forge_api(&config.operator.forge, &*wire),
    );
    let broker = match &ready {
        Ok(ready) => ready["broker"].as_str().map(|said| Part::new(parts::BROKER, ok_or_reason(said))),
        Err(_) => parts::broker(&config.amqp).await,
    };
    let reload = ready.as_ref().ok().and_then(|ready| ready["last_reload"].as_str());
    let reload = reload.map(|said| Part::new(parts::LAST_RELOAD, ok_or_reason(said)));
    let daemon = ready.and_then(|ready| {
        let said = ready["store"].as_str().unwrap_or_default();
        ok_or_reason(said).map(|_| format!("answers at {}", config.http.listen))
    });
    Ok([Part::new("daemon", daemon)]
        .into_iter()
        .chain(broker)
        .chain(relay)
        .chain(forge)
        .chain(reload)
        .collect())
}

fn ok_or_reason(said: &str) -> Result<String, String> {
    if said == "ok" || said.starts_with("ok;") { Ok(said.to_owned()) } else { Err(said.to_owned()) }
}

/// The daemon's readiness.
async fn readiness(config: &Config, wire: &Wire) -> Result<Json, String> {
    let near = near(config.http.listen);
    let no_daemon = |why: &dyn std::fmt::Display| format!("no daemon answers at {near} (http.listen): {why}");
    let url = format!("http://{near}/readyz").parse().map_err(|error| no_daemon(&error))?;
    let request = HttpRequest {
        timeout: Duration::from_secs(5),
        egress: Egress::Operator,
        ..HttpRequest::new(Method::Get, url)
    };
    match wire.send(&Request::Http(request)).await {
        Ok(Response::Http(response)) => {
            let is_ours = |json: &Json| json["status"].is_string() && json["store"].is_string();
            let json = serde_json::from_str(&response.text()).ok().filter(is_ours);
            json.ok_or_else(|| no_daemon(&"another program answers there"))
        }
        Ok(_) => Err(no_daemon(&"the answer is not HTTP")),
        Err(error) => Err(no_daemon(&error)),
    }
}

fn words(status: &Status, now: Timestamp) -> String {
    let mut text = String::new();
    for part in &status.parts {
        let state = if part.state == "ok" { "ok" } else { "FAILED" };
        let _ = writeln!(text, "{:<12} {state:<7} {}", part.part, printable(&part.found));
    }
    if let Some(oldest) = status.oldest_waiting {
        let since = age(oldest.0, now);
        let _ = writeln!(text, "{:<12} {:<7} the oldest was written {since}", "waiting", status.waiting);
    }
    if !status.held.is_empty() {
        text.push_str("\nheld\n");
    }
    for held in &status.held {
        text.push_str(&held_words(held, now));
    }
    if !status.dead_letters.is_empty() {
        text.push_str("\ndead letters\n");
    }
    for letters in &status.dead_letters {
        text.push_str(&dead_words(letters, now));
    }
    let last = match status.problems {
        0 => "ok".to_owned(),
        1 => "1 problem".to_owned(),
        count => format!("{count} problems"),
    };
    format!("{text}\n{last}\n")
}

/// `acme/rocket (42:slack)`, or the name alone where it has the path already.
fn place(project: Option<&str>, integration: Option<&str>) -> String {
    match (project, integration) {
        (Some(project), Some(integration)) if !integration.starts_with(&*project.to_ascii_lowercase()) => {
            format!("{integration} of {project}")
        }
        (_, Some(integration)) => integration.to_owned(),
        (Some(project), None) => project.to_owned(),
        (None, None) => "everything".to_owned(),
    }
}

pub(super) fn held_words(held: &StatusHeld, now: Timestamp) -> String {
    let place = place(held.project.as_deref(), held.integration.as_deref());
    let targets =
        if held.targets.is_empty() { String::new() } else { format!(" {}", held.targets.join(", ")) };
    let cause = held.cause.replace('_', " ");
    let until = match held.until {
        Some(until) => format!("next attempt {}", age(until.0, now)),
        None => "no further attempt".to_owned(),
    };
    let waiting = if held.waiting == 0 { String::new() } else { format!(", {} waiting", held.waiting) };
    let kind = held.kind;
    let line =
        format!("{place}{targets}: {cause} ({kind}) since {}, {until}{waiting}", age(held.since.0, now));
    let reason = wrapped(&held.reason, "      ", WIDTH);
    format!("  {}\n{reason}\n      {}\n", printable(&line), printable(&held.command))
}

fn dead_words(letters: &StatusDeadLetters, now: Timestamp) -> String {
    let place = place(letters.project.as_deref(), Some(&letters.integration));
    let (count, cause) = (letters.deliveries, letters.cause.replace('_', " "));
    let line = format!("{place}: {count} {cause}, the last {}", age(letters.newest.0, now));
    let note = if letters.note.is_empty() {
        String::new()
    } else {
        format!("{}\n", wrapped(&letters.note, "      ", WIDTH))
    };
    format!("  {}\n{note}      {}\n", printable(&line), printable(&letters.command))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::resources::{Moment, StatusPart};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_770_000_000 + second).unwrap()
    }

    fn status() -> Status {
        let held = StatusHeld {
            kind: "address",
            cause: "switched_off",
            project: Some("acme/rocket".to_owned()),
            integration: Some("42:slack".to_owned()),
            targets: vec!["#ops".to_owned()],
            destination: Some("slack-webhook:0123".to_owned()),
            reason: "answered 404: no_service\u{1b}[2J".to_owned(),
            since: Moment(at(-7200)),
            until: None,
            waiting: 12,
            is_problem: true,
            command: "forgebell integrations test 42:slack".to_owned(),
        };
        let letters = StatusDeadLetters {
            project: Some("acme/rocket".to_owned()),
            integration: "acme/rocket:slack".to_owned(),
            cause: "rejected".to_owned(),
            deliveries: 2,
            newest: Moment(at(-60)),
            note: "answered 400: no_text".to_owned(),
            is_problem: true,
            command: "forgebell deliveries retry --all-failed --integration acme/rocket:slack".to_owned(),
        };
        let part = |part, state, found: &str| StatusPart { part, state, found: found.to_owned() };
        Status {
            state: "problems",
            problems: 3,
            at: Moment(at(0)),
            waiting: 12,
            oldest_waiting: Some(Moment(at(-7200))),
            parts: vec![part("store", "ok", "answers"), part("broker", "failed", "away since noon")],
            held: vec![held],
            dead_letters: vec![letters],
        }
    }

    #[test]
    fn every_trouble_has_its_reason_and_its_command_and_the_last_line_counts() {
        let expected = "\
store        ok      answers
broker       FAILED  away since noon
waiting      12      the oldest was written 2 h ago

held
  42:slack of acme/rocket #ops: switched off (address) since 2 h ago, no further attempt, 12 waiting
      answered 404: no_service[2J
      forgebell integrations test 42:slack

dead letters
  acme/rocket:slack: 2 rejected, the last 60 s ago
      answered 400: no_text
      forgebell deliveries retry --all-failed --integration acme/rocket:slack

3 problems
";
        assert_eq!(words(&status(), at(0)), expected);
    }

    #[test]
    fn without_problems_the_last_line_is_ok() {
        let well = Status {
            problems: 0,
            parts: Vec::new(),
            held: Vec::new(),
            dead_letters: Vec::new(),
            waiting: 0,
            oldest_waiting: None,
            ..status()
        };
        assert_eq!(words(&well, at(0)).lines().last(), Some("ok"));
    }

    #[test]
    fn a_remark_of_the_daemon_is_no_failure() {
        assert!(ok_or_reason("ok; 3 outcomes wait").is_ok());
        assert_eq!(ok_or_reason("the disk is full"), Err("the disk is full".to_owned()));
    }
}

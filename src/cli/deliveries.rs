//! `deliveries`: what became of them, with every attempt; and again.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::bail;
use clap::builder::PossibleValuesParser;
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::options::Options;
use super::table::{Table, age, cut, printable, wrapped};
use super::{audit, say, say_json, state};
use crate::daemon;
use crate::integration::IntegrationId;
use crate::store::{DeliveryDetail, DeliveryFilter, DeliveryId, DeliveryLine, Ledger, REPLACED, State};

/// Rows asked for at once where all are wanted.
const PAGE: usize = 500;
/// Characters of a note that a list shows.
const NOTE: usize = 60;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List deliveries, newest first
    List(ListArgs),
    /// Show one delivery with all its attempts
    Show(ShowArgs),
    /// Send deliveries again that are over: given up, too old, cancelled, or even delivered
    Retry(RetryArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// Only those in this state
    #[arg(long, value_parser = states())]
    state: Option<String>,
    /// Only those of this integration (`acme/rocket:slack`)
    #[arg(long, value_name = "ID")]
    integration: Option<String>,
    /// Only those with numbers below this one: the next page
    #[arg(long, value_name = "NUMBER")]
    before: Option<i64>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    /// The delivery's number, as `deliveries list` shows it
    #[arg(value_name = "NUMBER")]
    id: i64,
    /// Show the event's JSON too
    #[arg(long)]
    event: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct RetryArgs {
    /// The deliveries' numbers
    #[arg(value_name = "NUMBER", required_unless_present = "all_failed")]
    ids: Vec<i64>,
    /// All that were given up
    #[arg(long, conflicts_with = "ids")]
    all_failed: bool,
    /// With --all-failed: only those of this integration (`acme/rocket:slack`)
    #[arg(long, value_name = "ID", requires = "all_failed")]
    integration: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn states() -> PossibleValuesParser {
    PossibleValuesParser::new(State::ALL.map(State::name))
}

pub(super) async fn run(command: Command, options: &Options) -> anyhow::Result<ExitCode> {
    let store = state::open(&options.config()?.store).await?;
    let now = daemon::now();
    match command {
        Command::List(args) => list(&*store, args, now).await,
        Command::Show(args) => show(&*store, &args, now).await,
        Command::Retry(args) => retry(&*store, args, now).await,
    }
}

async fn list(store: &dyn Ledger, args: ListArgs, now: Timestamp) -> anyhow::Result<ExitCode> {
    let filter = DeliveryFilter {
        state: args.state.and_then(|word| State::ALL.into_iter().find(|state| state.name() == word)),
        integration: args.integration.map(IntegrationId::new),
        before: args.before.map(DeliveryId),
        limit: args.limit,
    };
    let lines = store.deliveries(filter).await?;
    if args.json {
        say_json(&lines.iter().map(line_json).collect())?;
    } else {
        say(&table(&lines, now))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(store: &dyn Ledger, args: &ShowArgs, now: Timestamp) -> anyhow::Result<ExitCode> {
    let Some(detail) = store.delivery(DeliveryId(args.id)).await? else {
        bail!("there is no delivery {}", args.id);
    };
    if args.json {
        say_json(&detail_json(&detail))?;
    } else {
        say(&page(&detail, args.event, now))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn retry(store: &dyn Ledger, args: RetryArgs, now: Timestamp) -> anyhow::Result<ExitCode> {
    let ids = if args.all_failed {
        all_failed(store, args.integration.map(IntegrationId::new)).await?
    } else {
        args.ids.into_iter().map(DeliveryId).collect()
    };
    let mut refused = 0;
    let mut told = Vec::new();
    for id in &ids {
        let note = audit::entry("delivery.retry", format!("delivery {id}"), &[], now);
        let done = store.resend(*id, note).await?;
        let word = if done {
            "due again"
        } else {
            refused += 1;
            match store.delivery(*id).await? {
                None => "there is no such delivery",
                Some(detail) if detail.line.state == State::Waiting => "still on its way",
                Some(_) => REPLACED,
            }
        };
        if args.json {
            told.push(step_json(id.0, done, word));
        } else {
            say(&format!("{id}: {word}"))?;
        }
    }
    if args.json {
        say_json(&told.into())?;
    } else if ids.is_empty() {
        say("nothing was given up: there is nothing to send again")?;
    }
    Ok(if refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// All that were given up, collected before any is sent again: what fails anew must not be met twice.
async fn all_failed(
    store: &dyn Ledger,
    integration: Option<IntegrationId>,
) -> anyhow::Result<Vec<DeliveryId>> {
    let mut ids: Vec<DeliveryId> = Vec::new();
    loop {
        let before = ids.last().copied();
        let filter = DeliveryFilter {
            state: Some(State::Failed),
            integration: integration.clone(),
            before,
            limit: PAGE,
        };
        let page = store.deliveries(filter).await?;
        ids.extend(page.iter().map(|line| line.id));
        if page.len() < PAGE {
            ids.reverse(); // oldest first, as they were said
            return Ok(ids);
        }
    }
}

fn table(lines: &[DeliveryLine], now: Timestamp) -> String {
    if lines.is_empty() {
        return "no deliveries".to_owned();
    }
    let mut table =
        Table::new(["NUMBER", "STATE", "EVENT", "SUBJECT", "INTEGRATION", "TARGET", "TRIES", "WHEN", "NOTE"]);
    for line in lines {
        table.row([
            line.id.to_string(),
            line.state.name().to_owned(),
            line.trigger.clone().unwrap_or_default(),
            cut(&line.subject, 30),
            line.integration.to_string(),
            line.target.clone(),
            line.attempts.to_string(),
            when(line, now),
            cut(line.last_note.as_deref().unwrap_or_default(), NOTE),
        ]);
    }
    table.to_string()
}

fn when(line: &DeliveryLine, now: Timestamp) -> String {
    match (line.settled_at, line.due) {
        (Some(at), _) => age(at, now),
        (None, Some(due)) if due > now => format!("due {}", age(due, now)),
        (None, _) => format!("since {}", age(line.created_at, now).trim_end_matches(" ago")),
    }
}

fn page(detail: &DeliveryDetail, with_event: bool, now: Timestamp) -> String {
    let line = &detail.line;
    let target = if line.target.is_empty() { "(the address's own)" } else { &line.target };
    let mut text = format!("delivery {}: {}, {}\n", line.id, line.state.name(), when(line, now));
    let facts = [
        ("event", format!("{} ({})", line.event, line.trigger.as_deref().unwrap_or("?"))),
        ("subject", line.subject.clone()),
        ("integration", line.integration.to_string()),
        ("target", target.to_owned()),
        ("destination", line.destination.clone()),
        ("written", line.created_at.to_string()),
        ("attempts", line.attempts.to_string()),
    ];
    for (name, value) in facts {
        let _ = writeln!(text, "  {name:<12} {}", printable(&value));
    }
    if let Some(hold) = detail.hold.as_ref().filter(|hold| hold.until > now) {
        let waits = format!("held until {} ({}): {}", hold.until, age(hold.until, now), hold.why);
        let _ = writeln!(text, "  {:<12} {}", "waits", printable(&waits));
    } else if let Some(due) = line.due.filter(|due| *due > now) {
        let _ = writeln!(text, "  {:<12} until {due} ({})", "waits", age(due, now));
    }
    text.push('\n');
    for (number, attempt) in &detail.attempts {
        let status = attempt.status.map(|status| format!(", answered {status}")).unwrap_or_default();
        let latency =
            if attempt.latency_ms > 0 { format!(", {} ms", attempt.latency_ms) } else { String::new() };
        let _ = writeln!(
            text,
            "  {number}. {} ({}): {}{status}{latency}",
            attempt.at,
            age(attempt.at, now),
            printable(&attempt.outcome)
        );
        if !attempt.note.is_empty() {
            let _ = writeln!(text, "{}", wrapped(&attempt.note, "       ", 100));
        }
    }
    if detail.attempts.is_empty() {
        text.push_str("  no attempts yet\n");
    }
    if with_event {
        let _ = write!(text, "\n{}\n", pretty(&detail.raw));
    }
    text
}

/// JSON as people read it; what is no JSON is shown as text. Neither commands the terminal.
pub(super) fn pretty(raw: &[u8]) -> String {
    let text = match serde_json::from_slice::<Json>(raw) {
        Ok(json) => format!("{json:#}"),
        Err(_) => String::from_utf8_lossy(raw).replace('\t', "    "),
    };
    text.chars().filter(|letter| *letter == '\n' || !letter.is_control()).collect()
}

/// What came of one of several, for scripts.
pub(super) fn step_json(id: i64, done: bool, result: &str) -> Json {
    json!({ "id": id, "done": done, "result": result })
}

fn line_json(line: &DeliveryLine) -> Json {
    json!({
        "id": line.id.0,
        "state": line.state.name(),
        "event": line.event.as_str(),
        "trigger": line.trigger,
        "subject": line.subject,
        "integration": line.integration.to_string(),
        "target": line.target,
        "destination": line.destination,
        "attempts": line.attempts,
        "due": line.due.map(|at| at.to_string()),
        "created_at": line.created_at.to_string(),
        "settled_at": line.settled_at.map(|at| at.to_string()),
        "note": line.last_note,
    })
}

fn detail_json(detail: &DeliveryDetail) -> Json {
    let attempts = detail.attempts.iter().map(|(number, attempt)| {
        json!({
            "number": number,
            "at": attempt.at.to_string(),
            "outcome": attempt.outcome,
            "status": attempt.status,
            "latency_ms": attempt.latency_ms,
            "note": attempt.note,
        })
    });
    let hold = detail.hold.as_ref().map(|hold| json!({ "until": hold.until.to_string(), "why": hold.why }));
    let raw = serde_json::from_slice::<Json>(&detail.raw)
        .unwrap_or_else(|_| Json::String(String::from_utf8_lossy(&detail.raw).into_owned()));
    let mut json = line_json(&detail.line);
    json["attempt_records"] = attempts.collect();
    json["hold"] = hold.into();
    json["payload"] = raw;
    json
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventId;
    use crate::store::{Hold, StoredAttempt};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_770_000_000 + second).unwrap()
    }

    fn line() -> DeliveryLine {
        DeliveryLine {
            id: DeliveryId(7),
            state: State::Waiting,
            event: EventId::new("e-1").unwrap(),
            trigger: Some("push".to_owned()),
            subject: "ref:refs/heads/\u{1b}[31mred".to_owned(),
            integration: IntegrationId::new("acme/rocket:slack"),
            target: "#ops".to_owned(),
            destination: "slack-webhook:0123".to_owned(),
            attempts: 2,
            due: Some(at(30)),
            created_at: at(-600),
            settled_at: None,
            last_note: Some("throttled: answered 429: rate_limited".to_owned()),
        }
    }

    fn detail() -> DeliveryDetail {
        let attempt = StoredAttempt {
            at: at(-60),
            latency_ms: 12,
            outcome: "throttled".to_owned(),
            status: Some(429),
            note: "answered 429: rate_limited".to_owned(),
        };
        let hold = Hold {
            key: "slack-webhook:0123".into(),
            until: at(30),
            why: "asked for a rest".to_owned(),
            strikes: 1,
            made_under: None,
        };
        DeliveryDetail {
            line: line(),
            attempts: vec![(1, attempt)],
            raw: br#"{"object_kind":"push"}"#.as_slice().into(),
            hold: Some(hold),
        }
    }

    #[test]
    fn a_list_is_a_table_with_ages() {
        let lines = [line(), DeliveryLine { state: State::Delivered, settled_at: Some(at(-5)), ..line() }];
        let table = table(&lines, at(0));
        assert!(table.contains("due in 30 s"), "{table}");
        assert!(table.contains("5 s ago"), "{table}");
        assert!(!table.contains('\u{1b}'), "{table}");
        assert_eq!(super::table(&[], at(0)), "no deliveries");
    }

    #[test]
    fn a_page_tells_of_every_attempt_and_why_it_waits() {
        let page = page(&detail(), true, at(0));
        for part in
            ["delivery 7: waiting", "#ops", "answered 429", "60 s ago", "asked for a rest", "\"object_kind\""]
        {
            assert!(page.contains(part), "{part} is missing in\n{page}");
        }
    }

    #[test]
    fn json_has_the_same_keys_always() {
        let json = detail_json(&detail());
        assert_eq!(json["id"], 7);
        assert_eq!(json["attempt_records"][0]["status"], 429);
        assert_eq!(json["payload"]["object_kind"], "push");
        assert_eq!(line_json(&line())["settled_at"], Json::Null);
    }
}

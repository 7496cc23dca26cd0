//! `deliveries`: lists deliveries, shows one with its attempts, and sends deliveries again.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::bail;
use clap::builder::PossibleValuesParser;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value as Json;

use super::options::Options;
use super::table::{Table, age, cut, printable, wrapped};
use super::{audit, complain, say, say_json, state};
use crate::adapters;
use crate::api::resources;
use crate::call::Pace;
use crate::catalog::Catalog as _;
use crate::config::Config;
use crate::daemon;
use crate::integration::IntegrationId;
use crate::pipeline::holds::HoldSet;
use crate::store::{
    DeliveryDetail, DeliveryFilter, DeliveryId, DeliveryLine, Hold, Ledger, REPLACED, State, Store,
};

/// Rows per query where all are wanted.
const PAGE: usize = 500;
/// How many characters of a note are shown in a list.
const NOTE: usize = 60;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List deliveries, newest first
    List(ListArgs),
    /// Show one delivery with all its attempts
    Show(ShowArgs),
    /// Send deliveries again that have ended: failed, expired, cancelled, skipped or delivered
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
    /// Only those with ids below this one: the next page
    #[arg(long, value_name = "NUMBER")]
    before: Option<i64>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    /// The delivery's id, as shown by `deliveries list`
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
    /// The deliveries' ids
    #[arg(value_name = "NUMBER", required_unless_present = "all_failed")]
    ids: Vec<i64>,
    /// All that failed
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
    let config = options.config()?;
    let store = state::open(&config.store).await?;
    let now = daemon::now();
    match command {
        Command::List(args) => list(&*store, args, now).await,
        Command::Show(args) => show(&*store, &config, &args, now).await,
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
        say_json(&lines.iter().map(resources::Delivery::from).collect::<Vec<_>>())?;
    } else {
        say(&table(&lines, now))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(
    store: &dyn Store,
    config: &Config,
    args: &ShowArgs,
    now: Timestamp,
) -> anyhow::Result<ExitCode> {
    let Some(mut detail) = store.delivery(DeliveryId(args.id)).await? else {
        bail!("there is no delivery {}", args.id);
    };
    detail.hold = hold_on(store, config, &detail.line, now).await?;
    if args.json {
        say_json(&resources::DeliveryDetail::from(&detail))?;
    } else {
        say(&page(&detail, args.event, now))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The hold that keeps a delivery longest, as the API shows it.
async fn hold_on(
    store: &dyn Store,
    config: &Config,
    line: &DeliveryLine,
    now: Timestamp,
) -> anyhow::Result<Option<Hold>> {
    if line.state != State::Waiting {
        return Ok(None);
    }
    let holds: HoldSet = store.holds(now).await?.into_iter().collect();
    // Only the settings say which rate limits a delivery shares with others, and reading them takes keys and files.
    let pace = if holds.holds_buckets(now) { pace(config, line, now).await } else { None };
    Ok(holds.longest(line, pace.as_ref(), now).cloned())
}

async fn pace(config: &Config, line: &DeliveryLine, now: Timestamp) -> Option<Pace> {
    let snapshot = match state::view(config, now).await {
        Ok((snapshot, _)) => snapshot,
        Err(error) => {
            complain(&format!("note: holds of shared rate limits are not shown: {error:#}"));
            return None;
        }
    };
    let integration = snapshot.integration(&line.integration)?;
    adapters::find(integration.slug)?.pace(&integration.settings, &line.target)
}

/// Ends the holds that keep a delivery, except those that the service asked for.
async fn end_holds(store: &dyn Store, id: DeliveryId, now: Timestamp) -> anyhow::Result<()> {
    let Some(DeliveryDetail { line, .. }) = store.delivery(id).await? else { return Ok(()) };
    let holds: HoldSet = store.holds(now).await?.into_iter().collect();
    let disproved = holds.disproved(&line.integration, &line.target, &line.destination);
    Ok(store.end_holds(&disproved, now).await?)
}

async fn retry(store: &dyn Store, args: RetryArgs, now: Timestamp) -> anyhow::Result<ExitCode> {
    let ids = if args.all_failed {
        all_failed(store, args.integration.map(IntegrationId::new)).await?
    } else {
        args.ids.into_iter().map(DeliveryId).collect()
    };
    let mut code = ExitCode::SUCCESS;
    let mut results = Vec::new();
    for id in &ids {
        let note = audit::entry("delivery.retry", format!("delivery {id}"), &[], now);
        let done = store.resend(*id, note).await?;
        let result = if done {
            end_holds(store, *id, now).await?;
            "due again"
        } else {
            code = ExitCode::FAILURE;
            match store.delivery(*id).await? {
                None => "there is no such delivery",
                Some(detail) if detail.line.state == State::Waiting => "still on its way",
                Some(_) => REPLACED,
            }
        };
        if args.json {
            results.push(StepResult { id: id.0, done, result: result.to_owned() });
        } else {
            say(&format!("{id}: {result}"))?;
        }
    }
    if args.json {
        say_json(&results)?;
    } else if ids.is_empty() {
        say("no delivery failed: there is nothing to send again")?;
    }
    Ok(code)
}

/// All that failed, collected before any is sent again, so that one that fails anew is not sent twice.
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
            ids.reverse(); // oldest first, as their events came
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
    if let Some(hold) = &detail.hold {
        let waits = format!(
            "held until {} ({}): {} (kind: {}, cause: {}, since: {}, strikes: {})",
            hold.until,
            age(hold.until, now),
            hold.reason,
            hold.key.kind(),
            hold.cause,
            hold.since,
            hold.strikes
        );
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

/// JSON with line breaks; a text that is not JSON as it is. Control characters are left out, so that neither can command
/// the terminal.
pub(super) fn pretty(raw: &[u8]) -> String {
    let text = match serde_json::from_slice::<Json>(raw) {
        Ok(json) => format!("{json:#}"),
        Err(_) => String::from_utf8_lossy(raw).replace('\t', "    "),
    };
    text.chars().filter(|letter| *letter == '\n' || !letter.is_control()).collect()
}

/// What a command did with one of several rows, as `--json` prints it.
#[derive(Serialize)]
pub(super) struct StepResult {
    pub(super) id: i64,
    pub(super) done: bool,
    pub(super) result: String,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::event::{EventId, Trigger, sample};
    use crate::store::seal::Keyring;
    use crate::store::sqlite::Sqlite;
    use crate::store::{
        AttemptRecord, Dispatched, HoldCause, HoldKey, Lane, NewDelivery, NewState, NodeId, Origin,
        Outbox as _, Settled, StoredAttempt,
    };

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
            key: HoldKey::Destination("slack-webhook:0123".into()),
            cause: HoldCause::Throttled,
            reason: "asked for a rest".to_owned(),
            since: at(-60),
            until: at(30),
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
    fn a_page_shows_every_attempt_and_why_the_delivery_waits() {
        let page = page(&detail(), true, at(0));
        for part in
            ["delivery 7: waiting", "#ops", "answered 429", "60 s ago", "asked for a rest", "\"object_kind\""]
        {
            assert!(page.contains(part), "{part} is missing in\n{page}");
        }
    }

    #[test]
    fn text_and_json_show_the_same_hold() {
        let mut detail = detail();
        let bucket = HoldKey::Bucket("workspace".into());
        detail.hold = detail.hold.map(|hold| Hold { key: bucket, strikes: 2, ..hold });
        let page = page(&detail, false, at(0));
        let shown =
            "asked for a rest (kind: bucket, cause: throttled, since: 2026-02-02T02:39:00Z, strikes: 2)";
        assert!(page.contains("held until 2026-02-02T02:40:30Z (in 30 s): "), "{page}");
        assert!(page.contains(shown), "{page}");
        let json = serde_json::to_value(resources::DeliveryDetail::from(&detail)).unwrap();
        let hold = json!({
            "kind": "bucket", "cause": "throttled", "reason": "asked for a rest", "strikes": 2,
            "since": "2026-02-02T02:39:00.000Z", "until": "2026-02-02T02:40:30.000Z",
        });
        assert_eq!(json["hold"], hold);
    }

    #[tokio::test]
    async fn a_retry_ends_what_keeps_its_delivery_but_for_a_throttle_of_the_service() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("forgebell.db"), Keyring::none()).unwrap();
        let (slack, hook): (_, Arc<str>) = (IntegrationId::new("42:slack"), "hook".into());
        let delivery = NewDelivery {
            integration: slack.clone(),
            target: "#ops".into(),
            destination: hook.clone(),
            lane: Lane(1),
            replaces: false,
            lease: None,
        };
        let origin = Origin::Broker { digest: None, redelivered: false };
        let event = Arc::new(sample(Trigger::Push));
        let batch = vec![Dispatched { event, origin, deliveries: vec![delivery], seen: None }];
        let id = store.enqueue(batch, at(0)).await.unwrap()[0][0].as_ref().unwrap().id;

        let route = |target: &str| HoldKey::Route { integration: slack.clone(), target: target.into() };
        let address = HoldKey::Address { integration: slack.clone(), destination: hook.clone() };
        let holds = [
            (route("#ops"), HoldCause::Misconfigured),
            (address, HoldCause::SwitchedOff),
            (HoldKey::Destination(hook), HoldCause::Throttled),
            (route("#dev"), HoldCause::Misconfigured),
        ];
        let reason = || "answered 404".to_owned();
        let begin = |(key, cause)| Hold {
            key,
            cause,
            reason: reason(),
            since: at(0),
            until: at(600),
            strikes: 1,
            made_under: None,
        };
        let record =
            AttemptRecord { at: at(0), latency_ms: 1, outcome: "failed", status: None, note: reason() };
        let settled = Settled {
            delivery: id,
            state: NewState::Failed,
            attempts: 1,
            record,
            end: Vec::new(),
            begin: holds.map(begin).into(),
            watch: None,
            at: at(0),
        };
        store.settle(&NodeId("test".into()), vec![settled]).await.unwrap();
        assert_eq!(store.holds(at(1)).await.unwrap().len(), 4);

        let args = RetryArgs { ids: vec![id.0], all_failed: false, integration: None, json: false };
        retry(&store, args, at(1)).await.unwrap();
        assert_eq!(store.delivery(id).await.unwrap().unwrap().line.state, State::Waiting);
        let left = store.holds(at(1)).await.unwrap();
        let left: Vec<_> = left.iter().map(|hold| (hold.key.kind(), hold.cause)).collect();
        assert_eq!(left, [("destination", HoldCause::Throttled), ("route", HoldCause::Misconfigured)]);
    }

    #[test]
    fn json_has_the_same_keys_always() {
        let json = serde_json::to_value(resources::DeliveryDetail::from(&detail())).unwrap();
        assert_eq!(json["id"], 7);
        assert_eq!(json["attempt_records"][0]["status"], 429);
        assert_eq!(json["payload"]["object_kind"], "push");
        assert_eq!(json["settled_at"], Json::Null);
    }
}

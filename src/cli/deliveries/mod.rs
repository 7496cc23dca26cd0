//! `deliveries`: lists deliveries, and shows one with its attempts. `change` sends them again or ends them, `filter` says
//! which ones a command is about.

mod change;
mod filter;

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use clap::builder::PossibleValuesParser;
use jiff::Timestamp;

use super::options::Options;
use super::table::{Table, age, cut, local, printable, wrapped};
use super::{complain, say, say_json, state};
use change::{CancelArgs, RetryArgs, cancel, retry};
use filter::{FilterArgs, check_names};
pub(super) use filter::{
    check_project, event_id, ids_of, integration_name, known_integration, moment, past_moment,
};

use crate::adapters;
use crate::api::resources;
use crate::call::Pace;
use crate::catalog::Catalog as _;
use crate::config::Config;
use crate::daemon;
use crate::event::EventId;
use crate::pipeline::holds::HoldSet;
use crate::pipeline::rendered::rendered;
use crate::preview::pretty;
use crate::store::{
    DeliveryDetail, DeliveryFilter, DeliveryId, DeliveryLine, Hold, HoldCause, JSON_GONE, State, Store,
};

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
    /// End deliveries that wait, or dead letters: they are not sent, and are not counted any more
    Cancel(CancelArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// Only those in this state
    #[arg(long, value_parser = states())]
    state: Option<String>,
    /// Only those of the event with this id
    #[arg(long, value_name = "ID", value_parser = event_id)]
    event: Option<EventId>,
    #[command(flatten)]
    of: FilterArgs,
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
    /// Show the request too, made again with the present settings, secrets masked
    #[arg(long)]
    request: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn state_of(word: &str) -> Option<State> {
    State::ALL.into_iter().find(|state| state.name() == word)
}

fn states() -> PossibleValuesParser {
    PossibleValuesParser::new(State::ALL.map(State::name))
}

pub(super) async fn run(command: Command, options: &Options) -> anyhow::Result<ExitCode> {
    // The key is needed to read integrations from the store. A user who may not read the key still sees the deliveries.
    let config = options.config_for(&["store", "secrets"]).or_else(|_| options.config_for(&["store"]))?;
    let store = state::open(&config.store).await?;
    let now = daemon::now();
    match command {
        Command::List(args) => list(&*store, &config, args, now).await,
        Command::Show(args) => show(&*store, &config, &args, now).await,
        Command::Retry(args) => retry(&*store, &config, args, now).await,
        Command::Cancel(args) => cancel(&*store, &config, args, now).await,
    }
}

async fn list(
    store: &dyn Store,
    config: &Config,
    args: ListArgs,
    now: Timestamp,
) -> anyhow::Result<ExitCode> {
    let named = args.of.integration.as_ref();
    let filter = DeliveryFilter {
        event: args.event,
        before: args.before.map(DeliveryId),
        limit: args.limit,
        ..args.of.filter(args.state.as_deref().and_then(state_of), ids_of(config, named, now).await)
    };
    let lines = store.deliveries(filter.clone()).await?;
    if lines.is_empty() {
        check_names(store, config, &filter, named, now).await?;
    }
    if args.json {
        say_json(&lines.iter().map(resources::Delivery::from).collect::<Vec<_>>())?;
    } else {
        let holds: HoldSet = store.holds(now).await?.into_iter().collect();
        say(&table(&lines, &holds, now))?;
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
    let request = if args.request {
        let (snapshot, _) = state::view(config, now).await?;
        Some(rendered(&snapshot, &detail, &config.operator, now))
    } else {
        None
    };
    if args.json {
        let shown = resources::DeliveryDetail::from(&detail);
        say_json(&match request {
            Some(request) => shown.with_request(request),
            None => shown,
        })?;
    } else {
        let mut text = page(&detail, args.event, now);
        match request {
            Some(Ok(request)) => _ = write!(text, "\n{}\n", pretty(request.to_string().as_bytes())),
            Some(Err(why)) => _ = write!(text, "\n  no request: {}\n", printable(&why)),
            None => {}
        }
        say(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The hold that delays a delivery longest, as the API shows it.
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
    // The shared rate limits of a delivery are known only from the settings. They are read only if necessary, because
    // that needs keys and files.
    let pace = if holds.holds_buckets(now) { pace(config, line, now).await } else { None };
    Ok(holds.longest(line, pace.as_deref(), now).cloned())
}

async fn pace(config: &Config, line: &DeliveryLine, now: Timestamp) -> Option<Arc<Pace>> {
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

fn table(lines: &[DeliveryLine], holds: &HoldSet, now: Timestamp) -> String {
    if lines.is_empty() {
        return "no deliveries".to_owned();
    }
    let mut table = Table::new([
        "NUMBER",
        "STATE",
        "PROJECT",
        "EVENT",
        "SUBJECT",
        "INTEGRATION",
        "TARGET",
        "TRIES",
        "WHEN",
        "NOTE",
    ]);
    for line in lines {
        table.row([
            line.id.to_string(),
            line.state.name().to_owned(),
            line.project.clone().unwrap_or_default(),
            line.trigger.clone().unwrap_or_default(),
            cut(&line.subject, 30),
            line.integration.to_string(),
            line.target.clone(),
            line.attempts.to_string(),
            when(line, holds.longest(line, None, now), now),
            cut(line.last_note.as_deref().unwrap_or_default(), NOTE),
        ]);
    }
    table.to_string()
}

/// `hold` is the hold that delays the delivery longest.
fn when(line: &DeliveryLine, hold: Option<&Hold>, now: Timestamp) -> String {
    match (line.settled_at, line.due) {
        (Some(at), _) => age(at, now),
        // At the due time it would only be found out that the address is still switched off.
        (None, _) if hold.is_some_and(waits_for_a_person) => "until resumed".to_owned(),
        (None, Some(due)) if due > now => format!("due {}", age(due, now)),
        (None, _) => format!("since {}", age(line.created_at, now).trim_end_matches(" ago")),
    }
}

/// Whether a hold lasts until a person ends it, by a change of the settings, a test or a resume.
fn waits_for_a_person(hold: &Hold) -> bool {
    hold.cause == HoldCause::SwitchedOff
}

/// Why a delivery waits, and until when.
fn waits(line: &DeliveryLine, hold: &Hold, now: Timestamp) -> String {
    let until = if waits_for_a_person(hold) {
        let id = &line.integration;
        format!(
            "until the integration is resumed (`forgebell integrations resume {id}`), or its settings are corrected"
        )
    } else {
        format!("held until {} ({})", local(hold.until), age(hold.until, now))
    };
    format!(
        "{until}: {} (kind: {}, cause: {}, since: {}, strikes: {})",
        hold.reason,
        hold.key.kind(),
        hold.cause,
        local(hold.since),
        hold.strikes
    )
}

/// The number of attempts, and why another number of them is listed.
fn attempts(detail: &DeliveryDetail) -> String {
    let (counted, listed) = (detail.line.attempts, detail.attempts.len());
    if usize::try_from(counted) == Ok(listed) {
        return counted.to_string();
    }
    format!(
        "{counted} of at most `retry.attempts`; {listed} below: what ended without an attempt does not count (a wait \
         for a rate limit or for settings, a cancellation, an expiry), and a retry counts from 0"
    )
}

fn page(detail: &DeliveryDetail, with_event: bool, now: Timestamp) -> String {
    let line = &detail.line;
    let target = if line.target.is_empty() { "(the address's own)" } else { &line.target };
    let mut text =
        format!("delivery {}: {}, {}\n", line.id, line.state.name(), when(line, detail.hold.as_ref(), now));
    let facts = [
        ("event", format!("{} ({})", line.event, line.trigger.as_deref().unwrap_or("?"))),
        ("project", line.project.clone().unwrap_or_default()),
        ("subject", line.subject.clone()),
        ("integration", line.integration.to_string()),
        ("target", target.to_owned()),
        ("destination", line.destination.clone()),
        ("written", local(line.created_at)),
        ("attempts", attempts(detail)),
    ];
    for (name, value) in facts {
        let _ = writeln!(text, "  {name:<12} {}", printable(&value));
    }
    if let Some(hold) = &detail.hold {
        let _ = writeln!(text, "  {:<12} {}", "waits", printable(&waits(line, hold, now)));
    } else if let Some(due) = line.due.filter(|due| *due > now) {
        let _ = writeln!(text, "  {:<12} until {} ({})", "waits", local(due), age(due, now));
    }
    text.push('\n');
    for (number, attempt) in &detail.attempts {
        let status = attempt.status.map(|status| format!(", answered {status}")).unwrap_or_default();
        let latency =
            if attempt.latency_ms > 0 { format!(", {} ms", attempt.latency_ms) } else { String::new() };
        let _ = writeln!(
            text,
            "  {number}. {} ({}): {}{status}{latency}",
            local(attempt.at),
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
        let json = detail.raw.as_deref().map_or_else(|| JSON_GONE.to_owned(), pretty);
        let _ = write!(text, "\n{json}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::integration::IntegrationId;
    use crate::store::{HoldCause, HoldKey, StoredAttempt};

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
            project: Some("acme/rocket".to_owned()),
            project_id: Some(42),
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
            raw: Some(br#"{"object_kind":"push"}"#.as_slice().into()),
            hold: Some(hold),
        }
    }

    #[test]
    fn a_list_is_a_table_with_ages() {
        let lines = [line(), DeliveryLine { state: State::Delivered, settled_at: Some(at(-5)), ..line() }];
        let table = table(&lines, &HoldSet::default(), at(0));
        assert!(table.contains("due in 30 s"), "{table}");
        assert!(table.contains("5 s ago"), "{table}");
        assert!(!table.contains('\u{1b}'), "{table}");
        assert_eq!(super::table(&[], &HoldSet::default(), at(0)), "no deliveries");
    }

    #[test]
    fn a_delivery_to_a_switched_off_address_has_no_date_but_the_command_that_resumes_it() {
        let line = line();
        let key = HoldKey::Address {
            integration: line.integration.clone(),
            destination: line.destination.as_str().into(),
        };
        let off = |hold: Hold| Hold {
            key: key.clone(),
            cause: HoldCause::SwitchedOff,
            until: Timestamp::MAX,
            ..hold
        };
        let detail = detail();
        let detail = DeliveryDetail { hold: detail.hold.clone().map(off), ..detail };
        let page = page(&detail, false, at(0));
        assert!(page.starts_with("delivery 7: waiting, until resumed\n"), "{page}");
        let waits =
            "until the integration is resumed (`forgebell integrations resume acme/rocket:slack`), or";
        assert!(page.contains(waits), "{page}");
        assert!(!page.contains("9999") && !page.contains("in 30 s"), "{page}");
        let holds: HoldSet = detail.hold.into_iter().collect();
        let list = table(&[line], &holds, at(0));
        assert!(list.contains("until resumed") && !list.contains("due in"), "{list}");
    }

    #[test]
    fn a_page_explains_why_there_are_more_records_than_attempts() {
        let page = page(&detail(), false, at(0));
        let said = "attempts     2 of at most `retry.attempts`; 1 below: ";
        assert!(page.contains(said), "{page}");
        let mut same = detail();
        same.line.attempts = 1;
        assert!(super::page(&same, false, at(0)).contains("attempts     1\n"));
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

    #[test]
    fn json_has_the_same_keys_always() {
        let json = serde_json::to_value(resources::DeliveryDetail::from(&detail())).unwrap();
        assert_eq!(json["id"], 7);
        assert_eq!(json["attempt_records"][0]["status"], 429);
        assert_eq!(json["payload"]["object_kind"], "push");
        assert_eq!(json["settled_at"], Json::Null);
    }
}

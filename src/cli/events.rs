//! `events`: lists received events with their results, and shows one event.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{anyhow, bail};
use clap::builder::PossibleValuesParser;
use jiff::{SignedDuration, Timestamp};

use super::deliveries::{
    check_project, event_id, ids_of, integration_name, known_integration, moment, past_moment,
};
use super::options::Options;
use super::table::{Table, age, cut, local, printable};
use super::todays_settings::{Now, by_todays_settings};
use super::{complain, say, say_json, state};
use crate::api::resources;
use crate::config::Config;
use crate::daemon;
use crate::event::{EventId, KINDS};
use crate::integration::IntegrationId;
use crate::pipeline::reasons::named;
use crate::pipeline::then_and_now::{Decided, ThenAndNow, result};
use crate::preview::pretty;
use crate::store::{EventFilter, EventRecord, EventsOf, Store};

/// How many characters of a subject and of a reason a list shows.
const SUBJECT: usize = 30;
const REASON: usize = 80;
/// The most events that `explain` answers for at once.
const MOST: usize = 50;
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List events with what became of them, newest first
    List(ListArgs),
    /// Show one event: what each integration did with it, and what it would do now
    Show(ShowArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "For example:\n  \
    forgebell events list --project acme/rocket --since 14:00 --until 14:10\n  \
    forgebell events list --integration acme/rocket:slack --since 2026-11-24 --not-told")]
pub(super) struct ListArgs {
    /// Only events of this kind
    #[arg(long, value_parser = PossibleValuesParser::new(KINDS))]
    kind: Option<String>,
    /// Only events of this project, or of this group and all that lies in it, by its full path
    #[arg(long, value_name = "PATH")]
    project: Option<String>,
    /// Only events that concerned this integration, with what it did: `acme/rocket:slack`; of a group or the instance
    /// (`groups/acme:slack`), with those that inherit its settings
    #[arg(long, value_name = "ID", value_parser = integration_name)]
    integration: Option<IntegrationId>,
    /// Only events that led to deliveries; with `--integration`, to deliveries of it
    #[arg(long, conflicts_with = "not_told")]
    told: bool,
    /// Only events that led to no delivery; with `--integration`, to none of it
    #[arg(long)]
    not_told: bool,
    /// Only those that came since then: `14:03`, `2026-11-30`, `2026-11-30 14:03` (in this machine's time zone), or
    /// `2h` ago
    #[arg(long, value_name = "TIME", value_parser = past_moment)]
    since: Option<Timestamp>,
    /// Only those that came before then
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Timestamp>,
    /// Only those that came before the event with this id: the next page
    #[arg(long, value_name = "ID", value_parser = event_id)]
    before: Option<EventId>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    /// The event's id, as `events list` and the log show it
    #[arg(value_name = "ID", value_parser = event_id)]
    id: EventId,
    /// Show the event's JSON too
    #[arg(long)]
    event: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(command: Command, options: &Options) -> anyhow::Result<ExitCode> {
    // The comparison with current settings needs the whole configuration. A list needs only the integrations' names.
    let config = match &command {
        Command::List(ListArgs { integration: None, project: None, .. }) => options.config_for(&["store"])?,
        // The key is needed to read integrations from the store. A user who may not read the key still sees the events.
        Command::List(_) => {
            options.config_for(&["store", "secrets"]).or_else(|_| options.config_for(&["store"]))?
        }
        Command::Show(_) => options.config()?,
    };
    let store = state::open(&config.store).await?;
    let now = daemon::now();
    match command {
        Command::List(args) => list(&*store, &config, args, now).await,
        Command::Show(args) => show(&*store, &config, &args, now).await,
    }
}

impl ListArgs {
    /// The filter of a list. `integrations` are all ids of the named integration.
    fn filter(&self, integrations: Vec<IntegrationId>) -> EventFilter {
        let of = self.project.clone().map_or(EventsOf::All, EventsOf::Within);
        EventFilter {
            kind: self.kind.clone(),
            of,
            integrations,
            is_told: self.told.then_some(true).or(self.not_told.then_some(false)),
            since: self.since,
            until: self.until,
            before: self.before.clone(),
            limit: self.limit,
        }
    }
}

async fn list(
    store: &dyn Store,
    config: &Config,
    args: ListArgs,
    now: Timestamp,
) -> anyhow::Result<ExitCode> {
    let filter = args.filter(ids_of(config, args.integration.as_ref(), now).await);
    let records = store.events(filter.clone()).await?;
    if records.is_empty() {
        check_names(store, config, &args, now).await?;
    }
    if args.json {
        say_json(&records.iter().map(resources::LoggedEvent::from).collect::<Vec<_>>())?;
    } else {
        say(&table(&records, &filter.integrations, now))?;
    }
    say_what_is_gone(config, &args, now);
    Ok(ExitCode::SUCCESS)
}

/// Refuses unknown names. It is called if nothing was found.
async fn check_names(
    store: &dyn Store,
    config: &Config,
    args: &ListArgs,
    now: Timestamp,
) -> anyhow::Result<()> {
    if let Some(before) = &args.before
        && store.event(before).await?.is_none()
    {
        bail!("there is no event with the id `{before}`");
    }
    if let Some(path) = &args.project {
        check_project(store, config, path, now).await?;
    }
    let Some(id) = &args.integration else { return Ok(()) };
    let (snapshot, _) = state::view(config, now).await?;
    let of_it = EventFilter { integrations: snapshot.ids_of(id), limit: 1, ..EventFilter::default() };
    if store.events(of_it).await?.is_empty() {
        known_integration(&snapshot, id)?;
    }
    Ok(())
}

/// Notes on standard error that a list goes back further than the log.
fn say_what_is_gone(config: &Config, args: &ListArgs, now: Timestamp) {
    let kept_since = now.checked_sub(config.store.retention_settled).unwrap_or(Timestamp::MIN);
    if args.since.is_some_and(|since| since < kept_since) {
        complain(&format!(
            "note: events are kept for {} h (store.retention_settled): an older one may have come and be gone",
            config.store.retention_settled.as_secs() / 3600
        ));
    }
}

/// The table of a list. If an integration is named, by all of its ids, its result is shown instead of the event's.
fn table(records: &[EventRecord], integrations: &[IntegrationId], now: Timestamp) -> String {
    if records.is_empty() {
        return "no events\n".to_owned();
    }
    let what = if integrations.is_empty() { "RESULT" } else { "WHAT IT DID" };
    let mut table = Table::new(["CAME", "EVENT", "KIND", "PROJECT", "SUBJECT", "BY", what]);
    for record in records {
        let result =
            if integrations.is_empty() { result(record) } else { cut(&of_one(record, integrations), REASON) };
        table.row([
            age(record.received_at, now),
            record.id.to_string(),
            record.kind.clone(),
            record.project.clone().unwrap_or_default(),
            cut(&record.subject, SUBJECT),
            record.source.clone().unwrap_or_default(),
            result,
        ]);
    }
    table.to_string()
}

/// What one integration did with an event.
fn of_one(record: &EventRecord, ids: &[IntegrationId]) -> String {
    let told = record.told.iter().filter(|told| ids.contains(&told.integration));
    let told: Vec<_> = told.map(|told| format!("{} ({})", told.state.name(), named(&told.target))).collect();
    if !told.is_empty() {
        return told.join(", ");
    }
    let not = record.not_told.iter().find(|not| ids.contains(&not.integration));
    not.map(|not| not.why.clone()).unwrap_or_default()
}

/// The events that `explain` is called for.
pub(super) struct Asked {
    pub(super) event: Option<EventId>,
    /// The minute in which they came.
    pub(super) at: Option<Timestamp>,
    pub(super) project: Option<String>,
}

/// `explain` for events in the log, oldest first: what each integration did, and what it would do now.
pub(super) async fn explain(
    config: &Config,
    asked: Asked,
    json: bool,
    now: Timestamp,
) -> anyhow::Result<ExitCode> {
    let store = state::open(&config.store).await?;
    let mut ids: Vec<EventId> = asked.event.into_iter().collect();
    if let Some(at) = asked.at {
        let of = asked.project.clone().map_or(EventsOf::All, EventsOf::Within);
        let until = Some(at.saturating_add(MINUTE)?);
        let filter = EventFilter { of, since: Some(at), until, limit: MOST, ..EventFilter::default() };
        let came = store.events(filter).await?;
        if came.is_empty() {
            if let Some(path) = &asked.project {
                check_project(&*store, config, path, now).await?;
            }
            bail!("no event came in the minute from {}: `forgebell events list` shows what came", local(at));
        }
        ids.extend(came.into_iter().rev().map(|record| record.id));
    }
    let mut explained = Vec::new();
    for id in &ids {
        let (record, raw) = store.event(id).await?.ok_or_else(|| unknown(id))?;
        let today = by_todays_settings(&*store, config, &record, raw.clone(), now).await?;
        if json {
            explained.push(resources::LoggedEventDetail::new(&record, raw.as_deref(), today.compared()));
        } else {
            say(&page(&record, &today, now))?;
        }
    }
    if json {
        say_json(&explained)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn unknown(id: &EventId) -> anyhow::Error {
    anyhow!(
        "there is no event with the id `{id}`: `forgebell events list` shows what came; messages that are no events are in \
         `forgebell quarantine list`"
    )
}

async fn show(
    store: &dyn Store,
    config: &Config,
    args: &ShowArgs,
    now: Timestamp,
) -> anyhow::Result<ExitCode> {
    let (record, raw) = store.event(&args.id).await?.ok_or_else(|| unknown(&args.id))?;
    let today = by_todays_settings(store, config, &record, raw.clone(), now).await?;
    if args.json {
        say_json(&resources::LoggedEventDetail::new(&record, raw.as_deref(), today.compared()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = page(&record, &today, now);
    if let (true, Some(raw)) = (args.event, &raw) {
        let _ = write!(text, "\n{}\n", pretty(raw));
    }
    say(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn page(record: &EventRecord, today: &Now, now: Timestamp) -> String {
    let came = record.received_at;
    let by = record.source.as_deref().map(|source| format!(" by {source}")).unwrap_or_default();
    let mut text = format!("event {}: {}\n", printable(record.id.as_str()), result(record));
    let facts = [
        ("kind", record.kind.clone()),
        ("project", record.project.clone().unwrap_or_default()),
        ("subject", record.subject.clone()),
        ("came", format!("{} ({}){by}", local(came), age(came, now))),
    ];
    for (name, value) in facts {
        let _ = writeln!(text, "  {name:<12} {}", printable(&value));
    }
    text.push('\n');
    text.push_str(&comparison(record, today));
    text
}

/// What each integration did, and what it would do now if that differs.
pub(super) fn comparison(record: &EventRecord, today: &Now) -> String {
    let mut text = String::new();
    if !record.is_complete() {
        text.push_str("  why integrations were not told was not kept\n");
    }
    let both = match today {
        Now::Compared(both) => both.clone(),
        Now::Unknown(_) => of_then(record),
    };
    if both.is_empty() {
        text.push_str("  no integration was concerned, and none is now\n");
    } else {
        let mut table = Table::new(["INTEGRATION", "THEN", "NOW"]);
        for one in &both {
            table.row([one.integration.to_string(), then_words(record, one), now_words(one, today)]);
        }
        for line in table.to_string().lines() {
            let _ = writeln!(text, "  {line}");
        }
    }
    let said = match today {
        Now::Unknown(why) => printable(why),
        Now::Compared(both) => difference(both),
    };
    let _ = writeln!(text, "  {said}");
    text
}

fn difference(both: &[ThenAndNow]) -> String {
    let different = both.iter().filter(|one| one.is_different()).count();
    match (different, both.len()) {
        (0, _) => "the same would become of it now".to_owned(),
        (count, 1) => format!("{count} of 1 integration would do something else now"),
        (count, all) => format!("{count} of {all} integrations would do something else now"),
    }
}

fn of_then(record: &EventRecord) -> Vec<ThenAndNow> {
    crate::pipeline::then_and_now::compare(record, &[])
}

fn then_words(record: &EventRecord, one: &ThenAndNow) -> String {
    match &one.then {
        Some(Decided::Tells(_)) => {
            let told = record.told.iter().filter(|told| told.integration == one.integration);
            let words = |told: &crate::store::Told| {
                format!("{} ({}, delivery {})", told.state.name(), named(&told.target), told.delivery)
            };
            told.map(words).collect::<Vec<_>>().join(", ")
        }
        Some(Decided::Not(why)) => why.clone(),
        None if record.is_complete() => "not concerned".to_owned(),
        None => "not kept".to_owned(),
    }
}

fn now_words(one: &ThenAndNow, today: &Now) -> String {
    match (today, &one.now) {
        (Now::Unknown(_), _) => "?".to_owned(),
        (Now::Compared(_), _) if !one.is_different() => "the same".to_owned(),
        (Now::Compared(_), Some(decided)) => decided.words(),
        (Now::Compared(_), None) => "not concerned".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{DeliveryId, NotTold, State, Told};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_770_000_000 + second).unwrap()
    }

    fn record() -> EventRecord {
        let slack = IntegrationId::new("acme/rocket:slack");
        EventRecord {
            id: EventId::new("e-1").unwrap(),
            kind: "push".to_owned(),
            trigger: Some("push".to_owned()),
            project_id: Some(42),
            project: Some("acme/rocket".to_owned()),
            subject: "ref:refs/heads/\u{1b}[31mred".to_owned(),
            source: Some("http".to_owned()),
            occurred_at: at(0),
            received_at: at(0),
            told: vec![Told {
                integration: slack,
                target: "#ops".to_owned(),
                delivery: DeliveryId(17),
                state: State::Failed,
            }],
            not_told: vec![NotTold {
                integration: IntegrationId::new("acme/rocket:irker"),
                why: "push_events is off".to_owned(),
            }],
        }
    }

    fn both(integration: &str, then: Decided, now: Option<Decided>) -> ThenAndNow {
        ThenAndNow { integration: IntegrationId::new(integration), then: Some(then), now }
    }

    #[test]
    fn a_page_has_both_verdicts_and_counts_the_differences() {
        let tells = Decided::Tells(vec!["#ops".to_owned()]);
        let off = Decided::Not("push_events is off".to_owned());
        let today = Now::Compared(vec![
            both("acme/rocket:irker", off, Some(tells.clone())),
            both("acme/rocket:slack", tells.clone(), Some(tells)),
        ]);
        let expected = "\
event e-1: 1 failed
  kind         push
  project      acme/rocket
  subject      ref:refs/heads/[31mred
  came         2026-02-02T02:40:00Z (60 s ago) by http

  INTEGRATION        THEN                        NOW
  acme/rocket:irker  push_events is off          told #ops
  acme/rocket:slack  failed (#ops, delivery 17)  the same
  1 of 2 integrations would do something else now
";
        assert_eq!(page(&record(), &today, at(60)), expected);
    }

    #[test]
    fn without_the_events_json_the_answer_of_now_is_not_made_up() {
        let unknown = Now::Unknown("its JSON is not kept".to_owned());
        let text = page(&record(), &unknown, at(60));
        assert!(
            text.contains("push_events is off          ?") && text.contains("its JSON is not kept"),
            "{text}"
        );
        let before = EventRecord { source: None, not_told: Vec::new(), told: Vec::new(), ..record() };
        let text = page(&before, &unknown, at(60));
        assert!(text.contains("why integrations were not told was not kept"), "{text}");
    }

    #[test]
    fn a_list_of_an_integrations_events_says_what_it_did() {
        let record = record();
        let all = table(std::slice::from_ref(&record), &[], at(60));
        assert!(all.contains("RESULT") && all.contains("1 failed"), "{all}");
        let irker = [IntegrationId::new("42:irker"), IntegrationId::new("acme/rocket:irker")];
        let of_one = table(std::slice::from_ref(&record), &irker, at(60));
        assert!(of_one.contains("WHAT IT DID") && of_one.contains("push_events is off"), "{of_one}");
        assert!(!of_one.contains('\u{1b}'), "{of_one}");
    }
}

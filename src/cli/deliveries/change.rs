//! `deliveries retry` and `deliveries cancel`.

use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use jiff::Timestamp;

use super::filter::{FilterArgs, check_names, ids_of};
use super::state_of;
use crate::api::resources::Step;
use crate::cli::{command_audit, say, say_json};
use crate::config::Config;
use crate::pipeline::holds::HoldSet;
use crate::store::{
    Cancel, DeliveryDetail, DeliveryFilter, DeliveryId, JSON_GONE, REPLACED, Resend, State, Store,
};

/// Rows per query when all rows are needed.
const PAGE: usize = 500;
/// The options that select deliveries, in place of their ids.
const SELECTING: [&str; 6] = ["all", "integration", "project", "since", "until", "state"];

/// The deliveries that a change is about, as far as both changes name them alike.
#[derive(Debug, Default, clap::Args)]
pub(in crate::cli) struct Selected {
    /// The deliveries' ids
    #[arg(
        value_name = "NUMBER",
        required_unless_present_any = SELECTING,
        conflicts_with_all = SELECTING
    )]
    ids: Vec<i64>,
    #[command(flatten)]
    of: FilterArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(
    override_usage = "forgebell deliveries retry [OPTIONS] <NUMBER>...\n       \
    forgebell deliveries retry [OPTIONS] <--all-failed|--state|--integration|--project|--since|--until>...",
    after_help = "Options that select deliveries can be combined. Without --state, those that failed are meant.\n\n\
    For example:\n  \
    forgebell deliveries retry 17\n  \
    forgebell deliveries retry --since 12:00 --integration acme/rocket:slack\n  \
    forgebell deliveries retry --state expired --project acme"
)]
pub(in crate::cli) struct RetryArgs {
    /// All that failed, as far as the other options permit
    #[arg(id = "all", long = "all-failed")]
    all: bool,
    /// Those in this state, instead of those that failed
    #[arg(long, value_parser = ended_states(), conflicts_with = "all")]
    state: Option<String>,
    #[command(flatten)]
    selected: Selected,
}

#[derive(Debug, clap::Args)]
#[command(
    override_usage = "forgebell deliveries cancel [OPTIONS] <NUMBER>...\n       \
    forgebell deliveries cancel [OPTIONS] <--all-waiting|--state|--integration|--project|--since|--until>...",
    after_help = "Options that select deliveries can be combined. Without --state, those that wait are meant.\n\n\
    For example:\n  \
    forgebell deliveries cancel 17\n  \
    forgebell deliveries cancel --integration acme/rocket:slack --until 2h\n  \
    forgebell deliveries cancel --state failed"
)]
pub(in crate::cli) struct CancelArgs {
    /// All that wait, as far as the other options permit
    #[arg(id = "all", long = "all-waiting")]
    all: bool,
    /// Dead letters in this state, instead of those that wait. They are not counted any more then
    #[arg(long, value_parser = dead_states(), conflicts_with = "all")]
    state: Option<String>,
    #[command(flatten)]
    selected: Selected,
}

fn ended_states() -> PossibleValuesParser {
    PossibleValuesParser::new(
        State::ALL.into_iter().filter(|state| *state != State::Waiting).map(State::name),
    )
}

fn dead_states() -> PossibleValuesParser {
    PossibleValuesParser::new([State::Failed, State::Expired].map(State::name))
}

/// Ends the holds that delay a delivery, except those that the service asked for.
async fn end_holds(store: &dyn Store, id: DeliveryId, now: Timestamp) -> anyhow::Result<()> {
    let Some(DeliveryDetail { line, .. }) = store.delivery(id).await? else { return Ok(()) };
    let holds: HoldSet = store.holds(now).await?.into_iter().collect();
    let disproved = holds.disproved(&line.integration, &line.target, &line.destination);
    Ok(store.end_holds(&disproved, now).await?)
}

pub(super) async fn retry(
    store: &dyn Store,
    config: &Config,
    args: RetryArgs,
    now: Timestamp,
) -> anyhow::Result<ExitCode> {
    let RetryArgs { all, state, selected } = args;
    let all = all || state.is_some();
    let state = state.as_deref().map_or(Some(State::Failed), state_of);
    let ids = selected.ids(store, config, all, state, now).await?;
    let mut steps = Steps { json: selected.json, results: Vec::new() };
    for id in &ids {
        let note = command_audit::entry("delivery.retry", format!("delivery {id}"), &[], now);
        let resend = store.resend(*id, note).await?;
        let result = match resend {
            Resend::Done => {
                end_holds(store, *id, now).await?;
                "due again"
            }
            Resend::JsonGone => JSON_GONE,
            Resend::NotSettled => match store.delivery(*id).await? {
                None => "there is no such delivery",
                Some(detail) if detail.line.state == State::Waiting => "still on its way",
                Some(_) => REPLACED,
            },
        };
        steps.add(*id, resend.is_done(), result)?;
    }
    steps.end("no such delivery failed: there is nothing to send again")
}

pub(super) async fn cancel(
    store: &dyn Store,
    config: &Config,
    args: CancelArgs,
    now: Timestamp,
) -> anyhow::Result<ExitCode> {
    let CancelArgs { all, state, selected } = args;
    let all = all || state.is_some();
    let state = state.as_deref().map_or(Some(State::Waiting), state_of);
    let ids = selected.ids(store, config, all, state, now).await?;
    let mut steps = Steps { json: selected.json, results: Vec::new() };
    for id in &ids {
        let note = command_audit::entry("delivery.cancel", format!("delivery {id}"), &[], now);
        let (done, result) = match store.cancel(*id, note).await? {
            Cancel::Done => (true, "cancelled"),
            Cancel::UnderWay => (false, "is being sent now; try again if it fails"),
            Cancel::NotWaiting if store.delivery(*id).await?.is_none() => {
                (false, "there is no such delivery")
            }
            Cancel::NotWaiting => (false, "has ended already"),
        };
        steps.add(*id, done, result)?;
    }
    steps.end("there is no such delivery to cancel")
}

impl Selected {
    /// The named ids or, with `all` or a filter, all deliveries in this state that pass the filter. They are collected
    /// before the first change, so that a delivery that fails again is not sent twice.
    async fn ids(
        &self,
        store: &dyn Store,
        config: &Config,
        all: bool,
        state: Option<State>,
        now: Timestamp,
    ) -> anyhow::Result<Vec<DeliveryId>> {
        if !(all || self.of.is_set()) {
            return Ok(self.ids.iter().copied().map(DeliveryId).collect());
        }
        let named = self.of.integration.as_ref();
        let filter = self.of.filter(state, ids_of(config, named, now).await);
        let mut ids: Vec<DeliveryId> = Vec::new();
        loop {
            let before = ids.last().copied();
            let of_page = DeliveryFilter { before, limit: PAGE, ..filter.clone() };
            let page = store.deliveries(of_page).await?;
            ids.extend(page.iter().map(|line| line.id));
            if page.len() < PAGE {
                break;
            }
        }
        if ids.is_empty() {
            check_names(store, config, &filter, named, now).await?;
        }
        ids.reverse(); // oldest first, as their events came
        Ok(ids)
    }
}

/// The results for one delivery after another.
struct Steps {
    json: bool,
    results: Vec<Step>,
}

impl Steps {
    fn add(&mut self, id: DeliveryId, done: bool, result: &str) -> anyhow::Result<()> {
        if !self.json {
            say(&format!("{id}: {result}"))?;
        }
        self.results.push(Step { id: id.0, done, result: result.to_owned() });
        Ok(())
    }

    /// The exit code: success if every step succeeded. Prints `nothing` if there was nothing to do.
    fn end(self, nothing: &str) -> anyhow::Result<ExitCode> {
        if self.json {
            say_json(&self.results)?;
        } else if self.results.is_empty() {
            say(nothing)?;
        }
        Ok(if self.results.iter().all(|step| step.done) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use clap::Parser as _;

    use super::*;
    use crate::config::Sources;
    use crate::event::{Trigger, sample};
    use crate::integration::IntegrationId;
    use crate::store::seal::Keyring;
    use crate::store::sqlite::Sqlite;
    use crate::store::{
        AttemptRecord, Dispatched, Hold, HoldCause, HoldKey, Lane, Ledger as _, NewDelivery, NewState,
        NodeId, Origin, Outbox as _, Remembered, Settled,
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_770_000_000 + second).unwrap()
    }

    #[derive(clap::Parser)]
    struct Line<A: clap::Args> {
        #[command(flatten)]
        args: A,
    }

    #[test]
    fn deliveries_are_selected_by_their_ids_or_by_options_and_not_by_both() {
        fn is_valid<A: clap::Args>(line: &str) -> bool {
            Line::<A>::try_parse_from(["x"].into_iter().chain(line.split_whitespace())).is_ok()
        }
        for valid in ["17", "17 18 --json", "--state failed --project acme", "--since 2h"] {
            assert!(is_valid::<RetryArgs>(valid) && is_valid::<CancelArgs>(valid), "{valid}");
        }
        for wrong in ["", "--json", "17 --state failed", "17 --project acme", "17 --until 2h"] {
            assert!(!is_valid::<RetryArgs>(wrong) && !is_valid::<CancelArgs>(wrong), "{wrong}");
        }
        assert!(is_valid::<RetryArgs>("--all-failed") && is_valid::<CancelArgs>("--all-waiting"));
        for more in ["17", "--state failed"] {
            assert!(!is_valid::<RetryArgs>(&format!("--all-failed {more}")), "{more}");
            assert!(!is_valid::<CancelArgs>(&format!("--all-waiting {more}")), "{more}");
        }
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
            share: hook.clone(),
            lane: Lane(1),
            replaces: false,
            lease: None,
        };
        let origin = Origin::Broker { digest: None, redelivered: false };
        let event = Arc::new(sample(Trigger::Push));
        let batch =
            vec![Dispatched { event, origin, deliveries: vec![delivery], remembered: Remembered::default() }];
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

        let since = |since| {
            let of = FilterArgs { since: Some(since), ..FilterArgs::default() };
            let selected = Selected { of, ..Selected::default() };
            RetryArgs { all: false, state: None, selected }
        };
        let config = Config::load(Sources::for_tests(&[])).unwrap();
        retry(&store, &config, since(at(1)), at(1)).await.unwrap();
        assert_eq!(store.delivery(id).await.unwrap().unwrap().line.state, State::Failed, "it ended earlier");
        retry(&store, &config, since(at(0)), at(1)).await.unwrap();
        assert_eq!(store.delivery(id).await.unwrap().unwrap().line.state, State::Waiting);
        let left = store.holds(at(1)).await.unwrap();
        let left: Vec<_> = left.iter().map(|hold| (hold.key.kind(), hold.cause)).collect();
        assert_eq!(left, [("destination", HoldCause::Throttled), ("route", HoldCause::Misconfigured)]);
    }
}

//! `apply`: changes the store to match provisioning files, as the API would. Integrations that the files do not name stay,
//! unless `--prune` removes them.

mod plan;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{anyhow, bail};
use clap::ValueHint;
use jiff::Timestamp;

use super::options::Options;
use super::{command_audit, complain, say, state};
use crate::catalog::{
    Actor, CachedCatalog, Change, ChangeError, ConfiguredAt, InvalidChange, Snapshot, UrlPolicy,
};
use crate::daemon;
use crate::provision::{self, Provisioned};
use crate::store::Outbox;
use plan::{Deed, Step, plan};

#[derive(Debug, clap::Args)]
#[command(after_help = "For example:\n  \
    forgebell apply integrations.toml --dry-run\n  \
    forgebell apply integrations.d --prune\n\n\
    A running daemon takes the changes into account within seconds. Files in `provision.files` need not be applied: the \
    daemon reads them itself, and the API can't change their integrations.")]
pub(super) struct Args {
    /// Provisioning files, or folders of them
    #[arg(required = true, value_name = "FILE", value_hint = ValueHint::AnyPath)]
    files: Vec<PathBuf>,
    /// Show the changes without making them
    #[arg(long)]
    dry_run: bool,
    /// Remove active integrations that the files do not name: they inherit the default that the files set above them, or
    /// are switched off where there is none. Integrations that are switched off stay so
    #[arg(long)]
    prune: bool,
}

pub(super) async fn run(args: Args, options: &Options) -> anyhow::Result<ExitCode> {
    let config = options.config_for(&["store", "secrets"])?;
    let wanted = read(args.files, &daemon::url_policy(&config))?;
    if !args.dry_run {
        state::make_key(&config);
    }
    let catalog = state::catalog(&config).await?;
    let steps = catalog.read(|state| plan(&wanted, state, args.prune))?;
    for step in &steps {
        say(step.words.trim_end())?;
    }
    if args.dry_run {
        say(&format!(
            "{} would change{}",
            counted(&steps),
            if steps.is_empty() { "" } else { "; nothing was changed" }
        ))?;
        return Ok(ExitCode::SUCCESS);
    }
    for step in &steps {
        carry_out(&catalog, step).await?;
    }
    let store = state::open(&config.store).await?;
    let ended = end_holds(&*store as &dyn Outbox, &catalog, &wanted, daemon::now()).await?;
    if ended > 0 {
        say(&format!("{ended} holds ended: what waits because of these settings is tried again"))?;
    }
    say(&format!("{} changed", counted(&steps)))?;
    Ok(ExitCode::SUCCESS)
}

fn read(files: Vec<PathBuf>, url_policy: &UrlPolicy<'_>) -> anyhow::Result<Provisioned> {
    match provision::load(&provision::Config { files }, url_policy) {
        Ok(wanted) => {
            let unusable = wanted.integrations.iter().filter_map(|placed| {
                let errors = placed.configured.unusable()?.iter().map(ToString::to_string);
                let errors = errors.collect::<Vec<_>>().join("; ");
                Some(format!("{} of {}: {errors}", placed.configured.slug(), placed.scope))
            });
            let unusable: Vec<_> = unusable.collect();
            if !unusable.is_empty() {
                bail!("the files are not valid, and nothing was changed:\n{}", unusable.join("\n"));
            }
            wanted.warnings.iter().for_each(|warning| complain(&format!("warning: {warning}")));
            Ok(wanted)
        }
        Err(problems) => {
            let list: Vec<_> = problems.iter().map(ToString::to_string).collect();
            bail!("the files are not valid, and nothing was changed:\n{}", list.join("\n"))
        }
    }
}

/// `1 project, 2 integrations`, or `nothing`.
fn counted(steps: &[Step]) -> String {
    let counts = ["project", "group", "integration"].into_iter().filter_map(|kind| {
        match steps.iter().filter(|step| step.deed.kind() == kind).count() {
            0 => None,
            1 => Some(format!("1 {kind}")),
            count => Some(format!("{count} {kind}s")),
        }
    });
    let counts: Vec<_> = counts.collect();
    if counts.is_empty() { "nothing".to_owned() } else { counts.join(", ") }
}

/// Ends the holds that the files' integrations led to, as a save by the API does. Holds end even if the settings are
/// unchanged, because a person confirmed the settings. Returns the number of ended holds.
async fn end_holds(
    store: &dyn Outbox,
    catalog: &CachedCatalog,
    wanted: &Provisioned,
    now: Timestamp,
) -> anyhow::Result<usize> {
    let id = |snapshot: &Snapshot, placed: &ConfiguredAt| {
        let scope = snapshot.directory().resolve(&placed.scope);
        snapshot.id_at(&scope, placed.configured.slug())
    };
    let saved: Vec<_> = catalog
        .read(|snapshot| wanted.integrations.iter().map(|placed| (id(snapshot, placed), None)).collect());
    Ok(store.end_outdated_holds(&saved, now).await?)
}

async fn carry_out(catalog: &CachedCatalog, step: &Step) -> anyhow::Result<()> {
    let actor = Actor(command_audit::COMMAND_LINE.to_owned());
    let now = daemon::now();
    match &step.deed {
        Deed::Project(project) => {
            catalog.correct(project.clone(), &actor, now).await?;
        }
        Deed::Group { path, id } => {
            catalog.put_group(*id, path, &actor, now).await?;
        }
        Deed::Integration { scope, entry, next } => {
            let resolved = catalog.read(|state| state.directory().resolve(scope));
            let change = Change { scope: &resolved, entry, unless_changed_since: None, actor: &actor, now };
            let slug = entry.about.slug;
            let refused = |refusal: ChangeError| anyhow!("{slug} of {scope}: {}", reason(&refusal));
            catalog.replace(change, next).await.map_err(refused)?;
        }
    }
    Ok(())
}

/// Why a change was refused, with all errors in the settings.
fn reason(refusal: &ChangeError) -> String {
    match refusal {
        ChangeError::Invalid(InvalidChange::Settings(errors)) => {
            errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::catalog::{Catalog as _, Configured};
    use crate::integration::IntegrationId;
    use crate::store::seal::Keyring;
    use crate::store::sqlite::Sqlite;
    use crate::store::{AttemptRecord, DeliveryId, Hold, HoldCause, HoldKey, NewState, NodeId, Settled};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    /// Slack of projects 42 and 43.
    fn wanted(projects: &[i64]) -> Provisioned {
        let blocks = projects.iter().map(|id| {
            format!(
                "[[integration]]\nproject = {id}\nadapter = \"slack\"\n\
                 webhook = \"https://hooks.slack.com/services/T0AAAAAAA/B0AAAAAAA/s3cret-s3cret\"\n"
            )
        });
        let files = [("integrations.toml".into(), blocks.collect::<String>())];
        provision::read(&files, &|_| unreachable!("no file is named")).expect("valid settings")
    }

    async fn apply(catalog: &CachedCatalog, wanted: &Provisioned) -> usize {
        let steps = catalog.read(|state| plan(wanted, state, false)).unwrap();
        for step in &steps {
            carry_out(catalog, step).await.unwrap();
        }
        steps.len()
    }

    /// Files with these blocks of trackers of project 42.
    fn trackers(blocks: &[(&str, &str)]) -> Provisioned {
        let block = |(slug, more): &(&str, &str)| {
            format!(
                "[[integration]]\nproject = 42\nadapter = '{slug}'\nproject_url = 'https://t.example/p'\n\
                 issues_url = 'https://t.example/:id'\nnew_issue_url = 'https://t.example/new'\n{more}\n"
            )
        };
        let files = [("a.toml".into(), blocks.iter().map(block).collect::<String>())];
        provision::read(&files, &|_| unreachable!("no file is named")).expect("valid settings")
    }

    /// The trackers of project 42 that are active.
    fn active(catalog: &CachedCatalog) -> Vec<&'static str> {
        let is_active = |configured: &Configured| configured.is_active();
        catalog.read(|state| {
            let all = state.all_configured().into_iter().filter(|(_, configured)| is_active(configured));
            all.map(|(_, configured)| configured.slug()).collect()
        })
    }

    const OFF: &str = "active = false";

    #[tokio::test]
    async fn a_second_tracker_of_a_project_is_refused_unless_the_files_or_prune_take_the_first_away() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Sqlite::open(&folder.path().join("forgebell.db"), Keyring::none()).unwrap());
        let catalog = CachedCatalog::open(store).await.unwrap();
        apply(&catalog, &trackers(&[("redmine", "")])).await;
        let other = trackers(&[("bugzilla", "")]);
        let planned = |wanted: &Provisioned, prune| catalog.read(|state| plan(wanted, state, prune));
        let refused = planned(&other, false).unwrap_err().to_string();
        assert!(refused.starts_with("bugzilla of project 42: the project uses redmine"), "{refused}");
        assert_eq!(planned(&other, true).unwrap().len(), 2, "redmine is switched off");
        let both = trackers(&[("bugzilla", ""), ("redmine", OFF)]);
        assert_eq!(planned(&both, false).unwrap().len(), 2);
        assert_eq!(planned(&trackers(&[("bugzilla", OFF)]), false).unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_project_changes_its_tracker_in_one_run() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Sqlite::open(&folder.path().join("forgebell.db"), Keyring::none()).unwrap());
        let catalog = CachedCatalog::open(store).await.unwrap();
        apply(&catalog, &trackers(&[("redmine", "")])).await;
        apply(&catalog, &trackers(&[("bugzilla", ""), ("redmine", OFF)])).await;
        assert_eq!(active(&catalog), ["bugzilla"]);
        apply(&catalog, &trackers(&[("bugzilla", OFF), ("redmine", "")])).await;
        assert_eq!(active(&catalog), ["redmine"]);
    }

    #[tokio::test]
    async fn a_tracker_that_is_set_after_the_plan_was_made_stays_the_only_one() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Sqlite::open(&folder.path().join("forgebell.db"), Keyring::none()).unwrap());
        let catalog = CachedCatalog::open(store.clone()).await.unwrap();
        let steps = catalog.read(|state| plan(&trackers(&[("redmine", "")]), state, false)).unwrap();
        let beside = CachedCatalog::open(store).await.unwrap();
        apply(&beside, &trackers(&[("bugzilla", "")])).await;
        let refused = carry_out(&catalog, &steps[0]).await.unwrap_err().to_string();
        assert!(refused.contains("Another issue tracker is already in use"), "{refused}");
        assert_eq!(active(&catalog), ["bugzilla"]);
    }

    #[tokio::test]
    async fn unchanged_settings_end_the_holds_that_they_led_to() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Sqlite::open(&folder.path().join("forgebell.db"), Keyring::none()).unwrap());
        let catalog = CachedCatalog::open(store.clone()).await.unwrap();
        assert!(apply(&catalog, &wanted(&[42, 43])).await >= 2);

        let hold = |project: i64, target: &str, cause: HoldCause| {
            let integration = IntegrationId::new(format!("{project}:slack"));
            let fingerprint = catalog.integration(&integration).expect("it is configured").fingerprint;
            Hold {
                key: HoldKey::Route { integration: integration.clone(), target: target.into() },
                cause,
                reason: "answered 404".to_owned(),
                since: NOW,
                until: NOW + jiff::SignedDuration::from_hours(1),
                strikes: 1,
                made_under: Some((integration, fingerprint)),
            }
        };
        let misconfigured = hold(42, "#ops", HoldCause::Misconfigured);
        let kept = [hold(42, "#dev", HoldCause::Throttled), hold(43, "#ops", HoldCause::Misconfigured)];
        let settled = Settled {
            delivery: DeliveryId(-1),
            state: NewState::Delivered,
            attempts: 1,
            record: AttemptRecord {
                at: NOW,
                latency_ms: 1,
                outcome: "delivered",
                status: None,
                note: String::new(),
            },
            end: Vec::new(),
            begin: std::iter::once(misconfigured).chain(kept.clone()).collect(),
            watch: None,
            at: NOW,
        };
        store.settle(&NodeId("test".into()), vec![settled]).await.unwrap();

        let again = wanted(&[42]);
        assert_eq!(apply(&catalog, &again).await, 0, "nothing changes");
        assert_eq!(end_holds(&*store, &catalog, &again, NOW).await.unwrap(), 1);
        assert_eq!(store.holds(NOW).await.unwrap(), kept, "a throttle, and another integration's hold");
    }
}

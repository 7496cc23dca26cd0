//! `apply`: brings the store to what provisioning files say, as if somebody had told the API. What the API was told
//! beyond that stays, unless it is asked to go.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{anyhow, bail};
use clap::ValueHint;

use super::options::Options;
use super::table::printable;
use super::{complain, say, state};
use crate::catalog::{Change, Live, Origin, Place, Refusal, Snapshot, Who};
use crate::daemon;
use crate::integration::{ProjectRef, Scope};
use crate::provision::{self, Provisioned};
use crate::settings::Secret;
use crate::store::registry::Configuration;

#[derive(Debug, clap::Args)]
#[command(after_help = "For example:\n  \
    forgebell apply integrations.toml --dry-run\n  \
    forgebell apply integrations.d --prune\n\n\
    A running daemon takes the changes up within seconds. Files that `provision.files` names need not be applied: the \
    daemon reads them by itself, and the API can't change what they say.")]
pub(super) struct Args {
    /// Provisioning files, or folders of such
    #[arg(required = true, value_name = "FILE", value_hint = ValueHint::AnyPath)]
    files: Vec<PathBuf>,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Switch off what is active in the store and not in the files
    #[arg(long)]
    prune: bool,
}

pub(super) async fn run(args: Args, options: &Options) -> anyhow::Result<ExitCode> {
    let wanted = read(args.files)?;
    let catalog = state::catalog(&options.config()?).await?;
    let steps = catalog.read(|state| plan(&wanted, state, args.prune))?;
    for step in &steps {
        say(&step.words)?;
    }
    if args.dry_run {
        say(&format!("{} would change; nothing was changed", counted(&steps)))?;
        return Ok(ExitCode::SUCCESS);
    }
    carry_out(&catalog, &wanted, &steps).await?;
    say(&format!("{} changed", counted(&steps)))?;
    Ok(ExitCode::SUCCESS)
}

fn read(files: Vec<PathBuf>) -> anyhow::Result<Provisioned> {
    match provision::load(&provision::Config { files }) {
        Ok(wanted) => {
            wanted.warnings.iter().for_each(|warning| complain(&format!("warning: {warning}")));
            Ok(wanted)
        }
        Err(problems) => {
            let list: Vec<_> = problems.iter().map(ToString::to_string).collect();
            bail!("the files are not valid, and nothing was changed:\n{}", list.join("\n"))
        }
    }
}

fn counted(steps: &[Step]) -> String {
    match steps.len() {
        1 => "1 integration".to_owned(),
        count => format!("{count} integrations"),
    }
}

/// One integration that is not as it should be.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    scope: Scope,
    slug: &'static str,
    next: Configuration,
    /// What would change, for people: a heading, and a line for each setting.
    words: String,
}

/// What has to change. Pure.
fn plan(wanted: &Provisioned, present: &Snapshot, prune: bool) -> anyhow::Result<Vec<Step>> {
    let rows: BTreeMap<_, _> = present
        .setups()
        .into_iter()
        .filter(|(_, setup)| matches!(setup.origin, Origin::Stored { .. }))
        .map(|(scope, setup)| ((scope.key(), setup.slug()), (scope, &setup.configuration)))
        .collect();
    let mut named = BTreeSet::new();
    let mut steps = Vec::new();
    for placed in &wanted.integrations {
        let scope = numbered(&placed.scope, wanted, present)?;
        let slug = placed.setup.slug();
        let key = (scope.key(), slug);
        let before = rows.get(&key).map(|(_, configuration)| *configuration);
        let next = &placed.setup.configuration;
        if before != Some(next) {
            let words = words(&scope, slug, before, next);
            steps.push(Step { scope, slug, next: next.clone(), words });
        }
        named.insert(key);
    }
    if prune {
        for ((key, slug), (scope, before)) in &rows {
            if before.active && !named.contains(&(key.clone(), *slug)) {
                let next = Configuration { active: false, ..(*before).clone() };
                let words = words(scope, slug, Some(before), &next);
                steps.push(Step { scope: scope.clone(), slug, next, words });
            }
        }
    }
    Ok(steps)
}

/// A project by its number, which rows go by.
fn numbered(scope: &Scope, wanted: &Provisioned, present: &Snapshot) -> anyhow::Result<Scope> {
    let Scope::Project(ProjectRef::Path(path)) = scope else { return Ok(scope.clone()) };
    let told = wanted
        .numbers
        .iter()
        .find(|(_, told)| told.as_ref().is_some_and(|told| told.eq_ignore_ascii_case(path)));
    let known = || present.directory().project_by_path(path).map(|project| project.id);
    let id = told.map(|(id, _)| *id).or_else(known);
    id.map(|id| Scope::Project(ProjectRef::Id(id))).ok_or_else(|| {
        anyhow!(
            "nobody has told the number of project {path} yet: add [[project]] with path = \"{path}\" and its id, or \
             write project = NUMBER"
        )
    })
}

fn words(scope: &Scope, slug: &str, before: Option<&Configuration>, next: &Configuration) -> String {
    let sign = if before.is_some() { '~' } else { '+' };
    let mut text = format!("{sign} {slug} of {scope}\n");
    let nothing = Configuration::default();
    let before = before.unwrap_or(&nothing);
    let (was, will) = (shown(before), shown(next));
    let names: BTreeSet<_> = was.keys().chain(will.keys()).collect();
    for name in names {
        let of = |all: &BTreeMap<String, String>| all.get(name).map(|value| printable(value));
        let _ = match (of(&was), of(&will)) {
            (was, will) if was == will => {
                // Secrets look alike: whether they are is another question.
                let same = before.secrets.get(name.as_str()) == next.secrets.get(name.as_str());
                if same { Ok(()) } else { writeln!(text, "    {name}: another secret") }
            }
            (None, Some(will)) => writeln!(text, "    {name} = {will}"),
            (Some(was), None) => writeln!(text, "    {name}: {was}, will not be set"),
            (Some(was), Some(will)) => writeln!(text, "    {name}: {was} -> {will}"),
            (None, None) => Ok(()),
        };
    }
    text
}

/// Every setting with its value; of a secret, the mask.
fn shown(configuration: &Configuration) -> BTreeMap<String, String> {
    let settings = configuration.properties.iter().map(|(name, value)| (name.clone(), value.as_text()));
    let secrets = configuration.secrets.keys().map(|name| (name.clone(), Secret::MASK.to_owned()));
    let flags = configuration.flags.iter().map(|(name, on)| (name.clone(), on.to_string()));
    let switches = [("active", configuration.active), ("use_inherited_settings", configuration.inherits)];
    let switches = switches.into_iter().map(|(name, on)| (name.to_owned(), on.to_string()));
    settings.chain(secrets).chain(flags).chain(switches).collect()
}

async fn carry_out(catalog: &Live, wanted: &Provisioned, steps: &[Step]) -> anyhow::Result<()> {
    let who = Who("apply".to_owned());
    let now = daemon::now();
    for project in &wanted.projects {
        let known = catalog.read(|state| {
            let known = state.directory().project(project.id);
            known.is_some_and(|known| {
                known.corrected == project.corrected && (project.path.is_none() || known.path == project.path)
            })
        });
        if !known {
            catalog.correct(project.id, project.path.clone(), project.corrected.clone(), &who, now).await?;
        }
    }
    for (path, id) in &wanted.groups {
        let known = catalog.read(|state| state.directory().group_by_path(path).map(|group| group.id));
        if known != Some(*id) {
            catalog.put_group(*id, path, &who, now).await?;
        }
    }
    for step in steps {
        let Some(entry) = crate::adapters::find(step.slug) else { continue };
        let place =
            catalog.read(|state| state.place(&step.scope)).unwrap_or_else(|| Place::named(&step.scope));
        let change = Change { place: &place, entry, unless_changed_since: None, who: &who, now };
        catalog.replace(change, &step.next).await.map_err(|refusal| match refusal {
            Refusal::Provisioned(file) => {
                anyhow!("{} of {} is configured in {file}: change it there", step.slug, step.scope)
            }
            other => anyhow!("{} of {}: {other}", step.slug, step.scope),
        })?;
    }
    Ok(())
}

//! `apply`: changes the store to match provisioning files, as the API would. Integrations that the files do not name stay,
//! unless `--prune` removes them.

mod plan;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{anyhow, bail};
use clap::ValueHint;

use super::options::Options;
use super::{audit, complain, say, state};
use crate::catalog::{Actor, CachedCatalog, Change};
use crate::daemon;
use crate::provision::{self, Provisioned};
use crate::wire;
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
    let config = options.config()?;
    let wanted = read(args.files, &config.wire)?;
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
    say(&format!("{} changed", counted(&steps)))?;
    Ok(ExitCode::SUCCESS)
}

fn read(files: Vec<PathBuf>, wire: &wire::Config) -> anyhow::Result<Provisioned> {
    match provision::load(&provision::Config { files }, &|url| wire.blocks(url)) {
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

async fn carry_out(catalog: &CachedCatalog, step: &Step) -> anyhow::Result<()> {
    let actor = Actor(audit::COMMAND_LINE.to_owned());
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
            catalog.replace(change, next).await.map_err(|refusal| anyhow!("{slug} of {scope}: {refusal}"))?;
        }
    }
    Ok(())
}

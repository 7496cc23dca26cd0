//! `export`: writes the integrations that the API set as a provisioning file, with their secrets where asked for.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::ValueHint;

use super::options::Options;
use super::{complain, say, state};
use crate::provision::{self, Written};

/// The name of the file in the folder.
const FILE: &str = "integrations.toml";

#[derive(Debug, clap::Args)]
#[command(after_help = "For example:\n  \
    forgebell export > integrations.toml\n  \
    forgebell export --to backup --with-secrets\n  \
    forgebell apply backup/integrations.toml --dry-run\n\n\
    The file names each secret's own file (`webhook_file = \"secrets/42.slack.webhook\"`): put the secrets there, or have \
    them written with --with-secrets.")]
pub(super) struct Args {
    /// Write `integrations.toml` into this folder, instead of printing it
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    to: Option<PathBuf>,
    /// Write the secrets too, each to its own file that only this user may read
    #[arg(long, requires = "to")]
    with_secrets: bool,
}

pub(super) async fn run(args: Args, options: &Options) -> anyhow::Result<ExitCode> {
    let catalog = state::catalog(&options.config_for(&["store", "secrets"])?).await?;
    let written = catalog.read(provision::write);
    let Some(folder) = args.to else {
        say(&written.text)?;
        note_missing_secrets(&written);
        return Ok(ExitCode::SUCCESS);
    };
    private_folder(&folder)?;
    private_file(&folder.join(FILE), &written.text)?;
    if args.with_secrets {
        for (file, secret) in &written.secrets {
            let path = folder.join(file);
            private_folder(path.parent().unwrap_or(&folder))?;
            private_file(&path, secret.expose())?;
        }
    } else {
        note_missing_secrets(&written);
    }
    say(&format!("wrote {}", folder.join(FILE).display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Names the secrets that must be provided before the file can be applied.
fn note_missing_secrets(written: &Written) {
    for (file, _) in &written.secrets {
        complain(&format!("note: the file names {file}, which was not written: put the secret there"));
    }
}

fn private_folder(folder: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("cannot create the folder {}", folder.display()))
}

/// Writes a file that only this user may read. An existing file is never overwritten.
fn private_file(path: &Path, text: &str) -> anyhow::Result<()> {
    if path.exists() {
        bail!("{} exists already: name another folder, or move it away", path.display());
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}

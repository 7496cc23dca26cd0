//! `openapi`: prints the description of the REST API that the daemon serves.

use std::process::ExitCode;

use super::say;
use crate::api::openapi::{document, whole_page};

#[derive(Debug, clap::Args)]
#[command(after_help = "For example:\n  \
    forgebell openapi > forgebell.json\n  \
    forgebell openapi --html > forgebell.html")]
pub(super) struct Args {
    /// Print the HTML page instead
    #[arg(long)]
    html: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.html {
        say(&whole_page())?;
    } else {
        say(&serde_json::to_string_pretty(&document())?)?;
    }
    Ok(ExitCode::SUCCESS)
}

//! What every command is told of the configuration.

use std::path::PathBuf;

use clap::ValueHint;

use crate::config::{self, Config};

/// Where settings come from, beside the program's own defaults and the environment.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Configuration")]
pub(super) struct Options {
    /// Read this configuration file
    #[arg(long, short, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// Set one key of it: `-o http.listen=127.0.0.1:9000`; goes before file and environment
    #[arg(long = "option", short = 'o', global = true, value_name = "SECTION.KEY=VALUE")]
    options: Vec<String>,
}

impl Options {
    /// The configuration, or all that is wrong with it.
    pub(super) fn config(&self) -> anyhow::Result<Config> {
        todo!()
    }

    /// Where it came from, in words.
    pub(super) fn told(&self) -> String {
        match &self.config {
            Some(file) => file.display().to_string(),
            None => "the program's own defaults".to_owned(),
        }
    }
}

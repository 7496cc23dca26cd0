//! The options that every command has: where the configuration comes from.

use std::path::PathBuf;

use clap::ValueHint;

use crate::config::{Config, DEFAULT_FILE, Sources};

/// The sources of settings besides the program's defaults and the environment.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Configuration")]
pub(super) struct Options {
    /// Read this file instead of /etc/forgebell/forgebell.toml
    #[arg(long, short, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// Set one key; it overrides file and environment: `-o http.listen=127.0.0.1:9000`
    #[arg(long = "option", short, global = true, value_name = "SECTION.KEY=VALUE")]
    options: Vec<String>,
}

impl Options {
    fn sources(&self) -> Sources {
        Sources::of_process(self.config.clone(), self.options.clone())
    }

    /// The configuration, or all mistakes in it.
    pub(super) fn config(&self) -> anyhow::Result<Config> {
        Ok(Config::load(self.sources())?)
    }

    /// The configuration for a command that needs the secrets of these sections alone.
    pub(super) fn config_for(&self, needed: &[&str]) -> anyhow::Result<Config> {
        Ok(Config::load_for(self.sources(), needed)?)
    }

    /// Where the configuration came from, as a phrase.
    pub(super) fn summary(&self) -> String {
        match self.sources().file() {
            Some(file) => format!("read from {}", file.display()),
            None => format!("the program's own defaults: there is no {DEFAULT_FILE}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_the_file_that_is_read() {
        let command = <Options as clap::Args>::augment_args(clap::Command::new("forgebell"));
        let config = command.get_arguments().find(|argument| argument.get_id() == "config").unwrap();
        assert!(config.get_help().unwrap().to_string().contains(DEFAULT_FILE));
    }
}

//! Shell completions and manual pages, generated from the declaration of the command line.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::ValueHint;
use clap_complete::Shell;

use super::{command, say};

#[derive(Debug, clap::Args)]
#[command(after_help = "For example:\n  \
    forgebell completions bash > ~/.local/share/bash-completion/completions/forgebell\n  \
    forgebell completions zsh  > ~/.zfunc/_forgebell\n  \
    forgebell completions fish > ~/.config/fish/completions/forgebell.fish")]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

#[derive(Debug, clap::Args)]
pub(super) struct ManArgs {
    /// Write one page for each command into this folder, which is created where it is missing
    #[arg(value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    folder: Option<PathBuf>,
}

pub(super) fn completions(args: &CompletionsArgs) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "forgebell", &mut script);
    say(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn man(args: &ManArgs) -> anyhow::Result<ExitCode> {
    let Some(folder) = &args.folder else {
        say(&main_page()?)?;
        return Ok(ExitCode::SUCCESS);
    };
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(command(), folder))
        .with_context(|| format!("cannot write the manual pages to {}", folder.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn main_page() -> anyhow::Result<String> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command()).render(&mut page).context("cannot create the manual page")?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::{Shell, command, main_page};

    #[test]
    fn the_manual_page_names_every_command() {
        let page = main_page().unwrap();
        for sub in command().get_subcommands() {
            assert!(
                page.contains(&format!("forgebell\\-{}", sub.get_name())),
                "{} is missing",
                sub.get_name()
            );
        }
    }

    #[test]
    fn every_shell_gets_completions_that_know_the_commands_and_the_adapters() {
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut command(), "forgebell", &mut script);
            let script = String::from_utf8(script).unwrap();
            assert!(script.contains("quarantine"), "{shell}");
        }
    }
}

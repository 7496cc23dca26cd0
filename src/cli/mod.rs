//! The command line: one file for each command. This file parses the arguments, runs the command and returns its exit
//! code: 0 for success, 1 for a failure, 2 for a wrong command line. `status` has a code of its own for problems.
//!
//! A command builds its output as a `String` in a pure function and prints it at the end with [`say`]. So the output is
//! tested by calling that function, and a closed pipe (`| head`) ends a command quietly.

mod adapters;
mod apply;
mod audit;
mod backup;
mod check;
mod command_audit;
mod deliveries;
mod demo;
mod events;
mod events_client;
mod explain;
mod export;
mod integrations;
#[cfg(test)]
mod masking_tests;
mod migrate;
mod openapi;
mod options;
mod pages;
mod preview;
mod publish;
mod quarantine;
mod rekey;
mod send;
mod serve;
mod state;
mod status;
mod table;
mod todays_settings;
mod token;
mod wrong_user;

use std::ffi::OsString;
use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::config::Sources;
use options::Options;

/// How long the process waits for running threads at its end.
const THREADS_TIMEOUT: Duration = Duration::from_millis(500);

/// Sends notifications about a forge's events: events in over AMQP or HTTP, messages out, nothing lost.
#[derive(Debug, Parser)]
#[command(
    name = "forgebell",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "Start with `forgebell demo`. `forgebell help COMMAND` explains a command."
)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon
    Serve(serve::Args),
    /// Run a demonstration: the real daemon, real events, and simulated services
    Demo(demo::Args),
    /// Check the configuration, the integrations, the store, the broker and the address to listen on
    Check(check::Args),
    /// Show what is held, switched off or given up, and whether the daemon's parts answer
    Status(status::Args),
    /// List the supported services, or show a service's settings with an example
    Adapters(adapters::Args),
    /// Publish events to the broker or over HTTP, as a forge would
    Publish(publish::Args),
    /// Send one event to one service, once, without the daemon
    Send(send::Args),
    /// Render the messages about events as the services would show them, on one HTML page
    Preview(preview::Args),
    /// Show which integrations an event would reach, and why it would not reach the others
    Explain(explain::Args),
    /// Show what came and what became of it
    #[command(subcommand)]
    Events(events::Command),
    /// List integrations with their state; show, test and resume them
    #[command(subcommand)]
    Integrations(integrations::Command),
    /// Show deliveries and their attempts; send them again, or cancel them
    #[command(subcommand)]
    Deliveries(deliveries::Command),
    /// Show what could not be decoded; try it again, or delete it
    #[command(subcommand)]
    Quarantine(quarantine::Command),
    /// Print the integrations that the API set, as a provisioning file
    Export(export::Args),
    /// Change the store to match provisioning files, as the API would
    Apply(apply::Args),
    /// Create, list and revoke API tokens
    #[command(subcommand)]
    Token(token::Command),
    /// Show who changed what
    #[command(subcommand)]
    Audit(audit::Command),
    /// Update the store's schema without starting the daemon
    Migrate(migrate::Args),
    /// Copy the store to a file, also while the daemon works with it
    Backup(backup::Args),
    /// Put a backup in the place of the store
    Restore(backup::RestoreArgs),
    /// Encrypt all secrets in the store again, with the current key
    Rekey(rekey::Args),
    /// Print the description of the REST API (OpenAPI 3.1)
    Openapi(openapi::Args),
    /// Print completions for a shell
    Completions(pages::CompletionsArgs),
    /// Print the manual page, or write all of them to a folder
    Man(pages::ManArgs),
}

/// Parses the command line, runs the command and returns the exit code.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => {
            // An error is ignored, because a closed pipe is no failure of `--help`.
            let _ = usage.print();
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let end = runtime.block_on(cli.run());
    runtime.shutdown_timeout(THREADS_TIMEOUT);
    match end {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

impl Cli {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let options = &self.options;
        match self.command {
            Command::Serve(args) => Box::pin(serve::run(args, options)).await,
            Command::Demo(args) => demo::run(args).await,
            Command::Check(args) => check::run(args, options).await,
            Command::Status(args) => status::run(args, options).await,
            Command::Adapters(args) => adapters::run(&args),
            Command::Publish(args) => publish::run(args, options).await,
            Command::Send(args) => send::run(args, options).await,
            Command::Preview(args) => preview::run(&args, options).await,
            Command::Explain(args) => explain::run(args, options).await,
            Command::Events(command) => events::run(command, options).await,
            Command::Integrations(command) => integrations::run(command, options).await,
            Command::Deliveries(command) => deliveries::run(command, options).await,
            Command::Quarantine(command) => quarantine::run(command, options).await,
            Command::Export(args) => export::run(args, options).await,
            Command::Apply(args) => apply::run(args, options).await,
            Command::Token(command) => token::run(command, options).await,
            Command::Audit(command) => audit::run(command, options).await,
            Command::Migrate(args) => migrate::run(&args, options).await,
            Command::Backup(args) => backup::backup(&args, options).await,
            Command::Restore(args) => backup::restore(&args, options).await,
            Command::Rekey(args) => rekey::run(&args, options).await,
            Command::Openapi(args) => openapi::run(&args),
            Command::Completions(args) => pages::completions(&args),
            Command::Man(args) => pages::man(&args),
        }
    }
}

/// Prints to standard output, with a line break at the end.
fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let text = text.strip_suffix('\n').unwrap_or(text);
    writeln!(out, "{text}").and_then(|()| out.flush()).context("cannot write the output")
}

/// Prints a value as JSON.
fn say_json(value: &(impl serde::Serialize + ?Sized)) -> anyhow::Result<()> {
    say(&serde_json::to_string_pretty(value)?)
}

/// Prints to standard error, each line with the program's name before it.
fn complain(text: &str) {
    let mut err = std::io::stderr().lock();
    for line in text.lines() {
        // An error is ignored: if standard error is closed, there is no other place to report to.
        let _ = writeln!(err, "forgebell: {line}");
    }
}

/// Whether standard output is a terminal and `NO_COLOR` is not set (<https://no-color.org>).
fn wants_colours() -> bool {
    let is_no = |(name, value): &(OsString, OsString)| name == "NO_COLOR" && !value.is_empty();
    let environment = Sources::of_process(None, Vec::new()).environment;
    std::io::stdout().is_terminal() && !environment.iter().any(is_no)
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let pipe = |error: &std::io::Error| error.kind() == ErrorKind::BrokenPipe;
    error.chain().filter_map(|cause| cause.downcast_ref()).any(pipe)
}

/// The command line as data, for completions and manual pages.
fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::{Cli, command};

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn every_command_and_every_argument_says_what_it_is() {
        fn walk(command: &clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            assert!(command.get_about().is_some(), "{path} has no help");
            for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
                assert!(argument.get_help().is_some(), "{path}: {} has no help", argument.get_id());
            }
            command.get_subcommands().for_each(|sub| walk(sub, &path));
        }
        walk(&command(), "");
    }

    #[test]
    fn a_usage_line_says_what_is_required() {
        let usage = |words: &[&str]| {
            let mut found = command();
            for word in words {
                found = found.find_subcommand(word).expect("a command").clone();
            }
            found.render_usage().to_string()
        };
        for (words, required) in [
            (&["deliveries", "retry"][..], "<NUMBER>..."),
            (&["deliveries", "cancel"], "<NUMBER>..."),
            (&["explain"], "--event <ID>"),
            (&["send"], "<SLUG> --sample <KIND>"),
            (&["preview"], "<FILE>..."),
        ] {
            let usage = usage(words);
            assert!(usage.contains(required) && !usage.contains("[FILE]"), "{usage}");
        }
    }

    #[test]
    fn a_wrong_command_line_is_exit_code_2_and_a_question_for_help_0() {
        let code = |words: &[&str]| Cli::try_parse_from(words).unwrap_err().exit_code();
        assert_eq!(code(&["forgebell", "srve"]), 2);
        assert_eq!(code(&["forgebell"]), 2);
        assert_eq!(code(&["forgebell", "adapters", "slak"]), 2);
        assert_eq!(code(&["forgebell", "--help"]), 0);
        assert_eq!(code(&["forgebell", "deliveries", "retry", "--help"]), 0);
    }
}

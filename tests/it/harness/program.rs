//! Programs of other projects that run to their end.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// Longer than any of them takes on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(600);

/// Runs a program to its end, which must be a good one, and returns what it printed.
pub async fn finished(mut command: Command) -> String {
    command.stdin(Stdio::null()).kill_on_drop(true);
    // They go to loopback, and through no proxy.
    command.env("NO_PROXY", "*").env("no_proxy", "*");
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let shown = command.as_std();
    let output = output.unwrap_or_else(|_| panic!("{shown:?} did not end within {PATIENCE:?}"));
    let output = output.unwrap_or_else(|error| panic!("{shown:?} can't be started: {error}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{shown:?} ended with {}\n{said}\n{complained}", output.status);
    said
}

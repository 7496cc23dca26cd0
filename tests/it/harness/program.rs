//! Programs of other projects that run to their end.

use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;

/// Longer than any of them takes on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(600);

/// Runs a program to its end, which must be a good one, and returns what it printed.
pub async fn finished(mut command: Command) -> String {
    let output = ended(&mut command).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    let shown = command.as_std();
    assert!(output.status.success(), "{shown:?} ended with {}\n{said}\n{complained}", output.status);
    said
}

/// Runs a program to its end, which must be a bad one, and returns what it complained of.
pub async fn failed(mut command: Command) -> String {
    let output = ended(&mut command).await;
    assert!(!output.status.success(), "{:?} succeeded", command.as_std());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn ended(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).kill_on_drop(true);
    // They go to loopback, and through no proxy.
    command.env("NO_PROXY", "*").env("no_proxy", "*");
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let shown = command.as_std();
    let output = output.unwrap_or_else(|_| panic!("{shown:?} did not end within {PATIENCE:?}"));
    output.unwrap_or_else(|error| panic!("{shown:?} can't be started: {error}"))
}

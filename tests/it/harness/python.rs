//! Other people's clients, written in Python, in the environment that `tests/run.sh` made for them.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// Longer than any of them takes on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(600);

/// A program of the environment.
fn program(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python/bin").join(name);
    assert!(path.exists(), "{} is missing: tests/run.sh makes it", path.display());
    path
}

/// Runs a script of `tests/python` to its end, which must be a good one.
pub async fn script(name: &str, arguments: &[&str]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(name);
    let path = path.to_str().expect("a path of words").to_owned();
    run("python", &[&[path.as_str()], arguments].concat()).await
}

/// Runs a program of the environment to its end, which must be a good one, and answers with what it printed.
pub async fn run(name: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program(name));
    // What they leave lying about goes with the folder.
    let folder = tempfile::tempdir().expect("a temporary folder");
    command.args(arguments).current_dir(folder.path()).stdin(Stdio::null()).kill_on_drop(true);
    // They go to loopback, and through no proxy.
    command.env("NO_PROXY", "*").env("PYTHONDONTWRITEBYTECODE", "1");
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = output.expect("it ends in time").expect("it can be started");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{name} {arguments:?} ended with {}\n{said}\n{complained}",
        output.status
    );
    said
}

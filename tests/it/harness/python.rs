//! Other people's clients, written in Python, in the environment that `tests/run.sh` makes for them.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::program::{failed, finished};

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

/// Runs a program of the environment to its end, which must be a good one, and returns what it printed.
pub async fn run(name: &str, arguments: &[&str]) -> String {
    // What they leave lying about goes with the folder.
    let folder = tempfile::tempdir().expect("a temporary folder");
    finished(command(name, arguments, folder.path())).await
}

/// Runs a program of the environment to its end, which must be a bad one, and returns what it complained of.
pub async fn fails(name: &str, arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    failed(command(name, arguments, folder.path())).await
}

/// Starts a server of `tests/python`, which prints its port first. It ends with the returned process, and when this
/// process ends, in whichever way: its input ends then.
pub async fn server(name: &str, arguments: &[&str]) -> (Child, u16) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python");
    let mut command = Command::new(program("python"));
    command.arg(folder.join("until_input_ends.py")).arg(folder.join(name)).args(arguments);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command.kill_on_drop(true).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("Python starts");
    let mut line = String::new();
    let output = child.stdout.take().expect("it is piped");
    BufReader::new(output).read_line(&mut line).await.expect("it prints its port");
    (child, line.trim().parse().expect("a port"))
}

fn command(name: &str, arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(program(name));
    command.args(arguments).current_dir(folder).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

//! Runs the commands in the README.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::*;
use crate::harness::payloads::with;

/// The block of commands that follows this sentence in the README.
fn block_after(words: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(path).expect("there is a README");
    let (_, after) = readme.split_once(words).unwrap_or_else(|| panic!("the README lacks: {words}"));
    let (_, block) = after.split_once("```sh\n").expect("commands follow");
    block.split_once("```").expect("a block ends").0.to_owned()
}

/// The block with one text replaced, such as an address by the test's own.
fn instead(block: &str, written: &str, ours: &str) -> String {
    assert_eq!(block.matches(written).count(), 1, "{written} occurs once:\n{block}");
    block.replace(written, ours)
}

/// A shell that has run some commands and waits. When it ends, it stops the programs that it started.
struct Shell(Child);

impl Shell {
    const DONE: &str = "all commands were run";

    /// Runs a script with the program on the `PATH` and only these settings; returns what it printed.
    async fn run(script: &str, settings: &[(&str, String)]) -> (Shell, String) {
        let program = Path::new(env!("CARGO_BIN_EXE_forgebell")).parent().expect("it is in a folder");
        let whole = format!(
            "trap 'kill $(jobs -p); wait' EXIT\nset -e\n{script}\nprintf '\\n{}\\n'\nread -r _ || true\n",
            Self::DONE
        );
        let mut bash = std::process::Command::new("bash");
        bash.args(["-c", &whole]).env_clear().process_group(0);
        bash.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", program.display()));
        bash.envs(settings.iter().map(|(name, value)| (name, value)));
        // It reads until this process closes the other end, even by a crash.
        let mut bash = Command::from(bash);
        bash.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = bash.spawn().expect("there is a bash");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut printed = String::new();
        let reading = async {
            while let Some(line) = lines.next_line().await.expect("it prints text") {
                if line == Self::DONE {
                    return;
                }
                printed.push_str(&line);
                printed.push('\n');
            }
            panic!("a command failed; they printed:\n{printed}");
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("the commands end");
        (Shell(child), printed)
    }

    async fn end(mut self) {
        drop(self.0.stdin.take());
        end_of(&mut self.0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readmes_three_commands_set_up_a_channel_that_is_notified_of_pushes() {
    let (receiver, hook) = hook().await;
    let block = block_after("From nothing to a channel that is notified of events in project 42:");
    let commands: Vec<_> = block.replace("\\\n", " ").lines().map(str::to_owned).collect();
    assert_eq!(commands.len(), 3, "{block}");
    let port = free_port();
    let here = format!("127.0.0.1:{port}");
    let script = instead(&block, "127.0.0.1:8090", &here);
    let script = instead(&script, "https://hooks.slack.com/services/…", &hook.url());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = [
        ("FORGEBELL__HTTP__LISTEN", here.clone()),
        ("FORGEBELL__STORE__PATH", folder.path().join("lib/forgebell.db").display().to_string()),
        ("FORGEBELL__WIRE__ALLOW_NETWORKS", "127.0.0.0/8".to_owned()),
    ];
    let (shell, printed) = Shell::run(&script, &settings).await;
    let set: Value =
        serde_json::from_str(printed.trim()).unwrap_or_else(|error| panic!("{error} in {printed}"));
    assert_eq!((&set["slug"], &set["active"]), (&json!("slack"), &json!(true)), "{set}");
    assert_eq!(set["properties"]["channel"], "#ops");

    let push = with(&payload(PUSH), |json| {
        json["project"]["id"] = json!(42);
        json["project_id"] = json!(42);
        json["project"]["default_branch"] = json!("master");
    });
    let request = crate::harness::client().post(format!("http://{here}/events")).body(push);
    let answer = request.header("content-type", "application/json").send().await.expect("the server answers");
    assert_eq!(answer.status().as_u16(), 202);
    let received = hook.wait_for(1).await;
    assert!(
        received[0].text().contains("pushed") && received[0].text().contains("#ops"),
        "{}",
        received[0].text()
    );
    shell.end().await;
    drop(receiver);
}

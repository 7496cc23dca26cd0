//! The program itself, as a person or a script runs it: exit codes, what is printed, signals, and the demo.

mod backup;
mod configured;
mod encrypted;
mod event_log;
mod kept;
mod readme;
mod status;
mod stories;

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

use crate::harness::payloads::payload;
use crate::harness::ports::free_port;
use crate::harness::rabbit;
use crate::harness::receiver::{Answer, Hook, Receiver};
use crate::harness::wait::eventually;

const PATIENCE: Duration = Duration::from_secs(60);
/// A push to `mike/diaspora`.
const PUSH: &str = "push.json";

/// A folder with a configuration, and the program to run on it.
struct Desk {
    folder: tempfile::TempDir,
    port: u16,
}

impl Desk {
    fn new(provisioning: &str) -> Self {
        Self::with(provisioning, "")
    }

    fn with(provisioning: &str, more: &str) -> Self {
        let desk = Self { folder: tempfile::tempdir().expect("a temporary folder"), port: free_port() };
        let path = |name: &str| desk.file(name).display().to_string();
        let configuration = format!(
            "store.path = \"{}\"\nprovision.files = [\"{}\"]\nhttp.listen = \"127.0.0.1:{}\"\n\
             http.webhook_token = \"open sesame\"\nwire.allow_networks = [\"127.0.0.0/8\"]\n\
             retry.initial = \"50ms\"\ndelivery.shutdown_timeout = \"20s\"\n{more}",
            path("forgebell.db"),
            path("integrations.toml"),
            desk.port,
        );
        desk.write("forgebell.toml", &configuration);
        desk.write("integrations.toml", provisioning);
        desk
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.file(name), content).expect("the folder is ours");
        self.file(name).display().to_string()
    }

    /// What the daemon has logged so far.
    fn log(&self) -> String {
        std::fs::read_to_string(self.file("log")).expect("the folder is ours")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = program();
        command.arg("--config").arg(self.file("forgebell.toml")).args(words);
        command
    }

    /// Runs a command to its end.
    async fn run(&self, words: &[&str]) -> Ran {
        Ran::of(self.command(words)).await
    }

    /// Starts the daemon, and waits until it is ready.
    async fn serve(&self) -> Child {
        let log = std::fs::File::create(self.file("log")).expect("the folder is ours");
        let mut daemon = self.command(&["serve"]).stderr(log).spawn().expect("the program starts");
        eventually("the daemon answers", PATIENCE, async || {
            let ended = daemon.try_wait().expect("a child can be asked");
            assert!(ended.is_none(), "the daemon ended: {}", self.log());
            let found = self.run(&["check", "--json"]).await.json();
            let http = found.as_array()?.iter().find(|part| part["part"] == "http")?.clone();
            http["found"].as_str()?.contains("runs already").then_some(())
        })
        .await;
        daemon
    }
}

/// The program, deaf to this machine's settings.
fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forgebell"));
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// How a run ended.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    async fn of(mut command: Command) -> Self {
        let ran = tokio::time::timeout(PATIENCE, command.output()).await.expect("a command ends");
        let Output { status, stdout, stderr } = ran.expect("the program starts");
        let text = |bytes| String::from_utf8(bytes).expect("the program writes UTF-8");
        Self { code: status.code(), out: text(stdout), err: text(stderr) }
    }

    fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "it said:\n{}{}", self.out, self.err);
        self
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("{error} in:\n{}{}", self.out, self.err))
    }
}

fn signal(child: &Child, name: &str) {
    let id = child.id().expect("it runs").to_string();
    let sent =
        std::process::Command::new("/bin/sh").args(["-c", "kill -s \"$0\" \"$1\"", name, &id]).status();
    assert!(sent.expect("there is a shell").success());
}

async fn end_of(child: &mut Child) -> Option<i32> {
    tokio::time::timeout(PATIENCE, child.wait())
        .await
        .expect("it ends")
        .expect("a child can be waited for")
        .code()
}

fn slack(hook: &Hook, more: &str) -> String {
    format!(
        "[[integration]]\nproject = \"mike/diaspora\"\nadapter = \"slack\"\nwebhook = \"{}\"\n{more}\n",
        hook.url()
    )
}

async fn hook() -> (Receiver, Hook) {
    let receiver = Receiver::start().await;
    let hook = receiver.slack_like("/services/T0/B0/deepsecret");
    (receiver, hook)
}

// ---- the demo ----------------------------------------------------------------------------------------------------

fn assert_demo_ended_well(ran: Ran) {
    let ran = ran.ends_with(0);
    let last = ran.out.lines().last().expect("it says something");
    let numbers: Vec<u32> =
        last.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
    let [events, deliveries, retries, lost] = numbers[..] else { panic!("{last}") };
    assert_eq!(
        last,
        format!("demo: {events} events, {deliveries} deliveries, {retries} retries, {lost} lost")
    );
    assert!(events >= 15 && deliveries >= 25 && retries >= 2 && lost == 0, "{last}");
    for part in [
        "429",
        "connection refused",
        "in quarantine",
        "Catalan",
        "not the default branch",
        "IRC #hello-world",
    ] {
        assert!(ran.out.contains(part), "{part} is missing in:\n{}", ran.out);
    }
    assert!(!ran.out.contains('\u{1b}'), "no colours where there is no terminal");
}

#[tokio::test]
async fn the_demo_loses_nothing() {
    let mut demo = program();
    demo.arg("demo");
    assert_demo_ended_well(Ran::of(demo).await);
}

#[tokio::test]
async fn the_demo_loses_nothing_through_a_broker_either_and_leaves_nothing_behind() {
    let broker = rabbit::shared().await;
    let mut demo = program();
    demo.args(["demo", "--amqp", &broker.url()]);
    assert_demo_ended_well(Ran::of(demo).await);
    let left = broker.ctl(&["-q", "list_queues", "name"]).await
        + &broker.ctl(&["-q", "list_exchanges", "name"]).await;
    assert!(!left.contains("forgebell.demo"), "{left}");
}

// ---- the daemon and its commands ---------------------------------------------------------------------------------

#[tokio::test]
async fn a_published_event_arrives_and_its_delivery_is_listed_shown_and_resent() {
    let (_receiver, hook) = hook().await;
    let desk = Desk::new(&slack(&hook, "channel = \"#ops\""));
    let push = desk.write("push.json", payload(PUSH));
    let mut daemon = desk.serve().await;

    let published = desk.run(&["publish", &push, "--id", "p-1"]).await.ends_with(0);
    assert!(published.out.contains("accepted as p-1: push event of mike/diaspora"), "{}", published.out);
    let again = desk.run(&["publish", &push, "--id", "p-1"]).await.ends_with(0);
    assert!(again.out.contains("was here before"), "{}", again.out);
    hook.wait_for(1).await;
    let list = eventually("the delivery is settled", PATIENCE, async || {
        let list =
            desk.run(&["deliveries", "list", "--state", "delivered", "--json"]).await.ends_with(0).json();
        (list.as_array()?.len() == 1).then_some(list)
    })
    .await;
    assert_eq!((&list[0]["event"], &list[0]["target"]), (&"p-1".into(), &"#ops".into()));

    let number = list[0]["id"].to_string();
    let shown = desk.run(&["deliveries", "show", &number, "--request"]).await.ends_with(0);
    assert!(shown.out.contains("1. ") && shown.out.contains("answered 200"), "{}", shown.out);
    assert!(shown.out.contains("answered 200: ok"), "what came back: {}", shown.out);
    assert!(shown.out.contains("\"channel\": \"#ops\"") && shown.out.contains(" pushed "), "{}", shown.out);
    assert!(!shown.out.contains("deepsecret"), "{}", shown.out);
    let of = |more: &[&'static str]| [&["deliveries", "list", "--json"], more].concat();
    let count =
        async |more: &[&'static str]| desk.run(&of(more)).await.ends_with(0).json().as_array().map(Vec::len);
    assert_eq!(count(&["--project", "Mike/Diaspora", "--since", "1h"]).await, Some(1));
    assert_eq!(count(&["--project", "mike/diaspora", "--until", "1h"]).await, Some(0));
    assert_eq!(count(&["--event", "p-1"]).await, Some(1));
    for (option, name) in
        [("--project", "mike/diapsora"), ("--integration", "mike/diaspora:slcak"), ("--event", "p-2")]
    {
        let unknown = desk.run(&["deliveries", "list", option, name]).await.ends_with(1);
        assert!(unknown.err.contains(name), "{option}: {}", unknown.err);
    }
    let none = desk.run(&["deliveries", "cancel", &number]).await.ends_with(1);
    assert!(none.out.contains("has ended already"), "{}", none.out);
    let again = desk.run(&["deliveries", "retry", "--json", &number]).await.ends_with(0).json();
    assert_eq!(again, json!([{ "id": list[0]["id"], "done": true, "result": "due again" }]));
    hook.wait_for(2).await;
    desk.run(&["deliveries", "retry", "4711"]).await.ends_with(1);

    let refused = desk.run(&["publish", &push, "--token", "close sesame"]).await.ends_with(1);
    assert!(refused.out.contains("401"), "{}", refused.out);
    signal(&daemon, "TERM");
    assert_eq!(end_of(&mut daemon).await, Some(0));
}

#[tokio::test]
async fn a_published_event_is_signed_where_a_signing_token_is_configured() {
    const OTHER: &str = "http.webhook_signing_key=whsec_AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
    let key = "whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    let desk = Desk::with("", &format!("http.webhook_signing_key = \"{key}\"\n"));
    let push = desk.write("push.json", payload(PUSH));
    let _daemon = desk.serve().await;
    // The signature alone admits it, and a wrong one is not made good by the token.
    let signed = desk.run(&["-o", "http.webhook_token=", "publish", &push, "--id", "s-1"]).await.ends_with(0);
    assert!(signed.out.contains("accepted as s-1"), "{}", signed.out);
    let forged = desk.run(&["-o", OTHER, "publish", &push, "--id", "s-2"]).await.ends_with(1);
    assert!(forged.out.contains("signature"), "{}", forged.out);
    let with_token = ["publish", &push, "--id", "s-3", "--token", "open sesame"];
    desk.run(&with_token).await.ends_with(0);
}

#[tokio::test]
async fn quarantined_messages_can_be_shown_retried_and_dropped() {
    let desk = Desk::new("");
    let broken = desk.write("broken.json", &payload(PUSH)[..200]);
    let _daemon = desk.serve().await;
    let refused = desk.run(&["publish", &broken, "--id", "q-1"]).await.ends_with(1);
    assert!(refused.out.contains("refused: 400"), "{}", refused.out);

    let list = desk.run(&["quarantine", "list", "--json"]).await.ends_with(0).json();
    assert_eq!(list[0]["event"], "q-1");
    let number = list[0]["id"].to_string();
    let shown = desk.run(&["quarantine", "show", &number]).await.ends_with(0);
    assert!(shown.out.contains("not JSON") && shown.out.contains("object_kind"), "{}", shown.out);
    let tried = desk.run(&["quarantine", "retry", &number]).await.ends_with(1);
    assert!(tried.out.contains("still not understood"), "{}", tried.out);
    let dropped = desk.run(&["quarantine", "drop", "--json", &number]).await.ends_with(0).json();
    assert_eq!(dropped, json!([{ "id": list[0]["id"], "done": true, "result": "dropped" }]));
    desk.run(&["quarantine", "drop", &number]).await.ends_with(1);
    assert_eq!(desk.run(&["quarantine", "list"]).await.ends_with(0).out, "nothing is in quarantine\n");
}

#[tokio::test]
async fn sighup_reloads_the_integrations_and_a_broken_file_changes_nothing() {
    let (_receiver, hook) = hook().await;
    let desk = Desk::new("");
    let push = desk.write("push.json", payload(PUSH));
    let daemon = desk.serve().await;

    desk.write("integrations.toml", slack(&hook, ""));
    signal(&daemon, "HUP");
    let mut sent = 0;
    eventually("the new integration hears of something", PATIENCE, async || {
        sent += 1;
        desk.run(&["publish", &push, "--id", &format!("h-{sent}")]).await.ends_with(0);
        (!hook.received().is_empty()).then_some(())
    })
    .await;
    desk.write("integrations.toml", "what = \"is this\"");
    signal(&daemon, "HUP");
    let before = hook.received().len();
    desk.run(&["publish", &push, "--id", "h-last"]).await.ends_with(0);
    hook.wait_for(before + 1).await;
    let checked = desk.run(&["check"]).await.ends_with(1);
    assert!(checked.out.contains("provisioning   FAILED"), "{}", checked.out);
}

/// The provisioning file is a pipe: the daemon reads it for as long as this test wants.
#[tokio::test]
async fn a_stop_signal_ends_a_daemon_that_reads_its_files() {
    let desk = Desk::new("");
    let pipe = desk.file("integrations.toml");
    std::fs::remove_file(&pipe).expect("the folder is ours");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("there is mkfifo").success());
    let log = std::fs::File::create(desk.file("log")).expect("the folder is ours");
    let mut daemon = desk.command(&["serve"]).stderr(log).spawn().expect("the program starts");
    // A pipe cannot be opened for writing before the daemon has opened it.
    let mut writer = eventually("the daemon reads its files", PATIENCE, async || {
        assert!(daemon.try_wait().expect("a child can be asked").is_none(), "it ended: {}", desk.log());
        tokio::net::unix::pipe::OpenOptions::new().open_sender(&pipe).ok()
    })
    .await;
    signal(&daemon, "TERM");
    eventually("the signal is received", PATIENCE, async || {
        desk.log().contains("received a stop signal").then_some(())
    })
    .await;
    // The rest of the file comes now. Its first block ends the reading, so the mistake in it is not found.
    let block = "[[integration]]\nadapter = \"no such adapter\"\n";
    writer.write_all(block.as_bytes()).await.expect("the daemon reads to the end");
    drop(writer);
    assert_eq!(end_of(&mut daemon).await, Some(0), "{}", desk.log());
    let log = desk.log();
    assert!(!log.contains("is ready") && !log.contains("no such adapter"), "{log}");
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let (_receiver, hook) = hook().await;
    let hook = hook.answer(Answer::hang());
    let desk = Desk::new(&slack(&hook, ""));
    let push = desk.write("push.json", payload(PUSH));
    let mut daemon = desk.serve().await;
    desk.run(&["publish", &push]).await.ends_with(0);
    hook.wait_for(1).await;
    signal(&daemon, "INT");
    // It waits for the attempt that hangs. The second signal does not come before the first was heard: then the doors
    // are still open, and the log says that it is stopping.
    eventually("the first signal is heard", PATIENCE, async || desk.log().contains("stopping").then_some(()))
        .await;
    assert!(daemon.try_wait().expect("a child can be asked").is_none(), "it finishes what it has begun");
    signal(&daemon, "TERM");
    assert_eq!(end_of(&mut daemon).await, Some(1));
}

#[tokio::test]
async fn a_second_daemon_cannot_use_the_store() {
    let desk = Desk::new("");
    let _daemon = desk.serve().await;
    let second = desk.run(&["-o", "http.listen=127.0.0.1:0", "serve"]).await.ends_with(1);
    assert!(
        second.err.lines().last().is_some_and(|line| line.contains("another forgebell")),
        "{}",
        second.err
    );
}

#[tokio::test]
async fn events_are_published_to_a_broker() {
    let broker = rabbit::shared().await;
    let queue = rabbit::unique("cli");
    let amqp = format!(
        "amqp.enabled = true\namqp.url = \"{}\"\namqp.queue = \"{queue}\"\namqp.exchange = \"{queue}.exchange\"\n",
        broker.url()
    );
    let (_receiver, hook) = hook().await;
    let desk = Desk::with(&slack(&hook, ""), &amqp);
    let checked = desk.run(&["check"]).await.ends_with(0);
    assert!(checked.out.contains("broker         ok"), "{}", checked.out);
    let push = desk.write("push.json", payload(PUSH));
    let published = desk.run(&["publish", &push, "--id", "b-1"]).await.ends_with(0);
    assert!(published.out.contains("accepted as b-1"), "{}", published.out);
    let _daemon = desk.serve().await;
    hook.wait_for(1).await;
}

// ---- without a daemon --------------------------------------------------------------------------------------------

#[tokio::test]
async fn check_names_every_part_that_fails() {
    let desk = Desk::with("[[integration]]\nproject = \"a/b\"\nadapter = \"slak\"\n", "");
    let checked = desk.run(&["check"]).await.ends_with(1);
    assert!(checked.out.contains("did you mean `slack`?"), "{}", checked.out);
    let broker = ["-o", "amqp.enabled=true", "-o", "amqp.url=amqp://127.0.0.1:1/%2f", "check", "--json"];
    let parts = desk.run(&broker).await.ends_with(1).json();
    let failed: Vec<_> =
        parts.as_array().expect("a list").iter().filter(|part| part["state"] == "failed").collect();
    assert_eq!(failed.len(), 2, "{parts:#}");
    let mistaken = desk.run(&["-o", "http.listen=here", "-o", "log.format=loud", "check"]).await.ends_with(1);
    assert!(mistaken.out.contains("http.listen") && mistaken.out.contains("log.format"), "{}", mistaken.out);
}

#[tokio::test]
async fn explain_shows_the_matching_integrations_without_a_daemon() {
    let (_receiver, hook) = hook().await;
    let desk = Desk::new(&slack(&hook, "channel = \"#ops, #dev\""));
    let push = desk.write("push.json", payload(PUSH));
    let explained = desk.run(&["explain", &push]).await.ends_with(0);
    assert!(explained.out.contains("#ops") && explained.out.contains("#dev"), "{}", explained.out);
    let issue = desk.write("issue.json", payload("issue_open.json"));
    let unmatched = desk.run(&["explain", &issue]).await.ends_with(0);
    assert!(unmatched.out.contains("project = \"gitlabhq/gitlab-test\""), "{}", unmatched.out);
    let json = desk.run(&["explain", "--json", &push, &issue]).await.ends_with(0).json();
    assert_eq!(json[0]["verdicts"][0]["targets"].as_array().map(Vec::len), Some(2), "{json:#}");
    assert!(!desk.file("forgebell.db").exists(), "looking makes no store");
}

#[tokio::test]
async fn send_makes_one_attempt_and_a_dry_run_none() {
    let (_receiver, hook) = hook().await;
    let desk = Desk::new("");
    let webhook = format!("webhook={}", hook.url());
    let push = desk.write("push.json", payload(PUSH));
    let words = ["send", "slack", &push, "--set", &webhook, "--target", "#ops"];
    let dry = desk.run(&[&words[..], &["--dry-run"]].concat()).await.ends_with(0);
    assert!(
        dry.out.contains("POST http://127.0.0.1") && dry.out.contains("\"channel\": \"#ops\""),
        "{}",
        dry.out
    );
    assert!(!dry.out.contains("deepsecret") && hook.received().is_empty(), "{}", dry.out);
    let dry = desk.run(&[&words[..], &["--dry-run", "--json"]].concat()).await.ends_with(0);
    assert_eq!(dry.json()["requests"][0]["body"]["channel"], "#ops");
    assert!(!dry.out.contains("deepsecret") && hook.received().is_empty(), "{}", dry.out);
    let sent = desk.run(&words).await.ends_with(0);
    assert!(sent.out.contains("delivered (answered 200"), "{}", sent.out);
    let sent = desk.run(&[&words[..], &["--json"]].concat()).await.ends_with(0).json();
    assert_eq!((&sent["adapter"], &sent["kind"]), (&"slack".into(), &"push".into()));
    assert_eq!(
        (&sent["attempts"][0]["outcome"], &sent["attempts"][0]["status"]),
        (&"delivered".into(), &200.into())
    );
    assert_eq!(hook.received().len(), 2);

    let mut guarded = program();
    guarded.args(["send", "slack", "--sample", "push", "--set", &webhook]);
    let guarded = Ran::of(guarded).await.ends_with(1);
    assert!(guarded.out.contains("loopback"), "{}", guarded.out);
    let wrong = desk.run(&["send", "slack", "--sample", "push", "--set", "webhok=x"]).await.ends_with(1);
    assert!(wrong.err.contains("did you mean `webhook`?"), "{}", wrong.err);
}

#[tokio::test]
async fn a_wrong_command_line_exits_with_2_and_help_with_0() {
    for (words, code) in [
        (&["--help"][..], 0),
        (&["--version"], 0),
        (&["help", "deliveries", "retry"], 0),
        (&["adapters"], 0),
        (&["adapters", "mattermost"], 0),
        (&["completions", "zsh"], 0),
        (&["man"], 0),
        (&[], 2),
        (&["adapters", "slak"], 2),
        (&["send", "slack"], 2),
        (&["publish"], 2),
        (&["deliveries", "retry"], 2),
        (&["deliveries", "cancel"], 2),
    ] {
        let mut command = program();
        command.args(words);
        Ran::of(command).await.ends_with(code);
    }
}

#[tokio::test]
async fn manual_pages_are_written_for_every_command() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = program();
    command.arg("man").arg(folder.path().join("man1"));
    Ran::of(command).await.ends_with(0);
    let is_there = |name: &str| Path::new(&folder.path().join("man1").join(name)).exists();
    assert!(is_there("forgebell.1") && is_there("forgebell-deliveries-retry.1"));
}

#[tokio::test]
async fn a_closed_output_pipe_is_not_an_error() {
    let mut child = program().args(["completions", "bash"]).spawn().expect("the program starts");
    drop(child.stdout.take());
    assert_eq!(end_of(&mut child).await, Some(0));
}

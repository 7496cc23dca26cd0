//! Walks the stories of `docs/operating.md`: its commands, word for word, against a daemon in the trouble that they are for.

use super::*;
use crate::harness::payloads::with;
use crate::harness::rabbit::RabbitNode;
use crate::harness::small_disk::SmallDisk;

/// A section of the page.
struct Section(String);

impl Section {
    /// The section below this heading.
    fn of(heading: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operating.md");
        let page = std::fs::read_to_string(path).expect("there is the page");
        let marked = format!("\n### {heading}\n");
        let (_, after) = page.split_once(&marked).unwrap_or_else(|| panic!("the page lacks: {heading}"));
        Self(after.split("\n##").next().unwrap_or_default().to_owned())
    }

    /// Its first block in this language.
    fn block(&self, language: &str) -> String {
        let (_, block) = self.0.split_once(&format!("```{language}\n")).expect("a block of this language");
        block.split_once("```").expect("a block ends").0.trim().to_owned()
    }

    /// The words of its one command, each of these texts replaced by the test's own.
    fn command(&self, ours: &[(&str, &str)]) -> Vec<String> {
        let mut command = self.block("sh");
        assert_eq!(command.lines().count(), 1, "one command answers the question: {command}");
        for (written, ours) in ours {
            assert_eq!(command.matches(written).count(), 1, "{written} occurs once in {command}");
            command = command.replace(written, ours);
        }
        let words = command.strip_prefix("forgebell ").expect("it is a command of ours");
        words.split_whitespace().map(str::to_owned).collect()
    }
}

impl Desk {
    /// Runs the command of a section of the page, in the folder with the configuration.
    async fn asked(&self, heading: &str, ours: &[(&str, &str)]) -> Ran {
        let words = Section::of(heading).command(ours);
        let mut command = self.command(&words.iter().map(String::as_str).collect::<Vec<_>>());
        command.current_dir(self.folder.path());
        Ran::of(command).await
    }

    async fn until_asked(&self, heading: &str, what: &str, is_right: impl Fn(&Ran) -> bool) -> Ran {
        eventually(what, PATIENCE, async || Some(self.asked(heading, &[]).await).filter(&is_right)).await
    }

    /// Publishes an event of the team's project over HTTP, under this id.
    async fn happens(&self, id: &str, event: Vec<u8>) {
        let file = self.write(&format!("{id}.json"), event);
        self.run(&["publish", "--to", "http", &file, "--id", id]).await.ends_with(0);
    }
}

const WHAT_IS_WRONG: &str = "What is held, off, throttled or dead now, since when, why, and what helps?";

/// An event of the team's project.
fn of_rocket(name: &str, change: impl FnOnce(&mut Value)) -> Vec<u8> {
    with(&payload(name), |json| {
        json["project"]["id"] = json!(42);
        json["project"]["path_with_namespace"] = json!("acme/rocket");
        if json["object_kind"] == "push" {
            json["project_id"] = json!(42);
        }
        change(json);
    })
}

fn push() -> Vec<u8> {
    of_rocket(PUSH, |_| {})
}

fn integration(adapter: &str, webhook: &str, more: &str) -> String {
    format!(
        "[[integration]]\nproject = \"acme/rocket\"\nadapter = \"{adapter}\"\nwebhook = \"{webhook}\"\n{more}\n"
    )
}

#[tokio::test]
async fn slack_limits_us() {
    let (_receiver, hook) = hook().await;
    let limited = Answer::throttled(Duration::from_secs(8)).body("rate_limited");
    let hook = hook.answer_then(vec![limited], Answer::ok().body("ok"));
    let desk =
        Desk::with(&integration("slack", &hook.url(), "channel = \"#ops\""), "rate_limits.enabled = false\n");
    let _daemon = desk.serve().await;
    desk.happens("limited", push()).await;
    let waits =
        desk.until_asked("Slack limits us", "the delivery waits", |ran| ran.out.contains("429")).await;
    assert!(waits.out.contains("#ops") && waits.out.contains("rate_limited"), "{}", waits.out);
    let status = desk.asked(WHAT_IS_WRONG, &[]).await.ends_with(0).out;
    assert!(status.contains("throttled") && status.contains("next attempt in "), "{status}");
    assert_eq!(status.lines().last(), Some("ok"), "a short throttle is ordinary: {status}");
    hook.wait_for(2).await;
    let none = |ran: &Ran| ran.out.trim() == "no deliveries";
    desk.until_asked("Slack limits us", "it goes on by itself", none).await;
}

#[tokio::test]
async fn a_teams_webhook_died() {
    let receiver = Receiver::start().await;
    let gone = r#"{"error":{"code":"WorkflowNotFound","message":"The workflow could not be found."}}"#;
    let dead = receiver.at("/workflows/dead").answer(Answer::status(404).body(gone));
    let alive = receiver.at("/workflows/alive").answer(Answer::status(202));
    let desk = Desk::with(&integration("microsoft-teams", &dead.url(), ""), "rate_limits.enabled = false\n");
    let daemon = desk.serve().await;
    desk.happens("dead", push()).await;
    let status = desk
        .until_asked(WHAT_IS_WRONG, "the address is switched off", |ran| ran.out.contains("switched off"))
        .await
        .ends_with(3)
        .out;
    assert!(status.contains("WorkflowNotFound") && status.contains("1 waiting"), "{status}");
    let helps = Section::of("A Teams webhook died").block("sh");
    assert!(status.contains(&helps), "the status names the page's command, {helps}:\n{status}");
    let tested = desk.asked("A Teams webhook died", &[]).await.ends_with(1).out;
    assert!(tested.contains("WorkflowNotFound"), "{tested}");

    desk.write("integrations.toml", integration("microsoft-teams", &alive.url(), ""));
    signal(&daemon, "HUP");
    alive.wait_for(1).await;
    desk.asked("A Teams webhook died", &[]).await.ends_with(0);
    let is_well = |ran: &Ran| ran.out.lines().last() == Some("ok");
    desk.until_asked(WHAT_IS_WRONG, "nothing is wrong any more", is_well).await.ends_with(0);
}

#[tokio::test]
async fn the_broker_went_away() {
    let mut broker = RabbitNode::start().await;
    let (_receiver, hook) = hook().await;
    let settings =
        format!("amqp.enabled = true\namqp.url = \"{}\"\namqp.reconnect_max = \"1s\"\n", broker.url());
    let desk = Desk::with(&integration("slack", &hook.url(), ""), &settings);
    let _daemon = desk.serve().await;
    let push = desk.write("push.json", push());
    desk.until_asked("The broker went away", "the broker answers", |ran| ran.code == Some(0)).await;
    desk.run(&["publish", "--to", "broker", &push, "--id", "before"]).await.ends_with(0);
    hook.wait_for(1).await;
    broker.save_queues().await;

    broker.kill();
    let checked = desk.asked("The broker went away", &[]).await.ends_with(1).out;
    assert!(checked.contains("is it running, and are host and port"), "{checked}");
    let away = |ran: &Ran| ran.out.lines().any(|line| line.starts_with("broker") && line.contains("FAILED"));
    let status = desk.until_asked(WHAT_IS_WRONG, "the status says so", away).await.ends_with(3).out;
    assert!(status.contains("away since"), "{status}");
    desk.run(&["publish", "--to", "http", &push, "--id", "meanwhile"]).await.ends_with(0);
    hook.wait_for(2).await;

    broker.start_again().await;
    let is_well = |ran: &Ran| ran.out.lines().last() == Some("ok");
    desk.until_asked(WHAT_IS_WRONG, "it connected again", is_well).await.ends_with(0);
    desk.run(&["publish", "--to", "broker", &push, "--id", "after"]).await.ends_with(0);
    hook.wait_for(3).await;
}

#[tokio::test]
async fn the_disk_is_full() {
    let Some(disk) = SmallDisk::mount(24) else {
        eprintln!("skipped: only root may mount a small disk");
        return;
    };
    let (_receiver, hook) = hook().await;
    let desk = Desk::new(&integration("slack", &hook.url(), ""));
    let written = std::fs::read_to_string(desk.file("forgebell.toml")).expect("it is ours");
    let (here, there) = (desk.file("forgebell.db"), disk.path().join("forgebell.db"));
    let moved = written.replace(&here.display().to_string(), &there.display().to_string());
    assert_ne!(written, moved);
    desk.write("forgebell.toml", moved);
    let _daemon = desk.serve().await;
    desk.asked("The disk is full", &[]).await.ends_with(0);

    let filler = disk.fill();
    let full = |text: &str| {
        let [words, place, remedy] =
            ["the disk is full", &disk.path().display().to_string(), "free some space there"];
        text.contains(words) && text.contains(place) && text.contains(remedy)
    };
    let status = desk.asked("The disk is full", &[]).await.ends_with(3).out;
    let store = status.lines().find(|line| line.starts_with("store")).unwrap_or_default();
    assert!(store.contains("FAILED") && full(store), "{status}");
    let ready = async || {
        let url = format!("http://127.0.0.1:{}/readyz", desk.port);
        let answer = crate::harness::client().get(url).send().await.expect("the daemon answers");
        (answer.status().as_u16(), answer.text().await.expect("it answers to the end"))
    };
    let (code, text) = ready().await;
    assert!(code == 503 && full(&text), "{code} {text}");
    eventually("the log says so", PATIENCE, async || {
        desk.log().lines().any(|line| line.contains("the store is not ready") && full(line)).then_some(())
    })
    .await;
    let large = of_rocket(PUSH, |json| json["commits"][0]["message"] = json!("x".repeat(4 << 20)));
    let large = desk.write("large.json", large);
    let refused = desk.run(&["publish", "--to", "http", &large, "--id", "while-full"]).await.ends_with(1);
    assert!(refused.out.contains("503"), "{}", refused.out);

    std::fs::remove_file(filler).expect("there is room again");
    let status = desk.asked("The disk is full", &[]).await.ends_with(0).out;
    assert_eq!(status.lines().last(), Some("ok"), "{status}");
    assert_eq!(ready().await.0, 200);
    eventually("the log says so", PATIENCE, async || {
        desk.log().contains("the store is ready again").then_some(())
    })
    .await;
    desk.happens("afterwards", push()).await;
    hook.wait_for(1).await;
}

#[tokio::test]
async fn each_other_question_of_the_night_has_its_command() {
    let (_receiver, hook) = hook().await;
    let hook = hook.answer_then(vec![Answer::status(400).body("invalid_blocks")], Answer::ok().body("ok"));
    let desk = Desk::new(&integration("slack", &hook.url(), "channel = \"#ops\""));
    let daemon = desk.serve().await;
    desk.happens("failing", push()).await;
    let failed = eventually("the delivery failed", PATIENCE, async || {
        let list = desk.run(&["deliveries", "list", "--state", "failed", "--json"]).await.json();
        list[0]["id"].as_i64()
    })
    .await
    .to_string();
    let sent = desk.asked("What was sent, and what came back?", &[("17", &failed)]).await.ends_with(0).out;
    for part in ["answered 400: invalid_blocks", "\"channel\": \"#ops\"", " pushed "] {
        assert!(sent.contains(part), "{part} is missing in {sent}");
    }
    assert!(!sent.contains("deepsecret"), "{sent}");

    // The test can't choose the time of day.
    let again = desk.asked("Can I start over with what failed since noon?", &[("12:00", "1h")]).await;
    assert_eq!(again.ends_with(0).out, format!("{failed}: due again\n"));
    hook.wait_for(2).await;

    let reload = "Did the last reload work?";
    assert!(!desk.asked(reload, &[]).await.out.contains("last reload"), "there was none");
    signal(&daemon, "HUP");
    desk.until_asked(reload, "it is said", |ran| ran.out.contains("last reload  ok")).await;
    let written = std::fs::read_to_string(desk.file("forgebell.toml")).expect("it is ours");
    desk.write("forgebell.toml", format!("{written}http.body_limit = 1000000\n"));
    signal(&daemon, "HUP");
    let restart = "a restart is needed for http.body_limit";
    desk.until_asked(reload, "what needs a restart is named", |ran| ran.out.contains(restart)).await;
    desk.write("forgebell.toml", format!("{written}http.lissen = 1\n"));
    signal(&daemon, "HUP");
    eventually("the refusal is logged", PATIENCE, async || {
        desk.log().contains("nothing was reloaded").then_some(())
    })
    .await;
    desk.write("forgebell.toml", &written);
    let refused = desk.until_asked(reload, "it was refused", |ran| ran.out.contains("refused at")).await;
    assert!(refused.out.lines().any(|line| line.starts_with("last reload") && line.contains("FAILED")));
    signal(&daemon, "HUP");
    desk.until_asked(reload, "the next one works", |ran| ran.out.contains("last reload  ok"))
        .await
        .ends_with(0);

    desk.run(&["integrations", "test", "acme/rocket:slack"]).await.ends_with(0);
    let changes = desk.asked("Who changed this?", &[]).await.ends_with(0).out;
    assert!(changes.contains("integration.test") && !changes.contains("delivery.retry"), "{changes}");
    desk.write("change.toml", integration("mattermost", &hook.url(), "channel = \"night\""));
    let planned = desk.asked("What would this change do?", &[("integrations.toml", "change.toml")]).await;
    let planned = planned.ends_with(0).out;
    assert!(planned.contains("mattermost"), "{planned}");
    assert!(!planned.contains("deepsecret"), "{planned}");
}

#[tokio::test]
async fn only_failures_of_main() {
    let (_receiver, hook) = hook().await;
    let section = Section::of("Only failures of main");
    let desk = Desk::new(&integration("slack", &hook.url(), &section.block("toml")));
    let _daemon = desk.serve().await;
    let pipeline = |status: &str, branch: &str| {
        of_rocket("pipeline_success.json", |json| {
            json["object_attributes"]["status"] = json!(status);
            json["object_attributes"]["ref"] = json!(branch);
            json["object_attributes"]["id"] = json!(format!("{status} {branch}").len());
        })
    };
    for (status, branch, expected) in [
        ("success", "master", "notify_only_broken_pipelines"),
        ("failed", "topic", "the branch `topic` is not"),
        ("failed", "master", "deliver"),
    ] {
        desk.write("pipeline.json", pipeline(status, branch));
        let explained = desk.asked("Only failures of main", &[]).await.ends_with(0).out;
        assert!(explained.contains(expected), "{status} of {branch}: {explained}");
        desk.happens(&format!("{status}-{branch}"), pipeline(status, branch)).await;
    }
    let told = hook.wait_for(1).await;
    assert!(told[0].text().contains("failed"), "{}", told[0].text());
    desk.happens("last", pipeline("failed", "master")).await;
    assert_eq!(hook.wait_for(2).await.len(), 2, "nothing else was told meanwhile");
}

/// A token of the slash commands.
const TOKEN: &str = "5IwL2wSO9Zyl5pS7tGEcrx9Z";

/// The id of the newest event in the log.
async fn newest(desk: &Desk) -> (String, String) {
    let list = desk.run(&["events", "list", "--limit", "1", "--json"]).await.ends_with(0).json();
    let text = |name: &str| list[0][name].as_str().unwrap_or_else(|| panic!("{list}")).to_owned();
    (text("id"), text("received_at"))
}

#[tokio::test]
async fn why_did_nothing_come_yesterday() {
    const YESTERDAY: &str = "Why did nothing come yesterday?";
    const SINCE_TUESDAY: &str = "Why did this channel hear nothing since Tuesday?";
    const BOTH: &str =
        "What became of the event of 14:03, for each integration, by the rules of then and of now?";
    let (_receiver, hook) = hook().await;
    let only_main =
        integration("slack", &hook.url(), "channel = \"#ops\"\nbranches_to_be_notified = \"default\"");
    let desk = Desk::new(&only_main);
    let daemon = desk.serve().await;
    desk.happens("to-topic", of_rocket(PUSH, |json| json["ref"] = json!("refs/heads/topic"))).await;
    let is_logged = |ran: &Ran| ran.out.contains("to-topic");
    let came = desk.until_asked(YESTERDAY, "the event is logged", is_logged).await.ends_with(0).out;
    assert!(came.contains("told to none of 1 integration") && came.contains("refs/heads/topic"), "{came}");
    let silent = desk.asked(SINCE_TUESDAY, &[]).await.ends_with(0).out;
    assert!(silent.contains("to-topic") && silent.contains("`topic`"), "{silent}");

    // The test can't choose the time of day: the moment of the event stands in place of the page's.
    let (id, at) = newest(&desk).await;
    assert_eq!(id, "to-topic");
    let minute = at.get(..16).expect("a moment has minutes").to_owned() + "Z";
    let ours = [("14:03", minute.as_str())];
    let both = desk.asked(BOTH, &ours).await.ends_with(0).out;
    assert!(both.contains("`topic`") && both.contains("the same"), "{both}");
    assert!(both.contains("the same would become of it now"), "{both}");
    let all = only_main.replace("\"default\"", "\"all\"");
    assert_ne!(all, only_main);
    desk.write("integrations.toml", all);
    signal(&daemon, "HUP");
    let both = desk.asked(BOTH, &ours).await.ends_with(0).out;
    assert!(
        both.contains("told #ops") && both.contains("1 of 1 integration would do something else now"),
        "{both}"
    );
    let by_id = desk.run(&["explain", "--event", "to-topic"]).await.ends_with(0).out;
    assert_eq!(by_id.lines().last(), both.lines().last());

    eventually("the new settings apply", PATIENCE, async || {
        desk.log().contains("reloaded the integrations").then_some(())
    })
    .await;
    desk.happens("again", of_rocket(PUSH, |json| json["ref"] = json!("refs/heads/topic"))).await;
    hook.wait_for(1).await;
    let told = eventually("the event is logged", PATIENCE, async || {
        let list = desk.asked(YESTERDAY, &[]).await.ends_with(0).out;
        list.contains("1 delivered").then_some(list)
    })
    .await;
    assert!(told.contains("again"), "{told}");
    assert!(!desk.asked(SINCE_TUESDAY, &[]).await.out.contains("again"), "what was told is left out");
    for (option, name) in [("--project", "acme/rokcet"), ("--integration", "acme/rocket:slcak")] {
        let unknown = desk.run(&["events", "list", option, name]).await.ends_with(1);
        assert!(unknown.err.contains(name), "{option}: {}", unknown.err);
    }
    desk.run(&["explain", "--event", "never"]).await.ends_with(1);
    desk.run(&["events", "show", "never"]).await.ends_with(1);
}

#[tokio::test]
async fn quiet_for_an_hour() {
    const QUIET: &str = "Quiet for an hour";
    let (_receiver, hook) = hook().await;
    let commands = format!(
        "[[integration]]\nproject = \"acme/rocket\"\nadapter = \"slack-slash-commands\"\ntoken = \"{TOKEN}\"\n"
    );
    let desk = Desk::new(&(integration("slack", &hook.url(), "channel = \"#ops\"") + &commands));
    let _daemon = desk.serve().await;
    desk.happens("before", push()).await;
    hook.wait_for(1).await;
    let typed = Section::of(QUIET).block("text");
    let (command, text) = typed.split_once(' ').expect("a command and its words");
    let type_in = async |text: &str| {
        let form = [
            ("token", TOKEN),
            ("channel_name", "ops"),
            ("channel_id", "C0"),
            ("user_name", "ada"),
            ("user_id", "U0"),
            ("command", command),
            ("text", text),
        ];
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let path = "/api/v4/projects/acme%2Frocket/integrations/slack_slash_commands/trigger";
        let request =
            crate::harness::client().post(format!("http://127.0.0.1:{}{path}", desk.port)).body(body);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.send().await.expect("the daemon answers");
        assert_eq!(answer.status().as_u16(), 200);
    };
    type_in(text).await;
    desk.happens("meanwhile", push()).await;
    let muted = desk
        .until_asked(QUIET, "the event is logged", |ran| ran.out.contains("meanwhile"))
        .await
        .ends_with(0)
        .out;
    assert!(muted.contains("#ops is muted by @ada until"), "{muted}");
    type_in("unmute").await;
    desk.happens("after", push()).await;
    hook.wait_for(2).await;
    let shown = desk.run(&["explain", "--event", "meanwhile"]).await.ends_with(0).out;
    assert!(shown.contains("told #ops"), "{shown}");
}

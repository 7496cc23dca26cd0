//! What is wrong now, as an operator finds it out at night: `status`, `integrations`, `check`, readiness, the gauges, and a
//! reload that corrects it.

use super::*;
use crate::harness::mail::exim::{Access, Exim};
use crate::harness::payloads::with;

/// Slack's and Teams' integrations of two projects. Rate limits of services would only slow the tests.
fn services(receiver: &Receiver) -> String {
    let block = |project: &str, adapter: &str, path: &str| {
        format!(
            "[[integration]]\nproject = \"{project}\"\nadapter = \"{adapter}\"\nwebhook = \"{}\"\n\
             branches_to_be_notified = \"all\"\n\n",
            receiver.url(path)
        )
    };
    block("acme/slow", "slack", "/services/T1/B1/slow")
        + &block("acme/dead", "slack", "/services/T2/B2/dead")
        + &block("acme/teams", "microsoft-teams", "/workflows/gone")
}

fn push_of(desk: &Desk, project: &str, id: i64) -> String {
    let push = with(&payload(PUSH), |json| {
        json["project"]["id"] = json!(id);
        json["project_id"] = json!(id);
        json["project"]["path_with_namespace"] = json!(project);
    });
    desk.write(&format!("{}.json", project.replace('/', "-")), push)
}

impl Desk {
    /// What `status --json` says, and its exit code.
    async fn status(&self) -> (Option<i32>, Value) {
        let ran = self.run(&["status", "--json"]).await;
        (ran.code, ran.json())
    }

    async fn publish(&self, file: &str, id: &str) {
        self.run(&["publish", "--to", "http", file, "--id", id]).await.ends_with(0);
    }

    async fn until_status(&self, what: &str, is_right: impl Fn(&Value) -> bool) -> Value {
        eventually(what, PATIENCE, async || {
            let (_, status) = self.status().await;
            is_right(&status).then_some(status)
        })
        .await
    }

    /// A series of the daemon's metrics.
    async fn gauge(&self, series: &str) -> Option<f64> {
        let url = format!("http://127.0.0.1:{}/metrics", self.port);
        let text = crate::harness::client().get(url).send().await.ok()?.text().await.ok()?;
        text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    }

    async fn until_gauge(&self, series: &str, value: f64) {
        eventually(&format!("{series} is {value}"), PATIENCE, async || {
            self.gauge(series).await.filter(|found| (found - value).abs() < f64::EPSILON).map(drop)
        })
        .await;
    }

    async fn ready(&self) -> (u16, Value) {
        let url = format!("http://127.0.0.1:{}/readyz", self.port);
        let answer = crate::harness::client().get(url).send().await.expect("the daemon answers");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("it answers to the end");
        (status, serde_json::from_str(&text).expect("JSON"))
    }
}

/// What of a project is held, for this cause.
fn held<'a>(status: &'a Value, project: &str, cause: &str) -> Option<&'a Value> {
    let all = status["held"].as_array()?;
    all.iter().find(|held| held["project"] == project && held["cause"] == cause)
}

#[tokio::test]
async fn status_names_what_is_wrong_and_its_commands_end_it() {
    let receiver = Receiver::start().await;
    let slow = receiver.at("/services/T1/B1/slow").answer(Answer::throttled(Duration::from_secs(3600)));
    let dead = receiver.at("/services/T2/B2/dead").answer(Answer::status(404).body("no_service"));
    let teams = receiver.at("/workflows/gone").answer(Answer::status(404).body("gone"));
    let desk = Desk::with(&services(&receiver), "rate_limits.enabled = false\n");
    let mut daemon = desk.serve().await;
    let (code, well) = desk.status().await;
    assert_eq!((code, &well["state"]), (Some(0), &json!("ok")), "{well}");
    assert_eq!(desk.run(&["status"]).await.ends_with(0).out.lines().last(), Some("ok"));

    for (project, id) in [("acme/slow", 51), ("acme/dead", 52), ("acme/teams", 53)] {
        let push = push_of(&desk, project, id);
        desk.publish(&push, &format!("{id}-1")).await;
    }
    let status = desk
        .until_status("the dead address is switched off, and the others are noticed", |status| {
            let teams = held(status, "acme/teams", "misconfigured").is_some()
                || held(status, "acme/teams", "unavailable").is_some()
                || held(status, "acme/teams", "gone").is_some()
                || held(status, "acme/teams", "switched_off").is_some()
                || status["dead_letters"].as_array().is_some_and(|all| {
                    all.iter().any(|letters| letters["integration"] == "acme/teams:microsoft-teams")
                });
            held(status, "acme/dead", "switched_off").is_some()
                && held(status, "acme/slow", "throttled").is_some()
                && teams
        })
        .await;
    let off = held(&status, "acme/dead", "switched_off").unwrap();
    assert_eq!((&off["until"], &off["waiting"]), (&Value::Null, &json!(1)), "{off}");
    assert!(off["reason"].as_str().is_some_and(|why| why.contains("no_service")), "{off}");
    assert_eq!(off["command"], "forgebell integrations test acme/dead:slack");
    let throttled = held(&status, "acme/slow", "throttled").unwrap();
    assert!(
        throttled["until"].is_string() && throttled["is_problem"] == true,
        "an hour is long: {throttled}"
    );
    let (code, _) = desk.status().await;
    assert_eq!(code, Some(3), "a script sees that there are problems");
    let text = desk.run(&["status"]).await.ends_with(3);
    assert!(text.out.lines().last().is_some_and(|last| last.contains("problem")), "{}", text.out);
    assert!(!text.out.contains("/services/"), "no webhook is shown: {}", text.out);

    // The API says the same, and so do the list, the gauge and the log.
    let token = desk.run(&["token", "create", "--admin", "--read-only", "--name", "ops"]).await.ends_with(0);
    let token = token.out.lines().last().unwrap_or_default().trim().to_owned();
    let url = format!("http://127.0.0.1:{}/api/v4/status", desk.port);
    let of_api = eventually("the daemon knows the token", PATIENCE, async || {
        let answer = crate::harness::client().get(&url).header("private-token", &token).send().await.ok()?;
        let text = if answer.status().is_success() { answer.text().await.ok()? } else { return None };
        serde_json::from_str::<Value>(&text).ok()
    })
    .await;
    let strip = |status: &Value| -> Vec<Value> {
        let of = |held: &Value| json!([held["integration"], held["cause"], held["reason"], held["command"]]);
        status["held"].as_array().map(|all| all.iter().map(of).collect()).unwrap_or_default()
    };
    assert_eq!(strip(&of_api), strip(&desk.status().await.1), "one source of truth");
    assert_eq!(
        of_api["parts"],
        json!([{ "part": "store", "state": "ok", "found": "ok" }]),
        "no other part is configured"
    );
    desk.until_gauge("forgebell_integrations_switched_off{reason=\"address_gone\"}", 1.0).await;
    desk.until_gauge("forgebell_holds{cause=\"switched_off\"}", 1.0).await;
    assert!(desk.log().contains("integrations are switched off and send nothing"), "{}", desk.log());
    let list = desk.run(&["integrations", "list"]).await.ends_with(0).out;
    let line = list.lines().find(|line| line.starts_with("acme/dead:slack")).unwrap_or_default();
    assert!(line.contains("SWITCHED OFF") && line.contains("no_service"), "{list}");

    // The command that status names does not help while the address is dead, and then it does.
    desk.run(&["integrations", "test", "acme/dead:slack"]).await.ends_with(1);
    assert!(held(&desk.status().await.1, "acme/dead", "switched_off").is_some());
    let dead = dead.answer(Answer::ok().body("ok"));
    let before = dead.received().len();
    desk.run(&["integrations", "test", "acme/dead:slack"]).await.ends_with(0);
    dead.wait_for(before + 2).await;
    desk.until_status("the address is on again", |status| {
        held(status, "acme/dead", "switched_off").is_none()
    })
    .await;
    desk.until_gauge("forgebell_integrations_switched_off{reason=\"address_gone\"}", 0.0).await;

    // A wait that the service asked for is not ended by a person.
    let resumed =
        desk.run(&["integrations", "resume", "acme/slow:slack", "--json"]).await.ends_with(0).json();
    assert_eq!(resumed, json!([{ "integration": "acme/slow:slack", "ended": 0 }]));
    assert_eq!(slow.received().len(), 1);
    assert!(!teams.received().is_empty());
    let audit = desk.run(&["audit", "list", "--json"]).await.ends_with(0).json();
    let deeds: Vec<&str> =
        audit.as_array().unwrap().iter().filter_map(|line| line["action"].as_str()).collect();
    for deed in ["integration.test", "integration.resume", "token.create"] {
        assert!(deeds.contains(&deed), "{deed} is in the audit log: {audit}");
    }
    signal(&daemon, "TERM");
    assert_eq!(end_of(&mut daemon).await, Some(0));
    let (code, stopped) = desk.status().await;
    assert_eq!((code, &stopped["parts"][0]["state"]), (Some(3), &json!("failed")), "{stopped}");
}

#[tokio::test]
async fn resume_sends_what_waits_for_a_switched_off_address() {
    let receiver = Receiver::start().await;
    let dead = receiver.at("/services/T2/B2/dead").answer(Answer::status(404).body("no_service"));
    let desk = Desk::with(&services(&receiver), "rate_limits.enabled = false\n");
    let _daemon = desk.serve().await;
    let push = push_of(&desk, "acme/dead", 52);
    desk.publish(&push, "52-1").await;
    desk.until_status("it is off", |status| held(status, "acme/dead", "switched_off").is_some()).await;
    let dead = dead.answer(Answer::ok().body("ok"));
    let before = dead.received().len();
    let resumed = desk.run(&["integrations", "resume", "acme/dead:slack"]).await.ends_with(0);
    assert!(resumed.out.contains("ended; what waited"), "{}", resumed.out);
    dead.wait_for(before + 1).await;
    let status = desk.until_status("nothing waits", |status| status["waiting"] == 0).await;
    assert_eq!(status["state"], "ok", "{status}");
}

#[tokio::test]
async fn events_over_http_are_taken_while_the_broker_is_away_and_status_says_so() {
    let (_receiver, hook) = hook().await;
    let desk = Desk::with(
        &slack(&hook, ""),
        &format!(
            "amqp.enabled = true\namqp.url = \"amqp://guest:deepsecret@127.0.0.1:{}\"\namqp.reconnect_max = \"1s\"\n",
            free_port()
        ),
    );
    let push = desk.write("push.json", payload(PUSH));
    let _daemon = desk.serve().await;
    let (_, away) = eventually("the broker is away", PATIENCE, async || {
        let (code, ready) = desk.ready().await;
        ready["broker"].as_str()?.starts_with("away").then_some((code, ready))
    })
    .await;
    assert_eq!((desk.ready().await.0, &away["status"]), (200, &json!("ready")), "{away}");
    desk.publish(&push, "b-1").await;
    hook.wait_for(1).await;
    let (code, status) = desk.status().await;
    assert_eq!(code, Some(3));
    let broker = status["parts"].as_array().unwrap().iter().find(|part| part["part"] == "broker").unwrap();
    assert_eq!(broker["state"], "failed");
    assert!(!status.to_string().contains("deepsecret"));
    let checked = desk.run(&["check"]).await.ends_with(1).out;
    assert!(checked.contains("is it running, and are host and port"), "{checked}");
    assert!(!checked.contains("user and password"), "one cause is named: {checked}");
}

/// Each thing that a broker can refuse, with what a person has to do about it and nothing else.
#[tokio::test]
async fn check_names_one_cause_of_a_brokers_refusal() {
    const REMEDIES: [&str; 6] = [
        "create it, or set amqp.declare",
        "correct user and password",
        "rabbitmqctl add_vhost",
        "set_permissions -p",
        "lacks a permission there",
        "Set amqp.exchange_type",
    ];
    let broker = rabbit::shared().await;
    let desk = Desk::new("");
    let checked = async |options: &[String], remedy: usize, names: &str| {
        let mut words = vec!["-o", "amqp.enabled=true"];
        words.extend(options.iter().flat_map(|option| ["-o", option]));
        words.push("check");
        let out = desk.run(&words).await.ends_with(1).out;
        let said: Vec<_> = REMEDIES.iter().filter(|remedy| out.contains(*remedy)).collect();
        assert_eq!(said, [&REMEDIES[remedy]], "{out}");
        assert!(out.contains(names), "{names} is named: {out}");
        assert!(!out.contains("deepsecret"), "{out}");
    };
    let (name, stranger) = (rabbit::unique("thing"), rabbit::unique("stranger"));
    let host = format!("127.0.0.1:{}", broker.port());
    let url = |login: &str, vhost: &str| format!("amqp.url=amqp://{login}@{host}/{vhost}");
    let (ours, exchange) = (format!("amqp.url={}", broker.url()), format!("amqp.exchange={name}"));
    let passive = "amqp.declare=passive".to_owned();
    checked(&[ours.clone(), exchange.clone(), passive.clone()], 0, &format!("no exchange '{name}'")).await;
    let (topic, queue) = ("amqp.exchange=amq.topic".to_owned(), format!("amqp.queue={name}"));
    checked(&[ours.clone(), topic.clone(), queue.clone(), passive], 0, &format!("no queue '{name}'")).await;
    checked(&[url("guest:deepsecret", "%2f")], 1, "Login was refused").await;
    checked(&[url("guest:guest", &name)], 2, &name).await;
    broker.ctl(&["add_user", &stranger, "deepsecret"]).await;
    let login = format!("{stranger}:deepsecret");
    checked(&[url(&login, "%2f")], 3, &stranger).await;
    broker.ctl(&["set_permissions", &stranger, "^$", ".*", ".*"]).await;
    checked(&[url(&login, "%2f"), topic.clone(), queue], 4, "amq.topic").await;
    let fanout = "amqp.exchange=amq.fanout".to_owned();
    checked(&[ours, fanout], 5, "amq.fanout").await;
}

#[tokio::test]
async fn check_asks_the_mail_relay_and_sends_nothing() {
    let exim = Exim::start(Access::Login { name: "bell", password: "deepsecret" }).await;
    let desk = Desk::with(
        "",
        &format!(
            "smtp.host = \"localhost\"\nsmtp.port = {}\nsmtp.username = \"bell\"\nsmtp.ca_file = \"{}\"\n\
             mail.from = \"bell@forge.example.com\"\n",
            exim.port,
            exim.certificate()
        ),
    );
    let mail = async |options: &[&str], code: i32| {
        let mut words: Vec<&str> = Vec::new();
        for option in options {
            words.extend(["-o", option]);
        }
        words.extend(["check", "--json"]);
        let parts = desk.run(&words).await.ends_with(code).json();
        let part = parts.as_array().unwrap().iter().find(|part| part["part"] == "mail").unwrap().clone();
        assert!(!part.to_string().contains("deepsecret"), "{part}");
        part
    };
    let right = mail(&["smtp.password=deepsecret"], 0).await;
    let found = right["found"].as_str().unwrap();
    for words in
        ["STARTTLS, its certificate is verified", "logged in", "takes mail from bell@forge.example.com"]
    {
        assert!(found.contains(words), "{right}");
    }
    let wrong = mail(&["smtp.password=close"], 1).await;
    assert!(wrong["more"][0].as_str().unwrap().contains("smtp.username and smtp.password"), "{wrong}");
    let plain = Exim::start(Access::Open).await;
    let port = format!("smtp.port={}", plain.port);
    let none = mail(&["smtp.username=", &port], 1).await;
    assert!(none["found"].as_str().unwrap().contains("does not offer STARTTLS"), "{none}");
    let away = format!("smtp.port={}", free_port());
    let nobody = mail(&["smtp.password=deepsecret", &away], 1).await;
    assert!(nobody["more"][0].as_str().unwrap().contains("is it running"), "{nobody}");
    assert!(exim.delivered().is_empty() && plain.delivered().is_empty(), "nothing was sent");
}

#[tokio::test]
async fn one_teams_missing_secret_keeps_nobody_elses_messages() {
    let (_receiver, hook) = hook().await;
    let desk = Desk::new("");
    let other = format!(
        "[[integration]]\nproject = \"acme/other\"\nadapter = \"slack\"\nwebhook_file = \"{}\"\n\
         branches_to_be_notified = \"all\"\n",
        desk.file("other-secret").display()
    );
    desk.write("integrations.toml", format!("{}\n{other}", slack(&hook, "")));
    let push = desk.write("push.json", payload(PUSH));
    let daemon = desk.serve().await;
    desk.publish(&push, "s-1").await;
    hook.wait_for(1).await;
    let (code, status) = desk.status().await;
    let off = held(&status, "acme/other", "invalid_settings").unwrap_or_else(|| panic!("{status}"));
    assert_eq!((code, &off["kind"]), (Some(3), &json!("integration")));
    assert!(off["reason"].as_str().unwrap().contains("can't be read"), "{off}");
    assert_eq!(off["command"], "forgebell integrations show acme/other:slack");
    let list = desk.run(&["integrations", "list", "--project", "acme/other"]).await.ends_with(0).out;
    assert!(list.contains("SWITCHED OFF"), "{list}");
    let checked = desk.run(&["check"]).await.ends_with(1).out;
    assert!(checked.contains("provisioning   FAILED") && checked.contains("other-secret"), "{checked}");
    desk.until_gauge("forgebell_integrations_switched_off{reason=\"invalid_settings\"}", 1.0).await;
    desk.run(&["apply", &desk.file("integrations.toml").display().to_string()]).await.ends_with(1);

    desk.write("other-secret", format!("{}\n", hook.url()));
    signal(&daemon, "HUP");
    desk.until_gauge("forgebell_integrations_switched_off{reason=\"invalid_settings\"}", 0.0).await;
    let other = push_of(&desk, "acme/other", 60);
    desk.publish(&other, "s-2").await;
    hook.wait_for(2).await;
}

#[tokio::test]
async fn sighup_applies_settings_and_names_what_needs_a_restart() {
    let (_receiver, hook) = hook().await;
    let desk = Desk::new(&slack(&hook, ""));
    let push = desk.write("push.json", payload(PUSH));
    let before = std::fs::read_to_string(desk.file("forgebell.toml")).expect("it is ours");
    let closed = before.replace("wire.allow_networks = [\"127.0.0.0/8\"]\n", "");
    assert_ne!(before, closed);
    desk.write("forgebell.toml", &closed);
    let daemon = desk.serve().await;
    desk.publish(&push, "r-1").await;
    desk.until_status("the guard refuses the address", |status| {
        status["held"].as_array().is_some_and(|held| !held.is_empty())
            || status["dead_letters"].as_array().is_some_and(|letters| !letters.is_empty())
    })
    .await;
    assert_eq!(hook.received().len(), 0);

    desk.write("forgebell.toml", format!("{before}log.filter = \"debug\"\nhttp.body_limit = 1000000\n"));
    signal(&daemon, "HUP");
    eventually("the reload is logged", PATIENCE, async || {
        desk.log().contains("reloaded the integrations").then_some(())
    })
    .await;
    let log = desk.log();
    let applied = log.lines().find(|line| line.contains("new settings apply")).unwrap_or_default();
    assert!(applied.contains("log.filter") && applied.contains("wire.allow_networks"), "{log}");
    let waiting = log.lines().find(|line| line.contains("need a restart")).unwrap_or_default();
    assert!(waiting.contains("http.body_limit") && !waiting.contains("log.filter"), "{log}");
    desk.until_gauge("forgebell_settings_need_restart", 1.0).await;
    desk.until_gauge("forgebell_last_reload_successful", 1.0).await;
    let other = push_of(&desk, "mike/diaspora", 15);
    desk.publish(&other, "r-2").await;
    desk.run(&["integrations", "test", "mike/diaspora:slack"]).await.ends_with(0);
    hook.wait_for(2).await;
    eventually("the debug filter applies", PATIENCE, async || desk.log().contains("DEBUG").then_some(()))
        .await;

    desk.write("forgebell.toml", format!("{before}http.lissen = 1\n"));
    signal(&daemon, "HUP");
    desk.until_gauge("forgebell_last_reload_successful", 0.0).await;
    assert!(desk.log().contains("nothing was reloaded"), "{}", desk.log());
    desk.write("forgebell.toml", &before);
    signal(&daemon, "HUP");
    desk.until_gauge("forgebell_last_reload_successful", 1.0).await;
    desk.until_gauge("forgebell_settings_need_restart", 0.0).await;
}

#[tokio::test]
async fn refused_calls_of_events_are_counted_by_reason_and_logged_once() {
    let desk = Desk::new("");
    let push = desk.write("push.json", payload(PUSH));
    let _daemon = desk.serve().await;
    for n in 0..3 {
        let refused =
            ["publish", "--to", "http", &push, "--id", &format!("x-{n}"), "--token", "close sesame"];
        desk.run(&refused).await.ends_with(1);
    }
    desk.until_gauge("forgebell_events_refused_total{reason=\"token\"}", 3.0).await;
    let log = desk.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("refused calls of /events")).collect();
    assert!(!lines.is_empty() && lines.len() < 3 && lines[0].contains("127.0.0.1"), "{log}");
}

//! A build server that answers after half a minute may have started a build: it is not asked for another one.

use std::time::Duration;

use forgebell::store::State;
use serde_json::json;

use crate::harness::daemon::Home;
use crate::harness::payloads::payload;
use crate::harness::receiver::{Answer, Receiver};
use crate::harness::wait::eventually;

/// Every service at which a repeat starts a second build: its hook's path, and its settings.
const SERVICES: [(&str, &str, &str); 6] = [
    ("bamboo", "/updateAndBuild.action", "bamboo_url = \"BASE\"\nbuild_key = \"A-B\""),
    (
        "buildkite",
        "/deliver/t0ken",
        "base_url = \"BASE\"\ntoken = \"t0ken:x\"\nproject_url = \"https://buildkite.com/a/b\"",
    ),
    ("drone-ci", "/hook", "drone_url = \"BASE\"\ntoken = \"t\""),
    ("jenkins", "/project/rocket", "jenkins_url = \"BASE\"\nproject_name = \"rocket\""),
    ("jenkins-deprecated", "/gitlab/build_now", "project_url = \"BASE\""),
    ("teamcity", "/httpAuth/app/rest/buildQueue", "teamcity_url = \"BASE\"\nbuild_type = \"A_B\""),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_answers_after_half_a_minute_is_asked_for_one_build() {
    let taken = Answer::json(200, &json!({ "id": 7, "buildTypeId": "A_B" })).delay(Duration::from_secs(31));
    let (mut provisioning, mut hooks, mut servers) = (String::new(), Vec::new(), Vec::new());
    for (adapter, path, settings) in SERVICES {
        let server = Receiver::start().await;
        let settings = settings.replace("BASE", &server.url("/"));
        provisioning +=
            &format!("[[integration]]\nproject = \"mike/diaspora\"\nadapter = \"{adapter}\"\n{settings}\n\n");
        hooks.push((adapter, server.at(path).answer(taken.clone())));
        servers.push(server);
    }
    let home = Home::new(&provisioning).with(&["rate_limits.enabled=false"]);
    let daemon = home.start().await;
    daemon.send("one", payload("push.json")).await;
    let given_up = eventually("each attempt is over", Duration::from_secs(90), async || {
        let lines = home.deliveries(None).await;
        (lines.len() == SERVICES.len() && lines.iter().all(|line| line.state != State::Waiting))
            .then_some(lines)
    })
    .await;
    for line in given_up {
        let note = line.last_note.unwrap_or_default();
        assert_eq!(line.state, State::Failed, "{}: {note}", line.integration);
        assert!(note.contains("nothing within"), "{}: {note}", line.integration);
        eprintln!("{}: {note}", line.integration);
    }
    for (adapter, hook) in hooks {
        assert_eq!(hook.received().len(), 1, "{adapter}");
    }
    daemon.stop().await;
}

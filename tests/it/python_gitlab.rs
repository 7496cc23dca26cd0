//! GitLab's Integrations API, as python-gitlab speaks to it: the library and its command line.

use forgebell::store::registry::{GroupKey, Right, ScopeKey};
use serde_json::{Value, json};

use crate::harness::api::{Caller, administered, caller};
use crate::harness::daemon::{Daemon, Home};
use crate::harness::python;

const WEBHOOK: &str = "https://hooks.slack.com/services/T0/B0/s3cret";

#[tokio::test(flavor = "multi_thread")]
async fn python_gitlab_works_with_the_api() {
    let home = Home::new("");
    let (daemon, admin) = administered(&home).await;
    admin.put("/projects/42", json!({})).await;
    let arguments = [daemon.base(), &admin.token, WEBHOOK];
    let said = python::script("integrations.py", &arguments).await;
    assert!(said.ends_with("done\n"), "{said}");
    daemon.stop().await;
}

/// What a client reads and sends back changes nothing, for each service that the daemon offers.
#[tokio::test(flavor = "multi_thread")]
async fn python_gitlab_sees_no_drift_in_any_service() {
    let home = Home::new("");
    let (daemon, admin) = administered(&home).await;
    admin.put("/projects/42", json!({})).await;
    let said = python::script("drift.py", &[daemon.base(), &admin.token]).await;
    assert!(said.ends_with("no drift\n"), "{said}");
    daemon.stop().await;
}

/// Each service that python-gitlab knows and the daemon offers is set, read and deleted with every parameter of both.
#[tokio::test(flavor = "multi_thread")]
async fn python_gitlab_sets_reads_and_deletes_each_service_with_every_parameter() {
    let home = Home::new("");
    let (daemon, admin) = administered(&home).await;
    admin.put("/projects/42", json!({})).await;
    let said = python::script("parameters.py", &[daemon.base(), &admin.token]).await;
    assert!(said.ends_with(" done\n"), "{said}");
    // Nothing that python-gitlab knows is unknown to the daemon.
    assert!(said.starts_with("unknown:\ncovered: "), "{said}");
    for slug in [
        "bamboo",
        "buildkite",
        "drone-ci",
        "github",
        "jenkins",
        "packagist",
        "teamcity",
        "campfire",
        "flowdock",
    ] {
        assert!(said.contains(slug), "{slug}: {said}");
    }
    daemon.stop().await;
}

/// The arguments of a command of python-gitlab's program.
fn arguments<'a>(daemon: &'a Daemon, caller: &'a Caller, command: &'a str) -> Vec<&'a str> {
    let common = ["--server-url", daemon.base(), "--private-token", &caller.token, "--output", "json"];
    common.into_iter().chain(command.split(' ')).collect()
}

/// What a command of python-gitlab's program prints.
async fn gitlab(daemon: &Daemon, caller: &Caller, command: &str) -> Value {
    let said = python::run("gitlab", &arguments(daemon, caller, command)).await;
    if said.trim().is_empty() { Value::Null } else { serde_json::from_str(&said).expect("JSON") }
}

/// The program asks for `/user` before every command. It has no options for settings: the library sets them.
#[tokio::test(flavor = "multi_thread")]
async fn python_gitlabs_command_line_lists_shows_and_deletes_integrations() {
    let home = Home::new("");
    let (daemon, admin) = administered(&home).await;
    admin.put("/projects/42", json!({ "path_with_namespace": "acme/rocket" })).await;
    admin.put("/groups/acme", json!({ "number": 7 })).await;
    let slack = json!({ "webhook": WEBHOOK, "channel": "#ops", "push_events": false });
    admin.put("/projects/42/integrations/slack", slack).await;
    let of_project = caller(&home, &daemon, ScopeKey::Project(42), Right::Maintain).await;
    let of_group = caller(&home, &daemon, ScopeKey::Group(GroupKey(1)), Right::Maintain).await;

    for (caller, username) in [(&of_project, "project_42_bot_"), (&of_group, "group_7_bot_")] {
        let user = gitlab(&daemon, caller, "current-user get").await;
        assert!(user["username"].as_str().is_some_and(|name| name.starts_with(username)), "{user}");
        assert_eq!(
            gitlab(&daemon, caller, "project get --id 42").await["path_with_namespace"],
            "acme/rocket"
        );

        let listed = gitlab(&daemon, caller, "project-integration list --project-id 42 --get-all").await;
        let slugs: Vec<_> = listed.as_array().expect("a list").iter().map(|one| &one["slug"]).collect();
        assert_eq!(slugs, ["slack"]);
        let shown = gitlab(&daemon, caller, "project-integration get --project-id 42 --slug slack").await;
        assert_eq!((&shown["push_events"], &shown["properties"]["channel"]), (&json!(false), &json!("#ops")));
        let by_path = "project-integration get --project-id acme/rocket --slug slack";
        assert_eq!(gitlab(&daemon, caller, by_path).await, shown);

        let update = arguments(&daemon, caller, "project-integration update --project-id 42 --slug slack");
        let complaint = python::fails("gitlab", &update).await;
        assert!(complaint.contains("(400: webhook is missing)"), "{complaint}");

        gitlab(&daemon, caller, "project-integration delete --project-id 42 --slug slack").await;
        let off = gitlab(&daemon, caller, "project-service get --project-id 42 --slug slack").await;
        assert_eq!((&off["active"], &off["properties"]), (&json!(false), &shown["properties"]));
        let listed = gitlab(&daemon, caller, "project-integration list --project-id 42 --get-all").await;
        assert_eq!(listed, json!([]));
        admin.put("/projects/42/integrations/slack", json!({ "webhook": WEBHOOK })).await;
    }
    daemon.stop().await;
}

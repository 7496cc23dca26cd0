//! Mails about builds of other services than the forge.

use serde_json::{Value as Json, json};

use super::{Case, PIPELINES, mail, tell};

const PAGE: &str = "https://ci.example.com/viewLog.html?buildId=71";

/// An announcement by `pipeline::status_poller`.
fn build(change: impl FnOnce(&mut Json)) -> Case {
    let mut json = json!({
        "object_kind": "pipeline",
        "object_attributes": {
            "ref": "main",
            "sha": "da1560886d4f094c3e6c9ef40349f7d38b5d27d7",
            "status": "failed",
            "detailed_status": "failed",
            "source": "external",
            "finished_at": "2026-11-30T12:00:00Z",
            "duration": 63,
            "url": PAGE,
        },
        "project": {
            "id": 7, "name": "Web", "path_with_namespace": "acme/web", "web_url": "https://forge.example.com/acme/web",
        },
        "forgebell_build": { "integration": "acme/web:teamcity", "service": "JetBrains TeamCity" },
    });
    change(&mut json);
    tell("build", &json)
}

fn of_ref(name: &'static str) -> Case {
    build(|build| build["object_attributes"]["ref"] = json!(name))
}

#[test]
fn a_build_is_named_by_its_service_and_led_to() {
    let mail = mail(PIPELINES, &[], &build(|_| ()));
    assert_eq!(mail.subject, "Web | JetBrains TeamCity build of main failed | da156088");
    let headline = format!("JetBrains TeamCity build of main ({PAGE}) failed");
    assert!(mail.text.starts_with(&headline), "{}", mail.text);
    assert!(mail.text.contains(&format!("\nView the build ({PAGE})")), "{}", mail.text);
    for words in ["Pipeline ", "pipelines/0"] {
        assert!(!mail.text.contains(words), "{words}: {}", mail.text);
    }
    let names: Vec<&str> = mail.headers.iter().map(|(name, _)| *name).collect();
    assert!(
        !names.contains(&"X-GitLab-Pipeline-Id") && names.contains(&"X-GitLab-Pipeline-Status"),
        "{names:?}"
    );
}

#[test]
fn how_a_build_ended_is_said() {
    for (status, detailed, before, said) in [
        ("success", "passed", Json::Null, "passed"),
        ("success", "passed with warnings", Json::Null, "passed with warnings"),
        ("success", "passed", json!("fixed"), "was fixed"),
        ("canceled", "canceled", Json::Null, "was canceled"),
    ] {
        let ended = build(|build| {
            build["object_attributes"]["status"] = json!(status);
            build["object_attributes"]["detailed_status"] = json!(detailed);
            build["object_attributes"]["ref_status_name"] = before.clone();
        });
        let subject = mail(PIPELINES, &[], &ended).subject;
        assert_eq!(subject, format!("Web | JetBrains TeamCity build of main {said} | da156088"));
    }
    let hidden = mail(PIPELINES, &[], &of_ref("refs/merge-requests/5/head"));
    assert_eq!(hidden.subject, "Web | JetBrains TeamCity build of !5 failed | da156088");
}

/// The project may have a branch of the same name.
#[test]
fn a_build_of_a_forks_branch_is_said_to_be_of_a_fork() {
    let of_fork = build(|build| {
        build["merge_request"] = json!({ "source_project_id": 8, "target_project_id": 7 });
    });
    let subject = mail(PIPELINES, &[], &of_fork).subject;
    assert_eq!(subject, "Web | JetBrains TeamCity build of main (in a fork) failed | da156088");
}

#[test]
fn a_build_without_a_page_has_no_dead_link() {
    let mail = mail(PIPELINES, &[], &build(|build| build["object_attributes"]["url"] = Json::Null));
    assert!(mail.text.starts_with("JetBrains TeamCity build of main failed"), "{}", mail.text);
    assert!(!mail.text.contains("View the"), "{}", mail.text);
}

#[test]
fn builds_of_one_service_and_ref_form_a_thread_of_their_own() {
    let thread = |case: &Case| mail(PIPELINES, &[], case).thread.expect("a thread");
    let other_commit = build(|build| build["object_attributes"]["sha"] = json!("cafe"));
    assert_eq!(thread(&of_ref("main")), thread(&other_commit));
    assert_ne!(thread(&of_ref("main")), thread(&of_ref("next")));
    let of_drone = build(|build| {
        build["forgebell_build"] = json!({ "integration": "acme/web:drone-ci", "service": "Drone" });
    });
    assert_ne!(thread(&of_ref("main")), thread(&of_drone));
    let forges_own = build(|build| build["forgebell_build"] = Json::Null);
    assert_ne!(thread(&of_ref("main")), thread(&forges_own));
}

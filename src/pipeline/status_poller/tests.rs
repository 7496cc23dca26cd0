//! What follows from an answer, and the event that tells people.

use jiff::ToSpan as _;

use super::*;
use crate::call::BuildState;
use crate::event::{Payload, RefType};
use crate::integration::IntegrationId;

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + seconds.seconds()
}

fn config() -> Config {
    let seconds = Duration::from_secs;
    Config {
        first_pause: seconds(5),
        second_pause: seconds(30),
        longest_pause: seconds(300),
        give_up_after: seconds(24 * 3600),
    }
}

/// The watch of a build that was not asked for yet.
pub(super) fn watch() -> Watch {
    Watch {
        number: 3,
        kind: WatchKind::Build,
        integration: IntegrationId::new("acme/web:teamcity"),
        project_id: 7,
        project: "acme/web".to_owned(),
        sha: "da1560886d4f094c3e6c9ef40349f7d38b5d27d7".to_owned(),
        ref_name: "main".to_owned(),
        project_json: r#"{"id":7,"name":"Web","path_with_namespace":"acme/web","default_branch":"main",
            "web_url":"https://forge.example/acme/web"}"#
            .into(),
        since: at(0),
        polls: 0,
        seen: None,
        note: String::new(),
        checked_at: None,
        ended_at: None,
    }
}

fn said(state: BuildState) -> Answered<CommitStatus> {
    Answered::Said(CommitStatus { state, page: Some("https://ci.example/build/1".to_owned()) })
}

fn settled(answered: &Answered<CommitStatus>, now: i64) -> SettledWatch {
    settle(&watch(), answered, &config(), at(now))
}

#[test]
fn a_build_that_runs_is_asked_for_again_and_one_that_ended_is_not() {
    for state in [BuildState::Pending, BuildState::Running] {
        let settled = settled(&said(state), 5);
        assert_eq!((settled.again, settled.polls), (Some(at(30)), 1));
    }
    for state in
        [BuildState::Success, BuildState::SuccessWithWarnings, BuildState::Failed, BuildState::Canceled]
    {
        let settled = settled(&said(state), 5);
        assert_eq!((settled.again, settled.seen.map(|seen| seen.state)), (None, Some(state)));
    }
}

#[test]
fn a_wait_that_the_service_names_is_kept() {
    let busy = Answered::Failed { why: "throttled".to_owned(), wait: Some(Duration::from_secs(90)) };
    let settled = settled(&busy, 5);
    assert_eq!((settled.again, settled.note.as_str(), settled.seen), (Some(at(95)), "throttled", None));
}

#[test]
fn after_a_day_the_watch_ends_and_says_why() {
    let day = 24 * 3600;
    let late = settled(&said(BuildState::Running), day);
    assert_eq!((late.again, late.note.as_str()), (None, "no final state within 24h"));
    let silent = settled(&Answered::Failed { why: "no answer".to_owned(), wait: None }, day);
    assert_eq!(silent.note, "no final state within 24h; the last answer: no answer");
    let held = settled(&Answered::Early(at(day + 60)), day);
    assert_eq!(held.again, None);
}

#[test]
fn what_is_too_early_to_ask_does_not_count_as_a_question() {
    let early = settled(&Answered::Early(at(40)), 5);
    assert_eq!((early.again, early.polls), (Some(at(40)), 0));
}

#[test]
fn a_failed_build_is_a_failed_pipeline_of_its_branch() {
    let settled = settled(&said(BuildState::Failed), 65);
    let event = announcement(&watch(), &settled, "JetBrains TeamCity", None).expect("it is final");
    let Payload::Pipeline(pipeline) = &event.payload else { panic!("not a pipeline: {event:?}") };
    assert_eq!((pipeline.status.as_str(), pipeline.ref_name.as_str()), ("failed", "main"));
    assert_eq!(pipeline.own_url(), Some("https://ci.example/build/1"));
    assert_eq!(event.subject, "build:acme/web:teamcity:main");
    assert_eq!(event.project.as_ref().and_then(|project| project.default_branch.as_deref()), Some("main"));
    let message = crate::message::compose(&event).expect("pipelines have messages");
    assert_eq!(message.title.expect("it has one").text, "JetBrains TeamCity build of main failed");
}

#[test]
fn a_build_of_a_forks_merge_request_is_not_told_as_one_of_the_projects_branch() {
    let project_json = r#"{"id":7,"name":"Web","path_with_namespace":"acme/web","default_branch":"main",
        "web_url":"https://forge.example/acme/web","forgebell_branch_of_fork":"main"}"#;
    let ref_name = "refs/merge-requests/5/head".to_owned();
    let watch = Watch { ref_name, project_json: project_json.into(), ..watch() };
    let event =
        announcement(&watch, &settled(&said(BuildState::Failed), 65), "Drone", None).expect("it is final");
    let Payload::Pipeline(pipeline) = &event.payload else { panic!("not a pipeline: {event:?}") };
    assert_eq!(
        (pipeline.ref_name.as_str(), pipeline.merge_request_iid()),
        ("refs/merge-requests/5/head", Some(5))
    );
    assert!(!String::from_utf8_lossy(&event.raw).contains("branch_of_fork"));
    let message = crate::message::compose(&event).expect("pipelines have messages");
    assert_eq!(message.title.expect("it has one").text, "Drone build of !5 failed");
}

#[test]
fn an_announcement_has_one_id_for_each_final_state_of_a_commit_on_a_ref() {
    let id = |state, sha: &str, ref_name: &str| {
        let watch = Watch { sha: sha.to_owned(), ref_name: ref_name.to_owned(), ..watch() };
        announcement(&watch, &settled(&said(state), 9), "CI", None).map(|event| event.id)
    };
    let failed = id(BuildState::Failed, "cafe", "main");
    assert_eq!(id(BuildState::Failed, "cafe", "main"), failed);
    assert_ne!(id(BuildState::Success, "cafe", "main"), failed);
    assert_ne!(id(BuildState::Failed, "beef", "main"), failed);
    assert_ne!(id(BuildState::Failed, "cafe", "dev"), failed, "a channel may be told of main alone");
    assert_eq!(id(BuildState::Running, "cafe", "main"), None, "it is not final");
}

#[test]
fn the_result_of_a_tags_build_is_told_as_a_tags() {
    let watch = Watch { ref_name: "refs/tags/v1.0".to_owned(), ..watch() };
    let event =
        announcement(&watch, &settled(&said(BuildState::Failed), 9), "CI", None).expect("it is final");
    let Payload::Pipeline(pipeline) = &event.payload else { panic!("not a pipeline: {event:?}") };
    assert_eq!((pipeline.ref_type, pipeline.ref_name.as_str()), (RefType::Tag, "v1.0"));
}

#[test]
fn an_announcement_says_how_the_build_compares_with_the_one_before() {
    use BuildState::{Canceled, Failed, Success, SuccessWithWarnings};
    for (before, state, name) in [
        (None, Failed, Some("broken")),
        (Some(Success), Failed, Some("broken")),
        (Some(SuccessWithWarnings), Failed, Some("broken")),
        (Some(Failed), Failed, Some("still_failing")),
        (None, Success, Some("success")),
        (Some(Success), Success, Some("success")),
        (Some(Failed), Success, Some("fixed")),
        (Some(Failed), SuccessWithWarnings, Some("fixed")),
        (Some(Failed), Canceled, None),
    ] {
        let event = announcement(&watch(), &settled(&said(state), 9), "CI", before).expect("it is final");
        let Payload::Pipeline(pipeline) = &event.payload else { panic!("not a pipeline: {event:?}") };
        assert_eq!(pipeline.ref_status_name.as_deref(), name, "{before:?}, {state:?}");
    }
}

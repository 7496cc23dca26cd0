//! Which pipelines are notified: by status, broken ones only, status changes only.

use serde_json::json;

use super::{asked, event};
use crate::event::{Event, Trigger};
use crate::integration::{Family, Integration};

fn pipeline(status: &str, ref_status_name: Option<&str>) -> Event {
    let attributes =
        json!({ "status": status, "detailed_status": status, "ref_status_name": ref_status_name });
    event(Trigger::Pipeline, json!({ "object_attributes": attributes }))
}

/// The families that notify people of pipelines.
fn families() -> [Integration; 2] {
    [Integration::example(Family::Chat), Integration::example(Family::PipelineMail)]
}

#[test]
fn only_ended_pipelines_are_notified() {
    for integration in families() {
        for status in ["success", "failed"] {
            assert_eq!(asked(&integration, &pipeline(status, None)), Ok(()), "{status}");
        }
        for status in [
            "created",
            "waiting_for_resource",
            "preparing",
            "pending",
            "running",
            "canceled",
            "canceling",
            "skipped",
            "manual",
            "scheduled",
            "",
            "SUCCESS",
        ] {
            assert_eq!(asked(&integration, &pipeline(status, None)), Err("pipeline_status"), "{status}");
        }
    }
}

#[test]
fn with_broken_pipelines_only_a_success_is_not_notified() {
    for (status, only_broken, expected) in [
        ("failed", false, Ok(())),
        ("failed", true, Ok(())),
        ("success", false, Ok(())),
        ("success", true, Err("not_broken")),
        ("running", true, Err("pipeline_status")),
    ] {
        for integration in families() {
            let integration = integration.only_broken(only_broken);
            assert_eq!(
                asked(&integration, &pipeline(status, None)),
                expected,
                "{status}, only broken: {only_broken}"
            );
        }
    }
}

#[test]
fn passed_with_warnings_is_a_success() {
    let attributes = json!({ "status": "success", "detailed_status": "passed with warnings" });
    let warned = event(Trigger::Pipeline, json!({ "object_attributes": attributes }));
    for integration in families() {
        assert_eq!(asked(&integration.clone().only_broken(false), &warned), Ok(()));
        assert_eq!(asked(&integration.only_broken(true), &warned), Err("not_broken"));
    }
}

#[test]
fn with_status_changes_only_broken_and_fixed_are_notified() {
    #[rustfmt::skip]
    let table = [
        // status, ref_status_name,     broken only: no            yes
        ("failed",  Some("broken"),        Ok(()),                  Ok(())),
        ("failed",  Some("still_failing"), Err("status_unchanged"), Err("status_unchanged")),
        ("failed",  Some("failed"),        Err("status_unchanged"), Err("status_unchanged")),
        ("failed",  Some("fixed"),         Err("status_unchanged"), Err("status_unchanged")),
        ("failed",  None,                  Err("status_unchanged"), Err("status_unchanged")),
        ("success", Some("fixed"),         Ok(()),                  Err("not_broken")),
        ("success", Some("success"),       Err("status_unchanged"), Err("not_broken")),
        ("success", Some("broken"),        Err("status_unchanged"), Err("not_broken")),
        ("success", None,                  Err("status_unchanged"), Err("not_broken")),
        ("running", Some("broken"),        Err("pipeline_status"),  Err("pipeline_status")),
    ];
    for (status, ref_status_name, broken_or_not, broken_only) in table {
        for integration in families() {
            let integration = integration.only_when_status_changes(true);
            let pipeline = pipeline(status, ref_status_name);
            let what = format!("{status} {ref_status_name:?}");
            assert_eq!(asked(&integration.clone().only_broken(false), &pipeline), broken_or_not, "{what}");
            assert_eq!(asked(&integration.only_broken(true), &pipeline), broken_only, "{what}, broken only");
        }
    }
}

/// Results of builds on build servers. A result must not start a build on another server.
#[test]
fn the_outcome_of_a_build_is_told_to_chats_and_mails_by_their_filters_and_to_nothing_else() {
    let outcome = |status: &str| {
        let build = json!({ "integration": "acme/rocket:teamcity", "service": "JetBrains TeamCity" });
        let attributes = json!({ "status": status, "detailed_status": status });
        event(Trigger::Pipeline, json!({ "object_attributes": attributes, "forgebell_build": build }))
    };
    for integration in families() {
        assert_eq!(asked(&integration, &outcome("failed")), Ok(()));
        let broken_only = integration.only_broken(true);
        assert_eq!(asked(&broken_only, &outcome("success")), Err("not_broken"));
        assert_eq!(
            asked(&broken_only.listening_to(&[Trigger::Push]), &outcome("failed")),
            Err("switched_off")
        );
    }
    for family in [Family::Hook, Family::PushMail, Family::Commands] {
        let other = Integration::example(family);
        assert_eq!(asked(&other, &outcome("failed")), Err("announced_build"), "{family:?}");
        assert_eq!(
            asked(&other, &pipeline("failed", None)),
            Ok(()),
            "the forge's own pipelines are: {family:?}"
        );
    }
}

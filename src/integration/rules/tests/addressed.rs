//! Whether an event concerns an integration: active, scope, supported, flag.

use serde_json::json;

use super::{FAMILIES, asked, chat, decode, event};
use crate::event::{Trigger, sample};
use crate::integration::{Integration, Scope};

fn project(path: &str) -> Scope {
    Scope::ProjectPath(path.to_owned())
}

fn scope_of(trigger: Trigger) -> Scope {
    match trigger {
        Trigger::GroupMention | Trigger::GroupConfidentialMention => {
            Scope::Group("acme/launch-crew".to_owned())
        }
        Trigger::Subgroup | Trigger::Project => Scope::Group("acme".to_owned()),
        _ => project("acme/rocket"),
    }
}

#[test]
fn an_integration_without_filters_gets_every_sample() {
    for family in FAMILIES {
        for trigger in Trigger::ALL {
            let integration = Integration::example(family).of(scope_of(trigger));
            assert_eq!(asked(&integration, &sample(trigger)), Ok(()), "{family:?} {trigger}");
        }
    }
}

#[test]
fn gitlabs_default_filters_let_every_sample_pass() {
    for family in FAMILIES {
        for trigger in Trigger::ALL {
            let integration =
                Integration::example(family).of(scope_of(trigger)).branches("default").only_broken(true);
            assert_eq!(asked(&integration, &sample(trigger)), Ok(()), "{family:?} {trigger}");
        }
    }
}

#[test]
fn an_inactive_integration_gets_nothing() {
    for trigger in Trigger::ALL {
        let integration = chat().of(scope_of(trigger)).inactive();
        assert_eq!(asked(&integration, &sample(trigger)), Err("inactive"), "{trigger}");
    }
}

#[test]
fn each_trigger_needs_its_own_flag_and_no_other() {
    for listening_to in Trigger::ALL {
        for happened in Trigger::ALL {
            let integration = chat().of(scope_of(happened)).listening_to(&[listening_to]);
            let expected = if listening_to == happened { Ok(()) } else { Err("switched_off") };
            assert_eq!(asked(&integration, &sample(happened)), expected, "{listening_to} / {happened}");
        }
    }
}

/// The flags for public and confidential issues are independent of each other.
#[test]
fn issues_events_does_not_include_confidential_issues() {
    for (open, confidential) in
        [(Trigger::Issue, Trigger::ConfidentialIssue), (Trigger::Note, Trigger::ConfidentialNote)]
    {
        assert_eq!(asked(&chat().listening_to(&[open]), &sample(confidential)), Err("switched_off"));
        assert_eq!(asked(&chat().listening_to(&[confidential]), &sample(open)), Err("switched_off"));
    }
}

#[test]
fn a_flag_for_an_unsupported_event_has_no_effect() {
    for supported in Trigger::ALL {
        for happened in Trigger::ALL {
            let integration = chat().of(scope_of(happened)).supporting(&[supported]);
            let expected = if supported == happened { Ok(()) } else { Err("unsupported") };
            assert_eq!(asked(&integration, &sample(happened)), expected, "{supported} / {happened}");
        }
    }
}

#[test]
fn event_kinds_that_only_webhooks_get_are_never_wanted() {
    for body in [
        json!({ "object_kind": "emoji", "object_attributes": {}, "project": { "path_with_namespace": "acme/rocket" } }),
        json!({ "object_kind": "access_token", "object_attributes": {}, "project": { "path_with_namespace": "acme/rocket" } }),
        json!({ "event_name": "user_add_to_group", "group_path": "acme" }),
        json!({ "event_name": "subgroup_create" }),
    ] {
        for family in FAMILIES {
            assert_eq!(asked(&Integration::example(family), &decode(&body)), Err("no_trigger"), "{body}");
        }
    }
}

#[test]
fn a_project_is_matched_by_number_or_by_path_in_any_case() {
    let push = sample(Trigger::Push);
    for (scope, expected) in [
        (Scope::ProjectId(42), Ok(())),
        (Scope::ProjectId(41), Err("elsewhere")),
        (project("acme/rocket"), Ok(())),
        (project("Acme/Rocket"), Ok(())),
        (project("acme/rocket2"), Err("elsewhere")),
        (project("rocket"), Err("elsewhere")),
        (Scope::Group("acme".to_owned()), Err("elsewhere")),
    ] {
        assert_eq!(asked(&chat().of(scope.clone()), &push), expected, "{scope}");
    }
}

#[test]
fn a_mention_of_a_group_goes_to_the_group_and_not_to_its_projects() {
    let mention = sample(Trigger::GroupMention);
    for (scope, expected) in [
        (Scope::Group("acme/launch-crew".to_owned()), Ok(())),
        (Scope::Group("Acme/Launch-Crew".to_owned()), Ok(())),
        (Scope::Group("acme".to_owned()), Err("elsewhere")),
        (project("acme/rocket"), Err("elsewhere")),
    ] {
        assert_eq!(asked(&chat().of(scope.clone()), &mention), expected, "{scope}");
    }
}

#[test]
fn an_event_without_a_project_matches_no_project() {
    let nowhere = event(Trigger::Push, json!({ "project": null, "project_id": null }));
    assert_eq!(asked(&chat(), &nowhere), Err("elsewhere"));
    assert_eq!(asked(&chat().of(Scope::ProjectId(42)), &nowhere), Err("elsewhere"));
}

//! Events and settings that GitLab does not offer for a service, and that this project has all the same.

use super::*;
use crate::adapters::common_settings::{CommonField, common_fields};
use crate::adapters::contract::OWN_EVENTS;
use crate::integration::Family;

/// The services for people, each of which can tell every event of [`OWN_EVENTS`].
fn for_people() -> impl Iterator<Item = &'static Entry> {
    tellers().filter(|entry| OWN_EVENTS.iter().any(|trigger| entry.about.triggers.contains(trigger)))
}

/// GitLab offers alerts (by default) and vulnerabilities (not) for Slack alone, deployments for three services, and releases,
/// feature flags and milestones for none (<https://docs.gitlab.com/api/project_integrations/>).
fn is_gitlabs(slug: &str, trigger: Trigger) -> bool {
    match trigger {
        Trigger::Alert | Trigger::Vulnerability => slug == "slack",
        Trigger::Deployment => matches!(slug, "slack" | "mattermost" | "discord"),
        _ => false,
    }
}

#[test]
fn an_event_that_gitlab_does_not_offer_is_off_by_default_and_gitlabs_keep_their_default() {
    for entry in for_people() {
        for trigger in OWN_EVENTS.iter() {
            let what = format!("{trigger} of {}", entry.about.slug);
            assert!(entry.about.triggers.contains(trigger), "{what}");
            let is_own = !is_gitlabs(entry.about.slug, trigger);
            assert_eq!(entry.about.common.own_events.contains(trigger), is_own, "{what}");
            let is_on = !is_own && trigger.on_by_default();
            assert_eq!(entry.default_triggers().contains(trigger), is_on, "{what}");
            let fields = common_fields(&entry.about);
            let flag = fields.iter().find(|field| field.name == trigger.flag()).expect("a flag");
            assert_eq!(flag.default, Some(if is_on { "true" } else { "false" }), "{what}");
            assert_eq!(flag.help.contains("GitLab does not offer"), is_own, "{what}: {}", flag.help);
        }
    }
}

/// The API shows these settings only where they are set: see [`CommonField`].
#[test]
fn a_common_setting_that_gitlab_does_not_have_is_known_by_its_help() {
    let added = ["announce_result", "detail", "max_commits", "merge_request_actions"];
    for entry in ADAPTERS {
        for CommonField { name, help, is_addition, .. } in common_fields(&entry.about) {
            let what = format!("{name} of {}", entry.about.slug);
            assert_eq!(is_addition, added.contains(&name.as_ref()), "{what}");
            assert_eq!(help.ends_with(" Not a setting of GitLab's."), is_addition, "{what}: {help}");
        }
    }
}

#[test]
fn every_chat_service_can_tell_alerts_and_vulnerabilities() {
    let chats: Vec<_> = tellers().filter(|entry| entry.about.family == Family::Chat).collect();
    assert!(chats.len() > 10, "{chats:?}");
    for entry in chats {
        for trigger in [Trigger::Alert, Trigger::Vulnerability] {
            assert!(entry.about.triggers.contains(trigger), "{trigger} of {}", entry.about.slug);
        }
    }
}

#[test]
fn an_own_event_of_a_service_has_a_message() {
    for entry in for_people() {
        for trigger in OWN_EVENTS.iter() {
            let case = sample(trigger);
            let name = target(entry, &case).unwrap_or_else(|| panic!("{trigger}: {}", entry.about.slug));
            let call = call(entry, &case, &name);
            // Some look something up first. The snapshots have what follows.
            if body(&call).is_null() {
                continue;
            }
            let text = body(&call).to_string();
            let (subject, _) =
                case.message().headline().links().into_iter().next().expect("a linked subject");
            let word = subject.split(|c: char| !c.is_alphanumeric()).next().expect("a word");
            assert!(text.contains(word), "{}: {word}: {text}", entry.about.slug);
        }
    }
}

//! Each parameter that adapters have in common has its effect at each adapter that offers it. The rules themselves are tested
//! where they are.

use super::*;
use crate::adapters::common_settings::{channel_limit, channel_setting, channel_triggers};
use crate::adapters::{ADAPTERS, Entry};
use crate::event::{Trigger, sample};
use crate::integration::rules::wants;
use crate::integration::{Integration, IntegrationId, ProjectFacts};

/// An integration with the adapter's examples, these flags and these shared settings.
fn integration(entry: &'static Entry, flags: &[(&str, bool)], shared: &[(&str, &str)]) -> Integration {
    let mut configuration = Configuration { active: true, ..Configuration::default() };
    let own = entry.fields.iter().map(|field| (field.name, field.example));
    let settings = own.chain(shared.iter().copied());
    let settings = settings.map(|(name, value)| (name.to_owned(), Value::Text(value.to_owned())));
    sort_secrets(entry, settings.collect(), &mut configuration);
    configuration.flags = flags.iter().map(|(flag, on)| ((*flag).to_owned(), *on)).collect();
    let resolved = Resolved::read(entry, &configuration);
    let resolved = resolved.unwrap_or_else(|errors| panic!("{}: {errors:?}", entry.about.slug));
    resolved.integration(IntegrationId::new("acme/rocket:x"), by_path("acme/rocket"), "a.toml".into())
}

/// The verdict on a sample with changes, where it happened: `Ok`, or the reason's code.
fn verdict(
    integration: &Integration,
    trigger: Trigger,
    changes: &serde_json::Value,
) -> Result<(), &'static str> {
    let mut body: serde_json::Value = serde_json::from_slice(&sample(trigger).raw).unwrap();
    merge(&mut body, changes);
    let event =
        Event::decode(EventId::new("x").unwrap(), Timestamp::UNIX_EPOCH, body.to_string().into()).unwrap();
    // Some events are of groups.
    let scope = match (&event.group, &event.project) {
        (Some(group), _) => of_group(&group.path),
        (None, Some(project)) => by_path(&project.path_with_namespace),
        (None, None) => panic!("{trigger} is of nothing"),
    };
    wants(&integration.clone().of(scope), &event, &ProjectFacts::default()).map_err(|why| why.code())
}

fn merge(body: &mut serde_json::Value, changes: &serde_json::Value) {
    match (body, changes) {
        (serde_json::Value::Object(body), serde_json::Value::Object(changes)) => {
            for (name, value) in changes {
                merge(body.entry(name.clone()).or_insert(serde_json::Value::Null), value);
            }
        }
        (body, changes) => *body = changes.clone(),
    }
}

#[test]
fn every_flag_switches_its_event_at_every_adapter() {
    let mut flags = 0;
    for entry in ADAPTERS {
        for trigger in entry.about.triggers.without(entry.about.common.without_flag).iter() {
            for on in [true, false] {
                let integration = integration(entry, &[(trigger.flag(), on)], &[]);
                let verdict = verdict(&integration, trigger, &json!({}));
                let is_off = verdict == Err("switched_off");
                assert_eq!(is_off, !on, "{} {trigger} {on}: {verdict:?}", entry.about.slug);
            }
            flags += 1;
        }
    }
    // By GitLab's tables of events and our own additions: builds 27, chat 186, IRC 7, push notifications 7, mail 3,
    // trackers that are linked to 8, trackers that are told 7.
    assert_eq!(flags, 245);
}

#[test]
fn branches_are_filtered_at_every_adapter_that_offers_it_by_either_setting() {
    let elsewhere =
        json!({ "ref": "refs/heads/topic", "object_attributes": { "ref": "topic", "status": "failed" } });
    let mut count = 0;
    for entry in ADAPTERS.iter().filter(|entry| entry.about.common.branches.is_some()) {
        let slug = entry.about.slug;
        let trigger =
            if entry.about.triggers.contains(Trigger::Push) { Trigger::Push } else { Trigger::Pipeline };
        for (setting, all, default) in
            [("branches_to_be_notified", "all", "default"), ("notify_only_default_branch", "false", "true")]
        {
            let passes = |value: &str| {
                let integration = integration_with_branches(entry, setting, value);
                verdict(&integration, trigger, &elsewhere)
            };
            assert_eq!((passes(all), passes(default)), (Ok(()), Err("branch")), "{slug} {setting}");
        }
        count += 1;
    }
    assert_eq!(count, 12);
}

fn integration_with_branches(entry: &'static Entry, setting: &str, value: &str) -> Integration {
    integration(entry, &[("push_events", true), ("pipeline_events", true)], &[(setting, value)])
}

#[test]
fn pipelines_are_filtered_at_every_adapter_that_offers_it() {
    let (mut broken_only, mut changes_only) = (0, 0);
    for entry in ADAPTERS {
        let (common, slug) = (entry.about.common, entry.about.slug);
        let asked = |setting: &str, on: &str, status: serde_json::Value| {
            let every_branch = [("branches_to_be_notified", "all"), (setting, on)];
            let settings = if common.branches.is_some() { &every_branch[..] } else { &every_branch[1..] };
            let integration = integration(entry, &[("pipeline_events", true)], settings);
            verdict(&integration, Trigger::Pipeline, &json!({ "object_attributes": status }))
        };
        if common.only_broken_pipelines {
            let passed = json!({ "status": "success", "detailed_status": "success" });
            let broken = "notify_only_broken_pipelines";
            let verdicts = (asked(broken, "true", passed.clone()), asked(broken, "false", passed));
            assert_eq!(verdicts, (Err("not_broken"), Ok(())), "{slug}");
            broken_only += 1;
        }
        if common.only_status_changes {
            let still = json!({ "status": "failed", "detailed_status": "failed", "ref_status_name": "still_failing" });
            let change = "notify_only_when_pipeline_status_changes";
            let verdicts = (asked(change, "true", still.clone()), asked(change, "false", still));
            assert_eq!(verdicts, (Err("status_unchanged"), Ok(())), "{slug}");
            changes_only += 1;
        }
    }
    assert_eq!((broken_only, changes_only), (12, 4));
}

#[test]
fn labels_are_filtered_at_every_adapter_that_offers_it() {
    let labels = json!({ "labels": [{ "title": "backend" }], "object_attributes": { "action": "open" } });
    let mut count = 0;
    for entry in ADAPTERS.iter().filter(|entry| entry.about.common.labels) {
        let passes = |list: &str, behavior: &str| {
            let settings = [("labels_to_be_notified", list), ("labels_to_be_notified_behavior", behavior)];
            verdict(&integration(entry, &[("issues_events", true)], &settings), Trigger::Issue, &labels)
        };
        let slug = entry.about.slug;
        assert_eq!(passes("~backend,~frontend", "match_any"), Ok(()), "{slug}");
        assert_eq!(passes("~backend,~frontend", "match_all"), Err("labels"), "{slug}");
        assert_eq!(passes("~frontend", "match_any"), Err("labels"), "{slug}");
        count += 1;
    }
    assert_eq!(count, 2, "Slack and Mattermost");
}

#[test]
fn every_channel_setting_names_the_targets_of_its_event_at_every_adapter_that_offers_it() {
    let mut settings = 0;
    for entry in ADAPTERS.iter().filter(|entry| channel_limit(&entry.about.common).is_some()) {
        let of = |integration: &Integration, trigger: Trigger| {
            let channels = integration.channels.for_trigger(trigger);
            let targets = entry.targets(&integration.settings, &sample(trigger), channels);
            targets.send.into_iter().map(|target| target.name).collect::<Vec<_>>()
        };
        let everywhere = integration(entry, &[], &[("channel", "#ops")]);
        for trigger in channel_triggers(&entry.about).iter() {
            assert_eq!(of(&everywhere, trigger), ["#ops"], "{} {trigger}", entry.about.slug);
            let own = channel_setting(trigger);
            let integration = integration(entry, &[], &[("channel", "#ops"), (&own, "#own")]);
            assert_eq!(of(&integration, trigger), ["#own"], "{} {trigger}", entry.about.slug);
            settings += 1;
        }
    }
    assert_eq!(settings, 34, "Slack's 18 and Mattermost's 16");
}

#[test]
fn results_are_announced_where_the_setting_says_so() {
    let offers = |entry: &&Entry| entry.about.common.announce_result;
    assert_eq!(ADAPTERS.iter().filter(offers).count(), 7);
    for entry in ADAPTERS.iter().filter(offers) {
        for (value, announces) in [("true", true), ("false", false)] {
            let integration = integration(entry, &[], &[("announce_result", value)]);
            assert_eq!(integration.announce_result, announces, "{}", entry.about.slug);
        }
        assert!(!integration(entry, &[], &[]).announce_result, "{}: it is off by default", entry.about.slug);
    }
}

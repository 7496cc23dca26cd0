//! The addresses of webhooks: which are accepted, and which one an event goes to.

use super::{HOOK, buckets, call_with, entry, http, kind, plain, sample, settings_of, target_names};
use crate::event::Trigger;
use crate::settings::Value;

#[test]
fn webhook_addresses_are_accepted() {
    let problem = |webhook: &str| {
        let properties = [("webhook".to_owned(), Value::Text(webhook.to_owned()))].into();
        let errors = entry("discord").read(&properties).err()?;
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(!errors[0].problem.contains("aaaa"), "the address is a secret");
        Some(errors[0].to_string())
    };
    for good in [
        HOOK,
        "https://discord.com/api/v10/webhooks/1/aaaa",
        "https://discordapp.com/api/webhooks/1/aaaa",
        "https://canary.discord.com/api/webhooks/1/aaaa",
        "https://ptb.discord.com/api/webhooks/1/aaaa/",
        "https://discord.com/api/webhooks/1/aaaa?thread_id=2",
        "http://chat.example.com:8080/base/api/v9/webhooks/1/a-_a",
    ] {
        assert_eq!(problem(good), None, "{good}");
    }
    for bad in [
        "https://discord.com/api/webhooks/1",
        "https://discord.com/api/webhooks/1/",
        "https://discord.com/webhooks/1/aaaa",
        "https://discord.com/api/v10/aaaa",
        "https://discord.com/api/vx/webhooks/1/aaaa",
        "https://discord.com/api/webhooks/1/aaaa/messages",
        "https://discord.com/channels/1/aaaa",
        "https://hooks.slack.com/services/T0/B0/aaaa",
    ] {
        let problem = problem(bad).expect(bad);
        assert!(problem.starts_with("webhook: must be a webhook's address, as in "), "{bad}: {problem}");
    }
    for suffix in ["slack", "github", "slack/"] {
        let problem = problem(&format!("{HOOK}/{suffix}")).expect("an error");
        let suffix = suffix.trim_end_matches('/');
        assert!(problem.ends_with(&format!("; leave out /{suffix}")), "{problem}");
    }
}

#[test]
fn every_wrong_address_is_reported() {
    let wrong = |name: &str| (name.to_owned(), Value::Text(format!("{HOOK}/slack")));
    let properties = ["webhook", "push_channel", "group_confidential_mention_channel"].map(wrong).into();
    let errors = entry("discord").read(&properties).expect_err("they are wrong");
    let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(fields, ["webhook", "push_channel", "group_confidential_mention_channel"]);
}

#[test]
fn calls_wait_for_the_message_and_keep_the_thread() {
    let called = |webhook: &str| {
        let settings = settings_of("discord", &[("webhook", webhook)]);
        http(&call_with(entry("discord"), &settings, kind("push"), "")).url.to_string()
    };
    assert_eq!(called(HOOK), format!("{HOOK}?wait=true"));
    assert_eq!(called(&format!("{HOOK}/")), format!("{HOOK}?wait=true"));
    assert_eq!(called(&format!("{HOOK}?thread_id=22")), format!("{HOOK}?thread_id=22&wait=true"));
    assert_eq!(
        called(&format!("{HOOK}?wait=false&thread_id=22#x")),
        format!("{HOOK}?thread_id=22&wait=true")
    );
}

#[test]
fn an_event_goes_to_the_webhook_of_its_kind() {
    const NAMES: [&str; 17] = [
        "push",
        "issue",
        "confidential_issue",
        "merge_request",
        "note",
        "confidential_note",
        "tag_push",
        "pipeline",
        "wiki_page",
        "deployment",
        "group_mention",
        "group_confidential_mention",
        "alert",
        "vulnerability",
        "release",
        "feature_flag",
        "milestone",
    ];
    let heard: Vec<&str> = entry("discord").about.triggers.iter().map(Trigger::name).collect();
    assert!(NAMES.len() == heard.len() && NAMES.iter().all(|name| heard.contains(name)), "{heard:?}");
    let address = |name: &str| format!("https://discord.com/api/webhooks/1/{name}");
    let all: Vec<(String, String)> =
        NAMES.iter().map(|name| (format!("{name}_channel"), address(name))).collect();
    let mut all: Vec<(&str, &str)> = all.iter().map(|(key, url)| (key.as_str(), url.as_str())).collect();
    all.push(("webhook", HOOK));
    let settings = settings_of("discord", &all);
    for name in NAMES {
        let trigger = Trigger::ALL.into_iter().find(|trigger| trigger.name() == name).expect("a trigger");
        let case = sample(trigger);
        assert_eq!(target_names(entry("discord"), &settings, &case.event), [name]);
        let call = call_with(entry("discord"), &settings, &case, name);
        assert_eq!(http(&call).url.as_str(), format!("{}?wait=true", address(name)));
        // Where its setting has been removed since, and where there never was one.
        let call = call_with(entry("discord"), &plain(), &case, name);
        assert_eq!(http(&call).url.as_str(), format!("{HOOK}?wait=true"));
        assert_eq!(target_names(entry("discord"), &plain(), &case.event), [""]);
    }
}

#[test]
fn confidential_events_use_the_public_webhook_by_default() {
    let issues = ("issue_channel", "https://discord.com/api/webhooks/2/b");
    let notes = ("note_channel", "https://discord.com/api/webhooks/3/c");
    let mine = ("confidential_issue_channel", "https://discord.com/api/webhooks/4/d");
    let targets = |more: &[(&str, &str)], name: &str| {
        let settings = settings_of("discord", &[&[("webhook", HOOK)], more].concat());
        target_names(entry("discord"), &settings, &kind(name).event)
    };
    assert_eq!(targets(&[issues, notes], "issue_confidential"), ["issue"]);
    assert_eq!(targets(&[issues, notes], "note_confidential"), ["note"]);
    assert_eq!(targets(&[issues, mine], "issue_confidential"), ["confidential_issue"]);
    assert_eq!(targets(&[mine], "issue"), [""], "but not the other way round");
    assert_eq!(targets(&[("issue_channel", " ")], "issue"), [""], "blank is as good as unsaid");
    // The settings changed while it waited for its turn.
    let case = kind("issue_confidential");
    let address = |more: &[(&str, &str)]| {
        let settings = settings_of("discord", &[&[("webhook", HOOK)], more].concat());
        http(&call_with(entry("discord"), &settings, case, "confidential_issue")).url.path().to_owned()
    };
    assert_eq!(address(&[issues, mine]), "/api/webhooks/4/d");
    assert_eq!(address(&[issues, notes]), "/api/webhooks/2/b", "not to the webhook of all kinds");
}

#[test]
fn rate_limits_are_per_webhook_and_per_service() {
    let keys = |webhook: &str| -> Vec<String> {
        let buckets = buckets(entry("discord"), &settings_of("discord", &[("webhook", webhook)]), "");
        assert_eq!((buckets[0].every.as_millis(), buckets[0].burst), (2000, 5));
        assert_eq!((buckets[1].every.as_millis(), buckets[1].burst), (20, 50));
        buckets.into_iter().map(|bucket| bucket.key.0.to_string()).collect()
    };
    let one = keys(HOOK);
    for same in [
        "https://discordapp.com/api/v10/webhooks/1/aaaaaaaaaaaaaaaaaaaaaaaa",
        "https://ptb.discord.com/api/webhooks/1/aaaaaaaaaaaaaaaaaaaaaaaa/?thread_id=5",
    ] {
        assert_eq!(keys(same), one, "{same}");
    }
    let other = keys("https://discord.com/api/webhooks/2/bbbbbbbbbbbbbbbbbbbbbbbb");
    assert_ne!(other[0], one[0]);
    assert_eq!(other[1], one[1]);
    assert_ne!(keys("https://notdiscord.com/api/webhooks/1/aaaa")[1], one[1]);
    // Each webhook of its own has a pace of its own.
    let second = ("push_channel", "https://discord.com/api/webhooks/2/bbbbbbbbbbbbbbbbbbbbbbbb");
    let settings = settings_of("discord", &[("webhook", HOOK), second]);
    assert_eq!(buckets(entry("discord"), &settings, "push")[0].key.0.as_ref(), other[0]);
    assert_eq!(buckets(entry("discord"), &settings, "issue")[0].key.0.as_ref(), one[0]);
}

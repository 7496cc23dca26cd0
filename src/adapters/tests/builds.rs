//! The requests to build servers, and the events that start no build.

use serde_json::{Value as Json, json};

use super::{
    ADAPTERS, cases, contract, header, http_call, operator, raw_cases, settings, supported,
    targets_of_changed, tellers,
};
use crate::adapters::Entry;
use crate::adapters::contract::Targets;
use crate::call::Request;
use crate::event::Trigger;

/// GitLab's CI integrations, which a push may skip.
const BUILD_SERVERS: [&str; 6] =
    ["bamboo", "buildkite", "drone-ci", "jenkins", "jenkins-deprecated", "teamcity"];
/// The servers that build only pushes with new commits.
const PARTICULAR: [&str; 2] = ["drone-ci", "teamcity"];

fn examples(slug: &str) -> Vec<(&'static str, &'static str)> {
    let entry = ADAPTERS.iter().find(|entry| entry.about.slug == slug).expect("it is in the table");
    entry.fields.iter().map(|field| (field.name, field.example)).collect()
}

fn targets(slug: &str, trigger: Trigger, change: impl FnOnce(&mut Json)) -> Targets {
    targets_of_changed(slug, &examples(slug), trigger, change)
}

fn left_out(slug: &str, trigger: Trigger, change: impl FnOnce(&mut Json)) -> Vec<String> {
    let targets = targets(slug, trigger, change);
    assert!(targets.send.is_empty(), "{slug}: {targets:?}");
    targets.left_out
}

#[test]
fn a_push_may_ask_for_no_build() {
    for slug in BUILD_SERVERS {
        for value in [json!(true), json!(1), json!("yes")] {
            let why = left_out(slug, Trigger::Push, |push| {
                push["push_options"] = json!({ "integrations": { "skip_ci": value } });
            });
            assert_eq!(why, ["the push asks to start no build (push option integrations.skip_ci)"]);
        }
        for options in [
            json!({}),
            json!(null),
            json!([]),
            json!({ "ci": { "skip": true } }),
            json!({ "integrations": { "skip_ci": false } }),
            json!({ "integrations": { "skip_ci": "" } }),
        ] {
            let targets = targets(slug, Trigger::Push, |push| push["push_options"] = options.clone());
            assert_eq!(targets, Targets::own(), "{slug}: {options}");
        }
    }
    let asks = |push: &mut Json| push["push_options"] = json!({ "integrations": { "skip_ci": true } });
    for slug in ["packagist", "datadog"] {
        assert_eq!(targets(slug, Trigger::Push, asks), Targets::own(), "{slug} builds nothing");
    }
}

#[test]
fn pushes_without_commits_and_removals_start_no_build_where_the_server_checks_commits_out() {
    let zeros = "0".repeat(40);
    for slug in PARTICULAR {
        let why = left_out(slug, Trigger::Push, |push| {
            push["commits"] = json!([]);
            push["total_commits_count"] = json!(0);
        });
        assert_eq!(why, ["a push without commits starts no build (branch push)"]);
        let why = left_out(slug, Trigger::Push, |push| push["after"] = json!(zeros));
        assert_eq!(why, ["the removal of a branch starts no build"]);
        assert_eq!(targets(slug, Trigger::Push, |_| ()), Targets::own());
    }
    let why = left_out("drone-ci", Trigger::TagPush, |push| {
        push["before"] = push["after"].clone();
        push["after"] = json!(zeros);
    });
    assert_eq!(why, ["the removal of a tag starts no build"]);
    // The other servers decide themselves, as with GitLab.
    for slug in ["bamboo", "buildkite", "jenkins", "jenkins-deprecated"] {
        let removed = |push: &mut Json| push["after"] = json!(zeros);
        assert_eq!(targets(slug, Trigger::Push, removed), Targets::own(), "{slug}");
    }
}

/// Events of system hooks count 0 commits, and payloads of some releases count none.
#[test]
fn a_push_that_does_not_say_how_many_commits_it_has_starts_a_build() {
    let targets = |slug: &str, file: &str, change: &dyn Fn(&mut Json)| {
        let push = super::events::tell_changed(file, change).event;
        let entry = super::entry(slug);
        entry.targets(&settings(entry), &push, &[])
    };
    for slug in PARTICULAR {
        for file in [
            "reported/49_push_without_commits_key.json",
            "reported/58_system_hook_push_no_commits.json",
            "reported/58c_push_no_commits_no_count.json",
        ] {
            assert_eq!(targets(slug, file, &|_| ()), Targets::own(), "{slug}: {file}");
            let unmoved = targets(slug, file, &|push| push["before"] = push["after"].clone());
            let why = "a push without commits starts no build (branch push)";
            assert_eq!(unmoved.left_out, [why], "{slug}: {file}");
        }
        let said = targets(slug, "reported/44_push_empty_commit_list_forced.json", &|_| ());
        assert_eq!(said.left_out, ["a push without commits starts no build (branch push)"], "{slug}");
    }
}

#[test]
fn a_merge_request_starts_a_build_when_it_is_open_and_has_new_commits() {
    let with = |state: &'static str, action: Option<&'static str>, oldrev: Option<&'static str>| {
        move |json: &mut Json| {
            json["object_attributes"]["state"] = json!(state);
            json["object_attributes"]["action"] = json!(action);
            json["object_attributes"]["oldrev"] = json!(oldrev);
        }
    };
    let oldrev = Some("b83d6e391c22777fca1ed3012fce84f633d7fed0");
    for slug in PARTICULAR {
        for sound in [
            with("opened", Some("open"), None),
            with("opened", Some("reopen"), None),
            with("opened", Some("update"), oldrev),
        ] {
            assert_eq!(targets(slug, Trigger::MergeRequest, sound), Targets::own());
        }
        for (unsound, why) in [
            (with("closed", Some("close"), None), "the merge request is not open (state = closed)"),
            (with("merged", Some("merge"), None), "the merge request is not open (state = merged)"),
            (
                with("opened", Some("update"), None),
                "the update of the merge request brought no commits (no oldrev)",
            ),
            (
                with("opened", Some("update"), Some("")),
                "the update of the merge request brought no commits (no oldrev)",
            ),
            (
                with("opened", Some("approved"), oldrev),
                "nothing was pushed to the merge request (action = approved)",
            ),
            (with("opened", None, None), "nothing was pushed to the merge request (action = none)"),
        ] {
            assert_eq!(left_out(slug, Trigger::MergeRequest, unsound), [why]);
        }
    }
}

/// The adapters whose requests are the event. Assembla's holds it in an object.
fn forwarders() -> impl Iterator<Item = &'static Entry> {
    tellers().filter(|entry| contract(entry).forwards && entry.about.slug != "assembla")
}

#[test]
fn events_are_forwarded_byte_for_byte_with_gitlabs_headers() {
    let forwarders: Vec<&Entry> = forwarders().collect();
    let slugs: Vec<&str> = forwarders.iter().map(|entry| entry.about.slug).collect();
    assert_eq!(
        slugs,
        ["buildkite", "datadog", "drone-ci", "jenkins", "jenkins-deprecated", "packagist", "squash-tm"]
    );
    for entry in forwarders {
        let takes =
            |trigger: Option<Trigger>| trigger.is_some_and(|trigger| entry.about.triggers.contains(trigger));
        for case in cases().iter().chain(raw_cases()).filter(|case| takes(case.event.trigger)) {
            let call = super::call(entry, case, "");
            let Request::Http(request) = &call.request else { panic!("no HTTP") };
            assert_eq!(request.body, case.event.raw, "{}", entry.about.slug);
            let sent = |name| header(request, name).unwrap_or_else(|| panic!("no {name}"));
            assert_eq!(sent("content-type"), "application/json");
            assert_eq!(sent("x-gitlab-event-uuid"), case.event.id.as_str());
            assert_eq!(sent("x-gitlab-instance"), operator().forge.url);
            assert_eq!(sent("idempotency-key"), "01912d68783e7a0384675661c1243ad4");
            assert!(sent("x-gitlab-event").ends_with(" Hook") && sent("x-gitlab-event") != "Service Hook");
            assert_eq!(sent("x-gitlab-webhook-uuid").len(), 36);
        }
    }
}

/// Strange bytes stay as they are: a signature or a parser of the receiver may depend on them.
#[test]
fn what_a_parser_would_change_is_forwarded_unchanged() {
    use crate::event::{Event, EventId};
    let raw = "{ \"object_kind\":\"push\",\"ref\":\"refs/heads/m\\u0061in\",\t\"n\":1.0e2,\"n\":2,\
               \"project\":{\"id\":1,\"path_with_namespace\":\"a/b\"}}\n";
    let id = EventId::new("1").expect("an id");
    let event = Event::decode(id, jiff::Timestamp::UNIX_EPOCH, raw.into()).expect("an event");
    let case = super::Case { name: "strange".to_owned(), event, message: None };
    for entry in forwarders() {
        let call = super::call(entry, &case, "");
        let Request::Http(request) = &call.request else { panic!("no HTTP") };
        assert_eq!(request.body, raw.as_bytes());
    }
}

/// The name that GitLab's release sends, for receivers that depend on it.
#[test]
fn gitlabs_own_header_is_a_setting_where_gitlab_names_no_event() {
    for (slug, has_setting) in [
        ("buildkite", true),
        ("drone-ci", true),
        ("jenkins-deprecated", true),
        ("packagist", true),
        ("jenkins", false),
        ("datadog", false),
    ] {
        let mut settings = examples(slug);
        settings.retain(|(name, _)| *name != "gitlab_event_header");
        assert_eq!(settings.len() < examples(slug).len(), has_setting, "{slug}");
        assert_eq!(
            header(&http_call(slug, &settings, Trigger::Push), "x-gitlab-event"),
            Some("Push Hook"),
            "{slug}"
        );
        settings.push(("gitlab_event_header", "service_hook"));
        let expected = if has_setting { "Service Hook" } else { "Push Hook" };
        let request = http_call(slug, &settings, Trigger::Push);
        assert_eq!(header(&request, "x-gitlab-event"), Some(expected), "{slug}");
    }
}

#[test]
fn an_event_that_is_larger_than_gitlab_sends_is_refused_with_its_size() {
    use super::{events, note};
    let case = events::tell_changed("push.json", |push| push["x"] = "x".repeat(25 * 1024 * 1024).into());
    let entry = super::entry("jenkins");
    let note = note(&case.event, "");
    let Err(failure) = entry.call(&settings(entry), &note) else { panic!("a call") };
    assert!(failure.to_string().starts_with("rejected: the event has 2621"), "{failure}");
    assert!(failure.to_string().ends_with("; at most 26214400 are sent"), "{failure}");
}

#[test]
fn a_build_is_never_asked_for_twice_where_it_may_have_been_started() {
    for entry in ADAPTERS.iter().filter(|entry| BUILD_SERVERS.contains(&entry.about.slug)) {
        let slug = entry.about.slug;
        let delivery = &entry.deliver.as_ref().expect("it delivers").about;
        assert!(!delivery.retry_ambiguous, "{slug}");
        for (status, outcome) in [
            (500, "unavailable, perhaps taken"),
            (502, "unavailable, perhaps taken"),
            (504, "unavailable, perhaps taken"),
            (503, "unavailable"),
            (429, "throttled"),
        ] {
            let answer = super::answer(entry, status, &[], "");
            assert_eq!(super::outcome(&answer), outcome, "{slug}: {status}");
        }
    }
}

#[test]
fn a_login_of_an_address_becomes_no_part_of_a_failure() {
    for (slug, field) in [
        ("bamboo", "bamboo_url"),
        ("drone-ci", "drone_url"),
        ("jenkins", "jenkins_url"),
        ("jenkins-deprecated", "project_url"),
        ("packagist", "server"),
        ("teamcity", "teamcity_url"),
    ] {
        let mut settings = examples(slug);
        settings.retain(|(name, _)| {
            !["username", "password", field].contains(name) || *name == "username" && slug == "packagist"
        });
        settings.push((field, "https://ada:l0gin%2Fpa55@ci.example/job/x"));
        let request = http_call(slug, &settings, Trigger::Push);
        assert_eq!((request.url.username(), request.url.password()), ("ada", Some("l0gin%2Fpa55")), "{slug}");
        let shown = format!("{request:?}");
        assert!(!shown.contains("l0gin"), "{shown}");
        let entry: &Entry = super::entry(slug);
        let parsed = super::settings_with(slug, &settings).expect("valid settings");
        let call = super::call_with(entry, &parsed, supported(entry), "");
        let quoted = super::http_response(403, &[], "no l0gin%2Fpa55 and no l0gin/pa55 here");
        let why = super::failure((call.read)(&super::Response::Http(quoted))).to_string();
        assert!(!why.contains("l0gin"), "{slug}: {why}");
    }
}

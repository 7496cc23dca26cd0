//! The integrations that blocks become.

use super::*;
use crate::adapters::ADAPTERS;
use crate::adapters::common_settings::{Group, common_fields};
use crate::adapters::contract::About;
use crate::event::{Trigger, Triggers};
use crate::integration::{BranchFilter, LabelBehavior, Scope};
use crate::provision::Severity;
use crate::store::registry::{Configuration, Correction, Visibility};

#[test]
fn a_block_becomes_an_integration_with_gitlabs_defaults() {
    let bell = one(&bell(""));

    assert_eq!(bell.id.to_string(), "acme/rocket:big-bell");
    assert_eq!(bell.scope, Scope::ProjectPath("acme/rocket".into()));
    assert_eq!(bell.slug, "big-bell");
    assert!(bell.active, "a provisioned integration is meant");
    assert_eq!(bell.triggers, Triggers::by_default());
    assert_eq!(bell.rules.supported, Bell::ABOUT.triggers);
    assert_eq!(bell.filters.branches_to_be_notified, Some(BranchFilter::Default));
    assert!(bell.filters.notify_only_broken_pipelines);
    assert!(!bell.filters.notify_only_when_pipeline_status_changes);
    assert_eq!(bell.origin.as_ref(), "/etc/forgebell/a.toml");
    let settings: &BellSettings = bell.settings.get().unwrap();
    assert_eq!(settings.webhook.expose().as_str(), "https://bells.example/s3cret");
}

#[test]
fn every_setting_is_read_into_its_field() {
    let bell = one(&bell(
        "active = 'off'
        username = 'ringer'
        channel = '#ops, #dev,#ops'
        push_channel = '#code'
        issue_channel = ''
        branches_to_be_notified = 'default_and_protected'
        notify_only_broken_pipelines = 'no'
        labels_to_be_notified = '~backend, ~team one'
        labels_to_be_notified_behavior = 'match_all'
        push_events = 0
        deployment_events = 'Yes'
        job_events = true
        commit_events = true
        ",
    ));

    assert!(!bell.active);
    assert_eq!(bell.channels.for_trigger(Trigger::Pipeline), ["#ops", "#dev"]);
    assert_eq!(bell.channels.for_trigger(Trigger::Push), ["#code"]);
    assert_eq!(bell.channels.for_trigger(Trigger::Issue), ["#ops", "#dev"], "blank is as good as unsaid");
    assert_eq!(bell.filters.branches_to_be_notified, Some(BranchFilter::DefaultAndProtected));
    assert!(!bell.filters.notify_only_broken_pipelines);
    assert_eq!(bell.filters.labels.labels, ["backend", "team one"]);
    assert_eq!(bell.filters.labels.behavior, LabelBehavior::MatchAll);
    assert!(!bell.triggers.contains(Trigger::Push));
    assert!(bell.triggers.contains(Trigger::Deployment));
    let settings: &BellSettings = bell.settings.get().unwrap();
    assert_eq!(settings.username.as_deref(), Some("ringer"));
}

#[test]
fn an_adapter_that_offers_no_filters_gets_none() {
    let horn = one("[[integration]]\nproject = 7\nadapter = 'horn'\nlighthouse = 'north'");

    assert_eq!(horn.id.to_string(), "7:horn");
    assert_eq!(horn.filters.branches_to_be_notified, None);
    assert!(!horn.filters.notify_only_broken_pipelines);
}

#[test]
fn no_files_are_an_empty_catalogue() {
    let read = read_files(&[]).unwrap();
    assert!(read.into_snapshot().is_empty());
}

#[test]
fn digits_in_quotes_are_a_projects_number_and_slugs_may_have_underscores() {
    let bell = one(&bell("").replace("'acme/rocket'", "' 42 '").replace("big-bell", "Big_Bell"));
    assert_eq!(bell.id.to_string(), "42:big-bell");
    assert_eq!(bell.scope, Scope::ProjectId(42));
}

#[test]
fn facts_apply_to_a_projects_number_and_path() {
    let read = read(
        "[[project]]
        id = 42
        path = 'acme/rocket'
        default_branch = 'main'
        protected_branches = ['main', '*-stable']",
    )
    .unwrap();

    let names: Vec<_> = read.facts.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(names, [Scope::ProjectId(42), Scope::ProjectPath("acme/rocket".into())]);
    for (_, facts) in read.facts {
        assert_eq!(facts.default_branch.as_deref(), Some("main"));
        assert_eq!(facts.protected_branches.unwrap(), ["main", "*-stable"]);
    }
}

#[test]
fn more_than_ten_channels_for_one_event_are_refused() {
    let channels = |n: i32| (1..=n).map(|i| format!("#c{i}")).collect::<Vec<_>>().join(",");

    let ten = one(&bell(&format!("push_channel = '{}, #c1'", channels(10))));
    assert_eq!(ten.channels.for_trigger(Trigger::Push).len(), 10, "repeats don't count");

    let told = problems(&bell(&format!("push_channel = '{}'", channels(11))));
    assert!(told.contains("push_channel: cannot have more than 10 channels"), "{told}");
}

#[test]
fn a_channel_or_a_path_that_is_too_long_is_refused_with_its_start_and_the_remedy() {
    let longest = "x".repeat(255);
    assert_eq!(
        one(&bell(&format!("channel = '{longest}'"))).channels.default,
        std::slice::from_ref(&longest)
    );

    let told = problems(&bell(&format!("push_channel = 'ops, {longest}x'")));
    let expected = format!(
        "push_channel: has a channel of 256 characters (`{}…`): a name has at most 255",
        &longest[..40]
    );
    assert!(told.contains(&expected), "{told}");

    let path = format!("acme/{}", "p".repeat(1020));
    for what in ["project", "group"] {
        let told = problems(&bell("").replace("project = 'acme/rocket'", &format!("{what} = '{path}'")));
        assert!(told.contains("is longer than the 1024 bytes of a path"), "{told}");
        assert!(told.len() < 500, "the path is shortened: {told}");
    }
}

#[test]
fn an_unknown_branch_filter_is_accepted_with_a_warning() {
    let read = read(&bell("branches_to_be_notified = 'defualt'")).unwrap();

    let filter = read.each()[0].filters.branches_to_be_notified.clone();
    assert_eq!(filter, Some(BranchFilter::Unknown("defualt".into())));
    assert_eq!(read.warnings[0].severity, Severity::Warning);
    assert!(
        lines(&read.warnings)
            .ends_with("branches_to_be_notified = \"defualt\": matches no branch; did you mean `default`?\n")
    );
}

#[test]
fn the_old_branch_setting_is_mapped_and_an_explicit_new_one_wins() {
    let filter = |more: &str| {
        let read = read(&bell(more)).unwrap();
        assert_eq!(read.warnings.len(), 1, "{}", lines(&read.warnings));
        read.each()[0].filters.branches_to_be_notified.clone().unwrap()
    };
    assert_eq!(filter("notify_only_default_branch = true"), BranchFilter::Default);
    assert_eq!(filter("notify_only_default_branch = false"), BranchFilter::All);
    let both = "notify_only_default_branch = true\nbranches_to_be_notified = 'protected'";
    assert_eq!(filter(both), BranchFilter::Protected);
}

#[test]
fn a_groups_block_is_for_its_mentions_and_the_default_of_its_projects() {
    let group = |more: &str| bell(more).replace("project = 'acme/rocket'", "group = 'acme/web'");

    let read = read(&group("group_mention_events = true\npush_events = false")).unwrap();
    assert_eq!(read.warnings, []);
    assert_eq!(read.each()[0].id.to_string(), "groups/acme/web:big-bell");
    assert_eq!(read.each()[0].scope, Scope::Group("acme/web".into()));

    let told = problems(&bell("group_mention_events = true"));
    assert!(told.contains("group_mention_events: has no effect for a project"), "{told}");
}

#[test]
fn a_block_can_be_a_default_or_inherit_one() {
    let everybody = bell("").replace("project = 'acme/rocket'", "instance = true");
    let follows = "[[integration]]\nproject = 42\nadapter = 'big-bell'\nuse_inherited_settings = true\n";
    let read = read(&format!("{everybody}{follows}")).unwrap();
    assert_eq!(read.warnings, []);
    assert_eq!(read.integrations[0].scope, Scope::Instance);
    assert!(read.integrations[1].configured.configuration.inherits);
    let told = problems(&everybody.replace("true", "false"));
    assert!(told.contains("instance = false: is not true; write instance = true, or leave it out"), "{told}");
}

#[test]
fn groups_and_projects_are_reported_with_their_numbers() {
    let read = read(
        "[[group]]\npath = 'acme'\nid = 7\n[[project]]\nid = 42\npath = 'acme/rocket'\nvisibility = 'private'\n",
    )
    .unwrap();
    assert_eq!(read.groups, [("acme".to_owned(), Some(7))]);
    assert_eq!(read.numbers, [(42, Some("acme/rocket".to_owned()))]);
    assert_eq!(read.projects[0].visibility, Correction::Is(Visibility::Private));
    let told =
        problems("[[group]]\nid = 7\n[[group]]\npath = '/acme'\n[[project]]\nid = 1\nvisibility = 'secret'");
    for expected in [
        "1: the [[group]] has no path; write path = \"acme/web\"",
        "4: path = \"/acme\": is not a group's full path; write path = \"acme/web\"",
        "7: visibility = \"secret\": is not a visibility; write \"private\", \"internal\" or \"public\"",
    ] {
        assert!(told.contains(expected), "{expected}\n{told}");
    }
}

#[test]
fn a_group_and_a_project_of_the_same_path_are_different() {
    let project = bell("").replace("acme/rocket", "group/acme");
    let group = bell("group_mention_events = true").replace("project = 'acme/rocket'", "group = 'acme'");
    let read = read(&format!("{project}{group}")).unwrap();
    assert_ne!(read.each()[0].id, read.each()[1].id);
}

#[test]
fn only_the_common_settings_of_an_adapter_are_listed() {
    let names = |about: &About| -> Vec<String> {
        common_fields(about).into_iter().map(|field| field.name.into_owned()).collect()
    };
    assert_eq!(
        names(&Bell::ABOUT),
        [
            "channel",
            "push_channel",
            "issue_channel",
            "confidential_issue_channel",
            "pipeline_channel",
            "deployment_channel",
            "group_mention_channel",
            "branches_to_be_notified",
            "notify_only_default_branch",
            "notify_only_broken_pipelines",
            "labels_to_be_notified",
            "labels_to_be_notified_behavior",
            "push_events",
            "issues_events",
            "confidential_issues_events",
            "pipeline_events",
            "deployment_events",
            "group_mention_events",
        ]
    );
    assert_eq!(names(&Horn::ABOUT), ["push_events"]);
    let off: Vec<_> = common_fields(&Bell::ABOUT)
        .into_iter()
        .filter(|f| f.group == Group::Flags && f.default == Some("false"))
        .collect();
    assert_eq!(off.len(), 2, "deployments and mentions");
}

#[test]
fn every_example_of_every_real_adapter_is_accepted() {
    for adapter in ADAPTERS {
        let own = adapter.fields.iter().map(|field| (field.name.to_owned(), field.example.to_owned()));
        let shared = common_fields(&adapter.about).into_iter();
        let shared = shared.map(|field| (field.name.into_owned(), field.example.into_owned()));
        let settings: String =
            own.chain(shared).flat_map(|(name, example)| [name, format!(" = {example:?}\n")]).collect();
        let text = format!("[[integration]]\nproject = 1\nadapter = {:?}\n{settings}", adapter.about.slug);
        let files = [(PathBuf::from("a.toml"), text)];
        let read = crate::provision::read(&files, &secrets)
            .unwrap_or_else(|problems| panic!("{}", lines(&problems)));
        assert_eq!(read.integrations.len(), 1);
    }
}

#[test]
fn channels_that_are_an_adapters_own_settings_are_read_as_such() {
    let read = |more: &str| {
        let webhook = "https://discord.com/api/webhooks/1/s3cret";
        let text =
            format!("[[integration]]\nproject = 1\nadapter = 'discord'\nwebhook = '{webhook}'\n{more}");
        let no_files = |path: &Path| match path.to_str() {
            Some("/run/secrets/issues") => Ok("https://discord.com/api/webhooks/2/s3cret\n".to_owned()),
            _ => secrets(path),
        };
        crate::provision::read(&[(PathBuf::from("a.toml"), text)], &no_files).map_err(|told| lines(&told))
    };
    let push = "push_channel = 'https://discord.com/api/webhooks/3/s3cret'\n";
    let provisioned = read(&format!("{push}issue_channel_file = '/run/secrets/issues'")).unwrap();
    let discord = &provisioned.each()[0];
    let entry = crate::adapters::find("discord").unwrap();
    for (trigger, target) in [(Trigger::Push, "push"), (Trigger::Issue, "issue"), (Trigger::Note, "")] {
        let event = crate::event::sample(trigger);
        assert!(discord.channels.for_trigger(trigger).is_empty(), "they are no names of channels");
        assert_eq!(entry.targets(&discord.settings, &event, &[]).send[0].name, target);
    }

    let told = read("push_channel = '#dev'").unwrap_err();
    assert!(told.contains("push_channel: must be a valid URL") && !told.contains("#dev"), "{told}");
    let told = read("push_channel = 'https://discord.com/api/webhooks/3/s3cret/slack'").unwrap_err();
    assert!(told.contains("push_channel: ends in /slack") && !told.contains("s3cret"), "{told}");
    let told = read("channel = '#dev'\njob_channel = '#ci'\npush_chanel = '#dev'").unwrap_err();
    assert!(told.contains("channel: unknown setting; discord does not have it"), "{told}");
    assert!(told.contains("job_channel: unknown setting; discord does not receive job events"), "{told}");
    assert!(told.contains("push_chanel: unknown setting; did you mean `push_channel`?"), "{told}");
}

#[test]
fn an_event_finds_its_integration_in_any_case_of_its_path() {
    let mut event = crate::event::sample(Trigger::Push);
    let project = event.project.as_mut().unwrap();
    project.path_with_namespace = "Acme/Rocket".into();
    assert!(one(&bell("")).scope.covers(event.project.as_ref(), None));
    assert!(!one(&bell("").replace("acme/", "other/")).scope.covers(event.project.as_ref(), None));
}

#[test]
fn an_inactive_integration_may_lack_settings_but_not_have_invalid_ones() {
    let off = "[[integration]]\nproject = 42\nadapter = 'big-bell'\nactive = false\n";
    let read_off = read(off).unwrap_or_else(|problems| panic!("{}", lines(&problems)));
    let configured = &read_off.integrations[0].configured;
    assert!(!configured.is_active() && configured.configuration == Configuration::default());
    let problems = read(&format!("{off}volume = 'loud'\n")).unwrap_err();
    assert!(lines(&problems).contains(": volume"), "{}", lines(&problems));
    assert!(!lines(&problems).contains("webhook"), "{}", lines(&problems));
}

#[test]
fn an_inheriting_block_has_no_settings_of_its_own() {
    let follows = bell("use_inherited_settings = true\nactive = false\nusername = 'ringer'\n");
    let read = read(&follows).unwrap_or_else(|problems| panic!("{}", lines(&problems)));
    assert_eq!(read.integrations[0].configured.configuration, Configuration::following());
    assert_eq!(
        lines(&read.warnings),
        "/etc/forgebell/a.toml:6: big-bell of project acme/rocket: active: is ignored, because \
         `use_inherited_settings` is true; leave one of the two out\n"
    );
}

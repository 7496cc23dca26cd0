//! Secrets: where they may be written, what a change of them does, and that they are never shown.

use super::*;
use crate::integration::Fingerprint;

#[test]
fn a_secret_may_be_in_a_file_of_its_own() {
    let webhook = |from: &str| {
        let bell = one(&bell("").replace("webhook = 'https://bells.example/s3cret'", from));
        bell.settings.get::<BellSettings>().unwrap().webhook.expose().to_string()
    };
    assert_eq!(webhook("webhook_file = '/run/secrets/bell'"), "https://bells.example/from-a-file");
    assert_eq!(
        webhook("webhook_file = 'bell-secret'"),
        "https://bells.example/beside",
        "beside the text's own file"
    );
}

#[test]
fn a_missing_secrets_file_switches_its_integration_off_and_leaves_the_others() {
    let missing =
        bell("").replace("webhook = 'https://bells.example/s3cret'", "webhook_file = '/run/secrets/none'");
    let read = read(&(missing + "\n" + &bell("").replace("rocket", "other"))).unwrap();
    let found: Vec<_> = read.integrations.iter().map(|placed| placed.configured.is_active()).collect();
    assert_eq!(found, [false, true]);
    assert_eq!(read.warnings.len(), 1);
    let off = &read.integrations[0].configured;
    assert!(off.configuration.active, "it is meant to be on");
    let why = off.resolved.as_ref().unwrap_err();
    assert!(why[0].to_string().contains("/run/secrets/none can't be read"), "{why:?}");
}

#[test]
fn a_missing_secrets_file_is_one_problem() {
    let told = |from: &str| problems(&bell("").replace("webhook = 'https://bells.example/s3cret'", from));
    assert_eq!(
        told("webhook_file = '/run/secrets/none'"),
        "4: big-bell of project acme/rocket: webhook_file: the file /run/secrets/none can't be read: \
         entity not found; name a file that the daemon is allowed to read\n"
    );
    let denied = told("webhook_file = '/run/secrets/denied'");
    assert!(
        denied.contains("allowed to read; or run the command as the daemon's user: `sudo -u forgebell "),
        "{denied}"
    );
    assert!(told("webhook_file = '/run/secrets/empty'").contains("names an empty file"));
    assert!(told("webhook_file = 7").contains("is not a file's name"));
    let both = told("webhook = 'https://bells.example/s3cret'\nwebhook_file = '/run/secrets/bell'");
    assert!(both.contains("webhook_file: is set beside `webhook`"), "{both}");
    let no_secret = problems(&bell("username_file = '/run/secrets/bell'"));
    assert!(no_secret.contains("`username` is not a secret"), "{no_secret}");
}

#[test]
fn fingerprints_depend_on_values_and_not_on_spelling() {
    let print = |text: &str| one(text).fingerprint;
    let plain = print(&bell("channel = '#a, #b'\nnotify_only_broken_pipelines = true"));

    let otherwise = "# a comment
        [[integration]]
        notify_only_broken_pipelines = 'yes'   # the default, spelled out
        webhook = 'https://bells.example/s3cret'
        channel = '#a,#b'
        adapter = 'big_bell'
        job_events = false                     # which big-bell can't hear of
        project = 'Acme/rocket'";
    assert_eq!(print(otherwise), plain);
    let in_file =
        bell("").replace("webhook = 'https://bells.example/s3cret'", "webhook_file = '/run/secrets/bell'");
    let in_text = bell("").replace("s3cret", "from-a-file");
    assert_eq!(print(&in_file), print(&in_text));

    let changes = [
        "channel = '#a'",
        "push_channel = '#a'",
        "username = 'x'",
        "active = false",
        "push_events = false",
        "branches_to_be_notified = 'all'",
        "notify_only_broken_pipelines = false",
        "labels_to_be_notified = 'a'",
        "labels_to_be_notified_behavior = 'match_all'",
    ];
    let mut all: Vec<Fingerprint> = changes.iter().map(|change| print(&bell(change))).collect();
    all.extend([print(&bell("")), print(&bell("").replace("s3cret", "s3cret2"))]);
    let distinct: std::collections::HashSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len(), "each of these is another setting");
    // A default is the same wherever it holds.
    assert_eq!(print(&bell("").replace("rocket", "r")), print(&bell("")));
}

#[test]
fn a_fingerprint_is_the_same_in_every_release() {
    // A changed value here ends everybody's holds on the next upgrade: intended now and then, never by accident.
    assert_eq!(one(&bell("channel = '#a'")).fingerprint, Fingerprint(1_923_133_786_771_361_357));
}

#[test]
fn secrets_are_never_shown_wherever_they_were_put() {
    let secret = "https://bells.example/s3cret";
    let texts = [
        bell("volume = 99\nnonsense = 1"),
        format!("[[integration]]\nproject = '{secret}'\nadapter = '{secret}'\ngroup = '{secret}'"),
        format!("[[integration]]\nproject = '{secret}'\nadapter = 'big-bell'\nwebhok = '{secret}'"),
        bell("").replace("https:", "ftp:"),
        bell("").replace("https://bells.example/", ""),
        bell("").replace("'https://bells.example/s3cret'", "['https://bells.example/s3cret']"),
        bell("").replace("webhook =", "webhook_file ="),
        bell("").replace("webhook = 'https://bells.example/", "webhook_file = '"),
        bell(&format!("branches_to_be_notified = '{secret}'\nlabels_to_be_notified_behavior = '{secret}'")),
        bell(&format!("active = '{secret}'\nvolume = '{secret}'\npush_events = '{secret}'")),
    ];
    for text in texts {
        let read = read(&text);
        let told = format!("{read:?}{}", problems(&text));
        assert!(!told.contains("s3cret"), "{told}");
        assert!(!problems(&text).is_empty(), "{text}");
    }
    assert!(!format!("{:?}", read(&bell(""))).contains("s3cret"));
}

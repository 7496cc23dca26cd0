//! Tests of both kinds of mail. This file has the heads, and each other file a subject of its own.

mod builds;
mod content;
mod diffs;
mod hostile;
mod recipients;
mod relay;

use serde_json::{Value as Json, json};

use super::events::{Case, changed, tell, tell_changed};
use super::{buckets, entry, note, operator, settings_of, target_names};
use crate::adapters::{Notification, OperatorSettings};
use crate::call::{Call, Mail, Request, Sent};
use crate::settings::Parsed;

const PUSH: &str = "emails-on-push";
const PIPELINES: &str = "pipelines-email";

fn push(change: impl FnOnce(&mut Json)) -> Case {
    tell("push", &changed("push.json", change))
}

fn pipeline(change: impl FnOnce(&mut Json)) -> Case {
    tell("pipeline", &changed("pipeline_success.json", change))
}

fn settings(slug: &str, more: &[(&str, &str)]) -> Parsed {
    settings_of(slug, &[&[("recipients", "ada@example.com")], more].concat())
}

fn call_in(slug: &str, settings: &Parsed, case: &Case, operator: &OperatorSettings) -> Call<Sent> {
    let note = Notification { operator, ..note(&case.event, "ada@example.com") };
    entry(slug).call(settings, &note).unwrap_or_else(|failure| panic!("{slug}: {failure}"))
}

fn mail_of(call: Call<Sent>) -> Mail {
    match call.request {
        Request::Smtp(mail) => *mail,
        other => panic!("no mail: {other:?}"),
    }
}

fn mail(slug: &str, more: &[(&str, &str)], case: &Case) -> Mail {
    mail_of(call_in(slug, &settings(slug, more), case, operator()))
}

fn header<'a>(mail: &'a Mail, name: &str) -> &'a str {
    let found: Vec<&str> =
        mail.headers.iter().filter(|(known, _)| *known == name).map(|(_, value)| value.as_str()).collect();
    assert_eq!(found.len(), 1, "{name} stands there once");
    found[0]
}

#[test]
fn headers_have_the_values_that_mail_filters_use() {
    let mail = mail(PIPELINES, &[], &pipeline(|_| {}));
    for (name, value) in [
        ("Auto-Submitted", "auto-generated"),
        ("X-Auto-Response-Suppress", "All"),
        ("X-GitLab-Project", "Gitlab Test"),
        ("X-GitLab-Project-Id", "1"),
        ("X-GitLab-Project-Path", "gitlab-org/gitlab-test"),
        ("X-GitLab-Pipeline-Id", "31"),
        ("X-GitLab-Pipeline-Ref", "master"),
        ("X-GitLab-Pipeline-Status", "success"),
        ("List-Id", "gitlab-org/gitlab-test <1.gitlab-test.gitlab-org.forge.example.com>"),
    ] {
        assert_eq!(header(&mail, name), value);
    }
    assert_eq!(mail.message_id, "<01912d68783e7a0384675661c1243ad4@forge.example.com>");
    assert_eq!(mail.sender, "forgebell@forge.example.com");
}

#[test]
fn related_mails_form_one_thread() {
    let thread = |slug: &str, case: &Case| mail(slug, &[], case).thread.expect("a thread");
    let (one, other) = (push(|_| {}), push(|push| push["after"] = json!("a".repeat(40))));
    assert_eq!(thread(PUSH, &one), thread(PUSH, &other), "pushes of one branch");
    assert_ne!(thread(PUSH, &one), thread(PUSH, &push(|push| push["ref"] = json!("refs/heads/next"))));
    assert_ne!(thread(PUSH, &one), thread(PUSH, &push(|push| push["ref"] = json!("refs/tags/master"))));
    let of_branch = |name: &'static str| {
        pipeline(move |pipeline| {
            pipeline["merge_request"] = Json::Null;
            pipeline["object_attributes"]["ref"] = json!(name);
        })
    };
    assert_eq!(thread(PIPELINES, &of_branch("a")), thread(PIPELINES, &of_branch("a")));
    assert_ne!(thread(PIPELINES, &of_branch("a")), thread(PIPELINES, &of_branch("b")));
    let of_request =
        |name: &'static str| pipeline(move |pipeline| pipeline["object_attributes"]["ref"] = json!(name));
    assert_eq!(thread(PIPELINES, &of_request("a")), thread(PIPELINES, &of_request("b")), "one merge request");
}

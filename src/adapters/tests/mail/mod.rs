//! Tests of both kinds of mail: heads, recipients, replies, sizes. `diffs` tests the diffs of pushes.

mod builds;
mod diffs;

use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::events::{Case, changed, tell, tell_changed};
use super::{buckets, entry, operator, settings_of, target_names};
use crate::adapters::contract::LazyMessage;
use crate::adapters::mail::{addresses, replies};
use crate::adapters::{Notification, OperatorSettings, ProjectLinks};
use crate::call::{Answer, Call, Failure, Mail, Request, Sent, SmtpReply, SmtpStage};
use crate::settings::{Parsed, Properties, Value};

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
    let note = Notification {
        id: "01912d68783e7a0384675661c1243ad4",
        event: &case.event,
        target: "ada@example.com",
        now: Timestamp::UNIX_EPOCH,
        operator,
        links: ProjectLinks::none(),
        open_request: None,
        may_have_been_sent: false,
        is_test: false,
        extent: crate::integration::Extent::default(),
        message: LazyMessage::default(),
    };
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
fn subjects_are_gitlabs() {
    let commits = |count: usize| {
        move |push: &mut Json| {
            let first = push["commits"][0].clone();
            push["commits"] = vec![first; count].into();
            push["total_commits_count"] = json!(count);
        }
    };
    let zeros = "0".repeat(40);
    let table = [
        (push(commits(1)), "[Git][mike/diaspora][master] Update Catalan translation to e38cb41."),
        (push(commits(3)), "[Git][mike/diaspora][master] 3 commits: Update Catalan translation to e38cb41."),
        (push(|push| push["before"] = json!(zeros)), "[Git][mike/diaspora] Pushed new branch master"),
        (push(|push| push["after"] = json!(zeros)), "[Git][mike/diaspora] Deleted branch master"),
        (
            push(|push| {
                push["before"] = json!(zeros);
                push["ref"] = json!("refs/tags/v1.0");
            }),
            "[Git][mike/diaspora] Pushed new tag v1.0",
        ),
        // System hooks list no commits and count none, whatever was pushed.
        (push(commits(0)), "[Git][mike/diaspora][master] Pushed da156088"),
        (
            push(|push| {
                commits(0)(push);
                push["total_commits_count"] = json!(3);
            }),
            "[Git][mike/diaspora][master] 3 commits",
        ),
        (
            push(|push| {
                commits(0)(push);
                push["ref"] = json!("refs/tags/v1.0");
            }),
            "[Git][mike/diaspora][v1.0] Moved to da156088",
        ),
    ];
    for (case, expected) in table {
        assert_eq!(mail(PUSH, &[], &case).subject, expected);
    }
    let ended = |status: &'static str, name: &'static str| {
        pipeline(move |pipeline| {
            pipeline["object_attributes"]["status"] = json!(status);
            pipeline["object_attributes"]["ref_status_name"] = json!(name);
        })
    };
    let table = [
        (ended("failed", "broken"), "Gitlab Test | Failed pipeline for master | bcbb5ec3"),
        (ended("success", "success"), "Gitlab Test | Successful pipeline for master | bcbb5ec3"),
        (ended("success", "fixed"), "Gitlab Test | Fixed pipeline for master | bcbb5ec3"),
    ];
    for (case, expected) in table {
        assert_eq!(mail(PIPELINES, &[], &case).subject, expected);
    }
    let hidden = pipeline(|pipeline| {
        pipeline["object_attributes"]["ref"] = json!("refs/merge-requests/1/head");
        pipeline["object_attributes"]["status"] = json!("failed");
    });
    let sent = mail(PIPELINES, &[], &hidden);
    assert_eq!(sent.subject, "Gitlab Test | Failed pipeline for !1 | bcbb5ec3", "a hidden ref is no branch");
    assert!(!sent.text.contains("refs/") && sent.text.contains("\nMerge request: !1 Test "), "{}", sent.text);
}

#[test]
fn errors_of_the_ci_configuration_are_shown() {
    let passed = |how: &'static str| {
        pipeline(move |pipeline| {
            pipeline["object_attributes"]["status"] = json!("success");
            pipeline["object_attributes"]["detailed_status"] = json!(how);
            pipeline["builds"] = json!([
                {"id": 1, "stage": "build", "name": "make", "status": "success"},
                {"id": 2, "stage": "test", "name": "flaky", "status": "failed"}
            ]);
        })
    };
    let text = mail(PIPELINES, &[], &passed("passed with warnings")).text;
    assert!(text.contains("\n1 failed job, allowed to fail\n- flaky ("), "{text}");
    assert!(!mail(PIPELINES, &[], &passed("passed")).text.contains("failed job"));
}

#[test]
fn jobs_that_may_fail_are_listed_separately() {
    let failed = pipeline(|pipeline| {
        pipeline["object_attributes"]["status"] = json!("failed");
        pipeline["builds"] = json!([
            {"id": 1, "stage": "test", "name": "lint", "status": "failed", "allow_failure": true},
            {"id": 2, "stage": "test", "name": "rspec", "status": "failed", "allow_failure": false}
        ]);
    });
    let text = mail(PIPELINES, &[], &failed).text;
    assert!(text.contains("\n1 failed job\n- rspec ("), "{text}");
    assert!(text.contains("\n1 failed job, allowed to fail\n- lint ("), "{text}");
}

#[test]
fn a_mail_about_a_child_pipeline_names_its_parent() {
    let child = pipeline(|pipeline| {
        pipeline["object_attributes"]["source"] = json!("parent_pipeline");
        pipeline["source_pipeline"] = json!({
            "project": { "web_url": "https://git.example.com/acme/parent", "path_with_namespace": "acme/parent" },
            "pipeline_id": 76,
        });
    });
    let text = mail(PIPELINES, &[("notify_child_pipelines", "true")], &child).text;
    let expected = "\nParent pipeline: acme/parent #76 (https://git.example.com/acme/parent/-/pipelines/76)";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn a_push_that_names_no_one_is_mailed_without_an_actor() {
    let case = push(|push| {
        push["user_name"] = json!(null);
        push["user_username"] = json!(null);
    });
    let text = mail(PUSH, &[], &case).text;
    assert!(text.starts_with("Branch master ("), "{text}");
    assert!(text.lines().next().is_some_and(|line| line.ends_with(" was pushed to")), "{text}");
}

#[test]
fn a_scheduled_pipeline_was_not_started_by_the_schedules_owner() {
    let case = tell_changed("pipeline_success.json", |pipeline| {
        pipeline["object_attributes"]["source"] = json!("schedule");
    });
    let text = mail(PIPELINES, &[], &case).text;
    assert!(text.contains("a schedule of Administrator (root)"), "{text}");
}

/// An event without a list of commits does not say that commits were removed.
#[test]
fn a_push_without_listed_commits_is_mailed() {
    for count in [json!(0), json!(null)] {
        let case = push(|push| {
            push["commits"] = json!([]);
            push["total_commits_count"] = count.clone();
        });
        let text = mail(PUSH, &[], &case).text;
        assert!(text.starts_with("John Smith pushed to branch master "), "{text}");
        assert!(
            text.contains("The event lists no commits: the branch went from 95790bf8 to da156088."),
            "{text}"
        );
        assert!(!text.contains("removed") && !text.contains("force push"), "{text}");
    }
}

#[test]
fn a_moved_tag_is_not_reported_as_having_lost_commits() {
    let case = push(|push| {
        push["commits"] = json!([]);
        push["total_commits_count"] = json!(0);
        push["ref"] = json!("refs/tags/v1.0");
    });
    let text = mail(PUSH, &[], &case).text;
    assert!(text.starts_with("John Smith moved tag v1.0 "), "{text}");
    assert!(text.contains("the tag went from 95790bf8 to da156088"), "{text}");
}

#[test]
fn files_are_shown_as_they_are_after_the_push() {
    let case = |total: usize| {
        push(move |push| {
            let commit = push["commits"][0].clone();
            let with = |added: &[&str], modified: &[&str], removed: &[&str]| {
                let mut commit = commit.clone();
                (commit["added"], commit["modified"], commit["removed"]) =
                    (json!(added), json!(modified), json!(removed));
                commit
            };
            push["commits"] = json!([
                with(&["new", "came-and-went"], &["changed", "went"], &["back"]),
                with(&["back"], &["new"], &["came-and-went", "went"]),
            ]);
            push["total_commits_count"] = json!(total);
        })
    };
    let files = |total: usize| {
        let text = mail(PUSH, &[], &case(total)).text;
        let from = text.find("4 changed files").unwrap_or_else(|| panic!("{text}"));
        text[from..].lines().take_while(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(files(2), ["4 changed files", "- new (new)", "- changed", "- went (removed)", "- back"]);
    assert_eq!(files(9)[0], "4 changed files in these commits", "the files of the others are not known");
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

#[test]
fn addresses_are_parsed() {
    let table = [
        ("ada@example.com", Some("ada@example.com")),
        ("Ada.Lovelace+git@Example.COM", Some("Ada.Lovelace+git@example.com")),
        ("ada@bücher.example", Some("ada@xn--bcher-kva.example")),
        ("root@localhost", Some("root@localhost")),
        ("o'hara@example.com", Some("o'hara@example.com")),
        ("ada", None),
        ("@example.com", None),
        ("ada@", None),
        ("-oQ/tmp@example.com", None),
        (".ada@example.com", None),
        ("a..b@example.com", None),
        ("\"ada lovelace\"@example.com", None),
        ("friends:ada@example.com;", None),
        ("@relay.example:ada@example.com", None),
        ("ada(comment)@example.com", None),
        ("ada@[127.0.0.1]", None),
        ("ada@127.0.0.1", None),
        ("ada@example..com", None),
        ("ada@example.com\r\nBcc: x@y", None),
        ("ada@example.com\u{2028}", None),
        ("[REDACTED]", None),
    ];
    for (written, expected) in table {
        assert_eq!(addresses::address(written).as_deref(), expected, "{written:?}");
    }
    let long = format!("{}@example.com", "a".repeat(65));
    assert_eq!(addresses::address(&long), None);
}

fn problems(slug: &str, recipients: &str) -> Vec<String> {
    let properties: Properties = [("recipients".to_owned(), Value::Text(recipients.to_owned()))].into();
    match entry(slug).read(&properties) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn lists_have_their_limits() {
    let list = |count: usize| (0..count).map(|n| format!("dev{n}@example.com")).collect::<Vec<_>>().join(" ");
    for (slug, most) in [(PUSH, 750), (PIPELINES, 30)] {
        assert!(problems(slug, &list(most)).is_empty(), "{slug}");
        assert_eq!(problems(slug, &list(most + 1)), [format!("recipients: can't exceed {most}")]);
        // Invalid addresses, and repeats in other case, do not count.
        let repeated = format!("{} DEV0@EXAMPLE.COM nobody", list(most));
        assert!(problems(slug, &repeated).is_empty(), "{slug}");
        assert_eq!(
            problems(slug, "nobody nowhere"),
            ["recipients: has no valid mail address: `nobody nowhere`"]
        );
    }
}

#[test]
fn an_address_that_can_not_be_served_keeps_no_other_from_being_saved() {
    let list = "ada@example.com jürgen@example.com nobody@";
    assert_eq!(addresses::recipients(list), ["ada@example.com"]);
    let warnings: Vec<_> = addresses::warnings(list).iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "recipients: `jürgen@example.com` is left out: it has characters outside ASCII before the @",
            "recipients: `nobody@` is no mail address and is left out",
        ]
    );
    for slug in [PUSH, PIPELINES] {
        assert!(problems(slug, list).is_empty(), "{slug}");
        let why = "recipients: has no valid mail address: `jürgen@example.com`";
        assert_eq!(problems(slug, "jürgen@example.com"), [why]);
    }
}

#[test]
fn each_recipient_is_a_target() {
    let case = push(|_| {});
    let recipients = "Ada@Example.com\nbob@example.com ada@example.com  nobody";
    let targets = |recipients: &str| {
        target_names(entry(PUSH), &settings_of(PUSH, &[("recipients", recipients)]), &case.event)
    };
    assert_eq!(targets(recipients), ["Ada@example.com", "bob@example.com"]);
    let as_in_a_mail = "Ada <ada@example.com>, bob@example.com; cy@example.com";
    assert_eq!(targets(as_in_a_mail), ["ada@example.com", "bob@example.com", "cy@example.com"]);
    let none = push(|push| push["after"] = push["before"].clone());
    let settings = settings_of(PUSH, &[("recipients", recipients)]);
    assert!(target_names(entry(PUSH), &settings, &none.event).is_empty(), "nothing was pushed");

    let recipients = "Ada <ada@example.com>, bob@example.com,\ncy@example.com";
    let case = pipeline(|_| {});
    let targets = |more: &[(&str, &str)], case: &Case| {
        let settings = settings_of(PIPELINES, &[&[("recipients", recipients)], more].concat());
        target_names(entry(PIPELINES), &settings, &case.event)
    };
    assert_eq!(targets(&[], &case), ["ada@example.com", "bob@example.com", "cy@example.com"]);
    assert_eq!(targets(&[("add_pusher", "true")], &case)[3..], ["user_email@gitlab.com"]);
    let redacted = pipeline(|pipeline| pipeline["user"]["email"] = json!("[REDACTED]"));
    assert_eq!(targets(&[("add_pusher", "true")], &redacted).len(), 3);
    let known = pipeline(|pipeline| pipeline["user"]["email"] = json!("ADA@example.com"));
    assert_eq!(targets(&[("add_pusher", "true")], &known).len(), 3);
}

#[test]
fn child_pipelines_are_mailed_by_default() {
    let pipeline = |source: &str| {
        let source = json!(source);
        pipeline(move |pipeline| pipeline["object_attributes"]["source"] = source)
    };
    let targets = |said: &[(&str, &str)], source: &str| {
        let settings = settings(PIPELINES, said);
        target_names(entry(PIPELINES), &settings, &pipeline(source).event).len()
    };
    for (said, children) in
        [(&[][..], 1), (&[("notify_child_pipelines", "")], 1), (&[("notify_child_pipelines", "false")], 0)]
    {
        assert_eq!(targets(said, "parent_pipeline"), children, "{said:?}");
        assert_eq!(targets(said, "push"), 1, "{said:?}");
        assert_eq!(targets(said, "pipeline"), 1, "another project's pipeline started it: {said:?}");
    }
}

#[test]
fn a_mail_is_from_its_author_only_below_the_forges_own_domain() {
    let table = [
        ("gitlab.corp.company.com", "ada@gitlab.corp.company.com", true),
        ("gitlab.corp.company.com", "ada@corp.company.com", true),
        ("gitlab.corp.company.com", "ada@company.com", true),
        ("gitlab.corp.company.com", "ada@COMPANY.com", true),
        ("gitlab.corp.company.com", "ada@com", false),
        ("gitlab.corp.company.com", "ada@pany.com", false),
        ("gitlab.corp.company.com", "ada@mail.company.com", false),
        ("gitlab.corp.company.com", "ada@company.com.evil.example", false),
        ("gitlab.company.co.uk", "ada@company.co.uk", true),
        ("gitlab.company.co.uk", "ada@co.uk", false),
        ("company.com", "ada@company.com", true),
        ("localhost", "ada@localhost", false),
        ("10.0.0.1", "ada@0.1", false),
        ("", "ada@company.com", false),
    ];
    for (host, address, expected) in table {
        assert_eq!(addresses::may_be_from(address, host), expected, "{address} at {host}");
    }
}

#[test]
fn sender_and_reply_address_follow_from_the_settings() {
    let own = push(|push| push["user_email"] = json!("john@example.com"));
    let as_author = [("send_from_committer_email", "true")];
    let sent = mail(PUSH, &as_author, &own);
    assert_eq!((sent.from.name.as_str(), sent.from.address.as_str()), ("John Smith", "john@example.com"));
    assert_eq!(sent.reply_to.map(|reply_to| reply_to.address).as_deref(), Some("john@example.com"));
    assert_eq!(sent.sender, "forgebell@forge.example.com", "what comes back comes to the operator");
    for (more, email) in
        [(&[][..], "john@example.com"), (&as_author, "john@elsewhere.example"), (&as_author, "[REDACTED]")]
    {
        let case = push(|push| push["user_email"] = json!(email));
        let mut operator = operator().clone();
        operator.mail.reply_to = "noreply@example.com".to_owned();
        let sent = mail_of(call_in(PUSH, &settings(PUSH, more), &case, &operator));
        assert_eq!(sent.from.name, "John Smith");
        assert_eq!(sent.from.address, "forgebell@forge.example.com", "{email}");
        assert_eq!(sent.reply_to.map(|reply_to| reply_to.address).as_deref(), Some("noreply@example.com"));
    }
}

fn every_header(mail: &Mail) -> Vec<String> {
    let mailboxes = [Some(&mail.from), mail.reply_to.as_ref()].into_iter().flatten();
    let mut all: Vec<String> =
        mailboxes.flat_map(|mailbox| [mailbox.name.clone(), mailbox.address.clone()]).collect();
    all.extend([mail.subject.clone(), mail.message_id.clone(), mail.to.clone(), mail.sender.clone()]);
    all.extend(mail.thread.clone());
    all.extend(mail.headers.iter().map(|(_, value)| value.clone()));
    all
}

fn is_header(value: &str) -> bool {
    value.len() < 1500 && !value.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
}

/// A push and a pipeline in which these words stand wherever people can put them.
fn saying(words: &str) -> [(&'static str, Case); 2] {
    let push = push(|push| {
        for name in ["user_name", "user_username", "user_email", "ref", "before"] {
            push[name] = json!(format!("x{words}"));
        }
        push["project"]["name"] = json!(words);
        // A path of more than 1,024 bytes is no path.
        push["project"]["path_with_namespace"] = json!(words.chars().take(256).collect::<String>());
        push["commits"][0]["message"] = json!(words);
        push["commits"][0]["title"] = json!(words);
        push["commits"][0]["added"] = json!([words]);
        push["diff"] = json!(format!("diff --git a/{words} b/{words}\n+{words}"));
    });
    let pipeline = pipeline(|pipeline| {
        for name in ["ref", "sha", "name", "yaml_errors"] {
            pipeline["object_attributes"][name] = json!(words);
        }
        pipeline["user"]["name"] = json!(words);
        pipeline["user"]["email"] = json!(words);
        pipeline["project"]["name"] = json!(words);
        pipeline["merge_request"]["title"] = json!(words);
        pipeline["commit"]["message"] = json!(words);
    });
    [(PUSH, push), (PIPELINES, pipeline)]
}

#[test]
fn text_of_people_never_becomes_a_header_or_an_address() {
    let corpus = [
        "\r\nBcc: x@evil.example",
        "\nBcc: x@evil.example",
        "\0",
        "\u{85}Bcc: x@evil.example",
        "\u{2028}Bcc: x@evil.example",
        "\"ceo@bank.example\" <ceo@bank.example>",
        "a, b <x@y>, c",
        "back\\slash \"quote",
    ];
    for words in corpus {
        for (slug, case) in saying(words) {
            let mail = mail(slug, &[("send_from_committer_email", "true")], &case);
            for value in every_header(&mail) {
                assert!(is_header(&value), "{slug}: {value:?}");
            }
            let name = &mail.from.name;
            assert!(!name.contains(['<', '>', '"', '\\', '@']), "{name}");
            let list = header(&mail, "List-Id");
            assert_eq!(list.matches('<').count(), 1, "{list}");
            let id = list.rsplit('<').next().unwrap().trim_end_matches('>');
            assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)), "{id}");
            assert!(!mail.html.contains("<x@y>") && !mail.html.contains("<ceo@"), "{}", mail.html);
        }
    }
    let long = mail(PUSH, &[], &push(|push| push["commits"][0]["title"] = json!("🔔".repeat(5000))));
    assert!(long.subject.chars().count() <= 255);
}

#[test]
fn nothing_that_people_write_is_markup_in_the_html() {
    for (slug, case) in saying("<script>alert(1)</script><img src=x>&\"'") {
        let html = mail(slug, &[], &case).html;
        assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
        assert!(html.contains("&lt;script&gt;"));
    }
}

#[test]
fn ten_thousand_commits_of_a_megabyte_make_a_mail_within_the_limits() {
    for (count, message, lines) in [(10_000, "\"'<&> ".repeat(20), 10), (5, "\"".repeat(1_000_000), 20_000)] {
        let case = push(|push| {
            let commit = json!({"id": "a".repeat(40), "message": message, "url": "http://example.com/c", "diff": "+\"\n".repeat(lines)});
            push["commits"] = vec![commit; count].into();
            push["total_commits_count"] = json!(count);
        });
        let mail = mail(PUSH, &[], &case);
        assert!(mail.text.len() + mail.html.len() < 1_000_000, "{}", mail.text.len() + mail.html.len());
        assert!(count < 100 || mail.text.contains("and 9900 more commits"), "what is left out is counted");
        assert!(mail.html.ends_with("</html>\n"));
        assert_eq!(mail.html.matches("<pre").count(), mail.html.matches("</pre>").count());
    }
}

/// wire-email.md, "Reply classes"; RFC 5321 (4.2.3) and RFC 3463 for the codes.
#[test]
fn every_reply_has_its_consequence() {
    use SmtpStage::{Content, Data, Greeting, Login, Recipient, Sender};
    let table = [
        (Content, 250, "2.0.0 Ok: queued", "taken"),
        (Greeting, 421, "4.3.2 too busy", "unavailable"),
        (Greeting, 554, "no SMTP service here", "operator_error"),
        (Greeting, 521, "host does not accept mail", "operator_error"),
        (Greeting, 454, "4.7.0 TLS not available", "unavailable"),
        (Login, 535, "5.7.8 bad credentials", "operator_error"),
        (Login, 534, "5.7.9 mechanism too weak", "operator_error"),
        (Login, 538, "5.7.11 encryption required", "operator_error"),
        (Login, 454, "4.7.0 temporary authentication failure", "unavailable"),
        (Sender, 530, "5.7.0 must issue STARTTLS first", "operator_error"),
        (Sender, 550, "5.7.1 not your domain", "operator_error"),
        (Sender, 553, "5.1.8 sender unknown", "operator_error"),
        (Sender, 451, "4.3.0 try later", "unavailable"),
        (Sender, 552, "5.3.4 too large", "rejected"),
        (Sender, 552, "message size exceeds the limit", "rejected"),
        (Recipient, 450, "4.2.1 mailbox busy", "deferred 300"),
        (Recipient, 451, "4.7.1 greylisted", "deferred 300"),
        (Recipient, 452, "4.2.2 over quota", "deferred 1800"),
        (Recipient, 452, "4.5.3 too many recipients", "deferred 1800"),
        (Recipient, 552, "5.2.2 mailbox full", "deferred 1800"),
        (Recipient, 421, "4.7.0 closing", "unavailable"),
        (Recipient, 550, "5.1.1 no such user", "misconfigured"),
        (Recipient, 551, "5.1.6 moved", "misconfigured"),
        (Recipient, 553, "5.1.3 bad syntax", "misconfigured"),
        (Recipient, 554, "5.7.1 relay access denied", "misconfigured"),
        (Recipient, 552, "5.3.4 message too big for this recipient", "rejected"),
        (Recipient, 556, "5.1.10 accepts no mail", "misconfigured"),
        (Recipient, 530, "5.7.0 authentication required", "operator_error"),
        (Data, 554, "5.5.1 no valid recipients", "misconfigured"),
        (Data, 554, "5.6.0 bad content", "rejected"),
        (Data, 451, "4.3.0 local error", "unavailable"),
        (Content, 421, "4.4.2 timeout", "unavailable"),
        (Content, 451, "4.3.0 local error", "unavailable"),
        (Content, 451, "4.7.1 greylisted", "deferred 300"),
        (Content, 452, "4.3.1 storage full", "unavailable"),
        (Content, 452, "4.2.2 over quota", "deferred 1800"),
        (Content, 550, "5.7.1 spam", "rejected"),
        (Content, 554, "5.7.26 DMARC", "rejected"),
        (Content, 552, "5.3.4 too large", "rejected"),
        (Content, 552, "5.2.2 mailbox full", "deferred 1800"),
        (Sender, 354, "what?", "unavailable"),
    ];
    for (stage, code, text, expected) in table {
        let reply = SmtpReply { stage, code, text: text.to_owned() };
        let answer = replies::read(&reply);
        let consequence = match &answer {
            Answer::Failed(Failure::TemporarilyRejected { wait, .. }) => {
                format!("deferred {}", wait.map_or(0, |wait: Duration| wait.as_secs()))
            }
            other => super::consequence(other).to_owned(),
        };
        assert_eq!(consequence, expected, "{reply:?}");
        if let Answer::Failed(failure) = answer {
            assert!(failure.why().contains(&code.to_string()) && failure.why().contains(text), "{failure}");
            assert!(
                !matches!(failure, Failure::Unavailable { maybe_taken: true, .. }),
                "a reply leaves no doubt"
            );
        }
    }
}

#[test]
fn all_mails_share_one_relay() {
    let bucket = |slug: &str| buckets(entry(slug), &settings(slug, &[]), "ada@example.com").remove(0);
    assert_eq!(bucket(PUSH), bucket(PIPELINES));
    assert_eq!((bucket(PUSH).every.as_millis(), bucket(PUSH).burst), (100, 20));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn for_any_text_headers_are_one_line_and_mails_are_small(words in any::<String>(), times in 1usize..2_000) {
        let words = if words.is_empty() { words } else { words.repeat(times.min(50_000 / words.len())) };
        for (slug, case) in saying(&words) {
            let mail = mail(slug, &[], &case);
            for value in every_header(&mail) {
                prop_assert!(is_header(&value), "{:?}", value);
            }
            prop_assert!(mail.text.len() + mail.html.len() < 1_000_000);
            prop_assert!(!mail.text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')));
        }
    }
}

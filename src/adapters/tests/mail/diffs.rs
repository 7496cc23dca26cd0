//! The sources of diffs, and the text that replaces a diff that is not shown.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::{Case, PUSH, call_in, mail, mail_of, operator, push, settings};
use crate::adapters::OperatorSettings;
use crate::call::{Answer, Call, Egress, HttpRequest, HttpResponse, Mail, Request, Response, Sent};
use crate::settings::Secret;

const TOKEN: &str = "glpat-0123456789abcdef";

fn with_api() -> OperatorSettings {
    let mut operator = operator().clone();
    operator.forge.api_url = "https://forge.example.com/api/v4/".to_owned();
    operator.forge.token = Secret::new(TOKEN);
    operator
}

fn asked(call: &Call<Sent>) -> &HttpRequest {
    match &call.request {
        Request::Http(request) => request,
        other => panic!("makes no request: {other:?}"),
    }
}

fn then(call: Call<Sent>, status: u16, body: &str) -> Answer<Sent> {
    let response =
        HttpResponse { status, headers: Vec::new(), body: body.to_owned().into(), at: Timestamp::UNIX_EPOCH };
    (call.read)(&Response::Http(response))
}

fn mail_then(answer: Answer<Sent>) -> Mail {
    match answer {
        Answer::Next(call) => mail_of(call),
        other => panic!("no mail follows: {}", super::super::consequence(&other)),
    }
}

const COMPARED: &str = r#"{
    "commits": [{"id": "12d65c8dd2b2676fa3ac47d955accc085a37a9c1", "title": "JS fix"}],
    "diffs": [
        {"old_path": "files/js/app.js", "new_path": "files/js/app.js", "diff": "@@ -1 +1 @@\n-old\n+<new>\n"},
        {"old_path": "a", "new_path": "b", "diff": "", "renamed_file": true},
        {"old_path": "big", "new_path": "big", "diff": "", "new_file": true, "too_large": true},
        {"old_path": "gone", "new_path": "gone", "diff": "-x\n", "deleted_file": true}
    ],
    "compare_timeout": false, "compare_same_ref": false
}"#;

#[test]
fn a_diff_in_the_event_is_shown() {
    let whole = push(|push| {
        push["diff"] = json!(
            "diff --git a/x.rs b/x.rs\nindex 1..2 100644\n--- a/x.rs\n+++ b/x.rs\n@@ -1 +1 @@\n-let a;\n+let b = 1 < 2;\n"
        );
    });
    let sent = mail(PUSH, &[], &whole);
    assert!(sent.text.contains("\nx.rs\n") && sent.text.contains("\n+let b = 1 < 2;\n"), "{}", sent.text);
    assert!(sent.html.contains(">+let b = 1 &lt; 2;</span>"), "{}", sent.html);
    assert!(!sent.text.contains("not shown"));
    let by_commit = push(|push| {
        push["commits"][0]["diff"] = json!("diff --git a/x b/x\n+one\n");
        push["commits"][1]["diff"] = json!("diff --git a/y b/y\n+two\n");
    });
    let sent = mail(PUSH, &[], &by_commit);
    assert!(sent.text.contains("\nb6568db1: x\n") && sent.text.contains("\nda156088: y\n"), "{}", sent.text);
    assert!(sent.text.contains("\n+one\n") && sent.text.contains("\n+two\n"));
    // The forge need not be asked for what is there.
    mail_of(call_in(PUSH, &settings(PUSH, &[]), &whole, &with_api()));
}

#[test]
fn a_diff_that_the_event_lacks_is_requested_from_the_forge() {
    let case = push(|_| {});
    let call = call_in(PUSH, &settings(PUSH, &[]), &case, &with_api());
    let request = asked(&call);
    assert_eq!(
        request.url.as_str(),
        "https://forge.example.com/api/v4/projects/15/repository/compare\
         ?from=95790bf891e76fee5e1747ab589903a6a1f80f22&to=da1560886d4f094c3e6c9ef40349f7d38b5d27d7"
    );
    assert_eq!(request.headers, [("private-token", TOKEN.to_owned())]);
    assert_eq!(request.egress, Egress::Operator);
    assert_eq!(request.keep, Some(Duration::from_secs(300)));
    assert!(request.answer_limit > 1_000_000);
    let sent = mail_then(then(call, 200, COMPARED));
    for line in [
        "\nfiles/js/app.js\n",
        "\n-old\n+<new>\n",
        "\na → b\n",
        "\nbig (new)\n",
        "\n(too large to be shown)\n",
        "\ngone (removed)\n",
    ] {
        assert!(sent.text.contains(line), "{line:?} in {}", sent.text);
    }
    assert!(sent.html.contains(">+&lt;new&gt;</span>"));
}

#[test]
fn without_an_answer_of_the_forge_only_the_diff_is_missing() {
    const WHY: &str = "The diff is not shown: the forge did not tell what was changed.";
    let call = || call_in(PUSH, &settings(PUSH, &[]), &push(|_| {}), &with_api());
    for (status, body) in [
        (404, "{}"),
        (500, ""),
        (401, "no"),
        (200, "<html>"),
        (200, "{\"diffs\": 1}"),
        (200, "{\"message\": \"no\"}"),
        (302, ""),
    ] {
        let sent = mail_then(then(call(), status, body));
        assert!(sent.text.contains(WHY), "{status} {body}: {}", sent.text);
    }
    let on_no_response = call().on_no_response.expect("it makes do without an answer");
    let sent = mail_then(on_no_response("could not connect"));
    assert!(sent.text.contains(WHY) && sent.text.contains("fixed readme"), "{}", sent.text);
    assert!(!format!("{sent:?} {} {}", sent.text, sent.html).contains(TOKEN));
}

#[test]
fn a_missing_diff_is_explained_unless_diffs_are_switched_off() {
    let sent = mail(PUSH, &[], &push(|_| {}));
    assert!(sent.text.contains("the forge did not send it along with the push"), "{}", sent.text);
    let disabled = [("disable_diffs", "true")];
    let with_diff = push(|push| push["diff"] = json!("diff --git a/x b/x\n+secret\n"));
    let sent = mail_of(call_in(PUSH, &settings(PUSH, &disabled), &with_diff, &with_api()));
    assert!(!sent.text.contains("secret") && !sent.html.contains("secret"));
    assert!(!sent.text.contains("not shown"), "{}", sent.text);
    let zeros = "0".repeat(40);
    for end in ["before", "after"] {
        let case = push(|push| push[end] = json!(zeros));
        let sent = mail_of(call_in(PUSH, &settings(PUSH, &[]), &case, &with_api()));
        assert!(!sent.text.contains("Diff") && !sent.text.contains("not shown"), "{}", sent.text);
    }
}

#[test]
fn a_force_push_that_removes_commits_lists_them() {
    let case: Case = push(|push| {
        push["commits"] = json!([]);
        push["total_commits_count"] = json!(0);
    });
    let nothing = r#"{"commits": [], "diffs": []}"#;
    let look_back = || match then(call_in(PUSH, &settings(PUSH, &[]), &case, &with_api()), 200, nothing) {
        Answer::Next(call) => call,
        _ => panic!("it looks the other way"),
    };
    let call = look_back();
    assert!(
        asked(&call)
            .url
            .query()
            .is_some_and(|query| query.starts_with("from=da15") && query.contains("to=9579"))
    );
    let sent = mail_then(then(call, 200, COMPARED));
    assert_eq!(sent.subject, "[Git][mike/diaspora][master] Deleted 1 commit: JS fix");
    assert!(sent.text.contains("force push") && sent.text.contains("12d65c8d"), "{}", sent.text);
    assert!(matches!(then(look_back(), 200, nothing), Answer::Skipped(_)), "there is nothing to write");
    let sent = mail_then(then(look_back(), 500, ""));
    assert_eq!(sent.subject, "[Git][mike/diaspora][master] Pushed da156088", "nothing is known");
}

#[test]
fn commits_that_the_event_does_not_list_are_requested_from_the_forge() {
    let case: Case = push(|push| {
        push["commits"] = json!([]);
        push["total_commits_count"] = json!(0);
    });
    let sent = mail_then(then(call_in(PUSH, &settings(PUSH, &[]), &case, &with_api()), 200, COMPARED));
    assert_eq!(sent.subject, "[Git][mike/diaspora][master] JS fix");
    assert!(sent.text.starts_with("John Smith pushed to branch master "), "{}", sent.text);
    assert!(sent.text.contains("- 12d65c8d (") && sent.text.contains(": JS fix"), "{}", sent.text);
}

#[test]
fn at_most_thirty_files_and_five_thousand_lines_are_shown() {
    const WHY: &str = "too large for a mail";
    let diff = |files: usize, lines: usize| {
        let file = |n: usize| format!("diff --git a/f{n} b/f{n}\n{}", "+x\n".repeat(lines));
        let diff: String = (0..files).map(file).collect();
        mail(PUSH, &[], &push(|push| push["diff"] = json!(diff))).text
    };
    assert!(!diff(30, 100).contains(WHY));
    let many = diff(31, 10);
    assert!(many.contains(WHY) && many.contains("\nf29\n") && !many.contains("\nf30\n"));
    assert!(!diff(1, 5_000).contains(WHY));
    let long = diff(2, 2_501);
    assert!(long.contains(WHY));
    assert_eq!(long.matches("\n+x").count(), 5_000);
}

#[test]
fn a_cut_diff_is_marked_wherever_it_was_cut() {
    let head = "diff --git a/x b/x\n@@ -1 +1 @@\n";
    // Cases in which the text, or the HTML, has no room for any of these lines.
    for (letter, widths) in [("x", (60..130).step_by(7)), ("&", (20..60).step_by(9))] {
        for width in widths {
            let line = format!("+{}\n", letter.repeat(width));
            let diff = head.to_owned() + &line.repeat(4_900);
            let sent = mail(PUSH, &[], &push(|push| push["diff"] = json!(diff)));
            assert!(sent.text.matches(&line).count() < 4_900, "{width}: nothing was cut");
            for page in [&sent.text, &sent.html] {
                assert!(page.contains("too large for a mail"), "{letter} {width}");
                assert!(page.contains("You get this mail since"), "{letter} {width}");
            }
            assert!(sent.text.len() + sent.html.len() < 1_000_000);
        }
    }
}

#[test]
fn only_added_and_removed_lines_are_coloured() {
    let diff =
        "diff --git a/x.lua b/x.lua\n--- a/x.lua\n+++ b/x.lua\n@@ -1 +1 @@\n--- a/comment\n+++ b/more\n";
    let sent = mail(PUSH, &[], &push(|push| push["diff"] = json!(diff)));
    for name in ["--- a/x.lua", "+++ b/x.lua"] {
        assert!(
            sent.html.contains(&format!("\n{name}\n")) || sent.html.contains(&format!(">{name}\n")),
            "{name}"
        );
    }
    for line in ["--- a/comment", "+++ b/more"] {
        assert!(sent.html.contains(&format!("\">{line}</span>")), "{line} in {}", sent.html);
    }
    let bare = mail(PUSH, &[], &push(|push| push["diff"] = json!("-one\n+two\n")));
    assert!(bare.html.contains("\">-one</span>") && bare.html.contains("\">+two</span>"), "{}", bare.html);
}

#[test]
fn an_answer_beyond_the_limit_is_reported_as_too_large() {
    let call = call_in(PUSH, &settings(PUSH, &[]), &push(|_| {}), &with_api());
    let limit = asked(&call).answer_limit;
    let cut = &(COMPARED.replace("-old", &"-old\\n".repeat(limit)))[..limit];
    let sent = mail_then(then(call, 200, cut));
    assert!(sent.text.contains("The diff is not shown: it is too large for a mail."), "{}", sent.text);
}

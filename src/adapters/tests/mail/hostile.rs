//! Text of people, and events of any size: neither breaks the form of a mail.

use proptest::prelude::*;
use serde_json::json;

use super::{Case, PIPELINES, PUSH, header, mail, pipeline, push};
use crate::call::Mail;

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

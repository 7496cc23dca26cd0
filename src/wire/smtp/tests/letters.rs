//! Mails as bytes.

use proptest::prelude::*;

use super::super::letter::Letter;
use super::{SendError, mail};
use crate::call::{Mail, Mailbox};

fn content(mail: &Mail) -> String {
    String::from_utf8(Letter::of(mail).unwrap().content).expect("all of it is ASCII, and so UTF-8")
}

/// The headers' lines, folded ones joined.
fn headers(content: &str) -> Vec<String> {
    let head = content.split("\r\n\r\n").next().unwrap();
    head.replace("\r\n ", " ").replace("\r\n\t", " ").split("\r\n").map(str::to_owned).collect()
}

fn names(content: &str) -> Vec<String> {
    let name = |line: &String| line.split(':').next().unwrap().to_ascii_lowercase();
    headers(content).iter().map(name).collect()
}

#[test]
fn a_letter_contains_each_part_of_its_mail_once() {
    let mail = Mail {
        reply_to: Some(Mailbox { name: "Ada".to_owned(), address: "ada@forge.example".to_owned() }),
        headers: vec![
            ("Auto-Submitted", "auto-generated".to_owned()),
            ("Auto-Submitted", "auto-generated".to_owned()),
        ],
        ..mail()
    };
    let content = content(&mail);
    let headers = headers(&content);
    for expected in [
        "From: Forgebell <bell@forge.example>",
        "To: ada@example.com",
        "Reply-To: Ada <ada@forge.example>",
        "Subject: [Git][acme/web][main] Fix it",
        "Date: Fri, 20 Nov 2026 10:00:00 +0000",
        "Message-ID: <01912d68@forge.example>",
        "In-Reply-To: <push.15.abc@forge.example>",
        "References: <push.15.abc@forge.example>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
    ] {
        assert_eq!(headers.iter().filter(|line| *line == expected).count(), 1, "{expected} in {headers:#?}");
    }
    let mut names = names(&content);
    names.sort();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count, "no header stands there twice: {headers:#?}");
    let (text, html) = (content.find("text/plain").unwrap(), content.find("text/html").unwrap());
    assert!(content.contains("multipart/alternative") && text < html, "the best one comes last");
}

#[test]
fn everything_is_ascii_in_short_lines() {
    let long = "🔔 ü € ".repeat(100_000);
    let mail = Mail {
        subject: "🔔".repeat(300),
        from: Mailbox { name: "Jürgen \"der\" Groß, <x@y>".to_owned(), ..mail().from },
        text: long.clone(),
        html: format!("<pre>{}</pre>", "x".repeat(100_000)),
        ..mail()
    };
    let content = content(&mail);
    assert!(content.is_ascii());
    assert!(content.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n'])));
    assert!(headers(&content).iter().any(|line| line.starts_with("Subject: =?utf-8?")));
    let from = headers(&content).into_iter().find(|line| line.starts_with("From: ")).unwrap();
    assert!(from.ends_with(" <bell@forge.example>") && from.matches('@').count() == 1, "{from}");
}

#[test]
fn line_breaks_in_values_add_no_header() {
    let corpus = [
        "\r\nBcc: x@evil.example",
        "\nBcc: x@evil.example",
        "\rBcc: x",
        "\0",
        "\u{85}Bcc: x",
        "\u{2028}Bcc: x",
    ];
    let plain = names(&content(&mail()));
    for evil in corpus {
        let evil = format!("a{evil}\r\n\r\nbody");
        let mail = Mail {
            subject: evil.clone(),
            from: Mailbox { name: evil.clone(), ..mail().from },
            headers: vec![("Auto-Submitted", evil.clone())],
            thread: Some("<push.15.abc@forge.example>".to_owned()),
            ..mail()
        };
        assert_eq!(names(&content(&mail)), plain, "{evil:?}");
        let threadless = Mail { thread: Some(evil.clone()), ..super::mail() };
        assert!(!names(&content(&threadless)).contains(&"references".to_owned()));
    }
}

#[test]
fn invalid_addresses_are_refused() {
    for to in
        ["", "ada", "ada@", "@example.com", "a@b\r\nRCPT TO:<c@d>", "jürgen@example.com", "a b@c.example"]
    {
        let refused = Letter::of(&Mail { to: to.to_owned(), ..mail() });
        assert!(matches!(refused, Err(SendError::Refused(_))), "{to}");
    }
    let from = Mailbox { name: String::new(), address: "incomplete".to_owned() };
    assert!(matches!(Letter::of(&Mail { from, ..mail() }), Err(SendError::OperatorError(_))));
    let id = "<a@b c>".to_owned();
    assert!(matches!(Letter::of(&Mail { message_id: id, ..mail() }), Err(SendError::OperatorError(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_value_of_a_header_stays_one_header(words in any::<String>(), name in any::<String>()) {
        let mail = Mail {
            subject: words.clone(),
            from: Mailbox { name, ..mail().from },
            headers: vec![("Auto-Submitted", words)],
            ..mail()
        };
        let content = content(&mail);
        prop_assert!(content.is_ascii());
        prop_assert_eq!(names(&content), names(&self::content(&super::mail())));
        let head = content.split("\r\n\r\n").next().unwrap();
        prop_assert!(!head.replace("\r\n", "").contains(|c: char| c.is_control() && c != '\t'));
    }
}

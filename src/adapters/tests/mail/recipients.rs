//! Who gets mails, and who they are from.

use serde_json::json;

use super::{Case, PIPELINES, PUSH, call_in, mail, mail_of, pipeline, push, settings};
use super::{entry, operator, settings_of, target_names};
use crate::adapters::mail::addresses;
use crate::settings::{Properties, Value};

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

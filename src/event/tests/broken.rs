//! Bodies that are refused, and the errors that say why.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{bytes_of, decode, event, files, json_of};
use crate::event::Undecodable;

fn refusal(body: impl Into<bytes::Bytes>) -> Undecodable {
    decode(body).expect_err("this is not an event")
}

/// The body is refused as a malformed event of this kind, and the error contains each of the words.
fn refuses(body: &Value, kind: &str, words: &[&str]) {
    let refusal = refusal(body.to_string());
    assert!(matches!(&refusal, Undecodable::Malformed { kind: of, .. } if of == kind), "{refusal:?}");
    let text = refusal.to_string();
    for word in words {
        assert!(text.contains(word), "`{text}` does not say `{word}`");
    }
}

#[test]
fn a_body_that_is_not_json_is_refused() {
    for body in [
        "",
        " ",
        "hello",
        "{",
        "{]",
        "{\"object_kind\":}",
        "{'object_kind':'push'}",
        "[1,",
        "\"",
        "nul",
        "\u{feff}{}",
    ] {
        assert!(matches!(refusal(body), Undecodable::NotJson(_)), "{body:?}");
    }
    assert_eq!(refusal("{} {}").to_string(), "the body is not JSON: trailing characters at line 1 column 4");
}

#[test]
fn json_that_is_not_an_object_is_refused() {
    for body in
        ["[]", "[\"push\"]", "[[\"push\"], \"push\"]", "1", "-0.5", "\"push\"", "null", "true", " [ { } ] "]
    {
        assert_eq!(refusal(body), Undecodable::NotAnObject, "{body}");
    }
}

#[test]
fn an_object_without_a_kind_is_refused() {
    for body in [json!({}), json!({ "object_kind": null }), json!({ "object_kind": "", "event_name": "" })] {
        assert_eq!(refusal(body.to_string()), Undecodable::NoKind, "{body}");
    }
}

#[test]
fn the_error_names_an_unknown_kind_in_at_most_60_characters() {
    let unknown = |kind: &str| refusal(json!({ "object_kind": kind }).to_string()).to_string();
    assert_eq!(unknown("party"), "unknown kind of event `party`");
    assert_eq!(unknown("Push"), "unknown kind of event `Push`");
    assert_eq!(unknown("a\nb\u{7}c"), "unknown kind of event `abc`");
    assert!(unknown(&"é".repeat(1_000_000)).chars().count() < 100);
}

#[test]
fn the_error_names_the_field_of_a_wrong_type() {
    refuses(&json!({ "object_kind": 5 }), "?", &["object_kind", "integer `5`"]);
    refuses(&json!({ "object_kind": "push", "event_type": [] }), "push", &["event_type", "a string"]);
    refuses(&json!({ "object_kind": "push", "ref": 7 }), "push", &["ref", "integer `7`", "a string"]);
    refuses(&json!({ "object_kind": "push" }), "push", &["`ref`", "missing"]);
    refuses(&json!({ "object_kind": "push", "ref": "  " }), "push", &["`ref`", "empty"]);
    refuses(
        &json!({ "object_kind": "push", "ref": "refs/heads/x", "commits": [{ "id": "1" }, { "id": 2 }] }),
        "push",
        &["commits[1].id", "integer `2`"],
    );
    refuses(
        &json!({ "object_kind": "push", "ref": "r", "project": [42] }),
        "push",
        &["project", "an object"],
    );
    refuses(&json!({ "object_kind": "push", "ref": "r", "project": 42 }), "push", &["project", "an object"]);
    refuses(
        &json!({ "object_kind": "push", "ref": "r", "project_id": "forty-two" }),
        "push",
        &["project_id"],
    );
    refuses(&json!({ "object_kind": "issue" }), "issue", &["object_attributes", "missing"]);
    refuses(&json!({ "object_kind": "issue", "object_attributes": null }), "issue", &["object_attributes"]);
    refuses(
        &json!({ "object_kind": "issue", "object_attributes": [] }),
        "issue",
        &["object_attributes", "an object"],
    );
    refuses(
        &json!({ "object_kind": "issue", "object_attributes": { "iid": "one" } }),
        "issue",
        &["object_attributes.iid", "\"one\""],
    );
    refuses(
        &json!({ "object_kind": "pipeline", "object_attributes": {}, "builds": [{ "name": {} }] }),
        "pipeline",
        &["builds[0].name"],
    );
}

#[test]
fn a_duplicate_field_is_refused() {
    let twice = r#"{"object_kind":"push","object_kind":"issue","ref":"refs/heads/main"}"#;
    assert!(refusal(twice).to_string().contains("duplicate field `object_kind`"));
    let twice = r#"{"object_kind":"push","ref":"refs/heads/main","ref":"refs/heads/other"}"#;
    assert!(refusal(twice).to_string().contains("duplicate field `ref`"));
}

#[test]
fn a_truncated_body_is_refused() {
    for file in ["push.json", "note_snippet.json", "member_add.json"] {
        let whole = bytes_of(file);
        let end = whole.trim_ascii_end().len();
        for cut in 0..end {
            let refusal = refusal(whole[..cut].to_vec());
            assert!(matches!(refusal, Undecodable::NotJson(_)), "{file} cut at {cut}: {refusal}");
        }
    }
}

#[test]
fn invalid_utf_8_is_refused_anywhere_in_the_body() {
    let whole = bytes_of("push.json");
    // In the kind, in a name that is read, in a string and a field name that are not read.
    for place in ["\"push\"", "John Smith", "Diaspora", "git_ssh_url"] {
        let at = whole.windows(place.len()).position(|w| w == place.as_bytes()).expect("is in the body") + 2;
        for bad in [&[0xff][..], &[0xc3], &[0xed, 0xa0, 0x80], &[0xc0, 0xaf], &[0xf5, 0x80, 0x80, 0x80]] {
            let body = [&whole[..at], bad, &whole[at..]].concat();
            let refusal = refusal(body).to_string();
            assert!(
                refusal.contains("utf-8") && refusal.contains(&format!("index {at}")),
                "{place}: {refusal}"
            );
        }
    }
}

#[test]
fn an_unpaired_surrogate_in_a_field_that_is_read_is_refused() {
    let body = r#"{"object_kind":"push","ref":"refs/heads/\ud800"}"#;
    assert!(refusal(body).to_string().starts_with("not a readable `push` event: ref: "));
}

#[test]
fn errors_contain_no_control_characters() {
    let refusal = refusal(
        json!({ "object_kind": "issue", "object_attributes": { "iid": "\n\u{1b}[31m" } }).to_string(),
    );
    assert!(!refusal.to_string().contains(|c: char| c.is_control()), "{refusal:?}");
}

#[test]
fn deep_nesting_does_not_overflow_the_stack() {
    const DEPTH: usize = 10_000;
    let arrays = "[".repeat(DEPTH) + &"]".repeat(DEPTH);
    let objects = "{\"a\":".repeat(DEPTH) + "1" + &"}".repeat(DEPTH);
    for deep in [&arrays, &objects] {
        assert!(decode(deep.clone()).is_err());
        assert!(decode(deep[..deep.len() / 2].to_owned()).is_err());
        // As the value of a field that is read.
        for body in [
            format!("{{\"object_kind\":{deep}}}"),
            format!("{{\"object_kind\":\"push\",\"ref\":{deep}}}"),
            format!("{{\"object_kind\":\"push\",\"ref\":\"r\",\"commits\":{deep}}}"),
            format!("{{\"object_kind\":\"push\",\"ref\":\"r\",\"project\":{{\"visibility_level\":{deep}}}}}"),
        ] {
            assert!(decode(body).is_err());
        }
        // A field that is not read may be of any depth.
        assert!(decode(format!("{{\"object_kind\":\"push\",\"ref\":\"r\",\"unread\":{deep}}}")).is_ok());
    }
    assert!(decode(format!("{{\"object_kind\":\"issue\",\"object_attributes\":{arrays}}}")).is_err());
    assert!(decode(format!("{{\"object_kind\":\"issue\",\"object_attributes\":{objects}}}")).is_ok());
}

#[test]
fn huge_strings_are_read_but_not_quoted_in_errors() {
    let huge = "x".repeat(5_000_000);
    let push = json!({ "object_kind": "push", "ref": "refs/heads/main", "user_name": huge, "unread": huge });
    assert_eq!(event(&push).user().expect("a push has one").name.len(), 5_000_000);
    let wrong = json!({ "object_kind": "push", "ref": "refs/heads/main", "user_id": huge });
    assert!(refusal(wrong.to_string()).to_string().len() < 500);
    let wrong = json!({ "object_kind": "push", "ref": "refs/heads/main", "project": huge });
    assert!(refusal(wrong.to_string()).to_string().len() < 500);
}

#[test]
fn numbers_out_of_range_are_refused() {
    for number in ["9223372036854775808", "-9223372036854775809", "1e400", "1.5"] {
        let body = format!("{{\"object_kind\":\"issue\",\"object_attributes\":{{\"iid\":{number}}}}}");
        assert!(matches!(refusal(body), Undecodable::Malformed { .. } | Undecodable::NotJson(_)), "{number}");
    }
}

/// A payload file with some bytes changed, dropped, doubled or replaced.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<prop::sample::Index>(), 0..6usize, any::<Vec<u8>>(), any::<prop::sample::Index>());
    (prop::sample::select(files()), prop::collection::vec(edit, 1..5)).prop_map(|(file, edits)| {
        let mut bytes = bytes_of(&file);
        for (at, what, new, length) in edits {
            let at = at.index(bytes.len() + 1);
            let until = (at + length.index(20)).min(bytes.len());
            match what {
                0 => drop(bytes.drain(at..until)),
                1 => drop(bytes.splice(at..until, new)),
                2 => bytes.truncate(at),
                3 => drop(bytes.splice(at..at, bytes[at..until].to_vec())),
                4 => drop(bytes.splice(at..until, b"null".to_vec())),
                _ => drop(bytes.splice(at..until, b"\"}],{[\"".to_vec())),
            }
        }
        bytes
    })
}

/// Random JSON whose field names are, for the most part, names that are read.
fn random_json() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec![
        "object_kind",
        "event_type",
        "object_attributes",
        "project",
        "user",
        "labels",
        "commits",
        "builds",
        "changes",
        "reviewers",
        "issue",
        "merge_request",
        "commit",
        "mentioned",
        "iid",
        "title",
        "ref",
        "id",
        "x",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(name.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn random_bytes_do_not_panic(bytes in any::<Vec<u8>>()) {
        drop(decode(bytes));
    }

    #[test]
    fn mutated_payloads_do_not_panic(bytes in mutated()) {
        drop(decode(bytes));
    }

    #[test]
    fn random_json_of_a_known_kind_does_not_panic(
        mut body in random_json(),
        kind in prop::sample::select(files()).prop_map(|file| json_of(&file)["object_kind"].clone()),
    ) {
        if let Some(fields) = body.as_object_mut() {
            fields.insert("object_kind".to_owned(), kind);
        }
        drop(decode(body.to_string()));
    }
}

//! Texts that become keys have a greatest length.

use serde_json::{Value, json};

use super::{decode, event};
use crate::event::{PATH_MAX_BYTES, Undecodable};

fn push(path: &str, branch: &str) -> Value {
    json!({
        "object_kind": "push",
        "ref": format!("refs/heads/{branch}"),
        "project": { "id": 42, "path_with_namespace": path },
    })
}

fn mention(path: &str) -> Value {
    json!({
        "object_kind": "group_mention",
        "mentioned": { "object_kind": "group", "name": path, "url": format!("https://forge.example/groups/{path}") },
        "project": { "id": 42, "path_with_namespace": "acme/rocket" },
        "object_attributes": { "object_kind": "issue", "iid": 1, "url": "https://forge.example/x" },
    })
}

#[test]
fn a_path_of_1024_bytes_is_read_and_a_longer_one_is_refused_with_its_length_and_its_start() {
    let longest = format!("acme/{}", "p".repeat(PATH_MAX_BYTES - 5));
    assert_eq!(event(&push(&longest, "main")).project.unwrap().path_with_namespace, longest);

    let longer = format!("{longest}p");
    for body in [push(&longer, "main"), mention(&longer)] {
        let refusal = decode(body.to_string()).expect_err("the path is too long");
        assert!(matches!(refusal, Undecodable::Malformed { .. }), "{refusal:?}");
        let text = refusal.to_string();
        assert!(
            text.contains("`acme/ppp") && text.contains("1025 bytes") && text.contains("at most 1024"),
            "{text}"
        );
        assert!(text.len() < 200, "the path is shortened: {text}");
    }
}

#[test]
fn a_subject_is_cut_to_1024_characters() {
    let subject = |branch: &str| event(&push("acme/rocket", branch)).subject;
    assert_eq!(subject("main"), "ref:refs/heads/main");
    let long = subject(&"ß".repeat(3000));
    assert_eq!(long.chars().count(), 1024);
    assert!(long.starts_with("ref:refs/heads/ßß") && long.ends_with('ß'), "{long}");
}

#[test]
fn half_a_surrogate_pair_in_an_escape_is_not_json() {
    let body = r#"{"object_kind":"push","ref":"refs/heads/\ud800","project":{"id":42}}"#;
    assert!(decode(body).is_err());
}

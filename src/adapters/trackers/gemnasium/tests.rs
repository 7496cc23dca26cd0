//! Tests of Gemnasium beyond the contract.

use super::*;
use crate::adapters::tests::{
    Before, Played, errors, note, own_event, play_own, play_to, settings_with, targets_of_own,
};

const REQUIRED: [(&str, &str); 3] =
    [("api_key", "k3y"), ("token", "acme/rocket"), ("base_url", "https://u:p@g.example/x/?a=b")];
const AFTER: &str = "da1560886d4f094c3e6c9ef40349f7d38b5d27d7";
const GEMFILE: (u16, &str) = (200, "gem 'rails'\n");

/// A push that touched these files.
fn played(files: &[&str], answers: &[(u16, &str)]) -> Played {
    let event = own_event("gemnasium", |push| push["commits"] = json!([{ "id": "1", "added": files }]));
    play_to("gemnasium", &REQUIRED, &event, "", Before::Nothing, answers)
}

#[test]
fn the_files_are_read_at_the_pushed_commit_and_posted_together() {
    let played = play_own("gemnasium", &REQUIRED, &[GEMFILE, (200, "x"), (200, "{}")]);
    let files = "https://forge.example.com/api/v4/projects/15/repository/files";
    assert_eq!(played.address(0), format!("GET {files}/Gemfile/raw?ref={AFTER}"));
    assert_eq!(
        played.address(1),
        format!("GET {files}/docs%2Fa%20b%2F100%25%2F%C3%BC.gemspec/raw?ref={AFTER}")
    );
    assert_eq!(played.header(0, "private-token"), "glpat-example");
    assert_eq!(played.address(2), "POST https://g.example/x/v1/projects/acme%2Frocket/dependency_files");
    let login = format!("Basic {}", BASE64.encode("X:k3y"));
    assert_eq!(played.header(2, "authorization"), login);
    assert_eq!(
        (played.header(2, "x-gms-branch"), played.header(2, "x-gms-revision")),
        ("master", AFTER),
        "the branch has no refs/heads/"
    );
    assert_eq!(played.header(2, "private-token"), "", "the forge's token stays at the forge");
    // The ids are those that `git hash-object` prints.
    assert_eq!(
        *played.body(2),
        json!([
            {
                "path": "Gemfile", "sha": "b9dc6624ab00ec8f00fb734c2dd8b269a18f962d", "content": "Z2VtICdyYWlscycK\n",
            },
            { "path": "docs/a b/100%/ü.gemspec", "sha": "c1b0730e0133447badcfd47fd144e254807b06e1", "content": "eA==\n" },
        ])
    );
    assert_eq!(played.outcome, "taken");
}

#[test]
fn content_is_base64_in_lines_of_sixty() {
    assert_eq!(in_lines(b""), "");
    assert_eq!(in_lines(b"hello"), "aGVsbG8=\n");
    let lines = in_lines(&[0xff; 46]);
    assert_eq!(lines, format!("{}\n/w==\n", "/".repeat(60)));
    let long = in_lines(&vec![0; 100_000]);
    assert!(long.lines().all(|line| line.len() <= 60) && long.ends_with('\n'));
    assert_eq!(BASE64.decode(long.replace('\n', "")).expect("Base64").len(), 100_000);
}

#[test]
fn a_file_that_is_missing_or_too_large_is_left_out() {
    const MISSING: (u16, &str) = (404, r#"{"message":"404 File Not Found"}"#);
    let large = "x".repeat(files::LARGEST + 1);
    let played = self::played(&["Gemfile", "a/Gemfile", "b/Gemfile"], &[MISSING, (200, &large), GEMFILE]);
    assert_eq!(played.requests.len(), 4);
    assert_eq!(played.body(3).as_array().map(Vec::len), Some(1));
    assert_eq!(played.body(3)[0]["path"], "b/Gemfile");
    assert_eq!(
        played.remarks,
        ["dependency files are left out: 1 not in the pushed commit, 1 larger than 1 MiB"]
    );
    let none = self::played(&["Gemfile", "a/Gemfile"], &[MISSING, (200, &large)]);
    assert_eq!(none.outcome, "skipped");
    assert_eq!(none.why, "no dependency file could be read: 1 not in the pushed commit, 1 larger than 1 MiB");
}

#[test]
fn all_files_together_have_a_bound() {
    let large = "x".repeat(files::LARGEST);
    let paths: Vec<String> = (0..files::MOST).map(|number| format!("{number}/Gemfile")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let played = self::played(&paths, &[(200, large.as_str()); files::MOST]);
    assert_eq!(played.requests.len(), files::MOST + 1);
    assert_eq!(played.body(files::MOST).as_array().map(Vec::len), Some(files::ALL / files::LARGEST));
    assert_eq!(
        played.remarks,
        ["dependency files are left out: 12 beyond 8 MiB of all files together"],
        "it is said that they are missing"
    );
    assert_eq!(self::played(&["Gemfile"], &[GEMFILE]).remarks, [""; 0]);
}

#[test]
fn the_forges_failures_are_no_files() {
    for (answer, outcome) in [
        ((200, "<!DOCTYPE html><html>Sign in"), "unavailable"),
        ((204, ""), "unavailable"),
        ((302, ""), "unavailable"),
        ((401, r#"{"message":"401 Unauthorized"}"#), "unavailable"),
        ((403, r#"{"message":"403 Forbidden"}"#), "unavailable"),
        ((404, r#"{"message":"404 Project Not Found"}"#), "unavailable"),
        ((404, "404 page not found"), "unavailable"),
        ((404, r#"{"message":"404 Commit Not Found"}"#), "skipped"),
        ((429, ""), "throttled"),
        ((500, ""), "unavailable"),
    ] {
        let played = self::played(&["Gemfile"], &[answer]);
        assert_eq!((played.requests.len(), played.outcome.as_str()), (1, outcome), "{answer:?}");
    }
    let conflict = "<<<<<<< HEAD\ngem 'rails'\n";
    assert_eq!(self::played(&["Gemfile"], &[(200, conflict)]).requests.len(), 2, "a committed conflict");
}

#[test]
fn a_failure_of_the_forge_is_not_the_servers() {
    let entry = crate::adapters::find("gemnasium").expect("the adapter");
    let settings = settings_with("gemnasium", &REQUIRED).expect("valid settings");
    let event = own_event("gemnasium", |_| ());
    let mut operator = OperatorSettings::default();
    operator.forge.api_url = "https://forge.example/api/v4/".to_owned();
    operator.forge.token = Secret::new("t");
    let note = Notification { operator: &operator, ..note(&event, "") };
    let call = entry.call(&settings, &note).expect("a call");
    assert_eq!(call.receiver, crate::call::Receiver::Other);
    assert_eq!(entry.unmet(&settings, &operator), None);
    let unset = OperatorSettings::default();
    assert_eq!(entry.unmet(&settings, &unset).as_deref(), Some(WITHOUT_FORGE));
}

#[test]
fn the_servers_answers_have_their_consequences() {
    for (answer, outcome) in [
        ((200, ""), "taken"),
        ((200, "{}"), "taken"),
        ((201, r#"{"added":[]}"#), "taken"),
        ((200, "<html>Sign in"), "unavailable"),
        ((401, r#"{"error":"invalid_api_key","message":"Invalid API Key"}"#), "misconfigured"),
        ((404, r#"{"error":"not_found","message":"Project not found"}"#), "misconfigured"),
        ((401, ""), "unavailable"),
        ((401, r#"{"error":"unauthorized"}"#), "unavailable"),
        ((403, r#"{"status":403,"error":"Forbidden","message":"Access Denied"}"#), "unavailable"),
        ((422, r#"{"error":"malformed_request","message":"x"}"#), "rejected"),
        ((429, ""), "throttled"),
        ((500, r#"{"error":"internal_error","message":"x"}"#), "unavailable"),
        ((503, ""), "unavailable"),
    ] {
        assert_eq!(played(&["Gemfile"], &[GEMFILE, answer]).outcome, outcome, "{answer:?}");
    }
}

#[test]
fn pushes_without_such_files_and_without_a_server_are_left_out_with_a_reason() {
    let why = |settings: &[(&str, &str)], change: fn(&mut Json)| {
        let targets = targets_of_own("gemnasium", settings, change);
        assert!(targets.send.is_empty(), "{targets:?}");
        targets.left_out.concat()
    };
    assert_eq!(
        why(&REQUIRED, |push| push["commits"] = json!([])),
        "the push touched no dependency files (Gemfile, package.json and the like)"
    );
    assert_eq!(
        why(&REQUIRED, |push| push["after"] = json!("0".repeat(40))),
        "a branch that is removed has no files"
    );
    assert_eq!(why(&REQUIRED[..2], |_| ()), format!("`base_url` is not set: {ENDED}"));
    assert!(errors("gemnasium", &REQUIRED[..2]).is_empty(), "GitLab's settings are accepted");
    let many = targets_of_own("gemnasium", &REQUIRED, |push| {
        let files: Vec<String> = (0..25).map(|number| format!("{number}/setup.py")).collect();
        push["commits"] = json!([{ "id": "1", "modified": files }]);
    });
    assert_eq!(many.left_out, ["5 more dependency files: at most 20 are read"]);
    assert_eq!(many.send.len(), 1);
}

#[test]
fn a_header_holds_any_branch() {
    for (branch, expected) in [
        ("main", "main"),
        ("feature/100%", "feature/100%"),
        ("größe/100%", "gr%C3%B6%C3%9Fe/100%25"),
        ("\u{202e}x", "%E2%80%AEx"),
    ] {
        assert_eq!(header(branch), expected);
    }
}

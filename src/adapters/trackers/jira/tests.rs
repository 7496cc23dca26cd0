//! Jira's contract, and its deliveries, played through with Jira's answers.

use serde_json::json;

use crate::adapters::tests::{Contract, Expected, OwnEvent, usual_status};

/// An issue, as far as it is asked for.
const ISSUE: &str = r#"{"id":"10001","key":"ABC-7","fields":{"status":{"id":"1"},"resolution":null,"resolutiondate":null},"transitions":[{"id":"11","name":"Start","to":{"id":"3","statusCategory":{"key":"indeterminate"}}}]}"#;
const RESOLVED: &str = r#"{"id":"10001","key":"ABC-7","fields":{"status":{"id":"6"},"resolution":{"name":"Done"},"resolutiondate":"2026-01-15T09:30:00.000+0000"}}"#;
/// Jira's form of an error.
const MISSING: &str = r#"{"errorMessages":["Issue does not exist or you do not have permission to see it."],"errors":{}}"#;

pub(super) const CONTRACT: Contract = Contract {
    largest_body: 200_000,
    mentions: &[],
    targets_of_event: true,
    own_event: Some(OwnEvent {
        name: "push_that_closes",
        file: "push.json",
        change: |push| {
            push["ref"] = json!("refs/heads/master");
            push["commits"][0]["message"] = json!("Fix the pumps\n\nFixes ABC-7, and mentions `DEF-1`.\n");
            push["commits"][0]["title"] = json!("Fix the pumps [!]");
        },
    }),
    status: |status| match status {
        200..=299 => "unavailable",
        other => usual_status(other),
    },
    answers: &[
        Expected { status: 200, headers: &[], body: ISSUE, outcome: "next call" },
        Expected { status: 404, headers: &[], body: MISSING, outcome: "skipped" },
        Expected { status: 404, headers: &[], body: "<html>Not Found", outcome: "unavailable" },
        Expected { status: 200, headers: &[], body: "<!DOCTYPE html><title>Log in - Jira", outcome: "unavailable" },
        Expected { status: 200, headers: &[], body: r#"{"key":"ABC-7"}"#, outcome: "unavailable" },
        Expected { status: 401, headers: &[("x-seraph-loginreason", "AUTHENTICATED_FAILED")], body: "", outcome: "misconfigured" },
        Expected { status: 401, headers: &[("x-seraph-loginreason", "AUTHENTICATION_DENIED")], body: "", outcome: "operator_error" },
        Expected { status: 403, headers: &[], body: r#"{"errorMessages":["You do not have the permission to see it."],"errors":{}}"#, outcome: "misconfigured" },
        Expected { status: 429, headers: &[("retry-after", "12"), ("ratelimit-reason", "jira-cost-based")], body: "", outcome: "throttled 12 s" },
        Expected { status: 503, headers: &[("retry-after", "12")], body: "<html>Service Unavailable", outcome: "unavailable" },
    ],
    chain: &[
        (200, ISSUE),
        (200, r#"{"startAt":0,"maxResults":100,"total":1,"comments":[{"id":"1","body":"a person's words"}]}"#),
        (200, "[]"),
        (201, r#"{"id":"10100","body":"…"}"#),
        (201, r#"{"id":10200,"self":"https://jira.example.com/rest/api/2/issue/10001/remotelink/10200"}"#),
        (204, ""),
        (200, RESOLVED),
        (201, r#"{"id":"10101","body":"…"}"#),
        (204, ""),
    ],
    ..Contract::USUAL
};

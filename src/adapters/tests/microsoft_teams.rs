//! Microsoft Teams: how both kinds of webhook answer, and what their cards show.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::events::{Case, hostile, tell_changed, with_all_its_words};
use super::{
    body, buckets as buckets_of, call_with, cases, consequence, entry, http, kind, settings_of, size, strings,
};
use crate::call::{Answer, Failure, HttpResponse, Response, Sent};
use crate::message::{Field, Text};
use crate::settings::{Parsed, Properties, Value};

const SLUG: &str = "microsoft-teams";
const WORKFLOW: &str = "https://prod-12.westeurope.logic.azure.com/workflows/0123456789abcdef/triggers/manual/paths/invoke?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=aB%2Bc%2Fd_e-f%3D";
const CONNECTOR: &str = "https://acme.webhook.office.com/webhookb2/0123@4567/IncomingWebhook/89ab/cdef";

fn at(webhook: &str) -> Parsed {
    settings_of(SLUG, &[("webhook", webhook)])
}

fn sent(webhook: &str, case: &Case) -> Json {
    body(&call_with(entry(SLUG), &at(webhook), case, ""))
}

/// The card that a workflow gets.
fn card(case: &Case) -> Json {
    let envelope = sent(WORKFLOW, case);
    assert_eq!(envelope["type"], "message");
    assert_eq!(envelope["attachments"].as_array().map(Vec::len), Some(1));
    let attachment = &envelope["attachments"][0];
    assert_eq!(attachment["contentType"], "application/vnd.microsoft.card.adaptive");
    assert_eq!(attachment["contentUrl"], Json::Null);
    attachment["content"].clone()
}

/// Every element of a card, at any depth.
fn elements<'a>(json: &'a Json, found: &mut Vec<&'a Json>) {
    match json {
        Json::Object(parts) => {
            if parts.get("type").is_some_and(Json::is_string) {
                found.push(json);
            }
            parts.values().for_each(|part| elements(part, found));
        }
        Json::Array(items) => items.iter().for_each(|item| elements(item, found)),
        _ => {}
    }
}

fn texts(card: &Json) -> Vec<String> {
    let mut found = Vec::new();
    elements(card, &mut found);
    let of_text = found.into_iter().filter(|element| element["type"] == "TextBlock");
    of_text.map(|block| block["text"].as_str().unwrap_or_default().to_owned()).collect()
}

fn buttons(card: &Json) -> Vec<(String, String)> {
    let word = |json: &Json| json.as_str().unwrap_or_default().to_owned();
    let actions = card["actions"].as_array().cloned().unwrap_or_default();
    actions.iter().map(|action| (word(&action["title"]), word(&action["url"]))).collect()
}

fn read(webhook: &str, status: u16, headers: &[(&str, &str)], text: &str) -> Answer<Sent> {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let response = HttpResponse { status, headers, body: text.to_owned().into(), at: Timestamp::UNIX_EPOCH };
    (call_with(entry(SLUG), &at(webhook), kind("push"), "").read)(&Response::Http(response))
}

fn came_to(answer: &Answer<Sent>) -> String {
    match answer {
        Answer::Failed(Failure::Gone { confirmations, .. }) => format!("gone {confirmations}"),
        Answer::Failed(Failure::Unavailable { maybe_taken: true, .. }) => "perhaps taken".to_owned(),
        other => consequence(other).to_owned(),
    }
}

/// An error as Power Automate writes it.
fn error(code: &str, message: &str) -> String {
    json!({"error": {"code": code, "message": message}}).to_string()
}

#[test]
fn a_workflows_answers_have_their_consequences() {
    let table = [
        (202, String::new(), "taken"),
        (202, "null".to_owned(), "taken"),
        (200, error("NoResponse", "…"), "perhaps taken"),
        (404, error("WorkflowNotFound", "The workflow could not be found."), "gone 3"),
        (410, error("WorkflowNotFound", "The workflow could not be found."), "gone 3"),
        (400, error("TriggerInputSchemaMismatch", "Invalid type. Expected Object"), "misconfigured"),
        (404, error("WorkflowTriggerNotFound", "…"), "misconfigured"),
        (405, error("TriggerRequestMethodNotValid", "…"), "misconfigured"),
        (
            401,
            error("DirectApiAuthorizationRequired", "OAuth authorization scheme is required"),
            "misconfigured",
        ),
        (401, error("DirectApiInvalidAuthorizationSignature", "…"), "misconfigured"),
        (401, error("MisMatchingOAuthClaims", "…"), "misconfigured"),
        (401, error("InvalidUseOfOAuthToken", "…"), "misconfigured"),
        (400, error("InvalidRequestContent", "The request content is not valid"), "rejected"),
        (413, error("RequestEntityTooLarge", "…"), "rejected"),
        (413, String::new(), "rejected"),
        (409, String::new(), "unavailable"),
        (409, error("Conflict", "…"), "unavailable"),
        (400, error("AnErrorOfTomorrow", "…"), "unavailable"),
        (429, error("WorkflowRunThrottled", "…"), "throttled"),
        (500, error("InternalServerError", "…"), "unavailable"),
        (
            502,
            error("NoResponse", "The server did not receive a response from an upstream server."),
            "unavailable",
        ),
        (504, error("GatewayTimeout", "…"), "unavailable"),
    ];
    for (status, body, expected) in table {
        assert_eq!(came_to(&read(WORKFLOW, status, &[], &body)), expected, "{status} {body}");
    }
    let slow = read(WORKFLOW, 429, &[("retry-after", "17")], "");
    assert!(
        matches!(slow, Answer::Failed(Failure::Throttled { wait: Some(wait), shared: false, .. }) if wait == Duration::from_secs(17))
    );
}

/// The status differs by region. The text of a deleted flow is as in
/// <https://github.com/microsoft/coe-starter-kit/issues/8684> for a suspended one, with another state.
#[test]
fn a_workflow_that_is_switched_off_may_be_switched_on_again_but_a_deleted_one_is_gone() {
    let off = |state: &str| {
        let message = format!(
            "Could not execute workflow 'x' trigger 'manual' with state '{state}': trigger is not enabled."
        );
        error("WorkflowTriggerIsNotEnabled", &message)
    };
    for status in [400, 403, 409] {
        for state in ["Disabled", "Suspended"] {
            let answer = read(WORKFLOW, status, &[], &off(state));
            assert_eq!(came_to(&answer), "misconfigured", "{status} {state}");
            let Answer::Failed(failure) = answer else { panic!("taken") };
            assert!(failure.why().contains("switch the workflow on"), "{failure}");
        }
        assert_eq!(came_to(&read(WORKFLOW, status, &[], &off("Deleted"))), "gone 3", "{status}");
    }
}

#[test]
fn a_connector_answers_200_with_the_result_in_the_body() {
    let quoted = |status: u16| {
        format!(
            "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error {status} with ContextId tcid=0,server=DB3PEPF00002B4B,cv=x.0.."
        )
    };
    let table = [
        ("1".to_owned(), "taken"),
        (" 12\n".to_owned(), "taken"),
        ("\"1\"".to_owned(), "taken"),
        (quoted(429), "throttled"),
        (quoted(413), "rejected"),
        (quoted(400), "rejected"),
        (quoted(401), "misconfigured"),
        (quoted(403), "misconfigured"),
        (quoted(404), "gone 3"),
        (quoted(410), "gone 3"),
        (quoted(500), "unavailable"),
        (quoted(503), "unavailable"),
        (quoted(999), "unavailable"),
        (
            "Webhook message delivery failed with error: Error contacting Microsoft Teams endpoint"
                .to_owned(),
            "unavailable",
        ),
        ("Webhook message delivery failed with error".to_owned(), "unavailable"),
        ("Office 365 connectors have been retired.".to_owned(), "gone 3"),
        ("<html>Sign in</html>".to_owned(), "unavailable"),
        (String::new(), "perhaps taken"),
        ("1 of 2".to_owned(), "unavailable"),
    ];
    for (body, expected) in table {
        assert_eq!(came_to(&read(CONNECTOR, 200, &[], &body)), expected, "{body}");
    }
}

#[test]
fn every_status_of_a_connector_has_its_consequence() {
    for status in 100..=599 {
        let expected = match status {
            200..=299 => "perhaps taken",
            429 => "throttled",
            400 | 413 | 422 => "rejected",
            _ => "unavailable",
        };
        assert_eq!(came_to(&read(CONNECTOR, status, &[], "")), expected, "{status}");
    }
    let retired = "This connector has been retired. Please use a workflow.";
    for status in [400, 403, 404, 410] {
        let answer = read(CONNECTOR, status, &[], retired);
        assert_eq!(came_to(&answer), "gone 3", "{status}");
        let Answer::Failed(gone) = answer else { panic!("taken") };
        assert!(gone.why().contains("workflow instead"), "{gone}");
    }
    let page = "<html>Your browser is no longer supported by this connector.</html>";
    assert_eq!(came_to(&read(CONNECTOR, 403, &[], page)), "unavailable");
}

#[test]
fn the_card_format_follows_from_the_address_or_the_settings() {
    let is_adaptive = |webhook: &str, more: &[(&str, &str)]| {
        let settings = settings_of(SLUG, &[&[("webhook", webhook)], more].concat());
        body(&call_with(entry(SLUG), &settings, kind("push"), ""))["type"] == "message"
    };
    for connector in [
        CONNECTOR,
        "https://ACME.Webhook.Office.com/webhookb2/x",
        "https://outlook.office.com/webhook/x",
        "https://outlook.office365.com/webhook/x",
    ] {
        assert!(!is_adaptive(connector, &[]), "{connector}");
        assert!(!is_adaptive(connector, &[("webhook_kind", " ")]), "{connector}");
        assert!(is_adaptive(connector, &[("webhook_kind", "workflows")]), "{connector}");
    }
    for workflow in [
        WORKFLOW,
        "https://default0123.45.environment.api.powerplatform.com:443/powerautomate/automations/direct/workflows/x/triggers/manual/paths/invoke?api-version=1&sig=x",
        "https://webhook.office.com.evil.example/x",
        "https://evilwebhook.office.com/x",
        "https://flow.example/x",
    ] {
        assert!(is_adaptive(workflow, &[]), "{workflow}");
        assert!(!is_adaptive(workflow, &[("webhook_kind", "Connector")]), "{workflow}");
    }
    let mut properties = Properties::new();
    properties.insert("webhook".to_owned(), Value::Text(WORKFLOW.to_owned()));
    properties.insert("webhook_kind".to_owned(), Value::Text("flow".to_owned()));
    let errors = entry(SLUG).read(&properties).expect_err("there is no such kind");
    assert_eq!(errors[0].to_string(), "webhook_kind: must be workflows or connector");
}

/// The signature is over the path and the query. A port that is https' own goes without saying.
#[test]
fn addresses_are_called_as_they_were_given() {
    let called =
        |webhook: &str| http(&call_with(entry(SLUG), &at(webhook), kind("push"), "")).url.to_string();
    for webhook in [
        WORKFLOW,
        CONNECTOR,
        "https://x.logic.azure.com:8443/workflows/a?sp=%2Ftriggers%2Fmanual%2Frun&sig=a+b%20c==&empty=&%7e",
        "https://x.api.powerplatform.com/powerautomate/automations/direct/cu/04/workflows/a/triggers/manual/paths/invoke?api-version=2022-03-01-preview&sig=%2b%2B/+=~!*()",
    ] {
        assert_eq!(called(webhook), webhook);
    }
    assert_eq!(called(&WORKFLOW.replace(".com/", ".com:443/")), WORKFLOW);
}

#[test]
fn a_card_shows_who_did_what_where_and_what_can_be_opened() {
    let push = card(kind("push"));
    assert_eq!((&push["type"], &push["version"]), (&json!("AdaptiveCard"), &json!("1.2")));
    let shown = texts(&push);
    assert_eq!(
        shown[0],
        "John Smith (jsmith) pushed 4 commits to branch [master](http://example.com/mike/diaspora/-/commits/master)"
    );
    assert_eq!(shown[1], "[Mike / Diaspora](http://example.com/mike/diaspora)");
    assert_eq!(shown.len(), 2 + 3, "two commits, and how many more: {shown:?}");
    let [(words, url)] = &buttons(&push)[..] else { panic!("{push}") };
    assert_eq!(words, "Compare changes");
    assert!(url.starts_with("http://example.com/mike/diaspora/-/compare/95790bf8"), "{url}");
    let mut all = Vec::new();
    elements(&push, &mut all);
    let image = all.iter().find(|element| element["type"] == "Image").expect("the author's picture");
    assert_eq!(image["altText"], "John Smith (jsmith)");

    let named = |name: &str| -> Vec<String> {
        buttons(&card(kind(name))).into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(named("issue"), ["Open issue"]);
    assert_eq!(named("merge_request"), ["Open merge request"]);
    assert_eq!(named("note_issue"), ["Open comment"]);
    assert_eq!(named("pipeline"), ["Open pipeline"]);
    assert_eq!(named("branch_new"), ["Open branch"]);
    assert_eq!(named("tag_push"), ["Open tag"]);
    assert_eq!(named("branch_removed"), Vec::<String>::new());
    assert_eq!(named("wiki_page")[0], "Open page");
    let note = texts(&card(kind("note_issue")));
    assert!(note[0].ends_with("#note_1241): **test**"), "{note:?}");
    assert_eq!(note[2], "Hello world");
}

#[test]
fn colours_show_the_tone_of_the_message() {
    let style = |name: &str| card(kind(name))["body"][0]["style"].clone();
    let color = |name: &str| sent(CONNECTOR, kind(name))["themeColor"].clone();
    for (name, expected, theme) in [
        ("push", "emphasis", "334455"),
        ("issue", "accent", "C95823"),
        ("pipeline", "good", "2DA160"),
        ("pipeline_failed", "attention", "DD2B0E"),
    ] {
        assert_eq!((style(name), color(name)), (json!(expected), json!(theme)), "{name}");
    }
}

#[test]
fn no_fact_is_empty_and_no_text_is_html() {
    let triggers = entry(SLUG).about.triggers;
    for case in
        cases().iter().filter(|case| case.event.trigger.is_some_and(|trigger| triggers.contains(trigger)))
    {
        for webhook in [WORKFLOW, CONNECTOR] {
            let sent = sent(webhook, case);
            let mut found = Vec::new();
            strings(&sent, "", &mut found);
            for (path, text) in &found {
                assert!(!text.trim().is_empty(), "{}: {path} is empty", case.name);
                for tag in ["<a ", "<b>", "<br", "<p>", "<pre>"] {
                    assert!(!text.contains(tag), "{}: {path}: {text}", case.name);
                }
            }
        }
        let connector = sent(CONNECTOR, case);
        assert_eq!(connector["@type"], "MessageCard");
        assert_eq!(connector["@context"], "http://schema.org/extensions");
        assert!(!connector["summary"].as_str().unwrap_or_default().is_empty());
        assert_eq!(connector["title"], json!(case.message().project.full_name));
        for action in connector["potentialAction"].as_array().into_iter().flatten() {
            assert_eq!(action["@type"], "OpenUri");
            assert!(action["targets"][0]["uri"].as_str().is_some_and(|uri| uri.starts_with("http")));
        }
    }
}

/// Markdown that Teams does not know must not be seen as signs, and what people wrote is not read as Markdown.
#[test]
fn text_of_people_makes_no_headings_tables_or_mentions() {
    let case = tell_changed("note_issue.json", |note| {
        note["object_attributes"]["note"] = json!(
            "# A heading\n\nSome `code` and ~~no~~ yes\n\n```rust\nfn main() {\n    go(\"*a*\");\n}\n```\n\n> said before\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n<at>Everyone</at> \\# five"
        );
        note["issue"]["title"] = json!("# not *a* | heading");
    });
    let shown = texts(&card(&case));
    assert!(shown[0].ends_with("**# not \\*a\\* \\| heading**"), "{shown:?}");
    let all = shown[2..].join("\n");
    for sign in ["```", "~~", "`", "<at>", "|--"] {
        assert!(!all.replace("\\<at>", "").contains(sign), "{sign} in {all}");
    }
    assert!(shown.iter().any(|text| text.starts_with("**A heading**")), "{shown:?}");
    assert!(shown.iter().any(|text| text == "said before"), "{shown:?}");
    let card = card(&case);
    let mut found = Vec::new();
    elements(&card, &mut found);
    let code: Vec<&Json> =
        found.iter().filter(|part| part["fontType"] == "Monospace").map(|part| &part["text"]).collect();
    assert_eq!(code, ["fn main() {", "\u{2007}\u{2007}\u{2007}\u{2007}go(\"\\*a\\*\");", "}"]);
    assert!(shown.iter().all(|text| !text.contains('\n')), "a line break within an element: {shown:?}");
    for text in shown {
        assert!(!text.lines().any(|line| line.starts_with('#')), "{text}");
    }
}

/// A connector's texts know a little more, and take single line breaks for spaces.
#[test]
fn a_connector_gets_paragraphs() {
    let case = tell_changed("note_issue.json", |note| {
        note["object_attributes"]["note"] = json!("one  \ntwo\n\n```\nlet x;\nlet y;\n```\n\n- a\n- b");
    });
    let section = sent(CONNECTOR, &case)["sections"][0].clone();
    let text = section["text"].as_str().expect("a text").replace("  \n", "\n");
    assert!(text.starts_with("one\n\ntwo\n\n"), "{text:?}");
    assert!(text.contains("```\nlet x;\nlet y;\n```"), "{text:?}");
    assert!(text.ends_with("a\n\n• b"), "{text:?}");
}

/// The exact cards of connectors; the examples' settings are of a workflow. Look at every change of one.
#[test]
fn connectors_cards_match_their_snapshots() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for name in ["push", "issue", "merge_request", "note_commit", "pipeline_failed", "wiki_page"] {
            insta::assert_json_snapshot!(format!("{SLUG}-connector__{name}"), sent(CONNECTOR, kind(name)));
        }
    });
}

#[test]
fn cards_with_any_content_fit() {
    let long_urls = tell_changed("pipeline_success.json", |pipeline| {
        let base = format!("https://a.example/{}", "x".repeat(1800));
        pipeline["project"]["web_url"] = json!(base);
        pipeline["object_attributes"]["status"] = json!("failed");
        pipeline["object_attributes"]["name"] = json!("\"\\".repeat(400));
        pipeline["user"]["avatar_url"] = json!(format!("https://b.example/{}", "y".repeat(1900)));
        let build = |n: usize| json!({"id": n, "stage": "\\*\"".repeat(60) + &n.to_string(), "name": "\\*\"".repeat(60), "status": "failed"});
        pipeline["builds"] = (1..=60).map(build).collect();
    });
    let prose = |words: &str| {
        let case = tell_changed("note_issue.json", |note| note["object_attributes"]["note"] = json!(words));
        with_all_its_words(case, words)
    };
    let blocks = prose(&"```\na \"b\" \\c\n```\n\n> quoted *\n\n".repeat(500));
    let emoji = prose(&"👩‍👩‍👧".repeat(10_000));
    let signs = prose(&"\\\\\" ".repeat(20_000));
    // Escapes double the length, and there are more facts than in any real message.
    let mut facts = tell_changed("pipeline_success.json", |_| {});
    let fact = |n: usize| Field {
        name: format!("Fact {n}").into(),
        value: Text::new().plain("\\\"*".repeat(5_000)),
        short: true,
    };
    facts.message.as_mut().expect("a message").fields = (0..40).map(fact).collect();
    let mut all = vec![&long_urls, &blocks, &emoji, &signs, &facts];
    all.extend(hostile());
    let triggers = entry(SLUG).about.triggers;
    for case in
        all.into_iter().filter(|case| case.event.trigger.is_some_and(|trigger| triggers.contains(trigger)))
    {
        for (webhook, limit) in [(WORKFLOW, 24_000), (CONNECTOR, 20_000)] {
            let call = call_with(entry(SLUG), &at(webhook), case, "");
            assert!(size(&call) <= limit, "{}: {} bytes", case.name, size(&call));
        }
    }
    let cut = texts(&card(&emoji)).pop().expect("a text");
    assert!(cut.ends_with("👩‍👩‍👧…") && cut.len() > 10_000, "{}", cut.len());
    assert_eq!(cut.trim_end_matches('…').replace("👩‍👩‍👧", ""), "", "no emoji is torn");
    assert_eq!(texts(&card(&blocks)).last().map(String::as_str), Some("…"));
}

#[test]
fn each_kind_has_its_timeout_and_the_rate_limit_is_per_address() {
    let timeout =
        |webhook: &str| http(&call_with(entry(SLUG), &at(webhook), kind("push"), "")).timeout.as_secs();
    assert_eq!((timeout(WORKFLOW), timeout(CONNECTOR)), (30, 15));
    let buckets = |webhook: &str| buckets_of(entry(SLUG), &at(webhook), "");
    let [ours] = &buckets(WORKFLOW)[..] else { panic!("one bucket") };
    assert_eq!((ours.every, ours.burst), (Duration::from_millis(250), 4));
    assert_ne!(ours.key, buckets(&WORKFLOW.replace("sig=a", "sig=b"))[0].key);
}

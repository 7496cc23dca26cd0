//! Holds the cards for Microsoft Teams against Microsoft's own renderer, in a browser.
//!
//! `tests/node/render-cards.js` does the rendering; [`verdicts`] writes one page with all the cards, has it opened once,
//! and reads what came of them. The browser reaches no network: it knows no host, and the page lets it load nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use forgebell::adapters::contract::LazyMessage;
use forgebell::adapters::{self, Entry, Notification, OperatorSettings};
use forgebell::call::Request;
use forgebell::event::{Event, EventId, Trigger, sample};
use forgebell::message::{Body, Message, Span, Text, compose};
use forgebell::settings::{Properties, Value};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::harness::payloads;

const WEBHOOK: &str =
    "https://prod-1.westeurope.logic.azure.com/workflows/x/triggers/manual/paths/invoke?sig=x";
/// For starting the browser and rendering all cards; it takes two seconds on an idle machine.
const BOUND: Duration = Duration::from_secs(120);
/// What people write when they know Markdown, or wish to be seen.
const SIGNS: &str = "# not *a* heading | __nor__ <b>bold</b> <at>all</at> &amp; [link](javascript:x) 1. `code` ~~gone~~ \\ {{DATE(x)}}";

/// What people write in comments.
const PROSE: &str = "# Plan\n\nUse `cargo` and ~~never~~ *always*:\n\n1. one\n2. two\n   - deeper\n\n```sh\nif x; then\n  make\nfi\n```\n\n> it\n> was\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n---\n\n![logo](https://a.example/l.png)";

/// A card, and what it must come to.
struct Told {
    name: String,
    card: Json,
    /// The headline, as a person reads it.
    headline: String,
    links: BTreeSet<String>,
}

/// What came of a card.
#[derive(Debug, Deserialize)]
struct Verdict {
    complaints: Vec<String>,
    text: String,
    links: Vec<String>,
    images: Vec<String>,
    /// Elements that Markdown can make and Teams cannot.
    #[serde(default)]
    unknown: Vec<String>,
}

#[tokio::test]
async fn every_card_is_valid_and_shows_its_headline_and_its_links() {
    let (told, _) = verdicts().await;
    assert!(told.len() > 40, "all payloads that are told, and all samples: {}", told.len());
    let wrong: Vec<String> = told.iter().flat_map(|(told, verdict)| faults(told, verdict)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn text_is_shown_as_it_was_written() {
    let (told, _) = verdicts().await;
    let (_, verdict) =
        told.iter().find(|(told, _)| told.name == "signs").expect("the card with all the signs");
    assert_eq!(
        seen(&verdict.text).matches(SIGNS).count(),
        2,
        "in the title and in a commit: {}",
        verdict.text
    );
    let foreign: Vec<&String> = verdict.links.iter().filter(|link| !link.starts_with("http")).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}

/// Teams knows little of Markdown: what it doesn't know is told otherwise, line by line.
#[tokio::test]
async fn comments_contain_no_markdown_that_teams_does_not_support() {
    let (told, _) = verdicts().await;
    let (_, verdict) = told.iter().find(|(told, _)| told.name == "prose").expect("the card with a comment");
    let lines: Vec<String> = verdict.text.lines().map(seen).filter(|line| !line.is_empty()).collect();
    for line in ["Plan", "Use cargo and never always:", "if x; then", "make", "fi", "it", "was", "1 | 2"] {
        assert!(lines.iter().any(|seen| seen == line), "{line} is no line of {lines:?}");
    }
    assert_eq!(verdict.unknown, Vec::<String>::new());
}

#[tokio::test]
async fn the_authors_picture_is_shown_beside_the_action() {
    let (told, _) = verdicts().await;
    let (_, verdict) = told.iter().find(|(told, _)| told.name == "push.json").expect("a push");
    assert_eq!(verdict.images.len(), 1, "{verdict:?}");
}

/// Tests the check itself, which might otherwise pass everything unnoticed.
#[tokio::test]
async fn a_broken_card_is_reported() {
    let (_, broken) = verdicts().await;
    for ((name, _), verdict) in broken_cards().iter().zip(broken) {
        let expected = Told {
            name: (*name).to_owned(),
            card: Json::Null,
            headline: "The headline".to_owned(),
            links: ["https://forge.example/".to_owned()].into(),
        };
        assert!(!faults(&expected, verdict).is_empty(), "{name}: nothing is wrong with {verdict:?}");
    }
}

fn broken_cards() -> Vec<(&'static str, Json)> {
    let headline = json!({"type": "TextBlock", "text": "The headline [there](https://forge.example/)"});
    let with = |element: Json| json!({"type": "AdaptiveCard", "version": "1.2", "body": [headline, element]});
    vec![
        ("an element that there is not", with(json!({"type": "TextBlok", "text": "x"}))),
        (
            "a style that there is not",
            with(json!({"type": "Container", "style": "lovely", "items": [headline]})),
        ),
        ("an element that came later", with(json!({"type": "Table", "columns": [], "rows": []}))),
        ("a heading", with(json!({"type": "TextBlock", "text": "# loud"}))),
        (
            "other words",
            json!({"type": "AdaptiveCard", "version": "1.2", "body": [
                {"type": "TextBlock", "text": "Something else [there](https://forge.example/)"}
            ]}),
        ),
        (
            "a link missing",
            json!({"type": "AdaptiveCard", "version": "1.2", "body": [
                {"type": "TextBlock", "text": "The headline"}
            ]}),
        ),
    ]
}

/// What is wrong with a card, in words.
fn faults(told: &Told, verdict: &Verdict) -> Vec<String> {
    let mut faults = verdict.complaints.clone();
    faults.extend(verdict.unknown.iter().map(|tag| format!("Teams shows no {tag}")));
    if !seen(&verdict.text).contains(&told.headline) {
        faults.push(format!("`{}` is not to be seen in: {}", told.headline, verdict.text));
    }
    // As markup has it: two of them would strike out what stands between them.
    let quiet = |link: &String| link.replace('~', "%7E");
    let found: Vec<String> = verdict.links.iter().map(quiet).collect();
    let missing = told.links.iter().filter(|link| !found.contains(&quiet(link)));
    faults.extend(missing.map(|link| format!("nothing leads to {link}, but to {:?}", verdict.links)));
    faults.into_iter().map(|fault| format!("{}: {fault}", told.name)).collect()
}

/// Words as a reader takes them: spaces are spaces, and what is invisible is not there.
fn seen(text: &str) -> String {
    let visible = text.replace('\u{200b}', "");
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

// ---- the cards -----------------------------------------------------------------------------------------------------

fn all() -> Vec<Told> {
    let id = || EventId::new("1").expect("an id");
    let decode = |raw: Vec<u8>| Event::decode(id(), Timestamp::UNIX_EPOCH, raw.into()).expect("an event");
    let teams = adapters::find("microsoft-teams").expect("the adapter");
    let heard = |event: &Event| event.trigger.is_some_and(|trigger| teams.about.triggers.contains(trigger));
    let signs = payloads::with(&payloads::payload("push.json"), |push| {
        push["ref"] = json!(format!("refs/heads/{SIGNS}"));
        push["commits"][0]["title"] = json!(SIGNS);
        push["commits"][0]["message"] = json!(SIGNS);
    });
    let prose = payloads::with(&payloads::payload("note_issue.json"), |note| {
        note["object_attributes"]["note"] = json!(PROSE);
    });
    let mut events = vec![("signs".to_owned(), decode(signs)), ("prose".to_owned(), decode(prose))];
    events.extend(payloads::all().into_iter().map(|(name, raw)| (name, decode(raw))));
    events.extend(Trigger::ALL.into_iter().map(|trigger| (format!("sample of {trigger}"), sample(trigger))));
    events
        .into_iter()
        .filter(|(_, event)| heard(event))
        .filter_map(|(name, event)| told(teams, name, &event))
        .collect()
}

/// `None` for what is heard of, but not told.
fn told(teams: &Entry, name: String, event: &Event) -> Option<Told> {
    let message = compose(event)?;
    let properties = Properties::from([("webhook".to_owned(), Value::Text(WEBHOOK.to_owned()))]);
    let settings = teams.read(&properties).expect("an address is all it needs");
    let operator = OperatorSettings::default();
    let note = Notification {
        id: "1",
        event,
        target: "",
        now: Timestamp::UNIX_EPOCH,
        operator: &operator,
        links: forgebell::adapters::ProjectLinks::none(),
        open_request: None,
        may_have_been_sent: false,
        is_test: false,
        extent: forgebell::integration::Extent::default(),
        message: LazyMessage::composed(message.clone()),
    };
    let call = teams.call(&settings, &note).expect("a call");
    let Request::Http(request) = call.request else { panic!("{name} is no HTTP request") };
    let envelope: Json = serde_json::from_slice(&request.body).expect("JSON");
    let card = envelope["attachments"][0]["content"].clone();
    let (headline, links) = expected(&message);
    Some(Told { name, card, headline: seen(&headline), links })
}

fn expected(message: &Message) -> (String, BTreeSet<String>) {
    let mut links = BTreeSet::new();
    let headline = match &message.title {
        Some(title) if message.self_contained_parts => {
            links.extend(title.url.as_deref().map(str::to_owned));
            for field in &message.fields {
                add_links(&field.value, &mut links);
            }
            title.text.to_string()
        }
        _ => {
            add_links(&message.summary, &mut links);
            Text(message.summary.0[..message.location_span.start].to_vec()).plain_text()
        }
    };
    if let Body::Lines(lines) = &message.body {
        for line in lines {
            add_links(line, &mut links);
        }
    }
    (headline, links)
}

fn add_links(text: &Text, links: &mut BTreeSet<String>) {
    links.extend(text.0.iter().filter_map(|span| match span {
        Span::Link { url, .. } => Some(url.to_string()),
        _ => None,
    }));
}

// ---- the browser ---------------------------------------------------------------------------------------------------

/// Our cards with what came of each, and what came of the broken ones.
type Verdicts = (Vec<(Told, Verdict)>, Vec<Verdict>);

/// Of one opening of the page, however many tests look at it.
async fn verdicts() -> &'static Verdicts {
    static VERDICTS: OnceCell<Verdicts> = OnceCell::const_new();
    VERDICTS.get_or_init(open).await
}

async fn open() -> Verdicts {
    let told = all();
    let cards =
        told.iter().map(|told| told.card.clone()).chain(broken_cards().into_iter().map(|(_, card)| card));
    let cards: Vec<Json> = cards.collect();
    let home = tempfile::tempdir().expect("a folder for the page and the browser's profile");
    let page = home.path().join("cards.html");
    std::fs::write(&page, html(&cards)).expect("the page is written");
    let mut verdicts = read(&dumped(&page, home.path()).await);
    assert_eq!(verdicts.len(), cards.len(), "a verdict for every card");
    let broken = verdicts.split_off(told.len());
    (told.into_iter().zip(verdicts).collect(), broken)
}

fn html(cards: &[Json]) -> String {
    // `</script>` within a card would end the page's own.
    let cards = serde_json::to_string(cards).expect("JSON").replace('<', "\\u003c");
    let script = |path: &Path| {
        let url = url::Url::from_file_path(path).expect("an absolute path");
        format!("<script src=\"{url}\"></script>\n")
    };
    format!(
        "<!doctype html>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         script-src file: 'unsafe-inline'; style-src 'unsafe-inline'\">\n{}{}<script>const CARDS = {cards};</script>\n{}\
         <div id=\"cards\"></div>\n<pre id=\"verdicts\"></pre>\n",
        script(&node_module("adaptivecards/dist/adaptivecards.min.js")),
        script(&node_module("markdown-it/dist/markdown-it.min.js")),
        script(&tooling().join("render-cards.js")),
    )
}

fn tooling() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node")
}

fn node_module(file: &str) -> PathBuf {
    let path = tooling().join("node_modules").join(file);
    assert!(
        path.exists(),
        "{} is missing; install it with: (cd tests/node && npm ci), which needs nodejs and npm",
        path.display()
    );
    path
}

/// The page after its scripts have run.
async fn dumped(page: &Path, home: &Path) -> String {
    let url = url::Url::from_file_path(page).expect("an absolute path");
    let browser = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom"])
        .args(["--no-first-run", "--disable-background-networking", "--disable-component-update"])
        // It must make no DNS look-ups and no connections.
        .args(["--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND"])
        .arg(format!("--user-data-dir={}", home.join("profile").display()))
        .arg(url.as_str())
        .env("HOME", home)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(BOUND, browser)
        .await
        .unwrap_or_else(|_| panic!("chromium has not rendered the page within {BOUND:?}"))
        .unwrap_or_else(|error| {
            panic!("chromium does not start ({error}); install it with: apt-get install chromium")
        });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "chromium ended with {}: {said}", output.status);
    String::from_utf8(output.stdout).unwrap_or_else(|_| panic!("the page is no UTF-8: {said}"))
}

fn read(page: &str) -> Vec<Verdict> {
    let verdicts = page.split_once("<pre id=\"verdicts\">").and_then(|(_, rest)| rest.split_once("</pre>"));
    let encoded = verdicts.map(|(verdicts, _)| verdicts).filter(|verdicts| !verdicts.is_empty());
    let encoded = encoded.unwrap_or_else(|| panic!("the page's script did not come to its end: {page}"));
    let (_, decoded) = url::form_urlencoded::parse(encoded.as_bytes())
        .next()
        .map_or_else(|| panic!("no verdicts in {encoded}"), |(name, rest)| (rest, name.into_owned()));
    serde_json::from_str(&decoded).unwrap_or_else(|error| panic!("no verdicts: {error} in {decoded}"))
}

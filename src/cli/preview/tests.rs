//! Tests of every drawer with handmade requests, and of a page with everything.

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::*;
use crate::adapters::contract::Preview;
use crate::call::{HttpRequest, Request};
use crate::preview::drawn;
use crate::settings::{Kind, Secret};

/// The drawing of an adapter's requests. Without an adapter, requests are drawn unchanged.
fn as_by(slug: &str) -> Preview {
    let deliver = crate::adapters::find(slug).and_then(|entry| entry.deliver.as_ref());
    deliver.map_or(Preview::Request, |deliver| deliver.about.preview)
}

use crate::call::{Mail, Mailbox, TcpRequest};
use crate::cli::explain::every_payload;

const EVIL: &str = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'><iframe>";

fn posted(slug: &str, body: &Json) -> String {
    let url = "https://chat.example.com/x".parse().expect("an address");
    drawn(as_by(slug), &Request::Http(HttpRequest::post_json(url, body)))
}

fn mail(words: &str) -> Request {
    Request::Smtp(Box::new(Mail {
        sender: "forgebell@forge.example.com".to_owned(),
        from: Mailbox { name: words.to_owned(), address: "bell@example.com".to_owned() },
        reply_to: None,
        to: "ann@example.com".to_owned(),
        subject: words.to_owned(),
        message_id: "<1@example.com>".to_owned(),
        thread: Some(words.to_owned()),
        date: Timestamp::UNIX_EPOCH,
        headers: vec![("X-Forge-Project", words.to_owned())],
        text: words.to_owned(),
        html: format!("<p>{words}</p>"),
    }))
}

fn irc(lines: &[Json]) -> String {
    let lines: Vec<String> = lines.iter().map(Json::to_string).collect();
    let body = (lines.join("\n") + "\n").into();
    let host = "localhost".to_owned();
    drawn(
        as_by("irker"),
        &Request::Tcp(TcpRequest {
            shown: bytes::Bytes::new(),
            host,
            port: 6659,
            body,
            timeout: std::time::Duration::ZERO,
            onward: Vec::new(),
        }),
    )
}

/// One request for each drawer, with these words wherever there can be any.
fn every_drawer(words: &str) -> Vec<String> {
    let attached = json!({
        "text": words, "username": words,
        "attachments": [{
            "color": words, "author_name": words, "author_link": words, "title": words, "title_link": words,
            "text": words, "footer": words, "fields": [{ "title": words, "value": words }],
        }, { "title": words }],
    });
    let embed = json!({ "content": words, "embeds": [{
        "title": words, "url": words, "description": words, "author": { "name": words, "url": words },
        "footer": { "text": words }, "timestamp": words, "fields": [{ "name": words, "value": words }],
    }]});
    let text_block =
        json!({ "type": "TextBlock", "text": words, "size": words, "color": words, "wrap": true });
    let adaptive = json!({ "type": "message", "attachments": [{ "content": {
        "type": "AdaptiveCard",
        "body": [
            text_block,
            { "type": "RichTextBlock", "inlines": [words, { "type": "TextRun", "text": words, "selectAction": { "url": words } }] },
            { "type": "FactSet", "facts": [{ "title": words, "value": words }] },
            { "type": "Image", "url": words, "altText": words },
            { "type": "ImageSet", "images": [{ "type": "Image", "url": words, "altText": words }] },
            { "type": "Media", "altText": words },
            { "type": "ColumnSet", "columns": [{ "width": words, "items": [text_block] }] },
            { "type": "Container", "style": words, "items": [text_block] },
            { "type": "ActionSet", "actions": [{ "type": "Action.OpenUrl", "title": words, "url": words }] },
            { "type": words, "label": words },
        ],
        "actions": [{ "type": "Action.OpenUrl", "title": words, "url": words }],
    }}]});
    let message_card = json!({
        "@type": "MessageCard", "themeColor": words, "title": words, "text": words,
        "sections": [{
            "title": words, "text": words, "activityTitle": words, "activitySubtitle": words, "activityText": words,
            "facts": [{ "name": words, "value": words }],
        }],
        "potentialAction": [{ "name": words, "targets": [{ "uri": words }] }],
    });
    let hip =
        |format: &str| json!({ "message": words, "message_format": format, "color": words, "from": words });
    vec![
        posted("slack", &attached),
        posted("mattermost", &attached),
        posted("discord", &embed),
        posted("microsoft-teams", &adaptive),
        posted("microsoft-teams", &message_card),
        posted("hipchat", &hip("html")),
        posted("hipchat", &hip("text")),
        posted("unheard-of", &json!({ "said": words })),
        posted("hangouts-chat", &json!({ "text": words, "markupSyntax": "MARKUP_SYNTAX_CHAT" })),
        posted("hangouts-chat", &json!({ "text": words, "markupSyntax": "MARKUP_SYNTAX_MARKDOWN" })),
        posted("webex-teams", &json!({ "markdown": words })),
        posted("unify-circuit", &json!({ "subject": words, "text": words })),
        posted("telegram", &json!({ "text": words, "parse_mode": "HTML" })),
        posted("telegram", &json!({ "text": words })),
        posted("matrix", &json!({ "formatted_body": words })),
        posted("flowdock", &activity(words)),
        posted("slack", &json!({ "event": words })),
        irc(&[json!({ "to": [words], "privmsg": words })]),
        drawn(as_by("emails-on-push"), &mail(words)),
    ]
}

fn activity(words: &str) -> Json {
    json!({ "author": { "name": words }, "thread": { "title": words }, "title": words, "body": words })
}

#[test]
fn words_never_become_markup_of_the_page() {
    for drawing in every_drawer(EVIL) {
        assert!(drawing.contains("alert(1)"), "the words are shown: {drawing}");
        for tag in ["<script", "<img", "<iframe>", "onerror=alert(1)>"] {
            assert!(!drawing.contains(tag), "{tag} in {drawing}");
        }
    }
    for drawing in every_drawer("javascript:alert(1)") {
        assert!(!drawing.contains("href=\"javascript"), "{drawing}");
    }
    for drawing in every_drawer("red;background:url(https://a.example/x)") {
        let styles = drawing.split("style=\"").skip(1).map(|rest| rest.split('"').next().unwrap_or_default());
        styles.for_each(|style| assert!(!style.contains("url("), "{style}"));
    }
}

#[test]
fn slack_and_mattermost_are_drawn_each_in_its_own_markup() {
    let body = |text: &str| json!({ "text": text, "attachments": [{ "color": "good", "title": "T", "ts": 0, "footer": "Group / Project" }] });
    let slack = posted("slack", &body("*bold* <https://a.example/|link> **x**"));
    for part in
        ["<b>bold</b>", "href=\"https://a.example/\"", "#2eb67d", "Group / Project | 1970-01-01 00:00 UTC"]
    {
        assert!(slack.contains(part), "{part} in {slack}");
    }
    let mattermost = posted("mattermost", &body("**bold** [link](https://a.example/)"));
    assert!(mattermost.contains("<strong>bold</strong>") && mattermost.contains("href"), "{mattermost}");
}

#[test]
fn an_embed_is_drawn_with_its_bar_and_its_time() {
    let embed = json!({ "embeds": [{
        "color": 0x0D_53_2A, "title": "T", "url": "https://a.example/", "description": "a\n**b**",
        "timestamp": "2026-01-02T03:04:05Z", "fields": [{ "name": "Branch", "value": "main", "inline": true }],
    }]});
    let drawing = posted("discord", &embed);
    for part in [
        "#0d532a",
        "<a href=\"https://a.example/\"",
        "a<br />",
        "<strong>b</strong>",
        "2026-01-02 03:04 UTC",
        "Branch",
    ] {
        assert!(drawing.contains(part), "{part} in {drawing}");
    }
}

#[test]
fn teams_cards_of_both_kinds_are_drawn() {
    let adaptive = json!({ "type": "message", "attachments": [{ "contentType": "application/vnd.microsoft.card.adaptive", "content": {
        "type": "AdaptiveCard", "version": "1.2",
        "body": [
            { "type": "Container", "style": "attention", "items": [{ "type": "TextBlock", "text": "**Failed**", "weight": "bolder" }] },
            { "type": "FactSet", "facts": [{ "title": "Branch", "value": "[main](https://a.example/)" }] },
            { "type": "Input.Text", "id": "x" },
        ],
        "actions": [{ "type": "Action.OpenUrl", "title": "Open", "url": "https://a.example/open" }],
    }}]});
    let drawing = posted("microsoft-teams", &adaptive);
    for part in [
        "box attention",
        "<strong>Failed</strong>",
        "font-weight:600",
        "<b>Branch</b>",
        "https://a.example/open",
        "Input.Text",
    ] {
        assert!(drawing.contains(part), "{part} in {drawing}");
    }
    let card = json!({
        "@type": "MessageCard", "themeColor": "8D1300", "title": "Project", "sections": [{
            "activityTitle": "Ann pushed", "facts": [{ "name": "Branch", "value": "main" }] }],
        "potentialAction": [{ "@type": "OpenUri", "name": "View", "targets": [{ "os": "default", "uri": "https://a.example/v" }] }],
    });
    let drawing = posted("microsoft-teams", &card);
    for part in ["#8D1300", "Ann pushed", "<b>Branch</b>", "https://a.example/v"] {
        assert!(drawing.contains(part), "{part} in {drawing}");
    }
}

#[test]
fn hipchat_is_a_bubble_in_its_colour() {
    let body = json!({ "message": "<a href=\"https://a.example/\">x</a><br />&lt;y&gt;", "message_format": "html", "color": "green", "notify": true });
    let drawing = posted("hipchat", &body);
    for part in ["#dff5d8", "<a href=\"https://a.example/\"", "<br>&lt;y&gt;", "rings"] {
        assert!(drawing.contains(part), "{part} in {drawing}");
    }
}

#[test]
fn hipchats_old_form_is_the_same_bubble() {
    let url = "https://chat.example.com/v1/rooms/message".parse().expect("an address");
    let mut request = HttpRequest::new(crate::call::Method::Post, url);
    request.body = "room_id=7&from=GitLab&message=%3Cb%3Ex%3C%2Fb%3E&color=red&notify=1".into();
    let drawing = drawn(as_by("hipchat"), &Request::Http(request));
    for part in ["#ffd9d9", "<b>x</b>", "rings"] {
        assert!(drawing.contains(part), "{part} in {drawing}");
    }
}

/// The drawing of the sample of this kind, with the adapter's examples.
fn drawn_sample(slug: &str, trigger: Trigger) -> String {
    let entry = crate::adapters::find(slug).expect("an adapter");
    let shown = show(
        "a sample",
        &sample(trigger),
        &[entry],
        &[],
        (&OperatorSettings::default(), ProjectLinks::none()),
    );
    shown.expect("the examples are sound").messages.remove(0).drawing
}

#[test]
fn services_of_one_text_are_drawn_each_in_its_own_markup() {
    const PAGE: &str = "<a href=\"https://gitlab.example.com/acme/rocket\"";
    for slug in ["hangouts-chat", "webex-teams", "unify-circuit", "pumble", "telegram", "matrix"] {
        let drawing = drawn_sample(slug, Trigger::Note);
        assert!(drawing.contains(PAGE) && drawing.contains("class=\"text\""), "{slug}: {drawing}");
        assert!(!drawing.contains("class=\"raw\""), "{slug}: {drawing}");
    }
    let circuit = drawn_sample("unify-circuit", Trigger::Note);
    assert!(circuit.contains("<div class=\"about\">Acme / Rocket</div>"), "{circuit}");
    let activity = drawn_sample("flowdock", Trigger::Push);
    assert!(
        activity.contains("<div class=\"about\">branch main</div>") && activity.contains("<a href="),
        "{activity}"
    );
}

#[test]
fn what_is_said_is_shown_and_not_the_look_up_before_it() {
    let campfire = drawn_sample("campfire", Trigger::Push);
    assert!(
        campfire.contains("[Acme / Rocket] Ada Lovelace (ada) pushed 2 commits to branch main."),
        "{campfire}"
    );
    let alias = [("room".to_owned(), "#news:example.com".to_owned())];
    let matrix = crate::adapters::find("matrix").expect("an adapter");
    let shown = show(
        "a sample",
        &sample(Trigger::Push),
        &[matrix],
        &alias,
        (&OperatorSettings::default(), ProjectLinks::none()),
    )
    .expect("sound settings");
    assert!(shown.messages[0].drawing.contains("pushed 2 commits"), "{}", shown.messages[0].drawing);
}

#[test]
fn irc_shows_rooms_lines_and_colours() {
    let drawing = irc(&[
        json!({ "to": "ircs://ann:secret@irc.example.net:6697/ops?key=secret", "privmsg": "first" }),
        json!({ "to": ["irc://irc.example.net/dev"], "privmsg": "\u{3}04repo\u{f} \u{2}3\u{2} new \u{3}02\u{1f}https://a.example/\u{f}" }),
        json!({ "to": "ircs://ann:secret@irc.example.net:6697/ops?key=secret", "privmsg": "second" }),
    ]);
    assert!(drawing.contains("ircs://irc.example.net:6697/ops<") && !drawing.contains("secret"), "{drawing}");
    assert_eq!(drawing.matches("irc://irc.example.net/dev").count(), 1, "a room is named once: {drawing}");
    for part in [
        "<span style=\"color:#ff6b6b\">repo</span>",
        "<span style=\"font-weight:700;\">3</span>",
        "<span style=\"text-decoration:underline;color:#6fa8ff\">https://a.example/</span>",
        "&lt;irker&gt; second",
    ] {
        assert!(drawing.contains(part), "{part} in {drawing}");
    }
    assert!(
        irc(&[json!({ "hello": 1 })]).contains("class=\"raw\""),
        "what is no line for an irkerd is shown as it is"
    );
}

#[test]
fn a_mail_shows_its_headers_and_keeps_its_html_apart() {
    let drawing = drawn(as_by("pipelines-email"), &mail("Pipeline #1 \"failed\""));
    for part in [
        "Message-ID",
        "X-Forge-Project",
        "<th>Date</th><td>Thu, 1 Jan 1970 00:00:00 +0000</td>",
        "<th>In-Reply-To</th>",
        "<th>References</th>",
        "sandbox=\"\"",
        "srcdoc=\"&lt;p&gt;Pipeline #1 &quot;failed&quot;&lt;/p&gt;\"",
    ] {
        assert!(drawing.contains(part), "{part} in {drawing}");
    }
}

#[test]
fn what_no_drawer_knows_is_shown_as_it_is() {
    let mut request =
        HttpRequest::new(crate::call::Method::Post, "https://a.example/".parse().expect("an address"));
    request.headers.push(("content-type", "application/x-www-form-urlencoded".to_owned()));
    request.body = "payload=a%20%3Cb%3E".into();
    assert!(
        drawn(as_by("other"), &Request::Http(request.clone()))
            .contains("<th>payload</th><td><pre>a &lt;b&gt;</pre>")
    );
    request.headers.clear();
    request.body = bytes::Bytes::from_static(b"\xff\x00 not text");
    assert!(drawn(as_by("discord"), &Request::Http(request)).contains("not text"));
}

#[test]
fn the_page_of_everything_has_every_message_and_no_script() {
    let everyone: Vec<&'static Entry> = ADAPTERS.iter().filter(|entry| entry.can_deliver()).collect();
    let operator = OperatorSettings::default();
    let events = every_payload().into_iter().chain(Trigger::ALL.map(sample));
    let shown: Vec<Shown> = events
        .map(|event| {
            show("a file", &event, &everyone, &[], (&operator, ProjectLinks::none()))
                .expect("the examples are sound")
        })
        .collect();
    for event in &shown {
        assert_eq!(event.messages.len() + event.unheard.len(), everyone.len(), "{}", event.title);
    }
    let drawn = shown.iter().flat_map(|event| &event.messages);
    let known = drawn.filter(|message| !message.drawing.contains("class=\"raw\"")).count();
    assert!(known > 60, "{known} messages have a drawer");
    let page = page(&shown);
    assert!(page.contains("Content-Security-Policy") && page.contains("default-src 'none'"));
    let alert = shown.iter().find(|event| event.kind == "alert").expect("a sample");
    assert!(alert.unheard.contains(&"bamboo".to_owned()), "{:?}", alert.unheard);
    // A message that the rules hold back is marked, with the setting that holds it back.
    let passed =
        shown.iter().find(|event| event.title.contains("Pipeline #31") && event.title.contains("passed"));
    let why = passed.and_then(|event| event.messages.iter().find_map(|message| message.unwanted.clone()));
    assert!(why.is_some_and(|why| why.contains("notify_only_broken_pipelines = true")), "a passed pipeline");
    let wanted = shown.iter().find(|event| event.kind == "issue" && event.title.contains("opened issue #17"));
    assert!(wanted.is_some_and(|event| event.messages.iter().all(|message| message.unwanted.is_none())));
    assert!(page.contains("<p class=\"unwanted\">Would not be sent: "));
    assert!(page.contains("<p class=\"unheard\">Nothing is sent to "));
    // A section begins with the message, or with the event where there is no message.
    assert!(page.contains("<h2>Ada Lovelace (ada) opened issue #17 "), "{page}");
    assert!(page.contains("<h2>job event of acme/rocket (42)"), "{page}");
    for word in ["<script", "<img", "<link", "javascript:", "@import"] {
        assert!(!page.contains(word), "{word}");
    }
}

#[test]
fn settings_of_ones_own_take_the_place_of_examples_and_stay_secret() {
    let event = sample(Trigger::WikiPage);
    let entry = crate::adapters::find("slack").expect("an adapter");
    let own = [("username".to_owned(), "Quasimodo".to_owned()), ("lines_only".to_owned(), "1".to_owned())];
    let shown =
        show("a sample", &event, &[entry], &own, (&OperatorSettings::default(), ProjectLinks::none()))
            .expect("sound settings");
    assert!(shown.messages[0].drawing.contains("Quasimodo"), "{}", shown.messages[0].drawing);
    let webhook = [("webhook".to_owned(), "https://chat.example.com/hooks/deepsecret".to_owned())];
    let shown =
        show("a sample", &event, &[entry], &webhook, (&OperatorSettings::default(), ProjectLinks::none()))
            .expect("sound settings");
    assert!(!page(&[shown]).contains("deepsecret"));
}

/// For services that are only called, the whole request is drawn. Some requests contain a part of a secret.
#[test]
fn no_part_of_a_secret_is_drawn_of_a_call() {
    let mut seen = Vec::new();
    for entry in ADAPTERS.iter().filter(|entry| matches!(as_by(entry.about.slug), Preview::Call)) {
        let secrets: Vec<_> = entry.fields.iter().filter(|field| field.kind == Kind::Secret).collect();
        let own: Vec<_> =
            secrets.iter().map(|field| (field.name.to_owned(), field.example.to_owned())).collect();
        for trigger in entry.about.triggers.iter().filter(|_| !own.is_empty()) {
            let operator = OperatorSettings::default();
            let shown = show("a sample", &sample(trigger), &[entry], &own, (&operator, ProjectLinks::none()))
                .expect("the examples are sound");
            let drawing = &shown.messages[0].drawing;
            for part in secrets.iter().flat_map(|field| field.example.split([':', ','])) {
                assert!(!drawing.contains(part), "{}: {part} in {drawing}", entry.about.slug);
            }
            if drawing.contains(Secret::MASK) {
                seen.push(entry.about.slug);
            }
        }
    }
    assert!(["buildkite", "drone-ci", "packagist"].iter().all(|slug| seen.contains(slug)), "{seen:?}");
}

/// This event with the tracker and the wiki that `--to` names, as a service shows it.
fn shown_with_links(slug: &str, trigger: Trigger, change: impl FnOnce(&mut Json)) -> Shown {
    let mut json = serde_json::from_slice(&sample(trigger).raw).expect("a sample is JSON");
    change(&mut json);
    let event = Event::decode(fresh_id(), Timestamp::UNIX_EPOCH, json.to_string().into()).expect("an event");
    let settings = [("short_references".to_owned(), "true".to_owned())];
    let named = ["redmine", "confluence"].map(|slug| crate::adapters::find(slug).expect("an adapter"));
    let links = named_links(&named, &settings, &event).expect("sound settings").expect("links");
    let entry = crate::adapters::find(slug).expect("an adapter");
    let shown = show("a sample", &event, &[entry], &[], (&OperatorSettings::default(), &links));
    shown.expect("the examples are sound")
}

fn drawn_with_links(slug: &str, trigger: Trigger, change: impl FnOnce(&mut Json)) -> String {
    shown_with_links(slug, trigger, change).messages.remove(0).drawing
}

#[test]
fn more_references_than_become_links_are_said_on_the_page() {
    let page_of = |references: usize| {
        page(&[shown_with_links("slack", Trigger::Issue, |issue| {
            issue["object_attributes"]["description"] = "ABC-1 ".repeat(references).into();
        })])
    };
    assert!(page_of(101).contains("The first 100 references"));
    assert!(!page_of(100).contains("The first 100 references"));
}

#[test]
fn references_and_wikis_are_working_links() {
    for slug in ["slack", "mattermost", "discord", "microsoft-teams", "telegram", "matrix", "hangouts-chat"] {
        let drawing = drawn_with_links(slug, Trigger::Push, |push| {
            push["commits"][0]["message"] = "Fix #12 as ABC-7 says".into();
            push["commits"][0]["title"] = "Fix #12 as ABC-7 says".into();
        });
        for (words, number) in [("#12", 12), ("ABC-7", 7)] {
            let link = format!("href=\"https://redmine.example.com/issues/{number}\"");
            let at = drawing.find(&link).unwrap_or_else(|| panic!("{slug}: no {link} in {drawing}"));
            assert!(drawing[at + link.len()..].split("</a>").next().is_some_and(|link| link.contains(words)));
        }
        let drawing = drawn_with_links(slug, Trigger::WikiPage, |_| ());
        let wiki = "href=\"https://rocket.atlassian.net/wiki\"";
        assert!(drawing.contains(wiki), "{slug}: no {wiki} in {drawing}");
    }
    assert!(
        named_links(&[crate::adapters::find("slack").expect("an adapter")], &[], &sample(Trigger::Push))
            .expect("sound")
            .is_none()
    );
}

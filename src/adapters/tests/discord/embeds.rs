//! What an embed says, within Discord's limits.

use serde_json::{Value as Json, json};

use super::{Case, body, cases, entry, hostile, kind, note, plain, sent, tell_changed};
use crate::adapters::Notification;
use crate::adapters::contract::LazyMessage;
use crate::message::{Body, Field, Message, Person, ProjectInfo, Text, Title, Tone};

#[test]
fn an_embed_contains_everything_once() {
    let issue = sent(kind("issue"));
    assert_eq!(issue["allowed_mentions"], json!({ "parse": [] }));
    assert!(issue.get("content").is_none());
    let embed = &issue["embeds"][0];
    assert_eq!(embed["title"], "Opened issue #23 New API: create/update/delete file");
    assert_eq!(embed["url"], "http://example.com/diaspora/issues/23");
    assert_eq!(
        embed["description"],
        "[GitlabHQ / Gitlab Test](http://example.com/gitlabhq/gitlab-test)  \n  \n\
         Create new API for manipulations with repository"
    );
    assert_eq!(embed["author"]["name"], "Administrator (root)");
    assert!(embed["author"]["icon_url"].as_str().is_some_and(|url| url.starts_with("http")), "{embed}");
    assert!(embed.get("footer").is_none(), "{embed}");
    assert_eq!(embed["color"], 0xC9_58_23);
    assert_eq!(embed["timestamp"], "1970-01-01T00:00:00Z");

    let push = &sent(kind("push"))["embeds"][0];
    let description = push["description"].as_str().expect("a description");
    assert!(description.starts_with("Pushed 4 commits to branch ["), "{description}");
    assert!(
        description.contains(" of [Mike / Diaspora](http://example.com/mike/diaspora) "),
        "{description}"
    );
    assert!(description.contains("b6568db1]("), "{description}");
    assert_eq!(push["color"], 0x33_44_55);

    let pipeline = &sent(kind("pipeline_failed"))["embeds"][0];
    assert_eq!(pipeline["title"], "Pipeline #31 has failed in 01:03");
    assert_eq!(pipeline["color"], 0x8D_13_00);
    assert_eq!(pipeline["timestamp"], "2016-08-12T15:26:29Z", "when it finished");
    assert_eq!(
        pipeline["description"],
        "[Gitlab Org / Gitlab Test](http://192.168.64.1:3005/gitlab-org/gitlab-test)"
    );
    assert!(pipeline["fields"].as_array().is_some_and(|fields| fields.len() >= 4), "{pipeline}");
    assert_eq!(sent(kind("pipeline"))["embeds"][0]["color"], 0x0D_53_2A);
    assert_eq!(sent(kind("deployment"))["embeds"][0]["color"], 0x0D_53_2A);
    assert_eq!(sent(kind("issue_closed"))["embeds"][0]["color"], 0xC9_58_23);
    for orange in ["merge_request", "note_issue", "wiki_page", "group_mention"] {
        assert_eq!(sent(kind(orange))["embeds"][0]["color"], 0xFC_6D_26, "{orange}");
    }
}

/// In the units in which there are most of them.
fn length(text: &Json) -> usize {
    text.as_str().map_or(0, |text| text.encode_utf16().count())
}

/// Holds a body against every limit of embeds
/// (<https://docs.discord.com/developers/resources/message#embed-object-embed-limits>).
fn fits(body: &Json, name: &str) {
    let embeds = body["embeds"].as_array().expect("embeds");
    assert_eq!(embeds.len(), 1, "{name}");
    let embed = &embeds[0];
    let empty = Vec::new();
    let fields = embed["fields"].as_array().unwrap_or(&empty);
    let parts = [
        (&embed["title"], 256),
        (&embed["description"], 4096),
        (&embed["footer"]["text"], 2048),
        (&embed["author"]["name"], 256),
    ];
    let of_fields = fields.iter().flat_map(|field| [(&field["name"], 256), (&field["value"], 1024)]);
    let mut sum = 0;
    for (part, most) in parts.into_iter().chain(of_fields) {
        assert!(length(part) <= most, "{name}: {} of {most}", length(part));
        if let Some(text) = part.as_str() {
            assert!(!text.is_empty() && text.trim() == text, "{name}: {text:?}");
        }
        sum += length(part);
    }
    assert!(fields.len() <= 25 && sum <= 6000, "{name}: {sum}");
    assert!(fields.iter().all(|field| length(&field["name"]) > 0 && length(&field["value"]) > 0), "{name}");
    assert!(length(&embed["title"]) + length(&embed["description"]) > 0, "{name}: says nothing");
    for url in
        [&embed["url"], &embed["author"]["url"], &embed["author"]["icon_url"], &embed["footer"]["icon_url"]]
    {
        let Some(url) = url.as_str() else { continue };
        let host = url::Url::parse(url).expect("an address").host_str().expect("a host").to_owned();
        assert!(host.contains('.') && url.len() <= 2048, "{name}: {url}");
    }
    assert_eq!(body["allowed_mentions"], json!({ "parse": [] }), "{name}");
}

#[test]
fn every_message_keeps_every_limit() {
    let heard =
        |case: &&Case| case.event.trigger.is_some_and(|t| entry("discord").about.triggers.contains(t));
    for case in cases().iter().chain(hostile()).filter(heard) {
        fits(&sent(case), &case.name);
    }
}

/// A message that is larger than any real one, made of one repeated sign.
fn huge(sign: &str) -> Message {
    let words = sign.repeat(10_000);
    let text = || Text::new().plain(words.as_str());
    let person = Person { display: words.as_str().into(), ..Person::default() };
    Message {
        summary: text(),
        title: Some(Title { text: words.as_str().into(), url: Some("https://a.example/x".into()) }),
        body: Body::Lines(vec![Text::new().plain(sign.repeat(100)); 10_000]),
        fields: vec![Field { name: words.as_str().into(), value: text(), short: true }; 40],
        author: Some(person.into()),
        project: ProjectInfo { full_name: words.as_str().into(), ..ProjectInfo::default() }.into(),
        tone: Tone::Danger,
        ..Message::default()
    }
}

fn sent_message(message: &Message) -> Json {
    let note =
        Notification { message: LazyMessage::composed(message.clone()), ..note(&kind("push").event, "") };
    body(&entry("discord").call(&plain(), &note).expect("a call"))
}

#[test]
fn limits_hold_for_characters_of_several_units() {
    for sign in ["x", "é", "🦊", "👩‍👩‍👧‍👦", "e\u{301}", "*", "@", "\u{2800}"] {
        let body = sent_message(&huge(sign));
        fits(&body, sign);
        let description = body["embeds"][0]["description"].as_str().expect("a description");
        assert!(description.ends_with('…'), "{sign}");
        assert!(length(&body["embeds"][0]["description"]) > 4000, "{sign}: the room is used");
        if sign == "👩‍👩‍👧‍👦" {
            assert!(description.trim_end_matches(['…', ' ', '\n']).ends_with(sign), "a family is not torn");
        }
    }
}

#[test]
fn parts_without_readable_text_are_left_out() {
    let blank =
        |name: &str, value: &str| Field { name: name.into(), value: Text::new().plain(value), short: true };
    let message = Message {
        summary: Text::new().plain("Something happened"),
        title: Some(Title { text: " \n".into(), url: Some("https://a.example/x".into()) }),
        fields: vec![blank("", "x"), blank("Name", " \u{2003}\n"), blank("Name", "value")],
        author: Some(Person::default().into()),
        ..Message::default()
    };
    let body = sent_message(&message);
    let embed = &body["embeds"][0];
    fits(&body, "blank");
    assert_eq!(embed["description"], "Something happened");
    assert_eq!(embed["fields"], json!([{ "name": "Name", "value": "value", "inline": true }]));
    for absent in ["title", "url", "author", "footer"] {
        assert!(embed.get(absent).is_none(), "{absent} in {embed}");
    }
}

#[test]
fn addresses_that_discord_refuses_are_in_the_description() {
    for host in ["gitlab", "localhost:3000", "[::1]"] {
        let url = format!("http://{host}/x");
        let message = Message {
            summary: Text::new().plain("Ann saw ").link("this", url.as_str()),
            title: Some(Title { text: "Title".into(), url: Some(url.as_str().into()) }),
            author: Some(
                Person {
                    display: "Ann".into(),
                    avatar_url: Some(url.as_str().into()),
                    url: Some(url.as_str().into()),
                    ..Person::default()
                }
                .into(),
            ),
            ..Message::default()
        };
        let body = sent_message(&message);
        fits(&body, host);
        assert!(body["embeds"][0].get("title").is_none(), "{body}");
        assert_eq!(body["embeds"][0]["description"], format!("**[Title]({url})**  \nSaw [this]({url})"));
    }
    let forge = sent(&tell_changed("reported/53_localhost_forge.json", |_| {}));
    assert_eq!(
        forge["embeds"][0]["description"],
        "**[Opened issue #3 Screen stays black](http://gitlab/acme/rocket/-/issues/3)**  \n\
         [Acme / rocket](http://gitlab/acme/rocket)  \n  \nx"
    );
}

/// A title of 255 characters, the forge's longest, and the words before it.
#[test]
fn a_title_that_is_too_long_for_its_part_is_in_the_description() {
    let title = "Screen stays black ".repeat(13) + "for ever";
    let case = tell_changed("issue_open.json", |issue| issue["object_attributes"]["title"] = json!(title));
    let body = sent(&case);
    fits(&body, "a long title");
    let embed = &body["embeds"][0];
    assert!(embed.get("title").is_none(), "{embed}");
    let linked =
        format!("**[Opened issue #23 {title}](http://example.com/diaspora/issues/23)**  \n[GitlabHQ");
    assert!(embed["description"].as_str().is_some_and(|text| text.starts_with(&linked)), "{embed}");
}

/// The Markdown without the signs that a backslash escapes.
fn armed(text: &str) -> String {
    let mut left = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                chars.next();
                // It stands for a word.
                left.push('x');
            }
            c => left.push(c),
        }
    }
    left
}

#[test]
fn text_of_people_is_not_markup_to_discord() {
    let tricks = [
        "<@1>",
        "<@!1>",
        "<@&1>",
        "<#1>",
        "<:emoji:1>",
        "<a:emoji:1>",
        "<t:1>",
        "<t:1618953630:R>",
        "</cmd:1>",
        "<id:customize>",
        "<https://a.example>",
        "@everyone",
        "@here",
        "[words](https://a.example/)",
        "||spoiler||",
        "> quote",
        ">>> quote",
        "-# subtext",
        "# heading",
        "### heading",
        "- list",
        "* list",
        "1. list",
        "```rust\ncode\n```",
        "`code`",
        "**bold**",
        "__underlined__",
        "_slanted_",
        "~~struck~~",
    ];
    let forms = [
        "<@",
        "<#",
        "<:",
        "<a:",
        "<t:",
        "</",
        "<id:",
        "<http",
        "](",
        "||",
        "`",
        "**",
        "__",
        "~~",
        "@everyone",
        "@here",
    ];
    for trick in tricks {
        for words in [trick.to_owned(), format!("a\n{trick}"), format!("a {trick} b"), format!("\\{trick}")] {
            let text = || Text::new().plain(words.as_str());
            let message = Message {
                summary: text(),
                title: Some(Title { text: words.as_str().into(), url: None }),
                fields: vec![Field { name: words.as_str().into(), value: text(), short: true }],
                body: Body::Lines(vec![text()]),
                ..Message::default()
            };
            let body = sent_message(&message);
            let embed = &body["embeds"][0];
            for part in [
                &embed["title"],
                &embed["description"],
                &embed["fields"][0]["name"],
                &embed["fields"][0]["value"],
            ] {
                // An address in a text is a link to itself.
                let armed = armed(&part.as_str().expect("words").replace("<https://a.example>", "link"));
                for form in forms {
                    assert!(!armed.contains(form), "{words:?} became {part}");
                }
                for line in armed.lines() {
                    let begins = ["#", ">", "-", "* ", "1. ", "+ "].iter().any(|mark| line.starts_with(mark));
                    assert!(!begins, "{words:?} became {part}");
                }
            }
        }
    }
    // Names, in which Discord reads no Markdown, mention no one either.
    let message = Message {
        author: Some(Person { display: "@everyone <@1>".into(), ..Person::default() }.into()),
        ..Message { summary: Text::new().plain("x"), ..Message::default() }
    };
    let name = sent_message(&message)["embeds"][0]["author"]["name"].to_string();
    assert!(!name.contains("@everyone") && !name.contains("<@"), "{name}");
}

#[test]
fn addresses_are_dropped_before_text() {
    let title = "Light the engines two seconds earlier, as was agreed upon in the last meeting but one";
    let many = tell_changed("push.json", |push| {
        let commit = push["commits"][0].clone();
        push["commits"] = vec![commit; 20].into();
        push["commits"]
            .as_array_mut()
            .into_iter()
            .flatten()
            .for_each(|commit| commit["title"] = json!(title));
        push["total_commits_count"] = json!(57);
    });
    let description = sent(&many)["embeds"][0]["description"].as_str().unwrap_or_default().to_owned();
    assert_eq!(description.matches(title).count(), 20, "{description}");
    assert!(description.ends_with("and 37 more commits"), "{description}");
    assert!(description.contains("[b6568db1](http"), "the first ones are links: {description}");
    let failed = tell_changed("pipeline_success.json", |pipeline| {
        pipeline["object_attributes"]["status"] = json!("failed");
        pipeline["project"]["web_url"] =
            json!("https://forge.example.com/a/group/with/a/longer/name/and/a/project");
        let job = |n: usize| json!({"id": n, "stage": "test", "name": format!("rspec-ee unit pg14 praefect {n}/30"), "status": "failed"});
        pipeline["builds"] = (1..=30).map(job).collect();
    });
    let embed = &sent(&failed)["embeds"][0];
    let jobs = embed["fields"].as_array().into_iter().flatten().find(|field| field["name"] == "Failed jobs");
    let jobs = jobs.and_then(|jobs| jobs["value"].as_str()).unwrap_or_default();
    assert!(jobs.ends_with("and 20 more"), "{jobs}");
}

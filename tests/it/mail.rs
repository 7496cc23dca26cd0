//! Mail, from the event to the mailbox: through a real mail server, and through one that breaks off.

use std::collections::BTreeSet;

use forgebell::store::State;
use serde_json::json;

use crate::harness::daemon::Home;
use crate::harness::mail::Letter;
use crate::harness::mail::exim::{Access, Exim};
use crate::harness::mail::faulty::{Fault, Faulty};
use crate::harness::payloads::{payload, with};
use crate::harness::receiver::{Answer, Receiver};
use crate::harness::wait::eventually;

/// What would be another header, a body, markup, or nothing that is seen.
const EVIL: &str = "x\r\nBcc: eve@evil.example\r\n\r\n<script>\u{2028}\u{85}\0\u{202e}";

/// Emails on push of the project that `push.json` comes from, and pipeline emails of the one of `pipeline_success.json`.
fn integrations(recipients: &str) -> String {
    format!(
        "[[integration]]\nproject = \"mike/diaspora\"\nadapter = \"emails-on-push\"\nrecipients = \"{recipients}\"\n\n\
         [[integration]]\nproject = \"gitlab-org/gitlab-test\"\nadapter = \"pipelines-email\"\n\
         recipients = \"{recipients}\"\nnotify_only_broken_pipelines = false\n"
    )
}

fn home(recipients: &str, port: u16) -> Home {
    Home::new(&integrations(recipients)).with(&[
        "smtp.host=127.0.0.1",
        &format!("smtp.port={port}"),
        "smtp.tls=none",
        "smtp.hello_name=bell.example.test",
        "mail.from=bell@forge.example.com",
    ])
}

fn push(title: &str) -> Vec<u8> {
    with(&payload("push.json"), |push| {
        push["commits"][0]["title"] = json!(title);
        push["commits"][0]["message"] = json!(format!("{title}\n\nGrüße an alle 🔔"));
        push["diff"] = json!("diff --git a/x.rs b/x.rs\n@@ -1 +1 @@\n-let a = 1;\n+let a = \"é\";\n.\n");
    })
}

fn recipients_of(letters: &[Letter]) -> Vec<String> {
    let mut to: Vec<String> = letters.iter().map(|letter| letter.header("To").to_owned()).collect();
    to.sort();
    to
}

#[tokio::test(flavor = "multi_thread")]
async fn both_kinds_of_mail_arrive_and_are_parsed_by_an_independent_reader() {
    let exim = Exim::start(Access::Open).await;
    let home = home("ada@example.com bob@example.com", exim.port);
    let daemon = home.start().await;
    daemon.send("push-1", push("Füge hinzu")).await;
    home.until(State::Delivered, 2).await;
    daemon.send("push-2", push("Second")).await;
    daemon.send("pipeline-1", payload("pipeline_success.json")).await;
    home.until(State::Delivered, 6).await;
    let letters = exim.until_delivered(6).await;
    daemon.stop().await;

    for letter in &letters {
        assert!(letter.defects.is_empty(), "{:?}", letter.defects);
        assert_eq!(letter.content_type, "multipart/alternative");
        assert_eq!(letter.header("Auto-Submitted"), "auto-generated");
        assert_eq!(letter.header("Return-path"), "<bell@forge.example.com>");
        assert_eq!(letter.header("In-Reply-To"), letter.header("References"));
        assert!(!letter.header("Date").is_empty() && !letter.header("List-Id").is_empty());
        assert_eq!(letter.header("Envelope-to"), letter.header("To"), "one recipient, and that one");
    }
    let ids: BTreeSet<&str> = letters.iter().map(|letter| letter.header("Message-ID")).collect();
    assert_eq!(ids.len(), 6, "each mail has an id of its own");

    let (pushes, pipelines): (Vec<_>, Vec<_>) =
        letters.into_iter().partition(|letter| letter.header("Subject").starts_with("[Git]"));
    assert_eq!(recipients_of(&pipelines), ["ada@example.com", "bob@example.com"]);
    assert_eq!(pipelines[0].header("Subject"), "Gitlab Test | Successful pipeline for master | bcbb5ec3");
    assert_eq!(pipelines[0].header("From"), "Forgebell <bell@forge.example.com>");
    assert_eq!(pipelines[0].header("X-GitLab-Pipeline-Id"), "31");
    assert!(pipelines[0].text.contains("Pipeline #31") && pipelines[0].html.contains("has passed"));

    let threads: BTreeSet<&str> = pushes.iter().map(|letter| letter.header("References")).collect();
    assert_eq!(threads.len(), 1, "the pushes of one branch are one thread");
    let first =
        pushes.iter().find(|letter| letter.header("Subject").contains("Füge")).expect("the first push");
    assert_eq!(first.header("Subject"), "[Git][mike/diaspora][master] 4 commits: Füge hinzu");
    assert_eq!(first.header("From"), "John Smith <bell@forge.example.com>");
    assert_eq!(first.header("X-GitLab-Author"), "jsmith");
    for words in ["Grüße an alle 🔔", "+let a = \"é\";\n.\n"] {
        assert!(first.text.replace("\r\n", "\n").contains(words), "{words:?} in {}", first.text);
    }
    assert!(first.html.contains("+let a = &quot;é&quot;;"), "{}", first.html);
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_looks_like_markup_or_headers_arrives_as_text() {
    let exim = Exim::start(Access::Open).await;
    let home = home("ada@bücher.example", exim.port);
    let daemon = home.start().await;
    let evil = with(&push("Fix"), |push| {
        for name in ["title", "message"] {
            push["commits"][0][name] = json!(format!("{EVIL}{}", "🔔".repeat(400)));
        }
        push["user_name"] = json!(format!("\"ceo@bank.example\" <ceo@bank.example>{EVIL}"));
        push["user_username"] = json!(EVIL);
        push["project"]["path_with_namespace"] = json!("mike/diaspora");
        push["project"]["name"] = json!(EVIL);
        push["ref"] = json!(format!("refs/heads/{EVIL}"));
    });
    daemon.send("push-1", evil).await;
    home.until(State::Delivered, 1).await;
    daemon.stop().await;
    let letters = exim.until_delivered(1).await;
    let [letter] = &letters[..] else { panic!("one mail: {letters:?}") };
    assert!(letter.defects.is_empty(), "{:?}", letter.defects);
    assert_eq!(letter.header("Envelope-to"), "ada@xn--bcher-kva.example");
    assert_eq!(letter.header("To"), "ada@xn--bcher-kva.example");
    assert!(!letter.has("Bcc"));
    let from = letter.header("From");
    assert!(from.ends_with("<bell@forge.example.com>") && from.matches(['@', '<']).count() == 2, "{from}");
    let subject = letter.header("Subject");
    assert!(
        subject.contains("Bcc: eve@evil.example <script>") && subject.chars().count() <= 255,
        "{subject}"
    );
    assert!(subject.ends_with("🔔…"), "{subject}");
    for words in [subject, from, &letter.text, &letter.html] {
        assert!(!words.contains(['\0', '\u{202e}', '\u{2028}', '\u{85}', '\u{fffd}']), "{words:?}");
    }
    assert!(letter.html.contains("&lt;script&gt;") && !letter.html.contains("<script"), "{}", letter.html);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_recipient_does_not_affect_the_others() {
    let exim = Exim::start(Access::Open).await;
    let home = home("ada@example.com gone@example.com bob@example.com", exim.port);
    let daemon = home.start().await;
    daemon.send("push-1", push("Fix")).await;
    home.until(State::Delivered, 2).await;
    assert_eq!(recipients_of(&exim.until_delivered(2).await), ["ada@example.com", "bob@example.com"]);
    // Mails for the one that the relay does not know wait: no push after the other finds a dead letter there.
    daemon.send("push-2", push("Fix")).await;
    home.until(State::Delivered, 4).await;
    let waits = home.until(State::Waiting, 2).await;
    assert!(waits.iter().all(|line| line.target == "gone@example.com"), "{waits:?}");
    let refused = waits.iter().find_map(|line| line.last_note.clone()).unwrap_or_default();
    assert!(refused.contains("550") && refused.contains("no such user here"), "{refused}");
    assert_eq!(
        waits.iter().map(|line| line.attempts).sum::<u32>(),
        0,
        "a refusal of the place is no attempt that counts"
    );
    let held = home.delivery(&waits[0]).await.hold.expect("the route is held");
    assert!(held.reason.contains("correct the address"), "{held:?}");
    daemon.stop().await;
}

/// Moves what waits to now, as hours would; the daemon must be stopped.
fn time_passes(home: &Home) {
    let store = rusqlite::Connection::open(home.path().join("forgebell.db")).expect("the store is ours now");
    store
        .execute_batch("UPDATE deliveries SET due = 0 WHERE settled_at IS NULL; DELETE FROM holds;")
        .expect("what waits can be moved");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_greylisted_mail_is_sent_again() {
    let exim = Exim::start(Access::Open).await;
    let home = home("grey@example.com ada@example.com", exim.port);
    let daemon = home.start().await;
    daemon.send("push-1", push("Fix")).await;
    home.until(State::Delivered, 1).await;
    let waits = eventually("the greylisted mail waits", std::time::Duration::from_secs(30), async || {
        let waiting = home.deliveries(Some(State::Waiting)).await;
        waiting.into_iter().find(|line| line.attempts == 1)
    })
    .await;
    daemon.stop().await;
    assert_eq!(waits.target, "grey@example.com");
    assert!(waits.last_note.clone().unwrap_or_default().contains("451"), "{:?}", waits.last_note);
    let wait = waits.due.expect("it is due some time").as_second() - waits.created_at.as_second();
    assert!((290..=400).contains(&wait), "greylists want five minutes, not {wait} s");

    time_passes(&home);
    let daemon = home.start().await;
    home.until(State::Delivered, 2).await;
    daemon.stop().await;
    assert_eq!(recipients_of(&exim.until_delivered(2).await), ["ada@example.com", "grey@example.com"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_wait_while_the_password_is_wrong() {
    let exim = Exim::start(Access::Login { name: "bell", password: "right-s3cret" }).await;
    let home = Home::new(&integrations("ada@example.com bob@example.com")).with(&[
        "smtp.host=localhost",
        &format!("smtp.port={}", exim.port),
        "smtp.tls=starttls",
        &format!("smtp.ca_file={}", exim.certificate()),
        "smtp.username=bell",
        "smtp.password=wrong-s3cret",
        "mail.from=bell@forge.example.com",
    ]);
    let daemon = home.start().await;
    daemon.send("push-1", push("Fix")).await;
    let waits = eventually("the mails are shut out", std::time::Duration::from_secs(30), async || {
        let waiting = home.deliveries(Some(State::Waiting)).await;
        waiting.into_iter().find(|line| line.last_note.is_some())
    })
    .await;
    daemon.stop().await;
    let why = waits.last_note.unwrap_or_default();
    assert!(why.contains("535") && !why.contains("s3cret"), "{why}");
    assert_eq!(waits.attempts, 0, "a refused login is no attempt");
    assert_eq!(home.deliveries(Some(State::Waiting)).await.len(), 2, "nothing is lost");
    assert!(exim.delivered().is_empty());

    // A new start tries at once.
    let home = home.with(&["smtp.password=right-s3cret"]);
    let daemon = home.start().await;
    home.until(State::Delivered, 2).await;
    daemon.stop().await;
    assert_eq!(recipients_of(&exim.until_delivered(2).await), ["ada@example.com", "bob@example.com"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relays_certificate_is_verified_unless_the_operator_disables_it() {
    let exim = Exim::start(Access::Encrypted).await;
    let home = Home::new(&integrations("ada@example.com")).with(&[
        "smtp.host=localhost",
        &format!("smtp.port={}", exim.port),
        "smtp.tls=implicit",
        "mail.from=bell@forge.example.com",
    ]);
    let daemon = home.start().await;
    daemon.send("push-1", push("Fix")).await;
    let waits = eventually("the mail waits", std::time::Duration::from_secs(30), async || {
        let waiting = home.deliveries(Some(State::Waiting)).await;
        waiting.into_iter().find(|line| line.last_note.is_some())
    })
    .await;
    daemon.stop().await;
    let why = waits.last_note.unwrap_or_default();
    assert!(why.contains("UnknownIssuer") && why.contains("smtp.ca_file"), "{why}");
    assert!(exim.delivered().is_empty(), "nothing was shown to a stranger");

    time_passes(&home);
    let home = home.with(&[&format!("smtp.ca_file={}", exim.certificate())]);
    let daemon = home.start().await;
    home.until(State::Delivered, 1).await;
    daemon.stop().await;

    let home = home.with(&["smtp.ca_file=", "smtp.verify=false"]);
    let daemon = home.start().await;
    daemon.send("push-2", push("Again")).await;
    home.until(State::Delivered, 2).await;
    daemon.stop().await;
    exim.until_delivered(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_is_sent_again_after_a_broken_connection() {
    let faults =
        [Fault::AtOnce, Fault::AtRecipient, Fault::WithinContent, Fault::Closing, Fault::AfterTheDot];
    for fault in faults {
        let relay = Faulty::start(&[fault, fault]).await;
        let home = home("ada@example.com", relay.port);
        let daemon = home.start().await;
        daemon.send("push-1", push("Fix")).await;
        let delivered = home.until(State::Delivered, 1).await;
        daemon.stop().await;
        assert_eq!(relay.faults_left(), 0, "{fault:?}: it did break off");
        let taken = relay.taken();
        let said_yes = taken.iter().filter(|(_, said)| *said).count();
        assert_eq!(said_yes, 1, "{fault:?}: it was told once that it was taken, and then no more was sent");
        let expected = if fault == Fault::AfterTheDot { 3 } else { 1 };
        assert_eq!(taken.len(), expected, "{fault:?}");
        let ids: BTreeSet<&str> = taken.iter().map(|(letter, _)| letter.header("Message-ID")).collect();
        assert_eq!(ids.len(), 1, "{fault:?}: who got it twice can tell");
        assert_eq!(delivered[0].attempts, 3, "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_diff_of_a_push_is_requested_once_for_all_recipients() {
    let exim = Exim::start(Access::Open).await;
    let forge = Receiver::start().await;
    let diff = json!({
        "commits": [{"id": "da1560886d4f094c3e6c9ef40349f7d38b5d27d7", "title": "fixed readme"}],
        "diffs": [{"old_path": "README", "new_path": "README", "diff": "@@ -1 +1 @@\n-old\n+from the forge\n"}]
    });
    let compare =
        forge.at("/api/v4/projects/15/repository/compare").answer(Answer::ok().body(diff.to_string()));
    let home = home("ada@example.com bob@example.com cy@example.com dora@example.com", exim.port)
        .with(&[&format!("forge.api_url={}", forge.url("/api/v4")), "forge.token=glpat-0123456789"]);
    let daemon = home.start().await;
    daemon.send("push-1", payload("push.json")).await;
    home.until(State::Delivered, 4).await;
    daemon.stop().await;
    let asked = compare.received();
    assert_eq!(asked.len(), 1, "the answer serves all four");
    assert_eq!(asked[0].header("private-token"), Some("glpat-0123456789"));
    for letter in exim.until_delivered(4).await {
        assert!(letter.text.contains("+from the forge"), "{}", letter.text);
        assert!(!letter.text.contains("glpat"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_relay_mails_wait() {
    let home = Home::new(&integrations("ada@example.com"));
    let daemon = home.start().await;
    daemon.send("push-1", push("Fix")).await;
    let waits = eventually("the mail waits", std::time::Duration::from_secs(30), async || {
        let waiting = home.deliveries(Some(State::Waiting)).await;
        waiting.into_iter().find(|line| line.last_note.is_some())
    })
    .await;
    daemon.stop().await;
    assert!(waits.last_note.unwrap_or_default().contains("set smtp.host"));
    assert_eq!(waits.attempts, 0);
}

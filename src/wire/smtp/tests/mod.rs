//! Mail through a scripted relay.

mod letters;
mod scripted;

use std::time::Duration;

use super::super::SendError;
use super::{Config, Relay, Tls};
use crate::call::{Mail, Mailbox, SmtpReply, SmtpStage};
use crate::settings::Secret;
use scripted::{Act, Scripted};

fn config(relay: &Scripted) -> Config {
    Config {
        host: "127.0.0.1".to_owned(),
        port: relay.port,
        tls: Tls::None,
        hello_name: "bell.example".to_owned(),
        ..Config::default()
    }
}

fn relay(config: Config) -> Relay {
    Relay::new(config).unwrap()
}

fn mail() -> Mail {
    Mail {
        sender: "bounces@forge.example".to_owned(),
        from: Mailbox { name: "Forgebell".to_owned(), address: "bell@forge.example".to_owned() },
        reply_to: None,
        to: "ada@example.com".to_owned(),
        subject: "[Git][acme/web][main] Fix it".to_owned(),
        message_id: "<01912d68@forge.example>".to_owned(),
        thread: Some("<push.15.abc@forge.example>".to_owned()),
        date: "2026-11-20T10:00:00Z".parse().unwrap(),
        headers: vec![("Auto-Submitted", "auto-generated".to_owned())],
        text: "Hello\n.\n.dot\n".to_owned(),
        html: "<p>Hello</p>".to_owned(),
    }
}

#[tokio::test]
async fn a_mail_is_sent_as_smtp_demands() {
    let scripted = Scripted::start(|_, _| None).await;
    let reply = relay(config(&scripted)).send(&mail()).await.unwrap();
    assert_eq!(reply, SmtpReply { stage: SmtpStage::Content, code: 250, text: "2.0.0 fine".to_owned() });
    assert_eq!(
        scripted.heard(0)[..4],
        ["EHLO bell.example", "MAIL FROM:<bounces@forge.example>", "RCPT TO:<ada@example.com>", "DATA"]
    );
    let content = scripted.contents().remove(0);
    assert!(content.contains("\r\nMessage-ID: <01912d68@forge.example>\r\n"), "{content}");
    assert!(
        content.contains("\r\n..\r\n..dot\r\n"),
        "dots at the beginning of a line are doubled: {content}"
    );
}

#[tokio::test]
async fn every_refusal_names_its_stage() {
    let table = [
        ("greeting", SmtpStage::Greeting, 554),
        ("EHLO", SmtpStage::Greeting, 550),
        ("MAIL", SmtpStage::Sender, 550),
        ("RCPT", SmtpStage::Recipient, 451),
        ("DATA", SmtpStage::Data, 554),
        (".", SmtpStage::Content, 552),
    ];
    for (at, stage, code) in table {
        let scripted = Scripted::start(move |_, said| {
            let class = code / 100;
            let answer = format!("{code}-{class}.0.0 no\r\n{code} {class}.0.0 never");
            said.starts_with(at).then_some(Act::Say(answer))
        })
        .await;
        let reply = relay(config(&scripted)).send(&mail()).await.unwrap();
        assert_eq!((reply.stage, reply.code), (stage, code), "{at}");
        assert_eq!(reply.text, format!("{}.0.0 no never", code / 100), "both lines, and one code: {at}");
    }
}

#[tokio::test]
async fn a_connection_lost_before_the_final_dot_means_not_sent_and_after_it_perhaps_sent() {
    for at in ["greeting", "EHLO", "MAIL", "RCPT", "DATA"] {
        let scripted = Scripted::start(move |_, said| said.starts_with(at).then_some(Act::Close)).await;
        let sent = relay(config(&scripted)).send(&mail()).await;
        assert!(matches!(sent, Err(SendError::NotSent(_))), "{at}: {sent:?}");
    }
    let scripted = Scripted::start(|_, said| (said == "DATA").then_some(Act::CloseWithin(1000))).await;
    let large = Mail { text: "x".repeat(70).repeat(300_000), ..mail() };
    let sent = relay(config(&scripted)).send(&large).await;
    assert!(matches!(sent, Err(SendError::NotSent(_))), "in the middle: {sent:?}");

    let scripted = Scripted::start(|_, said| (said == ".").then_some(Act::Close)).await;
    let sent = relay(config(&scripted)).send(&mail()).await;
    let Err(SendError::NoAnswer(why)) = sent else { panic!("{sent:?}") };
    assert_eq!(why, "the mail relay was lost at the message: the connection was closed");
}

#[tokio::test]
async fn a_silent_relay_is_waited_for_as_long_as_configured() {
    for (at, taken) in [("RCPT", false), (".", true)] {
        let scripted = Scripted::start(move |_, said| said.starts_with(at).then_some(Act::Hang)).await;
        let quick = Duration::from_millis(100);
        let config = Config { command_timeout: quick, content_timeout: quick, ..config(&scripted) };
        let sent = relay(config).send(&mail()).await;
        assert_eq!(matches!(sent, Err(SendError::NoAnswer(_))), taken, "{at}: {sent:?}");
        assert!(sent.unwrap_err().to_string().ends_with("nothing within 100ms"), "{at}");
    }
}

#[tokio::test]
async fn a_refused_connection_means_not_sent() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let config = Config { host: "127.0.0.1".to_owned(), port, tls: Tls::None, ..Config::default() };
    let sent = relay(config).send(&mail()).await;
    let expected = format!("could not connect to the mail relay 127.0.0.1:{port}: connection refused");
    assert_eq!(sent, Err(SendError::NotSent(expected)));
}

#[tokio::test]
async fn one_connection_takes_a_limited_number_of_mails() {
    let scripted = Scripted::start(|_, _| None).await;
    let relay = relay(Config { mails_per_connection: 2, ..config(&scripted) });
    for _ in 0..3 {
        relay.send(&mail()).await.unwrap();
    }
    assert_eq!(scripted.connections(), 2);
    let first = scripted.heard(0);
    assert_eq!(first.iter().filter(|said| said.starts_with("MAIL")).count(), 2);
    assert_eq!(first.last().unwrap(), "QUIT");
}

#[tokio::test]
async fn after_a_refusal_the_connection_is_reset_and_used_again() {
    let scripted = Scripted::start(|_, said| {
        said.starts_with("RCPT TO:<gone@").then(|| Act::Say("550 5.1.1 who?".to_owned()))
    })
    .await;
    let relay = relay(config(&scripted));
    let refused = relay.send(&Mail { to: "gone@example.com".to_owned(), ..mail() }).await.unwrap();
    assert_eq!((refused.stage, refused.code), (SmtpStage::Recipient, 550));
    assert_eq!(relay.send(&mail()).await.unwrap().code, 250);
    assert_eq!(scripted.connections(), 1);
    assert!(scripted.heard(0).contains(&"RSET".to_owned()));
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_replaced_at_once() {
    for goodbye in [Act::Close, Act::Say("421 4.4.2 idle for too long".to_owned())] {
        let scripted = Scripted::start(move |seen, said| {
            let second = said.starts_with("MAIL") && seen.mails == 1 && seen.connection == 0;
            second.then(|| goodbye.clone())
        })
        .await;
        let relay = relay(config(&scripted));
        relay.send(&mail()).await.unwrap();
        assert_eq!(relay.send(&mail()).await.map(|reply| reply.code), Ok(250));
        assert_eq!(scripted.connections(), 2);
        assert_eq!(scripted.contents().len(), 2, "each was taken once");
    }
}

#[tokio::test]
async fn there_are_never_more_connections_than_allowed() {
    let scripted = Scripted::start(|_, _| None).await;
    let relay = relay(Config { connections: 2, mails_per_connection: 1, ..config(&scripted) });
    let mail = mail();
    let sent = futures_util::future::join_all((0..20).map(|_| relay.send(&mail))).await;
    assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    assert!(scripted.most_at_once() <= 2, "{}", scripted.most_at_once());
    assert_eq!(scripted.contents().len(), 20);
}

#[tokio::test]
async fn an_idle_connection_is_closed_with_quit() {
    let scripted = Scripted::start(|_, _| None).await;
    let relay = relay(Config { idle_timeout: Duration::from_millis(50), ..config(&scripted) });
    relay.send(&mail()).await.unwrap();
    scripted.until(|books| books.heard[0].last().is_some_and(|said| said == "QUIT")).await;
}

#[tokio::test]
async fn without_a_relay_a_mail_is_an_operator_error() {
    let sent = relay(Config::default()).send(&mail()).await;
    assert_eq!(sent, Err(SendError::OperatorError("there is no mail relay: set smtp.host".to_owned())));
}

#[tokio::test]
async fn a_relay_without_the_configured_encryption_is_not_used() {
    let scripted = Scripted::start(|_, _| None).await;
    let sent = relay(Config { tls: Tls::Starttls, ..config(&scripted) }).send(&mail()).await;
    let Err(SendError::OperatorError(why)) = sent else { panic!("{sent:?}") };
    assert!(why.contains("does not offer STARTTLS"), "{why}");
    assert_eq!(scripted.heard(0)[0], "EHLO bell.example", "and no mail was begun");
    assert!(!scripted.heard(0).iter().any(|said| said.starts_with("MAIL")));
}

fn with_login(scripted: &Scripted) -> Config {
    Config { username: "bell".to_owned(), password: Secret::new("hunter2-s3cret"), ..config(scripted) }
}

#[tokio::test]
async fn on_this_machine_it_logs_in_without_encryption() {
    let scripted = Scripted::start(|_, said| match said {
        _ if said.starts_with("EHLO") => Some(Act::Say("250-relay\r\n250 AUTH PLAIN LOGIN".to_owned())),
        _ if said.starts_with("AUTH") => Some(Act::Say("235 2.7.0 welcome".to_owned())),
        _ => None,
    })
    .await;
    assert_eq!(relay(with_login(&scripted)).send(&mail()).await.unwrap().code, 250);
    assert!(scripted.heard(0)[1].starts_with("AUTH PLAIN "));
}

#[tokio::test]
async fn a_refused_login_is_remembered_and_never_shows_the_password() {
    let scripted = Scripted::start(|_, said| match said {
        _ if said.starts_with("EHLO") => Some(Act::Say("250-relay\r\n250 AUTH PLAIN".to_owned())),
        _ if said.starts_with("AUTH") => {
            Some(Act::Say(format!("535 5.7.8 no to hunter2-s3cret, as in {said}")))
        }
        _ => None,
    })
    .await;
    let relay = relay(with_login(&scripted));
    for _ in 0..5 {
        let reply = relay.send(&mail()).await.unwrap();
        assert_eq!((reply.stage, reply.code), (SmtpStage::Login, 535));
        assert_eq!(reply.text, "5.7.8 no to ************, as in AUTH PLAIN ************");
    }
    assert_eq!(scripted.connections(), 1, "hundreds of mails make no more than one connection");
    assert!(!format!("{relay:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_relay_that_offers_no_supported_login_is_an_operator_error() {
    let scripted = Scripted::start(|_, _| None).await;
    let sent = relay(with_login(&scripted)).send(&mail()).await;
    let Err(SendError::OperatorError(why)) = sent else { panic!("{sent:?}") };
    assert!(why.contains("offers no supported login"), "{why}");
}

#[test]
fn authorities_that_cannot_be_read_are_named() {
    for (path, why) in [("/nonexistent/ca.pem", "No such file"), ("/dev/null", "no PEM certificate")] {
        let config =
            Config { host: "relay.example".to_owned(), ca_file: Some(path.into()), ..Config::default() };
        let error = Relay::new(config).unwrap_err().to_string();
        assert!(error.contains("smtp.ca_file") && error.contains(why), "{error}");
    }
}

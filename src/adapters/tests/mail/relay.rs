//! The relay: the consequence of its replies, and its pace.

use std::time::Duration;

use super::{PIPELINES, PUSH, buckets, entry, settings};
use crate::adapters::mail::replies;
use crate::adapters::tests::consequence;
use crate::call::{Answer, Failure, SmtpReply, SmtpStage};

/// wire-email.md, "Reply classes"; RFC 5321 (4.2.3) and RFC 3463 for the codes.
#[test]
fn every_reply_has_its_consequence() {
    use SmtpStage::{Content, Data, Greeting, Login, Recipient, Sender};
    let table = [
        (Content, 250, "2.0.0 Ok: queued", "taken"),
        (Greeting, 421, "4.3.2 too busy", "unavailable"),
        (Greeting, 554, "no SMTP service here", "operator_error"),
        (Greeting, 521, "host does not accept mail", "operator_error"),
        (Greeting, 454, "4.7.0 TLS not available", "unavailable"),
        (Login, 535, "5.7.8 bad credentials", "operator_error"),
        (Login, 534, "5.7.9 mechanism too weak", "operator_error"),
        (Login, 538, "5.7.11 encryption required", "operator_error"),
        (Login, 454, "4.7.0 temporary authentication failure", "unavailable"),
        (Sender, 530, "5.7.0 must issue STARTTLS first", "operator_error"),
        (Sender, 550, "5.7.1 not your domain", "operator_error"),
        (Sender, 553, "5.1.8 sender unknown", "operator_error"),
        (Sender, 451, "4.3.0 try later", "unavailable"),
        (Sender, 552, "5.3.4 too large", "rejected"),
        (Sender, 552, "message size exceeds the limit", "rejected"),
        (Recipient, 450, "4.2.1 mailbox busy", "deferred 300"),
        (Recipient, 451, "4.7.1 greylisted", "deferred 300"),
        (Recipient, 452, "4.2.2 over quota", "deferred 1800"),
        (Recipient, 452, "4.5.3 too many recipients", "deferred 1800"),
        (Recipient, 552, "5.2.2 mailbox full", "deferred 1800"),
        (Recipient, 421, "4.7.0 closing", "unavailable"),
        (Recipient, 550, "5.1.1 no such user", "misconfigured"),
        (Recipient, 551, "5.1.6 moved", "misconfigured"),
        (Recipient, 553, "5.1.3 bad syntax", "misconfigured"),
        (Recipient, 554, "5.7.1 relay access denied", "misconfigured"),
        (Recipient, 552, "5.3.4 message too big for this recipient", "rejected"),
        (Recipient, 556, "5.1.10 accepts no mail", "misconfigured"),
        (Recipient, 530, "5.7.0 authentication required", "operator_error"),
        (Data, 554, "5.5.1 no valid recipients", "misconfigured"),
        (Data, 554, "5.6.0 bad content", "rejected"),
        (Data, 451, "4.3.0 local error", "unavailable"),
        (Content, 421, "4.4.2 timeout", "unavailable"),
        (Content, 451, "4.3.0 local error", "unavailable"),
        (Content, 451, "4.7.1 greylisted", "deferred 300"),
        (Content, 452, "4.3.1 storage full", "unavailable"),
        (Content, 452, "4.2.2 over quota", "deferred 1800"),
        (Content, 550, "5.7.1 spam", "rejected"),
        (Content, 554, "5.7.26 DMARC", "rejected"),
        (Content, 552, "5.3.4 too large", "rejected"),
        (Content, 552, "5.2.2 mailbox full", "deferred 1800"),
        (Sender, 354, "what?", "unavailable"),
    ];
    for (stage, code, text, expected) in table {
        let reply = SmtpReply { stage, code, text: text.to_owned() };
        let answer = replies::read(&reply);
        let consequence = match &answer {
            Answer::Failed(Failure::TemporarilyRejected { wait, .. }) => {
                format!("deferred {}", wait.map_or(0, |wait: Duration| wait.as_secs()))
            }
            other => consequence(other).to_owned(),
        };
        assert_eq!(consequence, expected, "{reply:?}");
        if let Answer::Failed(failure) = answer {
            assert!(failure.why().contains(&code.to_string()) && failure.why().contains(text), "{failure}");
            assert!(
                !matches!(failure, Failure::Unavailable { maybe_taken: true, .. }),
                "a reply leaves no doubt"
            );
        }
    }
}

#[test]
fn all_mails_share_one_relay() {
    let bucket = |slug: &str| buckets(entry(slug), &settings(slug, &[]), "ada@example.com").remove(0);
    assert_eq!(bucket(PUSH), bucket(PIPELINES));
    assert_eq!((bucket(PUSH).every.as_millis(), bucket(PUSH).burst), (100, 20));
}

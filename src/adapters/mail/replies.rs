//! The consequences of the relay's replies (RFC 5321, section 4.2; RFC 3463 for the codes in the text).

use std::time::Duration;

use crate::call::{Answer, Failure, Sent, SmtpReply, SmtpStage};

/// Greylisting usually accepts a mail after about this time.
const GREYLISTED: Duration = Duration::from_secs(5 * 60);
/// The wait for a full mailbox, whose owner may delete mails.
const FULL: Duration = Duration::from_secs(30 * 60);

/// The remedy for a recipient that the relay refuses.
const CORRECT_ADDRESS: &str = "correct the address in `recipients`, or remove it";

/// The result of a mail, from the reply that decided it.
pub fn read(reply: &SmtpReply) -> Answer<Sent> {
    let why = reply.describe();
    let enhanced = reply.enhanced().unwrap_or_default();
    let is_full = matches!(enhanced, "4.2.2" | "5.2.2");
    // These codes concern only this recipient, at any stage of the session.
    let is_their_own = enhanced.starts_with("4.2.") || enhanced == "4.7.1";
    let deferred = |wait| Failure::TemporarilyRejected { wait: Some(wait), why: why.clone() };
    let down = || Failure::Unavailable { maybe_taken: false, wait: None, why: why.clone() };
    Answer::Failed(match (reply.stage, reply.code) {
        (SmtpStage::Content, 200..=299) => return Answer::Done(Sent),
        (_, 421) => down(),
        // "Too large" concerns only this mail.
        (SmtpStage::Sender, 500..=599) if enhanced == "5.3.4" || reply.code == 552 => Failure::Rejected(why),
        // The relay requires a login, another login or encryption, or it refuses the daemon or its sender address. This
        // affects every mail.
        (_, 530 | 534 | 535 | 538)
        | (SmtpStage::Greeting | SmtpStage::Login | SmtpStage::Sender, 500..=599) => {
            Failure::OperatorError(why)
        }
        (SmtpStage::Recipient, 452) => deferred(FULL),
        (SmtpStage::Recipient | SmtpStage::Content, 400..=599) if is_full => deferred(FULL),
        (SmtpStage::Recipient, 400..=499) => deferred(GREYLISTED),
        (SmtpStage::Data | SmtpStage::Content, 400..=499) if is_their_own => deferred(GREYLISTED),
        (SmtpStage::Recipient, 500..=599) if enhanced == "5.3.4" => Failure::Rejected(why),
        // The relay refuses this recipient, whatever the mail says: an unknown user, a bad address, a domain that it does
        // not send to. The mails wait; each would be refused like this one.
        (SmtpStage::Recipient, 500..=599) => Failure::Misconfigured(format!("{why}; {CORRECT_ADDRESS}")),
        (SmtpStage::Data, 500..=599) if enhanced == "5.5.1" => {
            Failure::Misconfigured(format!("{why}; {CORRECT_ADDRESS}"))
        }
        (_, 500..=599) => Failure::Rejected(why),
        // Any 4yz reply, and replies that a relay should not send.
        _ => down(),
    })
}

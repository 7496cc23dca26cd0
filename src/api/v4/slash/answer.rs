//! The texts of the answers to commands, in the markup that Slack and Mattermost share. Pure.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::api::resources::CommandAnswer;

/// How many failures a status lists.
pub(super) const FAILURES: usize = 5;
/// Characters of a reason that a status shows.
const REASON: usize = 120;

/// An answer that only the user of the command sees.
pub(super) fn to_asker(text: &str) -> CommandAnswer {
    CommandAnswer { response_type: "ephemeral", text: text.to_owned() }
}

/// One of a project's integrations in the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) title: &'static str,
    pub(super) active: bool,
    /// The service's answer, if it reported one of the addresses as dead.
    pub(super) dead: Option<String>,
    /// Empty means the address's own channel.
    pub(super) channels: Vec<String>,
    /// Kinds of event, by name.
    pub(super) events: Vec<&'static str>,
    pub(super) inherited: bool,
}

/// A delivery that was given up, or whose attempts fail at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) at: Timestamp,
    pub(super) title: &'static str,
    pub(super) target: String,
    pub(super) subject: String,
    pub(super) reason: String,
    /// Whether the delivery is tried again.
    pub(super) waits: bool,
}

/// Something that gets nothing for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) title: &'static str,
    pub(super) targets: Vec<String>,
    /// Why, in a word: `throttled`.
    pub(super) cause: &'static str,
    pub(super) reason: String,
    pub(super) since: Timestamp,
    pub(super) until: Option<Timestamp>,
    /// Messages that wait.
    pub(super) waiting: u64,
    /// The operator's command that helps.
    pub(super) command: String,
}

/// A channel that is muted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Muted {
    pub(super) channel: String,
    pub(super) until: Timestamp,
    pub(super) by: String,
}

pub(super) fn help(command: &str, forwards: bool) -> String {
    let mut text = format!(
        "*{0}* controls this project's notifications:\n\
         • `{0} status`: shows what is sent where, and what failed lately\n\
         • `{0} mute 1h`: mutes this channel for an hour (at most for a week)\n\
         • `{0} unmute`: ends the mute\n\
         • `{0} test`: sends a test message to this channel\n\
         • `{0} issue show ABC-12`: shows where the issue is, in the external issue tracker or in the forge\n\
         • `{0} issue new TITLE`: shows where to write a new issue",
        plain(command)
    );
    if forwards {
        text.push_str("\nAll other commands are forwarded to the forge.");
    }
    text
}

pub(super) fn status(
    project: &str,
    lines: &[Line],
    held: &[Held],
    failures: &[Failure],
    muted: &[Muted],
) -> String {
    let mut text = String::new();
    if lines.is_empty() {
        let _ = writeln!(text, "{} sends no notifications.", plain(project));
    } else {
        let _ = writeln!(text, "*{}* sends:", plain(project));
    }
    for line in lines {
        let where_to = match line.channels.as_slice() {
            [] => String::new(),
            channels => format!(" to {}", plain(&channels.join(", "))),
        };
        let inherited = if line.inherited { " (as set for its group or for everyone)" } else { "" };
        let what =
            if line.active { line.events.join(", ").replace('_', " ") } else { "switched off".to_owned() };
        let dead = line.dead.as_ref().map(|why| format!("; an address is dead: {}", cut(&plain(why))));
        let dead = dead.unwrap_or_default();
        let _ = writeln!(text, "• {}{where_to}{inherited}: {what}{dead}", line.title);
    }
    for muted in muted {
        let until = moment(muted.until);
        let _ = writeln!(text, "Muted until {until} in {}, by {}.", plain(&muted.channel), plain(&muted.by));
    }
    for held in held {
        let _ = writeln!(text, "{}", held_line(held));
    }
    if failures.is_empty() {
        text.push_str("Nothing failed lately.");
        return text;
    }
    text.push_str("Failed lately:\n");
    for failure in failures.iter().take(FAILURES) {
        let fate = if failure.waits { "tried again" } else { "given up" };
        let target =
            if failure.target.is_empty() { String::new() } else { format!(" {}", plain(&failure.target)) };
        let _ = writeln!(
            text,
            "• {}, {}{target}, {}: {} ({fate})",
            moment(failure.at),
            failure.title,
            plain(&failure.subject),
            cut(&plain(&failure.reason))
        );
    }
    text.truncate(text.trim_end().len());
    text
}

/// Where an issue is. `place` is the tracker's name for people.
pub(super) fn issue(name: &str, place: &str, url: &str) -> String {
    format!("{} in {}: {}", plain(name), plain(place), address(url))
}

/// Where to write a new issue.
pub(super) fn new_issue(place: &str, url: &str) -> String {
    format!("Write the new issue in {}: {}", plain(place), address(url))
}

/// The tracker has no issue of this name.
pub(super) fn no_such_issue(name: &str, place: &str) -> String {
    format!(
        "{} has no issues called {}: type `issue show` with a number or a name such as ABC-12.",
        plain(place),
        plain(name)
    )
}

/// An address as both services link it. It must not be changed as other text is.
fn address(url: &str) -> String {
    format!("<{}>", url.replace('&', "&amp;").replace('<', "%3C").replace('>', "%3E"))
}

fn held_line(held: &Held) -> String {
    let Held { title, targets, cause, reason, since, until, waiting, command } = held;
    let targets =
        if targets.is_empty() { String::new() } else { format!(" to {}", plain(&targets.join(", "))) };
    let next = until.map_or_else(
        || "nothing is sent until that is corrected".to_owned(),
        |until| format!("next attempt {}", moment(until)),
    );
    // Where the service itself asked for the wait, no command shortens it.
    let effect = if ["throttled", "quota"].contains(cause) { "shows what waits" } else { "helps" };
    let (cause, since) = (cause.replace('_', " "), moment(*since));
    let reason = cut(&plain(reason));
    let command = plain(command);
    format!(
        "{title}{targets} waits since {since} ({cause}): {reason}; {waiting} waiting, {next}. `{command}` {effect}."
    )
}

pub(super) fn muted(channel: &str, service: &str, until: Timestamp, command: &str) -> String {
    let command = plain(command);
    format!(
        "{service} of this project are muted in {} until {}. `{command} unmute` ends the mute.",
        plain(channel),
        moment(until)
    )
}

pub(super) fn unmuted(channel: &str, was_muted: bool) -> String {
    let channel = plain(channel);
    if was_muted { format!("{channel} is not muted any more.") } else { format!("{channel} was not muted.") }
}

pub(super) fn test_failed(why: &str) -> String {
    format!("The test failed: {}", cut(&plain(why)))
}

/// `2026-11-25 14:05 UTC`
fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn cut(text: &str) -> String {
    if text.chars().count() <= REASON {
        return text.to_owned();
    }
    let kept: String = text.chars().take(REASON - 1).collect();
    format!("{}…", kept.trim_end())
}

/// Text of other people on one line, without mentions and formatting.
fn plain(words: &str) -> String {
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let harmless = line.chars().filter(|letter| !letter.is_control()).flat_map(|letter| match letter {
        '&' => "&amp;".chars().collect::<Vec<_>>(),
        '<' => "&lt;".chars().collect(),
        '>' => "&gt;".chars().collect(),
        '*' | '_' | '~' | '`' => vec!['\u{200b}', letter],
        // A zero-width space after the `@` keeps `@channel` from notifying everyone.
        '@' => vec!['@', '\u{200b}'],
        other => vec![other],
    });
    harmless.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::constant(1_768_469_400, 0);

    fn slack() -> Line {
        Line {
            title: "Slack notifications",
            active: true,
            dead: None,
            channels: vec!["#ops".to_owned(), "#dev".to_owned()],
            events: vec!["push", "tag_push"],
            inherited: false,
        }
    }

    #[test]
    fn a_status_says_what_goes_where_and_what_failed() {
        let failure = Failure {
            at: AT,
            title: "Slack notifications",
            target: "#ops".to_owned(),
            subject: "merge_request:1".to_owned(),
            reason: "answered 404: no_service".to_owned(),
            waits: false,
        };
        let muted = Muted { channel: "#dev".to_owned(), until: AT, by: "@ada".to_owned() };
        let held = Held {
            title: "Slack notifications",
            targets: vec!["#ops".to_owned()],
            cause: "misconfigured",
            reason: "answered 404: channel_not_found".to_owned(),
            since: AT,
            until: Some(AT),
            waiting: 3,
            command: "forgebell integrations test 42:slack".to_owned(),
        };
        let off = Line { active: false, channels: Vec::new(), inherited: true, ..slack() };
        let dead = Line { active: false, dead: Some("answered 404: no_service".to_owned()), ..slack() };
        let text = status("acme/rocket", &[slack(), off, dead], &[held], &[failure], &[muted])
            .replace('\u{200b}', "");
        assert_eq!(
            text,
            "*acme/rocket* sends:\n\
             • Slack notifications to #ops, #dev: push, tag push\n\
             • Slack notifications (as set for its group or for everyone): switched off\n\
             • Slack notifications to #ops, #dev: switched off; an address is dead: answered 404: no_service\n\
             Muted until 2026-01-15 09:30 UTC in #dev, by @ada.\n\
             Slack notifications to #ops waits since 2026-01-15 09:30 UTC (misconfigured): answered 404: \
             channel_not_found; 3 waiting, next attempt 2026-01-15 09:30 UTC. \
             `forgebell integrations test 42:slack` helps.\n\
             Failed lately:\n\
             • 2026-01-15 09:30 UTC, Slack notifications #ops, merge_request:1: answered 404: no_service (given up)"
        );
    }

    #[test]
    fn a_status_without_integrations_and_failures_says_so() {
        assert_eq!(
            status("acme/rocket", &[], &[], &[], &[]),
            "acme/rocket sends no notifications.\nNothing failed lately."
        );
    }

    #[test]
    fn an_issue_is_shown_with_its_address_as_it_is() {
        assert_eq!(
            issue("ABC-12", "Our <Redmine>", "https://r.example/a_b/issues/12?x=1&y=*"),
            "ABC-12 in Our &lt;Redmine&gt;: <https://r.example/a_b/issues/12?x=1&amp;y=*>"
        );
        assert_eq!(
            new_issue("the forge", "https://f.example/new"),
            "Write the new issue in the forge: <https://f.example/new>"
        );
        assert!(no_such_issue("<!here>", "Jira").starts_with("Jira has no issues called &lt;!here&gt;:"));
    }

    #[test]
    fn text_of_other_people_is_shown_without_mentions_and_formatting() {
        let text = plain("<!channel> @here *bold* `code` a\nb\u{7}");
        assert!(!text.contains("<!") && !text.contains("@here") && !text.contains('\n'), "{text:?}");
        assert_eq!(text.replace('\u{200b}', ""), "&lt;!channel&gt; @here *bold* `code` a b");
        assert!(cut(&"x".repeat(500)).chars().count() <= REASON);
        let failed = test_failed("rejected: <!channel> no_text");
        assert_eq!(failed, "The test failed: rejected: &lt;!channel&gt; no\u{200b}_text");
    }
}

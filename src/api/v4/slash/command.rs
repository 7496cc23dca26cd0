//! Parses a slash command. Pure.

use jiff::SignedDuration;

/// The default length of a mute is an hour, and the largest is a week. For longer, the integration should be switched off
/// in its settings, where everyone can see it.
const MUTE: SignedDuration = SignedDuration::from_hours(1);
const LONGEST_MUTE: SignedDuration = SignedDuration::from_hours(24 * 7);
const SHORTEST_MUTE: SignedDuration = SignedDuration::from_mins(1);

/// A parsed command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Help,
    /// Shows the project's integrations and targets, and recent failures.
    Status,
    /// Mutes this channel for this time.
    Mute(SignedDuration),
    Unmute,
    /// Sends a test message to this channel.
    Test,
    /// Shows where an issue is, named as people name it: `12`, `#12`, `ABC-12`, `bug 12`. All that was typed is kept,
    /// since what a name is depends on the tracker.
    ShowIssue(String),
    /// Shows where to write a new issue.
    NewIssue(NewIssue),
    /// A command that the forge may know.
    Other,
    /// A known command with invalid arguments; the text says what to type instead.
    Invalid(String),
}

/// The typed title and description of a new issue. Either may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NewIssue {
    pub(super) title: String,
    /// The lines below the title.
    pub(super) description: String,
}

impl Command {
    pub(super) fn parse(text: &str) -> Self {
        if let Some(command) = issue(text) {
            return command;
        }
        let mut words = text.split_whitespace();
        let first = words.next().unwrap_or("help").to_lowercase();
        let rest = words.collect::<Vec<_>>().join(" ");
        let alone = |command: Self| {
            if rest.is_empty() {
                command
            } else {
                Self::Invalid(format!("`{first}` takes no arguments: type `{first}`"))
            }
        };
        match first.as_str() {
            "help" => Self::Help,
            "status" => alone(Self::Status),
            "unmute" => alone(Self::Unmute),
            "test" => alone(Self::Test),
            "mute" if rest.is_empty() => Self::Mute(MUTE),
            "mute" => mute(&rest),
            _ => Self::Other,
        }
    }
}

/// `issue show 5` and `issue new TITLE`, in GitLab's grammar: `create` means `new`, and the lines below a title are the
/// description. GitLab's other commands for issues are the forge's.
fn issue(text: &str) -> Option<Command> {
    let (issue, rest) = word(text)?;
    let (verb, rest) = word(rest)?;
    if !issue.eq_ignore_ascii_case("issue") {
        return None;
    }
    match verb.to_lowercase().as_str() {
        "show" => Some(match rest.trim() {
            "" => Command::Invalid(
                "`issue show` needs an issue: type `issue show 12` or `issue show ABC-12`".to_owned(),
            ),
            name => Command::ShowIssue(name.to_owned()),
        }),
        "new" | "create" => {
            let (title, description) = rest.trim().split_once('\n').unwrap_or((rest.trim(), ""));
            let [title, description] = [title, description].map(|text| text.trim().to_owned());
            Some(Command::NewIssue(NewIssue { title, description }))
        }
        _ => None,
    }
}

/// The first word, and what follows it.
fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

fn mute(words: &str) -> Command {
    let words = words.strip_prefix("for ").unwrap_or(words);
    let duration = words.parse::<SignedDuration>().ok();
    match duration {
        Some(duration) if (SHORTEST_MUTE..=LONGEST_MUTE).contains(&duration) => Command::Mute(duration),
        Some(_) => Command::Invalid("a mute can last from a minute to a week: type `mute 2h`".to_owned()),
        None => {
            Command::Invalid("this is not a duration: type `mute 30m`, `mute 2h` or `mute 1h 30m`".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_known_in_any_case_and_with_any_spaces() {
        for (text, command) in [
            ("", Command::Help),
            ("  HELP ", Command::Help),
            ("help me", Command::Help),
            ("Status", Command::Status),
            ("unmute", Command::Unmute),
            ("test", Command::Test),
            ("mute", Command::Mute(SignedDuration::from_hours(1))),
            ("mute 30m", Command::Mute(SignedDuration::from_mins(30))),
            ("Mute  for 1h 30m", Command::Mute(SignedDuration::from_mins(90))),
            ("mute 168h", Command::Mute(SignedDuration::from_hours(168))),
            ("issue show 7", Command::ShowIssue("7".to_owned())),
            (" Issue  Show\n#7 please", Command::ShowIssue("#7 please".to_owned())),
            ("issue show work item 12", Command::ShowIssue("work item 12".to_owned())),
            ("issue show ABC-12", Command::ShowIssue("ABC-12".to_owned())),
            ("issue new", Command::NewIssue(NewIssue::default())),
            ("issue close 7", Command::Other),
            ("issue search login", Command::Other),
            ("issue", Command::Other),
            ("issues show 7", Command::Other),
            ("incident declare", Command::Other),
            ("deploy staging to production", Command::Other),
        ] {
            assert_eq!(Command::parse(text), command, "{text:?}");
        }
    }

    #[test]
    fn a_new_issue_has_a_title_and_below_it_a_description() {
        for (text, title, description) in [
            ("issue new The door  is open", "The door  is open", ""),
            ("issue create The door\n\nIt is *open*.\nWhy? ", "The door", "It is *open*.\nWhy?"),
            ("issue new\nThe door", "The door", ""),
        ] {
            let [title, description] = [title, description].map(str::to_owned);
            assert_eq!(Command::parse(text), Command::NewIssue(NewIssue { title, description }), "{text:?}");
        }
    }

    #[test]
    fn invalid_arguments_are_answered_with_a_valid_command() {
        for (text, instead) in [
            ("mute forever", "mute 2h"),
            ("mute 169h", "mute 2h"),
            ("mute 1s", "mute 2h"),
            ("mute -1h", "mute 2h"),
            ("status of everything", "type `status`"),
            ("unmute all", "type `unmute`"),
            ("issue show ", "type `issue show 12`"),
        ] {
            let Command::Invalid(words) = Command::parse(text) else { panic!("{text:?} was understood") };
            assert!(words.contains(instead), "{text:?}: {words}");
        }
    }
}

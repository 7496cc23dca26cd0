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
    /// Shows what this project sends where, and what failed lately.
    Status,
    /// Mutes this channel for this time.
    Mute(SignedDuration),
    Unmute,
    /// Sends a test message to this channel.
    Test,
    /// A command that the forge may know.
    Other,
    /// A known command with invalid arguments; the text says what to type instead.
    Invalid(String),
}

impl Command {
    pub(super) fn parse(text: &str) -> Self {
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
            ("issue show 7", Command::Other),
            ("deploy staging to production", Command::Other),
        ] {
            assert_eq!(Command::parse(text), command, "{text:?}");
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
        ] {
            let Command::Invalid(words) = Command::parse(text) else { panic!("{text:?} was understood") };
            assert!(words.contains(instead), "{text:?}: {words}");
        }
    }
}

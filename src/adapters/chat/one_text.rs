//! A message as one text, for services that show only text: the summary, the parts below it, and the fields with more
//! details. This module is not an adapter.

use crate::message::{Body, Field, Message, Text};

/// The whole message. The first line is the summary; commits, people's own words and fields follow, each on lines of their
/// own.
pub(super) fn one_text(message: &Message) -> Text {
    let text = match &message.body {
        Body::None => message.summary.clone(),
        Body::Lines(lines) => {
            lines.iter().fold(message.summary.clone(), |text, line| text.plain("\n").then(line.clone()))
        }
        Body::Prose(prose) => message.summary.clone().plain("\n").then(prose.clone()),
    };
    let said = |field: &Field| field.value.0.iter().all(|span| message.summary.0.contains(span));
    let more = message.fields.iter().filter(|field| !said(field));
    more.fold(text, |text, field| {
        text.plain("\n").bold(format!("{}:", field.name)).plain(" ").then(field.value.clone())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Trigger, sample};
    use crate::message::{Markup, compose};

    fn lines(trigger: Trigger) -> Vec<String> {
        let message = compose(&sample(trigger)).expect("a message");
        Markup::Plain.render(&one_text(&message)).lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_summary_comes_first_and_the_commits_each_on_a_line() {
        let lines = lines(Trigger::Push);
        assert!(lines[0].starts_with("Ada Lovelace (ada) pushed "), "{lines:?}");
        assert!(lines.len() > 1 && lines[1..].iter().all(|line| line.contains("/-/commit/")), "{lines:?}");
    }

    #[test]
    fn a_field_that_the_summary_contains_is_not_repeated() {
        let lines = lines(Trigger::Pipeline);
        assert!(lines[0].contains(" of branch "), "{lines:?}");
        assert!(!lines.iter().any(|line| line.starts_with("Branch:")), "{lines:?}");
        assert!(lines.iter().any(|line| line.starts_with("Commit: ")), "{lines:?}");
    }
}

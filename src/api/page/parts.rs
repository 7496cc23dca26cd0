//! Small parts that several pages show alike: moments, states, tables, facts.

use jiff::Timestamp;
use maud::{Markup, html};

use super::places::encoded;
use crate::api::v4::Params;

/// A moment as its distance from now, with the moment itself for the pointer and for programs.
pub(super) fn moment(at: Timestamp, now: Timestamp) -> Markup {
    let exact = at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    html! { time datetime=(at.strftime("%Y-%m-%dT%H:%M:%SZ")) title=(exact) { (distance(at, now)) } }
}

/// A moment in full, with its distance from now.
pub(super) fn moment_in_full(at: Timestamp, now: Timestamp) -> Markup {
    html! {
        time datetime=(at.strftime("%Y-%m-%dT%H:%M:%SZ")) {
            (at.strftime("%Y-%m-%d %H:%M:%S UTC")) " (" (distance(at, now)) ")"
        }
    }
}

/// How far a moment is from now, in words.
pub(super) fn distance(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(at).as_secs();
    let amount = match seconds.abs() {
        0..=1 => return "now".to_owned(),
        s @ 2..=119 => format!("{s} s"),
        s @ 120..=7199 => format!("{} min", s / 60),
        s @ 7200..=172_799 => format!("{} h", s / 3600),
        s => format!("{} d", s / 86_400),
    };
    if seconds > 0 { format!("{amount} ago") } else { format!("in {amount}") }
}

/// How a state looks: good, bad, under way, or neither.
pub(super) fn tone(state: &str) -> &'static str {
    match state {
        "delivered" | "ok" | "active" | "reached" | "accepted" | "deliver" => "good",
        "failed" | "expired" | "switched off" | "not reached" | "partly off" => "bad",
        "waiting" | "muted" | "throttled" | "quota" => "busy",
        _ => "calm",
    }
}

/// A state's word, in its colour.
pub(super) fn badge(state: &str) -> Markup {
    badge_as(state, tone(state))
}

pub(super) fn badge_as(word: &str, tone: &str) -> Markup {
    html! { span class={ "badge " (tone) } { (word.replace('_', " ")) } }
}

/// One row of a table; the first cell is its heading.
pub(super) type Row = Vec<Markup>;

/// A table that becomes a list of cards on a narrow screen. The explicit roles keep it a table for screen readers,
/// because the styles would remove them.
pub(super) fn table(caption: &str, columns: &[&str], rows: &[Row]) -> Markup {
    html! {
        table role="table" {
            caption { (caption) }
            thead role="rowgroup" {
                tr role="row" { @for column in columns { th role="columnheader" scope="col" { (column) } } }
            }
            tbody role="rowgroup" {
                @for row in rows {
                    tr role="row" {
                        @for (number, (cell, column)) in row.iter().zip(columns).enumerate() {
                            @if number == 0 {
                                th role="rowheader" scope="row" data-label=(column) { div { (cell) } }
                            } @else {
                                td role="cell" data-label=(column) { div { (cell) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Names with their values. Names without a value are left out.
pub(super) fn facts(facts: &[(&str, Option<Markup>)]) -> Markup {
    html! {
        dl class="facts" {
            @for (name, value) in facts {
                @if let Some(value) = value { div { dt { (name) } dd { (value) } } }
            }
        }
    }
}

/// A text in which words between backticks are code.
pub(super) fn prose(text: &str) -> Markup {
    html! {
        @for (number, part) in text.trim().split('`').enumerate() {
            @if number % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// The subject of an event, in words for people if possible.
pub(super) fn subject(subject: &str) -> String {
    let named = [("ref:refs/heads/", "branch"), ("ref:refs/tags/", "tag")];
    let named = named
        .into_iter()
        .find_map(|(prefix, word)| subject.strip_prefix(prefix).map(|name| format!("{word} {name}")));
    named.unwrap_or_else(|| if subject.is_empty() { "an event".to_owned() } else { subject.to_owned() })
}

/// A longer text as it is, in a box that can be scrolled with the keyboard.
pub(super) fn code_box(label: &str, text: &str) -> Markup {
    html! { pre tabindex="0" role="region" aria-label=(label) { code { (text) } } }
}

/// JSON for reading.
pub(super) fn json_box(label: &str, json: &serde_json::Value) -> Markup {
    code_box(label, &serde_json::to_string_pretty(json).unwrap_or_default())
}

/// A notice of success or of an error.
pub(super) fn notice(tone: &str, words: &Markup) -> Markup {
    let role = if tone == "bad" { "alert" } else { "status" };
    html! { div class={ "notice " (tone) } role=(role) { (words) } }
}

/// A text of other people, cut to this many characters.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// The address of a list's next page: the same filters, and where it begins.
pub(super) fn next_page(address: &str, query: &Params, before: &str) -> String {
    let filters = query.form().into_iter().filter(|(name, _)| name != "before");
    let pairs = filters.map(|(name, value)| format!("{}={}&", encoded(&name), encoded(&value)));
    format!("{address}?{}before={}", pairs.collect::<String>(), encoded(before))
}

/// A choice of a form.
pub(super) fn select(id: &str, label: &str, chosen: &str, options: &[(&str, &str)]) -> Markup {
    html! {
        div class="field" {
            label for=(id) { (label) }
            select id=(id) name=(id) {
                @for (value, words) in options {
                    option value=(value) selected[*value == chosen] { (words) }
                }
            }
        }
    }
}

/// A line of text of a form.
pub(super) fn text_field(id: &str, label: &str, value: &str, example: &str) -> Markup {
    html! {
        div class="field" {
            label for=(id) { (label) }
            input type="text" id=(id) name=(id) value=(value) placeholder=(example) autocomplete="off" spellcheck="false";
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_said_by_their_distance() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let at = |seconds: i64| distance(Timestamp::from_second(1_000_000 - seconds).unwrap(), now);
        assert_eq!([at(0), at(5), at(400), at(7200)], ["now", "5 s ago", "6 min ago", "2 h ago"]);
        assert_eq!([at(-90), at(-400_000)], ["in 90 s", "in 4 d"]);
    }

    #[test]
    fn subjects_are_said_in_words_where_they_are_known() {
        let said = ["ref:refs/heads/main", "ref:refs/tags/v1", "issue:7", ""].map(subject);
        assert_eq!(said, ["branch main", "tag v1", "issue:7", "an event"]);
    }

    #[test]
    fn words_of_other_people_are_no_markup() {
        let hostile = "<script>alert('x')</script>\"&";
        let shown = [
            badge(hostile),
            table(hostile, &[hostile], &[vec![html! { (hostile) }]]),
            facts(&[("x", Some(html! { (hostile) }))]),
            code_box(hostile, hostile),
            prose(&format!("`{hostile}` {hostile}")),
            text_field("x", hostile, hostile, hostile),
            select("x", hostile, hostile, &[(hostile, hostile)]),
        ];
        for shown in shown {
            let shown = shown.into_string();
            assert!(!shown.contains("<script") && shown.contains("&lt;script&gt;"), "{shown}");
        }
    }
}

//! The format of lists: aligned columns, ages, and no control characters.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

/// A table whose columns are as wide as their widest cell.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new<const N: usize>(heading: [&str; N]) -> Self {
        Self { rows: vec![heading.map(str::to_owned).to_vec()] }
    }

    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into_iter().map(|cell| printable(&cell)).collect());
    }
}

/// Two spaces between columns, none after the last.
impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width =
            |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                write!(line, "{cell:<width$}  ")?;
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// The text on one line, without control characters: services' answers and people's branch names are printed, and must not
/// control the terminal.
pub(super) fn printable(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().filter(|letter| !letter.is_control()).collect()
}

/// The text, cut to a number of characters.
pub(super) fn cut(text: &str, at: usize) -> String {
    if text.chars().count() <= at {
        return text.to_owned();
    }
    let kept: String = text.chars().take(at.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// The time since or until a moment: `12 s ago`, `in 5 min`.
pub(super) fn age(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(at).as_secs();
    let amount = match seconds.unsigned_abs() {
        0 => return "now".to_owned(),
        s @ 1..=119 => format!("{s} s"),
        s @ 120..=7199 => format!("{} min", s / 60),
        s @ 7200..=172_799 => format!("{} h", s / 3600),
        s => format!("{} d", s / 86_400),
    };
    if seconds > 0 { format!("{amount} ago") } else { format!("in {amount}") }
}

/// The time zone in which commands read and show times: this machine's. Tests do not depend on the machine.
pub(super) fn zone() -> TimeZone {
    if cfg!(test) { TimeZone::UTC } else { TimeZone::system() }
}

/// A moment in the zone in which commands read times, with the zone's offset. JSON has moments in UTC.
pub(super) fn local(at: Timestamp) -> String {
    in_zone(at, &zone())
}

/// A moment with the offset that the zone has then; `Z` where there is none.
fn in_zone(at: Timestamp, zone: &TimeZone) -> String {
    let offset = zone.to_offset(at);
    if offset == Offset::UTC { at.to_string() } else { at.display_with_offset(offset).to_string() }
}

/// A duration in its largest whole unit.
pub(super) fn duration(duration: std::time::Duration) -> String {
    match duration.as_secs() {
        s if s >= 86_400 && s % 86_400 == 0 => format!("{} d", s / 86_400),
        s if s >= 3600 && s % 3600 == 0 => format!("{} h", s / 3600),
        s if s >= 60 && s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

/// The text in lines of at most `width` characters, each after `indent`.
pub(super) fn wrapped(text: &str, indent: &str, width: usize) -> String {
    let mut out = String::new();
    let mut length = 0;
    for word in text.split_whitespace() {
        let word = printable(word);
        let letters = word.chars().count();
        let separator = match length {
            0 => indent.to_owned(),
            n if n + 1 + letters > width => format!("\n{indent}"),
            _ => " ".to_owned(),
        };
        length = if separator == " " { length + 1 } else { indent.chars().count() } + letters;
        out.push_str(&separator);
        out.push_str(&word);
    }
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_end_with_their_words() {
        let mut table = Table::new(["ID", "STATE", "NOTE"]);
        table.row(["1".to_owned(), "delivered".to_owned(), String::new()]);
        table.row(["1024".to_owned(), "failed".to_owned(), "answered 404: no_service".to_owned()]);
        let expected = "\
ID    STATE      NOTE
1     delivered
1024  failed     answered 404: no_service
";
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn nothing_commands_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\td\u{7}"), "a[2Jb c d");
    }

    #[test]
    fn long_texts_are_cut_with_a_mark() {
        assert_eq!(cut("Grüße aus dem Süden", 9), "Grüße au…");
        assert_eq!(cut("kurz", 9), "kurz");
    }

    #[test]
    fn ages_are_rough() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let at = |seconds: i64| age(Timestamp::from_second(1_000_000 - seconds).unwrap(), now);
        assert_eq!(
            [at(0), at(5), at(119), at(120), at(7200), at(400_000), at(-90), at(-7199)],
            ["now", "5 s ago", "119 s ago", "2 min ago", "2 h ago", "4 d ago", "in 90 s", "in 119 min"]
        );
    }

    #[test]
    fn moments_are_shown_with_the_offset_of_the_zone_in_which_they_are_read() {
        let at: Timestamp = "2026-11-30T23:30:00Z".parse().unwrap();
        assert_eq!(in_zone(at, &TimeZone::UTC), "2026-11-30T23:30:00Z");
        assert_eq!(in_zone(at, &TimeZone::fixed(jiff::tz::offset(1))), "2026-12-01T00:30:00+01:00");
    }

    #[test]
    fn durations_are_said_in_the_largest_unit_that_fits() {
        let say = |seconds| duration(Duration::from_secs(seconds));
        assert_eq!([say(28_800), say(90), say(259_200), say(120)], ["8 h", "90 s", "3 d", "2 min"]);
    }

    #[test]
    fn words_are_wrapped_after_their_indent() {
        assert_eq!(wrapped("one two three four", "  ", 10), "  one two\n  three\n  four");
        assert_eq!(wrapped("", "  ", 10), "");
    }
}

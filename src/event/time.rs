//! The three formats in which GitLab writes a time.

use jiff::Timestamp;

/// Reads `2013-12-03T17:15:43Z`, `2016-08-12 15:26:29 UTC` and `2021-04-28 21:50:00 +0200`; `None` for anything else.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let utc = text.strip_suffix(" UTC").map(|t| format!("{}Z", t.trim_end()));
    utc.as_deref()
        .unwrap_or(text)
        .parse()
        .ok()
        .or_else(|| jiff::Zoned::strptime("%Y-%m-%d %H:%M:%S %z", text).ok().map(|zoned| zoned.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::parse_time;

    #[test]
    fn all_three_time_formats_are_read() {
        let expected = "2016-08-12T15:26:29Z".parse().ok();
        assert_eq!(parse_time("2016-08-12T15:26:29Z"), expected);
        assert_eq!(parse_time("2016-08-12 15:26:29 UTC"), expected);
        assert_eq!(parse_time("2016-08-12 17:26:29 +0200"), expected);
        assert_eq!(parse_time("2016-08-12T15:26:29.000+00:00"), expected);
        assert_eq!(parse_time("yesterday"), None);
        assert_eq!(parse_time(""), None);
    }
}

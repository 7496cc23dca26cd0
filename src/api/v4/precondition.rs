//! `If-Unmodified-Since`: a change is refused if the integration changed after this moment.

use axum::http::{HeaderMap, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use utoipa::IntoParams;

/// The header, for annotations.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it describes what unmodified_since reads")]
pub(super) struct IfUnmodifiedSince {
    /// Refuse the change with 412 if there was another after this moment.
    #[param(rename = "If-Unmodified-Since", required = false, nullable = false)]
    if_unmodified_since: Option<String>,
}

/// The moment in a request's header: `Sun, 06 Nov 1994 08:49:37 GMT`, or as the API writes moments. Any other value is
/// ignored, as RFC 9110 requires.
pub(in crate::api) fn unmodified_since(headers: &HeaderMap) -> Option<Timestamp> {
    static DATES: DateTimeParser = DateTimeParser::new();
    let text = headers.get(header::IF_UNMODIFIED_SINCE)?.to_str().ok()?.trim();
    DATES.parse_timestamp(text).ok().or_else(|| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Option<i64> {
        let headers = [(header::IF_UNMODIFIED_SINCE, value.parse().unwrap())].into_iter().collect();
        unmodified_since(&headers).map(Timestamp::as_second)
    }

    #[test]
    fn both_ways_to_write_a_moment_are_read_and_nonsense_is_ignored() {
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(read("1994-11-06T08:49:37.000Z"), Some(784_111_777));
        assert_eq!(read("yesterday"), None);
        assert_eq!(read(""), None);
        assert_eq!(unmodified_since(&HeaderMap::new()), None);
    }
}

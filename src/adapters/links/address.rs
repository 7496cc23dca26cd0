//! Addresses of issues: a pattern in which `:id` stands for the issue's number or key.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::settings::{FieldError, PageUrl};

/// The place of the issue's number or key.
const PLACE: &str = ":id";

/// The unreserved characters of RFC 3986 are not encoded in any part of an address.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// An address as people are led to it: without the login that it may hold, which they have of their own.
pub(super) fn for_people(page: &PageUrl) -> url::Url {
    let mut url = page.0.clone();
    // An http address takes both.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

/// The address of an issue: the pattern with the issue's number or key in every place of it.
pub(super) fn of_issue(pattern: &PageUrl, id: &str) -> String {
    for_people(pattern).as_str().replace(PLACE, &utf8_percent_encode(id, ENCODED).to_string())
}

/// The error in a pattern without a place for the issue: all issues would have the same address.
pub(super) fn without_place(pattern: &PageUrl) -> Option<FieldError> {
    let problem =
        "must contain `:id`, the place of the issue's number: https://tracker.example.com/issues/:id";
    (!pattern.0.as_str().contains(PLACE)).then(|| FieldError::new("issues_url", problem))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{FieldType, Value};

    fn pattern(text: &str) -> PageUrl {
        PageUrl::read(&Value::Text(text.to_owned())).expect("an address")
    }

    #[test]
    fn every_place_gets_the_encoded_id() {
        let of = |text: &str, id| of_issue(&pattern(text), id);
        assert_eq!(of("https://t.example/issues/:id", "12"), "https://t.example/issues/12");
        assert_eq!(of("https://t.example/:id/show?id=:id#:id", "7"), "https://t.example/7/show?id=7#7");
        assert_eq!(
            of("https://t.example/?q=:id", "A B&c=%d/é"),
            "https://t.example/?q=A%20B%26c%3D%25d%2F%C3%A9"
        );
        // An id that looks like the place is no other place.
        assert_eq!(of("https://t.example/:id", ":id"), "https://t.example/%3Aid");
        assert_eq!(of("https://t.example/100%25/:id", "1"), "https://t.example/100%25/1");
        assert_eq!(of("https://t.example:8443/ü/:id", "1"), "https://t.example:8443/%C3%BC/1");
    }

    #[test]
    fn a_login_in_an_address_is_not_shown_to_people() {
        assert_eq!(of_issue(&pattern("https://u:s3cret@t.example/:id"), "7"), "https://t.example/7");
        assert_eq!(for_people(&pattern("https://u@t.example/p?a=b")).as_str(), "https://t.example/p?a=b");
    }

    #[test]
    fn a_pattern_without_a_place_is_refused() {
        assert!(without_place(&pattern("https://t.example/issues/:id")).is_none());
        let problem = without_place(&pattern("https://t.example/issues/")).expect("a problem").to_string();
        assert!(problem.starts_with("issues_url: must contain `:id`"), "{problem}");
    }
}

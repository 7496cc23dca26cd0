//! Addresses below a tracker's base address.

use crate::settings::{FieldError, Secret, Url};

/// The address of these path segments below the base that the settings name, or else below the service's own. The
/// base's path and login are kept; its query and fragment are dropped.
pub(super) fn below<'a>(
    base: Option<&Url>,
    own: &'static str,
    segments: impl IntoIterator<Item = &'a str>,
) -> url::Url {
    let own = || url::Url::parse(own).expect("the constant is an address");
    let mut url = base.map_or_else(own, |base| base.0.clone());
    url.set_query(None);
    url.set_fragment(None);
    url.path_segments_mut().expect("an http address has a path").pop_if_empty().extend(segments);
    url
}

/// The address without its login, for requests that authenticate with the header `Authorization`.
pub(super) fn without_login(mut url: url::Url) -> url::Url {
    // An http address may have both or neither.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

/// A token that is sent in a header must be one word.
pub(super) fn token_errors(field: &'static str, token: &Secret) -> Vec<FieldError> {
    let is_word = token.expose().trim().bytes().all(|byte| byte.is_ascii_graphic());
    let error = || FieldError::new(field, "must be one word of letters, digits and signs");
    if is_word { Vec::new() } else { vec![error()] }
}

/// An address of people's words, if it is one that a browser can open.
pub(super) fn page(address: &str) -> Option<&str> {
    let address = address.trim();
    let is_plain = !address.contains(|c: char| c.is_control() || c.is_whitespace());
    let is_http = url::Url::parse(address).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    (is_plain && is_http).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{FieldType as _, Value};

    #[test]
    fn a_base_keeps_its_path_and_login_and_loses_its_query() {
        for (given, expected) in [
            ("https://t.example", "https://t.example/api/a%20b"),
            ("https://t.example/", "https://t.example/api/a%20b"),
            ("https://t.example/below", "https://t.example/below/api/a%20b"),
            ("https://t.example/below/?a=b#c", "https://t.example/below/api/a%20b"),
            ("http://u:p@t.example:8080", "http://u:p@t.example:8080/api/a%20b"),
        ] {
            let base = Url::read(&Value::Text(given.to_owned())).expect("a URL");
            assert_eq!(below(Some(&base), "https://own.example", ["api", "a b"]).as_str(), expected);
        }
        let own = below(None, "https://own.example/x/", ["a/../b"]);
        assert_eq!(own.as_str(), "https://own.example/x/a%2F..%2Fb");
    }

    #[test]
    fn a_page_is_an_address_of_the_web() {
        for page in ["https://f.example/a", " http://f.example/a?b#c "] {
            assert_eq!(super::page(page), Some(page.trim()));
        }
        for none in ["", "javascript:alert(1)", "https://f.example/a b", "https://f.example/\u{7}", "x", "/a"]
        {
            assert_eq!(super::page(none), None, "{none}");
        }
    }
}

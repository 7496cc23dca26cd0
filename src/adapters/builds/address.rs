//! Addresses of build servers: paths below a base address, and logins in an address.
//!
//! `wire` turns the user and password of an address into Basic authorisation and takes them out of the address. So this
//! module puts a login into the address, where [`redact`](crate::adapters) finds it too.

use percent_encoding::percent_decode_str;
use url::Url;

use crate::settings::{FieldError, Secret};

/// The address of these path segments below a base address. The base's path, query and login are kept; its fragment is
/// dropped. A segment may contain any character: characters that a path can't contain are encoded.
pub(super) fn below<'a>(base: &Url, segments: impl IntoIterator<Item = &'a str>) -> Url {
    let mut url = base.clone();
    url.set_fragment(None);
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

/// The segments of a path that a person wrote: `FOLDER/My Job`, or `FOLDER/My%20Job`, as it stands in a browser's address.
/// Both mean the same. A percent sign that begins no code is an ordinary character.
pub(super) fn segments(path: &str) -> Vec<String> {
    let parts = path.trim().split('/').map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned()).collect()
}

/// Whether a segment has a meaning of its own in a path and can't name anything.
pub(super) fn is_dots(segment: &str) -> bool {
    matches!(segment, "." | "..")
}

/// The address with this login. Without a user name, the address keeps its own login.
pub(super) fn with_login(mut url: Url, username: Option<&str>, password: Option<&Secret>) -> Url {
    if let Some(username) = username.map(str::trim).filter(|name| !name.is_empty()) {
        // An http address takes both.
        let _ = url.set_username(username);
        let _ = url.set_password(password.map(Secret::expose));
    }
    url
}

/// GitLab's rule for services that can be called without a login: a user name needs a password, and a password a user name.
pub(super) fn both_or_neither(username: Option<&str>, password: Option<&Secret>) -> Vec<FieldError> {
    match (username, password) {
        (Some(_), None) => vec![FieldError::new("password", "can't be blank where `username` is set")],
        (None, Some(_)) => vec![FieldError::new("username", "can't be blank where `password` is set")],
        _ => Vec::new(),
    }
}

/// Adds a parameter to the query that an address may have already.
pub(super) fn with_parameter(mut url: Url, name: &str, value: &str) -> Url {
    url.query_pairs_mut().append_pair(name, value);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(url: &str) -> Url {
        url.parse().expect("a URL")
    }

    #[test]
    fn a_base_keeps_its_path_and_query_with_or_without_a_slash() {
        for (given, expected) in [
            ("https://ci.example", "https://ci.example/rest/build%20queue"),
            ("https://ci.example/", "https://ci.example/rest/build%20queue"),
            ("https://ci.example/below", "https://ci.example/below/rest/build%20queue"),
            ("https://ci.example/below/?a=b#c", "https://ci.example/below/rest/build%20queue?a=b"),
            ("http://u:p%40@ci.example:8080", "http://u:p%40@ci.example:8080/rest/build%20queue"),
        ] {
            assert_eq!(below(&base(given), ["rest", "build queue"]).as_str(), expected);
        }
    }

    #[test]
    fn a_path_may_be_written_as_people_read_it_or_as_browsers_show_it() {
        let written = |path: &str| {
            let segments = segments(path);
            below(&base("https://ci.example/"), segments.iter().map(String::as_str)).path().to_owned()
        };
        assert_eq!(written("Team A/My Job"), "/Team%20A/My%20Job");
        assert_eq!(written("/Team%20A//My%20Job/"), "/Team%20A/My%20Job");
        assert_eq!(written("feature%252Fx"), "/feature%252Fx");
        assert_eq!(written("100% done?#"), "/100%25%20done%3F%23");
        assert_eq!(written("a%2Fb"), "/a%2Fb");
    }

    #[test]
    fn a_login_of_the_settings_replaces_the_addresss_own() {
        let secret = Secret::new("p@ss:w/rd");
        let url = base("https://old:gone@ci.example/");
        let new = with_login(url.clone(), Some("ada@example.com"), Some(&secret));
        assert_eq!((new.username(), new.password()), ("ada%40example.com", Some("p%40ss%3Aw%2Frd")));
        assert_eq!(with_login(url.clone(), None, None), url);
        assert_eq!(with_login(url.clone(), Some(" "), Some(&secret)), url);
    }
}

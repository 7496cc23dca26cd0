//! A call to a service that is no place for people, as a build server: where it goes, as what it is announced, and its body.

use std::fmt::Write as _;

use percent_encoding::percent_decode_str;
use url::Url;

use super::page::esc;
use super::raw;
use crate::call::HttpRequest;
use crate::settings::{Secret, Secrets};

/// The header that names the event. Others may hold credentials.
const EVENT: &str = "x-gitlab-event";

/// The method, the address, the user that logs in, the event's name and the body.
pub(super) fn draw(request: &HttpRequest) -> String {
    let value = |name: &str| {
        let found = request.headers.iter().find(|(key, _)| *key == name);
        found.map_or("", |(_, value)| value.as_str())
    };
    let mut address = request.url.clone();
    let user = percent_decode_str(address.username()).decode_utf8_lossy().into_owned();
    // An address that is called has a host, so that it takes both.
    let _ = address.set_username("");
    let _ = address.set_password(None);
    let mut html = "<div class=\"raw\"><table>".to_owned();
    let mut row = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = write!(html, "<tr><th>{}</th><td><pre>{}</pre></td></tr>", esc(name), esc(value));
        }
    };
    row(request.method.name(), address.as_str());
    row("User", &user);
    row("X-Gitlab-Event", value(EVENT));
    html.push_str("</table></div>");
    if !request.body.is_empty() {
        html.push_str(&raw::draw(value("content-type"), &request.body));
    }
    html
}

/// An address whose parts are masked that are secrets, however short, or that have secrets in them.
pub(super) fn masked(url: &Url, secrets: &Secrets) -> Url {
    let mut masked = url.clone();
    if url.password().is_some() {
        let _ = masked.set_password(Some(Secret::MASK));
    } else if !url.username().is_empty() {
        // A name without a password is a token.
        let _ = masked.set_username(Secret::MASK);
    }
    let mask = |part: String| {
        if secrets.contains(&part) { Secret::MASK.to_owned() } else { secrets.mask(part) }
    };
    let segments = url.path_segments().into_iter().flatten();
    let segments = segments.map(|part| mask(percent_decode_str(part).decode_utf8_lossy().into_owned()));
    let segments: Vec<String> = segments.collect();
    if let Ok(mut path) = masked.path_segments_mut() {
        path.clear().extend(segments);
    }
    if url.query().is_some() {
        let pairs = url.query_pairs().map(|(name, value)| (name, mask(value.into_owned())));
        masked.query_pairs_mut().clear().extend_pairs(pairs);
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Method;

    #[test]
    fn a_call_without_a_body_shows_where_it_goes_and_hides_the_login() {
        let url = "https://ada:pa55@ci.example/go?buildKey=A-B&x=%3Cb%3E".parse().expect("a URL");
        let html = draw(&HttpRequest::new(Method::Get, url));
        assert!(
            html.contains("<th>GET</th><td><pre>https://ci.example/go?buildKey=A-B&amp;x=%3Cb%3E<"),
            "{html}"
        );
        assert!(html.contains("<th>User</th><td><pre>ada<") && !html.contains("pa55"), "{html}");
    }

    #[test]
    fn a_token_in_place_of_a_users_name_is_not_shown() {
        let url = "https://tok3n@drone.example/hook".parse().expect("a URL");
        let url = masked(&url, &Secrets::default());
        let html = draw(&HttpRequest::new(Method::Post, url));
        let user = format!("<th>User</th><td><pre>{}<", Secret::MASK);
        assert!(html.contains(&user) && !html.contains("tok3n"), "{html}");
    }

    #[test]
    fn secrets_are_masked_where_they_are_encoded_too() {
        let mut secrets = Secrets::default();
        secrets.add("s&cret");
        let url = "https://a:s%26cret@ci.example/deliver/s%26cret?token=s%26cret&y=1".parse().expect("a URL");
        let shown = masked(&url, &secrets).to_string();
        assert_eq!(shown, "https://a:************@ci.example/deliver/************?token=************&y=1");
    }
}

//! Web and mail addresses that are safe to link to and cannot end the markup around them.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::clean::start;

/// Longer addresses are mistakes or attacks. Browsers and chat clients differ in how they treat them.
const LONGEST: usize = 2000;

/// The address in a form that is safe in every markup, or `None` where it must not become a link. Accepted are `http`,
/// `https` and `mailto` with a host or recipient; a user name and password are removed. Every character that any
/// markup gives a meaning to (brackets, quotes, `|`, `*`, spaces, `@` after the host …) is percent-encoded.
pub(in crate::message) fn address(url: &str) -> Option<Cow<'_, str>> {
    let url = url.trim();
    if url.len() > LONGEST {
        return None;
    }
    if is_safe(url) {
        return Some(Cow::Borrowed(url));
    }
    let mut parsed = url::Url::parse(url).ok()?;
    let rest_at = match parsed.scheme() {
        "http" | "https" if has_ordinary_host(&parsed) => {
            parsed.set_username("").ok()?;
            parsed.set_password(None).ok()?;
            let after_scheme = parsed.scheme().len() + "://".len();
            after_scheme + parsed.as_str()[after_scheme..].find(['/', '?', '#'])?
        }
        "mailto" if !parsed.path().is_empty() => "mailto:".len(),
        _ => return None,
    };
    let (origin, rest) = parsed.as_str().split_at(rest_at);
    let mut safe = origin.to_owned();
    let recipient_at = if origin == "mailto:" { rest.find('@') } else { None };
    for (index, byte) in rest.bytes().enumerate() {
        if is_safe_byte(byte) || recipient_at == Some(index) {
            safe.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(safe, "%{byte:02X}");
        }
    }
    Some(Cow::Owned(safe))
}

/// Whether the host is a name of letters, digits, dots, dashes and underscores, or an IP address. The URL parser accepts
/// more, such as `*`.
fn has_ordinary_host(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => {
            name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        }
        Some(url::Host::Ipv4(_) | url::Host::Ipv6(_)) => true,
        None => false,
    }
}

/// Whether [`address`] would leave it unchanged. This is so for almost all addresses that the forge writes.
fn is_safe(url: &str) -> bool {
    let Some(after_scheme) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) else {
        return false;
    };
    let host_end = after_scheme.find(['/', '?', '#']).unwrap_or(after_scheme.len());
    let (host, rest) = after_scheme.split_at(host_end);
    let is_host_byte = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-';
    let name = host.split_once(':').map_or(host, |(name, _)| name);
    let port = host.split_once(':').map_or("", |(_, port)| port);
    !name.is_empty()
        && name.bytes().all(is_host_byte)
        && name.as_bytes()[0].is_ascii_alphanumeric()
        && port.len() <= 5
        && port.bytes().all(|b| b.is_ascii_digit())
        && rest.bytes().all(is_safe_byte)
}

/// Bytes without a meaning in any markup that are allowed in a path, a query or a fragment.
const fn is_safe_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'/'
                | b':'
                | b'?'
                | b'#'
                | b'='
                | b'&'
                | b'%'
                | b'+'
                | b','
                | b'!'
                | b'$'
        )
}

/// A piece of a line of text: an address that it contains, or the text between addresses.
pub(super) enum Piece<'a> {
    Text(&'a str),
    /// The address as written, and the address to link to.
    Address(&'a str, Cow<'a, str>),
}

/// Finds the addresses in a line of text. Chat services would link them by themselves, but with rules of their own for
/// the end of an address, which fail next to escaped characters.
pub(super) fn pieces(line: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let mut words_from = 0;
    let mut look_from = 0;
    while let Some(at) = next_scheme(line, look_from) {
        let spelled = address_at_start(&line[at..]);
        look_from = at + spelled.len().max("http".len());
        if let Some(url) = address(spelled) {
            if words_from < at {
                found.push(Piece::Text(&line[words_from..at]));
            }
            found.push(Piece::Address(spelled, url));
            words_from = at + spelled.len();
        }
    }
    if words_from < line.len() {
        found.push(Piece::Text(&line[words_from..]));
    }
    found
}

/// Where the next `http://` or `https://` begins that does not follow a letter or digit.
fn next_scheme(line: &str, mut from: usize) -> Option<usize> {
    loop {
        let colon = from + line.get(from..)?.find("://")?;
        let before = &line[..colon];
        let scheme = ["https", "http"].iter().find(|scheme| before.ends_with(**scheme));
        let start = scheme.map(|scheme| colon - scheme.len()).filter(|start| *start >= from);
        match start {
            Some(start) if !line[..start].ends_with(char::is_alphanumeric) => return Some(start),
            _ => from = colon + "://".len(),
        }
    }
}

/// The address at the start of `text`: up to a space or a bracket, without the punctuation of the sentence around it.
fn address_at_start(text: &str) -> &str {
    let ends = |c: char| c.is_whitespace() || c.is_control() || "<>\"`|\\^{}*".contains(c);
    // With one byte more than allowed, it is refused.
    let text = start(text, LONGEST + 1);
    let mut url = &text[..text.find(ends).unwrap_or(text.len())];
    loop {
        let unbalanced = url.ends_with(')') && url.matches(')').count() > url.matches('(').count();
        let trimmed = url.trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '_', '~', ']', '[', '…']);
        let trimmed = if unbalanced { trimmed.strip_suffix(')').unwrap_or(trimmed) } else { trimmed };
        if trimmed.len() == url.len() {
            return url;
        }
        url = trimmed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_encoded_so_that_they_cannot_end_markup() {
        let made = |url: &str| address(url).map(Cow::into_owned);
        let same = "https://forge.example:8443/a/b/-/compare/1...2?x=y&z=%20#note_1";
        assert_eq!(made(same).as_deref(), Some(same));
        assert_eq!(
            made("https://forge.example/a b|c>d)e\"f'g\nh]").as_deref(),
            Some("https://forge.example/a%20b%7Cc%3Ed%29e%22f%27gh%5D")
        );
        assert_eq!(
            made("https://user:secret@forge.example/@all").as_deref(),
            Some("https://forge.example/%40all")
        );
        assert_eq!(made("mailto:a@b.example").as_deref(), Some("mailto:a@b.example"));
        assert_eq!(made("http://bücher.example/ü").as_deref(), Some("http://xn--bcher-kva.example/%C3%BC"));
        for none in
            ["javascript:alert(1)", "data:text/html,x", "/relative", "", "mailto:", "https://", "ftp://a/b"]
        {
            assert_eq!(made(none), None, "{none}");
        }
        assert_eq!(made(&format!("https://a.example/{}", "x".repeat(3000))), None);
    }

    #[test]
    fn addresses_in_text_are_found_without_the_punctuation_around_them() {
        let found = |line: &str| -> Vec<String> {
            let address = |piece| match piece {
                Piece::Address(spelled, _) => Some(spelled),
                Piece::Text(_) => None,
            };
            pieces(line).into_iter().filter_map(address).map(str::to_owned).collect()
        };
        assert_eq!(
            found("see https://a.example/x_y, and (http://b.example/z)."),
            ["https://a.example/x_y", "http://b.example/z"]
        );
        assert_eq!(found("https://en.example/wiki/A_(b)"), ["https://en.example/wiki/A_(b)"]);
        assert_eq!(found("xhttps://a.example and https:// and ://"), Vec::<String>::new());
        let all: String = pieces("a https://b.example c")
            .iter()
            .map(|piece| match piece {
                Piece::Text(words) | Piece::Address(words, _) => *words,
            })
            .collect();
        assert_eq!(all, "a https://b.example c");
    }
}

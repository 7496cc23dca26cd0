//! Web and mail addresses that are safe to link to.
//!
//! Addresses are changed as little as possible: what RFC 3986 allows in an address stays as it is written, since a server
//! may tell `;` from `%3B`. Each dialect encodes or escapes what would end its own markup.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::clean::start;

/// Longer addresses are mistakes or attacks. Browsers and chat clients differ in how they treat them.
const LONGEST: usize = 2000;

/// The address as it may be linked to, or `None` where it must not become a link. Accepted are `http`, `https` and
/// `mailto` with a host or recipient; a user name and password are removed. Percent-encoded is only what RFC 3986 does not
/// allow in an address: spaces, quotation marks, `<`, `>`, `\`, `^`, `` ` ``, `{`, `|`, `}` and all that is not ASCII.
pub(in crate::message) fn address(url: &str) -> Option<Cow<'_, str>> {
    let url = url.trim_matches(|c: char| c.is_whitespace() || c.is_control());
    if url.len() > LONGEST {
        return None;
    }
    if is_as_allowed(url) {
        return Some(Cow::Borrowed(url));
    }
    // Browsers remove these wherever they are (<https://url.spec.whatwg.org/#concept-basic-url-parser>).
    let url = url.replace(['\t', '\r', '\n'], "");
    let parsed = url::Url::parse(&url).ok()?;
    let after_scheme = &url[parsed.scheme().len() + 1..];
    let address = match parsed.scheme() {
        scheme @ ("http" | "https") if has_ordinary_host(&parsed) => {
            let (authority, rest) = split_at_host_end(after_scheme);
            let origin = format!("{scheme}://{}{}", parsed.host_str()?, port(authority));
            encoded(origin, rest)
        }
        "mailto" if !parsed.path().is_empty() => encoded("mailto:".to_owned(), after_scheme),
        _ => return None,
    };
    Some(Cow::Owned(address))
}

/// The host with its user and port, and what follows: path, query, fragment. Browsers read a `\` as a `/`, so it ends the
/// host.
fn split_at_host_end(after_scheme: &str) -> (&str, &str) {
    let authority = after_scheme.trim_start_matches(['/', '\\']);
    authority.split_at(authority.find(['/', '\\', '?', '#']).unwrap_or(authority.len()))
}

/// The port as it is written, `:8080`; empty where there is none.
fn port(authority: &str) -> &str {
    let at = authority.rfind(':').unwrap_or(authority.len());
    let port = &authority[at..];
    if port.len() > 1 && port.bytes().skip(1).all(|b| b.is_ascii_digit()) { port } else { "" }
}

fn encoded(mut address: String, rest: &str) -> String {
    let rest = match rest.strip_prefix('\\') {
        Some(rest) => {
            address.push('/');
            rest
        }
        None => rest,
    };
    for byte in rest.bytes() {
        if is_allowed(byte) {
            address.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(address, "%{byte:02X}");
        }
    }
    address
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
fn is_as_allowed(url: &str) -> bool {
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
        && rest.bytes().all(is_allowed)
}

/// Bytes that RFC 3986 allows in an address, reserved ones included, and the `%` of an encoded one
/// (<https://www.rfc-editor.org/rfc/rfc3986#appendix-A>).
const fn is_allowed(byte: u8) -> bool {
    ALLOWED[byte as usize]
}

/// The answers of [`is_allowed`]. A look into a table is faster than comparisons, and every message has addresses.
const ALLOWED: [bool; 256] = {
    let others = b"-._~%:/?#[]@!$&'()*+,;=";
    let mut allowed = [false; 256];
    let mut byte: u8 = 0;
    while byte < 128 {
        allowed[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < others.len() {
        allowed[others[at] as usize] = true;
        at += 1;
    }
    allowed
};

/// A piece of a line of text: an address that it contains, or the text between addresses.
pub(super) enum Piece<'a> {
    Text(&'a str),
    /// The address as written, and the address to link to.
    Address(&'a str, Cow<'a, str>),
}

impl Piece<'_> {
    /// What is written in the line.
    pub fn spelled(&self) -> &str {
        match self {
            Self::Text(words) | Self::Address(words, _) => words,
        }
    }
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

/// Where the next `http://` or `https://` begins that does not follow a letter or digit of ASCII: scripts without spaces
/// put an address directly after a letter.
fn next_scheme(line: &str, mut from: usize) -> Option<usize> {
    loop {
        let colon = from + line.get(from..)?.find("://")?;
        let before = &line[..colon];
        let scheme = ["https", "http"].iter().find(|scheme| before.ends_with(**scheme));
        let start = scheme.map(|scheme| colon - scheme.len()).filter(|start| *start >= from);
        match start {
            Some(start) if !line[..start].ends_with(|c: char| c.is_ascii_alphanumeric()) => {
                return Some(start);
            }
            _ => from = colon + "://".len(),
        }
    }
}

/// The address at the start of `text`: up to a space or a character that no address has, without the punctuation of the
/// sentence around it.
pub(in crate::message) fn address_at_start(text: &str) -> &str {
    let ends = |c: char| c.is_whitespace() || c.is_control() || "<>\"`|\\^{}".contains(c);
    // With one byte more than allowed, it is refused.
    let text = start(text, LONGEST + 1);
    let text = &text[..text.find(ends).unwrap_or(text.len())];
    // The end of the words of a link that people wrote where links are not read.
    let mut url = text.split("](").next().unwrap_or_default();
    loop {
        let trimmed =
            url.trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '*', '_', '~', '[', '(', '…']);
        let trimmed = without_lone_closer(without_lone_closer(trimmed, '(', ')'), '[', ']');
        if trimmed.len() == url.len() {
            return url;
        }
        url = trimmed;
    }
}

/// Without a closing bracket at the end that no bracket in the address opens.
fn without_lone_closer(url: &str, opener: char, closer: char) -> &str {
    match url.strip_suffix(closer) {
        Some(inner) if url.matches(closer).count() > url.matches(opener).count() => inner,
        _ => url,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_what_an_address_may_have() {
        let made = |url: &str| address(url).map(Cow::into_owned);
        for same in [
            "https://forge.example:8443/a/b/-/compare/1...2?x=y&z=%20#note_1",
            "https://git.example.org/?p=core.git;a=commit;h=3a5c1f0",
            "https://forge.example/a;b@c(d)'e[f]*g!h$i&j+k,l=m~n/_o_",
            "http://forge.example?q='x'",
            "http://[2001:db8::1]:8080/a",
            "mailto:a@b.example?subject=x",
        ] {
            assert_eq!(made(same).as_deref(), Some(same));
        }
        assert_eq!(
            made("https://forge.example/a b|c>d)e\"f`g\nh]\\i^{j}").as_deref(),
            Some("https://forge.example/a%20b%7Cc%3Ed)e%22f%60gh]%5Ci%5E%7Bj%7D")
        );
        assert_eq!(made("http://bücher.example/ü").as_deref(), Some("http://xn--bcher-kva.example/%C3%BC"));
        assert_eq!(made(" HTTPS://Forge.Example/X ").as_deref(), Some("https://forge.example/X"));
        for none in
            ["javascript:alert(1)", "data:text/html,x", "/relative", "", "mailto:", "https://", "ftp://a/b"]
        {
            assert_eq!(made(none), None, "{none}");
        }
        assert_eq!(made(&format!("https://a.example/{}", "x".repeat(3000))), None);
    }

    #[test]
    fn an_address_leads_to_the_host_that_a_browser_would_ask() {
        let made = |url: &str| address(url).map(Cow::into_owned);
        let good = [
            ("https://user:secret@forge.example/@all", "https://forge.example/@all"),
            ("https://user@forge.example", "https://forge.example"),
            ("https://user:1@forge.example:443/x", "https://forge.example:443/x"),
            ("https://user:1@[::1]/x", "https://[::1]/x"),
            ("https://a@b@forge.example/x", "https://forge.example/x"),
            ("https:\\\\forge.example\\@evil.example/x", "https://forge.example/@evil.example/x"),
            ("https:forge.example/x", "https://forge.example/x"),
            ("https:///forge.example/x", "https://forge.example/x"),
        ];
        for (url, expected) in good {
            assert_eq!(made(url).as_deref(), Some(expected), "{url}");
            let host = |url: &str| url::Url::parse(url).unwrap().host_str().map(str::to_owned);
            assert_eq!(host(url), host(expected));
        }
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
        assert_eq!(found("参照https://wiki.example/_a_/b*c"), ["https://wiki.example/_a_/b*c"]);
        assert_eq!(
            found("see https://a.example/x_y, and (http://b.example/z)."),
            ["https://a.example/x_y", "http://b.example/z"]
        );
        assert_eq!(found("https://en.example/wiki/A_(b)"), ["https://en.example/wiki/A_(b)"]);
        assert_eq!(
            found("[https://a.example/x[1]] or *https://a.example/a*b*"),
            ["https://a.example/x[1]", "https://a.example/a*b"]
        );
        assert_eq!(
            found("[https://a.example](https://b.example)"),
            ["https://a.example", "https://b.example"]
        );
        assert_eq!(found("xhttps://a.example and https:// and ://"), Vec::<String>::new());
        let all: String = pieces("a https://b.example c").iter().map(Piece::spelled).collect();
        assert_eq!(all, "a https://b.example c");
    }
}

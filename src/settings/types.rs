//! The types of fields other than texts, numbers and secrets: addresses, hosts, ports.

use std::fmt;
use std::ops::Range;

use super::{FieldType, Kind, Secret, Value, non_blank};

/// An `http` or `https` address whose path or query is a credential.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(Url);

impl SecretUrl {
    /// The address, for the one place that calls it.
    pub fn expose(&self) -> &url::Url {
        &self.0.0
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Secret::MASK)
    }
}

impl FieldType for SecretUrl {
    const KIND: Kind = Kind::SecretUrl;

    fn read(value: &Value) -> Result<Self, String> {
        Url::read(value).map(Self)
    }
}

/// Addresses, separated by spaces: `irc://name:password@host/room?key=word`, or parts of such an address.
#[derive(Clone, PartialEq, Eq)]
pub struct Addresses(String);

impl Addresses {
    /// The text itself, for the one place that reads it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The secrets in a text of such addresses: the credentials before a host, and the keys after a question mark.
    pub fn credentials(text: &str) -> impl Iterator<Item = &str> {
        text.split_whitespace().flat_map(|word| credentials_in(word).into_iter().map(|range| &word[range]))
    }

    /// The text with its credentials masked.
    pub fn masked(text: &str) -> String {
        word_by_word(text, |word| Some(masked(word))).unwrap_or_default()
    }

    /// The text with its masked credentials replaced by those of the same addresses in `stored`. `None` where an
    /// address with a masked credential is not in `stored`.
    pub fn unmasked(text: &str, stored: &str) -> Option<String> {
        word_by_word(text, |word| {
            if !word.contains(Secret::MASK) {
                return Some(word.to_owned());
            }
            stored.split_whitespace().find(|stored| masked(stored) == word).map(str::to_owned)
        })
    }
}

/// Where the credentials of one address are, from left to right.
fn credentials_in(word: &str) -> Vec<Range<usize>> {
    let key = word.find('?').map(|sign| {
        let end = word[sign..].find('#').map_or(word.len(), |length| sign + length);
        let start = sign + 1;
        if word[start..end].starts_with("key=") { start + "key=".len()..end } else { start..end }
    });
    let password = word.find("://").and_then(|scheme| {
        let start = scheme + "://".len();
        let end = word[start..].find(['/', '?', '#']).map_or(word.len(), |length| start + length);
        let at = start + word[start..end].rfind('@')?;
        Some(word[start..at].find(':').map_or(start, |colon| start + colon + 1)..at)
    });
    // In a word that is no address, one part may overlap with the other.
    let password = password.filter(|range| key.as_ref().is_none_or(|key| range.end <= key.start));
    [password, key].into_iter().flatten().filter(|range| !range.is_empty()).collect()
}

fn masked(word: &str) -> String {
    let mut masked = word.to_owned();
    for range in credentials_in(word).into_iter().rev() {
        masked.replace_range(range, Secret::MASK);
    }
    masked
}

/// The text with each word replaced; white space stays. `None` where a word has no replacement.
fn word_by_word(text: &str, replacement: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| !c.is_whitespace()) {
        let (space, words) = rest.split_at(start);
        let (word, after) = words.split_at(words.find(char::is_whitespace).unwrap_or(words.len()));
        replaced.push_str(space);
        replaced.push_str(&replacement(word)?);
        rest = after;
    }
    replaced.push_str(rest);
    Some(replaced)
}

impl fmt::Debug for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Secret::MASK)
    }
}

impl FieldType for Addresses {
    const KIND: Kind = Kind::Addresses;

    fn read(value: &Value) -> Result<Self, String> {
        non_blank(value).map(Self)
    }
}

/// The address that completes [`Addresses`] that are only names. It may contain a password, so it is sealed like
/// [`Addresses`]. Their secrets are sent to it, so it is guarded like a [`Url`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base(Addresses);

impl Base {
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl FieldType for Base {
    const KIND: Kind = Kind::Base;

    fn read(value: &Value) -> Result<Self, String> {
        Addresses::read(value).map(Self)
    }
}

/// An `http` or `https` address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url(pub url::Url);

impl Url {
    /// The text with the password of the address masked. `None` where there is nothing to mask.
    pub fn masked(text: &str) -> Option<String> {
        let mut url = url::Url::parse(text.trim()).ok()?;
        url.password()?;
        url.set_password(Some(Secret::MASK)).ok()?;
        Some(url.to_string())
    }

    /// Whether the address has the mask where its password would be.
    pub fn has_masked_password(text: &str) -> bool {
        let url = url::Url::parse(text.trim()).ok();
        url.is_some_and(|url| url.password().is_some_and(|password| password == Secret::MASK))
    }

    /// The address with the password of the stored one; `None` where that is for another user or another place.
    pub fn with_password_of(text: &str, stored: &str) -> Option<String> {
        let (mut url, stored) = (url::Url::parse(text.trim()).ok()?, url::Url::parse(stored.trim()).ok()?);
        let is_same = url.origin() == stored.origin() && url.username() == stored.username();
        let password = stored.password().filter(|_| is_same)?;
        // The stored text is encoded; the setter encodes again.
        let password = percent_encoding::percent_decode_str(password).decode_utf8().ok()?;
        url.set_password(Some(&password)).ok()?;
        Some(url.to_string())
    }
}

impl FieldType for Url {
    const KIND: Kind = Kind::Url;

    fn read(value: &Value) -> Result<Self, String> {
        let text = non_blank(value)?;
        let url = url::Url::parse(text.trim()).map_err(|_| "must be a valid URL".to_owned())?;
        match (url.scheme(), url.host()) {
            ("http" | "https", Some(_)) => Ok(Self(url)),
            ("http" | "https", None) => Err("must be a valid URL with a host".to_owned()),
            // The error must not quote the scheme: in a token with a colon, this would be its first half.
            _ => Err("must be an http or https URL".to_owned()),
        }
    }
}

/// An `http` or `https` address of a page, of at most 2,048 characters, as in GitLab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageUrl(pub url::Url);

impl FieldType for PageUrl {
    const KIND: Kind = Kind::Url;

    fn read(value: &Value) -> Result<Self, String> {
        const MOST_CHARS: usize = 2048;
        let url = Url::read(value)?;
        if value.as_text().chars().count() > MOST_CHARS {
            return Err(format!("is too long (maximum is {MOST_CHARS} characters)"));
        }
        Ok(Self(url.0))
    }
}

/// The address of a server that is usually in the operator's own network. Any address is saved, also a private one; the
/// guard decides when it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternalUrl(pub url::Url);

impl FieldType for InternalUrl {
    const KIND: Kind = Kind::InternalUrl;

    fn read(value: &Value) -> Result<Self, String> {
        Url::read(value).map(|url| Self(url.0))
    }
}

/// The name or address of a host, without scheme, port or path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host(String);

impl Host {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FieldType for Host {
    const KIND: Kind = Kind::Host;

    fn read(value: &Value) -> Result<Self, String> {
        let host = non_blank(value)?.trim().to_owned();
        let is_host = url::Host::parse(&host).is_ok() || host.parse::<std::net::Ipv6Addr>().is_ok();
        if is_host {
            Ok(Self(host))
        } else {
            Err("must be a host's name or address, and nothing else".to_owned())
        }
    }
}

/// The domain of one of a service's sites. The host that is called is a name in this domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site(String);

impl Site {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FieldType for Site {
    const KIND: Kind = Kind::Host;

    fn read(value: &Value) -> Result<Self, String> {
        non_blank(value).map(|site| Self(site.trim().to_owned()))
    }
}

/// Names, separated by commas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(Vec<String>);

impl Names {
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// The names in a text.
    pub fn split(text: &str) -> impl Iterator<Item = &str> {
        text.split(',').map(str::trim).filter(|name| !name.is_empty())
    }
}

impl FieldType for Names {
    const KIND: Kind = Kind::Names;

    fn read(value: &Value) -> Result<Self, String> {
        Ok(Self(Self::split(&non_blank(value)?).map(str::to_owned).collect()))
    }
}

/// A TCP port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port(u16);

impl Port {
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl FieldType for Port {
    const KIND: Kind = Kind::Integer;

    fn read(value: &Value) -> Result<Self, String> {
        match u16::try_from(i64::read(value)?) {
            Ok(port @ 1..) => Ok(Self(port)),
            _ => Err("must be a port, from 1 to 65535".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORED: &str =
        "irc://ada:pass@irc.example.net/builds  #ops?key=opensesame\nircs://token@irc.example.org/#a?x=1#b";

    #[test]
    fn credentials_of_addresses_are_masked_by_their_place() {
        let masked = Addresses::masked(STORED);
        let expected = "irc://ada:************@irc.example.net/builds  #ops?key=************\n\
                        ircs://************@irc.example.org/#a?************#b";
        assert_eq!(masked, expected);
        assert_eq!(
            Addresses::masked("#ops irc://irc.example.net/builds"),
            "#ops irc://irc.example.net/builds"
        );
        // A password of one letter is masked only at its position.
        assert_eq!(Addresses::masked("irc://a:a@a/a"), "irc://a:************@a/a");
        for odd in ["", " ", "?", "://", "://@", "a?b://c:d@e", "irc://@h/?#", "\u{1f514}?\u{1f514}"] {
            let masked = Addresses::masked(odd);
            assert_eq!(Addresses::unmasked(&masked, odd).as_deref(), Some(odd), "{odd}");
        }
    }

    #[test]
    fn what_was_shown_and_is_sent_back_has_its_credentials_again() {
        let shown = Addresses::masked(STORED);
        assert_eq!(Addresses::unmasked(&shown, STORED).as_deref(), Some(STORED));
        let fewer = "#new #ops?key=************";
        assert_eq!(Addresses::unmasked(fewer, STORED).as_deref(), Some("#new #ops?key=opensesame"));
        for elsewhere in
            ["irc://ada:************@evil.example/builds", "#other?key=************", "************"]
        {
            assert_eq!(Addresses::unmasked(elsewhere, STORED), None, "{elsewhere}");
        }
    }
}

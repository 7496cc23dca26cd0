//! Converts the setting `recipients` to addresses that irkerd understands.
//!
//! irkerd parses addresses in its own way (`class Target` in irkerd, with Python's `urllib.parse`): it reads a key after
//! `#channel` as a part of the name, decodes no percent-encoding, converts names to lower case only without `#`, and drops
//! the whole line if Python can't parse an address. So every address is parsed here and written in a form that irkerd
//! reads correctly.

use std::fmt::Write as _;

/// The suffix of a person's name
/// (<https://datatracker.ietf.org/doc/html/draft-butcher-irc-url-04#section-2.5.2>).
const IS_NICK: &str = ",isnick";
/// The characters that irkerd expects at the beginning of a channel's name.
const ROOM_SIGNS: [char; 3] = ['#', '&', '+'];

/// The addresses, each channel and person once. Entries that can't be parsed are left out, as in GitLab.
pub(super) fn resolve(recipients: &str, default: Option<&str>) -> Vec<String> {
    read(recipients, default).iter().map(Recipient::address).collect()
}

/// The places, from 1, of entries that can't be parsed.
pub(super) fn unreadable(recipients: &str, default: Option<&str>) -> Vec<usize> {
    let default = default.and_then(server);
    let entries = (1..).zip(recipients.split_whitespace());
    let unreadable = entries.filter(|(_, word)| Recipient::read(word, default.as_ref()).is_none());
    unreadable.map(|(place, _)| place).collect()
}

/// The servers that irkerd will connect to for these recipients, each once.
pub(super) fn servers(recipients: &str, default: Option<&str>) -> Vec<(String, u16)> {
    let mut servers: Vec<(String, u16)> = Vec::new();
    for Recipient { server, .. } in read(recipients, default) {
        let place = (server.host.clone(), server.port());
        if !servers.contains(&place) {
            servers.push(place);
        }
    }
    servers
}

fn read(recipients: &str, default: Option<&str>) -> Vec<Recipient> {
    let default = default.and_then(server);
    let mut found: Vec<Recipient> = Vec::new();
    for recipient in recipients.split_whitespace().filter_map(|word| Recipient::read(word, default.as_ref()))
    {
        match found.iter_mut().find(|other| other.is_same_as(&recipient)) {
            // A person may have written the channel twice, once with its key. The key is kept.
            Some(other) if other.key.is_empty() => other.key = recipient.key,
            Some(_) => {}
            None => found.push(recipient),
        }
    }
    found
}

/// The server that an address names.
pub(super) fn server(address: &str) -> Option<Server> {
    server_and_rest(address.trim()).map(|(server, _)| server)
}

/// Whether the entry has no server.
pub(super) fn is_name_alone(word: &str) -> bool {
    scheme(word).is_none()
}

/// An IRC server, and the login for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    tls: bool,
    /// `name:password@`, or nothing.
    user: String,
    host: String,
    port: Option<u16>,
}

impl Server {
    /// The host and port that irkerd connects to. For addresses that differ only in the rest, irkerd reuses its connection.
    fn port(&self) -> u16 {
        self.port.unwrap_or(if self.tls { 6697 } else { 6667 })
    }
}

/// A channel, or a person.
struct Recipient {
    server: Server,
    /// A channel's name with its prefix, `#room`, or a person's name.
    name: String,
    is_nick: bool,
    /// The channel's key; empty if it has none.
    key: String,
}

impl Recipient {
    fn read(word: &str, default: Option<&Server>) -> Option<Self> {
        let (server, rest) = match scheme(word) {
            Some(_) => server_and_rest(word)?,
            None if word.starts_with("//") => return None,
            None => (default?.clone(), word),
        };
        let Parts { path, key, fragment } = Parts::of(rest);
        let mut name = signs_decoded(&path.trim_start_matches('/').to_lowercase());
        if !fragment.is_empty() {
            name.push('#');
            name.push_str(&fragment.to_lowercase());
        }
        let person = name.strip_suffix(IS_NICK).map(str::to_owned);
        let is_nick = person.as_deref().is_some_and(|person| !person.starts_with(ROOM_SIGNS));
        name = person.unwrap_or(name);
        if !is_nick && !name.is_empty() && !name.starts_with(ROOM_SIGNS) {
            name.insert(0, '#');
        }
        let key = key.strip_prefix("key=").unwrap_or(key);
        // An IRC server would read a comma as a list of channels, and irkerd would read `#` in a key as a channel.
        let is_sound = |text: &str| !text.contains(|c: char| c.is_control());
        let is_name = if is_nick {
            !name.is_empty() && !name.contains(['#', '?', ',', ':'])
        } else {
            name.chars().count() > 1 && !name.contains(',')
        };
        let is_key = !key.contains('#');
        (is_name && is_key && is_sound(&name) && is_sound(key)).then(|| Self {
            server,
            name,
            is_nick,
            key: key.to_owned(),
        })
    }

    fn is_same_as(&self, other: &Self) -> bool {
        self.name == other.name
            && self.is_nick == other.is_nick
            && (&self.server.host, self.server.port()) == (&other.server.host, other.server.port())
    }

    /// The address, in the form that irkerd reads correctly.
    fn address(&self) -> String {
        let Server { tls, user, host, port } = &self.server;
        let mut address = format!("{}://{user}{host}", if *tls { "ircs" } else { "irc" });
        // Writing to a String cannot fail.
        let _ = port.map(|port| write!(address, ":{port}"));
        let (before, fragment) = self.place();
        let _ = write!(address, "/{before}");
        if !self.key.is_empty() {
            let _ = write!(address, "?key={}", self.key);
        }
        if let Some(fragment) = fragment {
            let _ = write!(address, "#{fragment}");
        }
        address
    }

    /// The name, divided into the address's path and its fragment.
    fn place(&self) -> (String, Option<&str>) {
        if self.is_nick {
            return (format!("{}{IS_NICK}", self.name), None);
        }
        // `#room` is written as `/room`. A name that irkerd would read differently there is written as the fragment, which
        // follows the key.
        let is_plain = |name: &&str| {
            !name.starts_with(ROOM_SIGNS) && !name.starts_with('/') && !name.contains(['#', '?'])
        };
        match (self.name.strip_prefix('#').filter(is_plain), self.name.split_once('#')) {
            (Some(plain), _) => (plain.to_owned(), None),
            (None, Some((before, fragment))) => (before.to_owned(), Some(fragment)),
            (None, None) => (self.name.clone(), None),
        }
    }
}

/// The scheme: `irc` of `irc://host/room`.
fn scheme(word: &str) -> Option<&str> {
    let (scheme, _) = word.split_once(':')?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    is_scheme.then_some(scheme)
}

fn server_and_rest(address: &str) -> Option<(Server, &str)> {
    let scheme = scheme(address)?;
    let tls = match scheme.to_ascii_lowercase().as_str() {
        "irc" => false,
        "ircs" => true,
        _ => return None,
    };
    let authority = address[scheme.len()..].strip_prefix("://")?;
    let (authority, rest) = authority.split_at(authority.find(['/', '?', '#']).unwrap_or(authority.len()));
    let (user, place) = match authority.rsplit_once('@') {
        Some((user, place)) => (format!("{user}@"), place),
        None => (String::new(), authority),
    };
    // Python refuses some characters that look like others, and misplaced brackets.
    if !user.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'[' | b']')) {
        return None;
    }
    let (host, port) = match place.rsplit_once(':') {
        // The last colon of an IPv6 address does not begin a port.
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (place, ""),
    };
    let port = match port {
        "" => None,
        port => Some(port.parse().ok().filter(|port: &u16| *port > 0)?),
    };
    let host = url::Host::parse(host).ok()?.to_string();
    Some((Server { tls, user, host, port }, rest))
}

/// The part after the server.
struct Parts<'a> {
    path: &'a str,
    key: &'a str,
    fragment: &'a str,
}

impl<'a> Parts<'a> {
    /// Parses `/room?key=word` and `/?key=word#room`, as in the standard, and `#room?key=word`, as people write it.
    fn of(rest: &'a str) -> Self {
        let split = |text: &'a str, at: char| text.split_once(at).unwrap_or((text, ""));
        let sign = rest.find(['#', '?']).unwrap_or(rest.len());
        let (path, rest) = rest.split_at(sign);
        if let Some(rest) = rest.strip_prefix('#') {
            let (fragment, key) = split(rest, '?');
            return Self { path, key, fragment };
        }
        let (key, fragment) = split(rest.strip_prefix('?').unwrap_or(rest), '#');
        Self { path, key, fragment }
    }
}

/// Percent-encoded prefixes of a channel's name, as URL libraries write them; irkerd expects them unencoded.
fn signs_decoded(name: &str) -> String {
    let signs = [("%23", '#'), ("%26", '&'), ("%2b", '+')];
    let mut decoded = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((code, sign)) = signs.iter().find(|(code, _)| rest.starts_with(code)) {
        decoded.push(*sign);
        rest = &rest[code.len()..];
    }
    decoded + rest
}

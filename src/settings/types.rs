//! The types that fields have beside texts, numbers and secrets: addresses, hosts, ports.

use std::fmt;

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

/// Addresses, separated by spaces: `irc://name:password@host/room?key=word`, or parts of such.
#[derive(Clone, PartialEq, Eq)]
pub struct Addresses(String);

impl Addresses {
    /// The text itself, for the one place that reads it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is secret in a text of such addresses: what stands before a host, and what follows a question mark.
    pub fn credentials(text: &str) -> impl Iterator<Item = &str> {
        text.split_whitespace().flat_map(|word| {
            let authority = word.split_once("://").map_or("", |(_, rest)| rest);
            let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
            let user = authority.rsplit_once('@').map(|(user, _)| user);
            let password = user.map(|user| user.split_once(':').map_or(user, |(_, password)| password));
            let query = word.split_once('?').map(|(_, query)| query.split('#').next().unwrap_or_default());
            let key = query.map(|query| query.strip_prefix("key=").unwrap_or(query));
            [password, key].into_iter().flatten().filter(|part| !part.is_empty())
        })
    }
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

/// The address that completes [`Addresses`] which are names alone. There may be a password in it, and what is secret in
/// those is sent there: so it is kept like they are, and guarded like a [`Url`].
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

impl FieldType for Url {
    const KIND: Kind = Kind::Url;

    fn read(value: &Value) -> Result<Self, String> {
        let text = non_blank(value)?;
        let url = url::Url::parse(text.trim()).map_err(|_| "must be a valid URL".to_owned())?;
        match (url.scheme(), url.host()) {
            ("http" | "https", Some(_)) => Ok(Self(url)),
            ("http" | "https", None) => Err("must be a valid URL with a host".to_owned()),
            // Not which scheme it is instead: of a token with a colon in it, that would be the first half.
            _ => Err("must be an http or https URL".to_owned()),
        }
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

/// A host's name or address that is called, and nothing else: no scheme, port or path.
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

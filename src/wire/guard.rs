//! The guard refuses addresses that integrations may not reach (protection against server-side request forgery).
//!
//! Project members write the settings, and the daemon calls the addresses in them from inside the operator's network.
//! So only public addresses are allowed, and the networks that the operator lists in `wire.allow_networks`.
//!
//! There are two checks, because neither sees everything:
//!
//! * [`Guard::check`] checks the URL: a literal address never reaches a resolver, and a proxy resolves names itself.
//! * [`Guard`] as a resolver checks the addresses that a name resolves to, at the moment of connecting. An earlier
//!   look-up could return other addresses than the one that the connection uses.
//!
//! [`Guard::blocks`] reports a forbidden address when it is set, before the first message to it fails.
//!
//! Behind a proxy, the proxy is responsible for the addresses that a *name* resolves to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// The guard forbids the address. The HTTP client finds this error in a chain of causes by its type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Forbidden(String);

/// The name could not be resolved.
#[derive(Debug, thiserror::Error)]
#[error("could not find the address of {name}: {why}")]
struct NotFound {
    name: String,
    why: String,
}

/// Allows public addresses and the permitted ones.
#[derive(Clone, Debug)]
pub(super) struct Guard(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    allow: Vec<IpNet>,
    /// Single services that may be called over bare TCP. A daemon on this machine can so be permitted alone.
    allow_tcp: Vec<SocketAddr>,
    proxies: Vec<String>,
}

impl Guard {
    pub(super) fn new(allow: Vec<IpNet>, proxies: &[String]) -> Self {
        let proxies = proxies.iter().map(|host| bare(host)).collect();
        Self(Arc::new(Inner { allow, allow_tcp: Vec::new(), proxies }))
    }

    /// Permits bare TCP to these services as well.
    pub(super) fn allowing_tcp(&self, allow_tcp: Vec<SocketAddr>) -> Self {
        let Inner { allow, proxies, .. } = &*self.0;
        Self(Arc::new(Inner { allow: allow.clone(), allow_tcp, proxies: proxies.clone() }))
    }

    /// The addresses of a host that may be called over bare TCP.
    pub(super) fn filter_tcp(
        &self,
        host: &str,
        found: Vec<SocketAddr>,
    ) -> Result<Vec<SocketAddr>, Forbidden> {
        let mut refused = None;
        let mut allowed = Vec::with_capacity(found.len());
        for address in found {
            match self.judge(address.ip()) {
                Err(kind) if !self.0.allow_tcp.contains(&address) => {
                    refused = refused.or(Some((address, kind)));
                }
                _ => allowed.push(address),
            }
        }
        match refused {
            Some((address, kind)) if allowed.is_empty() => Err(Forbidden(format!(
                "{host} is at {}, {kind}; wire.allow_tcp = [\"{address}\"] can permit it",
                address.ip()
            ))),
            _ => Ok(allowed),
        }
    }

    /// Checks a URL as it is written, before anything is sent.
    pub(super) fn check(&self, url: &Url) -> Result<(), Forbidden> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Forbidden(format!("only http and https are called, not {}", url.scheme())));
        }
        // The parser has already normalised the other spellings of an address (2130706433, 0x7f.1).
        match url.host() {
            None => Err(Forbidden("the address names no host".to_owned())),
            Some(Host::Ipv4(ip)) => self.check_literal(ip.into()),
            Some(Host::Ipv6(ip)) => self.check_literal(ip.into()),
            Some(Host::Domain(name)) => self.check_name(&bare(name)),
        }
    }

    fn check_literal(&self, ip: IpAddr) -> Result<(), Forbidden> {
        self.judge(ip).map_err(|kind| Forbidden(format!("{ip} is {kind}; {REMEDY}")))
    }

    fn check_name(&self, name: &str) -> Result<(), Forbidden> {
        if self.is_this_machine(name) {
            return Err(Forbidden(format!("{name} is this machine; {REMEDY}")));
        }
        if self.0.proxies.iter().any(|proxy| proxy == name) {
            // The resolver does not check the proxy's name, so the proxy must not be a receiver as well.
            return Err(Forbidden(format!("{name} is the proxy, not a receiver")));
        }
        Ok(())
    }

    /// Whether the name means this machine and no loopback address is permitted.
    fn is_this_machine(&self, name: &str) -> bool {
        let is_local = name == "localhost" || name.ends_with(".localhost");
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        is_local && loopback.iter().all(|ip| self.judge(*ip).is_err())
    }

    /// The reason to refuse a URL as it is written, in GitLab's words: it has a forbidden address or a name of this machine.
    /// Other names are checked when they are resolved for a request.
    /// Source: <https://gitlab.com/gitlab-org/gitlab/-/blob/master/lib/gitlab/url_blocker.rb>.
    pub(super) fn blocks(&self, url: &Url) -> Option<&'static str> {
        let ip = match url.host()? {
            Host::Ipv4(ip) => IpAddr::V4(ip),
            Host::Ipv6(ip) => IpAddr::V6(ip),
            Host::Domain(name) => return self.is_this_machine(&bare(name)).then_some(THIS_MACHINE),
        };
        let kind = self.judge(ip).err()?;
        let ip = embedded(ip).map_or(ip, IpAddr::V4);
        Some(match (kind, ip) {
            (Kind::Loopback, IpAddr::V4(Ipv4Addr::LOCALHOST) | IpAddr::V6(_)) => THIS_MACHINE,
            (_, IpAddr::V4(Ipv4Addr::BROADCAST)) => {
                "Requests to the limited broadcast address are not allowed"
            }
            (kind, _) => kind.not_allowed(),
        })
    }

    /// Returns the kind of a forbidden address as the error.
    fn judge(&self, ip: IpAddr) -> Result<(), Kind> {
        if let Some(inner) = isatap(ip) {
            self.judge(IpAddr::V4(inner))?;
        }
        let Some(kind) = reserved(ip) else { return Ok(()) };
        let inner = embedded(ip).map(IpAddr::V4);
        let is_allowed = |ip: IpAddr| self.0.allow.iter().any(|network| network.contains(&ip));
        if is_allowed(ip) || inner.is_some_and(is_allowed) { Ok(()) } else { Err(kind) }
    }

    /// The addresses of a name that may be called.
    fn filter(&self, name: &str, addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Forbidden> {
        if self.0.proxies.iter().any(|proxy| *proxy == bare(name)) {
            return Ok(addresses);
        }
        let mut refused = None;
        let mut allowed = Vec::with_capacity(addresses.len());
        for address in addresses {
            match self.judge(address.ip()) {
                Ok(()) => allowed.push(address),
                Err(kind) => refused = refused.or(Some((address.ip(), kind))),
            }
        }
        match refused {
            Some((ip, kind)) if allowed.is_empty() => {
                Err(Forbidden(format!("{name} resolves to {ip}, {kind}; {REMEDY}")))
            }
            _ => Ok(allowed),
        }
    }
}

const REMEDY: &str = "wire.allow_networks can permit it";

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let name = name.as_str();
            let not_found = |why| NotFound { name: name.to_owned(), why };
            // The client replaces port 0 by the URL's port.
            let found = tokio::net::lookup_host((name, 0)).await.map_err(|error| not_found(plain(&error)))?;
            let found: Vec<SocketAddr> = found.collect();
            if found.is_empty() {
                return Err(not_found("it has none".to_owned()).into());
            }
            Ok(Box::new(guard.filter(name, found)?.into_iter()) as Addrs)
        })
    }
}

/// A resolver's error without the words that our message has already.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("failed to lookup address information: ").unwrap_or(&text).to_owned()
}

/// A host's name in its canonical form, for comparison.
fn bare(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// GitLab uses this text for every address of its own machine.
const THIS_MACHINE: &str = "Requests to localhost are not allowed";

/// The kinds of addresses that do not belong to the public internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Loopback,
    Private,
    Shared,
    LinkLocal,
    Unspecified,
    Reserved,
    Documentation,
    Benchmark,
    Relay,
    Multicast,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "a loopback address",
            Self::Private => "a private address",
            Self::Shared => "a carrier's shared address",
            Self::LinkLocal => "a link-local address",
            Self::Unspecified => "an unspecified address",
            Self::Reserved => "a reserved address",
            Self::Documentation => "a documentation address",
            Self::Benchmark => "a benchmark address",
            Self::Relay => "a 6to4 relay's address",
            Self::Multicast => "a multicast address",
        })
    }
}

impl Kind {
    /// GitLab's text for the kinds that GitLab refuses, and a similar one for the others.
    const fn not_allowed(self) -> &'static str {
        match self {
            Self::Unspecified => THIS_MACHINE,
            Self::Loopback => "Requests to loopback addresses are not allowed",
            Self::Private => "Requests to the local network are not allowed",
            Self::LinkLocal => "Requests to the link local network are not allowed",
            Self::Shared => "Requests to the shared address space are not allowed",
            Self::Reserved | Self::Documentation | Self::Benchmark | Self::Relay | Self::Multicast => {
                "Requests to reserved addresses are not allowed"
            }
        }
    }
}

/// The IPv4 address that is embedded in an IPv6 address: mapped (`::ffff:a.b.c.d`) and the old compatible form,
/// translated (RFC 2765), 6to4, and NAT64's well-known prefix. The IPv4 address is checked instead, so that a forbidden
/// one can't be reached in these forms. NAT64 must pass for public addresses, because networks without IPv4 reach most
/// services through it.
fn embedded(ip: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(ip) = ip else { return None };
    let from = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => from(high, low),
        _ => None,
    }
}

/// The IPv4 address in an ISATAP interface identifier (RFC 5214, section 6.1), under any prefix. An ISATAP router
/// tunnels the packet to that address, so it must be allowed as well as the IPv6 address.
fn isatap(ip: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(ip) = ip else { return None };
    match ip.segments() {
        // The bit 0x0200 means that the IPv4 address is globally unique. It is ignored here.
        [_, _, _, _, 0 | 0x0200, 0x5efe, high, low] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            Some(Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    }
}

/// The kind of an address; `None` for addresses of the public internet.
fn reserved(ip: IpAddr) -> Option<Kind> {
    match (ip, embedded(ip)) {
        (_, Some(inner)) => reserved_v4(inner),
        (IpAddr::V4(ip), None) => reserved_v4(ip),
        (IpAddr::V6(ip), None) => reserved_v6(ip),
    }
}

fn reserved_v4(ip: Ipv4Addr) -> Option<Kind> {
    RESERVED_V4.iter().find(|(network, _)| network.contains(&ip)).map(|(_, kind)| *kind)
}

fn reserved_v6(ip: Ipv6Addr) -> Option<Kind> {
    let named = RESERVED_V6.iter().find(|(network, _)| network.contains(&ip)).map(|(_, kind)| *kind);
    // Only 2000::/3 is allocated for public use. Everything else is refused, whether or not a table lists it.
    named.or_else(|| (!PUBLIC_V6.contains(&ip)).then_some(Kind::Reserved))
}

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(a: u16, b: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), length)
}

/// IANA's registry of special-purpose IPv4 addresses, and what is not unicast. AS112 and AMT are reachable, but they
/// serve reverse look-ups and multicast joins; no integration's service has such an address.
/// Source: <https://www.iana.org/assignments/iana-ipv4-special-registry>.
static RESERVED_V4: &[(Ipv4Net, Kind)] = &[
    (v4(127, 0, 0, 0, 8), Kind::Loopback),
    (v4(10, 0, 0, 0, 8), Kind::Private),
    (v4(172, 16, 0, 0, 12), Kind::Private),
    (v4(192, 168, 0, 0, 16), Kind::Private),
    (v4(100, 64, 0, 0, 10), Kind::Shared),
    (v4(169, 254, 0, 0, 16), Kind::LinkLocal),
    (v4(0, 0, 0, 0, 8), Kind::Unspecified),
    (v4(192, 0, 0, 0, 24), Kind::Reserved),
    (v4(192, 0, 2, 0, 24), Kind::Documentation),
    (v4(198, 51, 100, 0, 24), Kind::Documentation),
    (v4(203, 0, 113, 0, 24), Kind::Documentation),
    (v4(198, 18, 0, 0, 15), Kind::Benchmark),
    (v4(192, 31, 196, 0, 24), Kind::Reserved), // AS112
    (v4(192, 52, 193, 0, 24), Kind::Reserved), // AMT
    (v4(192, 175, 48, 0, 24), Kind::Reserved), // AS112, direct delegation
    (v4(192, 88, 99, 0, 24), Kind::Relay),
    (v4(224, 0, 0, 0, 4), Kind::Multicast),
    (v4(240, 0, 0, 0, 4), Kind::Reserved),
];

static PUBLIC_V6: Ipv6Net = v6(0x2000, 0, 3);

/// The parts of `2000::/3` in IANA's registry of special-purpose IPv6 addresses, and the named parts outside of it.
/// Source: <https://www.iana.org/assignments/iana-ipv6-special-registry>.
static RESERVED_V6: &[(Ipv6Net, Kind)] = &[
    (Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128), Kind::Loopback),
    (Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 128), Kind::Unspecified),
    (v6(0xfc00, 0, 7), Kind::Private),
    (v6(0xfe80, 0, 10), Kind::LinkLocal),
    (v6(0xfec0, 0, 10), Kind::Private),
    (v6(0xff00, 0, 8), Kind::Multicast),
    (v6(0x2001, 0x0db8, 32), Kind::Documentation),
    (v6(0x3fff, 0, 20), Kind::Documentation),
    // Teredo, benchmarks, ORCHID: reserved for protocols.
    (v6(0x2001, 0, 23), Kind::Reserved),
    (Ipv6Net::new_assert(Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48), Kind::Reserved), // AS112
];

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(allow: &[&str]) -> Guard {
        Guard::new(
            allow.iter().map(|network| network.parse().unwrap()).collect(),
            &["Proxy.corp.".to_owned()],
        )
    }

    fn verdict(guard: &Guard, url: &str) -> Result<(), String> {
        guard.check(&Url::parse(url).unwrap()).map_err(|forbidden| forbidden.to_string())
    }

    #[test]
    fn every_spelling_of_a_private_address_is_refused() {
        let spellings = [
            "127.0.0.1",
            "2130706433",
            "0x7f.1",
            "0x7f000001",
            "0177.0.0.1",
            "127.1",
            "127.0.0.1.",
            "１２７.0.0.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::127.0.0.1]",
            "[::ffff:0:127.0.0.1]",
            "[64:ff9b::127.0.0.1]",
            "[64:ff9b::a9fe:a9fe]",
            "[64:ff9b:1::1]",
            "[2002:7f00:1::]",
            "[2002:a00:1::1]",
            "[2001:0:1:2::1]",
            "169.254.169.254",
            "0.0.0.0",
            "0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.100.100.200",
            "192.0.0.192",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "255.255.255.255",
            "[::]",
            "[fd00:ec2::254]",
            "[fe80::1]",
            "[fec0::1]",
            "[ff02::1]",
            "[2001:db8::1]",
            "[3fff::1]",
            "[100::1]",
            "[4000::1]",
            "[5f00::1]",
            "[2606:4700::5efe:127.0.0.1]",
            "[2606:4700::200:5efe:10.0.0.1]",
            "[fe80::5efe:8.8.8.8]",
            "[2620:4f:8000::1]",
            "192.31.196.1",
            "192.52.193.1",
            "192.175.48.1",
            "localhost",
            "LOCALHOST.",
            "metadata.localhost",
            "proxy.corp",
        ];
        for host in spellings {
            let url = format!("http://{host}:8080/secret");
            let refusal = verdict(&guard(&[]), &url).expect_err(host);
            assert!(!refusal.contains("secret"), "{refusal}");
        }
    }

    #[test]
    fn public_addresses_pass() {
        let hosts = [
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "[2606:4700::1111]",
            "[64:ff9b::8.8.8.8]",
            "[::ffff:8.8.8.8]",
            "[2606:4700::5efe:8.8.8.8]",
            "[2620:4f:8001::1]",
            "hooks.example.com",
            "localhost.example.com",
        ];
        for host in hosts {
            assert_eq!(verdict(&guard(&[]), &format!("https://{host}/")), Ok(()), "{host}");
        }
    }

    #[test]
    fn permitted_networks_pass_in_every_spelling_and_nothing_else_does() {
        let guard = guard(&["127.0.0.0/8", "fd00:1::/32"]);
        for host in ["127.1", "[::ffff:127.0.0.1]", "localhost", "[fd00:1::5]"] {
            assert_eq!(verdict(&guard, &format!("http://{host}/")), Ok(()), "{host}");
        }
        for host in ["10.0.0.1", "[::1]", "[fd00:2::5]", "[fd00:1::5efe:10.0.0.1]"] {
            assert!(verdict(&guard, &format!("http://{host}/")).is_err(), "{host}");
        }
    }

    #[test]
    fn refusals_name_the_address_and_the_remedy() {
        assert_eq!(
            verdict(&guard(&[]), "http://0x7f.1/").unwrap_err(),
            "127.0.0.1 is a loopback address; wire.allow_networks can permit it"
        );
        assert_eq!(
            verdict(&guard(&[]), "ftp://example.com/").unwrap_err(),
            "only http and https are called, not ftp"
        );
    }

    #[test]
    fn refused_urls_are_reported_in_gitlabs_words() {
        let guard = guard(&["10.1.0.0/16"]);
        let words = |host: &str| guard.blocks(&format!("https://{host}:8080/x").parse().unwrap());
        for (hosts, words_of_them) in [
            (
                &[
                    "localhost",
                    "LocalHost.",
                    "x.localhost",
                    "127.0.0.1",
                    "0x7f.1",
                    "[::1]",
                    "0.0.0.0",
                    "[::]",
                    "[::ffff:127.0.0.1]",
                ][..],
                "Requests to localhost are not allowed",
            ),
            (&["127.0.0.2"], "Requests to loopback addresses are not allowed"),
            (
                &["10.0.0.1", "192.168.1.1", "172.16.0.1", "[fd00::1]", "[::ffff:10.0.0.1]"],
                "Requests to the local network are not allowed",
            ),
            (&["169.254.169.254", "[fe80::1]"], "Requests to the link local network are not allowed"),
            (&["100.64.0.1"], "Requests to the shared address space are not allowed"),
            (&["255.255.255.255"], "Requests to the limited broadcast address are not allowed"),
            (&["224.0.0.1", "192.0.2.1", "[2001:db8::1]"], "Requests to reserved addresses are not allowed"),
        ] {
            for host in hosts {
                assert_eq!(words(host), Some(words_of_them), "{host}");
                assert!(guard.check(&format!("https://{host}:8080/x").parse().unwrap()).is_err(), "{host}");
            }
        }
        // Public addresses, permitted ones, and names, whatever they resolve to.
        for host in
            ["8.8.8.8", "[2606:4700::1111]", "10.1.2.3", "inner.example", "proxy.corp", "localhost.example"]
        {
            assert_eq!(words(host), None, "{host}");
        }
    }

    #[test]
    fn only_the_public_addresses_of_a_name_are_used() {
        let (public, private) = ("8.8.8.8:0".parse().unwrap(), "10.0.0.5:0".parse().unwrap());
        let guard = guard(&[]);
        assert_eq!(guard.filter("both.example", vec![private, public]), Ok(vec![public]));
        assert_eq!(
            guard.filter("inner.example", vec![private]).unwrap_err().to_string(),
            "inner.example resolves to 10.0.0.5, a private address; wire.allow_networks can permit it"
        );
        assert_eq!(guard.filter("proxy.corp", vec![private]), Ok(vec![private]));
    }
}

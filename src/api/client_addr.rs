//! The address of the client: the other end of the connection, or the address that a trusted proxy reports.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

/// The other end of the connection that a request came over. The server attaches it to every request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// The part of an address that belongs to one client: an IPv6 client usually has a whole /64, an IPv4 address stands for
/// itself. All limits per client apply to this part.
pub(super) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// Whether an address is a trusted proxy's.
pub(super) fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    let address = address.to_canonical();
    trusted.iter().any(|network| network.contains(&address))
}

/// The client that sent a request. `X-Forwarded-For` is read from its end, because each proxy appends the address that it
/// was called from: the last address that is not a trusted proxy's is the client. The addresses before it can be
/// forged.
pub(super) fn client_address(peer: SocketAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let mut client = peer.ip().to_canonical();
    let lines = headers.get_all("x-forwarded-for").iter();
    let reported: Vec<&[u8]> = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).collect();
    for name in reported.into_iter().rev() {
        if !is_trusted(client, trusted) {
            break;
        }
        let Some(address) = read(name) else { break };
        client = address;
    }
    client
}

/// Whether a request came from a process on this host, and not through a proxy that adds one of the usual headers. A
/// proxy on this host that adds none can't be told from a local process. `listen` is the server's own address, from
/// which local processes connect to it.
pub(super) fn is_of_this_host(peer: SocketAddr, listen: IpAddr, headers: &HeaderMap) -> bool {
    const OF_PROXIES: [&str; 4] = ["x-forwarded-for", "x-real-ip", "forwarded", "via"];
    let peer = peer.ip().to_canonical();
    let is_local = peer.is_loopback() || peer == listen.to_canonical();
    is_local && !OF_PROXIES.iter().any(|name| headers.contains_key(*name))
}

/// Whether the client's request came over TLS, as a trusted proxy reports in `X-Forwarded-Proto`. The server itself
/// speaks plain HTTP. The last value counts, because the nearest proxy wrote it.
pub(super) fn came_over_tls(peer: SocketAddr, headers: &HeaderMap, trusted: &[IpNet]) -> bool {
    if !is_trusted(peer.ip(), trusted) {
        return false;
    }
    let last = headers.get_all("x-forwarded-proto").iter().next_back().and_then(|value| value.to_str().ok());
    let word = last.and_then(|words| words.rsplit(',').next()).unwrap_or_default();
    word.trim().eq_ignore_ascii_case("https")
}

/// `203.0.113.7`, `203.0.113.7:4711`, `2001:db8::7`, `[2001:db8::7]:4711`
fn read(name: &[u8]) -> Option<IpAddr> {
    let name = std::str::from_utf8(name).ok()?.trim();
    let bare = name.parse::<IpAddr>().ok();
    let with_port = || name.parse::<SocketAddr>().ok().map(|address| address.ip());
    let bracketed = || name.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    Some(bare.or_else(with_port).or_else(bracketed)?.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn client(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_str(line).unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        client_address(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn a_process_of_this_host_comes_from_its_addresses_and_through_no_proxy() {
        let is_local = |peer: &str, header: Option<&'static str>| {
            let headers = header.map(|name| (HeaderName::from_static(name), HeaderValue::from_static("x")));
            let peer = format!("{peer}:4711").parse().unwrap();
            is_of_this_host(peer, "203.0.113.7".parse().unwrap(), &headers.into_iter().collect())
        };
        for peer in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "203.0.113.7"] {
            assert!(is_local(peer, None), "{peer}");
            assert!(!is_local(peer, Some("x-forwarded-for")) && !is_local(peer, Some("via")), "{peer}");
        }
        assert!(!is_local("203.0.113.8", None));
    }

    #[test]
    fn an_untrusted_peer_is_the_client_whatever_it_reports() {
        assert_eq!(client("203.0.113.7:1", &["198.51.100.1"], &[]), "203.0.113.7");
        assert_eq!(client("203.0.113.7:1", &["198.51.100.1"], &["10.0.0.0/8"]), "203.0.113.7");
    }

    #[test]
    fn a_trusted_proxy_reports_its_client() {
        let ours = ["10.0.0.0/8"];
        assert_eq!(client("10.0.0.1:1", &["198.51.100.1"], &ours), "198.51.100.1");
        assert_eq!(client("10.0.0.1:1", &["198.51.100.1:4711"], &ours), "198.51.100.1");
        assert_eq!(client("10.0.0.1:1", &["[2001:db8::7]:4711"], &ours), "2001:db8::7");
        assert_eq!(client("10.0.0.1:1", &["[2001:db8::7]"], &ours), "2001:db8::7");
        assert_eq!(client("[::ffff:10.0.0.1]:1", &["198.51.100.1"], &ours), "198.51.100.1");
    }

    #[test]
    fn an_ipv6_client_is_its_64_bits_and_an_ipv4_client_its_address() {
        let network = |address: &str| network_of(address.parse().unwrap());
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), network("2001:db8:1:2::7"));
        assert_ne!(network("2001:db8:1:2::7"), network("2001:db8:1:3::7"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }

    #[test]
    fn only_a_trusted_proxy_says_that_a_request_came_over_tls() {
        let over_tls = |peer: &str, said: &[&str]| {
            let values = said.iter().map(|value| HeaderValue::from_str(value).unwrap());
            let headers = values.map(|value| ("x-forwarded-proto".parse().unwrap(), value));
            let headers = headers.fold(HeaderMap::new(), |mut all: HeaderMap, (name, value)| {
                let name: axum::http::HeaderName = name;
                all.append(name, value);
                all
            });
            came_over_tls(peer.parse().unwrap(), &headers, &["10.0.0.0/8".parse().unwrap()])
        };
        assert!(over_tls("10.0.0.1:1", &["https"]));
        assert!(over_tls("10.0.0.1:1", &["http", "HTTPS"]));
        assert!(!over_tls("10.0.0.1:1", &["https", "http"]), "the nearest proxy counts");
        assert!(!over_tls("10.0.0.1:1", &[]));
        assert!(!over_tls("203.0.113.7:1", &["https"]));
    }

    #[test]
    fn what_a_client_wrote_itself_is_not_believed() {
        let ours = ["10.0.0.0/8"];
        assert_eq!(client("10.0.0.1:1", &["192.0.2.66, 198.51.100.1"], &ours), "198.51.100.1");
        assert_eq!(client("10.0.0.1:1", &["192.0.2.66", "198.51.100.1"], &ours), "198.51.100.1");
        assert_eq!(client("10.0.0.1:1", &["192.0.2.66, 198.51.100.1, 10.0.0.2"], &ours), "198.51.100.1");
        assert_eq!(client("10.0.0.1:1", &["caf\u{e9}, 198.51.100.1"], &ours), "198.51.100.1");
    }

    #[test]
    fn a_proxy_that_reports_no_client_is_the_client_itself() {
        let ours = ["10.0.0.0/8"];
        assert_eq!(client("10.0.0.1:1", &[], &ours), "10.0.0.1");
        assert_eq!(client("10.0.0.1:1", &["unknown"], &ours), "10.0.0.1");
        assert_eq!(client("10.0.0.1:1", &["198.51.100.1, unknown"], &ours), "10.0.0.1");
        assert_eq!(
            client("10.0.0.1:1", &["10.0.0.2"], &ours),
            "10.0.0.2",
            "all addresses are trusted proxies"
        );
    }
}

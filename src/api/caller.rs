//! Who is calling: the address at the other end, or the one that a trusted proxy in front of us names.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

/// The other end of the connection that a request came over; the doors put it on every request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Whose request it is. `X-Forwarded-For` is read from its end: each proxy adds whom it was called by, so the last name
/// that no proxy of ours stands for is the caller. What stands before it anybody can write.
pub(super) fn address(peer: SocketAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_ours = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    let mut caller = peer.ip().to_canonical();
    let lines = headers.get_all("x-forwarded-for").iter();
    let told: Vec<&[u8]> = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).collect();
    for name in told.into_iter().rev() {
        if !is_ours(caller) {
            break;
        }
        let Some(address) = read(name) else { break };
        caller = address;
    }
    caller
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
    use axum::http::HeaderValue;

    use super::*;

    fn caller(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_str(line).unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        address(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn a_stranger_is_who_calls_whatever_it_says() {
        assert_eq!(caller("203.0.113.7:1", &["198.51.100.1"], &[]), "203.0.113.7");
        assert_eq!(caller("203.0.113.7:1", &["198.51.100.1"], &["10.0.0.0/8"]), "203.0.113.7");
    }

    #[test]
    fn a_trusted_proxy_names_its_caller() {
        let ours = ["10.0.0.0/8"];
        assert_eq!(caller("10.0.0.1:1", &["198.51.100.1"], &ours), "198.51.100.1");
        assert_eq!(caller("10.0.0.1:1", &["198.51.100.1:4711"], &ours), "198.51.100.1");
        assert_eq!(caller("10.0.0.1:1", &["[2001:db8::7]:4711"], &ours), "2001:db8::7");
        assert_eq!(caller("10.0.0.1:1", &["[2001:db8::7]"], &ours), "2001:db8::7");
        assert_eq!(caller("[::ffff:10.0.0.1]:1", &["198.51.100.1"], &ours), "198.51.100.1");
    }

    #[test]
    fn what_a_caller_wrote_itself_is_not_believed() {
        let ours = ["10.0.0.0/8"];
        assert_eq!(caller("10.0.0.1:1", &["192.0.2.66, 198.51.100.1"], &ours), "198.51.100.1");
        assert_eq!(caller("10.0.0.1:1", &["192.0.2.66", "198.51.100.1"], &ours), "198.51.100.1");
        assert_eq!(caller("10.0.0.1:1", &["192.0.2.66, 198.51.100.1, 10.0.0.2"], &ours), "198.51.100.1");
        assert_eq!(caller("10.0.0.1:1", &["caf\u{e9}, 198.51.100.1"], &ours), "198.51.100.1");
    }

    #[test]
    fn a_proxy_that_names_nobody_is_the_caller_itself() {
        let ours = ["10.0.0.0/8"];
        assert_eq!(caller("10.0.0.1:1", &[], &ours), "10.0.0.1");
        assert_eq!(caller("10.0.0.1:1", &["unknown"], &ours), "10.0.0.1");
        assert_eq!(caller("10.0.0.1:1", &["198.51.100.1, unknown"], &ours), "10.0.0.1");
        assert_eq!(caller("10.0.0.1:1", &["10.0.0.2"], &ours), "10.0.0.2", "all of it is ours");
    }
}

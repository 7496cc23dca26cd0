//! Checks the `Host` header of a request, as RFC 9112 demands.

use axum::http::uri::Authority;
use axum::http::{HeaderMap, Version, header};

/// Why a request's `Host` is refused with 400: <https://www.rfc-editor.org/rfc/rfc9112#section-3.2>. If there were two
/// headers, two parties could read different ones and disagree about the request's host.
pub(super) fn refused(version: Version, headers: &HeaderMap) -> Option<&'static str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if version >= Version::HTTP_11 => Some("the header Host is missing"),
        (None, _) => None,
        (Some(_), Some(_)) => Some("there is more than one header Host"),
        (Some(host), None) => {
            let host = host.as_bytes();
            let is_valid = !host.contains(&b'@') && Authority::try_from(host).is_ok();
            // An empty `Host` is valid where the target has no authority.
            (!host.is_empty() && !is_valid).then_some("the header Host is not a host and a port")
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn of(version: Version, hosts: &[&'static str]) -> bool {
        let hosts = hosts.iter().map(|host| (header::HOST, HeaderValue::from_static(host)));
        refused(
            version,
            &hosts.fold(HeaderMap::new(), |mut headers, (name, value)| {
                headers.append(name, value);
                headers
            }),
        )
        .is_some()
    }

    #[test]
    fn exactly_one_valid_host_is_needed() {
        for host in ["forge.example", "forge.example:8090", "10.0.0.7", "[2001:db8::7]:80", "my_host", ""] {
            assert!(!of(Version::HTTP_11, &[host]), "{host}");
        }
        for host in ["a b", "user@host", "a/b", "a:b:c"] {
            assert!(of(Version::HTTP_11, &[host]), "{host}");
        }
        assert!(of(Version::HTTP_11, &[]));
        assert!(of(Version::HTTP_11, &["a", "a"]));
        assert!(!of(Version::HTTP_10, &[]));
        assert!(of(Version::HTTP_10, &["a", "a"]));
    }
}

//! Sessions: who is logged in, as a sealed cookie.
//!
//! A cookie holds the digest of the token that a person logged in with, and the session's end. It is sealed, so that neither
//! the browser nor a reader of the store can make one. The server keeps nothing for a session, so sessions need no
//! memory, and every node with the same `secrets.key` can read all of them. The token is looked up at every request, so
//! a revoked or expired token ends its sessions at once, on every node. Only sessions that a person ended are kept, in
//! the store, until they would have ended by themselves.

use std::fmt;
use std::net::SocketAddr;

use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::api::client_addr::came_over_tls;
use crate::store::seal::{self, SealingKey};
use crate::store::{self, Registry, token};

const PURPOSE: &str = "forgebell: a session of the page";
/// A working day, and some overtime.
pub(super) const LENGTH: SignedDuration = SignedDuration::from_hours(12);

/// Begins sessions and reads them.
pub struct Sessions {
    key: SealingKey,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sessions")
    }
}

/// A session whose time is not over.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Session {
    /// The digest of its token.
    pub(super) token: [u8; 32],
    ends: Timestamp,
    digest: [u8; 32],
}

impl Sessions {
    /// Cookies are sealed with the operator's key. Without one, the process makes a key, so that sessions end with the
    /// process.
    ///
    /// # Errors
    /// The operating system gives no random numbers.
    pub fn new(secrets: &seal::Config) -> store::Result<Self> {
        let key = secrets.key.clone().map_or_else(SealingKey::make, Ok)?;
        Ok(Self { key })
    }

    /// The value of the cookie of a new session.
    pub(super) fn begin(&self, token: [u8; 32], now: Timestamp) -> store::Result<String> {
        let ends = now.checked_add(LENGTH).unwrap_or(Timestamp::MAX);
        let plain = [&token[..], &ends.as_second().to_be_bytes()].concat();
        Ok(URL_SAFE_NO_PAD.encode(self.key.seal_for(PURPOSE, &plain)?))
    }

    /// The session of a cookie; `None` where the cookie is not valid or has expired.
    pub(super) fn read(&self, cookie: &str, now: Timestamp) -> Option<Session> {
        let sealed = URL_SAFE_NO_PAD.decode(cookie).ok()?;
        let plain = self.key.open_for(PURPOSE, &sealed)?;
        let (token, ends) = plain.split_first_chunk::<32>()?;
        let ends = Timestamp::from_second(i64::from_be_bytes(ends.try_into().ok()?)).ok()?;
        (ends > now).then(|| Session { token: *token, ends, digest: digest_of(cookie) })
    }
}

impl Session {
    /// Ends the session early, on all nodes.
    pub(super) async fn end(&self, registry: &dyn Registry, now: Timestamp) -> store::Result<()> {
        registry.end_session(self.digest, self.ends, now).await
    }

    /// Whether the session was ended early.
    pub(super) async fn is_ended(&self, registry: &dyn Registry) -> store::Result<bool> {
        registry.session_ended(self.digest).await
    }

    /// The key that every form of this session must send back. A page of another origin can't read the key, so it can't
    /// send a form.
    pub(super) fn form_key(&self) -> String {
        key_of(&self.digest)
    }

    pub(super) fn owns_form(&self, sent: &str) -> bool {
        is_same(&self.form_key(), sent)
    }
}

fn digest_of(cookie: &str) -> [u8; 32] {
    Sha256::digest(cookie.as_bytes()).into()
}

/// The key is derived once more, so that it does not reveal the digest that identifies ended sessions.
fn key_of(digest: &[u8; 32]) -> String {
    let digest = Sha256::new().chain_update(b"forgebell: a form of the page\0").chain_update(digest);
    URL_SAFE_NO_PAD.encode(digest.finalize())
}

fn is_same(expected: &str, sent: &str) -> bool {
    expected.as_bytes().ct_eq(sent.as_bytes()).into()
}

/// The log-in form has no session yet. It uses a cookie instead, so that no other site can log a person in with its own
/// token.
pub(super) mod of_log_in {
    use super::{digest_of, is_same, key_of, token};
    use crate::store;

    /// The value of a new cookie.
    pub(in super::super) fn cookie() -> store::Result<String> {
        Ok(token::make()?.expose().to_owned())
    }

    pub(in super::super) fn form_key(cookie: &str) -> String {
        key_of(&digest_of(cookie))
    }

    pub(in super::super) fn owns_form(cookie: &str, sent: &str) -> bool {
        is_same(&form_key(cookie), sent)
    }
}

/// The cookies of one request, by whether it came over TLS. Over TLS, the cookies' names make browsers accept them only
/// from this host over TLS.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cookies {
    over_tls: bool,
}

const SESSION: &str = "forgebell";
const LOG_IN: &str = "forgebell-login";

impl Cookies {
    pub(super) fn of(peer: Option<SocketAddr>, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        Self { over_tls: peer.is_some_and(|peer| came_over_tls(peer, headers, trusted)) }
    }

    pub(super) fn session(self, headers: &HeaderMap) -> Option<String> {
        self.read(headers, SESSION)
    }

    pub(super) fn log_in(self, headers: &HeaderMap) -> Option<String> {
        self.read(headers, LOG_IN)
    }

    pub(super) fn set_session(self, value: &str) -> HeaderValue {
        self.set(SESSION, value, LENGTH.as_secs())
    }

    pub(super) fn remove_session(self) -> HeaderValue {
        self.set(SESSION, "", 0)
    }

    pub(super) fn set_log_in(self, value: &str) -> HeaderValue {
        self.set(LOG_IN, value, SignedDuration::from_hours(1).as_secs())
    }

    fn name(self, name: &str) -> String {
        format!("{}{name}", if self.over_tls { "__Host-" } else { "" })
    }

    fn read(self, headers: &HeaderMap, name: &str) -> Option<String> {
        let name = self.name(name);
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(found, _)| *found == name).map(|(_, value)| value.to_owned())
    }

    fn set(self, name: &str, value: &str, seconds: i64) -> HeaderValue {
        let secure = if self.over_tls { "; Secure" } else { "" };
        let cookie = format!(
            "{}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}",
            self.name(name)
        );
        HeaderValue::from_str(&cookie).expect("names, numbers and base64 are plain ASCII")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_768_469_400, 0);
    const TOKEN: [u8; 32] = [7; 32];

    fn sessions() -> Sessions {
        Sessions::new(&seal::Config::default()).unwrap()
    }

    #[test]
    fn a_session_is_read_until_it_ends() {
        let sessions = sessions();
        let cookie = sessions.begin(TOKEN, NOW).unwrap();
        assert!(sessions.read(&cookie, NOW).is_some_and(|session| session.token == TOKEN));
        assert!(sessions.read(&cookie, NOW + LENGTH - SignedDuration::from_secs(1)).is_some());
        assert!(sessions.read(&cookie, NOW + LENGTH).is_none());
    }

    #[test]
    fn nodes_with_one_key_know_each_others_sessions_and_nodes_without_a_key_do_not() {
        let key = SealingKey::make().unwrap();
        let node = || {
            let secrets = seal::Config { key: Some(key.clone()), old_keys: Vec::new() };
            Sessions::new(&secrets).unwrap()
        };
        let cookie = node().begin(TOKEN, NOW).unwrap();
        assert!(node().read(&cookie, NOW).is_some());
        assert!(sessions().read(&cookie, NOW).is_none());
    }

    #[test]
    fn what_a_browser_makes_up_is_no_session() {
        let sessions = sessions();
        let cookie = sessions.begin(TOKEN, NOW).unwrap();
        let mut bytes = URL_SAFE_NO_PAD.decode(&cookie).unwrap();
        bytes[20] ^= 1;
        for wrong in ["", "x", &cookie[1..], &URL_SAFE_NO_PAD.encode(bytes), &URL_SAFE_NO_PAD.encode([0; 68])]
        {
            assert!(sessions.read(wrong, NOW).is_none(), "{wrong}");
        }
        assert!(!cookie.contains(&URL_SAFE_NO_PAD.encode(TOKEN)), "the token's digest can't be read off it");
    }

    #[test]
    fn a_form_belongs_to_its_session() {
        let sessions = sessions();
        let session = || sessions.read(&sessions.begin(TOKEN, NOW).unwrap(), NOW).unwrap();
        let (one, other) = (session(), session());
        assert!(one.owns_form(&one.form_key()));
        assert!(!one.owns_form(&other.form_key()) && !one.owns_form(""));
        let cookie = of_log_in::cookie().unwrap();
        assert!(of_log_in::owns_form(&cookie, &of_log_in::form_key(&cookie)));
        assert!(!of_log_in::owns_form(&cookie, &one.form_key()));
    }

    #[test]
    fn cookies_are_out_of_reach_of_scripts_and_of_other_sites() {
        let proxy: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let peer = Some("10.0.0.1:1".parse().unwrap());
        let mut headers = HeaderMap::new();
        let plain = Cookies::of(peer, &headers, &proxy);
        assert_eq!(plain.set_session("x"), "forgebell=x; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict");
        headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
        let over_tls = Cookies::of(peer, &headers, &proxy);
        let expected = "__Host-forgebell=x; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict; Secure";
        assert_eq!(over_tls.set_session("x"), expected);
        headers.insert("cookie", HeaderValue::from_static("a=b; forgebell=plain; __Host-forgebell=tls"));
        assert_eq!(over_tls.session(&headers).as_deref(), Some("tls"));
        assert_eq!(plain.session(&headers).as_deref(), Some("plain"));
    }
}

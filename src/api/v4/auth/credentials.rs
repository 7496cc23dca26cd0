//! The token of a request, and whether its right is enough for this kind of request.
//!
//! A missing or invalid token is answered first (401), then a right that is too small (403), then an object that is not
//! within the token's reach (404), and only then what else is wrong with the request. So no answer reveals which
//! objects exist to a caller without access.
//!
//! The store holds SHA-256 digests of tokens, and a token is looked up by its digest. The time of that look-up reveals
//! nothing about a guess, because any change to the guess changes the whole digest unpredictably.

use std::fmt;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use crate::api::error::ApiError;
use crate::api::v4::params::Params;
use crate::store::registry::{Right, StoredToken};
use crate::store::token;

/// A token that was sent.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::api) struct Credential {
    /// The digest under which the store keeps it. The token itself is not kept.
    hash: [u8; 32],
    /// Whether it was sent as an OAuth token. Then errors have OAuth's form.
    bearer: bool,
}

/// The right that a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum Need {
    /// Reads what any client may read: the token's user, and the server's version.
    AnyRight,
    Read,
    Write,
    /// Send events.
    Ingest,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("bearer", &self.bearer).finish_non_exhaustive()
    }
}

impl Credential {
    fn new(token: &str, bearer: bool) -> Option<Self> {
        (!token.trim().is_empty()).then(|| Self { hash: token::hash(token.trim()), bearer })
    }

    /// The token with which a session of the page began, by its digest.
    pub(in crate::api) fn of_session(hash: [u8; 32]) -> Self {
        Self { hash, bearer: false }
    }

    /// The token that a person entered.
    pub(in crate::api) fn entered(token: &str) -> Option<Self> {
        Self::new(token, false)
    }

    /// The token in `X-Gitlab-Token`.
    pub(in crate::api) fn of_webhook(token: &str) -> Option<Self> {
        Self::new(token, false)
    }

    /// The token in an `Authorization` of the scheme `Bearer`.
    pub(in crate::api) fn bearer(authorization: &str) -> Option<Self> {
        after_bearer(authorization).and_then(|token| Self::new(token, true))
    }

    /// The token as the password in an `Authorization` of the scheme `Basic`; the user does not matter.
    pub(in crate::api) fn basic_password(authorization: &str) -> Option<Self> {
        let (scheme, login) = authorization.trim().split_once(' ')?;
        let login = STANDARD.decode(login.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
        let login = String::from_utf8(login).ok()?;
        Self::new(login.split_once(':')?.1, false)
    }

    /// The token of a request. Its possible places and their order are GitLab's.
    pub(in crate::api) fn of(headers: &HeaderMap, params: &Params) -> Option<Self> {
        let text = |name: &str| params.text(name).ok().flatten();
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let own = |token: &str| Self::new(token, false);
        let bearer = |token: &str| Self::new(token, true);
        text("private_token")
            .and_then(|token| own(&token))
            .or_else(|| header("private-token").and_then(own))
            .or_else(|| text("access_token").and_then(|token| bearer(&token)))
            .or_else(|| header(header::AUTHORIZATION.as_str()).and_then(after_bearer).and_then(bearer))
    }

    /// The digest under which the store keeps this token.
    pub(in crate::api) fn hash(&self) -> [u8; 32] {
        self.hash
    }
}

fn after_bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

/// The row of a token that is known, not revoked and not expired.
///
/// # Errors
/// 401, in the form for the way in which the token was sent.
pub(in crate::api) fn valid_token(
    credential: Option<&Credential>,
    tokens: &dyn Fn(&[u8; 32]) -> Option<StoredToken>,
    now: Timestamp,
) -> Result<StoredToken, ApiError> {
    let Some(credential) = credential else { return Err(ApiError::Unauthorized { bearer: false }) };
    let unknown = ApiError::Unauthorized { bearer: credential.bearer };
    let token = tokens(&credential.hash()).ok_or(unknown)?;
    if token.revoked_at.is_some_and(|at| at <= now) {
        return Err(ApiError::TokenRevoked);
    }
    if token.expires_at.is_some_and(|at| at <= now) {
        return Err(ApiError::TokenExpired);
    }
    Ok(token)
}

/// Whether a right is enough for what a request does.
///
/// # Errors
/// 403, with the scopes that would be enough.
pub(in crate::api) fn check_right(right: Right, need: Need) -> Result<(), ApiError> {
    match (need, right) {
        (Need::AnyRight, _)
        | (Need::Read, Right::Maintain | Right::Read)
        | (Need::Write, Right::Maintain)
        | (Need::Ingest, Right::Maintain | Right::Ingest) => Ok(()),
        (Need::Read, Right::Ingest | Right::Alerts) => Err(ApiError::InsufficientScope("api read_api")),
        (Need::Write, _) | (Need::Ingest, Right::Read | Right::Alerts) => {
            Err(ApiError::InsufficientScope("api"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::registry::{Access, ScopeKey};

    const NOW: Timestamp = Timestamp::constant(1_768_469_400, 0);
    const TOKEN: &str = "fbt-mjB1VQ0tE0t3rVYKnJdVb3bB3aDkJY9mQWnq7o1cK8s";

    fn credential(headers: &[(&'static str, &str)], query: &str) -> Option<Credential> {
        let headers = headers
            .iter()
            .map(|(name, value)| (axum::http::HeaderName::from_static(name), value.parse().unwrap()));
        Credential::of(&headers.collect(), &Params::of_query(query).unwrap())
    }

    /// Which of these tokens was sent, and whether as an OAuth token.
    fn sent(credential: Option<Credential>) -> (String, bool) {
        let credential = credential.expect("a token was sent");
        let sent = ["a", "b", "c", "d"].into_iter().find(|name| token::hash(name) == credential.hash);
        (sent.unwrap_or_default().to_owned(), credential.bearer)
    }

    fn row() -> StoredToken {
        StoredToken {
            id: 3,
            name: "ci".to_owned(),
            hash: token::hash(TOKEN),
            access: Access { reach: ScopeKey::Project(42), right: Right::Maintain },
            expires_at: None,
            revoked_at: None,
            revision: 1,
            created_at: NOW,
        }
    }

    fn ask(sent: Option<&str>, row: StoredToken) -> Result<StoredToken, ApiError> {
        let credential = sent.and_then(|token| Credential::new(token, false));
        let find = move |hash: &[u8; 32]| (*hash == row.hash).then(|| row.clone());
        valid_token(credential.as_ref(), &find, NOW)
    }

    #[test]
    fn a_token_is_taken_from_each_of_its_places() {
        assert_eq!(sent(credential(&[("private-token", "a")], "")), ("a".to_owned(), false));
        assert_eq!(sent(credential(&[], "private_token=a")), ("a".to_owned(), false));
        assert_eq!(sent(credential(&[("authorization", "Bearer a")], "")), ("a".to_owned(), true));
        assert_eq!(sent(credential(&[("authorization", "bearer  a ")], "")), ("a".to_owned(), true));
        assert_eq!(sent(credential(&[], "access_token=a")), ("a".to_owned(), true));
    }

    #[test]
    fn the_first_place_that_has_one_counts() {
        let everywhere = [("private-token", "b"), ("authorization", "Bearer d")];
        assert_eq!(sent(credential(&everywhere, "private_token=a&access_token=c")).0, "a");
        assert_eq!(sent(credential(&everywhere, "private_token=&access_token=c")).0, "b");
        assert_eq!(sent(credential(&everywhere[1..], "access_token=c")).0, "c");
    }

    #[test]
    fn blank_tokens_other_schemes_and_job_tokens_are_none() {
        for headers in [
            [("private-token", " ")],
            [("authorization", "Basic YTpi")],
            [("authorization", "Bearer")],
            [("job-token", "a")],
            [("private-token", "caf\u{e9}")],
        ] {
            assert_eq!(credential(&headers, ""), None, "{headers:?}");
        }
        assert_eq!(credential(&[], "private_token[]=a"), None);
    }

    #[test]
    fn who_shows_none_or_an_unknown_one_is_not_let_in() {
        assert_eq!(ask(None, row()), Err(ApiError::Unauthorized { bearer: false }));
        for wrong in ["fbt-", "nonsense", &TOKEN[..TOKEN.len() - 1], &TOKEN.to_uppercase()] {
            assert_eq!(ask(Some(wrong), row()), Err(ApiError::Unauthorized { bearer: false }), "{wrong}");
        }
        assert_eq!(ask(Some(TOKEN), row()).map(|token| token.id), Ok(3));
        let bearer = Credential::new("nonsense", true);
        let refused = valid_token(bearer.as_ref(), &|_| None, NOW);
        assert_eq!(refused, Err(ApiError::Unauthorized { bearer: true }));
    }

    #[test]
    fn tokens_end_at_their_moment_and_revoked_ones_say_so() {
        let second = std::time::Duration::from_secs(1);
        let expiring = |at| StoredToken { expires_at: Some(at), ..row() };
        assert!(ask(Some(TOKEN), expiring(NOW + second)).is_ok());
        assert_eq!(ask(Some(TOKEN), expiring(NOW)), Err(ApiError::TokenExpired));
        let revoked = StoredToken { revoked_at: Some(NOW - second), ..expiring(NOW - second) };
        assert_eq!(ask(Some(TOKEN), revoked), Err(ApiError::TokenRevoked));
    }

    #[test]
    fn each_right_is_enough_for_its_own() {
        let allowed =
            |right| [Need::Read, Need::Write, Need::Ingest].map(|need| check_right(right, need).is_ok());
        assert_eq!(allowed(Right::Maintain), [true, true, true]);
        assert_eq!(allowed(Right::Read), [true, false, false]);
        assert_eq!(allowed(Right::Ingest), [false, false, true]);
        assert_eq!(allowed(Right::Alerts), [false, false, false], "it has an address of its own");
        assert_eq!(check_right(Right::Read, Need::Write), Err(ApiError::InsufficientScope("api")));
    }

    #[test]
    fn monitoring_systems_send_it_as_bearer_or_as_a_password() {
        assert_eq!(sent(Credential::bearer("Bearer a")), ("a".to_owned(), true));
        for login in ["OmE=", "YWRhOmE="] {
            assert_eq!(
                sent(Credential::basic_password(&format!("basic {login}"))).0,
                "a",
                "`:a` and `ada:a`"
            );
        }
        for none in ["Basic", "Basic %%%", "Basic YQ==", "Basic YTo=", "Basic /zo=", "Bearer OmE="] {
            assert_eq!(Credential::basic_password(none), None, "{none}");
        }
        assert_eq!(Credential::bearer("Basic OmE="), None);
    }

    #[test]
    fn a_token_is_not_printed() {
        assert!(!format!("{:?}", Credential::new(TOKEN, false)).contains("fbt-"));
    }
}

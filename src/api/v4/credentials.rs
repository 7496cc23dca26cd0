//! Who asks, and whether that token may do such a thing at all.
//!
//! What a token may *see* is for later: first who it is (401), then whether its right is enough for this kind of request
//! (403), then whether there is what it asks for within its reach (404), and only then what else is wrong with the
//! request. So none of the answers tells a stranger what there is.
//!
//! The store holds SHA-256 digests of tokens, and a token is looked up by its digest. So there is no comparison whose
//! time could tell how much of a guess is right: who changes a guess changes all of its digest, and not as they like.

use axum::http::{HeaderMap, header};
use jiff::Timestamp;

use super::{Params, Refusal};
use crate::settings::Secret;
use crate::store::registry::{Right, StoredToken};
use crate::store::token;

/// A token as it was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api) struct Credential {
    token: Secret,
    /// Shown as OAuth has it, and answered so.
    bearer: bool,
}

/// What a request wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum Need {
    See,
    Change,
    /// Hand in events.
    Ingest,
}

impl Credential {
    fn new(token: &str, bearer: bool) -> Option<Self> {
        (!token.trim().is_empty()).then(|| Self { token: Secret::new(token.trim()), bearer })
    }

    /// One that came in `X-Gitlab-Token`.
    pub(in crate::api) fn of_webhook(token: &str) -> Option<Self> {
        Self::new(token, false)
    }

    /// The token in a request, looked for where and in the order in which GitLab looks.
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

    /// What the store knows this token by.
    fn hash(&self) -> [u8; 32] {
        token::hash(self.token.expose())
    }
}

fn after_bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

/// The token's row, if it is one of ours and in force.
///
/// # Errors
/// 401, in the words for this way of showing a token.
pub(in crate::api) fn known(
    credential: Option<&Credential>,
    tokens: &dyn Fn(&[u8; 32]) -> Option<StoredToken>,
    now: Timestamp,
) -> Result<StoredToken, Refusal> {
    let Some(credential) = credential else { return Err(Refusal::Unauthorized { bearer: false }) };
    let unknown = Refusal::Unauthorized { bearer: credential.bearer };
    let token = tokens(&credential.hash()).ok_or(unknown)?;
    if token.revoked_at.is_some_and(|at| at <= now) {
        return Err(Refusal::Revoked);
    }
    if token.expires_at.is_some_and(|at| at <= now) {
        return Err(Refusal::Expired);
    }
    Ok(token)
}

/// Whether a right is enough for what a request wants.
///
/// # Errors
/// 403, with the scopes that would be.
pub(in crate::api) fn sufficient(right: Right, need: Need) -> Result<(), Refusal> {
    match (need, right) {
        (Need::See, Right::Maintain | Right::Read)
        | (Need::Change, Right::Maintain)
        | (Need::Ingest, Right::Maintain | Right::Ingest) => Ok(()),
        (Need::See, Right::Ingest) => Err(Refusal::InsufficientScope("api read_api")),
        (Need::Change, _) | (Need::Ingest, Right::Read) => Err(Refusal::InsufficientScope("api")),
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

    fn shown(credential: Option<Credential>) -> (String, bool) {
        let credential = credential.expect("a token was shown");
        (credential.token.expose().to_owned(), credential.bearer)
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

    fn ask(shown: Option<&str>, row: StoredToken) -> Result<StoredToken, Refusal> {
        let credential = shown.and_then(|token| Credential::new(token, false));
        let find = move |hash: &[u8; 32]| (*hash == row.hash).then(|| row.clone());
        known(credential.as_ref(), &find, NOW)
    }

    #[test]
    fn a_token_is_taken_from_each_of_its_places() {
        assert_eq!(shown(credential(&[("private-token", "a")], "")), ("a".to_owned(), false));
        assert_eq!(shown(credential(&[], "private_token=a")), ("a".to_owned(), false));
        assert_eq!(shown(credential(&[("authorization", "Bearer a")], "")), ("a".to_owned(), true));
        assert_eq!(shown(credential(&[("authorization", "bearer  a ")], "")), ("a".to_owned(), true));
        assert_eq!(shown(credential(&[], "access_token=a")), ("a".to_owned(), true));
    }

    #[test]
    fn the_first_place_that_has_one_counts() {
        let everywhere = [("private-token", "b"), ("authorization", "Bearer d")];
        assert_eq!(shown(credential(&everywhere, "private_token=a&access_token=c")).0, "a");
        assert_eq!(shown(credential(&everywhere, "private_token=&access_token=c")).0, "b");
        assert_eq!(shown(credential(&everywhere[1..], "access_token=c")).0, "c");
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
        assert_eq!(ask(None, row()), Err(Refusal::Unauthorized { bearer: false }));
        for wrong in ["fbt-", "nonsense", &TOKEN[..TOKEN.len() - 1], &TOKEN.to_uppercase()] {
            assert_eq!(ask(Some(wrong), row()), Err(Refusal::Unauthorized { bearer: false }), "{wrong}");
        }
        assert_eq!(ask(Some(TOKEN), row()).map(|token| token.id), Ok(3));
        let bearer = Credential::new("nonsense", true);
        let refused = known(bearer.as_ref(), &|_| None, NOW);
        assert_eq!(refused, Err(Refusal::Unauthorized { bearer: true }));
    }

    #[test]
    fn tokens_end_at_their_moment_and_revoked_ones_say_so() {
        let second = std::time::Duration::from_secs(1);
        let expiring = |at| StoredToken { expires_at: Some(at), ..row() };
        assert!(ask(Some(TOKEN), expiring(NOW + second)).is_ok());
        assert_eq!(ask(Some(TOKEN), expiring(NOW)), Err(Refusal::Expired));
        let revoked = StoredToken { revoked_at: Some(NOW - second), ..expiring(NOW - second) };
        assert_eq!(ask(Some(TOKEN), revoked), Err(Refusal::Revoked));
    }

    #[test]
    fn each_right_is_enough_for_its_own() {
        let allowed =
            |right| [Need::See, Need::Change, Need::Ingest].map(|need| sufficient(right, need).is_ok());
        assert_eq!(allowed(Right::Maintain), [true, true, true]);
        assert_eq!(allowed(Right::Read), [true, false, false]);
        assert_eq!(allowed(Right::Ingest), [false, false, true]);
        assert_eq!(sufficient(Right::Read, Need::Change), Err(Refusal::InsufficientScope("api")));
    }

    #[test]
    fn a_token_is_not_printed() {
        assert!(!format!("{:?}", Credential::new(TOKEN, false)).contains("fbt-"));
    }
}

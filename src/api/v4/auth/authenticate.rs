//! Authenticates the token of a request, and limits wrong tokens.
//!
//! Wrong tokens are counted per client address, for all routes together. A client that sent too many has to wait before
//! its next wrong token is processed. A right token is accepted even then: many clients share an address (all channels
//! of a chat service do), and a guessing client must not lock out the others. So the length of tokens (32 random
//! bytes), not the limit, prevents a right guess. The limit only ensures that a guess costs no more than a look-up in
//! memory.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::PoisonError;
use std::time::Duration;

use axum::http::request::Parts;
use jiff::Timestamp;

use super::credentials::{Credential, valid_token};
use super::limiter::LoginLimiter;
use crate::api::State;
use crate::api::client_addr::{self, Peer};
use crate::api::error::ApiError;
use crate::catalog::Catalog as _;
use crate::store::StoreError;
use crate::store::registry::StoredToken;

/// How long the store may take to report what changed before it counts as unavailable; clients do not wait much longer.
const STORE_TIMEOUT: Duration = Duration::from_secs(8);

/// The row of the token that a request came with.
///
/// # Errors
/// 401: the token is missing or not valid. 429: the token is not valid, and too many invalid ones came from this
/// address before.
pub(in crate::api) async fn authenticate(
    state: &State,
    head: &Parts,
    credential: Option<&Credential>,
    now: Timestamp,
) -> Result<StoredToken, ApiError> {
    let Some(credential) = credential else { return valid_token(None, &|_| None, now) };
    let find = |hash: &[u8; 32]| state.catalog.read(|snapshot| snapshot.token(hash).cloned());
    if valid_token(Some(credential), &find, now).is_err() {
        check_limit(state, head, now)?;
    }
    // A token that another node revoked a moment ago must not be accepted here.
    let refreshed = tokio::time::timeout(STORE_TIMEOUT, state.catalog.refresh()).await;
    refreshed.unwrap_or_else(|_| Err(StoreError::Unavailable("it does not answer".to_owned())))?;
    valid_token(Some(credential), &find, now).inspect_err(|_| count(state, head, now))
}

/// Counts a wrong token that is not one of the store's (a slash command's, for example).
///
/// # Errors
/// 429: too many wrong tokens came from this address. This one is not counted.
pub(in crate::api) fn record_wrong_token(
    state: &State,
    head: &Parts,
    now: Timestamp,
) -> Result<(), ApiError> {
    check_limit(state, head, now)?;
    count(state, head, now);
    Ok(())
}

/// Whether the next wrong token from this address would be refused with 429.
pub(in crate::api) fn is_limited(state: &State, head: &Parts, now: Timestamp) -> bool {
    check_limit(state, head, now).is_err()
}

fn check_limit(state: &State, head: &Parts, now: Timestamp) -> Result<(), ApiError> {
    let wait = with_limiter(state, |limiter| limiter.wait(client_address(state, head), now));
    wait.map_or(Ok(()), |wait| Err(ApiError::TooManyAttempts(wait)))
}

fn count(state: &State, head: &Parts, now: Timestamp) {
    with_limiter(state, |limiter| limiter.record_failure(client_address(state, head), now));
}

fn client_address(state: &State, head: &Parts) -> IpAddr {
    let peer = head.extensions.get::<Peer>();
    peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |Peer(address)| {
        client_addr::client_address(*address, &head.headers, &state.config.get().trusted_proxies)
    })
}

fn with_limiter<T>(state: &State, act: impl FnOnce(&mut LoginLimiter) -> T) -> T {
    act(&mut state.login_limiter.lock().unwrap_or_else(PoisonError::into_inner))
}

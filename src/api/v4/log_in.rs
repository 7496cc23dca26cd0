//! Whose token it is; and what becomes of those who show wrong ones.
//!
//! Wrong tokens are counted against the address that they came from, whichever door they were shown at, and whoever showed
//! too many is told to wait. A right token is heard all the same: many share an address with the one who guesses (all
//! rooms of a chat service do), and must not be shut out by that one. So this keeps nobody from guessing right. That is
//! up to the tokens: ours are 32 random bytes, and those of chat services are long. What it does is to keep who asks all
//! day in vain from costing more than a look into memory.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::PoisonError;
use std::time::Duration;

use axum::http::request::Parts;
use jiff::Timestamp;

use super::Refusal;
use super::credentials::{Credential, known};
use crate::api::caller::{self, Peer};
use crate::api::{FailedLogins, State};
use crate::catalog::Catalog as _;
use crate::store::StoreError;
use crate::store::registry::StoredToken;

/// Clients wait for an answer, but not for long: a store that takes longer than this to say what changed is away.
const STORE_PATIENCE: Duration = Duration::from_secs(8);

/// The row of the token that was shown.
///
/// # Errors
/// 401: there is none in force. 429: nor were the others from this address, of late.
pub(in crate::api) async fn log_in(
    state: &State,
    head: &Parts,
    credential: Option<&Credential>,
    now: Timestamp,
) -> Result<StoredToken, Refusal> {
    let Some(credential) = credential else { return known(None, &|_| None, now) };
    let find = |hash: &[u8; 32]| state.catalog.read(|snapshot| snapshot.token(hash).cloned());
    if known(Some(credential), &find, now).is_err() {
        may_try(state, head, now)?;
    }
    // A token that was revoked on another node a moment ago is revoked.
    let refreshed = tokio::time::timeout(STORE_PATIENCE, state.catalog.refresh()).await;
    refreshed.unwrap_or_else(|_| Err(StoreError::Unavailable("it does not answer".to_owned())))?;
    known(Some(credential), &find, now).inspect_err(|_| note(state, head, now))
}

/// Notes that a token was wrong which is none of the store's.
///
/// # Errors
/// 429: so were too many others from this address, of late. This one is not counted.
pub(in crate::api) fn wrong_token(state: &State, head: &Parts, now: Timestamp) -> Result<(), Refusal> {
    may_try(state, head, now)?;
    note(state, head, now);
    Ok(())
}

fn may_try(state: &State, head: &Parts, now: Timestamp) -> Result<(), Refusal> {
    let wait = logins(state, |logins| logins.wait(caller_of(state, head), now));
    wait.map_or(Ok(()), |wait| Err(Refusal::TooManyTries(wait)))
}

fn note(state: &State, head: &Parts, now: Timestamp) {
    logins(state, |logins| logins.note(caller_of(state, head), now));
}

fn caller_of(state: &State, head: &Parts) -> IpAddr {
    let peer = head.extensions.get::<Peer>();
    peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |Peer(address)| {
        caller::address(*address, &head.headers, &state.config.trusted_proxies)
    })
}

fn logins<T>(state: &State, look: impl FnOnce(&mut FailedLogins) -> T) -> T {
    look(&mut state.failed_logins.lock().unwrap_or_else(PoisonError::into_inner))
}

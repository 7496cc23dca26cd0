//! GitLab's REST interface to integrations, as Forgebell serves it.
#![expect(dead_code, reason = "the handlers come with the catalogue")]

mod address;
mod credentials;
pub(super) mod declared;
mod failed_logins;
pub(super) mod flags;
mod object;
mod params;
mod precondition;
mod refusal;
mod slash;

use params::Params;
use refusal::Refusal;

//! GitLab's REST interface to integrations, as Forgebell serves it.

mod params;
mod refusal;

pub(in crate::api) use params::Params;
pub(in crate::api) use refusal::{Missing, Refusal};

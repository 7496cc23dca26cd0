//! Integrations from files: who wants to know, as TOML that people write, check in and review.
//!
//! ```toml
//! [[project]]                      # what events may not say of a project; optional
//! path = "acme/rocket"             # and/or: id = 42
//! default_branch = "main"
//! protected_branches = ["main", "*-stable"]
//!
//! [[integration]]
//! project = "acme/rocket"          # path or number; or: group = "acme"
//! adapter = "slack"
//! webhook_file = "/run/secrets/slack"
//! channel = "#ops, #dev"
//! push_channel = "#code"
//! branches_to_be_notified = "default"
//! deployment_events = true
//! ```
//!
//! Keys are GitLab's: an adapter's own settings, the settings that adapters share ([`shared_fields`]), and one
//! `…_events` flag per event. Any secret `NAME` can stand in a file of its own, named by `NAME_file`.
//!
//! [`load`] reads the files, [`read`] is the same without IO. Both answer with everything or with *all* that is
//! wrong, in all files at once: whoever mends a configuration shouldn't have to start the daemon once per mistake.
//! A [`Problem`] says where, what and what to do, and never shows a secret.
//!
//! Deliberately absent: defaults that reach across files, includes and templates. What a block does can be read in
//! the block.

mod block;
mod facts;
mod files;
mod fingerprint;
mod keys;
mod problem;
mod read;
mod scope;
mod shared;
#[cfg(test)]
mod tests;
mod text;

use std::path::PathBuf;

use serde::Deserialize;

use crate::integration::{Integration, ProjectFacts, ProjectRef};
use crate::store::Snapshot;

pub use files::load;
pub use problem::{Level, Problem};
pub use read::read;
pub use shared::{HEADING, Part, SharedField, shared_fields};

/// Where integrations are written down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Files, and folders whose `*.toml` files are read in the order of their names.
    pub files: Vec<PathBuf>,
}

/// What the files say, when all of it could be read.
#[derive(Debug, Default)]
pub struct Provisioned {
    pub integrations: Vec<Integration>,
    pub facts: Vec<(ProjectRef, ProjectFacts)>,
    /// What is allowed but probably not meant.
    pub warnings: Vec<Problem>,
}

impl Provisioned {
    /// The catalogue's next snapshot.
    pub fn into_snapshot(self) -> Snapshot {
        Snapshot::new(self.integrations, self.facts)
    }
}

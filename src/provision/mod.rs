//! Integrations from files: who wants to know, as TOML that people write, check in and review.
//!
//! ```toml
//! [[project]]                      # what events may not say of a project; optional
//! path = "acme/rocket"             # and/or: id = 42
//! default_branch = "main"
//! protected_branches = ["main", "*-stable"]
//!
//! [[group]]                        # the forge's number of a group; optional
//! path = "acme"
//! id = 7
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
//! Keys are GitLab's: an adapter's own settings, the settings that adapters share, and one `…_events` flag per event. Any secret `NAME` can stand in a file of its own, named by `NAME_file`.
//!
//! [`load`] reads the files, [`read()`] is the same without IO; [`write()`] writes them, from what the API was told. Both answer with everything or with *all* that is
//! wrong, in all files at once, so that a configuration can be corrected without a start of the daemon per mistake.
//! A [`Problem`] says where, what and what to do, and never shows a secret.
//!
//! Deliberately absent: includes and templates. Defaults are blocks themselves (`group = "acme"`, `instance = true`), as
//! GitLab has them.

mod block;
mod files;
mod group;
mod keys;
mod problem;
mod project;
mod read;
mod scope;
#[cfg(test)]
mod tests;
mod text;
mod write;

use std::path::PathBuf;

use serde::Deserialize;

use crate::catalog::{ConfiguredAt, Snapshot};
use crate::integration::{Integration, ProjectFacts, Scope};
use crate::store::registry::ProjectCorrection;

pub use files::load;
pub use keys::COMMON_KEYS;
pub use problem::{Problem, Severity};
pub use read::read;
pub use write::{Written, write};

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
    pub integrations: Vec<ConfiguredAt>,
    pub facts: Vec<(Scope, ProjectFacts)>,
    /// The same as a person would tell it through the API, of projects whose number is told.
    pub projects: Vec<ProjectCorrection>,
    /// Groups by path, with the forge's number.
    pub groups: Vec<(String, Option<i64>)>,
    /// Numbers of projects with their paths, where the files tell both or the number alone.
    pub numbers: Vec<(i64, Option<String>)>,
    /// What is allowed but probably not meant.
    pub warnings: Vec<Problem>,
}

impl Provisioned {
    /// A catalogue of these alone.
    pub fn into_snapshot(self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        snapshot.set_files(self.integrations, self.facts);
        snapshot
    }

    /// What each of them is by itself; those that only follow a default are left out.
    pub fn each(&self) -> Vec<Integration> {
        self.integrations.iter().filter_map(ConfiguredAt::integration).collect()
    }
}

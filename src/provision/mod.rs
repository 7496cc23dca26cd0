//! Integrations from files: TOML that people write, check in and review.
//!
//! ```toml
//! [[project]]                      # what events may not contain; optional
//! path = "acme/rocket"             # and/or: id = 42
//! default_branch = "main"
//! protected_branches = ["main", "*-stable"]
//!
//! [[group]]                        # the forge's id of a group; optional
//! path = "acme"
//! id = 7
//!
//! [[integration]]
//! project = "acme/rocket"          # path or id; or: group = "acme"
//! adapter = "slack"
//! webhook_file = "/run/secrets/slack"
//! channel = "#ops, #dev"
//! push_channel = "#code"
//! branches_to_be_notified = "default"
//! deployment_events = true
//! ```
//!
//! Keys are GitLab's: an adapter's own settings, the settings that adapters share, and one `…_events` flag per event. Any
//! secret `NAME` can be kept in a separate file, named by `NAME_file`.
//!
//! [`load`] reads the files, [`read()`] does the same without IO, and [`write()`] is the reverse: it writes a file from
//! what was set through the API. Reading returns everything, or *all* that is wrong in all files, so that a configuration
//! can be corrected at once. A [`Problem`] says where, what, and what to do; it never shows a secret.
//!
//! Inside: `text` parses a file into tables that know their lines; `project`, `group` and `block` read one table each,
//! `block` with `keys` and `scope`; `read` puts them together and finds repeats; `problem` and `context` are what all of
//! them share.
//!
//! Deliberately absent: includes and templates. Defaults are blocks themselves (`group = "acme"`, `instance = true`), as
//! in GitLab.

mod block;
mod context;
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

pub use files::{load, load_until};
pub use keys::COMMON_KEYS;
pub use problem::{Problem, Severity, did_you_mean};
pub use read::read;
pub use write::{Written, write};

/// Where the provisioning files are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Files, and folders whose `*.toml` files are read in the order of their names.
    pub files: Vec<PathBuf>,
}

/// The content of the files, all of which could be read.
#[derive(Debug, Default)]
pub struct Provisioned {
    pub integrations: Vec<ConfiguredAt>,
    pub facts: Vec<(Scope, ProjectFacts)>,
    /// The facts of projects whose number is given, as a person would set them through the API.
    pub projects: Vec<ProjectCorrection>,
    /// Groups by path, with the forge's number.
    pub groups: Vec<(String, Option<i64>)>,
    /// The numbers of projects, with their paths if the files contain both.
    pub numbers: Vec<(i64, Option<String>)>,
    /// Problems that are allowed but probably not intended.
    pub warnings: Vec<Problem>,
}

impl Provisioned {
    /// A catalog that contains only these integrations.
    pub fn into_snapshot(self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        snapshot.set_files(self.integrations, self.facts);
        snapshot
    }

    /// The integrations with settings of their own. Those that only inherit a default are left out.
    pub fn each(&self) -> Vec<Integration> {
        self.integrations.iter().filter_map(|at| at.configured.integration(&at.scope)).collect()
    }
}

//! Tests with two adapters of their own, so that they do not depend on any one service.

mod arbitrary;
mod files;
mod problems;
mod secrets;
mod settings;
mod trackers;

use std::io;
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::context::ReadContext;
use super::read::read_all;
use super::{Problem, Provisioned};
use crate::adapters::Entry;
use crate::adapters::contract::{About, Adapter, ChannelSettings, CommonSettings};
use crate::catalog::UrlPolicy;
use crate::event::{Trigger, Triggers};
use crate::integration::{Family, Integration};
use crate::settings::{FieldError, SecretUrl};

crate::settings! {
    pub struct BellSettings {
        /// Where to ring.
        pub webhook: SecretUrl = "https://bells.example/1",
        /// Who rings.
        pub username: Option<String> = "forgebell",
        /// How loudly.
        pub volume: Option<i64> = "11",
    }
}

struct Bell;

impl Adapter for Bell {
    const ABOUT: About = About {
        slug: "big-bell",
        title: "Big bell",
        summary: "Rings.",
        triggers: Triggers::of(&[
            Trigger::Push,
            Trigger::Issue,
            Trigger::ConfidentialIssue,
            Trigger::Pipeline,
            Trigger::Deployment,
            Trigger::GroupMention,
        ]),
        family: Family::Chat,
        common: CommonSettings {
            channels: ChannelSettings::Names { at_most: 10 },
            branches: Some("default"),
            only_broken_pipelines: true,
            labels: true,
            ..CommonSettings::NONE
        },
    };
    type Settings = BellSettings;

    fn validate(settings: &BellSettings) -> Vec<FieldError> {
        let too_loud = settings.volume.is_some_and(|volume| volume > 11);
        too_loud.then(|| FieldError::new("volume", "can't exceed 11")).into_iter().collect()
    }
}

crate::settings! {
    pub struct HornSettings {
        /// Which lighthouse.
        pub lighthouse: String = "north",
    }
}

/// Has none of the common settings.
struct Horn;

impl Adapter for Horn {
    const ABOUT: About = About {
        slug: "horn",
        title: "Horn",
        triggers: Triggers::of(&[Trigger::Push]),
        common: CommonSettings::NONE,
        ..Bell::ABOUT
    };
    type Settings = HornSettings;

    fn validate(settings: &HornSettings) -> Vec<FieldError> {
        let is_blank = settings.lighthouse.is_empty();
        is_blank.then(|| FieldError::new("lighthouse", "can't be blank")).into_iter().collect()
    }
}

static TABLE: &[Entry] = &[Entry::of::<Bell>(), Entry::of::<Horn>()];

fn secrets(path: &Path) -> io::Result<String> {
    match path.to_str() {
        Some("/run/secrets/bell") => Ok("https://bells.example/from-a-file\n".to_owned()),
        Some("/etc/forgebell/bell-secret") => Ok("https://bells.example/beside\r\n".to_owned()),
        Some("/run/secrets/empty") => Ok("\n".to_owned()),
        Some("/run/secrets/denied") => Err(io::Error::from(io::ErrorKind::PermissionDenied)),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    }
}

fn read_files(files: &[(&str, &str)]) -> Result<Provisioned, Vec<Problem>> {
    let files: Vec<_> = files.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect();
    let stop = &CancellationToken::new();
    let context =
        ReadContext { adapters: TABLE, read_secret: &secrets, url_policy: &UrlPolicy::allow_all(), stop };
    read_all(context, &files).finish(Vec::new())
}

fn read(text: &str) -> Result<Provisioned, Vec<Problem>> {
    read_files(&[("/etc/forgebell/a.toml", text)])
}

/// A sound block, and what the test is about.
fn bell(more: &str) -> String {
    format!(
        "[[integration]]\nproject = 'acme/rocket'\nadapter = 'big-bell'\nwebhook = 'https://bells.example/s3cret'\n{more}"
    )
}

fn one(text: &str) -> Integration {
    let read = read(text).unwrap_or_else(|problems| panic!("{}", lines(&problems)));
    assert_eq!(read.warnings, []);
    assert_eq!(read.integrations.len(), 1);
    read.each().remove(0)
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().flat_map(|problem| [problem.to_string(), "\n".to_owned()]).collect()
}

/// The problems of a text, one a line, without the file's name.
fn problems(text: &str) -> String {
    let told = match read(text) {
        Ok(read) => read.warnings,
        Err(problems) => problems,
    };
    lines(&told).replace("/etc/forgebell/a.toml:", "")
}

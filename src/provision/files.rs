//! The IO around [`mod@super::read`]: finds the files, reads them, and checks who else may read them.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::problem::{AS_THE_DAEMON, Problem, Severity};
use tokio_util::sync::CancellationToken;

use super::context::ReadContext;
use super::read;
use super::{Config, Provisioned};
use crate::adapters::ADAPTERS;
use crate::catalog::UrlPolicy;

/// The limit for a file that is not regular: a device or a pipe may have no end.
const LARGEST_STREAM: u64 = 16 * 1024 * 1024;
/// The largest secret. No token is longer.
const LARGEST_SECRET: u64 = 64 * 1024;

/// Reads the files that the configuration names, and the files with secrets that those name.
///
/// Addresses that `url_policy` blocks are warnings. Blocks the thread while it reads and parses.
///
/// # Errors
/// All that is wrong with all of them, together with the warnings.
pub fn load(config: &Config, url_policy: &UrlPolicy<'_>) -> Result<Provisioned, Vec<Problem>> {
    load_until(config, url_policy, &CancellationToken::new())
}

/// As [`load`], but `stop` ends the reading between two blocks.
///
/// # Errors
/// All that is wrong with all of them, together with the warnings; or that it was stopped.
pub fn load_until(
    config: &Config,
    url_policy: &UrlPolicy<'_>,
    stop: &CancellationToken,
) -> Result<Provisioned, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut files = Vec::new();
    for path in found(config, &mut problems) {
        match read_bounded(&path, |about| if about.is_file() { u64::MAX } else { LARGEST_STREAM }) {
            Ok((text, about)) => files.push((path, text, about)),
            Err(error) => problems.push(unreadable(&path, &error)),
        }
    }
    let texts: Vec<(PathBuf, String)> =
        files.iter_mut().map(|(path, text, _)| (path.clone(), std::mem::take(text))).collect();
    let read_secret = |path: &Path| read_bounded(path, |_| LARGEST_SECRET).map(|(secret, _)| secret);
    let context = ReadContext { adapters: ADAPTERS, read_secret: &read_secret, url_policy, stop };
    let reading = read::read_all(context, &texts);
    let exposed = files.iter().filter(|(path, _, about)| reading.has_secrets(path) && anyone_reads(about));
    problems.extend(exposed.map(|(path, _, _)| {
        Problem::new(Severity::Warning, path, "contains secrets, and every user of this machine may read it")
            .remedy(
                "take that right away (chmod o-r), or keep the secrets in separate files (NAME_file = \"…\")",
            )
    }));
    reading.finish(problems)
}

/// The files to read, each once, in the order in which they were named; a folder's in the order of their names.
fn found(config: &Config, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    let mut files = Vec::new();
    for named in &config.files {
        let expanded = if named.is_dir() { folder(named, problems) } else { vec![named.clone()] };
        // A file that is read twice, under two names, would repeat its own blocks.
        let fresh =
            expanded.into_iter().filter(|file| seen.insert(file.canonicalize().unwrap_or(file.clone())));
        files.extend(fresh);
    }
    files
}

fn folder(folder: &Path, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let entries = match fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
        Ok(entries) => entries,
        Err(error) => {
            problems.push(unreadable(folder, &error));
            return Vec::new();
        }
    };
    let is_provisioning = |path: &PathBuf| {
        // Hidden files belong to editors and version control.
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        !hidden && path.extension().is_some_and(|end| end == "toml") && !path.is_dir()
    };
    let mut files: Vec<PathBuf> =
        entries.into_iter().map(|entry| entry.path()).filter(is_provisioning).collect();
    if files.is_empty() {
        problems.push(Problem::new(Severity::Warning, folder, "contains no *.toml file"));
    }
    files.sort();
    files
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    let problem = Problem::new(Severity::Error, path, format!("can't be read: {error}"));
    if error.kind() == io::ErrorKind::PermissionDenied { problem.remedy(AS_THE_DAEMON) } else { problem }
}

fn read_bounded(path: &Path, largest: impl Fn(&Metadata) -> u64) -> io::Result<(String, Metadata)> {
    let file = File::open(path)?;
    let about = file.metadata()?;
    let largest = largest(&about);
    let mut text = String::new();
    file.take(largest.saturating_add(1)).read_to_string(&mut text)?;
    if text.len() as u64 > largest {
        return Err(io::Error::other(format!("it is larger than {largest} bytes")));
    }
    Ok((text, about))
}

#[cfg(unix)]
fn anyone_reads(about: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    about.permissions().mode() & 0o004 != 0
}

#[cfg(not(unix))]
fn anyone_reads(_: &Metadata) -> bool {
    false
}

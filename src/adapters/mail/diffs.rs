//! The diff of a push: from the event, if its publisher included it, or from the forge's compare API
//! (<https://docs.gitlab.com/api/repositories/#compare-branches-tags-or-commits>).

use std::time::Duration;

use serde::Deserialize;

use super::page::Page;
use crate::adapters::operator::ForgeConfig;
use crate::call::{Egress, HttpRequest, HttpResponse, Method};
use crate::event::{Push, SharedStr};

/// GitLab's limit for a diff in a mail.
const MOST_FILES: usize = 30;
const MOST_LINES: usize = 5_000;
/// The limit for the forge's answer, which contains whole diffs. Longer ones are not shown in a mail.
pub const ANSWER_LIMIT: usize = 4 * 1024 * 1024;
/// The forge's answer is cached for this time, within which all recipients of a push are usually mailed. The difference
/// between two commits does not change.
const KEEP: Duration = Duration::from_secs(5 * 60);
const TIMEOUT: Duration = Duration::from_secs(20);

/// The diff that a mail shows.
#[derive(Clone, Debug)]
pub enum Diffs {
    /// There is no diff, and none is expected.
    None,
    Files(Vec<FileDiff>),
    /// There is no diff, for this reason.
    LeftOut(&'static str),
}

/// One file's changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDiff {
    /// The file's path, and whether the file was added, removed or renamed.
    pub title: String,
    pub lines: String,
}

/// The diff in the event: one for the whole push, or one for each commit.
pub fn of_event(push: &Push) -> Option<Diffs> {
    let is_there = |diff: &&SharedStr| !diff.trim().is_empty();
    if let Some(whole) = push.diff.as_ref().filter(is_there) {
        return Some(Diffs::Files(split(whole, "")));
    }
    let files: Vec<FileDiff> = push
        .commits
        .iter()
        .filter_map(|commit| Some((commit.short_id(), commit.diff.as_ref().filter(is_there)?)))
        .flat_map(|(id, diff)| split(diff, id))
        // One more than is shown, to detect that there are more.
        .take(MOST_FILES + 1)
        .collect();
    (!files.is_empty()).then_some(Diffs::Files(files))
}

/// A diff as git prints it, file by file.
fn split(diff: &str, commit: &str) -> Vec<FileDiff> {
    let mut files: Vec<FileDiff> = Vec::new();
    for line in diff.lines() {
        if let Some(paths) = line.strip_prefix("diff --git ") {
            if files.len() > MOST_FILES {
                break;
            }
            let path = paths.rsplit_once(" b/").map_or(paths, |(_, path)| path);
            files.push(FileDiff { title: titled(commit, path), lines: String::new() });
            continue;
        }
        if files.is_empty() {
            files.push(FileDiff { title: titled(commit, ""), lines: String::new() });
        }
        let file = files.last_mut().expect("there is one by now");
        file.lines.extend([line, "\n"]);
    }
    files
}

fn titled(commit: &str, path: &str) -> String {
    match (commit, path) {
        ("", path) => path.to_owned(),
        (commit, "") => commit.to_owned(),
        (commit, path) => format!("{commit}: {path}"),
    }
}

/// The request to the forge for the difference between two commits; `None` if the forge's API is not configured.
pub fn request(forge: &ForgeConfig, project: i64, from: &str, to: &str) -> Option<HttpRequest> {
    let is_id = |id: &str| !id.is_empty() && id.bytes().all(|b| b.is_ascii_hexdigit());
    if forge.api_url.is_empty() || forge.token.is_blank() || project <= 0 || !is_id(from) || !is_id(to) {
        return None;
    }
    let api = forge.api_url.trim_end_matches('/');
    let url = format!("{api}/projects/{project}/repository/compare?from={from}&to={to}");
    Some(HttpRequest {
        headers: vec![("private-token", forge.token.expose().to_owned())],
        timeout: TIMEOUT,
        egress: Egress::Operator,
        answer_limit: ANSWER_LIMIT,
        keep: Some(KEEP),
        ..HttpRequest::new(Method::Get, url.parse().ok()?)
    })
}

/// The forge's answer. It always has both lists, so JSON without them does not come from the forge.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Comparison {
    pub commits: Vec<Compared>,
    diffs: Vec<Changed>,
}

/// A commit as the API shows it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Compared {
    pub id: String,
    pub title: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Changed {
    old_path: String,
    new_path: String,
    diff: String,
    new_file: bool,
    renamed_file: bool,
    deleted_file: bool,
    too_large: Option<bool>,
    collapsed: Option<bool>,
}

impl Comparison {
    /// Parses a comparison; `None` if the body is something else.
    pub fn read(response: &HttpResponse) -> Option<Self> {
        if response.status != 200 {
            return None;
        }
        serde_json::from_slice(&response.body).ok()
    }

    pub fn is_empty(&self) -> bool {
        self.commits.is_empty() && self.diffs.is_empty()
    }

    pub fn diffs(&self) -> Diffs {
        Diffs::Files(self.diffs.iter().take(MOST_FILES + 1).map(Changed::file).collect())
    }
}

impl Changed {
    fn file(&self) -> FileDiff {
        let title = match (self.new_file, self.deleted_file, self.renamed_file) {
            (true, _, _) => format!("{} (new)", self.new_path),
            (_, true, _) => format!("{} (removed)", self.old_path),
            (_, _, true) => format!("{} → {}", self.old_path, self.new_path),
            _ => self.new_path.clone(),
        };
        let is_cut = self.too_large.unwrap_or_default() || self.collapsed.unwrap_or_default();
        let lines = match self.diff.as_str() {
            "" if is_cut => "(too large to be shown)\n".to_owned(),
            diff => diff.to_owned(),
        };
        FileDiff { title, lines }
    }
}

/// Writes the diffs to a page, up to the limits of a mail.
pub fn show(page: &mut Page, diffs: &Diffs) {
    const TOO_LARGE: &str = "The diff was not shown as a whole: it is too large for a mail.";
    let files = match diffs {
        Diffs::None => return,
        Diffs::LeftOut(why) => return page.notice(why),
        Diffs::Files(files) => files,
    };
    if files.is_empty() {
        return;
    }
    page.heading("Diff");
    let mut room = MOST_LINES;
    for file in files.iter().take(MOST_FILES) {
        if !file.title.is_empty() {
            page.heading(&file.title);
        }
        let count = file.lines.lines().take(room + 1).count();
        let whole = page.diff(file.lines.lines().take(room));
        if !whole || count > room {
            return page.notice(TOO_LARGE);
        }
        room -= count;
    }
    if files.len() > MOST_FILES {
        page.notice(TOO_LARGE);
    }
}

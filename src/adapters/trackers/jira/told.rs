//! The commits of a push and the merge requests that issues get.

use url::Url;

use super::super::commits::MOST_COMMITS;
use super::Settings;
use super::references::{Finder, Reference, Search, Words};
use crate::event::{Commit, Event, MergeRequest, Payload, Project, Push};

/// A commit's id has at most 64 digits (SHA-256).
const LONGEST_ID: usize = 64;

/// Something that names issues.
pub(super) struct Object<'a> {
    /// A commit's id, or `!5`. With the issue's key it names a target.
    pub id: String,
    /// `a commit`, `a merge request`.
    pub kind: Kind,
    pub url: String,
    pub title: &'a str,
    /// All of a commit's message, or a merge request's description.
    pub message: &'a str,
    pub branch: &'a str,
    /// Whether the branch is a fork's: the project has no page of it.
    pub is_of_fork: bool,
    /// The commit that solves an issue which this closes: its id and address.
    pub solved_by: Option<(String, String)>,
    /// Whether only the issues that it closes get it. The other issues got it before.
    only_closes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Commit,
    MergeRequest,
}

impl Object<'_> {
    /// The issues that it names, each once. Mentions are left out where only closing counts.
    pub(super) fn issues(&self, finder: &Finder<'_>, search: &mut Search) -> Vec<Reference> {
        let texts = match self.kind {
            Kind::Commit => vec![(self.message, Words::CommitMessage)],
            Kind::MergeRequest => {
                vec![(self.title, Words::CommitMessage), (self.message, Words::MergeRequest)]
            }
        };
        let mut issues: Vec<Reference> = Vec::new();
        for found in texts.into_iter().flat_map(|(text, words)| finder.find(text, words, search)) {
            let closes = found.closes && self.solved_by.is_some();
            match issues.iter_mut().find(|known| known.key.eq_ignore_ascii_case(&found.key)) {
                Some(known) => known.closes |= closes,
                None => issues.push(Reference { closes, ..found }),
            }
        }
        issues.retain(|issue| issue.closes || !self.only_closes);
        issues
    }
}

/// The objects of an event, oldest first, and why others are left out.
pub(super) fn objects<'a>(settings: &Settings, event: &'a Event) -> (Vec<Object<'a>>, Vec<String>) {
    match &event.payload {
        Payload::Push(_) if !settings.commit_events => (
            Vec::new(),
            vec!["the integration is switched off for commits (commit_events = false)".to_owned()],
        ),
        Payload::Push(push) => commits(push, event.project.as_ref()),
        Payload::MergeRequest(request) => match merge_request(request, event.project.as_ref()) {
            Ok(object) => (vec![object], Vec::new()),
            Err(why) => (Vec::new(), vec![why]),
        },
        _ => (Vec::new(), vec!["only commits and merge requests name issues".to_owned()]),
    }
}

fn commits<'a>(push: &'a Push, project: Option<&Project>) -> (Vec<Object<'a>>, Vec<String>) {
    let on_default_branch = is_default(project, push.short_ref());
    let (mut objects, mut without) = (Vec::<Object<'_>>::new(), 0);
    // GitLab lists no more; other publishers might.
    let newest = &push.commits[push.commits.len().saturating_sub(MOST_COMMITS)..];
    for commit in newest {
        match commit_object(commit, push.short_ref(), project, on_default_branch) {
            Some(object) if objects.iter().any(|known| known.id == object.id) => {}
            Some(object) => objects.push(object),
            None => without += 1,
        }
    }
    let mut left_out = Vec::new();
    if without > 0 {
        left_out.push(format!("{without} commits have no id or address"));
    }
    let (listed, count) = (newest.len() as u64, push.commit_count().unwrap_or_default());
    if count > listed {
        left_out.push(format!(
            "{} of {count} commits are not listed in the event, so the issues that only they name are not known",
            count - listed
        ));
    }
    (objects, left_out)
}

fn commit_object<'a>(
    commit: &'a Commit,
    branch: &'a str,
    project: Option<&Project>,
    on_default_branch: bool,
) -> Option<Object<'a>> {
    let id = commit.id.to_ascii_lowercase();
    let is_id = (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let url = page(&commit.url).or_else(|| below(project, &["-", "commit", &id])).filter(|_| is_id)?;
    Some(Object {
        solved_by: on_default_branch.then(|| (id.clone(), url.clone())),
        id,
        kind: Kind::Commit,
        url,
        title: commit.title(),
        message: &commit.message,
        branch,
        is_of_fork: false,
        only_closes: false,
    })
}

/// GitLab looks for references when a merge request is opened, and when its title or description changes; for what it closes,
/// when it is merged.
fn merge_request<'a>(request: &'a MergeRequest, project: Option<&Project>) -> Result<Object<'a>, String> {
    let action = request.action.as_deref();
    let is_merge = action == Some("merge");
    match action {
        Some("open" | "reopen") => {}
        Some("update") if request.text_changed => {}
        Some("update") => return Err("the update changed neither the title nor the description".to_owned()),
        Some("merge") if is_default(project, &request.target_branch) => {}
        Some("merge") => {
            let branch = &request.target_branch;
            return Err(format!(
                "it was not merged into the default branch, so it closes nothing (target_branch = {branch})"
            ));
        }
        action => {
            let action = action.unwrap_or("none");
            return Err(format!(
                "issues are told when a merge request is opened, edited or merged (action = {action})"
            ));
        }
    }
    let number = request.iid.to_string();
    let url = page(&request.url).or_else(|| below(project, &["-", "merge_requests", &number]));
    let last = request.last_commit.as_ref().filter(|commit| !commit.id.is_empty());
    let solved_by = last.filter(|_| is_merge).and_then(|commit| {
        let id = commit.id.to_ascii_lowercase();
        let url = page(&commit.url).or_else(|| below(project, &["-", "commit", &id]))?;
        Some((id, url))
    });
    Ok(Object {
        id: format!("!{}", request.iid),
        kind: Kind::MergeRequest,
        url: url.ok_or_else(|| "the event has no address of the merge request".to_owned())?,
        title: &request.title,
        message: &request.description,
        branch: &request.source_branch,
        is_of_fork: project.is_some_and(|project| project.id > 0 && request.is_from_fork_of(project.id)),
        solved_by,
        only_closes: is_merge,
    })
}

fn is_default(project: Option<&Project>, branch: &str) -> bool {
    let default = project.and_then(|project| project.default_branch.as_deref());
    default.is_some_and(|default| !default.is_empty() && default == branch)
}

/// An address that a browser opens.
pub(super) fn page(address: &str) -> Option<String> {
    let url = Url::parse(address.trim()).ok()?;
    matches!(url.scheme(), "http" | "https").then(|| url.to_string())
}

/// A page of the project.
pub(super) fn below(project: Option<&Project>, segments: &[&str]) -> Option<String> {
    let mut url = Url::parse(&page(&project?.web_url)?).ok()?;
    url.path_segments_mut()
        .ok()?
        .pop_if_empty()
        .extend(segments.iter().flat_map(|segment| segment.split('/')));
    Some(url.to_string())
}

/// The page of a person: the project's address has the forge's before its path.
pub(super) fn person(project: Option<&Project>, username: &str) -> Option<String> {
    let project = project?;
    let web_url = page(&project.web_url)?;
    let path = project.path_with_namespace.trim_matches('/');
    let end = web_url.trim_end_matches('/').len().checked_sub(path.len())?;
    let (forge, rest) = (web_url.get(..end)?, web_url.get(end..)?);
    let is_path = !path.is_empty() && rest.trim_end_matches('/').eq_ignore_ascii_case(path);
    let mut url = Url::parse(forge).ok().filter(|_| is_path && !username.is_empty())?;
    url.path_segments_mut().ok()?.pop_if_empty().push(username);
    Some(url.to_string())
}

/// The forge's icon.
pub(super) fn icon(project: Option<&Project>) -> Option<String> {
    let url = Url::parse(&page(&project?.web_url)?).ok()?;
    url.join("/favicon.ico").ok().map(String::from)
}

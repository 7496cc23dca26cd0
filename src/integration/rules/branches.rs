//! The filter `branches_to_be_notified`: whether events of a branch are wanted.

use super::{NotNotified, WhyNot};
use crate::event::{Event, Payload, Pipeline, RefType};
use crate::integration::{BranchFilter, Family, Integration, ProjectFacts};

/// A branch, as the event describes it.
struct Branch<'a> {
    name: &'a str,
    /// Whether the branch is protected, if the event says so.
    protected: Option<bool>,
}

pub(super) fn pass(integration: &Integration, event: &Event, facts: &ProjectFacts) -> Result<(), WhyNot> {
    let Some(filter) = &integration.filters.branches_to_be_notified else { return Ok(()) };
    let Some(branch) = branch_of(event, integration.rules.family) else { return Ok(()) };

    // People may have corrected what the event says.
    let of_event = event.project.as_ref().and_then(|project| project.default_branch.as_deref());
    let default_branch = facts.default_branch.as_deref().or(of_event);
    let is_default = default_branch == Some(branch.name);
    let patterns = facts.protected_branches.as_deref();
    let listed = || patterns.map(|patterns| patterns.iter().any(|pattern| matches(pattern, branch.name)));
    let protected = branch.protected.or_else(listed);
    let is_protected = protected == Some(true);

    let not = match filter {
        BranchFilter::All => return Ok(()),
        BranchFilter::Default if is_default => return Ok(()),
        BranchFilter::Protected if is_protected => return Ok(()),
        BranchFilter::DefaultAndProtected if is_default || is_protected => return Ok(()),
        BranchFilter::Default => NotNotified::Default { default_branch: default_branch.map(str::to_owned) },
        BranchFilter::Protected => NotNotified::Protected { known: protected.is_some() },
        BranchFilter::DefaultAndProtected => NotNotified::DefaultNorProtected {
            default_branch: default_branch.map(str::to_owned),
            known: protected.is_some(),
        },
        BranchFilter::Unknown(setting) => NotNotified::AnyOfTheSettings { setting: setting.clone() },
    };
    Err(WhyNot::Branch { branch: branch.name.to_owned(), is: not })
}

/// The branch to filter by; `None` means that the event passes the filter. Pushes and pipelines have a branch, and
/// deployments have one if the forge's release sends their ref. Tags always pass, except for mails about pipelines.
fn branch_of(event: &Event, family: Family) -> Option<Branch<'_>> {
    let branch = match &event.payload {
        Payload::Push(push) if push.ref_type() == RefType::Branch => {
            Branch { name: push.short_ref(), protected: push.ref_protected }
        }
        Payload::Pipeline(pipeline) => of_pipeline(pipeline, family)?,
        // A bare name may be a tag's. GitLab looks it up in the repository, which is not possible here.
        Payload::Deployment(deployment) => {
            let name = deployment.ref_name.as_deref().filter(|name| !name.starts_with("refs/tags/"))?;
            Branch { name: name.strip_prefix("refs/heads/").unwrap_or(name), protected: None }
        }
        _ => return None,
    };
    (!branch.name.is_empty()).then_some(branch)
}

fn of_pipeline(pipeline: &Pipeline, family: Family) -> Option<Branch<'_>> {
    let name = pipeline.ref_name.as_str();
    match (pipeline.ref_type, family) {
        // GitLab compares the name alone. So a merge request's pipeline on a fork's branch passes like one on the
        // project's branch of that name, and a hidden ref is compared as a whole.
        (RefType::Branch | RefType::Hidden, _) => Some(Branch { name, protected: pipeline.protected_ref }),
        // `protected_ref` is about the tag here, but the filter asks whether a *branch* of this name is protected.
        (RefType::Tag, Family::PipelineMail) => Some(Branch { name, protected: None }),
        (RefType::Tag, Family::Chat | Family::PushMail | Family::Hook | Family::Commands) => None,
    }
}

/// Whether a protected-branch rule matches this branch: `*` stands for any characters, including `/`.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    let between = name.strip_prefix(start).and_then(|name| name.strip_suffix(end));
    let Some(mut between) = between else { return false };
    // The earliest match of each piece leaves the most text for the pieces after it, so no backtracking is needed.
    for piece in middle.split('*') {
        match between.split_once(piece) {
            Some((_, after)) => between = after,
            None => return false,
        }
    }
    true
}

pub(super) fn text(branch: &str, is: &NotNotified) -> String {
    let thing = if branch.starts_with("refs/") { "ref" } else { "branch" };
    let unprotected = |known: bool| {
        if known {
            "not protected"
        } else {
            "not known to be protected (the protected branches are not known)"
        }
    };
    match is {
        NotNotified::Default { default_branch: Some(default) } => {
            format!(
                "the {thing} `{branch}` is not the default branch `{default}` (branches_to_be_notified = default)"
            )
        }
        NotNotified::Default { default_branch: None } => format!(
            "the {thing} `{branch}` is not known to be the default branch (the default branch is not known) \
             (branches_to_be_notified = default)"
        ),
        NotNotified::Protected { known } => {
            format!("the {thing} `{branch}` is {} (branches_to_be_notified = protected)", unprotected(*known))
        }
        NotNotified::DefaultNorProtected { default_branch, known } => {
            let default = match default_branch {
                Some(default) => format!("not the default branch `{default}`"),
                None => "not known to be the default branch".to_owned(),
            };
            let unprotected = unprotected(*known);
            format!(
                "the {thing} `{branch}` is {default}, and {unprotected} \
                 (branches_to_be_notified = default_and_protected)"
            )
        }
        NotNotified::AnyOfTheSettings { setting } => format!(
            "the setting matches no branch, so not `{branch}` either: it is none of all, default, protected, \
             default_and_protected (branches_to_be_notified = {setting})"
        ),
    }
}

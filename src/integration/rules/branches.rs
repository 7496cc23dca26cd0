//! `branches_to_be_notified`: whether what happened on a branch is wanted.

use super::{NotNotified, WhyNot};
use crate::event::{Event, Payload, Pipeline, RefType};
use crate::integration::{BranchFilter, Family, Integration, ProjectFacts};

/// A branch, as far as the event itself knows it.
struct Branch<'a> {
    name: &'a str,
    /// The forge's own word on whether it is protected.
    protected: Option<bool>,
}

pub(super) fn pass(integration: &Integration, event: &Event, facts: &ProjectFacts) -> Result<(), WhyNot> {
    let Some(filter) = &integration.filters.branches_to_be_notified else { return Ok(()) };
    let Some(branch) = branch_of(event, integration.rules.family) else { return Ok(()) };

    let said_by_event = event.project.as_ref().and_then(|project| project.default_branch.as_deref());
    let default_branch = said_by_event.or(facts.default_branch.as_deref());
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

/// The branch that decides; `None` where there is nothing to filter by. Pushes, pipelines and, where the forge's
/// release says on which ref they were, deployments have one. Tags always pass, but for mails about pipelines.
fn branch_of(event: &Event, family: Family) -> Option<Branch<'_>> {
    let branch = match &event.payload {
        Payload::Push(push) if push.ref_type() == RefType::Branch => {
            Branch { name: push.short_ref(), protected: push.ref_protected }
        }
        Payload::Pipeline(pipeline) => of_pipeline(pipeline, family)?,
        // A bare name may be a tag's, which GitLab finds out by looking into the repository; we can't.
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
        (RefType::Branch, _) => Some(Branch { name, protected: pipeline.protected_ref }),
        // The payload speaks of protected tags here; what counts is whether a *branch* so named would be protected.
        (RefType::Tag, Family::PipelineMail) => Some(Branch { name, protected: None }),
        (RefType::Tag, Family::Chat | Family::PushMail | Family::Hook | Family::Commands) => None,
    }
}

/// Whether a protected-branch rule is for this branch: `*` stands for any characters, `/` among them.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    let between = name.strip_prefix(start).and_then(|name| name.strip_suffix(end));
    let Some(mut between) = between else { return false };
    // Each piece as early as it can stand leaves the most room for those after it: no need ever to go back.
    for piece in middle.split('*') {
        match between.split_once(piece) {
            Some((_, after)) => between = after,
            None => return false,
        }
    }
    true
}

pub(super) fn text(branch: &str, is: &NotNotified) -> String {
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
                "the branch `{branch}` is not the default branch `{default}` (branches_to_be_notified = default)"
            )
        }
        NotNotified::Default { default_branch: None } => format!(
            "the branch `{branch}` is not known to be the default branch (the default branch is not known) \
             (branches_to_be_notified = default)"
        ),
        NotNotified::Protected { known } => {
            format!("the branch `{branch}` is {} (branches_to_be_notified = protected)", unprotected(*known))
        }
        NotNotified::DefaultNorProtected { default_branch, known } => {
            let default = match default_branch {
                Some(default) => format!("not the default branch `{default}`"),
                None => "not known to be the default branch".to_owned(),
            };
            let unprotected = unprotected(*known);
            format!(
                "the branch `{branch}` is {default}, and {unprotected} \
                 (branches_to_be_notified = default_and_protected)"
            )
        }
        NotNotified::AnyOfTheSettings { setting } => format!(
            "this setting matches no branch, not even `{branch}`: it is none of all, default, protected, \
             default_and_protected (branches_to_be_notified = {setting})"
        ),
    }
}

//! Deployments.

use std::sync::Arc;

use super::{Body, Context, Message, NAME, TITLE, Text, Tone, Words, brief, in_path};
use crate::event::Deployment;

pub(super) fn message(context: &Context<'_>, deployment: &Deployment) -> Message {
    let environment = match brief(&deployment.environment, NAME) {
        name if name.is_empty() => Text::new().plain("an environment"),
        name => Text::new().link(name, deployment.environment_external_url.as_deref().unwrap_or_default()),
    };
    let decision = deployment.decision();
    let is_approved = decision.is_some_and(|decision| decision.is_approved);
    let decided_by = decision.and(context.author.as_ref());
    let did = if is_approved { "approved" } else { "rejected" };
    let what = match (deployment.status.as_str(), decided_by) {
        ("running", _) => Text::new().plain("Starting deploy to ").then(environment),
        (_, Some(by)) => Text::new().plain(format!("{} {did} the deploy to ", by.display)).then(environment),
        (status, None) => {
            Text::new().plain("Deploy to ").then(environment).plain(format!(" {}", ended(status)))
        }
    };
    let tone = match deployment.status.as_str() {
        "success" => Tone::Good,
        "canceled" => Tone::Warning,
        "failed" | "rejected" => Tone::Danger,
        _ => Tone::Neutral,
    };
    let mut message = context.report(what);
    if let (Some(author), None, false) = (&mut message.author, decision, deployment.user_url.is_empty()) {
        Arc::make_mut(author).url = super::web_address(Some(&deployment.user_url));
    }
    Message { body: body(context, deployment), tone, ..message }
}

fn ended(status: &str) -> Words {
    match status {
        "success" => "succeeded".into(),
        "failed" => "failed".into(),
        "canceled" => "was canceled".into(),
        "created" => "was created".into(),
        "blocked" => "is waiting for approval".into(),
        "approved" | "rejected" => format!("was {status}").into(),
        "" => "has changed".into(),
        other => format!("is {}", brief(other, NAME).replace('_', " ")).into(),
    }
}

/// `Job #796 by Administrator (root)`, the commit, and what an approver wrote.
fn body(context: &Context<'_>, deployment: &Deployment) -> Body {
    let mut lines = Vec::new();
    let deployer = deployment.user.as_ref().map(|user| brief(&user.display(), NAME));
    let by = deployer
        .filter(|name| !name.is_empty())
        .map(|name| Text::new().link(name, deployment.user_url.as_str()));
    let job = deployment.deployable_id.filter(|id| *id > 0).map(|id| {
        Text::new()
            .plain("Job ")
            .link(format!("#{id}"), deployment.deployable_url.as_deref().unwrap_or_default())
    });
    match (job, by) {
        (Some(job), Some(by)) => lines.push(job.plain(" by ").then(by)),
        (Some(job), None) => lines.push(job),
        (None, Some(by)) => lines.push(Text::new().plain("By ").then(by)),
        (None, None) => {}
    }
    let title = brief(&deployment.commit_title, TITLE);
    let url = match deployment.commit_url.as_str() {
        "" if !deployment.short_sha.is_empty() => {
            context.page(format_args!("commit/{}", in_path(&deployment.short_sha)))
        }
        _ => (&deployment.commit_url).into(),
    };
    match (deployment.short_sha.as_str(), title.as_str()) {
        ("", "") => {}
        ("", title) => lines.push(context.title_link(title, &url)),
        (sha, "") => lines.push(Text::new().link(brief(sha, NAME), url)),
        (sha, title) => {
            lines.push(Text::new().link(brief(sha, NAME), url).then(context.words(format!(": {title}"))));
        }
    }
    let comment =
        deployment.decision().map_or_else(Words::default, |decision| brief(decision.comment, TITLE));
    if !comment.is_empty() {
        lines.push(context.words(format!("Comment: {comment}")));
    }
    if lines.is_empty() { Body::None } else { Body::Lines(lines) }
}

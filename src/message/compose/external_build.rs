//! The outcome of a build that another service ran.

use super::{Context, Message, NAME, TITLE, Text, Tone, brief, in_path, short_field, title};
use crate::event::{ExternalBuild, Pipeline, parse_time};

pub(super) fn message(context: &Context<'_>, pipeline: &Pipeline, build: &ExternalBuild) -> Message {
    let service = brief(&build.service, NAME);
    let url = pipeline.own_url().unwrap_or_default();
    let phrase = phrase(pipeline);
    let mut what = Text::new().link(format!("{service} build"), url);
    let origin = origin(context, pipeline);
    let headline = match origin.plain_text().as_str() {
        "" => format!("{service} build {phrase}").into(),
        name => brief(&format!("{service} build of {name} {phrase}"), TITLE),
    };
    if !origin.is_blank() {
        what = what.plain(" of ").then(origin);
    }
    let short: String = pipeline.sha.chars().take(8).collect();
    let commit = Text::new().link(short, context.page(format_args!("commit/{}", in_path(&pipeline.sha))));
    Message {
        self_contained_parts: true,
        title: title(headline, url),
        fields: vec![short_field("Commit", commit)],
        tone: tone(pipeline),
        ended_at: pipeline.finished_at.as_deref().and_then(parse_time),
        ..context.report(what.plain(format!(" {phrase}")))
    }
}

/// The branch or tag; the merge request where it was built on the hidden ref of one.
fn origin(context: &Context<'_>, pipeline: &Pipeline) -> Text {
    match pipeline.merge_request_in_place_of_ref() {
        _ if pipeline.ref_name.is_empty() => Text::new(),
        Some(iid) => Text::new().link(format!("!{iid}"), context.page(format_args!("merge_requests/{iid}"))),
        None => context.pipeline_ref(pipeline),
    }
}

fn phrase(pipeline: &Pipeline) -> &str {
    match pipeline.status.as_str() {
        "success" if pipeline.passed_with_warnings() => "passed with warnings",
        "success" => "passed",
        "failed" => "failed",
        "canceled" => "was canceled",
        "skipped" => "was skipped",
        _ => "changed its state",
    }
}

fn tone(pipeline: &Pipeline) -> Tone {
    match pipeline.status.as_str() {
        "success" if !pipeline.passed_with_warnings() => Tone::Good,
        "failed" => Tone::Danger,
        "success" | "canceled" => Tone::Warning,
        _ => Tone::Neutral,
    }
}

//! Pipelines.

use std::sync::Arc;

use std::collections::BTreeSet;

use super::{
    Context, Field, Message, NAME, Person, TITLE, Text, Tone, Words, brief, capitalised, external_build,
    listed, short_field, title,
};
use crate::event::{Build, Pipeline, Upstream, parse_time};

/// How much is shown of the errors in a CI configuration, which are a few sentences.
const YAML_ERRORS: usize = 1000;

pub(super) fn message(context: &Context<'_>, pipeline: &Pipeline) -> Message {
    if let Some(build) = &pipeline.external {
        return external_build::message(context, pipeline, build);
    }
    let failed = pipeline.failed_builds();
    let warnings = pipeline.allowed_failures();
    let url = url(context, pipeline, !(failed.is_empty() && warnings.is_empty()));
    let phrase = phrase(pipeline);
    let lasted = pipeline.duration.filter(|_| has_ended(&pipeline.status)).map(duration);
    let lasted = lasted.map_or_else(String::new, |lasted| format!(" in {lasted}"));
    let name = if pipeline.id > 0 { format!("#{}", pipeline.id) } else { String::new() };

    let starter = brief(&pipeline.started_by(), NAME);
    let by = if starter.is_empty() { String::new() } else { format!(" by {starter}") };
    let what = match name.as_str() {
        "" => Text::new().link("Pipeline", &url),
        name => Text::new().plain("Pipeline ").link(name, &url),
    };
    let what = what.then(origin(context, pipeline)).then(ancestry(context, pipeline));
    let what = what.plain(format!("{by} {phrase}{lasted}"));
    Message {
        self_contained_parts: true,
        title: title(headline(&name, &phrase, &lasted), &url),
        fields: fields(context, pipeline, (&failed, &warnings), &url),
        tone: tone(pipeline),
        author: author(context, pipeline, &starter),
        ended_at: pipeline.finished_at.as_deref().and_then(parse_time),
        ..context.report(what)
    }
}

/// Who or what started it. A schedule is not its owner, whose name and face would say that they acted.
fn author(context: &Context<'_>, pipeline: &Pipeline, starter: &str) -> Option<Arc<Person>> {
    match &context.author {
        Some(author) if pipeline.is_started_by_its_user() => Some(Arc::clone(author)),
        _ if starter.is_empty() => None,
        _ => Some(Arc::new(Person { display: capitalised(starter), ..Person::default() })),
    }
}

/// `Pipeline #31 has passed in 01:03`.
fn headline(name: &str, phrase: &str, lasted: &str) -> String {
    let pipeline = if name.is_empty() { "Pipeline".to_owned() } else { format!("Pipeline {name}") };
    format!("{pipeline} {phrase}{lasted}")
}

fn url(context: &Context<'_>, pipeline: &Pipeline, failed: bool) -> String {
    let url = pipeline.url(&context.project_info.url);
    // Neither the payload nor the project has an address.
    if pipeline.id <= 0 || url.starts_with('/') {
        return String::new();
    }
    if failed { format!("{url}/failures") } else { url }
}

/// ` of branch main`, ` of merge request !1`, ` of merge request !1 from a fork`.
fn origin(context: &Context<'_>, pipeline: &Pipeline) -> Text {
    match pipeline.merge_request_in_place_of_ref() {
        _ if pipeline.ref_name.is_empty() => Text::new(),
        Some(iid) => {
            let url = pipeline.merge_request.as_ref().map(|request| Words::from(&request.url));
            let url = url.filter(|url| !url.is_empty());
            let url = url.unwrap_or_else(|| context.page(format_args!("merge_requests/{iid}")));
            let request = Text::new().plain(" of merge request ").link(format!("!{iid}"), url);
            request.plain(if pipeline.is_of_fork { " from a fork" } else { "" })
        }
        None => Text::new()
            .plain(format!(" of {} ", pipeline.ref_type.name()))
            .then(context.pipeline_ref(pipeline)),
    }
}

/// ` (child of #76)`, ` (started by acme/parent #76)`.
fn ancestry(context: &Context<'_>, pipeline: &Pipeline) -> Text {
    match &pipeline.upstream {
        Some(upstream) => {
            let relation = if pipeline.is_child() { "child of" } else { "started by" };
            Text::new().plain(format!(" ({relation} ")).then(upstream_link(context, upstream)).plain(")")
        }
        None if pipeline.is_child() => Text::new().plain(" (child of another pipeline)"),
        None => Text::new(),
    }
}

fn upstream_link(context: &Context<'_>, upstream: &Upstream) -> Text {
    let project_url = context.project_info.url.as_str();
    Text::new().link(brief(&upstream.label(project_url), NAME), upstream.url(project_url))
}

fn phrase(pipeline: &Pipeline) -> String {
    match pipeline.status.as_str() {
        "success" if pipeline.passed_with_warnings() => "has passed with warnings".to_owned(),
        "success" => "has passed".to_owned(),
        "failed" => "has failed".to_owned(),
        "canceled" | "skipped" | "created" => format!("was {}", pipeline.status),
        "manual" => "is waiting for a manual action".to_owned(),
        "waiting_for_resource" => "is waiting for a resource".to_owned(),
        "" => "has changed".to_owned(),
        other => format!("is {}", brief(other, NAME).replace('_', " ")),
    }
}

fn has_ended(status: &str) -> bool {
    matches!(status, "success" | "failed" | "canceled" | "skipped")
}

fn tone(pipeline: &Pipeline) -> Tone {
    match pipeline.status.as_str() {
        "success" if pipeline.passed_with_warnings() => Tone::Warning,
        "success" => Tone::Good,
        "failed" => Tone::Danger,
        "canceled" => Tone::Warning,
        _ => Tone::Neutral,
    }
}

/// `01:35`, and from an hour on `01:02:05`.
fn duration(seconds: f64) -> String {
    // Invalid durations (negative, not a number) become 0 in this conversion.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the conversion saturates")]
    let seconds = seconds.round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes:02}:{seconds:02}"),
        hours => format!("{hours:02}:{minutes:02}:{seconds:02}"),
    }
}

fn fields(
    context: &Context<'_>,
    pipeline: &Pipeline,
    (failed, warnings): (&[&Build], &[&Build]),
    url: &str,
) -> Vec<Field> {
    let mut fields = Vec::new();
    if pipeline.known_ref().is_some() {
        fields.push(short_field(pipeline.ref_type.title(), context.pipeline_ref(pipeline)));
    }
    if let Some(commit) = &pipeline.commit {
        let title = brief(commit.title(), TITLE);
        let title = if title.is_empty() { commit.short_id().into() } else { title };
        if !title.is_empty() {
            fields.push(short_field("Commit", context.title_link(&title, &commit.url)));
        }
    }
    if let Some(request) = pipeline.merge_request.as_ref().filter(|request| request.iid > 0) {
        let label = super::numbered('!', request.iid, &request.title);
        fields.push(short_field("Merge request", context.title_link(&label, &request.url)));
    }
    if let Some(upstream) = &pipeline.upstream {
        let name = if pipeline.is_child() { "Parent pipeline" } else { "Upstream pipeline" };
        fields.push(short_field(name, upstream_link(context, upstream)));
    }
    fields.extend(failures(context, failed, url));
    fields.extend(jobs(context, "Allowed failure", warnings, url));
    if let Some(errors) = &pipeline.yaml_errors {
        let value = Text::new().plain(brief(errors, YAML_ERRORS));
        fields.push(Field { name: "Invalid CI config YAML file".into(), value, short: false });
    }
    if let Some(name) = &pipeline.name {
        let value = Text::new().plain(brief(name, TITLE));
        fields.push(Field { name: "Pipeline name".into(), value, short: false });
    }
    fields
}

/// The stages and jobs that failed, with links.
fn failures(context: &Context<'_>, failed: &[&Build], url: &str) -> Vec<Field> {
    let mut seen = BTreeSet::new();
    let stages = failed.iter().map(|build| build.stage.as_str());
    let stages: Vec<&str> = stages.filter(|stage| !stage.is_empty() && seen.insert(*stage)).collect();
    let names = listed(&stages, |stage| Text::new().link(brief(stage, NAME), url), url);
    let stages = counted("Failed stage", stages.len(), names);
    stages.into_iter().chain(jobs(context, "Failed job", failed, url)).collect()
}

/// The jobs by name, with links, under a name in the singular.
fn jobs(context: &Context<'_>, name: &str, builds: &[&Build], url: &str) -> Option<Field> {
    let jobs: Vec<&Build> = builds.iter().filter(|build| !build.name.is_empty()).copied().collect();
    let names = listed(&jobs, |job| Text::new().link(brief(&job.name, NAME), job_url(context, job)), url);
    counted(name, jobs.len(), names)
}

fn counted(name: &str, count: usize, names: Text) -> Option<Field> {
    match count {
        0 => None,
        1 => Some(short_field(name, names)),
        _ => Some(short_field(format!("{name}s"), names)),
    }
}

fn job_url(context: &Context<'_>, job: &Build) -> Words {
    if job.id > 0 { context.page(format_args!("jobs/{}", job.id)) } else { Words::default() }
}

//! Pipeline emails: how a pipeline ended, and which of its jobs failed.

use std::collections::BTreeSet;

use super::head::{self, Head};
use super::page::{Mood, Page};
use super::{addresses, relay, replies};
use crate::adapters::contract::{
    About, Adapter, CommonSettings, Deliver, Delivery, Notification, Preview, Targets,
};
#[cfg(test)]
use crate::adapters::tests::{Contract, is_seen};
use crate::call::{Call, Failure, Pace, Sent};
use crate::event::{Build, Event, ExternalBuild, Payload, Pipeline, Project, Trigger, Triggers};
use crate::integration::Family;
use crate::message::{References, Text};
use crate::settings::FieldError;

/// GitLab's limit.
const MOST_RECIPIENTS: usize = 30;
/// More failed jobs are counted, not listed.
const MOST_JOBS: usize = 50;
const LONGEST_NAME: usize = 200;
const LONGEST_ERROR: usize = 2_000;

crate::settings! {
    /// What pipeline emails need.
    pub struct Settings {
        /// Mail addresses, separated by commas, spaces or line breaks, at most 30; each gets a mail of its own.
        pub recipients: String = "dev@example.com, ops@example.com",
        /// Mails the person who started the pipeline as well, if the event has their address.
        pub add_pusher: bool = "false",
        /// Sends mails about child pipelines, which another pipeline of the project started, too; true unless set.
        pub notify_child_pipelines: bool = "true" or "true",
    }
}

/// The adapter.
pub struct PipelinesEmail;

impl Adapter for PipelinesEmail {
    const ABOUT: About = About {
        slug: "pipelines-email",
        title: "Pipeline status emails",
        summary: "Mails the outcome of pipelines to a list of recipients.",
        triggers: Triggers::of(&[Trigger::Pipeline]),
        family: Family::PipelineMail,
        common: CommonSettings {
            branches: Some("default"),
            only_broken_pipelines: true,
            only_status_changes: true,
            ..CommonSettings::NONE
        },
    };
    type Settings = Settings;

    fn validate(settings: &Settings) -> Vec<FieldError> {
        addresses::problems(&settings.recipients, MOST_RECIPIENTS)
    }

    fn warnings(settings: &Settings) -> Vec<FieldError> {
        addresses::warnings(&settings.recipients)
    }
}

impl Deliver for PipelinesEmail {
    const DELIVERY: Delivery = Delivery {
        max_age: relay::MAX_AGE,
        // A repeated mail has the same Message-ID.
        retry_ambiguous: true,
        concurrency: relay::CONCURRENCY,
        calls: 1,
        limits: "10 mails a second through the relay (bursts of 20); 30 recipients.",
        preview: Preview::Request,
    };

    #[cfg(test)]
    const CONTRACT: Contract = Contract {
        links_references: false,
        // Relays accept ten times as much, but a mail should be readable.
        largest_body: 1_000_000,
        fault: |mail| {
            (!is_seen(&mail["subject"]) || !is_seen(&mail["text"])).then_some("a mail without text")
        },
        // In a mail an @ notifies no one.
        mentions: &[],
        target: "dev@example.com",
        ..Contract::USUAL
    };

    fn targets(settings: &Settings, event: &Event, _channels: &[String]) -> Targets {
        let is_child = matches!(&event.payload, Payload::Pipeline(pipeline) if pipeline.is_child());
        if is_child && !settings.notify_child_pipelines {
            return Targets::none("child pipelines are not mailed about (`notify_child_pipelines`)");
        }
        let mut targets = addresses::recipients(&settings.recipients);
        // A forge that hides addresses sends `[REDACTED]`, which is not an address.
        let starter = event.user().and_then(|user| addresses::address(user.email.as_deref()?));
        let is_new = |starter: &String| !targets.iter().any(|target| target.eq_ignore_ascii_case(starter));
        let starter = starter.filter(|starter| settings.add_pusher && is_new(starter));
        targets.extend(starter);
        Targets::named(targets)
    }

    fn pace(_settings: &Settings, _target: &str) -> Pace {
        relay::pace()
    }

    fn call(_settings: &Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        let Payload::Pipeline(pipeline) = &note.event.payload else {
            return Err(Failure::Rejected(format!("a {} is no pipeline", note.event.kind())));
        };
        let project = note.event.project.clone().unwrap_or_default();
        let thread = thread(pipeline);
        // A build of another service has no number in the forge.
        let id = if pipeline.external.is_some() { String::new() } else { pipeline.id.to_string() };
        let head = Head {
            subject: subject(&project, pipeline),
            thread: [thread.0, &thread.1],
            // Only the forge sends this.
            author: None,
            as_author: false,
            headers: vec![
                ("X-GitLab-Pipeline-Id", id),
                ("X-GitLab-Pipeline-Ref", pipeline.ref_name.to_string()),
                ("X-GitLab-Pipeline-Status", pipeline.status.to_string()),
            ],
        };
        let page = page(&project, pipeline, &note.references());
        Ok(Call::smtp(head::written(head::blank(note, head), page), replies::read))
    }
}

/// The kind and name of the thread that a mail belongs to.
fn thread(pipeline: &Pipeline) -> (&'static str, String) {
    match (&pipeline.external, pipeline.merge_request_iid()) {
        (Some(build), _) => ("build", [&*build.integration, &*build.service, &*pipeline.ref_name].join("\n")),
        (None, Some(iid)) => ("merge_request", iid.to_string()),
        (None, None) => ("pipeline", pipeline.ref_name.to_string()),
    }
}

/// The branch or tag; the merge request, where it ran on its hidden ref or on the branch of a fork.
fn what(pipeline: &Pipeline) -> String {
    match pipeline.merge_request_in_place_of_ref() {
        Some(iid) => format!("!{iid}"),
        None => format!("{}{}", head::line(&pipeline.ref_name, 100), of_fork(pipeline)),
    }
}

/// A branch of the project may have the same name.
fn of_fork(pipeline: &Pipeline) -> &'static str {
    if pipeline.is_of_fork { " (in a fork)" } else { "" }
}

/// `TeamCity build of main`.
fn named_build(build: &ExternalBuild, pipeline: &Pipeline) -> String {
    let service = head::line(&build.service, 100);
    match what(pipeline) {
        what if what.is_empty() => format!("{service} build"),
        what => format!("{service} build of {what}"),
    }
}

/// How a build of another service ended.
fn build_outcome(pipeline: &Pipeline) -> &'static str {
    match pipeline.status.as_str() {
        "success" if pipeline.passed_with_warnings() => "passed with warnings",
        "success" if pipeline.ref_status_name.as_deref() == Some("fixed") => "was fixed",
        "success" => "passed",
        "failed" => "failed",
        "canceled" => "was canceled",
        "skipped" => "was skipped",
        _ => "changed its state",
    }
}

/// GitLab's: `Diaspora | Failed pipeline for master | bcbb5ec3`. A build of another service is named in its place.
fn subject(project: &Project, pipeline: &Pipeline) -> String {
    let name =
        head::line(if project.name.is_empty() { &project.path_with_namespace } else { &project.name }, 100);
    let sha: String = pipeline.sha.chars().take(8).collect();
    if let Some(build) = &pipeline.external {
        return format!("{name} | {} {} | {sha}", named_build(build, pipeline), build_outcome(pipeline));
    }
    let outcome = match pipeline.status.as_str() {
        "success" if pipeline.ref_status_name.as_deref() == Some("fixed") => "Fixed pipeline".to_owned(),
        "success" => "Successful pipeline".to_owned(),
        "failed" => "Failed pipeline".to_owned(),
        other => format!("Pipeline {}", head::line(other, 30)),
    };
    format!("{name} | {outcome} for {} | {sha}", what(pipeline))
}

/// The page of the pipeline, or of the build of another service; empty where that has none.
fn address(project: &Project, pipeline: &Pipeline) -> String {
    match &pipeline.external {
        Some(_) => pipeline.own_url().unwrap_or_default().to_owned(),
        None => pipeline.url(project.web_url.trim_end_matches('/')),
    }
}

fn headline(pipeline: &Pipeline, url: &str) -> (Text, Mood) {
    let (said, mood) = match pipeline.status.as_str() {
        "success" if pipeline.passed_with_warnings() => ("has passed with warnings", Mood::Warning),
        "success" if pipeline.ref_status_name.as_deref() == Some("fixed") => ("has been fixed", Mood::Good),
        "success" => ("has passed", Mood::Good),
        "failed" => ("has failed", Mood::Bad),
        "canceled" => ("was canceled", Mood::Warning),
        "skipped" => ("was skipped", Mood::Neutral),
        _ => ("has changed", Mood::Neutral),
    };
    let number = if pipeline.id > 0 { format!("#{}", pipeline.id) } else { String::new() };
    let headline = match &pipeline.external {
        Some(build) => {
            let outcome = build_outcome(pipeline);
            Text::new().link(named_build(build, pipeline), url).plain(format!(" {outcome}"))
        }
        None => Text::new().plain("Pipeline ").link(number, url).plain(format!(" {said}")),
    };
    (headline, mood)
}

fn page(project: &Project, pipeline: &Pipeline, references: &References<'_>) -> Page {
    let url = address(project, pipeline);
    let mut page = Page::new();
    let (headline, mood) = headline(pipeline, &url);
    page.headline(&headline, mood);
    page.facts(&facts(project, pipeline, references));
    if let Some(errors) = &pipeline.yaml_errors {
        let errors: String = errors.chars().take(LONGEST_ERROR).collect();
        page.notice(&format!("The CI configuration is wrong: {errors}"));
    }
    show_succeeded(&mut page, pipeline);
    show_failed(&mut page, project, pipeline);
    let name = project.full_name();
    let view = if pipeline.external.is_some() { "View the build" } else { "View the pipeline" };
    page.foot(
        Some((view, url.as_str())).filter(|(_, url)| !url.is_empty()),
        &format!("You get this mail since your address is in the pipeline emails of {name}, or you started the pipeline."),
    );
    page
}

fn facts(project: &Project, pipeline: &Pipeline, references: &References<'_>) -> Vec<(&'static str, Text)> {
    let plain = |words: &str| Text::new().plain(head::line(words, LONGEST_NAME));
    let web = project.web_url.trim_end_matches('/');
    let ref_name = pipeline.known_ref().map(|name| plain(name).plain(of_fork(pipeline))).unwrap_or_default();
    let request = pipeline.merge_request.as_ref().filter(|request| request.iid > 0).map(|request| {
        let title = head::line(&request.title, LONGEST_NAME);
        references.title(&format!("!{} {title}", request.iid), &request.url)
    });
    let sha: String = pipeline.sha.chars().take(8).collect();
    let commit = pipeline.commit.as_ref();
    let commit_url = commit.map(|commit| commit.url.to_string()).filter(|url| !url.is_empty());
    let commit_url = commit_url.unwrap_or_else(|| format!("{web}/-/commit/{}", pipeline.sha));
    let title = commit.map(|commit| head::line(commit.title(), LONGEST_NAME)).unwrap_or_default();
    let upstream = pipeline
        .upstream
        .as_ref()
        .map(|upstream| Text::new().link(head::line(&upstream.label(web), LONGEST_NAME), upstream.url(web)));
    vec![
        ("Project", Text::new().link(head::line(&project.full_name(), LONGEST_NAME), web)),
        ("Name", pipeline.name.as_deref().map(plain).unwrap_or_default()),
        (pipeline.ref_type.title(), ref_name),
        ("Merge request", request.unwrap_or_default()),
        (
            if pipeline.is_child() { "Parent pipeline" } else { "Upstream pipeline" },
            upstream.unwrap_or_default(),
        ),
        ("Commit", if sha.is_empty() { Text::new() } else { Text::new().link(sha, commit_url) }),
        ("Message", references.linked(plain(&title))),
        ("Author", commit.map(|commit| plain(&commit.author.name)).unwrap_or_default()),
        ("Started by", plain(&pipeline.started_by())),
        ("Duration", pipeline.duration.map(|seconds| plain(&duration(seconds))).unwrap_or_default()),
    ]
}

/// `1 min 3 s`.
fn duration(seconds: f64) -> String {
    // Invalid durations (negative, not a number) become 0 in this conversion.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the conversion saturates")]
    let seconds = seconds.round() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

fn show_succeeded(page: &mut Page, pipeline: &Pipeline) {
    let succeeded: Vec<&Build> = pipeline.builds.iter().filter(|job| job.status == "success").collect();
    if pipeline.status != "success" || succeeded.is_empty() {
        return;
    }
    let stages: BTreeSet<&str> = succeeded.iter().map(|job| job.stage.as_str()).collect();
    let count = |n: usize, thing: &str| if n == 1 { format!("1 {thing}") } else { format!("{n} {thing}s") };
    let words = format!("{} succeeded, in {}.", count(succeeded.len(), "job"), count(stages.len(), "stage"));
    page.paragraph(&Text::new().plain(words));
}

fn show_failed(page: &mut Page, project: &Project, pipeline: &Pipeline) {
    let has_passed = pipeline.status == "success";
    if !has_passed {
        show_jobs(page, project, &pipeline.failed_builds(), "");
    }
    if !has_passed || pipeline.passed_with_warnings() {
        show_jobs(page, project, &pipeline.allowed_failures(), ", allowed to fail");
    }
}

fn show_jobs(page: &mut Page, project: &Project, failed: &[&Build], but: &str) {
    page.heading(&match failed.len() {
        0 => return,
        1 => format!("1 failed job{but}"),
        many => format!("{many} failed jobs{but}"),
    });
    let web = project.web_url.trim_end_matches('/');
    let item = |job: &&Build| {
        let url =
            if job.id > 0 && !web.is_empty() { format!("{web}/-/jobs/{}", job.id) } else { String::new() };
        let stage = head::line(&job.stage, 100);
        let stage = if stage.is_empty() { String::new() } else { format!(" in stage {stage}") };
        Text::new().link(head::line(&job.name, 100), url).plain(stage)
    };
    let mut items: Vec<Text> = failed.iter().take(MOST_JOBS).map(item).collect();
    if failed.len() > MOST_JOBS {
        items.push(Text::new().plain(format!("and {} more", failed.len() - MOST_JOBS)));
    }
    page.list(&items);
}

//! Jenkins with the older plug-in for GitLab hooks (<https://plugins.jenkins.io/gitlab-hook/>), which GitLab supported until
//! version 13: pushes are forwarded to one address for all jobs, and the plug-in finds the job by the repository.

use std::time::Duration;

use super::address::below;
use super::answers;
use super::forward::{self, EventHeader};
use super::sending;
use super::statuses;
use crate::adapters::contract::{
    About, Adapter, BuiltCommit, CommonSettings, Deliver, Delivery, Notification, Preview, Status, Targets,
};
#[cfg(test)]
use crate::adapters::tests::{Contract, Expected};
use crate::call::{
    Answer, Bucket, BuildState, Call, CommitStatus, Failure, HttpRequest, HttpResponse, Pace, Sent,
};
use crate::event::{Event, Trigger, Triggers};
use crate::integration::Family;
use crate::settings::InternalUrl;

/// No rate is published; this value is our choice.
const PER_SERVER: (u32, u32) = (2, 5);
const TIMEOUT: Duration = Duration::from_secs(30);

crate::settings! {
    /// What the older plug-in needs.
    pub struct Settings {
        /// The job's page: `https://jenkins.example.com/job/rocket`. The operator must permit one in a private network in
        /// `wire.allow_networks`.
        pub project_url: InternalUrl = "https://jenkins.example.com/job/rocket",
        /// Whether Jenkins has a job for each branch. Has an effect on the look-up of a build's status alone.
        pub multiproject_enabled: bool = "false",
        /// Whether an unstable build counts as passed. Has an effect on the look-up of a build's status alone.
        pub pass_unstable: bool = "false",
        /// The event's name in the header `X-Gitlab-Event`: `real` (the default), or `service_hook` as GitLab sent it.
        pub gitlab_event_header: EventHeader = "real" or "real",
    }
}

/// The adapter.
pub struct JenkinsDeprecated;

impl Adapter for JenkinsDeprecated {
    const ABOUT: About = About {
        slug: "jenkins-deprecated",
        title: "Jenkins CI (Deprecated)",
        summary: "Starts Jenkins builds for pushes, through Jenkins' older plug-in for GitLab hooks.",
        triggers: Triggers::of(&[Trigger::Push]),
        family: Family::Hook,
        common: CommonSettings { announce_result: true, ..CommonSettings::NONE },
    };
    type Settings = Settings;
}

impl Deliver for JenkinsDeprecated {
    const DELIVERY: Delivery = Delivery {
        max_age: Duration::from_secs(24 * 3600),
        retry_ambiguous: false,
        concurrency: 2,
        calls: 1,
        limits: "2 pushes a second per server (bursts of 5).",
        preview: Preview::Call,
    };

    #[cfg(test)]
    const CONTRACT: Contract = Contract {
        largest_body: forward::LARGEST_BODY,
        forwards: true,
        mentions: &[],
        answers: &[
            Expected {
                status: 200,
                headers: &[],
                body: "rocket scheduled for build<br>other scheduled for build",
                outcome: "taken",
            },
            Expected { status: 200, headers: &[], body: "", outcome: "taken" },
            Expected { status: 200, headers: &[], body: "  <HTML><body>Sign in", outcome: "unavailable" },
            Expected { status: 400, headers: &[], body: "invalid payload", outcome: "rejected" },
            Expected {
                status: 403,
                headers: &[("x-jenkins", "1.651")],
                body: "<html>",
                outcome: "misconfigured",
            },
            Expected {
                status: 404,
                headers: &[("x-jenkins", "1.651")],
                body: "no project",
                outcome: "misconfigured",
            },
            Expected { status: 404, headers: &[], body: "<html>", outcome: "unavailable" },
            Expected { status: 500, headers: &[], body: "", outcome: "unavailable, perhaps taken" },
            Expected { status: 503, headers: &[], body: "", outcome: "unavailable" },
        ],
        ..Contract::USUAL
    };

    fn targets(_settings: &Settings, event: &Event, _channels: &[String]) -> Targets {
        sending::unless_skipped(event)
    }

    fn pace(settings: &Settings, _target: &str) -> Pace {
        let (count, burst) = PER_SERVER;
        let server = settings.project_url.0.origin().ascii_serialization();
        Pace::of(Bucket::new("jenkins server", &[&server], count, Duration::from_secs(1), burst))
    }

    fn call(settings: &Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        let request =
            forward::request(note, hook_url(&settings.project_url.0), settings.gitlab_event_header)?;
        Ok(Call::http(HttpRequest { timeout: TIMEOUT, ..request }, |response| {
            answers::of_jenkins(response, &[])
        }))
    }
}

/// The address of the plug-in's hook: it stands where the job's page has `job/` and what follows.
fn hook_url(page: &url::Url) -> url::Url {
    let mut url = page.clone();
    url.set_query(None);
    let server = url.path().split_once("/job/").map_or(url.path(), |(before, _)| before).to_owned();
    url.set_path(&server);
    below(&url, ["gitlab", "build_now"])
}

/// The page of a commit, whose first image of a build says how that went
/// (`ee/app/models/integrations/jenkins_deprecated.rb` in GitLab 13, <https://gitlab.com/gitlab-org/gitlab>).
impl Status for JenkinsDeprecated {
    fn pace(settings: &Settings) -> Pace {
        <Self as Deliver>::pace(settings, "")
    }

    fn status(settings: &Settings, commit: &BuiltCommit<'_>) -> Result<Call<CommitStatus>, Failure> {
        let job = &settings.project_url.0;
        let job = if settings.multiproject_enabled { job_of_branch(job, commit) } else { job.clone() };
        let page = below(&job, ["scm", "bySHA1", commit.sha]);
        let pass_unstable = settings.pass_unstable;
        let question = statuses::question(page.clone(), true);
        let page = statuses::public(&page);
        Ok(Call::http(question, move |response| read_status(response, &page, pass_unstable)))
    }
}

/// If each branch has its own job, the job's name is made of the project's and the branch's names.
fn job_of_branch(page: &url::Url, commit: &BuiltCommit<'_>) -> url::Url {
    let name = commit.project.rsplit('/').next().unwrap_or_default();
    let job = format!("{name}_{}", commit.ref_name.replace('/', "_"));
    let mut server = page.clone();
    server.set_path("");
    server.set_query(None);
    below(&server, ["job", &job])
}

fn read_status(response: &HttpResponse, page: &url::Url, pass_unstable: bool) -> Answer<CommitStatus> {
    let text = response.text();
    let Some(image) = (response.status == 200).then(|| first_build_image(&text)).flatten() else {
        return statuses::not_understood(response);
    };
    let state = match image {
        // `blue_anime.gif` is a build that runs, and whose predecessor passed.
        _ if image.contains("anime.gif") => BuildState::Running,
        _ if image.contains("blue") => BuildState::Success,
        _ if image.contains("yellow") && pass_unstable => BuildState::Success,
        _ if ["yellow", "red", "aborted"].iter().any(|color| image.contains(color)) => BuildState::Failed,
        _ => BuildState::Pending,
    };
    statuses::known(state, page)
}

/// The file name of the first image in the caption of a build.
fn first_build_image(page: &str) -> Option<&str> {
    let (_, caption) = page.split_once("build-caption")?;
    let (_, image) = caption.split_once("<img")?;
    let (image, _) = image.split_once('>')?;
    let (_, source) = image.split_once("src=")?;
    let source = source.trim_start_matches(['"', '\'']);
    let source = source.split(['"', '\'', ' ']).next()?;
    source.rsplit('/').next()
}

#[cfg(test)]
mod tests {
    use super::super::statuses::tests::{made_of, request};
    use super::*;
    use crate::adapters::tests::{header, http_call};

    #[test]
    fn the_hook_is_beside_the_jobs() {
        for (page, hook) in [
            ("http://j.example/job/rocket", "http://j.example/gitlab/build_now"),
            ("http://j.example/ci/job/A/job/b/", "http://j.example/ci/gitlab/build_now"),
            ("http://u:p@j.example:8080/job/x%20y?token=z#top", "http://u:p@j.example:8080/gitlab/build_now"),
            ("http://j.example/below/", "http://j.example/below/gitlab/build_now"),
        ] {
            let request = http_call("jenkins-deprecated", &[("project_url", page)], Trigger::Push);
            assert_eq!(request.url.as_str(), hook);
            assert_eq!(header(&request, "x-gitlab-event"), Some("Push Hook"));
        }
    }

    #[test]
    fn the_first_image_of_a_build_says_how_it_went() {
        let job = ("project_url", "https://j.example/job/x");
        let caption = |image: &str| {
            format!(
                r#"<!DOCTYPE html><html><img src="/static/red.png"><h1 class="build-caption page-headline">
                <img alt="" src="/static/9/images/48x48/{image}" width="48"> Build #7 <img src="/red.png">"#
            )
        };
        let page = "https://j.example/job/x/scm/bySHA1/cafe";
        assert_eq!(request("jenkins-deprecated", &[job]).url.as_str(), page);
        for (image, unstable, state) in [
            ("blue.png", "false", "success"),
            ("yellow.png", "false", "failed"),
            ("yellow.png", "true", "success"),
            ("red.png", "true", "failed"),
            ("aborted.png", "false", "failed"),
            ("blue_anime.gif", "false", "running"),
            ("red_anime.gif", "false", "running"),
            ("grey.png", "false", "pending"),
        ] {
            let settings = [job, ("pass_unstable", unstable)];
            let made = made_of("jenkins-deprecated", &settings, 200, &caption(image));
            assert_eq!(made, format!("{state} {page}"), "{image}");
        }
        assert_eq!(made_of("jenkins-deprecated", &[job], 200, "<html>Sign in"), "not understood");
    }

    #[test]
    fn a_token_in_the_jobs_address_is_not_shown() {
        let job = ("project_url", "https://u:p@j.example/job/x?token=s3cret");
        let asked = request("jenkins-deprecated", &[job]).url;
        assert_eq!(asked.as_str(), "https://u:p@j.example/job/x/scm/bySHA1/cafe?token=s3cret");
        let page = r#"<h1 class="build-caption"><img src="/blue.png">"#;
        let made = made_of("jenkins-deprecated", &[job], 200, page);
        assert_eq!(made, "success https://j.example/job/x/scm/bySHA1/cafe");
    }

    #[test]
    fn where_each_branch_has_a_job_that_job_is_asked() {
        let settings = [("project_url", "https://j.example:8080/job/x"), ("multiproject_enabled", "true")];
        let url = request("jenkins-deprecated", &settings).url;
        assert_eq!(url.as_str(), "https://j.example:8080/job/rocket_feature_x/scm/bySHA1/cafe");
    }
}

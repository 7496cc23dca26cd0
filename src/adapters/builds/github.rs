//! GitHub: a pipeline's status becomes a commit status
//! (<https://docs.github.com/en/rest/commits/statuses#create-a-commit-status>).
//!
//! GitHub answers 403 both to what is forbidden and to what comes too fast, so the headers and the body of a 403 decide.
//! A commit takes 1,000 statuses of one context, and none after that.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::address::below;
use super::answers;
use crate::adapters::contract::{
    About, Adapter, CommonSettings, Deliver, Delivery, LaneKey, Notification, Preview, Target, Targets,
};
use crate::adapters::operator::ForgeConfig;
#[cfg(test)]
use crate::adapters::tests::{Contract, Expected, is_seen, usual_status};
use crate::call::{
    Answer, Bucket, Call, Egress, Failure, HttpRequest, HttpResponse, Method, Pace, Sent, by_status,
    describe, is_page, unavailable,
};
use crate::event::{Event, Payload, Pipeline, Project, RefType, Trigger, Triggers};
use crate::integration::Family;
use crate::settings::{FieldError, Secret, Url};

/// In characters, by GitHub's documentation and by GitLab's own cut.
const DESCRIPTION: usize = 140;
const CONTEXT: usize = 255;
/// GitHub allows 80 requests a minute that create content, and 500 an hour
/// (<https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>).
const PER_TOKEN: (u32, u32) = (1, 10);
const PER_TOKEN_HOURLY: (u32, u32) = (250, 250);
/// The shortest wait where GitHub names none.
const UNNAMED_WAIT: Duration = Duration::from_secs(60);
/// GitLab's name for a pipeline that it runs for a pull request of another forge.
const OF_EXTERNAL_PULL_REQUEST: &str = "external_pull_request_event";

/// A header that every answer of GitHub has.
#[cfg(test)]
const OWN: (&str, &str) = ("x-github-request-id", "C0DE:1A2B");

crate::settings! {
    /// What GitHub needs.
    pub struct Settings {
        /// A token that may write commit statuses (scope `repo:status`).
        pub token: Secret = "ghp_Zx81aQ7mN0rT4vB6",
        /// The repository's page: `https://github.com/owner/name`, or the same of a GitHub Enterprise Server.
        pub repository_url: Url = "https://github.com/acme/rocket",
        /// Whether statuses are named after the forge (`ci/gitlab/gitlab.example.com`), or after the branch or tag.
        pub static_context: bool = "true" or "true",
    }
}

/// The adapter.
pub struct GitHub;

impl Adapter for GitHub {
    const ABOUT: About = About {
        slug: "github",
        title: "GitHub",
        summary: "Shows the status of pipelines at the commits of a GitHub repository.",
        triggers: Triggers::of(&[Trigger::Pipeline]),
        family: Family::Hook,
        common: CommonSettings::NONE,
    };
    type Settings = Settings;

    fn validate(settings: &Settings) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if !settings.token.expose().trim().bytes().all(|byte| byte.is_ascii_graphic()) {
            errors.push(FieldError::new(
                "token",
                "must consist of ASCII letters, digits and signs without spaces",
            ));
        }
        if owner_and_name(&settings.repository_url.0).is_none() {
            let problem = "must be the page of a repository, as https://github.com/owner/name";
            errors.push(FieldError::new("repository_url", problem));
        }
        errors
    }
}

impl Deliver for GitHub {
    const DELIVERY: Delivery = Delivery {
        max_age: Duration::from_secs(24 * 3600),
        // A repeated status shows the same.
        retry_ambiguous: true,
        concurrency: 4,
        calls: 2,
        limits: "1 status a second per token (bursts of 10), about 500 an hour; 1,000 per commit and context; descriptions \
                 are cut at 140 characters, contexts at 255.",
        preview: Preview::Call,
    };

    #[cfg(test)]
    const CONTRACT: Contract = Contract {
        links_references: false,
        largest_body: 8_000,
        // Statuses send no notifications.
        mentions: &[],
        fault: |body| (!is_seen(&body["context"])).then_some("a blank context"),
        status: |status| match status {
            201 => "taken",
            200..=299 => "unavailable",
            other => usual_status(other),
        },
        answers: &[
            Expected { status: 201, headers: &[], body: r#"{"id":1,"state":"success"}"#, outcome: "taken" },
            Expected { status: 200, headers: &[], body: "{}", outcome: "unavailable, perhaps taken" },
            Expected {
                status: 200,
                headers: &[],
                body: "<!DOCTYPE html><html>Sign in",
                outcome: "unavailable",
            },
            Expected {
                status: 301,
                headers: &[OWN, ("location", "https://api.github.com/repositories/1")],
                body: "",
                outcome: "misconfigured",
            },
            Expected {
                status: 401,
                headers: &[],
                body: r#"{"message":"Bad credentials","documentation_url":"https://docs.github.com/rest"}"#,
                outcome: "misconfigured",
            },
            Expected {
                status: 403,
                headers: &[OWN, ("x-ratelimit-remaining", "4321"), ("x-ratelimit-reset", "1393653600")],
                body: r#"{"message":"Resource not accessible by personal access token"}"#,
                outcome: "misconfigured",
            },
            Expected {
                status: 403,
                headers: &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1393653600")],
                body: r#"{"message":"API rate limit exceeded"}"#,
                outcome: "quota until 2014-03-01T06:00:00Z",
            },
            Expected {
                status: 403,
                headers: &[("retry-after", "93"), ("x-ratelimit-remaining", "4000")],
                body: r#"{"message":"You have exceeded a secondary rate limit"}"#,
                outcome: "throttled 93 s",
            },
            Expected {
                status: 403,
                headers: &[],
                body: r#"{"message":"You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}"#,
                outcome: "throttled 60 s",
            },
            Expected {
                status: 403,
                headers: &[],
                body: r#"{"message":"You have triggered an abuse detection mechanism."}"#,
                outcome: "throttled 60 s",
            },
            Expected { status: 429, headers: &[], body: "", outcome: "throttled 60 s" },
            Expected {
                status: 429,
                headers: &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "soon")],
                body: "",
                outcome: "throttled 60 s",
            },
            Expected {
                status: 404,
                headers: &[],
                body: r#"{"message":"Not Found","documentation_url":"https://docs.github.com/rest"}"#,
                outcome: "misconfigured",
            },
            Expected {
                status: 404,
                headers: &[],
                body: r#"{"message":"Not Found"}"#,
                outcome: "unavailable",
            },
            Expected { status: 403, headers: &[], body: "<html>Blocked", outcome: "unavailable" },
            Expected {
                status: 422,
                headers: &[],
                body: r#"{"message":"Validation Failed","errors":[{"message":"This SHA and context has reached the maximum number of statuses."}]}"#,
                outcome: "rejected",
            },
            Expected { status: 500, headers: &[], body: "", outcome: "unavailable" },
            Expected { status: 502, headers: &[], body: "", outcome: "unavailable" },
        ],
        chain: &[(200, "[]"), (201, "{}")],
        ..Contract::USUAL
    };

    fn targets(settings: &Settings, event: &Event, _channels: &[String]) -> Targets {
        let Payload::Pipeline(pipeline) = &event.payload else {
            return Targets::none("only pipelines have a status");
        };
        if pipeline.is_child() {
            return Targets::none(
                "a child pipeline has its parent's commit and context, and the parent's status counts",
            );
        }
        if state(&pipeline.status).is_none() {
            let status = &pipeline.status;
            return Targets::none(format!("GitHub has no state for this status (status = {status})"));
        }
        if !is_sha(&pipeline.sha) {
            return Targets::none("the event names no commit");
        }
        // GitHub compares contexts without regard to case. The forge's address is not known here, and is the same for all
        // events of a project.
        let context = if settings.static_context { String::new() } else { pipeline.ref_name.to_lowercase() };
        let lane = LaneKey(format!("{}:{context}", pipeline.sha.to_lowercase()));
        Targets {
            send: vec![Target { name: String::new(), lane: Some(lane), replaces: true }],
            left_out: Vec::new(),
        }
    }

    fn pace(settings: &Settings, _target: &str) -> Pace {
        let api = api(&settings.repository_url.0);
        let parts = [api.as_str(), settings.token.expose().trim()];
        let (count, burst) = PER_TOKEN;
        let (hourly, hourly_burst) = PER_TOKEN_HOURLY;
        let hour = Duration::from_secs(3600);
        Pace::of(Bucket::new("github token", &parts, count, Duration::from_secs(1), burst)).and(Bucket::new(
            "github token hourly",
            &parts,
            hourly,
            hour,
            hourly_burst,
        ))
    }

    fn call(settings: &Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        let status = status_request(settings, note)?;
        let create = Call::http(status, read);
        match external_pipelines_request(note) {
            Some(look) => {
                Ok(Call::http(look, |response| unless_external(response, create)).to_other_service())
            }
            None => Ok(create),
        }
    }
}

/// The request that creates the commit status.
fn status_request(settings: &Settings, note: &Notification<'_>) -> Result<HttpRequest, Failure> {
    let none = |why: &str| Failure::Rejected(why.to_owned());
    let Payload::Pipeline(pipeline) = &note.event.payload else {
        return Err(none("only pipelines have a status"));
    };
    let state = state(&pipeline.status).ok_or_else(|| none("GitHub has no state for this status"))?;
    let Some((owner, name)) = owner_and_name(&settings.repository_url.0) else {
        return Err(Failure::Misconfigured("repository_url is not the page of a repository".to_owned()));
    };
    if !is_sha(&pipeline.sha) {
        return Err(none("the event names no commit"));
    }
    let body = json!({
        "state": state,
        "description": cut(&format!("Pipeline {} on GitLab", status_words(pipeline)), DESCRIPTION),
        "context": cut(&context(settings, note, pipeline), CONTEXT),
    });
    let body = with_target(body, note.event.project.as_ref(), pipeline);
    let url = below(&api(&settings.repository_url.0), ["repos", &owner, &name, "statuses", &pipeline.sha]);
    let mut request = HttpRequest::post_json(url, &body);
    request.headers.push(("accept", "application/vnd.github+json".to_owned()));
    request.headers.push(("authorization", format!("Bearer {}", settings.token.expose().trim())));
    Ok(request)
}

/// GitHub's state for a pipeline's status.
fn state(status: &str) -> Option<&'static str> {
    Some(match status {
        "created" | "pending" | "running" | "manual" => "pending",
        "success" | "skipped" => "success",
        "failed" => "failure",
        "canceled" => "error",
        _ => return None,
    })
}

fn is_sha(sha: &str) -> bool {
    matches!(sha.len(), 40 | 64) && sha.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The status as GitLab shows it to people.
fn status_words(pipeline: &Pipeline) -> &str {
    match (pipeline.detailed_status.trim(), pipeline.status.as_str()) {
        ("" | "blocked", "manual") => "waiting for manual action",
        ("", "success") => "passed",
        ("", status) => status,
        (words, _) => words,
    }
}

fn context(settings: &Settings, note: &Notification<'_>, pipeline: &Pipeline) -> String {
    if !settings.static_context {
        return format!("ci/gitlab/{}", pipeline.ref_name);
    }
    let of_project =
        || url::Url::parse(&note.event.project.as_ref()?.web_url).ok()?.host_str().map(str::to_owned);
    let host = note.operator.forge.host().or_else(of_project);
    format!("ci/gitlab/{}", host.as_deref().unwrap_or("gitlab"))
}

/// The pipeline's page, where it has an address.
fn with_target(mut body: Json, project: Option<&Project>, pipeline: &Pipeline) -> Json {
    let page = pipeline.url(project.map_or("", |project| &project.web_url));
    let is_address = url::Url::parse(&page).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    if is_address && !page.contains(char::is_control) {
        body["target_url"] = page.into();
    }
    body
}

/// One line of at most so many characters; a longer one ends with three dots.
fn cut(text: &str, limit: usize) -> String {
    let line: String = text.chars().filter(|c| !c.is_control()).collect();
    if line.chars().count() <= limit {
        return line;
    }
    line.chars().take(limit - 3).chain("...".chars()).collect()
}

/// The repository's owner and name, which are the first two parts of its page's path.
fn owner_and_name(page: &url::Url) -> Option<(String, String)> {
    let mut parts = page.path_segments()?.filter(|part| !part.is_empty());
    let (owner, name) = (parts.next()?, parts.next()?);
    let name = name.strip_suffix(".git").unwrap_or(name);
    let decoded = |part: &str| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned();
    let (owner, name) = (decoded(owner), decoded(name));
    let is_name = |name: &str| !name.is_empty() && !super::address::is_dots(name);
    (is_name(&owner) && is_name(&name)).then_some((owner, name))
}

/// The address of the API for a repository's page.
fn api(page: &url::Url) -> url::Url {
    if matches!(page.host_str(), Some("github.com" | "www.github.com")) {
        return url::Url::parse("https://api.github.com").expect("the constant is an address");
    }
    let mut api = page.clone();
    let _ = api.set_username("");
    let _ = api.set_password(None);
    api.set_query(None);
    api.set_fragment(None);
    api.set_path("/api/v3");
    api
}

/// Asks the forge whether this commit has a pipeline for an external pull request. That pipeline's status counts
/// instead of this one's. `None` if the forge's API is not configured.
fn external_pipelines_request(note: &Notification<'_>) -> Option<HttpRequest> {
    let Payload::Pipeline(pipeline) = &note.event.payload else { return None };
    let ForgeConfig { api_url, token, .. } = &note.operator.forge;
    let project = note.event.project.as_ref()?.id;
    let may_be_replaced = pipeline.source != OF_EXTERNAL_PULL_REQUEST && pipeline.ref_type != RefType::Tag;
    if !may_be_replaced || api_url.is_empty() || token.is_blank() || project <= 0 {
        return None;
    }
    let api = api_url.trim_end_matches('/');
    let sha = &pipeline.sha;
    let url =
        format!("{api}/projects/{project}/pipelines?sha={sha}&source={OF_EXTERNAL_PULL_REQUEST}&per_page=1");
    Some(HttpRequest {
        headers: vec![("private-token", token.expose().to_owned())],
        egress: Egress::Operator,
        ..HttpRequest::new(Method::Get, url.parse().ok()?)
    })
}

/// A forge that can't tell, because the token may not read the project, keeps no status back.
fn unless_external(response: &HttpResponse, create: Call<Sent>) -> Answer<Sent> {
    match response.status {
        200..=299 => {
            let found: Vec<Json> = serde_json::from_slice(&response.body).unwrap_or_default();
            // Older releases ignore the parameter `source`, and answer with any pipeline.
            let is_external = |pipeline: &Json| pipeline["source"] == OF_EXTERNAL_PULL_REQUEST;
            if found.iter().any(is_external) {
                let why = "the commit has a pipeline for an external pull request, whose status counts";
                return Answer::Skipped(why.to_owned());
            }
            Answer::Next(create)
        }
        401 | 403 | 404 => Answer::Next(create),
        _ => by_status(response),
    }
}

fn read(response: &HttpResponse) -> Answer<Sent> {
    if let Some(limit) = rate_limit(response) {
        return Answer::Failed(limit);
    }
    match response.status {
        201 if !is_page(response) => Answer::Done(Sent),
        200..=299 => Answer::Failed(unavailable(response, !is_page(response))),
        401 if is_own(response) => Answer::Failed(Failure::LoginRefused(describe(response))),
        300..=399 | 403 | 404 if is_own(response) => answers::misconfigured(response),
        _ => by_status(response),
    }
}

/// Whether GitHub itself answered: errors link to its documentation, and every answer has a header of its own.
fn is_own(response: &HttpResponse) -> bool {
    let answer: Json = serde_json::from_slice(&response.body).unwrap_or_default();
    let documentation = answer["documentation_url"].as_str().unwrap_or_default();
    response.header("x-github-request-id").is_some() || documentation.starts_with("https://docs.github.com/")
}

/// The limit that a 403 or 429 speaks of; `None` where it speaks of none.
fn rate_limit(response: &HttpResponse) -> Option<Failure> {
    if !matches!(response.status, 403 | 429) {
        return None;
    }
    let why = describe(response);
    let throttled = |wait: Duration| Failure::Throttled { wait: Some(wait), why: why.clone(), shared: false };
    if let Some(wait) = response.retry_after() {
        return Some(throttled(wait));
    }
    let number = |name: &str| response.header(name).and_then(|value| value.trim().parse::<i64>().ok());
    if number("x-ratelimit-remaining") == Some(0)
        && let Some(until) = number("x-ratelimit-reset").and_then(|reset| Timestamp::from_second(reset).ok())
    {
        return Some(Failure::Quota { until, why });
    }
    let text = response.text().to_lowercase();
    let is_limit = ["rate limit", "abuse detection"].iter().any(|words| text.contains(words));
    (is_limit || response.status == 429).then(|| throttled(UNNAMED_WAIT))
}

#[cfg(test)]
mod tests;

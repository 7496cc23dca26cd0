//! Pipelines.

use std::collections::HashSet;

use serde::Deserialize;

use super::frame::{Body, Frame};
use super::read::{lenient, number, number_or_none, object};
use super::{Commit, Decoded, Payload, Project, RefType, SharedStr, Trigger, User};

/// A pipeline changed its status.
#[derive(Clone, Debug, Default)]
pub struct Pipeline {
    pub id: i64,
    pub name: Option<SharedStr>,
    /// The branch or tag, without `refs/…/`; the hidden ref with it.
    pub ref_name: SharedStr,
    pub ref_type: RefType,
    /// Whether the branch is one of the fork that a merge request comes from. A branch of the project may have the same
    /// name.
    pub is_of_fork: bool,
    pub sha: SharedStr,
    /// `success`, `failed`, `running` …
    pub status: SharedStr,
    /// The status as GitLab shows it to people: `passed`, `passed with warnings`, `failed`.
    pub detailed_status: SharedStr,
    /// How this status compares with the ref's previous one: `broken`, `fixed`, `still_failing` …; often absent.
    pub ref_status_name: Option<SharedStr>,
    /// Whether the ref is protected in the forge; `None` where its release omits it.
    pub protected_ref: Option<bool>,
    /// What started it: `push`, `schedule`, `parent_pipeline` …; older releases omit it.
    pub source: SharedStr,
    /// In seconds.
    pub duration: Option<f64>,
    pub finished_at: Option<SharedStr>,
    /// The error in the CI configuration that kept GitLab from starting it.
    pub yaml_errors: Option<SharedStr>,
    url: Option<SharedStr>,
    pub user: Option<User>,
    pub commit: Option<Commit>,
    pub merge_request: Option<PipelineMergeRequest>,
    pub builds: Vec<Build>,
    /// The pipeline that started this one, where another one did.
    pub upstream: Option<Upstream>,
    /// The build service that ran it, where it is not the forge's own.
    pub external: Option<ExternalBuild>,
}

/// A build of another service than the forge. Forgebell itself makes such events: see `pipeline::status_poller`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ExternalBuild {
    /// The integration that triggered it.
    #[serde(deserialize_with = "lenient")]
    pub integration: SharedStr,
    /// The service's name for people.
    #[serde(deserialize_with = "lenient")]
    pub service: SharedStr,
}

impl Pipeline {
    /// The pipeline's page.
    pub fn url(&self, project_url: &str) -> String {
        match &self.url {
            Some(url) if !url.is_empty() => url.to_string(),
            _ => format!("{project_url}/-/pipelines/{}", self.id),
        }
    }

    /// The page that the event names.
    pub fn own_url(&self) -> Option<&str> {
        self.url.as_deref().filter(|url| !url.is_empty())
    }

    /// The merge request that it ran for, where it ran on no branch or tag of the project.
    pub fn merge_request_in_place_of_ref(&self) -> Option<i64> {
        let is_on_own_ref = self.ref_type != RefType::Hidden && !self.is_of_fork;
        self.merge_request_iid().filter(|_| !is_on_own_ref)
    }

    /// The ref as people know it. They know the hidden ref of a merge request by the merge request's number.
    pub fn known_ref(&self) -> Option<&str> {
        let is_numbered = self.ref_type == RefType::Hidden && self.merge_request_iid().is_some();
        Some(self.ref_name.as_str()).filter(|name| !name.is_empty() && !is_numbered)
    }

    /// The number of the merge request that it ran for: the hidden ref has it where the payload does not.
    pub fn merge_request_iid(&self) -> Option<i64> {
        let in_payload = self.merge_request.as_ref().map(|request| request.iid);
        let in_ref = || self.ref_name.strip_prefix("refs/merge-requests/")?.split('/').next()?.parse().ok();
        in_payload.filter(|iid| *iid > 0).or_else(in_ref)
    }

    /// Who or what started it, in words: `Ada Byron (ada)`, `a schedule of Ada Byron (ada)`, `API`; empty where it is not
    /// known. GitLab names the owner of a schedule or trigger as the user.
    pub fn started_by(&self) -> String {
        let user = self.user.as_ref().map(User::display).unwrap_or_default();
        let what = match (self.source.as_str(), user.as_str()) {
            ("schedule", _) => "a schedule",
            ("trigger", user) if !user.is_empty() => "a trigger",
            ("security_orchestration_policy" | "pipeline_execution_policy_schedule", _) => {
                "a security policy"
            }
            // Old payloads do not name it. GitLab's own messages then say `API`.
            ("" | "api" | "trigger", "") => return "API".to_owned(),
            (_, _) => return user,
        };
        if user.is_empty() { what.to_owned() } else { format!("{what} of {user}") }
    }

    /// Whether the user that the payload names started it in person.
    pub fn is_started_by_its_user(&self) -> bool {
        self.user.as_ref().is_some_and(|user| user.display() == self.started_by())
    }

    /// Whether another pipeline of the same project started it as its child.
    pub fn is_child(&self) -> bool {
        self.source == "parent_pipeline"
    }

    pub fn passed_with_warnings(&self) -> bool {
        self.status == "success" && self.detailed_status == "passed with warnings"
    }

    /// The failed jobs that count against the pipeline, without those whose later run with the same name succeeded.
    /// Each name is listed once, the last to fail first.
    pub fn failed_builds(&self) -> Vec<&Build> {
        self.failed(false)
    }

    /// The failed jobs that were allowed to fail, listed like [`Self::failed_builds`]. If an old payload lacks this
    /// information, the failed jobs of a passed pipeline count as allowed to fail.
    pub fn allowed_failures(&self) -> Vec<&Build> {
        self.failed(true)
    }

    fn failed(&self, allowed: bool) -> Vec<&Build> {
        let succeeded = self.builds.iter().filter(|build| build.status == "success");
        // The names that are not to be listed, or not again.
        let mut seen: HashSet<&str> = succeeded.map(|build| build.name.as_str()).collect();
        let is_allowed = |build: &Build| build.allow_failure.unwrap_or(self.status == "success");
        let mut failed: Vec<&Build> = Vec::new();
        for build in
            self.builds.iter().filter(|build| build.status == "failed" && is_allowed(build) == allowed)
        {
            if seen.insert(&build.name) {
                failed.push(build);
            }
        }
        failed.reverse();
        failed
    }
}

/// A job within a pipeline's payload.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Build {
    #[serde(deserialize_with = "number")]
    pub id: i64,
    #[serde(deserialize_with = "lenient")]
    pub stage: SharedStr,
    #[serde(deserialize_with = "lenient")]
    pub name: SharedStr,
    #[serde(deserialize_with = "lenient")]
    pub status: SharedStr,
    /// Absent in old payloads.
    pub allow_failure: Option<bool>,
}

/// The pipeline that started another one: its parent in the same project, or one of another project.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Upstream {
    #[serde(rename = "pipeline_id", deserialize_with = "number")]
    pub id: i64,
    #[serde(deserialize_with = "lenient")]
    pub project: Project,
}

impl Upstream {
    /// `#76`, and in another project than this one `acme/parent #76`.
    pub fn label(&self, project_url: &str) -> String {
        let path = &self.project.path_with_namespace;
        let is_here = [project_url, ""].contains(&self.project.web_url.trim_end_matches('/'));
        if is_here || path.is_empty() { format!("#{}", self.id) } else { format!("{path} #{}", self.id) }
    }

    /// Its page; empty where no address is known. `project_url` is that of the project whose pipeline it started.
    pub fn url(&self, project_url: &str) -> String {
        let own_url = self.project.web_url.trim_end_matches('/');
        match [own_url, project_url].into_iter().find(|url| !url.is_empty()) {
            Some(url) => format!("{url}/-/pipelines/{}", self.id),
            None => String::new(),
        }
    }
}

/// The merge request that a pipeline ran for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PipelineMergeRequest {
    #[serde(deserialize_with = "number")]
    pub iid: i64,
    #[serde(deserialize_with = "lenient")]
    pub title: SharedStr,
    #[serde(deserialize_with = "lenient")]
    pub url: SharedStr,
    /// 0 where it is not known.
    #[serde(deserialize_with = "number")]
    source_project_id: i64,
    /// 0 where it is not known.
    #[serde(deserialize_with = "number")]
    target_project_id: i64,
}

impl PipelineMergeRequest {
    /// Whether its branch belongs to another project than this one, whose pipeline it is. A fork may run the pipeline
    /// of its own branch too.
    fn comes_from_fork_of(&self, project: i64) -> bool {
        let (source, target) = (self.source_project_id, self.target_project_id);
        // Where the project is not known, the pipeline may be the fork's own.
        source > 0 && target > 0 && source != target && project > 0 && source != project
    }
}

#[derive(Deserialize)]
pub(super) struct Raw {
    #[serde(default)]
    user: Option<User>,
    #[serde(deserialize_with = "object")]
    object_attributes: Attributes,
    #[serde(default)]
    commit: Option<Commit>,
    #[serde(default)]
    merge_request: Option<PipelineMergeRequest>,
    #[serde(default, deserialize_with = "lenient")]
    builds: Vec<Build>,
    #[serde(default)]
    source_pipeline: Option<Upstream>,
    #[serde(default, rename = "forgebell_build", deserialize_with = "lenient")]
    external: Option<ExternalBuild>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Attributes {
    #[serde(deserialize_with = "number")]
    id: i64,
    name: Option<SharedStr>,
    #[serde(rename = "ref", deserialize_with = "lenient")]
    ref_name: SharedStr,
    #[serde(deserialize_with = "lenient")]
    tag: bool,
    #[serde(deserialize_with = "lenient")]
    sha: SharedStr,
    #[serde(deserialize_with = "lenient")]
    status: SharedStr,
    #[serde(deserialize_with = "lenient")]
    detailed_status: SharedStr,
    ref_status_name: Option<SharedStr>,
    protected_ref: Option<bool>,
    #[serde(deserialize_with = "lenient")]
    source: SharedStr,
    #[serde(deserialize_with = "number_or_none")]
    duration: Option<f64>,
    finished_at: Option<SharedStr>,
    yaml_errors: Option<SharedStr>,
    url: Option<SharedStr>,
}

impl Body for Raw {
    fn decoded(self, frame: &Frame) -> Result<Decoded, String> {
        let attributes = self.object_attributes;
        let ref_type = if attributes.tag { RefType::Tag } else { RefType::of(&attributes.ref_name) };
        let project = frame.project.as_ref().map(|project| project.id).filter(|id| *id > 0);
        let project = project.or(frame.project_id).unwrap_or_default();
        let comes_from_fork = |request: &PipelineMergeRequest| {
            ref_type == RefType::Branch && request.comes_from_fork_of(project)
        };
        let started_by_pipeline = matches!(attributes.source.as_str(), "parent_pipeline" | "pipeline");
        let pipeline = Pipeline {
            id: attributes.id,
            name: attributes.name.filter(|name| !name.is_empty()),
            ref_name: super::push::short_ref(&attributes.ref_name).into(),
            ref_type,
            is_of_fork: self.merge_request.as_ref().is_some_and(comes_from_fork),
            sha: attributes.sha,
            status: attributes.status,
            detailed_status: attributes.detailed_status,
            ref_status_name: attributes.ref_status_name,
            protected_ref: attributes.protected_ref,
            source: attributes.source,
            duration: attributes.duration,
            finished_at: attributes.finished_at,
            yaml_errors: attributes.yaml_errors.filter(|text| !text.trim().is_empty()),
            url: attributes.url,
            user: self.user,
            commit: self.commit,
            merge_request: self.merge_request,
            builds: self.builds,
            upstream: self.source_pipeline.filter(|upstream| upstream.id > 0 && started_by_pipeline),
            external: self.external.filter(|external| !external.service.is_empty()),
        };
        let subject = match &pipeline.external {
            Some(external) => format!("build:{}:{}", external.integration, pipeline.ref_name),
            None => format!("pipeline:{}", pipeline.id),
        };
        Ok(Decoded {
            trigger: Some(Trigger::Pipeline),
            subject,
            payload: Payload::Pipeline(Box::new(pipeline)),
        })
    }
}

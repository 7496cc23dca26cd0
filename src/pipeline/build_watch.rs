//! Finds the build that an event triggers. [`super::status_poller`] then asks for it. Pure.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::adapters;
use crate::event::{Event, Payload, Project, RefChange, RefType};
use crate::integration::Integration;
use crate::pipeline::after;
use crate::store::{NewWatch, Watch, WatchKind};

/// A commit's hash has at most this many digits (SHA-256).
const LONGEST_SHA: usize = 64;
/// Longer names of branches are a mistake of the sender. Git itself allows about 250 bytes for each part of a name.
const LONGEST_REF: usize = 1024;

/// The watch for the build that an event triggers; `None` where it triggers none, or where the service is not asked for
/// builds. `pause` lies between the trigger and the first question.
pub(super) fn watch_of(
    integration: &Integration,
    event: &Event,
    pause: Duration,
    (triggered_at, now): (Timestamp, Timestamp),
) -> Option<NewWatch> {
    adapters::find(integration.slug)?.status.as_ref()?;
    let Built { sha, ref_name, of_fork } = built(event)?;
    let project = event.project.as_ref()?;
    let is_readable = (1..=LONGEST_SHA).contains(&sha.len()) && sha.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_readable || ref_name.len() > LONGEST_REF {
        return None;
    }
    Some(NewWatch {
        kind: WatchKind::Build,
        integration: integration.id.clone(),
        project_id: project.id,
        project: project.path_with_namespace.to_string(),
        sha: sha.to_ascii_lowercase(),
        ref_name: ref_name.into_owned(),
        project_json: project_json(event, project, of_fork),
        since: triggered_at.min(now),
        due: after(now, pause),
    })
}

/// The commit and ref that are built.
struct Built<'a> {
    sha: &'a str,
    ref_name: Cow<'a, str>,
    /// The fork's branch, where a fork's commit is built.
    of_fork: Option<&'a str>,
}

fn built(event: &Event) -> Option<Built<'_>> {
    match &event.payload {
        Payload::Push(push) if push.skips_builds || push.change() == RefChange::Removed => None,
        Payload::Push(push) => {
            let ref_name = match push.ref_type() {
                RefType::Branch => push.short_ref(),
                // A branch may have the same name.
                RefType::Tag | RefType::Hidden => &push.full_ref,
            };
            Some(Built { sha: &push.after, ref_name: ref_name.into(), of_fork: None })
        }
        Payload::MergeRequest(request) => {
            let sha = &request.last_commit.as_ref()?.id;
            let branch = request.source_branch.as_str();
            // A fork's branch may have the same name as a branch of the project. The project has the fork's commits on
            // this ref.
            let hidden = || format!("refs/merge-requests/{}/head", request.iid).into();
            let is_of_fork =
                event.project.as_ref().is_some_and(|project| request.is_from_fork_of(project.id));
            Some(if is_of_fork {
                Built { sha, ref_name: hidden(), of_fork: Some(branch) }
            } else {
                Built { sha, ref_name: branch.into(), of_fork: None }
            })
        }
        _ => None,
    }
}

/// The key of the fork's branch in [`NewWatch::project_json`].
const BRANCH_OF_FORK: &str = "forgebell_branch_of_fork";

/// The branch or tag by which a service knows the build. Services know a fork's build by the branch in the fork.
pub(super) fn built_branch(watch: &Watch) -> Cow<'_, str> {
    let is_hidden = watch.ref_name.starts_with("refs/merge-requests/");
    let project = is_hidden.then(|| serde_json::from_slice::<Value>(&watch.project_json).ok()).flatten();
    let branch = project.and_then(|project| Some(project.get(BRANCH_OF_FORK)?.as_str()?.to_owned()));
    branch.map_or(Cow::Borrowed(watch.short_ref()), Cow::Owned)
}

/// The `project` object of a watch as it was in the event.
pub(super) fn project_of(watch: &Watch) -> Option<Value> {
    let mut project: Value = serde_json::from_slice(&watch.project_json).ok()?;
    if let Some(project) = project.as_object_mut() {
        project.remove(BRANCH_OF_FORK);
    }
    Some(project)
}

/// The event's `project` object, or one made from the known fields of the project, with the branch of a fork added.
fn project_json(event: &Event, project: &Project, of_fork: Option<&str>) -> Bytes {
    let whole: Option<Value> = serde_json::from_slice(&event.raw).ok();
    let own = whole.and_then(|mut whole| whole.get_mut("project").map(Value::take));
    let own = own.filter(|own| own.get("id").is_some());
    let made = || {
        json!({
            "id": project.id,
            "name": project.name,
            "web_url": project.web_url,
            "path_with_namespace": project.path_with_namespace,
            "default_branch": project.default_branch,
        })
    };
    let mut json = own.unwrap_or_else(made);
    if let Some(branch) = of_fork {
        json[BRANCH_OF_FORK] = branch.into();
    }
    json.to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventId, Trigger, sample};
    use crate::integration::Family;

    fn watch_of_merge_request(source_project_id: i64) -> Watch {
        let mut json: Value = serde_json::from_slice(&sample(Trigger::MergeRequest).raw).expect("JSON");
        json["project"]["id"] = json!(42);
        json["object_attributes"]["iid"] = json!(5);
        json["object_attributes"]["source_branch"] = json!("main");
        json["object_attributes"]["source_project_id"] = json!(source_project_id);
        json["object_attributes"]["last_commit"]["id"] = json!("CAFE");
        watch_of_event(&json)
    }

    fn watch_of_push(full_ref: &str) -> Watch {
        let mut json: Value = serde_json::from_slice(&sample(Trigger::Push).raw).expect("JSON");
        json["ref"] = json!(full_ref);
        watch_of_event(&json)
    }

    fn watch_of_event(json: &Value) -> Watch {
        let id = EventId::new("1").expect("an id");
        let event = Event::decode(id, Timestamp::UNIX_EPOCH, json.to_string().into()).expect("an event");
        let integration = Integration { slug: "drone-ci", ..Integration::example(Family::Hook) };
        let new =
            watch_of(&integration, &event, Duration::ZERO, (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH))
                .expect("a build");
        Watch {
            number: 1,
            kind: new.kind,
            integration: new.integration,
            project_id: new.project_id,
            project: new.project,
            sha: new.sha,
            ref_name: new.ref_name,
            project_json: new.project_json,
            since: new.since,
            polls: 0,
            seen: None,
            note: String::new(),
            checked_at: None,
            ended_at: None,
        }
    }

    #[test]
    fn a_merge_request_of_the_projects_own_is_built_on_its_branch() {
        let watch = watch_of_merge_request(42);
        assert_eq!((watch.ref_name.as_str(), watch.sha.as_str()), ("main", "cafe"));
        assert_eq!(built_branch(&watch), "main");
    }

    #[test]
    fn a_tag_is_not_the_branch_of_the_same_name_and_the_service_knows_it_by_its_name() {
        let (tag, branch) = (watch_of_push("refs/tags/v1"), watch_of_push("refs/heads/v1"));
        assert_eq!((tag.ref_name.as_str(), branch.ref_name.as_str()), ("refs/tags/v1", "v1"));
        assert_eq!((&*built_branch(&tag), &*built_branch(&branch)), ("v1", "v1"));
    }

    #[test]
    fn a_forks_branch_is_none_of_the_projects_and_the_service_is_asked_by_it() {
        let watch = watch_of_merge_request(43);
        assert_eq!(watch.ref_name, "refs/merge-requests/5/head");
        assert_eq!(built_branch(&watch), "main");
        let project = project_of(&watch).expect("a project");
        assert_eq!((project["id"].as_i64(), project.get(BRANCH_OF_FORK)), (Some(42), None));
    }
}

//! One realistic event per trigger, for test deliveries and for the adapters' contract tests.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{Event, EventId, Project, Trigger};

/// The time at which every sample happened.
const OCCURRED_AT: Timestamp = Timestamp::constant(1_768_469_400, 0);

/// The sample event for one trigger. It is the same at every call: id `sample-<trigger>`, a fixed time, and a
/// fictional project `acme/rocket` (id 42). It passes GitLab's default filters.
pub fn sample(trigger: Trigger) -> Event {
    let id = EventId::new(&format!("sample-{trigger}")).expect("a trigger's name is printable and short");
    Event::decode(id, OCCURRED_AT, Bytes::from_static(trigger.sample_json().as_bytes()))
        .expect("a test decodes every sample")
}

/// The forge of the samples, and its project's path, number and branch.
const FORGE: &str = "https://gitlab.example.com";
const PATH: &str = "acme/rocket";
const NUMBER: i64 = 42;
const BRANCH: &str = "main";

/// The sample event for one trigger, as if it had happened in this project: with its name, path, number and default branch,
/// and with links to its pages. Unknown facts of the project stay as in [`sample`]. Pictures are left out.
pub fn sample_in(trigger: Trigger, project: &Project) -> Event {
    let known = sample(trigger);
    let Ok(mut json) = serde_json::from_slice::<Value>(&known.raw) else { return known };
    Placement::of(project).put(&mut json);
    // If the path is not valid in an event, the sample stays unchanged.
    Event::decode(known.id.clone(), OCCURRED_AT, json.to_string().into()).unwrap_or(known)
}

/// The values that a sample is changed to.
struct Placement<'a> {
    project: &'a Project,
    path: &'a str,
    /// The forge's address, above the project's.
    forge: String,
    branch: &'a str,
}

impl<'a> Placement<'a> {
    fn of(project: &'a Project) -> Self {
        let path = match project.path_with_namespace.as_str() {
            "" => PATH,
            path => path,
        };
        let url = project.web_url.trim_end_matches('/');
        let forge = url.strip_suffix(path).map(|forge| forge.trim_end_matches('/'));
        let forge = forge.filter(|forge| !forge.is_empty()).unwrap_or(FORGE).to_owned();
        Self { project, path, forge, branch: project.default_branch.as_deref().unwrap_or(BRANCH) }
    }

    fn put(&self, json: &mut Value) {
        match json {
            Value::Object(parts) => {
                self.put_project(parts);
                for (name, part) in parts {
                    match part {
                        Value::String(_) if matches!(name.as_str(), "avatar_url" | "user_avatar") => {
                            *part = Value::Null;
                        }
                        Value::Number(number)
                            if name.ends_with("project_id") && number.as_i64() == Some(NUMBER) =>
                        {
                            *part = self.number();
                        }
                        part => self.put(part),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.put(item)),
            Value::String(text) => *text = self.text(text),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// An object that describes the project.
    fn put_project(&self, parts: &mut Map<String, Value>) {
        if parts.get("path_with_namespace").and_then(Value::as_str) != Some(PATH) {
            return;
        }
        let own = |name: &str| Value::from(name.rsplit('/').next().unwrap_or(name));
        let (above, name) = self.path.rsplit_once('/').unwrap_or(("", self.path));
        let named = |known: &str, path: &str| if known.is_empty() { own(path) } else { known.into() };
        parts.insert("name".to_owned(), named(&self.project.name, name));
        parts.insert("namespace".to_owned(), named(&self.project.namespace, above));
        if parts.contains_key("id") {
            parts.insert("id".to_owned(), self.number());
        }
    }

    fn number(&self) -> Value {
        if self.project.id > 0 { self.project.id.into() } else { Value::Null }
    }

    fn text(&self, text: &str) -> String {
        match text {
            BRANCH => self.branch.to_owned(),
            "refs/heads/main" => format!("refs/heads/{}", self.branch),
            text => text.replace(FORGE, &self.forge).replace(PATH, self.path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{OCCURRED_AT, Project, sample, sample_in};
    use crate::event::{Trigger, User};

    #[test]
    fn a_sample_in_a_project_has_its_names_and_links_and_none_of_the_samples_project() {
        let project = Project {
            id: 7,
            name: "Bell".into(),
            namespace: "Tower".into(),
            path_with_namespace: "tower/sub/bell".into(),
            web_url: "https://forge.example/tower/sub/bell".into(),
            default_branch: Some("trunk".into()),
            ..Project::default()
        };
        for trigger in Trigger::ALL {
            let event = sample_in(trigger, &project);
            assert_eq!(event.trigger, Some(trigger));
            let raw = String::from_utf8(event.raw.to_vec()).unwrap();
            assert!(!raw.contains("acme/rocket") && !raw.contains("gitlab.example.com/"), "{trigger}: {raw}");
            if matches!(trigger, Trigger::Subgroup | Trigger::Project) {
                continue;
            }
            let own = event.project.expect("every sample names the project");
            let names = (own.id, own.path_with_namespace, own.web_url);
            let expected = (7, project.path_with_namespace.clone(), project.web_url.clone());
            assert_eq!(names, expected, "{trigger}");
            // A vulnerability's project is known by its address alone.
            assert!(own.name == "Bell" || trigger == Trigger::Vulnerability, "{trigger}: {}", own.name);
        }
        let push = sample_in(Trigger::Push, &project);
        assert_eq!(push.subject, "ref:refs/heads/trunk");
    }

    #[test]
    fn a_project_of_which_only_the_path_is_known_is_named_by_it() {
        let project = Project { path_with_namespace: "tower/bell".into(), ..Project::default() };
        let event = sample_in(Trigger::Push, &project);
        let own = event.project.expect("a project");
        assert_eq!((own.id, own.full_name().as_str()), (0, "tower / bell"));
        assert_eq!(own.web_url, "https://gitlab.example.com/tower/bell");
    }

    #[test]
    fn every_trigger_has_a_sample_of_its_own_and_those_of_projects_have_the_same() {
        for trigger in Trigger::ALL {
            let event = sample(trigger);
            assert_eq!(event.trigger, Some(trigger));
            assert_eq!(event.id.as_str(), format!("sample-{}", trigger.name()));
            assert_eq!(event.occurred_at, OCCURRED_AT);
            if matches!(trigger, Trigger::Subgroup | Trigger::Project) {
                continue;
            }
            let project = event.project.expect("every sample names the project");
            assert_eq!((project.id, project.path_with_namespace.as_str()), (42, "acme/rocket"), "{trigger}");
            assert_eq!(project.web_url, "https://gitlab.example.com/acme/rocket", "{trigger}");
        }
    }

    #[test]
    fn samples_happened_at_a_fixed_time() {
        assert_eq!(OCCURRED_AT.to_string(), "2026-01-15T09:30:00Z");
    }

    #[test]
    fn samples_name_people_by_name_and_username() {
        let display = |trigger| sample(trigger).user().map(User::display);
        assert_eq!(display(Trigger::Push).as_deref(), Some("Ada Lovelace (ada)"));
        assert_eq!(display(Trigger::MergeRequest).as_deref(), Some("Grace Hopper (grace)"));
    }

    #[test]
    fn only_the_kinds_of_groups_name_a_group() {
        for trigger in Trigger::ALL {
            let group = sample(trigger).group.map(|group| group.path);
            let expected = match trigger {
                Trigger::GroupMention | Trigger::GroupConfidentialMention => Some("acme/launch-crew"),
                Trigger::Subgroup | Trigger::Project => Some("acme"),
                _ => None,
            };
            assert_eq!(group.as_deref(), expected, "{trigger}");
        }
    }
}

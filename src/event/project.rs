//! The people, projects and groups that payloads name.

use serde::Deserialize;

use super::SharedStr;
use super::read::{lenient, number, number_or_none};

/// The project that an event happened in, as the payload describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Project {
    #[serde(deserialize_with = "number")]
    pub id: i64,
    /// The short display name.
    #[serde(deserialize_with = "lenient")]
    pub name: SharedStr,
    /// The display name of the group or user that the project belongs to.
    #[serde(deserialize_with = "lenient")]
    pub namespace: SharedStr,
    /// The full path, `group/subgroup/project`, as people and settings write it.
    #[serde(deserialize_with = "lenient")]
    pub path_with_namespace: SharedStr,
    /// Whether the path is only read from the address of a page. If the forge itself lies below a path, it then begins
    /// with the forge's: `gitlab/group/project`.
    #[serde(skip)]
    pub has_guessed_path: bool,
    #[serde(deserialize_with = "lenient")]
    pub web_url: SharedStr,
    #[serde(deserialize_with = "lenient")]
    pub avatar_url: Option<SharedStr>,
    #[serde(deserialize_with = "lenient")]
    pub default_branch: Option<SharedStr>,
    /// GitLab's 0 private, 10 internal, 20 public; newer payloads may hold the name instead.
    #[serde(deserialize_with = "lenient")]
    pub visibility_level: Option<serde_json::Value>,
}

impl Project {
    /// A project with only a known id.
    pub fn only_id(id: i64) -> Self {
        Self { id, ..Self::default() }
    }

    /// Takes the id from another place, for old payloads whose `project` object has none.
    pub(super) fn with_id(self, id: i64) -> Self {
        if self.id == 0 { Self { id, ..self } } else { self }
    }

    /// The name for people: `Group / Project`. The payload has the group's display name only for projects directly
    /// in a top-level group; nested projects are shown by their path.
    pub fn full_name(&self) -> String {
        let nested = self.path_with_namespace.matches('/').count() > 1;
        if nested || self.namespace.is_empty() || self.name.is_empty() {
            let names = [&self.path_with_namespace, &self.name];
            return names.into_iter().find(|n| !n.is_empty()).map(String::from).unwrap_or_default();
        }
        format!("{} / {}", self.namespace, self.name)
    }
}

/// Where payloads hold the project's id: the object (a JSON pointer), and the field in it.
pub(super) const ID_PLACES: [(&str, &str); 5] = [
    ("", "project_id"),
    ("/project", "id"),
    ("/object_attributes", "project_id"),
    ("/object_attributes", "target_project_id"),
    ("/object_attributes/target", "id"),
];

/// The places where releases before GitLab 10 describe the project, completely or partly.
#[derive(Default, Deserialize)]
#[serde(default)]
struct OldPlaces {
    #[serde(deserialize_with = "lenient")]
    object_attributes: OldAttributes,
    repository: Option<OldRepository>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OldAttributes {
    /// A merge request belongs to the project that it is to be merged into.
    target: Option<Project>,
    #[serde(deserialize_with = "number")]
    target_project_id: i64,
    #[serde(deserialize_with = "number")]
    project_id: i64,
    /// The page of the issue or merge request, which is below the project's.
    #[serde(deserialize_with = "lenient")]
    url: SharedStr,
}

impl OldAttributes {
    /// The project's page, read from the object's: `…/group/project/issues/23`. It is used only for links, and never
    /// for a decision.
    fn project_url(&self) -> &str {
        let pages = ["/issues/", "/merge_requests/"];
        let above = pages.into_iter().find_map(|page| Some(self.url.rsplit_once(page)?.0));
        above.map_or("", |url| url.strip_suffix("/-").unwrap_or(url))
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OldRepository {
    #[serde(deserialize_with = "lenient")]
    name: SharedStr,
    #[serde(deserialize_with = "lenient")]
    homepage: SharedStr,
}

/// The project of a payload that has no `project` object, or no id in it (`known`), and perhaps an id beside it (0
/// where not). Values in these places that can't be read are ignored, because the payload's own reader checks the
/// payload.
pub(super) fn in_old_places(known: Option<Project>, id: i64, json: &str) -> Option<Project> {
    let places: OldPlaces = serde_json::from_str(json).unwrap_or_default();
    let attributes = places.object_attributes;
    let ids = [id, attributes.target_project_id, attributes.project_id];
    let id = ids.into_iter().find(|id| *id != 0).unwrap_or_default();
    let above = SharedStr::from(attributes.project_url());
    if let Some(project) = known.or(attributes.target) {
        return Some(project.with_id(id));
    }
    let repository = places.repository.unwrap_or_default();
    let web_url = if repository.homepage.is_empty() { above } else { repository.homepage };
    let of_id = Project { name: repository.name, web_url, ..Project::only_id(id) };
    (id != 0).then_some(of_id)
}

/// A group whose own integrations are notified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRef {
    pub path: SharedStr,
    pub url: SharedStr,
}

/// A person (or a bot).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct User {
    #[serde(deserialize_with = "number_or_none")]
    pub id: Option<i64>,
    #[serde(deserialize_with = "lenient")]
    pub name: SharedStr,
    #[serde(deserialize_with = "lenient")]
    pub username: SharedStr,
    #[serde(deserialize_with = "lenient")]
    pub avatar_url: Option<SharedStr>,
    #[serde(deserialize_with = "lenient")]
    pub email: Option<SharedStr>,
}

impl User {
    /// `Full Name (username)`, or only the one that is known; empty where neither is known.
    pub fn display(&self) -> String {
        match (self.name.trim(), self.username.trim()) {
            ("", username) => username.to_owned(),
            (name, "") => name.to_owned(),
            (name, username) => format!("{name} ({username})"),
        }
    }
}

/// A label on an issue or merge request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Label {
    #[serde(deserialize_with = "lenient")]
    pub title: SharedStr,
    #[serde(deserialize_with = "lenient")]
    pub color: SharedStr,
}

//! `/projects` and `/groups/:id`: what is known of the forge's projects and groups, and corrections of it.
//!
//! A path decides which groups' defaults a project follows, and what a group's token reaches. So paths are for tokens of
//! the instance to set; the other fields, for tokens that maintain the project.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value as Json, json};

use super::authorized::{Authorized, Read, Upsert};
use super::extract::ScopeRequest;
use super::object::moment;
use super::params::{Invalid, Params};
use super::response::{self, Page};
use super::scope::{Unknown, find, group_scope, reaches};
use super::{ApiError, address};
use crate::api::error::Missing;
use crate::catalog::{ResolvedScope, Snapshot};
use crate::store::registry::{
    Correction, ProjectCorrection, ScopeKey, StoredGroup, StoredProject, Visibility,
};

/// What paths are called, here as in the objects.
const PATH: &str = "path_with_namespace";
const GROUP_PATH: &str = "full_path";

/// `GET /projects`: those that the token reaches.
pub(super) async fn list(mut authorized: Authorized<Read>) -> Result<Response, ApiError> {
    let page = Page::read(&authorized.params().await?)?;
    let reach = authorized.reach();
    let (items, numbers): (Vec<Json>, Vec<i64>) = authorized.state.catalog.read(|snapshot| {
        let all = snapshot.directory().projects().into_iter().rev();
        let below = all.filter(|project| page.before.is_none_or(|before| project.id < before));
        let reached = below.filter(|project| {
            let scope = ResolvedScope::Project { id: Some(project.id), path: project.path.clone() };
            reaches(snapshot.directory(), reach, &scope)
        });
        reached.take(page.limit).map(|project| (project_json(snapshot, project), project.id)).unzip()
    });
    Ok(page.answer(&authorized.head.uri, &items, numbers.into_iter()))
}

/// `GET /projects/:id`
pub(super) async fn show(
    ScopeRequest { authorized, scope }: ScopeRequest<Read>,
) -> Result<Response, ApiError> {
    let json = authorized.state.catalog.read(|snapshot| known_project(snapshot, &scope));
    Ok(response::json(StatusCode::OK, &json.ok_or(ApiError::NotFound(Missing::Project))?))
}

/// `PUT /projects/:id`
pub(super) async fn put(
    ScopeRequest { mut authorized, scope }: ScopeRequest<Upsert>,
) -> Result<Response, ApiError> {
    let params = authorized.params().await?;
    if params.has(PATH) {
        authorized.require_instance()?;
    }
    let ResolvedScope::Project { id: Some(id), .. } = scope else {
        return Err(ApiError::Unprocessable("the project's number is not known yet".to_owned()));
    };
    let catalog = &authorized.state.catalog;
    catalog.correct(correction(&params, id)?, &authorized.actor(), authorized.now).await?;
    let json = catalog.read(|snapshot| known_project(snapshot, &scope));
    Ok(response::json(StatusCode::OK, &json.ok_or(ApiError::NotFound(Missing::Project))?))
}

/// `GET /groups/:id`
pub(super) async fn show_group(ScopeRequest { authorized, scope }: ScopeRequest<Read>) -> Response {
    let json = authorized.state.catalog.read(|snapshot| {
        let row = scope.path().and_then(|path| snapshot.directory().group_by_path(path));
        // A file may name a group of which nothing else is known.
        let bare = || json!({ "id": null, "full_path": scope.path(), "created_at": null });
        row.map_or_else(bare, group_json)
    });
    response::json(StatusCode::OK, &json)
}

/// `PUT /groups/:id`. The group is looked up here: a request may give a number that no group has yet.
pub(super) async fn put_group(mut authorized: Authorized<Upsert>) -> Result<Response, ApiError> {
    let (id, reach) = (authorized.path.id(), authorized.reach());
    let (id_number, id_path) = (address::number(id), address::group_path(id));
    if id_number.is_none() && id_path.is_none() {
        return Err(ApiError::NotFound(Missing::Group));
    }
    let (scope, known) = authorized.state.catalog.read(|snapshot| {
        let scope = group_scope(snapshot.directory(), id);
        let scope = scope.and_then(|scope| find(snapshot, &scope, reach, Unknown::IsNew).ok());
        let path = scope.as_ref().and_then(ResolvedScope::path);
        let row = path.and_then(|path| snapshot.directory().group_by_path(path)).cloned();
        (scope, row)
    });
    if scope.is_none() && reach != ScopeKey::Instance {
        return Err(ApiError::NotFound(Missing::Group));
    }
    authorized.require_instance()?;
    let params = authorized.params().await?;
    let (number, path) = group_names(&params)?;
    let number = number.or_else(|| known.as_ref().and_then(|group| group.id));
    let (number, path) = match (id_number, path) {
        // An id that is not known yet must come with its path.
        (Some(id), Some(path)) => (Some(id), path),
        (Some(id), None) => {
            let known = known.and_then(|group| group.path);
            (Some(id), known.ok_or(ApiError::NotFound(Missing::Group))?)
        }
        (None, None) => (number, id_path.ok_or(ApiError::NotFound(Missing::Group))?),
        (None, Some(path)) if number.is_some() => (number, path),
        (None, Some(_)) => {
            let why = "a group is renamed by its number: tell that first";
            return Err(ApiError::Unprocessable(why.to_owned()));
        }
    };
    let catalog = &authorized.state.catalog;
    let group = catalog.put_group(number, &path, &authorized.actor(), authorized.now).await?;
    Ok(response::json(StatusCode::OK, &group_json(&group)))
}

/// What is said of a project: null takes back what was said before, and what is not sent stays.
fn correction(params: &Params, id: i64) -> Result<ProjectCorrection, ApiError> {
    let mut complaints = Vec::new();
    let mut said = ProjectCorrection::of(id);
    let mut invalid = |name: &str| complaints.push(format!("{name} is invalid"));
    match path_parameter(params, PATH, address::project_path) {
        Ok(path) => said.path = path,
        Err(Invalid) => invalid(PATH),
    }
    if params.has("default_branch") {
        match params.text("default_branch") {
            Ok(branch) => said.default_branch = is_or_not(branch.filter(|branch| !branch.trim().is_empty())),
            Err(Invalid) => invalid("default_branch"),
        }
    }
    if params.has("protected_branches") {
        match params.list("protected_branches") {
            Ok(branches) => said.protected_branches = is_or_not(branches),
            Err(Invalid) => invalid("protected_branches"),
        }
    }
    if params.has("visibility") {
        let word = |text: String| Visibility::ALL.into_iter().find(|visibility| visibility.name() == text);
        match params.text("visibility").map(|text| text.map(word)) {
            Ok(None) => said.visibility = Correction::TakenBack,
            Ok(Some(Some(visibility))) => said.visibility = Correction::Is(visibility),
            Ok(Some(None)) => complaints.push("visibility does not have a valid value".to_owned()),
            Err(Invalid) => invalid("visibility"),
        }
    }
    if complaints.is_empty() { Ok(said) } else { Err(ApiError::InvalidParams(complaints)) }
}

fn is_or_not<T>(sent: Option<T>) -> Correction<T> {
    sent.map_or(Correction::TakenBack, Correction::Is)
}

fn group_names(params: &Params) -> Result<(Option<i64>, Option<String>), ApiError> {
    let number = params.integer("number").and_then(|number| match number {
        Some(number) if number < 1 => Err(Invalid),
        number => Ok(number),
    });
    let path = path_parameter(params, GROUP_PATH, address::group_path);
    match (number, path) {
        (Ok(number), Ok(path)) => Ok((number, path)),
        (number, path) => {
            let number = number.is_err().then(|| "number is invalid".to_owned());
            let path = path.is_err().then(|| format!("{GROUP_PATH} is invalid"));
            Err(ApiError::InvalidParams(number.into_iter().chain(path).collect()))
        }
    }
}

/// A path that is one, and no number; blank says nothing.
fn path_parameter(
    params: &Params,
    name: &str,
    read: impl Fn(&str) -> Option<String>,
) -> Result<Option<String>, Invalid> {
    match params.text(name)?.filter(|path| !path.is_empty()) {
        None => Ok(None),
        Some(text) => read(&text).map(Some).ok_or(Invalid),
    }
}

/// A project of which there is a row; one that only a file or a token names is not known enough to be shown.
fn known_project(snapshot: &Snapshot, scope: &ResolvedScope) -> Option<Json> {
    let ResolvedScope::Project { id: Some(id), .. } = scope else { return None };
    snapshot.directory().project(*id).map(|project| project_json(snapshot, project))
}

/// What holds: what files say, else what people corrected, else what events told.
fn project_json(snapshot: &Snapshot, project: &StoredProject) -> Json {
    let told =
        snapshot.directory().told(Some(project.id), project.path.as_deref()).cloned().unwrap_or_default();
    let StoredProject { learned, corrected, .. } = project;
    let default_branch = told
        .default_branch
        .or_else(|| corrected.default_branch.clone())
        .or_else(|| learned.default_branch.clone());
    let protected_branches = told.protected_branches.or_else(|| corrected.protected_branches.clone());
    json!({
        "id": project.id,
        "path_with_namespace": project.path,
        "default_branch": default_branch,
        "visibility": corrected.visibility.or(learned.visibility).map(Visibility::name),
        "protected_branches": protected_branches,
        "created_at": moment(project.created_at),
        "updated_at": moment(project.updated_at),
    })
}

fn group_json(group: &StoredGroup) -> Json {
    json!({ "id": group.id, "full_path": group.path, "created_at": moment(group.created_at) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corrected(query: &str) -> Result<ProjectCorrection, ApiError> {
        correction(&Params::of_query(query).unwrap(), 42)
    }

    #[test]
    fn what_is_not_sent_stays_and_what_is_blank_is_taken_back() {
        let said = corrected("default_branch=trunk").unwrap();
        let default_branch = Correction::Is("trunk".to_owned());
        assert_eq!(said, ProjectCorrection { default_branch, ..ProjectCorrection::of(42) });
        let said = corrected("default_branch=&protected_branches=").unwrap();
        let (default_branch, protected_branches) = (Correction::TakenBack, Correction::Is(Vec::new()));
        let expected = ProjectCorrection { default_branch, protected_branches, ..ProjectCorrection::of(42) };
        assert_eq!(said, expected);
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let wrong = "path_with_namespace=acme&default_branch[x]=1&protected_branches[x]=1&visibility=secret";
        let complaints = [
            "path_with_namespace is invalid",
            "default_branch is invalid",
            "protected_branches is invalid",
            "visibility does not have a valid value",
        ];
        assert_eq!(corrected(wrong), Err(ApiError::InvalidParams(complaints.map(str::to_owned).into())));
        for path in ["42", "../x", "acme//x"] {
            assert!(corrected(&format!("{PATH}={path}")).is_err(), "{path}");
        }
        assert_eq!(
            corrected("path_with_namespace=acme%2Frocket").unwrap().path.as_deref(),
            Some("acme/rocket")
        );
    }

    #[test]
    fn a_group_is_told_by_number_and_path() {
        let names = |query: &str| group_names(&Params::of_query(query).unwrap());
        assert_eq!(names("number=7&full_path=acme"), Ok((Some(7), Some("acme".to_owned()))));
        assert_eq!(names(""), Ok((None, None)));
        let both = vec!["number is invalid".to_owned(), "full_path is invalid".to_owned()];
        assert_eq!(names("number=0&full_path=7"), Err(ApiError::InvalidParams(both)));
    }
}

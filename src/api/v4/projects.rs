//! `/projects` and `/groups/:id`: the known facts of the forge's projects and groups, and corrections of them.
//!
//! A path decides which groups' defaults a project follows and which tokens reach it. So only tokens of the instance may
//! set paths; a token that maintains the project may set the rest.

use axum::Json;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::authorized::{Authorized, Read, Upsert};
use super::extract::ScopeRequest;
use super::page::{Page, PageRequest};
use super::params::{Invalid, Params};
use super::scope::{Unknown, find, group_scope, reaches};
use super::{PROJECTS, Route, address};
use crate::api::error::responses::{Changes, NotFound, ReadsBody};
use crate::api::error::{ApiError, Missing};
use crate::api::resources::{Group, Project, nullable_visibilities};
use crate::catalog::{ResolvedScope, Snapshot};
use crate::store::registry::{Correction, ProjectCorrection, ScopeKey, StoredProject, Visibility};

/// The names of paths in parameters and objects.
const PATH: &str = "path_with_namespace";
const GROUP_PATH: &str = "full_path";

pub(super) fn routes() -> Vec<Route> {
    vec![routes!(list), routes!(show, put), routes!(show_group, put_group)]
}

/// List projects
///
/// A project is known from its first event on, or once something was set for it. One of which only the path is known is
/// not listed until its first event tells its number.
#[utoipa::path(
    get, path = "/projects", operation_id = "listProjects", tag = PROJECTS, params(PageRequest),
    responses(
        (
            status = 200, description = "The projects that the token reaches.", body = [Project],
            headers(("Link" = String, description = "The next page, if there is one."))
        ),
        Authorized<Read>
    )
)]
pub(super) async fn list(mut authorized: Authorized<Read>) -> Result<Page<Project>, ApiError> {
    let page = PageRequest::read(&authorized.params().await?)?;
    let reach = authorized.reach();
    let items: Vec<(i64, Project)> = authorized.state.catalog.read(|snapshot| {
        let all = snapshot.directory().projects().into_iter().rev();
        let numbered = all.filter(|project| project.number().is_some());
        let below = numbered.filter(|project| page.before.is_none_or(|before| project.id < before));
        let reached = below.filter(|project| {
            let scope = ResolvedScope::Project { id: Some(project.id), path: project.path.clone() };
            reaches(snapshot.directory(), reach, &scope)
        });
        reached.take(page.limit).map(|project| (project.id, object(snapshot, project))).collect()
    });
    Ok(page.of(&authorized.head.uri, items.into_iter()))
}

/// Show a project
#[utoipa::path(
    get, path = "/projects/{id}", operation_id = "getProject", tag = PROJECTS,
    responses((status = 200, description = "The project.", body = Project), ScopeRequest<Read>)
)]
pub(super) async fn show(
    ScopeRequest { authorized, scope }: ScopeRequest<Read>,
) -> Result<Json<Project>, ApiError> {
    present(&authorized, &scope)
}

/// What a `PUT` of a project takes.
#[derive(ToSchema)]
#[schema(as = ProjectParameters)]
#[expect(dead_code, reason = "it describes what correction() reads")]
struct ProjectParameters {
    /// Its full path. For tokens of the instance.
    path_with_namespace: Option<String>,
    default_branch: Option<String>,
    #[schema(schema_with = nullable_visibilities)]
    visibility: Option<String>,
    /// Names and wildcards (`*-stable`), as a list or as a text with commas.
    protected_branches: Option<Branches>,
}

/// A list of branches, or a text with commas.
#[derive(ToSchema)]
#[schema(as = Branches)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes what correction() reads")]
enum Branches {
    List(Vec<String>),
    Text(String),
}

/// Correct what is known of a project
///
/// What is set here takes precedence over what events say. Null removes the correction; a parameter that is not sent
/// stays as it is.
#[utoipa::path(
    put, path = "/projects/{id}", operation_id = "putProject", tag = PROJECTS, request_body = ProjectParameters,
    responses(
        (status = 200, description = "The project as it is now.", body = Project),
        ScopeRequest<Upsert>, ReadsBody, Changes
    )
)]
pub(super) async fn put(
    ScopeRequest { mut authorized, scope }: ScopeRequest<Upsert>,
) -> Result<Json<Project>, ApiError> {
    let params = authorized.params().await?;
    if params.has(PATH) {
        authorized.require_instance()?;
    }
    let (catalog, now) = (&authorized.state.catalog, authorized.now);
    // Parameters that are not valid must not make a project known.
    let sent = correction(&params, 0)?;
    let id = match &scope {
        ResolvedScope::Project { id: Some(id), .. } => *id,
        ResolvedScope::Project { path: Some(path), .. } => catalog.name_project(path, now).await?,
        _ => return Err(ApiError::NotFound(Missing::Project)),
    };
    let row = catalog.correct(ProjectCorrection { id, ..sent }, &authorized.actor(), now).await?;
    let shown =
        catalog.read(|snapshot| snapshot.directory().project(row.id).map(|row| object(snapshot, row)));
    shown.map(Json).ok_or(ApiError::NotFound(Missing::Project))
}

/// Show a group
#[utoipa::path(
    get, path = "/groups/{id}", operation_id = "getGroup", tag = PROJECTS,
    responses((status = 200, description = "The group.", body = Group), ScopeRequest<Read>)
)]
pub(super) async fn show_group(ScopeRequest { authorized, scope }: ScopeRequest<Read>) -> Json<Group> {
    Json(authorized.state.catalog.read(|snapshot| {
        let row = scope.path().and_then(|path| snapshot.directory().group_by_path(path));
        // A provisioning file may name a group of which nothing else is known.
        let bare = || Group { id: None, full_path: scope.path().map(str::to_owned), created_at: None };
        row.map_or_else(bare, Group::from)
    }))
}

/// What a `PUT` of a group takes.
#[derive(ToSchema)]
#[schema(as = GroupParameters)]
#[expect(dead_code, reason = "it describes what group_names() reads")]
struct GroupParameters {
    /// The forge's number.
    #[schema(nullable = false)]
    number: Option<i64>,
    /// Its full path, where it was renamed.
    #[schema(nullable = false)]
    full_path: Option<String>,
}

/// Set a group's number or path
///
/// Events name groups by path alone. Once its number is set, a group can be found by it, and keeps its integrations when it
/// is renamed.
#[utoipa::path(
    put, path = "/groups/{id}", operation_id = "putGroup", tag = PROJECTS, request_body = GroupParameters,
    responses(
        (status = 200, description = "The group as it is now.", body = Group),
        Authorized<Upsert>, NotFound, ReadsBody, Changes
    )
)]
pub(super) async fn put_group(mut authorized: Authorized<Upsert>) -> Result<Json<Group>, ApiError> {
    // The request may give a number that no group has yet, so the group is looked up here.
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
        // A new number has to come with its path.
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
    Ok(Json((&group).into()))
}

/// The corrections in a request: null removes one, and what is not sent stays.
fn correction(params: &Params, id: i64) -> Result<ProjectCorrection, ApiError> {
    let mut complaints = Vec::new();
    let mut correction = ProjectCorrection::of(id);
    let mut invalid = |name: &str| complaints.push(format!("{name} is invalid"));
    match path_parameter(params, PATH, address::project_path) {
        Ok(path) => correction.path = path,
        Err(Invalid) => invalid(PATH),
    }
    if params.has("default_branch") {
        match params.text("default_branch") {
            Ok(branch) => {
                correction.default_branch = is_or_not(branch.filter(|branch| !branch.trim().is_empty()));
            }
            Err(Invalid) => invalid("default_branch"),
        }
    }
    if params.has("protected_branches") {
        match params.list("protected_branches") {
            Ok(branches) => correction.protected_branches = is_or_not(branches),
            Err(Invalid) => invalid("protected_branches"),
        }
    }
    if params.has("visibility") {
        let word = |text: String| Visibility::ALL.into_iter().find(|visibility| visibility.name() == text);
        match params.text("visibility").map(|text| text.map(word)) {
            Ok(None) => correction.visibility = Correction::TakenBack,
            Ok(Some(Some(visibility))) => correction.visibility = Correction::Is(visibility),
            Ok(Some(None)) => complaints.push("visibility does not have a valid value".to_owned()),
            Err(Invalid) => invalid("visibility"),
        }
    }
    if complaints.is_empty() { Ok(correction) } else { Err(ApiError::InvalidParams(complaints)) }
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

/// A path that is not a number; blank counts as not sent.
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

/// The project with its row. A project that only a file or a token names has no row, and can't be shown.
fn present<I>(authorized: &Authorized<I>, scope: &ResolvedScope) -> Result<Json<Project>, ApiError> {
    let found = authorized.state.catalog.read(|snapshot| {
        let ResolvedScope::Project { id: Some(id), .. } = scope else { return None };
        snapshot.directory().project(*id).map(|project| object(snapshot, project))
    });
    found.map(Json).ok_or(ApiError::NotFound(Missing::Project))
}

/// The effective facts: those from files, else the corrections, else those from events.
fn object(snapshot: &Snapshot, project: &StoredProject) -> Project {
    let facts = snapshot.directory().file_facts(Some(project.id), project.path.as_deref());
    let facts = facts.cloned().unwrap_or_default();
    let StoredProject { learned, corrected, .. } = project;
    let default_branch = facts
        .default_branch
        .or_else(|| corrected.default_branch.clone())
        .or_else(|| learned.default_branch.clone());
    let protected_branches = facts.protected_branches.or_else(|| corrected.protected_branches.clone());
    Project::new(project, default_branch, protected_branches)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corrected(query: &str) -> Result<ProjectCorrection, ApiError> {
        correction(&Params::of_query(query).unwrap(), 42)
    }

    #[test]
    fn what_is_not_sent_stays_and_what_is_blank_is_removed() {
        let said = corrected("default_branch=trunk").unwrap();
        let default_branch = Correction::Is("trunk".to_owned());
        assert_eq!(said, ProjectCorrection { default_branch, ..ProjectCorrection::of(42) });
        let said = corrected("default_branch=&protected_branches=").unwrap();
        let (default_branch, protected_branches) = (Correction::TakenBack, Correction::Is(Vec::new()));
        let expected = ProjectCorrection { default_branch, protected_branches, ..ProjectCorrection::of(42) };
        assert_eq!(said, expected);
    }

    #[test]
    fn everything_wrong_is_reported_at_once() {
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
    fn a_group_has_a_number_and_a_path() {
        let names = |query: &str| group_names(&Params::of_query(query).unwrap());
        assert_eq!(names("number=7&full_path=acme"), Ok((Some(7), Some("acme".to_owned()))));
        assert_eq!(names(""), Ok((None, None)));
        let both = vec!["number is invalid".to_owned(), "full_path is invalid".to_owned()];
        assert_eq!(names("number=0&full_path=7"), Err(ApiError::InvalidParams(both)));
    }
}

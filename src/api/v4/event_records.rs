//! `/events`, `/projects/:id/events` and `/groups/:id/events`: received events and their results.

use axum::Json;
use bytes::Bytes;
use jiff::Timestamp;
use utoipa::IntoParams;
use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, SchemaFormat, Type};
use utoipa_axum::routes;

use super::authorized::{Authorized, Read};
use super::extract::{InstanceRequest, ScopeRequest};
use super::page::{Page, query_parameter, size, size_parameter};
use super::params::{Invalid, Params};
use super::{EVENTS, Route};
use crate::adapters;
use crate::api::State;
use crate::api::error::responses::NotFound;
use crate::api::error::{ApiError, Missing};
use crate::api::resources::{LoggedEvent, LoggedEventDetail, one_of};
use crate::catalog::{Catalog as _, ResolvedScope, Snapshot};
use crate::event::{EventId, KINDS};
use crate::integration::IntegrationId;
use crate::pipeline::dispatch::verdicts;
use crate::pipeline::explain::heed;
use crate::pipeline::then_and_now::{ThenAndNow, compare};
use crate::store::{EventFilter, EventRecord, EventsOf};

pub(super) fn routes() -> Vec<Route> {
    vec![
        routes!(list),
        routes!(show),
        routes!(list_of_project),
        routes!(show_of_project),
        routes!(list_of_group),
        routes!(show_of_group),
    ]
}

const MISSING: ApiError = ApiError::NotFound(Missing::Event);

/// The query of a list, for annotations.
pub(in crate::api) struct EventQuery;

impl EventQuery {
    /// The filter that the query names, of all projects.
    pub(in crate::api) fn read(params: &Params) -> Result<EventFilter, ApiError> {
        let mut complaints = Vec::new();
        let mut text = |name: &'static str| {
            params.text(name).unwrap_or_else(|Invalid| {
                complaints.push(format!("{name} is invalid"));
                None
            })
        };
        let (kind, integration) = (text("kind"), text("integration"));
        let (since, until, before) = (text("since"), text("until"), text("before"));
        let moment = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<Timestamp>().ok());
        let filter = EventFilter {
            kind,
            integrations: integration.as_deref().map(IntegrationId::new).into_iter().collect(),
            since: moment(&since),
            until: moment(&until),
            before: before.as_deref().and_then(EventId::new),
            ..EventFilter::default()
        };
        let is_told = params.boolean("told");
        let is_service = |id: &IntegrationId| {
            id.0.rsplit_once(':').is_some_and(|(_, slug)| adapters::find(slug).is_some())
        };
        let mut known = |name: &str, is_known: bool| {
            if !is_known {
                complaints.push(format!("{name} does not have a valid value"));
            }
        };
        known("kind", filter.kind.as_deref().is_none_or(|kind| KINDS.contains(&kind)));
        known("integration", filter.integrations.iter().all(is_service));
        known("told", is_told.is_ok());
        known("since", since.is_some() == filter.since.is_some());
        known("until", until.is_some() == filter.until.is_some());
        known("before", before.is_some() == filter.before.is_some());
        if complaints.is_empty() {
            Ok(EventFilter { is_told: is_told.unwrap_or_default(), ..filter })
        } else {
            Err(ApiError::InvalidParams(complaints))
        }
    }
}

impl IntoParams for EventQuery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let moment = || text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
        let before =
            "Only events that came before the one with this id: the page after the one that ended with it.";
        vec![
            query_parameter("kind", "Only events of this kind.", one_of(KINDS)),
            query_parameter(
                "integration",
                "Only events that this integration (`acme/rocket:slack`) was told of, or for which it had a reason not to be.",
                text(),
            ),
            query_parameter(
                "told",
                "`true`: only events of which deliveries were made; `false`: only the others.",
                ObjectBuilder::new().schema_type(Type::Boolean),
            ),
            query_parameter("since", "Only events that came at this moment or later.", moment()),
            query_parameter("until", "Only events that came before this moment.", moment()),
            query_parameter("before", before, text()),
            size_parameter(),
        ]
    }
}

/// List events with what became of them
///
/// Of all projects, for tokens of the instance.
#[utoipa::path(
    get, path = "/events", operation_id = "listEvents", tag = EVENTS, params(EventQuery),
    responses(
        (
            status = 200, description = "Newest first.", body = [LoggedEvent],
            headers(("Link" = String, description = "The next page, if there is one."))
        ),
        InstanceRequest<Read>
    )
)]
pub(super) async fn list(
    InstanceRequest(authorized): InstanceRequest<Read>,
) -> Result<Page<LoggedEvent>, ApiError> {
    listed(authorized, EventsOf::All).await
}

/// Show an event with what became of it, then and by the settings of now
///
/// For tokens of the instance.
#[utoipa::path(
    get, path = "/events/{event_id}", operation_id = "getEvent", tag = EVENTS,
    responses((status = 200, description = "The event.", body = LoggedEventDetail), InstanceRequest<Read>, NotFound)
)]
pub(super) async fn show(
    InstanceRequest(authorized): InstanceRequest<Read>,
) -> Result<Json<LoggedEventDetail>, ApiError> {
    let id = event_id(&authorized);
    shown(&authorized.caller.state, id, &EventsOf::All, authorized.caller.now).await
}

/// List a project's events with what became of them
#[utoipa::path(
    get, path = "/projects/{id}/events", operation_id = "listProjectEvents", tag = EVENTS, params(EventQuery),
    responses(
        (
            status = 200, description = "Newest first.", body = [LoggedEvent],
            headers(("Link" = String, description = "The next page, if there is one."))
        ),
        ScopeRequest<Read>
    )
)]
pub(super) async fn list_of_project(
    ScopeRequest { authorized, scope }: ScopeRequest<Read>,
) -> Result<Page<LoggedEvent>, ApiError> {
    listed(authorized, of(scope)).await
}

/// Show an event of a project with what became of it, then and by the settings of now
#[utoipa::path(
    get, path = "/projects/{id}/events/{event_id}", operation_id = "getProjectEvent", tag = EVENTS,
    responses((status = 200, description = "The event.", body = LoggedEventDetail), ScopeRequest<Read>)
)]
pub(super) async fn show_of_project(
    ScopeRequest { authorized, scope }: ScopeRequest<Read>,
) -> Result<Json<LoggedEventDetail>, ApiError> {
    let id = event_id(&authorized);
    shown(&authorized.caller.state, id, &of(scope), authorized.caller.now).await
}

/// List the events of a group, its subgroups and their projects
#[utoipa::path(
    get, path = "/groups/{id}/events", operation_id = "listGroupEvents", tag = EVENTS, params(EventQuery),
    responses(
        (
            status = 200, description = "Newest first.", body = [LoggedEvent],
            headers(("Link" = String, description = "The next page, if there is one."))
        ),
        ScopeRequest<Read>
    )
)]
pub(super) async fn list_of_group(
    ScopeRequest { authorized, scope }: ScopeRequest<Read>,
) -> Result<Page<LoggedEvent>, ApiError> {
    listed(authorized, of(scope)).await
}

/// Show an event within a group with what became of it, then and by the settings of now
#[utoipa::path(
    get, path = "/groups/{id}/events/{event_id}", operation_id = "getGroupEvent", tag = EVENTS,
    responses((status = 200, description = "The event.", body = LoggedEventDetail), ScopeRequest<Read>)
)]
pub(super) async fn show_of_group(
    ScopeRequest { authorized, scope }: ScopeRequest<Read>,
) -> Result<Json<LoggedEventDetail>, ApiError> {
    let id = event_id(&authorized);
    shown(&authorized.caller.state, id, &of(scope), authorized.caller.now).await
}

/// The events that a request about this scope may see.
pub(in crate::api) fn of(scope: ResolvedScope) -> EventsOf {
    match scope {
        ResolvedScope::Instance => EventsOf::All,
        ResolvedScope::Group { path, .. } => EventsOf::Within(path),
        // A project whose number is unknown has a provisional, negative number.
        ResolvedScope::Project { id, path } => EventsOf::Place { project_id: id.filter(|id| *id > 0), path },
    }
}

async fn listed(mut authorized: Authorized<Read>, of: EventsOf) -> Result<Page<LoggedEvent>, ApiError> {
    let params = authorized.params().await?;
    let limit = size(&params).map_err(|why| ApiError::InvalidParams(vec![why]))?;
    let filter = EventFilter { of, limit, ..EventQuery::read(&params)? };
    let filter = with_all_ids(&authorized.caller.state, filter);
    let records = authorized.caller.state.event_records.events(filter).await?;
    let last = records.last().map(|record| record.id.as_str().to_owned());
    let items = records.iter().map(LoggedEvent::from).collect();
    Ok(Page::of(&authorized.head.uri, limit, items, last.as_deref()))
}

/// The filter with all ids of the integration that it names.
pub(in crate::api) fn with_all_ids(state: &State, filter: EventFilter) -> EventFilter {
    let all = |snapshot: &Snapshot| filter.integrations.iter().flat_map(|id| snapshot.ids_of(id)).collect();
    let integrations = state.catalog.read(all);
    EventFilter { integrations, ..filter }
}

/// An event, if it is in this scope.
async fn shown(
    state: &State,
    id: Option<EventId>,
    of: &EventsOf,
    now: Timestamp,
) -> Result<Json<LoggedEventDetail>, ApiError> {
    let (record, raw, comparison) = detail(state, id, of, now).await?;
    Ok(Json(LoggedEventDetail::new(&record, raw.as_deref(), comparison.as_deref())))
}

/// An event with its JSON, if that is kept, and with its comparison with current settings, if possible.
type Detail = (EventRecord, Option<Bytes>, Option<Vec<ThenAndNow>>);

/// An event with all known facts, if it is in this scope.
pub(in crate::api) async fn detail(
    state: &State,
    id: Option<EventId>,
    of: &EventsOf,
    now: Timestamp,
) -> Result<Detail, ApiError> {
    let _turn = state.turn().await;
    let found = match id {
        Some(id) => state.event_records.event(&id).await?,
        None => None,
    };
    let (record, raw) = found.filter(|(record, _)| of.includes(record)).ok_or(MISSING)?;
    let comparison = match &raw {
        Some(raw) => compared(state, &record, raw.clone(), now).await?,
        None => None,
    };
    Ok((record, raw, comparison))
}

/// Compares the past result of an event with the result under current settings.
async fn compared(
    state: &State,
    record: &EventRecord,
    raw: Bytes,
    now: Timestamp,
) -> Result<Option<Vec<ThenAndNow>>, ApiError> {
    let decoded = state.catalog.decode(record.id.clone(), record.occurred_at, raw);
    let Ok(event) = decoded else { return Ok(None) };
    let mut verdicts = verdicts(&event, &*state.catalog, &state.holds.snapshot(), now);
    heed(&mut verdicts, &event, &state.tests.operator.get(), &*state.merge_requests, now).await?;
    Ok(Some(compare(record, &verdicts)))
}

fn event_id<I>(authorized: &Authorized<I>) -> Option<EventId> {
    EventId::new(authorized.path.event_id())
}

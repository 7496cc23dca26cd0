//! `…/integrations/:slug/deliveries`: the deliveries of an integration, with every attempt.

use axum::Json;
use jiff::Timestamp;
use utoipa::IntoParams;
use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, SchemaFormat, Type};
use utoipa_axum::routes;

use super::Route;
use super::authorized::Read;
use super::caller::Caller;
use super::extract::IntegrationRequest;
use super::page::{Page, PageRequest, query_parameter};
use super::params::{Invalid, Params};
use crate::api::error::{ApiError, Missing};
use crate::api::resources::{Delivery, DeliveryDetail, one_of};
use crate::catalog::{Catalog as _, ResolvedScope, Snapshot};
use crate::event::EventId;
use crate::integration::IntegrationId;
use crate::pipeline::rendered::rendered;
use crate::pipeline::standing::scope_of;
use crate::store::registry::ScopeKey;
use crate::store::{self, DeliveryFilter, DeliveryId, DeliveryLine, State as DeliveryState};

/// The routes of one level; see [`super::integrations::routes`].
pub(super) fn routes() -> Vec<Route> {
    vec![routes!(list), routes!(show)]
}

/// The query of a list, for annotations.
pub(in crate::api) struct ListQuery;

impl ListQuery {
    /// The filter in the query, without a page.
    pub(in crate::api) fn read(params: &Params) -> Result<DeliveryFilter, ApiError> {
        let mut complaints = Vec::new();
        let mut text = |name: &'static str| {
            params.text(name).unwrap_or_else(|Invalid| {
                complaints.push(format!("{name} is invalid"));
                None
            })
        };
        let (state, event, since, until) = (text("state"), text("event"), text("since"), text("until"));
        let mut known = |name: &str, given: bool, read: bool| {
            if given && !read {
                complaints.push(format!("{name} does not have a valid value"));
            }
        };
        let moment = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<Timestamp>().ok());
        let filter = DeliveryFilter {
            state: state
                .as_ref()
                .and_then(|word| DeliveryState::ALL.into_iter().find(|state| state.name() == word)),
            event: event.as_deref().and_then(EventId::new),
            since: moment(&since),
            until: moment(&until),
            ..DeliveryFilter::default()
        };
        known("state", state.is_some(), filter.state.is_some());
        known("event", event.is_some(), filter.event.is_some());
        known("since", since.is_some(), filter.since.is_some());
        known("until", until.is_some(), filter.until.is_some());
        if complaints.is_empty() { Ok(filter) } else { Err(ApiError::InvalidParams(complaints)) }
    }
}

impl IntoParams for ListQuery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let moment = || text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
        vec![
            query_parameter(
                "state",
                "Only those in this state.",
                one_of(DeliveryState::ALL.map(DeliveryState::name)),
            ),
            query_parameter("event", "Only those of the event with this id.", text()),
            query_parameter(
                "since",
                "Only those that ended, or were written if they wait, at this moment or later.",
                moment(),
            ),
            query_parameter(
                "until",
                "Only those that ended, or were written if they wait, before this moment.",
                moment(),
            ),
        ]
    }
}

/// List what an integration sent
#[utoipa::path(
    get, path = "/{slug}/deliveries", operation_id = "list{Level}Deliveries", params(ListQuery, PageRequest),
    responses(
        (
            status = 200, description = "Newest first.", body = [Delivery],
            headers(("Link" = String, description = "The next page, if there is one."))
        ),
        IntegrationRequest<Read>
    )
)]
pub(super) async fn list(mut request: IntegrationRequest<Read>) -> Result<Page<Delivery>, ApiError> {
    let integration = integration(&request)?;
    let params = request.authorized.params().await?;
    let page = PageRequest::read(&params)?;
    let before = page.before.map(DeliveryId);
    let project_id = request.authorized.state.catalog.read(|snapshot| owner_of(snapshot, &integration));
    let filter = DeliveryFilter {
        integrations: vec![integration],
        project_id,
        before,
        limit: page.limit,
        ..ListQuery::read(&params)?
    };
    let lines = request.authorized.state.ledger.deliveries(filter).await?;
    Ok(page.of(&request.authorized.head.uri, lines.iter().map(|line| (line.id.0, line.into()))))
}

/// Show a delivery with its attempts
#[utoipa::path(
    get, path = "/{slug}/deliveries/{delivery_id}", operation_id = "get{Level}Delivery",
    responses((status = 200, description = "The delivery.", body = DeliveryDetail), IntegrationRequest<Read>)
)]
pub(super) async fn show(request: IntegrationRequest<Read>) -> Result<Json<DeliveryDetail>, ApiError> {
    let named = named(&request)?;
    let caller = &request.authorized.caller;
    let _turn = caller.state.turn().await;
    let detail = find(caller, &named).await?;
    Ok(Json(shown(caller, detail)))
}

/// A delivery with its request, and with the hold for which it waits.
fn shown(caller: &Caller, mut detail: store::DeliveryDetail) -> DeliveryDetail {
    let Caller { state, now, .. } = caller;
    let integration = state.catalog.integration(&detail.line.integration);
    let shown = rendered(&*state.catalog, &detail, &state.tests.operator.get(), *now);
    let line = &detail.line;
    detail.hold = None;
    if line.state == DeliveryState::Waiting {
        let pace = integration.and_then(|found| {
            crate::adapters::find(found.slug).and_then(|entry| entry.pace(&found.settings, &line.target))
        });
        detail.hold = state.holds.snapshot().longest(line, pace.as_deref(), *now).cloned();
    }
    DeliveryDetail::from(&detail).with_request(shown)
}

/// A delivery by its number alone, if the caller reaches its integration.
pub(in crate::api) async fn reached(caller: &Caller, id: DeliveryId) -> Result<DeliveryDetail, ApiError> {
    let _turn = caller.state.turn().await;
    let detail = found(caller, id).await?;
    Ok(shown(caller, detail))
}

/// A delivery by its number, as the store has it, if the caller reaches its integration.
pub(in crate::api) async fn found(
    caller: &Caller,
    id: DeliveryId,
) -> Result<store::DeliveryDetail, ApiError> {
    let detail = caller.state.ledger.delivery(id).await?.ok_or(MISSING)?;
    let is_reached = caller.state.catalog.read(|snapshot| reaches(caller, snapshot, &detail.line));
    if is_reached { Ok(detail) } else { Err(MISSING) }
}

/// Whether the caller reaches a delivery. Where another project has the path in the integration's name now, only tokens
/// of the instance do: the event is one project's, and the settings that its page shows are the other's.
pub(in crate::api) fn reaches(caller: &Caller, snapshot: &Snapshot, line: &DeliveryLine) -> bool {
    let is_reached = caller.reaches_integration(snapshot, &line.integration);
    is_reached && (caller.reach() == ScopeKey::Instance || is_of_owner(snapshot, line))
}

/// The number of the project that an integration's name leads to, if it is known. Deliveries of other projects under
/// this name were made when these had the path.
pub(in crate::api) fn owner_of(snapshot: &Snapshot, integration: &IntegrationId) -> Option<i64> {
    match scope_of(snapshot, integration) {
        ResolvedScope::Project { id, .. } => id.filter(|id| *id > 0),
        ResolvedScope::Group { .. } | ResolvedScope::Instance => None,
    }
}

fn is_of_owner(snapshot: &Snapshot, line: &DeliveryLine) -> bool {
    match (owner_of(snapshot, &line.integration), line.project_id) {
        (Some(owner), Some(project)) => owner == project,
        _ => true,
    }
}

const MISSING: ApiError = ApiError::NotFound(Missing::Delivery);

/// The delivery that a path names.
pub(super) struct Named {
    integration: IntegrationId,
    id: DeliveryId,
}

pub(super) fn named<I>(request: &IntegrationRequest<I>) -> Result<Named, ApiError> {
    let integration = integration(request)?;
    let id = request.authorized.path.number("delivery_id").ok_or(MISSING)?;
    Ok(Named { integration, id: DeliveryId(id) })
}

/// The delivery of the integration that the path names. A delivery of another project, which had the path before, is not
/// there for any token: the path names the present project.
pub(super) async fn find(caller: &Caller, named: &Named) -> Result<store::DeliveryDetail, ApiError> {
    let detail = caller.state.ledger.delivery(named.id).await?;
    let is_named = |line: &DeliveryLine| {
        line.integration == named.integration
            && caller.state.catalog.read(|snapshot| is_of_owner(snapshot, line))
    };
    detail.filter(|detail| is_named(&detail.line)).ok_or(MISSING)
}

/// The id under which the store keeps an integration's deliveries.
pub(super) fn integration<I>(request: &IntegrationRequest<I>) -> Result<IntegrationId, ApiError> {
    let (scope, slug) = (&request.scope, request.entry.about.slug);
    request.authorized.state.catalog.read(|snapshot| {
        let inheritance = snapshot.inheritance(scope, slug);
        if inheritance.own.is_none() && inheritance.default.is_none() {
            return Err(ApiError::NotFound(Missing::Integration));
        }
        Ok(snapshot.id_at(scope, slug))
    })
}

//! GITLAB'S INTEGRATIONS API, as Forgebell serves it, with additions of our own.
//!
//! A request is authorized by its token ([`authorized`], with [`auth`]), names a project, a group or the instance that
//! its token reaches ([`extract`], with [`scope`] and [`address`]), and brings parameters ([`params`]; [`put_params`] knows
//! those of each adapter). The handlers call the catalog, the store and the pipeline, and build answers ([`object`],
//! [`response`]).
//!
//! The order of checks is GitLab's: 401, whether the token's right is enough (403), whether the object exists (404),
//! whether the token may change it (403), parameters (400), and then errors of the request as a whole.

mod address;
mod auth;
mod authorized;
mod deliveries;
mod explain;
mod extract;
pub(super) mod flags;
mod integrations;
mod meta;
mod object;
mod params;
mod path;
mod precondition;
mod projects;
pub(super) mod put_params;
mod quarantine;
mod response;
mod scope;
mod slash;
mod test;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, map_response};
use axum::response::Response;
use axum::routing::{get, post};

use super::State;
use super::error::ApiError;
use crate::adapters::ADAPTERS;
use crate::metrics;
pub use auth::LoginLimiter;
pub(super) use auth::{Credential, Need, authenticate, check_right, record_wrong_token};
use params::BODY_LIMIT;
pub(super) use params::Params;
use path::PathParams;
pub(super) use scope::trusted_event;

const PREFIX: &str = "/api/v4";

type Routes = Router<Arc<State>>;

/// Every route of the API.
pub(super) fn router() -> Routes {
    let mut routes = Router::new();
    // `services` is GitLab's former name of `integrations`.
    for name in ["integrations", "services"] {
        let (project, group) = (format!("/projects/{{id}}/{name}"), format!("/groups/{{id}}/{name}"));
        routes = at_level(routes, &project);
        routes = at_level(routes, &group);
        for entry in ADAPTERS.iter().filter(|entry| entry.inbound.is_some()) {
            let path = at(&format!("{project}/{}/trigger", entry.about.slug.replace('-', "_")));
            routes = routes.route(&path, slash::route(entry));
        }
        for list in [project, group] {
            routes = with_deliveries(routes, &list);
        }
    }
    others(at_level(routes, "/integrations"))
        .method_not_allowed_fallback(async || ApiError::NoSuchMethod("405 Not Allowed"))
        .layer(map_response(with_headers))
        .layer(from_fn(counted))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
}

fn at(path: &str) -> String {
    format!("{PREFIX}{path}")
}

/// Integrations of projects, of groups, of the instance.
fn at_level(routes: Routes, list: &str) -> Routes {
    let one = get(integrations::show).put(integrations::put).delete(integrations::delete);
    routes.route(&at(list), get(integrations::list)).route(&at(&format!("{list}/{{slug}}")), one)
}

/// Tests and deliveries, which the instance's defaults do not have: a default sends nothing itself.
fn with_deliveries(routes: Routes, list: &str) -> Routes {
    let at = |rest: &str| at(&format!("{list}/{{slug}}{rest}"));
    routes
        .route(&at("/test"), post(test::test))
        .route(&at("/deliveries"), get(deliveries::list))
        .route(&at("/deliveries/{delivery_id}"), get(deliveries::show))
        .route(&at("/deliveries/{delivery_id}/retry"), post(deliveries::retry))
}

fn others(routes: Routes) -> Routes {
    routes
        .route(&at("/projects"), get(projects::list))
        .route(&at("/projects/{id}"), get(projects::show).put(projects::put))
        .route(&at("/groups/{id}"), get(projects::show_group).put(projects::put_group))
        .route(&at("/events/explain"), post(explain::explain))
        .route(&at("/quarantine"), get(quarantine::list))
        .route(&at("/quarantine/{id}"), get(quarantine::show).delete(quarantine::delete))
        .route(&at("/quarantine/{id}/retry"), post(quarantine::retry))
        .route(&at("/audit_events"), get(meta::audit_events))
        .route(&at("/version"), get(meta::version))
        .route(&at("/openapi.json"), get(meta::description))
        .route(&at("/docs"), get(meta::page))
}

/// Counts a request that matched a route. Unmatched paths are not counted, because clients can make up any number of them.
async fn counted(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let method = request.method().to_string();
    let response = next.run(request).await;
    // The same goes for methods that the route does not have.
    if let Some(route) = route.filter(|_| response.status() != StatusCode::METHOD_NOT_ALLOWED) {
        metrics::api_request(route, method, response.status().as_u16());
    }
    response
}

/// Clients must revalidate answers, and must not guess their content type.
async fn with_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let revalidate = HeaderValue::from_static("max-age=0, private, must-revalidate");
    headers.insert(header::CACHE_CONTROL, revalidate);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

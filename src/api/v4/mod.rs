//! GITLAB'S INTEGRATIONS API, as Forgebell serves it, and what GitLab's lacks.
//!
//! A request is let in by its token ([`admitted`], by way of [`credentials`], [`mod@log_in`] and [`failed_logins`]), names a place that its
//! token reaches ([`asked`], by way of [`scope`] and [`address`]) and brings parameters ([`params`], of which [`declared`] knows those of each
//! adapter). What then happens is the catalogue's, the store's and the pipeline's: the handlers ask, and make answers
//! ([`object`], [`answer`]). [`refusal`] has every way to say no.
//!
//! The order of checks is GitLab's: 401, what the token may do (403), whether it is there (404), whether it is the
//! token's to touch (403), parameters (400), and then what the request as a whole comes to.

mod about;
mod address;
mod admitted;
mod answer;
mod asked;
mod credentials;
pub(super) mod declared;
mod deliveries;
mod explain;
mod failed_logins;
pub(super) mod flags;
mod integrations;
mod log_in;
mod object;
mod params;
mod precondition;
mod projects;
mod quarantine;
mod refusal;
mod rehearse;
mod scope;
mod segments;
mod slash;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, map_response};
use axum::response::Response;
use axum::routing::{get, post};

use super::State;
use crate::metrics;
pub(super) use credentials::{Credential, Need, sufficient};
pub use failed_logins::FailedLogins;
pub(super) use log_in::{log_in, wrong_token};
use params::BODY_LIMIT;
pub(super) use params::Params;
pub(super) use refusal::Refusal;
pub(super) use scope::believed;
use segments::Segments;
use slash::Service;

const PREFIX: &str = "/api/v4";

type Doors = Router<Arc<State>>;

/// Every route of the API.
pub(super) fn router() -> Doors {
    let mut doors = Router::new();
    // `services` is what GitLab called them before.
    for name in ["integrations", "services"] {
        let (project, group) = (format!("/projects/{{id}}/{name}"), format!("/groups/{{id}}/{name}"));
        doors = at_level(doors, &project);
        doors = at_level(doors, &group);
        for (service, slug) in [(Service::Slack, "slack"), (Service::Mattermost, "mattermost")] {
            let path = at(&format!("{project}/{slug}_slash_commands/trigger"));
            doors = doors.route(&path, slash::door(service));
        }
        for list in [project, group] {
            doors = with_deliveries(doors, &list);
        }
    }
    others(at_level(doors, "/integrations"))
        .method_not_allowed_fallback(async || Refusal::NoSuchMethod)
        .layer(map_response(with_headers))
        .layer(from_fn(counted))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
}

fn at(path: &str) -> String {
    format!("{PREFIX}{path}")
}

/// Integrations of projects, of groups, of the instance.
fn at_level(doors: Doors, list: &str) -> Doors {
    let one = get(integrations::show).put(integrations::put).delete(integrations::delete);
    doors.route(&at(list), get(integrations::list)).route(&at(&format!("{list}/{{slug}}")), one)
}

/// What a default has not: it sends nothing by itself.
fn with_deliveries(doors: Doors, list: &str) -> Doors {
    let at = |rest: &str| at(&format!("{list}/{{slug}}{rest}"));
    doors
        .route(&at("/test"), post(rehearse::test))
        .route(&at("/deliveries"), get(deliveries::list))
        .route(&at("/deliveries/{delivery_id}"), get(deliveries::show))
        .route(&at("/deliveries/{delivery_id}/retry"), post(deliveries::retry))
}

fn others(doors: Doors) -> Doors {
    doors
        .route(&at("/projects"), get(projects::list))
        .route(&at("/projects/{id}"), get(projects::show).put(projects::put))
        .route(&at("/groups/{id}"), get(projects::show_group).put(projects::put_group))
        .route(&at("/events/explain"), post(explain::explain))
        .route(&at("/quarantine"), get(quarantine::list))
        .route(&at("/quarantine/{number}"), get(quarantine::show).delete(quarantine::delete))
        .route(&at("/quarantine/{number}/retry"), post(quarantine::retry))
        .route(&at("/audit_events"), get(about::audit_events))
        .route(&at("/version"), get(about::version))
        .route(&at("/openapi.json"), get(about::description))
        .route(&at("/docs"), get(about::page))
}

/// Counts a request where it met a route; strangers could make up paths without end.
async fn counted(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let method = request.method().to_string();
    let response = next.run(request).await;
    // A method that no route has was made up as well.
    if let Some(route) = route.filter(|_| response.status() != StatusCode::METHOD_NOT_ALLOWED) {
        metrics::api_request(route, method, response.status().as_u16());
    }
    response
}

/// What is shown may differ the next time, and is what it says that it is.
async fn with_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let revalidate = HeaderValue::from_static("max-age=0, private, must-revalidate");
    headers.insert(header::CACHE_CONTROL, revalidate);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

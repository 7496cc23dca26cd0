//! GITLAB'S INTEGRATIONS API, as Forgebell serves it, with additions of our own.
//!
//! A request is authorized by its token ([`authorized`], with [`auth`]), names a project, a group or the instance that
//! its token reaches ([`extract`], with [`scope`] and [`address`]), and brings parameters ([`params`]; [`put_params`] knows
//! those of each adapter). The handlers call the catalog, the store and the pipeline, and answer with the objects of
//! [`resources`](super::resources). Each handler has its route and its description beside it; [`routes()`] lists them all.
//!
//! The order of checks is GitLab's: 401, whether the token's right is enough (403), whether the object exists (404),
//! whether the token may change it (403), parameters (400), and then errors of the request as a whole.

mod address;
pub(super) mod alert_tokens;
mod auth;
mod authorized;
mod caller;
mod commands;
mod commit_statuses;
pub(super) mod deliveries;
pub(super) mod delivery_changes;
pub(super) mod event_records;
pub(super) mod explain;
mod external_tracker;
pub(super) mod extract;
mod integration_health;
pub(super) mod integrations;
mod meta;
mod mutes;
mod page;
mod params;
pub(super) mod path;
mod precondition;
mod projects;
mod properties;
pub(super) mod put_params;
pub(super) mod quarantine;
mod scope;
mod slash;
pub(super) mod status;
pub(super) mod test;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, map_response};
use axum::response::Response;
use utoipa::openapi::path::PathItem;
use utoipa_axum::router::UtoipaMethodRouter;

use super::State;
use super::error::ApiError;
use crate::adapters::contract::InboundKind;
use crate::adapters::{ADAPTERS, Entry};
use crate::metrics;
pub(super) use address::project_path;
pub use auth::LoginLimiter;
pub(super) use auth::{Credential, Need, authenticate, check_right, is_limited, record_wrong_token};
pub(super) use caller::{Caller, Named};
pub use integration_health::{Probed, health_of, probed};
pub use integrations::integration_object;
pub(super) use mutes::muted;
pub(super) use params::{BODY_LIMIT, Params, read_body};
pub(super) use path::PathParams;
pub use scope::event_of_sender;
pub(super) use scope::trusted_event;

const PREFIX: &str = "/api/v4";

/// The chapters of the description, beside those of the levels.
pub(super) const COMMANDS: &str = "Slash commands";
pub(super) const PROJECTS: &str = "Projects and groups";
pub(super) const EVENTS: &str = "Events";
pub(super) const STATUS: &str = "Status";
pub(super) const AUDIT: &str = "Audit log";
pub(super) const ABOUT: &str = "About";

/// A path's handlers with their description, as [`utoipa_axum::routes!`] makes it.
pub(super) type Route = UtoipaMethodRouter<Arc<State>>;

/// A route where it is mounted.
pub(super) struct Mounted {
    /// Below `/api/v4`.
    pub(super) path: String,
    pub(super) route: Route,
    pub(super) mount: Mount,
}

/// Where integrations can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Project,
    Group,
    Instance,
}

/// Where a route is mounted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mount {
    /// At the path of its description.
    AsDescribed,
    /// Among the integrations of a level.
    Integrations(Level),
    /// Among the integrations of a level, under `services`, which is GitLab's former name of `integrations`.
    Services(Level),
    /// The route for requests to an adapter of commands, below this list of a project's integrations.
    Inbound(&'static str, &'static Entry),
}

impl Mount {
    fn prefix(self) -> String {
        let (level, list) = match self {
            Self::AsDescribed => return String::new(),
            Self::Integrations(level) => (level, "integrations"),
            Self::Services(level) => (level, "services"),
            Self::Inbound(list, _) => (Level::Project, list),
        };
        match level {
            Level::Project => format!("/projects/{{id}}/{list}"),
            Level::Group => format!("/groups/{{id}}/{list}"),
            Level::Instance => format!("/{list}"),
        }
    }
}

impl Mounted {
    fn new(route: Route, mount: Mount) -> Self {
        let (described, _) = route.1.paths.iter().next().expect("`routes!` describes a path");
        let mut path = format!("{}{described}", mount.prefix());
        if let Mount::Inbound(_, entry) = mount {
            path = path.replace("{slug}", &entry.about.slug.replace('-', "_"));
        }
        Self { path, route, mount }
    }

    /// A route at the path of its description.
    pub(super) fn as_described(route: Route) -> Self {
        Self::new(route, Mount::AsDescribed)
    }

    /// The description, by method.
    pub(super) fn description(&self) -> &PathItem {
        self.route.1.paths.values().next().expect("`routes!` describes a path")
    }
}

/// Every route of the API.
pub(super) fn routes() -> Vec<Mounted> {
    let mut all = Vec::new();
    let mut mount = |routes: Vec<Route>, mount: Mount| {
        all.extend(routes.into_iter().map(|route| Mounted::new(route, mount)));
    };
    for level in [Level::Project, Level::Group, Level::Instance] {
        mount(integrations::routes(), Mount::Integrations(level));
        // A default of the instance sends nothing itself, so it has no tests and no deliveries.
        if level != Level::Instance {
            mount(test::routes(), Mount::Integrations(level));
            mount(deliveries::routes(), Mount::Integrations(level));
            mount(delivery_changes::routes(), Mount::Integrations(level));
        }
    }
    for level in [Level::Project, Level::Group] {
        mount(integrations::routes(), Mount::Services(level));
        mount(test::routes(), Mount::Services(level));
        mount(deliveries::routes(), Mount::Services(level));
        mount(delivery_changes::routes(), Mount::Services(level));
    }
    let of_commands =
        |entry: &&Entry| entry.inbound.as_ref().is_some_and(|inbound| inbound.kind == InboundKind::Commands);
    for entry in ADAPTERS.iter().filter(of_commands) {
        for list in ["integrations", "services"] {
            mount(vec![commands::route()], Mount::Inbound(list, entry));
        }
    }
    for routes in [
        projects::routes(),
        commit_statuses::routes(),
        external_tracker::routes(),
        event_records::routes(),
        explain::routes(),
        quarantine::routes(),
        status::routes(),
        meta::routes(),
    ] {
        mount(routes, Mount::AsDescribed);
    }
    all
}

/// The router of these routes.
pub(super) fn router(routes: Vec<Mounted>) -> Router<Arc<State>> {
    let router = routes.into_iter().fold(Router::new(), |router, mounted| {
        let (_, _, handlers) = mounted.route;
        router.route(&format!("{PREFIX}{}", mounted.path), handlers)
    });
    router
        .method_not_allowed_fallback(async || ApiError::NoSuchMethod("405 Not Allowed"))
        .layer(map_response(with_headers))
        .layer(from_fn(counted))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
}

/// Counts a request that matched a route. Unmatched paths are not counted, because clients can make up any number of them.
async fn counted(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let method = request.method().to_string();
    let response = next.run(request).await;
    // Methods that the route does not have are not counted for the same reason.
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

//! THE PAGE for people, at `GET /` and below `/-/`: activity, problems, and remedies.
//!
//! The page is HTML from the server, without scripts and without content from other servers. A person logs in with an
//! API token ([`log_in`], [`session`]) and sees what the token permits ([`viewer`]): the pages call the same functions
//! as the API, and show the API's objects. [`layout`] has the frame of each page, [`parts`] has elements that several
//! pages share, [`places`] has the addresses of integrations, and [`reached`] lists a token's deliveries.
//!
//! No group of a forge is called `-`, so these paths never collide with the alert addresses of a project.

mod audit;
mod deliveries;
mod events;
mod holds;
mod integration;
mod integrations;
mod layout;
mod log_in;
mod overview;
mod parts;
mod places;
mod preview;
mod quarantine;
mod reached;
mod session;
mod settings_form;
mod viewer;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::{get, post};

use super::State;
use super::error::ApiError;
use super::v4::BODY_LIMIT;
pub use session::Sessions;
use viewer::Refused;

/// The routes of the page.
pub(super) fn router() -> Router<Arc<State>> {
    let router = Router::new()
        .route("/", get(overview::show))
        .route("/-/login", get(log_in::show).post(log_in::log_in))
        .route(viewer::LOG_OUT, post(log_in::log_out))
        .route("/-/deliveries", get(deliveries::list))
        .route("/-/deliveries/{delivery_id}", get(deliveries::show))
        .route("/-/deliveries/{delivery_id}/retry", post(deliveries::retry))
        .route("/-/deliveries/{delivery_id}/cancel", post(deliveries::cancel))
        .route("/-/events", get(events::list))
        .route("/-/events/{event_id}", get(events::show))
        .route("/-/style.css", get(style))
        .route("/-/icon.svg", get(icon))
        .route("/-/{*rest}", get(nothing))
        .route("/-/integrations", get(integrations::list))
        .route("/-/holds", get(holds::show))
        .route("/-/preview", get(preview::show))
        .route("/-/preview/drawing", get(preview::drawing))
        .route("/-/quarantine", get(quarantine::list))
        .route("/-/quarantine/{id}", get(quarantine::show))
        .route("/-/quarantine/{id}/retry", post(quarantine::retry))
        .route("/-/quarantine/{id}/delete", post(quarantine::delete))
        .route("/-/audit", get(audit::list));
    let levels = ["/-/projects/{id}", "/-/groups/{id}", "/-/instance"];
    let router = levels.into_iter().fold(router, |router, level| {
        let of_one = |action: &str| format!("{level}/{{slug}}{action}");
        router
            .route(level, get(integrations::scope))
            .route(&of_one(""), get(integration::show).post(integration::set))
            .route(&of_one("/off"), post(integration::off))
            .route(&of_one("/test"), post(integration::test))
            .route(&of_one("/resume"), post(integration::resume))
            .route(&of_one("/mute"), post(integration::mute))
    });
    router.layer(DefaultBodyLimit::max(BODY_LIMIT))
}

async fn style() -> impl IntoResponse {
    kept("text/css; charset=utf-8", layout::STYLE)
}

async fn icon() -> impl IntoResponse {
    kept("image/svg+xml", layout::ICON)
}

/// Files that browsers may keep; the style's address changes with it.
fn kept(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "max-age=86400"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, text)
}

async fn nothing() -> Refused {
    ApiError::NoSuchRoute.into()
}

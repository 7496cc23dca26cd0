//! `…/<slug>/trigger` of a project's integrations: the requests that inbound adapters receive.
//!
//! Every adapter of the table that receives requests has this route, with its slug in underscores, as GitLab has them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{MatchedPath, Request, State as Extract};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::params::Params;
use super::{COMMANDS, PathParams, Route, slash};
use crate::adapters;
use crate::api::State;
use crate::api::error::ApiError;
use crate::api::error::responses::{Any, NotFound, ReadsBody};
use crate::api::resources::CommandAnswer;

/// The route of one adapter. `{slug}`, `{integration}` and `{Integration}` are filled in for each.
pub(super) fn route() -> Route {
    routes!(trigger, trigger_by_query)
}

/// The form that a chat service sends.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what inbound adapters read")]
struct CommandForm {
    /// The token that the service was given when the command was set up.
    token: String,
    #[schema(nullable = false)]
    command: Option<String>,
    /// What stands after the command.
    #[schema(nullable = false)]
    text: Option<String>,
    #[schema(nullable = false)]
    channel_name: Option<String>,
    #[schema(nullable = false)]
    user_name: Option<String>,
    #[schema(nullable = false)]
    response_url: Option<String>,
}

/// Run a command: {integration}
///
/// It needs no token but the one in the body. A wrong one is answered like a project that does not exist.
#[utoipa::path(
    post, path = "/{slug}/trigger", operation_id = "trigger{Integration}", tag = COMMANDS, security(),
    request_body(content(
        (CommandForm = "application/x-www-form-urlencoded"),
        (CommandForm = "application/json")
    )),
    responses((status = 200, description = "What the channel is shown.", body = CommandAnswer), Any, NotFound, ReadsBody)
)]
async fn trigger(
    Extract(state): Extract<Arc<State>>,
    route: MatchedPath,
    path: PathParams,
    request: Request,
) -> Result<Json<CommandAnswer>, ApiError> {
    run(state, &route, path, request).await.map(Json)
}

/// Run a command by query: {integration}
///
/// Mattermost can send commands in this way. Slack verifies the address with `ssl_check=1`, which runs nothing.
#[utoipa::path(
    get, path = "/{slug}/trigger", operation_id = "trigger{Integration}ByQuery", tag = COMMANDS, security(),
    responses((status = 200, description = "What the channel is shown.", body = CommandAnswer), Any, NotFound)
)]
async fn trigger_by_query(
    Extract(state): Extract<Arc<State>>,
    route: MatchedPath,
    path: PathParams,
    request: Request,
) -> Result<Response, ApiError> {
    let query = Params::of_query(request.uri().query().unwrap_or_default())?;
    if query.text("ssl_check").is_ok_and(|check| check.as_deref() == Some("1")) {
        return Ok(StatusCode::OK.into_response());
    }
    run(state, &route, path, request).await.map(|answer| Json(answer).into_response())
}

async fn run(
    state: Arc<State>,
    route: &MatchedPath,
    path: PathParams,
    request: Request,
) -> Result<CommandAnswer, ApiError> {
    let slug = route.as_str().rsplit('/').nth(1).unwrap_or_default();
    let entry = adapters::find(slug).ok_or(ApiError::NoSuchRoute)?;
    slash::trigger(state, entry, path, request).await
}

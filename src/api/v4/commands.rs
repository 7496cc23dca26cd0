//! The routes of slash commands: `…/slack_slash_commands/trigger` and `…/mattermost_slash_commands/trigger`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State as Extract};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::slash::{self, Service};
use super::{COMMANDS, PathParams, Route};
use crate::api::State;
use crate::api::error::ApiError;
use crate::api::error::responses::{Any, NotFound, ReadsBody};
use crate::api::resources::CommandAnswer;

/// The routes, below a project's integrations.
pub(super) fn routes() -> Vec<Route> {
    vec![routes!(mattermost), routes!(slack)]
}

/// The form that a chat service sends.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what slash commands read")]
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

/// Run a command from Slack
///
/// It needs no token but the one in the body. A wrong one is answered like a project that does not exist.
#[utoipa::path(
    post, path = "/slack_slash_commands/trigger", operation_id = "triggerSlackCommand", tag = COMMANDS, security(),
    request_body(content(
        (CommandForm = "application/x-www-form-urlencoded"),
        (CommandForm = "application/json")
    )),
    responses((status = 200, description = "What the channel is shown.", body = CommandAnswer), Any, NotFound, ReadsBody)
)]
async fn slack(
    Extract(state): Extract<Arc<State>>,
    path: PathParams,
    request: Request,
) -> Result<Json<CommandAnswer>, ApiError> {
    slash::trigger(state, Service::Slack, path, request).await.map(Json)
}

/// Run a command from Mattermost
///
/// It needs no token but the one in the body. A wrong one is answered like a project that does not exist.
#[utoipa::path(
    post, path = "/mattermost_slash_commands/trigger", operation_id = "triggerMattermostCommand", tag = COMMANDS,
    security(),
    request_body(content(
        (CommandForm = "application/x-www-form-urlencoded"),
        (CommandForm = "application/json")
    )),
    responses((status = 200, description = "What the channel is shown.", body = CommandAnswer), Any, NotFound, ReadsBody)
)]
async fn mattermost(
    Extract(state): Extract<Arc<State>>,
    path: PathParams,
    request: Request,
) -> Result<Json<CommandAnswer>, ApiError> {
    slash::trigger(state, Service::Mattermost, path, request).await.map(Json)
}

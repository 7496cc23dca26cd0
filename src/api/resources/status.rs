//! The current problems.

use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Schema;

use super::{Moment, one_of};
use crate::catalog::ResolvedScope;
use crate::pipeline::standing::{Given, INVALID_SETTINGS, Part, Standing, Trouble};
use crate::store::{HoldCause, HoldKey};

fn states() -> Schema {
    one_of(["ok", "problems"]).into()
}

fn part_states() -> Schema {
    one_of(["ok", "failed"]).into()
}

fn kinds() -> Schema {
    one_of(HoldKey::KINDS.into_iter().chain(["integration"])).into()
}

fn causes() -> Schema {
    one_of(HoldCause::ALL.map(HoldCause::name).into_iter().chain([INVALID_SETTINGS])).into()
}

/// What is held, what was given up, and how the daemon's parts are.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Status {
    #[schema(schema_with = states)]
    pub state: &'static str,
    /// The number of held things, dead letters by cause, and parts that count as problems.
    pub problems: usize,
    pub at: Moment,
    /// Deliveries that wait.
    pub waiting: u64,
    /// When the oldest of them was written.
    #[schema(required)]
    pub oldest_waiting: Option<Moment>,
    /// The parts that are configured, for tokens of the instance.
    pub parts: Vec<StatusPart>,
    pub held: Vec<StatusHeld>,
    pub dead_letters: Vec<StatusDeadLetters>,
}

/// A part that the daemon works with.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StatusPart {
    pub part: &'static str,
    #[schema(schema_with = part_states)]
    pub state: &'static str,
    /// What was found, or what is wrong.
    pub found: String,
}

/// Something that gets no deliveries now, once for each integration that is concerned.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StatusHeld {
    /// What waits: everything for the destination, what the integration sends to the target (`route`) or to its address,
    /// everything that shares a rate limit (`bucket`), or the whole integration.
    #[schema(schema_with = kinds)]
    pub kind: &'static str,
    #[schema(schema_with = causes)]
    pub cause: &'static str,
    /// The full path of the project or group; null for the instance, and where only its number is known.
    #[schema(required)]
    pub project: Option<String>,
    /// The integration's name, as commands take it; null where none is concerned.
    #[schema(required)]
    pub integration: Option<String>,
    /// The channels or other targets; empty where all of the integration's are meant.
    pub targets: Vec<String>,
    #[schema(required)]
    pub destination: Option<String>,
    /// What the service answered, or what else led to it.
    pub reason: String,
    pub since: Moment,
    /// When the next attempt is made; null where a person has to do something first.
    #[schema(required)]
    pub until: Option<Moment>,
    /// Deliveries that wait for its end.
    pub waiting: u64,
    /// A throttle of the service of less than 10 minutes does not count as a problem.
    pub is_problem: bool,
    /// The command that helps.
    pub command: String,
}

/// Deliveries of one integration that were given up for one cause.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StatusDeadLetters {
    #[schema(required)]
    pub project: Option<String>,
    pub integration: String,
    /// The outcome of the last attempt.
    pub cause: String,
    pub deliveries: u64,
    /// When the last of them was given up. Older ones than 24 hours do not count as a problem.
    pub newest: Moment,
    /// What the last of them ended with.
    pub note: String,
    pub is_problem: bool,
    /// The command that helps.
    pub command: String,
}

impl From<&Standing> for Status {
    fn from(standing: &Standing) -> Self {
        let problems = standing.problems();
        Self {
            state: if problems == 0 { "ok" } else { "problems" },
            problems,
            at: Moment(standing.at),
            waiting: standing.waiting,
            oldest_waiting: standing.oldest_waiting.map(Moment),
            parts: standing.parts.iter().map(StatusPart::from).collect(),
            held: standing.troubles.iter().map(StatusHeld::from).collect(),
            dead_letters: standing.dead_letters.iter().map(StatusDeadLetters::from).collect(),
        }
    }
}

impl From<&Part> for StatusPart {
    fn from(part: &Part) -> Self {
        let (state, found) = match &part.found {
            Ok(found) => ("ok", found),
            Err(why) => ("failed", why),
        };
        Self { part: part.name, state, found: found.clone() }
    }
}

impl From<&Trouble> for StatusHeld {
    fn from(trouble: &Trouble) -> Self {
        Self {
            kind: trouble.kind,
            cause: trouble.cause,
            project: trouble.scope.as_ref().and_then(ResolvedScope::path).map(str::to_owned),
            integration: trouble.integration.as_ref().map(ToString::to_string),
            targets: trouble.targets.clone(),
            destination: trouble.destination.clone(),
            reason: trouble.reason.clone(),
            since: Moment(trouble.since),
            until: trouble.until.map(Moment),
            waiting: trouble.waiting,
            is_problem: trouble.is_problem,
            command: trouble.command.clone(),
        }
    }
}

impl From<&Given> for StatusDeadLetters {
    fn from(given: &Given) -> Self {
        let letters = &given.letters;
        Self {
            project: given.scope.path().map(str::to_owned),
            integration: letters.integration.to_string(),
            cause: letters.cause.clone(),
            deliveries: letters.deliveries,
            newest: Moment(letters.newest),
            note: letters.note.clone(),
            is_problem: given.is_problem,
            command: given.command.clone(),
        }
    }
}

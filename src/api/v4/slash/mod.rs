//! Slash commands: what somebody typed in a channel of Slack or Mattermost, answered at once.
//!
//! The token in the form is the caller's whole proof: it is the one that the project's slash-commands integration has.
//! Where it is wrong, where the integration is off and where there is no such project, the answer is the same, and counts
//! as a wrong token. [`command`]
//! understands what was typed, [`answer`] words what is said; both are pure. What is none of ours is handed to the forge,
//! where it listens.
//!
//! Forms and answers: <https://docs.slack.dev/interactivity/implementing-slash-commands>,
//! <https://developers.mattermost.com/integrate/slash-commands/custom/>.

mod answer;
mod command;
mod route;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use super::{ApiError, Params};
use crate::adapters::{self, ADAPTERS, Entry};
use crate::catalog::{Actor, CachedCatalog, Configured, ResolvedScope};
use crate::event::Trigger;
use crate::pipeline::amqp::Commands;
use crate::store::registry::Mute;
use crate::store::{DeliveryFilter, Ledger, State as DeliveryState};
use answer::{Failure, Line, Muted, to_asker};
use command::Command;
pub(super) use route::route;

/// Slack and Mattermost wait three seconds; what takes longer is said to take longer.
const PATIENCE: Duration = Duration::from_secs(2);
/// What is older is no news to whoever asks for a status.
const LATELY: SignedDuration = SignedDuration::from_hours(24);

/// One of the two services that commands come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Slack,
    Mattermost,
}

impl Service {
    /// The adapter whose token proves the caller.
    const fn hears(self) -> &'static str {
        match self {
            Self::Slack => "slack-slash-commands",
            Self::Mattermost => "mattermost-slash-commands",
        }
    }

    /// The adapter that tells the same rooms.
    pub(super) const fn tells(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::Mattermost => "mattermost",
        }
    }

    fn teller(self) -> &'static Entry {
        adapters::find(self.tells()).expect("it is in the table, a test walks it")
    }
}

/// What answers commands.
pub(super) struct Counter<'a> {
    pub(super) catalog: &'a CachedCatalog,
    pub(super) ledger: &'a dyn Ledger,
    /// The way to the forge, where one is configured.
    pub(super) commands: Option<&'a Commands>,
    pub(super) now: Timestamp,
}

/// Who typed what, and where.
struct Typed {
    service: Service,
    /// The command itself, as in `/forge`.
    command: String,
    text: String,
    /// `#ops`; of rooms without a name, the id.
    channel: String,
    /// Everything that a setting may call this room.
    channel_names: Vec<String>,
    user: String,
}

impl Typed {
    fn read(service: Service, params: &Params) -> Self {
        let text = |name: &str| params.text(name).ok().flatten().unwrap_or_default();
        let (name, id) = (text("channel_name"), text("channel_id"));
        // Slack calls all private rooms by one name.
        let is_name = !name.is_empty() && !["privategroup", "directmessage"].contains(&name.as_str());
        let channel = if is_name { format!("#{name}") } else { id.clone() };
        let names = [is_name.then_some(name), Some(id).filter(|id| !id.is_empty())];
        let command = text("command");
        Self {
            service,
            command: if command.trim().is_empty() { "/forgebell".to_owned() } else { command },
            text: text("text"),
            channel: if channel.is_empty() { "this channel".to_owned() } else { channel },
            channel_names: names.into_iter().flatten().map(|name| Mute::channel_of(&name)).collect(),
            user: text("user_name"),
        }
    }

    fn who(&self) -> String {
        if self.user.is_empty() { "somebody in a channel".to_owned() } else { format!("@{}", self.user) }
    }
}

/// What a command comes to.
pub(super) enum Outcome {
    /// Say this.
    Say(Json),
    /// Send a test to this room, by this place's settings, and say what came of it.
    Test { place: ResolvedScope, channel_names: Vec<String> },
}

/// The place that a command is about, if the token in it is that of the place's integration.
///
/// # Errors
/// There is no token (400).
pub(super) fn proved(
    catalog: &CachedCatalog,
    service: Service,
    place: Option<ResolvedScope>,
    params: &Params,
) -> Result<Option<ResolvedScope>, ApiError> {
    let token = params.text("token").map_err(|_| complaint("token is invalid"))?;
    let token = token.ok_or_else(|| complaint("token is missing"))?;
    Ok(place.filter(|place| is_proved(catalog, place, service, &token)))
}

/// Does what is asked.
pub(super) async fn hear(
    counter: &Counter<'_>,
    service: Service,
    place: ResolvedScope,
    params: &Params,
) -> Outcome {
    let typed = Typed::read(service, params);
    let said = match Command::parse(&typed.text) {
        Command::Test => return Outcome::Test { place, channel_names: typed.channel_names },
        Command::Help => answer::help(&typed.command, counter.commands.is_some()),
        Command::Misspoken(remedy) => remedy,
        Command::Status => status(counter, &place).await,
        Command::Mute(length) => {
            let until = counter.now.checked_add(length).unwrap_or(Timestamp::MAX);
            mute(counter, &place, &typed, until).await
        }
        Command::Unmute => mute(counter, &place, &typed, counter.now).await,
        Command::Other => forward(counter, &place, &typed, params).await,
    };
    Outcome::Say(to_asker(&said))
}

fn complaint(words: &str) -> ApiError {
    ApiError::InvalidParams(vec![words.to_owned()])
}

/// Compares digests, in constant time: neither how much of the token is right nor how long it is can be measured.
fn is_proved(catalog: &CachedCatalog, place: &ResolvedScope, service: Service, token: &str) -> bool {
    let known = catalog.read(|state| {
        let effective =
            state.inheritance(place, service.hears()).effective().filter(|configured| configured.is_active());
        effective.and_then(|configured| configured.configuration.secrets.get("token").cloned())
    });
    known.is_some_and(|known| {
        let same = Sha256::digest(token.as_bytes()).ct_eq(&Sha256::digest(known.expose().as_bytes()));
        same.into()
    })
}

async fn status(counter: &Counter<'_>, place: &ResolvedScope) -> String {
    let named = place.path().map_or_else(|| place.to_string(), str::to_owned);
    let lines = counter.catalog.read(|state| {
        let tellers = ADAPTERS.iter().filter(|entry| entry.can_deliver());
        let inheritance = tellers.map(|entry| state.inheritance(place, entry.about.slug));
        let told = inheritance
            .filter_map(|inheritance| Some(line(inheritance.effective()?, inheritance.is_inherited())));
        told.collect::<Vec<_>>()
    });
    let muted = counter.catalog.read(|state| {
        let ResolvedScope::Project { id: Some(id), .. } = place else {
            return Vec::new();
        };
        let mutes = state.mutes(*id, counter.now);
        mutes
            .map(|mute| Muted { channel: mute.channel.clone(), until: mute.until, by: mute.by.clone() })
            .collect()
    });
    if let Ok(Ok(failures)) = tokio::time::timeout(PATIENCE, failures(counter, place)).await {
        return answer::status(&named, &lines, &failures, &muted);
    }
    let known = answer::status(&named, &lines, &[], &muted);
    known.replace("Nothing failed lately.", "What failed lately is not known: the store does not answer.")
}

fn line(configured: &Configured, inherited: bool) -> Line {
    let entry = configured.entry;
    let hears_of = match &configured.resolved {
        Ok(resolved) => {
            let heard = entry.about.triggers.iter().filter(|trigger| resolved.triggers().contains(*trigger));
            heard.map(Trigger::name).collect()
        }
        Err(_) => Vec::new(),
    };
    let channels = configured.configuration.properties.get("channel").map(crate::settings::Value::as_text);
    Line {
        title: entry.about.title,
        active: configured.is_active(),
        channels: crate::integration::Channels::parse_list(&channels.unwrap_or_default()),
        hears_of,
        inherited,
    }
}

/// What was given up within the last day, and what does not get through at the moment; the newest first.
async fn failures(counter: &Counter<'_>, place: &ResolvedScope) -> crate::store::Result<Vec<Failure>> {
    let since = counter.now.checked_sub(LATELY).unwrap_or(Timestamp::MIN);
    let mut found = Vec::new();
    for entry in ADAPTERS.iter().filter(|entry| entry.can_deliver()) {
        for state in [DeliveryState::Failed, DeliveryState::Expired, DeliveryState::Waiting] {
            let slug = entry.about.slug;
            let integration = Some(counter.catalog.read(|snapshot| snapshot.id_at(place, slug)));
            let filter = DeliveryFilter {
                state: Some(state),
                integration,
                limit: answer::FAILURES,
                ..DeliveryFilter::default()
            };
            for line in counter.ledger.deliveries(filter).await? {
                let at = line.settled_at.unwrap_or(line.created_at);
                let Some(reason) = line.last_note.filter(|_| at >= since) else { continue };
                let waits = state == DeliveryState::Waiting;
                let (target, subject, title) = (line.target, line.subject, entry.about.title);
                found.push(Failure { at, title, target, subject, reason, waits });
            }
        }
    }
    found.sort_by_key(|failure| std::cmp::Reverse(failure.at));
    Ok(found)
}

/// Mutes this room until a moment, or, by a moment that is past, lets it hear again.
async fn mute(counter: &Counter<'_>, place: &ResolvedScope, typed: &Typed, until: Timestamp) -> String {
    let ResolvedScope::Project { id: Some(project), .. } = place else {
        return "This project's number is not known yet: wait for its first event, and type it again."
            .to_owned();
    };
    if typed.channel_names.is_empty() {
        return "It is not known which channel this is.".to_owned();
    }
    let was_muted = counter.catalog.read(|state| {
        let here =
            |mute: &Mute| mute.slug == typed.service.tells() && typed.channel_names.contains(&mute.channel);
        state.mutes(*project, counter.now).any(here)
    });
    let muting = tokio::time::timeout(PATIENCE, mute_all(counter, *project, typed, until));
    if !matches!(muting.await, Ok(Ok(()))) {
        // What was under way when the patience ended may yet be written.
        return "It is not known whether that was written down: the store does not answer. Type it again in a moment."
            .to_owned();
    }
    if until > counter.now {
        answer::muted(&typed.channel, typed.service.teller().about.title, until, &typed.command)
    } else {
        answer::unmuted(&typed.channel, was_muted)
    }
}

/// Mutes the room under each of its names: which of them the settings use is not known here.
async fn mute_all(
    counter: &Counter<'_>,
    project: i64,
    typed: &Typed,
    until: Timestamp,
) -> Result<(), crate::catalog::ChangeError> {
    let who = Actor(format!("slash command of {}", typed.who()));
    for channel in &typed.channel_names {
        let mute = Mute {
            project,
            slug: typed.service.tells().to_owned(),
            channel: channel.clone(),
            until,
            by: typed.who(),
            revision: 0,
        };
        counter.catalog.mute(mute, &who, counter.now).await?;
    }
    Ok(())
}

/// Hands a command to the forge, without the token, which is nobody else's affair.
async fn forward(counter: &Counter<'_>, place: &ResolvedScope, typed: &Typed, params: &Params) -> String {
    let Some(commands) = counter.commands else {
        return format!("I don't know that command. {}", answer::help(&typed.command, false));
    };
    let text = |name: &str| params.text(name).ok().flatten();
    let (id, path) = match place {
        ResolvedScope::Project { id, path } => (*id, path.as_deref()),
        other => (None, other.path()),
    };
    let body = json!({
        "object_kind": "slash_command",
        "service": typed.service.tells(),
        "project": { "id": id, "path_with_namespace": path },
        "command": typed.command,
        "text": typed.text,
        "user_id": text("user_id"),
        "user_name": typed.user,
        "channel_id": text("channel_id"),
        "channel_name": text("channel_name"),
        "team_id": text("team_id"),
        "trigger_id": text("trigger_id"),
        "response_url": text("response_url"),
    });
    let id = Uuid::now_v7().to_string();
    match commands.forward(&id, body.to_string().as_bytes(), counter.now).await {
        Ok(()) => "The forge has it, and answers here.".to_owned(),
        Err(error) => {
            tracing::warn!(%error, "could not hand a command to the forge");
            let said = if error.maybe_taken() {
                "The forge takes longer than usual. If this gets there, it answers here; if nothing comes, type it again."
            } else {
                "The forge can't be reached at the moment; type it again later."
            };
            said.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_services_have_a_listener_and_a_teller_in_the_table() {
        for service in [Service::Slack, Service::Mattermost] {
            assert!(adapters::find(service.hears()).is_some_and(|entry| !entry.can_deliver()));
            assert!(service.teller().can_deliver());
        }
    }

    #[test]
    fn a_room_is_known_by_its_name_or_by_its_id() {
        let typed = |query: &str| {
            let params = Params::of_query(query).unwrap();
            let typed = Typed::read(Service::Slack, &params);
            (typed.channel, typed.channel_names)
        };
        let named = ("#Ops".to_owned(), vec!["ops".to_owned(), "c123".to_owned()]);
        assert_eq!(typed("channel_name=Ops&channel_id=C123"), named);
        let private = ("G9".to_owned(), vec!["g9".to_owned()]);
        assert_eq!(typed("channel_name=privategroup&channel_id=G9"), private);
        assert_eq!(typed(""), ("this channel".to_owned(), Vec::new()));
    }
}

//! `token`: makes, lists and revokes tokens of the API.

mod create;

use std::process::ExitCode;

use jiff::Timestamp;
use serde::Serialize;

use super::options::Options;
use super::quarantine::each;
use super::table::{Table, age, cut};
use super::{command_audit, say, say_json, state};
use crate::api::resources::Moment;
use crate::daemon;
use crate::store::registry::{Right, ScopeKey, StoredToken};
use crate::store::{Registry, Store};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make a token and print it. This is the only time: the store keeps its digest
    Create(create::Args),
    /// List tokens with what they may do, expired and revoked ones too
    List(ListArgs),
    /// Revoke tokens
    Revoke(RevokeArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct RevokeArgs {
    /// The tokens' ids, as shown by `token list`
    #[arg(value_name = "NUMBER", required = true)]
    numbers: Vec<i64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(command: Command, options: &Options) -> anyhow::Result<ExitCode> {
    let config = options.config_for(&["store", "secrets"])?;
    let store = state::open_soon(&config.store).await?;
    let now = daemon::now();
    match command {
        Command::Create(args) => create::run(&*store, &args, &config, now).await,
        Command::List(args) => list(&*store, &args, now).await,
        Command::Revoke(args) => {
            each(&args.numbers, args.json, async |number| revoke(&*store, number, now).await).await
        }
    }
}

async fn list(store: &dyn Store, args: &ListArgs, now: Timestamp) -> anyhow::Result<ExitCode> {
    let mut lines = Vec::new();
    for token in store.tokens().await? {
        let place = place(store, token.access.reach).await?;
        lines.push((token, place));
    }
    if args.json {
        let objects = lines.iter().map(|(token, place)| TokenObject::new(token, place, now));
        say_json(&objects.collect::<Vec<_>>())?;
    } else {
        say(&table(&lines, now))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn revoke(store: &dyn Store, number: i64, now: Timestamp) -> anyhow::Result<Result<String, String>> {
    let tokens = store.tokens().await?;
    let Some(token) = tokens.iter().find(|token| token.id == number) else {
        return Ok(Err("there is no such token".to_owned()));
    };
    let note = command_audit::entry("token.revoke", format!("token {} ({number})", token.name), &[], now);
    let revoked = store.revoke_token(number, note).await?;
    Ok(if revoked {
        Ok(format!("{} is revoked", token.name))
    } else {
        Err("it is expired or revoked already".to_owned())
    })
}

/// The scope of a token, for people: `project 42 (acme/web)`.
pub(super) async fn place(store: &(impl Registry + ?Sized), reach: ScopeKey) -> anyhow::Result<String> {
    Ok(match reach {
        ScopeKey::Instance => "everything".to_owned(),
        ScopeKey::File(_) => "nothing".to_owned(),
        ScopeKey::Project(id) => {
            let path = store.project(id).await?.and_then(|project| project.path);
            path.map_or_else(|| format!("project {id}"), |path| format!("project {id} ({path})"))
        }
        ScopeKey::Group(key) => {
            let group = store.group(key).await?;
            match group.map(|group| (group.path, group.id)) {
                Some((Some(path), _)) => format!("group {path}"),
                Some((None, Some(id))) => format!("group {id}"),
                _ => "a group that has no path any more".to_owned(),
            }
        }
    })
}

/// The state of a token: `live`, `expired` or `revoked`.
fn standing(token: &StoredToken, now: Timestamp) -> &'static str {
    match (token.revoked_at, token.expires_at) {
        (Some(_), _) => "revoked",
        (None, Some(end)) if end <= now => "expired",
        _ => "live",
    }
}

/// What a right allows, as a verb for the place that the token reaches.
const fn allows(right: Right) -> &'static str {
    match right {
        Right::Maintain => "see and change",
        Right::Read => "see",
        Right::Ingest => "send events of",
        Right::Alerts => "report alerts of",
    }
}

fn table(lines: &[(StoredToken, String)], now: Timestamp) -> String {
    if lines.is_empty() {
        return "there are no tokens yet; `forgebell token create --admin` makes the first".to_owned();
    }
    let mut table = Table::new(["NUMBER", "NAME", "STATE", "MAY", "OF", "MADE", "ENDS"]);
    for (token, place) in lines {
        table.row([
            token.id.to_string(),
            cut(&token.name, 40),
            standing(token, now).to_owned(),
            token.access.right.name().to_owned(),
            cut(place, 60),
            age(token.created_at, now),
            token.expires_at.map_or_else(|| "never".to_owned(), |end| age(end, now)),
        ]);
    }
    table.to_string()
}

/// A token, as `--json` prints it.
#[derive(Serialize)]
struct TokenObject {
    id: i64,
    name: String,
    state: &'static str,
    right: &'static str,
    project: Option<i64>,
    group: Option<String>,
    created_at: Moment,
    expires_at: Option<Moment>,
    revoked_at: Option<Moment>,
}

impl TokenObject {
    fn new(token: &StoredToken, place: &str, now: Timestamp) -> Self {
        let (project, group) = match token.access.reach {
            ScopeKey::Instance | ScopeKey::File(_) => (None, None),
            ScopeKey::Project(id) => (Some(id), None),
            ScopeKey::Group(_) => (None, Some(place.strip_prefix("group ").unwrap_or(place).to_owned())),
        };
        Self {
            id: token.id,
            name: token.name.clone(),
            state: standing(token, now),
            right: token.access.right.name(),
            project,
            group,
            created_at: Moment(token.created_at),
            expires_at: token.expires_at.map(Moment),
            revoked_at: token.revoked_at.map(Moment),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::registry::Access;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_770_000_000 + seconds).unwrap()
    }

    fn token() -> StoredToken {
        StoredToken {
            id: 3,
            name: "ci".to_owned(),
            hash: [7; 32],
            access: Access { reach: ScopeKey::Project(42), right: Right::Read },
            expires_at: Some(at(600)),
            revoked_at: None,
            revision: 1,
            created_at: at(0),
        }
    }

    #[test]
    fn a_token_is_live_until_it_ends() {
        assert_eq!(standing(&token(), at(599)), "live");
        assert_eq!(standing(&token(), at(600)), "expired");
        let revoked = StoredToken { revoked_at: Some(at(5)), ..token() };
        assert_eq!(standing(&revoked, at(700)), "revoked");
        assert_eq!(standing(&StoredToken { expires_at: None, ..token() }, at(700)), "live");
    }

    #[test]
    fn the_list_shows_what_a_token_reaches_and_never_its_digest() {
        let line = (token(), "project 42 (acme/web)".to_owned());
        let shown = table(std::slice::from_ref(&line), at(60));
        assert!(
            shown.contains("3       ci    live   read  project 42 (acme/web)  60 s ago  in 9 min"),
            "{shown}"
        );
        let json = serde_json::to_value(TokenObject::new(&line.0, &line.1, at(60))).unwrap();
        assert_eq!((&json["project"], &json["state"]), (&42.into(), &"live".into()));
        assert!(json.get("hash").is_none() && !json.to_string().contains("[7,7"), "{json}");
        assert!(table(&[], at(0)).contains("token create --admin"));
    }
}

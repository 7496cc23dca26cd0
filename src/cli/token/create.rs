//! `token create`: makes a token and prints it. The store keeps its digest, so it can't be printed again.

use std::process::ExitCode;

use anyhow::bail;
use clap::ArgGroup;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use serde::Serialize;

use super::super::table::local;
use super::super::{command_audit, complain, say, say_json};
use super::{TokenObject, allows, place};
use crate::adapters::alerts::endpoint;
use crate::config::Config;
use crate::store::registry::{
    Access, Configuration, NewToken, ProjectCorrection, Right, ScopeKey, StoredToken,
};
use crate::store::{Registry, Store, token};

#[derive(Debug, clap::Args)]
#[command(
    group(ArgGroup::new("reach").required(true)),
    group(ArgGroup::new("right")),
    after_help = "Without --read-only, --ingest or --alerts, the token may read and change what it is for.\n\n\
    The token goes to standard output, everything else to standard error.\n\n\
    For example:\n  \
    forgebell token create --admin --name ada\n  \
    TOKEN=$(forgebell token create --project acme/web --expires 90d)\n  \
    forgebell token create --project 42 --ingest --name 'the forge'\n  \
    forgebell token create --project acme/web --alerts --name alertmanager\n  \
    forgebell token create --group acme --read-only --json"
)]
pub(in crate::cli) struct Args {
    /// For everything: all projects, all groups and the defaults of the instance
    #[arg(long, group = "reach")]
    admin: bool,
    /// For one project: its number, or the path of a known one
    #[arg(long, group = "reach", value_name = "ID|PATH")]
    project: Option<String>,
    /// For a group with its subgroups and projects: its path
    #[arg(long, group = "reach", value_name = "PATH")]
    group: Option<String>,
    /// It may read, and change nothing
    #[arg(long, group = "right")]
    read_only: bool,
    /// It may send events, and nothing else
    #[arg(long, group = "right")]
    ingest: bool,
    /// Monitoring systems may report alerts of the project with it, and nothing else
    #[arg(long, group = "right", requires = "project")]
    alerts: bool,
    /// Its name in lists and in the audit log
    #[arg(long, value_name = "NAME", default_value = "unnamed", value_parser = name)]
    name: String,
    /// How long it is valid: `90d`, `12h`. Without this it does not expire
    #[arg(long, value_name = "DURATION", value_parser = lifetime)]
    expires: Option<SignedDuration>,
    /// Print JSON, with the token in it
    #[arg(long)]
    json: bool,
}

impl Args {
    fn right(&self) -> Right {
        match (self.read_only, self.ingest, self.alerts) {
            (true, ..) => Right::Read,
            (_, true, _) => Right::Ingest,
            (.., true) => Right::Alerts,
            _ => Right::Maintain,
        }
    }
}

fn name(text: &str) -> Result<String, String> {
    let name = text.trim();
    let is_name = !name.is_empty() && name.chars().count() <= 255 && !name.chars().any(char::is_control);
    if is_name { Ok(name.to_owned()) } else { Err("a name has 1 to 255 letters, on one line".to_owned()) }
}

fn lifetime(text: &str) -> Result<SignedDuration, String> {
    let wrong = || "durations are written `90d`, `2w` or `12h`, and are above 0".to_owned();
    let span: Span = text.parse().map_err(|_| wrong())?;
    let lasting = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    if lasting.is_positive() { Ok(lasting) } else { Err(wrong()) }
}

/// The output of `--json`.
#[derive(Serialize)]
struct Created<'a> {
    #[serde(flatten)]
    object: TokenObject,
    token: &'a str,
}

pub(super) async fn run(
    store: &dyn Store,
    args: &Args,
    config: &Config,
    now: Timestamp,
) -> anyhow::Result<ExitCode> {
    let expires_at = match args.expires {
        None => None,
        Some(lasting) => match now.checked_add(lasting) {
            Ok(end) => Some(end),
            Err(_) => bail!("--expires: that is too far in the future; without it the token does not expire"),
        },
    };
    let reach = reach(store, args, now).await?;
    let place = place(store, reach).await?;
    let secret = token::make()?;
    let new = NewToken {
        name: args.name.clone(),
        hash: token::hash(secret.expose()),
        access: Access { reach, right: args.right() },
        expires_at,
    };
    let object = format!("token {} for {place}", args.name);
    let note = command_audit::entry("token.create", object, &["name", "reach", "right", "expires_at"], now);
    let made = store.create_token(new, note).await?;
    if args.alerts {
        switch_on_alerts(store, reach, now).await?;
    }
    if args.json {
        let object = TokenObject::new(&made, &place, now);
        say_json(&Created { object, token: secret.expose() })?;
    } else {
        say(secret.expose())?;
        complain(&words(&made, &place, &format!("http://{}", config.http.listen)));
    }
    Ok(ExitCode::SUCCESS)
}

/// Activates the project's integration `alerts`, as the API does when it makes a token. Only the token decides whether
/// an alert is accepted.
async fn switch_on_alerts(
    store: &(impl Registry + ?Sized),
    project: ScopeKey,
    now: Timestamp,
) -> anyhow::Result<()> {
    let present = store.integration(project, endpoint::SLUG).await?;
    if present.as_ref().is_some_and(|present| present.configuration.active) {
        return Ok(());
    }
    let configuration = Configuration {
        active: true,
        inherits: false,
        ..present.as_ref().map(|present| present.configuration.clone()).unwrap_or_default()
    };
    let made_from = present.map(|present| present.revision);
    let note =
        command_audit::entry("integration.update", format!("{project} {}", endpoint::SLUG), &["active"], now);
    // If another person changes the integration at the same time, that change counts.
    store.put_integration(project, endpoint::SLUG, configuration, made_from.into(), note).await?;
    Ok(())
}

/// The token's reach. A project that is named by its number becomes known, if it is new.
async fn reach(store: &(impl Registry + ?Sized), args: &Args, now: Timestamp) -> anyhow::Result<ScopeKey> {
    if let Some(project) = &args.project {
        return project_of(store, project.trim().trim_matches('/'), now).await;
    }
    if let Some(group) = &args.group {
        return group_of(store, group.trim().trim_matches('/')).await;
    }
    Ok(ScopeKey::Instance)
}

async fn project_of(
    store: &(impl Registry + ?Sized),
    project: &str,
    now: Timestamp,
) -> anyhow::Result<ScopeKey> {
    // A project's path has a slash in it, so a number is not a path.
    let Ok(id) = project.parse::<i64>() else {
        let Some(id) = store.project_by_path(project).await?.and_then(|found| found.number()) else {
            bail!(
                "the number of project {project} is not known yet: its first event tells it. Name it by its number, which its page in \
                 the forge shows: --project 42"
            );
        };
        return Ok(ScopeKey::Project(id));
    };
    if id < 1 {
        bail!("--project: {id} is not the number of a project");
    }
    if store.project(id).await?.is_none() {
        let note = command_audit::entry("project.create", format!("project {id}"), &[], now);
        store.override_project(ProjectCorrection::of(id), note).await?;
    }
    Ok(ScopeKey::Project(id))
}

async fn group_of(store: &(impl Registry + ?Sized), group: &str) -> anyhow::Result<ScopeKey> {
    let Some(found) = store.group_by_path(group).await? else {
        bail!(
            "no group {group} is known yet: a group is known once something is set for it \
             (`PUT /api/v4/groups/{}/integrations/…`, with an admin's token)",
            group.replace('/', "%2F")
        );
    };
    Ok(ScopeKey::Group(found.key))
}

/// The text beside the token: what it may do, and how to use it.
fn words(token: &StoredToken, place: &str, base: &str) -> String {
    let end =
        token.expires_at.map_or_else(|| "without expiry".to_owned(), |end| format!("until {}", local(end)));
    let use_it = match (token.access.right, token.access.reach) {
        (Right::Ingest, _) => format!("events go to {base}/events, with it as PRIVATE-TOKEN"),
        (Right::Alerts, _) => {
            let path =
                place.split_once('(').and_then(|(_, path)| path.strip_suffix(')')).unwrap_or("GROUP/PROJECT");
            format!(
                "Alertmanager posts to {base}/{path}/prometheus/alerts/notify.json, other systems to \
                 {base}/{path}/alerts/notify.json, with it as `Authorization: Bearer …`"
            )
        }
        (_, ScopeKey::Project(id)) => example(base, &format!("projects/{id}/integrations")),
        (_, ScopeKey::Group(_)) => {
            let path = place.strip_prefix("group ").unwrap_or(place).replace('/', "%2F");
            example(base, &format!("groups/{path}/integrations"))
        }
        (_, ScopeKey::Instance | ScopeKey::File(_)) => example(base, "integrations"),
    };
    let number = token.id;
    let may = allows(token.access.right);
    format!("token {number} may {may} {place}, {end}, and is not shown again; {use_it}")
}

fn example(base: &str, path: &str) -> String {
    format!("try `curl -H \"PRIVATE-TOKEN: {}…\" {base}/api/v4/{path}`", token::PREFIX)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parse(words: &[&str]) -> Result<Args, clap::Error> {
        Line::try_parse_from([&["create"], words].concat()).map(|line| line.args)
    }

    #[test]
    fn a_token_is_for_one_place_and_has_one_right() {
        assert_eq!(parse(&["--admin"]).unwrap().right(), Right::Maintain);
        assert_eq!(parse(&["--project", "42", "--read-only"]).unwrap().right(), Right::Read);
        assert_eq!(parse(&["--group", "acme", "--ingest"]).unwrap().right(), Right::Ingest);
        for wrong in [&[][..], &["--admin", "--project", "42"], &["--admin", "--ingest", "--read-only"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn lifetimes_are_days_weeks_or_hours() {
        assert_eq!(lifetime("90d").unwrap(), SignedDuration::from_hours(90 * 24));
        assert_eq!(lifetime("2w").unwrap(), SignedDuration::from_hours(14 * 24));
        assert_eq!(lifetime("12h").unwrap(), SignedDuration::from_hours(12));
        for wrong in ["", "soon", "0d", "-1d", "1y"] {
            assert!(lifetime(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_are_on_one_line() {
        assert_eq!(name(" ci ").unwrap(), "ci");
        for wrong in ["", " ", "a\nb", "\u{1b}[2J"] {
            assert!(name(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_text_says_how_to_use_the_token_and_does_not_have_it() {
        let token = |reach, right| StoredToken {
            id: 3,
            name: "ci".to_owned(),
            hash: [7; 32],
            access: Access { reach, right },
            expires_at: Some(Timestamp::from_second(1_770_000_000).unwrap()),
            revoked_at: None,
            revision: 1,
            created_at: Timestamp::UNIX_EPOCH,
        };
        let said = words(
            &token(ScopeKey::Project(42), Right::Maintain),
            "project 42 (acme/web)",
            "http://bell:8090",
        );
        let expected = "token 3 may see and change project 42 (acme/web), until 2026-02-02T02:40:00Z, and is not shown \
             again; try `curl -H \"PRIVATE-TOKEN: fbt-…\" http://bell:8090/api/v4/projects/42/integrations`";
        assert_eq!(said, expected);
        let ingest = StoredToken { expires_at: None, ..token(ScopeKey::Instance, Right::Ingest) };
        let said = words(&ingest, "everything", "http://bell:8090");
        assert!(said.contains("without expiry") && said.contains("http://bell:8090/events"), "{said}");
    }
}

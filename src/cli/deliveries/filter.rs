//! Selects the deliveries for a command: by project, integration, event and time. An unknown name is an error, so that
//! a misspelt name does not look like an empty result.

use std::collections::BTreeSet;

use anyhow::bail;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, civil};

use crate::adapters::{self, ADAPTERS};
use crate::catalog::{Catalog as _, ResolvedScope, Snapshot, integration_id};
use crate::cli::table::zone;
use crate::cli::{complain, state};
use crate::config::Config;
use crate::event::EventId;
use crate::integration::{IntegrationId, Scope};
use crate::provision::did_you_mean;
use crate::store::{DeliveryFilter, EventFilter, EventsOf, State, Store};

/// The most integrations that a list finds by the name of the default whose settings they inherit.
const MOST_HEIRS: usize = 20;

#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct FilterArgs {
    /// Only those of this integration: `acme/rocket:slack`; of a group or the instance (`groups/acme:slack`), with
    /// those that inherit its settings
    #[arg(long, value_name = "ID", value_parser = integration_name)]
    pub(super) integration: Option<IntegrationId>,
    /// Only those of events of this project, or of this group and all that lies in it, by its full path
    #[arg(long, value_name = "PATH")]
    pub(super) project: Option<String>,
    /// Only those that ended (if they wait: were written) since then: `14:03`, `2026-11-30 14:03` (in this machine's
    /// time zone), or `2h` ago
    #[arg(long, value_name = "TIME", value_parser = past_moment)]
    pub(super) since: Option<Timestamp>,
    /// Only those that ended (if they wait: were written) before then
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(super) until: Option<Timestamp>,
}

impl FilterArgs {
    /// Whether anything is named.
    pub(super) fn is_set(&self) -> bool {
        let Self { integration, project, since, until } = self;
        integration.is_some() || project.is_some() || since.is_some() || until.is_some()
    }

    /// `ids` are those of the named integration: see [`ids_of`].
    pub(super) fn filter(&self, state: Option<State>, ids: Vec<IntegrationId>) -> DeliveryFilter {
        DeliveryFilter {
            state,
            integrations: ids,
            project: self.project.clone(),
            since: self.since,
            until: self.until,
            ..DeliveryFilter::default()
        }
    }
}

/// How an integration's name is written.
const NAME_SHAPE: &str = "write it as acme/rocket:slack, a project's path and a service";

/// Reads an integration's name. A service may be written as GitLab writes it, as `microsoft_teams`. Whether there is
/// such an integration is decided by [`known_integration`]: one that was removed still has deliveries.
pub(in crate::cli) fn integration_name(text: &str) -> Result<IntegrationId, String> {
    let (scope, slug) = text.rsplit_once(':').ok_or(NAME_SHAPE)?;
    Ok(IntegrationId::new(format!("{scope}:{}", slug.to_lowercase().replace('_', "-"))))
}

/// A moment that a person wrote: with a date and an offset, in this machine's time zone, or so long ago.
pub(in crate::cli) fn moment(text: &str) -> Result<Timestamp, String> {
    read_moment(text, crate::daemon::now(), &zone())
}

/// The same, for a start: a list that begins in the future is empty, which would look like an answer.
pub(in crate::cli) fn past_moment(text: &str) -> Result<Timestamp, String> {
    let at = moment(text)?;
    if at > crate::daemon::now() { Err(format!("{text} is in the future")) } else { Ok(at) }
}

fn read_moment(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, String> {
    let text = text.trim();
    let here = |at: civil::DateTime| zone.to_timestamp(at).map_err(|error| error.to_string());
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    if let Ok(at) = text.parse::<civil::DateTime>() {
        return here(at);
    }
    if let Ok(time) = text.parse::<civil::Time>() {
        let today = now.to_zoned(zone.clone()).date();
        let at = here(today.to_datetime(time))?;
        // Shortly after midnight, `23:50` is the evening before.
        let yesterday = || today.yesterday().map_err(|error| error.to_string());
        return if at > now { here(yesterday()?.to_datetime(time)) } else { Ok(at) };
    }
    let today = now.to_zoned(zone.clone()).date();
    if let Some(back) = days_back(&text.to_lowercase(), today) {
        let day = today.checked_sub(jiff::Span::new().days(back)).map_err(|error| error.to_string())?;
        return here(day.to_datetime(civil::Time::midnight()));
    }
    let days = text.strip_suffix('d').and_then(|days| days.trim().parse::<u32>().ok());
    let ago = match days {
        Some(days) => Ok(SignedDuration::from_hours(24 * i64::from(days))),
        None => text.parse::<SignedDuration>(),
    };
    match ago {
        Ok(ago) if ago.is_positive() => now.checked_sub(ago).map_err(|error| error.to_string()),
        _ => Err("write a time as 14:03, 2026-11-30, 2026-11-30 14:03, yesterday or tuesday, or how long ago, as 2h or 3d"
            .to_owned()),
    }
}

/// How many days ago the last day with this name began.
fn days_back(word: &str, today: civil::Date) -> Option<i64> {
    use civil::Weekday::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};
    let day = match word {
        "today" => return Some(0),
        "yesterday" => return Some(1),
        "monday" => Monday,
        "tuesday" => Tuesday,
        "wednesday" => Wednesday,
        "thursday" => Thursday,
        "friday" => Friday,
        "saturday" => Saturday,
        "sunday" => Sunday,
        _ => return None,
    };
    Some(i64::from(day.until(today.weekday())))
}

/// Reads an event's id.
pub(in crate::cli) fn event_id(text: &str) -> Result<EventId, String> {
    EventId::new(text).ok_or_else(|| "an event's id is 1 to 200 printable characters".to_owned())
}

/// The ids under which the named integration's deliveries may be stored; none where no integration is named.
pub(in crate::cli) async fn ids_of(
    config: &Config,
    named: Option<&IntegrationId>,
    now: Timestamp,
) -> Vec<IntegrationId> {
    let Some(id) = named else { return Vec::new() };
    match state::view(config, now).await {
        Ok((snapshot, _)) => with_heirs(&snapshot, id),
        Err(error) => {
            complain(&format!("note: the integration is looked for by this name alone: {error:#}"));
            vec![id.clone()]
        }
    }
}

/// All ids of an integration; of a group's or the instance's also those of the integrations that inherit its settings,
/// because a delivery is stored under the project or group of its event.
fn with_heirs(snapshot: &Snapshot, id: &IntegrationId) -> Vec<IntegrationId> {
    let ids = snapshot.ids_of(id);
    let mut heirs = heirs(snapshot, id);
    if heirs.len() > MOST_HEIRS {
        complain(&format!(
            "note: only what `{id}` itself did is found, because more than {MOST_HEIRS} projects and groups inherit its \
             settings; name one of them (acme/rocket:slack), or a group (--project acme)"
        ));
        return ids;
    }
    heirs.retain(|heir| !ids.contains(heir));
    [ids, heirs].concat()
}

/// The integrations of known projects and groups below this scope that inherit the same settings; if there are more
/// than [`MOST_HEIRS`], one more than those.
fn heirs(snapshot: &Snapshot, id: &IntegrationId) -> Vec<IntegrationId> {
    let Some((name, slug)) = id.0.rsplit_once(':') else { return Vec::new() };
    let directory = snapshot.directory();
    let above = directory.resolve(&Scope::from_canonical(name));
    if matches!(above, ResolvedScope::Project { .. }) {
        return Vec::new();
    }
    let inheritance = snapshot.inheritance(&above, slug);
    let Some(settings) = inheritance.effective().or(inheritance.own) else { return Vec::new() };
    let is_below = |scope: &ResolvedScope| {
        let is_named = |path: &str| above.path().is_some_and(|above| above.eq_ignore_ascii_case(path));
        above == ResolvedScope::Instance || scope.ancestors().any(is_named)
    };
    let inherits = |scope: &ResolvedScope| {
        let here = snapshot.inheritance(scope, slug);
        here.is_inherited() && here.default.is_some_and(|default| std::ptr::eq(default, settings))
    };
    let projects = directory.projects().into_iter();
    let projects =
        projects.map(|project| ResolvedScope::Project { id: Some(project.id), path: project.path.clone() });
    let groups = directory
        .groups()
        .into_iter()
        .filter_map(|group| Some(ResolvedScope::Group { key: Some(group.key), path: group.path.clone()? }));
    projects
        .chain(groups)
        .filter(|scope| is_below(scope) && inherits(scope))
        .take(MOST_HEIRS + 1)
        .map(|scope| snapshot.id_at(&scope, slug))
        .collect()
}

/// Refuses unknown names in the filter, and an unknown integration that a person named. It is called if nothing was
/// found.
pub(super) async fn check_names(
    store: &dyn Store,
    config: &Config,
    filter: &DeliveryFilter,
    named: Option<&IntegrationId>,
    now: Timestamp,
) -> anyhow::Result<()> {
    let has_any = |filter: DeliveryFilter| async {
        Ok::<_, anyhow::Error>(!store.deliveries(filter).await?.is_empty())
    };
    let one = DeliveryFilter { limit: 1, ..DeliveryFilter::default() };
    if let Some(event) = &filter.event
        && !has_any(DeliveryFilter { event: Some(event.clone()), ..one.clone() }).await?
    {
        bail!(
            "no delivery is of an event with the id `{event}`: it may have been wanted by no integration (`forgebell explain`)"
        );
    }
    if let Some(id) = named {
        let (snapshot, _) = state::view(config, now).await?;
        if !has_any(DeliveryFilter { integrations: snapshot.ids_of(id), ..one.clone() }).await? {
            known_integration(&snapshot, id)?;
        }
    }
    if let Some(path) = &filter.project
        && !has_any(DeliveryFilter { project: Some(path.clone()), ..one }).await?
    {
        check_project(store, config, path, now).await?;
    }
    Ok(())
}

/// Refuses a project or group that is neither in the event log nor in the catalog.
pub(in crate::cli) async fn check_project(
    store: &dyn Store,
    config: &Config,
    path: &str,
    now: Timestamp,
) -> anyhow::Result<()> {
    let of = EventsOf::Within(path.to_owned());
    if store.events(EventFilter { of, limit: 1, ..EventFilter::default() }).await?.is_empty() {
        known_project(&state::view(config, now).await?.0, path)?;
    }
    Ok(())
}

pub(in crate::cli) fn known_integration(snapshot: &Snapshot, id: &IntegrationId) -> anyhow::Result<()> {
    if snapshot.integration(id).is_some() || snapshot.configured(id).is_some() {
        return Ok(());
    }
    let Some((_, slug)) = id.0.rsplit_once(':') else { bail!("integration `{id}`: {NAME_SHAPE}") };
    if adapters::find(slug).is_none() {
        let remedy = did_you_mean(slug, ADAPTERS.iter().map(|entry| entry.about.slug));
        let remedy = remedy.unwrap_or_else(|| "`forgebell adapters` lists them".to_owned());
        bail!("integration `{id}`: there is no service `{slug}`; {remedy}");
    }
    let configured = snapshot.all_configured().into_iter();
    let names: Vec<_> =
        configured.map(|(scope, configured)| integration_id(&scope, configured.slug())).collect();
    // One that inherits its settings and whose default is gone.
    if names.contains(id) {
        return Ok(());
    }
    let remedy = did_you_mean(&id.0, names.iter().map(|name| &*name.0));
    let remedy =
        remedy.unwrap_or_else(|| "`forgebell integrations list` shows those that there are".to_owned());
    bail!("there is no integration `{id}`; {remedy}")
}

fn known_project(snapshot: &Snapshot, path: &str) -> anyhow::Result<()> {
    let places = places(snapshot);
    if places.contains(&path.to_lowercase()) {
        return Ok(());
    }
    let by_number = path.parse().ok().and_then(|id| snapshot.directory().project(id)?.path.clone());
    let remedy = by_number
        .map(|path| format!("did you mean `{path}`?"))
        .or_else(|| did_you_mean(path, places.iter().map(String::as_str)))
        .unwrap_or_else(|| "write its full path, as acme/rocket".to_owned());
    bail!("there is no project or group `{path}`: {remedy}")
}

/// The paths of all known projects and groups, and of the groups around them, in lower case.
fn places(snapshot: &Snapshot) -> BTreeSet<String> {
    let directory = snapshot.directory();
    let projects = directory.projects().into_iter().filter_map(|project| project.path.clone());
    let groups = directory.groups().into_iter().filter_map(|group| group.path.clone());
    let configured = snapshot.scopes().into_iter().filter_map(|scope| match scope {
        Scope::ProjectPath(path) | Scope::Group(path) => Some(path),
        Scope::ProjectId(_) | Scope::Instance => None,
    });
    let mut places = BTreeSet::new();
    for path in projects.chain(groups).chain(configured) {
        let ends = path.match_indices('/').map(|(end, _)| &path[..end]);
        places.extend(ends.chain([path.as_str()]).map(str::to_lowercase));
    }
    places
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::store::registry::{Changes, Corrected, Learned, StoredProject};

    fn block(place: &str) -> String {
        format!(
            "[[integration]]\n{place}\nadapter = \"slack\"\nwebhook = \"https://hooks.slack.com/services/T1/B1/x\"\n"
        )
    }

    fn snapshot(text: &str) -> Snapshot {
        let no_secrets = |_: &Path| Err(std::io::Error::other("there are no files here"));
        let files = [(PathBuf::from("a.toml"), text.to_owned())];
        crate::provision::read(&files, &no_secrets).expect("it is valid").into_snapshot()
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        let now: Timestamp = "2026-11-30T15:00:00Z".parse().unwrap();
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let read = |text: &str| read_moment(text, now, &zone).map(|at| at.to_string());
        for (text, expected) in [
            ("2026-11-30T14:03:00Z", "2026-11-30T14:03:00Z"),
            ("2026-11-30T14:03:00+02:00", "2026-11-30T12:03:00Z"),
            ("2026-11-30 14:03", "2026-11-30T13:03:00Z"),
            ("14:03", "2026-11-30T13:03:00Z"),
            ("2h", "2026-11-30T13:00:00Z"),
            ("2026-11-24", "2026-11-23T23:00:00Z"),
            ("today", "2026-11-29T23:00:00Z"),
            ("Yesterday", "2026-11-28T23:00:00Z"),
            ("tuesday", "2026-11-23T23:00:00Z"),
            ("monday", "2026-11-29T23:00:00Z"),
            ("90m", "2026-11-30T13:30:00Z"),
            ("3d", "2026-11-27T15:00:00Z"),
            // 16:00 in this zone is now.
            ("16:00", "2026-11-30T15:00:00Z"),
            ("23:50", "2026-11-29T22:50:00Z"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
        }
        for wrong in ["", "noon", "25:00", "-2h", "2026-13-01 10:00"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_that_are_not_known_are_errors_with_a_remedy() {
        let snapshot = snapshot(&block("project = \"acme/rocket\""));
        let of = |id: &str| known_integration(&snapshot, &IntegrationId::new(id)).unwrap_err().to_string();
        let slcak = "integration `acme/rocket:slcak`: there is no service `slcak`";
        assert_eq!(of("acme/rocket:slcak"), format!("{slcak}; did you mean `slack`?"));
        assert!(of("acme/rocket:bell").ends_with("; `forgebell adapters` lists them"));
        assert!(of("acme/rocket").contains("write it as acme/rocket:slack"));
        let rokcet = "there is no integration `acme/rokcet:slack`; did you mean `acme/rocket:slack`?";
        assert_eq!(of("acme/rokcet:slack"), rokcet);
        assert!(of("other:slack").ends_with("`forgebell integrations list` shows those that there are"));
        let of = |path: &str| known_project(&snapshot, path).unwrap_err().to_string();
        assert_eq!(
            of("acme/rokcet"),
            "there is no project or group `acme/rokcet`: did you mean `acme/rocket`?"
        );
        assert!(of("other").ends_with("write its full path, as acme/rocket"));
        assert!(known_project(&snapshot, "Acme").is_ok(), "the group of a known project");
    }

    #[test]
    fn the_name_of_a_default_finds_the_integrations_that_inherit_it() {
        let files = [
            block("instance = true"),
            block("group = \"acme\""),
            block("project = \"acme/own\""),
            block("group = \"other\""),
        ];
        let mut snapshot = snapshot(&files.concat());
        let project = |(id, path): (i64, &str)| StoredProject {
            id,
            path: Some(path.to_owned()),
            learned: Learned::default(),
            corrected: Corrected::default(),
            revision: 0,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        };
        let projects = [(1, "acme/rocket"), (2, "acme/own"), (3, "other/thing"), (4, "alone/thing")];
        snapshot.take_changes(Changes { projects: projects.map(project).into(), ..Changes::default() });
        let of = |id: &str| {
            with_heirs(&snapshot, &IntegrationId::new(id)).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(of("groups/acme:slack"), ["groups/acme:slack", "1:slack"]);
        assert_eq!(of("instance:slack"), ["instance:slack", "4:slack"]);
        assert_eq!(of("1:slack"), ["1:slack", "acme/rocket:slack"]);
        assert!(known_integration(&snapshot, &IntegrationId::new("instance:slack")).is_ok());
    }

    #[test]
    fn a_service_may_be_written_as_gitlab_writes_it() {
        let read = |text: &str| integration_name(text).map(|id| id.to_string());
        assert_eq!(read("acme/my_app:Microsoft_Teams"), Ok("acme/my_app:microsoft-teams".to_owned()));
        assert_eq!(read("slack"), Err(NAME_SHAPE.to_owned()));
    }
}

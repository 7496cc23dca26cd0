//! Selects the deliveries for a command: by project, integration, event and time. An unknown name is an error, so that
//! a misspelt name does not look like an empty result.

use anyhow::bail;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, civil};

use crate::adapters;
use crate::catalog::{Catalog as _, Snapshot};
use crate::cli::{complain, state};
use crate::config::Config;
use crate::event::EventId;
use crate::integration::{IntegrationId, Scope};
use crate::store::{DeliveryFilter, DeliveryLine, Ledger, State};

#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct FilterArgs {
    /// Only those of this integration (`acme/rocket:slack`)
    #[arg(long, value_name = "ID")]
    pub(super) integration: Option<String>,
    /// Only those of events of this project, or of this group itself and not of what lies in it, by its full path
    #[arg(long, value_name = "PATH")]
    pub(super) project: Option<String>,
    /// Only those that ended (if they wait: were written) since then: `14:03`, `2026-11-30 14:03`, or `2h` ago
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

    pub(super) fn filter(&self, state: Option<State>) -> DeliveryFilter {
        DeliveryFilter {
            state,
            integration: self.integration.as_deref().map(IntegrationId::new),
            project: self.project.clone(),
            since: self.since,
            until: self.until,
            ..DeliveryFilter::default()
        }
    }
}

/// A moment that a person wrote: with a date and an offset, in this machine's time zone, or so long ago.
pub(in crate::cli) fn moment(text: &str) -> Result<Timestamp, String> {
    read_moment(text, crate::daemon::now(), &TimeZone::system())
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

/// The deliveries that pass a filter, newest first. If the filter names an integration, the deliveries under each of
/// the integration's ids are found.
pub(super) async fn found(
    ledger: &dyn Ledger,
    filter: &DeliveryFilter,
    ids: &[IntegrationId],
) -> anyhow::Result<Vec<DeliveryLine>> {
    if ids.is_empty() {
        return Ok(ledger.deliveries(filter.clone()).await?);
    }
    let mut lines = Vec::new();
    for id in ids {
        let of_id = DeliveryFilter { integration: Some(id.clone()), ..filter.clone() };
        lines.extend(ledger.deliveries(of_id).await?);
    }
    lines.sort_by_key(|line| std::cmp::Reverse(line.id.0));
    lines.truncate(filter.limit);
    Ok(lines)
}

/// The ids under which the named integration's deliveries may be stored; none where no integration is named.
pub(in crate::cli) async fn ids_of(
    config: &Config,
    named: Option<&IntegrationId>,
    now: Timestamp,
) -> Vec<IntegrationId> {
    let Some(id) = named else { return Vec::new() };
    match state::view(config, now).await {
        Ok((snapshot, _)) => snapshot.ids_of(id),
        Err(error) => {
            complain(&format!("note: the integration is looked for by this name alone: {error:#}"));
            vec![id.clone()]
        }
    }
}

/// Refuses unknown names in the filter. It is called if nothing was found.
pub(super) async fn check_names(
    ledger: &dyn Ledger,
    config: &Config,
    filter: &DeliveryFilter,
    now: Timestamp,
) -> anyhow::Result<()> {
    let has_any = |filter: DeliveryFilter| async {
        Ok::<_, anyhow::Error>(!ledger.deliveries(filter).await?.is_empty())
    };
    let one = DeliveryFilter { limit: 1, ..DeliveryFilter::default() };
    if let Some(event) = &filter.event
        && !has_any(DeliveryFilter { event: Some(event.clone()), ..one.clone() }).await?
    {
        bail!(
            "no delivery is of an event with the id `{event}`: it may have been wanted by no integration (`forgebell explain`)"
        );
    }
    let (integration, project) = (&filter.integration, &filter.project);
    let in_rows = (
        match integration {
            Some(_) => has_any(DeliveryFilter { integration: integration.clone(), ..one.clone() }).await?,
            None => true,
        },
        match project {
            Some(_) => has_any(DeliveryFilter { project: project.clone(), ..one }).await?,
            None => true,
        },
    );
    if in_rows == (true, true) {
        return Ok(());
    }
    let (snapshot, _) = state::view(config, now).await?;
    if let (Some(id), false) = (integration, in_rows.0) {
        known_integration(&snapshot, id)?;
    }
    if let (Some(path), false) = (project, in_rows.1) {
        known_project(&snapshot, path)?;
    }
    Ok(())
}

pub(in crate::cli) fn known_integration(snapshot: &Snapshot, id: &IntegrationId) -> anyhow::Result<()> {
    if snapshot.integration(id).is_some() {
        return Ok(());
    }
    match id.0.rsplit_once(':') {
        Some((_, slug)) if adapters::find(slug).is_some() => {}
        Some((_, slug)) => {
            bail!("integration `{id}`: there is no service `{slug}`; `forgebell adapters` lists them")
        }
        None => bail!("integration `{id}`: write it as acme/rocket:slack, a project's path and a service"),
    }
    bail!("there is no integration `{id}`; `forgebell integrations list` shows those that there are")
}

pub(in crate::cli) fn known_project(snapshot: &Snapshot, path: &str) -> anyhow::Result<()> {
    let scopes = [Scope::ProjectPath(path.to_owned()), Scope::Group(path.to_owned())];
    let is_known = scopes.iter().any(|scope| snapshot.known(scope).is_some());
    let is_configured = || {
        let is_it = |scope: &Scope| scopes.iter().any(|named| named.canonical() == scope.canonical());
        snapshot.scopes().iter().any(is_it)
    };
    if is_known || is_configured() {
        return Ok(());
    }
    bail!("there is no project or group `{path}`: write its full path, as acme/rocket")
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let snapshot = Snapshot::default();
        let of = |id: &str| known_integration(&snapshot, &IntegrationId::new(id)).unwrap_err().to_string();
        assert_eq!(
            of("acme/rocket:slcak"),
            "integration `acme/rocket:slcak`: there is no service `slcak`; `forgebell adapters` lists them"
        );
        assert!(of("acme/rocket").contains("write it as acme/rocket:slack"));
        assert!(of("acme/rocket:slack").contains("there is no integration"));
        assert!(known_project(&snapshot, "acme/rokcet").unwrap_err().to_string().contains("`acme/rokcet`"));
    }
}

//! `…/integrations` and `…/integrations/:slug`: list, show, set, switch off.

use std::collections::BTreeSet;

use axum::Json;
use axum::http::StatusCode;
use jiff::Timestamp;
use tracing::warn;
use utoipa_axum::routes;

use super::Route;
use super::alert_tokens;
use super::authorized::{Read, Upsert, Write};
use super::caller::{Caller, Named};
use super::extract::{IntegrationRequest, ScopeRequest};
use super::integration_health::{Probed, health_of, probed};
use super::params::Params;
use super::precondition::{IfUnmodifiedSince, unmodified_since};
use super::properties::shown_properties;
use super::put_params;
use crate::adapters::ADAPTERS;
use crate::api::State;
use crate::api::error::responses::{Changes, ReadsBody};
use crate::api::error::{ApiError, Missing};
use crate::api::resources::{
    DeadAddress, FurtherFlags, GitLabFlags, Integration, IntegrationBasic, IntegrationHead, IntegrationTail,
    Moment, Resumed, SavedIntegration,
};
use crate::catalog::{
    self, Actor, ChangeError, FIRST_DERIVED_ID, Inheritance, Noted, Origin, ResolvedScope, Snapshot,
    integration_id,
};
use crate::integration::IntegrationId;
use crate::pipeline::addresses::Addresses;
use crate::pipeline::holds::HoldSet;
use crate::pipeline::resume::{held_by, of_these_settings};
use crate::store::registry::AuditEntry;

/// The routes of one level. `{level}` and `{integration}` in their descriptions are filled in for each level and adapter.
pub(super) fn routes() -> Vec<Route> {
    vec![routes!(list), routes!(show, put, delete), routes!(resume)]
}

/// List the active integrations of {level}
///
/// One whose addresses are all dead is listed too, as not active: see `switched_off`.
#[utoipa::path(
    get, path = "", operation_id = "list{Level}{Integration}s",
    responses(
        (status = 200, description = "All of them, on one page.", body = [IntegrationBasic]),
        ScopeRequest<Read>
    )
)]
pub(super) async fn list(
    ScopeRequest { authorized, scope }: ScopeRequest<Read>,
) -> Json<Vec<IntegrationBasic>> {
    let holds = authorized.state.holds.snapshot();
    let found: Vec<(Integration, Option<Probed>)> = authorized.state.catalog.read(|snapshot| {
        let active = ADAPTERS.iter().filter_map(|entry| {
            let slug = entry.about.slug;
            let integration = object(&scope, snapshot.inheritance(&scope, slug))?;
            let is_on = integration.head.active || !integration.tail.switched_off.is_empty();
            let applies = is_on.then(|| snapshot.at(&scope, slug))?;
            let integration = with_dead_addresses(integration, applies.as_deref(), &holds);
            Some((integration, probed(snapshot, &scope, slug)))
        });
        active.collect()
    });
    let (mut active, probed): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    let health = health_of(&*authorized.state.watches, &probed).await;
    active.iter_mut().zip(health).for_each(|(integration, health)| integration.tail.health = health);
    // The order is that of creation. Integrations without their own row come last.
    active.sort_by_key(|integration| integration.head.id.min(FIRST_DERIVED_ID));
    Json(active.into_iter().map(|Integration { head, tail, .. }| IntegrationBasic { head, tail }).collect())
}

/// Show {integration} of {level}
#[utoipa::path(
    get, path = "/{slug}", operation_id = "get{Level}{Integration}",
    responses(
        (status = 200, description = "The integration, active or not.", body = Integration),
        IntegrationRequest<Read>
    )
)]
pub(super) async fn show(request: IntegrationRequest<Read>) -> Result<Json<Integration>, ApiError> {
    shown(request.named()).await.map(Json)
}

/// Set {integration} of {level}
///
/// The integration becomes active. A parameter that is not sent keeps its value, but required ones have to be sent each
/// time. Unknown parameters are ignored, and `warnings` names them. For `alerts`, the first answer has a `token`, which is
/// not shown again; with `reset_token` there is a new one, and the former ends.
#[utoipa::path(
    put, path = "/{slug}", operation_id = "put{Level}{Integration}", params(IfUnmodifiedSince),
    responses(
        (status = 200, description = "The integration as it is now.", body = SavedIntegration),
        IntegrationRequest<Upsert>, ReadsBody, Changes
    )
)]
pub(super) async fn put(mut request: IntegrationRequest<Upsert>) -> Result<Json<SavedIntegration>, ApiError> {
    let params = request.authorized.params().await?;
    let unless_changed_since = unmodified_since(&request.authorized.head.headers);
    let nothing = BTreeSet::new();
    save(request.named(), &params, &nothing, BTreeSet::new(), unless_changed_since).await.map(Json)
}

/// Sets an integration. Parameters in `kept` keep their values although they are not sent, even required ones.
/// Parameters in `cleared` become unset.
pub(in crate::api) async fn save(
    named: Named<'_>,
    params: &Params,
    kept: &BTreeSet<&str>,
    cleared: BTreeSet<String>,
    unless_changed_since: Option<Timestamp>,
) -> Result<SavedIntegration, ApiError> {
    let Named { caller, scope, entry } = named;
    let mut wanted = put_params::read(entry, params, kept)?;
    wanted.unset.extend(cleared);
    let alerts = alert_tokens::project_of(named)?;
    let actor = caller.actor();
    let state = &caller.state;
    state.catalog.put(change(named, unless_changed_since, &actor), &wanted).await?;
    let slug = entry.about.slug;
    let ineffective = state.catalog.read(|snapshot| {
        let own = snapshot.inheritance(scope, slug).own;
        own.map(|own| catalog::warnings(own, &state.catalog.url_policy())).unwrap_or_default()
    });
    let mut warnings = put_params::unknown(entry, params);
    warnings.extend(ineffective.iter().map(ToString::to_string));
    if !warnings.is_empty() {
        let warnings = warnings.join("; ");
        warn!(%scope, slug, by = actor.0, warnings, "an integration was set, and not all of it has an effect");
    }
    let saved = these_settings(named);
    state.try_again(&saved, caller.now).await;
    let token = match alerts {
        Some(project) => {
            let (now, reset) = (caller.now, put_params::resets_token(params));
            alert_tokens::Change { state, project, actor: &actor, now }.put(reset).await?
        }
        None => None,
    };
    Ok(SavedIntegration { integration: shown(named).await?, token, warnings })
}

/// Switch {integration} of {level} off
///
/// Its settings are kept. For `alerts`, all alert tokens of the project are revoked.
#[utoipa::path(
    delete, path = "/{slug}", operation_id = "delete{Level}{Integration}", params(IfUnmodifiedSince),
    responses(
        (status = 204, description = "It is off; its settings are kept."),
        IntegrationRequest<Write>, Changes
    )
)]
pub(super) async fn delete(request: IntegrationRequest<Write>) -> Result<StatusCode, ApiError> {
    switch_off(request.named(), unmodified_since(&request.authorized.head.headers)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Switches an integration off.
pub(in crate::api) async fn switch_off(
    named: Named<'_>,
    unless_changed_since: Option<Timestamp>,
) -> Result<(), ApiError> {
    let Caller { state, now, .. } = named.caller;
    let actor = named.caller.actor();
    let alerts = alert_tokens::project_of(named)?;
    let switched_off = state.catalog.deactivate(change(named, unless_changed_since, &actor)).await;
    if let Some(project) = alerts
        && matches!(switched_off, Ok(()) | Err(ChangeError::NeverConfigured))
    {
        let tokens = alert_tokens::Change { state, project, actor: &actor, now: *now };
        // The command line makes tokens of projects for which nothing was set.
        if tokens.revoke_all().await? {
            return Ok(());
        }
    }
    Ok(switched_off?)
}

/// End what {integration} of {level} waits for
///
/// Holds that its settings led to end, as after a save of the same settings: what waited is due. A service's own throttle
/// ends by time alone.
#[utoipa::path(
    post, path = "/{slug}/resume", operation_id = "resume{Level}{Integration}",
    responses((status = 200, description = "How many holds ended.", body = Resumed), IntegrationRequest<Write>)
)]
pub(super) async fn resume(request: IntegrationRequest<Write>) -> Result<Json<Resumed>, ApiError> {
    resumed(request.named()).await.map(Json)
}

/// Makes deliveries that wait for an integration due now, even if an address was switched off.
pub(in crate::api) async fn resumed(named: Named<'_>) -> Result<Resumed, ApiError> {
    let Caller { state, now, .. } = named.caller;
    shown(named).await?;
    let ids = these_settings(named);
    let own = state.catalog.read(|snapshot| snapshot.id_at(named.scope, named.entry.about.slug));
    let audit = AuditEntry::whole(*now, &named.caller.actor().0, "integration.resume", own.to_string());
    state.registry.note(audit).await?;
    let before = held_by(&state.outbox.holds(*now).await?, &ids, *now);
    state.try_again(&ids, *now).await;
    let after = held_by(&state.outbox.holds(*now).await?, &ids, *now);
    Ok(Resumed { integration: own.to_string(), ended: before.saturating_sub(after) })
}

fn these_settings(Named { caller, scope, entry }: Named<'_>) -> BTreeSet<IntegrationId> {
    let holds = caller.state.holds.snapshot();
    caller.state.catalog.read(|snapshot| of_these_settings(snapshot, &holds, scope, entry.about.slug))
}

fn change<'a>(
    Named { caller, scope, entry }: Named<'a>,
    unless_changed_since: Option<Timestamp>,
    actor: &'a Actor,
) -> catalog::Change<'a> {
    catalog::Change { scope, entry, unless_changed_since, actor, now: caller.now }
}

/// An integration as the API shows it, with its dead addresses and its health.
pub(in crate::api) async fn shown(
    Named { caller, scope, entry }: Named<'_>,
) -> Result<Integration, ApiError> {
    let (slug, holds) = (entry.about.slug, caller.state.holds.snapshot());
    let shown = caller.state.catalog.read(|snapshot| {
        let integration = integration_object(snapshot, scope, slug, &holds)?;
        Some((integration, probed(snapshot, scope, slug)))
    });
    let shown = shown.ok_or(ApiError::NotFound(Missing::Integration))?;
    Ok(with_health(&caller.state, shown).await)
}

async fn with_health(state: &State, (mut integration, probed): (Integration, Option<Probed>)) -> Integration {
    integration.tail.health = health_of(&*state.watches, &[probed]).await.pop().flatten();
    integration
}

/// An integration of a scope with its dead addresses, as the API shows it, also for commands.
pub fn integration_object(
    snapshot: &Snapshot,
    scope: &ResolvedScope,
    slug: &str,
    holds: &HoldSet,
) -> Option<Integration> {
    let integration = object(scope, snapshot.inheritance(scope, slug))?;
    let applies = snapshot.at(scope, slug);
    Some(with_dead_addresses(integration, applies.as_deref(), holds))
}

/// The object with its dead addresses. `applies` is the integration that sends, if one does.
fn with_dead_addresses(
    mut shown: Integration,
    applies: Option<&crate::integration::Integration>,
    holds: &HoldSet,
) -> Integration {
    if let Some(applies) = applies {
        let state = Addresses::of(applies, holds);
        shown.head.active &= !state.all_dead;
        shown.tail.switched_off.extend(state.dead.into_iter().map(DeadAddress::from));
    }
    shown
}

/// Why an integration is off that has no settings of its own.
const NO_DEFAULT: &str =
    "it follows a default that is not set any more: send its own settings, or set a default above";

/// The integration that applies to a scope: its own, or the default that it follows.
fn object(scope: &ResolvedScope, inheritance: Inheritance<'_>) -> Option<Integration> {
    let effective = inheritance.effective().or(inheritance.own)?;
    let followed = inheritance.own.filter(|own| own.configuration.inherits);
    // An integration that only inherits has the times of the default, and its own derived number.
    let inherited = || {
        let Noted { created_at, updated_at, .. } = effective.noted;
        Noted::derived(&integration_id(&scope.name(), effective.slug()), created_at, updated_at)
    };
    let Noted { id, created_at, updated_at } = inheritance.own.map_or_else(inherited, |own| own.noted);
    let about = &effective.entry.about;
    let configuration = &effective.configuration;
    let unusable = effective.unusable();
    let why_off = match unusable {
        Some(errors) => Some(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
        None if inheritance.effective().is_none() => Some(NO_DEFAULT.to_owned()),
        None => None,
    };
    let off = why_off.map(|reason| DeadAddress { targets: Vec::new(), reason, since: Moment(updated_at) });
    Some(Integration {
        head: IntegrationHead {
            id,
            title: about.title,
            slug: about.slug,
            created_at: Moment(created_at),
            updated_at: Moment(updated_at),
            active: effective.is_switched_on()
                && followed.is_none_or(|own| own.configuration.active)
                && off.is_none(),
            flags: GitLabFlags::new(effective.entry, &configuration.flags),
            inherited: inheritance.is_inherited(),
        },
        properties: shown_properties(effective.entry, configuration),
        tail: IntegrationTail {
            flags: FurtherFlags::new(effective.entry, &configuration.flags),
            origin: match &effective.origin {
                Origin::File(name) => Some(name.to_string()),
                Origin::Stored { .. } => None,
            },
            switched_off: off.into_iter().collect(),
            health: None,
            alerts_path: alert_tokens::path_of(scope, effective.slug()),
        },
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::adapters;
    use crate::catalog::Configured;
    use crate::settings::{Secret, SmallMap, Value};
    use crate::store::registry::Configuration;

    fn configured(active: bool, inherits: bool, channel: &str, number: i64) -> Configured {
        let configuration = Configuration {
            active,
            inherits,
            properties: SmallMap::from([("channel".to_owned(), Value::Text(channel.to_owned()))]),
            secrets: SmallMap::from([("webhook".to_owned(), Secret::new("https://chat.example.com/x"))]),
            ..Configuration::default()
        };
        let entry = adapters::find("slack").unwrap();
        let resolved = crate::catalog::Resolved::read(entry, &configuration).map(Arc::new);
        let noted = Noted {
            id: number,
            created_at: Timestamp::from_second(number).unwrap(),
            updated_at: Timestamp::from_second(10 * number).unwrap(),
        };
        Configured { entry, configuration, resolved, origin: Origin::Stored { revision: number }, noted }
    }

    fn of_project(own: Option<&Configured>, default: Option<&Configured>) -> Option<Integration> {
        object(&ResolvedScope::Project { id: Some(42), path: None }, Inheritance { own, default })
    }

    /// The number (`None` where it is derived), whether it is active and inherited, and the channel.
    fn shown(
        own: Option<&Configured>,
        default: Option<&Configured>,
    ) -> Option<(Option<i64>, bool, bool, String)> {
        let Integration { head, properties, .. } = of_project(own, default)?;
        let channel = properties.0.iter().find(|(name, _)| name == "channel").unwrap().1.as_ref();
        let channel = channel.map(crate::api::resources::ShownValue::as_text).unwrap_or_default();
        let row = Some(head.id).filter(|id| *id < FIRST_DERIVED_ID);
        Some((row, head.active, head.inherited, channel))
    }

    #[test]
    fn own_settings_are_shown_whatever_the_default_is() {
        let (own, default) = (configured(true, false, "#own", 1), configured(true, false, "#default", 2));
        assert_eq!(shown(Some(&own), Some(&default)), Some((Some(1), true, false, "#own".to_owned())));
        let off = configured(false, false, "#own", 1);
        assert_eq!(shown(Some(&off), Some(&default)), Some((Some(1), false, false, "#own".to_owned())));
    }

    #[test]
    fn a_default_is_shown_as_inherited_where_there_is_nothing_else() {
        let default = configured(true, false, "#default", 2);
        assert_eq!(shown(None, Some(&default)), Some((None, true, true, "#default".to_owned())));
        let follows = configured(true, true, "", 1);
        assert_eq!(shown(Some(&follows), Some(&default)), Some((Some(1), true, true, "#default".to_owned())));
        let off = configured(false, false, "#default", 2);
        assert_eq!(shown(None, Some(&off)), None, "a default that is off has no effect");
        assert_eq!(shown(Some(&follows), Some(&off)), Some((Some(1), false, true, "#default".to_owned())));
        assert_eq!(shown(None, None), None);
    }

    #[test]
    fn one_that_only_inherits_has_a_number_of_its_own_and_is_as_old_as_the_default() {
        let default = configured(true, false, "#default", 2);
        let head = of_project(None, Some(&default)).unwrap().head;
        assert_eq!((head.created_at.0.as_second(), head.updated_at.0.as_second()), (2, 20));
        let other = ResolvedScope::Project { id: Some(43), path: None };
        let elsewhere = object(&other, Inheritance { own: None, default: Some(&default) }).unwrap().head;
        assert_ne!(head.id, elsewhere.id);
        assert!(head.id >= FIRST_DERIVED_ID && head.id < 2 * FIRST_DERIVED_ID);
        assert_eq!(of_project(None, Some(&default)).unwrap().head.id, head.id);
    }

    #[test]
    fn one_from_a_file_has_its_name() {
        let mut own = configured(true, false, "#own", 1);
        own.origin = Origin::File("ops.toml".into());
        assert_eq!(of_project(Some(&own), None).unwrap().tail.origin.as_deref(), Some("ops.toml"));
    }

    #[test]
    fn a_full_object_has_gitlabs_keys_in_gitlabs_order_and_ours_after_them() {
        let mut own = configured(true, false, "#ops", 75);
        own.configuration.flags =
            SmallMap::from([("push_events".to_owned(), false), ("job_events".to_owned(), false)]);
        own.configuration
            .properties
            .insert("notify_only_broken_pipelines".to_owned(), Value::Text("1".to_owned()));
        let integration = of_project(Some(&own), None).unwrap();
        let full = serde_json::to_string(&integration).unwrap();
        let (head, rest) = full.split_once(r#""properties":"#).unwrap();
        let expected = concat!(
            r#"{"id":75,"title":"Slack notifications","slug":"slack","#,
            r#""created_at":"1970-01-01T00:01:15.000Z","updated_at":"1970-01-01T00:12:30.000Z","active":true,"#,
            r#""commit_events":true,"push_events":false,"issues_events":true,"incident_events":false,"#,
            r#""alert_events":true,"confidential_issues_events":true,"merge_requests_events":true,"#,
            r#""tag_push_events":true,"deployment_events":false,"note_events":true,"#,
            r#""confidential_note_events":true,"pipeline_events":true,"wiki_page_events":true,"#,
            r#""job_events":false,"comment_on_event_enabled":true,"inherited":false,"#,
        );
        assert_eq!(head, expected);
        let (properties, tail) = rest.split_once('}').unwrap();
        assert!(properties.contains(r##""channel":"#ops""##), "{properties}");
        assert!(properties.contains(r#""notify_only_broken_pipelines":true"#), "{properties}");
        let expected = concat!(
            r#","vulnerability_events":false,"group_mention_events":false,"#,
            r#""group_confidential_mention_events":false,"archive_trace_events":false,"#,
            r#""subgroup_events":true,"project_events":true,"release_events":false,"feature_flag_events":false,"#,
            r#""milestone_events":false,"origin":null,"switched_off":[],"health":null}"#,
        );
        assert_eq!(tail, expected);
        let Integration { head, tail, .. } = integration;
        let basic = serde_json::to_value(IntegrationBasic { head, tail }).unwrap();
        let mut full: serde_json::Value = serde_json::from_str(&full).unwrap();
        full.as_object_mut().unwrap().remove("properties").unwrap();
        assert_eq!(basic, full, "a basic object is the same without properties");
    }
}

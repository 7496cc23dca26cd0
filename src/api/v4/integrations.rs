//! `…/integrations` and `…/integrations/:slug`: list, show, set, switch off.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::authorized::{Read, Upsert, Write};
use super::extract::{IntegrationRequest, ScopeRequest};
use super::object::{Basic, Full, Shown};
use super::precondition::unmodified_since;
use super::response::json_text;
use super::{ApiError, put_params};
use crate::adapters::ADAPTERS;
use crate::api::error::Missing;
use crate::catalog::{self, Actor, Configured, Inheritance, Origin};

/// `GET …/integrations`: those that are active, in the order in which they were made.
pub(super) async fn list(
    ScopeRequest { authorized, scope }: ScopeRequest<Read>,
) -> Result<Response, ApiError> {
    let text = authorized.state.catalog.read(|snapshot| {
        let mut all: Vec<Shown<'_>> = ADAPTERS
            .iter()
            .filter_map(|entry| shown(snapshot.inheritance(&scope, entry.about.slug)))
            .filter(|shown| shown.active)
            .collect();
        // Those from files have no number, and come last.
        all.sort_by_key(|shown| (shown.id.is_none(), shown.id));
        text(&all.into_iter().map(Basic).collect::<Vec<_>>())
    })?;
    Ok(json_text(StatusCode::OK, text))
}

/// `GET …/integrations/:slug`
pub(super) async fn show(request: IntegrationRequest<Read>) -> Result<Response, ApiError> {
    full(&request)
}

/// `PUT …/integrations/:slug`
pub(super) async fn put(mut request: IntegrationRequest<Upsert>) -> Result<Response, ApiError> {
    let params = request.authorized.params().await?;
    let wanted = put_params::read(request.entry, &params)?;
    let who = request.authorized.actor();
    request.authorized.state.catalog.put(change(&request, &who), &wanted).await?;
    full(&request)
}

/// `DELETE …/integrations/:slug`: off, with its settings kept.
pub(super) async fn delete(request: IntegrationRequest<Write>) -> Result<Response, ApiError> {
    let who = request.authorized.actor();
    request.authorized.state.catalog.deactivate(change(&request, &who)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn change<'a, I>(request: &'a IntegrationRequest<I>, actor: &'a Actor) -> catalog::Change<'a> {
    let IntegrationRequest { authorized, scope, entry } = request;
    let unless_changed_since = unmodified_since(&authorized.head.headers);
    catalog::Change { scope, entry, unless_changed_since, actor, now: authorized.now }
}

fn full<I>(request: &IntegrationRequest<I>) -> Result<Response, ApiError> {
    let text = request.authorized.state.catalog.read(|snapshot| {
        let shown = shown(snapshot.inheritance(&request.scope, request.entry.about.slug));
        text(&Full(shown.ok_or(ApiError::NotFound(Missing::Integration))?))
    })?;
    Ok(json_text(StatusCode::OK, text))
}

/// Objects are made while the catalogue is looked at, and are text when that is over.
fn text(object: &impl serde::Serialize) -> Result<String, ApiError> {
    serde_json::to_string(object).map_err(|error| {
        tracing::error!(%error, "an object could not be written");
        ApiError::Internal
    })
}

/// What is shown of what holds somewhere: its own setup, or the default that it follows.
pub(super) fn shown(inheritance: Inheritance<'_>) -> Option<Shown<'_>> {
    let counts = inheritance.effective().or(inheritance.own)?;
    let followed = inheritance.own.filter(|own| own.configuration.inherits);
    let row = inheritance.own.unwrap_or(counts);
    Some(Shown {
        id: inheritance.own.and_then(|own| stored(own).map(|(id, ..)| id)),
        entry: counts.entry,
        created_at: stored(row).map(|(_, created_at, _)| created_at),
        updated_at: stored(row).map(|(.., updated_at)| updated_at),
        active: counts.configuration.active && followed.is_none_or(|own| own.configuration.active),
        inherited: inheritance.is_inherited(),
        flags: &counts.configuration.flags,
        properties: &counts.configuration.properties,
        origin: match &counts.origin {
            Origin::File(name) => Some(name),
            Origin::Stored { .. } => None,
        },
    })
}

fn stored(configured: &Configured) -> Option<(i64, jiff::Timestamp, jiff::Timestamp)> {
    match configured.origin {
        Origin::Stored { id, created_at, updated_at, .. } => Some((id, created_at, updated_at)),
        Origin::File(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::adapters;
    use crate::settings::{Secret, Value};
    use crate::store::registry::Configuration;

    fn configured(active: bool, inherits: bool, channel: &str, origin: Origin) -> Configured {
        let configuration = Configuration {
            active,
            inherits,
            properties: BTreeMap::from([("channel".to_owned(), Value::Text(channel.to_owned()))]),
            secrets: BTreeMap::from([("webhook".to_owned(), Secret::new("https://chat.example.com/x"))]),
            ..Configuration::default()
        };
        let entry = adapters::find("slack").unwrap();
        let resolved = crate::catalog::Resolved::read(entry, &configuration).map(Arc::new);
        Configured { entry, configuration, resolved, origin }
    }

    fn row(id: i64) -> Origin {
        Origin::Stored {
            id,
            revision: id,
            created_at: Timestamp::from_second(id).unwrap(),
            updated_at: Timestamp::from_second(10 * id).unwrap(),
        }
    }

    fn told(
        own: Option<&Configured>,
        default: Option<&Configured>,
    ) -> Option<(Option<i64>, bool, bool, String)> {
        let shown = shown(Inheritance { own, default })?;
        let channel = shown.properties.get("channel").map(Value::as_text).unwrap_or_default();
        Some((shown.id, shown.active, shown.inherited, channel))
    }

    #[test]
    fn ones_own_settings_are_shown_whatever_the_default_says() {
        let (own, default) =
            (configured(true, false, "#own", row(1)), configured(true, false, "#default", row(2)));
        assert_eq!(told(Some(&own), Some(&default)), Some((Some(1), true, false, "#own".to_owned())));
        let off = configured(false, false, "#own", row(1));
        assert_eq!(told(Some(&off), Some(&default)), Some((Some(1), false, false, "#own".to_owned())));
    }

    #[test]
    fn a_default_is_shown_as_inherited_where_there_is_nothing_else() {
        let default = configured(true, false, "#default", row(2));
        assert_eq!(told(None, Some(&default)), Some((None, true, true, "#default".to_owned())));
        let follows = configured(true, true, "", row(1));
        assert_eq!(told(Some(&follows), Some(&default)), Some((Some(1), true, true, "#default".to_owned())));
        let off = configured(false, false, "#default", row(2));
        assert_eq!(told(None, Some(&off)), None, "a default that is off says nothing");
        assert_eq!(told(Some(&follows), Some(&off)), Some((Some(1), false, true, "#default".to_owned())));
        assert_eq!(told(None, None), None);
    }

    #[test]
    fn one_from_a_file_has_its_name_and_no_number() {
        let own = configured(true, false, "#own", Origin::File("ops.toml".into()));
        let inheritance = Inheritance { own: Some(&own), default: None };
        let shown = shown(inheritance).unwrap();
        assert_eq!((shown.id, shown.created_at, shown.origin), (None, None, Some("ops.toml")));
    }
}

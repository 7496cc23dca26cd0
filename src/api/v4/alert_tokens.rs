//! The tokens of the integration `alerts`: `PUT` makes one where there is none, or with `reset_token` another one; `DELETE`
//! revokes all of the project.
//!
//! A `PUT` that only repeats what is set keeps the token, because clients such as Terraform send what they read. A project may
//! have several alert tokens: those that the command line makes are for one monitoring system each, and have their own
//! names. `PUT` ends only those that it made itself, so that rotating one does not silence the others.

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::caller::Named;
use crate::adapters::alerts::{endpoint, prometheus};
use crate::api::State;
use crate::api::error::{ApiError, Missing};
use crate::catalog::{Actor, Catalog as _, ResolvedScope};
use crate::store::registry::{Access, AuditEntry, NewToken, Right, ScopeKey, StoredToken};
use crate::store::token;

/// The name of the tokens that `PUT` makes.
const NAME: &str = "alerts";

/// The project whose alert tokens a change of an integration concerns; `None` for other services than `alerts`.
///
/// # Errors
/// Groups and the instance have no alerts; and a token belongs to a project's number, which must be known.
pub(super) fn project_of(named: Named<'_>) -> Result<Option<ScopeKey>, ApiError> {
    if named.entry.about.slug != endpoint::SLUG {
        return Ok(None);
    }
    match named.scope {
        ResolvedScope::Project { id: Some(id), .. } if *id > 0 => Ok(Some(ScopeKey::Project(*id))),
        ResolvedScope::Project { .. } => Err(ApiError::Conflict(
            "the number of this project is not known yet: name the project by its number, which its page in the forge \
             shows"
                .to_owned(),
        )),
        ResolvedScope::Group { .. } | ResolvedScope::Instance => Err(ApiError::NotFound(Missing::Integration)),
    }
}

/// The path that monitoring systems post a project's alerts to; `None` for other services, and where the project's path is
/// not known.
pub(super) fn path_of(scope: &ResolvedScope, slug: &str) -> Option<String> {
    /// The characters that need no encoding in a path.
    const PLAIN: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    let ResolvedScope::Project { path: Some(project), .. } = scope else { return None };
    let project = utf8_percent_encode(project, PLAIN);
    match slug {
        endpoint::SLUG => Some(format!("/{project}/alerts/notify.json")),
        prometheus::SLUG => Some(format!("/{project}/prometheus/alerts/notify.json")),
        _ => None,
    }
}

/// A change of a project's alert tokens.
pub(in crate::api) struct Change<'a> {
    pub(in crate::api) state: &'a State,
    pub(in crate::api) project: ScopeKey,
    pub(in crate::api) actor: &'a Actor,
    pub(in crate::api) now: Timestamp,
}

impl Change<'_> {
    /// Makes a token, unless there is one that was made like this. Where `reset` is set, it makes another one and ends the
    /// former; the new one is live before the old one ends. `None`: the token stays.
    ///
    /// # Errors
    /// The integration was switched off since it was set. Then no new token stays alive.
    pub(in crate::api) async fn put(&self, reset: bool) -> Result<Option<String>, ApiError> {
        let mut former = self.live().await?;
        former.retain(|token| token.name == NAME);
        if !former.is_empty() && !reset {
            return Ok(None);
        }
        let secret = token::make()?;
        let new = NewToken {
            name: NAME.to_owned(),
            hash: token::hash(secret.expose()),
            access: Access { reach: self.project, right: Right::Alerts },
            expires_at: None,
        };
        let note = self.note("token.create", format!("token {NAME} for {}", self.project));
        let fields = ["name", "reach", "right", "expires_at"].map(str::to_owned).to_vec();
        let created = self.state.registry.create_token(new, AuditEntry { fields, ..note }).await?;
        self.revoke(former.iter()).await?;
        // A `DELETE` switches the integration off before it reads the tokens that it revokes. So either it finds this
        // token, or the integration is off here.
        if !self.is_switched_on().await? {
            self.revoke([&created].into_iter()).await?;
            return Err(ApiError::Conflict(
                "the alerts endpoint was switched off by another request meanwhile; set it again".to_owned(),
            ));
        }
        Ok(Some(secret.expose().to_owned()))
    }

    /// Whether the project's alerts are switched on in the store now.
    async fn is_switched_on(&self) -> Result<bool, ApiError> {
        let row = self.state.registry.integration(self.project, endpoint::SLUG).await?;
        Ok(row.is_some_and(|row| row.configuration.active))
    }

    /// Ends all alert tokens of the project. Returns whether there were any.
    pub(super) async fn revoke_all(&self) -> Result<bool, ApiError> {
        let live = self.live().await?;
        self.revoke(live.iter()).await?;
        Ok(!live.is_empty())
    }

    async fn revoke(&self, tokens: impl Iterator<Item = &StoredToken>) -> Result<(), ApiError> {
        for token in tokens {
            let note = self.note("token.revoke", format!("token {} ({})", token.name, token.id));
            self.state.registry.revoke_token(token.id, note).await?;
        }
        Ok(self.state.catalog.refresh().await?)
    }

    /// The live alert tokens of the project.
    async fn live(&self) -> Result<Vec<StoredToken>, ApiError> {
        let mut tokens = self.state.registry.tokens().await?;
        tokens.retain(|token| token.admits_alerts_of(self.project) && token.is_live(self.now));
        Ok(tokens)
    }

    fn note(&self, action: &'static str, object: String) -> AuditEntry {
        AuditEntry::whole(self.now, &self.actor.0, action, object)
    }
}

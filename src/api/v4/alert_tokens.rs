//! The tokens of the integration `alerts`: `PUT` makes one or rotates it, `DELETE` revokes all of the project.
//!
//! A project may have several alert tokens: those that the command line makes are for one monitoring system each, and have
//! their own names. `PUT` ends only those that it made itself, so that rotating one does not silence the others.

use jiff::Timestamp;

use super::caller::Named;
use crate::adapters::alerts::endpoint;
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

/// A change of a project's alert tokens.
pub(super) struct Change<'a> {
    pub(super) state: &'a State,
    pub(super) project: ScopeKey,
    pub(super) actor: &'a Actor,
    pub(super) now: Timestamp,
}

impl Change<'_> {
    /// Makes a token, and ends the one that was made like this before. The new one is live before the old one ends.
    pub(super) async fn rotate(&self) -> Result<String, ApiError> {
        let former = self.live().await?;
        let secret = token::make()?;
        let new = NewToken {
            name: NAME.to_owned(),
            hash: token::hash(secret.expose()),
            access: Access { reach: self.project, right: Right::Alerts },
            expires_at: None,
        };
        let note = self.note("token.create", format!("token {NAME} for {}", self.project));
        let fields = ["name", "reach", "right", "expires_at"].map(str::to_owned).to_vec();
        self.state.registry.create_token(new, AuditEntry { fields, ..note }).await?;
        self.revoke(former.iter().filter(|token| token.name == NAME)).await?;
        Ok(secret.expose().to_owned())
    }

    /// Ends all alert tokens of the project.
    pub(super) async fn revoke_all(&self) -> Result<(), ApiError> {
        let live = self.live().await?;
        self.revoke(live.iter()).await
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

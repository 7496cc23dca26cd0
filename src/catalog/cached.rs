//! The catalog that the pipeline reads: a snapshot, kept in step with the store.
//!
//! It reads the changes (`Registry::changes`) when notified, and regularly in case a notification was lost. A caller that
//! changes something through it sees the change when the call returns.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::{Mutex, watch};
use tracing::warn;

use super::trackers::RivalTrackers;
use super::{Catalog, ConfiguredAt, Origin, Snapshot, UrlPolicy};
use crate::adapters::ProjectLinks;
use crate::event::Event;
use crate::integration::{Integration, IntegrationId, ProjectFacts, Scope};
use crate::store::Result;
use crate::store::registry::{AuditEntry, Learned, Mute, Registry, ScopeKey, SeenProject};

/// The catalog, kept in step with the store.
pub struct CachedCatalog {
    state: RwLock<Snapshot>,
    registry: Arc<dyn Registry>,
    /// The last refresh: the number of the newest request that it served, and its result. One refresh runs at a time and
    /// serves all requests made before it began.
    served: Mutex<(u64, Result<()>)>,
    /// Counts the requests for a refresh.
    requested: AtomicU64,
    /// Counts changes of integrations, which may make waiting deliveries due.
    changes: watch::Sender<u64>,
    /// Which addresses may be set.
    url_policy: RwLock<Arc<UrlPolicy<'static>>>,
}

impl CachedCatalog {
    /// The catalog of a store.
    ///
    /// # Errors
    /// The store does not answer, or secrets in it can't be decrypted.
    pub async fn open(registry: Arc<dyn Registry>) -> Result<Self> {
        let catalog = Self {
            state: RwLock::default(),
            registry,
            served: Mutex::new((0, Ok(()))),
            requested: AtomicU64::new(0),
            changes: watch::Sender::new(0),
            url_policy: RwLock::new(Arc::new(UrlPolicy::allow_all())),
        };
        catalog.refresh().await?;
        Ok(catalog)
    }

    /// This catalog, with a policy on the addresses that may be set.
    #[must_use]
    pub fn with_url_policy(self, url_policy: Arc<UrlPolicy<'static>>) -> Self {
        Self { url_policy: RwLock::new(url_policy), ..self }
    }

    /// Which addresses may be set.
    pub fn url_policy(&self) -> Arc<UrlPolicy<'static>> {
        Arc::clone(&self.url_policy.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Applies another policy to what is set from now on.
    pub fn set_url_policy(&self, url_policy: Arc<UrlPolicy<'static>>) {
        *self.url_policy.write().unwrap_or_else(PoisonError::into_inner) = url_policy;
    }

    /// Sets the forge's address for people.
    pub fn set_forge(&self, url: &str) {
        self.write(|state| state.set_forge(url));
    }

    /// Reads the present snapshot. Writers wait meanwhile, so `look` must be short.
    pub fn read<T>(&self, look: impl FnOnce(&Snapshot) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn write<T>(&self, change: impl FnOnce(&mut Snapshot) -> T) -> T {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes whenever integrations change.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Replaces the configuration from files. `numbers` are the projects that the files name by number.
    ///
    /// # Errors
    /// The store refused the projects that the files name. The files apply nevertheless.
    pub async fn set_files(
        &self,
        placed: Vec<ConfiguredAt>,
        facts: Vec<(Scope, ProjectFacts)>,
        numbers: Vec<(i64, Option<String>)>,
        now: Timestamp,
    ) -> Result<()> {
        self.write(|state| state.set_files_read_at(placed, facts, now));
        self.changed();
        self.read(Snapshot::rival_trackers).iter().for_each(warn_of_rivals);
        let is_news = |id: i64, path: Option<&String>| {
            self.read(|state| match state.directory().project(id) {
                Some(known) => path.is_some() && known.path.as_ref() != path,
                None => true,
            })
        };
        let seen = |(id, path): (i64, Option<String>)| {
            is_news(id, path.as_ref()).then(|| SeenProject { id, path, learned: Learned::default() })
        };
        self.record_projects(numbers.into_iter().filter_map(seen).collect(), now).await
    }

    /// As [`Self::set_files`], without writing to the store.
    pub fn set_files_in_memory(&self, placed: Vec<ConfiguredAt>, facts: Vec<(Scope, ProjectFacts)>) {
        self.write(|state| state.set_files(placed, facts));
        self.changed();
    }

    /// Forgets the mutes that ended before this moment.
    pub fn forget_mutes(&self, before: Timestamp) {
        self.write(|state| state.forget_mutes(before));
    }

    pub(super) fn registry(&self) -> &dyn Registry {
        &*self.registry
    }

    /// Reads what changed in the store.
    async fn sync(&self) -> Result<()> {
        let known = self.read(Snapshot::revision);
        let changes = self.registry.changes(known).await?;
        if changes.revision == known {
            return Ok(());
        }
        let used = changes.integrations.iter().filter(|row| !matches!(row.owner, ScopeKey::File(_)));
        let touched: Vec<_> = used.map(|row| (row.owner, row.slug.clone())).collect();
        if self.write(|state| state.take_changes(changes)) {
            self.changed();
        }
        self.read(|state| touched.iter().for_each(|(owner, slug)| warn_if_unusable(state, *owner, slug)));
        Ok(())
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Records projects in the store and in the snapshot.
    pub(super) async fn record_projects(&self, seen: Vec<SeenProject>, now: Timestamp) -> Result<()> {
        if seen.is_empty() {
            return Ok(());
        }
        for SeenProject { id, path, .. } in &seen {
            self.adopt(path.as_deref(), *id, now).await?;
        }
        let rows = self.registry.upsert_seen_projects(seen, now).await?;
        let moved = self.write(|state| {
            let moves = rows.into_iter().map(|row| state.directory_mut().put_project(row));
            moves.fold(false, |any, moved| any | moved)
        });
        if moved {
            self.changed();
        }
        Ok(())
    }
}

/// Warns of two active issue trackers of a project, which a file and the API have set without seeing each other's.
fn warn_of_rivals(rivals: &RivalTrackers) {
    let RivalTrackers { scope, trackers: [of_file, other], counts } = rivals;
    let counts = counts.unwrap_or("none");
    warn!(
        %scope,
        counts,
        "a project has two issue trackers, {of_file} of a file and {other}; references lead to {counts}: switch one off"
    );
}

/// Warns of an integration that is active in the store and can't be used: another version of Forgebell accepted it.
fn warn_if_unusable(state: &Snapshot, owner: ScopeKey, slug: &str) {
    let Some(configured) = state.stored(owner, slug) else {
        return warn!(
            ?owner,
            slug,
            "an integration in the store has an unknown adapter and sends nothing: upgrade Forgebell, or remove it"
        );
    };
    if let (Err(errors), true, false) =
        (&configured.resolved, configured.configuration.active, configured.configuration.inherits)
    {
        let why: Vec<_> = errors.iter().map(ToString::to_string).collect();
        warn!(
            ?owner,
            slug,
            why = why.join(", "),
            "an integration in the store has invalid settings and sends nothing: save it again"
        );
    }
}

#[async_trait]
impl Catalog for CachedCatalog {
    fn concerned(&self, event: &Event) -> Vec<Arc<Integration>> {
        self.read(|state| state.concerned(event))
    }

    fn integration(&self, id: &IntegrationId) -> Option<Arc<Integration>> {
        self.read(|state| state.integration(id))
    }

    fn unusable(&self, id: &IntegrationId) -> Option<String> {
        self.read(|state| state.unusable(id))
    }

    fn links(&self, event: &Event) -> ProjectLinks {
        self.read(|state| state.links(event))
    }

    fn located(&self, event: Event) -> Event {
        self.read(|state| state.located(event))
    }

    fn facts(&self, event: &Event) -> ProjectFacts {
        self.read(|state| state.facts(event))
    }

    fn muted(&self, event: &Event, integration: &Integration, target: &str, now: Timestamp) -> Option<Mute> {
        self.read(|state| state.muted(event, integration, target, now))
    }

    fn hangs_on_files(&self, id: &IntegrationId) -> bool {
        self.integration(id).is_none_or(|known| *known.origin != *Origin::API)
    }

    async fn refresh(&self) -> Result<()> {
        let request = self.requested.fetch_add(1, Ordering::SeqCst) + 1;
        let mut served = self.served.lock().await;
        if served.0 < request {
            let all = self.requested.load(Ordering::SeqCst);
            *served = (all, self.sync().await);
        }
        served.1.clone()
    }

    async fn learn(&self, events: &[Arc<Event>], now: Timestamp) -> Result<()> {
        let is_guessed = |event: &&Arc<Event>| event.guessed_project().is_some();
        // A path that an event names counts before one that is only a guess.
        let ordered =
            events.iter().filter(is_guessed).chain(events.iter().filter(|event| !is_guessed(event)));
        let news = self.read(|state| {
            let news = ordered.filter_map(|event| state.directory().unknown_in(event));
            news.collect::<Vec<_>>()
        });
        let mut latest: Vec<SeenProject> = Vec::new();
        for seen in news {
            // Of several events of a project in one batch, the last one counts.
            latest.retain(|earlier| earlier.id != seen.id);
            latest.push(seen);
        }
        let groups = self.read(|state| {
            let named = events.iter().flat_map(|event| state.directory().unknown_groups_in(event));
            named.map(|(id, path)| (id, path.to_owned())).collect::<Vec<_>>()
        });
        for (id, path) in groups {
            let audit = AuditEntry::whole(now, "the group's event", "group.update", format!("group {path}"));
            let row = self.registry.put_group(Some(id), &path, audit).await?;
            self.write(|state| state.directory_mut().put_group(row));
            self.changed();
        }
        self.record_projects(latest, now).await
    }
}

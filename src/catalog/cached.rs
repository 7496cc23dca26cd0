//! The catalogue that the pipeline reads: a snapshot, kept fresh from the store.
//!
//! It reads changes (`Registry::changes`) when notified of one, and periodically. A change made through it is visible
//! when the call returns.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::{Mutex, watch};
use tracing::warn;

use super::{Catalog, ConfiguredAt, Origin, Snapshot, UrlPolicy, allow_all_urls};
use crate::event::Event;
use crate::integration::{Integration, IntegrationId, ProjectFacts, Scope};
use crate::store::Result;
use crate::store::registry::{Learned, Mute, Registry, ScopeKey, SeenProject};

/// The catalogue, kept fresh.
pub struct CachedCatalog {
    state: RwLock<Snapshot>,
    registry: Arc<dyn Registry>,
    /// One refresh at a time, which serves all who asked before it began: up to this one, and how it went.
    served: Mutex<(u64, Result<()>)>,
    /// Counts who asks for one.
    asked: AtomicU64,
    /// Counts what could make a difference to what waits: integrations that changed.
    settings: watch::Sender<u64>,
    /// The check of an address that is to be set.
    blocks: Arc<UrlPolicy<'static>>,
}

impl CachedCatalog {
    /// A catalogue over a store, with everything that is in it.
    ///
    /// # Errors
    /// The store does not answer, or secrets in it can't be opened.
    pub async fn open(registry: Arc<dyn Registry>) -> Result<Self> {
        let live = Self {
            state: RwLock::default(),
            registry,
            served: Mutex::new((0, Ok(()))),
            asked: AtomicU64::new(0),
            settings: watch::Sender::new(0),
            blocks: Arc::new(allow_all_urls),
        };
        live.refresh().await?;
        Ok(live)
    }

    /// The same, and addresses that are never called can't be set.
    #[must_use]
    pub fn with_url_policy(self, blocks: Arc<UrlPolicy<'static>>) -> Self {
        Self { blocks, ..self }
    }

    /// The check of an address that is to be set.
    pub fn blocks(&self) -> &UrlPolicy<'static> {
        &*self.blocks
    }

    /// Looks at it as it is at this moment. Others wait meanwhile: look, and leave.
    pub fn read<T>(&self, look: impl FnOnce(&Snapshot) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Snapshot) -> T) -> T {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// A receiver that is notified when integrations change.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.settings.subscribe()
    }

    /// What the files say, in place of what they said before; `numbers` are the projects that they name by number.
    ///
    /// # Errors
    /// The store does not take the projects that the files tell of. The files count all the same.
    pub async fn set_files(
        &self,
        placed: Vec<ConfiguredAt>,
        facts: Vec<(Scope, ProjectFacts)>,
        numbers: Vec<(i64, Option<String>)>,
        now: Timestamp,
    ) -> Result<()> {
        self.set_files_in_memory(placed, facts);
        let is_news = |id: i64, path: Option<&String>| {
            self.read(|state| match state.directory().project(id) {
                Some(known) => path.is_some() && known.path.as_ref() != path,
                None => true,
            })
        };
        let seen = |(id, path): (i64, Option<String>)| {
            is_news(id, path.as_ref()).then(|| SeenProject { id, path, learned: Learned::default() })
        };
        self.note(numbers.into_iter().filter_map(seen).collect(), now).await
    }

    /// The same, and nothing is written.
    pub fn set_files_in_memory(&self, placed: Vec<ConfiguredAt>, facts: Vec<(Scope, ProjectFacts)>) {
        self.write(|state| state.set_files(placed, facts));
        self.changed();
    }

    pub(super) fn registry(&self) -> &dyn Registry {
        &*self.registry
    }

    /// Takes up what changed in the store.
    async fn take_up(&self) -> Result<()> {
        let known = self.read(Snapshot::revision);
        let changes = self.registry.changes(known).await?;
        if changes.revision == known {
            return Ok(());
        }
        let touched: Vec<_> = changes.integrations.iter().map(|row| (row.owner, row.slug.clone())).collect();
        if self.write(|state| state.take_changes(changes)) {
            self.changed();
        }
        self.read(|state| touched.iter().for_each(|(owner, slug)| complain(state, *owner, slug)));
        Ok(())
    }

    fn changed(&self) {
        self.settings.send_modify(|count| *count += 1);
    }

    /// Writes down projects, and knows them from then on.
    pub(super) async fn note(&self, seen: Vec<SeenProject>, now: Timestamp) -> Result<()> {
        if seen.is_empty() {
            return Ok(());
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

/// Reports an active integration that can't be read, because another version of Forgebell wrote it.
fn complain(state: &Snapshot, owner: ScopeKey, slug: &str) {
    let Some(configured) = state.stored(owner, slug) else {
        return warn!(?owner, slug, "there is no such adapter; the integration sends nothing");
    };
    if let (Err(errors), true, false) =
        (&configured.resolved, configured.configuration.active, configured.configuration.inherits)
    {
        let why: Vec<_> = errors.iter().map(ToString::to_string).collect();
        warn!(
            ?owner,
            slug,
            why = why.join(", "),
            "an integration in the store can't be read; it sends nothing"
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
        let mine = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut served = self.served.lock().await;
        if served.0 < mine {
            let all = self.asked.load(Ordering::SeqCst);
            *served = (all, self.take_up().await);
        }
        served.1.clone()
    }

    async fn learn(&self, events: &[Arc<Event>], now: Timestamp) -> Result<()> {
        let news = self.read(|state| {
            let news = events.iter().filter_map(|event| state.directory().news_of(event));
            news.collect::<Vec<_>>()
        });
        let mut latest: Vec<SeenProject> = Vec::new();
        for seen in news {
            // Of several events of a project in one batch, the last one's word counts.
            latest.retain(|earlier| earlier.id != seen.id);
            latest.push(seen);
        }
        self.note(latest, now).await
    }
}

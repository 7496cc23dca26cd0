//! Keeps the integrations current: reloads the provisioning files on request, and reads changes in the store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::Reloads;
use super::live_settings::LiveSettings;
use crate::catalog::{CachedCatalog, Catalog as _, UrlPolicy};
use crate::config::Config;
use crate::pipeline::deliver::DelivererHandle;
use crate::pipeline::live::Live;
use crate::pipeline::parts::LAST_RELOAD;
use crate::pipeline::standing::Part;
use crate::pipeline::{Clock, store_calls};
use crate::provision::Provisioned;
use crate::store::{HoldCause, Outbox};
use crate::{metrics, provision};

/// How often changes are read from the store, in case a notification was lost.
const REFRESH_EVERY: Duration = Duration::from_secs(5);

/// Reloads the provisioning files on request and reads changes in the store periodically.
pub(super) struct ConfigWatcher {
    /// The settings, among them the names of the files.
    pub(super) live: LiveSettings,
    pub(super) catalog: Arc<CachedCatalog>,
    /// Called once after each change of integrations.
    pub(super) on_change: Arc<dyn OnChange>,
    pub(super) clock: Clock,
    /// Changes of the catalog since it was opened.
    pub(super) changes: watch::Receiver<u64>,
    /// Ends the reading of files.
    pub(super) shutdown: CancellationToken,
    /// The result of the last reload; `None` before the first.
    pub(super) last: Live<Option<Part>>,
}

/// The actions after a change of integrations.
#[async_trait]
pub(super) trait OnChange: Send + Sync {
    async fn settings_changed(&self);

    /// Called when the operator's settings changed: deliveries that wait because of the former ones are tried again.
    async fn operator_settings_changed(&self);
}

/// Ends the holds of former settings, in the store and in the deliverer.
pub(super) struct EndHolds {
    pub(super) store: Arc<dyn Outbox>,
    pub(super) catalog: Arc<CachedCatalog>,
    pub(super) deliverer: DelivererHandle,
    pub(super) clock: Clock,
}

#[async_trait]
impl OnChange for EndHolds {
    async fn settings_changed(&self) {
        self.deliverer.flush().await;
        if let Err(error) = reconcile_holds(&*self.store, &self.catalog, self.clock.now()).await {
            warn!(
                error = format!("{error:#}"),
                "cannot end the holds of former settings; trying again at the next change"
            );
        }
        self.deliverer.holds_changed();
    }

    async fn operator_settings_changed(&self) {
        self.deliverer.flush().await;
        let now = self.clock.now();
        let ended = async {
            let holds = self.store.holds(now).await?;
            let of_operator = holds.into_iter().filter(|hold| hold.cause == HoldCause::OperatorError);
            let keys: Vec<_> = of_operator.map(|hold| hold.key).collect();
            self.store.end_holds(&keys, now).await
        };
        if let Err(error) = ended.await {
            warn!(%error, "the holds of the operator's former settings could not be ended; they end by time");
        }
        self.deliverer.holds_changed();
    }
}

impl ConfigWatcher {
    pub(super) async fn run(mut self, mut requests: Reloads, stop: CancellationToken) {
        let mut look = tokio::time::interval(REFRESH_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                request = requests.recv() => {
                    let Some(request) = request else { return };
                    let answer = self.reload(request.settings).await;
                    self.note(&answer);
                    // The caller may not wait for the answer; it is logged too.
                    let _ = request.answer.send(answer);
                }
                _ = look.tick() => {
                    refresh(&self.catalog).await;
                    self.note_files(&stop).await;
                }
                Ok(()) = self.changes.changed() => self.on_change.settings_changed().await,
            }
        }
    }

    /// Writes the times of the files' integrations to the store.
    async fn note_files(&self, stop: &CancellationToken) {
        loop {
            match self.catalog.note_files().await {
                Ok(true) if !stop.is_cancelled() => {}
                Ok(_) => return,
                Err(error) => {
                    let why = "since when the files' integrations are as they are is not noted: the next reload notes it";
                    return warn!(%error, "{why}");
                }
            }
        }
    }

    /// Notes the result of a reload, for `/readyz` and `status`.
    fn note(&self, answer: &Result<usize, Vec<provision::Problem>>) {
        if answer.is_err() && self.shutdown.is_cancelled() {
            return;
        }
        let at = self.clock.now();
        let found = match answer {
            Ok(integrations) => Ok(match self.live.waiting() {
                waiting if waiting.is_empty() => format!("ok; at {at}, {integrations} integrations in files"),
                waiting => format!("ok; at {at}; a restart is needed for {}", waiting.join(", ")),
            }),
            Err(_) => Err(format!(
                "refused at {at}; the settings and integrations before it stay in use: `forgebell check` names the mistakes"
            )),
        };
        self.last.set(Some(Part::new(LAST_RELOAD, found)));
    }

    /// Reloads the provisioning files. If there is a mistake in them, the current integrations stay. A reload that ends
    /// because the daemon stops does not count as a failure.
    async fn reload(
        &mut self,
        settings: Result<Option<Box<Config>>, String>,
    ) -> Result<usize, Vec<provision::Problem>> {
        let settings = settings.map_err(|mistakes| {
            error!("nothing was reloaded: {mistakes}");
            metrics::reloaded(false);
            Vec::new()
        })?;
        let loaded = self.load(settings.as_deref()).await?;
        match settings.map(|settings| self.live.apply(*settings)) {
            None | Some(Ok(false)) => {}
            Some(Ok(true)) => self.on_change.operator_settings_changed().await,
            Some(Err(why)) => {
                error!(why, "the new settings can't be used; the current settings and integrations stay");
                metrics::reloaded(false);
                return Err(Vec::new());
            }
        }
        for warning in &loaded.warnings {
            warn!("{warning}");
        }
        let Provisioned { integrations, facts, numbers, groups, .. } = loaded;
        let (count, now) = (integrations.len(), self.clock.now());
        if let Err(error) = self.catalog.set_files(integrations, facts, numbers, now).await {
            warn!(%error, "the projects in the files are not stored yet");
        }
        if let Err(error) = self.catalog.note_groups(groups, now).await {
            warn!(%error, "the groups in the files are not stored yet");
        }
        // This includes the reload's own change, which would cause a second run otherwise.
        self.changes.mark_unchanged();
        self.on_change.settings_changed().await;
        metrics::reloaded(true);
        info!(integrations = count, "reloaded the integrations");
        Ok(count)
    }

    /// Reads the provisioning files that the new settings name, before any setting is applied: if a file has a mistake,
    /// nothing changes.
    async fn load(&self, settings: Option<&Config>) -> Result<Provisioned, Vec<provision::Problem>> {
        let (files, url_policy) = match settings {
            Some(new) => (&new.provision, Arc::new(super::url_policy(new))),
            None => (&self.live.current.provision, self.catalog.url_policy()),
        };
        let loaded = match load(files, &url_policy, &self.shutdown).await {
            Err(problems) if self.shutdown.is_cancelled() => {
                info!("the reload ended early, because the daemon is stopping");
                return Err(problems);
            }
            loaded => loaded,
        };
        loaded.inspect_err(|problems| {
            for problem in problems {
                error!("{problem}");
            }
            error!(
                problems = problems.len(),
                "the provisioning files are not valid; the current integrations stay"
            );
            metrics::reloaded(false);
        })
    }
}

/// Ends the holds of integrations whose settings have changed since. Their deliveries are due then.
pub(super) async fn reconcile_holds(
    store: &dyn Outbox,
    catalog: &CachedCatalog,
    now: Timestamp,
) -> anyhow::Result<()> {
    let holds = store.holds(now).await.context("cannot read the holds")?;
    let made_under = holds.iter().filter_map(|hold| hold.made_under.as_ref());
    let current: BTreeMap<_, _> = made_under.map(|(id, _)| (id.clone(), catalog.fingerprint(id))).collect();
    let current: Vec<_> = current.into_iter().collect();
    let ended = store.end_outdated_holds(&current, now).await.context("cannot end outdated holds")?;
    if ended > 0 {
        info!(ended, "settings changed; the deliveries that waited for that are due");
    }
    Ok(())
}

pub(super) async fn refresh(catalog: &CachedCatalog) {
    if let Err(error) = catalog.refresh().await {
        store_calls::log(&error, "read what changed in the integrations");
    }
}

/// Reads the provisioning files on a thread of its own, so that signals are handled meanwhile. `stop` ends the reading.
pub(super) async fn load(
    config: &provision::Config,
    url_policy: &Arc<UrlPolicy<'static>>,
    stop: &CancellationToken,
) -> Result<Provisioned, Vec<provision::Problem>> {
    let (config, url_policy, stop) = (config.clone(), Arc::clone(url_policy), stop.clone());
    let reading = tokio::task::spawn_blocking(move || provision::load_until(&config, &url_policy, &stop));
    reading.await.expect("reading returns its problems, and nothing aborts it")
}

#[cfg(test)]
mod tests;

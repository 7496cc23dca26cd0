//! Reloads: how often holds are reconciled, and what is logged and counted.

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::*;
use crate::adapters::OperatorSettings;
use crate::catalog::UrlPolicy;
use crate::config::Sources;
use crate::daemon::ReloadRequest;
use crate::event::EventId;
use crate::store::seal::Keyring;
use crate::store::sqlite::Sqlite;

const ONE: &str = "[[integration]]\nproject = \"acme/rocket\"\nadapter = \"slack\"\n\
    webhook = \"https://hooks.slack.com/services/T0AAAAAAA/B0AAAAAAA/s3cret-s3cret-s3cret\"\n";

/// Counts the changes of settings that the watcher acts on.
#[derive(Default)]
struct Count(AtomicUsize);

#[async_trait]
impl OnChange for Count {
    async fn settings_changed(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    async fn operator_settings_changed(&self) {}
}

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A running watcher over one provisioning file.
struct Case {
    count: Arc<Count>,
    catalog: Arc<CachedCatalog>,
    file: PathBuf,
    reload: mpsc::Sender<ReloadRequest>,
    shutdown: CancellationToken,
    stop: CancellationToken,
    operator: Live<OperatorSettings>,
    watcher: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Case {
    async fn start(provisioning: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("integrations.toml");
        std::fs::write(&file, provisioning).unwrap();
        let store = Arc::new(Sqlite::open(&folder.path().join("forgebell.db"), Keyring::none()).unwrap());
        let catalog =
            CachedCatalog::open(store).await.unwrap().with_url_policy(Arc::new(UrlPolicy::allow_all()));
        let catalog = Arc::new(catalog);
        let (count, shutdown, stop) =
            (Arc::<Count>::default(), CancellationToken::new(), CancellationToken::new());
        let (reload, reloads) = mpsc::channel(1);
        let live = LiveSettings::for_tests(&[format!("provision.files={}", file.display())], &catalog);
        let operator = live.operator.clone();
        let watcher = ConfigWatcher {
            live,
            catalog: Arc::clone(&catalog),
            on_change: Arc::clone(&count) as Arc<dyn OnChange>,
            clock: Clock::new(|| Timestamp::UNIX_EPOCH),
            changes: catalog.watch(),
            shutdown: shutdown.clone(),
            last: Live::default(),
        };
        #[expect(clippy::disallowed_methods, reason = "the test waits for its end")]
        let watcher = tokio::spawn(watcher.run(reloads, stop.clone()));
        Self { count, catalog, file, reload, shutdown, stop, operator, watcher, _folder: folder }
    }

    async fn reload(&self) -> Result<usize, Vec<provision::Problem>> {
        self.reload_with(None).await
    }

    /// Reloads with these options over the defaults.
    async fn reload_options(&self, options: &[&str]) -> Result<usize, Vec<provision::Problem>> {
        let file = format!("provision.files={}", self.file.display());
        let options: Vec<String> = options.iter().map(ToString::to_string).chain([file]).collect();
        let new = Config::load(Sources::for_tests(&options)).unwrap();
        self.reload_with(Some(Box::new(new))).await
    }

    async fn reload_with(&self, new: Option<Box<Config>>) -> Result<usize, Vec<provision::Problem>> {
        let (answer, answered) = oneshot::channel();
        assert!(
            self.reload.send(ReloadRequest { settings: Ok(new), answer }).await.is_ok(),
            "the watcher runs"
        );
        answered.await.expect("the watcher answers")
    }

    /// Waits until the watcher has ended, and returns how many changes it acted on.
    async fn end(self) -> usize {
        self.stop.cancel();
        self.watcher.await.expect("the watcher does not panic");
        self.count.get()
    }
}

// These tests run on one thread: when the answer is read, the watcher has already looked for further changes.

#[tokio::test]
async fn one_reload_reconciles_holds_once() {
    let case = Case::start(ONE).await;
    for reloads in 1..=20 {
        assert_eq!(case.reload().await.ok(), Some(1));
        tokio::task::yield_now().await;
        assert_eq!(case.count.get(), reloads);
    }
    assert_eq!(case.end().await, 20);
}

#[tokio::test]
async fn a_change_from_elsewhere_reconciles_holds_too() {
    let case = Case::start(ONE).await;
    case.reload().await.unwrap();
    case.catalog.set_files_in_memory(Vec::new(), Vec::new());
    while case.count.get() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(case.end().await, 2);
}

#[tokio::test]
async fn a_new_address_of_the_forge_decides_of_which_project_events_are() {
    let case = Case::start(ONE).await;
    case.reload_options(&["forge.url=https://forge.example/gitlab"]).await.unwrap();
    let body = r#"{"object_kind":"vulnerability","object_attributes":{"project_id":42,
        "url":"https://forge.example/gitlab/acme/rocket/-/security/vulnerabilities/1"}}"#;
    let event = case.catalog.decode(EventId::new("e1").unwrap(), Timestamp::UNIX_EPOCH, body.into()).unwrap();
    assert_eq!(event.project.unwrap().path_with_namespace, "acme/rocket");
    case.end().await;
}

#[tokio::test]
async fn new_settings_apply_only_where_the_files_are_valid() {
    let case = Case::start(ONE).await;
    case.reload_options(&["mail.from=before@forge.example"]).await.unwrap();
    assert_eq!(case.operator.get().mail.from, "before@forge.example");
    std::fs::write(&case.file, "what = \"is this\"").unwrap();
    case.reload_options(&["mail.from=after@forge.example"]).await.expect_err("a mistake in the file");
    assert_eq!(case.operator.get().mail.from, "before@forge.example", "nothing of a refused reload applies");
    std::fs::write(&case.file, ONE).unwrap();
    case.reload_options(&["mail.from=after@forge.example"]).await.unwrap();
    assert_eq!(case.operator.get().mail.from, "after@forge.example");
    case.end().await;
}

/// What was logged on this thread.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap()
    }
}

/// The number of reloads that failed, in this process.
fn failed() -> String {
    let text = metrics::install().render();
    let series = "forgebell_reloads_total{result=\"failed\"}";
    text.lines()
        .find(|line| line.starts_with(series))
        .map(|line| line[series.len()..].trim().to_owned())
        .unwrap_or_default()
}

/// One test, since both parts of it look at the same counter.
#[tokio::test]
async fn a_reload_fails_with_a_mistake_and_not_with_a_stop() {
    let lines = Lines::default();
    let writer = lines.clone();
    // While there is one subscriber alone, a test on another thread, which has none, may decide for all that a line is of no
    // interest.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _logged = tracing::subscriber::set_default(subscriber);
    let before = failed();

    let stopping = Case::start(ONE).await;
    stopping.shutdown.cancel();
    let problems = stopping.reload().await.expect_err("the stop ended the reading");
    assert!(problems[0].to_string().contains("the process is stopping"), "{problems:?}");
    assert_eq!(failed(), before, "not counted as a failure");
    assert!(lines.text().contains("the reload ended early"), "{}", lines.text());
    assert!(!lines.text().contains("ERROR"), "{}", lines.text());
    assert_eq!(stopping.end().await, 0, "the integrations stay");

    let mistaken = Case::start(ONE).await;
    std::fs::write(&mistaken.file, "what = \"is this\"").unwrap();
    mistaken.reload().await.expect_err("a mistake in the file");
    assert_ne!(failed(), before, "counted as a failure");
    assert!(lines.text().contains("ERROR"), "{}", lines.text());
    assert_eq!(mistaken.end().await, 0, "the integrations stay");
}

//! The demo's environment: a temporary folder, the simulated services and the real daemon.

use std::collections::HashMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;
use uuid::Uuid;

use super::stand_ins::{Difficulties, Receipt, Service, StandIns};
use super::story::{self, STORY, Scene};
use crate::cli::events_client::{Answer, Credentials, EventsClient};
use crate::cli::publish::{Message, To};
use crate::config::{Config, Sources};
use crate::daemon;
use crate::event::{Event, EventId};
use crate::integration::rules::WhyNot;
use crate::pipeline::dispatch::{Verdict, verdicts};
use crate::pipeline::holds::HoldSet;
use crate::provision;
use crate::settings::Secret;
use crate::store::seal::Keyring;
use crate::store::sqlite::Sqlite;
use crate::store::{
    DeliveryDetail, DeliveryFilter, DeliveryId, Ledger as _, Quarantine as _, Quarantined, State,
};
use crate::wire::smtp::Tls;

/// How long the daemon may take to open its store, and to stop.
const STARTING: Duration = Duration::from_secs(10);
const STOPPING: Duration = Duration::from_secs(15);
/// A limit above the number of deliveries in the story, because `--stay` may add some.
const MANY: usize = 1000;

/// Everything that the story runs in.
pub(super) struct Stage {
    stand_ins: StandIns,
    pub(super) receipts: mpsc::UnboundedReceiver<Receipt>,
    http: SocketAddr,
    token: Secret,
    to: To,
    config: Config,
    /// The daemon's store, opened a second time for reading.
    store: Sqlite,
    daemon: JoinHandle<anyhow::Result<()>>,
    shutdown: CancellationToken,
    /// Deliveries that were finished at the last look.
    over: HashMap<DeliveryId, DeliveryDetail>,
    /// The folder is removed last.
    folder: Folder,
}

impl Stage {
    pub(super) async fn set(broker: Option<Secret>, difficulties: Difficulties) -> anyhow::Result<Self> {
        let folder = Folder::make()?;
        let (sender, receipts) = mpsc::unbounded_channel();
        let stand_ins = StandIns::new(story::webhooks(), difficulties, sender).await?;
        folder.write("integrations.toml", &story::provisioning(|service| stand_ins.address(service)))?;
        folder.write("event.json", story::OWN_EVENT)?;
        let token = Secret::new(Uuid::now_v7().simple().to_string());
        let config = config(&folder.0, &token, stand_ins.address(Service::Mail), broker.as_ref())?;

        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port for the HTTP server")?;
        let http = listener.local_addr().context("the HTTP server has no address")?;
        let shutdown = CancellationToken::new();
        let (_, reloads) = mpsc::channel(1);
        let mut daemon =
            TaskTracker::new().spawn(daemon::run(config.clone(), listener, reloads, shutdown.clone()));
        let store = tokio::select! {
            ended = &mut daemon => {
                ended.context("the daemon broke off")??;
                bail!("the daemon ended before it began");
            }
            opened = opened(&config.store.path) => opened?,
        };
        let url: Url = format!("http://{http}/events").parse().context("the HTTP server has no URL")?;
        let to = if config.amqp.enabled {
            To::to_broker(&config.amqp).await?
        } else {
            let credentials = Credentials { token: Some(token.clone()), ..Credentials::default() };
            To::Http(Box::new(EventsClient::new(&config.wire, url, credentials)?))
        };
        let over = HashMap::new();
        Ok(Self { stand_ins, receipts, http, token, to, config, store, daemon, shutdown, over, folder })
    }

    /// Starts Mattermost's recovery, after the daemon has found it unreachable.
    pub(super) fn mattermost_is_missed(&mut self) {
        self.stand_ins.recover();
    }

    /// Sends an event, as a forge would.
    pub(super) async fn send(&self, number: usize, scene: &'static Scene) -> anyhow::Result<Answer> {
        let body = Bytes::from_static(scene.body.as_bytes());
        let message = Message::new(id(number), body, daemon::now());
        self.to.send(&message).await.with_context(|| format!("cannot hand in: {}", scene.title))
    }

    /// Whether no delivery is pending.
    pub(super) async fn is_idle(&self) -> anyhow::Result<bool> {
        if self.daemon.is_finished() {
            bail!("the daemon ended before its time");
        }
        let depth = self.store.depth(daemon::now()).await?;
        Ok(depth.inbox == 0 && depth.waiting == 0)
    }

    /// All deliveries in the daemon's store with their attempts, oldest first.
    pub(super) async fn deliveries(&mut self) -> anyhow::Result<Vec<DeliveryDetail>> {
        let filter = DeliveryFilter { limit: MANY, ..DeliveryFilter::default() };
        let mut details = Vec::new();
        for line in self.store.deliveries(filter).await? {
            if let Some(known) = self.over.get(&line.id) {
                details.push(known.clone());
                continue;
            }
            let Some(detail) = self.store.delivery(line.id).await? else { continue };
            if detail.line.state != State::Waiting {
                self.over.insert(line.id, detail.clone());
            }
            details.push(detail);
        }
        details.reverse();
        Ok(details)
    }

    /// The messages in quarantine.
    pub(super) async fn quarantined(&self) -> anyhow::Result<Vec<Quarantined>> {
        Ok(self.store.list_quarantined(None, MANY).await?)
    }

    /// For each scene, the integrations that its event does not reach, and why, as `forgebell explain` says. Integrations
    /// whose service never takes such events are left out.
    pub(super) fn why_not(&self) -> anyhow::Result<Vec<Vec<(String, String)>>> {
        let provisioned = provision::load(&self.config.provision, &daemon::url_policy(&self.config));
        let snapshot = match provisioned {
            Ok(provisioned) => provisioned.into_snapshot(),
            Err(problems) => bail!("the demo's integrations are not valid: {problems:?}"),
        };
        let of_scene = |(number, scene): (usize, &'static Scene)| {
            let body = Bytes::from_static(scene.body.as_bytes());
            let Ok(event) = Event::decode(id(number), daemon::now(), body) else { return Vec::new() };
            let verdicts = verdicts(&event, &snapshot, &HoldSet::default(), daemon::now()).into_iter();
            let said = verdicts.filter_map(|(integration, verdict)| match verdict {
                Verdict::Not(why) if !matches!(why, WhyNot::Unsupported { .. }) => {
                    Some((integration.slug.to_owned(), why.to_string()))
                }
                Verdict::Not(_)
                | Verdict::Sends { .. }
                | Verdict::Muted { .. }
                | Verdict::SwitchedOff { .. } => None,
            });
            said.collect()
        };
        Ok(STORY.iter().enumerate().map(of_scene).collect())
    }

    /// Stops the daemon gracefully, stops the simulated services and deletes what was created on the broker.
    pub(super) async fn strike(self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        let ended = timeout(STOPPING, self.daemon).await;
        if let To::Broker(publisher) = self.to {
            publisher.dismantle().await;
        }
        self.stand_ins.close().await;
        ended.context("the daemon did not stop in time")?.context("the daemon broke off")??;
        Ok(())
    }

    pub(super) fn http(&self) -> SocketAddr {
        self.http
    }

    pub(super) fn token(&self) -> &str {
        self.token.expose()
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder.0
    }

    /// The address of a simulated service.
    pub(super) fn address(&self, service: Service) -> SocketAddr {
        self.stand_ins.address(service)
    }

    /// The broker's exchange, where there is one.
    pub(super) fn exchange(&self) -> Option<&str> {
        self.config.amqp.enabled.then_some(self.config.amqp.exchange.as_str())
    }
}

/// The id of a scene's event.
pub(super) fn id(number: usize) -> EventId {
    EventId::new(&format!("demo-{:02}", number + 1)).expect("a number is printable and short")
}

/// The program's defaults, except for addresses and paths on this machine and shorter waits.
fn config(
    folder: &Path,
    token: &Secret,
    relay: SocketAddr,
    broker: Option<&Secret>,
) -> anyhow::Result<Config> {
    let mut config = Config::load(Sources::default()).context("the program's own defaults are not valid")?;
    config.store.path = folder.join("forgebell.db");
    config.provision.files = vec![folder.join("integrations.toml")];
    config.http.webhook_token = Some(token.clone());
    config.wire.allow_networks = vec!["127.0.0.0/8".parse().context("loopback is a network")?];
    config.wire.system_proxy = false;
    config.service_hosts = [("discord".to_owned(), vec!["127.0.0.1".to_owned()])].into();
    config.wire.smtp.host = relay.ip().to_string();
    config.wire.smtp.port = relay.port();
    config.wire.smtp.tls = Tls::None;
    config.retry.initial = Duration::from_secs(1);
    config.retry.max = Duration::from_secs(2);
    if let Some(url) = broker {
        let name = format!("forgebell.demo.{}", Uuid::now_v7().simple());
        config.amqp.enabled = true;
        config.amqp.url = url.clone();
        config.amqp.exchange.clone_from(&name);
        config.amqp.queue = name;
    }
    Ok(config)
}

/// Opens the store as soon as the daemon has created it.
async fn opened(path: &Path) -> anyhow::Result<Sqlite> {
    let opening = async {
        loop {
            match Sqlite::open_shared(path, Keyring::none()) {
                Ok(store) => return store,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    timeout(STARTING, opening).await.context("the daemon has made no store")
}

/// A folder that only this user may read. It is removed when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn make() -> anyhow::Result<Self> {
        let name = format!("forgebell-demo-{}", &Uuid::now_v7().simple().to_string()[20..]);
        let folder = std::env::temp_dir().join(name);
        let made = fs::DirBuilder::new().mode(0o700).create(&folder);
        made.with_context(|| format!("cannot make the folder {}", folder.display()))?;
        Ok(Self(folder))
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        use std::io::Write as _;
        let path = self.0.join(name);
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A file left in the temporary folder is no reason to fail.
        let _ = fs::remove_dir_all(&self.0);
    }
}

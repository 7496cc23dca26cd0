//! Connections to the database that break at a bad moment, or on one side only.

use forgebell::store::{Claim, Portion, StoreError};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::*;

/// A store behind a proxy that can be cut. Merge requests are written to it, in one lane.
struct Cabled {
    cable: CuttingProxy,
    store: Postgres,
}

impl Cabled {
    async fn new() -> Self {
        let database = postgres::database();
        let server = url::Url::parse(&database).expect("a URL").port().expect("a port");
        let cable = CuttingProxy::start(([127, 0, 0, 1], server).into()).await;
        let through = database.replace(&format!(":{server}/"), &format!(":{}/", cable.addr().port()));
        let store = Postgres::open(&Secret::new(through), None, Keyring::none()).await.expect("it opens");
        let cabled = Self { cable, store };
        // After this, the statements are prepared, so that a call is one request and one answer.
        cabled.write(0).await.expect("it is written");
        cabled.claim().await.expect("it is handed out");
        cabled
    }

    fn lease() -> Lease {
        Lease { node: NodeId("one".into()), until: forgebell::daemon::now() + Duration::from_secs(3600) }
    }

    /// Writes the `n`th event. Returns whether its delivery is leased; `None` where it existed before.
    async fn write(&self, n: usize) -> Result<Option<bool>, StoreError> {
        let now = forgebell::daemon::now();
        let id = EventId::new(&format!("event-{n}")).expect("an id");
        let event = Arc::new(Event::decode(id, now, event(n).into()).expect("an event"));
        let delivery = strange(if n == 0 { 1 } else { 2 }, Some(Self::lease()));
        let origin = Origin::Broker { digest: None, redelivered: false };
        let dispatched =
            Dispatched { event, origin, deliveries: vec![delivery], remembered: Remembered::default() };
        let written = self.store.enqueue(vec![dispatched], now).await?;
        Ok(written[0][0].as_ref().map(|delivery| delivery.leased))
    }

    /// Claims, and returns the events that are handed out, in order.
    async fn claim(&self) -> Result<Vec<String>, StoreError> {
        let now = forgebell::daemon::now();
        let claim = Claim {
            destinations: vec![SOMEWHERE.into()],
            portion: Portion::rows(16),
            lease: Self::lease(),
            now,
        };
        let claimed = self.store.claim(claim).await?.remove(0).deliveries;
        Ok(claimed.into_iter().map(|(delivery, _)| delivery.event.to_string()).collect())
    }

    /// Makes a call that succeeds and whose answer is lost.
    async fn unconfirmed<T: std::fmt::Debug>(&self, ask: impl Future<Output = Result<T, StoreError>>) {
        self.cable.cut_after_bytes_back(1);
        let lost = ask.await;
        assert!(matches!(lost, Err(StoreError::Unavailable(_))), "{lost:?}");
        self.cable.until_cut(Duration::from_secs(10)).await;
        self.cable.heal().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_waits_behind_a_row_whose_write_was_not_confirmed() {
    let cabled = Cabled::new().await;
    cabled.unconfirmed(cabled.write(1)).await;
    assert_eq!(cabled.write(1).await.expect("it is back"), None, "it was written");
    assert_eq!(cabled.write(2).await.expect("it is back"), Some(false), "the one before it goes first");
    assert_eq!(cabled.claim().await.expect("it is back"), ["event-1", "event-2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_waits_behind_a_row_whose_claim_was_not_confirmed() {
    let cabled = Cabled::new().await;
    assert_eq!(cabled.write(1).await.expect("it answers"), Some(true));
    cabled.store.release_leases(&Cabled::lease().node, forgebell::daemon::now()).await.expect("it answers");
    cabled.unconfirmed(cabled.claim()).await;
    assert_eq!(cabled.write(2).await.expect("it is back"), Some(false), "the one before it goes first");
    assert_eq!(cabled.claim().await.expect("it is back"), ["event-0", "event-1", "event-2"]);
}

/// A proxy that breaks on one side only: the database keeps its end of every connection.
async fn half_a_cable(server: u16) -> (u16, Arc<Notify>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let cut = Arc::new(Notify::new());
    let cutting = Arc::clone(&cut);
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let cutting = Arc::clone(&cutting);
            tokio::spawn(async move {
                let mut far = TcpStream::connect(("127.0.0.1", server)).await.expect("the database listens");
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    () = cutting.notified() => {
                        drop(near);
                        std::future::pending::<()>().await;
                    }
                }
            });
        }
    });
    (port, cut)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_own_connection_still_has_its_name_goes_on() {
    let database = postgres::database();
    let server = url::Url::parse(&database).expect("a URL").port().expect("a port");
    let (port, cut) = half_a_cable(server).await;
    let through = database.replace(&format!(":{server}/"), &format!(":{port}/"));
    let store = Postgres::open(&Secret::new(through), None, Keyring::none()).await.expect("it opens");
    let listener = store
        .listener(&NodeId("one".into()), Duration::from_secs(60), Duration::ZERO)
        .await
        .expect("the name is free");
    let (told, mut heard) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let listening = tokio::spawn(listener.run(told, stop.clone()));
    cut.notify_waiters();
    let other = api(&database).await;
    let all = AtomicUsize::new(0);
    eventually("notifications arrive again", Duration::from_secs(30), async || {
        assert!(!listening.is_finished(), "the node takes itself for another one");
        let webhook =
            format!("https://hooks.slack.com/services/T0/B0/{}", all.fetch_add(1, Ordering::Relaxed));
        set(&other, &Scope::Instance, &webhook).await;
        heard.try_recv().ok()
    })
    .await;
    stop.cancel();
    listening.await.expect("it ends").expect("no other node has the name");
}

//! Takes events from the broker, and connects again where its settings change.
//!
//! With new settings, the former connections are closed first: the batch in hand is finished and acknowledged, and
//! unacknowledged messages stay with the broker. So two connections of this node never read the same queue.

use futures_util::future::{join_all, select_all};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

use crate::pipeline::amqp::{AmqpSource, BrokerState, Config};
use crate::pipeline::dispatch::Dispatcher;
use crate::pipeline::live::Live;

/// The states of the connections to the broker, one for each queue that is read. It is empty where no broker is configured.
pub(super) type BrokerStates = Live<Vec<watch::Receiver<BrokerState>>>;

/// The connections to the broker under the current settings.
pub(super) struct Broker {
    dispatcher: Dispatcher,
    /// This node's name.
    node: String,
    settings: watch::Receiver<Config>,
    states: BrokerStates,
    tasks: TaskTracker,
}

/// The connections under one version of the settings.
struct Connections {
    sources: Vec<JoinHandle<()>>,
    stop: CancellationToken,
}

impl Broker {
    /// Nothing is connected before [`run`](Self::run).
    pub(super) fn new(
        dispatcher: Dispatcher,
        node: String,
        settings: watch::Receiver<Config>,
        tasks: TaskTracker,
    ) -> Self {
        Self { dispatcher, node, settings, states: Live::default(), tasks }
    }

    pub(super) fn states(&self) -> BrokerStates {
        self.states.clone()
    }

    /// Takes events until told to stop. It returns earlier only where a source ended by itself, which is a bug.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut connections = self.connect(&stop);
        loop {
            let new_settings = async {
                if self.settings.changed().await.is_err() {
                    // No more settings can come.
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = stop.cancelled() => return connections.close().await,
                () = connections.ended() => return,
                () = new_settings => {}
            }
            info!("the broker's settings changed: closing the connections of the former ones");
            connections.close().await;
            connections = self.connect(&stop);
        }
    }

    fn connect(&mut self, stop: &CancellationToken) -> Connections {
        let config = self.settings.borrow_and_update().clone();
        let stop = stop.child_token();
        let all = AmqpSource::all(&config, &self.node, &self.dispatcher.clock);
        let (sources, states): (Vec<_>, Vec<_>) = all.into_iter().filter(|_| config.enabled).unzip();
        self.states.set(states);
        let start = |source| self.tasks.spawn(self.dispatcher.clone().run(source, stop.clone()));
        Connections { sources: sources.into_iter().map(start).collect(), stop: stop.clone() }
    }
}

impl Connections {
    /// Waits until a source ended by itself; for ever if there is no source.
    async fn ended(&mut self) {
        if self.sources.is_empty() {
            return std::future::pending().await;
        }
        let _ = select_all(&mut self.sources).await;
    }

    /// Finishes events in hand, and closes the connections.
    async fn close(self) {
        self.stop.cancel();
        join_all(self.sources).await;
    }
}

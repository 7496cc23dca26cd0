//! Passes on what other nodes wrote to a shared store.

use std::sync::Arc;

use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::config_watcher::refresh;
use crate::catalog::CachedCatalog;
use crate::pipeline::deliver::DelivererHandle;
use crate::store::postgres::{Listener, Notification};

/// The parts that are notified of what other nodes wrote.
pub(super) struct PeerEvents {
    pub(super) deliverer: DelivererHandle,
    pub(super) arrived: Arc<Notify>,
    pub(super) catalog: Arc<CachedCatalog>,
}

/// Passes on notifications of other nodes until `stop`. Without a shared store there are none.
pub(super) async fn forward(
    listener: Option<Listener>,
    events: PeerEvents,
    stop: CancellationToken,
) -> crate::store::Result<()> {
    let Some(listener) = listener else {
        stop.cancelled().await;
        return Ok(());
    };
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let listening = listener.run(sender, stop);
    let forwarding = async {
        while let Some(notification) = receiver.recv().await {
            match notification {
                Notification::Stored(destination) => events.deliverer.note_backlog(destination),
                Notification::Arrived => events.arrived.notify_one(),
                // The refresh is awaited, because rows of the next notifications may refer to the change.
                Notification::Configured => refresh(&events.catalog).await,
            }
        }
    };
    tokio::join!(listening, forwarding).0
}

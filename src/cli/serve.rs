//! `serve`: the daemon, and the signals that it is sent.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::complain;
use super::options::Options;
use crate::daemon::{self, ReloadRequest};
use crate::log;

/// What stopping may take beyond `delivery.shutdown_timeout`, for writing outcomes, releasing leases and closing.
const STOP_MARGIN: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Signals: SIGTERM and SIGINT stop it softly, a second one at once. SIGHUP reads the integrations \
                        anew; where something is wrong with them, the present ones stay."
)]
pub(super) struct Args {}

pub(super) async fn run(_: Args, options: &Options) -> anyhow::Result<ExitCode> {
    let config = options.config()?;
    log::init(&config.log)?;
    let mut signals = Signals::new().context("cannot listen for signals")?;
    let address = config.http.listen;
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} (http.listen): `forgebell check` says more"))?;
    let stop_timeout = config.delivery.shutdown_timeout + STOP_MARGIN;
    let (reload, reloads) = mpsc::channel(1);
    let shutdown = CancellationToken::new();
    let daemon = daemon::run(config, listener, reloads, shutdown.clone());
    tokio::pin!(daemon);

    loop {
        let asked = tokio::select! {
            ended = &mut daemon => return ended.map(|()| ExitCode::SUCCESS),
            asked = signals.next() => asked,
        };
        match asked {
            Asked::Stop => break,
            // The daemon runs on while it is asked.
            Asked::Reload => tokio::select! {
                ended = &mut daemon => return ended.map(|()| ExitCode::SUCCESS),
                () = ask(&reload) => {}
            },
        }
    }
    shutdown.cancel();
    tokio::select! {
        ended = &mut daemon => return ended.map(|()| ExitCode::SUCCESS),
        () = signals.stop() => complain("stopping at once: a second signal came"),
        () = tokio::time::sleep(stop_timeout) => {
            complain("stopping at once: delivery.shutdown_timeout is over");
        }
    }
    complain("what was being sent may be sent again; nothing else is lost");
    Ok(ExitCode::FAILURE)
}

/// Requests a reload and waits for its end, so that a second request does not overtake the first. The daemon logs the
/// result itself.
async fn ask(reload: &mpsc::Sender<ReloadRequest>) {
    let (answer, answered) = oneshot::channel();
    if reload.send(ReloadRequest { answer }).await.is_err() || answered.await.is_err() {
        warn!("the integrations were not reloaded: the daemon is stopping, or has not started yet");
    }
}

/// The request that a signal stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Stop,
    Reload,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }

    async fn stop(&mut self) {
        while self.next().await != Asked::Stop {}
    }
}

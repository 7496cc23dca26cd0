//! `serve`: runs the daemon and handles signals.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::complain;
use super::options::Options;
use crate::daemon::{self, ReloadRequest};
use crate::log;

/// The time for stopping in addition to `delivery.shutdown_timeout`: for writing outcomes (at most four seconds),
/// releasing leases and closing.
const STOP_MARGIN: Duration = Duration::from_secs(5);

/// How many connections the kernel keeps until they are accepted. If there are more, a client's first packet is lost,
/// and the client tries again after a second. A burst of an attacker must not do that to other clients. The kernel's
/// own limit (`net.core.somaxconn`) applies too.
const BACKLOG: u32 = 4096;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Signals: SIGTERM and SIGINT stop the daemon gracefully, a second one at once. SIGHUP \
                        reloads settings and integrations; where they have a mistake, the current ones stay. The log \
                        names changed settings that need a restart."
)]
pub(super) struct Args {}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // This lets a restarted daemon bind its port although connections of the former process linger.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

pub(super) async fn run(_: Args, options: &Options) -> anyhow::Result<ExitCode> {
    let config = options.config()?;
    let _log = log::init(&config.log)?;
    if let Some(warning) = config.weak_secret() {
        warn!("{warning}");
    }
    let mut signals = Signals::new().context("cannot listen for signals")?;
    let address = config.http.listen;
    let listener = listen(address)
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
            // The daemon goes on while the request waits for its answer.
            Asked::Reload => tokio::select! {
                ended = &mut daemon => return ended.map(|()| ExitCode::SUCCESS),
                () = ask(&reload, options) => {}
                () = signals.stop() => break,
            },
        }
    }
    shutdown.cancel();
    info!("received a stop signal: the daemon is stopping; a second signal ends it at once");
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
/// result.
async fn ask(reload: &mpsc::Sender<ReloadRequest>, options: &Options) {
    let settings = options.config().map(|settings| Some(Box::new(settings)));
    let settings = settings.map_err(|mistakes| format!("{mistakes:#}"));
    let (answer, answered) = oneshot::channel();
    if reload.send(ReloadRequest { settings, answer }).await.is_err() || answered.await.is_err() {
        warn!("the integrations were not reloaded: the daemon is stopping or not ready yet");
    }
}

/// The request of a signal.
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

    /// Waits for a stop signal. Reload signals are left for [`next`](Self::next).
    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

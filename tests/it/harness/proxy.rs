//! The cable between two of the cast: a TCP proxy on loopback which can be cut, frozen and healed.
//!
//! * [`CuttingProxy`]: the cable. A cut one closes all connections and refuses new ones, as a dead host's kernel does;
//!   a frozen one keeps them and passes nothing, as a dead network does.
//! * `Fuse`: cuts the cable after a number of bytes, even in the middle of a message.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::ports::free_port;

pub struct CuttingProxy {
    address: SocketAddr,
    cable: Arc<Cable>,
    listening: watch::Receiver<bool>,
    _keeper: AbortOnDropHandle<()>,
}

struct Cable {
    upstream: SocketAddr,
    state: watch::Sender<State>,
    fuse: Mutex<Option<Fuse>>,
    open: AtomicUsize,
    accepted: AtomicUsize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Whole,
    Frozen,
    Cut,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

struct Fuse {
    left: usize,
    counts_up: bool,
}

struct Pass {
    bytes: usize,
    blown: bool,
}

impl CuttingProxy {
    pub async fn start(upstream: SocketAddr) -> CuttingProxy {
        // Not port 0: after a cut, the same port has to be had again.
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let cable = Arc::new(Cable {
            upstream,
            state: watch::Sender::new(State::Whole),
            fuse: Mutex::new(None),
            open: AtomicUsize::new(0),
            accepted: AtomicUsize::new(0),
        });
        let (announce, listening) = watch::channel(false);
        let keeper = tokio::spawn(keep(address, Arc::clone(&cable), announce));
        let proxy = CuttingProxy { address, cable, listening, _keeper: AbortOnDropHandle::new(keeper) };
        proxy.until_listening(true).await;
        proxy
    }

    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Closes all connections and refuses new ones; both are so when this returns.
    pub async fn cut(&self) {
        self.cable.state.send_replace(State::Cut);
        self.until_listening(false).await;
    }

    /// Keeps all connections, accepts new ones, and passes nothing, not even their end.
    pub fn freeze(&self) {
        self.cable.state.send_replace(State::Frozen);
    }

    /// All is well again: what was frozen flows on, what was cut may connect anew. A fuse is taken out.
    pub async fn heal(&self) {
        *self.cable.fuse() = None;
        self.cable.state.send_replace(State::Whole);
        self.until_listening(true).await;
    }

    /// Passes exactly `count` more bytes, in both directions together, and then cuts.
    pub fn cut_after_bytes(&self, count: usize) {
        *self.cable.fuse() = Some(Fuse { left: count, counts_up: true });
    }

    /// The same, but counts what comes back alone: the request arrives, its answer is cut off.
    pub fn cut_after_bytes_back(&self, count: usize) {
        *self.cable.fuse() = Some(Fuse { left: count, counts_up: false });
    }

    /// Waits until a fuse has cut the cable.
    pub async fn until_cut(&self, bound: Duration) {
        let cut = self.until_listening(false);
        assert!(timeout(bound, cut).await.is_ok(), "waited {bound:?} in vain for the cable to be cut");
    }

    /// Connections that are open now.
    pub fn connections(&self) -> usize {
        self.cable.open.load(Ordering::SeqCst)
    }

    /// Connections accepted since the start.
    pub fn accepted(&self) -> usize {
        self.cable.accepted.load(Ordering::SeqCst)
    }

    async fn until_listening(&self, wanted: bool) {
        let mut listening = self.listening.clone();
        listening.wait_for(|is| *is == wanted).await.expect("the proxy's task runs");
    }
}

/// Listens while the cable is not cut, and holds its connections.
async fn keep(address: SocketAddr, cable: Arc<Cable>, announce: watch::Sender<bool>) {
    loop {
        cable.until(|state| state != State::Cut).await;
        let listener = TcpListener::bind(address).await.expect("the proxy's port is free");
        announce.send_replace(true);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = cable.until(|state| state == State::Cut) => break,
                Some(_) = connections.join_next() => {}
                Ok((client, _)) = listener.accept() => {
                    cable.accepted.fetch_add(1, Ordering::SeqCst);
                    connections.spawn(connect(client, Arc::clone(&cable)));
                }
            }
        }
        drop(listener);
        connections.shutdown().await;
        announce.send_replace(false);
    }
}

async fn connect(client: TcpStream, cable: Arc<Cable>) -> io::Result<()> {
    let _open = Open::count(&cable);
    cable.until(|state| state == State::Whole).await;
    let upstream = TcpStream::connect(cable.upstream).await?;
    client.set_nodelay(true)?;
    upstream.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_upstream, to_upstream) = upstream.into_split();
    let up = pump(from_client, to_upstream, Direction::Up, &cable);
    let down = pump(from_upstream, to_client, Direction::Down, &cable);
    tokio::try_join!(up, down).map(drop)
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    direction: Direction,
    cable: &Cable,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let count = from.read(&mut buffer).await?;
        cable.until(|state| state == State::Whole).await;
        if count == 0 {
            return to.shutdown().await;
        }
        let Pass { bytes, blown } = cable.pass(direction, count);
        to.write_all(&buffer[..bytes]).await?;
        if blown {
            cable.state.send_replace(State::Cut);
            // Bytes of this connection are lost, so it must end even if the cable is restored at this moment.
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
    }
}

impl Cable {
    async fn until(&self, wanted: impl Fn(State) -> bool) {
        let mut state = self.state.subscribe();
        state.wait_for(|now| wanted(*now)).await.expect("the cable owns its state");
    }

    fn fuse(&self) -> MutexGuard<'_, Option<Fuse>> {
        self.fuse.lock().expect("no code panics while holding the fuse")
    }

    /// How much of what was just read may go on.
    fn pass(&self, direction: Direction, count: usize) -> Pass {
        match self.fuse().as_mut() {
            Some(fuse) if fuse.counts_up || direction == Direction::Down => {
                let bytes = count.min(fuse.left);
                fuse.left -= bytes;
                Pass { bytes, blown: fuse.left == 0 }
            }
            _ => Pass { bytes: count, blown: false },
        }
    }
}

/// A connection that counts as open for as long as this lives.
struct Open<'a>(&'a AtomicUsize);

impl Open<'_> {
    fn count(cable: &Cable) -> Open<'_> {
        cable.open.fetch_add(1, Ordering::SeqCst);
        Open(&cable.open)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
